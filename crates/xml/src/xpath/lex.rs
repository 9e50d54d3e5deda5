//! XPath's words, with the two rules of the recommendation (§3.7) that make `*`, `and`, `or`,
//! `mod` and `div` operators or names depending on what stands before them.

use super::XPathError;

/// One word.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Name(String),
    Literal(String),
    Number(f64),
    Slash,
    DoubleSlash,
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    Dot,
    DotDot,
    At,
    Comma,
    Axis,
    Star,
    Pipe,
    Plus,
    Minus,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    And,
    Or,
    Mod,
    Div,
    Multiply,
}

impl Token {
    /// True if a following `*` or operator word is an operator.
    fn ends_operand(&self) -> bool {
        matches!(
            self,
            Token::Name(_)
                | Token::Literal(_)
                | Token::Number(_)
                | Token::Close
                | Token::CloseBracket
                | Token::Dot
                | Token::DotDot
                | Token::Star
        )
    }
}

/// Splits an expression into words, each with its byte position.
pub(super) fn lex(text: &str) -> Result<Vec<(Token, usize)>, XPathError> {
    let bytes = text.as_bytes();
    let mut tokens: Vec<(Token, usize)> = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        let after_operand = tokens.last().is_some_and(|(token, _)| token.ends_operand());
        let next = bytes.get(at + 1).copied();
        let (token, len) = match (byte, next) {
            (b' ' | b'\t' | b'\n' | b'\r', _) => {
                at += 1;
                continue;
            }
            (b'/', Some(b'/')) => (Token::DoubleSlash, 2),
            (b'/', _) => (Token::Slash, 1),
            (b'(', _) => (Token::Open, 1),
            (b')', _) => (Token::Close, 1),
            (b'[', _) => (Token::OpenBracket, 1),
            (b']', _) => (Token::CloseBracket, 1),
            (b'@', _) => (Token::At, 1),
            (b',', _) => (Token::Comma, 1),
            (b':', Some(b':')) => (Token::Axis, 2),
            (b'|', _) => (Token::Pipe, 1),
            (b'+', _) => (Token::Plus, 1),
            (b'-', _) => (Token::Minus, 1),
            (b'=', _) => (Token::Equal, 1),
            (b'!', Some(b'=')) => (Token::NotEqual, 2),
            (b'<', Some(b'=')) => (Token::LessEqual, 2),
            (b'<', _) => (Token::Less, 1),
            (b'>', Some(b'=')) => (Token::GreaterEqual, 2),
            (b'>', _) => (Token::Greater, 1),
            (b'*', _) if after_operand => (Token::Multiply, 1),
            (b'*', _) => (Token::Star, 1),
            (b'"' | b'\'', _) => literal(text, at)?,
            (b'0'..=b'9', _) | (b'.', Some(b'0'..=b'9')) => number(text, at)?,
            (b'.', Some(b'.')) => (Token::DotDot, 2),
            (b'.', _) => (Token::Dot, 1),
            (b'$', _) => return Err(XPathError::at(at, "variables are not defined here")),
            _ => name(text, at, after_operand)?,
        };
        tokens.push((token, start));
        at += len;
    }
    Ok(tokens)
}

fn literal(text: &str, at: usize) -> Result<(Token, usize), XPathError> {
    let quote = char::from(text.as_bytes()[at]);
    let body = &text[at + 1..];
    let end = body.find(quote).ok_or_else(|| XPathError::at(at, "unfinished literal"))?;
    Ok((Token::Literal(body[..end].to_owned()), end + 2))
}

fn number(text: &str, at: usize) -> Result<(Token, usize), XPathError> {
    let rest = &text[at..];
    let mut dots = 0;
    let end = rest
        .find(|c: char| {
            dots += usize::from(c == '.');
            !(c.is_ascii_digit() || c == '.' && dots == 1)
        })
        .unwrap_or(rest.len());
    let value = rest[..end].parse().map_err(|_| XPathError::at(at, "bad number"))?;
    Ok((Token::Number(value), end))
}

fn name(text: &str, at: usize, after_operand: bool) -> Result<(Token, usize), XPathError> {
    let rest = &text[at..];
    let len = ncname_len(rest);
    if len == 0 {
        let what = rest.chars().next().unwrap_or('?');
        return Err(XPathError::at(at, format!("unexpected `{what}`")));
    }
    let word = &rest[..len];
    if after_operand {
        let operator = match word {
            "and" => Token::And,
            "or" => Token::Or,
            "mod" => Token::Mod,
            "div" => Token::Div,
            _ => return Err(XPathError::at(at, format!("expected an operator, found `{word}`"))),
        };
        return Ok((operator, len));
    }
    // prefix:name and prefix:*, but not axis::name
    let mut end = len;
    if let Some(tail) = rest[len..].strip_prefix(':').filter(|tail| !tail.starts_with(':')) {
        let local = if tail.starts_with('*') { 1 } else { ncname_len(tail) };
        if local == 0 {
            return Err(XPathError::at(at + len, "expected a name behind `:`"));
        }
        end = len + 1 + local;
    }
    Ok((Token::Name(rest[..end].to_owned()), end))
}

fn ncname_len(text: &str) -> usize {
    let starts = text.starts_with(|c: char| c.is_alphabetic() || c == '_' || !c.is_ascii());
    if !starts {
        return 0;
    }
    text.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.') || !c.is_ascii()))
        .unwrap_or(text.len())
}
