//! Taking secrets out of what is collected.
//!
//! A report is sent to strangers. So every text passes here: the value of any variable whose name
//! matches a pattern (`passw.*` and those of `-p`) becomes `******`, in whatever spelling it is
//! met: `name="passwd" value="x"` in XML, `passwd=x`, `passwd: x`. Values masked in the
//! configuration are remembered, and masked wherever else they turn up, say in a log line of an
//! agent. Masking too much is harmless, so patterns match anywhere in a name, in any case.

use std::borrow::Cow;
use std::collections::BTreeSet;

use regex_lite::Regex;

/// What stands in place of a secret.
pub const MASK: &str = "******";

/// Values shorter than this are not searched for elsewhere: they would be found in every word.
const REMEMBERED_MIN: usize = 6;

/// What is masked.
pub struct Masker {
    names: Vec<Regex>,
    pairs: Regex,
    tag: Regex,
    /// Commands that have a secret as an argument: the name, if any, and the value.
    commands: [Regex; 2],
    known: BTreeSet<String>,
}

impl Masker {
    /// Masks the variables with these names.
    ///
    /// # Errors
    /// A pattern that is no regular expression.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Masker, String> {
        let build = |text: &str| {
            Regex::new(text).map_err(|error| format!("pattern \"{text}\" is not usable: {error}"))
        };
        let mut names = vec![build("(?i)passw.*")?];
        for pattern in patterns {
            names.push(build(&format!("(?i){pattern}"))?);
        }
        Ok(Masker {
            names,
            pairs: build(r#"([A-Za-z0-9_.\-]+)["']?(\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s"'<>]+)"#)?,
            // No `<` can be inside a value, so a stray quote does not swallow the rest of a log.
            tag: build(r#"^<[A-Za-z](?:[^<>"']|"[^"<]*"|'[^'<]*')*>"#)?,
            commands: [
                build(
                    r"(?:^|\s)(?:-[pn]|--set-parameter|--parameter|--name|--attr-name)[ =](\S+)\s(?:.*\s)?(?:-v|--parameter-value|--update|--attr-value|--value)[ =](\S+)",
                )?,
                build(r"cibsecret(?:\s+-\S+)*\s+set\s+\S+\s+(\S+)\s+(\S.*)")?,
            ],
            known: BTreeSet::new(),
        })
    }

    /// Remembers a secret that was kept out of the configuration.
    pub fn remember(&mut self, value: &str) {
        if value.len() >= REMEMBERED_MIN {
            self.known.insert(value.to_owned());
        }
    }

    /// A line without secrets that are arguments of a command.
    fn command<'a>(&self, segment: &'a str) -> Cow<'a, str> {
        let [parameter, set] = &self.commands;
        let found = match set.captures(segment) {
            Some(found) => found.get(2),
            None => parameter
                .captures(segment)
                .filter(|found| self.is_secret(&found[1]))
                .and_then(|found| found.get(2)),
        };
        match found {
            // The line's end is not part of the value.
            Some(value) => {
                let end = value.start() + value.as_str().trim_end().len();
                let (head, tail) = (&segment[..value.start()], &segment[end..]);
                Cow::Owned(format!("{head}{MASK}{tail}"))
            }
            None => Cow::Borrowed(segment),
        }
    }

    fn is_secret(&self, name: &str) -> bool {
        self.names.iter().any(|pattern| pattern.is_match(name))
    }

    /// Remembers the secrets of a text, to be found elsewhere too.
    pub fn learn(&mut self, text: &str) {
        let mut found = BTreeSet::new();
        drop(self.pass(text, &mut |value| {
            let value = bare(value);
            if value.len() >= REMEMBERED_MIN && !value.starts_with("lrm://") && value != MASK {
                found.insert(value.to_owned());
                // A log has the value itself, not as XML spells it; `&amp;` comes last.
                let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'")];
                let plain = plain.iter().fold(value.to_owned(), |text, (a, b)| text.replace(a, b));
                found.insert(plain.replace("&amp;", "&"));
            }
        }));
        self.known.extend(found);
    }

    /// The text without secrets.
    pub fn mask(&self, text: &str) -> String {
        let mut text = self.pass(text, &mut |_| ());
        // Longer ones first: one may be part of another.
        let mut known: Vec<&String> = self.known.iter().collect();
        known.sort_by_key(|value| std::cmp::Reverse(value.len()));
        for value in known {
            if text.contains(value.as_str()) {
                text = text.replace(value.as_str(), MASK);
            }
        }
        text
    }

    /// Masks pairs, tag by tag (an XML tag may span lines) or else line by line.
    fn pass(&self, text: &str, found: &mut dyn FnMut(&str)) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let tag = if rest.starts_with('<') { self.tag.find(rest) } else { None };
            let end = match tag {
                Some(tag) => tag.end(),
                // Both characters are ASCII, so one further is a boundary too.
                None => match rest.char_indices().skip(1).find(|(_, c)| matches!(c, '<' | '\n')) {
                    Some((at, '\n')) => at + 1,
                    Some((at, _)) => at,
                    None => rest.len(),
                },
            };
            let (segment, after) = rest.split_at(end);
            out.push_str(&self.segment(&self.command(segment), found));
            rest = after;
        }
        out
    }

    fn segment(&self, segment: &str, found: &mut dyn FnMut(&str)) -> String {
        let named = self
            .pairs
            .captures_iter(segment)
            .any(|pair| matches!(&pair[1], "name" | "id") && self.is_secret(bare(&pair[3])));
        let mut out = String::with_capacity(segment.len());
        let mut done = 0;
        for pair in self.pairs.captures_iter(segment) {
            let (Some(key), Some(value)) = (pair.get(1), pair.get(3)) else { continue };
            let is_its_value = named && key.as_str() == "value";
            if !self.is_secret(key.as_str()) && !is_its_value {
                continue;
            }
            found(value.as_str());
            let quote = value.as_str().chars().next().filter(|c| matches!(c, '"' | '\''));
            out.push_str(&segment[done..value.start()]);
            out.extend(quote);
            out.push_str(MASK);
            out.extend(quote);
            done = value.end();
        }
        out.push_str(&segment[done..]);
        out
    }
}

