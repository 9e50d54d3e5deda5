//! The fencing history: who was fenced when, shared by all fencers.
//!
//! Source: `spec/pacemaker-cluster.md` §15.7, `spec/pacemaker-ipc.md` §9.7.

use agents::judge::ExecStatus;
use xml::Element;

use super::core::{Core, Now, ReplyTo};
use super::operation::{Asker, Operation, State};
use super::wire::{self, options};

/// Entries kept, and how many are left after tidying up.
const ENTRIES_MAX: usize = 500;
const ENTRIES_KEPT: usize = 250;

impl Core {
    pub(super) fn on_history_request(&mut self, to: &ReplyTo, request: &Element) {
        let callopt = wire::number(request, "st_callopt");
        let target = request
            .descendants()
            .skip(1)
            .find_map(|element| element.get("st_target"))
            .filter(|target| !target.is_empty())
            .map(|target| self.name_of(target, callopt));
        if callopt & options::CLEANUP != 0 {
            let mut data = Element::new("st_fence_history");
            if let Some(target) = &target {
                data.set("st_target", target.as_str());
            }
            let options = options::CLEANUP | options::DISCARD_REPLY;
            self.peer(None, history_message(options, data));
            return self.answer(to, request, &wire::done(), None);
        }
        if callopt & options::BROADCAST != 0 {
            self.tell("st_notify_history_synced", &wire::done(), None);
            self.share_history(None);
            return self.answer(to, request, &wire::done(), None);
        }
        let mut list = Element::new("st_history");
        for op in self.operations.values() {
            let wanted =
                target.as_ref().is_none_or(|target| target.eq_ignore_ascii_case(&op.target));
            if wanted {
                list.push(op.history_entry(false));
            }
        }
        self.answer(to, request, &wire::done(), Some(list));
    }

    fn name_of(&self, target: &str, callopt: u32) -> String {
        let number = target.parse::<u32>().ok().filter(|_| callopt & options::NODE_ID != 0);
        let known = number.and_then(|number| self.peers.iter().find(|(_, id)| **id == number));
        known.map_or_else(|| target.to_owned(), |(name, _)| name.clone())
    }

    /// Tells all fencers what is known here, or only these operations as a difference.
    fn share_history(&mut self, only: Option<&[String]>) {
        let mut list = Element::new("st_history");
        if only.is_some() {
            list.set("st_differential", "true");
        }
        for op in self.operations.values() {
            if only.is_none_or(|only| only.contains(&op.id)) {
                list.push(op.history_entry(true));
            }
        }
        let data = Element::new("stonith_send_broadcast_history").with_child(list);
        let options = options::BROADCAST | options::DISCARD_REPLY;
        self.peer(None, history_message(options, data));
    }

    /// A fencer tells its history, or wants some of it deleted.
    pub(super) fn on_history_message(&mut self, now: Now, from: &str, message: &Element) {
        if wire::number(message, "st_callopt") & options::CLEANUP != 0 {
            let target = message.descendants().skip(1).find_map(|element| element.get("st_target"));
            let before = self.operations.len();
            self.operations.retain(|_, op| {
                !op.state.is_final()
                    || target.is_some_and(|target| !target.eq_ignore_ascii_case(&op.target))
            });
            if self.operations.len() != before {
                self.tell("st_notify_history", &wire::done(), None);
            }
            return;
        }
        let list = message.descendants().find(|element| element.name() == "st_history");
        let Some(list) = list.filter(|_| from != self.own) else { return };
        let is_difference = list.get("st_differential").is_some_and(|value| value == "true");
        let mut known_there = Vec::new();
        let mut better_here = Vec::new();
        let mut changed = false;
        for entry in list.children() {
            let Some(theirs) = read_entry(entry) else { continue };
            known_there.push(theirs.id.clone());
            match self.operations.get_mut(&theirs.id) {
                None => {
                    changed = true;
                    let mut theirs = theirs;
                    if !theirs.state.is_final() && theirs.originator == self.own {
                        // We are said to lead it and know nothing of it: an earlier life of ours.
                        theirs.state = State::Failed;
                        theirs.completed = now.epoch;
                        theirs.outcome = wire::invalid(
                            110,
                            "Initiated by earlier fencer process and presumed failed",
                        );
                        better_here.push(theirs.id.clone());
                    }
                    self.operations.insert(theirs.id.clone(), theirs);
                }
                Some(ours) if !ours.state.is_final() && theirs.state.is_final() => {
                    ours.state = theirs.state;
                    ours.outcome = theirs.outcome;
                    ours.completed = theirs.completed;
                    ours.delegate = theirs.delegate;
                    changed = true;
                }
                Some(ours) if ours.state.is_final() && !theirs.state.is_final() => {
                    better_here.push(ours.id.clone());
                }
                Some(_) => {}
            }
        }
        if !is_difference {
            let missing = self.operations.values().filter(|op| !known_there.contains(&op.id));
            better_here.extend(missing.map(|op| op.id.clone()));
            if !better_here.is_empty() {
                self.share_history(Some(&better_here));
            }
        }
        if changed {
            self.trim_history();
            self.tell("st_notify_history", &wire::done(), None);
        }
    }

    /// Forgets the oldest when there are too many.
    pub(super) fn trim_history(&mut self) {
        if self.operations.len() <= ENTRIES_MAX {
            return;
        }
        let mut finished: Vec<(i64, String)> = self
            .operations
            .values()
            .filter(|op| op.state.is_final())
            .map(|op| (op.completed, op.id.clone()))
            .collect();
        finished.sort();
        let surplus = self.operations.len() - ENTRIES_KEPT;
        for (_, id) in finished.into_iter().take(surplus) {
            self.operations.remove(&id);
        }
    }
}

fn history_message(options: u32, data: Element) -> Element {
    Element::new("stonith_command")
        .with("__name__", "stonith_command")
        .with("t", "stonith-ng")
        .with("subt", "broadcast")
        .with("st_op", "st_fence_history")
        .with("st_callopt", options.to_string())
        .with_child(Element::new("st_calldata").with_child(data))
}

fn read_entry(entry: &Element) -> Option<Operation> {
    let id = entry.get("st_remote_op").filter(|id| !id.is_empty())?;
    let get = |name: &str| entry.get(name).unwrap_or_default();
    let asker = Asker { client_name: get("st_clientname").to_owned(), ..Asker::default() };
    let mut op = Operation::new(
        id.to_owned(),
        get("st_target"),
        get("st_device_action"),
        get("st_origin"),
        asker,
    );
    op.state = State::from_code(wire::number(entry, "st_state"));
    op.completed = get("st_date").parse().unwrap_or(0);
    op.delegate = entry.get("st_delegate").map(str::to_owned);
    op.outcome = wire::outcome_of(entry);
    if op.state.is_final() && op.outcome.status == ExecStatus::Pending {
        op.outcome.status = ExecStatus::Error;
    }
    Some(op)
}
