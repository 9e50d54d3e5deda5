//! References (`id-ref`) are copied out before the rewriting, so that every use is rewritten where
//! it is, and put back afterwards: of several elements with one id the original stays, or the
//! first copy where the original is gone.
//!
//! Source: `spec/cib.md` §12.5, steps 0 and 99.

use std::collections::{BTreeMap, BTreeSet};

use xml::{Element, Node};

use super::PREFIX;

/// The attribute that marks elements which are not originals.
const COPY: &str = "__copy";

/// References may lead to elements with references; a circle ends here.
const DEPTH: usize = 16;

/// Replaces every reference by a marked copy of the element it names. References to nothing stay.
pub(super) fn make(configuration: &mut Element) {
    if !configuration.descendants().any(|element| element.has("id-ref")) {
        return;
    }
    let mut originals: BTreeMap<(String, String), Element> = BTreeMap::new();
    for element in configuration.descendants() {
        if let Some(id) = element.id() {
            let key = (element.name().to_owned(), id.to_owned());
            originals.entry(key).or_insert_with(|| element.clone());
        }
    }
    resolve(configuration, &originals, 0);
}

fn resolve(at: &mut Element, originals: &BTreeMap<(String, String), Element>, depth: usize) {
    if depth > DEPTH || !at.descendants().any(|element| element.has("id-ref")) {
        return;
    }
    for child in at.children_mut() {
        let mut below = depth;
        if let Some(id) = child.get("id-ref").map(str::to_owned) {
            let key = (child.name().to_owned(), id);
            let Some(original) = originals.get(&key) else { continue };
            let mut copy = original.clone();
            mark(&mut copy);
            if child.name() == "nvpair"
                && let Some(name) = child.get("name")
            {
                copy.set("id", format!("{PREFIX}{}-{name}", key.1));
                copy.set("name", name);
            }
            *child = copy;
            below += 1;
        }
        resolve(child, originals, below);
    }
}

/// Marks an element and all below it as copies.
pub(super) fn mark(element: &mut Element) {
    element.for_each_mut(&mut |element| element.set(COPY, "1"));
}

/// Whether an element is where its id was defined.
pub(super) fn is_original(element: &Element) -> bool {
    !element.has(COPY)
}

/// Makes references again of copies whose id is defined elsewhere, and removes the marks.
pub(super) fn collapse(configuration: &mut Element) {
    let mut defined: BTreeSet<(String, String)> = configuration
        .descendants()
        .filter(|element| is_original(element))
        .filter_map(key)
        .collect();
    restore(configuration, &mut defined);
}

fn key(element: &Element) -> Option<(String, String)> {
    Some((element.name().to_owned(), element.id()?.to_owned()))
}

fn restore(at: &mut Element, defined: &mut BTreeSet<(String, String)>) {
    at.unset(COPY);
    for node in at.nodes_mut() {
        let Node::Element(shared) = node else { continue };
        if !is_original(shared)
            && let Some(key) = key(shared)
            // What a set refers to is no definition.
            && shared.name() != "resource_ref"
            && !defined.insert(key.clone())
        {
            *shared = Element::new(key.0).with("id-ref", key.1).into();
            continue;
        }
        restore(std::sync::Arc::make_mut(shared), defined);
    }
}
