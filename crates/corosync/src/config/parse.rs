//! From the lines of `corosync.conf` and `uidgid.d/*` to the keys of the configuration map.
//!
//! Sections become the path before the key; a few sections are renumbered or renamed on the way
//! (interfaces, nodes, logging subsystems, uidgid). Any mistake ends the reading with its place;
//! unknown and old keys are kept and reported as warnings.
//!
//! Source: `spec/corosync-conf-and-tools.md` §1, §1.1.

use std::collections::{BTreeMap, BTreeSet};

use super::keys::{self, Standing};
use super::lexer::{self, Line, LineError};
use crate::cmap::{self, Value};

/// A mistake in a file, with its place. Prints as upstream's `parser error: FILE:LINE: TEXT`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parser error: {file}:{line}: {what}")]
pub struct ParseError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong and, for values, what is allowed.
    pub what: String,
}

/// Names of users and groups, for `uidgid {}`.
pub trait Accounts {
    /// The id of a user.
    fn uid(&self, name: &str) -> Option<u32>;
    /// The id of a group.
    fn gid(&self, name: &str) -> Option<u32>;
}

/// The result of reading: keys of the map, and what is worth a warning.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Parsed {
    /// Keys and values, as they go into the map.
    pub keys: BTreeMap<String, Value>,
    /// One sentence for each odd key, each once.
    pub warnings: Vec<String>,
}

/// What the innermost section is.
#[derive(Debug, Clone, PartialEq)]
enum Section {
    Plain,
    Interface(Interface),
    Member,
    Node,
    LoggerSubsys { subsys: Option<String>, items: Vec<(String, Vec<u8>)> },
    LoggingDaemon { name: Option<String>, subsys: Option<String>, items: Vec<(String, Vec<u8>)> },
    UidGid,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct Interface {
    link: u8,
    /// The number it had in the generations of redundant rings, if that is its only one.
    ring: Option<u8>,
    keys: BTreeMap<&'static str, Value>,
    members: Vec<Vec<u8>>,
}

const INTERFACE_KEYS: &[&str] = &[
    "bindnetaddr",
    "mcastaddr",
    "broadcast",
    "mcastport",
    "ttl",
    "knet_link_priority",
    "knet_ping_interval",
    "knet_ping_timeout",
    "knet_ping_precision",
    "knet_pong_count",
    "knet_transport",
];

/// Reads `corosync.conf`.
///
/// # Errors
/// The first mistake. Nothing of `into` is to be used then.
pub fn parse(
    file: &str,
    content: &[u8],
    accounts: &dyn Accounts,
    into: &mut Parsed,
) -> Result<(), ParseError> {
    Parser::new(file, accounts, into, false).run(content)
}

/// Reads one file of `uidgid.d`.
///
/// # Errors
/// As [`parse`]; any other section than `uidgid` is a mistake here.
pub fn parse_uidgid_file(
    file: &str,
    content: &[u8],
    accounts: &dyn Accounts,
    into: &mut Parsed,
) -> Result<(), ParseError> {
    Parser::new(file, accounts, into, true).run(content)
}

struct Parser<'a> {
    file: &'a str,
    accounts: &'a dyn Accounts,
    into: &'a mut Parsed,
    only_uidgid: bool,
    line: usize,
    stack: Vec<(String, Section)>,
    nodes: usize,
    /// Second rings: what they mean depends on the rest of the file.
    rings: Vec<Interface>,
    warned: BTreeSet<String>,
}

