//! Rust clients of pacemaker's daemons.
