//! The grammar of the configuration, in all its versions: which elements and attributes there
//! are, what their values may be, which ids must be unique and which must exist.
//!
//! One table holds every version ([`table`]); what depends on several attributes at once is code
//! ([`conditions`]). Unlike upstream's RELAX NG messages, problems name the element, its id and
//! line, and what would be right.
//!
//! Source: `spec/cib.md` §3, §11.

mod change;
mod conditions;
pub mod relaxng;
mod table;
mod types;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

use xml::{Element, Node};

pub use change::{is_known_valid, remember_valid, validate_after};

/// A version of the grammar as number: major times 100 plus minor.
pub type Version = u16;

/// Until the newest version.
const UP: Version = Version::MAX;

/// The schemas that 2.1.5 knows, oldest first. Later ones are accepted by name when a document
/// asks for them, see [`index_of`].
pub fn known() -> impl DoubleEndedIterator<Item = &'static str> {
    let is_known = |name: &str| version_of(name).is_some_and(|version| version <= LATEST);
    let names = table::SCHEMA_NAMES.iter().copied();
    names.filter(move |name| *name != NEXT && is_known(name))
}

/// A name for the schema under development, which is none: the newest is meant.
const NEXT: &str = "pacemaker-next";

/// All versions, oldest first.
pub const VERSIONS: [Version; 26] = [
    100, 102, 103, 200, 201, 202, 203, 204, 205, 206, 207, 208, 209, 210, 300, 301, 302, 303, 304,
    305, 306, 307, 308, 309, 310, 400,
];

/// The newest version that Pacemaker 2.1.5 knows: what daemons and new documents use, because
/// peers and the tools of other projects must be able to read it.
pub const LATEST: Version = 309;

/// The newest version there is: what documents in files may be upgraded to.
pub const NEWEST: Version = 400;

/// The version a schema name stands for; `None` for `none` and unknown names.
pub fn version_of(name: &str) -> Option<Version> {
    if name == NEXT {
        return Some(LATEST);
    }
    let (major, minor) = name.strip_prefix("pacemaker-")?.split_once('.')?;
    let number = |digits: &str| {
        let plain =
            !digits.is_empty() && digits.len() < 3 && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse::<u16>().ok()).flatten()
    };
    let version = number(major)? * 100 + number(minor)?;
    VERSIONS.contains(&version).then_some(version)
}

/// The name of a version.
pub fn name_of(version: Version) -> String {
    format!("pacemaker-{}.{}", version / 100, version % 100)
}

/// A number by which schema names compare: unknown names are lowest, `none` is highest.
pub fn index_of(name: &str) -> u16 {
    if name.eq_ignore_ascii_case("none") {
        return u16::MAX;
    }
    version_of(name).unwrap_or(0)
}

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Text,
    Id,
    IdRef,
    Boolean,
    Integer,
    NonNegative,
    Positive,
    UpToNine,
    Score,
    RoleOld,
    RoleNew,
    Action,
    DeviceList,
    PortRange,
    OneOf(&'static [&'static str]),
}

