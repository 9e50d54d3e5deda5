//! The fencer's daemon: one loop around the core.
//!
//! Descriptors in the loop: the IPC endpoint `stonith-ng`, the CPG group of the same name, the
//! connection to the CIB manager, signals, and for each running agent its pidfd and outputs.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use agents::call::Command;
use agents::fence::{Abilities, metadata_command};
use agents::judge::Ended;
use agents::process::Process;
use agents::{Metadata, Places};
use base::{CrmExit, Time};
use pacemaker_client::cib::{self, Live, Op};
use qb::mainloop::{Interest, Loop, Signals, Token};
use xml::Element;

use super::config;
use super::core::{Core, Input, Now, Output};
use crate::cluster::group::{Event as GroupEvent, Group};
use crate::cluster::message::{Kind, To};
use crate::cluster::peers::Change;
use crate::cluster::wire::{Wire, epoch};
use crate::daemon;
use crate::service::{Event, Request, Service, uuid};

const IPC: Token = Token(1);
const SIGNALS: Token = Token(2);
const CLUSTER: Token = Token(3);
const CIB: Token = Token(4);
/// Tokens of running agents: from here on.
const RUNS: u64 = 1000;
/// Those that only print their metadata have numbers from here on.
const LESSONS: u64 = 1 << 48;

const CIB_RETRY: Duration = Duration::from_millis(200);
const METADATA_TIMEOUT: Duration = Duration::from_secs(30);
/// The manager is asked for the whole document; it may be large and it may be busy.
const CIB_TIMEOUT: Duration = Duration::from_secs(30);

struct Run {
    process: Process,
    deadline: Option<Time>,
    /// The agent whose metadata it prints.
    learns: Option<String>,
}

struct Shell {
    lp: Loop,
    service: Service,
    wire: Wire,
    group: Group,
    core: Core,
    places: Places,
    runs: BTreeMap<u64, Run>,
    last_lesson: u64,
    tickets: BTreeMap<u64, (u64, i32, u32)>,
    last_ticket: u64,
    cib: Option<Live>,
    cib_retry: Option<Time>,
    /// The configuration has changed since it was read.
    stale: bool,
}

/// `pacemaker-fenced`.
pub fn main(args: &[String]) -> i32 {
    if args.get(1).is_some_and(|word| word == "metadata") {
        print!("{}", daemon::fencer_metadata());
        return CrmExit::Ok.code();
    }
    let args: Vec<String> = args
        .iter()
        .filter(|arg| {
            !matches!(arg.as_str(), "-s" | "--stand-alone" | "-c" | "--stand-alone-w-cpg")
        })
        .cloned()
        .collect();
    if let Err(exit) = daemon::start("pacemaker-fenced", &args) {
        return exit;
    }
    match run() {
        Ok(exit) => exit.code(),
        Err(error) => {
            base::error!("Cannot go on: {error}");
            CrmExit::Fatal.code()
        }
    }
}

