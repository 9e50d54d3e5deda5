//! JSON, as far as commands print it: a tree of values with a fixed order of members.
//!
//! Only writing: nothing here reads JSON. Numbers are integers, because nothing that is printed
//! needs more; [`std::fmt::Display`] gives the indented text.

use std::fmt;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// Members in the order in which they are printed.
    Object(Vec<(&'static str, Json)>),
    /// Members whose names are data.
    Map(Vec<(String, Json)>),
}

impl From<bool> for Json {
    fn from(value: bool) -> Json {
        Json::Bool(value)
    }
}

impl From<i32> for Json {
    fn from(value: i32) -> Json {
        Json::Int(value.into())
    }
}

impl From<usize> for Json {
    fn from(value: usize) -> Json {
        Json::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Json {
        Json::Text(value.to_owned())
    }
}

impl From<String> for Json {
    fn from(value: String) -> Json {
        Json::Text(value)
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Json {
        value.map_or(Json::Null, Into::into)
    }
}

impl<T: Into<Json>> From<Vec<T>> for Json {
    fn from(values: Vec<T>) -> Json {
        Json::List(values.into_iter().map(Into::into).collect())
    }
}

impl Json {
    fn write(&self, out: &mut impl fmt::Write, depth: usize) -> fmt::Result {
        match self {
            Json::Null => out.write_str("null"),
            Json::Bool(value) => write!(out, "{value}"),
            Json::Int(value) => write!(out, "{value}"),
            Json::Text(text) => quote(out, text),
            Json::List(values) if values.is_empty() => out.write_str("[]"),
            Json::List(values) => {
                out.write_char('[')?;
                for (n, value) in values.iter().enumerate() {
                    separate(out, n, depth + 1)?;
                    value.write(out, depth + 1)?;
                }
                write!(out, "\n{:width$}]", "", width = 2 * depth)
            }
            Json::Object(members) => {
                let members = members.iter().map(|(name, value)| (*name, value));
                write_members(out, members, depth)
            }
            Json::Map(members) => {
                let members = members.iter().map(|(name, value)| (name.as_str(), value));
                write_members(out, members, depth)
            }
        }
    }
}

fn write_members<'a>(
    out: &mut impl fmt::Write,
    members: impl ExactSizeIterator<Item = (&'a str, &'a Json)>,
    depth: usize,
) -> fmt::Result {
    if members.len() == 0 {
        return out.write_str("{}");
    }
    out.write_char('{')?;
    for (n, (name, value)) in members.enumerate() {
        separate(out, n, depth + 1)?;
        quote(out, name)?;
        out.write_str(": ")?;
        value.write(out, depth + 1)?;
    }
    write!(out, "\n{:width$}}}", "", width = 2 * depth)
}

fn separate(out: &mut impl fmt::Write, n: usize, depth: usize) -> fmt::Result {
    let comma = if n > 0 { "," } else { "" };
    write!(out, "{comma}\n{:width$}", "", width = 2 * depth)
}

fn quote(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\t' => out.write_str("\\t")?,
            '\r' => out.write_str("\\r")?,
            c if u32::from(c) < 0x20 => write!(out, "\\u{:04x}", u32::from(c))?,
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_indented_and_quoted() {
        for (value, want) in [
            (Json::Null, "null"),
            (Json::from(-3), "-3"),
            (Json::from("a\"b\\\n\u{1}é"), "\"a\\\"b\\\\\\n\\u0001é\""),
            (Json::List(Vec::new()), "[]"),
            (Json::from(vec![1, 2]), "[\n  1,\n  2\n]"),
            (Json::from(Some(true)), "true"),
            (Json::Map(Vec::new()), "{}"),
            (Json::Map(vec![("a".to_owned(), Json::Null)]), "{\n  \"a\": null\n}"),
            (
                Json::Object(vec![("a", Json::Object(vec![("b", Json::from(None::<bool>))]))]),
                "{\n  \"a\": {\n    \"b\": null\n  }\n}",
            ),
        ] {
            assert_eq!(value.to_string(), want);
        }
    }
}
