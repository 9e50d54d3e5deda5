//! The loop: what comes from sockets, clients, signals and the clock goes into the ring and the
//! engine; what they put out is done, until nothing is left; then it waits again.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use base::{NodeId, Time};
use qb::ipc::ServerEvent;
use qb::log::Logger;
use qb::mainloop::{Event, Interest, Loop, Signals, Token, now};
use totem::{ConfigKind, QueueLevel, Srp};

use super::files::{self, strerror};
use super::host::Machine;
use super::ipc::Ipc;
use super::stats::View;
use super::zero_copy::{self, Buffers};
use super::{logs, process, status};
use crate::cmap::Map;
use crate::config::logging;
use crate::config::timing::Timing;
use crate::config::totem::{self as config, TotemConfig};
use crate::engine::{
    Admission, ConnId, Engine, GROUP_SERVICES, GROUP_SYNC, Membership, Output, ServiceId, info,
};
use crate::transport::{Link, Member, Transport, Udp, UdpConfig, Udpu, UdpuConfig};
use crate::wire::{CsError, Fields};

const RING: Token = Token(0);
const SIGNALS: Token = Token(1);
const FIRST_IPC: u64 = 16;

/// Batches of packets taken before clients and timers have their turn.
const BATCHES_MAX: usize = 8;
/// Complaints about packets that are none of ours, at most.
const COMPLAINT_EVERY: Duration = Duration::from_secs(1);
/// CPG's multicast request.
const CPG_MCAST: i32 = 2;

/// What a daemon is made of.
pub(super) struct Parts {
    pub(super) map: Map,
    pub(super) config: TotemConfig,
    pub(super) stored_ring_seq: u64,
    pub(super) state_dir: PathBuf,
    pub(super) config_path: PathBuf,
    pub(super) logger: Logger,
}

/// The running daemon.
pub(super) struct Daemon {
    lp: Loop,
    signals: Signals,
    srp: Srp,
    transport: Transport,
    engine: Engine,
    ipc: Ipc,
    buffers: Buffers,
    config: TotemConfig,
    state_dir: PathBuf,
    config_path: PathBuf,
    logger: Logger,
    /// Messages of services that found no room in the ring's queue.
    overflow: VecDeque<(&'static [u8], Vec<u8>)>,
    /// Multicasts of clients that found no room, or came during a synchronisation.
    parked: VecDeque<(ConnId, Vec<u8>)>,
    /// Datagrams in a row that the kernel refused.
    send_failures: u32,
    is_alone: bool,
    downcheck_at: Time,
    complained_at: Option<Time>,
    barrier: u32,
    exit: Option<i32>,
    log_changed: bool,
    totem_changed: bool,
    request: Vec<u8>,
}

impl Daemon {
    /// Opens the sockets; the error is text and exit status.
    pub(super) fn new(parts: Parts) -> Result<Daemon, (String, i32)> {
        let Parts { map, config, stored_ring_seq, state_dir, config_path, logger } = parts;
        let fatal = |what: &str, error: std::io::Error| {
            (format!("{what}: {}", strerror(&error)), status::FATAL)
        };
        let lp = Loop::new().map_err(|error| fatal("Can't create the event loop", error))?;
        let signals = Signals::new(&[libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGUSR2])
            .map_err(|error| fatal("Can't set up signals", error))?;
        lp.add(&signals, SIGNALS, Interest::READ)
            .map_err(|error| fatal("Can't watch signals", error))?;
        let srp = Srp::new(ring_config(&config), config.node_id, stored_ring_seq, files::seed());
        let transport =
            open_transport(&config).map_err(|error| fatal("Can't open the transport", error))?;
        if transport.link() == Link::Down {
            base::error!(
                sub: "TOTEM",
                "The local address {} is on no interface that is up.", config.bind
            );
            return Err((
                "One of your ip addresses are now bound to localhost. Corosync would not work \
                 correctly."
                    .into(),
                status::FATAL,
            ));
        }
        let ipc = Ipc::new(map.get_text("system.qb_ipc_type").as_deref(), FIRST_IPC);
        let now = now();
        let engine = Engine::new(config.node_id, map);
        let mut daemon = Daemon {
            lp,
            signals,
            srp,
            transport,
            engine,
            ipc,
            buffers: Buffers::default(),
            downcheck_at: now + Duration::from_millis(config.timing.downcheck.into()),
            config,
            barrier: files::load_barrier(&state_dir),
            state_dir,
            config_path,
            logger,
            overflow: VecDeque::new(),
            parked: VecDeque::new(),
            send_failures: 0,
            is_alone: true,
            complained_at: None,
            exit: None,
            log_changed: false,
            totem_changed: false,
            request: Vec::new(),
        };
        daemon.watch_ring();
        Ok(daemon)
    }

