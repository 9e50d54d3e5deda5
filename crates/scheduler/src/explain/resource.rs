//! Why a resource is where it is, or is not.

use super::ResourceReport;
use super::words::list;
use crate::action::flag;
use crate::ids::{NodeIx, RscIx};
use crate::model::{Role, Sched, Variant};
use crate::score;
use crate::trace::{How, Restart, TieBreak};

/// More nodes than these that have the same against a resource are not named one by one.
const MANY_NODES: usize = 3;

impl Sched {
    /// Explains a resource and all below it; with `on` only what concerns that node.
    pub fn explain_resource(&self, rsc: RscIx, on: Option<NodeIx>) -> ResourceReport {
        let r = &self.rscs[rsc];
        let (kind, agent) = match r.variant {
            Variant::Primitive => {
                let (class, provider, kind) = self.agent(rsc);
                let provider = provider.map_or_else(String::new, |p| format!("{p}:"));
                ("primitive", Some(format!("{class}:{provider}{kind}")))
            }
            Variant::Group => ("group", None),
            Variant::Clone => ("clone", None),
            Variant::Bundle => ("bundle", None),
        };
        let primitive = r.variant == Variant::Primitive;
        let next_node = self.single_location(rsc, false).map(|node| self.node_name(node));
        let mut running = self.locations_of(rsc, true);
        running.sort_by(|a, b| self.nodes[*a].name.cmp(&self.nodes[*b].name));
        ResourceReport {
            id: self.rsc_name(rsc),
            kind,
            agent,
            running_on: self.names(&running),
            role: self.role(rsc, true).name(),
            next_node,
            next_role: self.next_role(rsc).name(),
            managed: r.managed,
            summary: if primitive {
                self.primitive_summary(rsc, on)
            } else {
                self.collective_summary(rsc)
            },
            nodes: if primitive { self.node_views(rsc, on) } else { Vec::new() },
            promotion: self.promotion_view(rsc),
            actions: self.actions_of_resource(rsc, on),
            members: if primitive { Vec::new() } else { self.member_reports(rsc, on) },
        }
    }

    fn member_reports(&self, rsc: RscIx, on: Option<NodeIx>) -> Vec<ResourceReport> {
        let r = &self.rscs[rsc];
        let members: Vec<RscIx> = match r.variant {
            Variant::Bundle => {
                let replica = |x: &crate::model::Replica| {
                    [x.ip, Some(x.container), x.remote, x.child].into_iter().flatten()
                };
                r.bundle.replicas.iter().flat_map(replica).collect()
            }
            _ => r.children.clone(),
        };
        members
            .into_iter()
            // Spare instances that were never meant to run would only be noise.
            .filter(|member| {
                r.variant != Variant::Clone
                    || on.is_some()
                    || !self.locations_of(*member, true).is_empty()
                    || !self.locations_of(*member, false).is_empty()
                    || !self.is_spare(*member)
            })
            .map(|member| self.explain_resource(member, on))
            .collect()
    }

    /// An instance beyond what the clone may (or can) run.
    pub(crate) fn is_spare(&self, instance: RscIx) -> bool {
        let Some(clone) = self.rscs[instance].parent else { return false };
        let siblings = &self.rscs[clone].children;
        let placed = |rsc: &RscIx| !self.locations_of(*rsc, false).is_empty();
        let usable = self.nodes.ids().filter(|node| self.nodes[*node].unusable().is_none()).count();
        let per_node = usize::try_from(self.rscs[clone].clone.clone_node_max).unwrap_or(0);
        let max = usize::try_from(self.rscs[clone].clone.clone_max).unwrap_or(0);
        !placed(&instance)
            && siblings.iter().filter(|s| placed(s)).count() >= max.min(usable * per_node)
    }

    /// The role a resource will have.
    pub(crate) fn next_role(&self, rsc: RscIx) -> Role {
        match self.role(rsc, false) {
            Role::Unknown if self.locations_of(rsc, false).is_empty() => Role::Stopped,
            Role::Unknown => Role::Started,
            role => role,
        }
    }

