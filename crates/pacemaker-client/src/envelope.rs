//! The envelope of requests to the controller, the scheduler and pacemakerd.
//!
//! Source: `spec/pacemaker-ipc.md` §3A.2.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use ::cib::FEATURE_SET;
use xml::Element;

/// References end in a number that no other request of the process has.
static NEXT_REFERENCE: AtomicU32 = AtomicU32::new(0);

/// Builds a request. `sys_from` is `PID_PROGRAM` for library clients.
pub fn request(
    task: &str,
    sys_to: Option<&str>,
    sys_from: &str,
    host: Option<&str>,
    data: Option<Element>,
) -> Element {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let number = NEXT_REFERENCE.fetch_add(1, Ordering::Relaxed);
    let short = sys_from.split_once('_').map_or(sys_from, |(_, program)| program);
    let mut message = Element::new("create_request_adv")
        .with("origin", "pacemaker_client")
        .with("t", "crmd")
        .with("version", FEATURE_SET)
        .with("subt", "request")
        .with("reference", format!("{task}-{short}-{now}-{number}"))
        .with("crm_task", task);
    if let Some(sys_to) = sys_to {
        message.set("crm_sys_to", sys_to);
    }
    message.set("crm_sys_from", sys_from);
    if let Some(host) = host.filter(|host| !host.is_empty()) {
        message.set("crm_host_to", host);
    }
    if let Some(data) = data {
        message.push(Element::new("crm_xml").with_child(data));
    }
    message
}

/// The payload of a reply: the first child of its first `crm_xml`.
pub fn data(message: &Element) -> Option<&Element> {
    message.child("crm_xml").and_then(|wrapper| wrapper.children().next())
}

/// `PID_PROGRAM`, the sender name of library clients.
pub fn sender(program: &str) -> String {
    format!("{}_{program}", std::process::id())
}

/// The status of an `<ack>`; `None` for any other element.
pub fn ack_status(answer: &Element) -> Option<i32> {
    matches!(answer.name(), "ack" | "nack")
        .then(|| answer.get("status").and_then(|status| status.parse().ok()).unwrap_or(1))
}
