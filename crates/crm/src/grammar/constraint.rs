//! `location`, `colocation`, `order`, `rsc_ticket`.

use xml::Element;

use super::score::{TypedScore, parse_score};
use super::set::{Member, Resources, member, resources};
use super::{Cursor, Definition, SyntaxError, object, rule};

pub(super) fn location(cursor: &mut Cursor<'_>) -> Result<Definition, SyntaxError> {
    cursor.need(2)?;
    let id = cursor.expect_id()?;
    let mut element = Element::new("rsc_location").with("id", id);
    let resource = cursor.expect("resource")?;
    if resource == "{" {
        let mut set = Element::new("resource_set");
        loop {
            match cursor.expect("`}`")? {
                "}" => break,
                word => set.push(Element::new("resource_ref").with("id", word)),
            }
        }
        if set.is_leaf() {
            return Err(cursor.fail("Empty resource set"));
        }
        element.push(set);
    } else if let Some(pattern) = resource.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'))
    {
        element.set("rsc-pattern", pattern);
    } else {
        element.set("rsc", resource);
    }
    while let Some((name, value)) = cursor.peek().and_then(|word| word.split_once('=')) {
        let name = name.trim_start_matches('$');
        if !matches!(name, "role" | "resource-discovery" | "description") {
            return Err(cursor.fail(format!("Unknown arguments: {name}={value}")));
        }
        element.set(name, value);
        cursor.take();
    }
    if cursor.eat("rule") {
        element.push(rule::rule(cursor)?);
        while cursor.eat("rule") {
            element.push(rule::rule(cursor)?);
        }
    } else {
        let expected = "expected <score>: <node> or <rule> [<rule> ...]";
        let Some(score) = cursor.peek().and_then(|word| word.strip_suffix(':')) else {
            return Err(cursor.fail(expected));
        };
        match parse_score(score) {
            TypedScore::Score(score) => element.set("score", score),
            TypedScore::Attribute(name) => element.set("score-attribute", name),
        }
        cursor.take();
        match cursor.take() {
            Some(node) => element.set("node", node),
            None => return Err(cursor.fail(expected)),
        }
        if let Some(role) = cursor.eat_prefix(&["role=", "$role="]) {
            element.set("role", role);
        }
    }
    cursor.finish()?;
    object(element)
}

fn set_member(
    element: &mut Element,
    member: &Member,
    resource: &str,
    qualifier: &str,
    instance: &str,
) {
    element.set(resource, member.resource.as_str());
    match member.qualifier.as_deref() {
        Some(number) if number.bytes().all(|b| b.is_ascii_digit()) => element.set(instance, number),
        Some(word) => element.set(qualifier, word),
        None => {}
    }
}

fn check_role(cursor: &Cursor<'_>, member: &Member) -> Result<(), SyntaxError> {
    let Some(role) = member.qualifier.as_deref() else { return Ok(()) };
    let known = ["Started", "Stopped", "Promoted", "Unpromoted", "Master", "Slave"];
    if known.contains(&role) || role.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(());
    }
    Err(cursor.fail(format!("Invalid role '{role}' for '{}'", member.resource)))
}

pub(super) fn colocation(cursor: &mut Cursor<'_>) -> Result<Definition, SyntaxError> {
    cursor.need(2)?;
    let id = cursor.expect_id()?;
    let mut element = Element::new("rsc_colocation").with("id", id);
    let Some(score) = cursor.peek().and_then(|word| word.strip_suffix(':')) else {
        return Err(cursor.fail("Expected <score>:"));
    };
    match parse_score(score) {
        TypedScore::Score(score) => element.set("score", score),
        TypedScore::Attribute(name) => element.set("score-attribute", name),
    }
    cursor.take();
    match resources(cursor, "role")? {
        Resources::Pair(dependent, primary) => {
            check_role(cursor, &dependent)?;
            check_role(cursor, &primary)?;
            set_member(&mut element, &dependent, "rsc", "rsc-role", "rsc-instance");
            set_member(&mut element, &primary, "with-rsc", "with-rsc-role", "with-rsc-instance");
        }
        Resources::Sets(sets) => sets.into_iter().for_each(|set| element.push(set)),
    }
    if let Some(name) = cursor.eat_prefix(&["node-attribute="]) {
        element.set("node-attribute", name);
    }
    cursor.finish()?;
    object(element)
}

pub(super) fn order(cursor: &mut Cursor<'_>) -> Result<Definition, SyntaxError> {
    cursor.need(2)?;
    let id = cursor.expect_id()?;
    let mut element = Element::new("rsc_order").with("id", id);
    if let Some(kind) = cursor.peek().and_then(|word| word.strip_suffix(':')) {
        let known = ["Mandatory", "Optional", "Serialize"]
            .into_iter()
            .find(|known| kind.eq_ignore_ascii_case(known));
        cursor.take();
        match (known, parse_score(kind)) {
            (Some(kind), _) => element.set("kind", kind),
            (None, TypedScore::Score(score)) => {
                element.set("kind", if score == "0" { "Optional" } else { "Mandatory" });
            }
            (None, TypedScore::Attribute(_)) => {
                return Err(cursor.fail(format!("Invalid kind: {kind}")));
            }
        }
    }
    let found = resources(cursor, "action")?;
    if let Some(value) = cursor.eat_prefix(&["symmetrical="]) {
        if !matches!(value, "true" | "false" | "yes" | "no" | "1" | "0") {
            return Err(cursor.fail(format!("Not a boolean: {value}")));
        }
        element.set("symmetrical", value);
    }
    match found {
        Resources::Pair(first, then) => {
            set_member(&mut element, &first, "first", "first-action", "first-instance");
            set_member(&mut element, &then, "then", "then-action", "then-instance");
        }
        Resources::Sets(sets) => sets.into_iter().for_each(|set| element.push(set)),
    }
    cursor.finish()?;
    object(element)
}

pub(super) fn ticket(cursor: &mut Cursor<'_>) -> Result<Definition, SyntaxError> {
    cursor.need(3)?;
    let id = cursor.expect_id()?;
    let mut element = Element::new("rsc_ticket").with("id", id);
    let Some(ticket) = cursor.peek().and_then(|word| word.strip_suffix(':')) else {
        return Err(cursor.fail("Expected <ticket>:"));
    };
    element.set("ticket", ticket);
    cursor.take();
    let mut members = Vec::new();
    while let Some(word) = cursor.peek().filter(|word| !word.contains('=')) {
        members.push(member(word));
        cursor.take();
    }
    if let Some(policy) = cursor.eat_prefix(&["loss-policy="]) {
        element.set("loss-policy", policy);
    }
    match members.as_slice() {
        [] => return Err(cursor.fail("Expected <rsc>[:<role>] | resource_sets")),
        [only] => {
            check_role(cursor, only)?;
            set_member(&mut element, only, "rsc", "rsc-role", "rsc-instance");
        }
        many => {
            for chunk in many.chunk_by(|a, b| a.qualifier == b.qualifier) {
                let mut set = Element::new("resource_set");
                if let Some(role) = &chunk[0].qualifier {
                    set.set("role", role.as_str());
                }
                for member in chunk {
                    set.push(Element::new("resource_ref").with("id", member.resource.as_str()));
                }
                element.push(set);
            }
        }
    }
    cursor.finish()?;
    object(element)
}
