//! Applying patches (`<diff>`), and reading what they say.
//!
//! Source: `spec/cib.md` §9.4 (format 2), §9.5 (format 1).

mod legacy;

use std::collections::BTreeMap;

use xml::{Element, Node, NodePath};

use crate::digest;
use crate::rc::Rc;
use crate::version::{CibVersion, FEATURE_SET, counter_of};

/// Source and target version of a patch of format 2. Missing numbers count as 1, as upstream
/// reads them.
pub fn versions(patch: &Element) -> Option<(CibVersion, CibVersion)> {
    let version = patch.child("version")?;
    let read = |name| {
        version.child(name).map(|element| {
            let counter = |name| element.get(name).map_or(1, counter_of);
            CibVersion {
                admin_epoch: counter("admin_epoch"),
                epoch: counter("epoch"),
                num_updates: counter("num_updates"),
            }
        })
    };
    Some((read("source")?, read("target")?))
}

/// Checks whether a patch is for this version of the document.
///
/// # Errors
/// [`Rc::DIFF_RESYNC`] if we miss something before it, [`Rc::OLD_DATA`] if it is behind us.
pub fn check_version(cib: &Element, patch: &Element) -> Result<(), Rc> {
    let own = CibVersion::of(cib);
    let (source, target) = versions(patch).unwrap_or_else(|| {
        (own, CibVersion { num_updates: own.num_updates.saturating_add(1), ..own })
    });
    for (own, source) in own.fields().into_iter().zip(source.fields()) {
        if own < source {
            return Err(Rc::DIFF_RESYNC);
        }
        if own > source {
            return Err(Rc::OLD_DATA);
        }
    }
    let rises = source.fields().into_iter().zip(target.fields()).any(|(from, to)| to > from);
    if rises { Ok(()) } else { Err(Rc::OLD_DATA) }
}

/// Applies a patch to a copy of the document.
///
/// # Errors
/// The version does not fit ([`check_version`]), an address leads nowhere or the result does not
/// have the patch's digest ([`Rc::DIFF_FAILED`]), or the patch is of an unknown format
/// ([`Rc::EINVAL`]).
pub fn apply(cib: &Element, patch: &Element) -> Result<Element, Rc> {
    if patch.name() != "diff" {
        return Err(Rc::DIFF_FAILED);
    }
    let result = match patch.get("format") {
        None if patch.child("diff-added").is_some() => legacy::apply(cib, patch)?,
        Some("1") => legacy::apply(cib, patch)?,
        None | Some("2") => {
            check_version(cib, patch)?;
            let mut result = cib.clone();
            apply_changes(&mut result, patch)?;
            result
        }
        Some(_) => return Err(Rc::EINVAL),
    };
    if let Some(wanted) = patch.get("digest") {
        let feature_set = cib.get("crm_feature_set").unwrap_or(FEATURE_SET);
        if !digest::for_feature_set(&result, feature_set).eq_ignore_ascii_case(wanted) {
            return Err(Rc::DIFF_FAILED);
        }
    }
    Ok(result)
}

/// A change of a parent's list of children that waits until all else is done.
enum Placement {
    Create { position: usize, node: Node },
    Move { position: usize, from: usize },
}

impl Placement {
    fn position(&self) -> usize {
        match self {
            Placement::Create { position, .. } | Placement::Move { position, .. } => *position,
        }
    }
}

fn apply_changes(cib: &mut Element, patch: &Element) -> Result<(), Rc> {
    // Errors do not end the work upstream; the result is thrown away all the same, so here they do.
    for change in patch.children_named("change") {
        let path = change.get("path").unwrap_or("");
        match change.get("operation") {
            Some("delete") => {
                let position = change.get("position").map(counter_of);
                if let Some(found) = locate(cib, path, position) {
                    if found.is_root() {
                        return Err(Rc::DIFF_FAILED);
                    }
                    cib.remove_at(&found);
                }
            }
            Some("modify") => modify(cib, path, change)?,
            Some("create" | "move") => {}
            _ => return Err(Rc::DIFF_FAILED),
        }
    }
    // Per parent; deep parents first, so that the addresses of the others stay true.
    let mut placements: BTreeMap<NodePath, Vec<Placement>> = BTreeMap::new();
    for change in patch.children_named("change") {
        let path = change.get("path").unwrap_or("");
        let position = change.get("position").map_or(0, counter_of);
        let position = usize::try_from(position).unwrap_or(usize::MAX);
        match change.get("operation") {
            Some("create") => {
                let parent = locate(cib, path, None).ok_or(Rc::DIFF_FAILED)?;
                let node = change.nodes().first().ok_or(Rc::DIFF_FAILED)?.clone();
                placements.entry(parent).or_default().push(Placement::Create { position, node });
            }
            Some("move") => {
                let node = locate(cib, path, None).ok_or(Rc::DIFF_FAILED)?;
                let parent = node.parent().ok_or(Rc::DIFF_FAILED)?;
                let from = node.position().ok_or(Rc::DIFF_FAILED)?;
                placements.entry(parent).or_default().push(Placement::Move { position, from });
            }
            _ => {}
        }
    }
    for (parent, placements) in placements.into_iter().rev() {
        let parent = cib.element_at_mut(&parent).ok_or(Rc::DIFF_FAILED)?;
        place(parent, placements)?;
    }
    Ok(())
}

