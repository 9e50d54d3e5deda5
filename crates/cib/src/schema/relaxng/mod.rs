//! The grammar as RELAX NG, one file a version: what `xmllint`, `crmsh`, `pcs` and others read
//! under `/usr/share/pacemaker`.
//!
//! The files are generated from the table the validator works with; what the validator knows as
//! conditions between attributes and children ([`super::conditions`]) is written a second time
//! as patterns ([`content`]). A test lets `xmllint` and the validator judge the same documents.
//!
//! Source: `spec/cib.md` §3, §11.1.

mod content;
pub mod pattern;

use xml::Element;

use super::{Attr, Child, Occurs, Rule, Type, VERSIONS, Version, name_of, table};
use pattern::{
    all, any_element, anything, attribute, choice, empty_grammar, many, named, optional, reference,
    some,
};

/// A schema file: its name and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Name without directory.
    pub name: String,
    /// Content.
    pub text: String,
}

/// The files for all versions up to `newest`: one a version, `pacemaker.rng` for the newest,
/// `versions.rng` with the names that `validate-with` may have, and stylesheets for old libraries.
pub fn files(newest: Version) -> Vec<File> {
    let mut files: Vec<File> = Vec::new();
    for version in VERSIONS.into_iter().filter(|version| *version <= newest) {
        let text = text(&grammar(version));
        files.push(File { name: format!("{}.rng", name_of(version)), text });
    }
    if let Some(last) = files.last() {
        let text = last.text.clone();
        files.push(File { name: "pacemaker.rng".to_owned(), text });
    }
    files.push(File { name: "versions.rng".to_owned(), text: text(&versions(newest)) });
    for name in ["upgrade-1.3", "upgrade-2.10-enter", "upgrade-2.10", "upgrade-2.10-leave"] {
        files.push(File { name: format!("{name}.xsl"), text: COPY_ALL.to_owned() });
    }
    files
}

/// Programs that bring Pacemaker's own library of 2.1.5 read no schema behind 1.3 when there is no
/// stylesheet that leads out of it. This one changes nothing, so that what needs a rewriting is
/// refused by the next schema; the rewriting is done by our commands.
const COPY_ALL: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- Documents are upgraded by `cibadmin --upgrade` of Quorate. This stylesheet changes nothing. -->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:template match="@*|node()">
    <xsl:copy><xsl:apply-templates select="@*|node()"/></xsl:copy>
  </xsl:template>
</xsl:stylesheet>
"#;

fn text(grammar: &Element) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", grammar.to_pretty())
}

/// The grammar of one version.
pub fn grammar(version: Version) -> Element {
    let mut grammar =
        empty_grammar().with_child(Element::new("start").with_child(reference("element-cib")));
    for rule in table::RULES {
        if !exists(rule, version) {
            continue;
        }
        for variant in content::variants(rule.name) {
            let scope = Scope { version, rule, parent: variant };
            let mut element = Element::new("element").with("name", rule.name);
            for part in content::of(&scope) {
                element.push(part);
            }
            if element.is_leaf() {
                element.push(Element::new("empty"));
            }
            grammar.push(named(&definition(rule.name, variant), element));
        }
    }
    grammar.push(named("element-status", anything("status", "element-any")));
    grammar.push(named("element-any", any_element("element-any")));
    grammar
}

/// Whether a version has an element: only if some element may hold it.
fn exists(rule: &Rule, version: Version) -> bool {
    rule.name == "cib"
        || table::RULES.iter().any(|parent| {
            parent.children.iter().any(|child| child.name == rule.name && child.in_version(version))
        })
}

/// Elements whose content depends on what they are in have a definition for each.
fn definition(name: &str, parent: &str) -> String {
    if parent.is_empty() { format!("element-{name}") } else { format!("element-{parent}.{name}") }
}

/// What a pattern is made for.
struct Scope {
    version: Version,
    rule: &'static Rule,
    /// The parent, where it matters.
    parent: &'static str,
}

