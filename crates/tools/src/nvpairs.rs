//! Name-value pairs in the CIB's sections: where they live, how they are found, written, removed.
//!
//! What `crm_attribute` edits: cluster options, resource and operation defaults, permanent node
//! attributes, transient ones, tickets. Source: `spec/cli-pacemaker.md` §7.2.

use regex_lite::Regex;
use xml::Element;

use crate::nodes::{Kind, Node};
use crate::rc::Rc;
use crate::source::{Call, Source, call};

/// Which part of the CIB holds the pairs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Section {
    /// Cluster options.
    CrmConfig,
    /// Defaults of resources.
    RscDefaults,
    /// Defaults of operations.
    OpDefaults,
    /// Permanent attributes (or utilization) of a node.
    Nodes {
        /// The node.
        node: Node,
        /// Whether the pairs are its utilization.
        utilization: bool,
    },
    /// Transient attributes of a node.
    Status {
        /// The node.
        node: Node,
    },
    /// Attributes of tickets.
    Tickets,
}

/// One pair that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Id of the set it is in.
    pub set: String,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Which pairs are meant.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    /// By name.
    pub name: Option<String>,
    /// By a regular expression on the name.
    pub pattern: Option<String>,
    /// By XML id.
    pub id: Option<String>,
    /// By the id of the set.
    pub set: Option<String>,
}

impl Section {
    /// The word for it in `cib_section` and in output.
    pub fn name(&self) -> &'static str {
        match self {
            Section::CrmConfig => "crm_config",
            Section::RscDefaults => "rsc_defaults",
            Section::OpDefaults => "op_defaults",
            Section::Nodes { .. } => "nodes",
            Section::Status { .. } => "status",
            Section::Tickets => "tickets",
        }
    }

    /// The section to ask the CIB for.
    fn cib_section(&self) -> &'static str {
        match self {
            Section::Tickets => "status",
            other => other.name(),
        }
    }

    fn set_tag(&self) -> &'static str {
        match self {
            Section::CrmConfig => "cluster_property_set",
            Section::RscDefaults | Section::OpDefaults => "meta_attributes",
            Section::Nodes { utilization: true, .. } => "utilization",
            Section::Nodes { .. } | Section::Status { .. } | Section::Tickets => {
                "instance_attributes"
            }
        }
    }

    fn default_set(&self) -> String {
        match self {
            Section::CrmConfig => "cib-bootstrap-options".to_owned(),
            Section::RscDefaults => "rsc_defaults-options".to_owned(),
            Section::OpDefaults => "op_defaults-options".to_owned(),
            Section::Nodes { node, utilization: false } => format!("nodes-{}", node.id),
            Section::Nodes { node, utilization: true } => format!("nodes-{}-utilization", node.id),
            Section::Status { node } => format!("status-{}", node.id),
            Section::Tickets => "status-tickets".to_owned(),
        }
    }

    /// The sets of this section within `whole`, the section's element.
    fn sets<'a>(&self, whole: &'a Element) -> Vec<&'a Element> {
        let tag = self.set_tag();
        match self {
            Section::CrmConfig | Section::RscDefaults | Section::OpDefaults => {
                whole.children().filter(|child| child.name() == tag).collect()
            }
            Section::Nodes { node, .. } => whole
                .children()
                .filter(|child| child.id() == Some(&node.id))
                .flat_map(Element::children)
                .filter(|child| child.name() == tag)
                .collect(),
            Section::Status { node } => whole
                .children()
                .filter(|state| state.name() == "node_state" && state.id() == Some(&node.id))
                .flat_map(Element::children)
                .filter(|child| child.name() == "transient_attributes")
                .flat_map(Element::children)
                .filter(|child| child.name() == tag)
                .collect(),
            Section::Tickets => whole
                .children()
                .filter(|child| child.name() == "tickets")
                .flat_map(Element::children)
                .filter(|child| child.name() == tag)
                .collect(),
        }
    }

    /// Wraps a set so that it can be merged into the section.
    fn wrap(&self, set: Element) -> Element {
        match self {
            Section::CrmConfig | Section::RscDefaults | Section::OpDefaults => set,
            Section::Tickets => Element::new("tickets").with_child(set),
            // Those without an entry of their own in the section get one.
            Section::Nodes { node, .. } if node.kind != Kind::Cluster => Element::new("node")
                .with("type", "remote")
                .with("id", node.id.as_str())
                .with("uname", node.name.as_str())
                .with_child(set),
            Section::Nodes { node, .. } => {
                Element::new("node").with("id", node.id.as_str()).with_child(set)
            }
            Section::Status { node } => {
                let id = node.id.as_str();
                Element::new("node_state")
                    .with("id", id)
                    .with_child(Element::new("transient_attributes").with("id", id).with_child(set))
            }
        }
    }
}

