//! Notifications of clone instances before and after what happens to their siblings.
//! Source: `spec/scheduler-actions.md` §12.

use ecow::{EcoString, eco_format};

use crate::action::{flag, rel};
use crate::ids::{ActIx, NodeIx, RscIx};
use crate::model::{Attrs, NotifySet, Role, Sched, Variant};
use crate::text::{notify_key, op_key};

/// An instance, and where what concerns it happens.
type Entry = (RscIx, Option<NodeIx>);

/// What the variables of a set of notifications are made of.
#[derive(Default)]
struct Facts {
    active: Vec<Entry>,
    inactive: Vec<Entry>,
    unpromoted: Vec<Entry>,
    promoted: Vec<Entry>,
    start: Vec<Entry>,
    stop: Vec<Entry>,
    promote: Vec<Entry>,
    demote: Vec<Entry>,
}

impl Sched {
    fn notify_pseudo(&mut self, rsc: RscIx, base: ActIx, task: &str, kind: &str) -> ActIx {
        let base_task = self.actions[base].task.clone();
        let optional = self.actions[base].is(flag::OPTIONAL);
        let key = notify_key(&self.rscs[rsc].id, kind, &base_task);
        let ix = self.action(Some(rsc), &key, task, None, optional);
        let action = &mut self.actions[ix];
        action.flags |= flag::PSEUDO;
        action.meta.insert("notify_key_type".into(), kind.into());
        action.meta.insert("notify_key_operation".into(), base_task);
        ix
    }

    fn describe(&mut self, ix: ActIx, kind: &str, operation: &str) {
        let meta = &mut self.actions[ix].meta;
        meta.insert("notify_type".into(), kind.into());
        meta.insert("notify_operation".into(), operation.into());
    }

    /// The pseudo actions around an action and its completion. Source: §12.1.
    pub(crate) fn notify_set(
        &mut self,
        rsc: RscIx,
        task: &str,
        action: Option<ActIx>,
        complete: Option<ActIx>,
    ) -> NotifySet {
        let mut set = NotifySet::default();
        if !self.rscs[rsc].notify {
            return set;
        }
        if let Some(action) = action {
            let pre = self.notify_pseudo(rsc, action, "notify", "pre");
            self.actions[pre].flags |= flag::RUNNABLE;
            self.describe(pre, "pre", task);
            let done = self.notify_pseudo(rsc, action, "notified", "confirmed-pre");
            self.actions[done].flags |= flag::RUNNABLE;
            self.describe(done, "pre", task);
            self.relate(pre, done, rel::ORDERED);
            self.relate(done, action, rel::ORDERED);
            set.pre = Some(pre);
            set.pre_done = Some(done);
        }
        if let Some(complete) = complete {
            let runnable = self.actions[complete].flags & flag::RUNNABLE;
            let post = self.notify_pseudo(rsc, complete, "notify", "post");
            self.give_top_priority(post);
            self.actions[post].flags = (self.actions[post].flags & !flag::RUNNABLE) | runnable;
            self.describe(post, "post", task);
            let done = self.notify_pseudo(rsc, complete, "notified", "confirmed-post");
            self.give_top_priority(done);
            self.actions[done].flags = (self.actions[done].flags & !flag::RUNNABLE) | runnable;
            self.describe(done, "post", task);
            self.relate(complete, post, rel::FIT);
            self.relate(post, done, rel::FIT);
            set.post = Some(post);
            set.post_done = Some(done);
        }
        if let (Some(pre_done), Some(post)) = (set.pre_done, set.post) {
            self.relate(pre_done, post, rel::ORDERED);
        }
        set
    }

