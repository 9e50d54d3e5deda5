//! The single ring protocol: one node's machine.
//!
//! Four states. OPERATIONAL: a ring stands, the token rotates. GATHER: the ring broke or somebody
//! new appeared; nodes tell each other whom they hear until all agree. COMMIT: the lowest node
//! sends a commit token round the new ring, twice. RECOVERY: the token rotates again, but first
//! everybody gets what it missed of the old ring; then OPERATIONAL.
//!
//! How to drive it: feed [`Srp::handle_packet`] and [`Srp::handle_timeout`] (when
//! [`Srp::next_deadline`] has come), and after each call drain [`Srp::poll_output`] completely,
//! acting on each output *before* polling the next: what a message does (say, complete the
//! synchronisation that [`Srp::trans_ack`] reports) decides how the next one is read.
//!
//! Source: `spec/totem.md` §3 to §8.

mod commit;
mod deliver;
mod event;
mod gather;
mod linger;
mod operational;
mod output;
mod queueing;
mod recovery;
mod stats;
mod timeout;
mod timers;
mod token;

#[cfg(test)]
mod tests;

pub use event::{Event, GatherReason};
pub use output::{ConfigChange, ConfigKind, Delivery, Guarantee, Output};
pub use stats::Stats;

use crate::pg::{Assembler, QueueLevel, SendQueue};
use crate::pool::Pool;
use crate::sort_queue::SortQueue;
use crate::wire::{self, DecodeError, Header, Kind, Message};
use crate::{Bytes, Config, RingId};
use base::{NodeId, Time};
use deliver::Item;
use linger::Patience;
use stats::TokenTimes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use timers::{Timer, Timers};

/// What the node is doing about its ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// The ring stands.
    Operational = 1,
    /// Looking for members.
    Gather = 2,
    /// A new ring is being agreed on.
    Commit = 3,
    /// The new ring exchanges what was missed in the old ones.
    Recovery = 4,
}

/// What is remembered of the last operational ring while new ones are tried.
#[derive(Clone, Copy, Debug)]
struct SavedRing {
    aru: u32,
    high_seq: u32,
}

/// One node's ring.
#[derive(Debug)]
pub struct Srp {
    config: Config,
    me: NodeId,
    state: State,
    random: u64,

    ring_id: RingId,
    /// The last operational ring: the one whose messages the regular queue holds.
    old_ring_id: RingId,
    token_ring_id_seq: u64,
    proc_list: Vec<NodeId>,
    failed_list: Vec<NodeId>,
    consensus: BTreeSet<NodeId>,
    new_memb: Vec<NodeId>,
    trans_memb: Vec<NodeId>,
    memb: Vec<NodeId>,
    leavers: BTreeSet<NodeId>,
    saved: Option<SavedRing>,
    failed_to_recv: bool,

    my_aru: u32,
    my_high_seq: u32,
    my_high_delivered: u32,
    my_last_aru: u32,
    my_last_seq: u32,
    my_token_seq: u32,
    my_aru_count: u32,
    my_seq_unchanged: u32,
    my_received_flg: bool,
    my_install_seq: u32,
    my_rotation_counter: u32,
    my_retrans_flg_count: u32,
    my_set_retrans_flg: bool,
    last_released: u32,
    this_seqno: u32,
    discard_tokens: bool,
    initial_token_sent: bool,
    /// Tokens seen since this ring is operational, as far as that matters: see [`Srp::settled`].
    rounds: u8,
    /// Senders must ask for the token before it comes.
    token_held: bool,
    /// The token is here and waits for the hold timer.
    holding: bool,
    my_trc: u32,
    my_pbl: u32,
    my_cbl: u32,

    regular: SortQueue,
    recovery: SortQueue,
    recovery_out: VecDeque<Vec<u8>>,
    stored_token: Option<Bytes>,

    timers: Timers,
    pause_stamp: Time,
    flush_until: Time,

    normal_queue: SendQueue,
    trans_queue: SendQueue,
    waiting_trans_ack: bool,
    /// [`Item::QueueTransitional`] waits to be polled.
    trans_pending: bool,
    token_sent_wanted: bool,
    reserved: usize,
    level: QueueLevel,

    assemblers: BTreeMap<NodeId, Assembler>,
    trans_assemblers: BTreeMap<NodeId, Assembler>,
    assembling_trans: bool,
    items: VecDeque<Item>,
    ready: VecDeque<Output>,

