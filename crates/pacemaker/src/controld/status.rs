//! Nodes: what happens when one appears or leaves, what stands about it in the CIB, and quorum.
//!
//! Source: `spec/pacemaker-cluster.md` §4.7.

use base::NodeId;
use base::log::Priority;
use xml::Element;

use super::core::{CibCall, Controller, cib_option};
use super::fsm::{Action, Actions, Cause, Input, State};
use super::graph::{Completion, INFINITY};
use super::join::Phase;
use crate::alerts;
use crate::cluster::peers::{Change, Peer, PeerChange, State as PeerState};

/// Which facts of a node go to the CIB.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Facts {
    pub cluster: bool,
    pub peer: bool,
    pub join: bool,
    pub expected: bool,
}

impl Facts {
    pub(super) const ALL: Facts = Facts { cluster: true, peer: true, join: true, expected: true };
}

/// How long a living node has to start its controller again. Upstream's takes a second to
/// announce itself, ours a tenth of that.
const GRACE: std::time::Duration = std::time::Duration::from_millis(2000);

impl Controller {
    /// `<node_state>` of a peer with some facts; `None` while nothing is known of it.
    pub(super) fn node_state(&self, peer: &Peer, facts: Facts, origin: &str) -> Option<Element> {
        let state = peer.state?;
        let name = peer.name.as_deref()?;
        let mut xml = Element::new("node_state").with("id", peer.uuid()).with("uname", name);
        if facts.cluster {
            xml.set("in_ccm", if state == PeerState::Member { "true" } else { "false" });
        }
        if facts.peer {
            xml.set("crmd", if peer.online { "online" } else { "offline" });
        }
        if facts.join {
            let joined = self.join.phase(peer.id) > Phase::None;
            xml.set("join", if joined { "member" } else { "down" });
        }
        if facts.expected
            && let Some(expected) = self.join.expected.get(&peer.id)
        {
            xml.set("expected", *expected);
        }
        xml.set("crm-debug-origin", origin);
        Some(xml)
    }

    fn write_node_state(&mut self, peer: &Peer, facts: Facts, origin: &'static str) {
        let Some(state) = self.node_state(peer, facts, origin) else { return };
        let status = Element::new("status").with_child(state);
        let options = cib_option::CAN_CREATE;
        self.cib_modify(CibCall::Quiet("node state"), "status", options, status);
    }

