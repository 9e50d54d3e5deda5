//! Assigning a primitive. Source: `spec/scheduler-placement.md` §3.

use crate::ids::{ColIx, NodeIx, RscIx};
use crate::model::{Role, Sched, Variant};
use crate::options::NoQuorum;
use crate::score::INFINITY;
use crate::trace::{How, Source};

impl Sched {
    pub(crate) fn assign_primitive(
        &mut self,
        rsc: RscIx,
        prefer: Option<NodeIx>,
        stop_if_fail: bool,
    ) -> Option<NodeIx> {
        if let Some(parent) = self.rscs[rsc].parent
            && !self.rscs[parent].assigning
        {
            self.assign(parent, prefer, stop_if_fail);
        }
        if !self.rscs[rsc].unassigned {
            return self.rscs[rsc].assigned.map(|placed| placed.node);
        }
        if self.rscs[rsc].assigning {
            return None;
        }
        self.rscs[rsc].assigning = true;
        self.apply_colocations(rsc);
        if self.rscs[rsc].next_role == Role::Stopped {
            self.ban_everywhere(rsc, &Source::ShouldStop);
        } else if self.rscs[rsc].next_role > self.rscs[rsc].orig_role
            && !self.quorate
            && self.options.no_quorum == NoQuorum::Freeze
        {
            self.rscs[rsc].next_role = self.rscs[rsc].orig_role;
        }
        self.show_scores(rsc, "pcmk__primitive_assign");
        if self.options.fencing && !self.have_fencing {
            self.rscs[rsc].managed = false;
        }
        if !self.rscs[rsc].managed {
            self.rscs[rsc].next_role = self.rscs[rsc].orig_role;
            let node = self.current_node(rsc);
            self.note_decision(rsc, How::Unmanaged, &[], node, node);
            self.assign_to(rsc, node, true, stop_if_fail);
        } else if self.options.stop_all {
            self.note_decision(rsc, How::StopAll, &[], None, None);
            self.assign_to(rsc, None, true, stop_if_fail);
        } else if self.rscs[rsc].unassigned {
            self.assign_best(rsc, prefer, stop_if_fail);
        }
        self.rscs[rsc].assigning = false;
        if self.rscs[rsc].is_connection {
            self.connection_assigned(rsc);
        }
        self.rscs[rsc].assigned.map(|placed| placed.node)
    }

    /// A remote node comes up with its connection.
    fn connection_assigned(&mut self, rsc: RscIx) {
        let id = self.rscs[rsc].id.clone();
        let Some(remote) = self.find_node(Some(&id), Some(&id)) else { return };
        if self.rscs[rsc].assigned.is_some() && self.rscs[rsc].next_role != Role::Stopped {
            let node = &mut self.nodes[remote];
            node.online = true;
            if !node.seen {
                // No need to fence what can be reached again.
                node.unclean = false;
            }
        } else {
            self.nodes[remote].shutdown = true;
        }
    }

    fn apply_colocations(&mut self, rsc: RscIx) {
        let this_with = self.this_with(rsc);
        let with_this = self.with_this(rsc);
        let mandatory = |sched: &Sched, ix: ColIx| sched.colocations[ix].score.abs() >= INFINITY;
        for required in [true, false] {
            for ix in this_with.iter().copied() {
                if mandatory(self, ix) == required {
                    self.apply_this_with(ix, rsc);
                }
            }
            for ix in with_this.iter().copied() {
                if mandatory(self, ix) == required {
                    self.add_dependent_scores(ix, rsc);
                }
            }
        }
    }

    fn apply_this_with(&mut self, ix: ColIx, rsc: RscIx) {
        let colocation = &self.colocations[ix];
        let (primary, score, role) =
            (colocation.primary, colocation.score, colocation.dependent_role);
        let archive = (role >= Role::Promoted || (score < 0 && score > -INFINITY))
            .then(|| self.rscs[rsc].allowed.clone());
        if self.rscs[primary].unassigned {
            self.assign(primary, None, true);
        }
        self.apply_colocation(rsc, primary, ix, true);
        if let Some(archive) = archive
            && !self.any_available(&self.rscs[rsc].allowed)
        {
            self.rscs[rsc].allowed = archive;
            self.note(rsc, |_| Source::WithUndone(ix));
        }
    }

    /// Source: §3.1.
    fn assign_best(&mut self, rsc: RscIx, prefer: Option<NodeIx>, stop_if_fail: bool) {
        let most_capable = self.ban_insufficient_capacity(rsc);
        let prefer = prefer.or(most_capable);
        if !self.rscs[rsc].unassigned {
            return;
        }
        let active = self.current_node(rsc);
        let nodes = self.sorted_nodes(&self.rscs[rsc].allowed, active);
        let score = |sched: &Sched, node: NodeIx| {
            sched.rscs[rsc].allowed.get(node).map_or(-INFINITY, |entry| entry.score)
        };
        let best = nodes.first().copied();
        let (mut chosen, mut how) = (best, How::Best);
        let preferred = prefer.filter(|wanted| {
            self.rscs[rsc].allowed.get(*wanted).is_some_and(|entry| {
                best.is_none_or(|best| entry.score >= score(self, best))
                    && self.available(*wanted, Some(entry.score), false)
            })
        });
        if preferred.is_some() {
            (chosen, how) = (preferred, How::Asked);
        } else if let Some(best) = best {
            let unique_clone = self.rscs[rsc].parent.is_some_and(|parent| {
                self.rscs[parent].variant == Variant::Clone && self.rscs[parent].unique
            });
            let top = score(self, best);
            if !unique_clone
                && top > 0
                && self.available(best, None, false)
                && let Some(running) = active
                && self.available(running, Some(self.nodes[running].base.score), false)
                && nodes.iter().take_while(|n| score(self, **n) == top).any(|n| *n == running)
            {
                (chosen, how) = (Some(running), How::Stays);
            }
        }
        self.note_decision(rsc, how, &nodes, chosen, active);
        self.assign_to(rsc, chosen, false, stop_if_fail);
    }
}
