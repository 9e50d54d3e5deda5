//! Operations on the document: performed here, or sent to who decides.

use super::*;

impl Based {
    /// Performs an operation here; `answer` says whether one of our clients gets the result.
    pub(in crate::based) fn execute(
        &mut self,
        ctx: Ctx<'_>,
        op: Op,
        request: &Element,
        answer: bool,
    ) {
        let (rc, output) = match op {
            Op::Primary => {
                self.set_primary(true);
                (Rc::OK, None)
            }
            Op::Secondary | Op::AllSecondary => {
                self.set_primary(false);
                (Rc::OK, None)
            }
            Op::IsPrimary => (if self.primary { Rc::OK } else { Rc::EPERM }, None),
            Op::Ping => (Rc::OK, Some(Arc::new(messages::ping_response(request, &self.cib)))),
            Op::Sync | Op::SyncOne if !self.stand_alone => {
                // The answer is the copy, when it comes back.
                return self.send_copy(request, op == Op::Sync);
            }
            Op::Sync | Op::SyncOne | Op::Shutdown | Op::Noop => (Rc::OK, None),
            _ => self.perform(ctx, op, request),
        };
        if answer {
            self.answer_client(request, rc, output);
        }
    }

    pub(super) fn set_primary(&mut self, primary: bool) {
        if self.primary != primary {
            let role = if primary { "primary" } else { "secondary" };
            self.note(Priority::Info, format!("This CIB instance is now {role}"));
        }
        self.primary = primary;
    }

    /// Performs an operation on the document, tells the world, and returns what to answer.
    pub(in crate::based) fn perform(
        &mut self,
        ctx: Ctx<'_>,
        op: Op,
        message: &Element,
    ) -> (Rc, Option<Arc<Element>>) {
        let mends = matches!(op, Op::Replace | Op::Erase | Op::Upgrade);
        if !self.status.is_ok() && !mends && op != Op::Noop {
            return (self.status, Some(Arc::clone(&self.cib)));
        }
        let input = messages::field(message, "cib_calldata").cloned();
        // What another manager sends to make documents equal is nobody's change, whoever asked.
        let is_copy = op == Op::Replace && message.get("cib_update") == Some("true");
        let user = if is_copy { "" } else { message.get("cib_user").unwrap_or("") };
        let groups =
            if cib::acl::applies(&self.cib, user) { (self.groups_of)(user) } else { Vec::new() };
        let want_digest = self.last_digest.is_none_or(|last| ctx.now.since(last) >= DIGEST_EVERY);
        let options = messages::number(message, "cib_callopt");
        let request = Request {
            section: message.get("cib_section").unwrap_or(""),
            input: input.as_deref(),
            options,
            user,
            groups: &groups,
            schema_max: message.get("cib_schema_max"),
            digest: message.get("digest"),
            counters_given: is_copy,
            like_2_1_5: true,
            origin: message.get("src"),
            client: message.get("cib_clientname"),
            now: ctx.date,
            want_digest,
        };
        let outcome = perform(&self.cib, op, &request);
        let (rc, output) = (outcome.rc, outcome.output.clone());
        if op.modifies() {
            self.settle(ctx, op, message, input, outcome, want_digest);
        }
        let is_dry = options & call::DRYRUN != 0;
        if rc.is_ok() && is_dry && output.is_none() { (rc, None) } else { (rc, output) }
    }

