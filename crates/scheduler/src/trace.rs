//! The trace: why resources go where they go, and why actions are done.
//!
//! Off unless [`Input::trace`](crate::Input::trace) asks for it; then [`Sched::trace`] is `Some`,
//! and the stages of the pipeline leave notes in it. Scores are followed with a copy of each
//! resource's table: a stage that changed the table says why ([`Sched::note`]), and what differs
//! from the copy is put down to that. Nothing in here is ever read by the scheduler itself, so a
//! plan is the same with and without it (`tests/trace.rs`). [`explain`](crate::explain) turns the
//! notes into words.

mod notes;

use std::collections::HashMap;

use ecow::EcoString;

use crate::ids::{ActIx, ColIx, Id, LocIx, NodeIx, NodeTable, RscIx};
use crate::model::Node;

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
    /// Changes of scores by resource, in the order in which they happened.
    scores: Vec<Vec<Contribution>>,
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

    /// All changes of scores.
    pub fn all_scores(&self) -> impl Iterator<Item = &Contribution> {
        self.scores.iter().flatten()
    }

    /// What made up a resource's score on a node.
    pub fn contributions(&self, rsc: RscIx, node: NodeIx) -> impl Iterator<Item = &Contribution> {
        self.scores.get(rsc.index()).into_iter().flatten().filter(move |c| c.node == node)
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
