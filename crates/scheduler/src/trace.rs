//! The trace: why resources go where they go, and why actions are done.
//!
//! Off unless [`Input::trace`](crate::Input::trace) asks for it; then [`Sched::trace`] is `Some`,
//! and the stages of the pipeline leave notes in it. Scores are followed with a copy of each
//! resource's table: a stage that changed the table says why ([`Sched::note`]), and what differs
//! from the copy is put down to that. Nothing in here is ever read by the scheduler itself, so a
//! plan is the same with and without it (`tests/trace.rs`). [`explain`](crate::explain) turns the
//! notes into words.

use std::collections::HashMap;

use ecow::EcoString;

use crate::action::flag;
use crate::ids::{ActIx, ColIx, Id, LocIx, NodeIx, NodeTable, RscIx};
use crate::model::{Node, Role, Sched};

/// What changed a resource's score on a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// The score every node starts with.
    Base,
    /// A location constraint (or a rule of node health).
    Location(LocIx),
    /// The resource is there and would rather stay.
    Stickiness,
    /// Failures have reached `migration-threshold`.
    Threshold {
        /// What failed.
        failed: RscIx,
        /// How often.
        count: i32,
        /// How often it may.
        limit: i32,
    },
    /// An operation failed in a way that rules the node (or all nodes) out.
    Failure {
        /// The entry in the history.
        op: EcoString,
        /// How it ended.
        rc: i64,
    },
    /// The configured answer to a failure (`on-fail`) is to stop or to go away.
    OnFail,
    /// It is there and nobody may move it.
    Unmanaged,
    /// It was found on several nodes, and is to be stopped everywhere.
    MultiplyActive,
    /// It is no longer configured.
    Removed,
    /// A ticket is not held.
    Ticket(EcoString),
    /// `resource-discovery=exclusive` leaves other nodes out.
    Discovery,
    /// The node it ran on was shut down, and it waits for it.
    ShutdownLock(NodeIx),
    /// Its next role is Stopped (`target-role`, a failure, a lost connection).
    ShouldStop,
    /// The node has too little room.
    Capacity,
    /// It has to keep to, or away from, the other side of a colocation.
    With(ColIx),
    /// What depends on it has wishes.
    Dependents(ColIx),
    /// A colocation would have left no node and was taken back.
    WithUndone(ColIx),
    /// The clone has no place (left) there.
    Instance,
    /// There are as many instances as there may be.
    InstanceMax,
    /// The node has a promotion score.
    Promotion,
    /// How parts of a bundle or a guest's container are tied together.
    Container,
    /// Connections and fence devices do not run on remote nodes.
    NotOnRemote,
    /// Not said by any stage: a gap in the trace.
    Unknown,
}

/// One change of one score.
#[derive(Clone, Debug)]
pub struct Contribution {
    /// Whose score.
    pub rsc: RscIx,
    /// On which node.
    pub node: NodeIx,
    /// Why.
    pub source: Source,
    /// The score before; `None` if the node was not in the table.
    pub before: Option<i32>,
    /// The score after.
    pub after: Option<i32>,
    /// What was added, where something was (−INFINITY swallows it).
    pub added: Option<i32>,
}

/// Why a node takes no resources at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unusable {
    /// It is not in the cluster.
    Offline,
    /// It must be fenced first.
    Unclean,
    /// It is about to leave.
    Shutdown,
    /// It is in standby.
    Standby,
    /// It is in standby because something failed there (`on-fail=standby`).
    FailStandby,
    /// It is in maintenance mode.
    Maintenance,
    /// It has not joined yet.
    Pending,
}

/// What put the winner before another node. The order is that of the specification
/// (`spec/scheduler-placement.md` §2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TieBreak {
    /// The other cannot run anything.
    Unusable,
    /// The other's score is negative.
    Banned,
    /// The winner's score is higher.
    Score,
    /// The winner has more room (`placement-strategy=balanced`).
    Capacity,
    /// The winner has fewer resources.
    Load,
    /// It runs there already.
    Running,
    /// The winner's name comes first.
    Name,
    /// The winner was asked for.
    Asked,
}

