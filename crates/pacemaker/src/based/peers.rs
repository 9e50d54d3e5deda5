//! What the core does with messages of the group: changes in their one order, full copies,
//! comparisons, upgrades, goodbyes.
//!
//! Source: `spec/pacemaker-cluster.md` §14.

use std::sync::Arc;
use std::time::Duration;

use base::log::Priority;
use base::{CrmExit, Time};
use cib::{FEATURE_SET, Op, Rc, digest, schema};
use xml::Element;

use super::core::{Based, Ctx, Output};
use super::messages;

/// How long the document must be quiet before copies are compared.
const PING_AFTER: Duration = Duration::from_secs(5);

/// How long a goodbye may take.
const EXIT_AFTER: Duration = Duration::from_secs(10);

/// Patches refused while a full copy is awaited; after these it is asked for again.
const REFUSED_MAX: u32 = 5;

/// The comparison of copies that the primary makes when the document is quiet.
#[derive(Debug, Default)]
pub(super) struct Ping {
    due: Option<Time>,
    sequence: u32,
    /// The document changed since the last ping was sent.
    stale: bool,
}

impl Ping {
    pub(super) fn document_changed(&mut self, now: Time) {
        self.due = Some(now + PING_AFTER);
        self.stale = true;
    }
}

impl Based {
    /// A message of the group, from the node of that name (ourselves too).
    pub fn peer_message(&mut self, ctx: Ctx<'_>, from: &str, mut message: Element) {
        let Some(op) = message.get("cib_op").and_then(Op::parse) else {
            let op = message.get("cib_op").unwrap_or("").to_owned();
            let text = format!("Ignoring unknown operation `{op}` from {from}");
            return self.note(Priority::Error, text);
        };
        message.set("src", from);
        if !message.has("cib_clientname") {
            message.set("cib_clientname", from);
        }
        let is_self =
            |name: Option<&str>| name.is_some_and(|name| name.eq_ignore_ascii_case(&self.node));
        let is_reply = is_self(message.get("cib_isreplyto"));
        let delegated = is_self(message.get("cib_delegated_from"));
        let host = message.get("cib_host").filter(|host| !host.is_empty());
        let for_us = is_self(host);
        match op {
            Op::Replace => {
                let ours = if message.has("cib_isreplyto") { is_reply } else { delegated };
                self.waiting_for_copy = None;
                self.execute(ctx, op, &message, ours);
            }
            Op::Sync if host.is_none() || for_us => self.execute(ctx, op, &message, false),
            Op::Ping if is_reply => self.ping_answered(from, &message),
            Op::Upgrade => self.upgrade(ctx, message, delegated, is_reply),
            _ if message.get("cib_update") == Some("true") => self.ask_for_copy(None),
            _ if is_reply && op.modifies() => {}
            Op::Shutdown if message.has("cib_isreplyto") => {
                if is_reply && self.stopping {
                    self.push(Output::Exit(CrmExit::Ok.code()));
                }
            }
            Op::Shutdown => {
                self.note(Priority::Info, format!("Peer {from} is shutting down"));
                self.answer_peer(from, &message, Rc::OK, None);
            }
            _ if is_reply => self.deliver(message),
            _ if host.is_some() && !for_us => {}
            _ => self.of_peer(ctx, op, from, &message, delegated),
        }
    }

    fn of_peer(&mut self, ctx: Ctx<'_>, op: Op, from: &str, message: &Element, delegated: bool) {
        match op {
            _ if op == Op::Patch => {
                let rc = self.patch(ctx, message, delegated);
                if matches!(rc, Rc::DIFF_FAILED | Rc::DIFF_RESYNC) && !self.primary {
                    self.ask_for_copy(None);
                }
            }
            _ if op.modifies() => self.execute(ctx, op, message, delegated),
            // Only its own controller tells an instance what it is.
            Op::Secondary | Op::AllSecondary | Op::Noop => {}
            Op::SyncOne => {
                let asker = message.get("cib_delegated_from").unwrap_or(from);
                if !asker.eq_ignore_ascii_case(&self.node) {
                    self.execute(ctx, op, message, false);
                }
            }
            Op::Ping => {
                let response = messages::ping_response(message, &self.cib);
                self.answer_peer(from, message, Rc::OK, Some(Arc::new(response)));
            }
            Op::IsPrimary => {
                let rc = if self.primary { Rc::OK } else { Rc::EPERM };
                self.answer_peer(from, message, rc, None);
            }
            _ => {
                let (rc, output) = self.perform(ctx, op, message);
                self.answer_peer(from, message, rc, output);
            }
        }
    }

