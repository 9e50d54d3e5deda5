//! The services that clients talk to, one module each: pure state machines over
//! [`Ctx`](crate::engine::Ctx). The engine routes requests, cluster messages and synchronisation
//! to them.
//!
//! Source: `spec/corosync-services.md`.

pub mod cfg;
pub mod cmap;
pub mod cpg;
pub mod mon;
pub mod quorum;
mod resource;
pub mod votequorum;
pub mod wd;
pub mod ykd;
