//! Fencing, as far as the controller has to do with it: asking the fencer on behalf of the graph,
//! and making sure that the CIB knows who is down.
//!
//! Source: `spec/pacemaker-cluster.md` §9, `spec/pacemaker-ipc.md` §9.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base::log::Priority;
use xml::Element;

use super::core::{CibCall, Clock, Controller, Output, Service, cib_option};
use super::graph::{Completion, GraphAction, INFINITY};
use super::history::status;
use super::join::Phase;
use crate::alerts;
use crate::cluster::peers::State as PeerState;

/// Call options of the fencer.
const ALLOW_SELF: u32 = 0x2;
const SYNC_HISTORY: u32 = 0x0010_1000;

/// What a request to the fencer was for.
#[derive(Debug)]
enum Call {
    Action { transition: i32, action: i32, target: String, uuid: String, kind: String },
    History,
}

/// Books about fencing.
#[derive(Debug, Default)]
pub(super) struct Fencing {
    calls: BTreeMap<u64, Call>,
    failures: BTreeMap<String, u32>,
    /// Fenced nodes that the next DC has to mark as down.
    cleanup: BTreeSet<String>,
}

impl Fencing {
    pub(super) fn forget_cleanup(&mut self, name: &str) {
        self.cleanup.remove(name);
    }

    pub(super) fn clear_cleanup(&mut self) {
        self.cleanup.clear();
    }

    pub(super) fn forget_failures(&mut self, name: Option<&str>) {
        match name {
            Some(name) => {
                self.failures.remove(name);
            }
            None => self.failures.clear(),
        }
    }
}

impl Controller {
    pub(super) fn start_fence_history_timer(&mut self) {
        let soon = self.after(Duration::from_secs(5));
        if self.timers.fence_history.is_none() && self.connected.contains(&Service::Fencer) {
            self.timers.fence_history = soon;
        }
    }

    fn fencer_command(
        &mut self,
        op: &str,
        options: u32,
        timeout: u64,
        data: Option<Element>,
        call: Call,
    ) {
        let tag = self.next_tag;
        self.next_tag += 1;
        self.fencing.calls.insert(tag, call);
        let mut command = Element::new("stonith_command")
            .with("__name__", "stonith_command")
            .with("t", "stonith-ng")
            .with("st_op", op)
            .with("st_callopt", options.to_string())
            .with("st_timeout", timeout.to_string());
        if let Some(data) = data {
            if let Some(delay) = data.get("st_delay") {
                let delay = delay.to_owned();
                command.set("st_delay", delay);
            }
            command.push(Element::new("st_calldata").with_child(data));
        }
        self.output(Output::Fencer(tag, command));
    }

    pub(super) fn sync_fence_history(&mut self) {
        if self.connected.contains(&Service::Fencer) {
            let data = Element::new("st_fence_history").with("st_origin", "controld");
            self.fencer_command("st_fence_history", SYNC_HISTORY, 5, Some(data), Call::History);
        }
    }

    /// Has the target of a graph's action fenced.
    pub(super) fn fence(&mut self, action: &GraphAction) {
        let kind = action.meta("CRM_meta_stonith_action").unwrap_or("reboot").to_owned();
        let target = action.on_node().to_owned();
        let uuid = action.on_node_uuid().to_owned();
        if target.is_empty() || uuid.is_empty() {
            self.note(Priority::Error, "Corrupt fencing action in the graph");
            if let Some(action) = self.graph.action_mut(action.id) {
                action.failed = true;
            }
            self.confirm_action(action.id);
            return;
        }
        let timeout = self.graph.stonith_timeout.as_secs();
        let delay = action
            .meta("CRM_meta_priority_fencing_delay")
            .or_else(|| action.meta("priority-fencing-delay"))
            .and_then(|text| base::interval::parse(text).ok())
            .map_or(0, |span| span.as_secs());
        let options = if self.join.count(Phase::Confirmed) == 1 { ALLOW_SELF } else { 0 };
        let how = if options == 0 { "" } else { " (self-fencing allowed)" };
        self.note(
            Priority::Notice,
            format!(
                "Requesting fencing ({kind}) targeting node {target}{how} | action={} timeout={timeout}s",
                action.id
            ),
        );
        // No `st_origin`: upstream's fencer would take it for the name of the asking node.
        let data = Element::new("st_fence")
            .with("st_target", target.as_str())
            .with("st_device_action", kind.as_str())
            .with("st_timeout", timeout.to_string())
            .with("st_tolerance", "0")
            .with("st_delay", delay.to_string());
        let call =
            Call::Action { transition: self.graph.id, action: action.id, target, uuid, kind };
        if !self.connected.contains(&Service::Fencer) {
            let tag = self.next_tag;
            self.next_tag += 1;
            self.fencing.calls.insert(tag, call);
            self.finish_fencing(tag, status::NOT_CONNECTED, 1, "fencer is not connected");
            return;
        }
        self.fencer_command("st_fence", options, timeout, Some(data), call);
        // The fencer answers in any case; if it does not, the graph must not wait forever.
        let patience = self.graph.stonith_timeout + self.graph.network_delay;
        let deadline = self.after(patience + Duration::from_secs(60));
        if let Some(action) = self.graph.action_mut(action.id) {
            action.deadline = deadline;
        }
    }

