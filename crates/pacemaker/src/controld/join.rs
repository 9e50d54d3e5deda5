//! Joining: how the DC gives every active node its place, and how a node takes it.
//!
//! The DC offers; a node requests with the version of its CIB; when all have answered, the best
//! CIB is distributed; the DC acknowledges; the node confirms with its executor's state.
//!
//! Source: `spec/pacemaker-cluster.md` §5.

mod client;

use std::collections::BTreeMap;

use base::NodeId;
use base::log::Priority;
use xml::Element;

use super::core::{CibCall, CibRequest, Controller, cib_option};
use super::fsm::{Action, Actions, Cause, Input, State};
use super::graph::{Completion, INFINITY};
use crate::cluster::envelope::{self, FEATURE_SET};
use crate::cluster::peers::State as PeerState;

/// How far a node has come, as the DC sees it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) enum Phase {
    /// Refused.
    Nack = -1,
    /// Nothing yet.
    #[default]
    None = 0,
    /// Has an offer.
    Welcomed = 1,
    /// Has asked.
    Integrated = 2,
    /// Has our acknowledgement.
    Finalized = 3,
    /// Is in.
    Confirmed = 4,
}

/// Versions of a CIB, in the order they compare.
type Generation = (u64, u64, u64);

/// The DC's books about joining.
#[derive(Debug, Default)]
pub(super) struct Join {
    pub id: u32,
    phases: BTreeMap<NodeId, Phase>,
    /// What the CIB shall expect of a node (`member`, `down`, `pending`, `nack`).
    pub expected: BTreeMap<NodeId, &'static str>,
    best: Option<(String, Generation)>,
    /// Membership when offers were made last.
    offered_seq: u64,
    /// Membership for which a new round was asked for already.
    rejoined_seq: u64,
    /// The node state of our own join was used already (`PCMK_node_start_state` is applied once).
    started_once: bool,
}

impl Join {
    pub(super) fn phase(&self, id: NodeId) -> Phase {
        self.phases.get(&id).copied().unwrap_or_default()
    }

    /// A phase only advances by one step, or falls back.
    pub(super) fn set_phase(&mut self, id: NodeId, phase: Phase) {
        let now = self.phase(id);
        if phase <= Phase::None || phase as i8 == now as i8 + 1 {
            self.phases.insert(id, phase);
        }
    }

    pub(super) fn count(&self, phase: Phase) -> usize {
        self.phases.values().filter(|p| **p == phase).count()
    }
}

fn generation(xml: &Element) -> Generation {
    let number = |name| xml.get(name).and_then(|text| text.parse().ok()).unwrap_or(0);
    (number("admin_epoch"), number("epoch"), number("num_updates"))
}

/// Whether a DC of the one feature set takes a node of the other.
pub(super) fn compatible(dc: &str, joiner: &str) -> bool {
    let parts = |text: &str| {
        let mut parts = text.split('.').map(|part| part.parse::<u64>().ok());
        Some((parts.next()??, parts.next().flatten().unwrap_or(0)))
    };
    match (parts(dc), parts(joiner)) {
        (Some((dc_major, dc_minor)), Some((major, minor))) => {
            dc_major == major && dc_minor <= minor
        }
        _ => false,
    }
}

impl Controller {
    // --- the DC's side ------------------------------------------------------------------------

    pub(super) fn join_offer_all(&mut self) {
        self.join.id += 1;
        self.join.phases.clear();
        self.join.best = None;
        self.flags.have_cib = false;
        self.dc_name = None;
        let peers: Vec<(NodeId, Option<String>, bool, Option<PeerState>)> = self
            .group
            .peers()
            .iter()
            .map(|peer| (peer.id, peer.name.clone(), peer.is_active(), peer.state))
            .collect();
        for (id, name, active, state) in peers {
            match name {
                Some(name) if active => self.join_offer(id, &name),
                _ => {
                    if state == Some(PeerState::Lost) {
                        self.join.expected.entry(id).or_insert("down");
                    }
                }
            }
        }
        self.join.offered_seq = self.ring_seq;
        let text = format!(
            "Waiting on join requests from {} outstanding nodes | join-{}",
            self.join.count(Phase::Welcomed),
            self.join.id
        );
        self.note(Priority::Info, text);
    }

