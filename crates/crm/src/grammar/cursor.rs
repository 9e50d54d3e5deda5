//! A place in a list of words, and the error that points at it.

/// A line that does not follow the grammar. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("syntax in {keyword}: {message} near <{near}> parsing '{line}'")]
pub struct SyntaxError {
    /// The definition's first word.
    pub keyword: String,
    /// What was expected or wrong.
    pub message: String,
    /// The word at which the parser stopped.
    pub near: String,
    /// The whole line.
    pub line: String,
}

/// Reads words one by one.
#[derive(Debug)]
pub struct Cursor<'a> {
    words: &'a [String],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Stands on the first word, the keyword.
    pub fn new(words: &'a [String]) -> Cursor<'a> {
        Cursor { words, at: 0 }
    }

    /// The keyword as typed.
    pub fn keyword(&self) -> &'a str {
        self.words.first().map_or("", String::as_str)
    }

    /// The word ahead.
    pub fn peek(&self) -> Option<&'a str> {
        self.words.get(self.at).map(String::as_str)
    }

    /// The word `n` behind the one ahead.
    pub fn peek_at(&self, n: usize) -> Option<&'a str> {
        self.words.get(self.at + n).map(String::as_str)
    }

    /// Takes the word ahead.
    pub fn take(&mut self) -> Option<&'a str> {
        let word = self.peek()?;
        self.at += 1;
        Some(word)
    }

    /// Takes the word ahead if it is `keyword` in any letter case.
    pub fn eat(&mut self, keyword: &str) -> bool {
        let is_it = self.peek().is_some_and(|word| word.eq_ignore_ascii_case(keyword));
        self.at += usize::from(is_it);
        is_it
    }

    /// Takes the word ahead if it starts with one of `prefixes` (any letter case); gives the rest.
    pub fn eat_prefix(&mut self, prefixes: &[&str]) -> Option<&'a str> {
        let word = self.peek()?;
        let prefix = prefixes.iter().find(|prefix| {
            word.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
        })?;
        self.at += 1;
        Some(&word[prefix.len()..])
    }

    /// Takes the word ahead, which must be there.
    pub fn expect(&mut self, what: &str) -> Result<&'a str, SyntaxError> {
        self.take().ok_or_else(|| self.fail(format!("Expected {what}")))
    }

    /// Takes an identifier of an object: letters, digits, `_`, `#`, `$`, `-` first, no `=`.
    pub fn expect_id(&mut self) -> Result<&'a str, SyntaxError> {
        let ok = self.peek().is_some_and(is_identifier);
        if !ok {
            return Err(self.fail("Expected identifier"));
        }
        self.expect("identifier")
    }

    /// Fails unless there are at least `n` words behind the keyword.
    pub fn need(&mut self, n: usize) -> Result<(), SyntaxError> {
        if self.words.len() <= n {
            return Err(self.fail_at(0, format!("Expected at least {n} arguments")));
        }
        self.at = self.at.max(1);
        Ok(())
    }

    /// Fails if words are left.
    pub fn finish(&mut self) -> Result<(), SyntaxError> {
        if self.at < self.words.len() {
            let rest = self.words[self.at..].join(" ");
            return Err(self.fail(format!("Unknown arguments: {rest}")));
        }
        Ok(())
    }

    /// An error at the word ahead (or the last one, at the end).
    pub fn fail(&self, message: impl Into<String>) -> SyntaxError {
        self.fail_at(self.at.min(self.words.len().saturating_sub(1)), message)
    }

    fn fail_at(&self, at: usize, message: impl Into<String>) -> SyntaxError {
        SyntaxError {
            keyword: self.keyword().to_ascii_lowercase(),
            message: message.into(),
            near: self.words.get(at).cloned().unwrap_or_default(),
            line: self.words.join(" "),
        }
    }
}

/// Whether a word can name an object.
pub fn is_identifier(word: &str) -> bool {
    word.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '#' | '$' | '-'))
        && !word.contains('=')
}
