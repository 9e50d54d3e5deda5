//! Rules: `rule [$id=…] [$role=…] [score:] expression [and|or expression]…`.

use xml::Element;

use super::score::{TypedScore, parse_score};
use super::{Cursor, SyntaxError};

const BINARY: &[&str] = &["lt", "gt", "lte", "gte", "eq", "ne"];
const TYPES: &[&str] = &["string", "version", "number", "integer"];
const DURATION: &[&str] = &[
    "hours",
    "monthdays",
    "weekdays",
    "yearsdays",
    "yeardays",
    "months",
    "weeks",
    "years",
    "weekyears",
    "moon",
    "seconds",
    "minutes",
    "days",
];

/// Reads what follows the word `rule`.
pub fn rule(cursor: &mut Cursor<'_>) -> Result<Element, SyntaxError> {
    let mut rule = Element::new("rule");
    if let Some(id) = cursor.eat_prefix(&["$id-ref="]) {
        rule.set("id-ref", id);
        if let Some(role) = cursor.eat_prefix(&["$role=", "role="]) {
            rule.set("role", role);
        }
        return Ok(rule);
    }
    if let Some(id) = cursor.eat_prefix(&["$id="]) {
        rule.set("id", id);
    }
    if let Some(role) = cursor.eat_prefix(&["$role=", "role="]) {
        rule.set("role", role);
    }
    let score = cursor.peek().and_then(|word| word.strip_suffix(':')).filter(|s| !s.is_empty());
    match score.map(parse_score) {
        Some(TypedScore::Score(score)) => rule.set("score", score),
        Some(TypedScore::Attribute(name)) => rule.set("score-attribute", name),
        None => rule.set("score", "INFINITY"),
    }
    if score.is_some() {
        cursor.take();
    }
    let mut joined_by: Option<&str> = None;
    loop {
        rule.push(expression(cursor)?);
        let operator = match cursor.peek() {
            Some(word) if word.eq_ignore_ascii_case("and") => "and",
            Some(word) if word.eq_ignore_ascii_case("or") => "or",
            _ => break,
        };
        if let Some(before) = joined_by
            && before != operator
        {
            return Err(cursor.fail(format!("Mixing bool ops not allowed: {before} != {operator}")));
        }
        joined_by = Some(operator);
        cursor.take();
    }
    if joined_by == Some("or") {
        rule.set("boolean-op", "or");
    }
    Ok(rule)
}

fn expression(cursor: &mut Cursor<'_>) -> Result<Element, SyntaxError> {
    let first = cursor.expect("a rule expression")?;
    let is = |word: &str| first.eq_ignore_ascii_case(word);
    if is("defined") || is("not_defined") {
        let attribute = cursor.expect("an attribute name")?;
        return Ok(Element::new("expression")
            .with("operation", first.to_ascii_lowercase())
            .with("attribute", attribute));
    }
    if is("date") {
        return date(cursor);
    }
    if first == "#" {
        return Err(cursor.fail(
            "`#` stands alone: write `#uname`, `#kind`, `#id` … without a blank behind `#`",
        ));
    }
    let mut element = Element::new("expression");
    let operator = cursor.expect("a comparison (lt, gt, lte, gte, eq, ne)")?;
    let (value_type, operator) = match operator.split_once(':') {
        Some((kind, operator)) => (Some(kind.to_ascii_lowercase()), operator),
        None => (None, operator),
    };
    let operator = operator.to_ascii_lowercase();
    if !BINARY.contains(&operator.as_str()) {
        return Err(cursor.fail(format!(
            "Expected one of {} behind `{first}`, found `{operator}`",
            BINARY.join(", ")
        )));
    }
    element.set("operation", operator);
    element.set("attribute", first);
    if let Some(kind) = value_type {
        if !TYPES.contains(&kind.as_str()) {
            return Err(cursor
                .fail(format!("Expected one of {} as type, found `{kind}`", TYPES.join(", "))));
        }
        element.set("type", kind);
    }
    let value = cursor.expect("a value to compare with")?;
    match value.strip_suffix('}').and_then(|head| head.split_once('{')) {
        Some((source, name)) if matches!(source, "literal" | "param" | "meta") => {
            element.set("value", name);
            element.set("value-source", source);
        }
        _ => element.set("value", value),
    }
    Ok(element)
}

fn date(cursor: &mut Cursor<'_>) -> Result<Element, SyntaxError> {
    let operation = cursor.expect("lt, gt, in or spec behind `date`")?.to_ascii_lowercase();
    let mut element = Element::new("date_expression");
    match operation.as_str() {
        "lt" | "gt" => {
            let when = cursor.expect("a date")?;
            element.set("operation", operation.as_str());
            element.set(if operation == "lt" { "end" } else { "start" }, when);
        }
        "in" | "in_range" => {
            element.set("operation", "in_range");
            let mut span = Element::new("duration");
            for (name, value) in date_pairs(cursor, &["start", "end"]) {
                if matches!(name, "start" | "end") {
                    element.set(name, value);
                } else {
                    span.set(name, value);
                }
            }
            if span.attrs().len() > 0 {
                element.push(span);
            }
            if element.attrs().len() < 2 {
                return Err(cursor.fail("Expected start=, end= or a duration behind `date in`"));
            }
        }
        "spec" | "date_spec" => {
            element.set("operation", "date_spec");
            let mut spec = Element::new("date_spec");
            for (name, value) in date_pairs(cursor, &[]) {
                spec.set(name, value);
            }
            if spec.attrs().len() == 0 {
                return Err(cursor.fail("Expected at least one name-value pair"));
            }
            element.push(spec);
        }
        other => {
            return Err(
                cursor.fail(format!("Expected lt, gt, in or spec behind `date`, found `{other}`"))
            );
        }
    }
    Ok(element)
}

fn date_pairs<'a>(cursor: &mut Cursor<'a>, also: &[&str]) -> Vec<(&'a str, &'a str)> {
    let mut pairs = Vec::new();
    while let Some((name, value)) = cursor.peek().and_then(|word| word.split_once('=')) {
        if !DURATION.contains(&name) && !also.contains(&name) {
            break;
        }
        pairs.push((name, value));
        cursor.take();
    }
    pairs
}
