//! `primitive`, `rsc_template`, `group`, `clone`, `ms`, `monitor`.

use xml::Element;

use super::attrs::{attr_list, description, nvpair, starts_implicit_list};
use super::{Cursor, Definition, SyntaxError, World, object};

/// Attributes of `<op>` itself; others typed behind `op NAME` are the operation's parameters.
const OP_ATTRIBUTES: &[&str] = &[
    "description",
    "enabled",
    "interval",
    "interval-origin",
    "on-fail",
    "record-pending",
    "requires",
    "role",
    "start-delay",
    "timeout",
];

pub(super) fn primitive(
    cursor: &mut Cursor<'_>,
    world: &dyn World,
) -> Result<Definition, SyntaxError> {
    cursor.need(2)?;
    let is_template = cursor.keyword().eq_ignore_ascii_case("rsc_template");
    let id = cursor.expect_id()?;
    let mut element =
        Element::new(if is_template { "template" } else { "primitive" }).with("id", id);
    let agent = cursor.expect("resource type")?;
    if let Some(template) = agent.strip_prefix('@').filter(|_| !is_template) {
        element.set("template", template);
    } else {
        let unknown = || cursor.fail(format!("Unknown resource type: {agent}"));
        let (class, provider, kind) = split_agent(agent, world).ok_or_else(unknown)?;
        element.set("class", class);
        if let Some(provider) = provider {
            element.set("provider", provider);
        }
        element.set("type", kind);
    }
    description(cursor, &mut element);
    let mut operations: Option<Element> = None;
    if starts_implicit_list(cursor) {
        element.push(attr_list(cursor, "instance_attributes")?);
    }
    while let Some(word) = cursor.take() {
        match word.to_ascii_lowercase().as_str() {
            "params" => element.push(attr_list(cursor, "instance_attributes")?),
            "meta" => element.push(attr_list(cursor, "meta_attributes")?),
            "utilization" => element.push(attr_list(cursor, "utilization")?),
            "operations" => {
                let operations = operations.get_or_insert_with(|| Element::new("operations"));
                if let Some(id) = cursor.eat_prefix(&["$id="]) {
                    operations.set("id", id);
                } else if let Some(id) = cursor.eat_prefix(&["$id-ref="]) {
                    operations.set("id-ref", id);
                }
            }
            "op" => {
                let op = op(cursor)?;
                operations.get_or_insert_with(|| Element::new("operations")).push(op);
            }
            _ if word.starts_with("description=") => {
                element.set("description", &word["description=".len()..]);
            }
            _ => return Err(cursor.fail(format!("Unknown arguments: {word}"))),
        }
    }
    if let Some(operations) = operations {
        element.push(operations);
    }
    object(element)
}

/// `class:provider:type`, `class:type`, `type`. Only OCF has providers.
fn split_agent(agent: &str, world: &dyn World) -> Option<(String, Option<String>, String)> {
    let parts: Vec<&str> = agent.split(':').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return None;
    }
    match parts[..] {
        [class, provider, kind] => Some((class.into(), Some(provider.into()), kind.into())),
        [class, kind] if class != "ocf" => Some((class.into(), None, kind.into())),
        [_, kind] => Some(
            world
                .resolve_agent(agent)
                .unwrap_or_else(|| ("ocf".into(), Some("heartbeat".into()), kind.into())),
        ),
        [kind] => Some(
            world
                .resolve_agent(kind)
                .unwrap_or_else(|| ("ocf".into(), Some("heartbeat".into()), kind.into())),
        ),
        _ => None,
    }
}

fn op(cursor: &mut Cursor<'_>) -> Result<Element, SyntaxError> {
    let name = cursor.expect("an operation name behind `op`")?;
    let mut op = Element::new("op").with("name", name);
    let mut params: Option<Element> = None;
    if let Some(id) = cursor.eat_prefix(&["$id="]) {
        op.set("id", id);
    }
    while let Some((name, value)) = cursor.peek().and_then(|word| word.split_once('=')) {
        if name.starts_with('$') {
            break;
        }
        if OP_ATTRIBUTES.contains(&name) {
            if params.is_some() {
                return Err(cursor.fail(format!(
                    "Attribute order error: {name} must appear before any instance attribute"
                )));
            }
            op.set(name, value);
            cursor.take();
        } else if let Some(pair) = nvpair(cursor)? {
            params.get_or_insert_with(|| Element::new("instance_attributes")).push(pair);
        }
    }
    if let Some(params) = params {
        op.push(params);
    }
    loop {
        if cursor.eat("op_params") {
            op.push(attr_list(cursor, "instance_attributes")?);
        } else if cursor.eat("op_meta") {
            op.push(attr_list(cursor, "meta_attributes")?);
        } else {
            break;
        }
    }
    if !op.has("interval") && !name.eq_ignore_ascii_case("monitor") {
        op.set("interval", "0");
    }
    Ok(op)
}

pub(super) fn group(cursor: &mut Cursor<'_>) -> Result<Definition, SyntaxError> {
    cursor.need(2)?;
    let id = cursor.expect_id()?;
    let mut element = Element::new("group").with("id", id);
    let mut members: Vec<String> = Vec::new();
    while let Some(word) =
        cursor.peek().filter(|word| !word.contains('=') && !is_list_keyword(word))
    {
        if members.iter().any(|member| member == word) {
            return Err(cursor.fail(format!("child {word} listed more than once in group {id}")));
        }
        members.push(word.to_owned());
        cursor.take();
    }
    container_lists(cursor, &mut element)?;
    Ok(Definition::Object { element, members })
}

pub(super) fn clone(cursor: &mut Cursor<'_>, tag: &str) -> Result<Definition, SyntaxError> {
    cursor.need(2)?;
    let id = cursor.expect_id()?;
    let mut element = Element::new(tag).with("id", id);
    let member = cursor.expect_id()?.to_owned();
    container_lists(cursor, &mut element)?;
    Ok(Definition::Object { element, members: vec![member] })
}

fn is_list_keyword(word: &str) -> bool {
    ["params", "meta"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
}

fn container_lists(cursor: &mut Cursor<'_>, element: &mut Element) -> Result<(), SyntaxError> {
    description(cursor, element);
    loop {
        if cursor.eat("params") {
            element.push(attr_list(cursor, "instance_attributes")?);
        } else if cursor.eat("meta") {
            element.push(attr_list(cursor, "meta_attributes")?);
        } else if cursor.peek().is_some_and(|word| word.starts_with("description=")) {
            description(cursor, element);
        } else {
            return cursor.finish();
        }
    }
}

pub(super) fn monitor(cursor: &mut Cursor<'_>) -> Result<Definition, SyntaxError> {
    cursor.need(2)?;
    let target = cursor.expect_id()?;
    let (resource, role) = match target.split_once(':') {
        Some((resource, role)) => (resource, Some(role)),
        None => (target, None),
    };
    let times = cursor.expect("interval[:timeout]")?;
    let mut op = Element::new("op").with("name", "monitor");
    let (interval, timeout) = match times.split_once(':') {
        Some((interval, timeout)) => (interval, Some(timeout)),
        None => (times, None),
    };
    op.set("interval", interval);
    if let Some(timeout) = timeout {
        op.set("timeout", timeout);
    }
    if let Some(role) = role {
        op.set("role", role);
    }
    cursor.finish()?;
    Ok(Definition::Monitor { resource: resource.to_owned(), op })
}