    fn join_offer(&mut self, id: NodeId, name: &str) {
        let mut offer = self.request("join_offer", Some(name), "crmd", "dc", None);
        offer.set("join_id", self.join.id.to_string());
        offer.set("dc-leaving", if self.flags.shutdown { "true" } else { "false" });
        offer.set("crm_feature_set", FEATURE_SET);
        let text = format!("Sending join-{} offer to {name}", self.join.id);
        self.note(Priority::Info, text);
        self.send_peer(Some(name), &offer);
        self.join.set_phase(id, Phase::None);
        self.join.set_phase(id, Phase::Welcomed);
    }

    pub(super) fn join_offer_one(&mut self, message: Option<&Element>) {
        self.join.offered_seq = self.ring_seq;
        let announced = message.filter(|m| m.has("crm_task"));
        let Some(message) = announced else {
            let new: Vec<(NodeId, String)> = self
                .group
                .peers()
                .iter()
                .filter(|peer| peer.is_active() && self.join.phase(peer.id) == Phase::None)
                .filter_map(|peer| Some((peer.id, peer.name.clone()?)))
                .collect();
            for (id, name) in new {
                self.join_offer(id, &name);
            }
            self.abort_transition(INFINITY, Completion::Restart, "Node join");
            self.check_join_state("do_dc_join_offer_one");
            return;
        };
        let from = message.get("src").unwrap_or("").to_owned();
        let Some(peer) = self.group.peers().by_name(&from) else {
            self.note(Priority::Warning, format!("Can't offer a place to unknown node {from:?}"));
            return;
        };
        let (id, active) = (peer.id, peer.is_active());
        self.join.set_phase(id, Phase::None);
        if active {
            self.join_offer(id, &from);
        }
        if !self.is_own(&from) {
            let (own, name) = (self.group.own_id(), self.own_name().to_owned());
            self.join_offer(own, &name);
        }
        self.abort_transition(INFINITY, Completion::Restart, "Node join");
    }

