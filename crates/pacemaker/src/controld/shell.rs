//! The controller's daemon: one loop around the core.
//!
//! Descriptors in the loop: the IPC endpoint `crmd`, corosync's CPG and quorum services, the
//! connections to the CIB manager, the executor, the fencer and the scheduler, the helper thread
//! for agents' meta-data, and signals.

mod asking;
mod hearing;
mod links;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::cib::settings::Daemon;
use agents::AgentName;
use base::log::Priority;
use base::{CrmExit, Time};
use corosync_client::quorum::{self, Quorum};
use corosync_client::{CsError, TRACK_CHANGES, TRACK_CURRENT};
use pacemaker_client::cib::{self, Live, Op};
use pacemaker_client::client::{Client, ClientError};
use pacemaker_client::fenced::{Fenced, Outcome};
use qb::mainloop::{Interest, Loop, Signals, Token};
use xml::Element;

use super::agents::MetadataReader;
use super::core::{CibRequest, Clock, Controller, Output, Service, Setup};
use super::throttle::Sample;
use crate::alerts;
use crate::cluster::group::{self, Event as GroupEvent};
use crate::cluster::wire::{NodeList, Wire, cpu_time, epoch};
use crate::service::{self, Event, Service as Endpoint};
use crate::{daemon, watchdog};

const IPC: Token = Token(1);
const CLUSTER: Token = Token(2);
const QUORUM: Token = Token(3);
const CIB: Token = Token(4);
const EXECUTOR: Token = Token(5);
const FENCER: Token = Token(6);
const SCHEDULER: Token = Token(7);
const METADATA: Token = Token(8);
const SIGNALS: Token = Token(9);

/// Whole documents go to the scheduler.
const SCHEDULER_BUFFER: usize = 5 * 1024 * 1024;
/// How long to wait before the attribute manager is looked for again.
const ATTRD_RETRY: Duration = Duration::from_millis(200);
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

struct Shell {
    lp: Loop,
    wire: Wire,
    core: Controller,
    quorum: Option<Quorum>,
    endpoint: Option<Endpoint>,
    cib: Option<Live>,
    cib_calls: BTreeMap<u32, u64>,
    executor: Option<Client>,
    executor_token: String,
    fencer: Option<Fenced>,
    fencer_calls: BTreeMap<u32, u64>,
    scheduler: Option<Client>,
    attrd: Option<Client>,
    attrd_queue: VecDeque<Element>,
    attrd_retry: Option<Time>,
    metadata: MetadataReader,
    exit: Option<i32>,
}

/// `pacemaker-controld`.
pub fn main(args: &[String]) -> i32 {
    if args.get(1).is_some_and(|word| word == "metadata") {
        print!("{}", daemon::metadata(Daemon::Controld));
        return CrmExit::Ok.code();
    }
    if args.get(1).is_some_and(|word| word == "version") {
        println!("CRM Version: {} ({})", daemon::VERSION, daemon::BUILD);
        return CrmExit::Ok.code();
    }
    if let Err(exit) = daemon::start("pacemaker-controld", args) {
        return exit;
    }
    match run() {
        Ok(exit) => exit,
        Err(error) => {
            base::error!("Cannot go on: {error}");
            CrmExit::Error.code()
        }
    }
}

fn setup() -> Setup {
    let list = NodeList::read().unwrap_or_default();
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    Setup {
        te_uuid: service::uuid(),
        version: format!("{}-{}", daemon::VERSION, daemon::BUILD),
        cluster_name: list.cluster_name,
        n_configured: list.n_configured,
        have_watchdog: watchdog::sbd_pid().is_some(),
        start_state: env("PCMK_node_start_state"),
        node_action_limit: env("PCMK_node_action_limit").and_then(|text| text.parse().ok()),
        n_cores: std::thread::available_parallelism()
            .map_or(1, |n| u32::try_from(n.get()).unwrap_or(1)),
        pid: std::process::id(),
    }
}

