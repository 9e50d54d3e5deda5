//! The transition graph as the DC executes it: actions, what they wait for, and which may start
//! now.
//!
//! Pure bookkeeping. Initiating an action is the transition engine's business: [`Graph::fire`]
//! tells what may start, [`Graph::finish`] is told what is done. Source:
//! `spec/pacemaker-cluster.md` §6.2–6.4.

mod read;

use std::time::Duration;

use base::Time;
use xml::Element;

use read::{number, span, unpack_action};

/// Priority of an abort that nothing outranks.
pub const INFINITY: i32 = 1_000_000;

/// What kind of thing an action is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Done as soon as it may start.
    Pseudo,
    /// An operation of a resource.
    Resource,
    /// Something the controllers do themselves.
    Cluster,
}

/// One action.
#[derive(Clone, Debug)]
pub struct GraphAction {
    /// Its number.
    pub id: i32,
    /// What it is.
    pub kind: Kind,
    /// Its whole element.
    pub xml: Element,
    /// How long it may take (start delay included).
    pub timeout: Duration,
    /// When it counts as lost; set while it runs.
    pub deadline: Option<Time>,
    /// It was initiated.
    pub executed: bool,
    /// Its result is known.
    pub confirmed: bool,
    /// Its result is bad.
    pub failed: bool,
    /// A failure does not block what depends on it.
    pub can_fail: bool,
    /// The node it takes down was seen to be down (sent once).
    pub sent_update: bool,
}

impl GraphAction {
    /// An attribute of the action's `<attributes>`.
    pub fn meta(&self, name: &str) -> Option<&str> {
        self.xml.child("attributes")?.get(name)
    }

    /// The operation.
    pub fn task(&self) -> &str {
        self.xml.get("operation").unwrap_or("")
    }

    /// The target node's name.
    pub fn on_node(&self) -> &str {
        self.xml.get("on_node").unwrap_or("")
    }

    /// The target node's id in the CIB.
    pub fn on_node_uuid(&self) -> &str {
        self.xml.get("on_node_uuid").unwrap_or("")
    }

    /// The cluster node whose controller executes it.
    pub fn router(&self) -> &str {
        self.xml.get("router_node").filter(|node| !node.is_empty()).unwrap_or(self.on_node())
    }

    /// The operation key.
    pub fn key(&self) -> &str {
        self.xml.get("operation_key").unwrap_or("")
    }

    /// Whether the action takes a node down when it is done.
    pub fn downs(&self, uuid: &str) -> bool {
        self.xml
            .child("downed")
            .is_some_and(|downed| downed.children_named("node").any(|n| n.id() == Some(uuid)))
    }

    /// The result code that means success.
    pub fn target_rc(&self) -> i32 {
        self.meta("CRM_meta_op_target_rc").and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

/// Actions that start together, and what they wait for.
#[derive(Clone, Debug)]
pub struct Synapse {
    /// An abort of a higher priority keeps it from starting.
    pub priority: i32,
    /// Its actions (upstream's scheduler puts one into each).
    pub actions: Vec<GraphAction>,
    inputs: Vec<InputRef>,
    /// Its actions were initiated.
    pub executed: bool,
    /// All its actions have results.
    pub confirmed: bool,
    /// It will never start.
    pub failed: bool,
}

#[derive(Clone, Debug)]
struct InputRef {
    id: i32,
    confirmed: bool,
}

/// What to do when the graph is done, in rising importance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Completion {
    /// Become idle.
    Done,
    /// Wait for something to change.
    Wait,
    /// Ask the scheduler again.
    Restart,
    /// Leave.
    Shutdown,
}

impl Completion {
    /// The word in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Completion::Done => "done",
            Completion::Wait => "stop",
            Completion::Restart => "restart",
            Completion::Shutdown => "shutdown",
        }
    }
}

/// What one pass found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pass {
    /// Something started.
    Active,
    /// Nothing may start before something ends.
    Pending,
    /// All done that could be done.
    Complete,
    /// Some actions could never start although nothing was aborted: the graph is inconsistent.
    Terminated,
}

/// How many synapses are in which situation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Initiated, without result.
    pub pending: usize,
    /// Started in this pass.
    pub fired: usize,
    /// Kept back by an abort or a failure.
    pub skipped: usize,
    /// Not started.
    pub incomplete: usize,
    /// Done.
    pub completed: usize,
}

/// A graph.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Its number.
    pub id: i32,
    /// File the scheduler saved its input to.
    pub source: String,
    /// Added to the timeouts of actions.
    pub network_delay: Duration,
    /// How long fencing may take.
    pub stonith_timeout: Duration,
    /// How many actions may run at a time; 0 is any number.
    pub batch_limit: usize,
    /// How many migrations per node; negative is any number.
    pub migration_limit: i64,
    /// Fail count after a failed start, stop.
    pub failed_start_offset: String,
    /// See above.
    pub failed_stop_offset: String,
    /// When time alone will make a difference.
    pub recheck_by: Option<u64>,
    /// Nothing is left to do.
    pub complete: bool,
    /// What to do then.
    pub completion: Completion,
    /// Actions of a lower priority do not start any more.
    pub abort_priority: i32,
    /// Why it was aborted.
    pub abort_reason: String,
    /// Counts of the last pass.
    pub counts: Counts,
    /// The synapses.
    pub synapses: Vec<Synapse>,
}

