//! Messages of peers: elections, updates in the group's order, synchronisation.
//!
//! Source: `spec/pacemaker-cluster.md` §13.3–13.6.

use super::*;

impl Attrd {
    // --- peers ------------------------------------------------------------------------------

    /// A message that the group delivered; `src` is its sender.
    pub fn peer_message(&mut self, ctx: Ctx<'_>, message: &Element) {
        let from = message.get("src").unwrap_or("").to_owned();
        if message.has("crm_task") {
            self.ballot(ctx, &from, message);
            return;
        }
        match message.get("task") {
            None | Some("update" | "update-both" | "update-delay") => {
                if message.is_leaf() {
                    self.apply(ctx, message, false);
                } else {
                    for op in message.children() {
                        let mut op = op.clone();
                        inherit(&mut op, message);
                        self.apply(ctx, &op, false);
                    }
                }
            }
            Some("clear-failure") => self.clear_failure(ctx, message),
            Some("peer-remove") => {
                let host = message.get("attr_host").unwrap_or("").to_owned();
                self.forget_host(&host);
                self.remotes.remove(&host.to_ascii_lowercase());
            }
            Some("sync") => self.send_all(Some(&from)),
            Some("sync-response") => self.sync_response(ctx, &from, message),
            Some("flush" | "confirm") => {}
            Some(task) => {
                let text = format!("Unknown message {task:?} from {from}");
                self.note(base::log::Priority::Warning, text);
            }
        }
    }

    pub(super) fn ballot(&mut self, ctx: Ctx<'_>, from: &str, message: &Element) {
        let before = self.election.phase();
        let outcome = self.election.count(ctx.now, ctx.epoch, ctx.age, ctx.peers, message, true);
        self.vote_out(outcome);
        match self.election.phase() {
            Phase::Start => {
                self.writer = None;
                self.start_election(ctx);
            }
            Phase::Lost => {
                if self.writer.is_none() || before != Phase::Lost {
                    self.writer = Some(from.to_owned());
                }
            }
            Phase::InProgress => self.check_election(ctx),
            Phase::Won | Phase::Error => {}
        }
    }

    pub(super) fn vote_out(&mut self, outcome: Outcome) {
        if let Some(vote) = outcome.vote {
            self.outputs.push_back(Output::Peer { to: None, xml: vote });
        }
        if let Some((to, no_vote)) = outcome.no_vote {
            self.outputs.push_back(Output::Peer { to: Some(to), xml: no_vote });
        }
    }

    pub(super) fn start_election(&mut self, ctx: Ctx<'_>) {
        if self.shutting_down {
            return;
        }
        let outcome = self.election.vote(ctx.now, ctx.epoch, ctx.age, ctx.peers);
        self.vote_out(outcome);
    }

    pub(super) fn check_election(&mut self, ctx: Ctx<'_>) {
        if self.election.check(ctx.peers).won {
            self.won(ctx);
        }
    }

    pub(super) fn won(&mut self, ctx: Ctx<'_>) {
        self.writer = Some(self.own_name.clone());
        let text = "Recorded local node as attribute writer (was unset)".to_owned();
        self.note(base::log::Priority::Notice, text);
        self.send_all(None);
        self.write_all(ctx, false);
    }

    pub(super) fn send_all(&mut self, to: Option<&str>) {
        let mut sync = Element::new("attrd_peer_sync").with("task", "sync-response");
        for attribute in self.attributes.values() {
            for host in attribute.values.keys() {
                sync.push(add_value(attribute, host));
            }
        }
        self.send(to, sync);
    }

    pub(super) fn clear_failure(&mut self, ctx: Ctx<'_>, message: &Element) {
        let operation = message.get("attr_clear_operation").map(|operation| {
            let interval = message.get("attr_clear_interval").unwrap_or("0");
            (operation, base::interval::parse_ms(interval).unwrap_or(0))
        });
        let filter = FailureFilter::new(message.get("attr_resource"), operation);
        let names: Vec<String> =
            self.attributes.keys().filter(|name| filter.matches(name)).cloned().collect();
        for name in names {
            let mut update = message.clone().with("task", "update").with("attr_name", name);
            update.unset("attr_value");
            self.apply(ctx, &update, false);
        }
    }

    pub(super) fn forget_host(&mut self, host: &str) {
        let host = host.to_ascii_lowercase();
        for attribute in self.attributes.values_mut() {
            attribute.values.remove(&host);
        }
    }

