//! Placing the parts of a bundle. Source: `spec/scheduler-placement.md` §9.

use super::stable_sort;
use crate::constraints::Colocation;
use crate::ids::{NodeIx, RscIx};
use crate::model::{Role, Sched};
use crate::score::INFINITY;
use crate::trace::Source;

impl Sched {
    pub(crate) fn assign_bundle(
        &mut self,
        bundle: RscIx,
        _prefer: Option<NodeIx>,
        stop_if_fail: bool,
    ) -> Option<NodeIx> {
        // Asked again it goes through the motions again: what is assigned stays, scores are shown.
        if self.rscs[bundle].assigning {
            return None;
        }
        self.rscs[bundle].assigning = true;
        self.show_scores(bundle, "pcmk__bundle_assign");
        let replicas = self.rscs[bundle].bundle.replicas.clone();
        let mut containers: Vec<RscIx> = replicas.iter().map(|r| r.container).collect();
        stable_sort(&mut containers, &mut |a, b| self.cmp_instances(a, b));
        let (max, per_host) =
            (self.rscs[bundle].bundle.replicas_max, self.rscs[bundle].bundle.replicas_per_host);
        self.assign_instances(bundle, &containers, max, per_host);
        for replica in &replicas {
            if let Some(ip) = replica.ip {
                self.assign(ip, None, stop_if_fail);
            }
            let host = self.rscs[replica.container].assigned.map(|placed| placed.node);
            if let Some(remote) = replica.remote {
                if let Some(host) = host
                    && self.is_remote_kind(host)
                    && let Some(connection) = self.nodes[host].connection
                {
                    self.new_colocation(Colocation {
                        id: "#replica-remote-with-host-remote".into(),
                        dependent: remote,
                        primary: connection,
                        score: INFINITY,
                        dependent_role: Role::Unknown,
                        primary_role: Role::Unknown,
                        node_attribute: "#uname".into(),
                        explicit: true,
                        influence: true,
                    });
                }
                self.assign(remote, None, stop_if_fail);
            }
            if let (Some(child), Some(own)) = (replica.child, replica.node) {
                self.assign_replica_child(child, own, stop_if_fail);
            }
        }
        if let Some(inner) = self.rscs[bundle].bundle.inner {
            for node in self.in_order(&self.rscs[inner].allowed) {
                let own = replicas.iter().any(|r| r.node == Some(node));
                if let Some(entry) = self.rscs[inner].allowed.get_mut(node) {
                    entry.score = if own { 0 } else { -INFINITY };
                }
            }
            self.note(inner, |_| Source::Container);
            self.assign(inner, None, stop_if_fail);
        }
        self.rscs[bundle].unassigned = false;
        self.rscs[bundle].assigning = false;
        None
    }

    fn assign_replica_child(&mut self, child: RscIx, own: NodeIx, stop_if_fail: bool) {
        for node in self.in_order(&self.rscs[child].allowed) {
            if node != own {
                if let Some(entry) = self.rscs[child].allowed.get_mut(node) {
                    entry.score = -INFINITY;
                }
            } else if self.threshold_reached(child, node).is_none()
                && let Some(entry) = self.rscs[child].allowed.get_mut(node)
            {
                entry.score = INFINITY;
            }
        }
        self.note(child, |_| Source::Container);
        let Some(inner) = self.rscs[child].parent else { return };
        self.rscs[inner].assigning = true;
        self.assign(child, Some(own), stop_if_fail);
        self.rscs[inner].assigning = false;
    }
}