    /// Something about a peer changed.
    pub(super) fn peer_changed(&mut self, change: &PeerChange) {
        let peer = &change.peer;
        self.flags.peer_data = true;
        let Some(name) = peer.name.clone() else { return };
        let own = self.is_own(&name);
        if matches!(change.what, Change::Online(_)) && peer.online && !self.flags.the_dc && !own {
            let hello = self.request("hello", Some(&name), "crmd", "crmd", None);
            self.send_peer(Some(&name), &hello);
        }
        let mut facts = Facts { peer: true, ..Facts::default() };
        let appeared;
        match change.what {
            Change::Name => return,
            Change::State(was) => {
                let now = peer.state.map_or("unset", PeerState::as_str);
                let was_word = was.map_or("unset", PeerState::as_str);
                self.note(
                    Priority::Notice,
                    format!(
                        "Node {name} state is now {now} | nodeid={} previous={was_word}",
                        peer.id
                    ),
                );
                self.alert(&alerts::Event::Node { name: &name, id: peer.id.0, state: now });
                if peer.state == Some(PeerState::Member) {
                    appeared = true;
                    self.fencing.forget_cleanup(&name);
                } else {
                    appeared = false;
                    self.election.remove_voter(&name);
                    if self.dc_name.as_deref() == Some(name.as_str()) {
                        self.election.clear_dampening();
                    }
                    let dc = self.dc_name.as_deref();
                    if self.connected.contains(&super::core::Service::Cib)
                        && (self.flags.the_dc || dc.is_none_or(|dc| dc == name))
                    {
                        self.delete_transient_attributes(&name, cib_option::SCOPE_LOCAL);
                    }
                }
                facts.cluster = true;
            }
            Change::Online(_) => {
                appeared = peer.online;
                if !appeared {
                    self.election.remove_voter(&name);
                }
                if !self.connected.contains(&super::core::Service::Cib)
                    || self.fsm.state() == State::Stopping
                {
                    return;
                }
                if own && !appeared {
                    self.note(Priority::Error, "We are no longer part of the cluster");
                    self.input(Input::Error, Cause::Callback, "peer_update_callback");
                    return;
                }
                // When only the controller of a living node died, the node's attributes are as true
                // as before, and its attribute manager would not write them again. (Upstream
                // deletes them even then, and with them promotion scores: roles would move.)
                let node_left = peer.state != Some(PeerState::Member)
                    || self.join.expected.get(&peer.id) == Some(&"down");
                let was_dc = self.dc_name.as_deref() == Some(name.as_str());
                if was_dc && !peer.is_active() {
                    self.note(Priority::Notice, format!("Our peer on the DC ({name}) is dead"));
                    // Having lost against a dead node says nothing about the next election.
                    self.election.clear_dampening();
                    self.input(Input::Election, Cause::Callback, "peer_update_callback");
                    if node_left {
                        self.delete_transient_attributes(&name, cib_option::SCOPE_LOCAL);
                    }
                } else if self.flags.the_dc || self.dc_name.is_none() || self.dc_is_leaving() {
                    if appeared {
                        self.start_fence_history_timer();
                    } else if node_left {
                        self.delete_transient_attributes(&name, cib_option::SCOPE_LOCAL);
                    }
                }
            }
        }
        if peer.online || peer.state != Some(PeerState::Member) {
            self.end_grace(peer.id);
        } else if self.deserves_grace(peer, change.what) {
            self.note(
                Priority::Warning,
                format!("Controller of {name} is gone; its node gets a moment to bring it back"),
            );
            self.grace.insert(peer.id, self.clock.now + GRACE);
            self.join.set_phase(peer.id, Phase::None);
            self.check_join_state("peer_update_callback");
            // What it was doing for us it will not report: its successor knows nothing of it.
            self.fail_incompletable(&peer.uuid(), &name);
            self.pass_wanted = true;
            return;
        }
        if self.flags.the_dc {
            self.peer_changed_for_dc(peer, &name, appeared, facts, change.what);
        }
        self.pass_wanted = true;
    }

    /// A controller died, but corosync says that its node lives, and nobody asked it to leave:
    /// pacemakerd is about to start it again. Its resources run on undisturbed meanwhile, so
    /// recovering (or fencing) them at once would do the only harm.
    fn deserves_grace(&self, peer: &Peer, what: Change) -> bool {
        matches!(what, Change::Online(true))
            && peer.state == Some(PeerState::Member)
            && self.join.expected.get(&peer.id) != Some(&"down")
            && self.graph.down_action(&peer.uuid()).is_none()
    }

    fn end_grace(&mut self, id: NodeId) {
        if self.grace.remove(&id).is_some() && self.grace.is_empty() && self.schedule_held {
            self.schedule_held = false;
            self.queue_actions(Actions::of(&[Action::PeInvoke]), None);
        }
    }

    /// Controllers that did not come back in time: their nodes failed.
    pub(super) fn grace_ends(&mut self) {
        let now = self.clock.now;
        let over: Vec<NodeId> =
            self.grace.iter().filter(|(_, end)| **end <= now).map(|(id, _)| *id).collect();
        for id in over {
            self.end_grace(id);
            let Some(peer) = self.group.peers().get(id).filter(|peer| !peer.online).cloned() else {
                continue;
            };
            if self.flags.the_dc {
                let name = peer.label().to_owned();
                let facts = Facts { peer: true, ..Facts::default() };
                self.peer_changed_for_dc(&peer, &name, false, facts, Change::Online(true));
            }
        }
    }

    fn dc_is_leaving(&self) -> bool {
        self.dc_name
            .as_deref()
            .and_then(|dc| self.group.peers().by_name(dc))
            .is_some_and(|peer| self.leaving.contains(&peer.id))
    }

