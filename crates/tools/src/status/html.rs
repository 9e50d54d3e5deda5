//! The sections as a web page. Source: `spec/cli-pacemaker.md` §2.2.

use xml::{escape_attr, escape_text};

use super::text::Block;
use super::{Show, View};

/// What the page's head says.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The title; `Cluster Status` when empty.
    pub title: String,
    /// A style sheet to link to.
    pub stylesheet: Option<String>,
    /// Write a CGI header first.
    pub cgi: bool,
    /// Reload after so many seconds.
    pub refresh: Option<u64>,
}

const STYLE: &str = "<style>.bold { font-weight: bold }\n.online { color: green }\n.offline { color: red }\n\
.maint { color: blue }\n.standby { color: blue }\n.health_red { color: red }\n.health_yellow { color: GoldenRod }\n\
.rsc-failed { color: red }\n.rsc-failure-ignored { color: DarkGreen }\n.rsc-managed { color: blue }\n\
.rsc-multiple { color: orange }\n.rsc-ok { color: green }\n.warning { color: red; font-weight: bold }</style>\n";

/// The class of a line, by what it says.
fn class(text: &str) -> Option<&'static str> {
    if text.contains("\t(") || text.contains(":\t ") {
        return Some(if text.contains(" FAILED") {
            if text.contains("failure ignored") { "rsc-failure-ignored" } else { "rsc-failed" }
        } else if text.contains(" [ ") {
            "rsc-multiple"
        } else if text.contains("unmanaged") || text.contains("maintenance") {
            "rsc-managed"
        } else if text.contains("Stopped") {
            "rsc-failed"
        } else {
            "rsc-ok"
        });
    }
    let state = text.split_once(": ").map(|(_, state)| state);
    match state {
        Some(state) if state.starts_with("online") => Some("online"),
        Some(state) if state.starts_with("OFFLINE") || state.starts_with("UNCLEAN") => {
            Some("offline")
        }
        Some(state) if state.starts_with("standby") => Some("standby"),
        Some(state) if state.starts_with("maintenance") => Some("maint"),
        _ => None,
    }
}

/// Writes the page.
pub fn page(view: &mut View, show: &Show, page: &Page) -> String {
    let mut out = String::new();
    if page.cgi {
        out.push_str("Content-Type: text/html\n\n");
    }
    out.push_str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<title>");
    escape_text(if page.title.is_empty() { "Cluster Status" } else { &page.title }, &mut out);
    out.push_str("</title>\n<meta charset=\"utf-8\">\n");
    if let Some(seconds) = page.refresh {
        out.push_str(&format!("<meta http-equiv=\"refresh\" content=\"{seconds}\">\n"));
    }
    out.push_str(STYLE);
    if let Some(uri) = &page.stylesheet {
        out.push_str("<link rel=\"stylesheet\" href=\"");
        escape_attr(uri, &mut out);
        out.push_str("\">\n");
    }
    out.push_str("</head>\n<body>\n");
    for block in view.blocks(show) {
        match block {
            Block::Plain(text) => {
                out.push_str("<p class=\"bold\">");
                escape_text(text.trim(), &mut out);
                out.push_str("</p>\n");
            }
            Block::List(title, items) => {
                out.push_str("<h2>");
                escape_text(&title, &mut out);
                out.push_str("</h2>\n<ul>\n");
                list(&items, &mut out);
                out.push_str("</ul>\n");
            }
        }
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn list(items: &[scheduler::present::Line], out: &mut String) {
    let mut depth = 1;
    for (at, line) in items.iter().enumerate() {
        while depth > line.level {
            out.push_str("</ul>\n</li>\n");
            depth -= 1;
        }
        while depth < line.level {
            out.push_str("<li>\n<ul>\n");
            depth += 1;
        }
        let opens = items.get(at + 1).is_some_and(|next| next.level > line.level);
        out.push_str("<li>\n");
        if opens {
            out.push_str(&format!("<h{0}>", (line.level + 2).min(6)));
            escape_text(line.text.trim_end_matches(':'), out);
            out.push_str(&format!("</h{0}>\n<ul>\n", (line.level + 2).min(6)));
            depth += 1;
            continue;
        }
        match (class(&line.text), line.text.split_once(": ")) {
            (Some(class), _) => {
                out.push_str(&format!("<span class=\"{class}\">"));
                escape_text(&line.text, out);
            }
            (None, Some((name, value))) => {
                out.push_str("<span class=\"bold\">");
                escape_text(name, out);
                out.push_str(": </span><span>");
                escape_text(value, out);
            }
            (None, None) => {
                out.push_str("<span>");
                escape_text(&line.text, out);
            }
        }
        out.push_str("</span>\n</li>\n");
    }
    while depth > 1 {
        out.push_str("</ul>\n</li>\n");
        depth -= 1;
    }
}