    pub(crate) fn create_start_stop_notifications(
        &mut self,
        clone: RscIx,
        start: ActIx,
        started: ActIx,
        stop: ActIx,
        stopped: ActIx,
    ) {
        let starts = self.notify_set(clone, "start", Some(start), Some(started));
        let stops = self.notify_set(clone, "stop", Some(stop), Some(stopped));
        if let (Some(first), Some(then)) = (stops.post_done, starts.pre) {
            self.relate(first, then, rel::ORDERED);
        }
        self.rscs[clone].notify_sets[0] = starts;
        self.rscs[clone].notify_sets[1] = stops;
    }

    /// Instances are told when a node's fencing has stopped one of them. Source: §12.4.
    pub(crate) fn notify_after_fencing(&mut self, rsc: RscIx, fence: ActIx) {
        let set = self.notify_set(rsc, "stop", None, Some(fence));
        let uber = self.uber(rsc);
        // Only what stops is told now; the clone's own notifications tell the rest.
        let facts = self.facts(uber);
        let nothing_stops = facts.stop.is_empty();
        let (resources, nodes) = self.list(facts.stop, false);
        let keys = Attrs::from([
            ("notify_stop_resource".into(), resources),
            ("notify_stop_uname".into(), nodes),
        ]);
        self.announce(uber, "stop", set, &keys, nothing_stops);
    }

    fn facts(&self, rsc: RscIx) -> Facts {
        let mut facts = Facts::default();
        for leaf in self.leaves(rsc) {
            let r = &self.rscs[leaf];
            if r.orig_role == Role::Stopped && r.next_role == Role::Stopped && r.actions.is_empty()
            {
                facts.inactive.push((leaf, None));
                continue;
            }
            let node = r.active.first().copied();
            match r.orig_role {
                Role::Stopped | Role::Unknown => facts.inactive.push((leaf, None)),
                Role::Started => facts.active.push((leaf, node)),
                Role::Unpromoted => {
                    facts.unpromoted.push((leaf, node));
                    facts.active.push((leaf, node));
                }
                Role::Promoted => {
                    facts.promoted.push((leaf, node));
                    facts.active.push((leaf, node));
                }
            }
            for ix in r.actions.iter().rev() {
                let action = &self.actions[*ix];
                if action.is(flag::OPTIONAL) || action.node.is_none() {
                    continue;
                }
                let on_unclean = action.node.is_some_and(|n| self.nodes[n].unclean);
                let entry = (leaf, action.node);
                if action.not(flag::RUNNABLE) && !(action.task == "stop" && on_unclean) {
                    continue;
                }
                match action.task.as_str() {
                    "start" => facts.start.push(entry),
                    "stop" => facts.stop.push(entry),
                    "promote" => facts.promote.push(entry),
                    "demote" => facts.demote.push(entry),
                    _ => {}
                }
            }
        }
        facts
    }

    /// Resources and nodes of a list as the agents see them.
    fn list(&self, mut entries: Vec<Entry>, single: bool) -> (EcoString, EcoString) {
        let id_of = |entry: &Entry| self.rscs[entry.0].id.clone();
        entries.sort_by(|a, b| {
            let node = |e: &Entry| e.1.map(|n| self.nodes[n].id.clone()).unwrap_or_default();
            self.rscs[a.0].id.cmp(&self.rscs[b.0].id).then_with(|| node(a).cmp(&node(b)))
        });
        let (mut resources, mut names) = (String::new(), String::new());
        let mut last: Option<EcoString> = None;
        for entry in &entries {
            let id = id_of(entry);
            if last.as_ref() == Some(&id) {
                continue;
            }
            if !single && entry.1.is_none() {
                continue;
            }
            if !resources.is_empty() {
                resources.push(' ');
            }
            resources.push_str(&id);
            last = Some(id);
            if let Some(node) = entry.1 {
                if !names.is_empty() {
                    names.push(' ');
                }
                names.push_str(&self.nodes[node].name);
            }
        }
        let or_blank = |text: String| if text.is_empty() { " ".into() } else { text.into() };
        (or_blank(resources), or_blank(names))
    }

