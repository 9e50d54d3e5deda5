//! XML that users give to tools, with the words they know for what is wrong with it.
//!
//! Upstream's tools log what the C library for XML says: a line with the reason, the line of the
//! text, and a caret below the place. Scripts and people know these lines.

use xml::{Element, ParseError};

/// Parses a document; what is wrong with it is logged as errors.
///
/// # Errors
/// It is no document.
pub fn parse(text: &str) -> Result<Element, ParseError> {
    xml::parse(text.trim_end()).inspect_err(|error| {
        for line in explain(text, error) {
            base::error!("XML Error: {line}");
        }
    })
}

/// The reason, the text's line, and a caret.
fn explain(text: &str, error: &ParseError) -> [String; 3] {
    let body = text.trim_start();
    let (mut line, mut column) = (error.line as usize, error.column as usize);
    let reason = if body.is_empty() {
        "Document is empty".to_owned()
    } else if !body.starts_with('<') {
        let before = &text[..text.len() - body.len()];
        line = before.matches('\n').count() + 1;
        column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
        "Start tag expected, '<' not found".to_owned()
    } else {
        reason(text, &error.what)
    };
    let shown = text.lines().nth(line.saturating_sub(1)).unwrap_or("").to_owned();
    let caret = format!("{}^", " ".repeat(column.saturating_sub(1).min(shown.len())));
    [format!("Entity: line {line}: parser error : {reason}"), shown, caret]
}

/// The library's words for our parser's.
fn reason(text: &str, what: &str) -> String {
    let quoted = |from: &str| -> Vec<String> {
        from.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let opened = |name: &str| {
        let at = text.rfind(&format!("<{name}")).unwrap_or(0);
        text[..at].matches('\n').count() + 1
    };
    let bare = |tag: &str| tag.trim_matches(['<', '>', '/', '&', ';']).to_owned();
    let names = quoted(what);
    if what.starts_with("the document ends inside")
        && let Some(tag) = names.first()
    {
        let name = bare(tag);
        return format!("Premature end of data in tag {name} line {}", opened(&name));
    }
    if let (true, Some(expected), Some(found)) =
        (what.contains("expected `</"), names.first(), names.get(1))
    {
        let (expected, found) = (bare(expected), bare(found));
        let line = opened(&expected);
        return format!("Opening and ending tag mismatch: {expected} line {line} and {found}");
    }
    if what.starts_with("unknown entity")
        && let Some(entity) = names.first()
    {
        return format!("Entity '{}' not defined", bare(entity));
    }
    if what == "a second root element" || what.starts_with("text outside the root") {
        return "Extra content at the end of the document".to_owned();
    }
    what.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_the_librarys() {
        for (text, reason, caret) in [
            ("invalidxml\n", "Start tag expected, '<' not found", "^"),
            ("\n  x", "Start tag expected, '<' not found", "  ^"),
            ("<a><b/>", "Premature end of data in tag a line 1", "       ^"),
            ("<a/><b/>", "Extra content at the end of the document", "    ^"),
            ("", "Document is empty", "^"),
        ] {
            let error = xml::parse(text.trim_end()).unwrap_err();
            let lines = explain(text, &error);
            assert!(lines[0].ends_with(&format!("parser error : {reason}")), "{lines:?}");
            assert_eq!(lines[2], caret, "{text}");
        }
        let error = xml::parse("<a>\n</b>").unwrap_err();
        let [reason, _, _] = explain("<a>\n</b>", &error);
        assert!(reason.ends_with("Opening and ending tag mismatch: a line 1 and b"), "{reason}");
    }
}
