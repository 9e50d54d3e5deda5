//! What the cluster delivers: joins, leaves, messages, and the lists of a synchronisation.
//!
//! Source: `spec/corosync-services.md` §5.5.

use base::NodeId;
use base::log::Priority;

use super::wire::{self, Fragment, Listed, Reason, function};
use super::{Cpg, FLAG_INITIAL_TOTEM_CONF, Process, SUBSYS, State, printable};
use crate::engine::Ctx;
use crate::wire::Fields;

impl Cpg {
    /// A cluster message. Malformed ones are dropped.
    pub fn deliver(
        &mut self,
        ctx: &mut Ctx<'_>,
        from: NodeId,
        function: u16,
        message: &Fields<'_>,
    ) {
        // `None`: the message is too short for what it claims to hold.
        let done = match function {
            function::PROCJOIN => self.process_joined(ctx, from, message),
            function::PROCLEAVE => self.process_left(ctx, from, message),
            function::JOINLIST => {
                for (pid, group) in wire::read_joinlist(message) {
                    self.joinlists.push_front(Process { node: from, pid, group });
                }
                Some(())
            }
            function::MCAST => self.message(ctx, from, message),
            function::PARTIAL_MCAST => self.fragment(ctx, from, message),
            function::DOWNLIST => {
                let left = message.u32(24).unwrap_or(0);
                ctx.log(Priority::Debug, SUBSYS, || format!("downlist left_list: {left} received"));
                Some(())
            }
            // The down list of versions before 3.0 has no effect.
            _ => Some(()),
        };
        if done.is_none() {
            ctx.log(Priority::Warning, SUBSYS, || {
                format!("malformed message {function} from node {from} ignored")
            });
        }
    }

    fn process_joined(
        &mut self,
        ctx: &mut Ctx<'_>,
        from: NodeId,
        message: &Fields<'_>,
    ) -> Option<()> {
        let (group, pid, _) = wire::read_proc_change(message)?;
        ctx.log(Priority::Debug, SUBSYS, || {
            format!("got procjoin message from cluster node {from} for pid {pid}")
        });
        let process = Process { node: from, pid, group };
        if self.processes.contains(&process) {
            return Some(());
        }
        self.insert(process.clone());
        self.send_confchg(ctx, &process.group, &[], &[(from, pid, Reason::Join as u32)]);
        Some(())
    }

    fn process_left(
        &mut self,
        ctx: &mut Ctx<'_>,
        from: NodeId,
        message: &Fields<'_>,
    ) -> Option<()> {
        let (group, pid, reason) = wire::read_proc_change(message)?;
        ctx.log(Priority::Debug, SUBSYS, || {
            format!("got procleave message from cluster node {from} for pid {pid}")
        });
        let process = Process { node: from, pid, group };
        self.processes.retain(|known| *known != process);
        self.send_confchg(ctx, &process.group, &[(from, pid, reason)], &[]);
        Some(())
    }

    fn message(&mut self, ctx: &mut Ctx<'_>, from: NodeId, message: &Fields<'_>) -> Option<()> {
        let group = name_of(message)?;
        let pid = message.u32(160)?;
        let body = message.slice(184, message.u32(152)? as usize)?;
        if self.is_deliverable(ctx, from, group) {
            for client in self.clients.iter().filter(|client| client.hears(group)) {
                ctx.event(client.conn, wire::deliver(group, from, pid, body));
            }
        }
        Some(())
    }

    fn fragment(&mut self, ctx: &mut Ctx<'_>, from: NodeId, message: &Fields<'_>) -> Option<()> {
        let group = name_of(message)?;
        let (total, pid, kind) = (message.u32(152)?, message.u32(168)?, message.u32(176)?);
        let body = message.slice(200, message.u32(160)? as usize)?;
        let size = body.len();
        ctx.log(Priority::Debug, SUBSYS, || {
            format!("Got fragmented message from node {from}, size = {size} bytes")
        });
        if self.is_deliverable(ctx, from, group) {
            let fragment = Fragment { total, kind, body };
            for client in self.clients.iter().filter(|client| client.hears(group)) {
                ctx.event(client.conn, wire::partial_deliver(group, from, pid, fragment));
            }
        }
        Some(())
    }

    /// Whether somebody here listens, and the sender's node is known in the group.
    fn is_deliverable(&self, ctx: &mut Ctx<'_>, from: NodeId, group: &[u8]) -> bool {
        if !self.clients.iter().any(|client| client.hears(group)) {
            return false;
        }
        // Who was away is known again once the synchronisation is over.
        let known = !self.left_nodes.contains(&from)
            && self.processes.iter().any(|p| p.node == from && p.group == group);
        if !known {
            ctx.log(Priority::Warning, SUBSYS, || {
                "Unknown node -> we will not deliver message".into()
            });
        }
        known
    }

    /// Adds a process behind its equals, so that the list is the same on all nodes.
    pub(super) fn insert(&mut self, process: Process) {
        let key = (process.node, process.pid);
        let at = self.processes.partition_point(|known| (known.node, known.pid) <= key);
        self.processes.insert(at, process);
    }

    /// Tells the local members of a group who left and joined. `processes` is the new state.
    pub(super) fn send_confchg(
        &mut self,
        ctx: &mut Ctx<'_>,
        group: &[u8],
        left: &[Listed],
        joined: &[Listed],
    ) {
        for client in &mut self.clients {
            let joins = joined.iter().any(|(node, pid, _)| *node == ctx.me && *pid == client.pid);
            // A client that is already leaving again must not be turned back into a member.
            if joins && client.group == group && client.state == State::JoinStarted {
                client.state = State::JoinCompleted;
            }
        }
        let members = self.listed(group);
        for client in self.clients.iter_mut().filter(|client| client.hears(group)) {
            client.transitions += 1;
            ctx.event(client.conn, wire::confchg(group, &members, left, joined));
        }
        for client in &mut self.clients {
            if client.flags & FLAG_INITIAL_TOTEM_CONF != 0 && !client.initial_sent {
                client.initial_sent = true;
                ctx.event(client.conn, wire::totem_confchg(self.last_ring, &self.old_members));
            }
        }
    }

    /// The members for the log.
    pub(super) fn log_joinlists(&self, ctx: &mut Ctx<'_>) {
        for (nth, process) in self.joinlists.iter().enumerate() {
            ctx.log(Priority::Debug, SUBSYS, || {
                let group = printable(&process.group);
                format!(
                    "joinlist_messages[{nth}] group:{group}, node:{}, pid:{}",
                    process.node, process.pid
                )
            });
        }
    }
}

/// The group of a message without copying it.
fn name_of<'a>(message: &Fields<'a>) -> Option<&'a [u8]> {
    let len = message.u32(16)? as usize;
    if len > wire::NAME_MAX { None } else { message.slice(24, len) }
}
