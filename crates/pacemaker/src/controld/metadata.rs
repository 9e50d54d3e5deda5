//! What the controller needs of an agent's meta-data: which parameters may change without a
//! restart, and which are private.
//!
//! Source: `spec/pacemaker-cluster.md` §7.4–7.5.

use std::collections::{BTreeMap, BTreeSet};

use xml::Element;

/// Parameters that are private when the agent does not say so itself.
const PRIVATE_BY_NAME: [&str; 3] = ["password", "passwd", "user"];

/// The facts of one agent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Metadata {
    /// It can reload its definition (`reload-agent`, OCF 1.1).
    pub reload_agent: bool,
    /// It has the older `reload`.
    pub reload_legacy: bool,
    /// Parameters whose change needs no restart (OCF 1.1).
    reloadable: BTreeSet<String>,
    /// Parameters marked unique (what the older standard has instead).
    unique: BTreeSet<String>,
    private: BTreeSet<String>,
    all: BTreeSet<String>,
}

impl Metadata {
    /// Reads the agent's document.
    pub fn parse(text: &str) -> Option<Metadata> {
        let document = xml::parse(text.trim_start_matches(|c: char| c != '<')).ok()?;
        let version = document.child("version").map(|v| v.text().trim().to_owned());
        let is_1_1 = version.is_some_and(|version| {
            crate::cluster::election::compare_versions(&version, "1.1").is_ge()
        });
        let mut found = Metadata::default();
        for action in document.children_named("actions").flat_map(|a| a.children_named("action")) {
            match action.get("name") {
                Some("reload-agent") if is_1_1 => found.reload_agent = true,
                Some("reload") if !is_1_1 => found.reload_legacy = true,
                _ => {}
            }
        }
        for parameter in
            document.children_named("parameters").flat_map(|p| p.children_named("parameter"))
        {
            let Some(name) = parameter.get("name") else { continue };
            found.all.insert(name.to_owned());
            for (flag, into) in [
                ("reloadable", &mut found.reloadable),
                ("unique", &mut found.unique),
                ("private", &mut found.private),
            ] {
                if is_true(&parameter, flag) {
                    into.insert(name.to_owned());
                }
            }
        }
        Some(found)
    }

    /// Parameters whose change needs a restart; `None` if the agent cannot reload at all.
    pub fn restart_parameters(&self) -> Option<BTreeSet<&str>> {
        if self.reload_agent {
            Some(self.all.difference(&self.reloadable).map(String::as_str).collect())
        } else if self.reload_legacy {
            Some(self.unique.iter().map(String::as_str).collect())
        } else {
            None
        }
    }

    /// Parameters that must not be shown.
    pub fn private_parameters(&self) -> Vec<&str> {
        if self.private.is_empty() {
            PRIVATE_BY_NAME.into_iter().filter(|name| self.all.contains(*name)).collect()
        } else {
            self.private.iter().map(String::as_str).collect()
        }
    }
}

fn is_true(element: &&Element, name: &str) -> bool {
    element.get(name).is_some_and(|text| matches!(text, "1" | "true" | "yes" | "on"))
}

/// Agents' meta-data by `class[:provider]:type`. `None` stands for an agent that has none.
pub type Cache = BTreeMap<String, Option<Metadata>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reload_follows_the_standard_of_the_agent() {
        let old = "<?xml version='1.0'?>\n<resource-agent name='x'><version>1.0</version>\
            <parameters><parameter name='state' unique='1'/><parameter name='passwd'/></parameters>\
            <actions><action name='reload'/><action name='reload-agent'/></actions>\
            </resource-agent>";
        let old = Metadata::parse(old).unwrap();
        assert!(old.reload_legacy && !old.reload_agent);
        assert_eq!(old.restart_parameters().unwrap().into_iter().collect::<Vec<_>>(), ["state"]);
        assert_eq!(old.private_parameters(), ["passwd"]);
        let new = "<resource-agent><version>1.1</version><parameters>\
            <parameter name='a' reloadable='1'/><parameter name='b'/><parameter name='c' \
            private='1'/></parameters><actions><action name='reload-agent'/></actions>\
            </resource-agent>";
        let new = Metadata::parse(new).unwrap();
        assert_eq!(new.restart_parameters().unwrap().into_iter().collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(new.private_parameters(), ["c"]);
        assert!(Metadata::parse("no xml").is_none());
    }
}
