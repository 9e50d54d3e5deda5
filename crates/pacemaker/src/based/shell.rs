//! The CIB manager's daemon: one loop around the core.
//!
//! Descriptors in the loop: the endpoints `cib_ro`, `cib_rw` and `cib_shm`, the CPG group `cib`,
//! signals, and what [remote access](super::remote) has.

use std::io;

use base::CrmExit;
use cib::store::{DIRECTORY, Source, Store};
use pacemaker_client::account;
use qb::mainloop::{Interest, Loop, Signals, Token};

use super::core::{Based, Ctx, NewClient, Output};
use super::disk::Disk;
use super::remote::doors::{Change, Doors, FIRST_TOKEN};
use super::remote::login;
use crate::cluster::group::{Event as GroupEvent, Group};
use crate::cluster::message::{Kind, To};
use crate::cluster::wire::{Wire, host_name};
use crate::daemon;
use crate::service::{Event, Service};
use cib::settings::Daemon;

const SERVICES: [&str; 3] = ["cib_ro", "cib_rw", "cib_shm"];
/// Ways in: the endpoints and, last, TCP. A client's number is its connection's times their
/// number, plus which it is.
const N_WAYS: u64 = SERVICES.len() as u64 + 1;
const REMOTE: u64 = SERVICES.len() as u64;
/// Requests of remote clients before others have their turn.
const REMOTE_TURNS: usize = 64;
const CLUSTER: Token = Token(10);
const SIGNALS: Token = Token(11);

/// Local time as `cib-last-written` has it.
pub fn date() -> String {
    jiff::Zoned::now().strftime("%a %b %e %H:%M:%S %Y").to_string()
}

/// What the command line asks for beside what all daemons know.
struct Wishes {
    stand_alone: bool,
    directory: String,
    rest: Vec<String>,
}

fn wishes(args: &[String]) -> Wishes {
    let mut wishes =
        Wishes { stand_alone: false, directory: DIRECTORY.to_owned(), rest: Vec::new() };
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-s" | "--stand-alone" => wishes.stand_alone = true,
            // Writes are on unless the disk refuses.
            "-w" | "--disk-writes" => {}
            "-r" | "--cib-root" => {
                if let Some(directory) = words.next() {
                    wishes.directory.clone_from(directory);
                }
            }
            other => match other.strip_prefix("--cib-root=") {
                Some(directory) => wishes.directory = directory.to_owned(),
                None => wishes.rest.push(other.to_owned()),
            },
        }
    }
    wishes
}

/// `pacemaker-based`.
pub fn main(args: &[String]) -> i32 {
    let wishes = wishes(args);
    if wishes.rest.get(1).is_some_and(|word| word == "metadata") {
        print!("{}", daemon::metadata(Daemon::Based));
        return CrmExit::Ok.code();
    }
    // Not for people: the daemon runs itself so, to have a password judged.
    if wishes.rest.get(1).is_some_and(|word| word == login::WORD) {
        return login::main();
    }
    if let Err(exit) = daemon::start("pacemaker-based", &wishes.rest) {
        return exit;
    }
    base::notice!("Starting Pacemaker CIB manager");
    match run(&wishes) {
        Ok(exit) => exit,
        Err(error) => {
            base::crit!("Cannot go on: {error}");
            CrmExit::Fatal.code()
        }
    }
}

struct Shell {
    lp: Loop,
    services: Vec<Service>,
    cluster: Option<(Wire, Group)>,
    core: Based,
    disk: Disk,
    doors: Doors,
    exit: Option<i32>,
}

