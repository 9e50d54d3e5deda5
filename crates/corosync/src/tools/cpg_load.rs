//! `quorate cpg-load`: load on a process group, with order check and latency.
//!
//! Run one on each node at about the same time. Works on our engine and on Debian's, and its
//! one line of JSON is comparable between them.

use super::{complain, getopt, say};
use corosync_client::CsError;
use corosync_client::cpg::{Cpg, Event};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const USAGE: &str = "\
usage: quorate cpg-load -n MEMBERS [-s SIZE] [-d SECONDS] [-w WINDOW | -r RATE] [-l] [-v] [-g GROUP]

Load on a closed process group. Run one process on each node; all must be on one machine
(they compare monotonic clocks).

  -n N   how many processes take part; the run starts when all of them joined
  -s B   size of a message in bytes (at least 48, default 64)
  -d S   seconds to send (default 10)
  -w W   at most W own messages not delivered yet (default 0: until the engine says again)
  -r R   send R messages a second
  -l     listen only
  -v     verify the content of every message
  -g G   group (default \"cpg-load\")
";

const MAGIC: u32 = 0x6371_6c64;
const HEAD: usize = 48;
/// So many messages are sent, or taken, before the other gets its turn.
const BATCH: usize = 512;
const READY: u32 = 1;
const DATA: u32 = 2;
const DONE: u32 = 3;

#[derive(Clone)]
struct Options {
    members: usize,
    size: usize,
    seconds: u64,
    window: u64,
    rate: f64,
    listen: bool,
    verify: bool,
    group: String,
}

/// Runs `cpg-load`.
pub(super) fn run(args: &[String]) -> i32 {
    let program = args.first().map_or("cpg-load", String::as_str);
    let with = |letter| getopt::short(letter, true);
    let flag = |letter| getopt::short(letter, false);
    let known = [
        with('n'),
        with('s'),
        with('d'),
        with('w'),
        with('r'),
        with('g'),
        flag('l'),
        flag('v'),
        flag('h'),
    ];
    let parsed = getopt::parse(args.get(1..).unwrap_or_default(), &known);
    let mut options = Options {
        members: 1,
        size: 64,
        seconds: 10,
        window: 0,
        rate: 0.0,
        listen: false,
        verify: false,
        group: "cpg-load".to_owned(),
    };
    let mut bad = parsed.complain(program) || !parsed.words.is_empty();
    for (letter, value) in &parsed.options {
        let value = value.as_deref().unwrap_or_default();
        match letter {
            'n' => bad |= value.parse().map(|n| options.members = n).is_err(),
            's' => bad |= value.parse().map(|n| options.size = n).is_err(),
            'd' => bad |= value.parse().map(|n| options.seconds = n).is_err(),
            'w' => bad |= value.parse().map(|n| options.window = n).is_err(),
            'r' => bad |= value.parse().map(|n| options.rate = n).is_err(),
            'g' => value.clone_into(&mut options.group),
            'l' => options.listen = true,
            'v' => options.verify = true,
            _ => {
                say(USAGE);
                return 0;
            }
        }
    }
    if bad || options.size < HEAD {
        complain(USAGE);
        return 64;
    }
    match Load::new(options).and_then(Load::run) {
        Ok(status) => status,
        Err(why) => {
            complain(format_args!("cpg-load: {why}"));
            1
        }
    }
}

struct Load {
    options: Options,
    cpg: Cpg,
    me: u32,
    body: Vec<u8>,
    present: usize,
    ready: usize,
    senders: usize,
    done: usize,
    next: BTreeMap<u32, u64>,
    faults: u64,
    again: u64,
    sent: u64,
    own: u64,
    messages: u64,
    bytes: u64,
    first: u64,
    last: u64,
    order: u64,
    latency: Histogram,
    own_latency: Histogram,
}

fn said(what: &'static str) -> impl Fn(CsError) -> String {
    move |error| format!("{what}: {error}")
}

fn nanos() -> u64 {
    qb::mainloop::now().as_nanos()
}

impl Load {
    fn new(options: Options) -> Result<Load, String> {
        let mut cpg = Cpg::connect().map_err(said("initialize"))?;
        let me = cpg.local_get().map_err(said("local_get"))?.0;
        let body = (0..options.size - HEAD).map(|i| (i * 131 + 7) as u8).collect();
        Ok(Load {
            options,
            cpg,
            me,
            body,
            present: 0,
            ready: 0,
            senders: 0,
            done: 0,
            next: BTreeMap::new(),
            faults: 0,
            again: 0,
            sent: 0,
            own: 0,
            messages: 0,
            bytes: 0,
            first: 0,
            last: 0,
            order: FNV_START,
            latency: Histogram::default(),
            own_latency: Histogram::default(),
        })
    }

    fn run(mut self) -> Result<i32, String> {
        let group = self.options.group.clone();
        let pause = Duration::from_millis(1);
        corosync_client::retry(10_000, pause, || self.cpg.join(group.as_bytes(), 0))
            .map_err(said("join"))?;
        self.wait_for("full group", 30, |load| load.present >= load.options.members)?;
        self.send_now(READY)?;
        self.wait_for("start", 30, |load| load.ready >= load.options.members)?;
        let start = Instant::now();
        let duration = Duration::from_secs(self.options.seconds);
        while !self.options.listen && start.elapsed() < duration {
            self.send_batch(start)?;
        }
        if !self.options.listen {
            self.send_now(DONE)?;
        }
        let patience = self.options.seconds + 120;
        self.wait_for("end", patience, |load| load.done >= load.senders)?;
        self.report();
        self.cpg.leave().map_err(said("leave"))?;
        Ok(if self.faults > 0 { 2 } else { 0 })
    }

    /// Sends while nothing speaks against it, then takes what was delivered.
    fn send_batch(&mut self, start: Instant) -> Result<(), String> {
        let mut wait = Duration::from_micros(20);
        for _ in 0..BATCH {
            if self.options.window > 0 && self.sent - self.own >= self.options.window {
                wait = Duration::from_millis(10);
                break;
            }
            if self.options.rate > 0.0 {
                let due = Duration::from_secs_f64(self.sent as f64 / self.options.rate);
                let early = due.saturating_sub(start.elapsed());
                if !early.is_zero() {
                    wait = early;
                    break;
                }
            }
            if !self.send(DATA)? {
                self.again += 1;
                break;
            }
            self.sent += 1;
            wait = Duration::ZERO;
        }
        if !wait.is_zero() {
            self.cpg.wait(Some(wait)).map_err(said("wait"))?;
        }
        self.take()
    }

    fn send_now(&mut self, kind: u32) -> Result<(), String> {
        while !self.send(kind)? {
            self.cpg.wait(Some(Duration::from_millis(1))).map_err(said("wait"))?;
            self.take()?;
        }
        Ok(())
    }

    /// False: try again.
    fn send(&mut self, kind: u32) -> Result<bool, String> {
        let body: &mut [u8] = if kind == DATA { &mut self.body } else { &mut [] };
        if let Some(number) = body.first_chunk_mut::<8>() {
            *number = self.sent.to_ne_bytes();
        }
        let check = if self.options.verify { hash(FNV_START, body) } else { 0 };
        let flags = u32::from(!self.options.listen);
        let mut head = Vec::with_capacity(HEAD);
        for word in [MAGIC, kind, self.me, flags] {
            head.extend_from_slice(&word.to_ne_bytes());
        }
        for word in [self.sent, nanos(), check, 0] {
            head.extend_from_slice(&word.to_ne_bytes());
        }
        match self.cpg.mcast(&[&head, body]) {
            Ok(()) => Ok(true),
            Err(CsError::TRY_AGAIN) => Ok(false),
            Err(error) => Err(format!("mcast: {error}")),
        }
    }

    fn wait_for(
        &mut self,
        what: &str,
        seconds: u64,
        enough: impl Fn(&Load) -> bool,
    ) -> Result<(), String> {
        let end = Instant::now() + Duration::from_secs(seconds);
        while !enough(self) {
            if Instant::now() > end {
                let (present, ready, done) = (self.present, self.ready, self.done);
                return Err(format!(
                    "no {what} after {seconds} s (members {present}, ready {ready}, done {done})"
                ));
            }
            self.cpg.wait(Some(Duration::from_millis(100))).map_err(said("wait"))?;
            self.take()?;
        }
        Ok(())
    }

    /// Takes what was delivered, but not so long that sending stops.
    fn take(&mut self) -> Result<(), String> {
        // Each member sends a batch in the time we send ours.
        for _ in 0..BATCH * (self.options.members + 1) {
            let Some(event) = self.cpg.dispatch().map_err(said("dispatch"))? else { break };
            match event {
                Event::Deliver { node, message, .. } => self.deliver(node.0, &message),
                Event::Confchg { members, left, .. } => {
                    self.present = members.len();
                    let running = self.ready >= self.options.members;
                    if running && !left.is_empty() && self.done < self.senders {
                        return Err("a member left during the run".to_owned());
                    }
                }
                Event::TotemConfchg { .. } => {}
            }
        }
        Ok(())
    }

    fn deliver(&mut self, node: u32, message: &[u8]) {
        use qb::ipc::wire::{get_u32, get_u64};
        let now = nanos();
        let fields = (|| {
            let sender = get_u32(message, 8)?;
            let known = get_u32(message, 0)? == MAGIC && sender == node;
            let (kind, flags) = (get_u32(message, 4)?, get_u32(message, 12)?);
            let (number, sent) = (get_u64(message, 16)?, get_u64(message, 24)?);
            known.then_some((kind, flags, number, sent, get_u64(message, 32)?))
        })();
        let Some((kind, flags, number, sent, check)) = fields else {
            self.faults += 1;
            return;
        };
        match kind {
            READY => {
                self.senders += flags as usize & 1;
                self.ready += 1;
                return;
            }
            DONE => {
                self.done += 1;
                return;
            }
            _ => {}
        }
        let next = self.next.entry(node).or_default();
        let is_right = message.len() == self.options.size
            && number == *next
            && (!self.options.verify || hash(FNV_START, &message[HEAD..]) == check);
        *next = number + 1;
        self.faults += u64::from(!is_right);
        self.order = hash(hash(self.order, &node.to_ne_bytes()), &number.to_ne_bytes());
        if self.messages == 0 {
            self.first = now;
        }
        self.last = now;
        self.messages += 1;
        self.bytes += message.len() as u64;
        let latency = now.saturating_sub(sent);
        self.latency.add(latency);
        if node == self.me {
            self.own += 1;
            self.own_latency.add(latency);
        }
    }

    fn report(&self) {
        let span = (self.last.saturating_sub(self.first) as f64 / 1e9).max(1e-9);
        let (all, own) = (&self.latency, &self.own_latency);
        say(&format!(
            "{{\"node\":{},\"members\":{},\"size\":{},\"window\":{},\"rate\":{:.0},\
             \"sent\":{},\"again\":{},\"delivered\":{},\"seconds\":{span:.3},\
             \"msgs_per_s\":{:.1},\"mb_per_s\":{:.3},\
             \"lat_us\":{{\"p50\":{:.1},\"p90\":{:.1},\"p99\":{:.1},\"p999\":{:.1},\"max\":{:.1}}},\
             \"own_lat_us\":{{\"p50\":{:.1},\"p99\":{:.1},\"max\":{:.1}}},\
             \"faults\":{},\"order\":\"{:016x}\"}}\n",
            self.me,
            self.options.members,
            self.options.size,
            self.options.window,
            self.options.rate,
            self.sent,
            self.again,
            self.messages,
            self.messages as f64 / span,
            self.bytes as f64 / span / 1e6,
            all.percentile(0.5),
            all.percentile(0.9),
            all.percentile(0.99),
            all.percentile(0.999),
            all.max as f64 / 1e3,
            own.percentile(0.5),
            own.percentile(0.99),
            own.max as f64 / 1e3,
            self.faults,
            self.order,
        ));
    }
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

fn hash(start: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Latencies in buckets: 64 linear steps in every power of two of tenths of a microsecond.
#[derive(Default)]
struct Histogram {
    count: u64,
    max: u64,
    buckets: BTreeMap<u64, u64>,
}

impl Histogram {
    fn add(&mut self, nanos: u64) {
        let tenths = nanos / 100;
        let shift = u64::from(64 - tenths.leading_zeros()).saturating_sub(7);
        // The lower end of the value's bucket.
        let bucket = (tenths >> shift) << shift;
        self.count += 1;
        self.max = self.max.max(nanos);
        *self.buckets.entry(bucket).or_default() += 1;
    }

    /// In microseconds.
    fn percentile(&self, share: f64) -> f64 {
        let wanted = (share * self.count as f64) as u64;
        let mut seen = 0;
        for (bucket, count) in &self.buckets {
            seen += count;
            if seen > wanted {
                return *bucket as f64 / 10.0;
            }
        }
        self.max as f64 / 1e3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_step() {
        let mut histogram = Histogram::default();
        for micros in 1..=1000 {
            histogram.add(micros * 1000);
        }
        for (share, micros) in [(0.5, 500.0), (0.99, 990.0), (0.0, 1.0)] {
            let got = histogram.percentile(share);
            assert!((got - micros).abs() <= micros / 64.0 + 0.2, "{share}: {got}");
        }
        assert_eq!(Histogram::default().percentile(0.5), 0.0);
    }
}
