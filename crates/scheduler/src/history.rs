//! The status section, second half: which resource each history belongs to, and what the sorted
//! operations say about its state. Source: `spec/scheduler-history.md` §4 and §7.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use ecow::EcoString;
use xml::Element;

use crate::action::{OnFail, flag};
use crate::ids::{NodeIx, RscIx};
use crate::model::{MultipleActive, NodeKind, Role, Sched, Variant};
use crate::score::INFINITY;
use crate::text::{base_id, is_true, parse_interval_ms_attr, scan_int};
use crate::trace::Source;

/// Histories of a node by id.
pub type HistoriesOfNode = HashMap<EcoString, Vec<Arc<Element>>>;

/// Order of two history entries of one resource on one node: the older one first.
pub(crate) fn cmp_ops(a: &Element, b: &Element) -> Ordering {
    cmp_ops_on(a, b, true)
}

/// [`cmp_ops`], also for entries of different nodes, whose call ids say nothing.
pub(crate) fn cmp_ops_on(a: &Element, b: &Element, same_node: bool) -> Ordering {
    if same_node && a.id() == b.id() {
        return Ordering::Equal;
    }
    let change = |op: &Element| op.get("last-rc-change").and_then(scan_int).unwrap_or(-1);
    let call = |op: &Element| op.get("call-id").and_then(scan_int).unwrap_or(-1);
    let (call_a, call_b) = (call(a), call(b));
    if call_a == -1 && call_b == -1 {
        return Ordering::Equal;
    }
    let by_call = same_node || change(a) < 0 || change(b) < 0;
    if by_call && call_a >= 0 && call_b >= 0 && call_a != call_b {
        return call_a.cmp(&call_b);
    }
    if call_a >= 0 && call_b >= 0 {
        return change(a).cmp(&change(b));
    }
    // One of them is pending: newer, unless it is of an older transition of the same controller.
    let magic = |op: &Element| -> Option<(i64, String)> {
        let key = op.get("transition-magic")?.split_once(';')?.1;
        let mut fields = key.split(':');
        let id = fields.nth(1).and_then(scan_int)?;
        Some((id, fields.nth(1)?.trim().to_owned()))
    };
    let pending = |a_pending: bool| if a_pending { Ordering::Greater } else { Ordering::Less };
    match (magic(a), magic(b)) {
        (Some((id_a, uuid_a)), Some((id_b, uuid_b))) => {
            if uuid_a != uuid_b || id_a == id_b {
                pending(call_a == -1)
            } else {
                // Events outside of any transition count as later than all transitions.
                (id_a as u32).cmp(&(id_b as u32))
            }
        }
        _ => Ordering::Equal,
    }
}

/// The operations of a history, oldest first.
pub(crate) fn sorted_ops(history: &Element) -> Vec<Arc<Element>> {
    let mut ops: Vec<Arc<Element>> =
        history.shared_children().rev().filter(|op| op.name() == "lrm_rsc_op").cloned().collect();
    ops.sort_by(|a, b| cmp_ops(a, b));
    ops
}

/// First and last index of the operations that describe the present run: (start, stop).
pub(crate) fn active_window(ops: &[Arc<Element>]) -> (i64, i64) {
    let (mut start, mut stop, mut monitor, mut promotion) = (-1, -1, -1, -1);
    for (i, op) in ops.iter().enumerate() {
        let i = i as i64;
        match op.get("operation").unwrap_or("") {
            "stop" if op.get("op-status") == Some("0") => stop = i,
            "start" | "migrate_from" => start = i,
            "monitor" if monitor <= stop && matches!(op.get("rc-code"), Some("0" | "8")) => {
                monitor = i;
            }
            "promote" | "demote" => promotion = i,
            _ => {}
        }
    }
    if start == -1 {
        start = if promotion != -1 { promotion } else { monitor };
    }
    (start, stop)
}

impl Sched {
    pub(crate) fn unpack_node_history(&mut self, node: NodeIx, state: &Element) {
        let histories: Vec<Arc<Element>> = state
            .child("lrm")
            .and_then(|lrm| lrm.child("lrm_resources"))
            .map(|all| {
                all.shared_children().filter(|c| c.name() == "lrm_resource").cloned().collect()
            })
            .unwrap_or_default();
        let mut launched_removed = false;
        for history in &histories {
            if let Some(rsc) = self.unpack_history(node, history) {
                launched_removed |= self.rscs[rsc].removed_launched;
            }
        }
        if launched_removed {
            for history in &histories {
                let (Some(container), Some(id)) = (history.get("container"), history.id()) else {
                    continue;
                };
                let Some(rsc) = self.find_resource(id) else { continue };
                if !self.rscs[rsc].removed_launched || self.rscs[rsc].launcher.is_some() {
                    continue;
                }
                if let Some(launcher) = self.find_resource(container) {
                    self.rscs[rsc].launcher = Some(launcher);
                    self.rscs[launcher].launched.push(rsc);
                }
            }
        }
    }

