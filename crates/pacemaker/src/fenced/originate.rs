//! Leading a fencing operation: ask who can, have one after the other try, tell everybody.
//!
//! Source: `spec/pacemaker-cluster.md` §15.2, §15.3.

mod end;

use std::time::Duration;

use agents::judge::{ExecStatus, Outcome};
use base::log::Priority;
use xml::Element;

use super::core::{Core, Now, ReplyTo};
use super::operation::{Asker, Offer, Operation, State};
use super::wire::{self, options};

/// Seconds for one device when the request names none.
const DEFAULT_TIMEOUT_S: u32 = 60;

/// Upstream gives everything a fifth more than asked for.
fn patience(seconds: u32) -> Duration {
    Duration::from_millis(u64::from(seconds).saturating_mul(1200))
}

impl Core {
    // --- the beginning --------------------------------------------------------------------------

    pub(super) fn on_fence_request(
        &mut self,
        now: Now,
        to: &ReplyTo,
        request: &Element,
        id: String,
    ) {
        let data = wire::with_attr(request, "st_target");
        let get = |name: &str| data.and_then(|data| data.get(name)).or_else(|| request.get(name));
        let callopt = wire::number(request, "st_callopt");
        let target = get("st_target").unwrap_or_default();
        let action = get("st_device_action").unwrap_or_default();
        if target.is_empty() || !matches!(action, "off" | "reboot" | "on") {
            let reason = format!("Cannot '{action}' target '{target}'");
            return self.answer(to, request, &wire::invalid(2, reason), None);
        }
        let target = match target.parse::<u32>() {
            Ok(number) if callopt & options::NODE_ID != 0 => {
                let known = self.peers.iter().find(|(_, id)| **id == number);
                known.map_or(target, |(name, _)| name.as_str()).to_owned()
            }
            _ => target.to_owned(),
        };
        let asker = Asker {
            client_id: request.get("st_clientid").unwrap_or_default().to_owned(),
            client_name: request.get("st_clientname").unwrap_or("unknown").to_owned(),
            call_id: request.get("st_callid").unwrap_or("0").to_owned(),
            options: callopt,
        };
        let mut op = Operation::new(id.clone(), &target, action, &self.own, asker);
        op.base_timeout_s = match wire::number(request, "st_timeout") {
            0 => DEFAULT_TIMEOUT_S,
            seconds => seconds,
        };
        op.delay_s = get("st_delay").and_then(|text| text.parse().ok()).unwrap_or(0);
        let text = format!(
            "Client {} wants to fence ({action}) {target} using any device",
            op.asker.client_name
        );
        self.note(Priority::Notice, text);
        if callopt & options::MANUAL_ACK != 0 {
            op.action = "off".into();
            op.state = State::Exec;
            op.delegate = Some("a human".into());
            self.operations.insert(id.clone(), op);
            self.awaiting.push((id.clone(), to.clone(), request.clone()));
            return self.announce(&id, wire::done());
        }
        let tolerance = i64::from(wire::number(request, "st_tolerance"));
        if tolerance > 0 && self.was_fenced_since(&target, action, now.epoch - tolerance) {
            let text = format!("Target {target} was fenced ({action}) less than {tolerance}s ago");
            self.note(Priority::Notice, text);
            return self.answer(to, request, &wire::done(), None);
        }
        let twin = self.operations.values().find(|other| {
            matches!(other.state, State::Query | State::Exec)
                && other.target.eq_ignore_ascii_case(&target)
                && other.action == action
                && other.asker.client_name != op.asker.client_name
                && self.peers.contains_key(&other.originator)
        });
        if let Some(twin) = twin.map(|twin| twin.id.clone()) {
            // Somebody is at it already; its end is ours.
            self.awaiting.push((twin, to.clone(), request.clone()));
            return;
        }
        let levels = self.levels_of(&target);
        if levels.is_empty() {
            op.plan_plain()
        } else {
            op.plan_levels(&levels)
        }
        op.asked = self.peers.keys().cloned().collect();
        op.query_deadline = Some(now.mono + patience(op.base_timeout_s));
        let mut query = Element::new("stonith_command")
            .with("__name__", "stonith_command")
            .with("t", "stonith-ng")
            .with("st_async_id", id.as_str())
            .with("st_op", "st_query")
            .with("st_callid", op.asker.call_id.as_str())
            .with("st_callopt", callopt.to_string())
            .with("st_timeout", op.base_timeout_s.to_string())
            .with("st_remote_op", id.as_str())
            .with("st_target", target.as_str())
            .with("st_device_action", action)
            .with("st_origin", self.own.as_str())
            .with("st_clientid", op.asker.client_id.as_str())
            .with("st_clientname", op.asker.client_name.as_str());
        if request.get("st_op") == Some("st_relay")
            && let Some(relayed) = request.get("st_remote_op")
        {
            query.set("st_remote_op_relay", relayed);
        }
        self.operations.insert(id.clone(), op);
        // Who had it relayed learns the end from the broadcast, as its record of the query tells.
        if request.get("st_op") != Some("st_relay") {
            self.awaiting.push((id.clone(), to.clone(), request.clone()));
        }
        let text = format!("Requesting peer fencing ({action}) targeting {target} | id={id}");
        self.note(Priority::Notice, text);
        self.tell("st_notify_history", &wire::done(), None);
        self.peer(None, query);
        self.advance(now, &id);
    }