    /// Runs until the end; gives the exit status.
    pub(super) fn run(&mut self) -> i32 {
        if let Err(error) = self.engine.load(now(), self.barrier) {
            self.pump(now());
            base::error!(sub: "SERV", "{error}");
            return status::SERVICE;
        }
        self.srp.interface_changed(now());
        self.pump(now());
        let mut events: Vec<Event> = Vec::new();
        while self.exit.is_none() {
            let deadline = self.next_deadline();
            if let Err(error) = self.lp.wait(deadline, &mut events) {
                base::error!(sub: "MAIN", "The event loop failed: {}", strerror(&error));
                return status::FATAL;
            }
            let woken = now();
            self.watch_schedule(deadline, woken);
            for event in &events {
                match event.token {
                    RING => self.receive(),
                    SIGNALS => self.signal(),
                    token => {
                        if let Some(index) = self.ipc.index_of(token) {
                            self.serve(index);
                        }
                    }
                }
            }
            self.time_passed();
        }
        self.exit.unwrap_or(status::OK)
    }

    fn next_deadline(&self) -> Option<Time> {
        let downcheck = self.wants_downcheck().then_some(self.downcheck_at);
        [self.srp.next_deadline(), self.engine.next_deadline(), downcheck]
            .into_iter()
            .flatten()
            .min()
    }

    fn wants_downcheck(&self) -> bool {
        self.is_alone || self.transport.link() == Link::Down
    }

    /// The kernel let us sleep longer than the ring can bear: administrators must know.
    fn watch_schedule(&self, deadline: Option<Time>, woken: Time) {
        let Some(late) = deadline.filter(|at| *at > Time::ZERO).map(|at| woken.since(at)) else {
            return;
        };
        let token = Duration::from_millis(self.config.timing.token.into());
        let threshold = token.mul_f64(0.8);
        if late > threshold {
            let epoch = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| since.as_millis());
            base::warning!(
                sub: "MAIN",
                "Corosync main process was not scheduled (@{epoch}) for {:.4} ms (threshold is \
                 {:.4} ms). Consider token timeout increase.",
                late.as_secs_f64() * 1000.0,
                threshold.as_secs_f64() * 1000.0
            );
        }
    }

    fn time_passed(&mut self) {
        let now = now();
        if self.srp.next_deadline().is_some_and(|at| at <= now) {
            self.srp.handle_timeout(now);
        }
        if self.engine.next_deadline().is_some_and(|at| at <= now) {
            self.engine.handle_timeout(now);
        }
        if self.wants_downcheck() && self.downcheck_at <= now {
            self.check_interface(now);
        }
        self.pump(now);
    }

    // --- The ring's sockets ---

    fn watch_ring(&mut self) {
        for fd in self.transport.fds() {
            if let Err(error) = self.lp.add(process::watched(fd), RING, Interest::READ) {
                base::error!(sub: "TOTEM", "Can't watch a socket: {}", strerror(&error));
            }
        }
    }

    fn check_interface(&mut self, now: Time) {
        self.downcheck_at = now + Duration::from_millis(self.config.timing.downcheck.into());
        match self.transport.check_interface() {
            Ok(None) => {}
            Ok(Some(_)) => {
                self.watch_ring();
                self.srp.interface_changed(now);
            }
            Err(error) => {
                base::warning!(sub: "TOTEM", "Can't open the interface: {}", strerror(&error));
            }
        }
    }

