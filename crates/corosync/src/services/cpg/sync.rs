//! What a new membership changes: members on lost nodes are gone, members on found nodes appear.
//!
//! Source: `spec/corosync-services.md` §5.8.

use std::collections::BTreeMap;

use base::NodeId;
use base::log::Priority;

use super::wire::{self, Listed, Reason, function};
use super::{Cpg, Process, SUBSYS};
use crate::engine::{Ctx, ServiceId};
use crate::ring::RingId;

impl Cpg {
    /// A synchronisation begins.
    ///
    /// Who was lost in one that was interrupted stays lost, though it may be with us again by now:
    /// it has seen other things than we. (Upstream forgets it, and its processes go on as if
    /// nothing had been missed.)
    pub fn sync_init(&mut self, trans: &[NodeId], members: &[NodeId], ring: RingId) {
        self.members = members.to_vec();
        self.last_ring = ring;
        let lost = std::mem::take(&mut self.left_nodes);
        let is_left = |node: &&NodeId| !trans.contains(node) || lost.contains(node);
        self.left_nodes = self.old_members.iter().filter(is_left).copied().collect();
        self.joinlists.clear();
    }

    /// Sends what the others need.
    pub fn sync_process(&mut self, ctx: &mut Ctx<'_>) {
        let downlist = wire::downlist(self.old_members.len(), &self.left_nodes);
        ctx.mcast(ServiceId::Cpg, function::DOWNLIST, downlist);
        let own: Vec<&Process> = self.processes.iter().filter(|p| p.node == ctx.me).collect();
        if !own.is_empty() {
            let joinlist = wire::joinlist(own.into_iter());
            ctx.mcast(ServiceId::Cpg, function::JOINLIST, joinlist);
        }
    }

    /// Everybody has sent: the new state is taken over.
    pub fn sync_activate(&mut self, ctx: &mut Ctx<'_>) {
        let old_count = self.old_members.len();
        self.old_members.clone_from(&self.members);
        let left_count = self.left_nodes.len();
        ctx.log(Priority::Debug, SUBSYS, || {
            format!("my downlist: members(old:{old_count} left:{left_count})")
        });
        self.log_joinlists(ctx);
        self.apply_downlist(ctx);
        self.apply_joinlists(ctx);
        self.remove_zombies(ctx);
        self.joinlists.clear();
        for client in &self.clients {
            ctx.event(client.conn, wire::totem_confchg(self.last_ring, &self.old_members));
        }
    }

    /// A synchronisation is interrupted.
    pub fn sync_abort(&mut self) {
        self.joinlists.clear();
    }

    fn apply_downlist(&mut self, ctx: &mut Ctx<'_>) {
        let mut left: BTreeMap<Vec<u8>, Vec<Listed>> = BTreeMap::new();
        for process in self.processes.iter().filter(|p| self.left_nodes.contains(&p.node)) {
            let listed = (process.node, process.pid, Reason::NodeDown as u32);
            left.entry(process.group.clone()).or_default().push(listed);
        }
        let gone = std::mem::take(&mut self.left_nodes);
        self.processes.retain(|process| !gone.contains(&process.node));
        for (group, left) in left {
            self.send_confchg(ctx, &group, &left, &[]);
        }
    }

    fn apply_joinlists(&mut self, ctx: &mut Ctx<'_>) {
        let mut joined: BTreeMap<Vec<u8>, Vec<Listed>> = BTreeMap::new();
        let new: Vec<Process> =
            self.joinlists.iter().filter(|process| process.node != ctx.me).cloned().collect();
        for process in new {
            if self.processes.contains(&process) {
                continue;
            }
            let listed = (process.node, process.pid, Reason::NodeUp as u32);
            joined.entry(process.group.clone()).or_default().push(listed);
            self.insert(process);
        }
        for (group, joined) in joined {
            self.send_confchg(ctx, &group, &[], &joined);
        }
    }

    /// Processes that their own node no longer knows.
    fn remove_zombies(&mut self, ctx: &mut Ctx<'_>) {
        let zombies: Vec<Process> = self
            .processes
            .iter()
            .filter(|p| p.node != ctx.me && !self.joinlists.contains(p))
            .cloned()
            .collect();
        for zombie in zombies {
            self.processes.retain(|process| *process != zombie);
            let left = (zombie.node, zombie.pid, Reason::ProcDown as u32);
            self.send_confchg(ctx, &zombie.group, &[left], &[]);
        }
    }
}
