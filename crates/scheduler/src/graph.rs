//! The transition graph: which actions go into it, with which inputs, in which order.
//! Source: `spec/scheduler-graph.md` §1.

mod dot;
mod element;

use xml::Element;

use crate::action::{flag, rel};
use crate::ids::{ActIx, RscIx};
use crate::model::{Sched, Variant};
use crate::trace::Origin;

/// One action of the graph, and what it waits for.
#[derive(Clone, Debug)]
struct Synapse {
    action: ActIx,
    /// A piece of [`Graph::inputs`].
    inputs: std::ops::Range<usize>,
    priority: i32,
}

/// The transition: which actions, in which order, after which others. Their elements are only
/// made when somebody wants to see them, one at a time: a big transition as a tree would be many
/// times bigger than everything it was made from.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The root element, without its synapses.
    root: Element,
    synapses: Vec<Synapse>,
    /// Inputs of all synapses, one after the other.
    inputs: Vec<ActIx>,
}

/// An action of the graph as the one who executes it sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step<'a> {
    /// What to do.
    pub(crate) action: ActIx,
    /// What has to be done before.
    pub(crate) inputs: &'a [ActIx],
    /// Priority, 0 if it has none.
    pub(crate) priority: i32,
}

impl Graph {
    /// Number of actions in it.
    pub fn len(&self) -> usize {
        self.synapses.len()
    }

    /// True if there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.synapses.is_empty()
    }

    /// An attribute of the root element.
    pub(crate) fn setting(&self, name: &str) -> Option<&str> {
        self.root.get(name)
    }

    /// All actions in their order.
    pub(crate) fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        self.synapses.iter().map(|synapse| Step {
            action: synapse.action,
            inputs: &self.inputs[synapse.inputs.clone()],
            priority: synapse.priority,
        })
    }
}

impl Sched {
    /// Stage N of the pipeline: the graph.
    pub(crate) fn create_graph(&mut self, transition_id: u32, compat_2_1: bool) {
        let o = &self.options;
        let timeout = if compat_2_1 { "stonith-timeout" } else { "fencing-timeout" };
        let start_offset = if o.start_failure_fatal { "INFINITY" } else { "1" };
        let mut root = Element::new("transition_graph")
            .with("cluster-delay", o.cluster_delay.clone())
            .with(timeout, o.fencing_timeout.clone())
            .with("failed-stop-offset", "INFINITY")
            .with("failed-start-offset", start_offset)
            .with("batch-limit", o.batch_limit.clone())
            .with("transition_id", transition_id.to_string());
        if let Some(limit) = &o.migration_limit {
            root.set("migration-limit", limit.clone());
        }
        if self.recheck_by > 0 {
            root.set("recheck-by", self.recheck_by.to_string());
        }
        let mut builder = Graph { root, ..Graph::default() };
        for rsc in self.top.clone() {
            self.add_resource(rsc, &mut builder);
        }
        self.add_maintenance(&mut builder);
        let all: Vec<ActIx> = self.actions.ids().rev().collect();
        for ix in all {
            self.add_action(ix, &mut builder);
        }
        self.graph = builder;
    }

    fn add_own_actions(&mut self, rsc: RscIx, builder: &mut Graph) {
        for ix in self.rscs[rsc].actions.clone().into_iter().rev() {
            self.add_action(ix, builder);
        }
    }

