//! Evaluation: expressions over the flat view, with the conversions of XPath 1.0.

use super::functions;
use super::index::{Id, Index, What};
use super::parse::{Arithmetic, Comparison, Expr, Function, Start, Step};
use super::{Value, XPathError};

/// How many nodes one evaluation may look at. A scan of the largest CIB needs some hundred
/// thousand; a hostile expression would need minutes.
const BUDGET: usize = 50_000_000;

/// An intermediate result.
#[derive(Debug, Clone)]
pub(super) enum Item {
    /// In document order, without duplicates.
    Nodes(Vec<Id>),
    Number(f64),
    Text(String),
    Bool(bool),
}

/// The context of an expression.
#[derive(Clone, Copy)]
pub(super) struct Context {
    pub(super) node: Id,
    pub(super) position: usize,
    pub(super) size: usize,
}

/// One evaluation.
pub(super) struct Eval<'a> {
    pub(super) index: Index<'a>,
    left: usize,
}

type Result<T> = std::result::Result<T, XPathError>;

impl<'a> Eval<'a> {
    pub(super) fn new(index: Index<'a>) -> Eval<'a> {
        Eval { index, left: BUDGET }
    }

    pub(super) fn spend(&mut self, nodes: usize) -> Result<()> {
        match self.left.checked_sub(nodes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(XPathError::at(0, "the expression is too expensive for this document")),
        }
    }

    pub(super) fn expr(&mut self, expr: &Expr, context: Context) -> Result<Item> {
        Ok(match expr {
            Expr::Or(a, b) => Item::Bool(self.test(a, context)? || self.test(b, context)?),
            Expr::And(a, b) => Item::Bool(self.test(a, context)? && self.test(b, context)?),
            Expr::Compare(comparison, a, b) => {
                let (a, b) = (self.expr(a, context)?, self.expr(b, context)?);
                Item::Bool(self.compare(*comparison, &a, &b)?)
            }
            Expr::Arithmetic(operator, a, b) => {
                let (a, b) = (self.expr(a, context)?, self.expr(b, context)?);
                let (a, b) = (self.number(&a)?, self.number(&b)?);
                Item::Number(match operator {
                    Arithmetic::Add => a + b,
                    Arithmetic::Subtract => a - b,
                    Arithmetic::Multiply => a * b,
                    Arithmetic::Divide => a / b,
                    Arithmetic::Modulo => a % b,
                })
            }
            Expr::Negate(a) => {
                let a = self.expr(a, context)?;
                Item::Number(-self.number(&a)?)
            }
            Expr::Union(a, b) => {
                let mut nodes = self.nodes(a, context)?;
                nodes.extend(self.nodes(b, context)?);
                Item::Nodes(in_order(nodes))
            }
            Expr::Path { start, predicates, steps } => {
                Item::Nodes(self.path(start, predicates, steps, context)?)
            }
            Expr::Literal(text) => Item::Text(text.clone()),
            Expr::Number(number) => Item::Number(*number),
            Expr::Call(function, args) => self.call(*function, args, context)?,
        })
    }

    pub(super) fn nodes(&mut self, expr: &Expr, context: Context) -> Result<Vec<Id>> {
        match self.expr(expr, context)? {
            Item::Nodes(nodes) => Ok(nodes),
            _ => Err(XPathError::at(0, "expected a node-set")),
        }
    }

    fn test(&mut self, expr: &Expr, context: Context) -> Result<bool> {
        let item = self.expr(expr, context)?;
        Ok(boolean(&item))
    }

    fn path(
        &mut self,
        start: &Start,
        predicates: &[Expr],
        steps: &[Step],
        context: Context,
    ) -> Result<Vec<Id>> {
        let mut nodes = match start {
            Start::Document => vec![(0, 0)],
            Start::Context => vec![context.node],
            Start::Expr(expr) => self.nodes(expr, context)?,
        };
        nodes = self.filter(nodes, predicates)?;
        for step in steps {
            let mut next = Vec::new();
            for node in nodes {
                let left = &mut self.left;
                let found = self.index.step(node, step.axis, &step.test, |seen| {
                    *left = left.checked_sub(seen).ok_or(())?;
                    Ok(())
                });
                let found = match found {
                    Ok(found) => found,
                    Err(()) => return self.spend(usize::MAX).map(|()| Vec::new()),
                };
                next.extend(self.filter(found, &step.predicates)?);
            }
            nodes = in_order(next);
        }
        Ok(nodes)
    }

    /// Applies predicates one after the other; positions count in the given order.
    fn filter(&mut self, mut nodes: Vec<Id>, predicates: &[Expr]) -> Result<Vec<Id>> {
        for predicate in predicates {
            let size = nodes.len();
            self.spend(size)?;
            let mut kept = Vec::new();
            for (at, node) in nodes.into_iter().enumerate() {
                let context = Context { node, position: at + 1, size };
                let keep = match self.expr(predicate, context)? {
                    Item::Number(number) => number == context.position as f64,
                    other => boolean(&other),
                };
                if keep {
                    kept.push(node);
                }
            }
            nodes = kept;
        }
        Ok(nodes)
    }

    fn call(&mut self, function: Function, args: &[Expr], context: Context) -> Result<Item> {
        let mut values = Vec::with_capacity(args.len());
        for arg in args {
            values.push(self.expr(arg, context)?);
        }
        functions::call(self, function, values, context)
    }

    // --- conversions ------------------------------------------------------------------------

    pub(super) fn text(&mut self, item: &Item) -> Result<String> {
        Ok(match item {
            Item::Nodes(nodes) => match nodes.first() {
                Some(node) => self.string_value(*node)?,
                None => String::new(),
            },
            Item::Number(number) => number_text(*number),
            Item::Text(text) => text.clone(),
            Item::Bool(value) => value.to_string(),
        })
    }

    pub(super) fn string_value(&mut self, node: Id) -> Result<String> {
        let text = self.index.string_value(node);
        self.spend(1 + text.len() / 8)?;
        Ok(text)
    }

    pub(super) fn number(&mut self, item: &Item) -> Result<f64> {
        Ok(match item {
            Item::Nodes(_) => to_number(&self.text(item)?),
            Item::Number(number) => *number,
            Item::Text(text) => to_number(text),
            Item::Bool(value) => f64::from(u8::from(*value)),
        })
    }

    fn compare(&mut self, comparison: Comparison, a: &Item, b: &Item) -> Result<bool> {
        match (a, b) {
            (Item::Nodes(nodes), Item::Nodes(others)) => {
                let mut texts = Vec::with_capacity(others.len());
                for other in others {
                    texts.push(Item::Text(self.string_value(*other)?));
                }
                for node in nodes {
                    let text = Item::Text(self.string_value(*node)?);
                    self.spend(texts.len())?;
                    if texts.iter().any(|other| compare_values(comparison, &text, other)) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            (Item::Nodes(nodes), Item::Bool(value)) => {
                let has = Item::Bool(!nodes.is_empty());
                Ok(compare_values(comparison, &has, &Item::Bool(*value)))
            }
            (Item::Bool(value), Item::Nodes(nodes)) => {
                let has = Item::Bool(!nodes.is_empty());
                Ok(compare_values(comparison, &Item::Bool(*value), &has))
            }
            (Item::Nodes(nodes), other) => {
                for node in nodes {
                    let text = Item::Text(self.string_value(*node)?);
                    if compare_values(comparison, &text, other) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            (other, Item::Nodes(nodes)) => {
                for node in nodes {
                    let text = Item::Text(self.string_value(*node)?);
                    if compare_values(comparison, other, &text) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            (a, b) => Ok(compare_values(comparison, a, b)),
        }
    }

    /// The result for the outside world.
    pub(super) fn value(&self, item: Item) -> Value {
        match item {
            Item::Nodes(nodes) => Value::Nodes(
                nodes
                    .into_iter()
                    .map(|id| super::Match {
                        path: self.index.path(id.0),
                        kind: match (id.1, self.index.what(id.0)) {
                            (0, What::Document) => super::Kind::Document,
                            (0, What::Element(_)) => super::Kind::Element,
                            (0, What::Text(_)) => super::Kind::Text,
                            (0, What::Comment(_)) => super::Kind::Comment,
                            _ => super::Kind::Attribute(
                                self.index.attr(id).map_or("", |(name, _)| name).into(),
                            ),
                        },
                    })
                    .collect(),
            ),
            Item::Number(number) => Value::Number(number),
            Item::Text(text) => Value::Text(text),
            Item::Bool(value) => Value::Bool(value),
        }
    }
}

/// Compares two values that are no node-sets.
fn compare_values(comparison: Comparison, a: &Item, b: &Item) -> bool {
    let number = |item: &Item| match item {
        Item::Number(number) => *number,
        Item::Text(text) => to_number(text),
        Item::Bool(value) => f64::from(u8::from(*value)),
        Item::Nodes(_) => f64::NAN,
    };
    let equal = || match (a, b) {
        (Item::Bool(_), _) | (_, Item::Bool(_)) => boolean(a) == boolean(b),
        (Item::Number(_), _) | (_, Item::Number(_)) => number(a) == number(b),
        (Item::Text(a), Item::Text(b)) => a == b,
        (Item::Nodes(_), _) | (_, Item::Nodes(_)) => false,
    };
    match comparison {
        Comparison::Equal => equal(),
        // NaN differs from everything, so this is not `!equal()` by accident.
        Comparison::NotEqual => !equal(),
        Comparison::Less => number(a) < number(b),
        Comparison::LessEqual => number(a) <= number(b),
        Comparison::Greater => number(a) > number(b),
        Comparison::GreaterEqual => number(a) >= number(b),
    }
}

pub(super) fn boolean(item: &Item) -> bool {
    match item {
        Item::Nodes(nodes) => !nodes.is_empty(),
        Item::Number(number) => *number != 0.0 && !number.is_nan(),
        Item::Text(text) => !text.is_empty(),
        Item::Bool(value) => *value,
    }
}

pub(super) fn in_order(mut nodes: Vec<Id>) -> Vec<Id> {
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

/// number(): optional white space, `-`, digits with a dot; everything else is not a number.
pub(super) fn to_number(text: &str) -> f64 {
    let trimmed = text.trim_matches([' ', '\t', '\n', '\r']);
    let digits = trimmed.strip_prefix('-').unwrap_or(trimmed);
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let any = digits.bytes().any(|b| b.is_ascii_digit());
    if plain && any { trimmed.parse().unwrap_or(f64::NAN) } else { f64::NAN }
}

/// string() of a number: integers without a point, never an exponent.
pub(super) fn number_text(number: f64) -> String {
    if number.is_nan() {
        "NaN".into()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity".into() } else { "-Infinity".into() }
    } else if number == 0.0 {
        "0".into()
    } else {
        number.to_string()
    }
}
