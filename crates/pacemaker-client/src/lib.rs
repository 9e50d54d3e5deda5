//! Rust clients of pacemaker's daemons, and the framing that daemons and clients share.
//!
//! A message is one XML element. On the local socket it travels behind a 40-byte header
//! ([`frame`]); [`client::Client`] sends and receives such messages; what the elements mean is
//! each daemon's own language, a module each. All clients talk to upstream's daemons as well as
//! to ours.
//!
//! Source: `spec/pacemaker-ipc.md`.

pub mod account;
pub mod attrd;
pub mod cib;
pub mod client;
pub mod controld;
pub mod envelope;
pub mod execd;
pub mod fenced;
pub mod frame;
pub mod pacemakerd;
pub mod remote;
pub mod schedulerd;

pub use client::{Client, ClientError};
