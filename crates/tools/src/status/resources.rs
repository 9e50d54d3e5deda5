//! Resources as lines: the whole list, filtered lists, counts by agent, what runs on a node.

use std::collections::BTreeMap;

use scheduler::ids::{NodeIx, RscIx};
use scheduler::model::{Role, Variant};
use scheduler::present::Line;

use super::{Show, View, replica_members};

impl View {
    /// Whether a resource belongs into the list of running ones, nodes considered.
    fn is_shown_active(&self, show: &Show, rsc: RscIx) -> bool {
        if !self.sched.is_active(rsc, false) {
            return false;
        }
        if show.only_nodes.is_none() {
            return true;
        }
        self.parts_of(rsc).into_iter().any(|leaf| {
            self.sched.rscs[leaf].active.iter().any(|node| self.wants_node(show, *node))
        })
    }

    /// The items of the resource list.
    pub fn resource_items(&self, show: &Show, level: usize) -> Vec<Line> {
        let mut lines = Vec::new();
        if show.brief && !show.by_node {
            lines.extend(self.brief_items(&self.plain_top(show), level, show.inactive));
        }
        for rsc in self.sched.top.iter().copied() {
            let r = &self.sched.rscs[rsc];
            let active = self.is_shown_active(show, rsc);
            if r.removed && !self.sched.is_active(rsc, false) {
                continue;
            }
            // Below the nodes everything that runs was shown already.
            let complete = self.sched.is_active(rsc, true);
            if show.by_node {
                let partially = self.sched.is_active(rsc, false) && !complete;
                if complete || !show.inactive || partially && r.variant == Variant::Bundle {
                    continue;
                }
            } else if show.brief && r.variant == Variant::Primitive {
                continue;
            }
            if !active
                && !(show.inactive
                    && (show.only_nodes.is_none() || !self.sched.is_active(rsc, false)))
            {
                continue;
            }
            if self.wants_resource(show, rsc) {
                lines.extend(self.resource_lines(rsc, level, show));
            }
        }
        lines
    }

    /// Primitives that are part of nothing.
    fn plain_top(&self, show: &Show) -> Vec<RscIx> {
        let top = self.sched.top.iter().copied();
        top.filter(|rsc| {
            self.sched.rscs[*rsc].variant == Variant::Primitive && self.wants_resource(show, *rsc)
        })
        .collect()
    }

    /// The lines of one resource, restricted to what was named.
    pub fn resource_lines(&self, rsc: RscIx, level: usize, show: &Show) -> Vec<Line> {
        let style = self.style(show);
        let r = &self.sched.rscs[rsc];
        let whole = self.names_resource(show, rsc) || self.above_is_named(show, rsc);
        match r.variant {
            Variant::Group if show.brief && whole => {
                let mut lines = self.sched.lines_of(rsc, level, style);
                lines.truncate(1);
                lines.extend(self.brief_items(&r.children, level + 1, true));
                lines
            }
            Variant::Bundle if show.detail || !whole => self.bundle_lines(rsc, level, show, whole),
            Variant::Clone if !whole => {
                let named = |instance: &RscIx| {
                    self.sched
                        .tree(*instance)
                        .into_iter()
                        .any(|below| self.names_resource(show, below))
                };
                let children: Vec<RscIx> = r.children.iter().copied().filter(named).collect();
                // An inner resource named by its base id means every instance: the usual lists.
                let by_base = children.len() == r.children.len();
                if by_base && !show.detail {
                    return self.sched.lines_of(rsc, level, style);
                }
                self.header_and(rsc, level, children, show)
            }
            Variant::Group if !whole => {
                let children: Vec<RscIx> = r
                    .children
                    .iter()
                    .copied()
                    .filter(|child| self.names_resource(show, *child))
                    .collect();
                self.header_and(rsc, level, children, show)
            }
            Variant::Primitive | Variant::Group | Variant::Clone | Variant::Bundle => {
                self.on_wanted_nodes(rsc, self.sched.lines_of(rsc, level, style), show)
            }
        }
    }

    /// The lines of a resource without what they say of nodes nobody asked for.
    fn on_wanted_nodes(&self, rsc: RscIx, lines: Vec<Line>, show: &Show) -> Vec<Line> {
        let Some(only) = &show.only_nodes else { return lines };
        let r = &self.sched.rscs[rsc];
        if r.variant == Variant::Bundle {
            // One line a replica follows the heading.
            let here = |at: usize| {
                let Some(replica) = at.checked_sub(1).and_then(|at| r.bundle.replicas.get(at))
                else {
                    return true;
                };
                let active = &self.sched.rscs[replica.container].active;
                active.is_empty() || active.iter().any(|node| self.wants_node(show, *node))
            };
            return lines
                .into_iter()
                .enumerate()
                .filter(|(at, _)| here(*at))
                .map(|(_, line)| line)
                .collect();
        }
        lines
            .into_iter()
            .filter_map(|line| {
                let Some((title, names)) = line.text.split_once(": [ ") else { return Some(line) };
                let names: Vec<&str> = names
                    .trim_end_matches(" ]")
                    .split(' ')
                    .filter(|name| only.iter().any(|wanted| wanted == name))
                    .collect();
                let text = format!("{title}: [ {} ]", names.join(" "));
                (!names.is_empty()).then_some(Line { level: line.level, text })
            })
            .collect()
    }

