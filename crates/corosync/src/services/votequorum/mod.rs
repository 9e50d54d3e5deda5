//! Votequorum: each node has votes, and a partition with a majority of the expected votes may act.
//! With the options for small clusters: `two_node`, `wait_for_all`, `last_man_standing`,
//! `auto_tie_breaker`, `allow_downscale`, and the votes of a quorum device.
//!
//! This file: state and requests; [`settings`]: configuration; [`count`]: arithmetic; [`exec`]:
//! cluster messages and synchronisation; [`device`]: the quorum device's requests.
//!
//! Source: `spec/corosync-services.md` §9.

mod count;
mod device;
mod exec;
mod settings;
pub mod wire;

use base::{NodeId, Time};

use crate::cmap::Value;
use crate::engine::{ConnId, Ctx, ServiceId};
use crate::ring::RingId;
use crate::wire::{CsError, Fields};
use settings::When;
use wire::{flag, function, info_flag, param};

const SUBSYS: &str = "VOTEQ";

const TRACK_CURRENT: u32 = 1;
const TRACK_CHANGES: u32 = 2;
const TRACK_CHANGES_ONLY: u32 = 4;

/// Keys that have an effect at start only.
const FIXED_KEYS: &[&str] = &[
    "quorum.allow_downscale",
    "quorum.wait_for_all",
    "quorum.last_man_standing",
    "quorum.last_man_standing_window",
    "quorum.expected_votes_tracking",
    "quorum.auto_tie_breaker",
    "quorum.auto_tie_breaker_node",
];

/// Whether a node is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum NodeState {
    /// Not known yet (a quorum device that never registered).
    None = 0,
    /// In the partition.
    Member = 1,
    /// Not in the partition.
    Dead = 2,
    /// About to leave in order.
    Leaving = 3,
}

/// What is known about a node (or, with id 0, the quorum device).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: u32,
    /// Whether it is here.
    pub state: NodeState,
    /// Its votes.
    pub votes: u32,
    /// The votes it expects in the whole cluster.
    pub expected: u32,
    /// Flags of its last NODEINFO.
    pub flags: u32,
}

/// Which half of an even split goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
enum TieBreaker {
    None,
    Lowest,
    Highest,
    List(Vec<u32>),
}

/// What the quorum service is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The partition.
    pub members: Vec<NodeId>,
    /// Whether it may act.
    pub is_quorate: bool,
    /// Its ring.
    pub ring: RingId,
}

#[derive(Debug)]
struct Tracker {
    conn: ConnId,
    context: u64,
}

/// The service.
#[derive(Debug)]
pub struct Votequorum {
    me: NodeId,
    nodes: Vec<Node>,
    device: Node,
    device_name: Vec<u8>,
    device_can_operate: bool,
    device_master_wins: bool,
    device_timeout_ms: u32,
    device_sync_timeout_ms: u32,
    device_deadline: Option<Time>,
    /// A synchronisation waits for the device's verdict.
    wait_for_poll: bool,
    /// Who waits for the end of a registration.
    registering: Option<ConnId>,
    quorum: u32,
    is_quorate: bool,
    two_node: bool,
    wait_for_all: bool,
    wfa_status: bool,
    wfa_autoset: bool,
    tie_breaker: TieBreaker,
    start_tie_breaker: TieBreaker,
    last_man_standing: bool,
    lms_window_ms: u32,
    lms_deadline: Option<Time>,
    allow_downscale: bool,
    ev_barrier: u32,
    ev_tracking: bool,
    ev_tracking_barrier: u32,
    lowest: u32,
    highest: u32,
    members: Vec<NodeId>,
    previous_members: Vec<NodeId>,
    ring: RingId,
    is_syncing: bool,
    nodeinfo_sent: bool,
    trackers: Vec<Tracker>,
    verdicts: Vec<Verdict>,
}

