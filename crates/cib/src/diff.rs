//! Making patches: what turns one document into another, as `<diff format="2">`.
//!
//! The comparison skips what both documents share, so after a change of one attribute it looks at
//! the way from the root to it and nothing else. The order of changes and the choice which of two
//! swapped siblings "moved" are upstream's.
//!
//! Source: `spec/cib.md` §9.1–§9.3.

use std::collections::BTreeMap;
use std::sync::Arc;

use xml::{Element, Node};

use crate::version::{COUNTERS, CibVersion};

/// The patch from `old` to `new`, without digest; `None` if they are equal.
pub fn diff(old: &Element, new: &Element) -> Option<Element> {
    make(old, new, Changes::default())
}

/// As [`diff`], but attributes that only changed places are no change (`crm_diff --cib`).
pub fn diff_significant(old: &Element, new: &Element) -> Option<Element> {
    make(old, new, Changes { ignore_attr_order: true, ..Changes::default() })
}

fn make(old: &Element, new: &Element, mut changes: Changes) -> Option<Element> {
    changes.compare(old, new, &mut String::new());
    if changes.deletions.is_empty() && changes.rest.is_empty() {
        return None;
    }
    let mut patch = Element::new("diff").with("format", "2");
    patch.push(
        Element::new("version")
            .with_child(version_element("source", CibVersion::of(old)))
            .with_child(version_element("target", CibVersion::of(new))),
    );
    for change in changes.deletions.into_iter().chain(changes.rest) {
        patch.push(change);
    }
    Some(patch)
}

fn version_element(name: &str, version: CibVersion) -> Element {
    let mut element = Element::new(name);
    for (counter, value) in COUNTERS.into_iter().zip(version.fields()) {
        element.set(counter, value.to_string());
    }
    element
}

/// True if the documents differ inside `configuration` (its own attributes included).
pub fn configuration_changed(old: &Element, new: &Element) -> bool {
    let (old, new) = (shared(old, "configuration"), shared(new, "configuration"));
    match (old, new) {
        (Some(old), Some(new)) => !Arc::ptr_eq(old, new) && !same(old, new),
        (None, None) => false,
        _ => true,
    }
}

fn shared<'a>(cib: &'a Element, name: &str) -> Option<&'a Arc<Element>> {
    cib.shared_children().find(|child| child.name() == name)
}

/// Equality that does not look into what both share.
pub fn same(a: &Element, b: &Element) -> bool {
    std::ptr::eq(a, b)
        || a.name() == b.name()
            && a.attrs().eq(b.attrs())
            && a.nodes().len() == b.nodes().len()
            && a.nodes().iter().zip(b.nodes()).all(|(a, b)| same_node(a, b))
}

fn same_node(a: &Node, b: &Node) -> bool {
    match (a, b) {
        (Node::Element(a), Node::Element(b)) => Arc::ptr_eq(a, b) || same(a, b),
        (Node::Text(a), Node::Text(b)) | (Node::Comment(a), Node::Comment(b)) => a == b,
        _ => false,
    }
}

#[derive(Default)]
struct Changes {
    ignore_attr_order: bool,
    deletions: Vec<Element>,
    rest: Vec<Element>,
}

/// How a new child relates to the old children.
#[derive(Clone, Copy)]
struct NewChild {
    /// Position of its old self; `None` if it was created.
    old: Option<usize>,
    moved: bool,
}

impl Changes {
    /// Compares two versions of an element; `path` is the address of its parent.
    fn compare(&mut self, old: &Element, new: &Element, path: &mut String) {
        let parent_len = path.len();
        new.push_step(path);
        if !old.attrs().eq(new.attrs())
            && let Some(change) = modification(old, new, path, self.ignore_attr_order)
        {
            self.rest.push(change);
        }
        let shared = old.nodes().len() == new.nodes().len()
            && old.nodes().iter().zip(new.nodes()).all(|(a, b)| match (a, b) {
                (Node::Element(a), Node::Element(b)) => Arc::ptr_eq(a, b),
                (a, b) => a == b,
            });
        if !shared {
            self.compare_children(old, new, path);
        }
        path.truncate(parent_len);
    }

