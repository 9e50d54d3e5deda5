//! One entry of a history: what it really means, and what it changes.
//! Source: `spec/scheduler-history.md` §6 and §8.

mod said;

use std::sync::Arc;

use ecow::EcoString;
use xml::Element;

use crate::action::OnFail;
use crate::digest::Change;
use crate::failcount::target_rc;
use crate::history::cmp_ops_on;
use crate::ids::{Allowed, NodeIx, RscIx};
use crate::model::{FailedOp, Role, Sched, Severity, Variant};
use crate::score::INFINITY;
use crate::text::{ms_to_s, parse_interval_ms_attr, scan_int};
use crate::trace::Source;

/// Values of `op-status`.
pub(crate) mod status {
    pub(crate) const PENDING: i64 = -1;
    pub(crate) const DONE: i64 = 0;
    pub(crate) const CANCELLED: i64 = 1;
    pub(crate) const NOT_SUPPORTED: i64 = 3;
    pub(crate) const ERROR: i64 = 4;
    pub(crate) const HARD: i64 = 5;
    pub(crate) const FATAL: i64 = 6;
    pub(crate) const NOT_INSTALLED: i64 = 7;
    pub(crate) const NOT_CONNECTED: i64 = 8;
    pub(crate) const INVALID: i64 = 9;
    pub(crate) const NO_FENCE_DEVICE: i64 = 10;
    pub(crate) const NO_SECRETS: i64 = 11;
}

/// A history entry with what is known about it.
struct Entry {
    rsc: RscIx,
    node: NodeIx,
    xml: Arc<Element>,
    task: EcoString,
    interval: u32,
    rc: i64,
    status: i64,
    expected: i64,
    expired: bool,
    masked: bool,
}

impl Entry {
    fn id(&self) -> &str {
        self.xml.id().unwrap_or("")
    }
    fn is_probe(&self) -> bool {
        self.task == "monitor" && self.interval == 0
    }
    fn source(&self) -> Source {
        Source::Failure { op: self.id().into(), rc: self.rc }
    }
    fn key(&self) -> EcoString {
        self.xml.get("operation_key").or_else(|| self.xml.id()).unwrap_or("").into()
    }
}

impl Sched {
    /// Unpacks one operation. Source: §6.
    pub(crate) fn unpack_op(
        &mut self,
        rsc: RscIx,
        node: NodeIx,
        xml: &Arc<Element>,
        last_failure: &mut Option<Arc<Element>>,
        on_fail: &mut OnFail,
    ) {
        let task: EcoString = xml.get("operation").unwrap_or("").into();
        if !matches!(
            task.as_str(),
            "monitor"
                | "start"
                | "stop"
                | "promote"
                | "demote"
                | "migrate_to"
                | "migrate_from"
                | "asyncmon"
        ) {
            return;
        }
        let Some(status) = xml.get("op-status").and_then(scan_int) else { return };
        let Some(rc) = xml.get("rc-code").and_then(scan_int) else { return };
        if !(-1..=status::NO_SECRETS).contains(&status)
            || status == status::CANCELLED
            || !(0..=255).contains(&rc)
        {
            return;
        }
        let mut entry = Entry {
            rsc,
            node,
            task,
            interval: parse_interval_ms_attr(xml),
            rc,
            status,
            expected: target_rc(xml),
            expired: false,
            masked: false,
            xml: xml.clone(),
        };
        let original_rc = rc;
        if entry.status != status::NOT_INSTALLED {
            entry.expired = self.check_expiry(&entry);
        }
        self.remap(&mut entry, on_fail);
        if entry.expired && self.handle_expired(&entry, original_rc) {
            return;
        }
        if entry.masked {
            self.update_state(&entry, entry.expected, last_failure, on_fail);
            self.record_failure(&entry, original_rc);
            let banned = self.ban_target(rsc);
            self.add_score(banned, node, -INFINITY, &entry.source());
            return;
        }
        match entry.status {
            status::PENDING => self.unpack_pending(&entry, last_failure),
            status::DONE => self.update_state(&entry, entry.rc, last_failure, on_fail),
            status::NOT_INSTALLED => {
                let (mut wanted, role) = self.failure_response_of(&entry);
                if wanted == OnFail::Ignore {
                    wanted = OnFail::Ban;
                }
                let banned = self.ban_target(rsc);
                self.add_score(banned, node, -INFINITY, &entry.source());
                self.unpack_failure(&entry, wanted, role, last_failure, on_fail);
            }
            status::NOT_CONNECTED
            | status::ERROR
            | status::HARD
            | status::FATAL
            | 2
            | status::NOT_SUPPORTED
            | status::INVALID
            | status::NO_FENCE_DEVICE
            | status::NO_SECRETS => {
                if entry.status == status::NOT_CONNECTED
                    && self.is_remote_kind(node)
                    && let Some(connection) = self.nodes[node].connection
                    && self.rscs[connection].managed
                {
                    self.rscs[connection].failed = true;
                    self.rscs[connection].stop_if_failed = true;
                }
                self.unpack_error(&entry, last_failure, on_fail);
            }
            _ => {}
        }
    }

