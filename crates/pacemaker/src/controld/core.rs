//! The controller's core: everything that happens comes in through a method here, everything it
//! wants done goes out through [`Controller::poll_output`].
//!
//! The parts, each an `impl Controller` in a module of its own: [`actions`](super::actions) (what
//! the state machine does), [`status`](super::status) (nodes in the CIB, quorum),
//! [`join`](super::join), [`engine`](super::engine) (the transition engine),
//! [`events`](super::events) (results), [`lrm`](super::lrm) (this node's operations),
//! [`routing`](super::routing) (messages), [`fencing`](super::fencing).

mod inputs;
mod parts;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use base::log::Priority;
use base::{NodeId, Time};
use xml::Element;

use super::fencing::Fencing;
use super::fsm::{Action, Actions, Cause, Event, Fsm, Input, State, Step};
use super::graph::Graph;
use super::join::Join;
use super::lrm::Lrm;
use super::options::Options;
use super::throttle::Throttle;
use crate::alerts::{self, Alerts};
use crate::cluster::election::{Age, Election};
use crate::cluster::envelope::{self, References, Request};
use crate::cluster::group::{Event as GroupEvent, Group};
use crate::cluster::message::Kind;

/// CIB call options (`spec/pacemaker-ipc.md` §4.2).
pub mod cib_option {
    /// The section is an XPath.
    pub const XPATH: u32 = 0x2;
    /// All matches, not only the first.
    pub const MULTIPLE: u32 = 0x4;
    /// Add what does not exist.
    pub const CAN_CREATE: u32 = 0x8;
    /// Without children.
    pub const NO_CHILDREN: u32 = 0x20;
    /// On this node's copy.
    pub const SCOPE_LOCAL: u32 = 0x100;
    /// Compute, but change nothing.
    pub const DRYRUN: u32 = 0x200;
    /// Obsolete but always sent.
    pub const QUORUM_OVERRIDE: u32 = 0x0010_0000;
}

/// A daemon that the controller is a client of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Service {
    /// pacemaker-based.
    Cib,
    /// pacemaker-execd.
    Executor,
    /// pacemaker-schedulerd.
    Scheduler,
    /// pacemaker-fenced.
    Fencer,
}

/// A request to the CIB manager.
#[derive(Clone, PartialEq, Debug)]
pub struct CibRequest {
    /// Operation, e.g. `cib_modify`.
    pub op: &'static str,
    /// Section or XPath.
    pub section: Option<String>,
    /// Call options.
    pub options: u32,
    /// Call data.
    pub data: Option<Element>,
    /// The node whose CIB manager is meant.
    pub host: Option<String>,
    /// Whose permissions apply, if not ours.
    pub user: Option<String>,
}

/// What the shell has to do.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Connect to a daemon and report with [`Controller::connected`].
    Connect(Service),
    /// Disconnect from it.
    Disconnect(Service),
    /// Join the CPG group and follow quorum.
    JoinGroup,
    /// Leave them.
    LeaveGroup,
    /// Ask the CIB manager; the answer goes to [`Controller::cib_reply`].
    Cib(u64, CibRequest),
    /// Send an update to the attribute manager.
    Attrd(Element),
    /// Send a command to the executor; its answer goes to [`Controller::executor_reply`].
    Executor(u64, Element),
    /// Have the executor run an alert; nobody waits for it.
    Alert(alerts::Call),
    /// Send a request to the scheduler.
    Scheduler(Element),
    /// Send a command to the fencer; its answer goes to [`Controller::fencer_reply`].
    Fencer(u64, Element),
    /// Find out an agent's meta-data and report with [`Controller::metadata`].
    Metadata {
        /// Its key in the cache.
        key: String,
        /// Standard.
        class: String,
        /// Provider.
        provider: Option<String>,
        /// Agent.
        agent: String,
    },
    /// Accept clients.
    OpenIpc,
    /// No more clients.
    CloseIpc,
    /// Send to a client.
    Client(String, Element),
    /// Something worth a log line.
    Note(Priority, String),
    /// Reset this host.
    Panic(&'static str),
    /// End the process.
    Exit(i32),
}