    outputs: VecDeque<Output>,
    pool: Pool,
    /// Own multicasts on their way to ourselves.
    loopback: VecDeque<Bytes>,
    /// A token to ourselves (a ring of one).
    self_token: Option<Bytes>,
    stats: Stats,
    token_times: TokenTimes,
    patience: Patience,
}

impl Srp {
    /// A node that has not started yet. `stored_ring_seq` is what the last
    /// [`Output::Persist`] asked to keep (0 the first time); `seed` feeds the join delays.
    pub fn new(config: Config, me: NodeId, stored_ring_seq: u64, seed: u64) -> Srp {
        let seq = stored_ring_seq.wrapping_add(1);
        let ring_id = RingId { rep: me, seq };
        let max_frame = config.net_mtu;
        let mut srp = Srp {
            config,
            me,
            state: State::Operational,
            random: seed | 1,
            ring_id,
            old_ring_id: ring_id,
            token_ring_id_seq: seq,
            proc_list: vec![me],
            failed_list: Vec::new(),
            consensus: BTreeSet::new(),
            new_memb: Vec::new(),
            trans_memb: Vec::new(),
            memb: Vec::new(),
            leavers: BTreeSet::new(),
            saved: None,
            failed_to_recv: false,
            my_aru: 0,
            my_high_seq: 0,
            my_high_delivered: 0,
            my_last_aru: 0,
            my_last_seq: 0,
            my_token_seq: u32::MAX,
            my_aru_count: 0,
            my_seq_unchanged: 0,
            my_received_flg: true,
            my_install_seq: 0,
            my_rotation_counter: 0,
            my_retrans_flg_count: 0,
            my_set_retrans_flg: false,
            last_released: 0,
            this_seqno: 0,
            discard_tokens: true,
            initial_token_sent: false,
            rounds: 0,
            token_held: false,
            holding: false,
            my_trc: 0,
            my_pbl: 0,
            my_cbl: 0,
            regular: SortQueue::default(),
            recovery: SortQueue::default(),
            recovery_out: VecDeque::new(),
            stored_token: None,
            timers: Timers::default(),
            pause_stamp: Time::ZERO,
            flush_until: Time::ZERO,
            normal_queue: SendQueue::new(max_frame),
            trans_queue: SendQueue::new(max_frame),
            waiting_trans_ack: true,
            trans_pending: false,
            token_sent_wanted: false,
            reserved: 1,
            level: QueueLevel::default(),
            assemblers: BTreeMap::new(),
            trans_assemblers: BTreeMap::new(),
            assembling_trans: true,
            items: VecDeque::new(),
            ready: VecDeque::new(),
            outputs: VecDeque::new(),
            pool: Pool::default(),
            loopback: VecDeque::new(),
            self_token: None,
            stats: Stats::default(),
            token_times: TokenTimes::default(),
            patience: Patience::default(),
        };
        srp.event(Event::LoadedRingId(ring_id));
        srp
    }

    /// The local interface is there, or came or went: look for members. Call it once the
    /// transport can send (upstream: about 100 ms after start), and at each later change.
    pub fn interface_changed(&mut self, now: Time) {
        if !self.timers.runs(Timer::Pause) {
            self.restart_pause(now);
        }
        self.leave_trial_ring();
        self.enter_gather(now, GatherReason::InterfaceChange);
        self.drain_loopback(now);
    }

    /// Takes in a packet. An error says it was no message of this protocol; it had no effect.
    pub fn handle_packet(&mut self, now: Time, packet: &[u8]) -> Result<(), DecodeError> {
        let result = self.dispatch(now, packet, false);
        self.drain_loopback(now);
        result
    }

    fn drain_loopback(&mut self, now: Time) {
        while let Some(packet) = self.loopback.pop_front() {
            // Our own encoding decodes.
            let _ = self.dispatch(now, &packet, true);
        }
    }