    fn variables(&self, rsc: RscIx, facts: Facts) -> Attrs {
        let mut keys = Attrs::new();
        let mut both = |names: &[&str], entries: Vec<Entry>| {
            let (resources, nodes) = self.list(entries, false);
            for name in names {
                keys.insert(eco_format!("notify_{name}_resource"), resources.clone());
                keys.insert(eco_format!("notify_{name}_uname"), nodes.clone());
            }
        };
        both(&["stop"], facts.stop);
        both(&["start"], facts.start);
        both(&["demote"], facts.demote);
        both(&["promote"], facts.promote);
        both(&["active"], facts.active);
        both(&["unpromoted", "slave"], facts.unpromoted);
        both(&["promoted", "master"], facts.promoted);
        let (inactive, _) = self.list(facts.inactive, true);
        keys.insert("notify_inactive_resource".into(), inactive);
        let names = |nodes: Vec<NodeIx>| {
            let names: Vec<&str> = nodes.iter().map(|n| self.nodes[*n].name.as_str()).collect();
            if names.is_empty() { EcoString::from(" ") } else { names.join(" ").into() }
        };
        let available = self.in_order(&self.rscs[rsc].allowed);
        keys.insert("notify_available_uname".into(), names(available));
        keys.insert("notify_all_uname".into(), names(self.node_order.clone()));
        let target = self.rscs[rsc].meta.get("container-attribute-target");
        if target.is_some_and(|t| t.eq_ignore_ascii_case("host")) {
            let hosts: Vec<NodeIx> = self
                .node_order
                .iter()
                .map(|n| match self.guest_launcher(*n) {
                    Some(l) => self.rscs[l].active.first().copied().unwrap_or(*n),
                    None => *n,
                })
                .collect();
            keys.insert("notify_all_hosts".into(), names(hosts));
        }
        keys
    }

    /// Creates the notifications of a clone's instances, at the time of the graph. Source: §12.2.
    pub(crate) fn create_notifications(&mut self, clone: RscIx) {
        if !self.rscs[clone].notify {
            return;
        }
        // Demotions are announced last but collected with their promotions.
        for (at, task) in [(0, "start"), (1, "stop"), (2, "promote"), (3, "demote")] {
            let set = self.rscs[clone].notify_sets[at];
            if set.pre.is_some() || set.post.is_some() {
                self.fill_set(clone, task, set);
            }
        }
    }

    fn fill_set(&mut self, clone: RscIx, task: &str, set: NotifySet) {
        if !self.rscs[clone].notify {
            return;
        }
        let facts = self.facts(clone);
        let own_empty = match task {
            "start" => facts.start.is_empty(),
            "stop" => facts.stop.is_empty(),
            "promote" => facts.promote.is_empty(),
            _ => facts.demote.is_empty(),
        };
        let keys = self.variables(clone, facts);
        self.announce(clone, task, set, &keys, own_empty);
    }

    /// Creates the notifications of a set for all instances.
    fn announce(
        &mut self,
        clone: RscIx,
        task: &str,
        set: NotifySet,
        keys: &Attrs,
        own_empty: bool,
    ) {
        let required = if task == "stop" {
            keys.get("notify_stop_resource").is_some_and(|list| list != " ")
        } else {
            !own_empty
        };
        for ix in [set.pre, set.pre_done, set.post, set.post_done].into_iter().flatten() {
            if required {
                self.actions[ix].flags &= !flag::OPTIONAL;
            }
        }
        for leaf in self.leaves(clone) {
            self.notify_leaf(leaf, task, set, keys, own_empty);
        }
    }

