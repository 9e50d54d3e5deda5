//! The status section, first half: tickets and the states of nodes.
//! Source: `spec/scheduler-history.md` §1–3 and §5.

use std::sync::Arc;

use xml::Element;

use crate::ids::{NodeIx, RscIx};
use crate::model::{NodeKind, Role, Sched, Severity};
use crate::options::NoQuorum;
use crate::score::INFINITY;
use crate::text::{is_true, parse_bool, scan_int};

impl Sched {
    /// Reads the status section.
    pub(crate) fn unpack_status(&mut self) {
        let cib = self.cib.clone();
        let Some(status) = cib.child("status") else {
            self.finish_remote_states();
            return;
        };
        let mut states: Vec<Arc<Element>> = Vec::new();
        for child in status.shared_children() {
            match child.name() {
                "tickets" => self.unpack_ticket_states(child),
                "node_state" => {
                    states.push(child.clone());
                    self.unpack_node_state(child);
                }
                _ => {}
            }
        }
        while self.unpack_histories(&states, false) {}
        self.unpack_histories(&states, self.options.fencing);
        for container in std::mem::take(&mut self.stop_needed) {
            if let Some(node) = self.current_node(container) {
                self.stop_action(container, node, false);
            }
        }
        self.finish_remote_states();
    }

    fn finish_remote_states(&mut self) {
        for node in self.node_order.clone() {
            if !self.is_remote_kind(node) {
                continue;
            }
            if self.nodes[node].shutdown
                && let Some(connection) = self.nodes[node].connection
            {
                self.rscs[connection].next_role = Role::Stopped;
            }
            if !self.nodes[node].unpacked {
                self.remote_online_state(node);
            }
        }
    }

    fn unpack_ticket_states(&mut self, tickets: &Element) {
        for state in tickets.children_named("ticket_state") {
            let Some(id) = state.id() else { continue };
            let ticket = self.tickets.entry(id.into()).or_default();
            for (name, value) in state.attrs() {
                match name {
                    "id" => {}
                    "granted" => ticket.granted = is_true(Some(value)),
                    "standby" => ticket.standby = is_true(Some(value)),
                    "last-granted" => ticket.last_granted = scan_int(value),
                    _ => {
                        ticket.state.insert(name.into(), value.into());
                    }
                }
            }
        }
    }

    fn unpack_node_state(&mut self, state: &Arc<Element>) {
        let Some(node) = self.find_node(state.id(), state.get("uname")) else { return };
        self.nodes[node].state = Some(state.clone());
        if self.is_remote_kind(node) {
            self.nodes[node].remote_fenced =
                state.get("node_fenced").and_then(scan_int).is_some_and(|n| n != 0);
            return;
        }
        if let Some(attrs) = state.child("transient_attributes") {
            self.overwrite_node_attrs(node, attrs);
        }
        let attr = |sched: &Sched, name: &str| sched.nodes[node].attrs.get(name).cloned();
        if is_true(attr(self, "standby").as_deref()) {
            self.nodes[node].standby = true;
        }
        if is_true(attr(self, "maintenance").as_deref()) {
            self.nodes[node].maintenance = true;
        }
        let shutdown = attr(self, "shutdown").is_some_and(|value| value != "0");
        let n = &mut self.nodes[node];
        n.unclean = false;
        n.seen = true;
        let expected = state.get("expected").unwrap_or("");
        if shutdown {
            n.shutdown = true;
        } else if expected.eq_ignore_ascii_case("member") {
            n.expected_up = true;
        }
        let member = match state.get("in_ccm") {
            None => -1,
            Some(text) => {
                match parse_bool(text).filter(|_| scan_int(text).is_none() || text.len() == 1) {
                    Some(true) => self.now,
                    Some(false) => 0,
                    None => scan_int(text).filter(|when| *when >= 0).unwrap_or(-1),
                }
            }
        };
        let online = match state.get("crmd") {
            None => 0,
            Some(text) if text.eq_ignore_ascii_case("offline") => 0,
            Some(text) if text.eq_ignore_ascii_case("online") => self.now.max(1),
            Some(text) => scan_int(text).filter(|when| *when >= 0).unwrap_or(0),
        };
        let online = if self.options.fencing {
            self.online_with_fencing(node, state, member, online)
        } else {
            self.online_without_fencing(node, state, member, online)
        };
        let n = &mut self.nodes[node];
        n.online = online;
        if !n.online || n.shutdown {
            n.base.score = -INFINITY;
        }
        if online && !self.quorate && self.options.no_quorum == NoQuorum::Fence {
            self.fence_node(node, "cluster does not have quorum", false);
        }
    }

