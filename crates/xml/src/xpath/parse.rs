//! Words to expression tree, by recursive descent over the grammar of XPath 1.0.

use super::XPathError;
use super::lex::{Token, lex};

/// How deep expressions may nest. Users write three levels; the stack takes these.
const NESTING_MAX: usize = 64;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    Or(Box<Expr>, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    Negate(Box<Expr>),
    Union(Box<Expr>, Box<Expr>),
    /// Where to start, predicates on that, and the way from there.
    Path {
        start: Start,
        predicates: Vec<Expr>,
        steps: Vec<Step>,
    },
    Literal(String),
    Number(f64),
    Call(Function, Vec<Expr>),
}

/// What a path starts at.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Start {
    Document,
    Context,
    Expr(Box<Expr>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub(super) axis: Axis,
    pub(super) test: Test,
    pub(super) predicates: Vec<Expr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    Ancestor,
    AncestorOrSelf,
    Attribute,
    Child,
    Descendant,
    DescendantOrSelf,
    Following,
    FollowingSibling,
    Namespace,
    Parent,
    Preceding,
    PrecedingSibling,
    SelfNode,
}

impl Axis {
    fn of(name: &str) -> Option<Axis> {
        Some(match name {
            "ancestor" => Axis::Ancestor,
            "ancestor-or-self" => Axis::AncestorOrSelf,
            "attribute" => Axis::Attribute,
            "child" => Axis::Child,
            "descendant" => Axis::Descendant,
            "descendant-or-self" => Axis::DescendantOrSelf,
            "following" => Axis::Following,
            "following-sibling" => Axis::FollowingSibling,
            "namespace" => Axis::Namespace,
            "parent" => Axis::Parent,
            "preceding" => Axis::Preceding,
            "preceding-sibling" => Axis::PrecedingSibling,
            "self" => Axis::SelfNode,
            _ => return None,
        })
    }
}

/// What a step accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    Any,
    Name(String),
    Prefix(String),
    Node,
    Text,
    Comment,
    ProcessingInstruction,
}

macro_rules! functions {
    ($($variant:ident $name:literal $min:literal $max:literal,)+) => {
        /// The core function library.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Function { $($variant,)+ }

        impl Function {
            /// The function, and how many arguments it takes.
            fn of(name: &str) -> Option<(Function, usize, usize)> {
                match name { $($name => Some((Function::$variant, $min, $max)),)+ _ => None }
            }
        }
    };
}