impl Default for Graph {
    /// The blank graph of a new DC: complete, and a restart is due.
    fn default() -> Graph {
        Graph {
            id: -1,
            source: "unknown".to_owned(),
            network_delay: Duration::from_secs(60),
            stonith_timeout: Duration::from_secs(60),
            batch_limit: 0,
            migration_limit: -1,
            failed_start_offset: "INFINITY".to_owned(),
            failed_stop_offset: "INFINITY".to_owned(),
            recheck_by: None,
            complete: true,
            completion: Completion::Restart,
            abort_priority: 0,
            abort_reason: String::new(),
            counts: Counts::default(),
            synapses: Vec::new(),
        }
    }
}

impl Graph {
    /// Reads a `<transition_graph>`. `source` is where its input was saved.
    pub fn unpack(xml: &Element, source: &str) -> Option<Graph> {
        let network_delay = span(xml.get("cluster-delay"))?;
        let mut graph = Graph {
            id: i32::try_from(number(xml, "transition_id")?).ok()?,
            source: source.to_owned(),
            network_delay,
            stonith_timeout: span(xml.get("stonith-timeout")).unwrap_or(network_delay),
            batch_limit: number(xml, "batch-limit").and_then(|n| n.try_into().ok()).unwrap_or(0),
            migration_limit: number(xml, "migration-limit").unwrap_or(-1),
            recheck_by: number(xml, "recheck-by").and_then(|at| at.try_into().ok()),
            complete: false,
            completion: Completion::Done,
            ..Graph::default()
        };
        if let Some(offset) = xml.get("failed-start-offset") {
            graph.failed_start_offset = offset.to_owned();
        }
        if let Some(offset) = xml.get("failed-stop-offset") {
            graph.failed_stop_offset = offset.to_owned();
        }
        for synapse in xml.children_named("synapse") {
            let actions: Vec<GraphAction> = synapse
                .child("action_set")
                .into_iter()
                .flat_map(|set| set.children())
                .filter_map(unpack_action)
                .collect();
            let inputs = synapse
                .children_named("inputs")
                .flat_map(|inputs| inputs.children_named("trigger"))
                .flat_map(Element::children)
                .filter_map(|input| {
                    let id = i32::try_from(number(input, "id")?).ok()?;
                    Some(InputRef { id, confirmed: false })
                })
                .collect();
            graph.synapses.push(Synapse {
                priority: number(synapse, "priority")
                    .map_or(0, |n| n.clamp(-1_000_000, 1_000_000) as i32),
                actions,
                inputs,
                executed: false,
                confirmed: false,
                failed: false,
            });
        }
        Some(graph)
    }

    /// All actions.
    pub fn actions(&self) -> impl Iterator<Item = &GraphAction> {
        self.synapses.iter().flat_map(|synapse| synapse.actions.iter())
    }

    /// The action of that number.
    pub fn action(&self, id: i32) -> Option<&GraphAction> {
        self.actions().find(|action| action.id == id)
    }

    /// The action of that number, to change.
    pub fn action_mut(&mut self, id: i32) -> Option<&mut GraphAction> {
        self.synapses
            .iter_mut()
            .flat_map(|synapse| synapse.actions.iter_mut())
            .find(|action| action.id == id)
    }

    /// The priority of the synapse that holds an action.
    pub fn priority_of(&self, id: i32) -> i32 {
        self.synapses
            .iter()
            .find(|synapse| synapse.actions.iter().any(|action| action.id == id))
            .map_or(0, |synapse| synapse.priority)
    }

    /// True if every input of a synapse is done well enough.
    fn is_ready(&self, synapse: &Synapse) -> bool {
        synapse.inputs.iter().all(|input| {
            input.confirmed
                && self.action(input.id).is_none_or(|action| !action.failed || action.can_fail)
        })
    }