    fn unpack_error(
        &mut self,
        entry: &Entry,
        last_failure: &mut Option<Arc<Element>>,
        on_fail: &mut OnFail,
    ) {
        let (wanted, role) = self.failure_response_of(entry);
        if wanted == OnFail::Ignore || (wanted == OnFail::RestartContainer && entry.task == "stop")
        {
            self.say_pretended(entry);
            self.update_state(entry, entry.expected, last_failure, on_fail);
            self.record_failure(entry, entry.rc);
            self.rscs[entry.rsc].ignore_failure = true;
            if wanted == OnFail::RestartContainer && *on_fail <= OnFail::Restart {
                *on_fail = wanted;
            }
            return;
        }
        self.unpack_failure(entry, wanted, role, last_failure, on_fail);
        let banned = self.ban_target(entry.rsc);
        match entry.status {
            status::HARD => {
                let text = self.prevention(entry, banned);
                self.say(Severity::Error, "unpack_rsc_op", text);
                self.add_score(banned, entry.node, -INFINITY, &entry.source());
            }
            status::FATAL => self.ban_everywhere(banned, &entry.source()),
            _ => {}
        }
    }

    /// What is said when a failure rules a node out.
    fn prevention(&self, entry: &Entry, banned: RscIx) -> String {
        let reason = entry.xml.get("exit-reason").filter(|reason| !reason.is_empty());
        let code = i32::try_from(entry.rc).ok().and_then(base::CrmExit::from_code);
        let reason = reason.or(code.map(base::CrmExit::description)).unwrap_or("unknown");
        format!(
            "Preventing {} from restarting on {} because of hard failure ({reason}) | {}",
            self.rscs[banned].id,
            self.nodes[entry.node].name,
            entry.id()
        )
    }

    /// Bans of a non-unique instance hit the whole clone.
    fn ban_target(&self, rsc: RscIx) -> RscIx {
        if self.rscs[rsc].unique { rsc } else { self.uber(rsc) }
    }

    // --- expiry -------------------------------------------------------------------------------

    fn check_expiry(&mut self, entry: &Entry) -> bool {
        let rsc = entry.rsc;
        let last_change = entry.xml.get("last-rc-change").and_then(scan_int);
        let mut expired = false;
        let mut clear = false;
        let mut unexpired_count = 0;
        // A blocking failure makes the timeout void, so ask for the count first.
        let had_timeout = self.rscs[rsc].failure_timeout_ms > 0;
        if had_timeout && let Some(changed) = last_change {
            let timeout = ms_to_s(self.rscs[rsc].failure_timeout_ms);
            if self.now >= changed.saturating_add(timeout) {
                expired = !self.remote_monitor_pending_fence(entry);
            }
            let (count, last) = self.failcount(rsc, entry.node, true);
            unexpired_count = count;
            if count != 0 {
                let timeout = ms_to_s(self.rscs[rsc].failure_timeout_ms);
                self.recheck_at(last.saturating_add(timeout).saturating_add(1));
            }
        }
        let is_last_failure = entry.id().ends_with("_last_failure_0");
        if expired {
            let (raw, _) = self.raw_failcount(rsc, entry.node);
            if raw != 0 {
                if unexpired_count == 0 {
                    clear = true;
                } else {
                    expired = false;
                }
            } else if is_last_failure && self.rscs[rsc].remote_reconnect_ms != 0 {
                clear = true;
            }
        }
        if !expired && is_last_failure && matches!(entry.task.as_str(), "start" | "monitor") {
            if self.is_uname_connection(rsc) {
                self.param_checks.push((rsc, entry.node, entry.xml.clone(), true));
            } else {
                let digests = self.compare_digests(rsc, entry.node, &entry.xml.clone());
                clear |= matches!(digests.change, Change::Restart | Change::Mismatch);
            }
        }
        if clear {
            self.clear_failcount_after_fencing(rsc, entry.node);
        }
        if expired && entry.is_probe() && matches!(entry.rc, 0 | 7 | 8 | 190 | 191) {
            return false;
        }
        expired
    }

