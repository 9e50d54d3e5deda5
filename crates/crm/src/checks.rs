//! Semantic checks: what the schema allows and is a mistake all the same (`spec/crmsh.md` §7,
//! `verify`).

use std::collections::BTreeSet;
use std::time::Duration;

use agents::class::Class;
use base::interval;
use xml::Element;

use crate::ra::Installed;
use crate::say;
use crate::session::Session;

/// What pacemaker takes when nothing is configured.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);

/// Warnings at the moment a definition is typed.
pub(crate) fn warn_about(element: &Element, session: &Session, agents: &Installed) {
    if element.name() == "primitive"
        && let (Some(class), Some(kind)) = (element.get("class"), element.get("type"))
    {
        let text = match element.get("provider") {
            Some(provider) => format!("{class}:{provider}:{kind}"),
            None => format!("{class}:{kind}"),
        };
        if let Some(name) = agents.name(&text)
            && !agents.places().exists(&name)
        {
            say::warning(&format!("{text}: no such resource agent on this node"));
        }
    }
    if element.name() == "master" {
        let id = element.id().unwrap_or("ID");
        say::warning(&format!(
            "\"ms\" is deprecated. Please use \"clone {id} RSC meta promotable=true\""
        ));
    }
    if element.name() == "rsc_location"
        && let Some(node) = element.get("node")
        && !session.node_names().contains(&node)
    {
        let id = element.id().unwrap_or("");
        say::warning(&format!("{id}: referenced node {node} does not exist"));
    }
}

/// Checks the whole edited configuration. `false` when something is an error.
pub(crate) fn semantic(session: &Session, agents: &Installed) -> bool {
    let Some(configuration) = session.configuration() else { return true };
    let mut sound = true;
    for constraint in configuration.child("constraints").into_iter().flat_map(Element::children) {
        sound &= references(constraint, session);
    }
    let before = Session::new(session.original().clone());
    let resources = configuration.child("resources").into_iter().flat_map(Element::descendants);
    for primitive in resources.filter(|element| element.name() == "primitive") {
        // What was there before was checked when it came in.
        if primitive.id().is_some_and(|id| before.resource(id) == Some(primitive)) {
            continue;
        }
        sound &= duplicate_monitors(primitive);
        sound &= parameters(primitive, configuration, agents);
    }
    sound
}

fn references(constraint: &Element, session: &Session) -> bool {
    let id = constraint.id().unwrap_or("");
    let named = ["rsc", "with-rsc", "first", "then"].iter().filter_map(|name| constraint.get(name));
    let in_sets = constraint
        .children_named("resource_set")
        .flat_map(Element::children)
        .filter_map(Element::id);
    let is_known = |rsc: &str| {
        session.resource(rsc).is_some()
            || session.object(rsc).is_some_and(|o| matches!(o.name(), "tag" | "template"))
    };
    let missing: BTreeSet<&str> = named.chain(in_sets).filter(|rsc| !is_known(rsc)).collect();
    for rsc in &missing {
        say::warning(&format!("{id}: resource {rsc} does not exist"));
    }
    true
}

fn duplicate_monitors(primitive: &Element) -> bool {
    let id = primitive.id().unwrap_or("");
    let mut seen = BTreeSet::new();
    let mut sound = true;
    for op in primitive.children_named("operations").flat_map(Element::children) {
        if op.get("name") != Some("monitor") {
            continue;
        }
        let interval = op.get("interval").unwrap_or("0");
        let ms = interval::parse_ms(interval).unwrap_or(0);
        if !seen.insert((ms, op.get("role").unwrap_or("").to_owned())) {
            sound = false;
        } else if seen.iter().filter(|(other, _)| *other == ms).count() > 1 {
            say::warning(&format!(
                "{id}: monitor interval {interval} is used twice: give each role its own interval"
            ));
        }
    }
    if !sound {
        say::error(&format!("{id}: duplicate monitor operations: intervals must differ"));
    }
    sound
}

/// Required and unknown parameters, and timeouts below the agent's advice.
fn parameters(primitive: &Element, configuration: &Element, agents: &Installed) -> bool {
    let (Some(id), Some(class), Some(kind)) =
        (primitive.id(), primitive.get("class"), primitive.get("type"))
    else {
        return true;
    };
    if !matches!(Class::parse(class), Some(Class::Ocf | Class::Stonith)) {
        return true;
    }
    let text = match primitive.get("provider") {
        Some(provider) => format!("{class}:{provider}:{kind}"),
        None => format!("{class}:{kind}"),
    };
    let Some(name) = agents.name(&text).filter(|name| agents.places().exists(name)) else {
        return true;
    };
    let Some(metadata) = agents.metadata(&name) else { return true };
    let sets: Vec<&Element> = primitive.children_named("instance_attributes").collect();
    if sets.iter().any(|set| set.has("id-ref")) {
        return true;
    }
    let given: Vec<&str> = sets
        .iter()
        .flat_map(|set| set.children_named("nvpair"))
        .filter_map(|pair| pair.get("name"))
        .collect();
    let mut sound = true;
    for parameter in metadata.parameters.iter().filter(|parameter| parameter.required) {
        let by_the_fencer = class == "stonith" && parameter.name == "port";
        if !given.contains(&parameter.name.as_str()) && !by_the_fencer {
            say::error(&format!("{id}: required parameter {} not defined", parameter.name));
            sound = false;
        }
    }
    for name in given {
        let is_common = name.starts_with("pcmk_")
            || matches!(
                name,
                "trace_ra" | "trace_dir" | "provides" | "stonith-timeout" | "priority"
            );
        if metadata.parameter(name).is_none() && !is_common {
            say::error(&format!("{id}: parameter {name} does not exist"));
            sound = false;
        }
    }
    timeouts(primitive, configuration, &metadata);
    sound
}

fn timeouts(primitive: &Element, configuration: &Element, metadata: &agents::meta::Metadata) {
    let id = primitive.id().unwrap_or("");
    let general = configuration
        .child("op_defaults")
        .into_iter()
        .flat_map(Element::descendants)
        .find(|pair| pair.get("name") == Some("timeout"))
        .and_then(|pair| pair.get("value"))
        .and_then(|value| interval::parse(value).ok());
    for name in ["start", "stop", "monitor"] {
        let Some(advised) = metadata.action(name).and_then(|action| action.timeout.as_deref())
        else {
            continue;
        };
        let Ok(advised_span) = interval::parse(advised) else { continue };
        let ops: Vec<&Element> = primitive
            .children_named("operations")
            .flat_map(Element::children)
            .filter(|op| op.get("name") == Some(name))
            .collect();
        if ops.is_empty() && name == "monitor" {
            continue;
        }
        let own = ops.iter().find_map(|op| op.get("timeout"));
        match own.and_then(|value| interval::parse(value).ok()) {
            Some(span) if span < advised_span => say::warning(&format!(
                "{id}: specified timeout {} for {name} is smaller than the advised {advised}",
                own.unwrap_or("")
            )),
            None if general.unwrap_or(DEFAULT_TIMEOUT) < advised_span => {
                say::warning(&format!(
                    "{id}: default timeout {}s for {name} is smaller than the advised {advised}",
                    general.unwrap_or(DEFAULT_TIMEOUT).as_secs()
                ));
            }
            _ => {}
        }
    }
}
