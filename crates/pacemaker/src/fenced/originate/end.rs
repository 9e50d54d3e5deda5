//! The end of an operation: who is told, and what is remembered.

use super::*;

impl Core {
    /// Tells everybody how an operation ended. The end itself is when that is heard, here as
    /// everywhere.
    pub(in crate::fenced) fn announce(&mut self, id: &str, outcome: Outcome) {
        let Some(op) = self.operations.get_mut(id) else { return };
        let good = outcome.rc == 0 && outcome.status == ExecStatus::Done;
        op.outcome = outcome;
        op.executing = None;
        op.step_deadline = None;
        op.query_deadline = None;
        op.levels.clear();
        let mut told = op.clone();
        told.state = if good { State::Done } else { State::Failed };
        let result = told.result_element();
        let message = Element::new("st-reply")
            .with("t", "st_notify")
            .with("subt", "broadcast")
            .with("st_op", "st_notify")
            .with("count", "1")
            .with_child(Element::new("st_calldata").with_child(result));
        self.peer(None, message);
    }

    /// Everybody hears how an operation ended.
    pub(super) fn on_result(&mut self, now: Now, from: &str, message: &Element) {
        let Some(result) = wire::with_attr(message, "st_remote_op") else { return };
        let get = |name: &str| result.get(name).unwrap_or_default();
        let id = get("st_remote_op").to_owned();
        let outcome = wire::outcome_of(if result.has("op-status") { result } else { message });
        let good = outcome.rc == 0 && outcome.status == ExecStatus::Done;
        let own = self.own.clone();
        if !self.operations.contains_key(&id) {
            if !good {
                return;
            }
            let asker = Asker {
                client_id: get("st_clientid").to_owned(),
                client_name: get("st_clientname").to_owned(),
                ..Asker::default()
            };
            let op = Operation::new(
                id.clone(),
                get("st_target"),
                get("st_device_action"),
                result.get("st_origin").unwrap_or(from),
                asker,
            );
            self.operations.insert(id.clone(), op);
        }
        let Some(op) = self.operations.get_mut(&id) else { return };
        if op.state.is_final() {
            return;
        }
        op.state = if good { State::Done } else { State::Failed };
        op.outcome = outcome.clone();
        op.completed = now.epoch;
        op.query_deadline = None;
        op.step_deadline = None;
        if let Some(delegate) = result.get("st_delegate") {
            op.delegate = Some(delegate.to_owned());
        } else if op.delegate.is_none() && from != own {
            op.delegate = Some(from.to_owned());
        }
        let text = format!(
            "Operation '{}' targeting {} by {} for {}@{}: {} | id={id}",
            op.action,
            op.target,
            op.delegate.as_deref().unwrap_or("unknown node"),
            op.asker.client_name,
            op.originator,
            if good {
                "OK"
            } else {
                outcome.reason.as_deref().unwrap_or(outcome.status.description())
            },
        );
        let data = op.result_element();
        let priority = if good { Priority::Notice } else { Priority::Error };
        self.note(priority, text);
        let (ours, others) =
            std::mem::take(&mut self.awaiting).into_iter().partition(|(waited, ..)| *waited == id);
        self.awaiting = others;
        let ours: Vec<(String, ReplyTo, Element)> = ours;
        for (_, to, request) in ours {
            self.answer(&to, &request, &outcome, None);
        }
        self.tell("st_notify_fence", &outcome, Some(data));
        self.trim_history();
    }
}
