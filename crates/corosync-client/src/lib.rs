//! Rust clients of corosync's services.