fn run() -> io::Result<CrmExit> {
    let signals = Signals::new(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGPIPE])?;
    let (mut wire, group) = Wire::connect("stonith-ng", true)
        .map_err(|error| io::Error::other(format!("cannot connect to the cluster: {error}")))?;
    wire.join().map_err(|error| io::Error::other(format!("cannot join the group: {error}")))?;
    let service = Service::bind("stonith-ng")?;
    let lp = Loop::new()?;
    lp.add(service.fd(), IPC, Interest::READ)?;
    lp.add(&signals, SIGNALS, Interest::READ)?;
    lp.add(wire.fd(), CLUSTER, Interest::READ)?;
    let own = group.own_name().to_owned();
    let seed = qb::mainloop::now().as_nanos() ^ u64::from(group.own_id().0).rotate_left(32);
    let mut shell = Shell {
        lp,
        service,
        wire,
        group,
        core: Core::new(&own, seed),
        places: Places::system(),
        runs: BTreeMap::new(),
        last_lesson: LESSONS,
        tickets: BTreeMap::new(),
        last_ticket: 0,
        cib: None,
        cib_retry: Some(qb::mainloop::now()),
        stale: false,
    };
    shell.peers_changed();
    base::notice!("Pacemaker fencer successfully started and accepting connections");
    let mut events = Vec::new();
    loop {
        let deadline = shell.next_deadline();
        shell.lp.wait(deadline, &mut events)?;
        for event in &events {
            match event.token {
                IPC => shell.on_ipc(),
                CLUSTER => shell.on_cluster(),
                CIB => shell.on_cib(),
                SIGNALS => {
                    while let Some((signal, _)) = signals.read() {
                        if matches!(signal, libc::SIGTERM | libc::SIGINT) {
                            base::notice!("Shutting down ({})", agents::judge::signal_name(signal));
                            shell.service.refuse_new_clients();
                            shell.wire.leave();
                            return Ok(CrmExit::Ok);
                        }
                    }
                }
                Token(token) if token >= RUNS => shell.on_run(token - RUNS),
                Token(_) => {}
            }
        }
        if shell.wire.is_lost() {
            base::crit!("Lost connection to cluster layer, shutting down");
            return Ok(CrmExit::Disconnect);
        }
        shell.look_for_cib();
        shell.read_config();
        shell.expire();
        shell.core.handle_timeout(now());
        shell.drain();
    }
}

fn now() -> Now {
    Now { mono: qb::mainloop::now(), epoch: i64::try_from(epoch()).unwrap_or(i64::MAX) }
}

impl Shell {
    fn next_deadline(&self) -> Option<Time> {
        let runs = self.runs.values().filter_map(|run| run.deadline);
        self.core
            .next_deadline()
            .into_iter()
            .chain(self.group.next_deadline())
            .chain(self.cib_retry)
            .chain(runs)
            .min()
    }