    fn message_join_id(message: &Element) -> u32 {
        message.get("join_id").and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    pub(super) fn join_process_request(&mut self, message: &Element) {
        let from = message.get("src").unwrap_or("").to_owned();
        let join_id = Self::message_join_id(message);
        let Some(peer) = self.group.peers().by_name(&from) else { return };
        let (id, active) = (peer.id, peer.is_active());
        if join_id != self.join.id {
            let text = format!(
                "Ignoring join-{join_id} request from {from}: current is join-{}",
                self.join.id
            );
            self.note(Priority::Info, text);
            self.check_join_state("do_dc_join_filter_offer");
            return;
        }
        let data = envelope::data(message).cloned();
        let version = message.get("crm_feature_set").unwrap_or("");
        let refusal = if !active {
            Some("it is not active".to_owned())
        } else if data.is_none() {
            Some("its request has no CIB version".to_owned())
        } else if !compatible(FEATURE_SET, version) {
            Some(format!("its feature set {version:?} is not compatible with {FEATURE_SET}"))
        } else {
            None
        };
        if let Some(why) = refusal {
            self.note(
                Priority::Error,
                format!("Rejecting join-{join_id} request from {from}: {why}"),
            );
            self.join.set_phase(id, Phase::Nack);
            self.join.expected.insert(id, "nack");
        } else {
            let theirs = data.as_ref().map(generation).unwrap_or_default();
            let better = match &self.join.best {
                None => true,
                Some((_, best)) => theirs > *best || (theirs == *best && self.is_own(&from)),
            };
            if better {
                self.join.best = Some((from.clone(), theirs));
            }
            self.join.set_phase(id, Phase::Integrated);
            self.join.expected.insert(id, "member");
            self.note(Priority::Info, format!("Accepting join-{join_id} request from {from}"));
        }
        self.check_join_state("do_dc_join_filter_offer");
    }

    /// Looks whether the current step of joining is complete.
    pub(super) fn check_join_state(&mut self, origin: &'static str) {
        if !self.flags.the_dc {
            return;
        }
        let state = self.fsm.state();
        if self.ring_seq != self.join.offered_seq {
            if self.join.rejoined_seq != self.ring_seq
                && matches!(state, State::Integration | State::FinalizeJoin)
            {
                self.join.rejoined_seq = self.ring_seq;
                self.input_first(Input::NodeJoin, Cause::Internal, origin);
            }
            return;
        }
        if state == State::Integration {
            if self.join.count(Phase::Welcomed) == 0 {
                self.input(Input::Integrated, Cause::Internal, origin);
            }
        } else if state == State::FinalizeJoin
            && self.flags.have_cib
            && [Phase::Welcomed, Phase::Integrated, Phase::Finalized]
                .into_iter()
                .all(|phase| self.join.count(phase) == 0)
        {
            self.input(Input::Finalized, Cause::Internal, origin);
        }
    }

    pub(super) fn join_finalize(&mut self) {
        if self.fsm.state() != State::FinalizeJoin || self.join.count(Phase::Welcomed) > 0 {
            return;
        }
        if self.join.count(Phase::Integrated) == 0 {
            self.check_join_state("do_dc_join_finalize");
            return;
        }
        // An update of ours that is still under way would overtake the copy that is distributed,
        // and everybody would refuse that as outdated.
        if self.flags.in_transition || self.n_cib_writes() > 0 {
            self.stall(Action::DcJoinFinalize);
            return;
        }
        let own = self.own_name().to_owned();
        let source = self.join.best.as_ref().map_or(own.clone(), |(node, _)| node.clone());
        // A copy from a node that was away lacks what the members did meanwhile. They have to tell
        // it once more, and only who joins tells. (By the spec only the newcomers join.)
        if !self.is_own(&source) && self.join.count(Phase::Confirmed) > 0 {
            self.note(
                Priority::Notice,
                format!("All nodes join anew: the newest CIB is that of {source}, which was away"),
            );
            self.input_first(Input::Election, Cause::Internal, "do_dc_join_finalize");
            return;
        }
        let text = format!(
            "Finalizing join-{} for {} nodes (sync'ing CIB from {source})",
            self.join.id,
            self.join.count(Phase::Integrated)
        );
        self.note(Priority::Notice, text);
        let join_id = self.join.id;
        self.cib(
            CibCall::JoinSync { join_id },
            CibRequest {
                op: "cib_sync",
                section: None,
                options: cib_option::QUORUM_OVERRIDE,
                data: None,
                host: Some(source),
                user: None,
            },
        );
    }

    pub(super) fn join_synced(&mut self, join_id: u32, rc: i32) {
        if join_id != self.join.id {
            return;
        }
        if rc != 0 {
            self.note(
                Priority::Error,
                format!("Could not sync CIB for join-{join_id}: error {rc}"),
            );
            self.input_first(Input::ElectionDc, Cause::Internal, "finalize_sync_callback");
            return;
        }
        if !self.flags.the_dc || self.fsm.state() != State::FinalizeJoin {
            return;
        }
        self.flags.have_cib = true;
        let integrated: Vec<(NodeId, String, bool)> = self
            .group
            .peers()
            .iter()
            .filter(|peer| self.join.phase(peer.id) == Phase::Integrated)
            .filter_map(|peer| Some((peer.id, peer.name.clone()?, peer.is_active())))
            .collect();
        for (id, name, active) in integrated {
            let node = Element::new("node").with("id", id.to_string()).with("uname", name.as_str());
            let nodes = Element::new("nodes").with_child(node);
            self.cib_modify(CibCall::Quiet("node entry"), "nodes", cib_option::CAN_CREATE, nodes);
            if !active {
                self.join.expected.insert(id, "pending");
                continue;
            }
            let mut ack = self.request("join_ack_nack", Some(&name), "crmd", "dc", None);
            ack.set("join_id", join_id.to_string());
            ack.set("dc-leaving", if self.flags.shutdown { "true" } else { "false" });
            ack.set("join_ack_nack", "true");
            self.note(Priority::Info, format!("Acknowledging join-{join_id} request from {name}"));
            self.send_peer(Some(&name), &ack);
            self.join.set_phase(id, Phase::Finalized);
            self.join.expected.insert(id, "member");
        }
        self.check_join_state("finalize_sync_callback");
    }

    pub(super) fn join_process_confirm(&mut self, message: &Element) {
        if message.get("crm_task") != Some("join_confirm") {
            return;
        }
        let from = message.get("src").unwrap_or("").to_owned();
        let Some(id) = self.group.peers().by_name(&from).map(|peer| peer.id) else { return };
        if self.join.phase(id) != Phase::Finalized {
            let text = format!(
                "Ignoring out-of-sequence join-{} confirmation from {from} (currently {:?})",
                self.join.id,
                self.join.phase(id)
            );
            self.note(Priority::Info, text);
            return;
        }
        let join_id = Self::message_join_id(message);
        if join_id != self.join.id {
            self.join.set_phase(id, Phase::Nack);
            return;
        }
        self.join.set_phase(id, Phase::Confirmed);
        self.note(
            Priority::Info,
            format!("Updating node state to member for {from} | join-{join_id}"),
        );
        let xpath = if self.options.shutdown_lock {
            format!(
                "//node_state[@uname='{from}']//lrm_rsc_op|//node_state[@uname='{from}']\
                 //lrm_resource[not(@shutdown-lock)]"
            )
        } else {
            format!("//node_state[@uname='{from}']/lrm")
        };
        self.cib_delete_xpath("operation history", xpath, cib_option::SCOPE_LOCAL);
        let state = if self.is_own(&from) {
            Some(self.executor_state("do_dc_join_ack"))
        } else {
            envelope::data(message).cloned()
        };
        let Some(state) = state else { return };
        let status = Element::new("status").with_child(state);
        self.cib_modify(
            CibCall::JoinConfirmed { join_id },
            "status",
            cib_option::SCOPE_LOCAL | cib_option::CAN_CREATE,
            status,
        );
    }

    /// Whether the membership changed since offers were made.
    pub(super) fn join_is_outdated(&self) -> bool {
        self.ring_seq != self.join.offered_seq
    }

    /// Integration took too long: who has not asked yet is not waited for.
    pub(super) fn join_drop_welcomed(&mut self) {
        for phase in self.join.phases.values_mut() {
            if *phase == Phase::Welcomed {
                *phase = Phase::None;
            }
        }
    }

    /// The last step: who we are and whether we have quorum goes to the CIB.
    pub(super) fn join_final(&mut self) {
        self.write_quorum(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feature_sets_decide_who_may_join_whom() {
        for (dc, joiner, want) in [
            ("3.16.1", "3.16.1", true),
            ("3.16.1", "3.20.5", true),
            ("3.16.1", "3.15.0", false),
            ("3.16.1", "4.0.0", false),
            ("3.16.1", "", false),
            ("3.16.1", "3.16.0", true),
        ] {
            assert_eq!(compatible(dc, joiner), want, "{dc} {joiner}");
        }
    }

    #[test]
    fn phases_advance_one_by_one() {
        let mut join = Join::default();
        let node = NodeId(1);
        join.set_phase(node, Phase::Integrated);
        assert_eq!(join.phase(node), Phase::None);
        join.set_phase(node, Phase::Welcomed);
        join.set_phase(node, Phase::Integrated);
        assert_eq!((join.phase(node), join.count(Phase::Integrated)), (Phase::Integrated, 1));
        join.set_phase(node, Phase::None);
        assert_eq!(join.phase(node), Phase::None);
    }
}
