//! The elements based speaks in: replies, notifications, full copies.
//!
//! Source: `spec/pacemaker-ipc.md` §4.3, §4.5, §4.6, `spec/pacemaker-cluster.md` §14.

use std::sync::Arc;

use cib::{CibVersion, FEATURE_SET, Rc, digest};
use xml::Element;

/// The first child of the first child of that name ("message XML field").
pub fn field<'a>(message: &'a Element, name: &str) -> Option<&'a Arc<Element>> {
    message.shared_children().find(|child| child.name() == name)?.shared_children().next()
}

/// A number attribute; 0 if it is missing or none.
pub fn number(message: &Element, name: &str) -> u32 {
    message.get(name).and_then(|text| text.parse::<i64>().ok()).map_or(0, |number| number as u32)
}

/// The reply to a request. `to_peer` is the node a peer's request came from.
pub fn reply(
    request: &Element,
    rc: Rc,
    output: Option<Arc<Element>>,
    to_peer: Option<&str>,
) -> Element {
    let mut reply = Element::new("cib-reply").with("t", "cib");
    for name in ["cib_op", "cib_callid", "cib_clientid", "cib_callopt"] {
        if let Some(value) = request.get(name) {
            reply.set(name, value);
        }
    }
    reply.set("cib_rc", rc.wire().to_string());
    if let Some(peer) = to_peer {
        reply.set("cib_isreplyto", peer);
    }
    if let Some(output) = output {
        let mut wrapper = Element::new("cib_calldata");
        wrapper.push(output);
        reply.push(wrapper);
    }
    reply
}

/// The notification of a change, or of an attempt.
pub fn diff_notification(
    op: &str,
    rc: Rc,
    input: Option<&Arc<Element>>,
    document: &Element,
    diff: &Element,
) -> Element {
    let mut notify = Element::new("notify")
        .with("t", "cib_notify")
        .with("subt", "cib_diff_notify")
        .with("cib_op", op)
        .with("cib_rc", rc.wire().to_string());
    let object = input.map_or(diff, |input| input.as_ref());
    if let Some(id) = object.id() {
        notify.set("cib_object", id);
    }
    notify.set("cib_object_type", object.name());
    notify.push(Element::new("cib_generation").with_child(generation(document)));
    if let Some(input) = input {
        let mut wrapper = Element::new("cib_update");
        wrapper.push(Arc::clone(input));
        notify.push(wrapper);
    }
    notify.push(Element::new("cib_update_result").with_child(diff.clone()));
    notify
}

/// The notification for who may not see everything: that something changed, and no word of what.
///
/// Its patch leads from the new version to itself. A copy of an older version misses something by
/// that (`DIFF_RESYNC`) and is queried anew, which access control goes through; a newer one ignores
/// it (`spec/cib.md` §9.4, step 1).
pub fn veiled_notification(op: &str, rc: Rc, document: &Element) -> Element {
    let version = CibVersion::of(document);
    let counters = |name: &str| {
        let mut element = Element::new(name);
        version.store(&mut element);
        element
    };
    let versions =
        Element::new("version").with_child(counters("source")).with_child(counters("target"));
    let patch = Element::new("diff").with("format", "2").with_child(versions);
    Element::new("notify")
        .with("t", "cib_notify")
        .with("subt", "cib_diff_notify")
        .with("cib_op", op)
        .with("cib_rc", rc.wire().to_string())
        .with("cib_object_type", patch.name())
        .with_child(Element::new("cib_generation").with_child(counters("generation_tuple")))
        .with_child(Element::new("cib_update_result").with_child(patch))
}

/// The notification that the document was replaced.
pub fn refresh_notification(document: &Element, sections: u32) -> Element {
    Element::new("notify-replace")
        .with("t", "cib_notify")
        .with("subt", "cib_refresh_notify")
        .with("cib_op", "cib_replace")
        .with("cib_rc", "0")
        .with("cib_change_section", sections.to_string())
        .with_child(Element::new("cib-replace-generation").with_child(generation(document)))
}

fn generation(document: &Element) -> Element {
    let mut tuple = Element::new("generation_tuple");
    for (name, value) in document.attrs() {
        tuple.set(name, value);
    }
    tuple
}

/// A full copy for others: all of them, or the one that asked.
pub fn full_copy(request: &Element, requester: &str, document: &Arc<Element>) -> Element {
    let mut copy = Element::new("copy").with("t", "cib");
    for name in
        ["cib_clientid", "cib_callopt", "cib_callid", "cib_async_id", "cib_clientname", "cib_user"]
    {
        if let Some(value) = request.get(name) {
            copy.set(name, value);
        }
    }
    copy.set("cib_op", "cib_replace");
    copy.set("cib_isreplyto", requester);
    if let Some(op) = request.get("cib_op") {
        copy.set("original_cib_op", op);
    }
    copy.set("cib_update", "true");
    copy.set("crm_feature_set", FEATURE_SET);
    copy.set("digest", digest::v2(document));
    let mut wrapper = Element::new("cib_calldata");
    wrapper.push(Arc::clone(document));
    copy.push(wrapper);
    copy
}

/// What a ping is answered with.
pub fn ping_response(request: &Element, document: &Element) -> Element {
    let mut root = Element::new("cib");
    for (name, value) in document.attrs() {
        root.set(name, value);
    }
    Element::new("ping_response")
        .with("crm_feature_set", FEATURE_SET)
        .with("digest", digest::v2(document))
        .with("cib_ping_id", request.get("cib_ping_id").unwrap_or(""))
        .with_child(Element::new("cib_calldata").with_child(root))
}

/// Which sections of the configuration and status differ: bits 1 nodes, 2 alerts, 4 status.
pub fn changed_sections(old: &Element, new: &Element) -> u32 {
    let differs = |way: &[&str]| match (old.at(way), new.at(way)) {
        (Some(old), Some(new)) => !cib::diff::same(old, new),
        (None, None) => false,
        _ => true,
    };
    u32::from(differs(&["configuration", "nodes"]))
        | u32::from(differs(&["configuration", "alerts"])) << 1
        | u32::from(differs(&["status"])) << 2
}

/// Whose permissions apply to a request of a client: the client's own user, unless the client is
/// privileged and names another one.
///
/// Source: `spec/pacemaker-ipc.md` §3.2.
pub fn acting_user(client_user: &str, requested: Option<&str>) -> String {
    match requested.filter(|user| !user.is_empty()) {
        Some(requested) if pacemaker_client::account::is_privileged(client_user) => {
            requested.to_owned()
        }
        _ => client_user.to_owned(),
    }
}

/// Names under which the cluster's own daemons connect.
///
/// Source: `spec/pacemaker-ipc.md` §2.1.
pub fn is_daemon_name(name: &str) -> bool {
    let name = match name {
        "pacemaker-attrd" => "attrd",
        "pacemaker-based" => "cib",
        "pacemaker-controld" => "crmd",
        "pacemaker-execd" => "lrmd",
        "pacemaker-fenced" => "stonith-ng",
        "pacemaker-schedulerd" => "pengine",
        other => other,
    };
    matches!(
        name,
        "crmd"
            | "stonithd"
            | "stonith-ng"
            | "attrd"
            | "cib"
            | "pacemakerd"
            | "dc"
            | "tengine"
            | "lrmd"
    )
}