    // --- in a few sentences -------------------------------------------------------------------

    fn collective_summary(&self, rsc: RscIx) -> Vec<String> {
        let leaves = self.leaves(rsc);
        let id = &self.rscs[rsc].id;
        let running = leaves.iter().filter(|leaf| !self.rscs[**leaf].active.is_empty()).count();
        let next = leaves.iter().filter(|leaf| self.rscs[**leaf].assigned.is_some()).count();
        let what = match self.rscs[rsc].variant {
            Variant::Group => "members",
            Variant::Clone => "instances",
            _ => "parts",
        };
        let total = leaves.iter().filter(|leaf| !self.is_spare_leaf(**leaf)).count();
        let places = |current: bool| {
            let mut nodes = self.locations_of(rsc, current);
            nodes.sort_by(|a, b| self.nodes[*a].name.cmp(&self.nodes[*b].name));
            list(&self.names(&nodes))
        };
        let mut summary = vec![match running {
            0 => format!("{id} does not run."),
            _ => format!("Of {id}, {running} of {total} {what} run, on {}.", places(true)),
        }];
        if next == 0 {
            summary.push("None of it may run anywhere; see below.".into());
        } else if next != running || self.locations_of(rsc, true) != self.locations_of(rsc, false) {
            summary.push(format!("{next} of {total} {what} should run, on {}.", places(false)));
        }
        if self.is_disabled(rsc) {
            summary.push(format!("{}.", capital(&self.why_stopped(rsc))));
        }
        summary
    }

    fn is_spare_leaf(&self, leaf: RscIx) -> bool {
        let mut at = leaf;
        while let Some(parent) = self.rscs[at].parent {
            if self.rscs[parent].variant == Variant::Clone {
                return self.rscs[at].active.is_empty() && self.is_spare(at);
            }
            at = parent;
        }
        false
    }

    fn primitive_summary(&self, rsc: RscIx, on: Option<NodeIx>) -> Vec<String> {
        let r = &self.rscs[rsc];
        let id = &r.id;
        let mut summary = Vec::new();
        let role = if r.orig_role > Role::Started {
            format!(" ({})", r.orig_role.name())
        } else {
            String::new()
        };
        summary.push(match r.active.as_slice() {
            [] => format!("{id} does not run."),
            [one] if r.failed => format!("{id} has failed on {}{role}.", self.nodes[*one].name),
            [one] => format!("{id} runs on {}{role}.", self.nodes[*one].name),
            several => {
                format!("{id} runs on {}, although it should run once.", list(&self.names(several)))
            }
        });
        if !r.managed {
            summary.push(format!("The cluster leaves it alone: {}.", self.why_unmanaged(rsc)));
            return summary;
        }
        let assigned = r.assigned.map(|placed| placed.node);
        let current = self.current_node(rsc);
        match (current, assigned) {
            (_, None) => summary.push(self.nowhere(rsc)),
            (None, Some(node)) => {
                let name = &self.nodes[node].name;
                match self.blocked_start(rsc, node) {
                    Some(why) => {
                        summary.push(format!("It should start on {name}, but cannot: {why}."));
                    }
                    None => summary.push(format!("It will be started on {name}.")),
                }
            }
            (Some(from), Some(to)) if from != to => {
                let (a, b) = (&self.nodes[from].name, &self.nodes[to].name);
                let how = match self.trace.as_ref().and_then(|t| t.restarts.get(&rsc)) {
                    Some(Restart::Migrate) => "migrates (without a stop)",
                    _ => "moves",
                };
                match self.blocked_start(rsc, to) {
                    Some(why) => summary
                        .push(format!("It leaves {a} for {b}, but cannot start there: {why}.")),
                    None => summary.push(format!("It {how} from {a} to {b}.")),
                }
            }
            (Some(node), Some(_)) => summary.extend(self.same_place(rsc, node)),
        }
        if let Some(choice) = self.choice(rsc) {
            summary.push(choice);
        }
        if let Some(on) = on
            && assigned != Some(on)
        {
            summary.extend(self.what_would_help(rsc, on));
        }
        summary
    }