    /// The fencer answered a command.
    pub fn fencer_reply(&mut self, clock: Clock, tag: u64, op_status: i32, rc: i32, reason: &str) {
        self.clock = clock;
        self.finish_fencing(tag, op_status, rc, reason);
        self.run();
    }

    fn finish_fencing(&mut self, tag: u64, op_status: i32, rc: i32, reason: &str) {
        let Some(Call::Action { transition, action, target, uuid, kind }) =
            self.fencing.calls.remove(&tag)
        else {
            return;
        };
        let ok = op_status == status::DONE && rc == 0;
        let current = transition == self.graph.id && !self.graph.complete;
        if ok {
            self.note(Priority::Notice, format!("Fence operation {tag} for {target} passed"));
            self.fencing.failures.remove(&target);
            if !current {
                return;
            }
            let sent = self
                .graph
                .action_mut(action)
                .is_some_and(|action| std::mem::replace(&mut action.sent_update, true));
            if kind == "on" {
                let now = self.clock.epoch.to_string();
                self.set_attribute(&target, "#node-unfenced", Some(&now));
                for (name, meta) in [
                    ("#digests-all", "CRM_meta_digests_all"),
                    ("#digests-secure", "CRM_meta_digests_secure"),
                ] {
                    let value = self
                        .graph
                        .action(action)
                        .and_then(|action| action.meta(meta))
                        .map(str::to_owned);
                    if let Some(value) = value {
                        self.set_attribute(&target, name, Some(&value));
                    }
                }
            } else if !sent {
                self.mark_down(&target, &uuid);
            }
            self.confirm_action(action);
            return;
        }
        let n = self.fencing.failures.entry(target.clone()).or_default();
        *n = n.saturating_add(1);
        let too_many = *n >= self.options.stonith_max_attempts;
        let why = if reason.is_empty() { status::word(op_status) } else { reason };
        let no_device = op_status == status::NO_FENCE_DEVICE;
        let completion = if no_device || too_many { Completion::Wait } else { Completion::Restart };
        self.note(
            Priority::Warning,
            format!(
                "Fence operation {tag} for {target} failed: {why} (aborting transition{})",
                if completion == Completion::Wait { " and giving up for now" } else { "" }
            ),
        );
        if !current {
            return;
        }
        if let Some(action) = self.graph.action_mut(action) {
            action.failed = true;
        }
        self.abort_transition(INFINITY, completion, "Stonith failed");
        self.confirm_action(action);
    }

    /// The connection to the fencer is gone.
    pub(super) fn fencer_lost(&mut self) {
        if self.flags.shutdown {
            return;
        }
        self.note(Priority::Error, "Lost fencer connection (will attempt to reconnect)");
        let open: Vec<u64> = self.fencing.calls.keys().copied().collect();
        for tag in open {
            self.finish_fencing(tag, status::NOT_CONNECTED, 1, "fencer connection was lost");
        }
        self.fencing.calls.clear();
        self.timers.wait = self.after(Duration::from_millis(500));
    }

    /// The fencer tells that somebody was fenced (or could not be).
    pub fn fencer_notification(&mut self, clock: Clock, notification: &Element) {
        self.clock = clock;
        match notification.get("subt") {
            Some("st_notify_fence") => self.fence_notification(notification),
            Some("st_notify_history_synced") => self.timers.fence_history = None,
            _ => {}
        }
        self.run();
    }