    fn online_without_fencing(
        &mut self,
        node: NodeIx,
        state: &Element,
        member: i64,
        online: i64,
    ) -> bool {
        if member <= 0 {
            return false;
        }
        if online > 0 {
            return state.get("join").is_some_and(|join| join.eq_ignore_ascii_case("member"));
        }
        if self.nodes[node].expected_up {
            self.fence_node(node, "peer is unexpectedly down", false);
        }
        false
    }

    fn online_with_fencing(
        &mut self,
        node: NodeIx,
        state: &Element,
        member: i64,
        online: i64,
    ) -> bool {
        let join = state.get("join").unwrap_or("down");
        let expected = state.get("expected").unwrap_or("down");
        let join_is = |word: &str| join.eq_ignore_ascii_case(word);
        let terminate = self.nodes[node].attrs.get("terminate").is_some_and(|value| {
            parse_bool(value).unwrap_or_else(|| scan_int(value).is_some_and(|n| n > 0))
        });
        let timeout = self.options.node_pending_timeout_s;
        if self.nodes[node].shutdown {
            return online > 0;
        }
        if member < 0 {
            self.fence_node(node, "peer has not been seen by the cluster", false);
            return false;
        }
        if join_is("banned") || join_is("nack") {
            self.fence_node(node, "peer failed Pacemaker membership criteria", false);
        } else if terminate {
            if !(member <= 0 && online <= 0 && join_is("down")) {
                self.fence_node(node, "fencing was requested", false);
            }
        } else if expected == "down" {
            if timeout > 0 && member > 0 && online <= 0 {
                if self.now >= member.saturating_add(timeout) {
                    self.fence_node(
                        node,
                        "peer pending timed out on joining the process group",
                        true,
                    );
                } else {
                    self.recheck_at(member.saturating_add(timeout));
                    self.nodes[node].standby = true;
                    self.nodes[node].pending = true;
                }
            } else if member > 0 || online > 0 {
                self.nodes[node].standby = true;
                self.nodes[node].pending = true;
            }
        } else if member <= 0 {
            self.fence_node(node, "peer is no longer part of the cluster", true);
        } else if online <= 0 {
            self.fence_node(node, "peer process is no longer available", false);
        } else if join_is("member") {
            // As it should be.
        } else if join_is("pending") || join_is("down") {
            self.nodes[node].standby = true;
            self.nodes[node].pending = true;
        } else {
            self.fence_node(node, "peer was in an unknown state", false);
        }
        member > 0
    }

    /// One pass over the histories; true if some node's was read. Source: §1 items 2 and 3.
    fn unpack_histories(&mut self, states: &[Arc<Element>], all: bool) -> bool {
        let mut found = false;
        for state in states {
            let (id, name) = (state.id(), state.get("uname"));
            if id.is_none() || name.is_none() {
                continue;
            }
            let Some(node) = self.find_node(id, name) else { continue };
            if self.nodes[node].unpacked || !(all || self.history_counts(node)) {
                continue;
            }
            if self.is_remote_kind(node) {
                self.remote_online_state(node);
                self.remote_attrs(node, state);
            }
            self.nodes[node].unpacked = true;
            found = true;
            self.unpack_node_history(node, state);
        }
        found
    }

    fn history_counts(&self, node: NodeIx) -> bool {
        let n = &self.nodes[node];
        if n.kind == NodeKind::Cluster {
            return n.online || self.options.fencing || self.options.shutdown_lock;
        }
        let Some(connection) = n.connection else { return false };
        let started = |rsc: RscIx| self.rscs[rsc].orig_role == Role::Started;
        match self.rscs[connection].launcher {
            Some(launcher) => started(connection) && started(launcher),
            None => self.options.shutdown_lock || started(connection),
        }
    }

