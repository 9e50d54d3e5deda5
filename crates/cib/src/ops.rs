//! The contents of the operations: what create, modify, delete and replace do to a tree.
//!
//! These functions know nothing of versions, patches or validation ([`crate::request`] does); they
//! edit a copy that the caller throws away on error.
//!
//! Source: `spec/cib.md` §6.

use std::collections::BTreeSet;
use std::sync::Arc;

use xml::{Element, Node, NodePath, XPath};

use crate::document::{find_or_make_section, find_section};
use crate::rc::Rc;

/// What an operation did that a comparison of the trees cannot tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effect {
    /// It counts as a change even if the trees are equal (an XPath replace).
    pub forced: bool,
    /// That change was one of the configuration.
    pub forced_configuration: bool,
    /// An object was appended as a whole, which 2.1.5 does not count as a change of the
    /// configuration. Versions must stay equal to its peers', so neither do we.
    pub appended: bool,
}

/// What failed of a create with several objects.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateError {
    /// The result code of the whole.
    pub rc: Rc,
    /// `<failed>…</failed>`, the answer to the client.
    pub failed: Option<Element>,
}

impl From<Rc> for CreateError {
    fn from(rc: Rc) -> CreateError {
        CreateError { rc, failed: None }
    }
}

/// Adds objects to a section; each must be new there. Without section it is a [`modify`].
///
/// # Errors
/// [`Rc::EEXIST`] for an object that is there, [`Rc::ENXIO`] for an XPath without match,
/// [`Rc::EINVAL`] for an unknown section.
pub fn create(
    cib: &mut Element,
    section: &str,
    input: &Element,
    can_create: bool,
) -> Result<Effect, CreateError> {
    if input.name() == "cib" || matches!(section, "" | "cib" | "all") {
        return Ok(modify(cib, section, input, can_create)?);
    }
    // A section that is not there is not made, unlike by a modify.
    let path = find_section(cib, section);
    let mut target = path.and_then(|path| cib.element_at_mut(&path));
    let mut add = |object: &Element| {
        let added = match &mut target {
            Some(target) => add_object(target, object),
            None => Err(Rc::EINVAL),
        };
        added.map_err(|rc| CreateError {
            rc,
            failed: Some(Element::new("failed").with_child(failed(object, rc))),
        })
    };
    if input.name() == section {
        input.children().try_for_each(&mut add)?;
    } else {
        add(input)?;
    }
    Ok(Effect::default())
}

/// Appends an object to the first element an XPath matches.
///
/// # Errors
/// [`Rc::ENXIO`] if nothing matches.
pub fn create_xpath(cib: &mut Element, xpath: &str, input: &Element) -> Result<Effect, Rc> {
    let path = matches(cib, xpath).into_iter().next().ok_or(Rc::ENXIO)?;
    let target = cib.element_at_mut(&path).ok_or(Rc::ENXIO)?;
    target.push(input.clone());
    Ok(Effect { appended: true, ..Effect::default() })
}

fn failed(object: &Element, rc: Rc) -> Element {
    let mut failed = Element::new("failed_update");
    if let Some(id) = object.id() {
        failed.set("id", id);
    }
    failed
        .with("object_type", object.name())
        .with("operation", "cib_create")
        .with("reason", rc.description())
        .with_child(object.clone())
}

fn add_object(parent: &mut Element, object: &Element) -> Result<(), Rc> {
    let exists = parent.children().any(|child| {
        child.name() == object.name() && (object.id().is_none() || same_id(child, object))
    });
    if exists {
        return Err(Rc::EEXIST);
    }
    let mut added = Element::new(object.name());
    merge(&mut added, object);
    parent.push(added);
    Ok(())
}

fn same_id(a: &Element, b: &Element) -> bool {
    a.id() == b.id()
}

