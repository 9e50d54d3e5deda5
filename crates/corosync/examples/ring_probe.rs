//! A bare node on a real ring: totem and a transport, nothing above.
//!
//! For interop checks and measurements without the engine. It joins the ring, prints what the
//! machine reports, takes part in the synchronisation with empty hands (barriers only), answers
//! nothing else, and on request floods the ring with messages to a group of its own.
//!
//!     ring_probe --me 2 --bindnet 192.168.100.11 --member 1=192.168.100.10 \
//!                --member 2=192.168.100.11 [--udp 239.255.1.1] [--port 5405] [--token 1000]
//!                [--flood SIZE] [--drop PERCENT] [--seconds N] [--seq N] [--silent MS]

use base::{NodeId, Time};
use corosync::transport::{Member, Transport, Udp, UdpConfig, Udpu, UdpuConfig};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};
use totem::{Admission, Config, ConfigKind, Delivery, Event, Guarantee, Output, RingId, Srp};

struct Options {
    me: NodeId,
    members: Vec<Member>,
    flood: Option<usize>,
    drop_percent: u64,
    silent: Duration,
    seconds: u64,
}

#[derive(Default)]
struct Sync {
    ring_id: RingId,
    members: Vec<NodeId>,
    seen: BTreeSet<NodeId>,
    services: BTreeSet<i32>,
    built: bool,
    done: usize,
}

struct Probe {
    srp: Srp,
    transport: Transport,
    start: Instant,
    sync: Sync,
    synced: bool,
    received: u64,
    bytes: u64,
    sent_at: BTreeMap<u64, Time>,
    latencies: Vec<Duration>,
    next: u64,
    chatty: bool,
}

fn header(id: i32, size: i32, ring_id: RingId) -> Vec<u8> {
    let mut out = Vec::new();
    for word in [id, 0, size, 0] {
        out.extend(word.to_ne_bytes());
    }
    out.extend(ring_id.rep.0.to_ne_bytes());
    out.extend(ring_id.seq.to_ne_bytes());
    out.extend([0; 4]);
    out
}

impl Probe {
    fn now(&self) -> Time {
        Time::from_millis(1000) + self.start.elapsed()
    }

    fn drain(&mut self) {
        while let Some(output) = self.srp.poll_output() {
            match output {
                Output::Multicast(packet) => self.transport.send_mcast(packet),
                Output::Unicast { to, packet } => self.transport.send_token(to, packet),
                Output::Deliver(delivery) => self.deliver(&delivery),
                Output::Config(change) => {
                    println!("{:?} {:?}", self.now(), change);
                    if change.kind == ConfigKind::Regular {
                        self.begin_sync(change.ring_id, change.members);
                    }
                }
                Output::Event(event) => {
                    let noisy = matches!(event, Event::RetransmitList(_));
                    if !noisy || self.chatty {
                        println!("{:?} {event}", self.now());
                    }
                }
                _ => {}
            }
        }
        self.transport.flush();
    }

    fn begin_sync(&mut self, ring_id: RingId, members: Vec<NodeId>) {
        self.synced = false;
        self.sync = Sync { ring_id, members, ..Sync::default() };
        let mut build = header(1, 552, ring_id);
        let list = [0i32, 2, 3, 5];
        build.extend(4i32.to_ne_bytes());
        build.extend([0; 4]);
        for slot in 0..128 {
            build.extend(list.get(slot).copied().unwrap_or(0).to_ne_bytes());
        }
        self.multicast(b"sync", &build);
    }

    fn multicast(&mut self, group: &[u8], body: &[u8]) -> bool {
        let now = self.now();
        matches!(self.srp.multicast(now, Guarantee::Agreed, group, &[body]), Admission::Room(_))
    }

    fn deliver(&mut self, delivery: &Delivery) {
        if delivery.groups.contains(b"sync") {
            self.on_sync(delivery);
        } else if delivery.groups.contains(b"probe") {
            self.received += 1;
            self.bytes += delivery.payload.len() as u64;
            if delivery.from == self.srp.me() {
                let id = delivery.payload.first_chunk::<8>().map(|b| u64::from_ne_bytes(*b));
                if let Some(at) = id.and_then(|id| self.sent_at.remove(&id)) {
                    self.latencies.push(self.now().since(at));
                }
            }
        } else {
            self.received += 1;
            self.bytes += delivery.payload.len() as u64;
        }
    }

    fn on_sync(&mut self, delivery: &Delivery) {
        let word = |at: usize| {
            let bytes = delivery.payload.get(at..at + 4).and_then(|b| b.try_into().ok());
            bytes.map_or(0, i32::from_ne_bytes)
        };
        let mine = header(0, 0, self.sync.ring_id);
        if delivery.payload.get(16..28) != mine.get(16..28) {
            return;
        }
        let build = word(0) == 1;
        if build == self.sync.built {
            return;
        }
        if build {
            let count = usize::try_from(word(32)).unwrap_or(0).min(128);
            self.sync.services.extend((0..count).map(|index| word(40 + 4 * index)));
        }
        self.sync.seen.insert(delivery.from);
        if !self.sync.members.iter().all(|id| self.sync.seen.contains(id)) {
            return;
        }
        self.sync.seen.clear();
        if build {
            self.sync.built = true;
        } else {
            self.sync.done += 1;
        }
        if self.sync.done == self.sync.services.len() {
            println!("{:?} synchronisation complete", self.now());
            self.synced = true;
            let now = self.now();
            self.srp.trans_ack(now);
        } else {
            let barrier = header(0, 32, self.sync.ring_id);
            self.multicast(b"sync", &barrier);
        }
    }

