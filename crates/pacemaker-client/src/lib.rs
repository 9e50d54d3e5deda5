//! Rust clients of pacemaker's daemons, and the framing that daemons and clients share.
//!
//! A message is one XML element. On the local socket it travels behind a 40-byte header
//! ([`frame`]); what the elements mean is each daemon's own language, a module each.
//!
//! Source: `spec/pacemaker-ipc.md`.

pub mod frame;
