//! `lab-talk`: a member of a process group that sends checked messages of mixed sizes, and writes
//! down everything it sees, in its order. It goes on under a new life when its engine dies.
//!
//! It is a client of the engine's libraries only, so it runs on Debian's engine as on ours. What it
//! writes is read by `acceptance::mixed`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use corosync_client::cpg::{Cpg, DELIVER_INITIAL_TOTEM_CONF, Event, Member, Reason};
use corosync_client::{CsError, retry};

const GROUP: &[u8] = b"lab-talk";
const MAGIC: u32 = 0x7461_6c6b;
const HEAD: usize = 16;
const DATA: u32 = 1;
const LAST: u32 = 2;
/// A message that the client library has to send in parts.
const PARTS: usize = 1_200_000;
/// Own messages that may be on their way.
const WINDOW: u32 = 48;
/// How often files are looked at and written.
const GLANCE: Duration = Duration::from_millis(50);

/// What the director asks for.
struct Plan {
    /// Where records go, and where a file `stop` ends it all.
    dir: PathBuf,
    /// The first life's number.
    life: u32,
    /// So many messages are sent as fast as they go, once this many members are there …
    burst: u32,
    members: usize,
    /// … and so many a second afterwards.
    rate: f64,
}

/// `lab-talk DIR LIFE BURST MEMBERS RATE`.
pub(crate) fn main(args: &[String]) -> i32 {
    let plan = (|| {
        let [_, dir, life, burst, members, rate] = args else { return None };
        Some(Plan {
            dir: dir.into(),
            life: life.parse().ok()?,
            burst: burst.parse().ok()?,
            members: members.parse().ok()?,
            rate: rate.parse().ok()?,
        })
    })();
    let Some(mut plan) = plan else {
        eprintln!("usage: quorate lab-talk DIR LIFE BURST MEMBERS RATE");
        return 64;
    };
    let stop = plan.dir.join("stop");
    loop {
        let talker = Talker::connect(&plan);
        let has_come = talker.is_ok();
        match talker.and_then(Talker::run) {
            Ok(()) => return 0,
            Err(Problem::Files(error)) => {
                eprintln!("lab-talk: {}: {error}", plan.dir.display());
                return 1;
            }
            Err(Problem::Engine) => std::thread::sleep(GLANCE),
        }
        if stop.exists() {
            return 0;
        }
        if has_come {
            plan = Plan { life: plan.life + 1, burst: 0, members: 1, ..plan };
        }
    }
}

enum Problem {
    /// It is not there, or not any more.
    Engine,
    Files(io::Error),
}

impl From<CsError> for Problem {
    fn from(_: CsError) -> Problem {
        Problem::Engine
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Problem {
        Problem::Files(error)
    }
}

struct Talker<'a> {
    plan: &'a Plan,
    cpg: Cpg,
    me: u32,
    record: BufWriter<File>,
    pattern: Vec<u8>,
    /// Nodes and processes.
    present: BTreeSet<(u32, u32)>,
    /// Members whose last message came.
    ended: BTreeSet<u32>,
    is_joined: bool,
    has_said_last: bool,
    sent: u32,
    own: u32,
    delivered: u64,
}

impl Drop for Talker<'_> {
    /// What a life said last is not what the next one says.
    fn drop(&mut self) {
        // It is not there before the first word, and nobody waits for this.
        let _ = fs::remove_file(self.plan.dir.join(format!("status.{}", self.me)));
    }
}