    fn same_place(&self, rsc: RscIx, node: NodeIx) -> Vec<String> {
        let name = &self.nodes[node].name;
        let r = &self.rscs[rsc];
        let stop = self.needed_on(rsc, "stop", node);
        if r.next_role == Role::Stopped {
            return vec![format!("It will be stopped: {}.", self.why_stopped(rsc))];
        }
        let Some(stop) = stop else {
            return vec![match (r.orig_role, r.next_role) {
                (Role::Promoted, Role::Unpromoted) => format!("It will be demoted on {name}."),
                (a, Role::Promoted) if a != Role::Promoted => {
                    format!("It will be promoted on {name}.")
                }
                _ if r.reload => format!("Its changed parameters are reloaded on {name}."),
                _ => "It stays there.".to_owned(),
            }];
        };
        let why = self.why_needed(stop).first().cloned().unwrap_or_default();
        match self.blocked_start(rsc, node) {
            Some(blocked) => {
                vec![format!("It will be stopped and cannot start again: {blocked}.")]
            }
            None => vec![format!("It will be restarted on {name}: {why}.")],
        }
    }

    /// An action that is not optional.
    pub(super) fn needed_on(
        &self,
        rsc: RscIx,
        task: &str,
        node: NodeIx,
    ) -> Option<crate::ids::ActIx> {
        self.rscs[rsc].actions.iter().copied().find(|ix| {
            let action = &self.actions[*ix];
            action.task == task && action.node == Some(node) && action.not(flag::OPTIONAL)
        })
    }

    pub(crate) fn blocked_start(&self, rsc: RscIx, node: NodeIx) -> Option<String> {
        let start = self.rscs[rsc].actions.iter().copied().find(|ix| {
            let action = &self.actions[*ix];
            action.task == "start" && action.node == Some(node)
        })?;
        if self.actions[start].is(flag::RUNNABLE) {
            return None;
        }
        let why = self.why_blocked(start);
        Some(if why.is_empty() { "its start cannot be executed".into() } else { why.join("; ") })
    }

    /// Why the cluster does not touch it.
    pub(crate) fn why_unmanaged(&self, rsc: RscIx) -> String {
        let r = &self.rscs[rsc];
        if self.options.maintenance {
            return "the cluster is in maintenance mode".into();
        }
        if let Some(node) = r.active.iter().find(|node| self.nodes[**node].maintenance) {
            return format!("node {} is in maintenance mode", self.nodes[*node].name);
        }
        if r.blocked {
            return "it is blocked, because an operation failed that on-fail=block is set for (or \
                    fencing would be needed and is disabled), or because of multiple-active or a \
                    ticket; people have to look after it"
                .into();
        }
        let mut at = Some(rsc);
        while let Some(current) = at {
            let meta = &self.rscs[current].meta;
            let says = |name: &str, value: bool| {
                meta.get(name).and_then(|v| crate::text::parse_bool(v)) == Some(value)
            };
            let id = self.printable_id(current);
            if says("is-managed", false) {
                return format!("{id} is not managed (is-managed=false)");
            }
            if says("maintenance", true) {
                return format!("{id} is in maintenance mode");
            }
            at = self.rscs[current].parent;
        }
        if self.options.fencing && !self.have_fencing {
            return "fencing is enabled (stonith-enabled), but there is no fence device".into();
        }
        if r.removed {
            return "it is no longer configured, and stop-orphan-resources=false".into();
        }
        "it is not managed".into()
    }