    fn was_fenced_since(&self, target: &str, action: &str, since: i64) -> bool {
        self.operations.values().any(|op| {
            op.state == State::Done
                && op.target.eq_ignore_ascii_case(target)
                && op.action == action
                && op.completed >= since
        })
    }

    // --- peers ----------------------------------------------------------------------------------

    pub(super) fn on_peer(&mut self, now: Now, from: &str, message: &Element, fresh_id: String) {
        let is_reply = message.descendants().any(|element| element.name() == "st-reply");
        let op = message.get("st_op").unwrap_or_default();
        if is_reply {
            match op {
                "st_query" => self.on_offer(now, from, message),
                "st_notify" => self.on_result(now, from, message),
                "st_fence" => self.on_step_result(now, from, message),
                _ => {}
            }
            return;
        }
        match op {
            "st_query" => {
                self.remember(from, message);
                self.on_query(now, &ReplyTo::Peer(from.to_owned()), message);
            }
            "st_fence" => self.on_fence_order(now, from, message),
            "st_relay" => {
                let to = ReplyTo::Peer(from.to_owned());
                self.on_fence_request(now, &to, message, fresh_id);
            }
            "st_fence_history" => self.on_history_message(now, from, message),
            "st_timeout_update" => {
                let to = ReplyTo::Peer(from.to_owned());
                self.command(now, &to, message, true, fresh_id);
            }
            // `poke` and `rm_node_cache` only make names known or forgotten.
            _ => {}
        }
    }

    /// Keeps a record of an operation that somebody else leads.
    fn remember(&mut self, from: &str, message: &Element) {
        let get = |name: &str| message.get(name).unwrap_or_default();
        if let Some(relayed) = message.get("st_remote_op_relay")
            && self.operations.get(relayed).is_some_and(|op| !op.state.is_final())
        {
            self.operations.remove(relayed);
        }
        let id = get("st_remote_op");
        if id.is_empty() || self.operations.contains_key(id) {
            return;
        }
        let asker = Asker {
            client_id: get("st_clientid").to_owned(),
            client_name: get("st_clientname").to_owned(),
            call_id: get("st_callid").to_owned(),
            options: wire::number(message, "st_callopt"),
        };
        let originator = message.get("st_origin").unwrap_or(from);
        let op = Operation::new(
            id.to_owned(),
            get("st_target"),
            get("st_device_action"),
            originator,
            asker,
        );
        self.operations.insert(id.to_owned(), op);
        self.tell("st_notify_history", &wire::done(), None);
    }

