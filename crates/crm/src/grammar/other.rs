//! What is neither resource nor constraint: nodes, defaults, tags, topology, ACLs, raw XML.

use xml::Element;

use super::attrs::{attr_list, description, nvpair, starts_implicit_list};
use super::{Cursor, DefaultsKind, Definition, FencingLevel, SyntaxError, object, rule};

pub(super) fn node(cursor: &mut Cursor<'_>) -> Result<Definition, SyntaxError> {
    cursor.need(1)?;
    let mut element = Element::new("node");
    if let Some(id) = cursor.eat_prefix(&["$id="]) {
        element.set("id", id.trim_end_matches(':'));
    } else if let Some(id) = cursor.peek().and_then(|word| word.strip_suffix(':')) {
        element.set("id", id);
        cursor.take();
    }
    let word = cursor.expect("uname[:type]")?;
    let (uname, kind) = match word.rsplit_once(':') {
        Some((uname, kind @ ("member" | "normal" | "remote" | "ping"))) => (uname, Some(kind)),
        Some(_) => return Err(cursor.fail("Expected uname[:type]")),
        None => (word, None),
    };
    if !element.has("id") {
        element.set("id", uname);
    }
    element.set("uname", uname);
    if let Some(kind) = kind {
        element.set("type", kind);
    }
    description(cursor, &mut element);
    if starts_implicit_list(cursor) {
        element.push(attr_list(cursor, "instance_attributes")?);
    }
    while let Some(word) = cursor.peek() {
        let tag = match word.to_ascii_lowercase().as_str() {
            "attributes" => "instance_attributes",
            "utilization" => "utilization",
            _ => break,
        };
        cursor.take();
        element.push(attr_list(cursor, tag)?);
    }
    cursor.finish()?;
    object(element)
}

pub(super) fn defaults(
    cursor: &mut Cursor<'_>,
    kind: DefaultsKind,
) -> Result<Definition, SyntaxError> {
    cursor.need(1)?;
    let mut set = Element::new(kind.set_name());
    if let Some(id) = cursor.eat_prefix(&["$id="]) {
        set.set("id", id.trim_end_matches(':'));
    } else if let Some(id) = cursor.peek().and_then(|word| word.strip_suffix(':')) {
        set.set("id", id);
        cursor.take();
    } else {
        set.set("id", kind.default_id());
    }
    if let Some(score) = cursor.eat_prefix(&["score="]).filter(|_| kind != DefaultsKind::Property) {
        set.set("score", score);
    }
    while cursor.eat("rule") {
        set.push(rule::rule(cursor)?);
    }
    while let Some(pair) = nvpair(cursor)? {
        set.push(pair);
    }
    cursor.finish()?;
    if set.is_leaf() {
        return Err(cursor.fail("Expected at least one name-value pair"));
    }
    Ok(Definition::Defaults { kind, set })
}

pub(super) fn tag(cursor: &mut Cursor<'_>) -> Result<Definition, SyntaxError> {
    cursor.need(2)?;
    let id = cursor.expect_id()?.trim_end_matches(':');
    let mut element = Element::new("tag").with("id", id);
    while let Some(word) = cursor.take() {
        element.push(Element::new("obj_ref").with("id", word));
    }
    object(element)
}

pub(super) fn fencing(cursor: &mut Cursor<'_>) -> Result<Definition, SyntaxError> {
    cursor.need(1)?;
    let mut levels: Vec<FencingLevel> = Vec::new();
    let mut target: Vec<(String, String)> = Vec::new();
    let mut index = 0;
    while let Some(word) = cursor.take() {
        let new_target = if let Some(attribute) = word.strip_prefix("attr:") {
            let Some((name, value)) = attribute.split_once('=') else {
                return Err(cursor.fail("Expected attr:NAME=VALUE"));
            };
            vec![("target-attribute".into(), name.into()), ("target-value".into(), value.into())]
        } else if let Some(pattern) = word.strip_prefix("pattern:") {
            vec![("target-pattern".into(), pattern.into())]
        } else if let Some(node) = word.strip_suffix(':') {
            vec![("target".into(), node.into())]
        } else {
            index += 1;
            levels.push(FencingLevel { target: target.clone(), index, devices: word.into() });
            continue;
        };
        target = new_target;
        index = 0;
    }
    if levels.is_empty() {
        return Err(cursor.fail("Expected at least one fencing device"));
    }
    Ok(Definition::Fencing { levels })
}