fn bare(value: &str) -> &str {
    value.trim_matches(['"', '\''])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_and_the_rest_stays() {
        let masker = Masker::new(["token"]).unwrap();
        for (text, want) in [
            (
                r#"<nvpair id="a" name="passwd" value="x y"/>"#,
                r#"<nvpair id="a" name="passwd" value="******"/>"#,
            ),
            (r#"<nvpair value="x" name="passwd"/>"#, r#"<nvpair value="******" name="passwd"/>"#),
            (
                "<nvpair name='password'\n value='x>y'/>",
                "<nvpair name='password'\n value='******'/>",
            ),
            (
                r#"<a name="ip" value="1"/><b name="passwd" value="2"/>"#,
                r#"<a name="ip" value="1"/><b name="passwd" value="******"/>"#,
            ),
            ("login passwd=abc user=me\n", "login passwd=****** user=me\n"),
            ("Password: abc", "Password: ******"),
            (r#"{"passwd": "abc", "x": 1}"#, r#"{"passwd": "******", "x": 1}"#),
            ("API_TOKEN=1\nx=2\n", "API_TOKEN=******\nx=2\n"),
            (
                r#"graph <attributes passwd="s" ip="1"/>"#,
                r#"graph <attributes passwd="******" ip="1"/>"#,
            ),
            (
                "info: +  /cib/nvpair[@id='r-ia-passwd']:  @value=abc\n",
                "info: +  /cib/nvpair[@id='r-ia-passwd']:  @value=******\n",
            ),
            (
                "root 7 crm_resource -r r -p passwd -v abc\n",
                "root 7 crm_resource -r r -p passwd -v ******\n",
            ),
            ("crm_resource -r r -p ip -v 192.0.2.1\n", "crm_resource -r r -p ip -v 192.0.2.1\n"),
            ("7 cibsecret -C set r key a b\n", "7 cibsecret -C set r key ******\n"),
            ("1 < 2 and 3 > 2\n\nend", "1 < 2 and 3 > 2\n\nend"),
            ("é < ü\n", "é < ü\n"),
        ] {
            assert_eq!(masker.mask(text), want);
        }
        assert!(Masker::new(["("]).is_err());
    }

    #[test]
    fn what_is_secret_in_the_configuration_is_secret_in_logs() {
        let mut masker = Masker::new([]).unwrap();
        masker.learn(
            r#"<nvpair name="passwd" value="s3cret-x"/><nvpair name="passwd" value="abc"/>"#,
        );
        assert_eq!(masker.mask("fence_x -p s3cret-x abc"), "fence_x -p ****** abc");
        masker.learn(r#"<nvpair name="passwd" value="a&amp;b&lt;c"/>"#);
        assert_eq!(masker.mask("fence_x -p a&b<c"), "fence_x -p ******");
    }

    #[test]
    fn no_text_makes_it_panic_or_lose_lines() {
        let masker = Masker::new([]).unwrap();
        let pieces =
            ["<", ">", "\"", "'", "name=", "passwd", "=", "é", "\n", "value=", " ", "<a", "/>"];
        let mut seed: u32 = 7;
        for _ in 0..2_000 {
            let mut text = String::new();
            for _ in 0..12 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                text.push_str(pieces[(seed >> 16) as usize % pieces.len()]);
            }
            let masked = masker.mask(&text);
            assert_eq!(masker.mask(&masked).len(), masked.len(), "{text}");
        }
    }
}