impl<'a> Parser<'a> {
    fn new(
        file: &'a str,
        accounts: &'a dyn Accounts,
        into: &'a mut Parsed,
        only_uidgid: bool,
    ) -> Parser<'a> {
        Parser {
            file,
            accounts,
            into,
            only_uidgid,
            line: 0,
            stack: Vec::new(),
            nodes: 0,
            rings: Vec::new(),
            warned: BTreeSet::new(),
        }
    }

    fn error(&self, what: impl Into<String>) -> ParseError {
        ParseError { file: self.file.to_owned(), line: self.line, what: what.into() }
    }

    fn run(mut self, content: &[u8]) -> Result<(), ParseError> {
        let body = content.strip_suffix(b"\n").unwrap_or(content);
        if !body.is_empty() {
            for raw in body.split(|c| *c == b'\n') {
                self.line += 1;
                let lexed = lexer::lex(raw);
                let (line, annotated) = lexed.map_err(|bad| self.error(lexical(bad, raw)))?;
                if annotated {
                    self.warn(
                        "annotation".into(),
                        "text after ` #` or ` //` at the end of a line is ignored".into(),
                    );
                }
                match line {
                    Line::Blank => {}
                    Line::Open(name) => self.open(name)?,
                    Line::Pair(key, value) => self.pair(key, value)?,
                    Line::Close => self.close()?,
                }
            }
        }
        if !self.stack.is_empty() {
            return Err(self.error("Missing closing brace"));
        }
        self.place_rings()
    }

    /// With a node list (corosync 3) `ringnumber` means nothing, and such a section speaks of link
    /// 0. A file of the generations before means a second ring; its settings must not replace those
    /// of the first.
    fn place_rings(&mut self) -> Result<(), ParseError> {
        for mut interface in std::mem::take(&mut self.rings) {
            if let Some(ring) = interface.ring
                && self.nodes == 0
            {
                self.warn(
                    format!("ring {ring}"),
                    format!(
                        "the interface with ringnumber {ring} is not used: redundant rings are \
                         links of transport knet now, and need a nodelist"
                    ),
                );
                interface.link = ring;
            }
            self.close_interface(interface)?;
        }
        Ok(())
    }

    fn warn(&mut self, about: String, text: String) {
        if self.warned.insert(about) {
            self.into.warnings.push(format!("{}:{}: {text}", self.file, self.line));
        }
    }

    /// The path of the open sections, as the file has them.
    fn path(&self) -> String {
        let names: Vec<&str> = self.stack.iter().map(|(name, _)| name.as_str()).collect();
        names.join(".")
    }

    fn open(&mut self, name: String) -> Result<(), ParseError> {
        let outer = self.path();
        let path = if outer.is_empty() { name.clone() } else { format!("{outer}.{name}") };
        if path.len() + 1 > cmap::KEY_MAX {
            return Err(self.error("Start of section makes total cmap path too long"));
        }
        let section = match path.as_str() {
            "totem.interface" => Section::Interface(Interface::default()),
            "totem.interface.member" => Section::Member,
            "nodelist.node" => Section::Node,
            "logging.logger_subsys" => Section::LoggerSubsys { subsys: None, items: Vec::new() },
            "logging.logging_daemon" => {
                Section::LoggingDaemon { name: None, subsys: None, items: Vec::new() }
            }
            "uidgid" => Section::UidGid,
            _ => Section::Plain,
        };
        if self.only_uidgid && section != Section::UidGid {
            return Err(self.error("uidgid: Can't add subsection different than uidgid"));
        }
        if path == "nodelist" {
            // As upstream: a second nodelist starts over, its nodes replace those of the first.
            self.nodes = 0;
        }
        if path == "service" {
            self.warn(
                "service".into(),
                "section `service` starts nothing any more: start pacemakerd beside corosync"
                    .into(),
            );
        }
        self.stack.push((name, section));
        Ok(())
    }

    fn pair(&mut self, key: String, value: Vec<u8>) -> Result<(), ParseError> {
        let path = self.path();
        let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if full.len() > cmap::KEY_MAX {
            return Err(self.error("New key makes total cmap path too long"));
        }
        self.remark(&path, &key, &full);
        let typed = self.typed(&path, &key, &full, &value)?;
        let line_error = |parser: &Parser<'_>, what: &str| Err(parser.error(what));
        let Some((_, section)) = self.stack.last_mut() else {
            return self.store(full, typed);
        };
        match section {
            Section::Plain => self.store(full, typed),
            Section::Interface(interface) => {
                if let Value::U8(link) = typed
                    && key == "linknumber"
                {
                    interface.link = link;
                    interface.ring = None;
                    return Ok(());
                }
                if key == "ringnumber" && interface.link == 0 {
                    interface.ring =
                        String::from_utf8_lossy(&value).parse().ok().filter(|ring| *ring > 0);
                }
                match INTERFACE_KEYS.iter().find(|known| **known == key) {
                    Some(known) => {
                        interface.keys.insert(known, typed);
                        Ok(())
                    }
                    None => self.store(full, typed),
                }
            }
            Section::Member => {
                if key != "memberaddr" {
                    return line_error(self, "Only memberaddr is allowed in member section");
                }
                let depth = self.stack.len();
                if let Some((_, Section::Interface(outer))) = self.stack.get_mut(depth - 2) {
                    outer.members.push(value);
                }
                Ok(())
            }
            Section::Node => {
                let node = self.nodes;
                self.store(format!("nodelist.node.{node}.{key}"), typed)
            }
            Section::LoggerSubsys { subsys, items } => {
                if key == "subsys" {
                    *subsys = Some(String::from_utf8_lossy(&value).into_owned());
                }
                items.push((key, value));
                Ok(())
            }
            Section::LoggingDaemon { name, subsys, items } => {
                match key.as_str() {
                    "name" => *name = Some(String::from_utf8_lossy(&value).into_owned()),
                    "subsys" => {
                        *subsys = Some(String::from_utf8_lossy(&value).into_owned());
                        items.push((key, value));
                    }
                    _ => items.push((key, value)),
                }
                Ok(())
            }
            Section::UidGid => self.uidgid(&key, &value),
        }
    }

    fn remark(&mut self, path: &str, key: &str, full: &str) {
        match keys::standing(path, key) {
            Standing::Known => {}
            Standing::Legacy if path == "service" => {}
            Standing::Legacy => self.warn(
                full.to_owned(),
                format!("key `{full}` belongs to an older corosync and has no effect"),
            ),
            Standing::Unknown => {
                self.warn(full.to_owned(), format!("key `{full}` is not known and has no effect"))
            }
        }
    }

    /// The value in its key's type, its word checked.
    fn typed(&self, path: &str, key: &str, full: &str, value: &[u8]) -> Result<Value, ParseError> {
        let text = String::from_utf8_lossy(value);
        if let Some(kind) = keys::number_kind(path, key) {
            let (min, max) = kind.range();
            return kind.read(&text).ok_or_else(|| {
                self.error(format!(
                    "Value of key \"{full}\" is expected to be integer in range ({min}..{max}), \
                     but \"{text}\" was given"
                ))
            });
        }
        if let Some(refusal) = keys::refused_word(path, key, &text) {
            return Err(self.error(refusal));
        }
        Ok(Value::Str(value.to_vec()))
    }

    fn store(&mut self, key: String, value: Value) -> Result<(), ParseError> {
        if !cmap::is_valid_key(key.as_bytes()) {
            return Err(self.error(format!(
                "Can't store key \"{key}\" into icmap, returned error is CS_ERR_NAME_TOO_LONG"
            )));
        }
        self.into.keys.insert(key, value);
        Ok(())
    }

    fn uidgid(&mut self, key: &str, value: &[u8]) -> Result<(), ParseError> {
        let text = String::from_utf8_lossy(value).into_owned();
        let number: Option<u32> = text.parse().ok();
        let (kind, id) = match key {
            "uid" => {
                let id = number.or_else(|| self.accounts.uid(&text)).ok_or_else(|| {
                    self.error(format!(
                        "The '{text}' user is not found in /etc/passwd, please read the documentation."
                    ))
                })?;
                ("uid", id)
            }
            "gid" => {
                let id = number.or_else(|| self.accounts.gid(&text)).ok_or_else(|| {
                    self.error(format!(
                        "The '{text}' group is not found in /etc/group, please read the documentation."
                    ))
                })?;
                ("gid", id)
            }
            _ => return Err(self.error("uidgid: Only uid and gid are allowed items")),
        };
        self.store(format!("uidgid.config.{kind}.{id}"), Value::U8(1))
    }

    fn close(&mut self) -> Result<(), ParseError> {
        let Some((_, section)) = self.stack.pop() else {
            return Err(self.error("Unexpected closing brace"));
        };
        match section {
            Section::Plain | Section::Member | Section::UidGid => Ok(()),
            Section::Node => {
                self.nodes += 1;
                Ok(())
            }
            Section::Interface(interface) if interface.ring.is_some() => {
                self.rings.push(interface);
                Ok(())
            }
            Section::Interface(interface) => self.close_interface(interface),
            Section::LoggerSubsys { subsys, items } => {
                let Some(subsys) = subsys else {
                    return Err(self.error("No subsys key in logger_subsys directive"));
                };
                self.store_all(&format!("logging.logger_subsys.{subsys}"), items)
            }
            Section::LoggingDaemon { name, subsys, items } => {
                let Some(name) = name else {
                    return Err(self.error("No name key in logging_daemon directive"));
                };
                let base = match (name.as_str(), subsys) {
                    ("corosync", None) => "logging".to_owned(),
                    ("corosync", Some(subsys)) => format!("logging.logger_subsys.{subsys}"),
                    (name, None) => format!("logging.logging_daemon.{name}"),
                    (name, Some(subsys)) => format!("logging.logging_daemon.{name}.{subsys}"),
                };
                self.store_all(&base, items)
            }
        }
    }

    fn close_interface(&mut self, interface: Interface) -> Result<(), ParseError> {
        let link = interface.link;
        for (key, value) in interface.keys {
            self.store(format!("totem.interface.{link}.{key}"), value)?;
        }
        for (nth, member) in interface.members.into_iter().enumerate() {
            self.store(format!("totem.interface.{link}.member.{nth}"), Value::Str(member))?;
        }
        Ok(())
    }

    fn store_all(&mut self, base: &str, items: Vec<(String, Vec<u8>)>) -> Result<(), ParseError> {
        for (key, value) in items {
            self.store(format!("{base}.{key}"), Value::Str(value))?;
        }
        Ok(())
    }
}

/// Upstream's words for a line that cannot be read, then what would be one, and what it is.
fn lexical(bad: LineError, raw: &[u8]) -> String {
    const SHOWN_MAX: usize = 60;
    let found = String::from_utf8_lossy(raw);
    let found: String = found.trim().chars().take(SHOWN_MAX).collect();
    format!("{bad}: expected `section {{`, `key: value` or `}}`, found `{found}`")
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
