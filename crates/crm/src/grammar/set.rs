//! Resource sets: `a b`, `( a b )` (unordered), `[ a b ]` (unordered, one is enough).

use xml::Element;

use super::{Cursor, SyntaxError};

/// One resource of a constraint, with the role or action behind its colon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub resource: String,
    pub qualifier: Option<String>,
}

/// What stands between a constraint's score and its options.
#[derive(Debug)]
pub enum Resources {
    /// `first then` or `dependent primary`.
    Pair(Member, Member),
    /// Everything else.
    Sets(Vec<Element>),
}

/// One thing on the line: a resource outside of brackets, or a bracket with its content.
enum Item {
    Plain(Member),
    Bracket(Element),
}

/// Reads members and brackets up to the first `name=value` or the end. `qualifier` is the set's
/// attribute for what follows a colon: `role` or `action`.
pub fn resources(cursor: &mut Cursor<'_>, qualifier: &str) -> Result<Resources, SyntaxError> {
    let mut items: Vec<Item> = Vec::new();
    let mut forced = false;
    while let Some(word) = cursor.peek() {
        match word {
            "(" | "[" => items.push(Item::Bracket(bracket(cursor, qualifier)?)),
            ")" | "]" => return Err(cursor.fail("Unmatched closing bracket")),
            "_rsc_set_" => {
                forced = true;
                cursor.take();
            }
            _ if word.contains('=') => break,
            _ => {
                items.push(Item::Plain(member(word)));
                cursor.take();
            }
        }
    }
    match items.as_slice() {
        [Item::Plain(a), Item::Plain(b)] if !forced => {
            return Ok(Resources::Pair(a.clone(), b.clone()));
        }
        [] | [Item::Plain(_)] => {
            return Err(cursor.fail(format!(
                "Expected <rsc>[:<{qualifier}>] <rsc>[:<{qualifier}>] | resource_sets"
            )));
        }
        _ => {}
    }
    // Resources outside of brackets share a set as long as their roles or actions are the same.
    let mut sets: Vec<Element> = Vec::new();
    let mut run: Vec<Member> = Vec::new();
    for item in items {
        match item {
            Item::Plain(member) => {
                if run.last().is_some_and(|last| last.qualifier != member.qualifier) {
                    sets.push(build(std::mem::take(&mut run), &[], qualifier));
                }
                run.push(member);
            }
            Item::Bracket(set) => {
                if !run.is_empty() {
                    sets.push(build(std::mem::take(&mut run), &[], qualifier));
                }
                sets.push(set);
            }
        }
    }
    if !run.is_empty() {
        sets.push(build(run, &[], qualifier));
    }
    Ok(Resources::Sets(sets))
}

/// Reads `( … )` or `[ … ]`.
fn bracket(cursor: &mut Cursor<'_>, qualifier: &str) -> Result<Element, SyntaxError> {
    let one_is_enough = cursor.take() == Some("[");
    let closing = if one_is_enough { "]" } else { ")" };
    let mut members: Vec<Member> = Vec::new();
    let mut attrs: Vec<(&str, &str)> = Vec::new();
    loop {
        let Some(word) = cursor.peek() else {
            return Err(cursor.fail("Unmatched opening bracket"));
        };
        match word {
            "(" | "[" => return Err(cursor.fail("Cannot nest resource sets")),
            ")" | "]" if word != closing => return Err(cursor.fail("Mismatched closing bracket")),
            ")" | "]" => break,
            _ => match word.split_once('=') {
                Some((name @ ("sequential" | "require-all"), value)) => {
                    if !matches!(value, "true" | "false" | "yes" | "no" | "1" | "0") {
                        return Err(cursor.fail(format!("Not a boolean: {value}")));
                    }
                    attrs.push((name, value));
                }
                Some(_) => return Err(cursor.fail(format!("Unknown arguments: {word}"))),
                None => members.push(member(word)),
            },
        }
        cursor.take();
    }
    if members.is_empty() {
        return Err(cursor.fail("Empty resource set"));
    }
    cursor.take();
    for (name, implied) in [("require-all", one_is_enough), ("sequential", true)] {
        if implied && !attrs.iter().any(|(given, _)| *given == name) {
            attrs.push((name, "false"));
        }
    }
    Ok(build(members, &attrs, qualifier))
}

/// `resource` or `resource:qualifier`.
pub fn member(word: &str) -> Member {
    match word.split_once(':') {
        Some((resource, qualifier)) if !qualifier.is_empty() => {
            Member { resource: resource.into(), qualifier: Some(qualifier.into()) }
        }
        _ => Member { resource: word.trim_end_matches(':').into(), qualifier: None },
    }
}

fn build(members: Vec<Member>, attrs: &[(&str, &str)], qualifier: &str) -> Element {
    let mut set = Element::new("resource_set");
    for (name, value) in attrs {
        set.set(name, *value);
    }
    if let Some(value) = members.first().and_then(|member| member.qualifier.as_deref()) {
        set.set(qualifier, value);
    }
    for member in members {
        set.push(Element::new("resource_ref").with("id", member.resource));
    }
    set
}
