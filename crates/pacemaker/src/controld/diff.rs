//! What a change of the CIB means to the transition engine: nothing, results of operations, or a
//! reason to ask the scheduler again.
//!
//! Source: `spec/pacemaker-cluster.md` §6.7 (the table of changes), `spec/cib.md` §9.1.

use xml::Element;

/// One thing that the transition engine has to react to, in order of the patch.
#[derive(Clone, PartialEq, Debug)]
pub enum Reaction {
    /// Abort, whatever is going on; nothing more is read of the patch.
    Abort(&'static str),
    /// Abort unless the named node (by id) is being taken down. `last`: nothing more is read.
    AbortUnlessDown {
        /// Why.
        reason: &'static str,
        /// The node's id.
        node: String,
        /// The patch element removes something (only then being down excuses it).
        removed: bool,
        /// Reading ends here.
        last: bool,
    },
    /// An operation's record was removed.
    OpRemoved {
        /// The node's id.
        node: String,
        /// The record's id, which is its operation key unless it is a "last" record.
        op: String,
    },
    /// An operation's record was added or changed.
    Event {
        /// The node's id.
        node: String,
        /// The record.
        op: Element,
    },
    /// Many resources' history came at once: only a reason to abort while nothing runs.
    HistoryRefresh,
}

/// Reads a version 2 patch set (`<diff format="2">`).
pub fn reactions(diff: &Element) -> Vec<Reaction> {
    let mut found = Vec::new();
    for change in diff.children_named("change") {
        let (Some(operation), Some(path)) = (change.get("operation"), change.get("path")) else {
            continue;
        };
        if operation == "move" && !path.contains("/cib/configuration/resources") {
            continue;
        }
        if read_change(change, operation, path, &mut found) {
            break;
        }
    }
    found
}

/// Whether a patch puts a whole history in place for the node of that id, as the DC does when a
/// node has joined.
pub fn brings_history(diff: &Element, node: &str) -> bool {
    diff.children_named("change").filter(|change| change.get("operation") == Some("create")).any(
        |change| {
            let path = change.get("path").unwrap_or("");
            change.children().any(|new| match new.name() {
                "lrm" => node_of(path).as_deref() == Some(node),
                "node_state" => new.id() == Some(node) && new.child("lrm").is_some(),
                _ => false,
            })
        },
    )
}

/// The new state of what a change is about, without children for a modification.
fn object<'a>(change: &'a Element, operation: &str) -> Option<&'a Element> {
    match operation {
        "create" => change.children().next(),
        "modify" => change.child("change-result")?.children().next(),
        _ => None,
    }
}

/// Returns true when nothing more is to be read.
fn read_change(change: &Element, operation: &str, path: &str, found: &mut Vec<Reaction>) -> bool {
    let object = object(change, operation);
    let name = object.map_or("", Element::name);
    let removed = operation == "delete";
    if path.contains("/cib/configuration") {
        found.push(Reaction::Abort("Configuration change"));
        return true;
    }
    if path.contains("/tickets") || name == "tickets" {
        found.push(Reaction::Abort("Ticket attribute change"));
        return true;
    }
    if path.contains("/transient_attributes[") || name == "transient_attributes" {
        let node = node_of(path).unwrap_or_default();
        let reason = "Transient attribute change";
        found.push(Reaction::AbortUnlessDown { reason, node, removed, last: true });
        return true;
    }
    if removed {
        let node = node_of(path).unwrap_or_default();
        if let Some(op) = id_in(path, "/lrm_rsc_op[") {
            found.push(Reaction::OpRemoved { node, op });
        } else if path.contains("/lrm[") {
            let reason = "Resource state removal";
            found.push(Reaction::AbortUnlessDown { reason, node, removed, last: false });
        } else if path.contains("/node_state[") {
            let reason = "Node state removal";
            found.push(Reaction::AbortUnlessDown { reason, node, removed, last: false });
        }
        return false;
    }
    let Some(object) = object else { return false };
    match name {
        "cib" => {
            if object.child("configuration").is_some() {
                found.push(Reaction::Abort("Non-status-only change"));
                return true;
            }
            if let Some(status) = object.child("status") {
                read_status(status, found);
            }
        }
        "status" => read_status(object, found),
        "node_state" => read_node(object, found),
        "lrm" => {
            let node = node_of(path).unwrap_or_default();
            if let Some(resources) = object.child("lrm_resources") {
                read_resources(resources, &node, found);
            }
        }
        "lrm_resources" => {
            let node = node_of(path).unwrap_or_default();
            read_resources(object, &node, found);
        }
        "lrm_resource" => {
            let node = node_of(path).unwrap_or_default();
            read_resource(object, &node, found);
        }
        "lrm_rsc_op" => {
            let node = node_of(path).unwrap_or_default();
            found.push(Reaction::Event { node, op: object.clone() });
        }
        _ => {}
    }
    false
}

fn read_status(status: &Element, found: &mut Vec<Reaction>) {
    for node in status.children_named("node_state") {
        read_node(node, found);
    }
}

fn read_node(node: &Element, found: &mut Vec<Reaction>) {
    let id = node.id().unwrap_or("");
    if let Some(resources) = node.at(&["lrm", "lrm_resources"]) {
        read_resources(resources, id, found);
    }
}

fn read_resources(resources: &Element, node: &str, found: &mut Vec<Reaction>) {
    if resources.children_named("lrm_resource").count() > 1 {
        found.push(Reaction::HistoryRefresh);
    }
    for resource in resources.children_named("lrm_resource") {
        read_resource(resource, node, found);
    }
}