impl Scope {
    fn attr(&self, name: &str) -> Option<&'static Attr> {
        self.rule.attrs.iter().find(|attr| attr.name == name && attr.in_version(self.version))
    }

    /// A required attribute, if the version has it.
    fn must(&self, name: &str) -> Vec<Element> {
        self.attr(name).map(|attr| attribute(name, value(attr.ty))).into_iter().collect()
    }

    /// An optional attribute, if the version has it.
    fn may(&self, name: &str) -> Vec<Element> {
        self.must(name).into_iter().map(optional).collect()
    }

    /// The first of the attributes, or the second, …: exactly one of those that the version has.
    fn one_of(&self, names: &[&str]) -> Vec<Element> {
        choice(names.iter().flat_map(|name| self.must(name)).collect())
    }

    /// All attributes but those, each optional or required as the table says.
    fn attributes_but(&self, names: &[&str]) -> Vec<Element> {
        let attrs = self.rule.attrs.iter();
        attrs
            .filter(|attr| attr.in_version(self.version) && !names.contains(&attr.name))
            .map(|attr| {
                let pattern = attribute(attr.name, value(attr.ty));
                if attr.required { pattern } else { optional(pattern) }
            })
            .collect()
    }

    fn has_child(&self, name: &str) -> bool {
        self.rule.children.iter().any(|c| c.name == name && c.in_version(self.version))
    }

    /// A reference to a child's definition, if the version has the child.
    fn child(&self, name: &str) -> Vec<Element> {
        if !self.has_child(name) {
            return Vec::new();
        }
        let variants = content::variants(name);
        let own = content::kind(self.rule.name);
        let variant = variants.iter().find(|variant| **variant == own).copied().unwrap_or("");
        vec![reference(&definition(name, variant))]
    }

    /// All children but those, as often as the table says.
    fn children_but(&self, names: &[&str]) -> Vec<Element> {
        let children = self.rule.children.iter();
        children
            .filter(|child| child.in_version(self.version) && !names.contains(&child.name))
            .flat_map(|child| self.child(child.name).into_iter().map(|r| occurs(r, child.occurs)))
            .collect()
    }
}

impl Attr {
    fn in_version(&self, version: Version) -> bool {
        self.since <= version && version <= self.until
    }
}

impl Child {
    fn in_version(&self, version: Version) -> bool {
        self.since <= version && version <= self.until
    }
}

fn occurs(pattern: Element, occurs: Occurs) -> Element {
    match occurs {
        Occurs::One => pattern,
        Occurs::Maybe => optional(pattern),
        Occurs::Any => many(pattern),
        Occurs::Many => some(pattern),
    }
}

fn value(ty: Type) -> Element {
    match ty {
        Type::Text => Element::new("text"),
        Type::Id => pattern::data("ID"),
        Type::IdRef => pattern::data("IDREF"),
        Type::Boolean => pattern::data("boolean"),
        Type::Integer => pattern::data("integer"),
        Type::NonNegative => pattern::data("nonNegativeInteger"),
        Type::Positive => pattern::data("positiveInteger"),
        Type::UpToNine => pattern::limited("positiveInteger", "maxInclusive", "9"),
        Type::Score => {
            let mut score = vec![pattern::data("integer")];
            score.extend(["INFINITY", "+INFINITY", "-INFINITY"].map(pattern::value));
            all("choice", score)
        }
        Type::RoleOld => pattern::values(super::types::ROLES_OLD),
        Type::RoleNew => pattern::values(super::types::ROLES_NEW),
        Type::Action => pattern::values(super::types::ACTIONS),
        Type::DeviceList => {
            let device = r"[a-zA-Z0-9_\.\-]+";
            pattern::limited("string", "pattern", &format!("{device}(,{device})*"))
        }
        Type::PortRange => pattern::limited("string", "pattern", r"[0-9\-]+"),
        Type::OneOf(values) => pattern::values(values),
    }
}

/// The values of `validate-with` and the counters, which tools look up here.
fn versions(newest: Version) -> Element {
    let exists = |name: &str| super::version_of(name).is_none_or(|version| version <= newest);
    let names = table::SCHEMA_NAMES.iter().filter(|name| exists(name));
    let names: Vec<Element> = names.map(|name| pattern::value(name)).collect();
    let mut parts = vec![optional(attribute("validate-with", all("choice", names)))];
    for counter in crate::version::COUNTERS {
        parts.push(optional(attribute(counter, pattern::data("nonNegativeInteger"))));
    }
    let start = Element::new("start").with_child(reference("attribute-options"));
    let mut define = Element::new("define").with("name", "attribute-options");
    parts.into_iter().for_each(|part| define.push(part));
    empty_grammar().with_child(start).with_child(define)
}
