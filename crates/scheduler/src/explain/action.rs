//! Why an action is done, and what it waits for.

use super::{ActionReport, Because, Wait};
use crate::action::{flag, rel};
use crate::ids::{ActIx, Id, NodeIx, RscIx};
use crate::model::{Role, Sched, Variant};
use crate::trace::{Origin, Restart};

/// Chains of causes longer than this help nobody.
const CHAIN_MAX: usize = 6;

impl Sched {
    /// Explains an action.
    pub fn explain_action(&self, ix: ActIx) -> ActionReport {
        let action = &self.actions[ix];
        let state = if action.is(flag::ADDED) {
            "planned"
        } else if action.not(flag::OPTIONAL) && action.not(flag::RUNNABLE) {
            "blocked"
        } else {
            "not-needed"
        };
        let why = match state {
            "blocked" => self.why_blocked(ix),
            "planned" => self.why_needed(ix),
            _ => vec!["nothing requires it now".to_owned()],
        };
        ActionReport {
            number: ix.index() + 1,
            key: action.key.to_string(),
            what: self.action_words(ix),
            task: action.task.to_string(),
            node: action.node.map(|node| self.node_name(node)),
            resource: action.rsc.map(|rsc| self.rsc_name(rsc)),
            state,
            marker: action.is(flag::PSEUDO),
            why,
            waits_for: self.waits(ix),
        }
    }

    /// What will be, or should be, done with a resource itself.
    pub(super) fn actions_of_resource(&self, rsc: RscIx, on: Option<NodeIx>) -> Vec<ActionReport> {
        let mut all: Vec<ActIx> = self.rscs[rsc]
            .actions
            .iter()
            .copied()
            .filter(|ix| {
                let action = &self.actions[*ix];
                let counts = action.is(flag::ADDED)
                    || (action.not(flag::OPTIONAL | flag::RUNNABLE) && action.node.is_some());
                counts && (on.is_none() || action.node == on)
            })
            .collect();
        all.sort_unstable();
        all.into_iter().map(|ix| self.explain_action(ix)).collect()
    }

    fn is_probe(&self, ix: ActIx) -> bool {
        let action = &self.actions[ix];
        action.task == "monitor" && action.key.ends_with("_monitor_0")
    }

    /// "start vip on alpha"
    pub(super) fn action_words(&self, ix: ActIx) -> String {
        let action = &self.actions[ix];
        let node =
            action.node.map_or_else(String::new, |node| format!(" on {}", self.nodes[node].name));
        let Some(rsc) = action.rsc else {
            return match (action.task.as_str(), action.node) {
                ("stonith", Some(target)) => {
                    let op = action.meta.get("stonith_action").map_or("", |op| op.as_str());
                    let target = &self.nodes[target].name;
                    if op == "on" {
                        format!("unfence {target}")
                    } else {
                        format!("fence {target} ({op})")
                    }
                }
                ("do_shutdown", Some(target)) => {
                    format!("shut down {}", self.nodes[target].name)
                }
                _ => action.key.to_string(),
            };
        };
        let id = &self.rscs[rsc].id;
        let collective = self.rscs[rsc].variant != Variant::Primitive;
        match action.task.as_str() {
            "monitor" if self.is_probe(ix) => format!("probe {id}{node}"),
            "monitor" => {
                let every = action.meta.get("interval").map_or("", |ms| ms.as_str());
                format!("monitor {id}{node} every {every} ms")
            }
            "cancel" => format!("end a monitor of {id}{node}"),
            "delete" | "lrm_delete" => format!("forget the history of {id}{node}"),
            "clear_failcount" => format!("forget the failures of {id}{node}"),
            "reload-agent" => format!("reload {id}{node}"),
            "migrate_to" => format!("migrate {id} away from{}", node.trim_start_matches(" on")),
            "migrate_from" => format!("complete the migration of {id}{node}"),
            "running" | "stopped" | "promoted" | "demoted" => format!("{id} is {}", action.task),
            task if collective => format!("{task} {id} as a whole"),
            task => format!("{task} {id}{node}"),
        }
    }

    // --- why it is needed ---------------------------------------------------------------------