    fn clear_failcount_after_fencing(&mut self, rsc: RscIx, node: NodeIx) {
        let clear = self.clear_failcount_action(rsc, node);
        if self.options.fencing && self.rscs[rsc].remote_reconnect_ms != 0 {
            let id = self.rscs[rsc].id.clone();
            if let Some(remote) = self.node_by_name(&id) {
                let fence = self.fence_op(remote, None, true, None, false);
                self.relate(fence, clear, crate::action::rel::FIT);
            }
        }
    }

    fn remote_monitor_pending_fence(&self, entry: &Entry) -> bool {
        let r = &self.rscs[entry.rsc];
        if r.remote_reconnect_ms == 0
            || !self.options.fencing
            || entry.interval == 0
            || entry.task != "monitor"
        {
            return false;
        }
        let remote = self.node_by_name(&r.id);
        remote.is_some_and(|remote| !self.nodes[remote].remote_fenced)
    }

    fn handle_expired(&mut self, entry: &Entry, original_rc: i64) -> bool {
        if entry.masked && original_rc != entry.expected {
            let r = &mut self.rscs[entry.rsc];
            if r.orig_role <= Role::Stopped {
                r.orig_role = Role::Unknown;
            }
            return true;
        }
        if entry.rc == entry.expected {
            return false;
        }
        if entry.interval == 0 {
            return true;
        }
        let n = &self.nodes[entry.node];
        if n.online && !n.unclean {
            self.force_reschedule.insert((entry.node, entry.id().into()));
            return true;
        }
        false
    }

    // --- remapping ----------------------------------------------------------------------------

    fn remap(&mut self, entry: &mut Entry, on_fail: &mut OnFail) {
        let degraded = match entry.rc {
            190 => Some(0),
            191 => Some(8),
            _ => None,
        };
        if let Some(rc) = degraded {
            let n = &self.nodes[entry.node];
            if !entry.expired && (!n.shutdown || n.online) {
                self.record_failure(entry, entry.rc);
            }
            entry.rc = rc;
        }
        if !self.is_bundled(entry.rsc)
            && entry.is_probe()
            && (matches!(entry.rc, 5 | 2) || entry.status == status::NOT_INSTALLED)
        {
            entry.masked = true;
            entry.status = status::DONE;
            entry.rc = 7;
        }
        if entry.status != status::DONE && entry.status != status::ERROR {
            if matches!(entry.status, status::NO_FENCE_DEVICE | status::NO_SECRETS) {
                entry.status = status::HARD;
            }
            return;
        }
        entry.status = if entry.expected < 0 || entry.rc != entry.expected {
            status::ERROR
        } else {
            status::DONE
        };
        let probe = entry.is_probe();
        match entry.rc {
            0 => {
                if probe && entry.expected == 7 {
                    entry.status = status::DONE;
                }
            }
            7 => {
                if probe || entry.expected == 7 || !self.rscs[entry.rsc].managed {
                    entry.status = status::DONE;
                    self.rscs[entry.rsc].orig_role = Role::Stopped;
                    *on_fail = OnFail::Ignore;
                    self.rscs[entry.rsc].next_role = Role::Unknown;
                }
            }
            8 => {
                if probe && entry.rc != entry.expected {
                    entry.status = status::DONE;
                }
                if !entry.expired || entry.rc == entry.expected {
                    self.rscs[entry.rsc].orig_role = Role::Promoted;
                }
            }
            9 => {
                if !entry.expired || entry.rc == entry.expected {
                    self.rscs[entry.rsc].orig_role = Role::Promoted;
                }
                entry.status = status::ERROR;
            }
            6 => entry.status = status::FATAL,
            3 => {
                if entry.interval == 0 {
                    self.block_if_unrecoverable(entry);
                    entry.status = status::HARD;
                } else {
                    entry.status = status::NOT_SUPPORTED;
                }
            }
            5 | 2 | 4 => {
                if !entry.expired {
                    self.block_if_unrecoverable(entry);
                }
                entry.status = status::HARD;
            }
            _ => {
                if entry.status == status::DONE {
                    entry.status = status::ERROR;
                }
            }
        }
    }

    fn block_if_unrecoverable(&mut self, entry: &Entry) {
        if entry.task == "stop" && !self.can_fence(Some(entry.node)) {
            self.rscs[entry.rsc].managed = false;
            self.rscs[entry.rsc].blocked = true;
        }
    }