    fn peer_changed_for_dc(
        &mut self,
        peer: &Peer,
        name: &str,
        appeared: bool,
        mut facts: Facts,
        what: Change,
    ) {
        let member = peer.state == Some(PeerState::Member);
        let alive = match (member, peer.online) {
            (true, true) => 1,
            (false, false) => -1,
            _ => 0,
        };
        if appeared && alive > 0 {
            self.input_first(Input::NodeJoin, Cause::Internal, "peer_update_callback");
        }
        let uuid = peer.uuid();
        let down = self
            .graph
            .down_action(&uuid)
            .map(|action| (action.id, action.task().to_owned(), action.confirmed));
        let lost_process = matches!(what, Change::Online(_)) && !appeared;
        match down {
            Some((_, task, _)) if task == "stonith" => {}
            Some((id, _, confirmed)) if !appeared => {
                facts.join = true;
                facts.expected = true;
                if lost_process || alive < 0 {
                    self.join.set_phase(peer.id, Phase::None);
                    self.join.expected.insert(peer.id, "down");
                    self.check_join_state("peer_update_callback");
                }
                if alive < 0 && !confirmed {
                    self.note(Priority::Notice, format!("Shutdown of {name} is complete"));
                    self.confirm_action(id);
                }
            }
            Some(_) => {}
            None if !appeared => {
                let text = format!("Stonith/shutdown of node {name} was not expected");
                self.note(Priority::Warning, text);
                facts.join = true;
                self.join.set_phase(peer.id, Phase::None);
                self.check_join_state("peer_update_callback");
                self.abort_transition(INFINITY, Completion::Restart, "Node failure");
                self.fail_incompletable(&uuid, name);
            }
            None => {}
        }
        self.write_node_state(peer, facts, "peer_update_callback");
    }

    /// Actions that a lost node will never finish fail.
    pub(super) fn fail_incompletable(&mut self, uuid: &str, name: &str) {
        if self.graph.complete {
            return;
        }
        let by_name: std::collections::BTreeMap<String, String> = self
            .group
            .peers()
            .iter()
            .filter_map(|peer| Some((peer.name.clone()?.to_ascii_lowercase(), peer.uuid())))
            .collect();
        let n =
            self.graph.fail_node(uuid, |router| by_name.get(&router.to_ascii_lowercase()).cloned());
        if n > 0 {
            let text = format!("{n} actions on lost node {name} will never complete");
            self.note(Priority::Notice, text);
            self.abort_transition(INFINITY, Completion::Restart, "Node failure");
            self.pass_wanted = true;
        }
    }

    fn delete_transient_attributes(&mut self, name: &str, options: u32) {
        let xpath = format!("//node_state[@uname='{name}']/transient_attributes");
        self.cib_delete_xpath("transient attributes", xpath, options);
    }

    // --- quorum -------------------------------------------------------------------------------