impl Votequorum {
    /// Loads the service. `barrier` is the stored value of `expected_votes_tracking`.
    ///
    /// # Errors
    /// Why it cannot be loaded.
    pub fn load(ctx: &mut Ctx<'_>, barrier: u32) -> Result<Votequorum, String> {
        let node = |id: u32, state: NodeState, votes: u32, flags: u32| Node {
            id,
            state,
            votes,
            expected: 1,
            flags,
        };
        let mut service = Votequorum {
            me: ctx.me,
            nodes: vec![node(ctx.me.0, NodeState::Member, 1, flag::FIRST)],
            device: node(0, NodeState::None, 0, 0),
            device_name: Vec::new(),
            device_can_operate: true,
            device_master_wins: false,
            device_timeout_ms: 10_000,
            device_sync_timeout_ms: 30_000,
            device_deadline: None,
            wait_for_poll: false,
            registering: None,
            quorum: 0,
            is_quorate: false,
            two_node: false,
            wait_for_all: false,
            wfa_status: false,
            wfa_autoset: false,
            tie_breaker: TieBreaker::None,
            start_tie_breaker: TieBreaker::None,
            last_man_standing: false,
            lms_window_ms: 10_000,
            lms_deadline: None,
            allow_downscale: false,
            ev_barrier: 0,
            ev_tracking: false,
            ev_tracking_barrier: barrier,
            lowest: 0,
            highest: 0,
            members: Vec::new(),
            previous_members: Vec::new(),
            ring: RingId::default(),
            is_syncing: false,
            nodeinfo_sent: false,
            trackers: Vec::new(),
            verdicts: Vec::new(),
        };
        ctx.map.put("runtime.votequorum.this_node_id", Value::U32(ctx.me.0));
        service.read_config(ctx, When::Start)?;
        for key in FIXED_KEYS {
            ctx.map.make_read_only(key);
        }
        service.recalculate(ctx, false, false);
        service.send_nodeinfo_us(ctx);
        Ok(service)
    }

    /// What the quorum service has to be told.
    pub fn take_verdicts(&mut self) -> Vec<Verdict> {
        std::mem::take(&mut self.verdicts)
    }

    /// The value of `expected_votes_tracking` to store, if it is on.
    pub fn tracking_barrier(&self) -> Option<u32> {
        self.ev_tracking.then_some(self.ev_tracking_barrier)
    }

    /// When time alone changes something.
    pub fn deadline(&self) -> Option<Time> {
        [self.lms_deadline, self.device_deadline].into_iter().flatten().min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, ctx: &mut Ctx<'_>) {
        if self.lms_deadline.is_some_and(|at| at <= ctx.now) {
            self.lms_deadline = None;
            if self.is_quorate {
                self.recalculate(ctx, true, true);
            }
        }
        if self.device_deadline.is_some_and(|at| at <= ctx.now) {
            self.device_deadline = None;
            self.device_timed_out(ctx);
        }
    }

    /// A client is gone.
    pub fn disconnect(&mut self, conn: ConnId) {
        self.trackers.retain(|tracker| tracker.conn != conn);
        if self.registering == Some(conn) {
            self.registering = None;
        }
    }

    fn us(&mut self) -> Option<&mut Node> {
        let me = self.me.0;
        self.nodes.iter_mut().find(|node| node.id == me)
    }

