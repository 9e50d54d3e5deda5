//! Closed process groups: processes join named groups, see each other come and go, and multicast
//! to the group in one order on all nodes. This file: the state and the requests of clients;
//! [`exec`]: what the cluster delivers; [`sync`]: what a new membership changes.
//!
//! Source: `spec/corosync-services.md` §5.

mod exec;
mod sync;
pub mod wire;

use std::collections::{BTreeMap, VecDeque};

use base::NodeId;
use base::log::Priority;

use crate::engine::{ConnId, Ctx, ServiceId};
use crate::ring::RingId;
use crate::wire::{CsError, Fields, Message};
use wire::{Fragment, Reason, function};

const SUBSYS: &str = "CPG";

/// Flag of a join: the client wants to hear of the ring at once.
const FLAG_INITIAL_TOTEM_CONF: u32 = 1;

/// A member of a group, anywhere in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its node.
    pub node: NodeId,
    /// Its process id there.
    pub pid: u32,
    /// The group.
    pub group: Vec<u8>,
}

/// Kinds of iterations.
const NAME_ONLY: u32 = 1;
const ONE_GROUP: u32 = 2;
const ALL: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    // The numbers are in log lines.
    Unjoined = 0,
    LeaveStarted = 1,
    JoinStarted = 2,
    JoinCompleted = 3,
}

/// One connection.
#[derive(Debug)]
struct Client {
    conn: ConnId,
    group: Vec<u8>,
    pid: u32,
    state: State,
    flags: u32,
    initial_sent: bool,
    /// Membership changes told to it.
    transitions: u64,
    /// That number when its current big message began.
    first_fragment: u64,
}

impl Client {
    fn hears(&self, group: &[u8]) -> bool {
        matches!(self.state, State::JoinCompleted | State::LeaveStarted) && self.group == group
    }
}

#[derive(Debug)]
struct Iteration {
    conn: ConnId,
    items: Vec<Process>,
    /// The next one. After the end it begins anew, as upstream's does.
    at: usize,
}

/// The service.
#[derive(Debug, Default)]
pub struct Cpg {
    /// Newest first: events go to the most recent connection first.
    clients: VecDeque<Client>,
    /// All members of all groups, by node then pid; equal on all nodes.
    processes: Vec<Process>,
    iterations: BTreeMap<u64, Iteration>,
    next_iteration: u64,
    members: Vec<NodeId>,
    old_members: Vec<NodeId>,
    last_ring: RingId,
    left_nodes: Vec<NodeId>,
    /// Received at the running synchronisation, newest first.
    joinlists: VecDeque<Process>,
}

impl Cpg {
    /// A client connected.
    pub fn connect(&mut self, conn: ConnId) {
        self.clients.push_front(Client {
            conn,
            group: Vec::new(),
            pid: 0,
            state: State::Unjoined,
            flags: 0,
            initial_sent: false,
            transitions: 0,
            first_fragment: 0,
        });
    }

    /// A client is gone.
    pub fn disconnect(&mut self, ctx: &mut Ctx<'_>, conn: ConnId) {
        self.iterations.retain(|_, iteration| iteration.conn != conn);
        let Some(at) = self.clients.iter().position(|client| client.conn == conn) else { return };
        let Some(client) = self.clients.remove(at) else { return };
        if !client.group.is_empty() && client.state != State::LeaveStarted {
            self.send_leave(ctx, &client.group, client.pid, Reason::ProcDown);
        }
    }

    /// A request of a client.
    pub fn request(&mut self, ctx: &mut Ctx<'_>, conn: ConnId, message: &Fields<'_>) {
        let done = match message.i32(0) {
            Some(0) => self.join(ctx, conn, message),
            Some(1) => self.leave(ctx, conn, message),
            // No answer to this one, whatever happens.
            Some(2) => {
                self.mcast(ctx, conn, message);
                Some(())
            }
            Some(3) => self.membership(ctx, conn, message),
            Some(4) => {
                let mut answer = Message::response(7, 32, CsError::Ok);
                answer.put_u32(24, ctx.me.0);
                ctx.reply(conn, answer);
                Some(())
            }
            Some(5) => self.iteration_start(ctx, conn, message),
            Some(6) => self.iteration_next(ctx, conn, message),
            Some(7) => self.iteration_end(ctx, conn, message),
            Some(8) => {
                self.finalize(ctx, conn);
                Some(())
            }
            Some(12) => self.partial_mcast(ctx, conn, message),
            _ => None,
        };
        if done.is_none() {
            ctx.reply_status(conn, 0, CsError::InvalidParam);
        }
    }