    fn remote_online_state(&mut self, node: NodeIx) {
        let Some(connection) = self.nodes[node].connection else {
            self.nodes[node].online = false;
            return;
        };
        let c = &self.rscs[connection];
        let launcher = c.launcher;
        // Where its connection is; the container may be thought to run elsewhere, too.
        let host = match c.active.as_slice() {
            [only] if launcher.is_some() => Some(*only),
            _ => None,
        };
        let (started, stopped) = (c.orig_role == Role::Started, c.orig_role == Role::Stopped);
        let (failed, stopping) = (c.failed, c.next_role == Role::Stopped);
        let launcher_failed = launcher.is_some_and(|l| self.rscs[l].failed);
        let launcher_stopped = launcher.is_some_and(|l| self.rscs[l].orig_role == Role::Stopped);
        let host_lost = host.is_some_and(|h| !self.nodes[h].online && self.nodes[h].unclean);
        let n = &mut self.nodes[node];
        if started {
            n.online = true;
            if stopping {
                n.shutdown = true;
            }
        }
        if launcher_failed {
            n.online = false;
            n.remote_reset = true;
        } else if failed {
            n.online = false;
        } else if stopped || launcher_stopped {
            n.online = false;
            n.remote_reset = false;
        } else if host_lost {
            n.online = false;
            n.remote_reset = true;
        }
    }

    fn remote_attrs(&mut self, node: NodeIx, state: &Element) {
        let maintenance = state.get("node_in_maintenance").and_then(scan_int);
        self.nodes[node].remote_maint = maintenance.is_some_and(|n| n != 0);
        if !self.nodes[node].remote_reset {
            self.nodes[node].unclean = false;
            self.nodes[node].seen = true;
        }
        if let Some(attrs) = state.child("transient_attributes") {
            self.overwrite_node_attrs(node, attrs);
        }
        let attr = |sched: &Sched, name: &str| sched.nodes[node].attrs.get(name).cloned();
        if attr(self, "shutdown").is_some_and(|value| value != "0") {
            self.nodes[node].shutdown = true;
        }
        if is_true(attr(self, "standby").as_deref()) {
            self.nodes[node].standby = true;
        }
        let connection_unmanaged =
            self.nodes[node].connection.is_some_and(|c| !self.rscs[c].managed);
        if is_true(attr(self, "maintenance").as_deref()) || connection_unmanaged {
            self.nodes[node].maintenance = true;
        }
        if let Some(value) = attr(self, "resource-discovery-enabled")
            && !is_true(Some(&value))
            && (!self.is_remote_node(node) || self.options.fencing)
        {
            self.nodes[node].probes_allowed = false;
        }
    }

    /// Marks a node for fencing. Source: §5.
    pub(crate) fn fence_node(&mut self, node: NodeIx, reason: &str, priority_delay: bool) {
        if let Some(launcher) = self.guest_launcher(node) {
            if !self.rscs[launcher].failed && self.rscs[launcher].managed {
                self.nodes[node].remote_reset = true;
                self.rscs[launcher].failed = true;
                self.rscs[launcher].stop_if_failed = true;
            }
            return;
        }
        let connection = self.nodes[node].connection;
        if self.is_remote_kind(node)
            && let Some(c) = connection
        {
            if self.rscs[c].removed_launched {
                self.rscs[c].failed = true;
                self.rscs[c].stop_if_failed = true;
                return;
            }
            if self.rscs[c].managed && !self.nodes[node].remote_reset {
                self.nodes[node].remote_reset = true;
            }
            self.nodes[node].unclean = true;
            self.fence_op(node, None, true, Some(reason), priority_delay);
            return;
        }
        if self.nodes[node].unclean {
            return;
        }
        if !self.can_fence(Some(node)) {
            let text = format!("Cluster node {} is unclean: {reason}", self.nodes[node].name);
            self.say(Severity::Warning, "pe_fence_node", text);
        } else {
            let text = format!("Cluster node {} will be fenced: {reason}", self.nodes[node].name);
            self.say(Severity::Warning, "pe_fence_node", text);
        }
        self.nodes[node].unclean = true;
        self.fence_op(node, None, true, Some(reason), priority_delay);
    }

    /// Adds to the priority of a node (and of a guest's hosts). Source: §5.
    pub(crate) fn add_node_priority(&mut self, rsc: RscIx, node: NodeIx, failed: bool) {
        if failed {
            return;
        }
        let r = &self.rscs[rsc];
        let promoted = i32::from(r.orig_role == Role::Promoted);
        let priority = crate::score::add(r.priority, 0);
        if priority == 0 && promoted == 0 {
            return;
        }
        let priority = if priority == 0 { 0 } else { priority + promoted };
        let hosts = match self.guest_launcher(node) {
            Some(launcher) => self.rscs[launcher].active.clone(),
            None => Vec::new(),
        };
        for n in std::iter::once(node).chain(hosts) {
            let sum = self.nodes[n].priority.saturating_add(priority);
            self.nodes[n].priority = sum;
        }
    }
}