    /// Why an action has to be done, the nearest cause first.
    pub(super) fn why_needed(&self, ix: ActIx) -> Vec<String> {
        let mut why = vec![self.need(ix)];
        let Some(trace) = &self.trace else { return why };
        let mut at = ix;
        while why.len() < CHAIN_MAX
            && let Some(cause) = trace.required_by.get(&at).copied()
        {
            let needed = format!(
                "it goes with: {}{}",
                self.action_words(cause),
                self.by_constraint(at, cause)
            );
            let own = self.actions[cause].rsc == self.actions[ix].rsc;
            if own || why.contains(&needed) {
                break;
            }
            why.push(needed);
            at = cause;
            if !trace.required_by.contains_key(&at) && !self.actions[at].is(flag::PSEUDO) {
                why.push(format!("and that is needed because {}", self.need(at)));
            }
        }
        why
    }

    fn by_constraint(&self, a: ActIx, b: ActIx) -> String {
        let Some(trace) = &self.trace else { return String::new() };
        let found = trace.relations.get(&(a, b)).or_else(|| trace.relations.get(&(b, a)));
        let ids: Vec<String> = found
            .into_iter()
            .flatten()
            .filter_map(|origin| match origin {
                Origin::Constraint(id) => Some(id.to_string()),
                _ => None,
            })
            .collect();
        if ids.is_empty() {
            String::new()
        } else {
            format!(" (order constraint {})", ids.join(", "))
        }
    }

    fn need(&self, ix: ActIx) -> String {
        let action = &self.actions[ix];
        let reason = action.reason.as_deref();
        let Some(rsc) = action.rsc else {
            return match action.task.as_str() {
                "stonith" => {
                    let why = reason.unwrap_or("its resources cannot be recovered otherwise");
                    format!("the node must be fenced: {why}")
                }
                "do_shutdown" => "the node was asked to leave the cluster".into(),
                _ => "it marks a point that other actions wait for".into(),
            };
        };
        if action.is(flag::PSEUDO) && self.rscs[rsc].variant != Variant::Primitive {
            return format!("something in {} changes", self.rscs[rsc].id);
        }
        let id = &self.rscs[rsc].id;
        let node = action.node.map_or_else(String::new, |node| self.node_name(node));
        let stays = action.node.is_none_or(|node| self.rscs[rsc].active.contains(&node));
        if reason == Some("resource definition change") && stays {
            return format!("the configuration of {id} changed since it was started");
        }
        match action.task.as_str() {
            "monitor" if self.is_probe(ix) => {
                format!("it is not known whether {id} runs on {node}")
            }
            "monitor" => {
                if action.meta.get("op_target_rc").is_some_and(|rc| rc == "7") {
                    format!("it is watched that {id} does not run on {node}")
                } else {
                    format!("{id} is watched while it runs")
                }
            }
            "cancel" => "the monitor is no longer configured, or belongs to another role".into(),
            "delete" | "lrm_delete" => "the history there is of no more use".into(),
            "clear_failcount" => {
                "the failures are no longer valid: the configuration changed, they expired, or \
                 the resource is gone"
                    .into()
            }
            "notify" | "notified" => "instances want to be told of changes (notify=true)".into(),
            "promote" => format!("{id} should be promoted on {node}"),
            "demote" => format!("{id} should no longer be promoted on {node}"),
            "migrate_to" | "migrate_from" => {
                format!("{id} moves and can do so without a stop (allow-migrate)")
            }
            "stop" => self.need_stop(ix, rsc),
            "start" => self.need_start(ix, rsc),
            _ => reason.map_or_else(|| "it is part of the transition".into(), str::to_owned),
        }
    }

