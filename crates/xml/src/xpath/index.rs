//! A flat view of a tree for the time of one evaluation: the nodes in document order, each with
//! its parent and the end of its subtree, so that every axis is a walk over numbers.

use crate::element::{Element, Node};
use crate::path::NodePath;

use super::parse::{Axis, Test};

/// A node of the view: the position in document order, and which attribute (from 1) or 0.
pub(super) type Id = (u32, u32);

/// What a node is.
#[derive(Clone, Copy)]
pub(super) enum What<'a> {
    Document,
    Element(&'a Element),
    Text(&'a str),
    Comment(&'a str),
}

struct Entry<'a> {
    what: What<'a>,
    parent: u32,
    /// One behind the last node of the subtree.
    end: u32,
    /// Position among the parent's children.
    position: u32,
}

/// The view.
pub(super) struct Index<'a> {
    entries: Vec<Entry<'a>>,
}

impl<'a> Index<'a> {
    pub(super) fn new(root: &'a Element) -> Index<'a> {
        let document = Entry { what: What::Document, parent: 0, end: 0, position: 0 };
        let mut index = Index { entries: vec![document] };
        index.add(root, 0, 0);
        index.entries[0].end = index.entries.len() as u32;
        index
    }

    fn add(&mut self, element: &'a Element, parent: u32, position: usize) {
        let own = self.entries.len() as u32;
        let position = position as u32;
        self.entries.push(Entry { what: What::Element(element), parent, end: 0, position });
        for (position, node) in element.nodes().iter().enumerate() {
            let what = match node {
                Node::Element(child) => {
                    self.add(child, own, position);
                    continue;
                }
                Node::Text(text) => What::Text(text),
                Node::Comment(text) => What::Comment(text),
            };
            let end = self.entries.len() as u32 + 1;
            self.entries.push(Entry { what, parent: own, end, position: position as u32 });
        }
        self.entries[own as usize].end = self.entries.len() as u32;
    }

    pub(super) fn what(&self, node: u32) -> What<'a> {
        self.entries.get(node as usize).map_or(What::Document, |entry| entry.what)
    }

    fn end(&self, node: u32) -> u32 {
        self.entries.get(node as usize).map_or(0, |entry| entry.end)
    }

    pub(super) fn parent(&self, node: u32) -> u32 {
        self.entries.get(node as usize).map_or(0, |entry| entry.parent)
    }

    /// Name and value of an attribute node.
    pub(super) fn attr(&self, id: Id) -> Option<(&'a str, &'a str)> {
        match self.what(id.0) {
            What::Element(element) => element.attrs().nth((id.1 as usize).checked_sub(1)?),
            _ => None,
        }
    }

    /// The way to an element, text or comment from the root element.
    pub(super) fn path(&self, node: u32) -> NodePath {
        let mut steps = Vec::new();
        let mut at = node;
        while at > 1 {
            let Some(entry) = self.entries.get(at as usize) else { break };
            steps.push(entry.position as usize);
            at = entry.parent;
        }
        steps.into_iter().rev().collect()
    }

    /// The string-value of a node (XPath 1.0 §5).
    pub(super) fn string_value(&self, id: Id) -> String {
        if id.1 != 0 {
            return self.attr(id).map_or_else(String::new, |(_, value)| value.to_owned());
        }
        match self.what(id.0) {
            What::Text(text) | What::Comment(text) => text.to_owned(),
            What::Document | What::Element(_) => {
                let mut joined = String::new();
                for node in id.0..self.end(id.0) {
                    if let What::Text(text) = self.what(node) {
                        joined.push_str(text);
                    }
                }
                joined
            }
        }
    }