/// One node as the choice saw it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The node.
    pub node: NodeIx,
    /// The resource's score there.
    pub score: i32,
    /// Why it could not be used.
    pub unusable: Option<Unusable>,
    /// How many resources were placed there already.
    pub load: i32,
    /// What the winner has that this one has not; `None` for the winner.
    pub lost_by: Option<TieBreak>,
}

/// How a choice was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// The first in the order of preference.
    Best,
    /// A node was asked for (an instance keeps its place, a migration goes on) and is as good.
    Asked,
    /// Nodes are equally good, and it runs on one of them.
    Stays,
    /// It is not managed: it stays where it is.
    Unmanaged,
    /// `stop-all-resources`
    StopAll,
    /// Of what it must be with, nothing suitable runs.
    NoPartner(ColIx),
    /// It is ordered after an instance of this on its node, and there is none.
    NoPeer(RscIx),
}

/// The choice of a node for a resource.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The resource.
    pub rsc: RscIx,
    /// How.
    pub how: How,
    /// The nodes in order of preference.
    pub candidates: Vec<Candidate>,
    /// The outcome.
    pub chosen: Option<NodeIx>,
}

/// What changed an instance's promotion score.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PromotionSource {
    /// The agent's (or an administrator's) promotion score for the node.
    Attribute,
    /// There is none.
    NoAttribute,
    /// It may not be promoted (`target-role`).
    Role,
    /// A location constraint for the promoted role.
    Location(LocIx),
    /// A colocation of the promoted role.
    Colocation(ColIx),
    /// What depends on the promoted instance has wishes, and other scores of the clone.
    Clone,
}

/// One change of an instance's promotion score.
#[derive(Clone, Debug)]
pub struct PromotionStep {
    /// The instance.
    pub rsc: RscIx,
    /// Why.
    pub source: PromotionSource,
    /// The score after.
    pub after: i32,
}

/// Whether an instance is promoted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is.
    Promoted,
    /// Its score is negative.
    Negative,
    /// Others came first.
    Max,
    /// The partition has no quorum, and policy is to freeze.
    Frozen,
    /// It has no node, or the node is not fit or has its number.
    NoPlace,
}

/// The outcome for one instance of a promotable clone.
#[derive(Clone, Copy, Debug)]
pub struct Promotion {
    /// The instance.
    pub rsc: RscIx,
    /// Its final promotion score.
    pub score: i32,
    /// What became of it.
    pub verdict: Verdict,
    /// How many may be promoted.
    pub max: i32,
}

/// Where an ordering comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A constraint, by id.
    Constraint(EcoString),
    /// The order of a group's members.
    Group(RscIx),
    /// A clone and its instances.
    Clone(RscIx),
    /// The parts of a bundle.
    Bundle(RscIx),
    /// A resource's own life: stop before start, start before promote, ….
    Own(RscIx),
    /// Nothing is done with a resource before it is known where it runs.
    Probe,
    /// Fencing comes first.
    Fencing,
    /// A node leaves after its resources are stopped.
    Shutdown,
    /// Notifications of clones.
    Notify(RscIx),
    /// Remote connections come before what runs over them.
    Remote,
    /// Changed configuration.
    Config,
    /// Recurring monitors follow the start.
    Recurring,
    /// Live migration.
    Migration,
}

/// Why a resource takes a detour over Stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Restart {
    /// It goes to another node.
    Move,
    /// It migrates live.
    Migrate,
    /// It failed.
    Failed,
    /// It is blocked.
    Blocked,
    /// It runs more often than it should.
    MultiplyActive,
    /// A migration broke off half way.
    PartialMigration,
    /// Its start has to be done again.
    StartAgain,
}

