//! Elections: the controllers' for the DC, the attribute managers' for the writer.
//!
//! Every candidate broadcasts a vote with its feature set and its age (CPU time used); whoever
//! beats it votes too, whoever is beaten answers with a no-vote. The last one standing, once all
//! active peers have answered, has won. The oldest feature set wins, then the greater age, then
//! the lower name.
//!
//! Source: `spec/pacemaker-cluster.md` §3.

use std::collections::BTreeSet;
use std::time::Duration;

use base::Time;
use xml::Element;

use super::envelope::{self, FEATURE_SET, References, Request};
use super::peers::PeerCache;

/// After a loss, wins of the next seconds count as losses (dampening).
const LOSS_DAMPENING: Duration = Duration::from_secs(2);

/// How long an age that was looked up is used. Looked up for every vote, it would grow by what the
/// last vote cost: of two processes of the same age each would then beat the other's last vote, and
/// neither would stop. (The simulation of clusters found that.)
/// Source: `spec/pacemaker-cluster.md` §3.1.
const AGE_HOLDS: Duration = Duration::from_secs(2);

/// Where a node stands in an election (upstream's numbers, they travel as `attr_writer`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Phase {
    /// Nothing happened, or a vote of our own is due.
    Start = 0,
    /// Our vote is out.
    InProgress = 1,
    /// Somebody else is better.
    Lost = 2,
    /// Everybody else gave in.
    Won = 3,
    /// A vote made no sense.
    Error = 4,
}

/// CPU time the process has used: the age that votes compare.
pub type Age = (u64, u64);

/// What the owner has to do after feeding the election.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Outcome {
    /// Broadcast this.
    pub vote: Option<Element>,
    /// Send this to the node of that name.
    pub no_vote: Option<(String, Element)>,
    /// The election has just been won.
    pub won: bool,
}

/// One election.
#[derive(Debug)]
pub struct Election {
    own_name: String,
    own_uuid: String,
    phase: Phase,
    round: u32,
    voted: BTreeSet<String>,
    period: Duration,
    deadline: Option<Time>,
    last_loss: Option<Time>,
    /// The age last looked up, and when.
    age: Option<(Time, Age)>,
    references: References,
}

fn lower(name: &str) -> String {
    name.to_ascii_lowercase()
}

impl Election {
    /// An election that nobody has called yet; `period` is how long a round waits for answers.
    pub fn new(own_name: &str, own_uuid: &str, period: Duration) -> Election {
        Election {
            own_name: own_name.to_owned(),
            own_uuid: own_uuid.to_owned(),
            phase: Phase::Start,
            round: 0,
            voted: BTreeSet::new(),
            period,
            deadline: None,
            last_loss: None,
            age: None,
            references: References::default(),
        }
    }

    /// Where we stand.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Changes how long rounds wait.
    pub fn set_period(&mut self, period: Duration) {
        self.period = period;
    }

    /// Stops the timer and forgets the votes.
    pub fn reset(&mut self) {
        self.deadline = None;
        self.voted.clear();
    }

    /// Stops the timer.
    pub fn stop_timer(&mut self) {
        self.deadline = None;
    }

    /// Forgets that an election was lost lately.
    pub fn clear_dampening(&mut self) {
        self.last_loss = None;
    }

    /// A peer is gone: its vote does not count.
    pub fn remove_voter(&mut self, name: &str) {
        self.voted.remove(&lower(name));
    }

    /// When [`timed_out`](Self::timed_out) is wanted.
    pub fn next_deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// The age to vote with; `looked_up` is what it is at this moment.
    fn age(&mut self, now: Time, looked_up: Age) -> Age {
        match self.age {
            Some((at, age)) if now.since(at) < AGE_HOLDS => age,
            _ => {
                self.age = Some((now, looked_up));
                looked_up
            }
        }
    }

    /// Starts a round with our own vote. Nothing happens while we are no active member.
    pub fn vote(&mut self, now: Time, epoch: u64, age: Age, peers: &PeerCache) -> Outcome {
        if !peers.is_active(&self.own_name) {
            return Outcome::default();
        }
        let age = self.age(now, age);
        self.reset();
        self.phase = Phase::InProgress;
        self.round += 1;
        self.deadline = Some(now + self.period);
        let mut vote = self.envelope("vote", None, epoch);
        vote.set("election-owner", self.own_uuid.as_str());
        vote.set("election-id", self.round.to_string());
        vote.set("election-age-sec", age.0.to_string());
        vote.set("election-age-nano-sec", age.1.to_string());
        Outcome { vote: Some(vote), ..Outcome::default() }
    }

    fn envelope(&mut self, task: &str, host_to: Option<&str>, epoch: u64) -> Element {
        let reference = self.references.next(task, "crmd", epoch);
        let what = Request { task, host_to, sys_to: "crmd", sys_from: "crmd" };
        envelope::request("election_vote", &what, &reference, None)
    }

