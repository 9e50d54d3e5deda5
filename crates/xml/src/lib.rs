//! The XML tree that everything above works on: parse, edit, canonical text.
//!
//! An [`Element`] owns its name, its attributes in document order and its children. Children are
//! shared ([`Arc`](std::sync::Arc)) and copied when written to: cloning a document is one pointer,
//! a change costs the path from the root to the changed element, and a comparison can skip what
//! two documents share (`Element::ptr_eq_child`). There are no parent pointers; code that needs
//! the way back keeps the path.
//!
//! What the tree does not keep: DTDs (refused: entities are how XML attacks), processing
//! instructions, and text that is only white space between elements.

mod attrs;
mod element;
mod parse;
mod path;
mod write;
pub mod xpath;

pub use element::{Element, Node};
pub use parse::{ParseError, parse};
pub use path::NodePath;
pub use write::{escape_attr, escape_text};
pub use xpath::XPath;
