//! Location constraints and node health. Source: `spec/scheduler-constraints.md` §2 and §3.

use ecow::EcoString;
use regex_lite::Regex;
use xml::Element;

use super::{Location, Target};
use crate::ids::{Allowed, LocIx, NodeIx, ProbeMode, RscIx};
use crate::model::{Role, Sched, Severity, Variant};
use crate::rules::{RuleInput, expand_submatches, passes};
use crate::score;
use crate::trace::Source;

impl Sched {
    /// Scores from node health, before all constraints.
    pub(crate) fn apply_node_health(&mut self) {
        let strategy = self.options.health_strategy.clone();
        if strategy == "none" {
            return;
        }
        let base = if strategy == "progressive" { self.options.health_base } else { 0 };
        for node in self.node_order.clone() {
            let sum = self.nodes[node]
                .attrs
                .iter()
                .filter(|(name, _)| name.starts_with("#health"))
                .filter_map(|(_, value)| score::parse(value, self.options.health))
                .fold(base, score::add);
            if sum == 0 {
                continue;
            }
            for rsc in self.top.clone() {
                if sum < 0 && self.meta_is_true(rsc, "allow-unhealthy-nodes") {
                    continue;
                }
                let ix = self.new_location(
                    &strategy,
                    rsc,
                    vec![(node, sum)],
                    Role::Unknown,
                    ProbeMode::Always,
                );
                self.locations[ix].health = true;
            }
        }
    }

    fn new_location(
        &mut self,
        id: &str,
        rsc: RscIx,
        nodes: Vec<(NodeIx, i32)>,
        role: Role,
        probe_mode: ProbeMode,
    ) -> LocIx {
        if probe_mode == ProbeMode::Exclusive {
            self.rscs[rsc].exclusive_probes = true;
        }
        let ix = self.locations.push(Location {
            id: id.into(),
            rsc,
            nodes,
            role,
            probe_mode,
            health: false,
        });
        self.rscs[rsc].locations.push(ix);
        ix
    }

    pub(super) fn unpack_location(&mut self, xml: &Element) {
        let id = xml.id().unwrap_or("");
        if let Some(rsc) = xml.get("rsc") {
            match self.constraint_target(rsc) {
                Target::Resource(rsc) => self.location_of(xml, rsc, None, None, &[]),
                Target::Several(members) => {
                    for member in members {
                        if let Some(rsc) = self.constraint_rsc(&member) {
                            self.location_of(xml, rsc, None, None, &[]);
                        }
                    }
                }
                Target::Missing => {
                    let text = format!(
                        "Ignoring constraint '{id}' because resource '{rsc}' does not exist"
                    );
                    self.say(Severity::ConfigWarning, "unpack_simple_location", text);
                }
            }
        }
        if let Some(pattern) = xml.get("rsc-pattern") {
            self.pattern_location(xml, pattern);
        }
        for set in self.expanded_sets(xml) {
            let role = set.get("role").map(EcoString::from);
            let score = set.get("score").map(EcoString::from);
            for rsc in self.set_members(&set).into_iter().flatten() {
                self.location_of(xml, rsc, role.as_deref(), score.as_deref(), &[]);
            }
        }
    }

    fn pattern_location(&mut self, xml: &Element, pattern: &str) {
        let (pattern, invert) = match pattern.strip_prefix('!') {
            Some(rest) => (rest, true),
            None => (pattern, false),
        };
        let Ok(regex) = Regex::new(pattern) else {
            let text = format!(
                "Ignoring constraint '{}' because rsc-pattern has invalid value '{pattern}'",
                xml.id().unwrap_or("")
            );
            self.say(Severity::ConfigError, "unpack_rsc_location", text);
            return;
        };
        for rsc in self.top.clone() {
            let id = self.rscs[rsc].id.clone();
            let captures = regex.captures(&id);
            if captures.is_some() == invert {
                continue;
            }
            let submatches: Vec<EcoString> = captures
                .map(|c| c.iter().map(|m| m.map_or("", |m| m.as_str()).into()).collect())
                .unwrap_or_default();
            self.location_of(xml, rsc, None, None, &submatches);
        }
    }

    fn location_of(
        &mut self,
        xml: &Element,
        rsc: RscIx,
        role: Option<&str>,
        score_text: Option<&str>,
        submatches: &[EcoString],
    ) {
        let id = xml.id().unwrap_or("");
        let probe_mode = match xml.get("resource-discovery").map(str::to_ascii_lowercase).as_deref()
        {
            None | Some("always") => ProbeMode::Always,
            Some("never") => ProbeMode::Never,
            Some("exclusive") => ProbeMode::Exclusive,
            Some(_) => ProbeMode::Always,
        };
        let read_role = |text: Option<&str>| match text {
            None => Some(Role::Unknown),
            Some(text) => Role::parse(text).map(|role| match role {
                Role::Started | Role::Unpromoted => Role::Unknown,
                role => role,
            }),
        };
        let node_name = xml.get("node");
        let score_text = score_text.or_else(|| xml.get("score"));
        if let (Some(node), Some(score)) = (node_name, score_text) {
            let Some(score) = score::parse(score, self.options.health) else { return };
            let Some(node) = self.find_node(Some(node), Some(node)) else { return };
            let Some(role) = read_role(role.or_else(|| xml.get("role"))) else { return };
            self.new_location(id, rsc, vec![(node, score)], role, probe_mode);
            return;
        }
        if let Some(rule) = xml.child("rule") {
            let Some(role) = read_role(rule.get("role").or(role).or_else(|| xml.get("role")))
            else {
                return;
            };
            let nodes = self.nodes_by_rule(rule, rsc, submatches);
            self.new_location(id, rsc, nodes, role, probe_mode);
        }
    }

