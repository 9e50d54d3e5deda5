//! The table of the README names every module of the pipeline, and no others.
#![allow(clippy::unwrap_used, reason = "a test that cannot read its own crate must stop")]

use std::collections::BTreeSet;
use std::path::Path;

/// Folders whose files the README names one by one.
const FOLDERS: &[&str] = &["actions", "constraints", "graph", "orderings", "placement", "simulate"];

fn modules(dir: &Path, prefix: &str, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.is_file() {
            found.insert(format!("{prefix}{name}"));
        } else if FOLDERS.contains(&name.as_str()) {
            modules(&path, &format!("{name}/"), found);
        }
    }
}

#[test]
fn every_module_is_in_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let named: BTreeSet<&str> = readme
        .lines()
        .filter(|line| line.starts_with('|'))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect();
    let mut all = BTreeSet::new();
    modules(&root.join("src"), "", &mut all);
    let missing: Vec<&String> = all.iter().filter(|m| !named.contains(m.as_str())).collect();
    assert!(missing.is_empty(), "the README does not say what is in {missing:?}");
    let gone: Vec<&&str> = named
        .iter()
        .filter(|name| name.contains('/') && !name.contains('.') && !all.contains(**name))
        .collect();
    assert!(gone.is_empty(), "the README names what is not there: {gone:?}");
}