    /// Why a resource runs nowhere, in a sentence.
    pub fn nowhere(&self, rsc: RscIx) -> String {
        let r = &self.rscs[rsc];
        if self.options.stop_all {
            return "It is stopped, as all resources (stop-all-resources=true).".into();
        }
        let decision = self.trace.as_ref().and_then(|trace| trace.decision(rsc));
        match decision.map(|d| d.how) {
            Some(How::NoPartner(ix)) => {
                let c = &self.colocations[ix];
                return format!(
                    "It must run with an instance of {} (colocation constraint {}), and none is \
                     left for it.",
                    self.rscs[c.primary].id, c.id
                );
            }
            Some(How::NoPeer(first)) => {
                return format!(
                    "It has to follow an instance of {} on the same node, and there is none.",
                    self.rscs[first].id
                );
            }
            _ => {}
        }
        if self.is_disabled_above(rsc) {
            return format!("It is stopped: {}.", self.why_stopped(rsc));
        }
        if r.removed {
            return "It is stopped: it is no longer configured.".into();
        }
        let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
        for view in self.node_views(rsc, None) {
            let short = view.short();
            match reasons.iter_mut().find(|(text, _)| *text == short) {
                Some((_, nodes)) => nodes.push(view.node),
                None => reasons.push((short, vec![view.node])),
            }
        }
        if reasons.is_empty() {
            return "It cannot run: no node may run it.".into();
        }
        let all: Vec<String> =
            reasons.iter().map(|(text, nodes)| format!("{}: {text}", list(nodes))).collect();
        if let [(text, nodes)] = reasons.as_slice()
            && nodes.len() > MANY_NODES
        {
            return format!("It cannot run on any node. All of them: {text}.");
        }
        format!("It cannot run on any node. {}.", all.join("; "))
    }

    pub(crate) fn is_disabled_above(&self, rsc: RscIx) -> bool {
        let mut at = Some(rsc);
        while let Some(current) = at {
            if self.target_role(current) == Some(Role::Stopped) {
                return true;
            }
            at = self.rscs[current].parent;
        }
        false
    }

    /// What made the winner win.
    fn choice(&self, rsc: RscIx) -> Option<String> {
        let decision = self.trace.as_ref()?.decision(rsc)?;
        let chosen = decision.chosen?;
        let winner = &self.nodes[chosen].name;
        let runner_up = decision.candidates.iter().find(|c| {
            c.node != chosen && !matches!(c.lost_by, Some(TieBreak::Unusable | TieBreak::Banned))
        });
        let Some(other) = runner_up else {
            if decision.candidates.is_empty() {
                return None;
            }
            return Some(format!("{winner} is the only node that may run it."));
        };
        let name = &self.nodes[other.node].name;
        let own = decision.candidates.iter().find(|c| c.node == chosen)?;
        let score = score::text(own.score);
        Some(match other.lost_by? {
            TieBreak::Score => format!(
                "{winner} has the highest score, {score}; next is {name} with {}.",
                score::text(other.score)
            ),
            TieBreak::Asked => format!(
                "{winner} and {name} are equally good (score {score}); {winner} is where it is or \
                 was meant to go."
            ),
            TieBreak::Running => format!(
                "{winner} and {name} are equally good (score {score}); it runs on {winner} already."
            ),
            TieBreak::Capacity => format!(
                "{winner} and {name} are equally good (score {score}); {winner} has more room \
                 (placement-strategy=balanced)."
            ),
            TieBreak::Load => format!(
                "{winner} and {name} are equally good (score {score}); {winner} has fewer \
                 resources ({} against {}).",
                own.load, other.load
            ),
            _ => format!(
                "{winner} and {name} are equally good (score {score}); the name {winner} comes \
                 first."
            ),
        })
    }

    fn what_would_help(&self, rsc: RscIx, on: NodeIx) -> Vec<String> {
        let name = &self.nodes[on].name;
        if let Some(why) = self.node_is(on) {
            return vec![format!("It cannot run on {name}: the node {why}.")];
        }
        let Some(view) = self.node_views(rsc, Some(on)).pop() else { return Vec::new() };
        let against: Vec<String> = view
            .terms
            .iter()
            .filter(|term| term.change.is_some_and(|change| change < 0))
            .map(|term| term.text.clone())
            .collect();
        match view.verdict {
            "banned" => vec![format!(
                "It could run on {name} if this did not hold: {}.",
                if against.is_empty() { "its score".to_owned() } else { against.join("; ") }
            )],
            "possible" => vec![format!("It is not on {name}: {}.", view.text)],
            _ => vec![format!("On {name}: {}.", view.text)],
        }
    }
}

/// With its first letter big.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
