//! The "crm" envelope: the attributes that controllers, pacemakerd, the scheduler and elections
//! put around a request or a reply.
//!
//! Source: `spec/pacemaker-ipc.md` §3A.2.

use xml::Element;

/// Feature set of Pacemaker 2.1.5: what we advertise and whose rules we follow.
pub const FEATURE_SET: &str = "3.16.1";

/// Makes references that are unique in this process.
#[derive(Debug, Default)]
pub struct References {
    next: u64,
}

impl References {
    /// `TASK-SENDER-EPOCH-N`.
    pub fn next(&mut self, task: &str, sys_from: &str, epoch: u64) -> String {
        let reference = format!("{task}-{sys_from}-{epoch}-{}", self.next);
        self.next += 1;
        reference
    }
}

/// What a request says besides its reference.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The operation (`crm_task`).
    pub task: &'a str,
    /// Destination node; `None` broadcasts.
    pub host_to: Option<&'a str>,
    /// Destination subsystem.
    pub sys_to: &'a str,
    /// Sending subsystem.
    pub sys_from: &'a str,
}

/// Builds a request. `origin` is only for people who read captures.
pub fn request(
    origin: &str,
    what: &Request<'_>,
    reference: &str,
    data: Option<Element>,
) -> Element {
    let mut message = Element::new("create_request_adv")
        .with("origin", origin)
        .with("t", "crmd")
        .with("version", FEATURE_SET)
        .with("subt", "request")
        .with("reference", reference)
        .with("crm_task", what.task)
        .with("crm_sys_to", what.sys_to)
        .with("crm_sys_from", what.sys_from);
    if let Some(host) = what.host_to.filter(|host| !host.is_empty()) {
        message.set("crm_host_to", host);
    }
    if let Some(data) = data {
        message.push(Element::new("crm_xml").with_child(data));
    }
    message
}

/// Builds the reply to `to`: same task and reference, ends swapped.
pub fn reply(origin: &str, to: &Element, data: Option<Element>) -> Element {
    let mut message = Element::new("create_reply_adv")
        .with("origin", origin)
        .with("t", "crmd")
        .with("version", FEATURE_SET)
        .with("subt", "response")
        .with("reference", to.get("reference").unwrap_or(""))
        .with("crm_task", to.get("crm_task").unwrap_or(""));
    if let Some(from) = to.get("crm_sys_from") {
        message.set("crm_sys_to", from);
    }
    if let Some(us) = to.get("crm_sys_to") {
        message.set("crm_sys_from", us);
    }
    if let Some(host) = to.get("src").filter(|host| !host.is_empty()) {
        message.set("crm_host_to", host);
    }
    if let Some(data) = data {
        message.push(Element::new("crm_xml").with_child(data));
    }
    message
}

/// The payload of a message: the first child of its first `crm_xml` child.
pub fn data(message: &Element) -> Option<&Element> {
    field(message, "crm_xml")
}

/// "Message XML field": the first child of the first child named `name`.
pub fn field<'a>(message: &'a Element, name: &str) -> Option<&'a Element> {
    message.child(name)?.children().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_goes_back_where_the_request_came_from() {
        let what = Request { task: "ping", host_to: Some("n2"), sys_to: "crmd", sys_from: "x" };
        let mut asked = request("f", &what, "ping-x-1-0", Some(Element::new("d")));
        assert_eq!(data(&asked).unwrap().name(), "d");
        asked.set("src", "n1");
        let told = reply("g", &asked, None);
        assert_eq!(told.get("crm_host_to"), Some("n1"));
        assert_eq!(told.get("crm_sys_to"), Some("x"));
        assert_eq!(told.get("crm_sys_from"), Some("crmd"));
        assert_eq!(told.get("reference"), Some("ping-x-1-0"));
    }
}
