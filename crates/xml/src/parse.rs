//! Text to tree, on quick-xml's tokenizer (the only module that knows it).

use std::sync::Arc;

use ecow::EcoString;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::attrs::{Attrs, Packer};
use crate::element::{DEPTH_MAX, Element, Node};

/// Why a text is not a document we accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {what}")]
pub struct ParseError {
    /// 1-based line.
    pub line: u32,
    /// 1-based column, in bytes.
    pub column: u32,
    /// What was expected or found.
    pub what: String,
}

/// Parses a document: one root element, optionally behind an XML declaration and comments.
///
/// White space between elements is dropped; text inside elements without child elements is kept.
///
/// # Errors
/// Malformed XML, a DTD, an unknown entity, nesting deeper than 512, nothing at all.
pub fn parse(text: &str) -> Result<Element, ParseError> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let mut lines = LineCounter { text: text.as_bytes(), at: 0, line: 1, line_start: 0 };
    let mut packer = Packer::default();
    let mut open: Vec<Element> = Vec::new();
    let mut root: Option<Element> = None;
    loop {
        let position = reader.buffer_position() as usize;
        let fail = |what: String, at: usize| error_at(text, at, what);
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(error) => {
                let at = reader.error_position() as usize;
                return Err(fail(error.to_string(), at));
            }
        };
        match event {
            Event::Start(ref tag) | Event::Empty(ref tag) => {
                if root.is_some() && open.is_empty() {
                    return Err(fail("a second root element".into(), position));
                }
                if open.len() >= DEPTH_MAX {
                    return Err(fail(format!("elements nest deeper than {DEPTH_MAX}"), position));
                }
                if let Some(parent) = open.last_mut() {
                    drop_layout(parent);
                }
                let name = tag.name();
                let name: &str = name.as_ref();
                if !begins_name(name) {
                    return Err(fail(format!("`{name}` is no name of an element"), position));
                }
                let mut element = Element::new(name);
                let attrs = read_attrs(tag, &mut packer).map_err(|what| fail(what, position))?;
                element.set_attrs(attrs);
                let (line, column) = lines.place_of(position);
                element.set_place(line, column);
                if matches!(event, Event::Start(_)) {
                    open.push(element);
                } else {
                    close(element, &mut open, &mut root);
                }
            }
            Event::End(_) => {
                if let Some(mut element) = open.pop() {
                    drop_blank_text(&mut element);
                    close(element, &mut open, &mut root);
                }
            }
            Event::Text(ref raw) => {
                let raw: &str = raw;
                add_text(raw, &mut open).map_err(|what| fail(what, position))?;
            }
            Event::CData(ref raw) => {
                let raw: &str = raw;
                add_text(raw, &mut open).map_err(|what| fail(what, position))?;
            }
            Event::GeneralRef(ref name) => {
                let name: &str = name;
                let resolved = resolve(name)
                    .ok_or_else(|| fail(format!("unknown entity `&{name};`"), position))?;
                add_text(&resolved, &mut open).map_err(|what| fail(what, position))?;
            }
            Event::Comment(ref raw) => {
                let raw: &str = raw;
                if let Some(parent) = open.last_mut() {
                    parent.nodes_mut().push(Node::Comment(raw.into()));
                }
            }
            Event::DocType(_) => {
                return Err(fail("document type declarations are not accepted".into(), position));
            }
            Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    if let Some(unclosed) = open.last() {
        let what = format!("the document ends inside `<{}>`", unclosed.name());
        return Err(error_at(text, text.len(), what));
    }
    root.ok_or_else(|| error_at(text, text.len(), "expected an element, found none".into()))
}

fn read_attrs(tag: &BytesStart<'_>, packer: &mut Packer) -> Result<Attrs, String> {
    if read_plain_attrs(tag.attributes_raw(), packer).is_some() {
        return Ok(packer.take());
    }
    // Something is out of the ordinary: whoever can say what reads it again.
    packer.take();
    for attr in tag.attributes() {
        let attr = attr.map_err(|error| error.to_string())?;
        let key: &str = attr.key.as_ref();
        if !begins_name(key) {
            return Err(format!("`{key}` is no name of an attribute"));
        }
        packer.push(key, &unescape_attr(&attr.value)?);
    }
    Ok(packer.take())
}