fn read_resource(resource: &Element, node: &str, found: &mut Vec<Reaction>) {
    if resource.get("shutdown-lock") == Some("0") {
        found.push(Reaction::Abort("Shutdown lock cleared"));
    }
    for op in resource.children_named("lrm_rsc_op") {
        found.push(Reaction::Event { node: node.to_owned(), op: op.clone() });
    }
}

/// The id in the step of a path that starts with `step`.
fn id_in(path: &str, step: &str) -> Option<String> {
    let (_, rest) = path.split_once(step)?;
    let rest = rest.strip_prefix("@id=")?;
    let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let rest = &rest[1..];
    Some(rest[..rest.find(quote)?].to_owned())
}

/// The node whose state a path leads through.
pub fn node_of(path: &str) -> Option<String> {
    id_in(path, "/node_state[")
}

/// Whether a patch set touches a section of the configuration (`crm_config`, `alerts`, …).
pub fn touches(diff: &Element, section: &str) -> bool {
    diff.children_named("change").any(|change| {
        change.get("path").is_some_and(|path| {
            path.contains(section)
                || (path == "/cib/configuration" || path == "/cib" || path.is_empty())
                    && change.descendants().any(|element| element.name() == section)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_history_is_told_from_a_record() {
        let patch = |inner: &str| {
            xml::parse(&format!("<diff format='2'><version/>{inner}</diff>")).unwrap()
        };
        for (inner, want) in [
            (
                "<change operation='create' path=\"/cib/status/node_state[@id='2']\">\
                 <lrm id='2'><lrm_resources/></lrm></change>",
                true,
            ),
            (
                "<change operation='create' path=\"/cib/status/node_state[@id='3']\">\
                 <lrm id='3'><lrm_resources/></lrm></change>",
                false,
            ),
            (
                "<change operation='create' path='/cib/status'>\
                 <node_state id='2'><lrm id='2'/></node_state></change>",
                true,
            ),
            (
                "<change operation='create' path=\"/cib/status/node_state[@id='2']/lrm[@id='2']\
                 /lrm_resources\"><lrm_resource id='a'/></change>",
                false,
            ),
            ("<change operation='delete' path=\"/cib/status/node_state[@id='2']/lrm\"/>", false),
        ] {
            assert_eq!(brings_history(&patch(inner), "2"), want, "{inner}");
        }
    }

    fn read(changes: &str) -> Vec<Reaction> {
        reactions(&xml::parse(&format!("<diff format='2'>{changes}</diff>")).unwrap())
    }

    const STATE: &str = "/cib/status/node_state[@id='2']";

    #[test]
    fn the_configuration_ends_the_reading() {
        let got = read(
            "<change operation='modify' path='/cib'><change-list/><change-result><cib/>\
             </change-result></change><change operation='create' path='/cib/configuration/resources'>\
             <primitive/></change><change operation='delete' path='/cib/status/node_state[@id=\"1\"]'/>",
        );
        assert_eq!(got, [Reaction::Abort("Configuration change")]);
    }

    #[test]
    fn results_are_found_wherever_they_stand() {
        let op = "<lrm_rsc_op id='D_last_0'/>";
        for (path, text) in [
            (format!("{STATE}/lrm[@id='2']/lrm_resources/lrm_resource[@id='D']"), op.to_owned()),
            (
                format!("{STATE}/lrm[@id='2']/lrm_resources"),
                format!("<lrm_resource>{op}</lrm_resource>"),
            ),
            (
                STATE.to_owned(),
                format!(
                    "<lrm><lrm_resources><lrm_resource>{op}</lrm_resource></lrm_resources></lrm>"
                ),
            ),
            (
                "/cib/status".to_owned(),
                format!(
                    "<node_state id='2'><lrm><lrm_resources><lrm_resource>{op}</lrm_resource>\
                     </lrm_resources></lrm></node_state>"
                ),
            ),
        ] {
            let path = path.replace('\'', "&apos;");
            let got = read(&format!("<change operation='create' path='{path}'>{text}</change>"));
            let want = Reaction::Event { node: "2".into(), op: xml::parse(op).unwrap() };
            assert_eq!(got, [want], "{path}");
        }
    }

    #[test]
    fn removals_may_be_expected() {
        let path = STATE.replace('\'', "&apos;");
        assert_eq!(
            read(&format!("<change operation='delete' path='{path}/lrm[@id=&apos;2&apos;]'/>")),
            [Reaction::AbortUnlessDown {
                reason: "Resource state removal",
                node: "2".into(),
                removed: true,
                last: false
            }]
        );
        let op = "lrm[@id=&apos;2&apos;]/lrm_resources/lrm_resource[@id=&apos;D&apos;]/lrm_rsc_op[@id=&apos;D_monitor_10&apos;]";
        assert_eq!(
            read(&format!("<change operation='delete' path='{path}/{op}'/>")),
            [Reaction::OpRemoved { node: "2".into(), op: "D_monitor_10".into() }]
        );
    }

    #[test]
    fn odd_patches_are_survived() {
        for text in [
            "<change/>",
            "<change operation='create' path=''/>",
            "<change operation='delete' path='/cib/status/node_state[@id=&apos;'/>",
            "<change operation='modify' path='/x'><change-result/></change>",
        ] {
            assert!(read(text).len() <= 1, "{text}");
        }
    }
}