    fn unpack_history(&mut self, node: NodeIx, history: &Arc<Element>) -> Option<RscIx> {
        let id: EcoString = history.id()?.into();
        let ops = sorted_ops(history);
        if ops.is_empty() && !self.options.shutdown_lock {
            return None;
        }
        let rsc = match self.find_for_history(node, &id) {
            Some(rsc) => rsc,
            None => {
                if ops.is_empty() {
                    return None;
                }
                self.create_removed(history)?
            }
        };
        if self.options.shutdown_lock {
            self.unpack_shutdown_lock(rsc, node, history);
        }
        if ops.is_empty() {
            return None;
        }
        let saved = self.rscs[rsc].orig_role;
        self.rscs[rsc].orig_role = Role::Unknown;
        let mut on_fail = OnFail::Ignore;
        let mut last_failure = None;
        for op in &ops {
            self.unpack_op(rsc, node, op, &mut last_failure, &mut on_fail);
        }
        self.note_active_recurring(rsc, node, &ops);
        self.process_state(rsc, node, on_fail);
        if let Some(target) = self.target_role(rsc) {
            let r = &mut self.rscs[rsc];
            if r.next_role == Role::Unknown || target < r.next_role {
                r.next_role = target;
            }
        }
        let r = &mut self.rscs[rsc];
        r.orig_role = saved.max(r.orig_role);
        Some(rsc)
    }

    fn unpack_shutdown_lock(&mut self, rsc: RscIx, node: NodeIx, history: &Element) {
        let Some(time) = history.get("shutdown-lock").and_then(scan_int).filter(|t| *t != 0) else {
            return;
        };
        let limit = self.options.shutdown_lock_limit_s;
        if limit > 0 && self.now > time.saturating_add(limit) {
            self.clear_history_action(rsc, node);
        } else {
            self.rscs[rsc].lock_node = Some(node);
            self.rscs[rsc].lock_time = time;
        }
    }

    /// Recurring operations that are running exist as optional actions.
    fn note_active_recurring(&mut self, rsc: RscIx, node: NodeIx, ops: &[Arc<Element>]) {
        let (start, stop) = active_window(ops);
        for (i, op) in ops.iter().enumerate() {
            let i = i as i64;
            if !self.nodes[node].online {
                break;
            }
            if (start < stop && i <= stop) || i < start {
                continue;
            }
            let interval = parse_interval_ms_attr(op);
            if interval == 0 || op.get("op-status") == Some("-1") {
                continue;
            }
            let task = op.get("operation").unwrap_or("");
            let key = crate::text::op_key(&self.rscs[rsc].id, task, interval);
            self.action(Some(rsc), &key, task, Some(node), true);
        }
    }

    /// The resource that a history is about. Source: §4.1.
    fn find_for_history(&mut self, node: NodeIx, id: &str) -> Option<RscIx> {
        let mut found = self.find_resource(id).or_else(|| self.find_by_history_id(id));
        if found.is_none() {
            let first = format!("{}:0", base_id(id));
            found = self.find_resource(&first).filter(|rsc| !self.rscs[*rsc].unique);
        }
        let found = found?;
        if self.rscs[found].variant != Variant::Primitive {
            return None;
        }
        let uber = self.uber(found);
        let mut rsc = found;
        if self.is_anonymous_clone(uber) {
            rsc = if self.is_bundled(found) {
                self.replica_child_on(uber, node)?
            } else {
                self.anonymous_instance(uber, node, base_id(id))?
            };
        }
        let r = &self.rscs[rsc];
        if r.id != id && r.history_id.as_deref() != Some(id) {
            self.set_history_id(rsc, Some(id.into()));
        }
        Some(rsc)
    }

    /// The oldest resource that the history knows by that id.
    pub(crate) fn find_by_history_id(&self, id: &str) -> Option<RscIx> {
        self.by_history_id.get(id)?.first().copied()
    }

    fn set_history_id(&mut self, rsc: RscIx, id: Option<EcoString>) {
        if let Some(id) = &id {
            self.by_history_id.entry(id.clone()).or_default().insert(rsc);
        }
        if let Some(old) = std::mem::replace(&mut self.rscs[rsc].history_id, id)
            && self.rscs[rsc].history_id.as_ref() != Some(&old)
            && let Some(known) = self.by_history_id.get_mut(&old)
        {
            known.remove(&rsc);
        }
    }