    /// Corosync's quorum service tells who is a member and whether we have quorum.
    pub fn quorum(
        &mut self,
        clock: super::core::Clock,
        quorate: bool,
        ring_id: u64,
        members: &[NodeId],
    ) {
        self.clock = clock;
        let was = self.quorate;
        self.quorate = quorate;
        if quorate != was {
            let text = if quorate { "Quorum acquired" } else { "Quorum lost" };
            let priority = if quorate { Priority::Notice } else { Priority::Warning };
            self.note(priority, format!("{text} | membership={ring_id} members={}", members.len()));
        }
        let names = self.group.names().clone();
        for id in members {
            let name = names.get(id).cloned();
            self.group.peers_mut().ensure(*id, name.as_deref());
        }
        if !self.group.peers_mut().set_members(ring_id, members) {
            self.update_quorum();
            self.run();
            return;
        }
        for event in self.group.take_peer_events() {
            if let crate::cluster::group::Event::Peer(change) = event {
                self.peer_changed(&change);
            }
        }
        self.update_quorum();
        self.ring_seq = ring_id;
        let inactive: Vec<(NodeId, Option<String>)> = self
            .group
            .peers()
            .iter()
            .filter(|peer| !peer.is_active())
            .map(|peer| (peer.id, peer.name.clone()))
            .collect();
        let started = self.flags.started;
        for (id, name) in inactive {
            self.join.set_phase(id, Phase::None);
            let Some(name) = name else { continue };
            if self.is_own(&name) {
                if started {
                    self.note(Priority::Error, "We're not part of the cluster anymore");
                    self.input(Input::Error, Cause::Internal, "check_dead_member");
                }
            } else if !self.flags.the_dc && self.dc_name.as_deref() == Some(name.as_str()) {
                self.note(Priority::Warning, format!("Our DC node ({name}) left the cluster"));
                self.input(Input::Election, Cause::Internal, "check_dead_member");
            }
            if self.flags.the_dc {
                self.fail_incompletable(&id.to_string(), &name);
            }
        }
        if matches!(self.fsm.state(), State::Integration | State::FinalizeJoin) {
            self.check_join_state("post_cache_update");
        }
        self.flags.membership = true;
        if self.flags.the_dc {
            let facts = Facts { join: false, ..Facts::ALL };
            self.populate_status(facts, "post_cache_update");
        }
        self.queue_actions(Actions::of(&[Action::ElectionCheck]), None);
        let from = if self.flags.the_dc { "dc" } else { "crmd" };
        let noop = self.request("noop", None, "crmd", from, None);
        self.send_peer(None, &noop);
        self.run();
    }

    fn update_quorum(&mut self) {
        if self.quorate {
            self.ever_quorate = true;
        } else if self.ever_quorate
            && self.options.suicide_without_quorum
            && self.setup.have_watchdog
        {
            self.output(super::core::Output::Panic("quorum lost, no-quorum-policy=suicide"));
        }
        self.write_quorum(false);
    }

    /// Tells the CIB about quorum, if we are the DC and it is news (or `force`).
    pub(super) fn write_quorum(&mut self, force: bool) {
        if !self.flags.the_dc {
            self.quorum_written = None;
            return;
        }
        if !force && self.quorum_written == Some(self.quorate) {
            return;
        }
        let changed = self.quorum_written.is_some_and(|was| was != self.quorate);
        self.quorum_written = Some(self.quorate);
        let cib = Element::new("cib")
            .with("have-quorum", if self.quorate { "1" } else { "0" })
            .with("dc-uuid", self.own_uuid());
        self.cib_modify(CibCall::Quiet("quorum"), "cib", 0, cib);
        if changed && self.quorate {
            // A node that comes back with quorum is usually not the only one: give them a moment.
            self.timers.quorum_gained = self.after(std::time::Duration::from_millis(5000));
        } else if changed {
            self.abort_transition(INFINITY, Completion::Restart, "Quorum lost");
        }
    }

    // --- what the CIB knows of nodes ----------------------------------------------------------

    /// The node list of the CIB: from corosync's configuration and from the peers.
    pub(super) fn populate_nodes(&mut self) {
        let mut nodes = Element::new("nodes");
        let mut all: std::collections::BTreeMap<NodeId, String> = self.group.names().clone();
        for peer in self.group.peers().iter() {
            if let Some(name) = &peer.name {
                all.insert(peer.id, name.clone());
            }
        }
        for (id, name) in all {
            nodes.push(Element::new("node").with("id", id.to_string()).with("uname", name));
        }
        if !nodes.is_leaf() {
            let options = cib_option::SCOPE_LOCAL;
            self.cib_modify(CibCall::Quiet("node list"), "nodes", options, nodes);
        }
    }

    /// All nodes' state (DC).
    pub(super) fn populate_status(&mut self, facts: Facts, origin: &'static str) {
        let mut status = Element::new("status");
        for peer in self.group.peers().iter().filter(|peer| !self.grace.contains_key(&peer.id)) {
            if let Some(state) = self.node_state(peer, facts, origin) {
                status.push(state);
            }
        }
        if !status.is_leaf() {
            self.cib_modify(
                CibCall::Quiet("node states"),
                "status",
                cib_option::CAN_CREATE,
                status,
            );
        }
    }
}
