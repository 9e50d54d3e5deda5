//! CIB elements to the crm language (`spec/crmsh.md` §6).
//!
//! [`object`] renders one element. Whatever the language cannot say (or this renderer cannot) comes
//! out as `xml <…`, so that nothing is ever lost by showing, editing and reading back.

mod constraint;

use std::collections::BTreeSet;

use xml::Element;

use crate::grammar::{Definition, World};
use crate::ids;
use crate::words::{quote, split};

/// Line continuation between the parts of an object.
pub const BREAK: &str = " \\\n\t";

/// Renders one object of the configuration as the language writes it.
pub fn object(element: &Element, world: &dyn World) -> String {
    match written(element) {
        Some(text) if element.name() == "node" || reads_back(&text, element, world) => text,
        _ => as_xml(element),
    }
}

fn written(element: &Element) -> Option<String> {
    match element.name() {
        "primitive" | "template" => primitive(element),
        "group" => container(element, "group"),
        "clone" => container(element, "clone"),
        "master" => container(element, "ms"),
        "node" => node(element),
        "tag" => {
            let members: Vec<&str> = element.children().filter_map(Element::id).collect();
            Some(format!("tag {} {}", element.id()?, members.join(" ")))
        }
        "rsc_location" => constraint::location(element),
        "rsc_colocation" => constraint::colocation(element),
        "rsc_order" => constraint::order(element),
        "rsc_ticket" => constraint::ticket(element),
        "acl_target" | "acl_group" => {
            let roles: Vec<&str> = element.children_named("role").filter_map(Element::id).collect();
            Some(format!("{} {} {}", element.name(), element.id()?, roles.join(" ")))
        }
        _ => None,
    }
}

/// Parses the text again and compares: what does not survive is shown as XML instead.
fn reads_back(text: &str, element: &Element, world: &dyn World) -> bool {
    let Ok(words) = split(&text.replace("\\\n", " ")) else { return false };
    let Ok(Definition::Object { element: mut again, members }) =
        crate::grammar::parse(&words, world)
    else {
        return false;
    };
    let mut original = element.clone();
    if !members.is_empty() {
        // Members live inside the container; the line only names them.
        let mut inside = Vec::new();
        original.retain_children(|child| {
            let is_member = is_resource(child.name());
            if is_member {
                inside.extend(child.id().map(str::to_owned));
            }
            !is_member
        });
        if inside != members {
            return false;
        }
    }
    let mut taken = BTreeSet::new();
    ids::fill(&mut again, &mut taken);
    normal(&again) == normal(&original)
}

/// Order of attributes, and of the parts of an object, does not matter for the comparison.
fn normal(element: &Element) -> Element {
    let mut copy = Element::new(element.name());
    let mut attrs: Vec<(&str, &str)> = element.attrs().collect();
    attrs.sort_unstable();
    for (name, value) in attrs {
        copy.set(name, value);
    }
    let mut children: Vec<Element> = element.children().map(normal).collect();
    children.sort_by(|a, b| a.name().cmp(b.name()));
    for child in children {
        copy.push(child);
    }
    copy
}

/// Whether an element name is that of a resource.
pub fn is_resource(name: &str) -> bool {
    matches!(name, "primitive" | "group" | "clone" | "master" | "bundle")
}

fn as_xml(element: &Element) -> String {
    let text = element.to_pretty();
    let lines: Vec<&str> = text.trim_end().lines().collect();
    format!("xml {}", lines.join(" \\\n"))
}

/// A set of defaults: `property ID: \`, then one pair a line.
pub fn defaults(set: &Element, keyword: &str) -> String {
    let mut text = format!("{keyword} {}:", set.id().unwrap_or(""));
    if let Some(score) = set.get("score") {
        text.push_str(&format!(" score={score}"));
    }
    for rule in set.children_named("rule") {
        text.push_str(BREAK);
        text.push_str(&constraint::rule(rule, set.id().unwrap_or("")).unwrap_or_default());
    }
    for pair in set.children_named("nvpair") {
        text.push_str(BREAK);
        text.push_str(&nvpair(pair, set.id().unwrap_or("")));
    }
    text
}