pub(super) fn acl_subject(cursor: &mut Cursor<'_>) -> Result<Definition, SyntaxError> {
    cursor.need(2)?;
    let id = cursor.expect_id()?;
    let mut element = Element::new(cursor.keyword().to_ascii_lowercase()).with("id", id);
    while let Some(role) = cursor.take() {
        element.push(Element::new("role").with("id", role));
    }
    object(element)
}

pub(super) fn acl_role(cursor: &mut Cursor<'_>) -> Result<Definition, SyntaxError> {
    cursor.need(2)?;
    let id = cursor.expect_id()?;
    let mut element = Element::new("acl_role").with("id", id);
    description(cursor, &mut element);
    while let Some(right) = cursor.take() {
        let right = right.to_ascii_lowercase();
        if !matches!(right.as_str(), "read" | "write" | "deny") {
            return Err(cursor.fail(format!("Expected read, write or deny, found `{right}`")));
        }
        let mut any = false;
        while let Some(word) = cursor.peek().filter(|w| !matches!(*w, "read" | "write" | "deny")) {
            let mut permission = Element::new("acl_permission").with("kind", right.as_str());
            acl_spec(word, &mut permission).map_err(|message| cursor.fail(message))?;
            cursor.take();
            element.push(permission);
            any = true;
        }
        if !any {
            return Err(cursor.fail(format!("Expected what to {right}")));
        }
    }
    object(element)
}

/// One `xpath:…`, `ref:…`, `tag:…` or shortcut of `spec/crmsh.md` §4.2.
fn acl_spec(word: &str, permission: &mut Element) -> Result<(), String> {
    let (head, rest) = word.split_once(':').map_or((word, None), |(head, rest)| (head, Some(rest)));
    let owner_and_name =
        rest.map(|rest| rest.split_once(':').map_or((rest, None), |(o, n)| (o, Some(n))));
    let named = |set: &str, (owner, name): (&str, Option<&str>)| {
        let pair = name.map_or(String::new(), |name| format!("/nvpair[@name='{name}']"));
        format!("//primitive[@id='{owner}']/{set}{pair}")
    };
    let xpath = match (head, rest, owner_and_name) {
        ("xpath", Some(path), _) => path.to_owned(),
        ("ref" | "reference", Some(id), _) => {
            permission.set("reference", id);
            return Ok(());
        }
        ("tag" | "type", Some(tag), _) => {
            let tag = tag.split_once(':').map_or(tag, |(tag, _)| tag);
            permission.set("object-type", tag);
            return Ok(());
        }
        ("meta", _, Some(at)) => named("meta_attributes", at),
        ("params", _, Some(at)) => named("instance_attributes", at),
        ("utilization", _, Some(at)) => named("utilization", at),
        ("location", Some(rsc), _) => {
            format!("//rsc_location[@id='cli-prefer-{rsc}' and @rsc='{rsc}']")
        }
        ("property", name, _) => {
            let pair = name.map_or(String::new(), |name| format!("[@name='{name}']"));
            format!("//crm_config//nvpair{pair}")
        }
        ("nodeattr", name, _) => {
            let pair = name.map_or(String::new(), |name| format!("[@name='{name}']"));
            format!("//nodes/node/instance_attributes/nvpair{pair}")
        }
        ("node", None, _) => "//nodes/node".to_owned(),
        ("node", Some(name), _) => format!("//nodes/node[@uname='{name}']"),
        ("status", None, _) => "/cib/status".to_owned(),
        ("cib", None, _) => "/cib".to_owned(),
        _ => return Err(format!("Expected xpath:, ref:, tag: or a shortcut, found `{word}`")),
    };
    permission.set("xpath", xpath);
    Ok(())
}

/// `xml <element …>`: the words are joined again; what quoting removed was not part of the XML.
pub(super) fn raw_xml(cursor: &mut Cursor<'_>) -> Result<Definition, SyntaxError> {
    cursor.need(1)?;
    let mut text = String::new();
    while let Some(word) = cursor.take() {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    let element = xml::parse(&text).map_err(|error| cursor.fail(error.to_string()))?;
    if crate::session::section_of(element.name()).is_none() {
        return Err(cursor.fail(format!("Element {} not recognized", element.name())));
    }
    object(element)
}