/// What a byte may be to a reader of attributes. Most of a document's bytes are looked at here.
mod class {
    /// Part of a name as people write them.
    pub(super) const NAME: u8 = 1;
    /// Ends a value in double quotes.
    pub(super) const DOUBLE: u8 = 2;
    /// Ends a value in single quotes.
    pub(super) const SINGLE: u8 = 4;
    /// Makes a value more than its text.
    pub(super) const ODD: u8 = 8;

    pub(super) const OF: [u8; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            table[byte] = match byte as u8 {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b':' | b'.' | b'#' => NAME,
                b'"' => DOUBLE,
                b'\'' => SINGLE,
                b'&' | b'\t' | b'\n' | b'\r' => ODD,
                _ => 0,
            };
            byte += 1;
        }
        table
    };
}

/// The first byte from `at` on that is of one of the classes (or, with `not`, of none).
fn find_class(bytes: &[u8], at: usize, classes: u8, not: bool) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let length = rest.iter().position(|b| (class::OF[usize::from(*b)] & classes != 0) != not)?;
    Some(at + length)
}

/// Reads attributes as everybody writes them: `name="value"` with white space between, without
/// references in the values. `None` if there is anything else.
fn read_plain_attrs(raw: &str, packer: &mut Packer) -> Option<()> {
    let bytes = raw.as_bytes();
    let mut at = 0;
    loop {
        while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        if at == bytes.len() {
            return Some(());
        }
        let equals = find_class(bytes, at, class::NAME, true)?;
        let name = &raw[at..equals];
        let (quote, ends) = match (bytes[equals], bytes.get(equals + 1)?) {
            (b'=', b'"') => (b'"', class::DOUBLE),
            (b'=', b'\'') => (b'\'', class::SINGLE),
            _ => return None,
        };
        let value_from = equals + 2;
        let value_to = find_class(bytes, value_from, ends | class::ODD, false)?;
        at = value_to + 1;
        let ended = bytes.get(at).is_none_or(u8::is_ascii_whitespace);
        let value = &raw[value_from..value_to];
        if !begins_name(name) || bytes[value_to] != quote || !ended || !packer.push(name, value) {
            return None;
        }
    }
}

/// Whether a text begins as names may (XML 1.0 §2.3): not with a digit, a dot or a dash. Other
/// characters nobody looks at closely.
fn begins_name(text: &str) -> bool {
    !text.is_empty() && !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'))
}

/// Unescapes and normalises an attribute value: literal tabs and line ends become blanks
/// (XML 1.0 §3.3.3), written ones (`&#10;`) stay.
fn unescape_attr(raw: &str) -> Result<EcoString, String> {
    if !raw.bytes().any(|b| matches!(b, b'&' | b'\t' | b'\n' | b'\r')) {
        return Ok(raw.into());
    }
    let mut value = EcoString::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find(['&', '\t', '\n', '\r']) {
        value.push_str(&rest[..at]);
        let found = rest.as_bytes()[at];
        rest = &rest[at + 1..];
        if found == b'\r' && rest.starts_with('\n') {
            // A Windows line end is one line end.
        } else if found != b'&' {
            value.push(' ');
        } else {
            let end = rest.find(';').ok_or("an `&` without `;` in an attribute value")?;
            let resolved = resolve(&rest[..end])
                .ok_or_else(|| format!("unknown entity `&{};`", &rest[..end]))?;
            value.push_str(&resolved);
            rest = &rest[end + 1..];
        }
    }
    value.push_str(rest);
    Ok(value)
}

/// The five entities of XML and character references.
fn resolve(name: &str) -> Option<EcoString> {
    let one = |c: char| Some(EcoString::from(c));
    match name {
        "lt" => one('<'),
        "gt" => one('>'),
        "amp" => one('&'),
        "quot" => one('"'),
        "apos" => one('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            let is_xml_char = matches!(code, 0x9 | 0xA | 0xD | 0x20..=0xD7FF | 0xE000..=0xFFFD
                | 0x1_0000..=0x10_FFFF);
            char::from_u32(code).filter(|_| is_xml_char).and_then(one)
        }
    }
}

fn add_text(text: &str, open: &mut [Element]) -> Result<(), String> {
    let Some(parent) = open.last_mut() else {
        return if text.trim_start_matches('\u{feff}').trim().is_empty() {
            Ok(())
        } else {
            Err("text outside the root element".into())
        };
    };
    match parent.nodes_mut().last_mut() {
        Some(Node::Text(last)) => last.push_str(text),
        _ => parent.push_text(text),
    }
    Ok(())
}