/// What the shell knows at the moment of a call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// Monotonic time.
    pub now: Time,
    /// Wall clock, seconds.
    pub epoch: u64,
    /// CPU time used.
    pub age: Age,
}

/// What an answer of the CIB manager is for.
#[derive(Clone, Debug)]
pub(super) enum CibCall {
    /// Nothing depends on it; the text names it in the log.
    Quiet(&'static str),
    /// The cluster options.
    Config,
    /// Our own version, wanted for the request of that offer.
    JoinQuery { offer: Element },
    /// The best CIB was distributed.
    JoinSync { join_id: u32 },
    /// A joined node's state was written.
    JoinConfirmed { join_id: u32 },
    /// The whole CIB, for the scheduler.
    Schedule { serial: u64 },
    /// The feature set of the new DC.
    Takeover,
    /// The cluster's name, to be set if there is none.
    ClusterName,
    /// A fenced node's state.
    Down { target: String },
    /// An operation's record.
    History { rsc: String },
    /// Whether a user may delete a resource's history was tried out.
    DeleteAllowed { rsc: String, requester: super::lrm::Requester },
    /// A cancelled operation's record was removed.
    Erased { key: String, rsc: String, requester: super::lrm::Requester },
}

/// Timers, by what they are for.
#[derive(Debug, Default)]
pub(super) struct Timers {
    pub dc: Option<Time>,
    pub integrate: Option<Time>,
    pub finalize: Option<Time>,
    pub recheck: Option<Time>,
    pub shutdown: Option<Time>,
    pub transition: Option<Time>,
    pub quorum_gained: Option<Time>,
    pub scheduler: Option<Time>,
    pub wait: Option<Time>,
    pub throttle: Option<Time>,
    pub fence_history: Option<Time>,
}

impl Timers {
    fn all(&self) -> [Option<Time>; 11] {
        [
            self.dc,
            self.integrate,
            self.finalize,
            self.recheck,
            self.shutdown,
            self.transition,
            self.quorum_gained,
            self.scheduler,
            self.wait,
            self.throttle,
            self.fence_history,
        ]
    }
}

/// The state machine's registers.
#[derive(Debug, Default)]
pub(super) struct Flags {
    pub the_dc: bool,
    pub shutdown: bool,
    pub stay_down: bool,
    pub join_ok: bool,
    pub read_config: bool,
    pub have_cib: bool,
    pub membership: bool,
    pub peer_data: bool,
    pub in_recovery: bool,
    pub in_transition: bool,
    pub pe_required: bool,
    pub started: bool,
    pub sent_stops: bool,
}

/// What a controller is told at its birth.
#[derive(Clone, Debug)]
pub struct Setup {
    /// A random UUID: the transition engine's name in this life.
    pub te_uuid: String,
    /// Our version, for `dc-version`.
    pub version: String,
    /// Corosync's `totem.cluster_name`.
    pub cluster_name: Option<String>,
    /// How many nodes the configuration promises, if it does.
    pub n_configured: Option<usize>,
    /// Whether an sbd process runs here.
    pub have_watchdog: bool,
    /// `PCMK_node_start_state`.
    pub start_state: Option<String>,
    /// `PCMK_node_action_limit`.
    pub node_action_limit: Option<u32>,
    /// Number of cores.
    pub n_cores: u32,
    /// The process id, for the name under which the fencer knows us.
    pub pid: u32,
}

/// The controller.
pub struct Controller {
    /// The CPG group and the peers.
    pub group: Group,
    pub(super) setup: Setup,
    pub(super) clock: Clock,
    pub(super) fsm: Fsm,
    /// The event whose actions are executed.
    pub(super) current: Event,
    pub(super) flags: Flags,
    pub(super) timers: Timers,
    pub(super) options: Options,
    pub(super) alerts: Alerts,
    pub(super) election: Election,
    pub(super) references: References,
    pub(super) connected: BTreeSet<Service>,
    pub(super) connect_tries: BTreeMap<Service, u32>,
    /// Attempts that the shell has not reported on.
    pub(super) connecting: BTreeSet<Service>,
    pub(super) cib_calls: BTreeMap<u64, CibCall>,
    pub(super) next_tag: u64,
    pub(super) dc_name: Option<String>,
    pub(super) dc_version: Option<String>,
    pub(super) quorate: bool,
    pub(super) ever_quorate: bool,
    pub(super) quorum_written: Option<bool>,
    pub(super) ring_seq: u64,
    /// Nodes whose daemon left in the configuration change being handled.
    pub(super) leaving: Vec<NodeId>,
    /// Living nodes whose controller died a moment ago, and until when it may come back before
    /// the node counts as failed.
    pub(super) grace: BTreeMap<NodeId, Time>,
    /// The scheduler is asked once nobody has grace any more.
    pub(super) schedule_held: bool,
    pub(super) join: Join,
    pub(super) graph: Graph,
    pub(super) pass_wanted: bool,
    pub(super) schedule_serial: u64,
    pub(super) schedule_wanted: bool,
    pub(super) schedule_reference: Option<String>,
    pub(super) lrm: Lrm,
    pub(super) fencing: Fencing,
    pub(super) throttle: Throttle,
    pub(super) clients: BTreeMap<String, String>,
    pub(super) node_cache: BTreeMap<String, String>,
    pub(super) exit_code: i32,
    pub(super) throttle_wanted: bool,
    fast_armed: bool,
    /// The process is about to end: nothing more is done.
    halted: bool,
    outputs: VecDeque<Output>,
}

/// How long an existing DC gets to answer our announcement when nobody is missing. (It takes
/// milliseconds; waiting `dc-deadtime` is for nodes that are still booting.)
const FAST_START: Duration = Duration::from_millis(800);

impl Controller {
    /// A controller that has not started.
    pub fn new(group: Group, setup: Setup) -> Controller {
        let own_name = group.own_name().to_owned();
        let own_uuid = group.own_id().to_string();
        let throttle = Throttle::new(setup.n_cores, setup.node_action_limit);
        Controller {
            election: Election::new(&own_name, &own_uuid, Duration::from_secs(60)),
            group,
            setup,
            clock: Clock::default(),
            fsm: Fsm::default(),
            current: internal(Input::Null, "startup"),
            flags: Flags::default(),
            timers: Timers::default(),
            options: Options::default(),
            alerts: Alerts::default(),
            references: References::default(),
            connected: BTreeSet::new(),
            connect_tries: BTreeMap::new(),
            connecting: BTreeSet::new(),
            cib_calls: BTreeMap::new(),
            next_tag: 1,
            dc_name: None,
            dc_version: None,
            quorate: false,
            ever_quorate: false,
            quorum_written: None,
            ring_seq: 0,
            leaving: Vec::new(),
            grace: BTreeMap::new(),
            schedule_held: false,
            join: Join::default(),
            graph: Graph::default(),
            pass_wanted: false,
            schedule_serial: 0,
            schedule_wanted: false,
            schedule_reference: None,
            lrm: Lrm::default(),
            fencing: Fencing::default(),
            throttle,
            clients: BTreeMap::new(),
            node_cache: BTreeMap::new(),
            exit_code: 0,
            throttle_wanted: false,
            fast_armed: false,
            halted: false,
            outputs: VecDeque::new(),
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The state machine's state.
    pub fn state(&self) -> State {
        self.fsm.state()
    }

    /// Whether this node is the DC.
    pub fn is_dc(&self) -> bool {
        self.flags.the_dc
    }
}

/// How long to wait before connecting to a daemon is tried again.
const CONNECT_RETRY: Duration = Duration::from_millis(200);
/// How often, before it counts as broken.
pub(super) const CONNECT_TRIES_MAX: u32 = 300;

pub(super) fn internal(input: Input, origin: &'static str) -> Event {
    Event { input, cause: Cause::Internal, actions: Actions::NONE, message: None, origin }
}
