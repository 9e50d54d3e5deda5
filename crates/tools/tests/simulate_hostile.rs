//! `crm_simulate` survives anything: the conformance cases' inputs, damaged at random, with random
//! events put in. It must neither panic nor take long, and ends with one of its exit statuses.
//!
//! `SIMULATE_ROUNDS` says how many inputs to try (300 unless given), `SIMULATE_SEED` where to
//! begin. A failure names the seed; the input stays in the temporary directory.
#![allow(clippy::unwrap_used, reason = "a test that cannot read its cases must stop")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use xml::{Element, Node};

fn inputs() -> Vec<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = match std::env::var_os("QUORATE_SHARED") {
        Some(dir) => PathBuf::from(dir),
        None => workspace.join("../shared"),
    };
    let dir = shared.join("cases/scheduler/xml");
    let mut files: Vec<PathBuf> = fs::read_dir(&dir)
        .unwrap_or_else(|_| {
            panic!(
                "no conformance cases in {}: set QUORATE_SHARED to the directory that has `cases/`",
                dir.display()
            )
        })
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit.max(1)
    }

    fn one<'a>(&mut self, words: &'a [String]) -> &'a str {
        words.get(self.below(words.len())).map_or("", String::as_str)
    }
}

/// Values at the edges of their ranges; the rest of the vocabulary comes from the input itself.
const EDGES: &[&str] = &[
    "",
    "0",
    "-1",
    "true",
    "INFINITY",
    "-INFINITY",
    "9223372036854775808",
    "-2147483649",
    "1e9",
    "Promoted",
    "Stopped",
    "%",
    "((",
    "a:0",
    "P1Y",
    "T",
    "2038-01-19",
    "0.5",
    "é",
    "reload",
    "on",
];

/// Everything that is a value somewhere in the document: names of things that exist.
fn vocabulary(cib: &Element) -> Vec<String> {
    let mut words: Vec<String> = EDGES.iter().map(ToString::to_string).collect();
    for element in cib.descendants() {
        words.extend(element.attrs().map(|(_, value)| value.to_owned()));
    }
    words.sort();
    words.dedup();
    words
}

/// Damages one place of the tree.
fn damage(element: &mut Element, random: &mut Random, words: &[String]) {
    let children = element.nodes().len();
    if children > 0 && random.below(6) > 0 {
        let at = random.below(children);
        if let Node::Element(child) = &mut element.nodes_mut()[at] {
            damage(Arc::make_mut(child), random, words);
        }
        return;
    }
    match random.below(6) {
        0 if children > 0 => {
            element.nodes_mut().remove(random.below(children));
        }
        1 if children > 0 => {
            let copy = element.nodes()[random.below(children)].clone();
            element.nodes_mut().push(copy);
        }
        // A thing inside of itself, or of its neighbour.
        2 if children > 1 => {
            let copy = element.nodes()[random.below(children)].clone();
            let at = random.below(children);
            if let Node::Element(child) = &mut element.nodes_mut()[at] {
                Arc::make_mut(child).nodes_mut().push(copy);
            }
        }
        _ => {
            let names: Vec<String> = element.attrs().map(|(name, _)| name.to_owned()).collect();
            let name = random.one(&names).to_owned();
            match random.below(8) {
                _ if name.is_empty() => {}
                0 => {
                    element.unset(&name);
                }
                _ => element.set(&name, random.one(words)),
            }
        }
    }
}

fn arguments(random: &mut Random, words: &[String], file: &Path) -> Vec<String> {
    let mut args = vec!["crm_simulate".to_owned(), "-S".to_owned(), "-x".to_owned()];
    args.push(file.to_string_lossy().into_owned());
    args.push("--output-to=/dev/null".to_owned());
    for option in ["-s", "-U", "-A", "-c", "-a", "--output-as=xml", "-Q"] {
        if random.below(3) == 0 {
            args.push(option.to_owned());
        }
    }
    for option in ["-u", "-d", "-f", "-g", "-r", "-b", "-e", "-q", "-w"] {
        if random.below(6) == 0 {
            args.push(option.to_owned());
            args.push(random.one(words).to_owned());
        }
    }
    for option in ["-i", "-F"] {
        if random.below(3) == 0 {
            let task = ["start", "stop", "monitor", "migrate_to", "promote"][random.below(5)];
            let (rsc, node) = (random.one(words).to_owned(), random.one(words).to_owned());
            args.push(option.to_owned());
            args.push(format!(
                "{rsc}_{task}_{}@{node}={}",
                random.below(3) * 10_000,
                random.below(9)
            ));
        }
    }
    args
}

#[test]
fn damaged_inputs_are_simulated_without_panic() {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (rounds, first) = (number("SIMULATE_ROUNDS", 300), number("SIMULATE_SEED", 0));
    let files = inputs();
    let file = std::env::temp_dir().join(format!("simulate-hostile-{}.xml", std::process::id()));
    let mut planned = 0;
    for seed in first..first + rounds {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let source = &files[random.below(files.len())];
        let mut cib = xml::parse(&fs::read_to_string(source).unwrap()).unwrap();
        let words = vocabulary(&cib);
        for _ in 0..=random.below(20) {
            damage(&mut cib, &mut random, &words);
        }
        if random.below(5) > 0 {
            // Past the grammar, where the scheduler is on its own.
            cib.set("validate-with", "none");
        }
        let text = cib.to_pretty();
        fs::write(&file, &text).unwrap();
        let args = arguments(&mut random, &words, &file);
        let begin = Instant::now();
        let status = tools::crm_simulate::main(&args);
        let took = begin.elapsed();
        let what = format!("seed {seed}, {}: {}", source.display(), args.join(" "));
        // 1: what was executed went wrong, as a document that contradicts itself may have it.
        assert!(matches!(status, 0 | 1 | 64 | 65 | 78), "{what}: status {status}");
        assert!(took < Duration::from_secs(60), "{what}: took {took:?}");
        planned += u64::from(status == 0);
    }
    fs::remove_file(&file).unwrap();
    assert!(planned > rounds / 2, "only {planned} of {rounds} inputs were planned");
}