    /// Counts a vote or no-vote. Look at [`phase`](Self::phase) afterwards: `Start` asks for a
    /// vote of our own, `Lost` says that `src` is better.
    pub fn count(
        &mut self,
        now: Time,
        epoch: u64,
        own_age: Age,
        peers: &PeerCache,
        message: &Element,
        can_win: bool,
    ) -> Outcome {
        let Some(ballot) = Ballot::read(message) else {
            self.phase = Phase::Error;
            return Outcome::default();
        };
        let ours = ballot.owner == self.own_uuid;
        let lost = if !can_win || !peers.is_active(&self.own_name) {
            true
        } else if (ours && ballot.round != self.round) || !peers.is_active(ballot.src) {
            return Outcome::default();
        } else if ballot.age.is_none() || ours {
            if !ours {
                self.phase = Phase::Error;
            } else if self.phase == Phase::InProgress {
                self.voted.insert(lower(ballot.src));
            }
            return Outcome::default();
        } else {
            let own_age = self.age(now, own_age);
            self.beaten_by(&ballot, own_age)
        };
        if !lost && self.last_loss.is_none_or(|at| now.since(at) > LOSS_DAMPENING) {
            self.last_loss = None;
            self.deadline = None;
            self.phase = Phase::Start;
            return Outcome::default();
        }
        self.last_loss = Some(now);
        self.reset();
        self.phase = Phase::Lost;
        let src = ballot.src.to_owned();
        let mut answer = self.envelope("no-vote", Some(&src), epoch);
        answer.set("election-owner", ballot.owner);
        answer.set("election-id", ballot.round.to_string());
        Outcome { no_vote: Some((src, answer)), ..Outcome::default() }
    }

    fn beaten_by(&self, ballot: &Ballot<'_>, own_age: Age) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        match compare_versions(ballot.version, FEATURE_SET) {
            Less => return true,
            Greater => return false,
            Equal => {}
        }
        match own_age.cmp(&ballot.age.unwrap_or_default()) {
            Less => true,
            Greater => false,
            Equal => lower(&self.own_name) > lower(ballot.src),
        }
    }

    /// Whether all active peers have voted; then the election is won.
    pub fn check(&mut self, peers: &PeerCache) -> Outcome {
        if self.phase != Phase::InProgress
            || self.voted.is_empty()
            || self.voted.len() < peers.n_active()
        {
            return Outcome::default();
        }
        self.win()
    }

    /// The deadline has passed: who is silent has no say.
    pub fn timed_out(&mut self, now: Time) -> Outcome {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return Outcome::default();
        }
        self.win()
    }

    fn win(&mut self) -> Outcome {
        self.reset();
        self.phase = Phase::Won;
        Outcome { won: true, ..Outcome::default() }
    }
}

/// A vote or no-vote, read.
struct Ballot<'a> {
    src: &'a str,
    version: &'a str,
    owner: &'a str,
    round: u32,
    /// `None` in a no-vote.
    age: Option<Age>,
}