    fn replica_child_on(&self, inner: RscIx, node: NodeIx) -> Option<RscIx> {
        let bundle = self.rscs[inner].parent?;
        self.rscs[bundle]
            .bundle
            .replicas
            .iter()
            .find(|r| r.node == Some(node))
            .and_then(|r| r.child)
    }

    fn member_named(&self, instance: RscIx, base: &str) -> Option<RscIx> {
        self.tree(instance).into_iter().find(|r| {
            self.rscs[*r].variant == Variant::Primitive && base_id(&self.rscs[*r].id) == base
        })
    }

    fn anonymous_instance(&mut self, clone: RscIx, node: NodeIx, base: &str) -> Option<RscIx> {
        let (mut chosen, mut inactive, mut skip_inactive) = (None, None, false);
        for instance in self.rscs[clone].children.clone() {
            let mut locations = self.locations_of(instance, true);
            if let Some(pending) = self.rscs[instance].pending_node
                && !locations.contains(&pending)
            {
                locations.push(pending);
            }
            if locations.contains(&node) {
                let Some(member) = self.member_named(instance, base) else { continue };
                if self.rscs[member].active.is_empty() {
                    chosen = Some(member);
                    break;
                }
                skip_inactive = true;
            } else if locations.is_empty()
                && !skip_inactive
                && inactive.is_none()
                && !self.rscs[instance].blocked
            {
                inactive = self.member_named(instance, base).filter(|member| {
                    self.rscs[*member].pending_node.is_none_or(|pending| pending == node)
                });
            }
        }
        if chosen.is_none() && !skip_inactive {
            chosen = inactive;
        }
        if let Some(rsc) = chosen {
            let n = &self.nodes[node];
            let lost = !n.online || n.unclean;
            if !self.rscs[rsc].needs_fencing
                && lost
                && !self.is_guest(node)
                && !self.is_universal(clone)
            {
                chosen = None;
            }
        }
        if chosen.is_none() {
            let instance = self.create_instance(clone)?;
            self.register_tree(instance);
            chosen = self.member_named(instance, base);
        }
        chosen
    }

    /// A resource that is in the history but not configured. Source: §4.2.
    fn create_removed(&mut self, history: &Element) -> Option<RscIx> {
        let mut xml = Element::new("primitive");
        for (name, value) in history.attrs() {
            xml.set(name, value);
        }
        let rsc = self.unpack_resource(&Arc::new(xml), None, None)?;
        self.top.push(rsc);
        self.register_tree(rsc);
        self.rscs[rsc].removed = true;
        if self.rscs[rsc].is_connection {
            let id = self.rscs[rsc].id.clone();
            let remote = match self.find_node(Some(&id), Some(&id)) {
                Some(remote) => remote,
                None => self.create_node(&id, &id, NodeKind::Remote, 0),
            };
            self.nodes[remote].connection = Some(rsc);
            self.nodes[remote].shutdown = true;
        }
        if history.has("container") {
            self.rscs[rsc].removed_launched = true;
        }
        if self.options.stop_removed {
            self.ban_everywhere(rsc, &Source::Removed);
        } else {
            self.rscs[rsc].managed = false;
        }
        Some(rsc)
    }

    /// What the operations add up to. Source: §7.
    fn process_state(&mut self, rsc: RscIx, node: NodeIx, original_on_fail: OnFail) {
        let mut on_fail = original_on_fail;
        let known_active = self.rscs[rsc].orig_role > Role::Stopped;
        if self.rscs[rsc].orig_role != Role::Unknown {
            self.mark_probed(rsc, node);
        }
        let n = &self.nodes[node];
        if known_active && !n.online && !n.maintenance && self.rscs[rsc].managed {
            self.fence_for_lost(rsc, node);
        }
        if self.nodes[node].unclean {
            on_fail = OnFail::Ignore;
        }
        self.react(rsc, node, on_fail, known_active);
        if self.rscs[rsc].is_connection && self.rscs[rsc].failed {
            let id = self.rscs[rsc].id.clone();
            if let Some(remote) = self.node_by_name(&id)
                && self.nodes[remote].unclean
            {
                self.nodes[remote].seen = true;
            }
        }
        if known_active {
            self.add_active(rsc, node, original_on_fail != OnFail::Ignore);
            if on_fail != OnFail::Ignore {
                self.rscs[rsc].failed = true;
                if !matches!(on_fail, OnFail::Demote | OnFail::Block) {
                    self.rscs[rsc].stop_if_failed = true;
                }
            }
        } else if self.rscs[rsc].history_id.as_deref().is_some_and(|id| id.contains(':')) {
            self.set_history_id(rsc, None);
        } else {
            let key = self.rscs[rsc].task_key("stop");
            for action in self.find_actions(rsc, &key, Some(node)) {
                self.actions[action].flags |= flag::OPTIONAL;
            }
        }
        let r = &mut self.rscs[rsc];
        if r.orig_role == Role::Stopped
            && !r.active.is_empty()
            && r.partial_target.is_some()
            && r.partial_source == Some(node)
        {
            r.orig_role = Role::Started;
        }
    }