    /// A patch, which is refused while we wait for a full copy.
    fn patch(&mut self, ctx: Ctx<'_>, message: &Element, answer: bool) -> Rc {
        let waits = self.waiting_for_copy.filter(|refused| !self.primary && *refused < REFUSED_MAX);
        let (rc, output) = match waits {
            Some(refused) => {
                self.waiting_for_copy = Some(refused + 1);
                (Rc::DIFF_RESYNC, None)
            }
            None => {
                self.waiting_for_copy = None;
                self.perform(ctx, Op::Patch, message)
            }
        };
        if answer {
            self.answer_client(message, rc, output);
        }
        rc
    }

    fn answer_peer(&mut self, to: &str, request: &Element, rc: Rc, output: Option<Arc<Element>>) {
        let reply = messages::reply(request, rc, output, Some(to));
        self.push(Output::Peer { to: Some(to.to_owned()), xml: reply });
    }

    // --- full copies --------------------------------------------------------------------------

    /// Sends our document to everybody, or to the node the request came from.
    pub(super) fn send_copy(&mut self, request: &Element, to_all: bool) {
        let requester = request
            .get("cib_delegated_from")
            .or_else(|| request.get("src"))
            .unwrap_or(&self.node)
            .to_owned();
        self.note(
            Priority::Info,
            format!("Syncing CIB to {}", if to_all { "all peers" } else { &requester }),
        );
        let copy = messages::full_copy(request, &requester, &self.cib);
        let to = (!to_all).then_some(requester);
        self.push(Output::Peer { to, xml: copy });
    }

    fn ask_for_copy(&mut self, from: Option<&str>) {
        if self.primary || self.stand_alone || self.waiting_for_copy.is_some() {
            return;
        }
        self.waiting_for_copy = Some(0);
        self.note(Priority::Notice, "Requesting a full copy of the CIB from peers");
        let request = Element::new("sync-me")
            .with("t", "cib")
            .with("cib_op", Op::SyncOne.as_str())
            .with("cib_delegated_from", self.node.as_str());
        self.push(Output::Peer { to: from.map(str::to_owned), xml: request });
    }

    // --- comparing copies ---------------------------------------------------------------------

    fn send_ping(&mut self) {
        self.ping.due = None;
        if !self.primary || self.stand_alone || self.stopping {
            return;
        }
        self.ping.sequence = self.ping.sequence.wrapping_add(1);
        self.ping.stale = false;
        let ping = Element::new("ping")
            .with("t", "cib")
            .with("cib_op", Op::Ping.as_str())
            .with("cib_ping_id", self.ping.sequence.to_string())
            .with("crm_feature_set", FEATURE_SET);
        self.push(Output::Peer { to: None, xml: ping });
    }

    fn ping_answered(&mut self, from: &str, reply: &Element) {
        if !self.primary || self.ping.stale || from.eq_ignore_ascii_case(&self.node) {
            return;
        }
        let Some(response) = messages::field(reply, "cib_calldata") else { return };
        if response.get("cib_ping_id") != Some(self.ping.sequence.to_string().as_str()) {
            return;
        }
        let Some(theirs) = response.get("digest") else { return };
        let feature_set = response.get("crm_feature_set").unwrap_or(FEATURE_SET);
        let ours = digest::for_feature_set(&self.cib, feature_set);
        if ours.eq_ignore_ascii_case(theirs) {
            return;
        }
        let version = cib::CibVersion::of(&self.cib);
        self.note(
            Priority::Notice,
            format!("Local CIB {version}.{ours} differs from {from}: {theirs}"),
        );
        let request = Element::new("ping").with("cib_op", Op::Ping.as_str());
        let theirs = response.at(&["cib_calldata", "cib"]).map(cib::CibVersion::of);
        let same_epoch = |theirs: &cib::CibVersion| {
            (theirs.admin_epoch, theirs.epoch) == (version.admin_epoch, version.epoch)
        };
        // An update that changed something there and nothing here, while we joined, leaves the
        // peer ahead of us. It would refuse our copy as too old, for ever (upstream's does): so the
        // copy is made newer than both, for all.
        if let Some(theirs) = theirs.filter(same_epoch)
            && theirs.num_updates > version.num_updates
        {
            let mut document = Element::clone(&self.cib);
            let num_updates = theirs.num_updates.saturating_add(1);
            cib::CibVersion { num_updates, ..version }.store(&mut document);
            let copy = messages::full_copy(&request, &self.node, &Arc::new(document));
            self.push(Output::Peer { to: None, xml: copy });
            return;
        }
        let copy = messages::full_copy(&request, from, &self.cib);
        self.push(Output::Peer { to: Some(from.to_owned()), xml: copy });
    }

