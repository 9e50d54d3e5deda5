//! What the grammar demands of several attributes or children together, and names it refuses.
//!
//! Source: the notes in `spec/cib.md` §3.3, and §3.5.

use xml::Element;

use super::Version;

type Fail<'f> = &'f mut dyn FnMut(String);

/// Checks an element; `parent` is the one around it.
pub(super) fn check(element: &Element, parent: Option<&Element>, version: Version, fail: Fail<'_>) {
    match element.name() {
        "cluster_property_set" | "meta_attributes" | "instance_attributes" | "utilization" => {
            nvset(element, parent, version, fail);
        }
        "nvpair" => nvpair(element, version, fail),
        "rule" => rule(element, version, fail),
        "date_expression" => date_expression(element, version, fail),
        "primitive" | "template" => agent(element, version, fail),
        "operations" if element.has("id-ref") && !element.is_leaf() => {
            fail("with `id-ref` it may hold nothing".into());
        }
        "cib" => {
            let mut names = element.children().map(Element::name);
            if names.next() != Some("configuration") && element.child("configuration").is_some() {
                fail("`configuration` must be its first element".into());
            }
        }
        "op" if element.has("start-delay") && element.has("interval-origin") => {
            fail("`start-delay` and `interval-origin` exclude each other".into());
        }
        "clone" | "master" => {
            let members = element
                .children()
                .filter(|child| matches!(child.name(), "primitive" | "group"))
                .count();
            if members != 1 {
                fail(format!("needs exactly one `primitive` or `group`, has {members}"));
            }
        }
        "bundle" => {
            let containers = element
                .children()
                .filter(|child| matches!(child.name(), "docker" | "rkt" | "podman"))
                .count();
            if containers != 1 {
                fail(format!("needs exactly one of docker, rkt, podman, has {containers}"));
            }
        }
        "docker" | "podman" | "rkt" => exclusive(element, &["masters", "promoted-max"], fail),
        "port-mapping" => {
            exactly_one(element, &["port", "range"], fail);
            exclusive(element, &["internal-port", "range"], fail);
        }
        "storage-mapping" => exactly_one(element, &["source-dir", "source-dir-root"], fail),
        "rsc_location" => location(element, version, fail),
        "rsc_colocation" => {
            let details = ["node-attribute", "rsc-role", "with-rsc-role"];
            pair_or_sets(element, &["rsc", "with-rsc"], &details, fail);
            exclusive(element, &["score", "score-attribute", "score-attribute-mangle"], fail);
        }
        "rsc_order" => {
            pair_or_sets(element, &["first", "then"], &["first-action", "then-action"], fail);
            exclusive(element, &["score", "kind"], fail);
        }
        "rsc_ticket" => pair_or_sets(element, &["rsc"], &["rsc-role"], fail),
        "resource_set" => resource_set(element, version, fail),
        "fencing-level" => {
            let by_attribute = element.has("target-attribute") && element.has("target-value");
            let half = element.has("target-attribute") != element.has("target-value");
            let ways = usize::from(element.has("target"))
                + usize::from(element.has("target-pattern"))
                + usize::from(by_attribute);
            if half || ways != 1 {
                fail(
                    "needs `target`, `target-pattern`, or `target-attribute` with `target-value`"
                        .into(),
                );
            }
        }
        "acl_permission" => {
            exactly_one(element, &["xpath", "reference", "object-type"], fail);
            if element.has("attribute") && !element.has("object-type") {
                fail("`attribute` needs `object-type`".into());
            }
        }
        "read" | "write" | "deny" => {
            let by_name = element.has("tag") || element.has("ref");
            if by_name == element.has("xpath") {
                fail("needs `tag`, `ref` or both, or else `xpath`".into());
            }
        }
        "acl_user" => {
            let roles = element.children_named("role_ref").count();
            if roles > 0 && roles < element.children().count() {
                fail("may hold either `role_ref` or permissions, not both".into());
            }
        }
        "alert" if version < 210 => {
            let mut names = element.children().map(Element::name);
            if names.any(|name| name == "recipient") && names.any(|name| name != "recipient") {
                fail("its attribute sets must come before its recipients".into());
            }
        }
        _ => {}
    }
}

fn exclusive(element: &Element, names: &[&str], fail: Fail<'_>) {
    if names.iter().filter(|name| element.has(name)).count() > 1 {
        fail(format!("only one of `{}` may be given", names.join("`, `")));
    }
}

