//! `corosync.conf`, of all generations: from text to the keys of the map ([`parse`]), from the keys
//! to the ring's settings ([`totem`], [`timing`], [`identity`]) and to the log's ([`logging`]).
//! Nothing here opens a file or asks the system: both come in through traits and arguments.
//!
//! Source: `spec/corosync-conf-and-tools.md` §1–§5.

pub mod host;
pub mod identity;
pub mod keys;
pub mod knet;
pub mod lexer;
pub mod logging;
pub mod parse;
pub mod timing;
pub mod totem;
