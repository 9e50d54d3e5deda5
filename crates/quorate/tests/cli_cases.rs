//! The conformance cases of the command line tools, run with the real executable.
//!
//! The cases and their runner are shared by several projects and lie outside this one:
//! `QUORATE_SHARED` says where, else a folder `shared` next to the workspace. Cases that do not
//! pass yet are listed in `cli-cases.pending`; the list may only get shorter. A case that fails
//! and is not listed fails the test. `UPDATE_EXPECT=1` rewrites the list.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

fn shared() -> PathBuf {
    if let Some(dir) = std::env::var_os("QUORATE_SHARED") {
        return PathBuf::from(dir);
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for dir in ["../shared", "../../shared"] {
        let dir = workspace.join(dir);
        if dir.join("cases/cli").is_dir() {
            return dir;
        }
    }
    panic!(
        "the conformance cases are missing: set QUORATE_SHARED to the folder that holds cases/cli"
    );
}

/// A directory in which every applet has its name.
fn links() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli-cases-bin");
    if dir.exists() {
        std::fs::remove_dir_all(&dir).expect("the old links can be removed");
    }
    std::fs::create_dir_all(&dir).expect("a directory can be made");
    let binary = env!("CARGO_BIN_EXE_quorate");
    let applets = Command::new(binary).arg("--list-applets").output().expect("the binary runs");
    for line in String::from_utf8_lossy(&applets.stdout).lines() {
        let (_, name) = line.split_once('\t').expect("directory and name");
        symlink(binary, dir.join(name)).expect("a link can be made");
    }
    dir
}

/// `suite: description` of a line the runner prints for a failed case, with how often it came.
fn failures(output: &str) -> BTreeMap<String, usize> {
    let mut failed = BTreeMap::new();
    for line in output.lines() {
        let Some(rest) = line.strip_prefix("FAIL ") else { continue };
        let (suite, description) = rest.split_once(' ').unwrap_or((rest, ""));
        let description =
            description.rsplit_once(" [").map_or(description, |(text, _)| text).trim();
        *failed.entry(format!("{suite}: {description}")).or_default() += 1;
    }
    failed
}

#[test]
fn only_listed_cases_fail() {
    let shared = shared();
    let run = Command::new("python3")
        .arg(shared.join("tools/run-cli-cases"))
        .arg("--bin")
        .arg(links())
        .output()
        .expect("python3 runs the cases");
    let output = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(
        output.contains(" passed, "),
        "the runner did not finish: {}",
        String::from_utf8_lossy(&run.stderr)
    );
    let failed = failures(&output);
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli-cases.pending");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let mut text = String::new();
        for (case, count) in &failed {
            text.push_str(&format!("{case}\n").repeat(*count));
        }
        std::fs::write(&list, text).expect("the list can be written");
        return;
    }
    let mut pending: BTreeMap<String, usize> = BTreeMap::new();
    for line in std::fs::read_to_string(&list).expect("the list is there").lines() {
        *pending.entry(line.to_owned()).or_default() += 1;
    }
    let worse: Vec<&String> = failed
        .iter()
        .filter(|(case, count)| pending.get(*case).is_none_or(|known| known < count))
        .map(|(case, _)| case)
        .collect();
    let better: usize = pending
        .iter()
        .map(|(case, known)| known.saturating_sub(failed.get(case).copied().unwrap_or(0)))
        .sum();
    if better > 0 {
        println!("{better} listed cases pass: shorten cli-cases.pending with UPDATE_EXPECT=1");
    }
    assert!(worse.is_empty(), "these cases fail and are not listed: {worse:#?}");
}