functions! {
    Last "last" 0 0, Position "position" 0 0, Count "count" 1 1, Id "id" 1 1,
    LocalName "local-name" 0 1, NamespaceUri "namespace-uri" 0 1, Name "name" 0 1,
    String "string" 0 1, Concat "concat" 2 64, StartsWith "starts-with" 2 2,
    Contains "contains" 2 2, SubstringBefore "substring-before" 2 2,
    SubstringAfter "substring-after" 2 2, Substring "substring" 2 3,
    StringLength "string-length" 0 1, NormalizeSpace "normalize-space" 0 1,
    Translate "translate" 3 3, Boolean "boolean" 1 1, Not "not" 1 1, True "true" 0 0,
    False "false" 0 0, Lang "lang" 1 1, Number "number" 0 1, Sum "sum" 1 1, Floor "floor" 1 1,
    Ceiling "ceiling" 1 1, Round "round" 1 1,
}

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Expr, XPathError> {
    let mut parser = Parser { tokens: lex(text)?, at: 0, depth: 0, end: text.len() };
    let expr = parser.or_expr()?;
    match parser.tokens.get(parser.at) {
        None => Ok(expr),
        Some((_, position)) => Err(XPathError::at(*position, "unexpected end of expression here")),
    }
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
    end: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn peek_after(&self) -> Option<&Token> {
        self.tokens.get(self.at + 1).map(|(token, _)| token)
    }

    fn eat(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    fn error<T>(&self, what: impl Into<String>) -> Result<T, XPathError> {
        let at = self.tokens.get(self.at).map_or(self.end, |(_, position)| *position);
        Err(XPathError::at(at, what))
    }

    fn expect(&mut self, token: &Token, what: &str) -> Result<(), XPathError> {
        if self.eat(token) { Ok(()) } else { self.error(format!("expected {what}")) }
    }

    fn or_expr(&mut self) -> Result<Expr, XPathError> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return self.error("expressions nest too deep");
        }
        let mut left = self.and_expr()?;
        while self.eat(&Token::Or) {
            left = Expr::Or(Box::new(left), Box::new(self.and_expr()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn and_expr(&mut self) -> Result<Expr, XPathError> {
        let mut left = self.equality()?;
        while self.eat(&Token::And) {
            left = Expr::And(Box::new(left), Box::new(self.equality()?));
        }
        Ok(left)
    }

    fn equality(&mut self) -> Result<Expr, XPathError> {
        let mut left = self.relational()?;
        loop {
            let comparison = match self.peek() {
                Some(Token::Equal) => Comparison::Equal,
                Some(Token::NotEqual) => Comparison::NotEqual,
                _ => return Ok(left),
            };
            self.at += 1;
            left = Expr::Compare(comparison, Box::new(left), Box::new(self.relational()?));
        }
    }

    fn relational(&mut self) -> Result<Expr, XPathError> {
        let mut left = self.additive()?;
        loop {
            let comparison = match self.peek() {
                Some(Token::Less) => Comparison::Less,
                Some(Token::LessEqual) => Comparison::LessEqual,
                Some(Token::Greater) => Comparison::Greater,
                Some(Token::GreaterEqual) => Comparison::GreaterEqual,
                _ => return Ok(left),
            };
            self.at += 1;
            left = Expr::Compare(comparison, Box::new(left), Box::new(self.additive()?));
        }
    }

    fn additive(&mut self) -> Result<Expr, XPathError> {
        let mut left = self.multiplicative()?;
        loop {
            let operator = match self.peek() {
                Some(Token::Plus) => Arithmetic::Add,
                Some(Token::Minus) => Arithmetic::Subtract,
                _ => return Ok(left),
            };
            self.at += 1;
            left = Expr::Arithmetic(operator, Box::new(left), Box::new(self.multiplicative()?));
        }
    }

    fn multiplicative(&mut self) -> Result<Expr, XPathError> {
        let mut left = self.unary()?;
        loop {
            let operator = match self.peek() {
                Some(Token::Multiply) => Arithmetic::Multiply,
                Some(Token::Div) => Arithmetic::Divide,
                Some(Token::Mod) => Arithmetic::Modulo,
                _ => return Ok(left),
            };
            self.at += 1;
            left = Expr::Arithmetic(operator, Box::new(left), Box::new(self.unary()?));
        }
    }

    fn unary(&mut self) -> Result<Expr, XPathError> {
        let mut minuses = 0_usize;
        while self.eat(&Token::Minus) {
            minuses += 1;
        }
        let expr = self.union()?;
        // Two minuses are not nothing: they convert to a number.
        Ok(match minuses {
            0 => expr,
            odd if odd % 2 == 1 => Expr::Negate(Box::new(expr)),
            _ => Expr::Negate(Box::new(Expr::Negate(Box::new(expr)))),
        })
    }

    fn union(&mut self) -> Result<Expr, XPathError> {
        let mut left = self.path()?;
        while self.eat(&Token::Pipe) {
            left = Expr::Union(Box::new(left), Box::new(self.path()?));
        }
        Ok(left)
    }

    fn path(&mut self) -> Result<Expr, XPathError> {
        if self.starts_filter() {
            return self.filter_path();
        }
        let mut steps = Vec::new();
        let start = match self.peek() {
            Some(Token::Slash) => {
                self.at += 1;
                if self.starts_step() {
                    self.relative(&mut steps)?;
                }
                Start::Document
            }
            Some(Token::DoubleSlash) => {
                self.at += 1;
                steps.push(any_depth());
                self.relative(&mut steps)?;
                Start::Document
            }
            _ => {
                self.relative(&mut steps)?;
                Start::Context
            }
        };
        Ok(Expr::Path { start, predicates: Vec::new(), steps: join_descents(steps) })
    }

    /// A primary expression (not a location path) stands here.
    fn starts_filter(&self) -> bool {
        match self.peek() {
            Some(Token::Open | Token::Literal(_) | Token::Number(_)) => true,
            Some(Token::Name(name)) => {
                self.peek_after() == Some(&Token::Open) && !is_node_type(name)
            }
            _ => false,
        }
    }

    fn starts_step(&self) -> bool {
        matches!(
            self.peek(),
            Some(Token::Name(_) | Token::Star | Token::At | Token::Dot | Token::DotDot)
        )
    }

    fn filter_path(&mut self) -> Result<Expr, XPathError> {
        let primary = self.primary()?;
        let predicates = self.predicates()?;
        let mut steps = Vec::new();
        match self.peek() {
            Some(Token::Slash) => {
                self.at += 1;
                self.relative(&mut steps)?;
            }
            Some(Token::DoubleSlash) => {
                self.at += 1;
                steps.push(any_depth());
                self.relative(&mut steps)?;
            }
            _ if predicates.is_empty() => return Ok(primary),
            _ => {}
        }
        let start = Start::Expr(Box::new(primary));
        Ok(Expr::Path { start, predicates, steps: join_descents(steps) })
    }

    fn primary(&mut self) -> Result<Expr, XPathError> {
        match self.peek().cloned() {
            Some(Token::Open) => {
                self.at += 1;
                let expr = self.or_expr()?;
                self.expect(&Token::Close, "`)`")?;
                Ok(expr)
            }
            Some(Token::Literal(text)) => {
                self.at += 1;
                Ok(Expr::Literal(text))
            }
            Some(Token::Number(number)) => {
                self.at += 1;
                Ok(Expr::Number(number))
            }
            Some(Token::Name(name)) => self.call(&name),
            _ => self.error("expected an expression"),
        }
    }

    fn call(&mut self, name: &str) -> Result<Expr, XPathError> {
        let Some((function, min, max)) = Function::of(name) else {
            return self.error(format!("unknown function `{name}`"));
        };
        self.at += 2;
        let mut args = Vec::new();
        if !self.eat(&Token::Close) {
            loop {
                args.push(self.or_expr()?);
                if !self.eat(&Token::Comma) {
                    break;
                }
            }
            self.expect(&Token::Close, "`)`")?;
        }
        if args.len() < min || args.len() > max {
            return self.error(format!("{name}() does not take {} arguments", args.len()));
        }
        Ok(Expr::Call(function, args))
    }

    fn relative(&mut self, steps: &mut Vec<Step>) -> Result<(), XPathError> {
        loop {
            steps.push(self.step()?);
            if self.eat(&Token::DoubleSlash) {
                steps.push(any_depth());
            } else if !self.eat(&Token::Slash) {
                return Ok(());
            }
        }
    }

    fn step(&mut self) -> Result<Step, XPathError> {
        let abbreviated = |axis| Step { axis, test: Test::Node, predicates: Vec::new() };
        if self.eat(&Token::Dot) {
            return Ok(abbreviated(Axis::SelfNode));
        }
        if self.eat(&Token::DotDot) {
            return Ok(abbreviated(Axis::Parent));
        }
        let axis = if self.eat(&Token::At) {
            Axis::Attribute
        } else if let (Some(Token::Name(name)), Some(Token::Axis)) =
            (self.peek(), self.peek_after())
        {
            let Some(axis) = Axis::of(name) else {
                return self.error(format!("unknown axis `{name}`"));
            };
            self.at += 2;
            axis
        } else {
            Axis::Child
        };
        let test = self.test()?;
        Ok(Step { axis, test, predicates: self.predicates()? })
    }

    fn test(&mut self) -> Result<Test, XPathError> {
        match self.peek().cloned() {
            Some(Token::Star) => {
                self.at += 1;
                Ok(Test::Any)
            }
            Some(Token::Name(name)) if self.peek_after() == Some(&Token::Open) => {
                let test = match name.as_str() {
                    "node" => Test::Node,
                    "text" => Test::Text,
                    "comment" => Test::Comment,
                    "processing-instruction" => Test::ProcessingInstruction,
                    _ => return self.error(format!("`{name}` is no node type")),
                };
                self.at += 2;
                if test == Test::ProcessingInstruction
                    && matches!(self.peek(), Some(Token::Literal(_)))
                {
                    self.at += 1;
                }
                self.expect(&Token::Close, "`)`")?;
                Ok(test)
            }
            Some(Token::Name(name)) => {
                self.at += 1;
                Ok(match name.strip_suffix('*') {
                    Some(prefix) => Test::Prefix(prefix.to_owned()),
                    None => Test::Name(name),
                })
            }
            _ => self.error("expected a name, `*` or a node type"),
        }
    }

    fn predicates(&mut self) -> Result<Vec<Expr>, XPathError> {
        let mut predicates = Vec::new();
        while self.eat(&Token::OpenBracket) {
            predicates.push(self.or_expr()?);
            self.expect(&Token::CloseBracket, "`]`")?;
        }
        Ok(predicates)
    }
}

fn is_node_type(name: &str) -> bool {
    matches!(name, "node" | "text" | "comment" | "processing-instruction")
}

fn any_depth() -> Step {
    Step { axis: Axis::DescendantOrSelf, test: Test::Node, predicates: Vec::new() }
}

/// `//a[b]` is `/descendant-or-self::node()/child::a[b]`; where no predicate asks for a position
/// that is the much cheaper `/descendant::a[b]`.
fn join_descents(steps: Vec<Step>) -> Vec<Step> {
    let mut joined: Vec<Step> = Vec::with_capacity(steps.len());
    for mut step in steps {
        if step.axis == Axis::Child
            && joined.last().is_some_and(|last| *last == any_depth())
            && !step.predicates.iter().any(is_positional)
        {
            joined.pop();
            step.axis = Axis::Descendant;
        }
        joined.push(step);
    }
    joined
}

/// True unless the predicate certainly does not depend on the node's position.
fn is_positional(predicate: &Expr) -> bool {
    let may_be_number = !matches!(
        predicate,
        Expr::Or(..)
            | Expr::And(..)
            | Expr::Compare(..)
            | Expr::Union(..)
            | Expr::Path { .. }
            | Expr::Literal(_)
            | Expr::Call(
                Function::Not
                    | Function::Boolean
                    | Function::True
                    | Function::False
                    | Function::Contains
                    | Function::StartsWith,
                _
            )
    );
    may_be_number || asks_position(predicate)
}

/// position() or last() of this very context (not of an inner predicate) occurs.
fn asks_position(expr: &Expr) -> bool {
    match expr {
        Expr::Or(a, b)
        | Expr::And(a, b)
        | Expr::Compare(_, a, b)
        | Expr::Arithmetic(_, a, b)
        | Expr::Union(a, b) => asks_position(a) || asks_position(b),
        Expr::Negate(a) => asks_position(a),
        Expr::Call(Function::Position | Function::Last, _) => true,
        Expr::Call(_, args) => args.iter().any(asks_position),
        Expr::Path { start: Start::Expr(start), .. } => asks_position(start),
        Expr::Path { .. } | Expr::Literal(_) | Expr::Number(_) => false,
    }
}