/// The whole topology on one line; the targets are dropped when all nodes have the same devices.
pub fn fencing(topology: &Element, node_names: &[&str]) -> String {
    let mut targets: Vec<(String, Vec<&str>)> = Vec::new();
    let mut levels: Vec<&Element> = topology.children_named("fencing-level").collect();
    levels.sort_by_key(|level| level.get("index").and_then(|i| i.parse::<u32>().ok()));
    for level in levels {
        let name = if let Some(node) = level.get("target") {
            format!("{node}:")
        } else if let Some(pattern) = level.get("target-pattern") {
            format!("pattern:{pattern}")
        } else {
            format!(
                "attr:{}={}",
                level.get("target-attribute").unwrap_or(""),
                level.get("target-value").unwrap_or("")
            )
        };
        let devices = level.get("devices").unwrap_or("");
        match targets.iter_mut().find(|(target, _)| *target == name) {
            Some((_, all)) => all.push(devices),
            None => targets.push((name, vec![devices])),
        }
    }
    let same = targets.windows(2).all(|two| two[0].1 == two[1].1);
    let all_nodes = node_names.len() == targets.len()
        && node_names.iter().all(|node| targets.iter().any(|(t, _)| *t == format!("{node}:")));
    if same
        && all_nodes
        && let Some((_, devices)) = targets.first()
    {
        return format!("fencing_topology {}", devices.join(" "));
    }
    let parts: Vec<String> =
        targets.iter().map(|(target, devices)| format!("{target} {}", devices.join(" "))).collect();
    format!("fencing_topology{BREAK}{}", parts.join(BREAK))
}

/// `name=value`, with `$id:` when the id is not the one that would be generated.
fn nvpair(pair: &Element, set_id: &str) -> String {
    if let Some(reference) = pair.get("id-ref") {
        return match pair.get("name") {
            Some(name) => format!("@{reference}:{name}"),
            None => format!("@{reference}"),
        };
    }
    let name = pair.get("name").unwrap_or("");
    let value = pair
        .get("value")
        .map_or(String::new(), |v| if v.is_empty() { "\"\"".into() } else { quote(v) });
    let generated = format!("{set_id}-{name}").replace('#', ".");
    match pair.id() {
        Some(id) if id != generated => format!("${id}:{name}={value}"),
        _ => format!("{name}={value}"),
    }
}

/// `params a=1 b=2` and its like, with `$id=` and rules when needed.
fn attr_list(set: &Element, keyword: &str, generated_id: &str) -> Option<String> {
    if let Some(reference) = set.get("id-ref") {
        return Some(format!("{keyword} $id-ref={reference}"));
    }
    let mut text = keyword.to_owned();
    let id = set.id().unwrap_or("");
    if id != generated_id {
        text.push_str(&format!(" $id={}", quote(id)));
    }
    if let Some(score) = set.get("score") {
        text.push_str(&format!(" {score}:"));
    }
    for rule in set.children_named("rule") {
        text.push(' ');
        text.push_str(&constraint::rule(rule, id)?);
    }
    for pair in set.children_named("nvpair") {
        text.push(' ');
        text.push_str(&nvpair(pair, id));
    }
    Some(text)
}

fn keyword_of(set: &str) -> Option<&'static str> {
    Some(match set {
        "instance_attributes" => "params",
        "meta_attributes" => "meta",
        "utilization" => "utilization",
        _ => return None,
    })
}

/// The id the `n`-th set of one kind would get (`…-instance_attributes`, `…-0`, `…-1`).
fn set_id(owner: &str, name: &str, earlier: usize) -> String {
    match earlier {
        0 => format!("{owner}-{name}"),
        n => format!("{owner}-{name}-{}", n - 1),
    }
}

fn attr_lists(element: &Element, parts: &mut Vec<String>) -> Option<()> {
    let owner = element.id().unwrap_or("");
    for name in ["instance_attributes", "meta_attributes", "utilization"] {
        for (earlier, set) in element.children_named(name).enumerate() {
            parts.push(attr_list(set, keyword_of(name)?, &set_id(owner, name, earlier))?);
        }
    }
    Some(())
}