    fn need_stop(&self, ix: ActIx, rsc: RscIx) -> String {
        let r = &self.rscs[rsc];
        let id = &r.id;
        let here = self.actions[ix].node;
        if r.assigned.is_none() {
            return self.nowhere_short(rsc);
        }
        let unexpected = here.is_some() && r.assigned.map(|p| p.node) != here && r.active.len() > 1;
        if unexpected {
            return format!("{id} runs more often than it should");
        }
        let restart = self.trace.as_ref().and_then(|trace| trace.restarts.get(&rsc));
        match restart {
            Some(Restart::Move | Restart::Migrate) => {
                let to = r.assigned.map_or_else(String::new, |p| self.node_name(p.node));
                format!("{id} moves to {to}")
            }
            Some(Restart::Failed) => format!("{id} failed and is recovered"),
            Some(Restart::Blocked) => format!("{id} is blocked"),
            Some(Restart::MultiplyActive) => {
                format!("{id} runs more often than it should (multiple-active)")
            }
            Some(Restart::PartialMigration) => format!("a migration of {id} broke off"),
            Some(Restart::StartAgain) | None => match &self.actions[ix].reason {
                Some(reason) => format!("{id} is restarted ({reason})"),
                None if r.next_role == Role::Stopped => self.why_stopped(rsc),
                None => {
                    let start = r.actions.iter().copied().find(|a| {
                        let action = &self.actions[*a];
                        matches!(action.task.as_str(), "start" | "promote")
                            && action.reason.is_some()
                    });
                    start.map_or_else(|| format!("{id} is restarted"), |start| self.need(start))
                }
            },
        }
    }

    fn nowhere_short(&self, rsc: RscIx) -> String {
        let text = self.nowhere(rsc);
        let text = text.trim_end_matches('.');
        let mut letters = text.chars();
        letters
            .next()
            .map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
    }

    fn need_start(&self, ix: ActIx, rsc: RscIx) -> String {
        let r = &self.rscs[rsc];
        let id = &r.id;
        let node = self.actions[ix].node;
        if r.active.is_empty() {
            return format!("{id} should run and does not");
        }
        let moved = node.is_some_and(|node| !r.active.contains(&node));
        match (&self.actions[ix].reason, moved) {
            (_, true) => format!("{id} moves there"),
            (Some(reason), _) => format!("{id} is restarted ({reason})"),
            (None, _) => format!("{id} is stopped first and has to start again"),
        }
    }

    // --- what is in its way -------------------------------------------------------------------

    /// Why an action cannot be done.
    pub(super) fn why_blocked(&self, ix: ActIx) -> Vec<String> {
        let why = self.why_blocked_chain(ix);
        if why.is_empty() { self.implied_obstacle(ix, 0).into_iter().collect() } else { why }
    }

    fn why_blocked_chain(&self, ix: ActIx) -> Vec<String> {
        let mut why = Vec::new();
        let mut at = ix;
        loop {
            let action = &self.actions[at];
            let direct = self.obstacle(at);
            let known = direct.is_some();
            why.extend(direct);
            let cause = self.trace.as_ref().and_then(|trace| trace.blocked_by.get(&at).copied());
            match cause {
                Some(cause) if !known && why.len() < CHAIN_MAX && cause != at => {
                    why.push(format!(
                        "it waits for: {}{}, which cannot be done",
                        self.action_words(cause),
                        self.by_constraint(at, cause)
                    ));
                    at = cause;
                }
                _ => {
                    if !known && cause.is_none() {
                        why.extend(action.reason.as_ref().map(|reason| match reason.as_str() {
                            text if text.starts_with("colocation with ") => {
                                let other = &text["colocation with ".len()..];
                                format!("{other}, which it must run with, cannot start")
                            }
                            text => text.to_owned(),
                        }));
                    }
                    return why;
                }
            }
            if why.len() >= CHAIN_MAX {
                return why;
            }
        }
    }

    /// What is in the way of an action that was never told so: what it follows, what it is made of.
    fn implied_obstacle(&self, ix: ActIx, depth: usize) -> Option<String> {
        if depth > CHAIN_MAX {
            return None;
        }
        let action = &self.actions[ix];
        let blocked = |other: &ActIx| self.actions[*other].not(flag::RUNNABLE) && *other != ix;
        let first = action
            .before
            .iter()
            .filter(|relation| relation.flags & (rel::UFB | rel::MIN_RUNNABLE) != 0)
            .map(|relation| relation.action)
            .find(blocked);
        let member = || {
            let rsc = action.rsc?;
            let base = crate::orderings_base_task(&action.task);
            let parts = self.tree(rsc).into_iter().flat_map(|r| self.rscs[r].actions.clone());
            parts.into_iter().filter(blocked).find(|other| {
                let other = &self.actions[*other];
                let monitors = action.task == "monitor" && other.task == "start";
                other.task == base || other.task == action.task || monitors
            })
        };
        let any = || action.before.iter().map(|relation| relation.action).find(blocked);
        let Some(cause) = first.or_else(member).or_else(any) else {
            let rsc = action.rsc?;
            let r = &self.rscs[rsc];
            let nowhere = r.variant == Variant::Primitive && r.assigned.is_none();
            return nowhere.then(|| self.nowhere_short(rsc));
        };
        let words = self.action_words(cause);
        let why = self.obstacle(cause).or_else(|| self.implied_obstacle(cause, depth + 1));
        Some(match why {
            Some(why) => format!("it waits for: {words}, which cannot be done: {why}"),
            None => format!("it waits for: {words}, which cannot be done"),
        })
    }