/// An attribute in a range of versions.
#[derive(Clone, Copy, Debug)]
struct Attr {
    name: &'static str,
    since: Version,
    until: Version,
    required: bool,
    ty: Type,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occurs {
    One,
    Maybe,
    Any,
    Many,
}

/// A child in a range of versions.
#[derive(Clone, Copy, Debug)]
struct Child {
    name: &'static str,
    since: Version,
    until: Version,
    occurs: Occurs,
}

/// An element.
#[derive(Debug)]
struct Rule {
    name: &'static str,
    attrs: &'static [Attr],
    children: &'static [Child],
}

fn rule(name: &str) -> Option<&'static Rule> {
    static BY_NAME: OnceLock<BTreeMap<&'static str, &'static Rule>> = OnceLock::new();
    let by_name =
        BY_NAME.get_or_init(|| table::RULES.iter().map(|rule| (rule.name, rule)).collect());
    by_name.get(name).copied()
}

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line of the element in the text it was read from.
    pub line: Option<u32>,
    /// Column of the element in it.
    pub column: Option<u32>,
    /// The element's name.
    pub element: String,
    /// Its id.
    pub id: Option<String>,
    /// What is wrong, and what is expected.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}")?;
            if let Some(column) = self.column {
                write!(f, ", column {column}")?;
            }
            write!(f, ": ")?;
        }
        write!(f, "element {}", self.element)?;
        if let Some(id) = &self.id {
            write!(f, " (id `{id}`)")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// Checks a document against the schema it names. `none` is always right.
///
/// # Errors
/// All problems, in document order.
pub fn validate(cib: &Element) -> Result<(), Vec<Problem>> {
    let name = cib.get("validate-with").unwrap_or("");
    if name.eq_ignore_ascii_case("none") {
        return Ok(());
    }
    let Some(version) = version_of(name) else {
        let what = if name.is_empty() {
            "attribute `validate-with` is missing; the newest schema is pacemaker-4.0".to_owned()
        } else {
            format!("unknown schema `{name}`; known are pacemaker-1.0 to pacemaker-4.0 and none")
        };
        return Err(vec![problem(cib, what)]);
    };
    validate_as(cib, version)
}

/// Checks a document against a given version of the grammar.
///
/// # Errors
/// All problems, in document order.
pub fn validate_as(cib: &Element, version: Version) -> Result<(), Vec<Problem>> {
    let mut check = Check { version, ..Check::default() };
    if cib.name() == "cib" {
        check.element(cib, None);
    } else {
        check.fail(cib, "the document element must be `cib`".to_owned());
    }
    check.references();
    if check.problems.is_empty() { Ok(()) } else { Err(check.problems) }
}

/// Whether a document is valid in a version of the grammar.
pub fn is_valid_as(cib: &Element, version: Version) -> bool {
    validate_as(cib, version).is_ok()
}

fn problem(element: &Element, what: String) -> Problem {
    Problem {
        line: element.line(),
        column: element.column(),
        element: element.name().to_owned(),
        id: element.id().map(str::to_owned),
        what,
    }
}

#[derive(Default)]
struct Check<'a> {
    version: Version,
    problems: Vec<Problem>,
    ids: BTreeMap<&'a str, &'a Element>,
    refs: Vec<(&'a Element, &'static str, &'a str)>,
}

impl<'a> Check<'a> {
    fn fail(&mut self, element: &Element, what: String) {
        self.problems.push(problem(element, what));
    }

    fn has(&self, since: Version, until: Version) -> bool {
        since <= self.version && self.version <= until
    }

    fn element(&mut self, element: &'a Element, parent: Option<&'a Element>) {
        // The status section is free, and reuses ids.
        if element.name() == "status" {
            return;
        }
        let Some(rule) = rule(element.name()) else {
            return self.fail(element, "is not known".to_owned());
        };
        self.attributes(element, rule);
        self.children(element, rule);
        let version = self.version;
        conditions::check(element, parent, version, &mut |what| {
            self.problems.push(problem(element, what));
        });
        for child in element.children() {
            self.element(child, Some(element));
        }
    }

    fn attributes(&mut self, element: &'a Element, rule: &'static Rule) {
        for (name, value) in element.attrs() {
            let mut known = rule.attrs.iter().filter(|attr| attr.name == name);
            let Some(attr) = known.find(|attr| self.has(attr.since, attr.until)) else {
                let allowed: Vec<&str> = rule
                    .attrs
                    .iter()
                    .filter(|attr| self.has(attr.since, attr.until))
                    .map(|attr| attr.name)
                    .collect();
                let what = if allowed.is_empty() {
                    format!("attribute `{name}` is not allowed; there are none")
                } else {
                    format!("attribute `{name}` is not allowed; allowed are {}", allowed.join(", "))
                };
                self.fail(element, what);
                continue;
            };
            match attr.ty {
                Type::Id => {
                    if let Some(other) = self.ids.insert(value, element) {
                        let what = format!(
                            "id `{value}` is used more than once (first by `{}`)",
                            other.name()
                        );
                        self.fail(element, what);
                    }
                }
                Type::IdRef => self.refs.push((element, attr.name, value)),
                _ => {}
            }
            if let Err(expected) = types::check(attr.ty, value) {
                let what = format!("attribute `{name}` is `{value}`, expected {expected}");
                self.fail(element, what);
            }
        }
        for attr in rule.attrs {
            if attr.required && self.has(attr.since, attr.until) && !element.has(attr.name) {
                self.fail(element, format!("attribute `{}` is missing", attr.name));
            }
        }
    }

    fn children(&mut self, element: &'a Element, rule: &'static Rule) {
        let allowed = |check: &Check<'_>, name: &str| {
            rule.children
                .iter()
                .find(|child| child.name == name && check.has(child.since, child.until))
        };
        for node in element.nodes() {
            match node {
                Node::Element(child) if allowed(self, child.name()).is_none() => {
                    let names: Vec<&str> = rule
                        .children
                        .iter()
                        .filter(|child| self.has(child.since, child.until))
                        .map(|child| child.name)
                        .collect();
                    let what = if names.is_empty() {
                        format!("may not hold `{}`, nor anything else", child.name())
                    } else {
                        format!("may not hold `{}`; allowed are {}", child.name(), names.join(", "))
                    };
                    self.fail(element, what);
                }
                Node::Text(text) if !text.trim().is_empty() => {
                    self.fail(element, "may not hold text".to_owned());
                }
                _ => {}
            }
        }
        for child in rule.children {
            if !self.has(child.since, child.until) {
                continue;
            }
            let count = element.children_named(child.name).count();
            let name = child.name;
            match child.occurs {
                Occurs::One if count != 1 => {
                    self.fail(element, format!("needs exactly one `{name}`, has {count}"));
                }
                Occurs::Maybe if count > 1 => {
                    self.fail(element, format!("may hold one `{name}`, has {count}"));
                }
                Occurs::Many if count == 0 => {
                    self.fail(element, format!("needs at least one `{name}`"));
                }
                _ => {}
            }
        }
    }

    /// Every IDREF must name an ID that exists.
    fn references(&mut self) {
        for (element, attr, value) in std::mem::take(&mut self.refs) {
            if !self.ids.contains_key(value) {
                self.fail(
                    element,
                    format!("attribute `{attr}` names `{value}`, which no element is called"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests;