    fn receive(&mut self) {
        // A flood must not keep clients and timers waiting: the loop comes back here.
        for _ in 0..BATCHES_MAX {
            let count = self.transport.recv_batch();
            if count == 0 {
                return;
            }
            let now = now();
            if self.srp.next_deadline().is_some_and(|at| at <= now) {
                self.srp.handle_timeout(now);
            }
            for index in 0..count {
                let (packet, from) = self.transport.packet(index);
                if let Err(error) = self.srp.handle_packet(now, packet)
                    && self.complained_at.is_none_or(|at| now.since(at) >= COMPLAINT_EVERY)
                {
                    self.complained_at = Some(now);
                    base::warning!(
                        sub: "TOTEM",
                        "Message received from {from} is no message of this ring: {error}. Ignoring"
                    );
                }
            }
            self.pump(now);
        }
    }

    fn signal(&mut self) {
        while let Some((signal, _)) = self.signals.read() {
            if signal == libc::SIGUSR2 {
                self.log_state();
            } else {
                base::notice!(sub: "MAIN", "Node was shut down by a signal");
                self.shut_down();
            }
        }
    }

    fn log_state(&self) {
        base::notice!(
            sub: "MAIN",
            "state {:?}, ring {}, members {:?}, quorate {}, {} frames free",
            self.srp.state(), self.srp.ring_id(), self.srp.members(), self.engine.is_quorate(),
            self.srp.queue_available()
        );
    }

    /// Leaves the ring in order.
    fn shut_down(&mut self) {
        if self.exit.is_some() {
            return;
        }
        base::notice!(sub: "SERV", "Unloading all Corosync service engines.");
        let now = now();
        self.engine.handle_exit(now);
        self.pump(now);
        for service in self.engine.unload_order() {
            if service.ipc.is_some() {
                base::info!(sub: "QB", "withdrawing server sockets");
            }
            base::notice!(sub: "SERV", "Service engine unloaded: {}", service.title);
        }
        self.ipc.endpoints.clear();
        self.srp.leave(now);
        self.drain_ring(now);
        self.transport.flush();
        self.exit = Some(status::OK);
    }

    // --- Doing what the cores ask for ---

    fn pump(&mut self, now: Time) {
        loop {
            let mut busy = self.drain_ring(now);
            busy |= self.drain_engine(now);
            if !busy {
                break;
            }
        }
        self.refill(now);
        let failed = self.transport.flush();
        self.send_failures =
            if failed == 0 { 0 } else { self.send_failures.saturating_add(failed as u32) };
        self.follow_changes(now);
        let closed = self.engine.is_syncing()
            || !self.overflow.is_empty()
            || self.srp.queue_level() == QueueLevel::Critical;
        self.ipc.set_closed(closed);
    }

    fn drain_ring(&mut self, now: Time) -> bool {
        let mut busy = false;
        while let Some(output) = self.srp.poll_output() {
            busy = true;
            match output {
                totem::Output::Multicast(packet) => self.transport.send_mcast(packet),
                totem::Output::Unicast { to, packet } => self.transport.send_token(to, packet),
                totem::Output::Persist { ring_seq } => self.persist(ring_seq),
                totem::Output::Deliver(delivery) => {
                    for group in [GROUP_SERVICES, GROUP_SYNC] {
                        if delivery.groups.contains(group) {
                            let swapped = delivery.foreign_order;
                            let payload = &delivery.payload;
                            self.engine.handle_delivery(
                                now,
                                delivery.from,
                                group,
                                payload,
                                swapped,
                            );
                        }
                    }
                }
                totem::Output::Config(change) => self.membership(now, change),
                totem::Output::TokenSent => {}
                totem::Output::Processors(count) => self.is_alone = count <= 1,
                totem::Output::CheckInterface => self.check_interface(now),
                totem::Output::Event(event) => {
                    base::log!(event.priority(), sub: "TOTEM", "{event}");
                }
                other => base::debug!(sub: "TOTEM", "nothing to do for {other:?}"),
            }
            // Deliveries can be many; what the engine says about them must not pile up.
            self.drain_engine(now);
        }
        busy
    }

    fn persist(&mut self, ring_seq: u64) {
        if let Err(error) = files::store_ring_seq(&self.state_dir, self.config.node_id, ring_seq) {
            base::error!(sub: "TOTEM", "Couldn't store new ring id {ring_seq:x} to stable storage: {}", strerror(&error));
            self.exit = Some(status::RING_ID);
        }
    }