    fn add_resource(&mut self, rsc: RscIx, builder: &mut Graph) {
        match self.rscs[rsc].variant {
            Variant::Primitive | Variant::Group => {
                self.add_own_actions(rsc, builder);
                for child in self.rscs[rsc].children.clone() {
                    self.add_resource(child, builder);
                }
            }
            Variant::Clone => {
                for ix in self.rscs[rsc].actions.clone().into_iter().rev() {
                    let seen = self.flags_seen(ix, None);
                    let own = &mut self.actions[ix].flags;
                    *own = (*own & !flag::OPTIONAL) | (seen & flag::OPTIONAL & *own);
                }
                self.because(|| Origin::Notify(rsc), |sched| sched.create_notifications(rsc));
                for child in self.rscs[rsc].children.clone() {
                    self.add_resource(child, builder);
                }
                self.add_own_actions(rsc, builder);
            }
            Variant::Bundle => {
                if let Some(inner) = self.rscs[rsc].bundle.inner {
                    self.add_resource(inner, builder);
                }
                for replica in self.rscs[rsc].bundle.replicas.clone() {
                    for part in
                        [replica.ip, Some(replica.container), replica.remote].into_iter().flatten()
                    {
                        self.add_resource(part, builder);
                    }
                }
            }
        }
    }

    /// Tells remote nodes that their maintenance state has changed.
    fn add_maintenance(&mut self, builder: &mut Graph) {
        let changed = self.node_order.iter().any(|node| {
            let n = &self.nodes[*node];
            self.is_remote_kind(*node) && n.maintenance != n.remote_maint
        });
        if changed {
            let ix = self.pseudo_op("maintenance_nodes");
            self.actions[ix].flags |= flag::ALWAYS;
            self.add_action(ix, builder);
        }
    }

    /// Could it be executed at all? Source: §1.2.
    fn eligible(&self, ix: ActIx) -> bool {
        let action = &self.actions[ix];
        if action.not(flag::RUNNABLE) || (action.is(flag::OPTIONAL) && action.not(flag::ALWAYS)) {
            return false;
        }
        if let Some(rsc) = action.rsc
            && !self.rscs[rsc].managed
            && action.task != "monitor"
        {
            let recurring = action.meta.get("interval").is_some_and(|i| i != "0");
            if !recurring {
                return false;
            }
        }
        if action.is(flag::PSEUDO) || matches!(action.task.as_str(), "stonith" | "do_shutdown") {
            return true;
        }
        let Some(node) = action.node else { return false };
        if action.is(flag::ON_DC) {
            return true;
        }
        let n = &self.nodes[node];
        if self.is_guest(node) && !n.remote_reset {
            return true;
        }
        n.online && !n.unclean
    }

    fn merge_inputs(&mut self, ix: ActIx) {
        if self.actions[ix].is(flag::DEDUPLICATED) {
            return;
        }
        self.actions[ix].flags |= flag::DEDUPLICATED;
        let mut before = std::mem::take(&mut self.actions[ix].before);
        before.reverse();
        before.sort_by_key(|relation| relation.action);
        before.dedup_by(|later, earlier| {
            let same = later.action == earlier.action;
            if same {
                earlier.flags |= later.flags;
                earlier.graphed |= later.graphed;
            }
            same
        });
        self.actions[ix].before = before;
    }

    fn add_action(&mut self, ix: ActIx, builder: &mut Graph) {
        self.merge_inputs(ix);
        if self.actions[ix].is(flag::ADDED) || !self.eligible(ix) {
            return;
        }
        self.actions[ix].flags |= flag::ADDED;
        let action = &self.actions[ix];
        let priority = action.rsc.map_or(0, |r| self.rscs[r].priority).max(action.priority);
        let first_input = builder.inputs.len();
        for at in 0..self.actions[ix].before.len() {
            if self.accept_input(ix, at) {
                self.actions[ix].before[at].graphed = true;
                builder.inputs.push(self.actions[ix].before[at].action);
            }
        }
        let inputs = first_input..builder.inputs.len();
        builder.synapses.push(Synapse { action: ix, inputs, priority });
    }

    fn synapse_element(&self, number: usize) -> Element {
        let entry = &self.graph.synapses[number];
        let mut synapse = Element::new("synapse").with("id", number.to_string());
        if entry.priority > 0 {
            synapse.set("priority", entry.priority.to_string());
        }
        let full = self.action_element(entry.action, true);
        synapse.push(Element::new("action_set").with_child(full));
        let mut inputs = Element::new("inputs");
        for input in &self.graph.inputs[entry.inputs.clone()] {
            let short = self.action_element(*input, false);
            inputs.push(Element::new("trigger").with_child(short));
        }
        synapse.push(inputs);
        synapse
    }

