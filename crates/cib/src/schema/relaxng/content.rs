//! What elements hold, where that is more than the table says: attributes that need or exclude
//! each other, alternatives, names that are refused.
//!
//! Source: the notes in `spec/cib.md` §3.3, and §3.5.

use xml::Element;

use super::super::conditions::refused_names;
use super::Scope;
use super::pattern::{
    all, attribute, choice, group, interleave, many, optional, some, text_but, value,
};

/// The parents that make a difference to what an element may hold; `""` stands for all others.
pub(super) fn variants(name: &str) -> &'static [&'static str] {
    match name {
        "meta_attributes" => &["", "agent", "op", "op_defaults", "rsc_defaults", "collective"],
        "instance_attributes" => &["", "agent", "op"],
        "nvpair" => &[
            "",
            "cluster_property_set",
            "agent.meta_attributes",
            "agent.instance_attributes",
            "op.meta_attributes",
            "op.instance_attributes",
            "op_defaults.meta_attributes",
            "rsc_defaults.meta_attributes",
            "collective.meta_attributes",
        ],
        _ => &[""],
    }
}

/// The kind of parent that an element is, as [`variants`] names them.
pub(super) fn kind(name: &'static str) -> &'static str {
    match name {
        "primitive" | "template" => "agent",
        "group" | "clone" | "master" | "bundle" => "collective",
        other => other,
    }
}

/// An element of that kind, for looking up which names are refused.
fn example_of(kind: &str) -> &str {
    match kind {
        "agent" => "primitive",
        "collective" => "group",
        other => other,
    }
}

pub(super) fn of(s: &Scope) -> Vec<Element> {
    let v = s.version;
    match s.rule.name {
        "cluster_property_set" | "meta_attributes" | "instance_attributes" | "utilization" => {
            nvset(s)
        }
        "nvpair" => nvpair(s),
        "rule" => rule(s),
        "date_expression" => date_expression(s),
        "primitive" | "template" => agent(s),
        "cib" => {
            let mut parts = s.attributes_but(&[]);
            parts.extend(s.child("configuration"));
            parts.push(optional(super::reference("element-status")));
            parts
        }
        "operations" => {
            let mut filled = s.child("op").into_iter().map(many).collect::<Vec<_>>();
            let mut parts = s.may("id");
            filled.extend(s.must("id-ref"));
            parts.extend(choice(filled));
            parts
        }
        "op" => {
            let mut parts = s.attributes_but(&["start-delay", "interval-origin"]);
            let delay = s.one_of(&["start-delay", "interval-origin"]);
            parts.extend(delay.into_iter().map(optional));
            parts.extend(interleave(s.children_but(&[])));
            parts
        }
        "clone" | "master" => {
            let members = [s.child("primitive"), s.child("group")].concat();
            let mut parts = s.attributes_but(&[]);
            let mut content = s.children_but(&["primitive", "group"]);
            content.extend(choice(members));
            parts.extend(interleave(content));
            parts
        }
        "bundle" => {
            let names = ["docker", "rkt", "podman"];
            let containers = names.iter().flat_map(|name| s.child(name)).collect();
            let mut parts = s.attributes_but(&[]);
            let mut content = s.children_but(&names);
            content.extend(choice(containers));
            parts.extend(interleave(content));
            parts
        }
        "docker" | "podman" | "rkt" => {
            let mut parts = s.attributes_but(&["masters", "promoted-max"]);
            parts.extend(s.one_of(&["masters", "promoted-max"]).into_iter().map(optional));
            parts
        }
        "port-mapping" => {
            let port = group([s.must("port"), s.may("internal-port")].concat());
            let mut parts = s.must("id");
            parts.extend(choice([vec![port], s.must("range")].concat()));
            parts
        }
        "storage-mapping" => {
            let mut parts = s.attributes_but(&["source-dir", "source-dir-root"]);
            parts.extend(s.one_of(&["source-dir", "source-dir-root"]));
            parts
        }
        "rsc_location" => location(s),
        "rsc_colocation" => {
            let scores = ["score", "score-attribute", "score-attribute-mangle"];
            let roles = ["node-attribute", "rsc-role", "with-rsc-role"];
            pair_or_sets(s, &["rsc", "with-rsc"], &roles, &scores)
        }
        "rsc_order" => {
            let actions = ["first-action", "then-action"];
            pair_or_sets(s, &["first", "then"], &actions, &["score", "kind"])
        }
        "rsc_ticket" => pair_or_sets(s, &["rsc"], &["rsc-role"], &[]),
        "resource_set" => {
            let mut own = s.attributes_but(&["id", "id-ref", "score", "kind"]);
            own.extend(s.must("id"));
            own.extend(s.one_of(&["score", "kind"]).into_iter().map(optional));
            own.extend(s.child("resource_ref").into_iter().map(some));
            choice([s.must("id-ref"), vec![group(own)]].concat())
        }
        "fencing-level" => {
            let ways = ["target", "target-pattern", "target-attribute", "target-value"];
            let mut targets = [s.must("target"), s.must("target-pattern")].concat();
            if s.attr("target-attribute").is_some() {
                let names = ["target-attribute", "target-value"];
                targets.push(group(names.iter().flat_map(|name| s.must(name)).collect()));
            }
            [s.attributes_but(&ways), choice(targets)].concat()
        }
        "acl_permission" => {
            let ways = ["xpath", "reference", "object-type", "attribute"];
            let by_type = group([s.must("object-type"), s.may("attribute")].concat());
            let targets = [s.must("xpath"), s.must("reference"), vec![by_type]].concat();
            [s.attributes_but(&ways), choice(targets)].concat()
        }
        "read" | "write" | "deny" => {
            let by_tag = group([s.must("tag"), s.may("ref")].concat());
            let targets = [s.must("xpath"), s.must("ref"), vec![by_tag]].concat();
            [s.attributes_but(&["xpath", "ref", "tag"]), choice(targets)].concat()
        }
        "acl_user" => {
            let entries = ["read", "write", "deny"].iter().flat_map(|name| s.child(name)).collect();
            let entries = choice(entries).into_iter().map(many);
            let roles = s.child("role_ref").into_iter().map(many);
            [s.attributes_but(&[]), choice(roles.chain(entries).collect())].concat()
        }
        "alert" if v < 210 => {
            let sets = interleave(s.children_but(&["recipient"]));
            let recipients = s.child("recipient").into_iter().map(many).collect();
            [s.attributes_but(&[]), sets, recipients].concat()
        }
        _ => [s.attributes_but(&[]), interleave(s.children_but(&[]))].concat(),
    }
}

fn nvset(s: &Scope) -> Vec<Element> {
    let parent = match (s.rule.name, s.parent) {
        ("cluster_property_set", _) => "cluster_property_set".to_owned(),
        (_, "") => String::new(),
        (name, parent) => format!("{parent}.{name}"),
    };
    let variant = variants("nvpair").iter().find(|v| **v == parent).copied().unwrap_or("");
    let pairs = many(super::reference(&super::definition("nvpair", variant)));
    let rules = s.child("rule").into_iter().map(optional);
    let content = interleave(std::iter::once(pairs).chain(rules).collect());
    let own = [s.must("id"), s.may("score"), content].concat();
    choice([s.must("id-ref"), vec![group(own)]].concat())
}

/// A pair by reference, or with its own name and value, which may not be any.
fn nvpair(s: &Scope) -> Vec<Element> {
    let (kind, set) = s.parent.split_once('.').unwrap_or(("", s.parent));
    let refused = refused_names(set, example_of(kind), s.version);
    let mut names: Vec<&str> = refused.names.to_vec();
    names.extend(refused.values.map(|(name, _)| name));
    let name = || attribute("name", text_but(&names));
    let plain_value = || {
        let value = s.must("value").into_iter();
        if s.version >= 400 { value.collect() } else { value.map(optional).collect::<Vec<_>>() }
    };
    let mut ways = vec![group([vec![name()], plain_value()].concat())];
    if let Some((name, values)) = refused.values {
        ways.push(group(vec![
            attribute("name", value(name).with("type", "string")),
            attribute("value", text_but(values)),
        ]));
    }
    let own = group([s.must("id"), choice(ways)].concat());
    let mut by_reference = s.must("id-ref");
    if by_reference.is_empty() {
        return vec![own];
    }
    if s.version < 400 {
        by_reference.push(optional(name()));
    }
    choice(vec![group(by_reference), own])
}

fn rule(s: &Scope) -> Vec<Element> {
    let score = s.one_of(&["score", "score-attribute"]);
    let score: Vec<Element> =
        if s.version < 309 { score } else { score.into_iter().map(optional).collect() };
    let conditions = ["date_expression", "expression", "op_expression", "rsc_expression", "rule"];
    let conditions = conditions.iter().flat_map(|name| s.child(name)).collect();
    let conditions = choice(conditions).into_iter().map(some).collect();
    let own = [s.must("id"), s.may("boolean-op"), s.may("role"), score, conditions].concat();
    choice([s.must("id-ref"), vec![group(own)]].concat())
}

fn date_expression(s: &Scope) -> Vec<Element> {
    let operation = |name: &str| attribute("operation", value(name));
    let gt = [vec![operation("gt")], s.must("start")].concat();
    let lt = [vec![operation("lt")], s.must("end")].concat();
    let spec = [vec![operation("date_spec")], s.child("date_spec")].concat();
    let range = if s.version >= 309 {
        let from = group([s.must("start"), s.may("end")].concat());
        let ends = choice([vec![from], s.must("end")].concat());
        [ends, s.child("duration").into_iter().map(optional).collect()].concat()
    } else {
        let to = group([s.may("start"), s.must("end")].concat());
        let lasting = group([s.must("start"), s.child("duration")].concat());
        choice(vec![to, lasting])
    };
    let range = [vec![operation("in_range")], range].concat();
    let ways = vec![group(range), group(gt), group(lt), group(spec)];
    [s.must("id"), choice(ways)].concat()
}

fn agent(s: &Scope) -> Vec<Element> {
    let classes = match s.attr("class").map(|attr| attr.ty) {
        Some(super::Type::OneOf(classes)) => classes,
        _ => &[],
    };
    let others: Vec<Element> =
        classes.iter().filter(|class| **class != "ocf").map(|class| value(class)).collect();
    let ocf = group([vec![attribute("class", value("ocf"))], s.must("provider")].concat());
    let class = choice(vec![ocf, attribute("class", all("choice", others))]);
    let named = group([class, s.must("type")].concat());
    let ways = choice([vec![named], s.must("template")].concat());
    let attributes = s.attributes_but(&["class", "type", "provider", "template"]);
    [attributes, ways, interleave(s.children_but(&[]))].concat()
}

fn location(s: &Scope) -> Vec<Element> {
    let target = choice([s.must("rsc"), s.must("rsc-pattern")].concat());
    let single = group([target, s.may("role")].concat());
    let sets: Vec<Element> = s.child("resource_set").into_iter().map(some).collect();
    let targets = choice([vec![single], sets].concat());
    let plain = group([s.must("score"), s.must("node")].concat());
    let rules: Vec<Element> = s.child("rule");
    let rules = if s.version < 400 { rules.into_iter().map(some).collect() } else { rules };
    let preference = choice([vec![plain], rules].concat());
    let lifetime = s.child("lifetime").into_iter().map(optional).collect();
    let own = ["rsc", "rsc-pattern", "role", "score", "node"];
    [s.attributes_but(&own), interleave([targets, preference, lifetime].concat())].concat()
}

/// Attributes that name resources with those that say more of them, or sets; `exclusive` ones at
/// most once.
fn pair_or_sets(s: &Scope, pair: &[&str], details: &[&str], exclusive: &[&str]) -> Vec<Element> {
    let mut by_name: Vec<Element> = pair.iter().flat_map(|name| s.must(name)).collect();
    by_name.extend(details.iter().flat_map(|name| s.may(name)));
    let sets: Vec<Element> = s.child("resource_set").into_iter().map(some).collect();
    let members = choice([vec![group(by_name)], sets].concat());
    let lifetime = s.child("lifetime").into_iter().map(optional).collect();
    let mut parts = s.attributes_but(&[pair, details, exclusive].concat());
    parts.extend(s.one_of(exclusive).into_iter().map(optional));
    parts.extend(interleave([members, lifetime].concat()));
    parts
}