    fn membership(&mut self, now: Time, change: totem::ConfigChange) {
        let change = Membership {
            ring: change.ring_id,
            members: change.members,
            left: change.left,
            joined: change.joined,
            is_transitional: change.kind == ConfigKind::Transitional,
        };
        let config = &self.config;
        let ip_text = |node: NodeId| match config.address_of(node) {
            Some(ip) => format!("r(0) ip({ip}) "),
            None => format!("r(0) ip({node}) "),
        };
        self.engine.handle_membership(now, &change, &ip_text);
    }

    fn drain_engine(&mut self, now: Time) -> bool {
        let mut busy = false;
        loop {
            let outputs = self.engine.take_outputs();
            if outputs.is_empty() {
                return busy;
            }
            busy = true;
            for output in outputs {
                self.perform(now, output);
            }
        }
    }

    fn perform(&mut self, now: Time, output: Output) {
        match output {
            Output::Mcast { group, payload } => self.multicast(now, group, payload),
            Output::Reply { conn, bytes } => self.ipc.respond(conn, &bytes),
            Output::Event { conn, bytes } => self.ipc.event(conn, &bytes),
            Output::SyncComplete => {
                self.srp.trans_ack(now);
                process::notify_ready();
            }
            Output::Loaded { service } => self.open_socket(service),
            Output::Log { priority, subsys, text } => base::log!(priority, sub: subsys, "{text}"),
            Output::ReadConfig => self.reload(now),
            Output::LogConfigChanged => self.log_changed = true,
            Output::TotemConfigChanged => self.totem_changed = true,
            Output::ReopenLogs { conn } => {
                let errors = self.logger.reopen();
                for error in &errors {
                    base::error!(sub: "MAIN", "{error}");
                }
                self.engine.handle_logs_reopened(now, conn, errors.is_empty());
            }
            Output::ForceGather => self.srp.interface_changed(now),
            Output::DumpBlackbox => {
                base::warning!(sub: "MAIN", "There is no flight recorder to be written");
            }
            Output::Shutdown => self.shut_down(),
            Output::Die { status } => self.exit = Some(status),
        }
    }

    fn open_socket(&mut self, service: ServiceId) {
        let Some(name) = info(service).and_then(|info| info.ipc) else { return };
        if let Err(error) = self.ipc.open(&self.lp, service, name) {
            base::error!(sub: "QB", "Can't open the socket of {name}: {}", strerror(&error));
            self.exit = Some(status::FATAL);
        }
    }

    fn multicast(&mut self, now: Time, group: &'static [u8], payload: Vec<u8>) {
        if !self.overflow.is_empty() || !self.send(now, group, &payload) {
            self.overflow.push_back((group, payload));
        }
    }

    /// False when the ring's queue is full.
    fn send(&mut self, now: Time, group: &[u8], payload: &[u8]) -> bool {
        let sent = self.srp.multicast(now, totem::Guarantee::Agreed, group, &[payload]);
        match sent {
            totem::Admission::Room(_) => true,
            totem::Admission::Full => false,
            totem::Admission::TooBig => {
                let size = payload.len();
                base::error!(sub: "TOTEM", "a message of {size} bytes is too big for the ring");
                true
            }
        }
    }

    /// Sends what had found no room.
    fn refill(&mut self, now: Time) {
        while let Some((group, payload)) = self.overflow.pop_front() {
            if !self.send(now, group, &payload) {
                self.overflow.push_front((group, payload));
                return;
            }
        }
        if self.parked.is_empty() || self.engine.is_syncing() {
            return;
        }
        while let Some((conn, bytes)) = self.parked.pop_front() {
            if self.admission(bytes.len()) == Admission::Full {
                self.parked.push_front((conn, bytes));
                return;
            }
            self.hand_over(now, conn, &bytes);
            self.drain_engine(now);
        }
        self.ipc.release_held();
    }