    // --- upgrades -----------------------------------------------------------------------------

    fn upgrade(&mut self, ctx: Ctx<'_>, mut message: Element, delegated: bool, is_reply: bool) {
        if let Some(rc) = message.get("cib_upgrade_rc").map(str::to_owned) {
            if is_reply || delegated {
                message.set("cib_rc", rc);
                self.deliver(message);
            }
        } else if message.has("cib_schema_max") {
            self.execute(ctx, Op::Upgrade, &message, delegated);
        } else if self.primary {
            self.decide_upgrade(&message);
        }
    }

    /// The primary works out how far the document can be brought, and has everybody do it.
    fn decide_upgrade(&mut self, request: &Element) {
        let origin = request.get("cib_delegated_from").or_else(|| request.get("src"));
        let origin = origin.unwrap_or(&self.node).to_owned();
        let level =
            |document: &Element| schema::index_of(document.get("validate-with").unwrap_or(""));
        let upgraded = cib::upgrade::upgrade(&self.cib, None);
        let (tag, result) = match &upgraded {
            Ok(new) if level(new) > level(&self.cib) => ("cib", Ok(new)),
            Ok(_) => ("cib", Err(Rc::SCHEMA_UNCHANGED)),
            Err(rc) => ("cib", Err(*rc)),
        };
        let mut message = Element::new(tag)
            .with("t", "cib")
            .with("cib_op", Op::Upgrade.as_str())
            .with("cib_delegated_from", origin.as_str());
        for name in ["cib_clientid", "cib_callopt", "cib_callid"] {
            if let Some(value) = request.get(name) {
                message.set(name, value);
            }
        }
        match result {
            Ok(new) => {
                message.set("cib_schema_max", new.get("validate-with").unwrap_or(""));
                self.push(Output::Peer { to: None, xml: message });
            }
            Err(rc) => {
                message.set("cib_isreplyto", origin.as_str());
                message.set("cib_upgrade_rc", rc.wire().to_string());
                self.push(Output::Peer { to: Some(origin), xml: message });
            }
        }
    }

    // --- time and the end ---------------------------------------------------------------------

    /// When [`timed_out`](Self::timed_out) is wanted.
    pub fn next_deadline(&self) -> Option<Time> {
        self.ping.due.into_iter().chain(self.exit_at).min()
    }

    /// Lets time pass.
    pub fn timed_out(&mut self, ctx: Ctx<'_>) {
        if self.ping.due.is_some_and(|due| due <= ctx.now) {
            self.send_ping();
        }
        if self.exit_at.is_some_and(|at| at <= ctx.now) {
            self.exit_at = None;
            self.note(Priority::Warning, "Exiting without a peer's goodbye");
            self.push(Output::Exit(CrmExit::Error.code()));
        }
    }

    /// SIGTERM: clients are sent away, then peers are told.
    pub fn shut_down(&mut self, ctx: Ctx<'_>) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        let clients: Vec<u64> = self.clients.keys().copied().collect();
        for client in clients {
            self.push(Output::Disconnect(client));
        }
        self.leave_if_alone(ctx);
    }

    /// Once no client is left: goodbye.
    pub(super) fn leave_if_alone(&mut self, ctx: Ctx<'_>) {
        if !self.clients.is_empty() || self.exit_at.is_some() {
            return;
        }
        if self.stand_alone || ctx.n_active < 2 {
            return self.push(Output::Exit(CrmExit::Ok.code()));
        }
        self.exit_at = Some(ctx.now + EXIT_AFTER);
        let goodbye = Element::new("exit-notification")
            .with("t", "cib")
            .with("cib_op", Op::Shutdown.as_str());
        self.push(Output::Peer { to: None, xml: goodbye });
    }
}