/// Merges the input into the element of its name and id in a section.
///
/// # Errors
/// [`Rc::ENXIO`] if there is none and it may not be created.
pub fn modify(
    cib: &mut Element,
    section: &str,
    input: &Element,
    can_create: bool,
) -> Result<Effect, Rc> {
    let section_path = find_or_make_section(cib, section);
    let target = cib.element_at(&section_path).and_then(|top| find_below(top, input, true));
    if let Some(below) = target {
        let mut path = section_path;
        below.steps().for_each(|step| path.push(step));
        let target = cib.element_at_mut(&path).ok_or(Rc::ENXIO)?;
        merge(target, input);
        return Ok(Effect::default());
    }
    if !can_create {
        return Err(Rc::ENXIO);
    }
    cib.element_at_mut(&section_path).ok_or(Rc::ENXIO)?.push(input.clone());
    Ok(Effect { appended: true, ..Effect::default() })
}

/// Merges the input at the first (or every) match of an XPath that holds an element of its name
/// and id; if `strict`, every match looked at must.
///
/// # Errors
/// [`Rc::ENXIO`] if no match (if `strict`: not every one) holds such an element.
pub fn modify_xpath(
    cib: &mut Element,
    xpath: &str,
    input: &Element,
    multiple: bool,
    can_create: bool,
    strict: bool,
) -> Result<Effect, Rc> {
    let paths = matches(cib, xpath);
    if paths.is_empty() {
        return Err(Rc::ENXIO);
    }
    let mut merged = false;
    for path in &paths {
        let Some(top) = cib.element_at_mut(path) else { continue };
        let Some(below) = find_below(top, input, true) else {
            if strict {
                return Err(Rc::ENXIO);
            }
            continue;
        };
        let Some(target) = top.element_at_mut(&below) else { continue };
        merge(target, input);
        merged = true;
        if !multiple {
            break;
        }
    }
    if merged {
        return Ok(Effect::default());
    }
    let first = paths.first().filter(|_| can_create).ok_or(Rc::ENXIO)?;
    cib.element_at_mut(first).ok_or(Rc::ENXIO)?.push(input.clone());
    Ok(Effect { appended: true, ..Effect::default() })
}

/// The first element with the pattern's name and id, depth first, as address below `top`.
fn find_below(top: &Element, pattern: &Element, include_top: bool) -> Option<NodePath> {
    fn walk(element: &Element, fits: &impl Fn(&Element) -> bool, path: &mut NodePath) -> bool {
        for (position, node) in element.nodes().iter().enumerate() {
            if let Node::Element(child) = node {
                path.push(position);
                if fits(child) || walk(child, fits, path) {
                    return true;
                }
                path.pop();
            }
        }
        false
    }
    let fits = |element: &Element| element.name() == pattern.name() && same_id(element, pattern);
    if include_top && fits(top) {
        return Some(NodePath::root());
    }
    let mut path = NodePath::root();
    walk(top, &fits, &mut path).then_some(path)
}

/// Copies attributes and children of `from` into `to`, recursively. Nothing is removed, except
/// what a legacy `replace="a,b"` attribute names.
fn merge(to: &mut Element, from: &Element) {
    if let Some(replaced) = from.get("replace") {
        let names: Vec<&str> = replaced.split(',').map(str::trim).collect();
        to.retain_children(|child| !names.contains(&child.name()));
    }
    for (name, value) in from.attrs() {
        let new = expand(to, name, value);
        let new = new.as_deref().unwrap_or(value);
        if to.get(name) != Some(new) {
            to.set(name, new);
        }
    }
    for node in from.nodes() {
        match node {
            Node::Element(child) => merge_child(to, child),
            Node::Comment(text) => {
                let there = to
                    .nodes()
                    .iter()
                    .any(|node| matches!(node, Node::Comment(other) if other == text));
                if !there {
                    to.nodes_mut().push(node.clone());
                }
            }
            Node::Text(text) => {
                if to.text() != *text {
                    to.nodes_mut().retain(|node| !matches!(node, Node::Text(_)));
                    to.push_text(text.clone());
                }
            }
        }
    }
}