    // --- effects ------------------------------------------------------------------------------

    fn active_role(&self, rsc: RscIx) -> Role {
        if self.rscs[self.uber(rsc)].promotable { Role::Unpromoted } else { Role::Started }
    }

    fn set_active(&mut self, rsc: RscIx) {
        let role = self.active_role(rsc);
        self.rscs[rsc].orig_role = role;
    }

    fn unpack_pending(&mut self, entry: &Entry, last_failure: &Option<Arc<Element>>) {
        let rsc = entry.rsc;
        let superseded = last_failure.as_ref().is_some_and(|failure| {
            failure.get("operation") == Some(entry.task.as_str())
                && parse_interval_ms_attr(failure) == entry.interval
                && {
                    let change = |op: &Element| op.get("last-rc-change").and_then(scan_int);
                    match (change(failure), change(&entry.xml)) {
                        (Some(failed), Some(started)) => failed >= started,
                        _ => false,
                    }
                }
        });
        if superseded {
            return;
        }
        match entry.task.as_str() {
            "start" => {
                self.rscs[rsc].start_pending = true;
                self.set_active(rsc);
            }
            "promote" => self.rscs[rsc].orig_role = Role::Promoted,
            "migrate_to" if self.nodes[entry.node].unclean => {
                if let Some(target) = entry.xml.get("migrate_target")
                    && let Some(target) = self.node_by_name(target)
                {
                    self.stop_action(rsc, target, false);
                }
            }
            _ => {}
        }
        if self.rscs[rsc].pending_action.is_none() {
            if entry.is_probe() {
                // Shown only where people ask for it.
                return;
            }
            self.rscs[rsc].pending_action = Some(entry.task.clone());
            self.rscs[rsc].pending_node = Some(entry.node);
        }
    }

    fn update_state(
        &mut self,
        entry: &Entry,
        rc: i64,
        last_failure: &Option<Arc<Element>>,
        on_fail: &mut OnFail,
    ) {
        let rsc = entry.rsc;
        let mut clears = false;
        if rc == 5 || entry.masked {
            self.rscs[rsc].orig_role = Role::Stopped;
        } else if rc == 7 {
            clears = true;
        } else {
            match entry.task.as_str() {
                "monitor" => {
                    clears = last_failure.as_ref().is_some_and(|failure| {
                        let key = failure.get("operation_key").or_else(|| failure.id());
                        key == Some(entry.key().as_str())
                    });
                    if self.rscs[rsc].orig_role < Role::Started {
                        self.set_active(rsc);
                    }
                }
                "start" => {
                    self.rscs[rsc].orig_role = Role::Started;
                    clears = true;
                }
                "stop" => {
                    self.rscs[rsc].orig_role = Role::Stopped;
                    clears = true;
                }
                "promote" => {
                    self.rscs[rsc].orig_role = Role::Promoted;
                    clears = true;
                }
                "demote" => {
                    clears = *on_fail == OnFail::Demote;
                    self.rscs[rsc].orig_role = Role::Unpromoted;
                }
                "migrate_from" => {
                    self.rscs[rsc].orig_role = Role::Started;
                    clears = true;
                }
                "migrate_to" => self.migrate_to_succeeded(entry),
                _ => {
                    if self.rscs[rsc].orig_role < Role::Started {
                        self.set_active(rsc);
                    }
                }
            }
        }
        if clears {
            self.clear_past_failure(rsc, on_fail);
        }
    }

    fn clear_past_failure(&mut self, rsc: RscIx, on_fail: &mut OnFail) {
        match *on_fail {
            OnFail::Stop | OnFail::Ban | OnFail::Standby | OnFail::Fence => {}
            OnFail::ResetRemote if self.rscs[rsc].remote_reconnect_ms != 0 => {}
            _ => {
                *on_fail = OnFail::Ignore;
                self.rscs[rsc].next_role = Role::Unknown;
            }
        }
    }

    fn failure_response_of(&mut self, entry: &Entry) -> (OnFail, Role) {
        let op = self.find_op(entry.rsc, &entry.task, entry.interval, true);
        let meta = self.action_meta(
            entry.rsc,
            Some(entry.node),
            &entry.task,
            entry.interval,
            op.as_deref(),
        );
        let on_fail = self.failure_response(
            entry.rsc,
            &entry.task,
            entry.interval,
            meta.get("on-fail").map(EcoString::as_str),
        );
        let role = self.role_after_failure(entry.rsc, &entry.task, on_fail);
        (on_fail, role)
    }