    /// Things that need doing once, however often they were asked for.
    fn follow_changes(&mut self, now: Time) {
        if std::mem::take(&mut self.log_changed) {
            match logging::read(self.engine.map()) {
                Ok(settings) => {
                    for error in self.logger.configure(logs::config(&settings, false)) {
                        base::error!(sub: "MAIN", "{error}");
                    }
                }
                Err(text) => base::error!(sub: "MAIN", "parse error in config: {text}."),
            }
        }
        if std::mem::take(&mut self.totem_changed) {
            let timing = Timing::read(self.engine.map(), self.config.nodes.len());
            if let Err(text) = timing.validate() {
                base::error!(sub: "MAIN", "parse error in config: {text}");
            }
            timing.publish(self.engine.map_mut());
            self.config.timing = timing;
            self.srp.set_config(ring_config(&self.config));
        }
        if let Some(votes) = self.engine.tracking_barrier()
            && votes != self.barrier
        {
            self.barrier = votes;
            if let Err(error) = files::store_barrier(&self.state_dir, votes) {
                base::warning!(
                    sub: "VOTEQ",
                    "Unable to update ev_tracking_barrier on disk data!!! {}", strerror(&error)
                );
            }
        }
        let _ = now;
    }

    fn reload(&mut self, now: Time) {
        let read = files::read_config(&self.config_path);
        if let Ok(parsed) = &read {
            for warning in &parsed.warnings {
                base::warning!(sub: "MAIN", "{warning}");
            }
        }
        let fresh: RefCell<Option<TotemConfig>> = RefCell::new(None);
        let current = &self.config;
        let check = |map: &mut Map| {
            let mut warnings = Vec::new();
            let read = config::read(map, &Machine, &mut warnings)?;
            for warning in warnings {
                base::warning!(sub: "MAIN", "{warning}");
            }
            if read.node_id != current.node_id || read.bind != current.bind {
                return Err("The local node's id and address cannot be changed at run-time".into());
            }
            logging::read(map)?;
            *fresh.borrow_mut() = Some(read);
            Ok(())
        };
        self.engine.handle_reload(now, read, &check);
        if let Some(new) = fresh.into_inner() {
            self.config.nodes = new.nodes;
            self.config.timing = new.timing;
            self.transport.set_members(&members(&self.config));
            self.srp.set_config(ring_config(&self.config));
        }
    }

    // --- Clients ---

    fn serve(&mut self, index: usize) {
        let mut request = std::mem::take(&mut self.request);
        while let Some(endpoint) = self.ipc.endpoints.get_mut(index) {
            let service = endpoint.service;
            let Some(event) = endpoint.server.next(&mut request) else { break };
            match event {
                ServerEvent::Connect { conn, credentials } => {
                    self.connect(index, service, conn, credentials);
                }
                ServerEvent::Request { conn } => {
                    self.request(service, Ipc::conn(index, conn), &request);
                }
                ServerEvent::Disconnect { conn } => self.disconnect(Ipc::conn(index, conn)),
            }
        }
        request.clear();
        // One big message must not hold its memory for ever.
        request.shrink_to(64 * 1024);
        self.request = request;
    }

    fn connect(
        &mut self,
        index: usize,
        service: ServiceId,
        own: qb::ipc::ConnId,
        credentials: qb::ipc::Credentials,
    ) {
        let errno = if !self.engine.is_ipc_allowed() {
            libc::EAGAIN
        } else if !self.engine.is_permitted(credentials.uid, credentials.gid) {
            base::error!(
                sub: "MAIN",
                "Denied connection attempt from {}:{}", credentials.uid, credentials.gid
            );
            libc::EACCES
        } else {
            0
        };
        let Some(endpoint) = self.ipc.endpoints.get_mut(index) else { return };
        if errno != 0 {
            endpoint.server.reject(own, errno);
            return;
        }
        endpoint.server.accept(own);
        let conn = Ipc::conn(index, own);
        self.ipc.welcome(conn, credentials.pid);
        self.engine.handle_connect(conn, service);
    }

    fn disconnect(&mut self, conn: ConnId) {
        let now = now();
        self.parked.retain(|(owner, _)| *owner != conn);
        self.buffers.disconnect(conn);
        self.ipc.clients.remove(&conn);
        self.ipc.held.remove(&conn);
        self.engine.handle_disconnect(now, conn);
        self.drain_engine(now);
    }

    fn admission(&self, size: usize) -> Admission {
        match self.srp.admit(size) {
            totem::Admission::Room(_) if self.overflow.is_empty() => Admission::Room,
            totem::Admission::Room(_) | totem::Admission::Full => Admission::Full,
            totem::Admission::TooBig => Admission::TooBig,
        }
    }