fn exactly_one(element: &Element, names: &[&str], fail: Fail<'_>) {
    if names.iter().filter(|name| element.has(name)).count() != 1 {
        fail(format!("needs exactly one of `{}`", names.join("`, `")));
    }
}

fn need(element: &Element, names: &[&str], fail: Fail<'_>) {
    for name in names {
        if !element.has(name) {
            fail(format!("attribute `{name}` is missing"));
        }
    }
}

/// Either the attributes, with those that say more, or resource sets.
fn pair_or_sets(element: &Element, names: &[&str], details: &[&str], fail: Fail<'_>) {
    if element.child("resource_set").is_none() {
        return need(element, names, fail);
    }
    let given: Vec<&str> =
        names.iter().chain(details).copied().filter(|name| element.has(name)).collect();
    if !given.is_empty() {
        fail(format!("`{}` and `resource_set` exclude each other", given.join("`, `")));
    }
}

fn nvset(element: &Element, parent: Option<&Element>, version: Version, fail: Fail<'_>) {
    if element.has("id-ref") {
        if element.has("id") || element.has("score") || !element.is_leaf() {
            fail("with `id-ref` it may have neither other attributes nor content".into());
        }
    } else {
        need(element, &["id"], fail);
    }
    let parent = parent.map_or("", Element::name);
    let refused = refused_names(element.name(), parent, version);
    for pair in element.children_named("nvpair") {
        let name = pair.get("name").unwrap_or("");
        if refused.names.contains(&name) {
            let since = if version < 400 { "3.0" } else { "4.0" };
            fail(format!(
                "`{name}` (nvpair `{}`) is not known any more since pacemaker-{since}",
                pair.id().unwrap_or("")
            ));
        }
        if let Some((_, values)) = refused.values.filter(|refused| refused.0 == name)
            && pair.get("value").is_none_or(|value| values.contains(&value))
        {
            fail(format!(
                "`{name}` (nvpair `{}`) needs a value other than `{}`",
                pair.id().unwrap_or(""),
                values.join("`, `")
            ));
        }
    }
}

