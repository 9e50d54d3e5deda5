//! The RELAX NG files and the validator judge the same documents alike: those of the conformance
//! cases, and what random changes make of them. The other judge is `xmllint` (libxml2-utils).

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use cib::schema::{self, Version};
use common::{Dice, cases, files_below};
use xml::{Element, Node, NodePath};

/// All CIBs of the cases, without their status.
fn documents() -> Vec<(String, Element)> {
    let mut found = Vec::new();
    for path in files_below(cases()) {
        if path.extension().is_some_and(|extension| extension == "xml")
            && let Ok(mut document) = xml::parse(&fs::read_to_string(&path).unwrap_or_default())
            && document.name() == "cib"
        {
            if let Some(status) = document.child_mut("status") {
                status.clear_children();
            }
            found.push((path.file_name().unwrap().to_string_lossy().into_owned(), document));
        }
    }
    found
}

const VALUES: &[&str] = &[
    "",
    " ",
    "1",
    "-1",
    "x",
    "true",
    "INFINITY",
    " INFINITY",
    "-INFINITY",
    "+INFINITY",
    "10.5",
    "start",
    "Master",
    "Promoted",
    "Started",
    "ocf",
    "stonith",
    "nagios",
    "systemd",
    "and",
    "or",
    "eq",
    "gt",
    "in_range",
    "date_spec",
    "Mandatory",
    "listed",
    "member",
    "ping",
    "remote",
    "9",
    "10",
    "a,b",
    "a b",
    "requires",
    "isolation",
    "pcmk_list_cmd",
    "cluster-infrastructure",
    "cman",
    "stonith_enabled",
    "stonith-action",
    "poweroff",
    "can_fail",
    "restart-type",
    "80-90",
    "literal",
    "1a",
    "_a",
    "a:b",
];

/// One random change below `configuration` (or at the root).
fn mutate(
    document: &mut Element,
    vocabulary: &[(String, String)],
    donors: &[Arc<Element>],
    dice: &mut Dice,
) {
    let mut paths = Vec::new();
    collect(document, NodePath::root(), &mut paths);
    let path = dice.pick(&paths).clone();
    let donor = Arc::clone(dice.pick(donors));
    let Some(element) = document.element_at_mut(&path) else { return };
    match dice.roll(9) {
        0 => {
            let names: Vec<String> = element.attrs().map(|(name, _)| name.to_owned()).collect();
            if !names.is_empty() {
                element.unset(&names[dice.roll(names.len())]);
            }
        }
        1 | 2 => {
            let names: Vec<String> = element.attrs().map(|(name, _)| name.to_owned()).collect();
            if !names.is_empty() {
                element.set(&names[dice.roll(names.len())], *dice.pick(VALUES));
            }
        }
        3 | 4 => {
            // Preferably an attribute that such elements have somewhere.
            let own: Vec<&(String, String)> =
                vocabulary.iter().filter(|(name, _)| name == element.name()).collect();
            let name = match dice.roll(4) {
                0 => dice.pick(vocabulary).1.clone(),
                _ if own.is_empty() => return,
                _ => dice.pick(&own).1.clone(),
            };
            element.set(&name, *dice.pick(VALUES));
        }
        5 => {
            let count = element.nodes().len();
            if count > 0 {
                let at = dice.roll(count);
                element.nodes_mut().remove(at);
            }
        }
        6 => {
            let count = element.nodes().len();
            if count > 0 {
                let copy = element.nodes()[dice.roll(count)].clone();
                let at = dice.roll(count + 1);
                element.nodes_mut().insert(at, copy);
            }
        }
        7 => {
            let at = dice.roll(element.nodes().len() + 1);
            element.nodes_mut().insert(at, Node::Element(donor));
        }
        _ => {
            let count = element.nodes().len();
            if count > 1 {
                element.nodes_mut().rotate_left(1);
            } else {
                element.push_text("text");
            }
        }
    }
}

fn collect(element: &Element, at: NodePath, paths: &mut Vec<NodePath>) {
    for (position, node) in element.nodes().iter().enumerate() {
        if let Node::Element(child) = node
            && child.name() != "status"
        {
            collect(child, at.child(position), paths);
        }
    }
    paths.push(at);
}

