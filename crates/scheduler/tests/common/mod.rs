//! Where the inputs of the conformance cases lie: `$QUORATE_SHARED/cases`, else `../shared/cases`
//! beside the workspace.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its cases must stop")]

use std::path::{Path, PathBuf};

/// All inputs, sorted by name.
pub fn inputs() -> Vec<PathBuf> {
    let shared = std::env::var_os("QUORATE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let dir = shared.join("cases/scheduler/xml");
    let found = std::fs::read_dir(&dir);
    assert!(found.is_ok(), "no conformance cases in {}: set QUORATE_SHARED", dir.display());
    let mut all: Vec<PathBuf> = found.unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}