    fn client(&mut self, conn: ConnId) -> Option<&mut Client> {
        self.clients.iter_mut().find(|client| client.conn == conn)
    }

    fn join(&mut self, ctx: &mut Ctx<'_>, conn: ConnId, message: &Fields<'_>) -> Option<()> {
        if message.u32(16)? as usize > wire::NAME_MAX {
            ctx.reply_status(conn, 0, CsError::NameTooLong);
            return Some(());
        }
        let group = wire::group_at(message, 16)?;
        let (pid, flags) = (message.u32(152)?, message.u32(160)?);
        let error = self.try_join(ctx, conn, group, pid, flags);
        ctx.reply_status(conn, 0, error);
        Some(())
    }

    fn try_join(
        &mut self,
        ctx: &mut Ctx<'_>,
        conn: ConnId,
        group: Vec<u8>,
        pid: u32,
        flags: u32,
    ) -> CsError {
        if self.clients.iter().any(|client| client.pid == pid && client.group == group) {
            return CsError::Exist;
        }
        let me = ctx.me;
        if self.processes.iter().any(|p| p.node == me && p.pid == pid && p.group == group) {
            return CsError::TryAgain;
        }
        let Some(client) = self.client(conn) else { return CsError::BadHandle };
        match client.state {
            State::Unjoined => {}
            State::JoinStarted | State::JoinCompleted => return CsError::Exist,
            State::LeaveStarted => return CsError::Busy,
        }
        client.state = State::JoinStarted;
        client.pid = pid;
        client.flags = flags;
        client.group.clone_from(&group);
        let join = wire::proc_change(function::PROCJOIN, &group, pid, Reason::Join);
        ctx.mcast(ServiceId::Cpg, function::PROCJOIN, join);
        CsError::Ok
    }

    fn leave(&mut self, ctx: &mut Ctx<'_>, conn: ConnId, message: &Fields<'_>) -> Option<()> {
        let group = wire::group_at(message, 16)?;
        let pid = message.u32(152)?;
        ctx.log(Priority::Debug, SUBSYS, || format!("got leave request on {conn}"));
        let error = match self.client(conn).map(|client| client.state) {
            None | Some(State::Unjoined | State::LeaveStarted) => CsError::NotExist,
            Some(State::JoinStarted) => CsError::Busy,
            Some(State::JoinCompleted) => {
                if let Some(client) = self.client(conn) {
                    client.state = State::LeaveStarted;
                }
                self.send_leave(ctx, &group, pid, Reason::Leave);
                CsError::Ok
            }
        };
        ctx.reply_status(conn, 1, error);
        Some(())
    }

    fn send_leave(&self, ctx: &mut Ctx<'_>, group: &[u8], pid: u32, reason: Reason) {
        let leave = wire::proc_change(function::PROCLEAVE, group, pid, reason);
        ctx.mcast(ServiceId::Cpg, function::PROCLEAVE, leave);
    }

    /// Sends an MCAST request's message; `Err` says why not.
    ///
    /// # Errors
    /// `NotExist` when the client is in no group, `InvalidParam` for a malformed request.
    pub fn mcast(&mut self, ctx: &mut Ctx<'_>, conn: ConnId, message: &Fields<'_>) -> CsError {
        let body = message.u32(32).and_then(|len| message.slice(40, len as usize));
        let (Some(body), Some(client)) = (body, self.client(conn)) else {
            return CsError::InvalidParam;
        };
        match client.state {
            State::JoinStarted | State::JoinCompleted => {
                let sent = wire::mcast(&client.group, client.pid, ctx.me, body);
                ctx.mcast(ServiceId::Cpg, function::MCAST, sent);
                CsError::Ok
            }
            State::Unjoined | State::LeaveStarted => {
                let (group, state) = (printable(&client.group), client.state as i32);
                ctx.log(Priority::Error, SUBSYS, || {
                    format!("*** {conn} can't mcast to group {group} state:{state}, error:12")
                });
                CsError::NotExist
            }
        }
    }

