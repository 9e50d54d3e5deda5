//! `cibadmin --show-access`: the document with marks for what a user may read and write.
//!
//! Source: `spec/cli-pacemaker.md` §7.1; the renderings as Pacemaker's own look.

use std::io::IsTerminal as _;

use base::CrmExit;
use cib::acl::{self, Access, AccessMap};
use pacemaker_client::account;
use xml::{Element, NodePath};

use crate::options::Parsed;
use crate::output::{Fail, Out, text_element};

/// How rights are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Color,
    Text,
    Namespace,
}

const NAMESPACES: [&str; 3] = ["writable", "readable", "denied"];

fn mode(wanted: Option<&str>) -> Result<Mode, Fail> {
    match wanted {
        Some("color") => Ok(Mode::Color),
        Some("text") => Ok(Mode::Text),
        Some("namespace") => Ok(Mode::Namespace),
        None | Some("auto") if std::io::stdout().is_terminal() => Ok(Mode::Color),
        None | Some("auto") => Ok(Mode::Text),
        Some(other) => {
            Err(Fail::usage(format!("Unrecognized value for --show-access: \"{other}\"")))
        }
    }
}

/// What is wrong with the command line, before anything is asked of the cluster.
pub(super) fn check(parsed: &Parsed) -> Result<(), Fail> {
    mode(parsed.value("show-access"))?;
    if parsed.value("user").is_none() {
        return Err(Fail::usage("The supplied command requires -U user specified."));
    }
    Ok(())
}

/// Shows the part of `document` at `path`.
pub(super) fn show(
    parsed: &Parsed,
    out: &mut Out,
    document: &Element,
    path: &NodePath,
) -> Result<(), Fail> {
    let mode = mode(parsed.value("show-access"))?;
    let user = parsed.value("user").unwrap_or("");
    if !acl::is_subject(user) {
        let why = "Already in requested state";
        return Err(Fail::new(
            CrmExit::Config,
            format!("Could not evaluate access per request ({user}, error: {why})"),
        ));
    }
    let map = AccessMap::new(document, user, &account::groups_of_user(user));
    let Some(element) = document.element_at(path) else { return Ok(()) };
    let mut page = Page { map: &map, mode, depth: 0, text: String::new() };
    page.text.push_str(&format!("<!-- ACLs as evaluated for user {user} -->\n"));
    page.element(element, path, map.at(path), None);
    out.text(&page.text);
    out.xml(|| text_element("output", &page.text));
    Ok(())
}

struct Page<'a> {
    map: &'a AccessMap,
    mode: Mode,
    depth: usize,
    text: String,
}

fn word(access: Access) -> &'static str {
    match access {
        Access::Writable => "writable",
        Access::Readable => "readable",
        Access::Denied => "denied",
    }
}

impl Page<'_> {
    /// Writes an element; `above` is the right to its parent, none at the top.
    fn element(
        &mut self,
        element: &Element,
        path: &NodePath,
        access: Access,
        above: Option<Access>,
    ) {
        let depth = self.depth;
        let indent = "  ".repeat(depth);
        let changes = above != Some(access);
        let (mut before, mut after, mut prefix) = ("", "", String::new());
        match self.mode {
            Mode::Color => {
                before = match access {
                    Access::Writable => "\x1b[32m",
                    Access::Readable => "\x1b[34m",
                    Access::Denied => "\x1b[31m",
                };
                after = "\x1b[0m";
            }
            Mode::Text if changes => {
                if above.is_some() {
                    self.text.push_str(&format!("{indent}\n"));
                }
                let label = match access {
                    Access::Writable => "WRITABLE",
                    Access::Readable => "READABLE",
                    Access::Denied => "~DENIED~",
                };
                self.text.push_str(&format!("{indent}vvv---[ {label} ]---vvv\n"));
            }
            Mode::Namespace if changes => prefix = format!("pcmk-access-{}:", word(access)),
            Mode::Text | Mode::Namespace => {}
        }
        let name = format!("{prefix}{}", element.name());
        let mut start = Element::new(name.as_str());
        for (attribute, value) in element.attrs() {
            start.set(attribute, value);
        }
        if self.mode == Mode::Namespace && above.is_none() {
            for word in NAMESPACES {
                start.set(
                    &format!("xmlns:pcmk-access-{word}"),
                    format!("http://clusterlabs.org/ns/pacemaker/access/{word}"),
                );
            }
        }
        let tag = start.to_text();
        let tag = tag.trim_end();
        if element.is_leaf() {
            self.text.push_str(&format!("{indent}{before}{tag}{after}\n"));
            return;
        }
        self.text.push_str(&format!("{indent}{before}{}>\n", tag.trim_end_matches("/>")));
        let map = self.map;
        self.depth = depth + 1;
        for (child, at, right) in map.children(element, path, access) {
            self.element(child, &at, right, Some(access));
        }
        self.depth = depth;
        self.text.push_str(&format!("{indent}{before}</{name}>{after}\n"));
    }
}