    fn compare_children(&mut self, old: &Element, new: &Element, path: &mut String) {
        let Some(children) = match_children(old, new) else {
            return self.exchange_children(old, new, path);
        };
        let mut survives = vec![false; old.nodes().len()];
        for old_at in children.iter().filter_map(|child| child.old) {
            survives[old_at] = true;
        }
        // Deletions are listed in the old document's order: one of a child of ours stands between
        // those of what was in its older and in its younger siblings.
        let before = std::mem::take(&mut self.deletions);
        let mut below: BTreeMap<usize, Vec<Element>> = BTreeMap::new();
        let moved = mark_moves(&children, &survives);
        for (position, (node, child)) in new.nodes().iter().zip(moved).enumerate() {
            let Some(old_at) = child.old else {
                self.rest.push(creation(node, position, path));
                continue;
            };
            if let (Some(Node::Element(before)), Node::Element(after)) =
                (old.nodes().get(old_at), node)
                && !Arc::ptr_eq(before, after)
            {
                self.compare(before, after, path);
                below.insert(old_at, std::mem::take(&mut self.deletions));
            }
            if child.moved {
                let change = Element::new("change")
                    .with("operation", "move")
                    .with("path", step_path(path, node))
                    .with("position", position.to_string());
                self.rest.push(change);
            }
        }
        self.deletions = before;
        self.delete_children(old, &survives, below, path);
    }

    /// Deletes the children that do not survive, and `below` those that do what goes there, in
    /// order. A comment is addressed by its position at that moment, those before it being gone
    /// already.
    fn delete_children(
        &mut self,
        old: &Element,
        survives: &[bool],
        mut below: BTreeMap<usize, Vec<Element>>,
        path: &str,
    ) {
        let mut gone = 0;
        for (position, node) in old.nodes().iter().enumerate() {
            if survives.get(position) == Some(&true) {
                self.deletions.extend(below.remove(&position).into_iter().flatten());
                continue;
            }
            if matches!(node, Node::Text(_)) {
                continue;
            }
            let mut change = deletion(step_path(path, node));
            if matches!(node, Node::Comment(_)) {
                change.set("position", (position - gone).to_string());
            }
            self.deletions.push(change);
            gone += 1;
        }
    }

    /// For children that cannot be told apart by name and id: all old ones go, all new ones come.
    fn exchange_children(&mut self, old: &Element, new: &Element, path: &str) {
        let mut comments = 0;
        for (position, node) in old.nodes().iter().enumerate() {
            if matches!(node, Node::Comment(_)) {
                let position = (position - comments).to_string();
                self.deletions.push(deletion(step_path(path, node)).with("position", position));
                comments += 1;
            }
        }
        // An address without id takes the first of that name, so it must come last.
        for has_id in [true, false] {
            for node in old.nodes() {
                if matches!(node, Node::Element(element) if element.id().is_some() == has_id) {
                    self.deletions.push(deletion(step_path(path, node)));
                }
            }
        }
        for (position, node) in new.nodes().iter().enumerate() {
            if !matches!(node, Node::Text(_)) {
                self.rest.push(creation(node, position, path));
            }
        }
    }
}

fn step_path(path: &str, node: &Node) -> String {
    let mut full = path.to_owned();
    match node {
        Node::Element(element) => element.push_step(&mut full),
        Node::Comment(_) => full.push_str("/comment"),
        Node::Text(_) => full.push_str("/text"),
    }
    full
}

fn deletion(path: String) -> Element {
    Element::new("change").with("operation", "delete").with("path", path)
}

fn creation(node: &Node, position: usize, path: &str) -> Element {
    let mut change = Element::new("change")
        .with("operation", "create")
        .with("path", path)
        .with("position", position.to_string());
    change.nodes_mut().push(node.clone());
    change
}