    fn partial_mcast(
        &mut self,
        ctx: &mut Ctx<'_>,
        conn: ConnId,
        message: &Fields<'_>,
    ) -> Option<()> {
        let (total, kind) = (message.u32(32)?, message.u32(48)?);
        let body = message.slice(56, message.u32(40)? as usize)?;
        let client = self.client(conn)?;
        if kind == wire::FIRST {
            client.first_fragment = client.transitions;
        }
        let error = match client.state {
            State::Unjoined | State::LeaveStarted => CsError::NotExist,
            _ if client.first_fragment != client.transitions => CsError::Interrupt,
            State::JoinStarted | State::JoinCompleted => {
                let fragment = Fragment { total, kind, body };
                let sent = wire::partial_mcast(&client.group, client.pid, ctx.me, fragment);
                ctx.mcast(ServiceId::Cpg, function::PARTIAL_MCAST, sent);
                CsError::Ok
            }
        };
        ctx.reply_status(conn, 18, error);
        Some(())
    }

    fn membership(&mut self, ctx: &mut Ctx<'_>, conn: ConnId, message: &Fields<'_>) -> Option<()> {
        let group = wire::group_at(message, 16)?;
        let answer = wire::membership(&self.listed(&group));
        ctx.reply(conn, answer);
        Some(())
    }

    /// The members of a group, in the order of member lists.
    fn listed(&self, group: &[u8]) -> Vec<wire::Listed> {
        let members = self.processes.iter().filter(|process| process.group == group);
        members.map(|process| (process.node, process.pid, 0)).collect()
    }

    /// All processes as iterations show them: the group met last first, and in a group the first
    /// process, then the others from the last to the second. An odd order, but scripts see it.
    fn by_group(&self) -> Vec<Process> {
        let mut all: Vec<Process> = Vec::new();
        for process in &self.processes {
            let place = all.iter().position(|other| other.group == process.group);
            all.insert(place.map_or(0, |first| first + 1), process.clone());
        }
        all
    }

    fn iteration_start(
        &mut self,
        ctx: &mut Ctx<'_>,
        conn: ConnId,
        message: &Fields<'_>,
    ) -> Option<()> {
        let kind = message.u32(152)?;
        let items: Vec<Process> = match kind {
            NAME_ONLY => {
                let mut all = self.by_group();
                all.dedup_by(|next, first| next.group == first.group);
                all
            }
            ONE_GROUP => {
                // For the other kinds clients leave anything in its place.
                let wanted = wire::group_at(message, 16)?;
                let mut all = self.by_group();
                all.retain(|process| process.group == wanted);
                all
            }
            ALL => self.by_group(),
            _ => return None,
        };
        self.next_iteration += 1;
        let handle = self.next_iteration;
        self.iterations.insert(handle, Iteration { conn, items, at: 0 });
        let mut answer = Message::response(9, 32, CsError::Ok);
        answer.put_u64(24, handle);
        ctx.reply(conn, answer);
        Some(())
    }

    fn iteration_next(
        &mut self,
        ctx: &mut Ctx<'_>,
        conn: ConnId,
        message: &Fields<'_>,
    ) -> Option<()> {
        let handle = message.u64(16)?;
        let iteration = self.iterations.get_mut(&handle).filter(|found| found.conn == conn);
        let answer = match iteration {
            None => Message::response(10, 168, CsError::BadHandle),
            Some(iteration) => match iteration.items.get(iteration.at) {
                Some(process) => {
                    iteration.at += 1;
                    wire::iteration_next(process)
                }
                None => {
                    iteration.at = 0;
                    Message::response(10, 168, CsError::NoSections)
                }
            },
        };
        ctx.reply(conn, answer);
        Some(())
    }

    fn iteration_end(
        &mut self,
        ctx: &mut Ctx<'_>,
        conn: ConnId,
        message: &Fields<'_>,
    ) -> Option<()> {
        let handle = message.u64(16)?;
        let own = self.iterations.get(&handle).is_some_and(|found| found.conn == conn);
        let error = if own { CsError::Ok } else { CsError::BadHandle };
        if own {
            self.iterations.remove(&handle);
        }
        ctx.reply_status(conn, 11, error);
        Some(())
    }

    /// The client will hear nothing more. Its membership ends when it disconnects.
    fn finalize(&mut self, ctx: &mut Ctx<'_>, conn: ConnId) {
        ctx.log(Priority::Debug, SUBSYS, || format!("cpg finalize for conn={conn}"));
        self.disconnect(ctx, conn);
        ctx.reply_status(conn, 12, CsError::Ok);
    }
}

/// A group's name for the log: what is not printable as `\xNN`, the backslash doubled.
pub fn printable(name: &[u8]) -> String {
    let mut text = String::new();
    for byte in name {
        match byte {
            b'\\' => text.push_str("\\\\"),
            0x20..=0x7e => text.push(char::from(*byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
