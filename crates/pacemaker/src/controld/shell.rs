//! The controller's daemon: one loop around the core.
//!
//! Descriptors in the loop: the IPC endpoint `crmd`, corosync's CPG and quorum services, the
//! connections to the CIB manager, the executor, the fencer and the scheduler, the helper thread
//! for agents' meta-data, and signals.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::cib::settings::Daemon;
use agents::AgentName;
use base::log::Priority;
use base::{CrmExit, NodeId, Time};
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
use crate::cluster::group::Event as GroupEvent;
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

    // --- connections --------------------------------------------------------------------------

    fn connect(&mut self, service: Service) -> bool {
        let result = match service {
            Service::Cib => self.connect_cib(),
            Service::Executor => self.connect_executor(),
            Service::Fencer => self.connect_fencer(),
            Service::Scheduler => self.connect_scheduler(),
        };
        match result {
            Ok(()) => true,
            Err(error) => {
                base::info!("{service:?} cannot be reached yet: {error}");
                false
            }
        }
    }

    fn connect_cib(&mut self) -> Result<(), ClientError> {
        let mut cib = Live::connect("cib_shm", "crmd")?;
        cib.subscribe()?;
        if let Err(error) = cib.notify("cib_refresh_notify", true) {
            base::debug!("No notifications of refreshes: {error}");
        }
        self.watch(cib.fd(), CIB);
        self.cib = Some(cib);
        Ok(())
    }

    fn connect_executor(&mut self) -> Result<(), ClientError> {
        let mut client = Client::connect("lrmd")?;
        let hello = Element::new("lrmd_command")
            .with("t", "lrmd")
            .with("lrmd_op", "register")
            .with("lrmd_clientname", "crmd")
            .with("lrmd_protocol_version", pacemaker_client::execd::PROTOCOL);
        let reply = client.call(&hello, CALL_TIMEOUT)?;
        let Some(token) = reply.get("lrmd_clientid") else {
            return Err(ClientError::Protocol("no registration".into()));
        };
        self.executor_token = token.to_owned();
        self.watch(client.fd(), EXECUTOR);
        self.executor = Some(client);
        Ok(())
    }

    fn connect_fencer(&mut self) -> Result<(), ClientError> {
        let mut fencer = Fenced::connect("pacemaker-controld")?;
        fencer.subscribe("st_notify_fence")?;
        fencer.subscribe("st_notify_history_synced")?;
        self.watch(fencer.fd(), FENCER);
        self.fencer = Some(fencer);
        Ok(())
    }

    fn connect_scheduler(&mut self) -> Result<(), ClientError> {
        let client = Client::connect_with("pengine", SCHEDULER_BUFFER)?;
        self.watch(client.fd(), SCHEDULER);
        self.scheduler = Some(client);
        Ok(())
    }

    fn disconnect(&mut self, service: Service) {
        match service {
            Service::Cib => {
                if let Some(cib) = self.cib.take() {
                    self.unwatch(cib.fd());
                }
                self.cib_calls.clear();
            }
            Service::Executor => {
                if let Some(client) = self.executor.take() {
                    self.unwatch(client.fd());
                }
            }
            Service::Fencer => {
                if let Some(fencer) = self.fencer.take() {
                    self.unwatch(fencer.fd());
                }
                self.fencer_calls.clear();
            }
            Service::Scheduler => {
                if let Some(client) = self.scheduler.take() {
                    self.unwatch(client.fd());
                }
            }
        }
    }

    /// A connection broke.
    fn lose(&mut self, service: Service) {
        self.disconnect(service);
        self.core.disconnected(clock(), service);
        self.drain();
    }

    fn join(&mut self) {
        let followed = self.wire.join().and_then(|()| {
            let mut quorum = Quorum::connect()?;
            quorum.track_start(TRACK_CHANGES | TRACK_CURRENT)?;
            Ok(quorum)
        });
        match followed {
            Ok(quorum) => {
                self.watch(self.wire.fd(), CLUSTER);
                self.watch(quorum.fd(), QUORUM);
                self.quorum = Some(quorum);
            }
            Err(error) => {
                base::crit!("Cannot join the cluster: {error}");
                self.exit = Some(CrmExit::Error.code());
            }
        }
    }

    fn open_ipc(&mut self) {
        match Endpoint::bind("crmd") {
            Ok(endpoint) => {
                self.watch(endpoint.fd(), IPC);
                self.endpoint = Some(endpoint);
            }
            Err(error) => {
                base::crit!("Cannot accept clients: {error}");
                self.exit = Some(CrmExit::Fatal.code());
            }
        }
    }

    // --- asking -------------------------------------------------------------------------------

    fn ask_cib(&mut self, tag: u64, request: &CibRequest) {
        let (Some(cib), Some(op)) = (self.cib.as_mut(), Op::parse(request.op)) else {
            self.core.cib_reply(clock(), tag, -107, None);
            return;
        };
        let sent = cib.send(
            op,
            &cib::Request {
                section: request.section.as_deref(),
                data: request.data.clone(),
                options: request.options,
                user: request.user.as_deref(),
                host: request.host.as_deref(),
            },
        );
        match sent {
            Ok(call) => {
                self.cib_calls.insert(call, tag);
            }
            Err(error) => {
                base::error!("Could not ask the CIB manager for {}: {error}", request.op);
                self.core.cib_reply(clock(), tag, error.rc().wire(), None);
            }
        }
    }

    fn ask_executor(&mut self, tag: u64, command: Element) {
        let command = command.with("lrmd_async_id", self.executor_token.as_str());
        let rc = match self.executor.as_mut().map(|client| client.call(&command, CALL_TIMEOUT)) {
            Some(Ok(reply)) => {
                reply.get("lrmd_rc").and_then(|text| text.parse().ok()).unwrap_or(-71)
            }
            Some(Err(error)) => {
                base::error!("The executor did not take a command: {error}");
                error.rc().wire()
            }
            None => -107,
        };
        self.core.executor_reply(clock(), tag, rc);
    }

    fn run_alert(&mut self, call: &alerts::Call) {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let command = alerts::executor_command(call.request(wall))
            .with("lrmd_async_id", self.executor_token.as_str());
        let Some(executor) = self.executor.as_mut() else { return };
        let rc =
            executor.call(&command, CALL_TIMEOUT).map(|reply| reply.get("lrmd_rc") == Some("0"));
        match rc {
            Ok(true) => {}
            Ok(false) => base::warning!("The executor refused to run alert {}", call.id()),
            Err(error) => base::warning!("Alert {} could not be sent: {error}", call.id()),
        }
    }

    fn ask_scheduler(&mut self, request: &Element) {
        let sent = self.scheduler.as_mut().map(|client| client.send(request, 0));
        if let Some(Err(error)) = sent {
            base::error!("Could not ask the scheduler: {error}");
            self.lose(Service::Scheduler);
        }
    }

    fn ask_fencer(&mut self, tag: u64, command: &Element) {
        let number = |name: &str| command.get(name).and_then(|text| text.parse::<u32>().ok());
        let data = command.child("st_calldata").and_then(|data| data.children().next()).cloned();
        let delay = command.get("st_delay").and_then(|text| text.parse().ok());
        let sent = self.fencer.as_mut().map(|fencer| {
            fencer.send(
                command.get("st_op").unwrap_or(""),
                data,
                number("st_callopt").unwrap_or(0),
                number("st_timeout").unwrap_or(0),
                delay,
            )
        });
        match sent {
            Some(Ok(call)) => {
                self.fencer_calls.insert(call, tag);
            }
            Some(Err(error)) => {
                base::error!("Could not ask the fencer: {error}");
                self.core.fencer_reply(clock(), tag, 8, 1, "the fencer is not reachable");
            }
            None => self.core.fencer_reply(clock(), tag, 8, 1, "the fencer is not connected"),
        }
    }

    fn send_attributes(&mut self) {
        if self.attrd_retry.is_some_and(|at| qb::mainloop::now() < at) {
            return;
        }
        self.attrd_retry = None;
        while let Some(update) = self.attrd_queue.front() {
            if self.attrd.is_none() {
                match Client::connect("attrd") {
                    Ok(client) => self.attrd = Some(client),
                    Err(error) => {
                        base::debug!("The attribute manager cannot be reached yet: {error}");
                        self.attrd_retry = Some(qb::mainloop::now() + ATTRD_RETRY);
                        return;
                    }
                }
            }
            let sent =
                self.attrd.as_mut().map(|client| client.call(update, Duration::from_secs(5)));
            match sent {
                Some(Ok(_)) => {
                    self.attrd_queue.pop_front();
                }
                Some(Err(error)) => {
                    base::info!("The attribute manager took no update: {error}");
                    self.attrd = None;
                    self.attrd_retry = Some(qb::mainloop::now() + ATTRD_RETRY);
                    if !error.is_disconnect() {
                        // It may have been taken; counting a failure twice would be wrong.
                        self.attrd_queue.pop_front();
                    }
                    return;
                }
                None => return,
            }
        }
    }

    // --- hearing ------------------------------------------------------------------------------

    fn on_cluster(&mut self) {
        let events = match self.wire.dispatch(&mut self.core.group) {
            Ok(events) => events,
            Err(error) => {
                base::debug!("The cluster connection failed: {error}");
                return;
            }
        };
        for (at, event) in events.iter().enumerate() {
            if matches!(event, GroupEvent::Peer(_)) {
                let left: Vec<NodeId> = events[at..]
                    .iter()
                    .find_map(|event| match event {
                        GroupEvent::Membership { left } => Some(left.clone()),
                        _ => None,
                    })
                    .unwrap_or_default();
                self.core.group_leaving(&left);
            }
            self.core.group_event(clock(), event);
            self.drain();
        }
    }

    fn on_quorum(&mut self) {
        while let Some(quorum) = self.quorum.as_mut() {
            match quorum.dispatch() {
                Ok(Some(quorum::Event::Quorum { quorate, ring, members })) => {
                    self.core.quorum(clock(), quorate, ring.seq, &members);
                    self.drain();
                }
                Ok(Some(quorum::Event::NodeList { .. })) => {}
                Ok(None) => return,
                Err(error) if error == CsError::TRY_AGAIN => return,
                Err(error) => {
                    base::crit!("Lost connection to the quorum service: {error}");
                    self.exit = Some(CrmExit::Disconnect.code());
                    return;
                }
            }
        }
    }

    fn on_cib(&mut self) {
        loop {
            let Some(cib) = self.cib.as_mut() else { return };
            match cib.try_event() {
                Ok(Some(cib::Event::Reply { call, rc, output })) => {
                    if let Some(tag) = self.cib_calls.remove(&call) {
                        self.core.cib_reply(clock(), tag, rc.wire(), output.as_ref());
                    }
                }
                Ok(Some(cib::Event::Diff { rc, patch: Some(patch), .. })) if rc.is_ok() => {
                    self.core.cib_changed(clock(), &patch);
                }
                Ok(Some(cib::Event::Refresh { sections })) => {
                    self.core.cib_replaced(clock(), sections);
                }
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(error) if error.is_disconnect() => return self.lose(Service::Cib),
                Err(error) => base::warning!("Odd message of the CIB manager: {error}"),
            }
            self.drain();
        }
    }

    fn on_executor(&mut self) {
        loop {
            let Some(client) = self.executor.as_mut() else { return };
            match client.try_event() {
                Ok(Some(event)) => self.core.executor_notification(clock(), &event),
                Ok(None) => return,
                Err(error) if error.is_disconnect() => return self.lose(Service::Executor),
                Err(error) => base::warning!("Odd message of the executor: {error}"),
            }
            self.drain();
        }
    }

    fn on_fencer(&mut self) {
        loop {
            let Some(fencer) = self.fencer.as_mut() else { return };
            match fencer.try_event() {
                Ok(Some(event)) if event.get("t") == Some("st_notify") => {
                    self.core.fencer_notification(clock(), &event);
                }
                Ok(Some(event)) => {
                    let call = event.get("st_callid").and_then(|text| text.parse().ok());
                    let is_reply = event.name() == "st-reply" || event.has("op-status");
                    if is_reply
                        && let Some(tag) = call.and_then(|call| self.fencer_calls.remove(&call))
                    {
                        let outcome = Outcome::of(&event);
                        let reason = outcome.reason.unwrap_or_default();
                        self.core.fencer_reply(clock(), tag, outcome.status, outcome.rc, &reason);
                    }
                }
                Ok(None) => return,
                Err(error) if error.is_disconnect() => return self.lose(Service::Fencer),
                Err(error) => base::warning!("Odd message of the fencer: {error}"),
            }
            self.drain();
        }
    }

    fn on_scheduler(&mut self) {
        loop {
            let Some(client) = self.scheduler.as_mut() else { return };
            match client.try_event() {
                Ok(Some(event)) => self.core.scheduler_message(clock(), &event),
                Ok(None) => return,
                Err(error) if error.is_disconnect() => return self.lose(Service::Scheduler),
                Err(error) => base::warning!("Odd message of the scheduler: {error}"),
            }
            self.drain();
        }
    }

    fn on_metadata(&mut self) {
        while let Some((key, text)) = self.metadata.next() {
            self.core.metadata(clock(), &key, text.as_deref());
            self.drain();
        }
    }

    fn on_ipc(&mut self) {
        while let Some(event) = self.endpoint.as_mut().and_then(Endpoint::next) {
            let Some(endpoint) = self.endpoint.as_mut() else { return };
            match event {
                Event::Connected(_) => {}
                Event::Disconnected(_) => {
                    let alive: Vec<String> =
                        endpoint.clients().map(|(_, known)| known.uuid.clone()).collect();
                    self.core.keep_clients(&alive);
                }
                Event::Request(client, request) => {
                    let Some(message) = &request.xml else {
                        endpoint.acknowledge(client, &request, "dispatch_controller_ipc", 76);
                        continue;
                    };
                    endpoint.acknowledge(client, &request, "dispatch_controller_ipc", 112);
                    let Some(known) = endpoint.client(client) else { continue };
                    let uuid = known.uuid.clone();
                    let user = match message.get("crm_user").or(message.get("acl_target")) {
                        Some(wanted) if known.privileged => wanted.to_owned(),
                        _ => known.user.clone(),
                    };
                    self.core.client_message(clock(), &uuid, &user, message);
                    self.drain();
                }
            }
        }
    }
}
