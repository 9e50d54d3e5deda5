//! How long it takes to try every failure of one and of two nodes: `cargo bench -p scheduler
//! --bench survive [-- NODES RESOURCES]`; 16 nodes and 500 resources if nothing else is said.
//!
//! The cluster is made by the shared generator (`$QUORATE_SHARED/lab/gen-cib.py`, else
//! `../shared/lab` beside the workspace), everything running.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use scheduler::survive::{Quorum, Study};
use scheduler::{Input, PlanOptions};

fn generate(nodes: usize, resources: usize) -> String {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = std::env::var_os("QUORATE_SHARED")
        .map_or_else(|| workspace.join("../shared"), PathBuf::from);
    let made = Command::new("python3")
        .arg(shared.join("lab/gen-cib.py"))
        .args(["--nodes", &nodes.to_string(), "--resources", &resources.to_string()])
        .args(["--state", "running", "-o", "/dev/stdout"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap()
}

fn main() {
    let sizes: Vec<usize> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let (nodes, resources) = match sizes[..] {
        [nodes, resources] => (nodes, resources),
        _ => (16, 500),
    };
    let cib = Arc::new(xml::parse(&generate(nodes, resources)).unwrap());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let input = Input { now: 1_700_000_000, ..Input::default() };
    println!("{nodes} nodes, {resources} resources, {threads} threads");
    for (what, trace) in [("plan", false), ("plan with the trace", true)] {
        let start = Instant::now();
        let input = Input { trace, ..input };
        drop(scheduler::schedule(&cib, PlanOptions { input, ..PlanOptions::default() }));
        println!("{what:<28} {:>9.3} s", start.elapsed().as_secs_f64());
    }
    let start = Instant::now();
    let study = Study::new(&cib, input, Quorum::Count);
    println!("{:<28} {:>9.3} s", "rest", start.elapsed().as_secs_f64());
    for failures in [1, 2] {
        let sets = study.sets(failures);
        let (next, lost) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let start = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let trial = study.trial();
                    while let Some(set) = sets.get(next.fetch_add(1, Ordering::Relaxed)) {
                        lost.fetch_add(trial.try_set(set).lost.len(), Ordering::Relaxed);
                    }
                });
            }
        });
        let what = format!("up to {failures} of {nodes}: {} sets", sets.len());
        let (seconds, lost) = (start.elapsed().as_secs_f64(), lost.into_inner());
        println!("{what:<28} {seconds:>9.3} s, {lost} losses");
    }
}