    fn input(&mut self, input: Input<'_>) {
        self.core.handle_input(now(), input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Respond { ticket, message } => {
                    if let Some((client, id, flags)) = self.tickets.remove(&ticket) {
                        self.service.respond(client, id, flags, &message);
                    }
                }
                Output::Event { client, message } => self.service.event(client, &message),
                Output::Peer { to, message } => self.send(to.as_deref(), &message),
                Output::Run { job, agent, input, timeout } => {
                    self.start(job, &agent, input, timeout)
                }
                Output::Learn { agent } => self.learn(agent),
                Output::Note(priority, text) => base::log!(priority, "{text}"),
            }
        }
        self.wire.flush(&mut self.group);
    }

    // --- clients --------------------------------------------------------------------------------

    fn on_ipc(&mut self) {
        while let Some(event) = self.service.next() {
            match event {
                Event::Connected(client) => {
                    let Some(known) = self.service.client(client) else { continue };
                    let (uuid, pid) = (known.uuid.clone(), known.pid);
                    let privileged = known.privileged;
                    self.input(Input::Connected { client, uuid, pid, privileged });
                }
                Event::Disconnected(client) => {
                    self.tickets.retain(|_, (owner, ..)| *owner != client);
                    self.input(Input::Disconnected { client });
                }
                Event::Request(client, request) => self.on_request(client, &request),
            }
        }
    }

    fn on_request(&mut self, client: u64, request: &Request) {
        let Some(message) = &request.xml else {
            if request.wants_response() {
                let nack = crate::service::acknowledgement("nack", "st_ipc_dispatch", 76);
                self.service.respond(client, request.id, request.flags, &nack);
            }
            return;
        };
        let ticket = request.wants_response().then(|| {
            self.last_ticket += 1;
            self.tickets.insert(self.last_ticket, (client, request.id, request.flags));
            self.last_ticket
        });
        self.input(Input::Request { client, ticket, request: message, fresh_id: uuid() });
    }

    // --- peers ----------------------------------------------------------------------------------

    fn send(&mut self, to: Option<&str>, message: &Element) {
        let to = match to {
            None => To::All,
            Some(name) => match self.group.peers().by_name(name) {
                Some(peer) => To::Node { id: peer.id, name: name.to_owned() },
                // Its id is not known before its daemon has spoken: id 0 on the wire leaves it to
                // the name, which every receiver compares with its own.
                None => To::Node { id: base::NodeId(0), name: name.to_owned() },
            },
        };
        self.group.send(&to, Kind::StonithNg, message);
    }

    fn on_cluster(&mut self) {
        let events = match self.wire.dispatch(&mut self.group) {
            Ok(events) => events,
            Err(error) => {
                base::error!("Cluster connection failed: {error}");
                return;
            }
        };
        let mut peers = false;
        for event in events {
            match event {
                GroupEvent::Message { name, xml, .. } => {
                    self.input(Input::Peer { from: &name, message: &xml, fresh_id: uuid() });
                }
                GroupEvent::Peer(change) => {
                    peers = true;
                    if !matches!(change.what, Change::Online(_)) {
                        // So that others learn our name, as upstream's fencers do.
                        let poke = Element::new("stonith_command")
                            .with("__name__", "stonith_command")
                            .with("t", "stonith-ng")
                            .with("st_op", "poke");
                        self.group.send(&To::All, Kind::StonithNg, &poke);
                    }
                }
                GroupEvent::Membership { .. } => peers = true,
                GroupEvent::Refused { from, why } => {
                    base::warning!("Ignoring a message from node {from}: {why}");
                }
                GroupEvent::Evicted => self.wire.evicted(),
            }
        }
        if peers {
            self.peers_changed();
        }
        self.wire.flush(&mut self.group);
    }

    fn peers_changed(&mut self) {
        let active: BTreeMap<String, u32> = self
            .group
            .peers()
            .iter()
            .filter(|peer| peer.is_active())
            .map(|peer| (peer.label().to_owned(), peer.id.0))
            .collect();
        self.input(Input::Peers(active));
    }

    // --- agents ---------------------------------------------------------------------------------

    fn start(&mut self, job: u64, agent: &str, input: String, timeout: Duration) {
        let Some(path) = self.places.fence_agent(agent) else {
            let path = format!("/usr/sbin/{agent}");
            let ended = Ended::Unstartable { path, errno: libc::ENOENT };
            let (stdout, stderr) = (String::new(), String::new());
            return self.core.handle_input(now(), Input::Ended { job, ended, stdout, stderr });
        };
        let mut command = Command::new(path, &[]);
        command.env.push(("LC_ALL".into(), "C".into()));
        command.stdin = Some(input.into_bytes());
        self.run(job, &command, timeout, None);
    }

    fn learn(&mut self, agent: String) {
        let Some(path) = self.places.fence_agent(&agent) else {
            return self.core.handle_input(now(), Input::Learned { agent, abilities: None });
        };
        self.last_lesson += 1;
        let command = metadata_command(&path);
        self.run(self.last_lesson, &command, METADATA_TIMEOUT, Some(agent));
    }

    fn run(&mut self, number: u64, command: &Command, timeout: Duration, learns: Option<String>) {
        match Process::start(command) {
            Ok(process) => {
                let token = Token(RUNS + number);
                let deadline = Some(qb::mainloop::now() + timeout);
                let mut run = Run { process, deadline, learns };
                let watched = run
                    .process
                    .wakers()
                    .into_iter()
                    .try_for_each(|fd| self.lp.add(fd, token, Interest::READ));
                if let Err(error) = watched {
                    base::error!("Cannot watch a fence agent: {error}");
                    run.process.kill(true);
                }
                self.runs.insert(number, run);
                self.on_run(number);
            }
            Err(ended) => self.ended(number, learns, ended, String::new(), String::new()),
        }
    }

    fn on_run(&mut self, number: u64) {
        let Some(run) = self.runs.get_mut(&number) else { return };
        let Some(finished) = run.process.advance() else { return };
        let learns = self.runs.remove(&number).and_then(|run| run.learns);
        self.ended(number, learns, finished.ended, finished.stdout, finished.stderr);
        self.drain();
    }

    fn ended(
        &mut self,
        number: u64,
        learns: Option<String>,
        ended: Ended,
        stdout: String,
        stderr: String,
    ) {
        let input = match learns {
            Some(agent) => {
                let good = ended == Ended::Exited(0);
                let meta = if good { Metadata::parse(&stdout).ok() } else { None };
                Input::Learned { agent, abilities: meta.as_ref().map(Abilities::of) }
            }
            None => Input::Ended { job: number, ended, stdout, stderr },
        };
        self.core.handle_input(now(), input);
    }

    fn expire(&mut self) {
        let now = qb::mainloop::now();
        for run in self.runs.values_mut() {
            if run.deadline.is_some_and(|at| at <= now) {
                run.deadline = None;
                run.process.kill(true);
            }
        }
    }

    // --- the CIB --------------------------------------------------------------------------------

    fn look_for_cib(&mut self) {
        if self.cib_retry.is_none_or(|at| qb::mainloop::now() < at) {
            return;
        }
        self.cib_retry = Some(qb::mainloop::now() + CIB_RETRY);
        let connected = Live::connect("cib_rw", "stonith-ng").and_then(|mut cib| {
            cib.subscribe()?;
            Ok(cib)
        });
        match connected {
            Ok(cib) if self.lp.add(cib.fd(), CIB, Interest::READ).is_ok() => {
                self.cib = Some(cib);
                self.cib_retry = None;
                self.stale = true;
            }
            Ok(_) => base::error!("Cannot watch the CIB manager"),
            Err(error) => base::debug!("The CIB manager cannot be reached yet: {error}"),
        }
    }

    fn lose_cib(&mut self) {
        if let Some(cib) = self.cib.take() {
            base::warning!("Lost connection to the CIB manager, reconnecting");
            if let Err(error) = self.lp.remove(cib.fd()) {
                base::debug!("Closing the connection: {error}");
            }
        }
        self.cib_retry = Some(qb::mainloop::now() + CIB_RETRY);
    }

    fn on_cib(&mut self) {
        loop {
            let Some(cib) = self.cib.as_mut() else { return };
            match cib.try_event() {
                Ok(Some(event)) => self.stale |= touches_fencing(&event),
                Ok(None) => return,
                Err(error) => {
                    base::debug!("Reading from the CIB manager: {error}");
                    return self.lose_cib();
                }
            }
        }
    }

    /// Reads the configuration anew when it may have changed.
    fn read_config(&mut self) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        let Some(cib) = self.cib.as_mut() else { return };
        let request = cib::Request { section: Some("configuration"), ..cib::Request::default() };
        match cib.call(Op::Query, &request, CIB_TIMEOUT) {
            Ok(Some(answer)) => {
                let root = if answer.name() == "cib" {
                    answer
                } else {
                    Element::new("cib").with_child(answer)
                };
                let config = config::read(&root, self.group.own_name());
                self.input(Input::Configured(config));
            }
            Ok(None) => {}
            Err(failure) => {
                base::warning!("Could not read the CIB: {}", failure.rc);
                self.lose_cib();
            }
        }
    }
}

/// Whether a change may concern devices or levels: anything but status alone.
fn touches_fencing(event: &cib::Event) -> bool {
    match event {
        cib::Event::Diff { notify, .. } => notify.descendants().any(|element| {
            element.get("path").is_some_and(|path| {
                ["/resources", "/constraints", "/fencing-topology", "/nodes", "/configuration"]
                    .iter()
                    .any(|part| path.contains(part))
                    && !path.contains("/status")
            }) || matches!(element.name(), "resources" | "fencing-topology" | "configuration")
        }),
        cib::Event::Reply { .. } => false,
        _ => true,
    }
}