/// Everything noted.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    shadow: Vec<NodeTable>,
    /// Changes of scores in the order in which they happened.
    pub scores: Vec<Contribution>,
    /// Choices of nodes; of several for one resource the last counts.
    pub decisions: Vec<Decision>,
    /// Changes of promotion scores.
    pub promotion: Vec<PromotionStep>,
    /// Outcomes of promotion.
    pub promoted: Vec<Promotion>,
    /// Why resources have to be stopped and started.
    pub restarts: HashMap<RscIx, Restart>,
    /// Actions that another action made necessary: the first that did.
    pub required_by: HashMap<ActIx, ActIx>,
    /// Actions that another action made impossible: the first that did.
    pub blocked_by: HashMap<ActIx, ActIx>,
    /// Where relations of actions come from.
    pub relations: HashMap<(ActIx, ActIx), Vec<Origin>>,
    /// Parallel to [`Sched::orderings`].
    ordering_origins: Vec<Option<Origin>>,
    /// What the stage at work stands for.
    origin: Option<Origin>,
}

impl Trace {
    /// The choice that counted for a resource.
    pub fn decision(&self, rsc: RscIx) -> Option<&Decision> {
        self.decisions.iter().rev().find(|decision| decision.rsc == rsc)
    }

    /// What made up a resource's score on a node.
    pub fn contributions(&self, rsc: RscIx, node: NodeIx) -> impl Iterator<Item = &Contribution> {
        self.scores.iter().filter(move |c| c.rsc == rsc && c.node == node)
    }
}

impl Node {
    /// Why the node takes no resources.
    pub fn unusable(&self) -> Option<Unusable> {
        if self.unclean {
            Some(Unusable::Unclean)
        } else if !self.online {
            Some(if self.pending { Unusable::Pending } else { Unusable::Offline })
        } else if self.shutdown {
            Some(Unusable::Shutdown)
        } else if self.maintenance {
            Some(Unusable::Maintenance)
        } else if self.standby {
            Some(if self.fail_standby { Unusable::FailStandby } else { Unusable::Standby })
        } else {
            None
        }
    }
}

impl Sched {
    /// Puts what changed in a resource's scores down to a source.
    #[inline]
    pub(crate) fn note(&mut self, rsc: RscIx, source: impl FnOnce(&Sched) -> Source) {
        if self.trace.is_some() {
            let source = source(self);
            self.note_changes(rsc, &source);
        }
    }

    fn note_changes(&mut self, rsc: RscIx, source: &Source) {
        let Some(trace) = self.trace.as_deref_mut() else { return };
        let table = &self.rscs[rsc].allowed;
        if trace.shadow.len() <= rsc.index() {
            trace.shadow.resize_with(rsc.index() + 1, NodeTable::default);
        }
        let shadow = &mut trace.shadow[rsc.index()];
        for node in self.nodes.ids() {
            let before = shadow.get(node).map(|entry| entry.score);
            let after = table.get(node).map(|entry| entry.score);
            if before != after {
                trace.scores.push(Contribution {
                    rsc,
                    node,
                    source: source.clone(),
                    before,
                    after,
                    added: None,
                });
            }
        }
        *shadow = table.clone();
    }

    /// Notes an addition, even one that had no effect.
    #[inline]
    pub(crate) fn note_added(
        &mut self,
        rsc: RscIx,
        node: NodeIx,
        added: i32,
        source: impl FnOnce(&Sched) -> Source,
    ) {
        if self.trace.is_none() {
            return;
        }
        let source = source(self);
        let from = self.trace.as_ref().map_or(0, |trace| trace.scores.len());
        self.note_changes(rsc, &source);
        let score = self.rscs[rsc].allowed.get(node).map(|entry| entry.score);
        let Some(trace) = self.trace.as_deref_mut() else { return };
        match trace.scores.get_mut(from) {
            Some(c) if c.node == node => c.added = Some(added),
            // Nothing to tell of a nought that changes nothing.
            _ if added == 0 => {}
            _ => trace.scores.push(Contribution {
                rsc,
                node,
                source,
                before: score,
                after: score,
                added: Some(added),
            }),
        }
    }

