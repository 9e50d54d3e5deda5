//! The tree itself.

use std::sync::Arc;

use ecow::EcoString;

use crate::attrs::Attrs;

/// A child of an element.
#[derive(Clone, PartialEq, Debug)]
pub enum Node {
    /// An element, shared with other versions of the document.
    Element(Arc<Element>),
    /// Text, unescaped; never only white space next to elements.
    Text(EcoString),
    /// A comment, without its marks.
    Comment(EcoString),
}

/// An XML element. Equality is by content and order, including the order of attributes.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Element {
    name: EcoString,
    attrs: Attrs,
    children: Vec<Node>,
    /// Where the start tag was in the text it was parsed from.
    place: Place,
}

/// 1-based line and column that do not take part in equality; 0 if there are none.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    line: u32,
    column: u32,
}

impl PartialEq for Place {
    fn eq(&self, _: &Place) -> bool {
        true
    }
}

impl Element {
    /// An element without attributes and children.
    pub fn new(name: impl Into<EcoString>) -> Element {
        Element { name: name.into(), ..Element::default() }
    }

    /// Adds or replaces an attribute, for building: `Element::new("node").with("id", "1")`.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<str>) -> Element {
        self.set(name, value);
        self
    }

    /// Appends a child, for building.
    #[must_use]
    pub fn with_child(mut self, child: Element) -> Element {
        self.push(child);
        self
    }

    /// The tag name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives it another tag name.
    pub fn rename(&mut self, name: impl Into<EcoString>) {
        self.name = name.into();
    }

    /// Line of the start tag in the parsed text, if it came from one.
    pub fn line(&self) -> Option<u32> {
        (self.place.line != 0).then_some(self.place.line)
    }

    /// Column of the start tag in the parsed text (in bytes, from 1), if it came from one.
    pub fn column(&self) -> Option<u32> {
        (self.place.line != 0).then_some(self.place.column)
    }

    pub(crate) fn set_place(&mut self, line: u32, column: u32) {
        self.place = Place { line, column };
    }

    // --- attributes -------------------------------------------------------------------------

    /// The value of an attribute.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attrs.get(name)
    }

    /// Shorthand for the attribute `id`.
    pub fn id(&self) -> Option<&str> {
        self.get("id")
    }

    /// True if the attribute is there.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All attributes in document order.
    pub fn attrs(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        self.attrs.iter()
    }

    /// Sets an attribute: in place if it exists, else behind the last one.
    pub fn set(&mut self, name: &str, value: impl AsRef<str>) {
        self.attrs.set(name, value.as_ref());
    }

    pub(crate) fn set_attrs(&mut self, attrs: Attrs) {
        self.attrs = attrs;
    }

    /// Removes an attribute and returns its value.
    pub fn unset(&mut self, name: &str) -> Option<EcoString> {
        self.attrs.unset(name)
    }

    /// Keeps the attributes for which `keep(name, value)` holds.
    pub fn retain_attrs(&mut self, keep: impl FnMut(&str, &str) -> bool) {
        self.attrs.retain(keep);
    }

    /// Sorts the attributes by name (bytewise), as digests of operations want them.
    pub fn sort_attrs(&mut self) {
        self.attrs.sort();
    }

    // --- children ---------------------------------------------------------------------------

    /// All children, with text and comments.
    pub fn nodes(&self) -> &[Node] {
        &self.children
    }

    /// All children to edit. Elements in it are shared: use [`Arc::make_mut`].
    pub fn nodes_mut(&mut self) -> &mut Vec<Node> {
        &mut self.children
    }

    /// Child elements in order.
    pub fn children(&self) -> impl DoubleEndedIterator<Item = &Element> + Clone {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element.as_ref()),
            Node::Text(_) | Node::Comment(_) => None,
        })
    }

    /// Child elements in order, as shared pointers.
    pub fn shared_children(&self) -> impl DoubleEndedIterator<Item = &Arc<Element>> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) | Node::Comment(_) => None,
        })
    }

    /// Child elements to edit (those that other versions share are copied first).
    pub fn children_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Element> {
        self.children.iter_mut().filter_map(|node| match node {
            Node::Element(element) => Some(Arc::make_mut(element)),
            Node::Text(_) | Node::Comment(_) => None,
        })
    }

    /// Child elements of one name.
    pub fn children_named<'a>(
        &'a self,
        name: &'a str,
    ) -> impl DoubleEndedIterator<Item = &'a Element> {
        self.children().filter(move |child| child.name == name)
    }

    /// The first child element of that name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children().find(|child| child.name == name)
    }

    /// The first child element of that name, to edit.
    pub fn child_mut(&mut self, name: &str) -> Option<&mut Element> {
        self.children.iter_mut().find_map(|node| match node {
            Node::Element(element) if element.name == name => Some(Arc::make_mut(element)),
            _ => None,
        })
    }

    /// The first child element of that name, appended if there was none.
    pub fn child_or_new(&mut self, name: &str) -> &mut Element {
        let at = self
            .children
            .iter()
            .position(|node| matches!(node, Node::Element(element) if element.name == name));
        let at = at.unwrap_or_else(|| {
            self.push(Element::new(name));
            self.children.len() - 1
        });
        match &mut self.children[at] {
            Node::Element(element) => Arc::make_mut(element),
            Node::Text(_) | Node::Comment(_) => unreachable!("position found an element"),
        }
    }

    /// Walks down child names: `at(&["configuration", "resources"])`.
    pub fn at(&self, path: &[&str]) -> Option<&Element> {
        path.iter().try_fold(self, |element, name| element.child(name))
    }

    /// Walks down child names, to edit.
    pub fn at_mut(&mut self, path: &[&str]) -> Option<&mut Element> {
        path.iter().try_fold(self, |element, name| element.child_mut(name))
    }

    /// The first child element with that name and `id`.
    pub fn child_with_id(&self, name: &str, id: &str) -> Option<&Element> {
        self.children().find(|child| child.name == name && child.id() == Some(id))
    }

    /// The first child element with that name and `id`, to edit.
    pub fn child_with_id_mut(&mut self, name: &str, id: &str) -> Option<&mut Element> {
        self.children.iter_mut().find_map(|node| match node {
            Node::Element(e) if e.name == name && e.id() == Some(id) => Some(Arc::make_mut(e)),
            _ => None,
        })
    }

    /// True if there are no child elements.
    pub fn is_leaf(&self) -> bool {
        self.children().next().is_none()
    }

    /// Appends a child element.
    pub fn push(&mut self, child: impl Into<Arc<Element>>) {
        if self.children.is_empty() {
            // Most parents of one child have no other.
            self.children.reserve_exact(1);
        }
        self.children.push(Node::Element(child.into()));
    }

    /// Appends text. Empty text is dropped.
    pub fn push_text(&mut self, text: impl Into<EcoString>) {
        let text = text.into();
        if !text.is_empty() {
            self.children.push(Node::Text(text));
        }
    }

    /// Keeps the child elements for which `keep` holds; text and comments stay.
    pub fn retain_children(&mut self, mut keep: impl FnMut(&Element) -> bool) {
        self.children.retain(|node| match node {
            Node::Element(element) => keep(element),
            Node::Text(_) | Node::Comment(_) => true,
        });
    }

    /// Removes all children of every kind.
    pub fn clear_children(&mut self) {
        self.children.clear();
    }

    /// The text directly inside this element, joined.
    pub fn text(&self) -> EcoString {
        let mut joined = EcoString::new();
        for node in &self.children {
            if let Node::Text(text) = node {
                joined.push_str(text);
            }
        }
        joined
    }

    /// This element and all below it, in document order.
    pub fn descendants(&self) -> impl Iterator<Item = &Element> {
        let mut stack = vec![self];
        std::iter::from_fn(move || {
            let next = stack.pop()?;
            stack.extend(next.children().rev());
            Some(next)
        })
    }

    /// The first element (this one included, in document order) whose `id` is that.
    pub fn find_id(&self, id: &str) -> Option<&Element> {
        self.descendants().find(|element| element.id() == Some(id))
    }

    /// Calls `edit` on this element and all below it, in document order. Copies everything that
    /// is shared, so it is for small trees and whole rewrites.
    pub fn for_each_mut(&mut self, edit: &mut impl FnMut(&mut Element)) {
        edit(self);
        for child in self.children_mut() {
            child.for_each_mut(edit);
        }
    }
}

/// Deep trees must not overflow the stack when they are dropped (the parser bounds the depth, so
/// recursion is safe; this constant is what it bounds it to).
pub(crate) const DEPTH_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_shares_until_written() {
        let a = crate::parse("<a><b id='1'/><c id='2'/></a>").unwrap();
        let mut b = a.clone();
        b.child_mut("b").unwrap().set("id", "9");
        assert_eq!(a.child("b").unwrap().id(), Some("1"));
        assert_eq!(b.child("b").unwrap().id(), Some("9"));
        let (c_in_a, c_in_b) =
            (a.shared_children().nth(1).unwrap(), b.shared_children().nth(1).unwrap());
        assert!(Arc::ptr_eq(c_in_a, c_in_b));
    }

    #[test]
    fn descendants_come_in_document_order() {
        let a = crate::parse("<a><b><c/></b><d/></a>").unwrap();
        let names: Vec<_> = a.descendants().map(Element::name).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
    }
}