/// What xmllint says to each of the files, by name.
fn xmllint(schema: &Path, folder: &Path, names: &[String]) -> BTreeMap<String, (bool, String)> {
    let mut verdicts = BTreeMap::new();
    for names in names.chunks(200) {
        let run = Command::new("xmllint")
            .args(["--noout", "--nonet", "--relaxng"])
            .arg(schema)
            .args(names)
            .current_dir(folder)
            .output()
            .expect("xmllint (libxml2-utils) runs");
        let mut said = String::new();
        for line in String::from_utf8_lossy(&run.stderr).lines() {
            if let Some(name) = line.strip_suffix(" validates") {
                verdicts.insert(name.to_owned(), (true, std::mem::take(&mut said)));
            } else if let Some(name) = line.strip_suffix(" fails to validate") {
                verdicts.insert(name.to_owned(), (false, std::mem::take(&mut said)));
            } else {
                said.push_str(line);
                said.push('\n');
            }
        }
    }
    verdicts
}

#[test]
fn xmllint_and_the_validator_agree() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("relaxng");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for file in schema::relaxng::files(schema::NEWEST) {
        fs::write(folder.join(file.name), file.text).unwrap();
    }
    let originals = documents();
    assert!(originals.len() > 500, "only {} documents", originals.len());
    let small: Vec<&(String, Element)> =
        originals.iter().filter(|(_, document)| document.descendants().count() < 400).collect();
    let mut vocabulary: Vec<(String, String)> = originals
        .iter()
        .flat_map(|(_, document)| document.descendants())
        .flat_map(|e| e.attrs().map(|(name, _)| (e.name().to_owned(), name.to_owned())))
        .collect();
    vocabulary.sort();
    vocabulary.dedup();
    let donors: Vec<Arc<Element>> = small
        .iter()
        .flat_map(|(_, document)| document.descendants())
        .filter(|element| element.name() != "cib" && element.descendants().count() < 12)
        .map(|element| Arc::new(element.clone()))
        .collect();

    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let mut by_version: BTreeMap<Version, Vec<(String, Element)>> = BTreeMap::new();
    for (number, (name, document)) in originals.iter().enumerate() {
        let named = document.get("validate-with").and_then(schema::version_of);
        if let Some(version) = named {
            by_version
                .entry(version)
                .or_default()
                .push((format!("{number}-{name}"), document.clone()));
        }
    }
    let rounds = std::env::var("ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(3_000);
    for round in 0..rounds {
        let (name, document) = *dice.pick(&small);
        let version = *dice.pick(&schema::VERSIONS);
        let mut document = document.clone();
        document.set("validate-with", schema::name_of(version));
        // Many are valid in few versions only: half of the documents are left as they are.
        for _ in 0..dice.roll(3) {
            mutate(&mut document, &vocabulary, &donors, &mut dice);
        }
        by_version.entry(version).or_default().push((format!("m{round}-{name}"), document));
    }

    let (mut judged, mut valid, mut wrong) = (0, 0, Vec::new());
    for (version, documents) in by_version {
        for (name, document) in &documents {
            fs::write(folder.join(name), document.to_text()).unwrap();
        }
        let names: Vec<String> = documents.iter().map(|(name, _)| name.clone()).collect();
        // `QUORATE_RNG=/usr/share/pacemaker` compares the validator with the files of others.
        let schemas = std::env::var_os("QUORATE_RNG").map_or(folder.clone(), PathBuf::from);
        let schema_file = schemas.join(format!("{}.rng", schema::name_of(version)));
        if !schema_file.exists() {
            continue;
        }
        let verdicts = xmllint(&schema_file, &folder, &names);
        for (name, document) in &documents {
            let ours = schema::validate_as(document, version);
            let Some((theirs, said)) = verdicts.get(name) else {
                wrong.push(format!("{name} ({version}): xmllint said nothing"));
                continue;
            };
            judged += 1;
            valid += usize::from(*theirs);
            if ours.is_ok() != *theirs {
                wrong.push(format!(
                    "{name} ({version}): xmllint: {theirs}\n{said}  validator: {:?}",
                    ours.err().map(|problems| problems[0].to_string())
                ));
            }
        }
    }
    println!("{judged} documents, {valid} of them valid");
    assert!(valid > judged / 10 && valid < judged * 9 / 10, "{valid} of {judged} valid");
    wrong.truncate(25);
    assert!(wrong.is_empty(), "{} disagreements:\n{}", wrong.len(), wrong.join("\n"));
    let _ = fs::remove_dir_all(&folder);
}
