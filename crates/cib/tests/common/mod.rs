//! What the tests of documents share: where the conformance cases lie, and dice.
//!
//! The cases lie in `../shared/cases` beside the repository, or where `QUORATE_SHARED` says.

#![allow(dead_code, clippy::unwrap_used, reason = "each test takes what it needs")]

use std::path::{Path, PathBuf};

/// The folder of the conformance cases.
pub fn cases() -> PathBuf {
    let shared = std::env::var_os("QUORATE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let cases = shared.join("cases");
    assert!(cases.is_dir(), "{} is missing; set QUORATE_SHARED", cases.display());
    cases
}

/// What a folder holds, sorted by name.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// All files below a folder; those of a folder come before those of the folders in it.
pub fn files_below(folder: PathBuf) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![folder], Vec::new());
    while let Some(folder) = folders.pop() {
        let (inner, plain): (Vec<_>, Vec<_>) =
            files(&folder).into_iter().partition(|path| path.is_dir());
        folders.extend(inner);
        found.extend(plain);
    }
    found
}

/// Random numbers that are the same in every run (xorshift); never seeded with 0.
pub struct Dice(pub u64);

impl Dice {
    /// A number below the bound.
    pub fn roll(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len())]
    }
}