fn merge_child(to: &mut Element, child: &Element) {
    let fits = |other: &Element| {
        other.name() == child.name()
            && match (child.id(), child.get("id-ref")) {
                (Some(id), _) => other.id() == Some(id),
                (None, Some(id_ref)) => other.get("id-ref") == Some(id_ref),
                (None, None) => true,
            }
    };
    let position = to.nodes().iter().position(|node| match node {
        Node::Element(other) => fits(other),
        _ => false,
    });
    match position.and_then(|at| to.nodes_mut().get_mut(at)) {
        Some(Node::Element(target)) => {
            // Merging what is there already would copy shared elements for nothing.
            if !contains(target, child) {
                merge(Arc::make_mut(target), child);
            }
        }
        _ => {
            let mut added = Element::new(child.name());
            merge(&mut added, child);
            to.push(added);
        }
    }
}

/// True if merging `from` into `to` certainly changes nothing.
fn contains(to: &Element, from: &Element) -> bool {
    from.nodes().is_empty()
        && !from.has("replace")
        && from.attrs().all(|(name, value)| to.get(name) == Some(value) && !value.starts_with(name))
}

/// The value that `name++` or `name+=N` stands for, if the text is that.
///
/// Source: `spec/cib.md` §6.6.
fn expand(target: &Element, name: &str, value: &str) -> Option<String> {
    let old = target.get(name)?;
    increment(name, old, value)
}

fn increment(name: &str, old: &str, value: &str) -> Option<String> {
    let rest = value.strip_prefix(name)?;
    let step = match rest.strip_prefix("++") {
        Some(_) => 1,
        None => score_of(rest.strip_prefix("+=")?),
    };
    Some((score_of(old) + step).min(1_000_000).to_string())
}

fn score_of(text: &str) -> i64 {
    match text {
        "INFINITY" | "+INFINITY" => 1_000_000,
        "-INFINITY" => -1_000_000,
        _ => {
            let text = text.trim_start();
            let (sign, digits) = match text.strip_prefix('-') {
                Some(digits) => (-1, digits),
                None => (1, text.strip_prefix('+').unwrap_or(text)),
            };
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            let number: i64 = if end == 0 { 0 } else { digits[..end].parse().unwrap_or(1_000_000) };
            (sign * number.min(1_000_000)).clamp(-1_000_000, 1_000_000)
        }
    }
}

/// Evaluates increments that nothing was there to be added to: `num="num++"` becomes 1. Looks
/// only at what `new` does not share with `old`.
pub fn settle_increments(old: &Element, new: &mut Element) {
    edit_unshared(Some(old), new, &mut |element| {
        let settled: Vec<(String, String)> = element
            .attrs()
            .filter_map(|(name, value)| Some((name.to_owned(), increment(name, "0", value)?)))
            .collect();
        for (name, value) in settled {
            element.set(&name, value);
        }
    });
}

/// Removes every element that has an attribute `__delete__` (the option *mixed_update*). Looks
/// only at what `new` does not share with `old`.
pub fn drop_deleted(old: &Element, new: &mut Element) {
    edit_unshared(Some(old), new, &mut |element| {
        if element.children().any(|child| child.has("__delete__")) {
            element.retain_children(|child| !child.has("__delete__"));
        }
    });
}

/// Calls `edit` on the element and on all below it that are not shared with `old`.
fn edit_unshared(old: Option<&Element>, new: &mut Element, edit: &mut impl FnMut(&mut Element)) {
    edit(new);
    let shared: BTreeSet<*const Element> =
        old.into_iter().flat_map(Element::shared_children).map(Arc::as_ptr).collect();
    for node in new.nodes_mut() {
        if let Node::Element(child) = node
            && !shared.contains(&Arc::as_ptr(child))
        {
            let before = old.and_then(|old| match child.id() {
                Some(id) => old.child_with_id(child.name(), id),
                None => old.child(child.name()),
            });
            edit_unshared(before, Arc::make_mut(child), edit);
        }
    }
}

/// Removes the first element in the section that has the name, id and all attributes of the
/// pattern (of each child of the input, if that is named like the section). Nothing found is
/// success.
///
/// # Errors
/// None today; the signature is that of the other operations.
pub fn delete(cib: &mut Element, section: &str, input: &Element) -> Result<Effect, Rc> {
    let Some(top) = find_section(cib, section) else { return Ok(Effect::default()) };
    if input.name() == section {
        for pattern in input.children() {
            delete_one(cib, &top, pattern);
        }
    } else {
        delete_one(cib, &top, input);
    }
    Ok(Effect::default())
}

