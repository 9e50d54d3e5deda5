//! A line of the crm language to words, split as a POSIX shell splits (`spec/crmsh.md` §4.1), and
//! back: quoting a word so that it is read as the same word again.

/// Why a line cannot be split.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// A quote was opened and never closed.
    #[error("No closing quotation")]
    OpenQuote,
    /// The line ends behind a backslash.
    #[error("No escaped character")]
    OpenEscape,
}

/// Splits a line: blanks separate, `'…'` and `"…"` quote, `\` escapes the next character (inside
/// double quotes only `"` and `\`).
pub fn split(line: &str) -> Result<Vec<String>, SplitError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c),
                        None => return Err(SplitError::OpenQuote),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('\\') if matches!(chars.peek(), Some('"' | '\\')) => {
                            word.extend(chars.next());
                        }
                        Some(c) => word.push(c),
                        None => return Err(SplitError::OpenQuote),
                    }
                }
            }
            '\\' => match chars.next() {
                Some(c) => word.get_or_insert_default().push(c),
                None => return Err(SplitError::OpenEscape),
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// A value as `show` prints it: in double quotes unless it is only letters, digits, `_`, `.`, `-`.
pub fn quote(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if !value.is_empty() && value.chars().all(is_plain) {
        return value.to_owned();
    }
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_split_as_in_a_shell() {
        for (line, words) in [
            ("a b  c", vec!["a", "b", "c"]),
            ("p device=\"a b\" x='c d'", vec!["p", "device=a b", "x=c d"]),
            ("a\\ b \"q\\\"r\" ''", vec!["a b", "q\"r", ""]),
            ("", vec![]),
        ] {
            assert_eq!(split(line).unwrap(), words, "{line:?}");
        }
        assert_eq!(split("a 'b"), Err(SplitError::OpenQuote));
        assert_eq!(split("a \\"), Err(SplitError::OpenEscape));
    }

    #[test]
    fn quoting_is_undone_by_splitting() {
        for value in ["", "a", "a b", "\"", "\\", "a'b", "/etc/x", "1.2-3_4"] {
            assert_eq!(split(&quote(value)).unwrap(), [value], "{value:?}");
        }
    }
}
