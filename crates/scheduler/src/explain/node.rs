//! What is the matter with a node, and what becomes of what runs there.

use super::words::{list, unusable};
use super::{NodeReport, Tenant};
use crate::action::flag;
use crate::ids::{ActIx, NodeIx, RscIx};
use crate::model::{NodeKind, Role, Sched};

impl Sched {
    /// Explains a node.
    pub fn explain_node(&self, node: NodeIx) -> NodeReport {
        let n = &self.nodes[node];
        let kind = match n.kind {
            NodeKind::Cluster => "member",
            NodeKind::Remote if self.is_guest(node) => "guest",
            NodeKind::Remote => "remote",
        };
        let own = |ix: &ActIx| {
            let action = &self.actions[*ix];
            action.rsc.is_none()
                && action.node == Some(node)
                && matches!(action.task.as_str(), "stonith" | "do_shutdown")
                && (action.is(flag::ADDED) || action.not(flag::OPTIONAL))
        };
        let actions = self.actions.ids().filter(own).map(|ix| self.explain_action(ix)).collect();
        let arriving: Vec<String> = self
            .primitives()
            .filter(|rsc| {
                let r = &self.rscs[*rsc];
                r.assigned.is_some_and(|placed| placed.node == node) && !r.active.contains(&node)
            })
            .map(|rsc| self.rsc_name(rsc))
            .collect();
        NodeReport {
            name: n.name.to_string(),
            kind,
            status: self.node_status(node).to_owned(),
            usable: n.unusable().is_none(),
            summary: self.node_summary(node),
            tenants: n.running.iter().map(|rsc| self.tenant(*rsc, node)).collect(),
            arriving,
            actions,
        }
    }

    /// All primitives, in the order of the configuration.
    pub(crate) fn primitives(&self) -> impl Iterator<Item = RscIx> + '_ {
        self.top.iter().flat_map(|top| self.leaves(*top))
    }

    fn node_summary(&self, node: NodeIx) -> Vec<String> {
        let n = &self.nodes[node];
        let mut summary = Vec::new();
        match n.unusable() {
            None => summary.push(format!("{} is online and can run resources.", n.name)),
            Some(why) => {
                summary.push(format!("{} {}: it runs no resources.", n.name, unusable(why)))
            }
        }
        if n.unclean {
            let reason = self
                .actions
                .iter()
                .find(|a| a.task == "stonith" && a.node == Some(node) && a.not(flag::OPTIONAL))
                .and_then(|a| a.reason.clone());
            if let Some(reason) = reason {
                summary.push(format!("It must be fenced: {reason}."));
            }
            if !self.can_fence(Some(node)) {
                let why = if !self.options.fencing {
                    "fencing is disabled (stonith-enabled=false)"
                } else if !self.have_fencing {
                    "no fence device is configured"
                } else {
                    "the partition has no quorum"
                };
                summary.push(format!(
                    "It cannot be fenced: {why}. Until it is known to be off, what ran there \
                     cannot be recovered."
                ));
            }
        }
        let failed: Vec<String> = self
            .failed_ops
            .iter()
            .filter(|op| op.node == n.name)
            .map(|op| {
                let task = op.xml.get("operation").unwrap_or("operation");
                let meaning = base::CrmExit::from_code(op.rc).map_or("", |code| code.description());
                format!("{task} of {} ({meaning})", op.rsc)
            })
            .collect();
        if !failed.is_empty() {
            summary.push(format!("Failed there: {}.", list(&failed)));
        }
        if let Some(connection) = n.connection {
            let id = &self.rscs[connection].id;
            let places = self.names(&self.locations_of(connection, true));
            summary.push(if places.is_empty() {
                format!("Its connection, resource {id}, does not run.")
            } else {
                format!("Its connection, resource {id}, runs on {}.", list(&places))
            });
        }
        let scores: Vec<String> = n
            .attrs
            .iter()
            .filter(|(name, _)| name.starts_with("#health"))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !scores.is_empty() && self.options.health_strategy != "none" {
            summary.push(format!(
                "Its health counts (node-health-strategy={}): {}.",
                self.options.health_strategy,
                list(&scores)
            ));
        }
        summary
    }

    fn tenant(&self, rsc: RscIx, node: NodeIx) -> Tenant {
        let r = &self.rscs[rsc];
        let fate = if !r.managed {
            format!("is left alone: {}", self.why_unmanaged(rsc))
        } else {
            match r.assigned.map(|placed| placed.node) {
                None => "is stopped".to_owned(),
                Some(to) if to != node => format!("goes to {}", self.nodes[to].name),
                Some(_) if r.next_role == Role::Stopped => "is stopped".to_owned(),
                Some(_) if self.needed_on(rsc, "stop", node).is_some() => "is restarted".to_owned(),
                Some(_) => match (r.orig_role, r.next_role) {
                    (Role::Promoted, Role::Unpromoted) => "is demoted".to_owned(),
                    (a, Role::Promoted) if a != Role::Promoted => "is promoted".to_owned(),
                    _ => "stays".to_owned(),
                },
            }
        };
        Tenant { resource: self.rsc_name(rsc), role: r.orig_role.name(), fate }
    }
}
