//! The scheduler's conformance cases, run through `crm_simulate`.
//!
//! A case is a state with the expected summary, scores, graph and dot file. Cases that do not pass
//! yet are listed in `scheduler_cases.todo`; the list may only shrink: a listed case that passes
//! fails the test, too.
//!
//! The cases are not part of this repository. They are looked for in `$QUORATE_SHARED/cases`, else
//! in `../shared/cases` beside the workspace.
#![allow(clippy::unwrap_used, reason = "a test that cannot read its cases must stop")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

fn cases_dir() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = match std::env::var_os("QUORATE_SHARED") {
        Some(dir) => PathBuf::from(dir),
        None => workspace.join("../shared"),
    };
    let dir = shared.join("cases/scheduler");
    assert!(
        dir.join("index.json").is_file(),
        "no conformance cases in {}: set QUORATE_SHARED to the directory that has `cases/`",
        dir.display()
    );
    dir
}

/// Names and extra arguments, out of the index (its form is fixed, so no JSON reader is needed).
fn index(dir: &Path) -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(dir.join("index.json")).unwrap();
    let strings = |line: &str| -> Vec<String> {
        line.split('"').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let mut cases: Vec<(String, Vec<String>)> = Vec::new();
    let mut in_args = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(value) = trimmed.strip_prefix("\"name\":") {
            cases.push((strings(value)[0].clone(), Vec::new()));
        } else if let Some(value) = trimmed.strip_prefix("\"args\":") {
            in_args = !value.contains(']');
            cases.last_mut().unwrap().1.extend(strings(value));
        } else if in_args {
            in_args = !trimmed.starts_with(']');
            cases.last_mut().unwrap().1.extend(strings(trimmed));
        }
    }
    cases
}

/// Lines without white space, as the comparison sees them.
fn squeeze(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.split_whitespace().collect::<String>())
        .filter(|line| !line.is_empty())
        .collect()
}

/// What differs between versions of the program that wrote the graph.
fn strip_graph(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) =
        ["crm_feature_set=\"", "batch-limit=\""].iter().filter_map(|n| rest.find(n)).min()
    {
        out.push_str(&rest[..at]);
        let after = rest[at..].splitn(3, '"').nth(2).unwrap();
        rest = after;
    }
    out.push_str(rest);
    out
}

fn sorted_dot(text: &str) -> Vec<String> {
    let mut lines: Vec<&str> = text.lines().collect();
    let end = lines.len().saturating_sub(1);
    if end > 1 {
        lines[1..end].sort_unstable();
    }
    lines.dedup();
    squeeze(&lines.join("\n"))
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    squeeze(&lines.join("\n"))
}

/// The parts of a case that differ.
fn run(dir: &Path, scratch: &Path, name: &str, args: &[String]) -> Vec<&'static str> {
    let file = |kind: &str| scratch.join(format!("{name}.{kind}")).to_string_lossy().into_owned();
    let input = dir.join("xml").join(format!("{name}.xml")).to_string_lossy().into_owned();
    let simulate = |extra: &[&str], to: &str| -> i32 {
        let mut line: Vec<String> = vec!["crm_simulate".into(), "-x".into(), input.clone()];
        line.extend(extra.iter().map(|word| (*word).to_owned()));
        line.push(format!("--output-to={to}"));
        line.extend(args.iter().cloned());
        tools::crm_simulate::main(&line)
    };
    let (summary, scores, graph, dot) =
        (file("summary"), file("scores"), file("graph"), file("dot"));
    let mut failed = Vec::new();
    let exits =
        [simulate(&["-S"], &summary), simulate(&["-D", &dot, "-G", &graph, "-sSQ"], &scores)];
    if exits != [0, 0] {
        return vec!["exit status"];
    }
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let want = |sub: &str, extension: &str| {
        fs::read_to_string(dir.join(sub).join(format!("{name}.{extension}"))).unwrap_or_default()
    };
    // What the runner of the cases sees on stderr is part of the expected summary.
    let warnings =
        fs::read_to_string(dir.join("stderr").join(format!("{name}.stderr"))).unwrap_or_default();
    if squeeze(&want("summary", "summary")) != squeeze(&format!("{warnings}{}", read(&summary))) {
        failed.push("summary");
    }
    if squeeze(&strip_graph(&want("exp", "exp"))) != squeeze(&strip_graph(&read(&graph))) {
        failed.push("graph");
    }
    if sorted_dot(&want("dot", "dot")) != sorted_dot(&read(&dot)) {
        failed.push("dot");
    }
    if sorted(&want("scores", "scores")) != sorted(&read(&scores)) {
        failed.push("scores");
    }
    for path in [summary, scores, graph, dot] {
        fs::remove_file(path).unwrap();
    }
    failed
}

#[test]
fn the_scheduler_decides_as_upstream_does() {
    let dir = cases_dir();
    let todo: BTreeSet<&str> = include_str!("scheduler_cases.todo")
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let cases = index(&dir);
    assert!(cases.len() > 100, "only {} cases in {}", cases.len(), dir.display());
    let scratch = std::env::temp_dir().join(format!("scheduler-cases-{}", std::process::id()));
    fs::create_dir_all(&scratch).unwrap();
    let next = AtomicUsize::new(0);
    let wrong: Mutex<Vec<String>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some((name, args)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let failed = run(&dir, &scratch, name, args);
                    let listed = todo.contains(name.as_str());
                    if failed.is_empty() && listed {
                        let text = format!("{name} passes: take it off scheduler_cases.todo");
                        wrong.lock().unwrap().push(text);
                    } else if !failed.is_empty() && !listed {
                        wrong.lock().unwrap().push(format!("{name}: {}", failed.join(", ")));
                    }
                }
            });
        }
    });
    fs::remove_dir_all(&scratch).unwrap();
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