/// Attributes with a new value or a new place are set, those that are gone are unset.
fn modification(old: &Element, new: &Element, path: &str, ignore_order: bool) -> Option<Element> {
    let mut list = Element::new("change-list");
    let moved = if ignore_order { Vec::new() } else { moved_attrs(old, new) };
    for (name, value) in new.attrs() {
        if old.get(name) != Some(value) || moved.contains(&name) {
            let change = Element::new("change-attr").with("name", name).with("operation", "set");
            list.push(change.with("value", value));
        }
    }
    for (name, _) in old.attrs() {
        if !new.has(name) {
            list.push(Element::new("change-attr").with("name", name).with("operation", "unset"));
        }
    }
    if list.is_leaf() {
        return None;
    }
    let mut result = new.clone();
    result.clear_children();
    let change = Element::new("change")
        .with("operation", "modify")
        .with("path", path)
        .with_child(list)
        .with_child(Element::new("change-result").with_child(result));
    Some(change)
}

/// Attributes that are in another place. As with children (`mark_moves`): an attribute moved if the
/// number of counted ones before it differs, and then its old or its new place stops being
/// counted; created and deleted ones count.
fn moved_attrs<'a>(old: &Element, new: &'a Element) -> Vec<&'a str> {
    let mut moved = Vec::new();
    let mut uncounted = Vec::new();
    let mut before_new = 0_usize;
    for (name, _) in new.attrs() {
        let names = || old.attrs().map(|(name, _)| name);
        let Some(at) = names().position(|other| other == name) else {
            before_new += 1;
            continue;
        };
        let before_old = names().take(at).filter(|other| !uncounted.contains(other)).count();
        match before_old.cmp(&before_new) {
            std::cmp::Ordering::Equal => before_new += 1,
            std::cmp::Ordering::Greater => {
                moved.push(name);
                uncounted.push(name);
                before_new += 1;
            }
            std::cmp::Ordering::Less => moved.push(name),
        }
    }
    moved
}

/// Finds each new child's old self: elements by name and id, comments by text at the same place.
/// `None` if that is ambiguous: two siblings of one name and id (or none), or texts that differ.
fn match_children(old: &Element, new: &Element) -> Option<Vec<NewChild>> {
    let texts = |element: &Element| -> Vec<(usize, String)> {
        let texts = element.nodes().iter().enumerate().filter_map(|(at, node)| match node {
            Node::Text(text) => Some((at, text.to_string())),
            _ => None,
        });
        texts.collect()
    };
    if texts(old) != texts(new) {
        return None;
    }
    if ambiguous(old) || ambiguous(new) {
        return None;
    }
    let mut by_key: BTreeMap<(&str, Option<&str>), usize> = BTreeMap::new();
    for (position, node) in old.nodes().iter().enumerate() {
        if let Node::Element(child) = node {
            by_key.insert((child.name(), child.id()), position);
        }
    }
    let mut children = Vec::with_capacity(new.nodes().len());
    for (position, node) in new.nodes().iter().enumerate() {
        let old_at = match node {
            Node::Element(child) => by_key.get(&(child.name(), child.id())).copied(),
            other => old.nodes().get(position).filter(|node| *node == other).map(|_| position),
        };
        children.push(NewChild { old: old_at, moved: false });
    }
    Some(children)
}

/// True if the address of a child element also fits a sibling: two of one name and id, or one
/// without id beside others of its name.
fn ambiguous(parent: &Element) -> bool {
    let mut keys: Vec<_> = parent.children().map(|child| (child.name(), child.id())).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1] || pair[0].0 == pair[1].0 && pair[0].1.is_none())
}

