//! Actions on remote and guest nodes need their connections. Source: `spec/scheduler-actions.md` §9.

use crate::action::{End, flag, rel};
use crate::ids::{ActIx, NodeIx, RscIx};
use crate::model::{Role, Sched};
use crate::text::op_key;

/// How a remote connection is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Connection {
    Unknown,
    Alive,
    Resting,
    Failed,
    Stopped,
}

impl Sched {
    fn connection_state(&self, node: NodeIx) -> Connection {
        let Some(connection) = self.nodes[node].connection else { return Connection::Unknown };
        let c = &self.rscs[connection];
        let (current, count, _) = self.active_choice(connection);
        if c.next_role == Role::Stopped || c.assigned.is_none() {
            if current.is_some_and(|host| self.nodes[host].unclean) {
                return Connection::Failed;
            }
            if !c.failed {
                return Connection::Stopped;
            }
            let n = &self.nodes[node];
            if c.next_role == Role::Stopped
                && c.remote_reconnect_ms != 0
                && n.remote_fenced
                && n.attrs.get("shutdown").is_none_or(|v| v == "0")
            {
                return Connection::Unknown;
            }
            return Connection::Failed;
        }
        let Some(host) = current else { return Connection::Unknown };
        let host = &self.nodes[host];
        if host.unclean || !host.online {
            return Connection::Resting;
        }
        if count > 1 && c.partial_source.is_some() && c.partial_target.is_some() {
            return Connection::Resting;
        }
        Connection::Alive
    }

    /// Is a remote node's connection beyond recovery?
    pub(crate) fn connection_failed(&self, node: NodeIx) -> bool {
        self.connection_state(node) == Connection::Failed
    }

    pub(crate) fn order_remote_connections(&mut self) {
        if !self.have_remote_nodes {
            return;
        }
        let all: Vec<ActIx> = self.actions.ids().rev().collect();
        for ix in all {
            let action = &self.actions[ix];
            let Some(rsc) = action.rsc else { continue };
            if self.rscs[rsc].is_connection && action.task == "clear_failcount" {
                let start = End::key(rsc, op_key(&self.rscs[rsc].id, "start", 0));
                self.order(End { action: Some(ix), ..End::default() }, start, rel::ORDERED);
                continue;
            }
            let Some(node) = action.node else { continue };
            if !self.is_remote_kind(node) || action.is(flag::PSEUDO) {
                continue;
            }
            let Some(connection) = self.nodes[node].connection else { continue };
            if action.task == "start" {
                self.order_start_before_other_stops(rsc, node, connection);
            }
            if self.is_guest(node) {
                self.order_on_guest(ix, node, connection);
            } else {
                self.order_on_remote(ix, node, connection);
            }
        }
    }

    /// A start that moves a resource to a remote node must not leave it without a place.
    fn order_start_before_other_stops(&mut self, rsc: RscIx, node: NodeIx, connection: RscIx) {
        for other in self.rscs[rsc].actions.clone() {
            let action = &self.actions[other];
            if action.node.is_none() || action.node == Some(node) || action.task != "stop" {
                continue;
            }
            let start = End::key(connection, op_key(&self.rscs[connection].id, "start", 0));
            self.order(start, End { action: Some(other), ..End::default() }, rel::ORDERED);
        }
    }

    fn is_recurring(&self, ix: ActIx) -> bool {
        self.action_meta_int(ix, "interval").is_some_and(|ms| ms > 0)
    }

    fn connection_start_first(&mut self, connection: RscIx, ix: ActIx, flags: u32) {
        let start = End::key(connection, op_key(&self.rscs[connection].id, "start", 0));
        self.order(
            start,
            End { action: Some(ix), ..End::default() },
            flags | rel::UFB | rel::ORDERED,
        );
    }

    fn connection_stop_last(&mut self, connection: RscIx, ix: ActIx, flags: u32) {
        let stop = End::key(connection, op_key(&self.rscs[connection].id, "stop", 0));
        self.order(End { action: Some(ix), ..End::default() }, stop, flags | rel::ORDERED);
    }

    fn order_on_guest(&mut self, ix: ActIx, node: NodeIx, connection: RscIx) {
        let Some(launcher) = self.rscs[connection].launcher else { return };
        let launcher_failed = self.rscs[launcher].failed;
        if launcher_failed {
            self.fence_node(node, "container failed", false);
        }
        let task = self.actions[ix].task.clone();
        let as_stop = matches!(task.as_str(), "stop" | "demote" | "migrate_to" | "migrate_from");
        if matches!(task.as_str(), "start" | "promote") {
            let start = End::key(launcher, op_key(&self.rscs[launcher].id, "start", 0));
            let then = End { action: Some(ix), ..End::default() };
            self.order(start, then.clone(), rel::FIT | rel::UFB | rel::GUEST_ALLOWED);
            let start = End::key(connection, op_key(&self.rscs[connection].id, "start", 0));
            self.order(start, then, rel::UFB | rel::GUEST_ALLOWED);
        } else if as_stop {
            if !launcher_failed {
                let stop = End::key(connection, op_key(&self.rscs[connection].id, "stop", 0));
                let first = End { action: Some(ix), ..End::default() };
                self.order(first, stop, rel::GUEST_ALLOWED);
            }
        } else if self.is_recurring(ix) {
            // A recurring operation starts anew with the connection; its cancellation need not wait.
            if task != "cancel" {
                self.connection_start_first(connection, ix, rel::FIT);
            }
        } else {
            self.connection_start_first(connection, ix, rel::NONE);
        }
    }

    fn order_on_remote(&mut self, ix: ActIx, node: NodeIx, connection: RscIx) {
        let state = self.connection_state(node);
        let mut task = self.actions[ix].task.clone();
        if matches!(task.as_str(), "migrate_to" | "migrate_from") {
            // As far as the connection is concerned, leaving is a kind of stopping.
            task = "stop".into();
        }
        match task.as_str() {
            "start" | "promote" => {
                let flags = if state == Connection::Failed { rel::FIT } else { rel::NONE };
                self.connection_start_first(connection, ix, flags);
            }
            "stop" => {
                if state == Connection::Alive {
                    self.connection_stop_last(connection, ix, rel::TIF);
                } else if state == Connection::Failed {
                    self.fence_node(
                        node,
                        "resources are active but connection is unrecoverable",
                        false,
                    );
                } else if self.rscs[connection].next_role == Role::Stopped {
                    self.connection_stop_last(connection, ix, rel::TIF);
                } else {
                    self.connection_start_first(connection, ix, rel::NONE);
                }
            }
            "demote" => {
                if matches!(state, Connection::Resting | Connection::Unknown) {
                    self.connection_start_first(connection, ix, rel::NONE);
                }
            }
            _ if self.is_recurring(ix) => self.connection_start_first(connection, ix, rel::FIT),
            _ => {
                if task == "monitor" && state == Connection::Failed {
                    self.fence_node(
                        node,
                        "resources are in unknown state and connection is unrecoverable",
                        false,
                    );
                }
                let host = self.current_node(connection);
                if host.is_some() && state == Connection::Stopped {
                    self.connection_stop_last(connection, ix, rel::UFB);
                } else {
                    self.connection_start_first(connection, ix, rel::NONE);
                }
            }
        }
    }
}
