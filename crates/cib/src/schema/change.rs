//! Validation that costs what changed: of a document whose predecessor was valid, only the
//! elements that it does not share with the predecessor are looked at.
//!
//! Ids and references concern the whole document. As long as the changed elements have the ids and
//! references that they had before, nothing can have become double or dangling; otherwise
//! everything is looked at.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use xml::Element;

use super::{Check, Problem, Type, Version, conditions, rule, validate, version_of};

thread_local! {
    /// The document that was valid last. It is only a memory of what [`validate`] would say.
    static KNOWN_VALID: RefCell<Weak<Element>> = const { RefCell::new(Weak::new()) };
}

/// Remembers a document as valid by the schema it names.
pub fn remember_valid(cib: &Arc<Element>) {
    KNOWN_VALID.with_borrow_mut(|known| *known = Arc::downgrade(cib));
}

/// Whether this is the document that was [remembered](remember_valid) last.
pub fn is_known_valid(cib: &Arc<Element>) -> bool {
    KNOWN_VALID.with_borrow(|known| known.upgrade().is_some_and(|known| Arc::ptr_eq(&known, cib)))
}

/// As [`validate`] of the new document. What it shares with an old one that is
/// [remembered](remember_valid) as valid is not looked at again.
///
/// # Errors
/// All problems, in document order.
pub fn validate_after(old: &Arc<Element>, new: &Element) -> Result<(), Vec<Problem>> {
    let name = new.get("validate-with").unwrap_or("");
    let same_schema = old.get("validate-with") == Some(name);
    match version_of(name) {
        Some(version) if same_schema && is_known_valid(old) => {
            if is_change_valid(old, new, version) { Ok(()) } else { validate(new) }
        }
        _ => validate(new),
    }
}

/// Whether a change of a valid document is certain to be valid; false means: look at everything.
fn is_change_valid(old: &Element, new: &Element, version: Version) -> bool {
    let mut change = Change { check: Check { version, ..Check::default() }, before: Vec::new() };
    if !change.pair(old, new, None) || !change.check.problems.is_empty() {
        return false;
    }
    let mut before = change.before;
    let mut after: Vec<(bool, &str)> = change.check.ids.keys().map(|id| (true, *id)).collect();
    after.extend(change.check.refs.iter().map(|(_, _, id)| (false, *id)));
    before.sort_unstable();
    after.sort_unstable();
    before == after
}

struct Change<'a> {
    /// Collects problems, ids and references of the new elements.
    check: Check<'a>,
    /// Ids (true) and references (false) of the old ones.
    before: Vec<(bool, &'a str)>,
}

impl<'a> Change<'a> {
    /// Compares two versions of an element; false if that is of no use.
    fn pair(&mut self, old: &'a Element, new: &'a Element, parent: Option<&'a Element>) -> bool {
        if std::ptr::eq(old, new) || new.name() == "status" {
            return true;
        }
        let Some(rule) = rule(new.name()) else { return false };
        self.check.attributes(new, rule);
        self.check.children(new, rule);
        let (version, problems) = (self.check.version, &mut self.check.problems);
        conditions::check(new, parent, version, &mut |what| {
            problems.push(super::problem(new, what));
        });
        self.collect(old);

        let kept: HashSet<*const Element> = new.shared_children().map(Arc::as_ptr).collect();
        let mut gone: HashMap<(&str, Option<&str>), &'a Element> = HashMap::new();
        let mut was: HashSet<*const Element> = HashSet::new();
        for child in old.shared_children() {
            was.insert(Arc::as_ptr(child));
            if !kept.contains(&Arc::as_ptr(child))
                && gone.insert((child.name(), child.id()), child).is_some()
            {
                // Two of a kind: which became which cannot be told.
                return false;
            }
        }
        for child in new.shared_children().filter(|child| !was.contains(&Arc::as_ptr(child))) {
            match gone.remove(&(child.name(), child.id())) {
                Some(counterpart) => {
                    if !self.pair(counterpart, child, Some(new)) {
                        return false;
                    }
                }
                None => self.check.element(child, Some(new)),
            }
        }
        for child in gone.into_values().filter(|child| child.name() != "status") {
            child.descendants().for_each(|element| self.collect(element));
        }
        true
    }

    fn collect(&mut self, element: &'a Element) {
        let Some(rule) = rule(element.name()) else { return };
        for (name, value) in element.attrs() {
            let attr = rule.attrs.iter().find(|attr| {
                attr.name == name
                    && attr.since <= self.check.version
                    && self.check.version <= attr.until
            });
            match attr.map(|attr| attr.ty) {
                Some(Type::Id) => self.before.push((true, value)),
                Some(Type::IdRef) => self.before.push((false, value)),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    /// Makes a change and compares the quick answer with the thorough one.
    fn agree(cib: &Arc<Element>, quick: bool, edit: impl FnOnce(&mut Element)) {
        let mut new = Element::clone(cib);
        edit(&mut new);
        remember_valid(cib);
        assert_eq!(is_change_valid(cib, &new, 309), quick);
        assert_eq!(validate_after(cib, &new), validate(&new));
    }

    #[test]
    fn what_changed_is_judged_as_if_all_were() {
        let cib = Arc::new(sample::document(30, 3));
        validate(&cib).unwrap();
        agree(&cib, true, |cib| {
            let rsc = cib.at_mut(&["configuration", "resources", "primitive"]).unwrap();
            rsc.set("description", "x");
        });
        agree(&cib, false, |cib| {
            let rsc = cib.at_mut(&["configuration", "resources", "primitive"]).unwrap();
            rsc.set("colour", "x");
        });
        agree(&cib, false, |cib| {
            let rsc = cib.at_mut(&["configuration", "resources", "primitive"]).unwrap();
            rsc.set("id", "rsc0");
        });
        agree(&cib, false, |cib| {
            let rsc = cib.at_mut(&["configuration", "resources", "primitive"]).unwrap();
            rsc.clear_children();
        });
        agree(&cib, false, |cib| {
            let location = cib.at_mut(&["configuration", "constraints", "rsc_location"]).unwrap();
            location.set("rsc", "nowhere");
        });
        agree(&cib, false, |cib| {
            let resources = cib.at_mut(&["configuration", "resources"]).unwrap();
            resources.push(Element::new("group").with("id", "empty"));
        });
        agree(&cib, false, |cib| {
            let resources = cib.at_mut(&["configuration", "resources"]).unwrap();
            let copy = resources.child("primitive").unwrap().clone();
            resources.push(copy);
        });
        agree(&cib, true, |cib| cib.child_mut("status").unwrap().clear_children());
        agree(&cib, true, |cib| {
            let resources = cib.at_mut(&["configuration", "resources"]).unwrap();
            resources.nodes_mut().reverse();
        });
        agree(&cib, false, |cib| cib.set("epoch", "x"));
    }

    #[test]
    fn only_the_remembered_document_counts() {
        let cib = Arc::new(sample::document(3, 2));
        remember_valid(&cib);
        assert!(is_known_valid(&cib));
        let other = Arc::new(Element::clone(&cib));
        assert!(!is_known_valid(&other));
        drop(cib);
        assert!(!is_known_valid(&other));
    }
}
