//! The shape of the document: the empty one, and where its sections lie.
//!
//! Source: `spec/cib.md` §1 and §6.

use xml::{Element, NodePath};

use crate::version::FEATURE_SET;

/// The newest schema that is written into new documents.
pub const LATEST_SCHEMA: &str = "pacemaker-3.9";

/// A document without configuration, as daemons and `cibadmin --empty` make it. The daemon starts
/// at epoch 0, the tool at epoch 1.
pub fn empty(epoch: u32) -> Element {
    let mut configuration = Element::new("configuration");
    for section in ["crm_config", "nodes", "resources", "constraints"] {
        configuration.push(Element::new(section));
    }
    Element::new("cib")
        .with("crm_feature_set", FEATURE_SET)
        .with("validate-with", LATEST_SCHEMA)
        .with("epoch", epoch.to_string())
        .with("num_updates", "0")
        .with("admin_epoch", "0")
        .with_child(configuration)
        .with_child(Element::new("status"))
}

/// Names of the way from the root to a section; `None` for names that are no section. The whole
/// document is an empty way.
pub fn section_way(section: &str) -> Option<&'static [&'static str]> {
    Some(match section {
        "" | "cib" | "all" => &[],
        "status" => &["status"],
        "configuration" => &["configuration"],
        "nodes" => &["configuration", "nodes"],
        "resources" => &["configuration", "resources"],
        "constraints" => &["configuration", "constraints"],
        "crm_config" => &["configuration", "crm_config"],
        "rsc_defaults" => &["configuration", "rsc_defaults"],
        "op_defaults" => &["configuration", "op_defaults"],
        "acls" => &["configuration", "acls"],
        "fencing-topology" => &["configuration", "fencing-topology"],
        "tags" => &["configuration", "tags"],
        "alerts" => &["configuration", "alerts"],
        _ => return None,
    })
}

/// Where a section lies, if the document has it. Names that are no section mean the whole
/// document, as upstream takes them.
pub fn find_section(cib: &Element, section: &str) -> Option<NodePath> {
    let mut path = NodePath::root();
    let mut element = cib;
    for name in section_way(section).unwrap_or(&[]) {
        let (position, child) =
            element.nodes().iter().enumerate().find_map(|(at, node)| match node {
                xml::Node::Element(child) if child.name() == *name => Some((at, child)),
                _ => None,
            })?;
        path.push(position);
        element = child;
    }
    Some(path)
}

/// Where a section lies; made if it is missing.
pub fn find_or_make_section(cib: &mut Element, section: &str) -> NodePath {
    let mut path = NodePath::root();
    for name in section_way(section).unwrap_or(&[]) {
        let Some(element) = cib.element_at_mut(&path) else { break };
        element.child_or_new(name);
        let position = element
            .nodes()
            .iter()
            .position(|node| matches!(node, xml::Node::Element(child) if child.name() == *name));
        path.push(position.unwrap_or(0));
    }
    path
}

/// A cluster option out of the document: `crm_config`'s sets, `cib-bootstrap-options` first, the
/// first pair of a set winning. Rules are not evaluated here; sets with rules are skipped.
///
/// Source: `spec/cib.md` §4.5.
pub fn cluster_option<'a>(cib: &'a Element, name: &str) -> Option<&'a str> {
    let crm_config = cib.at(&["configuration", "crm_config"])?;
    let score =
        |set: &Element| set.get("score").and_then(base::Score::parse).map_or(0, base::Score::value);
    let mut sets: Vec<&Element> = crm_config
        .children_named("cluster_property_set")
        .filter(|set| set.child("rule").is_none())
        .collect();
    sets.reverse();
    sets.sort_by_key(|set| (set.id() != Some("cib-bootstrap-options"), -i64::from(score(set))));
    sets.into_iter().find_map(|set| {
        let pair = set.children_named("nvpair").find(|pair| pair.get("name") == Some(name))?;
        pair.get("value").filter(|value| !value.eq_ignore_ascii_case("#default"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_document_is_upstreams() {
        assert_eq!(
            empty(0).to_text(),
            "<cib crm_feature_set=\"3.16.1\" validate-with=\"pacemaker-3.9\" epoch=\"0\" \
             num_updates=\"0\" admin_epoch=\"0\"><configuration><crm_config/><nodes/><resources/>\
             <constraints/></configuration><status/></cib>"
        );
    }

    #[test]
    fn sections_are_found_and_made() {
        let mut cib = empty(0);
        assert!(find_section(&cib, "rsc_defaults").is_none());
        let path = find_or_make_section(&mut cib, "rsc_defaults");
        assert_eq!(cib.xpath_of(&path), "/cib/configuration/rsc_defaults");
        assert_eq!(find_section(&cib, "rsc_defaults"), Some(path));
        assert_eq!(find_section(&cib, "cib"), Some(NodePath::root()));
    }

    #[test]
    fn options_follow_the_precedence_of_sets() {
        let cib = xml::parse(
            "<cib><configuration><crm_config><cluster_property_set id='a' score='9'>\
             <nvpair name='x' value='1'/><nvpair name='y' value='1'/></cluster_property_set>\
             <cluster_property_set id='cib-bootstrap-options'><nvpair name='x' value='2'/>\
             </cluster_property_set></crm_config></configuration></cib>",
        )
        .unwrap();
        assert_eq!(cluster_option(&cib, "x"), Some("2"));
        assert_eq!(cluster_option(&cib, "y"), Some("1"));
        assert_eq!(cluster_option(&cib, "z"), None);
    }
}
