//! What if? Events are put into a state, and the cluster is played to its end on paper: plan,
//! execute, plan again, until nothing is left to do.
//!
//! The documents are cheap copies (`xml` shares what is equal), so trying many things from one
//! state costs little more than the planning. [`survive`](crate::survive) does that for failures
//! of nodes. Nothing here does I/O.

use std::collections::BTreeMap;
use std::sync::Arc;

use ecow::EcoString;
use xml::Element;

use crate::ids::RscIx;
use crate::model::{Role, Sched, Variant};
use crate::present::Line;
use crate::simulate::{Injections, OpSpec, Step, execute, inject};
use crate::{Input, PlanOptions, schedule, status};

/// Transitions after which a cluster that has not come to rest never will.
const ROUNDS_MAX: usize = 8;

/// What happens.
#[derive(Clone, Debug, Default)]
pub struct Events {
    /// Nodes that leave cleanly.
    pub node_down: Vec<String>,
    /// Nodes that fail.
    pub node_fail: Vec<String>,
    /// Nodes that are put into standby.
    pub standby: Vec<String>,
    /// Nodes that come back: members again, and not in standby.
    pub online: Vec<String>,
    /// Resources that fail, on the node given or where they run.
    pub resource_fail: Vec<(String, Option<String>)>,
    /// The partition has quorum, or has not.
    pub quorum: Option<bool>,
    /// Tickets that are granted.
    pub ticket_grant: Vec<String>,
    /// Tickets that are revoked.
    pub ticket_revoke: Vec<String>,
    /// Another configuration.
    pub configuration: Option<Arc<Element>>,
}

/// Why events cannot happen.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EventError {
    /// There is no such node.
    #[error("there is no node `{0}`")]
    NoNode(String),
    /// There is no such resource.
    #[error("there is no resource `{0}`")]
    NoResource(String),
    /// A resource that does not run cannot fail.
    #[error("resource `{0}` does not run, so it cannot fail (name a node: {0}@NODE)")]
    NotRunning(String),
    /// Only primitives can fail.
    #[error("resource `{0}` is a collective: name one of its members or instances")]
    Collective(String),
}

/// Where something runs: node and role.
pub type Places = Vec<(EcoString, Role)>;

/// Where everything runs. Instances of a clone count together, under the id without their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement(pub BTreeMap<EcoString, Places>);

/// How a resource's place changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The resource.
    pub resource: EcoString,
    /// `starts`, `stops`, `moves`, `promotes`, `demotes` or `changes` (a clone's nodes).
    pub what: &'static str,
    /// Where it was.
    pub from: Places,
    /// Where it is then.
    pub to: Places,
}

/// The end of the play.
pub struct Settled {
    /// The document then.
    pub cib: Arc<Element>,
    /// The state then.
    pub sched: Sched,
    /// The summary of each transition.
    pub transitions: Vec<Vec<Line>>,
    /// Nodes that were fenced (not: unfenced), in order.
    pub fenced: Vec<EcoString>,
    /// Operations that were executed.
    pub operations: usize,
    /// Resources that were restarted where they are: stopped and started on the same node.
    pub restarted: Vec<EcoString>,
    /// False if a transition could not be executed to its end or there was always another.
    pub stable: bool,
    input: Input,
}

/// How to play.
#[derive(Clone, Copy, Debug, Default)]
pub struct Play<'a> {
    /// How to look at the input.
    pub input: Input,
    /// Operations that fail when they are executed.
    pub op_fail: &'a [OpSpec],
    /// Stop as soon as everything runs where the plan wants it, instead of planning once more.
    pub brief: bool,
}

/// Plays a state to its end.
pub fn settle(cib: &Arc<Element>, play: Play<'_>) -> Settled {
    let mut cib = cib.clone();
    let mut settled = Settled {
        cib: cib.clone(),
        sched: Sched::default(),
        transitions: Vec::new(),
        fenced: Vec::new(),
        operations: 0,
        restarted: Vec::new(),
        stable: false,
        input: play.input,
    };
    let options = PlanOptions { input: play.input, ..PlanOptions::default() };
    let mut before: Option<(Placement, Sched)> = None;
    for _ in 0..ROUNDS_MAX {
        let plan = schedule(&cib, options);
        let done = execute(&mut cib, &plan.sched, play.op_fail, play.input.now);
        if done.steps.iter().all(|step| matches!(step, Step::Pseudo { .. })) {
            // Markers alone change nothing.
            settled.stable = !done.invalid;
            break;
        }
        settled.note_steps(&done.steps);
        let visible = !plan.summary.is_empty();
        settled.transitions.push(plan.summary);
        if done.invalid {
            before = Some((Placement::default(), status(&cib, play.input)));
            break;
        }
        let after = status(&cib, play.input);
        let placement = after.placement();
        let fulfilled = play.brief && plan.sched.is_fulfilled_by(&after);
        // Checks may go on for ever where nobody records their results.
        let only_checks = !visible && before.as_ref().is_some_and(|(was, _)| *was == placement);
        before = Some((placement, after));
        if fulfilled || only_checks {
            settled.stable = true;
            break;
        }
    }
    // What the last round left is what there is: markers change nothing.
    settled.sched = before.map_or_else(|| status(&cib, play.input), |(_, sched)| sched);
    settled.cib = cib;
    settled
}