    fn mark_probed(&mut self, rsc: RscIx, node: NodeIx) {
        let mut at = Some(rsc);
        while let Some(current) = at {
            let base = self.nodes[node].base;
            self.rscs[current].probed.insert(node, base);
            if self.rscs[current].unique {
                break;
            }
            at = self.rscs[current].parent;
        }
    }

    fn fence_for_lost(&mut self, rsc: RscIx, node: NodeIx) {
        let id = self.rscs[rsc].id.clone();
        let mut fence = self.options.fencing;
        let mut reason = format!("{id} is thought to be active there");
        if self.is_guest(node) {
            self.rscs[rsc].failed = true;
            self.rscs[rsc].stop_if_failed = true;
            fence = true;
        } else if fence && self.is_remote_node(node) {
            let connection = self.nodes[node].connection;
            if connection.is_some_and(|c| !self.rscs[c].failed) {
                reason = format!(
                    "{id} is active there (fencing will be revoked if remote connection can be re-established elsewhere)"
                );
                self.nodes[node].seen = false;
            }
        }
        if fence {
            self.fence_node(node, &reason, false);
        }
    }

    fn react(&mut self, rsc: RscIx, node: NodeIx, on_fail: OnFail, known_active: bool) {
        let id = self.rscs[rsc].id.clone();
        match on_fail {
            OnFail::Ignore => {}
            OnFail::Demote => {
                self.rscs[rsc].failed = true;
                let key = crate::text::op_key(&id, "demote", 0);
                self.action(Some(rsc), &key, "demote", Some(node), false);
            }
            OnFail::Fence => self.fence_node(node, &format!("{id} failed there"), false),
            OnFail::Standby => {
                self.nodes[node].standby = true;
                self.nodes[node].fail_standby = true;
            }
            OnFail::Block => {
                self.rscs[rsc].managed = false;
                self.rscs[rsc].blocked = true;
            }
            OnFail::Ban => self.add_score(rsc, node, -INFINITY, &Source::OnFail),
            OnFail::Stop => self.rscs[rsc].next_role = Role::Stopped,
            OnFail::Restart => {
                if known_active {
                    self.rscs[rsc].failed = true;
                    self.rscs[rsc].stop_if_failed = true;
                    self.stop_action(rsc, node, false);
                }
            }
            OnFail::RestartContainer => {
                self.rscs[rsc].failed = true;
                self.rscs[rsc].stop_if_failed = true;
                let launcher = self.rscs[rsc].launcher;
                if self.is_bundled(rsc) {
                    let container = launcher.or_else(|| self.container_of_child(rsc));
                    self.stop_needed.extend(container);
                } else if let Some(launcher) = launcher {
                    self.stop_action(launcher, node, false);
                } else if known_active {
                    self.stop_action(rsc, node, false);
                }
            }
            OnFail::ResetRemote => {
                self.rscs[rsc].failed = true;
                self.rscs[rsc].stop_if_failed = true;
                if self.options.fencing {
                    let remote = self.find_node(Some(&id), Some(&id));
                    if let Some(remote) = remote
                        && self.is_remote_node(remote)
                        && !self.nodes[remote].remote_fenced
                    {
                        self.fence_node(remote, "remote connection is unrecoverable", false);
                    }
                }
                if known_active {
                    self.stop_action(rsc, node, false);
                }
                if self.rscs[rsc].remote_reconnect_ms != 0 {
                    self.rscs[rsc].next_role = Role::Stopped;
                }
            }
        }
    }

    /// The container of a bundled primitive's replica.
    pub(crate) fn container_of_child(&self, rsc: RscIx) -> Option<RscIx> {
        let top = self.top_of(rsc, true);
        self.rscs[top]
            .bundle
            .replicas
            .iter()
            .find(|r| r.child.is_some_and(|child| self.is_ancestor(child, rsc)))
            .map(|r| r.container)
    }