    /// A peer says what it has.
    fn on_offer(&mut self, now: Now, from: &str, message: &Element) {
        let id = wire::attr(message, "st_remote_op").unwrap_or_default().to_owned();
        let Some(op) = self.operations.get_mut(&id) else { return };
        if op.originator != self.own || op.state.is_final() {
            return;
        }
        op.answered.insert(from.to_owned());
        let list = wire::with_attr(message, "st-available-devices");
        let offers: Vec<Offer> = list
            .into_iter()
            .flat_map(Element::children)
            .filter(|element| element.has("agent"))
            .filter_map(|element| {
                let flag = |name: &str| element.get(name) == Some("1");
                Some(Offer {
                    id: element.id()?.to_owned(),
                    verified: flag("st_monitor_verified"),
                    disallowed: flag("st_action_disallowed"),
                    on: wire::number(element, "st_device_support_flags") & 32 != 0,
                    automatic: element
                        .children()
                        .any(|child| child.get("st_required") == Some("1")),
                    timeout_s: element.get("st_action_timeout").and_then(|text| text.parse().ok()),
                })
            })
            .collect();
        if !offers.is_empty() {
            op.offers.insert(from.to_owned(), offers);
        }
        self.advance(now, &id);
    }

    // --- step by step ---------------------------------------------------------------------------

    /// Goes on with an operation as far as possible.
    fn advance(&mut self, now: Now, id: &str) {
        let Some(op) = self.operations.get_mut(id) else { return };
        if op.originator != self.own || op.state.is_final() || op.executing.is_some() {
            return;
        }
        let over = op.query_deadline.is_none_or(|at| at <= now.mono);
        if !(op.all_answered() || over || op.has_sure_peer()) {
            return;
        }
        loop {
            let Some(op) = self.operations.get_mut(id) else { return };
            let Some(step) = op.step().cloned() else { return };
            let automatic = step.action == "on"
                && op
                    .offers
                    .values()
                    .flatten()
                    .any(|offer| Some(&offer.id) == step.device.as_ref() && offer.automatic);
            if automatic {
                // Done when the node joins, not before.
                if op.step_done() {
                    return self.announce(id, wire::done());
                }
                continue;
            }
            if let Some(peer) = op.choose_peer() {
                return self.order(now, id, &peer);
            }
            if !op.all_answered() && !over {
                return;
            }
            if !step.must_succeed {
                if op.step_done() {
                    return self.announce(id, wire::done());
                }
                continue;
            }
            let nobody_tried = op.delegate.is_none();
            if op.has_topology {
                if op.next_level() {
                    continue;
                }
                let outcome =
                    Outcome::new(1, ExecStatus::Error).because("All topology levels failed");
                return self.announce(id, outcome);
            }
            let outcome = if nobody_tried && !op.all_answered() {
                Outcome::new(1, ExecStatus::Timeout)
                    .because("All nodes failed, or are unable, to fence target")
            } else if nobody_tried {
                Outcome::new(1, ExecStatus::NoFenceDevice)
            } else {
                op.outcome.clone()
            };
            return self.announce(id, outcome);
        }
    }

    /// Has a peer do the current step.
    fn order(&mut self, now: Now, id: &str, peer: &str) {
        let Some(op) = self.operations.get_mut(id) else { return };
        let Some(step) = op.step().cloned() else { return };
        let custom = op.offers.get(peer).and_then(|offers| {
            let wanted =
                offers.iter().filter(|offer| step.device.as_ref().is_none_or(|id| *id == offer.id));
            wanted.filter_map(|offer| offer.timeout_s).max()
        });
        let timeout = custom.unwrap_or(op.base_timeout_s).max(op.base_timeout_s);
        let delay = op.delay_s;
        op.tried.insert(peer.to_owned());
        op.executing = Some(peer.to_owned());
        op.delegate = Some(peer.to_owned());
        op.state = State::Exec;
        let wait = patience(timeout) + Duration::from_secs(u64::try_from(delay).unwrap_or(0));
        op.step_deadline = Some(now.mono + wait);
        // Delays are for the race at the beginning.
        op.delay_s = op.delay_s.min(0);
        let mut order = Element::new("stonith_command")
            .with("__name__", "stonith_command")
            .with("t", "stonith-ng")
            .with("st_async_id", id)
            .with("st_op", "st_fence")
            .with("st_callid", op.asker.call_id.as_str())
            .with("st_callopt", op.asker.options.to_string())
            .with("st_remote_op", id)
            .with("st_target", op.target.as_str())
            .with("st_device_action", step.action.as_str())
            .with("st_origin", self.own.as_str())
            .with("st_clientid", op.asker.client_id.as_str())
            .with("st_clientname", op.asker.client_name.as_str())
            .with("st_timeout", timeout.to_string())
            .with("st_delay", delay.to_string());
        if let Some(device) = &step.device {
            order.set("st_device_id", device.as_str());
        }
        let text = format!(
            "Requesting that {peer} perform '{}' action targeting {}",
            step.action, op.target
        );
        self.note(Priority::Notice, text);
        self.peer(Some(peer), order);
    }

