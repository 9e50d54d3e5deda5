//! What pacemakerd decides: who is to run, who has to be started again, and in which order all
//! stop.
//!
//! Source: `spec/pacemaker-cluster.md` §11.2–§11.5.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use base::{CrmExit, Time};

use super::Daemon;

/// Starts of one daemon before it is given up.
const RESPAWN_MAX: u32 = 100;
/// How often a daemon is looked at.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// Failed looks before a daemon is killed.
const PROBE_FAILURES_MAX: u32 = 5;
/// How long a daemon may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(180);
/// How often it is said that a daemon is still awaited.
const STOP_REMINDER: Duration = Duration::from_secs(30);

/// What pacemakerd is doing, as it tells those who ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Before the daemons are started.
    Init,
    /// Starting them.
    Starting,
    /// Until sbd asks for the first time.
    WaitForPing,
    /// All were started.
    Running,
    /// Stopping them.
    ShuttingDown,
    /// All are gone.
    ShutdownComplete,
}

impl State {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Init => "init",
            State::Starting => "starting_daemons",
            State::WaitForPing => "wait_for_ping",
            State::Running => "running",
            State::ShuttingDown => "shutting_down",
            State::ShutdownComplete => "shutdown_complete",
        }
    }
}

/// How a daemon ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It exited with this status.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
    /// It is gone; how is not known (it was not our child).
    Gone,
}

/// What looking at a daemon showed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// It answers.
    Well,
    /// Its process is there but does not answer.
    Mute,
    /// Somebody else answers in its name.
    Impostor,
}

/// What can happen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// Start, with what runs already.
    Begin {
        /// Daemons that survived an earlier pacemakerd, with their process ids.
        adopted: Vec<(Daemon, u32)>,
        /// sbd has to ask first.
        wait_for_sbd: bool,
    },
    /// A daemon was started.
    Spawned(Daemon, u32),
    /// A daemon could not be started.
    NotSpawned(Daemon),
    /// A daemon ended.
    Ended(Daemon, End),
    /// The answer to [`Output::Look`].
    Looked(Daemon, Look),
    /// The cluster engine was lost (`false`) or is back.
    Cluster(bool),
    /// sbd asked how we are.
    SbdPing,
    /// Stop everything.
    Stop,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Start a daemon.
    Spawn(Daemon),
    /// Send it SIGTERM.
    Terminate(Daemon),
    /// Send it SIGKILL.
    Kill(Daemon),
    /// Send it SIGSEGV: it did not stop, and a core shows why.
    Abort(Daemon),
    /// Look whether it is well; answer with [`Input::Looked`].
    Look(Daemon),
    /// All daemons were started once: children started from now on are respawns.
    FirstStartDone,
    /// Stop the cluster engine at once.
    StopCluster,
    /// Reset this host.
    Panic,
    /// End this process with that status.
    Exit(CrmExit),
    /// Something worth a line in the log.
    Event(Event),
}

/// Notable facts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A daemon that was running already is ours now.
    Adopted(Daemon, u32),
    /// A daemon ended by itself.
    Died(Daemon, End),
    /// It is being started again.
    Respawning(Daemon),
    /// It died too often.
    GivenUp(Daemon),
    /// It is started when the engine is back.
    Postponed(Daemon),
    /// It does not answer.
    Mute(Daemon, u32),
    /// It was asked to stop.
    Stopping(Daemon),
    /// It has not stopped yet.
    StillStopping(Daemon),
    /// All is stopped.
    AllStopped,
}

#[derive(Debug, Default)]
struct Child {
    pid: Option<u32>,
    respawns: u32,
    mute: u32,
    postponed: bool,
    given_up: bool,
}

#[derive(Debug)]
struct Stopping {
    daemon: Daemon,
    remind_at: Time,
    abort_at: Option<Time>,
}

/// The state machine.
#[derive(Debug)]
pub struct Core {
    state: State,
    children: BTreeMap<Daemon, Child>,
    cluster: bool,
    fail_fast: bool,
    first_start_done: bool,
    fatal: Option<CrmExit>,
    stopping: Option<Stopping>,
    probe_at: Option<Time>,
    next_probe: usize,
    last_good: Option<Time>,
    outputs: VecDeque<Output>,
}

