//! The cluster engine: the daemon `corosync` and the `corosync-*` tools.
//!
//! What comes in: `corosync.conf`, packets of other nodes, requests of local programs. What goes
//! out: one membership and one order of messages for all nodes, and the answer whether this
//! partition may act. The ring itself is the crate `totem`; this one puts services on it.
//!
//! | module | what it is | kind |
//! |---|---|---|
//! | [`config`] | `corosync.conf` of all generations: text → keys → settings | pure |
//! | [`cmap`] | the map of typed keys that everything reads and clients can watch | pure |
//! | [`engine`] | routing, synchronisation after a membership change, reload | core |
//! | [`services`] | cmap, cfg, cpg, quorum, votequorum: one state machine each | core |
//! | [`wire`] | the C structs of IPC and cluster messages, read and written at offsets | pure |
//! | [`transport`] | UDP multicast and unicast sockets | shell |
//! | [`shell`] | the daemon: files, sockets, clients, the loop | shell |
//! | [`tools`] | `corosync-cfgtool`, `-cmapctl`, `-quorumtool`, `-cpgtool`, `-keygen` | tools |
//!
//! Start reading at [`engine`]: its tests run several engines on a pretended ring and show what
//! the services do. A first change you could make here: do the load test (`pload`), whose messages
//! are only counted so far.

use base::Applet;

pub mod cmap;
pub mod config;
pub mod engine;
pub mod ring;
pub mod services;
pub mod shell;
pub mod tools;
pub mod transport;
pub mod wire;

/// The commands this crate contributes to the `quorate` executable.
pub fn applets() -> Vec<Applet> {
    let mut applets = vec![shell::COROSYNC];
    applets.extend(tools::applets());
    applets
}
