//! Pseudo actions of groups, clones and bundles. Source: `spec/scheduler-actions.md` §7.2.

use crate::action::{flag, rel};
use crate::ids::RscIx;
use crate::model::{NotifySet, Sched, Variant};

/// What the instances of a collective are up to.
#[derive(Default)]
struct Doing {
    starting: bool,
    stopping: bool,
    active: bool,
    restarting: bool,
}

impl Sched {
    pub(crate) fn create_group(&mut self, group: RscIx) {
        for member in self.rscs[group].children.clone() {
            self.create_actions(member);
        }
        for task in ["start", "running", "stop", "stopped"] {
            self.pseudo_action(group, task, true, true);
        }
        if self.meta_is_true(group, "promotable") {
            for task in ["demote", "demoted", "promote", "promoted"] {
                self.pseudo_action(group, task, true, true);
            }
        }
    }

    fn look_at_instance(&self, instance: RscIx, doing: &mut Doing) {
        for leaf in self.leaves(instance) {
            let (mut starting, mut stopping) = (false, false);
            doing.active |= !self.rscs[leaf].active.is_empty();
            for ix in &self.rscs[leaf].actions {
                let action = &self.actions[*ix];
                if action.is(flag::OPTIONAL) {
                    continue;
                }
                match action.task.as_str() {
                    "start" if action.is(flag::RUNNABLE) => starting = true,
                    "stop" if action.is(flag::PSEUDO | flag::RUNNABLE) => stopping = true,
                    _ => {}
                }
            }
            doing.starting |= starting;
            doing.stopping |= stopping;
            doing.restarting |= starting && stopping;
        }
    }

    fn create_instances(&mut self, collective: RscIx, instances: &[RscIx]) {
        let mut doing = Doing::default();
        for instance in instances {
            self.create_actions(*instance);
            self.look_at_instance(*instance, &mut doing);
        }
        let start = self.pseudo_action(collective, "start", !doing.starting, true);
        let started = self.pseudo_action(collective, "running", !doing.starting, false);
        self.give_top_priority(started);
        if doing.active || doing.starting {
            self.actions[started].flags |= flag::RUNNABLE;
        }
        let stop = self.pseudo_action(collective, "stop", !doing.stopping, true);
        let stopped = self.pseudo_action(collective, "stopped", !doing.stopping, true);
        self.give_top_priority(stopped);
        if !doing.restarting {
            self.actions[stop].flags |= flag::MIGRATABLE;
        }
        if self.rscs[collective].variant == Variant::Clone {
            self.create_start_stop_notifications(collective, start, started, stop, stopped);
        }
    }

    pub(crate) fn create_clone(&mut self, clone: RscIx) {
        let children = self.rscs[clone].children.clone();
        self.create_instances(clone, &children);
        if self.rscs[clone].promotable {
            self.create_promotable(clone);
        }
    }

    fn create_promotable(&mut self, clone: RscIx) {
        let (mut promoting, mut demoting) = (false, false);
        for child in self.rscs[clone].children.clone() {
            self.create_actions(child);
            for leaf in self.leaves(child) {
                for ix in &self.rscs[leaf].actions {
                    let action = &self.actions[*ix];
                    if action.not(flag::OPTIONAL) {
                        promoting |= action.task == "promote";
                        demoting |= action.task == "demote";
                    }
                }
            }
        }
        let promote = self.pseudo_action(clone, "promote", !promoting, true);
        let promoted = self.pseudo_action(clone, "promoted", !promoting, true);
        self.give_top_priority(promoted);
        let set = self.notify_set(clone, "promote", Some(promote), Some(promoted));
        self.rscs[clone].notify_sets[2] = set;
        let demote = self.pseudo_action(clone, "demote", !demoting, true);
        let demoted = self.pseudo_action(clone, "demoted", !demoting, true);
        self.give_top_priority(demoted);
        let set = self.notify_set(clone, "demote", Some(demote), Some(demoted));
        self.rscs[clone].notify_sets[3] = set;
        let [start, stop, promote, demote] = self.rscs[clone].notify_sets;
        let mut order = |first: NotifySet, then: NotifySet| {
            if let (Some(first), Some(then)) = (first.post_done, then.pre) {
                self.relate(first, then, rel::ORDERED);
            }
        };
        order(stop, promote);
        order(start, promote);
        order(demote, promote);
        order(demote, start);
        order(demote, stop);
        let priority = self.rscs[clone].priority;
        for child in self.rscs[clone].children.clone() {
            self.rscs[child].priority = priority;
        }
    }

    pub(crate) fn create_bundle(&mut self, bundle: RscIx) {
        let replicas = self.rscs[bundle].bundle.replicas.clone();
        for replica in &replicas {
            for part in [replica.ip, Some(replica.container), replica.remote].into_iter().flatten()
            {
                self.create_actions(part);
            }
        }
        let containers: Vec<RscIx> = replicas.iter().map(|r| r.container).collect();
        self.create_instances(bundle, &containers);
        let Some(inner) = self.rscs[bundle].bundle.inner else { return };
        self.create_actions(inner);
        if self.rscs[inner].promotable {
            for (task, completed) in [("promote", "promoted"), ("demote", "demoted")] {
                self.pseudo_action(bundle, task, true, true);
                let completed = self.pseudo_action(bundle, completed, true, true);
                self.give_top_priority(completed);
            }
        }
    }
}
