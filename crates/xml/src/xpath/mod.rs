//! XPath 1.0: all axes, predicates, unions and the core function library, over [`Element`] trees.
//!
//! Users write these expressions in `cibadmin --xpath`, ACLs and scripts, so nothing less than the
//! language will do; and some of them are hostile, so nesting is bounded and every evaluation has
//! a budget. Results are addresses ([`NodePath`]): what was found can be edited or removed. The
//! expression that daemons use all day, `//name[@id='x']`, walks the tree directly.
//!
//! Not there: variables, namespaces (a prefix is part of the name, as everywhere in [`crate`]),
//! the namespace axis (always empty).

mod eval;
mod functions;
mod index;
mod lex;
mod parse;

use ecow::EcoString;

use crate::element::{Element, Node};
use crate::path::NodePath;

use eval::{Context, Eval};
use index::Index;
use parse::{Axis, Comparison, Expr, Start, Test};

/// Why an expression cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("XPath, column {}: {what}", position + 1)]
pub struct XPathError {
    /// Byte position in the expression.
    pub position: usize,
    /// What is wrong.
    pub what: String,
}

impl XPathError {
    fn at(position: usize, what: impl Into<String>) -> XPathError {
        XPathError { position, what: what.into() }
    }
}

/// One node of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Address of the element, text or comment; of the owner for an attribute.
    pub path: NodePath,
    /// What was matched there.
    pub kind: Kind,
}

/// What kind of node a [`Match`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The document above the root element.
    Document,
    /// An element.
    Element,
    /// Text.
    Text,
    /// A comment.
    Comment,
    /// The attribute of that name.
    Attribute(EcoString),
}

/// What an expression evaluates to.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nodes in document order.
    Nodes(Vec<Match>),
    /// A number.
    Number(f64),
    /// A string.
    Text(String),
    /// A boolean.
    Bool(bool),
}

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct XPath {
    expr: Expr,
}

impl XPath {
    /// Compiles an expression.
    ///
    /// # Errors
    /// Text that is no XPath, unknown functions and axes, variables, too deep nesting.
    pub fn parse(text: &str) -> Result<XPath, XPathError> {
        parse::parse(text).map(|expr| XPath { expr })
    }

    /// Evaluates the expression with the document as context.
    ///
    /// # Errors
    /// Wrong argument types, or an evaluation that costs too much.
    pub fn evaluate(&self, root: &Element) -> Result<Value, XPathError> {
        let mut eval = Eval::new(Index::new(root));
        let context = Context { node: (0, 0), position: 1, size: 1 };
        let item = eval.expr(&self.expr, context)?;
        Ok(eval.value(item))
    }

    /// Addresses of the elements that match, in document order. Matched attributes and texts are
    /// left out; an expression that is no node-set has no matches.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub fn paths(&self, root: &Element) -> Result<Vec<NodePath>, XPathError> {
        if let Some(simple) = self.simple() {
            let mut found = Vec::new();
            simple.walk(root, &mut NodePath::root(), &mut found);
            return Ok(found);
        }
        let Value::Nodes(nodes) = self.evaluate(root)? else { return Ok(Vec::new()) };
        let elements = nodes.into_iter().filter(|found| found.kind == Kind::Element);
        Ok(elements.map(|found| found.path).collect())
    }

    /// What Pacemaker takes the expression to mean: an attribute, text or comment stands for the
    /// element that holds it (which may so be found more than once), the document for its root
    /// element; a path that does not begin at the document leads nowhere.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub fn targets(&self, root: &Element) -> Result<Vec<NodePath>, XPathError> {
        if self.simple().is_some() {
            return self.paths(root);
        }
        let Some(expr) = anchored(&self.expr) else { return Ok(Vec::new()) };
        let Value::Nodes(nodes) = (XPath { expr }).evaluate(root)? else { return Ok(Vec::new()) };
        let holder = |found: Match| match found.kind {
            Kind::Element | Kind::Attribute(_) => Some(found.path),
            Kind::Text | Kind::Comment => found.path.parent(),
            Kind::Document => Some(NodePath::root()),
        };
        Ok(nodes.into_iter().filter_map(holder).collect())
    }

    /// The elements that match, in document order.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub fn elements<'a>(&self, root: &'a Element) -> Result<Vec<&'a Element>, XPathError> {
        let paths = self.paths(root)?;
        Ok(paths.iter().filter_map(|path| root.element_at(path)).collect())
    }

    /// The expression as `//name` or `//name[@attr='value']`, if it is that.
    fn simple(&self) -> Option<Simple<'_>> {
        let Expr::Path { start: Start::Document, predicates, steps } = &self.expr else {
            return None;
        };
        let ([], [step]) = (predicates.as_slice(), steps.as_slice()) else { return None };
        let (Axis::Descendant, Test::Name(name)) = (step.axis, &step.test) else { return None };
        let attr = match step.predicates.as_slice() {
            [] => None,
            [Expr::Compare(Comparison::Equal, left, right)] => {
                let Expr::Path { start: Start::Context, predicates, steps } = left.as_ref() else {
                    return None;
                };
                let ([], [of]) = (predicates.as_slice(), steps.as_slice()) else { return None };
                match (of.axis, &of.test, of.predicates.as_slice(), right.as_ref()) {
                    (Axis::Attribute, Test::Name(attr), [], Expr::Literal(value)) => {
                        Some((attr.as_str(), value.as_str()))
                    }
                    _ => return None,
                }
            }
            _ => return None,
        };
        Some(Simple { name, attr })
    }
}

/// The expression without its parts that begin at the context; `None` if nothing is left.
fn anchored(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Path { start: Start::Context, .. } => None,
        Expr::Path { start: Start::Expr(inner), predicates, steps } => {
            let start = Start::Expr(Box::new(anchored(inner)?));
            Some(Expr::Path { start, predicates: predicates.clone(), steps: steps.clone() })
        }
        Expr::Union(left, right) => match (anchored(left), anchored(right)) {
            (Some(left), Some(right)) => Some(Expr::Union(Box::new(left), Box::new(right))),
            (left, right) => left.or(right),
        },
        _ => Some(expr.clone()),
    }
}

/// Elements of a name, with an attribute of a value.
struct Simple<'x> {
    name: &'x str,
    attr: Option<(&'x str, &'x str)>,
}

impl Simple<'_> {
    fn walk(&self, element: &Element, path: &mut NodePath, found: &mut Vec<NodePath>) {
        let attr_fits = self.attr.is_none_or(|(attr, value)| element.get(attr) == Some(value));
        if element.name() == self.name && attr_fits {
            found.push(path.clone());
        }
        for (position, node) in element.nodes().iter().enumerate() {
            if let Node::Element(child) = node {
                path.push(position);
                self.walk(child, path, found);
                path.pop();
            }
        }
    }
}

impl Element {
    /// The elements an XPath matches, this element being the document element.
    ///
    /// # Errors
    /// As [`XPath::parse`] and [`XPath::evaluate`].
    pub fn xpath(&self, expr: &str) -> Result<Vec<&Element>, XPathError> {
        XPath::parse(expr)?.elements(self)
    }

    /// The first element an XPath matches.
    ///
    /// # Errors
    /// As [`xpath`](Self::xpath).
    pub fn xpath_first(&self, expr: &str) -> Result<Option<&Element>, XPathError> {
        Ok(self.xpath(expr)?.into_iter().next())
    }
}

#[cfg(test)]
mod tests;
