//! What a client and the manager say to each other, without a connection: requests as elements,
//! elements as events. Pure, so that the simulator speaks as the daemons do.
//!
//! Source: `spec/pacemaker-ipc.md` §4.

use ::cib::Rc;
use xml::Element;

use super::{Op, Request, call};

/// What the manager tells without being asked right now.
#[derive(Debug, Clone)]
pub enum Event {
    /// An asynchronous request ended.
    Reply {
        /// Its call number.
        call: u32,
        /// How.
        rc: Rc,
        /// With what.
        output: Option<Element>,
    },
    /// The document changed (or an attempt to change it failed, by `rc`).
    Diff {
        /// How the operation ended.
        rc: Rc,
        /// Which operation.
        op: String,
        /// The patch, to be applied to the copy one holds.
        patch: Option<Element>,
        /// The whole notification.
        notify: Element,
    },
    /// The document was replaced and sections changed (bits: 1 nodes, 2 alerts, 4 status).
    Refresh {
        /// The bits.
        sections: u32,
    },
    /// Anything else.
    Other(Element),
}

/// The request that opens a connection.
pub fn registration(name: &str) -> Element {
    Element::new("cib_command")
        .with("t", "cib")
        .with("cib_op", "register")
        .with("cib_clientname", name)
        .with("cib_callopt", call::SYNC.to_string())
}

/// The request for notifications of a kind, or for their end.
pub fn subscription(kind: &str, on: bool) -> Element {
    Element::new("cib-callback")
        .with("cib_op", "cib_notify")
        .with("cib_notify_type", kind)
        .with("cib_notify_activate", if on { "1" } else { "0" })
}

/// The calls of one registered client: each gets a number.
#[derive(Debug, Clone)]
pub struct Calls {
    token: String,
    name: Option<String>,
    next: u32,
}

impl Calls {
    /// From the manager's answer to a [`registration`]; `None` if it is no answer to one.
    pub fn registered(reply: &Element) -> Option<Calls> {
        match (reply.get("cib_op"), reply.get("cib_clientid")) {
            (Some("register"), Some(token)) => {
                Some(Calls { token: token.to_owned(), name: None, next: 2 })
            }
            _ => None,
        }
    }

    /// Says in every request what the client is called, because no registration did.
    #[must_use]
    pub fn named(mut self, name: &str) -> Calls {
        self.name = Some(name.to_owned());
        self
    }

    /// The request for an operation, and its number.
    pub fn command(&mut self, op: Op, request: &Request<'_>, options: u32) -> (u32, Element) {
        let number = self.next;
        self.next = self.next.wrapping_add(1).max(1);
        let mut command = Element::new("cib_command")
            .with("__name__", "cib_command")
            .with("t", "cib")
            .with("cib_async_id", self.token.as_str())
            .with("cib_op", op.as_str());
        if let Some(name) = &self.name {
            command.set("cib_clientname", name.as_str());
        }
        if let Some(host) = request.host {
            command.set("cib_host", host);
        }
        if let Some(section) = request.section {
            command.set("cib_section", section);
        }
        command.set("cib_callid", number.to_string());
        if let Some(user) = request.user {
            command.set("cib_user", user);
        }
        command.set("cib_callopt", options.to_string());
        if let Some(data) = &request.data {
            command.push(Element::new("cib_calldata").with_child(data.clone()));
        }
        (number, command)
    }
}

/// Result code and data of a reply. A patch that arrived too late is no error for clients.
pub(super) fn read_reply(reply: &Element) -> (Rc, Option<Element>) {
    let rc = reply.get("cib_rc").and_then(|rc| rc.parse().ok()).map_or(Rc::EPROTO, Rc::from_wire);
    let rc = if rc == Rc::DIFF_RESYNC { Rc::OK } else { rc };
    let output = reply.child("cib_calldata").and_then(|wrapper| wrapper.children().next());
    (rc, output.cloned())
}

/// What an element from the manager says.
pub fn read_event(event: Element) -> Event {
    let number = |name: &str| event.get(name).and_then(|text| text.parse::<i64>().ok());
    match (event.get("t"), event.get("subt")) {
        (Some("cib"), _) => {
            let (rc, output) = read_reply(&event);
            let call = u32::try_from(number("cib_callid").unwrap_or(0)).unwrap_or(0);
            Event::Reply { call, rc, output }
        }
        (Some("cib_notify"), Some("cib_diff_notify")) => {
            let rc = number("cib_rc").and_then(|rc| i32::try_from(rc).ok()).unwrap_or(0);
            let patch = event
                .child("cib_update_result")
                .and_then(|wrapper| wrapper.children().next())
                .cloned();
            let op = event.get("cib_op").unwrap_or("").to_owned();
            Event::Diff { rc: Rc::from_wire(rc), op, patch, notify: event }
        }
        (Some("cib_notify"), Some("cib_refresh_notify")) => {
            let bits = number("cib_change_section").unwrap_or(7);
            Event::Refresh { sections: u32::try_from(bits).unwrap_or(7) }
        }
        _ => Event::Other(event),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_and_notifications_are_read() {
        let reply = xml::parse(
            "<cib-reply t='cib' cib_op='cib_query' cib_callid='3' cib_rc='-6'>\
             <cib_calldata><a/></cib_calldata></cib-reply>",
        )
        .unwrap();
        let Event::Reply { call, rc, output } = read_event(reply) else { panic!("no reply") };
        assert_eq!((call, rc, output.unwrap().name().to_owned()), (3, Rc::ENXIO, "a".to_owned()));
        let notify = xml::parse(
            "<notify t='cib_notify' subt='cib_diff_notify' cib_op='cib_modify' cib_rc='0'>\
             <cib_update_result><diff format='2'/></cib_update_result></notify>",
        )
        .unwrap();
        let Event::Diff { rc, patch, .. } = read_event(notify) else { panic!("no diff") };
        assert!(rc.is_ok() && patch.unwrap().name() == "diff");
    }
}