/// Decides which survivors moved. A child moved if the number of counted siblings before it
/// differs between old and new; then either its old or its new place stops being counted.
fn mark_moves(children: &[NewChild], survives: &[bool]) -> Vec<NewChild> {
    let mut counted = Counter::new(survives);
    let mut before_new = 0_usize;
    let mut marked = children.to_vec();
    for child in &mut marked {
        let Some(old_at) = child.old else { continue };
        let before_old = counted.before(old_at);
        match before_old.cmp(&before_new) {
            std::cmp::Ordering::Equal => before_new += 1,
            std::cmp::Ordering::Greater => {
                child.moved = true;
                counted.skip(old_at);
                before_new += 1;
            }
            std::cmp::Ordering::Less => child.moved = true,
        }
    }
    // Those that stay must be in their old order, or the patch would not lead to the new one.
    let stay: Vec<usize> =
        marked.iter().filter(|child| !child.moved).filter_map(|child| child.old).collect();
    if stay.windows(2).any(|pair| pair[0] > pair[1]) {
        let mut last = None;
        for child in &mut marked {
            child.moved = child.old.is_some() && child.old < last;
            last = last.max(child.old);
        }
    }
    marked
}

/// Counts flags before a position while flags are taken away (a Fenwick tree).
struct Counter {
    sums: Vec<usize>,
    flags: Vec<bool>,
}

impl Counter {
    fn new(flags: &[bool]) -> Counter {
        let mut counter = Counter { sums: vec![0; flags.len() + 1], flags: flags.to_vec() };
        for (position, flag) in flags.iter().enumerate() {
            if *flag {
                counter.add(position, true);
            }
        }
        counter
    }

    fn add(&mut self, position: usize, up: bool) {
        let mut at = position + 1;
        while let Some(sum) = self.sums.get_mut(at) {
            if up {
                *sum += 1;
            } else {
                *sum -= 1;
            }
            at += at & at.wrapping_neg();
        }
    }

    fn before(&self, position: usize) -> usize {
        let mut at = position;
        let mut sum = 0;
        while at > 0 {
            sum += self.sums[at];
            at -= at & at.wrapping_neg();
        }
        sum
    }

    fn skip(&mut self, position: usize) {
        if std::mem::replace(&mut self.flags[position], false) {
            self.add(position, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_captured_patch_is_reproduced() {
        let old = xml::parse(
            "<cib epoch='1' num_updates='2' admin_epoch='0'><configuration><nodes>\
             <node id='1' uname='n1'/><node id='2' uname='n2'/><node id='3' uname='n3'/></nodes>\
             <resources><!--c1--><primitive id='A' description='d' type='x'/></resources>\
             </configuration></cib>",
        )
        .unwrap();
        let new = xml::parse(
            "<cib epoch='2' num_updates='0' admin_epoch='0'><configuration><nodes>\
             <node id='2' uname='n2'/><node id='1' uname='n1' description='z'/>\
             <node id='4' uname='n4'/></nodes>\
             <resources><!--c2--><primitive id='A' type='x'/></resources>\
             </configuration></cib>",
        )
        .unwrap();
        let patch = diff(&old, &new).unwrap();
        let changes: Vec<String> = patch
            .children_named("change")
            .map(|change| {
                let get = |name| change.get(name).unwrap_or("-");
                format!("{} {} {}", get("operation"), get("path"), get("position"))
            })
            .collect();
        assert_eq!(
            changes,
            [
                "delete /cib/configuration/nodes/node[@id='3'] -",
                "delete /cib/configuration/resources/comment 0",
                "modify /cib -",
                "move /cib/configuration/nodes/node[@id='2'] 0",
                "modify /cib/configuration/nodes/node[@id='1'] -",
                "move /cib/configuration/nodes/node[@id='1'] 1",
                "create /cib/configuration/nodes 2",
                "create /cib/configuration/resources 0",
                "modify /cib/configuration/resources/primitive[@id='A'] -",
            ]
        );
        assert_eq!(
            patch.child("version").unwrap().to_text(),
            "<version><source admin_epoch=\"0\" epoch=\"1\" num_updates=\"2\"/>\
             <target admin_epoch=\"0\" epoch=\"2\" num_updates=\"0\"/></version>"
        );
        assert_eq!(
            patch.children_named("change").nth(2).unwrap().child("change-list").unwrap().to_text(),
            "<change-list><change-attr name=\"epoch\" operation=\"set\" value=\"2\"/>\
             <change-attr name=\"num_updates\" operation=\"set\" value=\"0\"/></change-list>"
        );
        assert!(diff(&old, &old.clone()).is_none());
    }
}