    fn flood(&mut self, size: usize) {
        let mut body = vec![0; size.max(8)];
        while self.synced && self.sent_at.len() < 64 + 4_000_000 / (size + 64) / 8 {
            body[..8].copy_from_slice(&self.next.to_ne_bytes());
            if !self.multicast(b"probe", &body) {
                break;
            }
            let now = self.now();
            self.sent_at.insert(self.next, now);
            self.next += 1;
        }
        self.drain();
    }
}

fn run(options: &Options, probe: &mut Probe) -> std::io::Result<()> {
    let now = probe.now();
    probe.srp.interface_changed(now);
    probe.drain();
    let mut report = (Instant::now(), 0, 0);
    let mut random = 0x1234_5678_9abc_def1u64;
    let silent_from = Duration::from_secs(5);
    while probe.start.elapsed() < Duration::from_secs(options.seconds) {
        let raw = probe.transport.fds();
        #[allow(unsafe_code)]
        // SAFETY: the transport keeps its sockets open until its next `&mut` use, below.
        let fds: Vec<_> = raw.iter().map(|fd| unsafe { BorrowedFd::borrow_raw(*fd) }).collect();
        let mut polled: Vec<_> = fds.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        let deadline = probe.srp.next_deadline().unwrap_or(probe.now() + Duration::from_secs(1));
        let wait = deadline.since(probe.now()).min(Duration::from_millis(500));
        let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
        poll(&mut polled, Some(&wait))?;
        let elapsed = probe.start.elapsed();
        let mute = !options.silent.is_zero()
            && elapsed > silent_from
            && elapsed < silent_from + options.silent;
        loop {
            let count = probe.transport.recv_batch();
            if count == 0 {
                break;
            }
            for index in 0..count {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                let (packet, from) = probe.transport.packet(index);
                let mcast = packet.get(3) == Some(&1);
                if mute || (mcast && (random >> 33) % 100 < options.drop_percent) {
                    continue;
                }
                let now = Time::from_millis(1000) + probe.start.elapsed();
                if let Err(error) = probe.srp.handle_packet(now, packet) {
                    println!("Message received from {from} {error}");
                }
                probe.drain();
            }
        }
        let now = probe.now();
        if probe.srp.next_deadline().is_some_and(|at| at <= now) {
            probe.srp.handle_timeout(now);
            probe.drain();
        }
        if let Some(size) = options.flood {
            probe.flood(size);
        }
        if report.0.elapsed() > Duration::from_secs(1) && probe.received > report.1 {
            let span = report.0.elapsed().as_secs_f64();
            let rate = (probe.received - report.1) as f64 / span;
            let volume = (probe.bytes - report.2) as f64 / span / 1e6;
            probe.latencies.sort();
            let at = |part: usize| {
                probe.latencies.get(probe.latencies.len() * part / 100).copied().unwrap_or_default()
            };
            println!("{rate:.0} msg/s {volume:.1} MB/s p50 {:?} p99 {:?}", at(50), at(99));
            probe.latencies.clear();
            report = (Instant::now(), probe.received, probe.bytes);
        }
    }
    let now = probe.now();
    probe.srp.leave(now);
    probe.drain();
    println!("{:?}", probe.srp.stats(now));
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut me = 1;
    let mut members = Vec::new();
    let (mut bindnet, mut group, mut port, mut token) = ("127.0.0.1".parse()?, None, 5405, 3000);
    let (mut flood, mut drop_percent, mut seconds, mut seq, mut silent) = (None, 0, 3600, 0, 0);
    let mut chatty = false;
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        if name == "--chatty" {
            chatty = true;
            continue;
        }
        let value = args.next().ok_or("an option lacks its value")?;
        match name.as_str() {
            "--me" => me = value.parse()?,
            "--bindnet" => bindnet = value.parse()?,
            "--member" => {
                let (id, addr) = value.split_once('=').ok_or("--member ID=ADDRESS")?;
                members.push(Member { node: id.parse()?, addr: addr.parse()? });
            }
            "--udp" => group = Some(value.parse()?),
            "--port" => port = value.parse()?,
            "--token" => token = value.parse()?,
            "--flood" => flood = Some(value.parse()?),
            "--drop" => drop_percent = value.parse()?,
            "--seconds" => seconds = value.parse()?,
            "--seq" => seq = value.parse()?,
            "--silent" => silent = value.parse()?,
            _ => return Err(format!("unknown option {name}").into()),
        }
    }
    let me = NodeId(me);
    let transport = match group {
        Some(mcastaddr) => Transport::Udp(Udp::new(UdpConfig {
            me,
            bindnet,
            mcastaddr,
            port,
            ttl: 1,
            members: members.clone(),
        })?),
        None => Transport::Udpu(Udpu::new(UdpuConfig {
            me,
            bindnet,
            port,
            members: members.clone(),
            block_unlisted_ips: true,
        })?),
    };
    let options = Options {
        me,
        members,
        flood,
        drop_percent,
        silent: Duration::from_millis(silent),
        seconds,
    };
    println!("node {} of {}", options.me, options.members.len());
    let mut probe = Probe {
        srp: Srp::new(Config::with_token(token), me, seq, 1),
        transport,
        start: Instant::now(),
        sync: Sync::default(),
        synced: false,
        received: 0,
        bytes: 0,
        sent_at: BTreeMap::new(),
        latencies: Vec::new(),
        next: 0,
        chatty,
    };
    run(&options, &mut probe)?;
    Ok(())
}
