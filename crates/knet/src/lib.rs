//! Links between the nodes of a cluster, as kronosnet makes them: up to eight redundant paths to
//! each peer, watched by heartbeats, their MTU explored; messages of up to 64 KiB compressed, cut
//! into fragments, encrypted, sent over one path or several, and put together again exactly once.
//!
//! [`Knet`] is a core: it owns no socket, clock or random source. Datagrams, messages and the time
//! go in; datagrams to send, messages for the user and [`Event`]s come out. One datagram is one
//! packet, and every byte of it is kronosnet 1.25's.
//!
//! Reading order: [`wire`], [`crypto`], [`link`], then [`machine`] and its parts.
//!
//! Source: `spec/knet.md`.

pub mod compress;
pub mod crypto;
pub mod dedupe;
pub mod defrag;
pub mod event;
pub mod link;
pub mod lzo;
pub mod machine;
pub mod mtu;
mod pmtud;
pub mod stats;
pub mod wire;

pub use compress::{Compression, Model};
pub use crypto::{Cipher, Crypto, CryptoError, Hash};
pub use event::Event;
pub use link::{Heartbeat, LinkConfig, LinkStatus};
pub use machine::{Config, Knet, LINKS, Message, Output, Packet, Policy, Slot, To};
pub use stats::{HandleStats, LinkStats};
