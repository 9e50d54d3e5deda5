//! Addresses of nodes inside a tree: the way down from the root as child positions.
//!
//! A tree without parent pointers needs them wherever something was found that is to be edited,
//! removed, or named (`/cib/configuration/nodes/node[@id='1']`). An address is valid for the tree
//! it was made of, until that tree's shape changes above or before it.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::element::{Element, Node};

/// The way from the root to a node: at each level its position among all children (text and
/// comments count). Paths compare in document order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct NodePath(Vec<u32>);

impl NodePath {
    /// The root element.
    pub const fn root() -> NodePath {
        NodePath(Vec::new())
    }

    /// The child at that position below this node.
    #[must_use]
    pub fn child(&self, position: usize) -> NodePath {
        let mut steps = self.0.clone();
        steps.push(u32::try_from(position).unwrap_or(u32::MAX));
        NodePath(steps)
    }

    /// Goes down to the child at that position.
    pub fn push(&mut self, position: usize) {
        self.0.push(u32::try_from(position).unwrap_or(u32::MAX));
    }

    /// Goes up; false if this was the root.
    pub fn pop(&mut self) -> bool {
        self.0.pop().is_some()
    }

    /// True for the root element.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The node above; nothing above the root.
    pub fn parent(&self) -> Option<NodePath> {
        let (_, above) = self.0.split_last()?;
        Some(NodePath(above.to_vec()))
    }

    /// Position among the siblings; nothing for the root.
    pub fn position(&self) -> Option<usize> {
        self.0.last().map(|step| *step as usize)
    }

    /// The positions from the root down.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.0.iter().map(|step| *step as usize)
    }

    /// True if this node is `other` or lies below it.
    pub fn is_within(&self, other: &NodePath) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl FromIterator<usize> for NodePath {
    fn from_iter<I: IntoIterator<Item = usize>>(steps: I) -> NodePath {
        NodePath(steps.into_iter().map(|step| u32::try_from(step).unwrap_or(u32::MAX)).collect())
    }
}

impl Element {
    /// The element at that address below (or at) this one.
    pub fn element_at(&self, path: &NodePath) -> Option<&Element> {
        path.steps().try_fold(self, |element, step| match element.nodes().get(step) {
            Some(Node::Element(child)) => Some(child.as_ref()),
            _ => None,
        })
    }

    /// The element at that address, to edit. Shared elements on the way are copied.
    pub fn element_at_mut(&mut self, path: &NodePath) -> Option<&mut Element> {
        path.steps().try_fold(self, |element, step| match element.nodes_mut().get_mut(step) {
            Some(Node::Element(child)) => Some(Arc::make_mut(child)),
            _ => None,
        })
    }

    /// The node of any kind at that address; nothing for the root, which is no child.
    pub fn node_at(&self, path: &NodePath) -> Option<&Node> {
        self.element_at(&path.parent()?)?.nodes().get(path.position()?)
    }

    /// Takes out the node at that address. The root cannot be taken out of itself.
    pub fn remove_at(&mut self, path: &NodePath) -> Option<Node> {
        let position = path.position()?;
        let parent = self.element_at_mut(&path.parent()?)?;
        (position < parent.nodes().len()).then(|| parent.nodes_mut().remove(position))
    }

    /// The address as XPath, in pacemaker's form: `/TAG` or `/TAG[@id='ID']` per level, `/comment`
    /// for comments. Siblings of one name without ids are not told apart.
    ///
    /// Source: `spec/cib.md` §9.2.
    pub fn xpath_of(&self, path: &NodePath) -> String {
        let mut text = String::new();
        self.push_step(&mut text);
        let mut element = self;
        for step in path.steps() {
            match element.nodes().get(step) {
                Some(Node::Element(child)) => {
                    child.push_step(&mut text);
                    element = child;
                }
                Some(Node::Comment(_)) => {
                    text.push_str("/comment");
                    break;
                }
                Some(Node::Text(_)) => {
                    text.push_str("/text");
                    break;
                }
                None => break,
            }
        }
        text
    }

    /// Appends this element's step of an [`xpath_of`](Self::xpath_of) address.
    pub fn push_step(&self, text: &mut String) {
        text.push('/');
        text.push_str(self.name());
        if let Some(id) = self.id() {
            // Writing to a String cannot fail.
            let _ = write!(text, "[@id='{id}']");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_to_nodes() {
        let mut a = crate::parse("<a><!--c--><b id='1'><c/></b><d/></a>").unwrap();
        let c: NodePath = [1, 0].into_iter().collect();
        assert_eq!(a.element_at(&c).unwrap().name(), "c");
        assert_eq!(a.xpath_of(&c), "/a/b[@id='1']/c");
        assert_eq!(a.xpath_of(&NodePath::root().child(0)), "/a/comment");
        assert!(c.is_within(&NodePath::root().child(1)));
        assert!(a.element_at(&NodePath::root().child(0)).is_none());
        assert!(a.element_at(&NodePath::root().child(9)).is_none());
        assert!(a.remove_at(&NodePath::root()).is_none());
        assert!(matches!(a.remove_at(&NodePath::root().child(1)), Some(Node::Element(_))));
        assert_eq!(a.to_text(), "<a><!--c--><d/></a>");
    }
}