impl<'a> Ballot<'a> {
    fn read(message: &'a Element) -> Option<Ballot<'a>> {
        let text = |name| message.get(name).filter(|value: &&str| !value.is_empty());
        let number = |name| text(name).and_then(|value: &str| value.parse::<u64>().ok());
        let age = match text("crm_task")? {
            "vote" => Some((number("election-age-sec")?, number("election-age-nano-sec")?)),
            "no-vote" => None,
            _ => return None,
        };
        Some(Ballot {
            src: text("src")?,
            version: text("version")?,
            owner: text("election-owner")?,
            round: u32::try_from(number("election-id")?).ok()?,
            age,
        })
    }
}

/// Compares dotted versions number by number; a missing number is 0.
pub fn compare_versions(a: &str, b: &str) -> std::cmp::Ordering {
    let mut a = a.split('.').map(|part| part.parse::<u64>().unwrap_or(0));
    let mut b = b.split('.').map(|part| part.parse::<u64>().unwrap_or(0));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return std::cmp::Ordering::Equal,
            (x, y) => match x.unwrap_or(0).cmp(&y.unwrap_or(0)) {
                std::cmp::Ordering::Equal => {}
                different => return different,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use base::NodeId;

    use super::*;
    use crate::cluster::peers::State;

    fn ms(at: u64) -> Time {
        Time::from_millis(at)
    }

    /// Some nodes that hear every broadcast in one order, as over CPG.
    struct Room {
        nodes: Vec<(String, Election, Age, PeerCache)>,
        wire: VecDeque<(usize, Option<String>, Element)>,
        winner: Option<usize>,
        /// Every message read adds to the reader's age.
        reading_costs: bool,
    }

    impl Room {
        fn new(ages: &[u64]) -> Room {
            let names: Vec<String> = (1..=ages.len()).map(|n| format!("n{n}")).collect();
            let nodes = ages.iter().enumerate().map(|(at, age)| {
                let mut peers = PeerCache::new(false);
                for (other, name) in names.iter().enumerate() {
                    let id = NodeId(other as u32 + 1);
                    peers.ensure(id, Some(name));
                    peers.set_online(id, true);
                    peers.set_state(id, State::Member);
                }
                let uuid = (at + 1).to_string();
                let election = Election::new(&names[at], &uuid, Duration::from_secs(120));
                (names[at].clone(), election, (*age, 0), peers)
            });
            Room {
                nodes: nodes.collect(),
                wire: VecDeque::new(),
                winner: None,
                reading_costs: false,
            }
        }

        fn put(&mut self, at: usize, outcome: Outcome) {
            if let Some(vote) = outcome.vote {
                self.wire.push_back((at, None, vote));
            }
            if let Some((to, no_vote)) = outcome.no_vote {
                self.wire.push_back((at, Some(to), no_vote));
            }
            if outcome.won {
                assert_eq!(self.winner, None, "one winner only");
                self.winner = Some(at);
            }
        }

        fn call(&mut self, at: usize, now: Time) {
            let (_, election, age, peers) = &mut self.nodes[at];
            let outcome = election.vote(now, 0, *age, peers);
            self.put(at, outcome);
        }

        fn run(&mut self, now: Time) {
            let mut n_messages = 0;
            while let Some((from, to, mut message)) = self.wire.pop_front() {
                n_messages += 1;
                assert!(n_messages < 100, "election storm");
                message.set("src", self.nodes[from].0.as_str());
                for at in 0..self.nodes.len() {
                    if to.as_ref().is_some_and(|name| *name != self.nodes[at].0) {
                        continue;
                    }
                    let (_, election, age, peers) = &mut self.nodes[at];
                    age.1 += u64::from(self.reading_costs);
                    let outcome = election.count(now, 0, *age, peers, &message, true);
                    let again = election.phase() == Phase::Start && outcome.no_vote.is_none();
                    self.put(at, outcome);
                    if again {
                        self.call(at, now);
                    }
                    let (_, election, _, peers) = &mut self.nodes[at];
                    let outcome = election.check(peers);
                    self.put(at, outcome);
                }
            }
        }
    }

    #[test]
    fn the_greatest_age_wins_whoever_calls() {
        for (ages, winner) in
            [(vec![5, 9, 1], 1), (vec![5, 5, 5], 0), (vec![0, 0], 0), (vec![1, 2, 3, 4], 3)]
        {
            for caller in 0..ages.len() {
                let mut room = Room::new(&ages);
                room.call(caller, ms(0));
                room.run(ms(1));
                assert_eq!(room.winner, Some(winner), "ages {ages:?}, called by {caller}");
            }
        }
    }

    #[test]
    fn all_may_call_at_once() {
        let mut room = Room::new(&[3, 7, 5]);
        for at in 0..3 {
            room.call(at, ms(0));
        }
        room.run(ms(1));
        assert_eq!(room.winner, Some(1));
    }

    /// Two processes of nearly the same age, each older with every vote it reads.
    #[test]
    fn votes_that_cost_time_end_too() {
        let mut room = Room::new(&[0, 0]);
        room.reading_costs = true;
        room.call(0, ms(0));
        room.run(ms(1));
        assert!(room.winner.is_some());
    }

    #[test]
    fn who_is_silent_has_no_say() {
        let mut room = Room::new(&[3, 7]);
        room.call(0, ms(0));
        let election = &mut room.nodes[0].1;
        assert_eq!(election.next_deadline(), Some(ms(120_000)));
        assert!(!election.timed_out(ms(119_999)).won);
        assert!(election.timed_out(ms(120_000)).won);
    }

    #[test]
    fn an_older_feature_set_beats_age() {
        let mut room = Room::new(&[100, 0]);
        let (_, election, age, peers) = &mut room.nodes[0];
        let vote = xml::parse(
            "<v crm_task='vote' src='n2' version='3.15.9' election-owner='2' election-id='1' \
             election-age-sec='0' election-age-nano-sec='0'/>",
        )
        .unwrap();
        assert!(election.count(ms(0), 0, *age, peers, &vote, true).no_vote.is_some());
        let newer = vote.with("version", "3.20.0");
        election.clear_dampening();
        assert!(election.count(ms(0), 0, (0, 0), peers, &newer, true).no_vote.is_none());
        assert_eq!(election.phase(), Phase::Start);
    }

    #[test]
    fn nonsense_is_an_error_not_a_vote() {
        let mut room = Room::new(&[1, 1]);
        let (_, election, age, peers) = &mut room.nodes[0];
        for text in [
            "<v crm_task='vote'/>",
            "<v crm_task='vote' src='n2' version='3.16.1' election-owner='2' election-id='-1'/>",
            "<v crm_task='dance' src='n2' version='3' election-owner='2' election-id='1'/>",
        ] {
            let message = xml::parse(text).unwrap();
            assert_eq!(election.count(ms(0), 0, *age, peers, &message, true), Outcome::default());
            assert_eq!(election.phase(), Phase::Error);
        }
    }

    #[test]
    fn versions_compare_by_number() {
        use std::cmp::Ordering::{Equal, Greater, Less};
        for (a, b, want) in
            [("3.9.0", "3.16.1", Less), ("3.16", "3.16.0", Equal), ("4", "3.99", Greater)]
        {
            assert_eq!(compare_versions(a, b), want);
        }
    }
}