/// Reads the pairs that are selected, in document order. Pairs of nested rules' sets count as
/// their set's. An absent section holds none.
pub fn find(source: &mut Source, section: &Section, selector: &Selector) -> Result<Vec<Found>, Rc> {
    let answer = source.call(&Call {
        op: "cib_query",
        section: Some(section.cib_section()),
        ..Call::default()
    })?;
    match answer.rc {
        Rc::OK => {}
        Rc::ENXIO => return Ok(Vec::new()),
        other => return Err(other),
    }
    let Some(whole) = answer.output else { return Ok(Vec::new()) };
    select(&whole, section, selector)
}

fn select(whole: &Element, section: &Section, selector: &Selector) -> Result<Vec<Found>, Rc> {
    let pattern = match &selector.pattern {
        Some(pattern) => Some(Regex::new(pattern).map_err(|_| Rc::ENXIO)?),
        None => None,
    };
    let mut found = Vec::new();
    for set in section.sets(whole) {
        let set_id = set.id().unwrap_or("");
        if selector.set.as_deref().is_some_and(|wanted| wanted != set_id) {
            continue;
        }
        for pair in set.descendants().filter(|pair| pair.name() == "nvpair") {
            let (id, name) = (pair.id().unwrap_or(""), pair.get("name").unwrap_or(""));
            let fits = selector.id.as_deref().is_none_or(|wanted| wanted == id)
                && selector.name.as_deref().is_none_or(|wanted| wanted == name)
                && pattern.as_ref().is_none_or(|pattern| pattern.is_match(name));
            if fits {
                let value = pair.get("value").unwrap_or("").to_owned();
                found.push(Found {
                    set: set_id.to_owned(),
                    id: id.to_owned(),
                    name: name.to_owned(),
                    value,
                });
            }
        }
    }
    Ok(found)
}

/// Why nothing was written or removed.
#[derive(Debug)]
pub enum Trouble {
    /// Several pairs match; the caller must say which.
    Several(Vec<Found>),
    /// The CIB said no to reading.
    Cib(Rc),
    /// The CIB said no to the change.
    Refused(Rc),
}

/// Writes a value: to the one pair that is selected, or to a new one.
///
/// # Errors
/// [`Trouble::Several`] when more than one pair matches; nothing is written then.
pub fn set(
    source: &mut Source,
    section: &Section,
    selector: &Selector,
    value: &str,
    options: u32,
) -> Result<(), Trouble> {
    let mut matches = find(source, section, selector).map_err(Trouble::Cib)?;
    if matches.len() > 1 && selector.pattern.is_none() {
        return Err(Trouble::Several(matches));
    }
    if matches.is_empty() {
        let name = match (&selector.name, &selector.pattern) {
            (Some(name), _) => name.clone(),
            (None, Some(_)) => return Err(Trouble::Cib(Rc::ENXIO)),
            (None, None) => return Err(Trouble::Cib(Rc::EINVAL)),
        };
        let set = selector.set.clone().unwrap_or_else(|| section.default_set());
        let id = selector.id.clone().unwrap_or_else(|| sanitized_id(&format!("{set}-{name}")));
        matches.push(Found { set, id, name, value: String::new() });
    }
    for found in matches {
        let pair = Element::new("nvpair")
            .with("id", found.id.as_str())
            .with("name", found.name.as_str())
            .with("value", value);
        let set = Element::new(section.set_tag()).with("id", found.set.as_str()).with_child(pair);
        let data = section.wrap(set);
        let call = Call {
            op: "cib_modify",
            section: Some(section.cib_section()),
            data: Some(&data),
            options: options | call::CAN_CREATE,
            host: None,
        };
        let answer = source.call(&call).map_err(Trouble::Cib)?;
        if answer.rc != Rc::OK {
            return Err(Trouble::Refused(answer.rc));
        }
    }
    Ok(())
}