    /// The nodes on an axis that pass a test, nearest first. `visit` is told how many were looked
    /// at and may stop the walk.
    pub(super) fn step<E>(
        &self,
        from: Id,
        axis: Axis,
        test: &Test,
        mut visit: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<Vec<Id>, E> {
        let mut found = Vec::new();
        let (node, attr) = from;
        let mut take = |id: Id| -> Result<(), E> {
            visit(1)?;
            if self.passes(id, axis, test) {
                found.push(id);
            }
            Ok(())
        };
        match axis {
            Axis::SelfNode => take(from)?,
            Axis::Attribute => {
                if let (0, What::Element(element)) = (attr, self.what(node)) {
                    for position in 1..=element.attrs().len() {
                        take((node, position as u32))?;
                    }
                }
            }
            Axis::Namespace => {}
            Axis::Child if attr == 0 => self.each_child(node, |child| take((child, 0)))?,
            Axis::Descendant if attr == 0 => {
                for below in node + 1..self.end(node) {
                    take((below, 0))?;
                }
            }
            Axis::DescendantOrSelf if attr == 0 => {
                for below in node..self.end(node) {
                    take((below, 0))?;
                }
            }
            Axis::DescendantOrSelf => take(from)?,
            Axis::Child | Axis::Descendant => {}
            Axis::Parent | Axis::Ancestor | Axis::AncestorOrSelf => {
                if axis == Axis::AncestorOrSelf {
                    take(from)?;
                }
                let mut at = node;
                if attr != 0 {
                    take((node, 0))?;
                    if axis == Axis::Parent {
                        return Ok(found);
                    }
                }
                while at != 0 {
                    at = self.parent(at);
                    take((at, 0))?;
                    if axis == Axis::Parent {
                        break;
                    }
                }
            }
            Axis::Following => {
                let first = if attr == 0 { self.end(node) } else { node + 1 };
                for after in first..self.end(0) {
                    take((after, 0))?;
                }
            }
            Axis::Preceding => {
                for before in (1..node).rev() {
                    // Ancestors (whose subtree holds the node) are not preceding.
                    if self.end(before) <= node {
                        take((before, 0))?;
                    }
                }
            }
            Axis::FollowingSibling if attr == 0 && node != 0 => {
                let stop = self.end(self.parent(node));
                let mut at = self.end(node);
                while at < stop {
                    take((at, 0))?;
                    at = self.end(at);
                }
            }
            Axis::PrecedingSibling if attr == 0 && node != 0 => {
                let mut before = Vec::new();
                self.each_child(self.parent(node), |child| {
                    if child < node {
                        before.push(child);
                    }
                    Ok(())
                })?;
                for sibling in before.into_iter().rev() {
                    take((sibling, 0))?;
                }
            }
            Axis::FollowingSibling | Axis::PrecedingSibling => {}
        }
        Ok(found)
    }

    fn each_child<E>(
        &self,
        node: u32,
        mut call: impl FnMut(u32) -> Result<(), E>,
    ) -> Result<(), E> {
        let stop = self.end(node);
        let mut at = node + 1;
        while at < stop {
            call(at)?;
            at = self.end(at);
        }
        Ok(())
    }

    fn passes(&self, id: Id, axis: Axis, test: &Test) -> bool {
        let name_passes = |name: &str| match test {
            Test::Any => true,
            Test::Name(wanted) => wanted == name,
            Test::Prefix(prefix) => name.starts_with(prefix.as_str()),
            _ => false,
        };
        match test {
            Test::Node => true,
            Test::ProcessingInstruction => false,
            Test::Text => id.1 == 0 && matches!(self.what(id.0), What::Text(_)),
            Test::Comment => id.1 == 0 && matches!(self.what(id.0), What::Comment(_)),
            Test::Any | Test::Name(_) | Test::Prefix(_) => match (id.1, self.what(id.0)) {
                (0, What::Element(element)) => {
                    axis != Axis::Attribute && name_passes(element.name())
                }
                (0, _) => false,
                _ => {
                    axis == Axis::Attribute
                        && self.attr(id).is_some_and(|(name, _)| name_passes(name))
                }
            },
        }
    }
}