fn run() -> io::Result<i32> {
    let signals = Signals::new(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGPIPE])?;
    let metadata = MetadataReader::start()?;
    let (wire, group) = Wire::connect("crmd", false)
        .map_err(|error| io::Error::other(format!("cannot connect to the cluster: {error}")))?;
    let lp = Loop::new()?;
    lp.add(&signals, SIGNALS, Interest::READ)?;
    lp.add(metadata.fd(), METADATA, Interest::READ)?;
    let mut shell = Shell {
        lp,
        wire,
        core: Controller::new(group, setup()),
        quorum: None,
        endpoint: None,
        cib: None,
        cib_calls: BTreeMap::new(),
        executor: None,
        executor_token: String::new(),
        fencer: None,
        fencer_calls: BTreeMap::new(),
        scheduler: None,
        attrd: None,
        attrd_queue: VecDeque::new(),
        attrd_retry: None,
        metadata,
        exit: None,
    };
    shell.core.start(clock());
    shell.drain();
    let mut events = Vec::new();
    loop {
        if let Some(code) = shell.exit {
            return Ok(code);
        }
        let deadline = shell
            .core
            .next_deadline()
            .into_iter()
            .chain(shell.core.group.next_deadline())
            .chain(shell.attrd_retry)
            .min();
        shell.lp.wait(deadline, &mut events)?;
        for event in &events {
            match event.token {
                IPC => shell.on_ipc(),
                CLUSTER => shell.on_cluster(),
                QUORUM => shell.on_quorum(),
                CIB => shell.on_cib(),
                EXECUTOR => shell.on_executor(),
                FENCER => shell.on_fencer(),
                SCHEDULER => shell.on_scheduler(),
                METADATA => shell.on_metadata(),
                SIGNALS => {
                    while let Some((signal, _)) = signals.read() {
                        if matches!(signal, libc::SIGTERM | libc::SIGINT) {
                            shell.core.shutdown(clock());
                            shell.drain();
                        }
                    }
                }
                Token(_) => {}
            }
        }
        if shell.wire.is_lost() && shell.exit.is_none() {
            base::crit!("Lost connection to cluster layer, shutting down");
            return Ok(CrmExit::Disconnect.code());
        }
        shell.core.timed_out(clock());
        if shell.core.wants_load() {
            shell.core.loaded(clock(), load());
        }
        shell.drain();
        shell.send_attributes();
    }
}

fn clock() -> Clock {
    Clock { now: qb::mainloop::now(), epoch: epoch(), age: cpu_time() }
}

/// This host's load average.
fn load() -> Sample {
    let load = std::fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(0.0);
    Sample { cib: 0.0, load }
}

impl Shell {
    fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            self.perform(output);
        }
        self.wire.flush(&mut self.core.group);
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Note(priority, text) => base::log!(priority, "{text}"),
            Output::Connect(service) => {
                let ok = self.connect(service);
                self.core.connected(clock(), service, ok);
            }
            Output::Disconnect(service) => self.disconnect(service),
            Output::JoinGroup => self.join(),
            Output::LeaveGroup => {
                self.wire.flush(&mut self.core.group);
                self.wire.leave();
            }
            Output::Cib(tag, request) => self.ask_cib(tag, &request),
            Output::Attrd(update) => {
                self.attrd_queue.push_back(update);
                self.send_attributes();
            }
            Output::Executor(tag, command) => self.ask_executor(tag, command),
            Output::Alert(call) => self.run_alert(&call),
            Output::Scheduler(request) => self.ask_scheduler(&request),
            Output::Fencer(tag, command) => self.ask_fencer(tag, &command),
            Output::Metadata { key, class, provider, agent } => {
                match agents::Class::parse(&class) {
                    Some(class) => {
                        let agent = AgentName::new(class, provider.as_deref(), &agent);
                        self.metadata.ask(key, agent);
                    }
                    None => self.core.metadata(clock(), &key, None),
                }
            }
            Output::OpenIpc => self.open_ipc(),
            Output::CloseIpc => {
                if let Some(endpoint) = self.endpoint.take() {
                    self.unwatch(endpoint.fd());
                }
            }
            Output::Client(uuid, message) => {
                if let Some(endpoint) = &mut self.endpoint {
                    let client =
                        endpoint.clients().find(|(_, known)| known.uuid == uuid).map(|(id, _)| id);
                    if let Some(client) = client {
                        endpoint.event(client, &message);
                    }
                }
            }
            Output::Panic(why) => {
                base::log!(Priority::Emerg, "Signaling parent to panic: {why}");
                self.exit = Some(CrmExit::Panic.code());
            }
            Output::Exit(code) => {
                self.wire.flush(&mut self.core.group);
                base::info!("Exiting with status {code}");
                self.exit.get_or_insert(code);
            }
        }
    }

    fn watch(&self, fd: BorrowedFd<'_>, token: Token) -> bool {
        match self.lp.add(fd, token, Interest::READ) {
            Ok(()) => true,
            Err(error) => {
                base::error!("Cannot watch a connection: {error}");
                false
            }
        }
    }

    fn unwatch(&self, fd: BorrowedFd<'_>) {
        if let Err(error) = self.lp.remove(fd) {
            base::debug!("Closing a connection: {error}");
        }
    }
}