    fn dispatch(&mut self, now: Time, packet: &[u8], own: bool) -> Result<(), DecodeError> {
        let (header, message) = match wire::decode(packet) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.stats.rx_msg_dropped += 1;
                return Err(error);
            }
        };
        match message {
            Message::Token(token) => {
                self.stats.orf_token_rx += 1;
                self.on_token(now, token);
            }
            Message::Mcast(mcast) => {
                self.stats.mcast_rx += 1;
                self.on_mcast(now, &mcast, packet);
            }
            Message::MergeDetect { system_from, ring_id } => {
                self.stats.memb_merge_detect_rx += 1;
                if !own {
                    self.on_merge_detect(now, system_from, ring_id);
                }
            }
            Message::Join(join) => {
                self.stats.memb_join_rx += 1;
                if own || join.system_from != self.me {
                    self.on_join(now, header.nodeid, join);
                }
            }
            Message::Commit(token) => {
                self.stats.memb_commit_token_rx += 1;
                self.on_commit_token(now, token);
            }
            Message::HoldCancel { ring_id } => {
                self.stats.token_hold_cancel_rx += 1;
                // Upstream never converts this one: in the other byte order it is not ours.
                if ring_id == self.ring_id && !header.order.is_foreign() {
                    self.on_hold_cancel();
                }
            }
        }
        Ok(())
    }

    /// When [`handle_timeout`](Self::handle_timeout) is wanted next; a time in the past means at
    /// once.
    pub fn next_deadline(&self) -> Option<Time> {
        if self.self_token.is_some() { Some(Time::ZERO) } else { self.timers.next() }
    }

    /// The next thing to do; `None` once everything is out.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front().or_else(|| self.poll_delivery())
    }

    /// Leaves the ring in order: the others need not wait for a timeout. Nothing more is sent
    /// after this; flush the transport and stop.
    pub fn leave(&mut self, now: Time) {
        self.send_leave(now);
        self.loopback.clear();
    }

    /// New numbers; running timers keep their deadline. The frame size does not change.
    pub fn set_config(&mut self, config: Config) {
        let net_mtu = self.config.net_mtu;
        self.config = Config { net_mtu, ..config };
    }

    /// The numbers in use.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// This node.
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// The ring (the one being formed, while one is).
    pub fn ring_id(&self) -> RingId {
        self.ring_id
    }

    /// The members of the last operational ring.
    pub fn members(&self) -> &[NodeId] {
        &self.memb
    }

    /// The processors heard of, reachable or not (cfg calls a node "reachable" when in here).
    pub fn processors(&self) -> &[NodeId] {
        &self.proc_list
    }

    /// The counters.
    pub fn stats(&self, now: Time) -> Stats {
        let (between, work, backlog) = self.token_times.averages();
        Stats {
            mtt_rx_token: between,
            avg_token_workload: work,
            avg_backlog_calc: backlog,
            time_since_token_last_received: self
                .token_times
                .last()
                .map_or(0, |last| now.since(last).as_millis() as u64),
            ..self.stats
        }
    }

    /// Sets the counters back to 0 (`stats.clear.totem`).
    pub fn clear_stats(&mut self) {
        self.stats = Stats::default();
        self.token_times = TokenTimes::default();
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn is_rep(&self) -> bool {
        self.ring_id.rep == self.me
    }

    /// The next member of the ring being formed or used.
    fn successor(&self) -> NodeId {
        let next = self.new_memb.iter().position(|id| *id == self.me).map_or(0, |at| at + 1);
        self.new_memb.get(next).or(self.new_memb.first()).copied().unwrap_or(self.me)
    }

    fn multicast_control(&mut self, header: &Header, message: &Message) {
        let packet = Bytes::from(wire::encode(header, message));
        self.loopback.push_back(packet.clone());
        self.outputs.push_back(Output::Multicast(packet));
    }

    fn own_header(&self, kind: Kind) -> Header {
        Header::own(kind, self.me, 0)
    }

    /// Keeps a token for retransmission.
    fn store_token(&mut self, message: &Message, kind: Kind) {
        let header = Header::own(kind, self.me, self.successor().0);
        self.stored_token = Some(Bytes::from(wire::encode(&header, message)));
    }

    fn send_stored_token(&mut self) {
        let Some(packet) = self.stored_token.clone() else { return };
        let to = self.successor();
        if to == self.me {
            self.self_token = Some(packet);
        } else {
            self.outputs.push_back(Output::Unicast { to, packet });
        }
    }

    /// A number below `bound` from a small generator (xorshift); only join delays need it.
    fn random_below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        if bound == 0 { 0 } else { self.random % bound }
    }
}