    /// The graph as controllers execute it.
    pub fn graph_element(&self) -> Element {
        let mut root = self.graph.root.clone();
        for number in 0..self.graph.len() {
            root.push(self.synapse_element(number));
        }
        root
    }

    /// The graph as text, a piece at a time, with control characters as upstream escapes them.
    pub fn graph_pieces(&self) -> impl Iterator<Item = String> {
        let text = |element: &Element, depth: usize| {
            let mut text = String::new();
            element.write_pretty(&mut text, depth);
            let hex = [("&#10;", "&#x0A;"), ("&#9;", "&#x09;"), ("&#13;", "&#x0D;")];
            hex.iter().fold(text, |text, (decimal, hex)| {
                if text.contains(decimal) { text.replace(decimal, hex) } else { text }
            })
        };
        let mut head = text(&self.graph.root, 0);
        let mut tail = String::new();
        if !self.graph.is_empty() {
            head.truncate(head.trim_end_matches("/>\n").len());
            head.push_str(">\n");
            tail = format!("</{}>\n", self.graph.root.name());
        }
        let synapses = (0..self.graph.len()).map(move |n| text(&self.synapse_element(n), 1));
        std::iter::once(head).chain(synapses).chain(std::iter::once(tail))
    }

    /// The graph as text.
    pub fn graph_text(&self) -> String {
        self.graph_pieces().collect()
    }

    /// Is a relation an input? Source: §1.3.
    pub(crate) fn accept_input(&mut self, ix: ActIx, at: usize) -> bool {
        let input = self.actions[ix].before[at];
        let (flags, first) = (input.flags, &self.actions[input.action]);
        if input.graphed {
            return true;
        }
        if flags == rel::NONE {
            return false;
        }
        let runnable = first.is(flag::RUNNABLE);
        let weak = rel::ORDERED | rel::TIFG | rel::FITG;
        if !runnable && flags & !weak == 0 {
            return false;
        }
        if !runnable && flags & (rel::MIN_RUNNABLE | rel::UNMIGRATABLE_THEN_BLOCKS) != 0 {
            return false;
        }
        let migratable = first.is(flag::MIGRATABLE);
        if flags & rel::IF_FIRST_UNMIGRATABLE != 0 && migratable {
            return false;
        }
        if flags == rel::ORDERED && migratable && first.key.ends_with("_stop_0") {
            return false;
        }
        let then = &self.actions[ix];
        if flags == rel::IF_ON_SAME_NODE_OR_TARGET {
            let mut keep = first.node.is_some() && first.not(flag::OPTIONAL);
            if let Some(rsc) = then.rsc
                && then.task == "migrate_to"
            {
                let assigned = self.rscs[rsc].assigned.map(|placed| placed.node);
                keep = match (first.node, assigned) {
                    (Some(a), Some(b)) => a == b,
                    _ => true,
                } && first.not(flag::OPTIONAL);
            } else if first.node != then.node {
                keep = false;
            }
            if !keep {
                self.actions[ix].before[at].flags = rel::NONE;
                return false;
            }
        } else if flags == rel::IF_REQUIRED_ON_SAME_NODE {
            let apart = first.node.is_some() && then.node.is_some() && first.node != then.node;
            if apart || first.is(flag::OPTIONAL) {
                self.actions[ix].before[at].flags = rel::NONE;
                return false;
            }
        } else if let Some(rsc) = first.rsc
            && first.rsc != then.rsc
            && self.rscs[rsc].failed
            && !self.rscs[rsc].managed
            && first.key.ends_with("_stop_0")
            && then.rsc.is_some_and(|r| self.rscs[r].variant == Variant::Clone)
        {
            return false;
        } else if first.is(flag::OPTIONAL)
            && first.not(flag::ALWAYS | flag::ADDED)
            && !self.eligible(input.action)
        {
            return false;
        }
        true
    }
}
