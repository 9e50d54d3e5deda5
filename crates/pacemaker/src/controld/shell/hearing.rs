//! What comes in: from the cluster, from the other daemons, from clients.

use super::*;

impl Shell {
    /// The group's messages, one by one, each after what the quorum service said before it.
    ///
    /// The engine tells a new membership before it delivers the first message sent in it, but
    /// over two connections. Read in the wrong order, a vote of a node that has just come back is
    /// a vote of a stranger: it is not counted, nobody repeats it, and the election stands still
    /// until its two minutes are over. So the quorum service is heard between taking a message
    /// from its queue and acting on it.
    pub(super) fn on_cluster(&mut self) {
        loop {
            match self.wire.receive() {
                Ok(Some(arrival)) => {
                    self.on_quorum();
                    let events = self.wire.take_in(arrival, &mut self.core.group);
                    self.group_events(&events);
                }
                Ok(None) => return,
                Err(error) => {
                    base::debug!("The cluster connection failed: {error}");
                    return;
                }
            }
        }
    }

    fn group_events(&mut self, events: &[GroupEvent]) {
        for (at, event) in events.iter().enumerate() {
            if matches!(event, GroupEvent::Peer(_)) {
                self.core.group_leaving(&group::leaving(&events[at..]));
            }
            self.core.group_event(clock(), event);
            self.drain();
        }
    }

    pub(super) fn on_quorum(&mut self) {
        while let Some(quorum) = self.quorum.as_mut() {
            match quorum.dispatch() {
                Ok(Some(quorum::Event::Quorum { quorate, ring, members })) => {
                    self.core.quorum(clock(), quorate, ring.seq, &members);
                    self.drain();
                }
                Ok(Some(quorum::Event::NodeList { .. })) => {}
                Ok(None) => return,
                Err(error) if error == CsError::TRY_AGAIN => return,
                Err(error) => {
                    base::crit!("Lost connection to the quorum service: {error}");
                    self.exit = Some(CrmExit::Disconnect.code());
                    return;
                }
            }
        }
    }

    pub(super) fn on_cib(&mut self) {
        loop {
            let Some(cib) = self.cib.as_mut() else { return };
            match cib.try_event() {
                Ok(Some(cib::Event::Reply { call, rc, output })) => {
                    if let Some(tag) = self.cib_calls.remove(&call) {
                        self.core.cib_reply(clock(), tag, rc.wire(), output.as_ref());
                    }
                }
                Ok(Some(cib::Event::Diff { rc, patch: Some(patch), .. })) if rc.is_ok() => {
                    self.core.cib_changed(clock(), &patch);
                }
                Ok(Some(cib::Event::Refresh { sections })) => {
                    self.core.cib_replaced(clock(), sections);
                }
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(error) if error.is_disconnect() => return self.lose(Service::Cib),
                Err(error) => base::warning!("Odd message of the CIB manager: {error}"),
            }
            self.drain();
        }
    }

    pub(super) fn on_executor(&mut self) {
        loop {
            let Some(client) = self.executor.as_mut() else { return };
            match client.try_event() {
                Ok(Some(event)) => self.core.executor_notification(clock(), &event),
                Ok(None) => return,
                Err(error) if error.is_disconnect() => return self.lose(Service::Executor),
                Err(error) => base::warning!("Odd message of the executor: {error}"),
            }
            self.drain();
        }
    }

    pub(super) fn on_fencer(&mut self) {
        loop {
            let Some(fencer) = self.fencer.as_mut() else { return };
            match fencer.try_event() {
                Ok(Some(event)) if event.get("t") == Some("st_notify") => {
                    self.core.fencer_notification(clock(), &event);
                }
                Ok(Some(event)) => {
                    let call = event.get("st_callid").and_then(|text| text.parse().ok());
                    let is_reply = event.name() == "st-reply" || event.has("op-status");
                    if is_reply
                        && let Some(tag) = call.and_then(|call| self.fencer_calls.remove(&call))
                    {
                        let outcome = Outcome::of(&event);
                        let reason = outcome.reason.unwrap_or_default();
                        self.core.fencer_reply(clock(), tag, outcome.status, outcome.rc, &reason);
                    }
                }
                Ok(None) => return,
                Err(error) if error.is_disconnect() => return self.lose(Service::Fencer),
                Err(error) => base::warning!("Odd message of the fencer: {error}"),
            }
            self.drain();
        }
    }

    pub(super) fn on_scheduler(&mut self) {
        loop {
            let Some(client) = self.scheduler.as_mut() else { return };
            match client.try_event() {
                Ok(Some(event)) => self.core.scheduler_message(clock(), &event),
                Ok(None) => return,
                Err(error) if error.is_disconnect() => return self.lose(Service::Scheduler),
                Err(error) => base::warning!("Odd message of the scheduler: {error}"),
            }
            self.drain();
        }
    }

    pub(super) fn on_metadata(&mut self) {
        while let Some((key, text)) = self.metadata.next() {
            self.core.metadata(clock(), &key, text.as_deref());
            self.drain();
        }
    }

    pub(super) fn on_ipc(&mut self) {
        while let Some(event) = self.endpoint.as_mut().and_then(Endpoint::next) {
            let Some(endpoint) = self.endpoint.as_mut() else { return };
            match event {
                Event::Connected(_) => {}
                Event::Disconnected(_) => {
                    let alive: Vec<String> =
                        endpoint.clients().map(|(_, known)| known.uuid.clone()).collect();
                    self.core.keep_clients(&alive);
                }
                Event::Request(client, request) => {
                    let Some(message) = &request.xml else {
                        endpoint.acknowledge(client, &request, "dispatch_controller_ipc", 76);
                        continue;
                    };
                    endpoint.acknowledge(client, &request, "dispatch_controller_ipc", 112);
                    let Some(known) = endpoint.client(client) else { continue };
                    let uuid = known.uuid.clone();
                    let user = match message.get("crm_user").or(message.get("acl_target")) {
                        Some(wanted) if known.privileged => wanted.to_owned(),
                        _ => known.user.clone(),
                    };
                    self.core.client_message(clock(), &uuid, &user, message);
                    self.drain();
                }
            }
        }
    }
}
