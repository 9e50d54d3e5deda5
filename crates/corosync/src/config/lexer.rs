//! Lines of `corosync.conf`: section start, section end, key and value, or nothing.
//!
//! One line holds one thing; there is no quoting. The order of the tests matters (a line with
//! both `{` and `:` is a section), it is upstream's. One liberty is taken: old tutorials annotate
//! lines with ` # …` or ` // …` behind the value. Such a tail is dropped (and reported), where
//! upstream would make it part of the value and usually fail.
//!
//! Source: `spec/corosync-conf-and-tools.md` §1.

/// Longest line in bytes, without its newline.
const LINE_MAX: usize = 511;

/// What a line says.
#[derive(Debug, PartialEq, Eq, Clone)]
pub enum Line {
    /// Empty or a comment.
    Blank,
    /// `name {`.
    Open(String),
    /// `key: value`.
    Pair(String, Vec<u8>),
    /// `}`.
    Close,
}

/// Why a line cannot be read.
#[derive(Debug, PartialEq, Eq, Clone, Copy, thiserror::Error)]
pub enum LineError {
    /// More than 511 bytes.
    #[error("Line too long")]
    TooLong,
    /// `{` without a name.
    #[error("Missing section name before opening bracket '{{'")]
    NoSectionName,
    /// Text behind `{`.
    #[error("Extra characters after opening bracket '{{'")]
    ExtraAfterOpen,
    /// Text beside `}`.
    #[error("Extra characters before or after closing bracket '}}'")]
    ExtraAtClose,
    /// None of the three forms.
    #[error("Line is not opening or closing section or key value")]
    Unknown,
}

/// A line and whether an annotation was dropped from it.
pub fn lex(raw: &[u8]) -> Result<(Line, bool), LineError> {
    if raw.len() > LINE_MAX {
        return Err(LineError::TooLong);
    }
    let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
    let trimmed = trim(raw);
    if trimmed.is_empty() || trimmed[0] == b'#' || trimmed.starts_with(b"//") {
        return Ok((Line::Blank, false));
    }
    let (text, annotated) = without_annotation(trimmed);
    classify(text).map(|line| (line, annotated))
}

fn classify(text: &[u8]) -> Result<Line, LineError> {
    if let Some(at) = text.iter().position(|c| *c == b'{') {
        let mut name = trim(&text[..at]);
        while let [rest @ .., b':' | b'{' | b' ' | b'\t'] = name {
            name = rest;
        }
        if name.is_empty() {
            return Err(LineError::NoSectionName);
        }
        if !trim(&text[at + 1..]).is_empty() {
            return Err(LineError::ExtraAfterOpen);
        }
        return Ok(Line::Open(String::from_utf8_lossy(name).into_owned()));
    }
    if let Some(at) = text.iter().position(|c| *c == b':') {
        let key = String::from_utf8_lossy(trim(&text[..at])).into_owned();
        return Ok(Line::Pair(key, trim(&text[at + 1..]).to_vec()));
    }
    if text.contains(&b'}') {
        return if text == b"}" { Ok(Line::Close) } else { Err(LineError::ExtraAtClose) };
    }
    Err(LineError::Unknown)
}

/// Drops ` # …` and ` // …`.
fn without_annotation(text: &[u8]) -> (&[u8], bool) {
    for at in 1..text.len() {
        if !matches!(text[at - 1], b' ' | b'\t' | 0xa0) {
            continue;
        }
        if text[at] == b'#' || text[at..].starts_with(b"//") {
            return (trim(&text[..at]), true);
        }
    }
    (text, false)
}

/// Strips blanks, tabs, and the no-break spaces that come with text copied from web pages.
fn trim(mut text: &[u8]) -> &[u8] {
    loop {
        text = match text {
            [b' ' | b'\t', rest @ ..] | [0xc2, 0xa0, rest @ ..] => rest,
            [rest @ .., b' ' | b'\t'] | [rest @ .., 0xc2, 0xa0] => rest,
            _ => return text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, value: &str) -> Line {
        Line::Pair(key.into(), value.into())
    }

    #[test]
    fn each_form_is_told_from_the_others() {
        let cases: &[(&str, Result<Line, LineError>)] = &[
            ("", Ok(Line::Blank)),
            ("  # totem {", Ok(Line::Blank)),
            ("totem {", Ok(Line::Open("totem".into()))),
            ("totem: {", Ok(Line::Open("totem".into()))),
            ("\ttotem{\r", Ok(Line::Open("totem".into()))),
            (" {", Err(LineError::NoSectionName)),
            ("totem { version: 2", Err(LineError::ExtraAfterOpen)),
            ("version: 2", Ok(pair("version", "2"))),
            ("logfile:/a:b", Ok(pair("logfile", "/a:b"))),
            ("name:", Ok(pair("name", ""))),
            ("\u{a0}\u{a0} token:\u{a0}3000\u{a0} ", Ok(pair("token", "3000"))),
            ("totem\u{a0}{", Ok(Line::Open("totem".into()))),
            ("}", Ok(Line::Close)),
            ("}}", Err(LineError::ExtraAtClose)),
            ("nonsense", Err(LineError::Unknown)),
        ];
        for (text, wanted) in cases {
            assert_eq!(lex(text.as_bytes()).map(|found| found.0), *wanted, "{text:?}");
        }
        assert_eq!(lex(&[b'a'; 512]), Err(LineError::TooLong));
    }

    #[test]
    fn annotations_of_tutorials_are_dropped() {
        for (text, wanted) in [
            ("version: 2   #图腾", pair("version", "2")),
            ("secauth: on //Whether", pair("secauth", "on")),
            ("service { //Define", Line::Open("service".into())),
            ("} # end", Line::Close),
        ] {
            assert_eq!(lex(text.as_bytes()), Ok((wanted, true)), "{text:?}");
        }
        assert_eq!(lex(b"url: http://x"), Ok((pair("url", "http://x"), false)));
        assert_eq!(lex(b"tags: a#b"), Ok((pair("tags", "a#b"), false)));
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut seed = 1u64;
        for len in 0..600 {
            let line: Vec<u8> = (0..len % 520)
                .map(|_| {
                    seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    b" \t{}:#/a\xff\x00"[(seed >> 33) as usize % 10]
                })
                .collect();
            let _ = lex(&line);
        }
    }
}
