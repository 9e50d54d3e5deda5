//! Attribute lists: `params`, `meta`, `utilization`, `attributes` and their like.

use xml::Element;

use super::rule;
use super::score::{TypedScore, parse_score};
use super::{Cursor, SyntaxError};

/// Reads what follows `params` or its like into an element `tag`: an optional `$id=` or
/// `$id-ref=`, an optional score, rules, pairs. Stops at the first word that is none of these.
pub fn attr_list(cursor: &mut Cursor<'_>, tag: &str) -> Result<Element, SyntaxError> {
    let mut set = Element::new(tag);
    if let Some(id) = cursor.eat_prefix(&["$id-ref="]) {
        set.set("id-ref", id);
        return Ok(set);
    }
    if let Some(id) = cursor.eat_prefix(&["$id="]) {
        set.set("id", id);
    }
    if let Some(word) = cursor.peek()
        && let Some(score) = word.strip_suffix(':')
        && let TypedScore::Score(score) = parse_score(score)
    {
        cursor.take();
        set.set("score", score);
    }
    while cursor.eat("rule") {
        set.push(rule::rule(cursor)?);
    }
    while let Some(pair) = nvpair(cursor)? {
        set.push(pair);
    }
    if set.is_leaf() {
        return Err(cursor.fail("Expected at least one name-value pair"));
    }
    Ok(set)
}

/// Reads one `name=value`, `$id:name=value` or `@id[:name]`, if the word ahead is one.
pub fn nvpair(cursor: &mut Cursor<'_>) -> Result<Option<Element>, SyntaxError> {
    let Some(word) = cursor.peek() else { return Ok(None) };
    if let Some(reference) = word.strip_prefix('@').filter(|rest| !rest.is_empty()) {
        cursor.take();
        let (id, name) = match reference.split_once(':') {
            Some((id, name)) => (id, Some(name)),
            None => (reference, None),
        };
        let mut pair = Element::new("nvpair").with("id-ref", id);
        if let Some(name) = name {
            pair.set("name", name);
        }
        return Ok(Some(pair));
    }
    let Some((name, value)) = word.split_once('=') else { return Ok(None) };
    let (id, name) = match name.strip_prefix('$').and_then(|rest| rest.split_once(':')) {
        Some((id, name)) => (Some(id), name),
        None => (None, name),
    };
    if name.is_empty() {
        return Err(cursor.fail("Expected at least one name-value pair"));
    }
    if name.starts_with('$') {
        return Ok(None);
    }
    cursor.take();
    let mut pair = Element::new("nvpair").with("name", name).with("value", value);
    if let Some(id) = id {
        pair.set("id", id);
    }
    Ok(Some(pair))
}

/// Whether the word ahead begins an attribute list that has no keyword of its own.
pub fn starts_implicit_list(cursor: &Cursor<'_>) -> bool {
    cursor.peek().is_some_and(|word| {
        word.starts_with("$id") || (word.contains('=') && !word.starts_with("description="))
    })
}

/// Takes `description=…`, if it is ahead, into the element.
pub fn description(cursor: &mut Cursor<'_>, element: &mut Element) {
    if let Some(text) = cursor.eat_prefix(&["description="]) {
        element.set("description", text);
    }
}
