//! Patches of format 1, as clusters of Pacemaker before 1.1.12 and `crm_diff` on their documents
//! write them: what was removed, with the way to it, and what was added. They are read only; what
//! we make is format 2, which every version since then applies.
//!
//! Source: `spec/cib.md` §9.5.

use xml::{Element, Node};

use crate::rc::Rc;
use crate::version::CibVersion;

/// The attribute that says that an element came or went as a whole.
const MARKER: &str = "__crm_diff_marker__";

/// Applies the changes; the digest is the caller's business.
pub(super) fn apply(cib: &Element, patch: &Element) -> Result<Element, Rc> {
    check_version(cib, patch)?;
    let mut result = cib.clone();
    if let Some(removed) = patch.child("diff-removed").and_then(|part| part.child("cib")) {
        remove(&mut result, removed)?;
    }
    if let Some(added) = patch.child("diff-added").and_then(|part| part.child("cib")) {
        add(&mut result, added)?;
    }
    Ok(result)
}

fn check_version(cib: &Element, patch: &Element) -> Result<(), Rc> {
    let own = CibVersion::of(cib);
    // A patch without versions (`crm_diff --no-version`) is for any.
    let version =
        |part: &str| patch.child(part).filter(|part| part.has("epoch")).map(CibVersion::of);
    let (Some(source), Some(target)) = (version("diff-removed"), version("diff-added")) else {
        return Ok(());
    };
    match own.cmp(&source) {
        std::cmp::Ordering::Less => Err(Rc::DIFF_RESYNC),
        std::cmp::Ordering::Greater => Err(Rc::OLD_DATA),
        std::cmp::Ordering::Equal if target <= source => Err(Rc::OLD_DATA),
        std::cmp::Ordering::Equal => Ok(()),
    }
}

/// Where the element of a patch is below the parent.
fn position(parent: &Element, wanted: &Element) -> Option<usize> {
    parent.nodes().iter().position(|node| match node {
        Node::Element(child) => {
            child.name() == wanted.name() && wanted.id().is_none_or(|id| child.id() == Some(id))
        }
        _ => false,
    })
}

fn remove(target: &mut Element, removed: &Element) -> Result<(), Rc> {
    let names: Vec<String> = removed
        .attrs()
        .map(|(name, _)| name.to_owned())
        .filter(|name| name != "id" && name != MARKER)
        .collect();
    for name in names {
        target.unset(&name);
    }
    for node in removed.nodes() {
        match node {
            Node::Element(child) => {
                // What is gone already is no error.
                let Some(at) = position(target, child) else { continue };
                if child.get(MARKER) == Some("removed:top") {
                    target.nodes_mut().remove(at);
                } else if let Some(Node::Element(inner)) = target.nodes_mut().get_mut(at) {
                    remove(std::sync::Arc::make_mut(inner), child)?;
                }
            }
            Node::Comment(text) => {
                let same = |node: &Node| matches!(node, Node::Comment(other) if other == text);
                if let Some(at) = target.nodes().iter().position(same) {
                    target.nodes_mut().remove(at);
                }
            }
            Node::Text(_) => {}
        }
    }
    Ok(())
}

fn add(target: &mut Element, added: &Element) -> Result<(), Rc> {
    // Of an element that changed all attributes are listed, in the order that the digest is of; of
    // one that is only on the way there may be fewer.
    if target.attrs().all(|(name, _)| added.has(name)) {
        target.retain_attrs(|_, _| false);
    }
    for (name, value) in added.attrs().filter(|(name, _)| *name != MARKER) {
        target.set(name, value);
    }
    for node in added.nodes() {
        match node {
            Node::Element(child) if child.get(MARKER) == Some("added:top") => {
                let mut copy = Element::clone(child);
                copy.for_each_mut(&mut |element| {
                    element.unset(MARKER);
                });
                target.push(copy);
            }
            Node::Element(child) => {
                let at = position(target, child).ok_or(Rc::DIFF_FAILED)?;
                if let Some(Node::Element(inner)) = target.nodes_mut().get_mut(at) {
                    add(std::sync::Arc::make_mut(inner), child)?;
                }
            }
            Node::Comment(text) => target.nodes_mut().push(Node::Comment(text.clone())),
            Node::Text(_) => {}
        }
    }
    Ok(())
}
