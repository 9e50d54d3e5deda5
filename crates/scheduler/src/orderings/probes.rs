//! Probes come before what depends on their results. Source: `spec/scheduler-actions.md` §11.3.

use hashbrown::HashSet;

use crate::action::{Ordering, flag, rel};
use crate::ids::{ActIx, RscIx};
use crate::model::{Role, Sched, Variant};
use crate::text::op_key;

impl Sched {
    pub(crate) fn order_probes(&mut self, orderings: &[Ordering]) {
        let leaves: Vec<RscIx> = self.top.iter().flat_map(|top| self.leaves(*top)).collect();
        for rsc in leaves {
            self.order_then_probes(rsc);
        }
        for ordering in orderings {
            self.order_probe_as_stop(ordering);
        }
    }

    fn order_then_probes(&mut self, rsc: RscIx) {
        let key = op_key(&self.rscs[rsc].id, "monitor", 0);
        let mut visited = HashSet::new();
        for probe in self.find_actions(rsc, &key, None) {
            let after = self.actions[probe].after.clone();
            for relation in after.iter().rev() {
                self.order_instance_starts(probe, relation.action, relation.flags);
                visited.clear();
                self.order_restarts(probe, relation.action, &mut visited);
            }
        }
    }

    /// A failed probe of a clone must not let its inactive instances start.
    fn order_instance_starts(&mut self, probe: ActIx, after: ActIx, flags: u32) {
        let action = &self.actions[after];
        let Some(clone) = action.rsc else { return };
        if self.rscs[clone].variant < Variant::Clone
            || action.task != "start"
            || self.actions[probe].is(flag::RUNNABLE)
            || flags & rel::UFB != 0
        {
            return;
        }
        let following: Vec<ActIx> = action.after.iter().rev().map(|r| r.action).collect();
        for then in following {
            let Some(rsc) = self.actions[then].rsc else { continue };
            if !self.rscs[rsc].active.is_empty()
                || self.uber(rsc) != clone
                || self.actions[then].task != "start"
            {
                continue;
            }
            self.relate(probe, then, rel::ORDERED | rel::UFB);
        }
    }

    /// What a probe may make restart waits for it.
    fn order_restarts(&mut self, probe: ActIx, after: ActIx, visited: &mut HashSet<ActIx>) {
        let Some(probed) = self.actions[probe].rsc else { return };
        if !visited.insert(after) {
            return;
        }
        let rsc = self.actions[after].rsc;
        let mut compatible = None;
        let mut interleaved = false;
        if let Some(rsc) = rsc {
            if self.rscs[rsc].variant == Variant::Primitive && rsc != probed {
                let reverse = match self.actions[after].task.as_str() {
                    "start" => Some("stop"),
                    "promote" => Some("demote"),
                    _ => None,
                };
                if let Some(reverse) = reverse {
                    let key = op_key(&self.rscs[rsc].id, reverse, 0);
                    for then in self.find_actions(rsc, &key, None) {
                        if self.actions[then].not(flag::PSEUDO) {
                            self.relate(probe, then, rel::ORDERED);
                        }
                    }
                }
            }
            if self.rscs[rsc].variant >= Variant::Clone && self.meta_is_true(rsc, "interleave") {
                interleaved = true;
                compatible = self.compatible_instance(probed, rsc, Role::Unknown, false);
            }
        }
        let relations = self.actions[after].after.clone();
        for relation in relations.iter().rev() {
            let next = relation.action;
            let follows = if relation.flags & rel::FIT != 0 {
                true
            } else if let (Some(rsc), Some(child)) = (rsc, self.actions[next].rsc) {
                self.rscs[rsc].variant > Variant::Primitive
                    && self.rscs[probed].parent != Some(rsc)
                    && self.rscs[child].parent == Some(rsc)
                    && (!interleaved || compatible == Some(child))
            } else {
                false
            };
            if follows {
                self.order_restarts(probe, next, visited);
            }
        }
    }

    /// What waits for a stop also waits for the probe that may reveal that one is needed.
    fn order_probe_as_stop(&mut self, ordering: &Ordering) {
        let Some(first) = ordering.first.rsc else { return };
        if ordering.flags == rel::NONE || ordering.then.rsc == Some(first) {
            return;
        }
        // Comparing is cheaper than making keys for each of many orderings.
        let is_stop_of =
            |key: &str, rsc: RscIx| key.strip_prefix(&*self.rscs[rsc].id) == Some("_stop_0");
        let is_stop = match (ordering.first.action, &ordering.first.key) {
            (Some(action), _) => self.actions[action].task == "stop",
            (None, Some(key)) => is_stop_of(key, first),
            (None, None) => false,
        };
        if !is_stop {
            return;
        }
        let then_stops = match (ordering.then.action, ordering.then.rsc, &ordering.then.key) {
            (Some(action), ..) => self.actions[action].task == "stop",
            (None, Some(rsc), Some(key)) => is_stop_of(key, rsc),
            _ => false,
        };
        let launcher = self.rscs[first].launcher;
        if launcher.is_some() && launcher == ordering.then.rsc && then_stops {
            return;
        }
        let monitor = op_key(&self.rscs[first].id, "monitor", 0);
        let probes = self.find_actions(first, &monitor, None);
        if probes.is_empty() {
            return;
        }
        let exact = [rel::IF_REQUIRED_ON_SAME_NODE, rel::IF_ON_SAME_NODE_OR_TARGET];
        let flags = if exact.contains(&ordering.flags) {
            ordering.flags
        } else {
            rel::ORDERED | (ordering.flags & (rel::IF_FIRST_UNMIGRATABLE | rel::IF_ON_SAME_NODE))
        };
        let thens = match (ordering.then.action, ordering.then.rsc, &ordering.then.key) {
            (Some(action), ..) => vec![action],
            (None, Some(rsc), Some(key)) => self.find_actions(rsc, key, None),
            _ => Vec::new(),
        };
        for probe in &probes {
            for then in &thens {
                let (p, t) = (&self.actions[*probe], &self.actions[*then]);
                let same_node = p.node == t.node;
                if t.task == "stonith"
                    && t.meta.get("stonith_action").is_some_and(|a| a == "on")
                    && same_node
                {
                    continue;
                }
                if t.task == "do_shutdown" && !same_node {
                    continue;
                }
                self.relate(*probe, *then, flags);
            }
        }
    }
}
