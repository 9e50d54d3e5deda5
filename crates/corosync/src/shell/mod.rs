//! The daemon `corosync`: reads its files, opens sockets, and drives the cores: the ring
//! ([`totem::Srp`]) over a [`transport`](crate::transport), the engine ([`crate::engine`]) above
//! it, clients through libqb-compatible IPC. One thread, one epoll loop, no timer that has nothing
//! to do.
//!
//! Reading order: [`start`] (from arguments to a running daemon), [`daemon`] (the loop),
//! [`perform`] (what the cores put out), [`clients`]; the rest are their tools.
//!
//! Source: `spec/corosync-conf-and-tools.md` §2.

mod clients;
mod crash;
mod daemon;
mod descriptors;
mod files;
mod host;
mod ipc;
mod knet;
mod logs;
mod options;
mod perform;
mod process;
mod start;
mod stats;
mod watchdog;
mod zero_copy;

use base::Applet;
pub(crate) use process::{go_to_background, notify_ready};

pub use files::read_config;
pub use host::Machine;

/// The daemon's command.
pub const COROSYNC: Applet = Applet { name: "corosync", dir: "sbin", run: start::run };

/// Exit statuses. Source: `spec/corosync-conf-and-tools.md` §2.2.
pub(crate) mod status {
    pub(crate) const OK: i32 = 0;
    pub(crate) const OPTIONS: i32 = 1;
    pub(crate) const FORK: i32 = 4;
    pub(crate) const LOG_CONFIG: i32 = 7;
    pub(crate) const MAIN_CONFIG: i32 = 8;
    pub(crate) const FATAL: i32 = 15;
    pub(crate) const NO_STATE_DIR: i32 = 16;
    pub(crate) const LOCK: i32 = 17;
    pub(crate) const ALREADY_RUNNING: i32 = 18;
    pub(crate) const SERVICE: i32 = 20;
    pub(crate) const RING_ID: i32 = 21;
}
