//! A fencing operation, as the one who was asked for it and everybody else keeps it.
//!
//! What has to be done is a list of levels; a level is a list of steps that must all succeed. An
//! operation without topology has one level with one step for whatever device can do it.
//!
//! Source: `spec/pacemaker-cluster.md` §15.1, §15.3, §15.4.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use agents::Outcome;
use agents::judge::ExecStatus;
use base::Time;
use xml::Element;

/// Where an operation stands (`st_state`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum State {
    /// Asking who can.
    Query = 0,
    /// Somebody is at it.
    Exec = 1,
    /// Done.
    Done = 2,
    /// Waits for another of the same kind.
    Duplicate = 3,
    /// Failed.
    Failed = 4,
}

impl State {
    /// Whether it is over.
    pub const fn is_final(self) -> bool {
        matches!(self, State::Done | State::Failed)
    }

    /// The state of a number.
    pub fn from_code(code: u32) -> State {
        match code {
            0 => State::Query,
            1 => State::Exec,
            2 => State::Done,
            3 => State::Duplicate,
            _ => State::Failed,
        }
    }
}

/// One thing a peer is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The device; `None`: any that can.
    pub device: Option<String>,
    /// `off`, `on` or `reboot`.
    pub action: String,
    /// Its failure fails the level.
    pub must_succeed: bool,
}

/// A device some peer says it can use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// The device's id.
    pub id: String,
    /// It answered well before.
    pub verified: bool,
    /// It may not act on its own node.
    pub disallowed: bool,
    /// It can switch on.
    pub on: bool,
    /// `on` must not be forgotten for it: it is done when the node joins.
    pub automatic: bool,
    /// Its own timeout in seconds.
    pub timeout_s: Option<u32>,
}

/// Who asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Asker {
    /// The client's id at the originator.
    pub client_id: String,
    /// Its name for people.
    pub client_name: String,
    /// Its call.
    pub call_id: String,
    /// Its options.
    pub options: u32,
}

/// The record of an operation.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Unique in the cluster.
    pub id: String,
    /// Whom it is about.
    pub target: String,
    /// What was asked for.
    pub action: String,
    /// The node whose fencer leads it.
    pub originator: String,
    /// Who asked there.
    pub asker: Asker,
    /// Seconds for each device.
    pub base_timeout_s: u32,
    /// Seconds before the first; -1: none at all.
    pub delay_s: i64,
    /// Where it stands.
    pub state: State,
    /// Who did it.
    pub delegate: Option<String>,
    /// When it was over, seconds since 1970; 0 before.
    pub completed: i64,
    /// How it went.
    pub outcome: Outcome,

    /// Levels still to be tried (originator only, like all below).
    pub levels: VecDeque<VecDeque<Step>>,
    /// What each peer offers.
    pub offers: BTreeMap<String, Vec<Offer>>,
    /// Peers that answered.
    pub answered: BTreeSet<String>,
    /// Peers that were asked.
    pub asked: BTreeSet<String>,
    /// Peers that tried the current step.
    pub tried: BTreeSet<String>,
    /// Who is at it.
    pub executing: Option<String>,
    /// When answers are no longer waited for.
    pub query_deadline: Option<Time>,
    /// When the one who is at it is given up.
    pub step_deadline: Option<Time>,
    /// It was shaped by a topology.
    pub has_topology: bool,
}

impl Operation {
    /// A new one, before anybody was asked.
    pub fn new(
        id: String,
        target: &str,
        action: &str,
        originator: &str,
        asker: Asker,
    ) -> Operation {
        Operation {
            id,
            target: target.to_owned(),
            action: action.to_owned(),
            originator: originator.to_owned(),
            asker,
            base_timeout_s: 60,
            delay_s: 0,
            state: State::Query,
            delegate: None,
            completed: 0,
            outcome: Outcome::new(1, ExecStatus::Pending),
            levels: VecDeque::new(),
            offers: BTreeMap::new(),
            answered: BTreeSet::new(),
            asked: BTreeSet::new(),
            tried: BTreeSet::new(),
            executing: None,
            query_deadline: None,
            step_deadline: None,
            has_topology: false,
        }
    }

    /// The steps of an action without topology.
    pub fn plan_plain(&mut self) {
        let step = Step { device: None, action: self.action.clone(), must_succeed: true };
        self.levels = [VecDeque::from([step])].into();
    }

    /// The steps of an action with topology: all devices of a level. Several devices cannot reboot
    /// a node together (it would come back by the first before the second is off): all are
    /// switched off, then all on, and failing to switch on does not make the node less fenced.
    pub fn plan_levels(&mut self, levels: &BTreeMap<u32, Vec<String>>) {
        self.has_topology = true;
        let steps = |devices: &[String], action: &str, must_succeed: bool| {
            let step = |device: &String| Step {
                device: Some(device.clone()),
                action: action.to_owned(),
                must_succeed,
            };
            devices.iter().map(step).collect::<Vec<_>>()
        };
        self.levels = levels
            .values()
            .map(|devices| {
                if self.action == "reboot" && devices.len() > 1 {
                    let mut all = steps(devices, "off", true);
                    all.extend(steps(devices, "on", false));
                    all.into()
                } else {
                    steps(devices, &self.action, true).into()
                }
            })
            .collect();
    }

    /// The step at hand.
    pub fn step(&self) -> Option<&Step> {
        self.levels.front().and_then(VecDeque::front)
    }

    /// Whether everybody asked has answered.
    pub fn all_answered(&self) -> bool {
        self.asked.iter().all(|peer| self.answered.contains(peer))
    }