/// Removes the pairs that are selected and returns them; none is no error.
///
/// # Errors
/// [`Trouble::Several`] when more than one pair matches a name; nothing is removed then.
pub fn delete(
    source: &mut Source,
    section: &Section,
    selector: &Selector,
) -> Result<Vec<Found>, Trouble> {
    let matches = find(source, section, selector).map_err(Trouble::Cib)?;
    if matches.len() > 1 && selector.pattern.is_none() {
        return Err(Trouble::Several(matches));
    }
    for found in &matches {
        let data = Element::new("nvpair")
            .with("id", found.id.as_str())
            .with("name", found.name.as_str())
            .with("value", found.value.as_str());
        let call = Call {
            op: "cib_delete",
            section: Some(section.cib_section()),
            data: Some(&data),
            ..Call::default()
        };
        let answer = source.call(&call).map_err(Trouble::Cib)?;
        if answer.rc != Rc::OK {
            return Err(Trouble::Refused(answer.rc));
        }
    }
    Ok(matches)
}

/// Makes a text fit to be an XML id: what is no name character becomes `.` (`_` at the start).
pub fn sanitized_id(text: &str) -> String {
    let mut id = String::with_capacity(text.len());
    for (at, c) in text.chars().enumerate() {
        let fits = c.is_alphanumeric() || c == '_' || (at > 0 && matches!(c, '-' | '.'));
        id.push(match (fits, at) {
            (true, _) => c,
            (false, 0) => '_',
            (false, _) => '.',
        });
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_found_by_name_set_id_and_pattern() {
        let whole = xml::parse(
            "<crm_config><cluster_property_set id='a'><nvpair id='a-x' name='x' value='1'/>\
             <nvpair id='a-xy' name='xy' value='2'/></cluster_property_set>\
             <cluster_property_set id='b'><nvpair id='b-x' name='x' value='3'/></cluster_property_set></crm_config>",
        )
        .unwrap();
        let ids = |selector: Selector| -> Vec<String> {
            select(&whole, &Section::CrmConfig, &selector)
                .unwrap()
                .into_iter()
                .map(|found| found.id)
                .collect()
        };
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(ids(Selector { name: name("x"), ..Selector::default() }), ["a-x", "b-x"]);
        assert_eq!(
            ids(Selector { name: name("x"), set: name("b"), ..Selector::default() }),
            ["b-x"]
        );
        assert_eq!(
            ids(Selector { pattern: name("x.*"), ..Selector::default() }),
            ["a-x", "a-xy", "b-x"]
        );
        assert_eq!(ids(Selector { id: name("a-xy"), ..Selector::default() }), ["a-xy"]);
        assert!(
            select(
                &whole,
                &Section::CrmConfig,
                &Selector { pattern: name("("), ..Selector::default() }
            )
            .is_err()
        );
    }

    #[test]
    fn ids_are_made_fit() {
        for (text, id) in [
            ("a b", "a.b"),
            ("#health", "_health"),
            ("1-x:y", "1-x.y"),
            ("status-1-fail-count-d#start_0", "status-1-fail-count-d.start_0"),
        ] {
            assert_eq!(sanitized_id(text), id);
        }
    }
}