impl Settled {
    fn note_steps(&mut self, steps: &[Step]) {
        let mut stopped: Vec<(&EcoString, &EcoString)> = Vec::new();
        for step in steps {
            match step {
                Step::Fence { node, op } if op != "on" => self.fenced.push(node.clone()),
                Step::Resource { rsc, task, node, .. } => {
                    self.operations += 1;
                    match task.as_str() {
                        "stop" => stopped.push((rsc, node)),
                        "start"
                            if stopped.contains(&(rsc, node)) && !self.restarted.contains(rsc) =>
                        {
                            self.restarted.push(rsc.clone());
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }

    /// Where everything runs then.
    pub fn placement(&self) -> Placement {
        self.sched.placement()
    }

    /// Why resources do not run then, each in a sentence.
    pub fn reasons(&self, units: &[EcoString]) -> BTreeMap<EcoString, String> {
        let input =
            Input { now: self.sched.now, local_offset: self.sched.local_offset, ..self.input };
        crate::survive::reasons(&self.cib, input, units)
    }
}

impl Sched {
    /// Does everything run (or rest) in `after` as this plan wants it? Then the next plan would
    /// find nothing to do.
    fn is_fulfilled_by(&self, after: &Sched) -> bool {
        let mut wanted = Placement::default();
        for rsc in self.primitives() {
            let places = wanted.0.entry(self.unit(rsc)).or_default();
            let r = &self.rscs[rsc];
            let node = if r.managed { r.assigned.map(|p| p.node) } else { self.current_node(rsc) };
            if let Some(node) = node
                && self.next_role(rsc) > Role::Stopped
            {
                places.push((self.nodes[node].name.clone(), shown(self.next_role(rsc))));
            }
        }
        let nothing_broken = self.nodes.iter().all(|node| !node.unclean || !node.online);
        nothing_broken && wanted.sorted() == after.placement()
    }

    /// What a primitive counts as: itself, or all instances of a clone's member together.
    pub(crate) fn unit(&self, rsc: RscIx) -> EcoString {
        let cloned = self.instance_of(rsc).is_some();
        let r = &self.rscs[rsc];
        match r.xml.id() {
            Some(id) if cloned => id.into(),
            _ => r.id.clone(),
        }
    }

    /// Whether a resource of a [`Placement`] should run: it is configured and nobody disabled it.
    pub fn is_wanted(&self, unit: &str) -> bool {
        self.primitives().any(|rsc| self.unit(rsc) == unit && self.exempt(rsc).is_none())
    }

    /// The clone that a primitive belongs to.
    pub(crate) fn instance_of(&self, rsc: RscIx) -> Option<RscIx> {
        let mut at = self.rscs[rsc].parent;
        while let Some(parent) = at {
            if self.rscs[parent].variant == Variant::Clone {
                return Some(parent);
            }
            at = self.rscs[parent].parent;
        }
        None
    }

    /// Where everything runs: on nodes that are there; what a lost node runs nobody can tell.
    pub fn placement(&self) -> Placement {
        let mut placement = Placement::default();
        for rsc in self.primitives() {
            let r = &self.rscs[rsc];
            let places = placement.0.entry(self.unit(rsc)).or_default();
            for node in &r.active {
                let n = &self.nodes[*node];
                if n.online && !n.unclean {
                    places.push((n.name.clone(), shown(r.orig_role)));
                }
            }
        }
        placement.sorted()
    }
}

/// Roles that differ only in how much is known of the agent are one.
fn shown(role: Role) -> Role {
    if role == Role::Unpromoted || role == Role::Unknown { Role::Started } else { role }
}

impl Placement {
    fn sorted(mut self) -> Placement {
        self.0.values_mut().for_each(|places| places.sort());
        self
    }

    /// Where a resource runs.
    pub fn of(&self, unit: &str) -> &[(EcoString, Role)] {
        self.0.get(unit).map_or(&[], Vec::as_slice)
    }

    /// What is different in another placement.
    pub fn changes(&self, after: &Placement) -> Vec<Change> {
        let mut units: Vec<&EcoString> = self.0.keys().chain(after.0.keys()).collect();
        units.sort();
        units.dedup();
        let mut changes = Vec::new();
        for unit in units {
            let (from, to) = (self.of(unit), after.of(unit));
            if from == to {
                continue;
            }
            let nodes = |places: &[(EcoString, Role)]| -> Vec<EcoString> {
                places.iter().map(|(node, _)| node.clone()).collect()
            };
            let promoted = |places: &[(EcoString, Role)]| {
                places.iter().filter(|(_, role)| *role == Role::Promoted).count()
            };
            let what = match (from, to) {
                ([], _) => "starts",
                (_, []) => "stops",
                _ if nodes(from) == nodes(to) && promoted(to) > promoted(from) => "promotes",
                _ if nodes(from) == nodes(to) && promoted(to) < promoted(from) => "demotes",
                ([_], [_]) => "moves",
                _ => "changes",
            };
            changes.push(Change {
                resource: unit.clone(),
                what,
                from: from.to_vec(),
                to: to.to_vec(),
            });
        }
        changes
    }
}

/// Puts events into a state; `sched` is that state, read. Returns what happens, for people.
///
/// # Errors
/// Names a node or resource that does not exist (or does not run).
pub fn apply(
    cib: &mut Arc<Element>,
    events: &Events,
    sched: &Sched,
    now: i64,
) -> Result<Vec<String>, EventError> {
    let name_of = |word: &String| -> Result<EcoString, EventError> {
        let node = sched.find_node(Some(word), Some(word));
        node.map(|node| sched.nodes[node].name.clone())
            .ok_or_else(|| EventError::NoNode(word.clone()))
    };
    let names = |words: &[String]| words.iter().map(name_of).collect::<Result<Vec<_>, _>>();
    let mut told = Vec::new();
    let mut op_inject = Vec::new();
    for (word, node) in &events.resource_fail {
        let node = node.as_ref().map(name_of).transpose()?;
        op_inject.push(sched.failure_of(word, node)?);
    }
    let injections = Injections {
        quorum: events.quorum.map(|quorum| if quorum { "true" } else { "false" }.into()),
        node_up: names(&events.online)?,
        node_down: names(&events.node_down)?,
        node_fail: names(&events.node_fail)?,
        ticket_grant: events.ticket_grant.iter().map(Into::into).collect(),
        ticket_revoke: events.ticket_revoke.iter().map(Into::into).collect(),
        op_inject,
        ..Injections::default()
    };
    if let Some(configuration) = &events.configuration {
        let status = cib.child("status").cloned();
        let mut changed = (**configuration).clone();
        for name in ["have-quorum", "dc-uuid", "execution-date"] {
            if let Some(value) = cib.get(name).map(EcoString::from) {
                changed.set(name, value);
            }
        }
        changed.retain_children(|child| child.name() != "status");
        changed.push(status.unwrap_or_else(|| Element::new("status")));
        *cib = Arc::new(changed);
        told.push("the configuration is replaced".to_owned());
    }
    for word in &events.standby {
        let name = name_of(word)?;
        set_standby(cib, sched, &name, "on");
        told.push(format!("{name} goes into standby"));
    }
    for word in &events.online {
        set_standby(cib, sched, &name_of(word)?, "off");
    }
    let steps = inject(cib, &injections, sched, now);
    told.extend(steps.iter().filter_map(event_text));
    Ok(told)
}

/// An event in a few words.
fn event_text(step: &Step) -> Option<String> {
    Some(match step {
        Step::Quorum(value) if value == "true" => "the partition has quorum".into(),
        Step::Quorum(_) => "the partition loses quorum".into(),
        Step::Node { node, action: "Online" } => format!("{node} comes back"),
        Step::Node { node, action: "Offline" } => format!("{node} leaves cleanly"),
        Step::Node { node, .. } => format!("{node} fails"),
        Step::Ticket { ticket, action: "Granting" } => format!("ticket {ticket} is granted"),
        Step::Ticket { ticket, .. } => format!("ticket {ticket} is revoked"),
        Step::Spec(text) => match OpSpec::parse(text) {
            Ok(spec) => format!("{} fails on {}", spec.rsc, spec.node),
            Err(_) => text.to_string(),
        },
        Step::Attribute { .. } => return None,
        other => other.text(),
    })
}

/// Sets a node's permanent `standby`, and forgets the transient one.
fn set_standby(cib: &mut Arc<Element>, sched: &Sched, name: &str, value: &str) {
    let Some(node) = sched.node_by_name(name) else { return };
    let id = sched.nodes[node].id.clone();
    let document = Arc::make_mut(cib);
    let of_node = |element: &Element| element.id() == Some(id.as_str());
    let states = document.child_or_new("status");
    for state in states.children_mut().filter(|state| of_node(state)) {
        for attributes in state.children_mut().filter(|c| c.name() == "transient_attributes") {
            for set in attributes.children_mut() {
                set.retain_children(|pair| pair.get("name") != Some("standby"));
            }
        }
    }
    let nodes = document.child_or_new("configuration").child_or_new("nodes");
    if !nodes.children().any(of_node) {
        nodes.push(Element::new("node").with("id", id.clone()).with("uname", name));
    }
    let Some(node) = nodes.children_mut().find(|node| of_node(node)) else { return };
    let set = node.child_or_new("instance_attributes");
    if set.id().is_none() {
        set.set("id", format!("nodes-{id}"));
    }
    for pair in set.children_mut() {
        if pair.get("name") == Some("standby") {
            pair.set("value", value);
            return;
        }
    }
    let pair = Element::new("nvpair")
        .with("id", format!("nodes-{id}-standby"))
        .with("name", "standby")
        .with("value", value);
    set.push(pair);
}

impl Sched {
    /// The result of an operation by which a resource's failure shows: its monitor finds it gone.
    fn failure_of(&self, word: &str, node: Option<EcoString>) -> Result<EcoString, EventError> {
        let rsc = self
            .find_resource(word)
            .or_else(|| self.constraint_rsc(word))
            .or_else(|| self.rscs.ids().find(|rsc| self.rscs[*rsc].xml.id() == Some(word)))
            .ok_or_else(|| EventError::NoResource(word.to_owned()))?;
        let on_node = |rsc: RscIx| match &node {
            Some(name) => self.rscs[rsc].active.iter().any(|n| self.nodes[*n].name == *name),
            None => !self.rscs[rsc].active.is_empty(),
        };
        // Of a clone's instances, the one that runs there is meant.
        let twins: Vec<RscIx> = self
            .primitives()
            .filter(|twin| *twin == rsc || self.rscs[*twin].xml.id() == self.rscs[rsc].xml.id())
            .collect();
        let rsc = match self.rscs[rsc].variant {
            Variant::Primitive if on_node(rsc) => rsc,
            Variant::Primitive => twins.into_iter().find(|twin| on_node(*twin)).unwrap_or(rsc),
            Variant::Clone => {
                let leaves = self.leaves(rsc);
                let same = leaves.windows(2).all(|pair| self.unit(pair[0]) == self.unit(pair[1]));
                let found = leaves.into_iter().find(|leaf| on_node(*leaf));
                found.filter(|_| same).ok_or_else(|| EventError::Collective(word.to_owned()))?
            }
            _ => return Err(EventError::Collective(word.to_owned())),
        };
        let place = match (&node, self.current_node(rsc)) {
            (Some(name), _) => name.clone(),
            (None, Some(current)) => self.nodes[current].name.clone(),
            (None, None) => return Err(EventError::NotRunning(word.to_owned())),
        };
        let role = self.rscs[rsc].orig_role;
        let interval = self
            .ops(rsc)
            .iter()
            .filter(|op| op.get("name") == Some("monitor"))
            .filter(|op| match op.get("role").and_then(Role::parse) {
                Some(wanted) => shown(wanted) == shown(role),
                None => role != Role::Promoted,
            })
            .map(|op| crate::text::parse_interval(op.get("interval")))
            .find(|interval| *interval > 0)
            .unwrap_or(UNCONFIGURED_MONITOR_MS);
        let name = self.history_name(rsc);
        let name = if self.rscs[rsc].unique { name } else { crate::text::base_id(name) };
        Ok(ecow::eco_format!("{name}_monitor_{interval}@{place}={NOT_RUNNING}"))
    }
}

/// The monitor that is taken to have noticed, where none is configured.
const UNCONFIGURED_MONITOR_MS: u32 = 10_000;

/// OCF's "not running".
const NOT_RUNNING: i32 = 7;
