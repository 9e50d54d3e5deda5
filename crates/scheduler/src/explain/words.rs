//! Words for the sources of scores and orderings.

use super::{Because, Term};
use crate::ids::{ColIx, LocIx, NodeIx, RscIx};
use crate::model::{Role, Sched};
use crate::score::{self, INFINITY};
use crate::trace::{Contribution, Origin, Source, Unusable};

/// So many resources are asked for the cause of what befalls another.
const SEARCH_MAX: usize = 200;

/// `a`, `a and b`, `a, b and c`.
pub fn list(words: &[String]) -> String {
    match words {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// What a node's state keeps it from, as the end of "the node …".
pub(super) fn unusable(why: Unusable) -> &'static str {
    match why {
        Unusable::Offline => "is offline",
        Unusable::Unclean => "has failed and must be fenced before anything else",
        Unusable::Shutdown => "is shutting down",
        Unusable::Standby => "is in standby",
        Unusable::FailStandby => "is in standby because a resource failed there (on-fail=standby)",
        Unusable::Maintenance => "is in maintenance mode",
        Unusable::Pending => "is still joining the cluster",
    }
}

fn role_words(role: Role) -> String {
    if role == Role::Unknown { String::new() } else { format!(" in role {}", role.name()) }
}

impl Sched {
    /// A contribution as a term.
    pub(super) fn term(&self, c: &Contribution) -> Term {
        let mut term = Term {
            source: "unknown",
            id: None,
            with: None,
            change: c.added,
            score: c.after,
            text: String::new(),
        };
        match &c.source {
            Source::Base => {
                term.source = "base";
                term.text = match c.after {
                    Some(score) if score < 0 => "the node cannot run resources now".into(),
                    _ => "where every node starts".into(),
                };
            }
            Source::Location(ix) => self.location_term(*ix, c.rsc, &mut term),
            Source::Stickiness => {
                term.source = "stickiness";
                term.text = "it runs there already (resource-stickiness)".into();
            }
            Source::Threshold { failed, count, limit } => {
                term.source = "failures";
                term.with = Some(self.rsc_name(*failed));
                let how_often = if *count >= INFINITY {
                    "failed there fatally (fail count INFINITY)".to_owned()
                } else if *count == 1 {
                    "failed there once".to_owned()
                } else {
                    format!("failed there {count} times")
                };
                let limit = if *limit >= INFINITY {
                    String::new()
                } else {
                    format!(" and migration-threshold is {limit}")
                };
                let (rsc, node) = (self.printable_id(*failed), &self.nodes[c.node].name);
                term.text = format!(
                    "{rsc} {how_often}{limit}; once the cause is gone: crm_resource --cleanup \
                     -r {rsc} -N {node}"
                );
            }
            Source::Failure { op, rc } => {
                term.source = "failed-operation";
                term.id = Some(op.to_string());
                let meaning = i32::try_from(*rc)
                    .ok()
                    .and_then(base::CrmExit::from_code)
                    .map_or_else(String::new, |code| format!(" ({})", code.description()));
                term.text = format!("operation {op} failed there with {rc}{meaning}");
            }
            Source::OnFail => {
                term.source = "on-fail";
                term.text = "it failed there, and on-fail tells it to go elsewhere".into();
            }
            Source::Unmanaged => {
                term.source = "unmanaged";
                term.text = "it runs there and is not managed, so it stays".into();
            }
            Source::MultiplyActive => {
                term.source = "multiple-active";
                term.text =
                    "it was found on several nodes (multiple-active=stop_only stops it)".into();
            }
            Source::Removed => {
                term.source = "removed";
                term.text = "it is no longer configured".into();
            }
            Source::Ticket(ticket) => {
                term.source = "ticket";
                term.id = Some(ticket.to_string());
                let state = match self.tickets.get(ticket) {
                    Some(ticket) if ticket.granted => "in standby",
                    _ => "not granted to this cluster",
                };
                term.text = format!("ticket {ticket} is {state}");
            }
            Source::Discovery => {
                term.source = "discovery";
                term.text = "a location constraint with resource-discovery=exclusive names other \
                             nodes only"
                    .into();
            }
            Source::ShutdownLock(locked) => {
                term.source = "shutdown-lock";
                let locked = &self.nodes[*locked].name;
                term.text = format!(
                    "it ran on {locked}, which was shut down cleanly, and waits for it \
                     (shutdown-lock)"
                );
            }
            Source::ShouldStop => {
                term.source = "should-stop";
                term.text = self.why_stopped(c.rsc);
            }
            Source::Capacity => {
                term.source = "capacity";
                let demand: Vec<String> = self.rscs[c.rsc]
                    .utilization
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                let needs = if demand.is_empty() {
                    "what must be with it needs more".to_owned()
                } else {
                    format!("it (with what must be with it) needs {}, more", demand.join(" "))
                };
                term.text = format!("{needs} than the node has left (utilization)");
            }
            Source::With(ix) => self.colocation_term(*ix, c, &mut term),
            Source::Dependents(ix) => self.dependents_term(*ix, c, &mut term),
            Source::WithUndone(ix) => {
                term.source = "colocation-undone";
                term.id = Some(self.colocations[*ix].id.to_string());
                term.text = format!(
                    "{} would have left no node at all, so it was not applied",
                    self.colocation_name(*ix)
                );
            }
            Source::Instance => {
                term.source = "instance-limit";
                let clone = self.uber(c.rsc);
                term.text =
                    format!("{} has no (more) place for an instance there", self.rscs[clone].id);
            }
            Source::InstanceMax => {
                term.source = "clone-max";
                let clone = self.uber(c.rsc);
                term.text =
                    format!("{} has as many instances as it may (clone-max)", self.rscs[clone].id);
            }
            Source::Promotion => {
                term.source = "promotion-score";
                term.text = "the promotion score of the node counts for the instance, too".into();
            }
            Source::Container => {
                term.source = "container";
                term.text = "it belongs to its container".into();
            }
            Source::NotOnRemote => {
                term.source = "not-on-remote";
                term.text = "connections and fence devices run on full cluster nodes only".into();
            }
            Source::Unknown => term.text = "not recorded".into(),
        }
        if term.change.is_none()
            && let (Some(before), Some(after)) = (c.before, c.after)
        {
            term.change = match (before, after) {
                (_, after) if after <= -INFINITY => Some(-INFINITY),
                (before, after) if before > -INFINITY && before < INFINITY && after < INFINITY => {
                    Some(after - before)
                }
                (_, after) if after >= INFINITY => Some(INFINITY),
                _ => None,
            };
        }
        term
    }

    /// Why a resource should be stopped.
    pub(super) fn why_stopped(&self, rsc: RscIx) -> String {
        let mut at = Some(rsc);
        while let Some(current) = at {
            let role = self.rscs[current].meta.get("target-role");
            if role.is_some_and(|role| Role::parse(role) == Some(Role::Stopped)) {
                let id = self.printable_id(current);
                return format!(
                    "{id} is disabled (target-role=Stopped); crm resource start {id} enables it"
                );
            }
            at = self.rscs[current].parent;
        }
        "it has to be stopped: an operation failed and on-fail says so, or its connection is lost"
            .into()
    }

    fn location_term(&self, ix: LocIx, rsc: RscIx, term: &mut Term) {
        let location = &self.locations[ix];
        let id = location.id.to_string();
        if location.health {
            term.source = "node-health";
            term.text = format!("the node's health (node-health-strategy={id})");
            return;
        }
        term.source = "location";
        let of = if location.rsc == rsc {
            String::new()
        } else {
            format!(" of {}", self.rscs[location.rsc].id)
        };
        let target = self.printable_id(location.rsc);
        term.text = if id.starts_with("cli-ban-") {
            format!(
                "somebody banned {target} there by hand: constraint {id}; crm resource clear \
                 {target} lifts it"
            )
        } else if id.starts_with("cli-prefer-") {
            format!(
                "somebody moved {target} there by hand: constraint {id}; crm resource clear \
                 {target} lifts it"
            )
        } else {
            let verb = match term.change {
                Some(score) if score <= -INFINITY => "it must not run there",
                Some(score) if score < 0 => "it avoids the node",
                Some(score) if score >= INFINITY => "it must run there if it can",
                Some(0) => "it may run there",
                _ => "it prefers the node",
            };
            format!("{verb}: location constraint {id}{of}")
        };
        term.id = Some(id);
    }

    /// How people call a colocation.
    fn colocation_name(&self, ix: ColIx) -> String {
        let c = &self.colocations[ix];
        let (dependent, primary) = (&self.rscs[c.dependent].id, &self.rscs[c.primary].id);
        match c.id.as_str() {
            "#group-members" => {
                let group = self.rscs[c.dependent].parent.map_or_else(
                    || "the group".to_owned(),
                    |group| format!("group {}", self.rscs[group].id),
                );
                format!("{dependent} follows {primary} in {group}")
            }
            id if id.starts_with('#') => format!("{dependent} belongs to {primary}"),
            id => format!("colocation constraint {id}"),
        }
    }

    fn primary_place(&self, primary: RscIx, role: Role) -> String {
        let mut places = Vec::new();
        for leaf in self.leaves(primary) {
            if role != Role::Promoted || self.next_role(leaf) == Role::Promoted {
                let own = self.locations_of(leaf, false);
                places.extend(
                    own.into_iter().filter(|node| !places.contains(node)).collect::<Vec<_>>(),
                );
            }
        }
        if places.is_empty() {
            "which runs nowhere".into()
        } else {
            format!("which goes to {}", list(&self.names(&places)))
        }
    }

    fn colocation_term(&self, ix: ColIx, contribution: &Contribution, term: &mut Term) {
        let c = &self.colocations[ix];
        term.source = "colocation";
        term.id = Some(c.id.to_string());
        term.with = Some(self.rsc_name(c.primary));
        let primary = format!("{}{}", self.rscs[c.primary].id, role_words(c.primary_role));
        let who = if self.is_ancestor(c.dependent, contribution.rsc) {
            "it".to_owned()
        } else {
            self.rscs[c.dependent].id.to_string()
        };
        let place = self.primary_place(c.primary, c.primary_role);
        let relation = if c.score >= INFINITY {
            format!("{who} must run with {primary}, {place}")
        } else if c.score <= -INFINITY {
            format!("{who} must not run with {primary}, {place}")
        } else if c.score > 0 {
            format!("{who} should run with {primary}, {place}")
        } else {
            format!("{who} should keep away from {primary}, {place}")
        };
        let attribute = if c.node_attribute == "#uname" {
            String::new()
        } else {
            format!(", by node attribute {}", c.node_attribute)
        };
        term.text = format!("{relation} ({}{attribute})", self.colocation_name(ix));
    }

    fn dependents_term(&self, ix: ColIx, contribution: &Contribution, term: &mut Term) {
        let c = &self.colocations[ix];
        term.source = "dependent";
        term.id = Some(c.id.to_string());
        term.with = Some(self.rsc_name(c.dependent));
        let dependent = &self.rscs[c.dependent].id;
        let lowered = contribution.after < contribution.before;
        let lost = contribution.after.is_some_and(|score| score <= -INFINITY);
        let wish = match (lowered, c.score < 0) {
            (true, false) if lost => "cannot run there",
            (false, false) => "would rather run there",
            (true, false) => "would rather not run there",
            (false, true) => "keeps away from it and does not want the node",
            (true, true) => "keeps away from it and wants the node",
        };
        term.text =
            format!("{dependent}, which depends on it, {wish} ({})", self.colocation_name(ix));
        if lost
            && let Some(cause) = self.root_cause(c.dependent, contribution.node, &mut Vec::new())
        {
            term.text.push_str(&format!("; for {cause}"));
        }
    }

    /// What keeps a resource, or what is colocated with it, off a node in the end.
    fn root_cause(&self, rsc: RscIx, node: NodeIx, seen: &mut Vec<RscIx>) -> Option<String> {
        if seen.contains(&rsc) || seen.len() >= SEARCH_MAX {
            return None;
        }
        seen.push(rsc);
        let trace = self.trace.as_ref()?;
        for member in self.tree(rsc) {
            let banned = trace.contributions(member, node).find(|c| {
                c.added.or(c.after).is_some_and(|score| score <= -INFINITY)
                    && !matches!(
                        c.source,
                        Source::With(_) | Source::Dependents(_) | Source::Base | Source::Instance
                    )
            });
            if let Some(banned) = banned {
                return Some(format!("{}: {}", self.rscs[member].id, self.term(banned).text));
            }
        }
        let mut next = Vec::new();
        for member in self.tree(rsc) {
            for ix in &self.rscs[member].with_this {
                next.push(self.colocations[*ix].dependent);
            }
            for ix in &self.rscs[member].this_with {
                next.push(self.colocations[*ix].primary);
            }
        }
        next.into_iter().find_map(|other| self.root_cause(other, node, seen))
    }

    /// Why an ordering exists.
    pub(super) fn origin(&self, origin: &Origin) -> Because {
        let id = |rsc: RscIx| Some(self.rsc_name(rsc));
        let (source, id, text) = match origin {
            Origin::Constraint(constraint) => {
                ("order", Some(constraint.to_string()), format!("order constraint {constraint}"))
            }
            Origin::Group(rsc) => {
                ("group", id(*rsc), format!("group {} goes in order", self.rscs[*rsc].id))
            }
            Origin::Clone(rsc) => (
                "clone",
                id(*rsc),
                format!("clone {} and its instances act together", self.rscs[*rsc].id),
            ),
            Origin::Bundle(rsc) => (
                "bundle",
                id(*rsc),
                format!("the parts of bundle {} act together", self.rscs[*rsc].id),
            ),
            Origin::Own(rsc) => {
                ("resource", id(*rsc), "a resource takes one step after the other".into())
            }
            Origin::Probe => {
                ("probe", None, "first it must be known where the resource runs".into())
            }
            Origin::Fencing => ("fencing", None, "fencing comes first".into()),
            Origin::Shutdown => {
                ("shutdown", None, "a node leaves when its resources are stopped".into())
            }
            Origin::Notify(rsc) => {
                ("notify", id(*rsc), format!("instances of {} are notified", self.rscs[*rsc].id))
            }
            Origin::Remote => {
                ("remote", None, "the connection to a remote node comes first".into())
            }
            Origin::Config => ("configuration", None, "its configuration changed".into()),
            Origin::Recurring => ("recurring", None, "a resource is watched once it runs".into()),
            Origin::Migration => ("migration", None, "the steps of a live migration".into()),
        };
        Because { source, id, text }
    }

    /// A score with the sign that people expect of a change.
    pub(super) fn change_text(change: Option<i32>) -> String {
        match change {
            None => String::new(),
            Some(change) if change >= 0 => format!("+{}", score::text(change)),
            Some(change) => score::text(change),
        }
    }

    /// Where a node stands in a sentence.
    pub(super) fn node_is(&self, node: NodeIx) -> Option<&'static str> {
        self.nodes[node].unusable().map(unusable)
    }
}