    fn above_is_named(&self, show: &Show, rsc: RscIx) -> bool {
        let mut above = self.sched.rscs[rsc].parent;
        while let Some(parent) = above {
            if self.names_resource(show, parent) {
                return true;
            }
            above = self.sched.rscs[parent].parent;
        }
        show.only_resources.is_none()
    }

    fn header_and(&self, rsc: RscIx, level: usize, children: Vec<RscIx>, show: &Show) -> Vec<Line> {
        let style = self.style(show);
        let mut lines = self.sched.lines_of(rsc, level, style);
        lines.truncate(1);
        for child in children {
            if show.inactive || self.sched.is_active(child, false) {
                lines.extend(self.resource_lines(child, level + 1, show));
            }
        }
        lines
    }

    fn bundle_lines(&self, rsc: RscIx, level: usize, show: &Show, whole: bool) -> Vec<Line> {
        let style = self.style(show);
        let mut lines = self.sched.lines_of(rsc, level, style);
        lines.truncate(1);
        let replicas = &self.sched.rscs[rsc].bundle.replicas;
        for replica in replicas {
            let members: Vec<RscIx> = replica_members(replica)
                .filter(|member| whole || self.names_resource(show, *member))
                .filter(|member| {
                    show.inactive || show.detail || self.sched.is_active(*member, false)
                })
                .collect();
            if members.is_empty() {
                continue;
            }
            // A single replica needs no heading, but its members stay one level deeper.
            if replicas.len() > 1 {
                lines.push(Line { level: level + 1, text: format!("Replica[{}]", replica.index) });
            }
            for member in members {
                lines.push(Line {
                    level: level + 2,
                    text: self.sched.primitive_line(member, style),
                });
            }
        }
        lines
    }

    /// Counts by agent and node: `1/1 TAB (agent): TAB Active NODE`.
    fn brief_items(&self, resources: &[RscIx], level: usize, with_total: bool) -> Vec<Line> {
        let mut total: BTreeMap<String, usize> = BTreeMap::new();
        let mut active: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        for rsc in resources.iter().copied() {
            let r = &self.sched.rscs[rsc];
            if r.variant != Variant::Primitive || r.removed && r.active.is_empty() {
                continue;
            }
            let agent = self.agent_text(rsc);
            *total.entry(agent.clone()).or_default() += 1;
            let nodes = active.entry(agent).or_default();
            if r.orig_role != Role::Stopped {
                for node in &r.active {
                    *nodes.entry(self.sched.nodes[*node].name.to_string()).or_default() += 1;
                }
            }
        }
        let mut lines = Vec::new();
        for (agent, nodes) in active {
            let all = total.get(&agent).copied().unwrap_or(0);
            for (node, count) in &nodes {
                let numbers = if with_total { format!("{count}/{all}") } else { count.to_string() };
                lines.push(Line { level, text: format!("{numbers}\t({agent}):\tActive {node}") });
            }
            if nodes.is_empty() && with_total {
                lines.push(Line { level, text: format!("0/{all}\t({agent}):\tActive") });
            }
        }
        lines
    }

    /// The agent of a resource: `class:provider:type`.
    pub fn agent_text(&self, rsc: RscIx) -> String {
        let (class, provider, kind) = self.sched.agent(rsc);
        match provider {
            Some(provider) => format!("{class}:{provider}:{kind}"),
            None => format!("{class}:{kind}"),
        }
    }

    /// What runs on a node, for the display by node.
    pub fn running_items(&self, node: NodeIx, show: &Show, level: usize) -> Vec<Line> {
        let running = self.sched.nodes[node].running.iter().copied();
        let running: Vec<RscIx> = running.filter(|rsc| self.wants_resource(show, *rsc)).collect();
        if show.brief {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            for rsc in running {
                *counts.entry(self.agent_text(rsc)).or_default() += 1;
            }
            return counts
                .into_iter()
                .map(|(agent, count)| Line { level, text: format!("{count}\t({agent}):\tActive ") })
                .collect();
        }
        let style = self.style(show);
        running
            .into_iter()
            .map(|rsc| {
                let name = self.sched.printable_id(rsc).to_owned();
                let text = self.sched.primitive_text(rsc, &name, None, 1, style);
                Line { level, text }
            })
            .collect()
    }
}
