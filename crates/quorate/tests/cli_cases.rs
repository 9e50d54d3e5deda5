//! The conformance cases of the command line tools, run with the real executable.
//!
//! The cases and their runner are shared by several projects and lie outside this one:
//! `QUORATE_SHARED` says where, else a folder `shared` next to the workspace. All of them pass; one
//! that does not fails the test.

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

#[test]
fn all_cases_pass() {
    let shared = shared();
    let run = Command::new("python3")
        .arg(shared.join("tools/run-cli-cases"))
        .arg("--diff")
        .arg("--bin")
        .arg(links())
        .output()
        .expect("python3 runs the cases");
    let output = String::from_utf8_lossy(&run.stdout);
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{output}{errors}");
    // A runner that finds no cases is content with none.
    let passed = output.lines().last().and_then(|line| line.split_once(" passed, 0 failed"));
    let count: usize = passed.and_then(|(count, _)| count.parse().ok()).unwrap_or(0);
    assert!(count >= 725, "only {count} cases were run: {output}");
}
