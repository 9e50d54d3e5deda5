//! 2.10 → 3.0, around the main step: references to attribute sets are copied out, so that each use
//! can be rewritten for itself, and put back where nothing came of it.
//!
//! Source: `spec/cib.md` §12.2, §12.4.

use xml::{Element, Node};

use super::message::Log;

/// What the ids of copied sets and of their content begin with.
const SET: &str = "_cibtr-2_";

fn is_set(element: &Element) -> bool {
    matches!(element.name(), "cluster_property_set" | "instance_attributes" | "meta_attributes")
}

/// Replaces every reference by a copy of the set it names.
pub(super) fn expand(cib: &Element) -> Option<Element> {
    fn walk(all: &Element, element: &mut Element) -> Option<()> {
        for child in element.children_mut() {
            match child.get("id-ref").filter(|_| is_set(child)) {
                Some(id) => {
                    let id = id.to_owned();
                    let name = child.name().to_owned();
                    let mut targets = all
                        .descendants()
                        .filter(|other| other.name() == name && other.id() == Some(id.as_str()));
                    let target = targets.next()?;
                    if targets.next().is_some() {
                        return None;
                    }
                    *child = copy(target, &id);
                }
                None => walk(all, child)?,
            }
        }
        Some(())
    }
    let mut expanded = cib.clone();
    let configuration = expanded.child_mut("configuration")?;
    walk(cib, configuration)?;
    Some(expanded)
}

fn copy(target: &Element, id: &str) -> Element {
    let mut copy = target.clone();
    for child in copy.children_mut() {
        child.for_each_mut(&mut |element| {
            if element.name() != "resource_ref"
                && let Some(own) = element.id().map(str::to_owned)
            {
                element.set("id", format!("_{SET}{id}__{own}"));
            }
        });
    }
    copy.set("id", format!("{SET}{id}"));
    copy
}

/// Makes references again of copies that are still like their originals.
pub(super) fn collapse(cib: &mut Element, log: &mut Log) {
    fn walk(all: &Element, element: &mut Element, log: &mut Log) {
        for child in element.children_mut() {
            let origin = child.id().and_then(|id| id.strip_prefix(SET)).map(str::to_owned);
            match origin.filter(|_| is_set(child)) {
                Some(id) => {
                    let original = all.descendants().find(|other| {
                        other.name() == child.name() && other.id() == Some(id.as_str())
                    });
                    match original {
                        None => log.debug(format!(
                            "{}: original element pointed to with @id-ref ({id}) disappeared \
                             during upgrade",
                            child.name()
                        )),
                        Some(original) if same_content(original, child) => {
                            *child = Element::new(child.name()).with("id-ref", id);
                        }
                        Some(_) => {}
                    }
                }
                None => walk(all, child, log),
            }
        }
    }
    let all = cib.clone();
    walk(&all, cib, log);
}

/// Equality that does not look at ids.
fn same_content(a: &Element, b: &Element) -> bool {
    let attrs = |element: &Element| -> Vec<(String, String)> {
        let others = element.attrs().filter(|(name, _)| *name != "id");
        others.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let elements = |element: &Element| -> Vec<Element> {
        let elements = element.nodes().iter().filter_map(|node| match node {
            Node::Element(child) => Some(Element::clone(child)),
            Node::Text(_) | Node::Comment(_) => None,
        });
        elements.collect()
    };
    let (a_children, b_children) = (elements(a), elements(b));
    a.name() == b.name()
        && attrs(a) == attrs(b)
        && a_children.len() == b_children.len()
        && a_children.iter().zip(&b_children).all(|(a, b)| same_content(a, b))
}