fn place(parent: &mut Element, mut placements: Vec<Placement>) -> Result<(), Rc> {
    placements.sort_by_key(Placement::position);
    // Take out what moves, then put everything in, lowest position first.
    let moving: Vec<usize> = placements
        .iter()
        .filter_map(|placement| match placement {
            Placement::Move { from, .. } => Some(*from),
            Placement::Create { .. } => None,
        })
        .collect();
    let mut taken: BTreeMap<usize, Node> = BTreeMap::new();
    let mut stay = Vec::with_capacity(parent.nodes().len());
    for (at, node) in std::mem::take(parent.nodes_mut()).into_iter().enumerate() {
        if moving.contains(&at) {
            taken.insert(at, node);
        } else {
            stay.push(node);
        }
    }
    for placement in placements {
        match placement {
            Placement::Create { position, node } => stay.insert(position.min(stay.len()), node),
            Placement::Move { position, from } => {
                let node = taken.remove(&from).ok_or(Rc::DIFF_FAILED)?;
                if position > stay.len() {
                    return Err(Rc::DIFF_FAILED);
                }
                stay.insert(position, node);
            }
        }
    }
    *parent.nodes_mut() = stay;
    Ok(())
}

fn modify(cib: &mut Element, path: &str, change: &Element) -> Result<(), Rc> {
    let found = locate(cib, path, None).ok_or(Rc::DIFF_FAILED)?;
    let result = change.child("change-result").and_then(|result| result.children().next());
    let result = result.ok_or(Rc::ENOMSG)?;
    let target = cib.element_at_mut(&found).ok_or(Rc::DIFF_FAILED)?;
    target.retain_attrs(|_, _| false);
    for (name, value) in result.attrs() {
        target.set(name, value);
    }
    Ok(())
}

/// One level of an address.
struct StepText<'a> {
    name: &'a str,
    id: Option<&'a str>,
}

/// Finds the node of an address as patches write them: `/cib/configuration/nodes/node[@id='1']`.
/// For a comment with a position only a comment there will do.
fn locate(cib: &Element, path: &str, position: Option<i64>) -> Option<NodePath> {
    let mut steps = StepsOf { rest: path };
    let root = steps.next()??;
    if root.name != cib.name() || root.id.is_some_and(|id| cib.id() != Some(id)) {
        return None;
    }
    let mut found = NodePath::root();
    let mut element = cib;
    let mut steps = steps.peekable();
    while let Some(step) = steps.next() {
        let step = step?;
        let is_last = steps.peek().is_none();
        let fits = |at: usize, node: &Node| match node {
            Node::Element(child) => {
                child.name() == step.name && step.id.is_none_or(|id| child.id() == Some(id))
            }
            Node::Comment(_) => {
                is_last
                    && step.name == "comment"
                    && step.id.is_none()
                    && position.is_none_or(|wanted| usize::try_from(wanted) == Ok(at))
            }
            Node::Text(_) => false,
        };
        let at = element.nodes().iter().enumerate().position(|(at, node)| fits(at, node))?;
        found.push(at);
        match element.nodes().get(at) {
            Some(Node::Element(child)) => element = child,
            _ if is_last => {}
            _ => return None,
        }
    }
    Some(found)
}

/// The levels of an address; `Some(None)` for what is none.
struct StepsOf<'a> {
    rest: &'a str,
}

impl<'a> Iterator for StepsOf<'a> {
    type Item = Option<StepText<'a>>;

    fn next(&mut self) -> Option<Option<StepText<'a>>> {
        if self.rest.is_empty() {
            return None;
        }
        let step = self.step();
        if step.is_none() {
            self.rest = "";
        }
        Some(step)
    }
}

impl<'a> StepsOf<'a> {
    fn step(&mut self) -> Option<StepText<'a>> {
        let rest = self.rest.strip_prefix('/')?;
        let end = rest.find(['/', '[']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        if name.is_empty() {
            return None;
        }
        let Some(quoted) = rest.strip_prefix("[@id='") else {
            self.rest = rest;
            return (!rest.starts_with('[')).then_some(StepText { name, id: None });
        };
        // An id may itself hold a quote; the step ends at `']` before `/` or the end.
        let mut from = 0;
        loop {
            let at = from + quoted[from..].find("']")?;
            let after = &quoted[at + 2..];
            if after.is_empty() || after.starts_with('/') {
                self.rest = after;
                return Some(StepText { name, id: Some(&quoted[..at]) });
            }
            from = at + 2;
        }
    }
}

/// One `change` of a patch, for those who follow what happens to the document.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// `create`, `modify`, `move` or `delete`.
    pub operation: &'a str,
    /// Address; of the parent for `create`.
    pub path: &'a str,
    /// The created element, or the modified one's new state (attributes only).
    pub element: Option<&'a Element>,
    /// The whole `change` element.
    pub raw: &'a Element,
}

/// The changes of a patch of format 2, in its order.
pub fn changes(patch: &Element) -> impl Iterator<Item = Change<'_>> {
    patch.children_named("change").map(|change| {
        let operation = change.get("operation").unwrap_or("");
        let element = match operation {
            "create" => change.children().next(),
            "modify" => change.child("change-result").and_then(|result| result.children().next()),
            _ => None,
        };
        Change { operation, path: change.get("path").unwrap_or(""), element, raw: change }
    })
}

#[cfg(test)]
mod tests;
