//! Every upgrade of the conformance cases gives the expected document and prints the expected
//! messages; every configuration of the cases validates as it should.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use cib::schema::Version;
use cib::upgrade;
use common::{Dice, cases, files, files_below};
use xml::{Element, Node};

fn document(path: &Path) -> Element {
    xml::parse(&fs::read_to_string(path).unwrap()).unwrap()
}

/// White space, comments and the order of attributes do not count.
fn comparable(document: &Element) -> String {
    let mut document = document.clone();
    document.for_each_mut(&mut |element| {
        element.sort_attrs();
        element.nodes_mut().retain(|node| matches!(node, Node::Element(_)));
    });
    document.to_pretty()
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).filter(|line| !line.trim().is_empty()).collect()
}

fn upgrades(folder: &str, from: Version) {
    let folder = cases().join("schemas").join(folder);
    let (mut seen, mut wrong) = (0, Vec::new());
    for input in files(&folder.join("input")) {
        let name = input.file_stem().unwrap().to_string_lossy().into_owned();
        let expected = document(&folder.join("expected").join(input.file_name().unwrap()));
        let messages = folder.join("messages").join(format!("{name}.txt"));
        seen += 1;
        let Some(done) = upgrade::transform(&document(&input), from) else {
            wrong.push(format!("{name}: not transformed"));
            continue;
        };
        let (got, want) = (comparable(&done.document), comparable(&expected));
        if got != want {
            wrong.push(format!("{name}: document\n{}", difference(&want, &got)));
        }
        let got: Vec<String> = done.messages.iter().map(ToString::to_string).collect();
        let want = lines(&messages);
        if got != want {
            let text = difference(&want.join("\n"), &got.join("\n"));
            wrong.push(format!("{name}: messages\n{text}"));
        }
    }
    assert!(seen > 20, "only {seen} cases");
    assert!(wrong.is_empty(), "{} of {seen} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// The lines that only one side has.
fn difference(want: &str, got: &str) -> String {
    let (want, got): (Vec<&str>, Vec<&str>) = (want.lines().collect(), got.lines().collect());
    let missing = want.iter().filter(|line| !got.contains(line)).map(|line| format!("- {line}"));
    let extra = got.iter().filter(|line| !want.contains(line)).map(|line| format!("+ {line}"));
    let lines: Vec<String> = missing.chain(extra).collect();
    if lines.is_empty() {
        return format!("other order:\n{}", got.join("\n"));
    }
    lines.join("\n")
}

#[test]
fn documents_of_2_10_become_3_0() {
    upgrades("2.10-to-3.0", 210);
}

#[test]
fn documents_of_3_10_become_4_0() {
    upgrades("3.10-to-4.0", 310);
}

/// The steps are idempotent: what was rewritten is not rewritten again, and an upgraded document
/// is not upgraded again.
#[test]
fn an_upgrade_is_idempotent() {
    for folder in ["2.10-to-3.0", "3.10-to-4.0"] {
        for input in files(&cases().join("schemas").join(folder).join("input")) {
            let once = upgrade::upgrade_to(&document(&input), cib::schema::NEWEST);
            let once = once.unwrap_or_else(|rc| panic!("{}: {rc}", input.display()));
            let twice = upgrade::upgrade_to(&once.document, cib::schema::NEWEST).unwrap();
            assert_eq!(once.document, twice.document, "{}", input.display());
            assert!(!twice.raised && twice.steps.is_empty());
        }
    }
}

/// Every configuration of the cases that names a schema is valid by it.
#[test]
fn the_configurations_of_the_cases_are_valid() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for path in files_below(cases()) {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let Ok(document) = xml::parse(&text) else { continue };
        let name = document.get("validate-with").unwrap_or("");
        if document.name() != "cib" || cib::schema::version_of(name).is_none() {
            continue;
        }
        seen += 1;
        if let Err(problems) = cib::schema::validate(&document) {
            wrong.push(format!("{}: {}", path.display(), problems[0]));
        }
    }
    assert!(seen > 700, "only {seen}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whatever the input is, an upgrade ends, and what it makes is valid and not upgraded again.
#[test]
fn damaged_documents_are_upgraded_or_refused() {
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let mut roll = |bound: usize| dice.roll(bound);
    let inputs: Vec<Element> = ["2.10-to-3.0", "3.10-to-4.0"]
        .iter()
        .flat_map(|folder| files(&cases().join("schemas").join(folder).join("input")))
        .map(|path| document(&path))
        .collect();
    let parts: Vec<Element> = inputs
        .iter()
        .flat_map(|input| input.child("configuration").unwrap().descendants().skip(1))
        .filter(|part| part.descendants().count() < 20)
        .cloned()
        .collect();
    let (mut upgraded, mut refused) = (0, 0);
    for round in 0..900 {
        let mut input = inputs[round % inputs.len()].clone();
        for _ in 0..1 + roll(4) {
            let count = input.descendants().count();
            let (wanted, what) = (roll(count), roll(5));
            let part = parts[roll(parts.len())].clone();
            let id = ["", "a", "rsc1", "a b", "../x"][roll(5)];
            let mut at = 0;
            input.for_each_mut(&mut |element| {
                if at == wanted {
                    match what {
                        0 => element.push(part.clone()),
                        1 => element.clear_children(),
                        2 => element.set("id", id),
                        3 => element.set("id-ref", id),
                        _ => element.retain_attrs(|name, _| name != "id" && name != "name"),
                    }
                }
                at += 1;
            });
        }
        for from in [103, 210, 310] {
            // Needed or not, and whatever comes out: it ends.
            let _ = upgrade::transform(&input, from);
        }
        match upgrade::upgrade_to(&input, cib::schema::NEWEST) {
            Ok(done) => {
                upgraded += 1;
                assert_eq!(cib::schema::validate(&done.document), Ok(()), "{input}");
                let again = upgrade::upgrade_to(&done.document, cib::schema::NEWEST).unwrap();
                assert_eq!(again.document, done.document);
            }
            Err(_) => refused += 1,
        }
    }
    assert!(upgraded > 90 && refused > 90, "{upgraded} upgraded, {refused} refused");
}
