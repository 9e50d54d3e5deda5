//! Constraints and rules as text.

use xml::Element;

use super::BREAK;
use crate::grammar::show_score;
use crate::words::quote;

/// `score:` of an element, from `score` or `score-attribute`.
fn score_of(element: &Element) -> Option<String> {
    match element.get("score") {
        Some(score) => Some(format!("{}:", show_score(score))),
        None => element.get("score-attribute").map(|name| format!("{name}:")),
    }
}

pub(super) fn location(element: &Element) -> Option<String> {
    let mut text = format!("location {}", element.id()?);
    if let Some(pattern) = element.get("rsc-pattern") {
        text.push_str(&format!(" /{pattern}/"));
    } else if let Some(set) = element.child("resource_set") {
        let members: Vec<&str> = set.children().filter_map(Element::id).collect();
        text.push_str(&format!(" {{ {} }}", members.join(" ")));
    } else {
        text.push_str(&format!(" {}", element.get("rsc")?));
    }
    for name in ["role", "resource-discovery", "description"] {
        if let Some(value) = element.get(name) {
            text.push_str(&format!(" {name}={}", quote(value)));
        }
    }
    if let Some(node) = element.get("node") {
        text.push_str(&format!(" {} {node}", score_of(element)?));
        return Some(text);
    }
    let id = element.id()?;
    for rule_element in element.children_named("rule") {
        text.push_str(BREAK);
        text.push_str(&rule(rule_element, id)?);
    }
    Some(text)
}

/// One rule; `owner` is the element it belongs to, for the id that needs no showing.
pub(super) fn rule(rule: &Element, owner: &str) -> Option<String> {
    if let Some(reference) = rule.get("id-ref") {
        return Some(format!("rule $id-ref={reference}"));
    }
    let mut text = String::from("rule");
    let id = rule.id().unwrap_or("");
    if id != format!("{owner}-rule") {
        text.push_str(&format!(" $id={}", quote(id)));
    }
    if let Some(role) = rule.get("role") {
        text.push_str(&format!(" $role={role}"));
    }
    if let Some(score) = score_of(rule).filter(|score| score != "inf:") {
        text.push_str(&format!(" {score}"));
    }
    let joined_by = rule.get("boolean-op").unwrap_or("and");
    for (n, part) in rule.children().enumerate() {
        if n > 0 {
            text.push_str(&format!(" {joined_by}"));
        }
        text.push(' ');
        text.push_str(&expression(part)?);
    }
    Some(text)
}

fn expression(element: &Element) -> Option<String> {
    match element.name() {
        "expression" => {
            let (operation, attribute) = (element.get("operation")?, element.get("attribute")?);
            if matches!(operation, "defined" | "not_defined") {
                return Some(format!("{operation} {attribute}"));
            }
            let kind = element.get("type").map_or(String::new(), |kind| format!("{kind}:"));
            let value = quote(element.get("value")?);
            let value = match element.get("value-source") {
                Some(source) => format!("{source}{{{}}}", element.get("value")?),
                None => value,
            };
            Some(format!("{attribute} {kind}{operation} {value}"))
        }
        "date_expression" => {
            let pairs = |tag: &str| -> String {
                element
                    .children_named(tag)
                    .flat_map(|child| child.attrs())
                    .filter(|(name, _)| *name != "id")
                    .map(|(name, value)| format!(" {name}={}", quote(value)))
                    .collect()
            };
            match element.get("operation").unwrap_or("in_range") {
                "lt" => Some(format!("date lt {}", quote(element.get("end")?))),
                "gt" => Some(format!("date gt {}", quote(element.get("start")?))),
                "date_spec" => Some(format!("date spec{}", pairs("date_spec"))),
                "in_range" => {
                    let mut text = String::from("date in");
                    for name in ["start", "end"] {
                        if let Some(value) = element.get(name) {
                            text.push_str(&format!(" {name}={}", quote(value)));
                        }
                    }
                    text.push_str(&pairs("duration"));
                    Some(text)
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn member(element: &Element, resource: &str, qualifier: &str, instance: &str) -> Option<String> {
    let name = element.get(resource)?;
    Some(match element.get(qualifier).or(element.get(instance)) {
        Some(word) => format!("{name}:{word}"),
        None => name.to_owned(),
    })
}

/// The sets of a constraint; `qualifier` is `role` or `action`.
fn sets(element: &Element, qualifier: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    for set in element.children_named("resource_set") {
        let members: Vec<String> = set
            .children()
            .filter_map(Element::id)
            .map(|id| match set.get(qualifier) {
                Some(word) => format!("{id}:{word}"),
                None => id.to_owned(),
            })
            .collect();
        let is_unordered = set.get("sequential") == Some("false");
        let one_is_enough = set.get("require-all") == Some("false");
        if is_unordered && one_is_enough {
            parts.push(format!("[ {} ]", members.join(" ")));
        } else if is_unordered {
            parts.push(format!("( {} )", members.join(" ")));
        } else if one_is_enough {
            parts.push(format!("[ {} sequential=true ]", members.join(" ")));
        } else {
            parts.push(members.join(" "));
        }
    }
    let text = parts.join(" ");
    // Two bare words would be read as the simple form.
    if text.split(' ').count() == 2 && !text.contains(['(', '[']) {
        return format!("_rsc_set_ {text}");
    }
    text
}

pub(super) fn colocation(element: &Element) -> Option<String> {
    let mut text = format!("colocation {} {} ", element.id()?, score_of(element)?);
    if element.child("resource_set").is_some() {
        text.push_str(&sets(element, "role"));
    } else {
        let dependent = member(element, "rsc", "rsc-role", "rsc-instance")?;
        let primary = member(element, "with-rsc", "with-rsc-role", "with-rsc-instance")?;
        text.push_str(&format!("{dependent} {primary}"));
    }
    if let Some(name) = element.get("node-attribute") {
        text.push_str(&format!(" node-attribute={name}"));
    }
    Some(text)
}

pub(super) fn order(element: &Element) -> Option<String> {
    let kind = match (element.get("kind"), element.get("score")) {
        (Some(kind), _) => format!(" {kind}:"),
        (None, Some("0")) => " Optional:".into(),
        (None, Some(_)) => " Mandatory:".into(),
        (None, None) => String::new(),
    };
    let mut text = format!("order {}{kind} ", element.id()?);
    if element.child("resource_set").is_some() {
        text.push_str(&sets(element, "action"));
    } else {
        let first = member(element, "first", "first-action", "first-instance")?;
        let then = member(element, "then", "then-action", "then-instance")?;
        text.push_str(&format!("{first} {then}"));
    }
    if let Some(value) = element.get("symmetrical") {
        text.push_str(&format!(" symmetrical={value}"));
    }
    Some(text)
}

pub(super) fn ticket(element: &Element) -> Option<String> {
    let mut text = format!("rsc_ticket {} {}: ", element.id()?, element.get("ticket")?);
    if element.child("resource_set").is_some() {
        text.push_str(&sets(element, "role"));
    } else {
        text.push_str(&member(element, "rsc", "rsc-role", "rsc-instance")?);
    }
    if let Some(policy) = element.get("loss-policy") {
        text.push_str(&format!(" loss-policy={policy}"));
    }
    Some(text)
}