fn delete_one(cib: &mut Element, top: &NodePath, pattern: &Element) {
    fn fits(element: &Element, pattern: &Element) -> bool {
        element.name() == pattern.name()
            && pattern.attrs().all(|(name, value)| {
                element.get(name).is_some_and(|own| {
                    if name == "id" { own == value } else { own.eq_ignore_ascii_case(value) }
                })
            })
    }
    fn walk(element: &Element, pattern: &Element, path: &mut NodePath) -> bool {
        for (position, node) in element.nodes().iter().enumerate() {
            if let Node::Element(child) = node {
                path.push(position);
                if fits(child, pattern) || walk(child, pattern, path) {
                    return true;
                }
                path.pop();
            }
        }
        false
    }
    let mut path = top.clone();
    let found = cib.element_at(top).is_some_and(|element| walk(element, pattern, &mut path));
    if found {
        cib.remove_at(&path);
    }
}

/// Removes the first (or every) match of an XPath. Nothing matched is success.
///
/// # Errors
/// [`Rc::EINVAL`] if the root itself matches.
pub fn delete_xpath(cib: &mut Element, xpath: &str, multiple: bool) -> Result<Effect, Rc> {
    let mut paths = matches(cib, xpath);
    if !multiple {
        paths.truncate(1);
    }
    if paths.iter().any(NodePath::is_root) {
        return Err(Rc::EINVAL);
    }
    // Backwards, so that the addresses of those still to go stay true.
    let mut kept: Vec<NodePath> = Vec::new();
    for path in paths {
        if !kept.last().is_some_and(|outer| path.is_within(outer)) {
            kept.push(path);
        }
    }
    for path in kept.iter().rev() {
        cib.remove_at(path);
    }
    Ok(Effect::default())
}

/// Replaces the first element with the name and id of the input.
///
/// # Errors
/// [`Rc::ENXIO`] if there is none.
pub fn replace(cib: &mut Element, section: &str, input: &Element) -> Result<Effect, Rc> {
    let top = if input.name() == section { "" } else { section };
    let top = find_section(cib, top).ok_or(Rc::ENXIO)?;
    let below = cib.element_at(&top).and_then(|element| {
        if input.id().is_some() {
            find_below(element, input, false)
        } else {
            find_named(element, input.name())
        }
    });
    let mut path = top;
    below.ok_or(Rc::ENXIO)?.steps().for_each(|step| path.push(step));
    let target = cib.element_at_mut(&path).ok_or(Rc::ENXIO)?;
    *target = input.clone();
    Ok(Effect::default())
}

fn find_named(top: &Element, name: &str) -> Option<NodePath> {
    let found = XPath::parse(&format!("//{name}")).ok()?.paths(top).ok()?;
    found.into_iter().find(|path| !path.is_root())
}

/// Replaces the first (or every) match of an XPath by the input, which goes to the end of the
/// match's parent.
///
/// # Errors
/// [`Rc::ENXIO`] if nothing matches, [`Rc::EINVAL`] if the root does.
pub fn replace_xpath(
    cib: &mut Element,
    xpath: &str,
    input: &Element,
    multiple: bool,
) -> Result<Effect, Rc> {
    let mut paths = matches(cib, xpath);
    if paths.is_empty() {
        return Err(Rc::ENXIO);
    }
    if !multiple {
        paths.truncate(1);
    }
    let in_configuration = find_section(cib, "configuration")
        .is_some_and(|top| paths.iter().any(|path| path.is_within(&top)));
    for path in paths.iter().rev() {
        let parent = path.parent().ok_or(Rc::EINVAL)?;
        cib.remove_at(path);
        if let Some(parent) = cib.element_at_mut(&parent) {
            parent.push(input.clone());
        }
    }
    Ok(Effect { forced: true, forced_configuration: in_configuration, ..Effect::default() })
}

/// Addresses of the elements an XPath matches; what is no XPath matches nothing, as upstream.
pub fn matches(cib: &Element, xpath: &str) -> Vec<NodePath> {
    XPath::parse(xpath).and_then(|xpath| xpath.targets(cib)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