    fn fence_notification(&mut self, notification: &Element) {
        let Some(data) = notification.child("st_calldata").and_then(|d| d.children().next()) else {
            return;
        };
        let text = |name: &str| data.get(name).unwrap_or("").to_owned();
        let number = |name: &str| {
            data.get(name)
                .or_else(|| notification.get(name))
                .and_then(|text| text.parse::<i32>().ok())
        };
        let ok = number("op-status").unwrap_or(0) == status::DONE
            && number("rc-code").unwrap_or(0) == 0
            && number("st_rc").unwrap_or(0) == 0;
        let (target, action) = (text("st_target"), text("st_device_action"));
        let executioner = data.get("st_delegate").unwrap_or("the cluster").to_owned();
        let (origin, client) = (text("st_origin"), text("st_clientname"));
        let story = format!(
            "Operation {action} of {target} by {executioner} for {client}@{origin}: {} (ref={})",
            if ok { "OK" } else { "failed" },
            text("st_remote_op")
        );
        let rc = number("rc-code").or_else(|| number("st_rc")).unwrap_or(i32::from(!ok));
        let task = notification.get("subt").unwrap_or("st_notify_fence");
        self.alert(&alerts::Event::Fencing { target: &target, task, text: &story, rc });
        if action == "on" {
            self.note(
                Priority::Notice,
                format!(
                    "{target} was {}unfenced by {executioner} at the request of {client}@{origin}",
                    if ok { "" } else { "not " }
                ),
            );
            return;
        }
        if ok && self.is_own(&target) {
            self.note(
                Priority::Crit,
                format!("We were allegedly just fenced by {executioner} for {origin}!"),
            );
            if self.options.panic_when_fenced {
                self.output(Output::Panic("we were fenced"));
            } else {
                self.exit_code_for(100);
            }
            return;
        }
        self.note(
            Priority::Notice,
            format!(
                "Peer {target} was {}terminated ({action}) by {executioner} on behalf of {client}@{origin}: {}",
                if ok { "" } else { "not " },
                if ok { "OK" } else { "failed" },
            ),
        );
        if !self.flags.the_dc {
            if ok {
                self.fencing.failures.remove(&target);
            } else {
                let n = self.fencing.failures.entry(target.clone()).or_default();
                *n = n.saturating_add(1);
            }
        }
        let Some(peer) = self.group.peers().by_name(&target).filter(|_| ok) else { return };
        let uuid = peer.uuid();
        if self.flags.the_dc {
            self.mark_down(&target, &uuid);
            if client != format!("pacemaker-controld.{}", self.setup.pid) {
                self.abort_transition(INFINITY, Completion::Restart, "External Fencing Operation");
            }
        } else if self.dc_name.as_deref().is_none_or(|dc| dc.eq_ignore_ascii_case(&target)) {
            let own = self.own_name().to_owned();
            if executioner.eq_ignore_ascii_case(&own) {
                self.mark_down(&target, &uuid);
            }
            self.fencing.cleanup.insert(target);
        }
    }

    /// A node is down for certain: the peer cache and the CIB have to know.
    pub(super) fn mark_down(&mut self, target: &str, uuid: &str) {
        let mut state = Element::new("node_state").with("id", uuid).with("uname", target);
        if let Ok(id) = uuid.parse() {
            let was_unknown = self.group.peers().get(id).is_none_or(|peer| peer.state.is_none());
            self.group.peers_mut().ensure(id, Some(target));
            if was_unknown {
                self.group.peers_mut().set_state(id, PeerState::Lost);
            }
            self.group.peers_mut().set_online(id, false);
            // What is known about it now is written here; the usual reaction would do it again.
            self.group.peers_mut().take_changes();
            self.join.set_phase(id, Phase::None);
            self.join.expected.insert(id, "down");
            self.election.remove_voter(target);
            let member = self
                .group
                .peers()
                .get(id)
                .is_some_and(|peer| peer.state == Some(PeerState::Member));
            state.set("in_ccm", if member { "true" } else { "false" });
        }
        state.set("crmd", "offline");
        state.set("join", "down");
        state.set("expected", "down");
        state.set("crm-debug-origin", "send_stonith_update");
        let status = Element::new("status").with_child(state);
        self.cib_modify(
            CibCall::Down { target: target.to_owned() },
            "status",
            cib_option::SCOPE_LOCAL | cib_option::CAN_CREATE,
            status,
        );
        let xpath = format!("//node_state[@uname='{target}']/*");
        self.cib_delete_xpath("fenced node's state", xpath, cib_option::SCOPE_LOCAL);
    }

    /// A new DC marks those as down whom nobody may have marked.
    pub(super) fn fencing_cleanup(&mut self) {
        for target in std::mem::take(&mut self.fencing.cleanup) {
            let Some(uuid) = self.group.peers().by_name(&target).map(|peer| peer.uuid()) else {
                continue;
            };
            self.note(
                Priority::Notice,
                format!("Marking {target}, target of a previous fencing action, as clean"),
            );
            self.mark_down(&target, &uuid);
        }
    }
}