    /// One pass: marks what may start now as executed and returns the numbers of those actions,
    /// in order. `allowed` says whether a node may run one more resource action. The caller
    /// initiates each and reports at once those that are done (or failed) by that.
    pub fn fire(
        &mut self,
        batch_limit: usize,
        mut allowed: impl FnMut(&Graph, &GraphAction) -> bool,
    ) -> Vec<i32> {
        let mut started = Vec::new();
        let mut counts = Counts::default();
        for synapse in &self.synapses {
            if synapse.confirmed {
                counts.completed += 1;
            } else if !synapse.failed && synapse.executed {
                counts.pending += 1;
            }
        }
        for at in 0..self.synapses.len() {
            let synapse = &self.synapses[at];
            if batch_limit > 0 && counts.pending >= batch_limit {
                counts.incomplete +=
                    self.synapses[at..].iter().filter(|s| !s.executed && !s.confirmed).count();
                break;
            }
            if synapse.failed {
                counts.skipped += 1;
                continue;
            }
            if synapse.executed || synapse.confirmed {
                continue;
            }
            let mut ready = self.is_ready(synapse);
            if ready {
                for action in &synapse.actions {
                    if action.kind == Kind::Pseudo {
                        continue;
                    }
                    if synapse.priority < self.abort_priority {
                        counts.skipped += 1;
                        ready = false;
                        break;
                    }
                    if action.kind == Kind::Resource && !allowed(self, action) {
                        ready = false;
                        break;
                    }
                }
            }
            if !ready {
                counts.incomplete += 1;
                continue;
            }
            counts.fired += 1;
            counts.pending += 1;
            let synapse = &mut self.synapses[at];
            synapse.executed = true;
            for action in &mut synapse.actions {
                action.executed = true;
                started.push(action.id);
            }
        }
        self.counts = counts;
        started
    }

    /// What the last pass amounts to, with what has been confirmed since.
    pub fn outcome(&mut self) -> Pass {
        self.counts.pending = self
            .synapses
            .iter()
            .filter(|synapse| synapse.executed && !synapse.confirmed && !synapse.failed)
            .count();
        self.counts.completed = self.synapses.iter().filter(|synapse| synapse.confirmed).count();
        if self.counts.pending == 0 && self.counts.fired == 0 {
            self.complete = true;
            if self.counts.incomplete != 0 && self.abort_priority <= 0 && !self.blocked_by_failure()
            {
                return Pass::Terminated;
            }
            return Pass::Complete;
        }
        if self.counts.fired == 0 { Pass::Pending } else { Pass::Active }
    }

    fn blocked_by_failure(&self) -> bool {
        self.synapses.iter().any(|synapse| synapse.failed)
            || self.actions().any(|action| action.failed)
    }

    /// The result of an action is known (`failed` is set on it before).
    pub fn finish(&mut self, id: i32) {
        let failed = self.action(id).is_some_and(|action| action.failed);
        for synapse in &mut self.synapses {
            if synapse.confirmed || synapse.failed {
                continue;
            }
            if synapse.executed {
                let mut ours = false;
                for action in &mut synapse.actions {
                    if action.id == id {
                        action.confirmed = true;
                        action.deadline = None;
                        ours = true;
                    }
                }
                if ours && synapse.actions.iter().all(|action| action.confirmed) {
                    synapse.confirmed = true;
                }
            } else if !failed || synapse.priority == INFINITY {
                for input in &mut synapse.inputs {
                    if input.id == id {
                        input.confirmed = true;
                    }
                }
            }
        }
    }

    /// Aborts: nothing below `priority` starts any more. Returns whether that is news.
    pub fn abort(&mut self, priority: i32, completion: Completion, reason: &str) -> bool {
        let mut news = false;
        if self.abort_priority < priority {
            self.abort_priority = priority;
            self.abort_reason = reason.to_owned();
            news = true;
        }
        if self.completion < completion {
            self.completion = completion;
            news = true;
        }
        news
    }

    /// Actions that a lost node will never finish: they fail. Returns how many there were.
    pub fn fail_node(&mut self, uuid: &str, router_uuid: impl Fn(&str) -> Option<String>) -> usize {
        let mut lost = Vec::new();
        for synapse in &mut self.synapses {
            if synapse.confirmed || synapse.failed {
                continue;
            }
            for action in &mut synapse.actions {
                if action.kind == Kind::Pseudo || action.confirmed || action.task() == "stonith" {
                    continue;
                }
                let routed = action.router() != action.on_node()
                    && router_uuid(action.router()).as_deref() == Some(uuid);
                if action.on_node_uuid() == uuid || routed {
                    action.failed = true;
                    action.deadline = None;
                    synapse.failed = true;
                    lost.push(action.id);
                }
            }
        }
        for id in &lost {
            self.finish(*id);
        }
        lost.len()
    }

    /// The executed action that takes a node down, if there is one.
    pub fn down_action(&self, uuid: &str) -> Option<&GraphAction> {
        self.actions().find(|action| action.executed && action.downs(uuid))
    }

    /// Actions whose time is up.
    pub fn overdue(&self, now: Time) -> Vec<i32> {
        self.actions()
            .filter(|action| action.deadline.is_some_and(|deadline| deadline <= now))
            .map(|action| action.id)
            .collect()
    }

    /// The next deadline of a running action.
    pub fn next_deadline(&self) -> Option<Time> {
        if self.complete {
            return None;
        }
        self.actions().filter_map(|action| action.deadline).min()
    }
}

#[cfg(test)]
mod tests;