    /// A place to come back to with [`note_forget`](Self::note_forget).
    pub(crate) fn note_mark(&self) -> usize {
        self.trace.as_ref().map_or(0, |trace| trace.scores.len())
    }

    /// Forgets what was noted of these resources since the mark: it was a trial.
    pub(crate) fn note_forget(&mut self, mark: usize, rscs: &[RscIx]) {
        let Some(trace) = self.trace.as_deref_mut() else { return };
        let mut at = 0;
        trace.scores.retain(|c| {
            at += 1;
            at <= mark || !rscs.contains(&c.rsc)
        });
        for rsc in rscs {
            if let Some(shadow) = trace.shadow.get_mut(rsc.index()) {
                *shadow = self.rscs[*rsc].allowed.clone();
            }
        }
    }

    // --- decisions ----------------------------------------------------------------------------

    /// Notes how a node is about to be chosen among `nodes` (in order of preference).
    pub(crate) fn note_decision(
        &mut self,
        rsc: RscIx,
        how: How,
        nodes: &[NodeIx],
        chosen: Option<NodeIx>,
        active: Option<NodeIx>,
    ) {
        if self.trace.is_none() {
            return;
        }
        self.note_changes(rsc, &Source::Unknown);
        let table = &self.rscs[rsc].allowed;
        let candidates = nodes
            .iter()
            .map(|node| Candidate {
                node: *node,
                score: table.get(*node).map_or(-crate::score::INFINITY, |entry| entry.score),
                unusable: self.nodes[*node].unusable(),
                load: self.nodes[*node].num_resources,
                lost_by: chosen
                    .filter(|winner| winner != node)
                    .map(|winner| self.lost_by(table, winner, *node, active, how)),
            })
            .collect();
        if let Some(trace) = self.trace.as_deref_mut() {
            trace.decisions.push(Decision { rsc, how, candidates, chosen });
        }
    }

    /// The first rule of the order of preference that sets two nodes apart.
    fn lost_by(
        &self,
        table: &NodeTable,
        winner: NodeIx,
        other: NodeIx,
        active: Option<NodeIx>,
        how: How,
    ) -> TieBreak {
        use crate::options::Placement;
        let score = |node| table.get(node).map_or(-crate::score::INFINITY, |entry| entry.score);
        if self.nodes[other].unusable().is_some_and(|why| why != Unusable::Pending) {
            return TieBreak::Unusable;
        }
        if score(other) < 0 {
            return TieBreak::Banned;
        }
        if score(other) != score(winner) {
            return TieBreak::Score;
        }
        match how {
            How::Asked => return TieBreak::Asked,
            How::Stays => return TieBreak::Running,
            _ => {}
        }
        let strategy = self.options.placement;
        if strategy == Placement::Balanced && self.compare_capacity(winner, other).is_ne() {
            return TieBreak::Capacity;
        }
        if strategy != Placement::Minimal
            && self.nodes[winner].num_resources != self.nodes[other].num_resources
        {
            return TieBreak::Load;
        }
        if active == Some(winner) { TieBreak::Running } else { TieBreak::Name }
    }

    /// Notes where a resource was really put.
    pub(crate) fn note_placed(&mut self, rsc: RscIx, node: Option<NodeIx>) {
        let Some(trace) = self.trace.as_deref_mut() else { return };
        if let Some(decision) = trace.decisions.iter_mut().rev().find(|d| d.rsc == rsc) {
            decision.chosen = node;
        }
    }

    // --- promotion ----------------------------------------------------------------------------

