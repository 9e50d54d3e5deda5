//! The CIB document: the cluster's configuration and status as one versioned XML tree.
//!
//! Here is what can be done to the document ([`request`] performs operations, [`ops`] are their
//! contents, [`patch`] and [`diff`] apply and make patches), how versions are ordered
//! ([`version`]), proven equal ([`digest`]), checked ([`schema`]) and kept on disk ([`store`]).
//! Nothing in it knows of daemons or sockets: the daemon, tools on files and tests use the same
//! functions on the same trees.
//!
//! Source: `spec/cib.md`.

pub mod acl;
pub mod diff;
pub mod digest;
pub mod document;
pub mod ops;
pub mod options;
pub mod patch;
pub mod rc;
pub mod request;
pub mod sample;
pub mod schema;
pub mod settings;
pub mod store;
pub mod upgrade;
pub mod version;

pub use document::empty;
pub use options::Op;
pub use rc::Rc;
pub use version::{CibVersion, FEATURE_SET, NEWEST_FEATURE_SET};