    /// Takes over a new document, writes it, notifies.
    pub(super) fn settle(
        &mut self,
        ctx: Ctx<'_>,
        op: Op,
        message: &Element,
        input: Option<Arc<Element>>,
        outcome: Outcome,
        had_digest: bool,
    ) {
        let options = messages::number(message, "cib_callopt");
        if options & call::DRYRUN != 0 {
            return;
        }
        let (origin, client) =
            (message.get("src").unwrap_or(""), message.get("cib_clientname").unwrap_or(""));
        let before = Arc::clone(&self.cib);
        if let Some(document) = outcome.document {
            self.cib = document;
            self.status = Rc::OK;
            if outcome.persist {
                self.push(Output::Persist(Arc::clone(&self.cib)));
            }
            self.ping.document_changed(ctx.now);
        }
        if outcome.diff.is_some() && had_digest {
            self.last_digest = Some(ctx.now);
        }
        for problem in outcome.problems.iter().take(PROBLEMS_MAX) {
            self.note(Priority::Error, format!("The update is refused: {problem}"));
        }
        for message in outcome.upgrade_steps.iter().flat_map(|step| &step.messages) {
            let priority = match message.level {
                cib::upgrade::Level::Warning => Priority::Warning,
                cib::upgrade::Level::Info => Priority::Info,
                cib::upgrade::Level::Debug => Priority::Debug,
            };
            self.note(priority, format!("CIB upgrade: {}", message.text));
        }
        let section = message.get("cib_section").filter(|section| !section.is_empty());
        let priority = if outcome.rc.is_ok() || outcome.rc == Rc::SCHEMA_UNCHANGED {
            Priority::Info
        } else {
            Priority::Warning
        };
        self.note(
            priority,
            format!(
                "Completed {} operation for section {}: {} (rc={}, origin={origin}/{client}/{}, \
                 version={})",
                op.as_str(),
                section.unwrap_or("'all'"),
                outcome.rc,
                outcome.rc.wire(),
                message.get("cib_callid").unwrap_or("0"),
                CibVersion::of(&self.cib),
            ),
        );
        if options & call::INHIBIT_NOTIFY == 0
            && let Some(diff) = &outcome.diff
        {
            let clients = self.subscribers("cib_diff_notify");
            let (veiled, clients): (Vec<u64>, Vec<u64>) =
                clients.into_iter().partition(|client| self.sees_little(*client, &before));
            if !veiled.is_empty() {
                let xml = messages::veiled_notification(op.as_str(), outcome.rc, &self.cib);
                self.push(Output::Event { clients: veiled, xml });
            }
            if !clients.is_empty() {
                let xml = messages::diff_notification(
                    op.as_str(),
                    outcome.rc,
                    input.as_ref(),
                    &self.cib,
                    diff,
                );
                self.push(Output::Event { clients, xml });
            }
        }
        let replaced = matches!(op, Op::Replace | Op::Erase) && outcome.rc.is_ok();
        if replaced && outcome.diff.is_some() {
            let sections = messages::changed_sections(&before, &self.cib);
            let clients = self.subscribers("cib_refresh_notify");
            if !clients.is_empty() && (sections != 0 || op == Op::Erase) {
                let sections = if op == Op::Erase { 7 } else { sections };
                let xml = messages::refresh_notification(&self.cib, sections);
                self.push(Output::Event { clients, xml });
            }
        }
    }

    /// Whether access control applies to a client, before a change or after it.
    fn sees_little(&self, client: u64, before: &Element) -> bool {
        self.clients.get(&client).is_some_and(|state| {
            cib::acl::applies(before, &state.user) || cib::acl::applies(&self.cib, &state.user)
        })
    }

    /// Sends a result to the local client that the request came from.
    pub(in crate::based) fn answer_client(
        &mut self,
        request: &Element,
        rc: Rc,
        output: Option<Arc<Element>>,
    ) {
        if messages::number(request, "cib_callopt") & call::DISCARD_REPLY != 0 {
            return;
        }
        let reply = messages::reply(request, rc, output, None);
        self.deliver(reply);
    }

    /// Hands a reply to the local client it is for.
    pub(in crate::based) fn deliver(&mut self, reply: Element) {
        let uuid = reply.get("cib_clientid").unwrap_or("");
        let Some((client, state)) = self.clients.iter_mut().find(|(_, state)| state.uuid == uuid)
        else {
            return;
        };
        let (client, is_remote) = (*client, state.is_remote);
        let sync = messages::number(&reply, "cib_callopt") & call::SYNC != 0;
        let pending = if sync { state.pending.take() } else { None };
        match pending {
            Some((id, flags)) => self.push(Output::Respond { client, id, flags, xml: reply }),
            None if sync && !is_remote => {
                self.note(Priority::Debug, "No request waits for this answer".to_owned());
            }
            None => self.push(Output::Event { clients: vec![client], xml: reply }),
        }
    }
}