fn primitive(element: &Element) -> Option<String> {
    let id = element.id()?;
    let keyword = if element.name() == "template" { "rsc_template" } else { "primitive" };
    let agent = match element.get("template") {
        Some(template) => format!("@{template}"),
        None => {
            let (class, kind) = (element.get("class")?, element.get("type")?);
            match element.get("provider") {
                Some("heartbeat") if class == "ocf" => kind.to_owned(),
                Some(provider) => format!("{class}:{provider}:{kind}"),
                None => format!("{class}:{kind}"),
            }
        }
    };
    let mut head = format!("{keyword} {id} {agent}");
    push_description(element, &mut head);
    let mut parts = vec![head];
    attr_lists(element, &mut parts)?;
    for operations in element.children_named("operations") {
        if let Some(reference) = operations.get("id-ref") {
            parts.push(format!("operations $id-ref={reference}"));
        } else if let Some(id) = operations.id() {
            parts.push(format!("operations $id={}", quote(id)));
        }
        for op in operations.children_named("op") {
            parts.push(operation(op, id)?);
        }
    }
    Some(parts.join(BREAK))
}

fn push_description(element: &Element, text: &mut String) {
    if let Some(description) = element.get("description") {
        text.push_str(&format!(" description={}", quote(description)));
    }
}

fn operation(op: &Element, resource: &str) -> Option<String> {
    let name = op.get("name")?;
    let mut text = format!("op {name}");
    let id = op.id()?;
    if id != format!("{resource}-{name}-{}", op.get("interval").unwrap_or("0")) {
        text.push_str(&format!(" $id={}", quote(id)));
    }
    for (attr, value) in op.attrs() {
        if !matches!(attr, "name" | "id") {
            text.push_str(&format!(" {attr}={}", quote(value)));
        }
    }
    for (set, keyword) in [("instance_attributes", "op_params"), ("meta_attributes", "op_meta")] {
        for (earlier, list) in op.children_named(set).enumerate() {
            text.push_str(BREAK);
            text.push_str(&attr_list(list, keyword, &set_id(id, set, earlier))?);
        }
    }
    Some(text)
}

fn container(element: &Element, keyword: &str) -> Option<String> {
    let members: Vec<&str> = element
        .children()
        .filter(|child| is_resource(child.name()))
        .filter_map(Element::id)
        .collect();
    let mut head = format!("{keyword} {} {}", element.id()?, members.join(" "));
    push_description(element, &mut head);
    let mut parts = vec![head];
    attr_lists(element, &mut parts)?;
    Some(parts.join(BREAK))
}

/// Ids of a node's attribute sets are never shown: Pacemaker's tools name them one way
/// (`nodes-ID`), crmsh another (`UNAME-instance_attributes`), and both mean "the node's set".
fn node(element: &Element) -> Option<String> {
    let (id, uname) = (element.id()?, element.get("uname")?);
    let mut head =
        if id == uname { format!("node {uname}") } else { format!("node {id}: {uname}") };
    if let Some(kind) = element.get("type") {
        head.push_str(&format!(":{kind}"));
    }
    push_description(element, &mut head);
    let mut parts = vec![head];
    for (name, keyword) in [("instance_attributes", "attributes"), ("utilization", "utilization")] {
        for set in element.children_named(name).filter(|set| !set.is_leaf()) {
            parts.push(attr_list(set, keyword, set.id().unwrap_or(""))?);
        }
    }
    Some(parts.join(BREAK))
}

/// The configuration's objects in the order of `show`: by kind, then by id; nodes and tickets as
/// the document has them.
pub fn in_order(configuration: &Element) -> Vec<&Element> {
    let mut objects: Vec<&Element> = Vec::new();
    if let Some(nodes) = configuration.child("nodes") {
        objects.extend(nodes.children_named("node"));
    }
    let resources: Vec<&Element> =
        configuration.child("resources").map(|all| all.descendants().collect()).unwrap_or_default();
    for kind in ["template", "primitive", "bundle", "group", "master", "clone"] {
        objects.extend(sorted(resources.iter().copied().filter(|e| e.name() == kind)));
    }
    if let Some(tags) = configuration.child("tags") {
        objects.extend(sorted(tags.children_named("tag")));
    }
    if let Some(constraints) = configuration.child("constraints") {
        let is_ticket = |e: &&Element| e.name() == "rsc_ticket";
        objects.extend(sorted(constraints.children().filter(|e| !is_ticket(e))));
        objects.extend(constraints.children().filter(is_ticket));
    }
    objects
}

fn sorted<'a>(elements: impl Iterator<Item = &'a Element>) -> Vec<&'a Element> {
    let mut found: Vec<&Element> = elements.collect();
    found.sort_by_key(|element| element.id().unwrap_or(""));
    found
}