    /// Notes a change of an instance's promotion score.
    pub(crate) fn note_promotion(&mut self, rsc: RscIx, source: PromotionSource, after: i32) {
        if let Some(trace) = self.trace.as_deref_mut() {
            trace.promotion.push(PromotionStep { rsc, source, after });
        }
    }

    /// Notes what became of an instance.
    pub(crate) fn note_verdict(&mut self, clone: RscIx, rsc: RscIx, promoted: i32, done: bool) {
        if self.trace.is_none() {
            return;
        }
        let score = self.rscs[rsc].promotion_priority;
        let max = self.rscs[clone].clone.promoted_max;
        let verdict = if done {
            Verdict::Promoted
        } else if score < 0 {
            Verdict::Negative
        } else if promoted >= max {
            Verdict::Max
        } else if !self.quorate
            && self.options.no_quorum == crate::options::NoQuorum::Freeze
            && self.role(rsc, true) < Role::Promoted
        {
            Verdict::Frozen
        } else {
            Verdict::NoPlace
        };
        if let Some(trace) = self.trace.as_deref_mut() {
            trace.promoted.push(Promotion { rsc, score, verdict, max });
        }
    }

    // --- orderings ----------------------------------------------------------------------------

    /// Does something, with all orderings made by it put down to an origin.
    pub(crate) fn because<R>(
        &mut self,
        origin: impl FnOnce() -> Origin,
        work: impl FnOnce(&mut Sched) -> R,
    ) -> R {
        let Some(trace) = self.trace.as_deref_mut() else { return work(self) };
        let saved = trace.origin.replace(origin());
        let result = work(self);
        if let Some(trace) = self.trace.as_deref_mut() {
            trace.origin = saved;
        }
        result
    }

    /// Notes that an ordering was added.
    pub(crate) fn note_ordering(&mut self) {
        if let Some(trace) = self.trace.as_deref_mut() {
            trace.ordering_origins.push(trace.origin.clone());
        }
    }

    /// Says which ordering is being applied.
    pub(crate) fn note_applying(&mut self, ordering: Option<usize>) {
        if let Some(trace) = self.trace.as_deref_mut() {
            trace.origin =
                ordering.and_then(|at| trace.ordering_origins.get(at).cloned()).flatten();
        }
    }

    /// Notes that two actions were related.
    pub(crate) fn note_relation(&mut self, first: ActIx, then: ActIx) {
        if let Some(trace) = self.trace.as_deref_mut()
            && let Some(origin) = trace.origin.clone()
        {
            let known = trace.relations.entry((first, then)).or_default();
            if !known.contains(&origin) {
                known.push(origin);
            }
        }
    }

    /// Notes that a relation was replaced by one with the completion of a collective's action,
    /// or of instances.
    pub(crate) fn note_relation_moved(&mut self, old: (ActIx, ActIx), new: (ActIx, ActIx)) {
        if let Some(trace) = self.trace.as_deref_mut()
            && let Some(origins) = trace.relations.get(&old).cloned()
        {
            let known = trace.relations.entry(new).or_default();
            for origin in origins {
                if !known.contains(&origin) {
                    known.push(origin);
                }
            }
        }
    }

    /// Notes that an action lost a flag because of another.
    pub(crate) fn note_cleared(&mut self, action: ActIx, which: u32, cause: ActIx) {
        if let Some(trace) = self.trace.as_deref_mut() {
            match which {
                flag::OPTIONAL => {
                    trace.required_by.entry(action).or_insert(cause);
                }
                flag::RUNNABLE => {
                    trace.blocked_by.entry(action).or_insert(cause);
                }
                _ => {}
            }
        }
    }

    /// Notes why a resource has to be stopped and started.
    pub(crate) fn note_restart(&mut self, rsc: RscIx, why: Restart) {
        if let Some(trace) = self.trace.as_deref_mut() {
            trace.restarts.entry(rsc).or_insert(why);
        }
    }
}