/// Names of pairs that the grammar refuses in a set.
#[derive(Clone, Copy)]
pub(super) struct Refused {
    /// Refused with any value.
    pub(super) names: &'static [&'static str],
    /// Refused with one of these values, or without value.
    pub(super) values: Option<(&'static str, &'static [&'static str])>,
}

const OLD_OPTIONS: &[&str] = &[
    "cluster_recheck_interval",
    "dc_deadtime",
    "default-action-timeout",
    "default_action_timeout",
    "default-migration-threshold",
    "default_migration_threshold",
    "default-resource-failure-stickiness",
    "default_resource_failure_stickiness",
    "default-resource-stickiness",
    "default_resource_stickiness",
    "election_timeout",
    "expected-quorum-votes",
    "is-managed-default",
    "is_managed_default",
    "no_quorum_policy",
    "notification-agent",
    "notification-recipient",
    "remove_after_stop",
    "shutdown_escalation",
    "startup_fencing",
    "stonith_action",
    "stonith_enabled",
    "stop_orphan_actions",
    "stop_orphan_resources",
    "symmetric_cluster",
    "transition_idle_timeout",
];

const OLD_STACKS: &[&str] =
    &["heartbeat", "openais", "classic openais", "classic openais (with plugin)", "cman"];

/// What a set in that parent refuses (§3.5).
pub(super) fn refused_names(set: &str, parent: &str, version: Version) -> Refused {
    let only = |names| Refused { names, values: None };
    let later = (300..=310).contains(&version);
    let is_agent = matches!(parent, "primitive" | "template");
    let is_resource = is_agent || matches!(parent, "group" | "clone" | "bundle" | "rsc_defaults");
    match set {
        "cluster_property_set" if later => {
            Refused { names: OLD_OPTIONS, values: Some(("cluster-infrastructure", OLD_STACKS)) }
        }
        "cluster_property_set" if version >= 400 => Refused {
            names: &[
                "crmd-finalization-timeout",
                "crmd-integration-timeout",
                "crmd-transition-delay",
                "remove-after-stop",
            ],
            values: Some(("stonith-action", &["poweroff"])),
        },
        "meta_attributes" if later && is_agent => {
            only(&["isolation", "isolation-host", "isolation-instance", "isolation-wrapper"])
        }
        "meta_attributes" if later && parent == "op" => only(&["requires"]),
        "meta_attributes" if version >= 400 && matches!(parent, "op" | "op_defaults") => {
            only(&["can_fail", "role_after_failure"])
        }
        "meta_attributes" if version >= 400 && is_resource => only(&["restart-type"]),
        "instance_attributes" if version == 300 && is_agent => only(&[
            "pcmk_arg_map",
            "pcmk_list_cmd",
            "pcmk_monitor_cmd",
            "pcmk_off_cmd",
            "pcmk_on_cmd",
            "pcmk_reboot_cmd",
            "pcmk_status_cmd",
        ]),
        "instance_attributes" if version == 300 && parent == "op" => only(&[
            "interval-origin",
            "start-delay",
            "enabled",
            "on-fail",
            "record-pending",
            "role",
            "timeout",
            "requires",
        ]),
        _ => only(&[]),
    }
}

fn nvpair(element: &Element, version: Version, fail: Fail<'_>) {
    if element.has("id-ref") {
        let extra =
            element.has("id") || element.has("value") || version >= 400 && element.has("name");
        if extra {
            fail("with `id-ref` only a `name` may be given".into());
        }
        return;
    }
    need(element, &["id", "name"], fail);
    if version >= 400 {
        need(element, &["value"], fail);
    }
}

fn rule(element: &Element, version: Version, fail: Fail<'_>) {
    if element.has("id-ref") {
        if element.attrs().len() > 1 || !element.is_leaf() {
            fail("with `id-ref` it may have neither other attributes nor content".into());
        }
        return;
    }
    need(element, &["id"], fail);
    if version < 309 {
        exactly_one(element, &["score", "score-attribute"], fail);
    } else {
        exclusive(element, &["score", "score-attribute"], fail);
    }
    if element.is_leaf() {
        fail("needs at least one condition".into());
    }
}

fn date_expression(element: &Element, version: Version, fail: Fail<'_>) {
    let (start, end) = (element.has("start"), element.has("end"));
    let (spec, duration) =
        (element.child("date_spec").is_some(), element.child("duration").is_some());
    let ok = match element.get("operation") {
        Some("gt") => start && !end && !spec && !duration,
        Some("lt") => end && !start && !spec && !duration,
        Some("date_spec") => spec && !start && !end && !duration,
        Some("in_range") | None if version >= 309 => (start || end) && !spec,
        Some("in_range") | None => !spec && if duration { start && !end } else { end },
        Some(_) => true,
    };
    if !ok {
        fail(
            "needs `in_range` with `start` and `end` (or a `duration`), `gt` with `start`, `lt` \
             with `end`, or `date_spec` with a `date_spec`"
                .into(),
        );
    }
}

fn agent(element: &Element, version: Version, fail: Fail<'_>) {
    if element.name() == "primitive" && element.has("template") && version >= 102 {
        if ["class", "type", "provider"].iter().any(|name| element.has(name)) {
            fail("`template` excludes `class`, `provider` and `type`".into());
        }
        return;
    }
    if !element.has("class") {
        fail("attribute `class` is missing".into());
    }
    if !element.has("type") && version > 100 {
        fail("attribute `type` is missing".into());
    }
    let is_ocf = element.get("class") == Some("ocf");
    if is_ocf && !element.has("provider") {
        fail("class `ocf` needs a `provider`".into());
    } else if !is_ocf && element.has("provider") && element.has("class") {
        fail("only class `ocf` has a `provider`".into());
    }
}

fn location(element: &Element, version: Version, fail: Fail<'_>) {
    let has_sets = element.child("resource_set").is_some();
    let targets = usize::from(element.has("rsc"))
        + usize::from(element.has("rsc-pattern"))
        + usize::from(has_sets);
    if targets != 1 {
        fail("needs exactly one of `rsc`, `rsc-pattern` and `resource_set`s".into());
    }
    if has_sets && element.has("role") {
        fail("`role` belongs into the `resource_set`s".into());
    }
    let rules = element.children_named("rule").count();
    let plain = element.has("score") || element.has("node");
    if rules > 0 && plain {
        fail("`rule` and `score` with `node` exclude each other".into());
    } else if rules == 0 {
        need(element, &["score", "node"], fail);
    } else if version >= 400 && rules > 1 {
        fail(format!("may hold one `rule`, has {rules}"));
    }
}

fn resource_set(element: &Element, version: Version, fail: Fail<'_>) {
    if element.has("id-ref") {
        if element.attrs().len() > 1 || !element.is_leaf() {
            fail("with `id-ref` it may have neither other attributes nor content".into());
        }
        return;
    }
    need(element, &["id"], fail);
    if element.child("resource_ref").is_none() {
        fail("needs at least one `resource_ref`".into());
    }
    if version >= 300 {
        exclusive(element, &["score", "kind"], fail);
    }
}
