//! Tree to text, byte for byte as Pacemaker writes it.

use std::fmt;

use crate::element::{Element, Node};

/// Escapes an attribute value for double quotes, as libxml2 does.
pub fn escape_attr(value: &str, out: &mut String) {
    escape(value, out, true);
}

/// Escapes text between tags, as libxml2 does.
pub fn escape_text(text: &str, out: &mut String) {
    escape(text, out, false);
}

fn escape(text: &str, out: &mut String, in_attr: bool) {
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let replacement = match byte {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' if in_attr => "&quot;",
            b'\n' if in_attr => "&#10;",
            b'\t' if in_attr => "&#9;",
            b'\r' => "&#13;",
            _ => continue,
        };
        out.push_str(&text[plain_from..at]);
        out.push_str(replacement);
        plain_from = at + 1;
    }
    out.push_str(&text[plain_from..]);
}

impl Element {
    /// The element on one line without white space between tags: the form that travels and that
    /// digests are taken of.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        self.write_compact(&mut out);
        out
    }

    /// The element indented by two blanks a level, one tag a line, a line end at the end: the form
    /// that is shown to people and kept in files.
    pub fn to_pretty(&self) -> String {
        let mut out = String::new();
        self.write_pretty(&mut out, 0);
        out
    }

    fn write_tag(&self, out: &mut String) {
        out.push('<');
        out.push_str(self.name());
        for (name, value) in self.attrs() {
            out.push(' ');
            out.push_str(name);
            out.push_str("=\"");
            escape_attr(value, out);
            out.push('"');
        }
    }

    /// Appends [`to_text`](Self::to_text)'s form to `out`.
    pub fn write_compact(&self, out: &mut String) {
        self.write_tag(out);
        if self.nodes().is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        for node in self.nodes() {
            match node {
                Node::Element(child) => child.write_compact(out),
                Node::Text(text) => escape_text(text, out),
                Node::Comment(text) => write_comment(text, out),
            }
        }
        self.write_end(out);
    }

    /// Appends [`to_pretty`](Self::to_pretty)'s form to `out`, indented by `depth` levels.
    pub fn write_pretty(&self, out: &mut String, depth: usize) {
        indent(out, depth);
        self.write_tag(out);
        if self.nodes().is_empty() {
            out.push_str("/>\n");
            return;
        }
        if self.nodes().iter().all(|node| matches!(node, Node::Text(_))) {
            out.push('>');
            escape_text(&self.text(), out);
            self.write_end(out);
            out.push('\n');
            return;
        }
        out.push_str(">\n");
        for node in self.nodes() {
            match node {
                Node::Element(child) => child.write_pretty(out, depth + 1),
                Node::Text(text) => {
                    indent(out, depth + 1);
                    escape_text(text.trim(), out);
                    out.push('\n');
                }
                Node::Comment(text) => {
                    indent(out, depth + 1);
                    write_comment(text, out);
                    out.push('\n');
                }
            }
        }
        indent(out, depth);
        self.write_end(out);
        out.push('\n');
    }

    fn write_end(&self, out: &mut String) {
        out.push_str("</");
        out.push_str(self.name());
        out.push('>');
    }
}

fn write_comment(text: &str, out: &mut String) {
    out.push_str("<!--");
    out.push_str(text);
    out.push_str("-->");
}

fn indent(out: &mut String, depth: usize) {
    for _ in 0..depth {
        out.push_str("  ");
    }
}

impl fmt::Display for Element {
    /// [`to_text`](Element::to_text)'s form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

#[cfg(test)]
mod tests {
    use crate::parse;

    #[test]
    fn text_survives_a_round_trip() {
        let text = "<a x=\"&lt;&quot;&#10;\"><b/><c>t &amp; u</c><!-- k --></a>";
        let tree = parse(text).unwrap();
        assert_eq!(tree.to_text(), text);
        assert_eq!(parse(&tree.to_pretty()).unwrap(), tree);
        assert_eq!(
            tree.to_pretty(),
            "<a x=\"&lt;&quot;&#10;\">\n  <b/>\n  <c>t &amp; u</c>\n  <!-- k -->\n</a>\n"
        );
    }
}