    pub(super) fn sync_response(&mut self, ctx: Ctx<'_>, from: &str, message: &Element) {
        let sender_won = message.get("attr_writer") == Some("3");
        let own = from.eq_ignore_ascii_case(&self.own_name);
        if sender_won {
            if self.is_writer() && !own {
                let text =
                    format!("Detected another attribute writer ({from}), starting new election");
                self.note(base::log::Priority::Notice, text);
                self.start_election(ctx);
            } else if self.writer.as_deref() != Some(from) {
                let was = self.writer.as_deref().unwrap_or("unset");
                let text = format!("Recorded new attribute writer: {from} (was {was})");
                self.note(base::log::Priority::Notice, text);
                self.writer = Some(from.to_owned());
            }
        }
        if own {
            return;
        }
        if sender_won {
            for attribute in self.attributes.values_mut() {
                attribute.values.values_mut().for_each(|value| value.seen = false);
            }
        }
        for child in message.children() {
            self.apply(ctx, child, true);
        }
        if sender_won {
            self.send_unseen();
        }
    }

    /// The writer does not know all of our values: tell everybody.
    pub(super) fn send_unseen(&mut self) {
        let own = self.own_name.to_ascii_lowercase();
        let mut sync = Element::new("attrd_peer_sync").with("task", "sync-response");
        for attribute in self.attributes.values() {
            if attribute.values.get(&own).is_some_and(|value| !value.seen) {
                sync.push(add_value(attribute, &own));
            }
        }
        if !sync.is_leaf() {
            self.send(None, sync);
        }
    }

    /// Applies one update. With `filter` (a synchronisation) the local node's values win.
    pub(super) fn apply(&mut self, ctx: Ctx<'_>, update: &Element, filter: bool) {
        let Some(name) = update.get("attr_name").filter(|name| !name.is_empty()) else {
            self.note(base::log::Priority::Error, "Peer update without attribute name".into());
            return;
        };
        let name = name.to_owned();
        let task = update.get("task");
        let dampening = update.get("attr_dampening").map(base::interval::parse);
        if !self.attributes.contains_key(&name) {
            if task == Some("update-delay") {
                return;
            }
            let attribute = Attribute {
                name: name.clone(),
                set: update.get("attr_set").map(str::to_owned),
                key: update.get("attr_key").map(str::to_owned),
                user: update.get("attr_user").map(str::to_owned),
                is_private: is_true(update.get("attr_is_private")),
                dampening: dampening.and_then(Result::ok).unwrap_or_default(),
                ..Attribute::default()
            };
            self.attributes.insert(name.clone(), attribute);
        } else if matches!(task, None | Some("update-both" | "update-delay")) {
            match dampening {
                None if task.is_none() => {}
                Some(Ok(wanted)) => {
                    let changed = self.attributes.get_mut(&name).is_some_and(|attribute| {
                        let changed = attribute.dampening != wanted;
                        attribute.dampening = wanted;
                        changed
                    });
                    if changed {
                        self.write_or_elect(ctx, &name, true);
                    }
                }
                _ => {
                    let text = format!("Could not update {name}: dampening missing or invalid");
                    self.note(base::log::Priority::Error, text);
                    return;
                }
            }
            if task == Some("update-delay") {
                return;
            }
        }
        match update.get("attr_host") {
            Some(host) => {
                let host = host.to_owned();
                self.apply_value(ctx, &name, &host, update, filter);
            }
            None => {
                let hosts: Vec<String> = self
                    .attributes
                    .get(&name)
                    .map(|attribute| {
                        attribute.values.values().map(|value| value.host.clone()).collect()
                    })
                    .unwrap_or_default();
                for host in hosts {
                    self.apply_value(ctx, &name, &host, update, filter);
                }
            }
        }
        if name == PROTOCOL_ATTRIBUTE
            && let Some(version) = update.get("attr_value").and_then(|text| text.parse().ok())
            && version > 0
            && self.minimum_protocol.is_none_or(|minimum| version < minimum)
        {
            self.minimum_protocol = Some(version);
        }
    }

