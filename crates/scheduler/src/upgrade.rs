//! Brings an input to the form that the scheduler works on: the newest schema, references
//! resolved. Source: `spec/scheduler-unpack.md` §1, `spec/cib.md` §11 and §12.
//!
//! The rewriting itself is the document's own ([`cib::upgrade`]). It is only asked for if the
//! document is not valid in the newest schema as it is: then no schema in between matters.

use std::collections::HashMap;
use std::sync::Arc;

use cib::schema::{self, Version};
use ecow::EcoString;
use xml::{Element, Node};

/// The schema whose syntax the scheduler understands.
pub const SCHEMA: Version = 400;

const PREFIX: &str = "pcmk__3_10_upgrade-";

/// The input in current form. Costs nothing when nothing has to change. What is valid in no schema
/// stays as it is: whoever reads documents from strangers checks them before.
pub fn upgrade(cib: &Arc<Element>) -> Arc<Element> {
    let mut cib = cib.clone();
    let version = schema::version_of(cib.get("validate-with").unwrap_or(""));
    let old = version.is_some_and(|version| version < SCHEMA);
    if old
        && !(version >= Some(300) && schema::is_valid_as(&cib, SCHEMA))
        && let Ok(done) = cib::upgrade::upgrade_to(&cib, SCHEMA)
    {
        cib = Arc::new(done.document);
    }
    if cib.child("configuration").is_some_and(|c| c.descendants().any(|e| e.has("id-ref"))) {
        resolve_references(&mut cib);
    }
    cib
}

fn resolve_references(cib: &mut Arc<Element>) {
    let mut index: HashMap<(EcoString, EcoString), Option<Arc<Element>>> = HashMap::new();
    fn collect(at: &Element, index: &mut HashMap<(EcoString, EcoString), Option<Arc<Element>>>) {
        for child in at.shared_children() {
            if let Some(id) = child.id() {
                index
                    .entry((child.name().into(), id.into()))
                    .and_modify(|slot| *slot = None)
                    .or_insert_with(|| Some(child.clone()));
            }
            collect(child, index);
        }
    }
    if let Some(configuration) = cib.child("configuration") {
        collect(configuration, &mut index);
    }
    if let Some(configuration) = Arc::make_mut(cib).child_mut("configuration") {
        resolve_in(configuration, &index, 0);
    }
}

fn resolve_in(
    at: &mut Element,
    index: &HashMap<(EcoString, EcoString), Option<Arc<Element>>>,
    depth: usize,
) {
    if depth > 64 {
        return; // a reference to something that contains it
    }
    for node in at.nodes_mut() {
        let Node::Element(child) = node else { continue };
        if let Some(wanted) = child.get("id-ref") {
            let key = (EcoString::from(child.name()), EcoString::from(wanted));
            if let Some(Some(found)) = index.get(&key) {
                let mut copy = (**found).clone();
                if let Some(name) = child.get("name") {
                    copy.set("id", format!("{PREFIX}{wanted}-{name}"));
                    copy.set("name", name);
                }
                *child = Arc::new(copy);
            }
        }
        if child.descendants().any(|e| e.has("id-ref")) {
            resolve_in(Arc::make_mut(child), index, depth + 1);
        }
    }
}