    fn request(&mut self, service: ServiceId, conn: ConnId, bytes: &[u8]) {
        let now = now();
        let id = Fields::new(bytes).i32(0).unwrap_or(-1);
        if service == ServiceId::Cpg && id == CPG_MCAST {
            let full = self.admission(bytes.len()) == Admission::Full;
            if full || self.engine.is_syncing() || !self.parked.is_empty() {
                // There is no answer that could say "later": it waits here, and its client stops.
                self.parked.push_back((conn, bytes.to_vec()));
                self.ipc.hold(conn);
                return;
            }
        }
        if service == ServiceId::Cpg && (zero_copy::ALLOC..=zero_copy::EXECUTE).contains(&id) {
            self.zero_copy(now, conn, id, bytes);
        } else {
            self.hand_over(now, conn, bytes);
        }
        self.drain_engine(now);
    }

    fn hand_over(&mut self, now: Time, conn: ConnId, bytes: &[u8]) {
        let admission = self.admission(bytes.len());
        if let Some(client) = self.ipc.clients.get_mut(&conn) {
            match admission {
                Admission::Room => {}
                Admission::Full => client.overload += 1,
                Admission::TooBig => client.invalid_request += 1,
            }
        }
        let view = View {
            now,
            srp: &self.srp,
            config: &self.config,
            transport: &self.transport,
            ipc: &self.ipc,
            send_failures: self.send_failures,
            cleared: RefCell::new(Vec::new()),
        };
        self.engine.handle_request(now, &view, conn, bytes, admission);
        for what in view.cleared.into_inner() {
            if what == "totem" || what == "all" {
                self.srp.clear_stats();
            }
        }
    }

    fn zero_copy(&mut self, now: Time, conn: ConnId, id: i32, bytes: &[u8]) {
        let message = Fields::new(bytes);
        let answer = match id {
            zero_copy::ALLOC => Engine::answer(conn, 0, self.buffers.alloc(conn, &message)),
            zero_copy::FREE => Engine::answer(conn, 0, self.buffers.free(conn, &message)),
            _ => match self.buffers.read(conn, &message) {
                Some(request) => {
                    let admission = self.admission(request.len());
                    self.engine.handle_zero_copy(now, conn, &request, admission);
                    return;
                }
                None => Engine::answer(conn, 2, CsError::InvalidParam),
            },
        };
        self.perform(now, answer);
    }
}

/// The ring's numbers.
fn ring_config(config: &TotemConfig) -> totem::Config {
    let timing = &config.timing;
    let ms = |millis: u32| Duration::from_millis(millis.into());
    totem::Config {
        token: ms(timing.token),
        token_warning: timing.token_warning,
        token_retransmit: ms(timing.token_retransmit),
        hold: ms(timing.hold),
        join: ms(timing.join),
        send_join: ms(timing.send_join),
        consensus: ms(timing.consensus),
        merge: ms(timing.merge),
        fail_recv_const: timing.fail_recv_const,
        seqno_unchanged_const: timing.seqno_unchanged_const,
        heartbeat_failures_allowed: timing.heartbeat_failures_allowed,
        max_network_delay: ms(timing.max_network_delay),
        window_size: timing.window_size,
        max_messages: timing.max_messages,
        miss_count_const: timing.miss_count_const,
        cancel_token_hold_on_retransmit: timing.cancel_token_hold_on_retransmit,
        net_mtu: config.net_mtu as usize,
    }
}

fn members(config: &TotemConfig) -> Vec<Member> {
    config.nodes.iter().map(|node| Member { node: node.id, addr: node.addr }).collect()
}

fn open_transport(config: &TotemConfig) -> std::io::Result<Transport> {
    match config.mcast {
        Some(mcastaddr) => {
            base::notice!(sub: "TOTEM", "Initializing transport (UDP/IP Multicast).");
            Udp::new(UdpConfig {
                me: config.node_id,
                bindnet: config.bind,
                mcastaddr,
                port: config.port,
                ttl: config.ttl.into(),
                members: members(config),
            })
            .map(Transport::Udp)
        }
        None => {
            base::notice!(sub: "TOTEM", "Initializing transport (UDP/IP Unicast).");
            Udpu::new(UdpuConfig {
                me: config.node_id,
                bindnet: config.bind,
                port: config.port,
                members: members(config),
                block_unlisted_ips: config.timing.block_unlisted_ips,
            })
            .map(Transport::Udpu)
        }
    }
}