fn run(wishes: &Wishes) -> io::Result<i32> {
    let signals =
        Signals::new(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGPIPE, libc::SIGUSR1])?;
    let store = Store::new(&wishes.directory, account::daemon_ids());
    let loaded = store.load().map_err(|error| {
        io::Error::new(error.kind(), format!("{}: {error}", store.path().display()))
    })?;
    for note in &loaded.notes {
        base::error!("{note}");
    }
    match &loaded.source {
        Source::File => {
            base::info!("Reading cluster configuration file {}", store.path().display())
        }
        Source::Backup(path) => base::warning!("Using the backup {}", path.display()),
        Source::Nothing => base::warning!("Continuing with an empty configuration."),
    }
    let cluster = if wishes.stand_alone {
        None
    } else {
        let connected = Wire::connect("cib", true);
        Some(connected.map_err(|error| io::Error::other(format!("no cluster: {error}")))?)
    };
    let node = cluster.as_ref().map_or_else(host_name, |(_, group)| group.own_name().to_owned());
    let mut core = Based::new(&node, loaded.document, account::groups_of_user);
    if wishes.stand_alone {
        core.set_stand_alone();
    }
    let disk = Disk::new(store)?;
    let lp = Loop::new()?;
    lp.add(&signals, SIGNALS, Interest::READ)?;
    let doors = Doors::default();
    let mut shell = Shell { lp, services: Vec::new(), cluster, core, disk, doors, exit: None };
    if let Some((wire, _)) = &mut shell.cluster {
        wire.join().map_err(|error| io::Error::other(format!("cannot join the group: {error}")))?;
        shell.lp.add(wire.fd(), CLUSTER, Interest::READ)?;
    }
    for (at, name) in SERVICES.iter().enumerate() {
        let service = Service::bind(name)?;
        shell.lp.add(service.fd(), Token(at as u64), Interest::READ)?;
        shell.services.push(service);
    }
    shell.drain();
    base::notice!("Pacemaker CIB manager successfully started and accepting connections");
    shell.serve(&signals)
}

impl Shell {
    fn serve(mut self, signals: &Signals) -> io::Result<i32> {
        let mut events = Vec::new();
        loop {
            let group = self.cluster.as_ref().and_then(|(_, group)| group.next_deadline());
            let remote = self.doors.next_deadline(qb::mainloop::now());
            let deadline = self.core.next_deadline().into_iter().chain(group).chain(remote).min();
            self.lp.wait(deadline, &mut events)?;
            for event in &events {
                match event.token {
                    CLUSTER => self.on_cluster(),
                    SIGNALS => self.on_signals(signals),
                    token if token.0 >= FIRST_TOKEN => {
                        self.doors.on_event(&self.lp, qb::mainloop::now(), event);
                    }
                    Token(at) => self.on_ipc(at as usize),
                }
            }
            self.with_core(Based::timed_out);
            self.on_remote();
            if let Some(exit) = self.exit {
                if let Some((wire, _)) = &mut self.cluster {
                    wire.leave();
                }
                return Ok(exit);
            }
            if self.cluster.as_ref().is_some_and(|(wire, _)| wire.is_lost()) {
                base::crit!("Exiting immediately after losing connection to cluster layer");
                return Ok(CrmExit::Disconnect.code());
            }
        }
    }

    fn on_signals(&mut self, signals: &Signals) {
        while let Some((signal, _)) = signals.read() {
            if matches!(signal, libc::SIGTERM | libc::SIGINT) {
                base::notice!("Shutting down CIB manager");
                for service in &mut self.services {
                    service.refuse_new_clients();
                }
                self.doors.shut(&self.lp);
                self.with_core(Based::shut_down);
            }
        }
    }

    /// Serves who came over TCP, and sends what there is for them.
    fn on_remote(&mut self) {
        let number = |conn: u64| conn * N_WAYS + REMOTE;
        let now = qb::mainloop::now();
        self.doors.follow(&self.lp, now, self.core.document());
        self.doors.timed_out(&self.lp, now);
        let mut turns = REMOTE_TURNS;
        loop {
            let changes = self.doors.changes();
            let nothing_new = changes.is_empty();
            for change in changes {
                match change {
                    Change::Came { conn, uuid, user } => {
                        let privileged = account::is_privileged(&user);
                        let new = NewClient {
                            uuid,
                            user,
                            pid: 0,
                            privileged,
                            read_only: false,
                            is_remote: true,
                        };
                        self.core.client_connected(number(conn), new);
                    }
                    Change::Went(conn) => {
                        self.with_core(|core, ctx| core.client_gone(ctx, number(conn)));
                    }
                }
            }
            let request = if turns > 0 { self.doors.next_request() } else { None };
            let Some((conn, xml)) = request else {
                self.doors.settle(&self.lp, now);
                if nothing_new {
                    return;
                }
                continue;
            };
            turns -= 1;
            self.with_core(|core, ctx| core.client_request(ctx, number(conn), 0, 0, Some(xml)));
        }
    }

