//! What the parts of the controller have in common: queueing inputs, messages, requests.

use super::*;

impl Controller {
    pub(in crate::controld) fn own_name(&self) -> &str {
        self.group.own_name()
    }

    pub(in crate::controld) fn is_own(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case(self.group.own_name())
    }

    pub(in crate::controld) fn own_uuid(&self) -> String {
        self.group.own_id().to_string()
    }

    pub(in crate::controld) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// Tells the configured alerts of an event, if there is an executor to run them.
    pub(in crate::controld) fn alert(&mut self, event: &alerts::Event<'_>) {
        if self.alerts.is_empty() || !self.connected.contains(&Service::Executor) {
            return;
        }
        for call in self.alerts.calls(event) {
            self.output(Output::Alert(call));
        }
    }

    pub(in crate::controld) fn note(&mut self, priority: Priority, text: impl Into<String>) {
        self.outputs.push_back(Output::Note(priority, text.into()));
    }

    /// Queues an input at the end.
    pub(in crate::controld) fn input(&mut self, input: Input, cause: Cause, origin: &'static str) {
        self.fsm.push(Event { cause, ..internal(input, origin) });
    }

    /// Queues an input at the head.
    pub(in crate::controld) fn input_first(
        &mut self,
        input: Input,
        cause: Cause,
        origin: &'static str,
    ) {
        self.fsm.push_front(Event { cause, ..internal(input, origin) });
    }

    /// Queues an input about a message at the head (joins and routes).
    pub(in crate::controld) fn input_message(
        &mut self,
        input: Input,
        message: &Element,
        origin: &'static str,
    ) {
        let message = Some(message.clone());
        self.fsm.push_front(Event { cause: Cause::Message, message, ..internal(input, origin) });
    }

    /// Queues actions without an input.
    pub(in crate::controld) fn queue_actions(
        &mut self,
        actions: Actions,
        message: Option<&Element>,
    ) {
        let message = message.cloned();
        let event = Event { actions, message, ..internal(Input::Null, "queue_actions") };
        self.fsm.push(event);
    }

    /// An action failed: handle this input before anything else.
    pub(in crate::controld) fn error(&mut self, input: Input, origin: &'static str) {
        self.fsm.interrupt(internal(input, origin));
    }

    pub(in crate::controld) fn after(&self, span: Duration) -> Option<Time> {
        Some(self.clock.now + span)
    }

    /// A new request envelope.
    pub(in crate::controld) fn request(
        &mut self,
        task: &str,
        host_to: Option<&str>,
        sys_to: &str,
        sys_from: &str,
        data: Option<Element>,
    ) -> Element {
        let reference = self.references.next(task, sys_from, self.clock.epoch);
        let what = Request { task, host_to, sys_to, sys_from };
        envelope::request("controld", &what, &reference, data)
    }

    /// Multicasts to the controllers' group, to one node or to all.
    pub(in crate::controld) fn send_peer(&mut self, to: Option<&str>, message: &Element) {
        let kind = Kind::of_subsystem(message.get("crm_sys_to").unwrap_or(""));
        let to = match to.filter(|name| !name.is_empty()) {
            None => crate::cluster::message::To::All,
            Some(name) => {
                let id = self.group.peers().by_name(name).map(|peer| peer.id).or_else(|| {
                    self.group
                        .names()
                        .iter()
                        .find(|(_, known)| known.eq_ignore_ascii_case(name))
                        .map(|(id, _)| *id)
                });
                let Some(id) = id else {
                    let task = message.get("crm_task").unwrap_or("").to_owned();
                    self.note(
                        Priority::Warning,
                        format!("Could not send {task} message to unknown node {name}"),
                    );
                    return;
                };
                crate::cluster::message::To::Node { id, name: name.to_owned() }
            }
        };
        self.group.send(&to, kind, message);
    }

    pub(in crate::controld) fn cib(&mut self, call: CibCall, request: CibRequest) -> u64 {
        let tag = self.next_tag;
        self.next_tag += 1;
        self.cib_calls.insert(tag, call);
        self.output(Output::Cib(tag, request));
        tag
    }

    pub(in crate::controld) fn cib_modify(
        &mut self,
        call: CibCall,
        section: &str,
        options: u32,
        data: Element,
    ) -> u64 {
        self.cib(
            call,
            CibRequest {
                op: "cib_modify",
                section: Some(section.to_owned()),
                options: options | cib_option::QUORUM_OVERRIDE,
                data: Some(data),
                host: None,
                user: None,
            },
        )
    }

    pub(in crate::controld) fn cib_delete_xpath(
        &mut self,
        what: &'static str,
        xpath: String,
        options: u32,
    ) {
        self.cib(
            CibCall::Quiet(what),
            CibRequest {
                op: "cib_delete",
                section: Some(xpath),
                options: options
                    | cib_option::XPATH
                    | cib_option::MULTIPLE
                    | cib_option::QUORUM_OVERRIDE,
                data: None,
                host: None,
                user: None,
            },
        );
    }

    /// Asks the attribute manager for an update; `value` `None` deletes.
    pub(in crate::controld) fn set_attribute(
        &mut self,
        node: &str,
        name: &str,
        value: Option<&str>,
    ) {
        let mut update = Element::new("create_attrd_op")
            .with("t", "attrd")
            .with("src", "crmd")
            .with("task", "update")
            .with("attr_name", name)
            .with("attr_host", node)
            .with("attr_is_remote", "0")
            .with("attr_is_private", "0");
        if let Some(value) = value {
            update.set("attr_value", value);
        }
        if let Some(peer) = self.group.peers().by_name(node) {
            update.set("attr_host_id", peer.uuid());
        }
        self.output(Output::Attrd(update));
    }
}
