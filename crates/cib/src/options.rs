//! Names of operations and the bits of `cib_callopt`, as they travel between clients and daemons.
//!
//! Source: `spec/pacemaker-ipc.md` §4.2.

/// Bits of `cib_callopt`.
pub mod call {
    /// More diagnostics.
    pub const VERBOSE: u32 = 0x1;
    /// The section is an XPath.
    pub const XPATH: u32 = 0x2;
    /// Act on all matches of the XPath.
    pub const MULTIPLE: u32 = 0x4;
    /// Modify may append what is not there.
    pub const CAN_CREATE: u32 = 0x8;
    /// No reply wanted.
    pub const DISCARD_REPLY: u32 = 0x10;
    /// Query: without children.
    pub const NO_CHILDREN: u32 = 0x20;
    /// Query: addresses instead of elements.
    pub const XPATH_ADDRESS: u32 = 0x40;
    /// Afterwards delete what is marked `__delete__`.
    pub const MIXED_UPDATE: u32 = 0x80;
    /// Prefer the local copy.
    pub const SCOPE_LOCAL: u32 = 0x100;
    /// Compute, but change nothing.
    pub const DRYRUN: u32 = 0x200;
    /// Expand `name++` (later versions; 2.1.5 always does).
    pub const SCORE_UPDATE: u32 = 0x800;
    /// The reply is the response of the request.
    pub const SYNC: u32 = 0x1000;
    /// Leave `cib-last-written` and `update-*` alone.
    pub const NO_MTIME: u32 = 0x2000;
    /// Upstream's internal hint; ignored.
    pub const ZERO_COPY: u32 = 0x4000;
    /// No notification of this change.
    pub const INHIBIT_NOTIFY: u32 = 0x1_0000;
    /// Obsolete; ignored.
    pub const QUORUM_OVERRIDE: u32 = 0x10_0000;
    /// Not for peers, and counters stay as they are.
    pub const INHIBIT_BCAST: u32 = 0x100_0000;
}

macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident $wire:literal modifies $modifies:literal privileged $privileged:literal,)+) => {
        /// An operation on the document or its manager.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Op { $($(#[$doc])* $name,)+ }

        impl Op {
            /// Reads `cib_op`.
            pub fn parse(wire: &str) -> Option<Op> {
                match wire { $($wire => Some(Op::$name),)+ _ => None }
            }

            /// `cib_op`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Op::$name => $wire,)+ }
            }

            /// Changes the document, hence goes to all nodes.
            pub const fn modifies(self) -> bool {
                match self { $(Op::$name => $modifies,)+ }
            }

            /// Not for clients of the read-only service.
            pub const fn is_privileged(self) -> bool {
                match self { $(Op::$name => $privileged,)+ }
            }
        }
    };
}

ops! {
    /// Reads.
    Query "cib_query" modifies false privileged false,
    /// Merges.
    Modify "cib_modify" modifies true privileged true,
    /// Applies a patch.
    Patch "cib_apply_diff" modifies true privileged true,
    /// Replaces an element or the document.
    Replace "cib_replace" modifies true privileged true,
    /// Adds new objects.
    Create "cib_create" modifies true privileged true,
    /// Removes.
    Delete "cib_delete" modifies true privileged true,
    /// Sends this copy to everybody.
    Sync "cib_sync" modifies false privileged true,
    /// Raises the epoch.
    Bump "cib_bump" modifies true privileged true,
    /// Empties the document.
    Erase "cib_erase" modifies true privileged true,
    /// Does nothing.
    Noop "noop" modifies false privileged false,
    /// Never worked.
    DeleteAlt "cib_delete_alt" modifies true privileged true,
    /// Upgrades to a newer schema.
    Upgrade "cib_upgrade" modifies true privileged true,
    /// Makes this instance a secondary.
    Secondary "cib_slave" modifies false privileged true,
    /// The same.
    AllSecondary "cib_slave_all" modifies false privileged true,
    /// Sends this copy to whoever asks.
    SyncOne "cib_sync_one" modifies false privileged true,
    /// Makes this instance the primary.
    Primary "cib_master" modifies true privileged true,
    /// Asks whether this instance is the primary.
    IsPrimary "cib_ismaster" modifies false privileged true,
    /// A peer leaves.
    Shutdown "cib_shutdown_req" modifies false privileged true,
    /// Compares copies.
    Ping "ping" modifies false privileged false,
}