    fn us_ref(&self) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == self.me.0)
    }

    fn us_flags(&self) -> u32 {
        self.us_ref().map_or(0, |us| us.flags)
    }

    fn us_expected(&self) -> u32 {
        self.us_ref().map_or(0, |us| us.expected)
    }

    fn set_us_flag(&mut self, flag: u32, on: bool) {
        if let Some(us) = self.us() {
            if on {
                us.flags |= flag;
            } else {
                us.flags &= !flag;
            }
        }
    }

    /// A request of a client.
    pub fn request(&mut self, ctx: &mut Ctx<'_>, conn: ConnId, message: &Fields<'_>) {
        let id = message.i32(0).unwrap_or(-1);
        let answer = match id {
            0 => {
                self.get_info(ctx, conn, message);
                return;
            }
            1 => self.set_expected(ctx, message),
            2 => self.set_node_votes(ctx, message),
            3 => self.track_start(ctx, conn, message),
            4 => {
                let before = self.trackers.len();
                self.trackers.retain(|tracker| tracker.conn != conn);
                let found = self.trackers.len() < before;
                Some(if found { CsError::Ok } else { CsError::NotExist })
            }
            5 => {
                let Some(answer) = self.device_register(ctx, conn, message) else { return };
                Some(answer)
            }
            6 => self.device_unregister(ctx, message),
            7 => self.device_update(ctx, message),
            8 => self.device_poll(ctx, message),
            9 => self.device_set_master_wins(ctx, message),
            _ => None,
        };
        ctx.reply_status(conn, 0, answer.unwrap_or(CsError::InvalidParam));
    }

    fn get_info(&mut self, ctx: &mut Ctx<'_>, conn: ConnId, message: &Fields<'_>) {
        let wanted = match message.u32(16) {
            None | Some(0) => self.me.0,
            Some(id) => id,
        };
        let Some(node) = self.nodes.iter().find(|node| node.id == wanted) else {
            ctx.reply(conn, wire::info(CsError::NotExist, &wire::Info::default()));
            return;
        };
        let members = || self.nodes.iter().filter(|node| node.state == NodeState::Member);
        let mut total = members().fold(0u32, |sum, node| sum.saturating_add(node.votes));
        if node.flags & flag::QDEVICE_CAST_VOTE != 0 {
            total = total.saturating_add(self.device.votes);
        }
        let mut flags = 0;
        for (set, flag) in [
            (self.two_node, info_flag::TWONODE),
            (self.is_quorate, info_flag::QUORATE),
            (self.wait_for_all, info_flag::WAIT_FOR_ALL),
            (self.last_man_standing, info_flag::LAST_MAN_STANDING),
            (self.tie_breaker != TieBreaker::None, info_flag::AUTO_TIE_BREAKER),
            (self.allow_downscale, info_flag::ALLOW_DOWNSCALE),
            (node.flags & flag::QDEVICE_REGISTERED != 0, info_flag::QDEVICE_REGISTERED),
            (node.flags & flag::QDEVICE_ALIVE != 0, info_flag::QDEVICE_ALIVE),
            (node.flags & flag::QDEVICE_CAST_VOTE != 0, info_flag::QDEVICE_CAST_VOTE),
            (node.flags & flag::QDEVICE_MASTER_WINS != 0, info_flag::QDEVICE_MASTER_WINS),
        ] {
            if set {
                flags |= flag;
            }
        }
        let info = wire::Info {
            node: node.id,
            state: node.state as u32,
            votes: node.votes,
            expected: node.expected,
            highest_expected: members().map(|node| node.expected).max().unwrap_or(0),
            total,
            quorum: self.quorum,
            flags,
            qdevice_votes: self.device.votes,
            qdevice_name: self.device_name.clone(),
        };
        ctx.reply(conn, wire::info(CsError::Ok, &info));
    }

    fn set_expected(&mut self, ctx: &mut Ctx<'_>, message: &Fields<'_>) -> Option<CsError> {
        let value = message.u32(16)?;
        // The barrier of a shrinking cluster does not bind an administrator.
        let downscale = std::mem::replace(&mut self.allow_downscale, false);
        let (quorum, total) = self.needed(true, value);
        self.allow_downscale = downscale;
        if value < total || (self.is_quorate && quorum > total) {
            return Some(CsError::InvalidParam);
        }
        for node in self.nodes.iter_mut().filter(|node| node.state == NodeState::Member) {
            node.expected = value;
        }
        self.send_reconfigure(ctx, self.me.0, value, param::EXPECTED_VOTES);
        Some(CsError::Ok)
    }

    fn set_node_votes(&mut self, ctx: &mut Ctx<'_>, message: &Fields<'_>) -> Option<CsError> {
        let (votes, id) = (message.u32(16)?, message.u32(20)?);
        // Id 0 is the device.
        let Some(record) = self.record(id) else { return Some(CsError::NameNotFound) };
        let before = std::mem::replace(&mut record.votes, votes);
        let (quorum, total) = self.needed(true, 0);
        if quorum < total / 2 || quorum > total {
            if let Some(record) = self.record(id) {
                record.votes = before;
            }
            return Some(CsError::InvalidParam);
        }
        self.send_reconfigure(ctx, id, votes, param::NODE_VOTES);
        Some(CsError::Ok)
    }

    /// The record of a node, or of the device, which is number 0.
    pub(super) fn record(&mut self, id: u32) -> Option<&mut Node> {
        if id == 0 {
            return Some(&mut self.device);
        }
        self.nodes.iter_mut().find(|node| node.id == id)
    }

    fn track_start(
        &mut self,
        ctx: &mut Ctx<'_>,
        conn: ConnId,
        message: &Fields<'_>,
    ) -> Option<CsError> {
        let (context, flags) = (message.u64(16)?, message.u32(24)?);
        if flags & (TRACK_CURRENT | TRACK_CHANGES) != 0 {
            ctx.event(conn, wire::nodelist_event(context, self.ring, &self.members));
            ctx.event(conn, self.quorum_event(context));
        }
        if self.trackers.iter().any(|tracker| tracker.conn == conn) {
            return Some(CsError::Exist);
        }
        if flags & (TRACK_CHANGES | TRACK_CHANGES_ONLY) != 0 {
            self.trackers.push(Tracker { conn, context });
        }
        Some(CsError::Ok)
    }

    fn send_reconfigure(&self, ctx: &mut Ctx<'_>, node: u32, value: u32, param: u8) {
        let message = wire::reconfigure(node, value, param);
        ctx.mcast(ServiceId::Votequorum, function::RECONFIGURE, message);
    }

    fn send_nodeinfo_us(&self, ctx: &mut Ctx<'_>) {
        if let Some(us) = self.us_ref() {
            let message = wire::nodeinfo(us.id, us.votes, us.expected, us.flags);
            ctx.mcast(ServiceId::Votequorum, function::NODEINFO, message);
        }
    }

    fn send_nodeinfo_device(&self, ctx: &mut Ctx<'_>) {
        let message = wire::nodeinfo(0, self.device.votes, self.device.expected_on_wire(), 0);
        ctx.mcast(ServiceId::Votequorum, function::NODEINFO, message);
    }

    /// Keys below `quorum.` or `nodelist.` changed, one by one or by a reload.
    pub fn config_changed(&mut self, ctx: &mut Ctx<'_>, is_reload: bool) {
        if ctx.map.get_u8("quorum.cancel_wait_for_all").is_some_and(|value| value >= 1) {
            ctx.map.put("quorum.cancel_wait_for_all", Value::U8(0));
            self.send_reconfigure(ctx, self.me.0, 0, param::CANCEL_WFA);
        }
        let (votes, expected) = self.us_ref().map_or((0, 0), |us| (us.votes, us.expected));
        let before = (self.two_node, self.device.votes, self.ev_barrier);
        // Conflicts were logged; a running service goes on.
        let _ = self.read_config(ctx, When::Running);
        let after = self.us_ref().map_or((0, 0), |us| (us.votes, us.expected));
        if (votes, expected) == after
            && before == (self.two_node, self.device.votes, self.ev_barrier)
            && is_reload
        {
            // A node whose file says nothing new must not bring back, by repeating its old
            // numbers, what another node just changed for all.
            return;
        }
        self.send_nodeinfo_us(ctx);
        self.send_nodeinfo_device(ctx);
        let now = self.us_ref().map_or((0, 0), |us| (us.votes, us.expected));
        if now.0 != votes {
            self.send_reconfigure(ctx, self.me.0, now.0, param::NODE_VOTES);
        }
        if now.1 != expected {
            self.send_reconfigure(ctx, self.me.0, now.1, param::EXPECTED_VOTES);
        }
    }

    /// The node leaves in order: the others may count without it.
    pub fn exit(&mut self, ctx: &mut Ctx<'_>) {
        if self.allow_downscale {
            self.set_us_flag(flag::LEAVING, true);
            self.send_nodeinfo_us(ctx);
        }
    }
}

impl Node {
    /// The device expects nothing; on the wire that is 0.
    fn expected_on_wire(&self) -> u32 {
        if self.id == 0 { 0 } else { self.expected }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