impl Core {
    /// Nothing runs yet. `fail_fast`: a daemon's death resets the host (`PCMK_fail_fast`).
    pub fn new(fail_fast: bool) -> Core {
        Core {
            state: State::Init,
            children: Daemon::ALL.map(|daemon| (daemon, Child::default())).into(),
            cluster: true,
            fail_fast,
            first_start_done: false,
            fatal: None,
            stopping: None,
            probe_at: None,
            next_probe: 0,
            last_good: None,
            outputs: VecDeque::new(),
        }
    }

    /// What it is doing.
    pub fn state(&self) -> State {
        self.state
    }

    /// When a daemon was last found well.
    pub fn last_good(&self) -> Option<Time> {
        self.last_good
    }

    /// The process of a daemon.
    pub fn pid(&self, daemon: Daemon) -> Option<u32> {
        self.children.get(&daemon).and_then(|child| child.pid)
    }

    /// Takes in one event.
    pub fn handle_input(&mut self, now: Time, input: Input) {
        match input {
            Input::Begin { adopted, wait_for_sbd } => {
                for (daemon, pid) in adopted {
                    self.child(daemon).pid = Some(pid);
                    self.event(Event::Adopted(daemon, pid));
                }
                if wait_for_sbd {
                    self.state = State::WaitForPing;
                } else {
                    self.start_all(now);
                }
            }
            Input::Spawned(daemon, pid) => {
                let child = self.child(daemon);
                child.pid = Some(pid);
                child.mute = 0;
                // Asked to stop while it was being started.
                if self.state == State::ShuttingDown && self.stopping.is_none() {
                    self.stop_next(now);
                }
            }
            Input::NotSpawned(daemon) => self.on_end(now, daemon, End::Gone),
            Input::Ended(daemon, end) => {
                self.child(daemon).pid = None;
                self.on_end(now, daemon, end);
            }
            Input::Looked(daemon, look) => self.on_look(now, daemon, look),
            Input::Cluster(there) => {
                self.cluster = there;
                if there && self.is_up() {
                    for daemon in Daemon::ALL {
                        if std::mem::take(&mut self.child(daemon).postponed) {
                            self.spawn(daemon);
                        }
                    }
                }
            }
            Input::SbdPing => {
                if self.state == State::WaitForPing {
                    self.start_all(now);
                }
            }
            Input::Stop => self.stop(now),
        }
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.probe_at.is_some_and(|at| at <= now) {
            self.probe_at = Some(now + PROBE_INTERVAL);
            self.look_at_next();
        }
        if let Some(stopping) = &mut self.stopping {
            if stopping.remind_at <= now {
                stopping.remind_at = now + STOP_REMINDER;
                self.outputs.push_back(Output::Event(Event::StillStopping(stopping.daemon)));
            }
            if stopping.abort_at.is_some_and(|at| at <= now) {
                stopping.abort_at = None;
                self.outputs.push_back(Output::Abort(stopping.daemon));
            }
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is wanted next.
    pub fn next_deadline(&self) -> Option<Time> {
        let stopping = self
            .stopping
            .iter()
            .flat_map(|stopping| std::iter::once(stopping.remind_at).chain(stopping.abort_at));
        self.probe_at.into_iter().chain(stopping).min()
    }

    fn child(&mut self, daemon: Daemon) -> &mut Child {
        self.children.entry(daemon).or_default()
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn is_up(&self) -> bool {
        matches!(self.state, State::Starting | State::Running)
    }

    fn start_all(&mut self, now: Time) {
        self.state = State::Starting;
        for daemon in Daemon::ALL {
            if self.pid(daemon).is_none() {
                self.spawn(daemon);
            }
        }
        self.state = State::Running;
        if !self.first_start_done {
            self.first_start_done = true;
            self.outputs.push_back(Output::FirstStartDone);
        }
        self.last_good = Some(now);
        self.probe_at = Some(now + PROBE_INTERVAL);
    }

    fn spawn(&mut self, daemon: Daemon) {
        self.outputs.push_back(Output::Spawn(daemon));
    }

    fn on_end(&mut self, now: Time, daemon: Daemon, end: End) {
        if self.state == State::ShuttingDown {
            if self.stopping.as_ref().is_some_and(|stopping| stopping.daemon == daemon) {
                self.stopping = None;
                self.stop_next(now);
            }
            return;
        }
        if !self.is_up() {
            return;
        }
        self.event(Event::Died(daemon, end));
        match end {
            End::Code(code) if code == CrmExit::Fatal.code() => {
                self.child(daemon).given_up = true;
                self.fatal = Some(CrmExit::Fatal);
                self.stop(now);
            }
            End::Code(code) if code == CrmExit::Panic.code() => {
                self.outputs.push_back(Output::Panic);
                self.child(daemon).given_up = true;
                self.stop(now);
            }
            _ => self.respawn(daemon),
        }
    }

    fn respawn(&mut self, daemon: Daemon) {
        let (cluster, fail_fast) = (self.cluster, self.fail_fast);
        let child = self.child(daemon);
        child.respawns += 1;
        if child.respawns > RESPAWN_MAX {
            child.given_up = true;
            self.event(Event::GivenUp(daemon));
        } else if fail_fast {
            self.outputs.push_back(Output::Panic);
        } else if daemon.needs_cluster() && !cluster {
            child.postponed = true;
            self.event(Event::Postponed(daemon));
        } else {
            self.event(Event::Respawning(daemon));
            self.spawn(daemon);
        }
    }

    fn look_at_next(&mut self) {
        // One a turn; those that do not run are passed over.
        for _ in 0..Daemon::ALL.len() {
            let daemon = Daemon::ALL[self.next_probe % Daemon::ALL.len()];
            self.next_probe = (self.next_probe + 1) % Daemon::ALL.len();
            if self.pid(daemon).is_some() {
                self.outputs.push_back(Output::Look(daemon));
                return;
            }
        }
    }

    fn on_look(&mut self, now: Time, daemon: Daemon, look: Look) {
        let running = self.is_up();
        let child = self.child(daemon);
        if child.pid.is_none() {
            return;
        }
        match look {
            Look::Well => {
                child.mute = 0;
                self.last_good = Some(now);
            }
            Look::Mute => {
                child.mute += 1;
                let failures = child.mute;
                if failures < PROBE_FAILURES_MAX {
                    // It may still be starting, or be busy: that is not our failure.
                    self.last_good = Some(now);
                }
                self.event(Event::Mute(daemon, failures));
                if running && failures >= PROBE_FAILURES_MAX {
                    self.child(daemon).mute = 0;
                    self.outputs.push_back(Output::Kill(daemon));
                }
            }
            Look::Impostor => self.outputs.push_back(Output::Exit(CrmExit::Fatal)),
        }
    }

    fn stop(&mut self, now: Time) {
        if matches!(self.state, State::ShuttingDown | State::ShutdownComplete) {
            return;
        }
        self.state = State::ShuttingDown;
        self.stop_next(now);
    }

    /// Stops the last daemon that still runs; when none is left, all is done.
    fn stop_next(&mut self, now: Time) {
        let last = Daemon::ALL.into_iter().rev().find(|daemon| self.pid(*daemon).is_some());
        if let Some(daemon) = last {
            self.outputs.push_back(Output::Terminate(daemon));
            self.event(Event::Stopping(daemon));
            // The controller has to move everything away first, which may take as long as it takes.
            let abort_at = (daemon != Daemon::Controld).then(|| now + STOP_TIMEOUT);
            self.stopping = Some(Stopping { daemon, remind_at: now + STOP_REMINDER, abort_at });
            return;
        }
        self.state = State::ShutdownComplete;
        self.probe_at = None;
        self.event(Event::AllStopped);
        if self.fatal.is_some() {
            self.outputs.push_back(Output::StopCluster);
        }
        self.outputs.push_back(Output::Exit(self.fatal.unwrap_or(CrmExit::Ok)));
    }
}