    /// A peer tells how its step went.
    fn on_step_result(&mut self, now: Now, from: &str, message: &Element) {
        let id = wire::attr(message, "st_remote_op").unwrap_or_default().to_owned();
        let outcome = wire::outcome_of(message);
        let Some(op) = self.operations.get_mut(&id) else { return };
        if op.originator != self.own
            || op.state.is_final()
            || op.executing.as_deref().is_none_or(|peer| !peer.eq_ignore_ascii_case(from))
        {
            return;
        }
        self.step_ended(now, &id, outcome);
    }

    fn step_ended(&mut self, now: Now, id: &str, outcome: Outcome) {
        let Some(op) = self.operations.get_mut(id) else { return };
        op.executing = None;
        op.step_deadline = None;
        op.outcome = outcome.clone();
        let good = outcome.rc == 0 && outcome.status == ExecStatus::Done;
        let must_succeed = op.step().is_some_and(|step| step.must_succeed);
        if good || !must_succeed {
            if op.step_done() {
                self.announce(id, wire::done());
            } else {
                self.advance(now, id);
            }
        } else if op.has_topology {
            if op.next_level() {
                self.advance(now, id);
            } else {
                self.announce(id, outcome);
            }
        } else if outcome.status == ExecStatus::Timeout {
            self.announce(id, outcome);
        } else {
            // Somebody else may have more luck.
            self.advance(now, id);
        }
    }

    pub(super) fn operations_timed_out(&mut self, now: Now) {
        let due = |op: &&Operation, at: fn(&Operation) -> Option<base::Time>| {
            !op.state.is_final() && at(op).is_some_and(|at| at <= now.mono)
        };
        let late: Vec<String> = self
            .operations
            .values()
            .filter(|op| due(op, |op| op.step_deadline))
            .map(|op| op.id.clone())
            .collect();
        for id in late {
            let outcome = Outcome::new(1, ExecStatus::Timeout)
                .because("Peer did not return fence result within timeout");
            self.step_ended(now, &id, outcome);
        }
        let silent: Vec<String> = self
            .operations
            .values()
            .filter(|op| due(op, |op| op.query_deadline))
            .map(|op| op.id.clone())
            .collect();
        for id in silent {
            self.advance(now, &id);
            if let Some(op) = self.operations.get_mut(&id) {
                op.query_deadline = None;
            }
        }
    }

    pub(super) fn peers_changed(&mut self, now: Now) {
        let (own, peers) = (self.own.clone(), self.peers.clone());
        let mut lost = Vec::new();
        for op in self.operations.values_mut().filter(|op| !op.state.is_final()) {
            if op.originator == own {
                op.asked.retain(|peer| peers.contains_key(peer));
                op.offers.retain(|peer, _| peers.contains_key(peer));
                let gone = op.executing.as_ref().is_some_and(|peer| !peers.contains_key(peer));
                lost.push((op.id.clone(), gone));
            } else if !peers.contains_key(&op.originator) {
                // Nobody leads it any more.
                op.state = State::Failed;
                op.completed = now.epoch;
                op.outcome = Outcome::new(1, ExecStatus::Error)
                    .because("Fencing was interrupted by the loss of its originator");
            }
        }
        for (id, gone) in lost {
            if gone {
                let outcome = Outcome::new(1, ExecStatus::NotConnected)
                    .because("Peer was lost while it was fencing");
                self.step_ended(now, &id, outcome);
            } else {
                self.advance(now, &id);
            }
        }
    }
}