    fn unpack_failure(
        &mut self,
        entry: &Entry,
        wanted: OnFail,
        fail_role: Role,
        last_failure: &mut Option<Arc<Element>>,
        on_fail: &mut OnFail,
    ) {
        let rsc = entry.rsc;
        *last_failure = Some(entry.xml.clone());
        if self.options.symmetric || entry.rc != 5 {
            self.say_unexpected(entry);
            self.record_failure(entry, entry.rc);
        }
        *on_fail = (*on_fail).max(wanted);
        match entry.task.as_str() {
            "stop" => self.add_score(rsc, entry.node, -INFINITY, &entry.source()),
            "migrate_to" => self.migrate_to_failed(entry),
            "migrate_from" => self.migrate_from_failed(entry),
            "promote" => self.rscs[rsc].orig_role = Role::Promoted,
            "demote" => {
                if wanted == OnFail::Block {
                    self.rscs[rsc].orig_role = Role::Promoted;
                    self.rscs[rsc].next_role = Role::Stopped;
                } else if entry.rc == 7 {
                    self.rscs[rsc].orig_role = Role::Stopped;
                } else {
                    self.rscs[rsc].orig_role = Role::Unpromoted;
                }
            }
            _ => {}
        }
        if entry.is_probe() && entry.rc == 5 {
            self.rscs[rsc].orig_role = Role::Stopped;
        } else if self.rscs[rsc].orig_role < Role::Started {
            self.set_active(rsc);
        }
        if fail_role != Role::Started && self.rscs[rsc].next_role < fail_role {
            self.rscs[rsc].next_role = fail_role;
        }
        if fail_role == Role::Stopped {
            let uber = self.uber(rsc);
            let banned = if self.is_anonymous_clone(uber) { uber } else { rsc };
            self.rscs[banned].allowed = Default::default();
            for node in self.node_order.clone() {
                let entry = Allowed { score: -INFINITY, ..self.nodes[node].base };
                self.rscs[banned].allowed.insert(node, entry);
            }
            self.note(banned, |_| entry.source());
        }
    }

    fn record_failure(&mut self, entry: &Entry, rc: i64) {
        if !self.nodes[entry.node].online {
            return;
        }
        let name = self.nodes[entry.node].name.clone();
        let key = entry.key();
        let known = self.failed_ops.iter().any(|failed| {
            let failed_key = failed.xml.get("operation_key").or_else(|| failed.xml.id());
            failed.node.eq_ignore_ascii_case(&name) && failed_key == Some(key.as_str())
        });
        if !known {
            self.failed_ops.push(FailedOp {
                xml: entry.xml.clone(),
                node: name,
                rsc: self.rscs[entry.rsc].id.clone(),
                rc: rc.clamp(0, 255) as i32,
            });
        }
    }

    // --- migration ----------------------------------------------------------------------------

    fn unknown_on(&self, rsc: &str, node: &str) -> bool {
        !self.history_ops(rsc, node).iter().any(|op| op.get("rc-code") != Some("193"))
    }

    fn non_monitor_after(&self, rsc: &str, node: &str, than: &Element) -> bool {
        self.history_ops(rsc, node).iter().any(|op| {
            matches!(op.get("operation"), Some("start" | "stop" | "migrate_to" | "migrate_from"))
                && cmp_ops_on(op, than, happened_on(than, node)).is_gt()
        })
    }

    /// Is something newer known of the resource on that node than the migration?
    fn newer_after_migrate(
        &self,
        rsc: &str,
        node: &str,
        migrate_to: Option<&Element>,
        migrate_from: Option<&Element>,
    ) -> bool {
        let mut than = migrate_from.or(migrate_to);
        if migrate_to.and_then(|op| op.get("migrate_source")) == Some(node) {
            than = migrate_to;
        }
        let Some(than) = than else { return false };
        if self.non_monitor_after(rsc, node, than) {
            return true;
        }
        self.history_ops(rsc, node).iter().any(|op| {
            op.get("operation") == Some("monitor")
                && op.get("rc-code") == Some("7")
                && op.get("op-status") == Some("0")
                && cmp_ops_on(op, than, happened_on(than, node)).is_gt()
        })
    }

    fn migration_ends(&self, entry: &Entry) -> Option<(EcoString, EcoString)> {
        let source = entry.xml.get("migrate_source").map(EcoString::from);
        let target = entry.xml.get("migrate_target").map(EcoString::from);
        let here = &self.nodes[entry.node].name;
        let (source, target) = (source?, target?);
        let mine = if entry.task == "migrate_to" { &source } else { &target };
        (mine.eq_ignore_ascii_case(here)).then_some((source, target))
    }

