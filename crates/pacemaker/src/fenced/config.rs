//! Devices and levels from the CIB.
//!
//! Source: `spec/pacemaker-cluster.md` §15.4, §15.6.

use std::collections::BTreeMap;

use xml::Element;

use super::device::Device;

/// What the CIB says about fencing, for this node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Devices this node may use, by id.
    pub devices: BTreeMap<String, Device>,
    /// `fencing-level` elements.
    pub levels: Vec<Level>,
    /// Permanent node attributes, for levels that select by them: node → name → value.
    pub node_attributes: BTreeMap<String, BTreeMap<String, String>>,
}

/// Whom a level is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Selector {
    /// A node by name.
    Name(String),
    /// Nodes whose names match an expression.
    Pattern(String),
    /// Nodes that have an attribute.
    Attribute(String, String),
}

/// A topology level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// Whom it is for.
    pub selector: Selector,
    /// When it is tried: 1 to 9.
    pub index: u32,
    /// What it takes.
    pub devices: Vec<String>,
}

impl Selector {
    /// Reads the selector of a `fencing-level`.
    pub fn from_element(element: &Element) -> Option<Selector> {
        let get = |name: &str| element.get(name).filter(|value| !value.is_empty());
        if let Some(target) = get("target") {
            Some(Selector::Name(target.to_owned()))
        } else if let Some(pattern) = get("target-pattern") {
            Some(Selector::Pattern(pattern.to_owned()))
        } else {
            let (name, value) = (get("target-attribute")?, get("target-value")?);
            Some(Selector::Attribute(name.to_owned(), value.to_owned()))
        }
    }

    /// What notifications call it.
    pub fn describe(&self) -> String {
        match self {
            Selector::Name(name) => name.clone(),
            Selector::Pattern(pattern) => pattern.clone(),
            Selector::Attribute(name, value) => format!("{name}={value}"),
        }
    }

    /// Whether it selects a node.
    pub fn selects(
        &self,
        node: &str,
        attributes: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> bool {
        match self {
            Selector::Name(name) => name.eq_ignore_ascii_case(node),
            Selector::Pattern(pattern) => {
                regex_lite::Regex::new(pattern).is_ok_and(|regex| regex.is_match(node))
            }
            Selector::Attribute(name, value) => attributes
                .get(node)
                .and_then(|known| known.get(name))
                .is_some_and(|known| known == value),
        }
    }
}

impl Level {
    /// Reads a `fencing-level`.
    pub fn from_element(element: &Element) -> Option<Level> {
        let index =
            element.get("index")?.trim().parse().ok().filter(|index| (1..=9).contains(index))?;
        let devices = element
            .get("devices")
            .unwrap_or_default()
            .split([',', ' '])
            .map(str::trim)
            .filter(|device| !device.is_empty())
            .map(str::to_owned)
            .collect();
        Some(Level { selector: Selector::from_element(element)?, index, devices })
    }
}

/// Reads a CIB. `own` is this node's name.
///
/// A device is used here unless it is told to stop or a location constraint bans it from this
/// node outright. (Constraints by rules are not evaluated: such a device is offered.)
pub fn read(cib: &Element, own: &str) -> Config {
    let mut config = Config::default();
    let Some(configuration) = cib.child("configuration") else { return config };
    for primitive in configuration.descendants() {
        if primitive.name() != "primitive" || primitive.get("class") != Some("stonith") {
            continue;
        }
        let (Some(id), Some(agent)) = (primitive.id(), primitive.get("type")) else { continue };
        let meta = nvpairs(primitive, "meta_attributes");
        let stopped =
            meta.get("target-role").is_some_and(|role| role.eq_ignore_ascii_case("stopped"));
        if stopped || is_banned(configuration, id, own) {
            continue;
        }
        let mut device = Device::new(id, agent, nvpairs(primitive, "instance_attributes"));
        device.by_cib = true;
        device.provides_unfencing = meta.get("provides").is_some_and(|what| what == "unfencing");
        device.priority = meta.get("priority").and_then(|text| text.parse().ok()).unwrap_or(0);
        config.devices.insert(id.to_owned(), device);
    }
    if let Some(topology) = configuration.child("fencing-topology") {
        config.levels =
            topology.children_named("fencing-level").filter_map(Level::from_element).collect();
    }
    for node in
        configuration.child("nodes").into_iter().flat_map(|nodes| nodes.children_named("node"))
    {
        if let Some(name) = node.get("uname") {
            config.node_attributes.insert(name.to_owned(), nvpairs(node, "instance_attributes"));
        }
    }
    config
}

fn nvpairs(parent: &Element, set: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for pair in parent.children_named(set).flat_map(Element::children) {
        if let (Some(name), Some(value)) = (pair.get("name"), pair.get("value")) {
            // The first set that names it wins.
            found.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    found
}

fn is_banned(configuration: &Element, id: &str, own: &str) -> bool {
    let Some(constraints) = configuration.child("constraints") else { return false };
    constraints.children_named("rsc_location").any(|location| {
        location.get("rsc") == Some(id)
            && location.get("node").is_some_and(|node| node.eq_ignore_ascii_case(own))
            && matches!(
                location.get("score"),
                Some("-INFINITY" | "-infinity" | "-inf" | "-1000000")
            )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CIB: &str = "<cib><configuration><nodes><node id='1' uname='a'><instance_attributes id='i'><nvpair id='n' name='rack' value='r1'/></instance_attributes></node></nodes>
      <resources><primitive id='D' class='ocf' type='Dummy'/><group id='G'><primitive id='f1' class='stonith' type='fence_x'>
      <instance_attributes id='x'><nvpair id='y' name='pcmk_host_list' value='a b'/></instance_attributes></primitive></group>
      <primitive id='f2' class='stonith' type='fence_y'><meta_attributes id='m'><nvpair id='t' name='target-role' value='Stopped'/></meta_attributes></primitive>
      <primitive id='f3' class='stonith' type='fence_z'/></resources>
      <constraints><rsc_location id='l' rsc='f3' node='a' score='-INFINITY'/></constraints>
      <fencing-topology><fencing-level id='l1' target='b' index='1' devices='f1, f3'/><fencing-level id='l2' target-pattern='^a' index='2' devices='f1'/>
      <fencing-level id='l3' target='b' index='10' devices='f1'/></fencing-topology></configuration></cib>";

    #[test]
    fn devices_and_levels_are_read() {
        let cib = xml::parse(CIB).unwrap();
        let config = read(&cib, "a");
        assert_eq!(config.devices.keys().collect::<Vec<_>>(), ["f1"]);
        assert_eq!(config.devices["f1"].params["pcmk_host_list"], "a b");
        assert_eq!(read(&cib, "b").devices.len(), 2);
        assert_eq!(config.levels.len(), 2);
        assert_eq!(config.levels[0].devices, ["f1", "f3"]);
        let selects = |at: usize, node: &str| {
            config.levels[at].selector.selects(node, &config.node_attributes)
        };
        assert!(selects(0, "B") && !selects(0, "a") && selects(1, "a1") && !selects(1, "ba"));
        let rack = Selector::Attribute("rack".into(), "r1".into());
        assert!(rack.selects("a", &config.node_attributes));
        assert!(!rack.selects("b", &config.node_attributes));
        assert_eq!(read(&Element::new("cib"), "a"), Config::default());
    }
}