    /// The peer to do the current step: not the target if it can be helped, one whose device is
    /// known to work first.
    pub fn choose_peer(&self) -> Option<String> {
        let step = self.step()?;
        let usable = |offer: &&Offer| {
            !offer.disallowed
                && step.device.as_ref().is_none_or(|device| *device == offer.id)
                && (step.action != "on" || offer.on)
        };
        let mut candidates: Vec<(bool, bool, usize, &String)> = self
            .offers
            .iter()
            .filter(|(peer, _)| !self.tried.contains(*peer))
            .filter_map(|(peer, offers)| {
                let usable: Vec<&Offer> = offers.iter().filter(usable).collect();
                let is_target = peer.eq_ignore_ascii_case(&self.target);
                if usable.is_empty() || (is_target && step.action == "on") {
                    return None;
                }
                let verified = usable.iter().any(|offer| offer.verified);
                Some((is_target, !verified, usize::MAX - usable.len(), peer))
            })
            .collect();
        candidates.sort();
        candidates.first().map(|(_, _, _, peer)| (*peer).clone())
    }

    /// Whether the best peer so far is good enough not to wait for more answers.
    pub fn has_sure_peer(&self) -> bool {
        let Some(step) = self.step() else { return false };
        step.device.is_none()
            && self.offers.iter().any(|(peer, offers)| {
                !peer.eq_ignore_ascii_case(&self.target)
                    && offers.iter().any(|offer| offer.verified && !offer.disallowed)
            })
    }

    /// The current step went well: on to the next. True when the operation is complete.
    pub fn step_done(&mut self) -> bool {
        self.tried.clear();
        let Some(level) = self.levels.front_mut() else { return true };
        level.pop_front();
        if level.is_empty() {
            self.levels.clear();
        }
        self.levels.is_empty()
    }

    /// The current step cannot be done: on to the next level. False when there is none.
    pub fn next_level(&mut self) -> bool {
        self.tried.clear();
        self.levels.pop_front();
        !self.levels.is_empty()
    }

    /// Its entry in the history.
    pub fn history_entry(&self, with_id: bool) -> Element {
        let mut entry = Element::new("st_execute");
        if with_id {
            entry.set("st_remote_op", self.id.as_str());
        }
        entry.set("st_target", self.target.as_str());
        entry.set("st_device_action", self.action.as_str());
        entry.set("st_origin", self.originator.as_str());
        if let Some(delegate) = &self.delegate {
            entry.set("st_delegate", delegate.as_str());
        }
        entry.set("st_clientname", self.asker.client_name.as_str());
        entry.set("st_date", self.completed.to_string());
        entry.set("st_date_nsec", "0");
        entry.set("st_state", (self.state as u8).to_string());
        super::wire::put_outcome(&mut entry, &self.outcome, None);
        entry
    }

    /// What is told about its end, to peers and subscribers.
    pub fn result_element(&self) -> Element {
        let mut element = Element::new("st_notify_fence")
            .with("state", (self.state as u8).to_string())
            .with("st_target", self.target.as_str())
            .with("st_device_action", self.action.as_str());
        if let Some(delegate) = &self.delegate {
            element.set("st_delegate", delegate.as_str());
        }
        element.set("st_remote_op", self.id.as_str());
        element.set("st_origin", self.originator.as_str());
        element.set("st_clientid", self.asker.client_id.as_str());
        element.set("st_clientname", self.asker.client_name.as_str());
        super::wire::put_outcome(&mut element, &self.outcome, None);
        element
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation() -> Operation {
        let mut op = Operation::new("id".into(), "t", "reboot", "o", Asker::default());
        op.plan_plain();
        op
    }

    fn offer(id: &str, verified: bool) -> Offer {
        Offer {
            id: id.into(),
            verified,
            disallowed: false,
            on: true,
            automatic: false,
            timeout_s: None,
        }
    }

    #[test]
    fn the_target_is_the_last_choice_and_the_proven_the_first() {
        let mut op = operation();
        op.offers.insert("t".into(), vec![offer("x", true)]);
        assert_eq!(op.choose_peer().as_deref(), Some("t"));
        op.offers.insert("a".into(), vec![offer("x", false), offer("y", false)]);
        assert_eq!(op.choose_peer().as_deref(), Some("a"));
        assert!(!op.has_sure_peer());
        op.offers.insert("b".into(), vec![offer("x", true)]);
        assert_eq!(op.choose_peer().as_deref(), Some("b"));
        assert!(op.has_sure_peer());
        op.tried.insert("b".into());
        assert_eq!(op.choose_peer().as_deref(), Some("a"));
    }

    #[test]
    fn several_devices_go_off_before_any_goes_on() {
        let mut op = operation();
        op.plan_levels(
            &[(1, vec!["p1".to_owned(), "p2".to_owned()]), (2, vec!["q".to_owned()])].into(),
        );
        let mut seen = Vec::new();
        loop {
            let step = op.step().unwrap().clone();
            seen.push(format!("{} {} {}", step.action, step.device.unwrap(), step.must_succeed));
            if op.step_done() {
                break;
            }
        }
        assert_eq!(seen, ["off p1 true", "off p2 true", "on p1 false", "on p2 false"]);
        let mut op = operation();
        op.plan_levels(&[(1, vec!["p".to_owned()]), (2, vec!["q".to_owned()])].into());
        assert!(op.next_level());
        assert_eq!(op.step().unwrap().device.as_deref(), Some("q"));
        assert!(!op.next_level());
    }
}