    /// What keeps an action from being done, apart from other actions.
    fn obstacle(&self, ix: ActIx) -> Option<String> {
        let action = &self.actions[ix];
        match action.reason.as_deref() {
            Some("no quorum") => {
                return Some("this partition has no quorum (no-quorum-policy)".into());
            }
            Some("quorum freeze") => {
                return Some("there is no quorum, and no-quorum-policy=freeze".into());
            }
            _ => {}
        }
        if let Some(rsc) = action.rsc
            && !self.rscs[rsc].managed
        {
            let id = &self.rscs[rsc].id;
            return Some(format!("{id} is left alone: {}", self.why_unmanaged(rsc)));
        }
        let Some(node) = action.node else {
            let rsc = action.rsc?;
            let nowhere =
                self.rscs[rsc].variant == Variant::Primitive && self.rscs[rsc].assigned.is_none();
            return nowhere.then(|| format!("{}: {}", self.rscs[rsc].id, self.nowhere_short(rsc)));
        };
        let n = &self.nodes[node];
        if n.unclean && !self.can_fence(Some(node)) {
            return Some(format!("node {} must be fenced and cannot be", n.name));
        }
        if !n.online || n.pending || n.unclean {
            return self.node_is(node).map(|state| format!("node {} {state}", n.name));
        }
        let rsc = action.rsc?;
        let given_up = matches!(action.task.as_str(), "start" | "promote")
            && self.rscs[rsc].variant == Variant::Primitive
            && self.rscs[rsc].assigned.is_none();
        given_up.then(|| self.nowhere_short(rsc))
    }

    // --- what it waits for --------------------------------------------------------------------

    fn waits(&self, ix: ActIx) -> Vec<Wait> {
        let action = &self.actions[ix];
        let planned = action.is(flag::ADDED);
        let mut seen: Vec<ActIx> = Vec::new();
        for relation in &action.before {
            let first = &self.actions[relation.action];
            let counts = if planned {
                relation.graphed
            } else {
                relation.flags != rel::NONE && first.not(flag::OPTIONAL)
            };
            if counts && !seen.contains(&relation.action) {
                seen.push(relation.action);
            }
        }
        seen.sort_unstable();
        seen.into_iter()
            .map(|first| Wait {
                number: first.index() + 1,
                key: self.actions[first].key.to_string(),
                node: self.actions[first].node.map(|node| self.node_name(node)),
                because: self.reasons_to_wait(first, ix),
            })
            .collect()
    }

    fn reasons_to_wait(&self, first: ActIx, then: ActIx) -> Vec<Because> {
        let known = self.trace.as_ref().and_then(|trace| trace.relations.get(&(first, then)));
        if let Some(known) = known {
            return known.iter().map(|origin| self.origin(origin)).collect();
        }
        let (a, b) = (&self.actions[first], &self.actions[then]);
        let implied = if a.task == "stonith" || b.task == "stonith" {
            Origin::Fencing
        } else if b.task == "do_shutdown" {
            Origin::Shutdown
        } else if self.is_probe(first) {
            Origin::Probe
        } else if let Some(rsc) = b.rsc.or(a.rsc) {
            let notify = a.key.contains("notify") || b.key.contains("notify");
            let uber = self.uber(rsc);
            match self.rscs[uber].variant {
                _ if notify => Origin::Notify(uber),
                Variant::Group => Origin::Group(uber),
                Variant::Clone => Origin::Clone(uber),
                Variant::Bundle => Origin::Bundle(uber),
                Variant::Primitive => Origin::Own(rsc),
            }
        } else {
            return Vec::new();
        };
        vec![self.origin(&implied)]
    }
}