/// White space between elements is layout, not content.
fn drop_blank_text(element: &mut Element) {
    let is_blank = |node: &Node| matches!(node, Node::Text(text) if text.trim().is_empty());
    let has_others = element.nodes().iter().any(|node| !matches!(node, Node::Text(_)));
    if has_others || element.nodes().iter().all(is_blank) {
        element.nodes_mut().retain(|node| !is_blank(node));
    }
}

/// White space before a child element is layout.
fn drop_layout(parent: &mut Element) {
    if matches!(parent.nodes().last(), Some(Node::Text(text)) if text.trim().is_empty()) {
        parent.nodes_mut().pop();
    }
}

fn close(element: Element, open: &mut [Element], root: &mut Option<Element>) {
    match open.last_mut() {
        Some(parent) => parent.push(Arc::new(element)),
        None => *root = Some(element),
    }
}

/// Counts lines while positions only grow.
struct LineCounter<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
    line_start: usize,
}

impl LineCounter<'_> {
    /// Line and column of a position.
    fn place_of(&mut self, position: usize) -> (u32, u32) {
        let end = position.min(self.text.len());
        if self.at < end {
            for (at, _) in
                self.text[self.at..end].iter().enumerate().filter(|(_, byte)| **byte == b'\n')
            {
                self.line += 1;
                self.line_start = self.at + at + 1;
            }
            self.at = end;
        }
        (self.line, u32::try_from(end - self.line_start + 1).unwrap_or(u32::MAX))
    }
}

fn error_at(text: &str, position: usize, what: String) -> ParseError {
    let before = &text.as_bytes()[..position.min(text.len())];
    let line = 1 + before.iter().filter(|b| **b == b'\n').count();
    let column = 1 + before.iter().rev().take_while(|b| **b != b'\n').count();
    ParseError { line: line as u32, column: column as u32, what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read() {
        let root = parse(
            "<?xml version=\"1.0\"?>\n<!-- hi -->\n<cib epoch='1'>\n  <a x=\"1 &lt; 2&#10;\"/>\n  \
             <t>a &amp; b</t>\n</cib>\n",
        )
        .unwrap();
        assert_eq!(root.name(), "cib");
        assert_eq!(root.get("epoch"), Some("1"));
        assert_eq!(root.child("a").unwrap().get("x"), Some("1 < 2\n"));
        assert_eq!(root.child("t").unwrap().text(), "a & b");
        assert_eq!(root.nodes().len(), 2);
        let t = root.child("t").unwrap();
        assert_eq!((t.line(), t.column()), (Some(5), Some(3)));
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for text in [
            "",
            "  ",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>text",
            "text<a/>",
            "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
            "<a>&nope;</a>",
            "<a b='&nope;'/>",
            "<a b='1' b='2'/>",
            "<a b=1/>",
            "<a>&#0;</a>",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        let deep = "<a>".repeat(600) + &"</a>".repeat(600);
        assert!(parse(&deep).is_err());
    }

    #[test]
    fn random_texts_never_panic() {
        let words = [
            "<",
            ">",
            "/",
            "</",
            "/>",
            "a",
            "b",
            " ",
            "=",
            "'",
            "\"",
            "&",
            ";",
            "amp",
            "#",
            "x41",
            "<!--",
            "-->",
            "<![CDATA[",
            "]]>",
            "<?",
            "?>",
            "<!DOCTYPE",
            "[",
            "]",
            "\n",
            "\u{e9}",
            "<a>",
            "</a>",
            "<a b='c'/>",
            "xmlns:",
            ":",
            "\0",
        ];
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut roll = |bound: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed % bound as u64) as usize
        };
        let mut read = 0;
        for _ in 0..60_000 {
            let len = 1 + roll(12);
            let text: String = (0..len).map(|_| words[roll(words.len())]).collect();
            if let Ok(element) = parse(&text) {
                // What was read can be written and read again.
                assert_eq!(parse(&element.to_text()).as_ref(), Ok(&element), "{text:?}");
                read += 1;
            }
        }
        assert!(read > 100, "only {read} were documents");
    }
}
