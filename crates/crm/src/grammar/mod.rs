//! The configure language: words to CIB elements (`spec/crmsh.md` §4 and §5).
//!
//! A parser here makes one element as the document will hold it, with the ids that the user gave
//! and none of the others; [`ids`](crate::ids) fills those in once the rest of the document is
//! known. Members of groups and clones are names, because they are *moved* into the container by
//! the [`session`](crate::session).

mod attrs;
mod constraint;
mod cursor;
mod other;
mod resource;
mod rule;
mod score;
mod set;

use xml::Element;

pub use cursor::{Cursor, SyntaxError};
pub use score::{parse_score, show_score};

/// A definition as it was typed.
#[derive(Debug, Clone, PartialEq)]
pub enum Definition {
    /// A new object of its own: everything but what follows.
    Object {
        /// The element, without generated ids.
        element: Element,
        /// For containers: the ids of the resources that move into it.
        members: Vec<String>,
    },
    /// `property`, `rsc_defaults`, `op_defaults`: pairs that are merged into a set.
    Defaults {
        /// Which of them.
        kind: DefaultsKind,
        /// The attribute set; its id is the user's or the usual one.
        set: Element,
    },
    /// `fencing_topology`: replaces the whole topology.
    Fencing {
        /// For each level in order: the target attributes (none: all nodes) and the devices.
        levels: Vec<FencingLevel>,
    },
    /// `monitor RSC[:ROLE] INTERVAL[:TIMEOUT]`: one more operation of an existing primitive.
    Monitor {
        /// The primitive.
        resource: String,
        /// The `op` element.
        op: Element,
    },
}

/// One level of a fencing topology as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FencingLevel {
    /// `(attribute, value)` pairs that name the target; empty for "every node".
    pub target: Vec<(String, String)>,
    /// 1-based position among the levels of this target.
    pub index: usize,
    /// Devices, joined by commas.
    pub devices: String,
}

/// The three kinds of default sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultsKind {
    /// `property`: cluster options.
    Property,
    /// `rsc_defaults`: meta-attributes of resources.
    Resources,
    /// `op_defaults`: attributes of operations.
    Operations,
}

impl DefaultsKind {
    /// The command.
    pub fn keyword(self) -> &'static str {
        match self {
            DefaultsKind::Property => "property",
            DefaultsKind::Resources => "rsc_defaults",
            DefaultsKind::Operations => "op_defaults",
        }
    }

    /// The section of the configuration that holds the sets.
    pub fn section(self) -> &'static str {
        match self {
            DefaultsKind::Property => "crm_config",
            DefaultsKind::Resources => "rsc_defaults",
            DefaultsKind::Operations => "op_defaults",
        }
    }

    /// The element name of a set.
    pub fn set_name(self) -> &'static str {
        match self {
            DefaultsKind::Property => "cluster_property_set",
            DefaultsKind::Resources | DefaultsKind::Operations => "meta_attributes",
        }
    }

    /// The id of the usual set.
    pub fn default_id(self) -> &'static str {
        match self {
            DefaultsKind::Property => "cib-bootstrap-options",
            DefaultsKind::Resources => "rsc-options",
            DefaultsKind::Operations => "op-options",
        }
    }
}

/// What the parsers need to know of the world.
pub trait World {
    /// Finds class and provider for an agent typed without them (`IPaddr2`, `ocf:IPaddr2`).
    fn resolve_agent(&self, agent: &str) -> Option<(String, Option<String>, String)>;
}

/// The words that begin a definition, each with its parser. `ms` and `master` are one.
pub const KEYWORDS: &[&str] = &[
    "acl_group",
    "acl_target",
    "clone",
    "collocation",
    "colocation",
    "fencing-topology",
    "fencing_topology",
    "group",
    "location",
    "master",
    "monitor",
    "ms",
    "node",
    "op_defaults",
    "order",
    "primitive",
    "property",
    "role",
    "rsc_defaults",
    "rsc_template",
    "rsc_ticket",
    "tag",
    "xml",
];

/// Parses one definition. The first word decides; it is matched in any letter case.
pub fn parse(words: &[String], world: &dyn World) -> Result<Definition, SyntaxError> {
    let keyword = words.first().map(|word| word.to_ascii_lowercase()).unwrap_or_default();
    let mut cursor = Cursor::new(words);
    match keyword.as_str() {
        "primitive" | "rsc_template" => resource::primitive(&mut cursor, world),
        "group" => resource::group(&mut cursor),
        "clone" => resource::clone(&mut cursor, "clone"),
        "ms" | "master" => resource::clone(&mut cursor, "master"),
        "monitor" => resource::monitor(&mut cursor),
        "location" => constraint::location(&mut cursor),
        "colocation" | "collocation" => constraint::colocation(&mut cursor),
        "order" => constraint::order(&mut cursor),
        "rsc_ticket" => constraint::ticket(&mut cursor),
        "property" => other::defaults(&mut cursor, DefaultsKind::Property),
        "rsc_defaults" => other::defaults(&mut cursor, DefaultsKind::Resources),
        "op_defaults" => other::defaults(&mut cursor, DefaultsKind::Operations),
        "node" => other::node(&mut cursor),
        "tag" => other::tag(&mut cursor),
        "fencing_topology" | "fencing-topology" => other::fencing(&mut cursor),
        "acl_target" | "acl_group" => other::acl_subject(&mut cursor),
        "role" => other::acl_role(&mut cursor),
        "xml" => other::raw_xml(&mut cursor),
        _ => Err(cursor.fail("Unknown command")),
    }
}

fn object(element: Element) -> Result<Definition, SyntaxError> {
    Ok(Definition::Object { element, members: Vec::new() })
}

#[cfg(test)]
mod tests;
