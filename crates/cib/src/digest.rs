//! Digests: MD5 over the one-line form of the document as Pacemaker 2.1.5 writes it.
//!
//! Every node computes them, so the form must be the same to the byte, 2.1.5's odd escaping
//! included; a difference costs a full copy of the document between nodes.
//!
//! Source: `spec/cib.md` §7.1 and §7.3.

use std::fmt::Write as _;

use md5::{Digest as _, Md5};
use xml::{Element, Node};

/// Attributes that say who wrote when: they differ between nodes and are left out of v2 digests.
const UNSTABLE: [&str; 5] =
    ["crm-debug-origin", "cib-last-written", "update-origin", "update-client", "update-user"];

/// The v1 digest: of files and operation parameters. One blank, the document, a line end.
pub fn v1(element: &Element) -> String {
    hashed(" ", element, &[], "\n")
}

/// The v2 digest: of patches, full copies and pings between daemons.
pub fn v2(element: &Element) -> String {
    hashed("", element, &UNSTABLE, "")
}

/// The v2 digest with nothing left out, by which the scheduler recognises an input it has seen.
pub fn v2_unfiltered(element: &Element) -> String {
    hex(&canonical(element))
}

/// The MD5 of a text, 32 lower-case hex digits.
pub fn md5_hex(text: &str) -> String {
    hex(text)
}

/// The digest that a peer of that feature set computes for patches and full copies.
pub fn for_feature_set(element: &Element, feature_set: &str) -> String {
    if crate::version::compare_feature_sets(feature_set, "3.0.5").is_lt() {
        v1(element)
    } else {
        v2(element)
    }
}

/// The one-line form in 2.1.5's escaping.
pub fn canonical(element: &Element) -> String {
    let mut text = String::new();
    write(element, &mut text, &[], &mut |_| {});
    text
}

/// Text is hashed in pieces of about this size, so that it stays in the processor's cache.
const PIECE: usize = 1 << 15;

fn hashed(before: &str, element: &Element, without: &[&str], after: &str) -> String {
    let mut hasher = Md5::new();
    let mut text = String::with_capacity(2 * PIECE);
    text.push_str(before);
    write(element, &mut text, without, &mut |text| {
        if text.len() > PIECE {
            hasher.update(text.as_bytes());
            text.clear();
        }
    });
    text.push_str(after);
    hasher.update(text.as_bytes());
    digits(&hasher.finalize())
}

fn hex(text: &str) -> String {
    digits(&Md5::digest(text.as_bytes()))
}

fn digits(sum: &[u8]) -> String {
    let mut digits = String::with_capacity(32);
    for byte in sum {
        // Writing to a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// Writes an element; `taken` may take what is there already, before each element.
fn write(
    element: &Element,
    out: &mut String,
    without: &[&str],
    taken: &mut dyn FnMut(&mut String),
) {
    taken(out);
    out.push('<');
    out.push_str(element.name());
    for (name, value) in element.attrs() {
        if without.contains(&name) {
            continue;
        }
        out.push(' ');
        out.push_str(name);
        out.push_str("=\"");
        escape(value, out);
        out.push('"');
    }
    if element.nodes().is_empty() {
        out.push_str("/>");
        return;
    }
    out.push('>');
    for node in element.nodes() {
        match node {
            Node::Element(child) => write(child, out, without, taken),
            // Text leaves only the closing tag behind it.
            Node::Text(_) => {}
            Node::Comment(text) => {
                out.push_str("<!--");
                out.push_str(text);
                out.push_str("-->");
            }
        }
    }
    out.push_str("</");
    out.push_str(element.name());
    out.push('>');
}

/// Which bytes stand for themselves in 2.1.5's escaping.
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = b' ';
    while byte < 0x7f {
        table[byte as usize] = !matches!(byte, b'<' | b'>' | b'"' | b'\'' | b'&');
        byte += 1;
    }
    table
};

/// 2.1.5's escaping. From the first character beyond ASCII on nothing is escaped any more: an
/// upstream oddity that is part of the format.
fn escape(value: &str, out: &mut String) {
    let is_plain = |byte: &u8| PLAIN[usize::from(*byte)];
    let plain_end = value.bytes().position(|byte| !is_plain(&byte)).unwrap_or(value.len());
    // Nearly all values are plain to their end.
    let (plain, value) = value.split_at(plain_end);
    out.push_str(plain);
    let ascii_end = value.bytes().position(|byte| !byte.is_ascii()).unwrap_or(value.len());
    let (ascii, rest) = value.split_at(ascii_end);
    for c in ascii.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '&' => out.push_str("&amp;"),
            '\t' => out.push_str("    "),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\0'..'\x20' | '\x7f' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\{:03o}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = r#"<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="1" num_updates="0" admin_epoch="0"><configuration><crm_config/><nodes/><resources/><constraints/></configuration><status/></cib>"#;

    #[test]
    fn the_vectors_of_the_specification() {
        let mut cib = xml::parse(EMPTY).unwrap();
        assert_eq!(v1(&cib), "a072cbbb8cf0bc0a4c9214043d46f53d");
        assert_eq!(v2(&cib), "2322e0c31d4a16bd152401aef7db04d8");
        cib.set("cib-last-written", "now");
        assert_eq!(v2(&cib), "2322e0c31d4a16bd152401aef7db04d8");
        cib.unset("cib-last-written");
        cib.retain_children(|child| child.name() != "status");
        assert_eq!(v1(&cib), "55fc7cfe3bc67816603b65dec8aae81c");
        // Text counts only as being there.
        let text = |text: &str| v1(&xml::parse(text).unwrap());
        assert_eq!(text("<a>text</a>"), "4ab05ac931cd768ebbbe07713cd548d2");
        assert_eq!(text("<a> more</a>"), "4ab05ac931cd768ebbbe07713cd548d2");
        assert_eq!(text("<a>text<b/></a>"), "10ef483059e04670f54c3cf811408522");
        assert_eq!(md5_hex(""), "d41d8cd98f00b204e9800998ecf8427e");
    }

    #[test]
    fn escaping_is_the_one_of_2_1_5() {
        for (value, expected) in [
            ("plain", "plain"),
            ("a'b\"c<d>e&f", "a&apos;b&quot;c&lt;d&gt;e&amp;f"),
            ("a\tb\nc\rd", "a    b\\nc\\rd"),
            ("\u{1}\u{7f}", "\\001\\177"),
            ("a'\u{e9}'\n", "a&apos;\u{e9}'\n"),
        ] {
            let mut out = String::new();
            escape(value, &mut out);
            assert_eq!(out, expected, "{value:?}");
        }
    }
}