impl<'a> Talker<'a> {
    fn connect(plan: &'a Plan) -> Result<Talker<'a>, Problem> {
        let mut cpg = Cpg::connect()?;
        let me = cpg.local_get()?.0;
        let file = File::create(plan.dir.join(format!("record.{me}.{}", plan.life)))?;
        let mut record = BufWriter::new(file);
        writeln!(record, "me {me} {} {}", plan.life, std::process::id())?;
        retry(3000, Duration::from_millis(10), || cpg.join(GROUP, DELIVER_INITIAL_TOTEM_CONF))?;
        Ok(Talker {
            plan,
            cpg,
            me,
            record,
            pattern: pattern(),
            present: BTreeSet::new(),
            ended: BTreeSet::new(),
            is_joined: false,
            has_said_last: false,
            sent: 0,
            own: 0,
            delivered: 0,
        })
    }

    fn run(mut self) -> Result<(), Problem> {
        let mut next_glance = Instant::now();
        let mut is_over = false;
        let mut paced: Option<(Instant, u32)> = None;
        loop {
            if next_glance <= Instant::now() {
                next_glance = Instant::now() + GLANCE;
                is_over |= self.plan.dir.join("stop").exists();
                self.say()?;
            }
            let has_begun = self.is_joined && self.present.len() >= self.plan.members;
            let mut wait = GLANCE;
            if is_over && self.is_joined && !self.has_said_last {
                self.has_said_last = self.send(LAST, 0)?;
                wait = Duration::from_millis(1);
            } else if has_begun && !is_over {
                let (since, before) = match paced {
                    Some(paced) => paced,
                    None if self.sent < self.plan.burst => (Instant::now(), self.sent),
                    None => *paced.insert((Instant::now(), self.sent)),
                };
                let due = match self.sent < self.plan.burst {
                    true => Duration::ZERO,
                    false => {
                        let nth = f64::from(self.sent - before) / self.plan.rate.max(0.001);
                        Duration::from_secs_f64(nth).saturating_sub(since.elapsed())
                    }
                };
                let is_blocked = self.sent - self.own >= WINDOW;
                if due.is_zero() && !is_blocked && self.send(DATA, size_of(self.sent))? {
                    wait = Duration::ZERO;
                } else {
                    wait = due.clamp(Duration::from_micros(300), GLANCE);
                }
            }
            self.cpg.wait(Some(wait))?;
            while let Some(event) = self.cpg.dispatch()? {
                self.take(event)?;
            }
            if self.has_said_last && self.present.iter().all(|(node, _)| self.ended.contains(node))
            {
                break;
            }
        }
        writeln!(self.record, "end {}", self.sent)?;
        self.say()?;
        self.cpg.leave()?;
        Ok(())
    }

    /// `true` when the engine took it.
    fn send(&mut self, kind: u32, size: usize) -> Result<bool, Problem> {
        let mut head = Vec::with_capacity(HEAD);
        for word in [MAGIC, self.plan.life, self.sent, kind] {
            head.extend_from_slice(&word.to_le_bytes());
        }
        let from = offset(self.plan.life, self.sent);
        match self.cpg.mcast(&[&head, &self.pattern[from..from + size]]) {
            Ok(()) => {
                self.sent += 1;
                Ok(true)
            }
            // A long one is given up by the library when the membership changes in its midst.
            Err(CsError::TRY_AGAIN | CsError::INTERRUPT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn take(&mut self, event: Event) -> Result<(), Problem> {
        match event {
            Event::Deliver { node, message, .. } => self.deliver(node.0, &message)?,
            Event::Confchg { members, left, joined, .. } => {
                self.change(&members, &left, &joined)?
            }
            Event::TotemConfchg { ring, members } => {
                write!(self.record, "r {} {}", ring.node.0, ring.seq)?;
                for node in members {
                    write!(self.record, " {}", node.0)?;
                }
                writeln!(self.record)?;
            }
        }
        Ok(())
    }

    fn change(
        &mut self,
        members: &[Member],
        left: &[Member],
        joined: &[Member],
    ) -> Result<(), Problem> {
        for member in left {
            self.present.remove(&(member.node.0, member.pid));
            self.ended.remove(&member.node.0);
            let why = by_itself(member.reason);
            writeln!(self.record, "l {} {} {why}", member.node.0, member.pid)?;
        }
        if !self.is_joined {
            for member in members.iter().filter(|m| joined.iter().all(|j| j.node != m.node)) {
                self.present.insert((member.node.0, member.pid));
                writeln!(self.record, "p {} {}", member.node.0, member.pid)?;
            }
        }
        for member in joined {
            self.present.insert((member.node.0, member.pid));
            self.is_joined |= member.node.0 == self.me;
            let why = by_itself(member.reason);
            writeln!(self.record, "j {} {} {why}", member.node.0, member.pid)?;
        }
        Ok(())
    }

    fn deliver(&mut self, node: u32, message: &[u8]) -> Result<(), Problem> {
        let word = |at: usize| {
            let bytes = message.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_le_bytes(bytes))
        };
        let parts = (|| {
            let (magic, life, count, kind) = (word(0)?, word(4)?, word(8)?, word(12)?);
            let size = if kind == DATA { size_of(count) } else { 0 };
            let from = offset(life, count);
            let is_right = magic == MAGIC && message[HEAD..] == self.pattern[from..from + size];
            is_right.then_some((life, count, kind))
        })();
        let Some((life, count, kind)) = parts else {
            writeln!(self.record, "bad {node}")?;
            return Ok(());
        };
        self.delivered += 1;
        if kind == LAST {
            self.ended.insert(node);
        }
        self.own += u32::from(node == self.me && life == self.plan.life);
        writeln!(self.record, "m {node} {life} {count}")?;
        Ok(())
    }

    /// Tells the director where we are.
    fn say(&mut self) -> io::Result<()> {
        self.record.flush()?;
        let text = format!(
            "{} {} {} {} {}\n",
            self.plan.life,
            self.sent,
            self.own,
            self.delivered,
            self.present.len()
        );
        let new = self.plan.dir.join(format!("new.{}", self.me));
        fs::write(&new, text)?;
        fs::rename(new, self.plan.dir.join(format!("status.{}", self.me)))
    }
}

fn by_itself(reason: Reason) -> u32 {
    u32::from(!matches!(reason, Reason::NodeDown | Reason::NodeUp))
}

/// Whether a message of this number goes in parts. A membership change between the parts' arrivals
/// leaves newcomers without it, on every engine: they did not get the first part.
pub(crate) fn is_in_parts(count: u32) -> bool {
    count % 1000 == 397
}

/// The size of a message of this number: mostly small, some of many packets, a few in parts.
fn size_of(count: u32) -> usize {
    let mixed = count.wrapping_mul(0x9e37_79b1) >> 8;
    let within = |from: u32, to: u32| (from + mixed % (to - from)) as usize;
    match count % 100 {
        _ if is_in_parts(count) => PARTS,
        0..60 => within(0, 400),
        60..90 => within(400, 3_000),
        90..98 => within(3_000, 20_000),
        _ => within(20_000, 150_000),
    }
}

/// Where in the pattern a message's bytes begin.
fn offset(life: u32, count: u32) -> usize {
    (life.wrapping_mul(31).wrapping_add(count) % 251) as usize
}

/// Bytes that look like nothing, the same everywhere.
fn pattern() -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..PARTS + 251).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_mixed_and_covered_by_the_pattern() {
        let sizes: Vec<usize> = (0..3000).map(size_of).collect();
        assert!(sizes.iter().all(|size| *size <= PARTS));
        assert!(sizes.iter().filter(|size| **size < 400).count() > 1500);
        assert!(sizes.iter().filter(|size| **size > 60_000).count() > 20);
        assert_eq!(sizes.iter().filter(|size| **size == PARTS).count(), 3);
        let mean = sizes.iter().sum::<usize>() / sizes.len();
        assert!((1_000..8_000).contains(&mean), "{mean}");
        let length = pattern().len();
        assert!((0..600).map(|n| offset(n, n * 7)).all(|at| at + PARTS <= length));
    }
}