    pub(super) fn apply_value(
        &mut self,
        ctx: Ctx<'_>,
        name: &str,
        host: &str,
        update: &Element,
        filter: bool,
    ) {
        let wanted = update.get("attr_value");
        let is_own = host.eq_ignore_ascii_case(&self.own_name);
        let is_remote = is_true(update.get("attr_is_remote"));
        if is_remote {
            self.remotes.insert(host.to_ascii_lowercase(), ());
        }
        let is_writer = self.is_writer();
        let Some(attribute) = self.attributes.get_mut(name) else { return };
        let dampening = attribute.dampening;
        let value = attribute.entry(host);
        value.is_remote |= is_remote;
        let differs = match (&value.current, wanted) {
            (None, None) => false,
            (Some(old), Some(new)) => !old.eq_ignore_ascii_case(new),
            _ => true,
        };
        let mut write = false;
        if filter && differs && is_own {
            let text = format!(
                "{name}[{host}]: local value {:?} takes priority over {wanted:?} from {}",
                value.current,
                update.get("src").unwrap_or("the writer"),
            );
            let mine = add_value(attribute, &host.to_ascii_lowercase());
            self.note(base::log::Priority::Notice, text);
            let sync = Element::new("attrd_broadcast_value").with("task", "sync-response");
            self.send(None, sync.with_child(mine));
        } else if differs {
            let shown = |value: Option<&str>| value.unwrap_or("(unset)").to_owned();
            let text = format!(
                "Setting {name}[{host}]: {} -> {}",
                shown(value.current.as_deref()),
                shown(wanted)
            );
            value.current = wanted.map(str::to_owned);
            attribute.changed = true;
            if dampening.is_zero() {
                write = true;
            } else {
                attribute.timer = Some(ctx.now + dampening);
            }
            if is_own && name == "shutdown" {
                self.requesting_shutdown =
                    wanted.is_some_and(|value| !value.is_empty() && value != "0");
            }
            self.note(base::log::Priority::Notice, text);
        } else if is_true(update.get("attrd_is_force_write")) && attribute.timer.is_some() {
            attribute.force_write = true;
        }
        if write {
            self.write_or_elect(ctx, name, false);
        }
        let Some(attribute) = self.attributes.get_mut(name) else { return };
        let value = attribute.entry(host);
        value.seen = true;
        let told: u32 = update.get("attr_host_id").and_then(|id| id.parse().ok()).unwrap_or(0);
        if value.node_id == 0 && told != 0 && !is_remote {
            value.node_id = told;
            if is_writer && attribute.unknown_peer {
                self.write(ctx, name, false);
            }
        }
    }

    pub(super) fn write_or_elect(&mut self, ctx: Ctx<'_>, name: &str, now: bool) {
        if self.is_writer() {
            self.write(ctx, name, now);
        } else if self.writer.is_none()
            && self.election.phase() != Phase::InProgress
            && !self.shutting_down
        {
            self.start_election(ctx);
        }
    }

    /// The CIB manager came back. What was to be written while it was away went nowhere, and no
    /// answer will come.
    pub fn cib_back(&mut self, ctx: Ctx<'_>) {
        self.cib_lost();
        self.cib_refreshed(ctx);
    }

    /// The CIB was replaced, or came back: what we know may be missing in it.
    pub fn cib_refreshed(&mut self, ctx: Ctx<'_>) {
        if self.is_writer() && !self.requesting_shutdown {
            self.write_all(ctx, true);
        }
    }

    /// Something about a peer changed.
    pub fn peer_changed(&mut self, ctx: Ctx<'_>, change: &PeerChange) {
        let Some(name) = change.peer.name.clone() else { return };
        match (change.what, change.peer.state) {
            (Change::Name, _) => {
                if self.is_writer() {
                    self.write_unknown(ctx);
                }
            }
            (Change::State(_), Some(State::Member)) => {
                if self.is_writer() && !name.eq_ignore_ascii_case(&self.own_name) {
                    self.send_all(Some(&name));
                }
            }
            (Change::State(_), _) => {
                self.forget_host(&name);
                self.election.remove_voter(&name);
                if self.writer.as_deref().is_some_and(|writer| writer.eq_ignore_ascii_case(&name)) {
                    self.writer = None;
                    let text = format!("Lost attribute writer {name}");
                    self.note(base::log::Priority::Notice, text);
                    self.election.clear_dampening();
                    self.start_election(ctx);
                } else {
                    self.check_election(ctx);
                }
            }
            (Change::Online(_), _) => {}
        }
    }

    /// A deadline has passed.
    pub fn timed_out(&mut self, ctx: Ctx<'_>) {
        if self.election.timed_out(ctx.now).won {
            self.won(ctx);
        }
        let due: Vec<String> = self
            .attributes
            .values()
            .filter(|attribute| attribute.timer.is_some_and(|timer| timer <= ctx.now))
            .map(|attribute| attribute.name.clone())
            .collect();
        for name in due {
            if let Some(attribute) = self.attributes.get_mut(&name) {
                attribute.timer = None;
            }
            self.write_or_elect(ctx, &name, false);
        }
    }
}
