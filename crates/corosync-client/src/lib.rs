//! Clients of corosync's services: [`cpg`], [`cmap`], [`mod@cfg`], [`quorum`] and [`votequorum`].
//!
//! Each client is one connection with synchronous calls (short: the engine answers at once) and a
//! stream of events. A daemon adds `client.fd()` to its loop and, when it is readable, calls
//! `client.dispatch()` until it gives `Ok(None)`. A call that gives [`CsError::TRY_AGAIN`] met a
//! full queue or a running synchronisation: try again a little later. [`CsError::LIBRARY`] from
//! `dispatch` means that the engine is gone.
//!
//! They talk to Debian's corosync as well as to ours: the layouts are upstream's.
//!
//! Source: `spec/corosync-services.md` §2, §5.1–5.2, §6.1, §7.1, §8.1, §9.1.

mod call;
pub mod cfg;
pub mod cmap;
pub mod cpg;
mod error;
pub mod quorum;
mod ring_id;
pub mod votequorum;

pub use call::retry;
pub use error::CsError;
pub use ring_id::RingId;

/// Ask for the state as it is now. (`track_flags` of quorum and votequorum.)
pub const TRACK_CURRENT: u32 = 1;
/// Ask to be told of changes.
pub const TRACK_CHANGES: u32 = 2;
/// Ask to be told of changes, and only what changed.
pub const TRACK_CHANGES_ONLY: u32 = 4;