    /// Notes that a resource is active on a node. Source: §7.1.
    pub(crate) fn add_active(&mut self, rsc: RscIx, node: NodeIx, failed: bool) {
        if self.rscs[rsc].active.contains(&node) {
            return;
        }
        self.rscs[rsc].active.push(node);
        let primitive = self.rscs[rsc].variant == Variant::Primitive;
        if primitive {
            self.nodes[node].running.push(rsc);
            self.add_node_priority(rsc, node, failed);
            if self.nodes[node].maintenance {
                self.rscs[rsc].managed = false;
                self.rscs[rsc].maintenance = true;
            }
        }
        if !self.rscs[rsc].managed {
            self.add_score(rsc, node, INFINITY, &Source::Unmanaged);
            let mut at = self.rscs[rsc].parent;
            while let Some(parent) = at {
                self.rscs[parent].active.push(node);
                at = self.rscs[parent].parent;
            }
            return;
        }
        if primitive {
            let (_, all, clean) = self.active_choice(rsc);
            let count = if self.rscs[rsc].needs_fencing { all } else { clean };
            if count > 1 {
                self.multiply_active(rsc);
            }
        }
        if let Some(parent) = self.rscs[rsc].parent {
            self.add_active(parent, node, false);
        }
    }

    fn multiply_active(&mut self, rsc: RscIx) {
        match self.rscs[rsc].multiple_active {
            MultipleActive::StopStart | MultipleActive::StopUnexpected => {}
            MultipleActive::StopOnly => {
                self.rscs[rsc].allowed = Default::default();
                for node in self.node_order.clone() {
                    let entry = crate::ids::Allowed { score: -INFINITY, ..self.nodes[node].base };
                    self.rscs[rsc].allowed.insert(node, entry);
                }
                self.note(rsc, |_| Source::MultiplyActive);
            }
            MultipleActive::Block => {
                self.rscs[rsc].managed = false;
                self.rscs[rsc].blocked = true;
                if let Some(parent) = self.rscs[rsc].parent
                    && matches!(self.rscs[parent].variant, Variant::Group | Variant::Bundle)
                    && self.rscs[parent].multiple_active == MultipleActive::Block
                {
                    for sibling in self.rscs[parent].children.clone() {
                        self.rscs[sibling].managed = false;
                        self.rscs[sibling].blocked = true;
                    }
                }
            }
        }
    }

    /// All histories by name of the node and id. Few inputs ever ask, so the first question makes
    /// the index.
    pub(crate) fn histories(&self) -> &HashMap<EcoString, HistoriesOfNode> {
        self.history_index.get_or_init(|| {
            let mut index = HashMap::<EcoString, HistoriesOfNode>::new();
            let status = self.cib.child("status");
            for state in status.into_iter().flat_map(|s| s.children_named("node_state")) {
                let Some(name) = state.get("uname") else { continue };
                let of_node = index.entry(name.into()).or_default();
                let lists = state.children_named("lrm");
                for history in lists
                    .flat_map(|lrm| lrm.children_named("lrm_resources"))
                    .flat_map(Element::shared_children)
                {
                    if let Some(id) = history.id() {
                        of_node.entry(id.into()).or_default().push(history.clone());
                    }
                }
            }
            index
        })
    }

    /// The history entries of one operation, found as an exact match over the whole status.
    pub(crate) fn find_history_op(
        &self,
        rsc: &str,
        node: &str,
        op: &str,
        source: Option<&str>,
        target: Option<&str>,
    ) -> Option<Arc<Element>> {
        let histories = self.histories().get(node)?.get(rsc)?;
        let mut found = histories.iter().flat_map(|h| h.shared_children()).filter(|entry| {
            entry.get("operation") == Some(op)
                && source.is_none_or(|s| entry.get("migrate_source") == Some(s))
                && target.is_none_or(|t| entry.get("migrate_target") == Some(t))
        });
        let first = found.next()?;
        found.next().is_none().then(|| first.clone())
    }

    /// All operations recorded for a resource on a node.
    pub(crate) fn history_ops(&self, rsc: &str, node: &str) -> Vec<Arc<Element>> {
        self.histories()
            .get(node)
            .and_then(|of_node| of_node.get(rsc))
            .into_iter()
            .flatten()
            .flat_map(|h| h.shared_children())
            .filter(|op| op.name() == "lrm_rsc_op")
            .cloned()
            .collect()
    }

    /// True if a meta attribute says so.
    pub(crate) fn meta_is_true(&self, rsc: RscIx, name: &str) -> bool {
        is_true(self.rscs[rsc].meta.get(name).map(EcoString::as_str))
    }
}
