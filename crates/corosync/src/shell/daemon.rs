//! The loop: what comes from sockets, clients, signals and the clock goes into the ring and the
//! engine; what they put out is done, until nothing is left; then it waits again.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use base::Time;
use qb::log::Logger;
use qb::mainloop::{Event, Interest, Loop, Signals, Token, now};
use rustix::event::{PollFd, PollFlags, poll};
use totem::Srp;

use super::files::{self, strerror};
use super::ipc::Ipc;
use super::watchdog::Watchdog;
use super::zero_copy::Buffers;
use super::{process, status, watchdog};
use crate::cmap::Map;
use crate::config::totem::TotemConfig;
use crate::engine::{ConnId, Engine};
use crate::transport::{Link, Member, Transport, Udp, UdpConfig, Udpu, UdpuConfig};

const RING: Token = Token(0);
const SIGNALS: Token = Token(1);
const FIRST_IPC: u64 = 16;

/// Gatherings in a row, and refused datagrams in a row, that are a fault of the network.
const GATHERS_MAX: u32 = 3;
const SEND_FAILURES_MAX: u32 = 30;
const NETWORK_WARNING_EVERY: Duration = Duration::from_millis(1500);
/// Batches of packets taken before clients and timers have their turn.
const BATCHES_MAX: usize = 8;
/// How long clients may wait while messages pour in, less than they would notice.
const NAP: Duration = Duration::from_micros(100);
/// Times not scheduled that are kept for the statistics.
const SCHED_MISSES_MAX: usize = 10;
/// Complaints about packets that are none of ours, at most.
const COMPLAINT_EVERY: Duration = Duration::from_secs(1);

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
    pub(super) lp: Loop,
    pub(super) signals: Signals,
    pub(super) srp: Srp,
    pub(super) transport: Transport,
    pub(super) engine: Engine,
    pub(super) ipc: Ipc,
    pub(super) buffers: Buffers,
    pub(super) config: TotemConfig,
    pub(super) state_dir: PathBuf,
    pub(super) config_path: PathBuf,
    pub(super) logger: Logger,
    /// Messages of services that found no room in the ring's queue.
    pub(super) overflow: VecDeque<(&'static [u8], Vec<u8>)>,
    /// Multicasts of clients that found no room, or came during a synchronisation.
    pub(super) parked: VecDeque<(ConnId, Vec<u8>)>,
    /// Datagrams in a row that the kernel refused.
    pub(super) send_failures: u32,
    pub(super) is_alone: bool,
    pub(super) downcheck_at: Time,
    pub(super) complained_at: Option<Time>,
    pub(super) barrier: u32,
    pub(super) exit: Option<i32>,
    pub(super) is_leaving: bool,
    pub(super) warned_at: Option<Time>,
    pub(super) log_changed: bool,
    pub(super) totem_changed: bool,
    pub(super) request: Vec<u8>,
    pub(super) watchdog: Watchdog,
    /// The last times the process was not scheduled: when (ms since 1970), how long (ms).
    pub(super) sched_misses: VecDeque<(u64, f32)>,
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
            is_leaving: false,
            warned_at: None,
            log_changed: false,
            totem_changed: false,
            request: Vec::new(),
            watchdog: Watchdog::default(),
            sched_misses: VecDeque::new(),
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
            self.nap(deadline);
            if let Err(error) = self.lp.wait(deadline, &mut events) {
                base::error!(sub: "MAIN", "The event loop failed: {}", strerror(&error));
                return status::FATAL;
            }
            let woken = now();
            self.watch_schedule(deadline, woken);
            // Requests first: what they bring goes with the token that may be waiting.
            let ring_waits = events.iter().any(|event| event.token == RING);
            for event in &events {
                if let Some(index) = self.ipc.index_of(event.token) {
                    self.serve(index, ring_waits);
                }
            }
            if ring_waits {
                self.receive();
            }
            if events.iter().any(|event| event.token == SIGNALS) {
                self.signal();
            }
            self.time_passed();
        }
        self.exit.unwrap_or(status::OK)
    }

    /// When messages pour in, every one of them would wake us: for a moment only the ring may.
    fn nap(&self, deadline: Option<Time>) {
        let now = now();
        if !self.srp.is_flooded(now) {
            return;
        }
        let limit = deadline.map_or(NAP, |at| at.since(now).min(NAP));
        let nanos = i64::try_from(limit.as_nanos()).unwrap_or(0);
        if nanos == 0 {
            return;
        }
        let limit = rustix::event::Timespec { tv_sec: 0, tv_nsec: nanos };
        let fds = self.transport.fds();
        let watch = |fd: &std::os::fd::RawFd| {
            PollFd::from_borrowed_fd(process::watched(*fd), PollFlags::IN)
        };
        let mut watched: Vec<PollFd<'_>> = fds.iter().map(watch).collect();
        // Whatever ended it: the loop looks at everything now.
        let _ = poll(&mut watched, Some(&limit));
    }

    fn next_deadline(&self) -> Option<Time> {
        let downcheck = self.wants_downcheck().then_some(self.downcheck_at);
        let (stats, sample) = (self.engine.stats_deadline(), self.engine.sample_deadline());
        let (ring, engine) = (self.srp.next_deadline(), self.engine.next_deadline());
        let links = self.transport.next_deadline();
        [links, ring, engine, stats, sample, self.watchdog.deadline(), downcheck]
            .into_iter()
            .flatten()
            .min()
    }

    fn wants_downcheck(&self) -> bool {
        self.transport.knet().is_none() && (self.is_alone || self.transport.link() == Link::Down)
    }

    /// The kernel let us sleep longer than the ring can bear: administrators must know.
    fn watch_schedule(&mut self, deadline: Option<Time>, woken: Time) {
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
            self.sched_misses.truncate(SCHED_MISSES_MAX - 1);
            let epoch = u64::try_from(epoch).unwrap_or(u64::MAX);
            self.sched_misses.push_front((epoch, late.as_secs_f32() * 1000.0));
        }
    }

    /// A ring that cannot form is nearly always a packet filter: say so.
    fn watch_network(&mut self, now: Time) {
        let is_gathering = self.srp.state() == totem::State::Gather;
        let reason = if is_gathering && self.srp.stats(now).continuous_gather > GATHERS_MAX {
            "totem is continuously in gather state"
        } else if self.send_failures > SEND_FAILURES_MAX {
            "number of multicast sendmsg failures is above threshold"
        } else {
            return;
        };
        if self.warned_at.is_some_and(|at| now.since(at) < NETWORK_WARNING_EVERY) {
            return;
        }
        self.warned_at = Some(now);
        base::warning!(
            sub: "MAIN",
            "Totem is unable to form a cluster because of an operating system or network fault \
             (reason: {reason}). The most common cause of this message is that the local firewall \
             is configured improperly."
        );
    }

    fn time_passed(&mut self) {
        let now = now();
        if self.transport.next_deadline().is_some_and(|at| at <= now) {
            self.transport.handle_timeout(now);
        }
        if self.srp.next_deadline().is_some_and(|at| at <= now) {
            self.srp.handle_timeout(now);
        }
        if self.engine.next_deadline().is_some_and(|at| at <= now) {
            self.engine.handle_timeout(now);
        }
        if self.engine.stats_deadline().is_some_and(|at| at <= now) {
            self.poll_stats(now);
        }
        if self.engine.sample_deadline().is_some_and(|at| at <= now) {
            self.engine.handle_sample(now, &watchdog::sample());
        }
        self.watchdog.handle_timeout(now);
        self.watch_network(now);
        if self.wants_downcheck() && self.downcheck_at <= now {
            self.check_interface(now);
        }
        self.pump(now);
    }

    // --- The ring's sockets ---

    fn watch_ring(&mut self) {
        self.watch(&self.transport.fds());
    }

    pub(super) fn watch(&self, fds: &[std::os::fd::RawFd]) {
        for fd in fds {
            if let Err(error) = self.lp.add(process::watched(*fd), RING, Interest::READ) {
                base::error!(sub: "TOTEM", "Can't watch a socket: {}", strerror(&error));
            }
        }
    }

    pub(super) fn check_interface(&mut self, now: Time) {
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
                    let text = error.to_string();
                    if text.starts_with("Received ") {
                        base::warning!(sub: "TOTEM", "{text}");
                    } else {
                        base::warning!(sub: "TOTEM", "Message received from {from} {text}");
                    }
                }
            }
            self.pump(now);
            if self.transport.is_drained() {
                return;
            }
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

    pub(super) fn log_state(&self) {
        base::notice!(
            sub: "MAIN",
            "state {:?}, ring {}, members {:?}, quorate {}, {} frames free",
            self.srp.state(), self.srp.ring_id(), self.srp.members(), self.engine.is_quorate(),
            self.srp.queue_available()
        );
    }

    /// Leaves the ring in order.
    pub(super) fn shut_down(&mut self) {
        if self.is_leaving {
            return;
        }
        self.is_leaving = true;
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
        self.watchdog.close();
        self.ipc.endpoints.clear();
        self.srp.leave(now);
        self.drain_ring(now);
        self.transport.flush();
        self.exit = Some(status::OK);
    }
}

/// The ring's numbers.
pub(super) fn ring_config(config: &TotemConfig) -> totem::Config {
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

/// The listed nodes.
pub(super) fn members(config: &TotemConfig) -> Vec<Member> {
    config.nodes.iter().map(|node| Member { node: node.id, addr: node.addr }).collect()
}

/// The sockets that the configuration asks for.
fn open_transport(config: &TotemConfig) -> std::io::Result<Transport> {
    if let Some(knet) = &config.knet {
        base::notice!(sub: "TOTEM", "Initializing transport (Kronosnet).");
        return super::knet::open(config, knet).map(Transport::Knet);
    }
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