    fn notify_leaf(
        &mut self,
        leaf: RscIx,
        task: &str,
        set: NotifySet,
        keys: &Attrs,
        own_empty: bool,
    ) {
        for ix in self.rscs[leaf].actions.clone() {
            let action = &mut self.actions[ix];
            if action.not(flag::OPTIONAL)
                && matches!(action.task.as_str(), "start" | "stop" | "promote" | "demote")
            {
                for (name, value) in keys {
                    action.meta.insert(name.clone(), value.clone());
                }
            }
        }
        match task {
            "start" | "promote" | "demote" if own_empty => return,
            _ => {}
        }
        let r = &self.rscs[leaf];
        if matches!(task, "stop" | "demote") {
            if r.orig_role == Role::Stopped {
                return;
            }
            for node in r.active.clone() {
                let stop = self.first_action(leaf, None, Some("stop"), None);
                let n = &self.nodes[node];
                if (n.unclean || n.remote_reset)
                    && stop.is_some_and(|s| self.actions[s].is(flag::PSEUDO))
                {
                    continue;
                }
                self.notify_action(leaf, node, set.pre, set.pre_done, false, set, keys);
                let staying = stop.is_none_or(|s| self.actions[s].is(flag::OPTIONAL));
                if task == "demote" || staying {
                    self.notify_action(leaf, node, set.post, set.post_done, true, set, keys);
                }
            }
            return;
        }
        if r.next_role == Role::Stopped {
            return;
        }
        let start = self.first_action(leaf, None, Some("start"), None);
        let Some(node) = r.assigned.map(|placed| placed.node) else { return };
        if self.is_remote_kind(node)
            && let Some(connection) = self.nodes[node].connection
        {
            let key = op_key(&self.rscs[connection].id, "start", 0);
            let lost = self
                .find_actions(connection, &key, None)
                .into_iter()
                .any(|s| self.actions[s].not(flag::RUNNABLE));
            if lost {
                return;
            }
        }
        let starting =
            task == "start" && start.is_some_and(|s| self.actions[s].not(flag::OPTIONAL));
        if !starting {
            self.notify_action(leaf, node, set.pre, set.pre_done, false, set, keys);
        }
        self.notify_action(leaf, node, set.post, set.post_done, true, set, keys);
    }

    fn notify_action(
        &mut self,
        leaf: RscIx,
        node: NodeIx,
        pseudo: Option<ActIx>,
        done: Option<ActIx>,
        post: bool,
        set: NotifySet,
        keys: &Attrs,
    ) {
        let (Some(pseudo), Some(done)) = (pseudo, done) else { return };
        if !self.nodes[node].online || self.actions[pseudo].not(flag::RUNNABLE) {
            return;
        }
        let kind = self.actions[pseudo].meta.get("notify_type").cloned().unwrap_or_default();
        let operation =
            self.actions[pseudo].meta.get("notify_operation").cloned().unwrap_or_default();
        let key = notify_key(&self.rscs[leaf].id, &kind, &operation);
        let optional = self.actions[pseudo].is(flag::OPTIONAL);
        let task = self.actions[pseudo].task.clone();
        let ix = self.action(Some(leaf), &key, &task, Some(node), optional);
        let inherited = self.actions[pseudo].meta.clone();
        let meta = &mut self.actions[ix].meta;
        for (name, value) in inherited {
            meta.insert_new(name, value);
        }
        for (name, value) in keys {
            meta.insert(name.clone(), value.clone());
        }
        self.relate(pseudo, ix, rel::ORDERED);
        self.relate(ix, done, rel::ORDERED);
        if !post {
            return;
        }
        self.give_top_priority(ix);
        let Some(post_done) = set.post_done else { return };
        for other in self.rscs[leaf].actions.clone().into_iter().rev() {
            let recurring = self.action_meta_int(other, "interval").is_some_and(|ms| ms != 0);
            if recurring && self.actions[other].task != "cancel" {
                self.relate(post_done, other, rel::ORDERED);
            }
        }
    }

    /// Is it a collective whose completion includes notifications?
    pub(crate) fn notifies(&self, rsc: RscIx) -> bool {
        let r = &self.rscs[rsc];
        r.notify && (matches!(r.variant, Variant::Clone | Variant::Bundle) || self.is_bundled(rsc))
    }
}