    fn on_ipc(&mut self, at: usize) {
        let number = |conn: u64| conn * N_WAYS + at as u64;
        loop {
            let Some(service) = self.services.get_mut(at) else { return };
            let Some(event) = service.next() else { return };
            match event {
                Event::Connected(conn) => {
                    if let Some(client) = service.client(conn) {
                        let new = NewClient {
                            uuid: client.uuid.clone(),
                            user: client.user.clone(),
                            pid: client.pid,
                            privileged: client.privileged,
                            read_only: at == 0,
                            is_remote: false,
                        };
                        self.core.client_connected(number(conn), new);
                    }
                }
                Event::Request(conn, request) => self.with_core(|core, ctx| {
                    core.client_request(ctx, number(conn), request.id, request.flags, request.xml);
                }),
                Event::Disconnected(conn) => {
                    self.with_core(|core, ctx| core.client_gone(ctx, number(conn)));
                }
            }
        }
    }

    fn on_cluster(&mut self) {
        let Some((wire, group)) = &mut self.cluster else { return };
        let events = match wire.dispatch(group) {
            Ok(events) => events,
            Err(error) => {
                base::error!("Connection to the cluster failed: {error}");
                return;
            }
        };
        for event in events {
            match event {
                GroupEvent::Message { name, xml, .. } => {
                    self.with_core(|core, ctx| core.peer_message(ctx, &name, xml));
                }
                GroupEvent::Refused { from, why } => {
                    base::error!("Dropping a message of node {from}: {why}");
                }
                GroupEvent::Evicted => {
                    if let Some((wire, _)) = &mut self.cluster {
                        wire.evicted();
                    }
                }
                GroupEvent::Peer(_) | GroupEvent::Membership { .. } => {}
            }
        }
        self.drain();
    }

    fn with_core(&mut self, call: impl FnOnce(&mut Based, Ctx<'_>)) {
        let date = date();
        let n_active = self.cluster.as_ref().map_or(1, |(_, group)| group.peers().n_active());
        let ctx = Ctx { now: qb::mainloop::now(), date: &date, n_active };
        call(&mut self.core, ctx);
        self.drain();
    }

    fn service_of(&mut self, client: u64) -> Option<(&mut Service, u64)> {
        let service = self.services.get_mut((client % N_WAYS) as usize)?;
        Some((service, client / N_WAYS))
    }

    fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Respond { client, xml, .. } if client % N_WAYS == REMOTE => {
                    self.doors.send(client / N_WAYS, &xml);
                }
                Output::Respond { client, id, flags, xml } => {
                    if let Some((service, conn)) = self.service_of(client) {
                        service.respond(conn, id, flags, &xml);
                    }
                }
                Output::Event { clients, xml } => {
                    for client in clients.iter().filter(|client| **client % N_WAYS == REMOTE) {
                        self.doors.send(client / N_WAYS, &xml);
                    }
                    for (at, service) in self.services.iter_mut().enumerate() {
                        let own: Vec<u64> = clients
                            .iter()
                            .filter(|client| **client % N_WAYS == at as u64)
                            .map(|client| client / N_WAYS)
                            .collect();
                        if !own.is_empty() {
                            service.event_to(&own, &xml);
                        }
                    }
                }
                Output::Limit { client, limit } => {
                    if let Some((service, conn)) = self.service_of(client) {
                        service.set_backlog_limit(conn, limit);
                    }
                }
                Output::Disconnect(client) if client % N_WAYS == REMOTE => {
                    self.doors.disconnect(client / N_WAYS);
                }
                Output::Disconnect(client) => {
                    if let Some((service, conn)) = self.service_of(client) {
                        service.disconnect(conn);
                    }
                }
                Output::Peer { to, xml } => self.send(to.as_deref(), &xml),
                Output::Persist(document) => self.disk.write(document),
                Output::Exit(code) => self.exit = Some(code),
                Output::Note(priority, text) => base::log!(priority, "{text}"),
            }
        }
        if let Some((wire, group)) = &mut self.cluster {
            wire.flush(group);
        }
    }

    fn send(&mut self, to: Option<&str>, xml: &xml::Element) {
        let Some((_, group)) = &mut self.cluster else { return };
        let to = match to {
            None => To::All,
            Some(name) => match group.peers().by_name(name) {
                Some(peer) => To::Node { id: peer.id, name: name.to_owned() },
                // Its id is not known before its daemon has spoken: id 0 on the wire leaves it to
                // the name, which every receiver compares with its own.
                None => To::Node { id: base::NodeId(0), name: name.to_owned() },
            },
        };
        group.send(&to, Kind::Cib, xml);
    }
}