    fn nodes_by_rule(
        &mut self,
        rule: &Element,
        rsc: RscIx,
        submatches: &[EcoString],
    ) -> Vec<(NodeIx, i32)> {
        let (fixed, attribute) = match (rule.get("score"), rule.get("score-attribute")) {
            (Some(text), _) => (score::parse(text, self.options.health).or(Some(0)), None),
            (None, Some(name)) => (None, Some(expand_submatches(name, submatches))),
            (None, None) => (Some(0), None),
        };
        let mut nodes = Vec::new();
        let mut change = 0;
        for node in self.node_order.clone() {
            let params = self.params(rsc, Some(node));
            let input = RuleInput {
                node_attrs: Some(&self.nodes[node].attrs),
                agent: Some(self.agent(rsc)),
                params: Some(&params),
                meta: Some(&self.rscs[rsc].meta),
                submatches,
                ..self.rule_input()
            };
            let passed = passes(rule, &input);
            let next = input.next_change.get();
            if next != 0 && (change == 0 || next < change) {
                change = next;
            }
            if !passed {
                continue;
            }
            let score = match (&attribute, fixed) {
                (Some(name), _) => {
                    let target = self.rscs[rsc].meta.get("container-attribute-target").cloned();
                    let value = self.node_attr(node, name, target.as_deref(), false);
                    value.and_then(|v| score::parse(v, self.options.health))
                }
                (None, fixed) => fixed,
            };
            if let Some(score) = score {
                nodes.insert(0, (node, score));
            }
        }
        self.recheck_at(change);
        nodes
    }

    /// Applies all location constraints, the newest first.
    pub(crate) fn apply_locations(&mut self) {
        let all: Vec<LocIx> = self.locations.ids().rev().collect();
        for location in all {
            let rsc = self.locations[location].rsc;
            self.apply_location(rsc, location);
        }
    }

    /// Applies a location constraint to a resource as its variant demands.
    pub(crate) fn apply_location(&mut self, rsc: RscIx, location: LocIx) {
        match self.rscs[rsc].variant {
            Variant::Primitive => self.apply_location_to(rsc, location, false),
            Variant::Group => {
                self.apply_location_to(rsc, location, false);
                let colocated = self.rscs[rsc].colocated;
                for (i, member) in self.rscs[rsc].children.clone().into_iter().enumerate() {
                    self.apply_location_to(member, location, colocated && i > 0);
                }
            }
            Variant::Clone => {
                self.apply_location_to(rsc, location, false);
                for child in self.rscs[rsc].children.clone() {
                    self.apply_location(child, location);
                }
            }
            Variant::Bundle => {
                self.apply_location_to(rsc, location, false);
                for replica in self.rscs[rsc].bundle.replicas.clone() {
                    self.apply_location(replica.container, location);
                    if let Some(ip) = replica.ip {
                        self.apply_location(ip, location);
                    }
                }
                let role = self.locations[location].role;
                if matches!(role, Role::Promoted | Role::Unpromoted)
                    && let Some(inner) = self.rscs[rsc].bundle.inner
                {
                    self.apply_location(inner, location);
                    self.rscs[inner].locations.push(location);
                }
            }
        }
    }

    fn apply_location_to(&mut self, rsc: RscIx, location: LocIx, without_score: bool) {
        let Location { role, probe_mode, nodes, .. } = self.locations[location].clone();
        if role != Role::Unknown && role != self.rscs[rsc].next_role {
            return;
        }
        for (node, score) in nodes {
            let score = if without_score { 0 } else { score };
            let mut exclusive = false;
            let base = self.nodes[node].base;
            let table = &mut self.rscs[rsc].allowed;
            match table.get_mut(node) {
                Some(entry) => entry.score = score::add(entry.score, score),
                None => table.insert(node, Allowed { score, count: 0, ..base }),
            }
            if let Some(entry) = table.get_mut(node)
                && entry.probe_mode < probe_mode
            {
                entry.probe_mode = probe_mode;
                exclusive = probe_mode == ProbeMode::Exclusive;
            }
            if exclusive {
                self.rscs[rsc].exclusive_probes = true;
            }
            self.note_added(rsc, node, score, |_| Source::Location(location));
        }
    }
}
