//! Actions, the relations between them, and orderings: the raw material of the graph.
//! Source: `spec/scheduler.md` §2.3, `spec/scheduler-actions.md`.

use ecow::EcoString;

use crate::ids::{ActIx, NodeIx, RscIx};
use crate::model::{Attrs, Role};

/// Flags of an action. They are compared and cleared in sets, so they are bits.
pub mod flag {
    /// Only a marker, nothing is executed.
    pub const PSEUDO: u32 = 1;
    /// Can be executed.
    pub const RUNNABLE: u32 = 1 << 1;
    /// Need not be executed.
    pub const OPTIONAL: u32 = 1 << 2;
    /// Goes into the graph even if optional.
    pub const ALWAYS: u32 = 1 << 3;
    /// Node attributes were used in its parameters.
    pub const ATTRS_EVALUATED: u32 = 1 << 4;
    /// Part of a migration that may replace stop and start.
    pub const MIGRATABLE: u32 = 1 << 5;
    /// Is in the graph.
    pub const ADDED: u32 = 1 << 6;
    /// Cleans up after an aborted migration.
    pub const MIGRATION_ABORT: u32 = 1 << 7;
    /// Recurring operation that must be scheduled anew.
    pub const RESCHEDULE: u32 = 1 << 8;
    /// Its inputs are sorted and merged.
    pub const DEDUPLICATED: u32 = 1 << 9;
    /// Done by the controller of the DC.
    pub const ON_DC: u32 = 1 << 10;
    /// Guard of the search for loops.
    pub const DETECT_LOOP: u32 = 1 << 11;
    /// Marks what the dot file shows.
    pub const DOT_SHOWN: u32 = 1 << 12;
}

/// Flags of a relation between two actions.
pub mod rel {
    /// No relation (any more).
    pub const NONE: u32 = 0;
    /// After, if both happen.
    pub const ORDERED: u32 = 1;
    /// If the first is required, so is the second.
    pub const FIT: u32 = 1 << 1;
    /// The first in the graph puts the second there.
    pub const FITG: u32 = 1 << 2;
    /// If the second is required, so is the first.
    pub const TIF: u32 = 1 << 3;
    /// The second in the graph puts the first there.
    pub const TIFG: u32 = 1 << 4;
    /// The second cannot run without the first.
    pub const UFB: u32 = 1 << 5;
    /// The second needs a number of firsts.
    pub const MIN_RUNNABLE: u32 = 1 << 6;
    /// Counts on the same node only.
    pub const IF_ON_SAME_NODE: u32 = 1 << 7;
    /// The second makes the first superfluous.
    pub const THEN_CANCELS_FIRST: u32 = 1 << 8;
    /// FIT for actions of one node.
    pub const FIRST_IMPLIES_SAME_NODE_THEN: u32 = 1 << 9;
    /// Stops in the middle of a chain.
    pub const INTERMEDIATE_STOP: u32 = 1 << 10;
    /// TIF for promoted resources.
    pub const PROMOTED_TIF: u32 = 1 << 11;
    /// Of a constraint that holds in one direction.
    pub const ASYMMETRIC: u32 = 1 << 12;
    /// Load on a node, or moving to it.
    pub const IF_ON_SAME_NODE_OR_TARGET: u32 = 1 << 13;
    /// Required on the same node.
    pub const IF_REQUIRED_ON_SAME_NODE: u32 = 1 << 14;
    /// Never at the same time.
    pub const SERIALIZE: u32 = 1 << 15;
    /// Counts for guest nodes, too.
    pub const GUEST_ALLOWED: u32 = 1 << 16;
    /// The second must stay migratable.
    pub const UNMIGRATABLE_THEN_BLOCKS: u32 = 1 << 17;
    /// The second is real if the first does not happen.
    pub const FIRST_ELSE_THEN: u32 = 1 << 18;
    /// Counts if the first does not migrate.
    pub const IF_FIRST_UNMIGRATABLE: u32 = 1 << 19;
    /// Probe of a connection inside a container.
    pub const NESTED_REMOTE_PROBE: u32 = 1 << 20;
}

/// What an action presupposes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Needs {
    /// Nothing.
    #[default]
    Nothing,
    /// Quorum.
    Quorum,
    /// That fencing is done.
    Fencing,
}

/// What to do when an action fails. The order counts: worse comes later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
#[allow(missing_docs)] // named as the values of on-fail
pub enum OnFail {
    #[default]
    Ignore,
    Demote,
    Restart,
    ResetRemote,
    RestartContainer,
    Ban,
    Block,
    Stop,
    Standby,
    Fence,
}

/// One side of a relation.
#[derive(Clone, Copy, Debug)]
pub struct Relation {
    /// The other action.
    pub action: ActIx,
    /// [`rel`] flags.
    pub flags: u32,
    /// It became an input of the graph.
    pub graphed: bool,
}

/// An action.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // named as in the specification (§2.3)
pub struct Action {
    pub rsc: Option<RscIx>,
    pub node: Option<NodeIx>,
    pub task: EcoString,
    pub key: EcoString,
    /// The operation that a `cancel` cancels.
    pub cancel_task: Option<EcoString>,
    pub reason: Option<EcoString>,
    /// [`flag`] bits.
    pub flags: u32,
    pub needs: Needs,
    pub on_fail: OnFail,
    pub fail_role: Role,
    pub meta: Attrs,
    pub extra: Attrs,
    pub op_xml: Option<std::sync::Arc<xml::Element>>,
    pub priority: i32,
    pub required_runnable_before: i32,
    pub runnable_before: i32,
    /// Oldest first.
    pub before: Vec<Relation>,
    /// Oldest first.
    pub after: Vec<Relation>,
}

impl Action {
    /// True if any of the flags is set.
    pub fn is(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    /// True if none of the flags is set.
    pub fn not(&self, flags: u32) -> bool {
        self.flags & flags == 0
    }
}

/// The actions of a resource that share a key.
#[derive(Clone, Debug)]
pub struct SameKey {
    /// The key, as the first of them has it.
    pub key: EcoString,
    /// Oldest first.
    pub actions: Vec<ActIx>,
    /// What the next one starts with, if that is the same on all nodes.
    pub pattern: Option<Pattern>,
}

/// What actions of one key have in common.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// Their task.
    pub task: EcoString,
    /// The operation they were configured by.
    pub op: Option<std::sync::Arc<xml::Element>>,
    /// Meta attributes.
    pub meta: Attrs,
}

/// One end of an ordering.
#[derive(Clone, Debug, Default)]
pub struct End {
    /// The resource whose actions are meant.
    pub rsc: Option<RscIx>,
    /// The key of the actions.
    pub key: Option<EcoString>,
    /// One action.
    pub action: Option<ActIx>,
}

impl End {
    /// An action of a resource by key.
    pub fn key(rsc: RscIx, key: impl Into<EcoString>) -> End {
        End { rsc: Some(rsc), key: Some(key.into()), action: None }
    }
}

/// "This before that", to be applied when all actions exist.
#[derive(Clone, Debug)]
pub struct Ordering {
    /// [`rel`] flags.
    pub flags: u32,
    /// What comes first.
    pub first: End,
    /// What follows.
    pub then: End,
}