    fn migrate_to_succeeded(&mut self, entry: &Entry) {
        let rsc = entry.rsc;
        let Some((source, target)) = self.migration_ends(entry) else { return };
        let id: EcoString = entry.history_id(self);
        let target_node = self.node_by_name(&target);
        let source_node = entry.node;
        let source_newer = self.non_monitor_after(&id, &source, &entry.xml);
        let from = self.find_history_op(&id, &target, "migrate_from", Some(&source), None);
        if from.is_some() && source_newer {
            return;
        }
        let target_newer =
            self.newer_after_migrate(&id, &target, Some(&entry.xml), from.as_deref());
        if source_newer && target_newer {
            return;
        }
        let field = |name: &str| from.as_ref().and_then(|op| op.get(name)).and_then(scan_int);
        let from_rc = field("rc-code").unwrap_or(0);
        let from_status = field("op-status").unwrap_or(status::PENDING);
        if from.is_some() && from_rc == 0 && from_status == status::DONE {
            self.rscs[rsc].orig_role = Role::Stopped;
            self.rscs[rsc].dangling_sources.insert(0, source_node);
            return;
        }
        self.rscs[rsc].orig_role = Role::Started;
        let target_online = target_node.is_some_and(|t| self.nodes[t].online);
        let active_on_target = !target_newer && target_online;
        if from.is_some() && from_status != status::PENDING {
            if active_on_target && let Some(target) = target_node {
                self.add_active(rsc, target, true);
            } else {
                self.migration_failed(rsc);
            }
            return;
        }
        // Pending, or nothing is known of the target's side.
        if target_online && self.unknown_on(&id, &target) {
            return;
        }
        if active_on_target && let Some(target) = target_node {
            self.add_active(rsc, target, false);
            if self.nodes[source_node].online {
                self.rscs[rsc].partial_target = Some(target);
                self.rscs[rsc].partial_source = Some(source_node);
            }
        } else if !source_newer {
            self.migration_failed(rsc);
        }
    }

    fn migration_failed(&mut self, rsc: RscIx) {
        let r = &mut self.rscs[rsc];
        r.failed = true;
        r.stop_if_failed = true;
        r.migratable = false;
    }

    fn migrate_to_failed(&mut self, entry: &Entry) {
        let rsc = entry.rsc;
        let Some((source, target)) = self.migration_ends(entry) else { return };
        let id = entry.history_id(self);
        self.rscs[rsc].orig_role = Role::Started;
        let from = self.find_history_op(&id, &target, "migrate_from", Some(&source), None);
        if !self.unknown_on(&id, &target)
            && !self.newer_after_migrate(&id, &target, Some(&entry.xml), from.as_deref())
        {
            if let Some(target) = self.node_by_name(&target)
                && self.nodes[target].online
            {
                self.add_active(rsc, target, false);
            }
        } else if !self.non_monitor_after(&id, &source, &entry.xml) {
            self.rscs[rsc].dangling_sources.insert(0, entry.node);
        }
    }

    fn migrate_from_failed(&mut self, entry: &Entry) {
        let rsc = entry.rsc;
        let Some((source, target)) = self.migration_ends(entry) else { return };
        let id = entry.history_id(self);
        self.rscs[rsc].orig_role = Role::Started;
        let to = self.find_history_op(&id, &source, "migrate_to", None, Some(&target));
        if !self.unknown_on(&id, &source)
            && !self.newer_after_migrate(&id, &source, to.as_deref(), Some(&entry.xml))
            && let Some(source) = self.node_by_name(&source)
            && self.nodes[source].online
        {
            self.add_active(rsc, source, true);
        }
    }

    /// True for primitives.
    pub(crate) fn is_primitive(&self, rsc: RscIx) -> bool {
        self.rscs[rsc].variant == Variant::Primitive
    }
}

/// Did a migration operation run on that node?
fn happened_on(op: &Element, node: &str) -> bool {
    let place = match op.get("operation") {
        Some("migrate_to") => op.get("migrate_source"),
        Some("migrate_from") => op.get("migrate_target"),
        _ => None,
    };
    place.is_none_or(|place| place.eq_ignore_ascii_case(node))
}

impl Entry {
    /// The resource id as the status section has it.
    fn history_id(&self, sched: &Sched) -> EcoString {
        sched.history_name(self.rsc).into()
    }
}
