//! Side by side with Debian's Pacemaker 2.1.5: the same digests, verdicts, patches and upgrades
//! for 100 documents of the conformance cases and what random changes make of them. What differs
//! on purpose is told in `docs/differences.md`.
//!
//! It wants Debian's commands in `/usr/sbin` (or where `QUORATE_DEBIAN` says), so it is run by
//! hand and by `.ci/steps`: `cargo test -p cib --test debian -- --ignored`. `QUORATE_DOCUMENTS` says
//! how many documents are compared.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use cib::options::call;
use cib::request::{Request, perform};
use cib::{Op, digest, schema, upgrade};
use common::{Dice, cases, files_below};
use xml::{Element, Node, NodePath};

/// Documents of the cases that 2.1.5 can read, in a random order.
fn documents(dice: &mut Dice) -> Vec<(String, Element)> {
    let mut found = Vec::new();
    for path in files_below(cases()) {
        if let Ok(text) = fs::read_to_string(&path)
            && (2_000..60_000).contains(&text.len())
            && let Ok(document) = xml::parse(&text)
            && document.name() == "cib"
            && document.child("configuration").is_some()
        {
            found.push((path.file_name().unwrap().to_string_lossy().into_owned(), document));
        }
    }
    for at in (1..found.len()).rev() {
        found.swap(at, dice.roll(at + 1));
    }
    found
}

/// Siblings that no address tells apart: patches of 2.1.5 lead elsewhere there.
fn is_ambiguous(element: &Element) -> bool {
    let mut keys: Vec<_> = element.children().map(|child| (child.name(), child.id())).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1] || pair[0].0 == pair[1].0 && pair[0].1.is_none())
        || element.children().any(is_ambiguous)
}

fn paths(element: &Element, at: NodePath, found: &mut Vec<NodePath>) {
    for (position, node) in element.nodes().iter().enumerate() {
        if let Node::Element(child) = node {
            paths(child, at.child(position), found);
        }
    }
    if at.steps().len() > 1 {
        found.push(at);
    }
}

const VALUES: &[&str] = &["x", "1", "INFINITY", "a b", "<&>\"", "\u{e9}t\u{e9}", "ocf", "start"];

fn edit(document: &mut Element, serial: usize, dice: &mut Dice) {
    let mut all = Vec::new();
    paths(document, NodePath::root(), &mut all);
    if all.is_empty() {
        return;
    }
    let path = all[dice.roll(all.len())].clone();
    let kind = dice.roll(7);
    let (Some(parent), Some(position)) = (path.parent(), path.position()) else { return };
    let Some(parent) = document.element_at_mut(&parent) else { return };
    let count = parent.nodes().len();
    match kind {
        0 => drop(parent.nodes_mut().remove(position)),
        1 => {
            let node = parent.nodes_mut().remove(position);
            parent.nodes_mut().insert(dice.roll(count), node);
        }
        2 => {
            let mut copy = parent.nodes()[position].clone();
            if let Node::Element(element) = &mut copy {
                Arc::make_mut(element).for_each_mut(&mut |element| {
                    if let Some(id) = element.id().map(str::to_owned) {
                        element.set("id", format!("{id}-c{serial}"));
                    }
                });
            }
            parent.nodes_mut().insert(dice.roll(count + 1), copy);
        }
        3 => {
            let comment = Node::Comment(format!(" c{serial} ").as_str().into());
            parent.nodes_mut().insert(dice.roll(count + 1), comment);
        }
        _ => {
            let Some(Node::Element(element)) = parent.nodes_mut().get_mut(position) else { return };
            let element = Arc::make_mut(element);
            let names: Vec<String> = element
                .attrs()
                .map(|(name, _)| name.to_owned())
                .filter(|name| name != "id")
                .collect();
            if kind == 4 && !names.is_empty() {
                element.unset(&names[dice.roll(names.len())]);
            } else if kind == 5 && !names.is_empty() {
                let name = &names[dice.roll(names.len())];
                element.set(name, VALUES[dice.roll(VALUES.len())]);
            } else {
                element.set("description", VALUES[dice.roll(VALUES.len())]);
            }
        }
    }
}

struct Debian {
    directory: PathBuf,
    folder: PathBuf,
}

impl Debian {
    fn run(&self, command: &str, arguments: &[&str]) -> Output {
        Command::new(self.directory.join(command))
            .args(arguments)
            .env("CIB_file", self.path("work.xml"))
            .current_dir(&self.folder)
            .output()
            .expect("Debian's commands (pacemaker-cli-utils) run")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, name: &str, document: &Element) {
        fs::write(self.path(name), document.to_pretty()).unwrap();
    }

    fn document(&self, command: &str, arguments: &[&str]) -> Option<Element> {
        let output = self.run(command, arguments);
        xml::parse(&String::from_utf8_lossy(&output.stdout)).ok()
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Without what differs from write to write.
fn unstamped(document: &Element) -> Element {
    let mut document = document.clone();
    for name in ["cib-last-written", "update-origin", "update-client", "update-user"] {
        document.unset(name);
    }
    document.set("admin_epoch", "0");
    document.set("epoch", "0");
    document.set("num_updates", "0");
    document.sort_attrs();
    document
}

#[test]
#[ignore = "needs Debian's pacemaker-cli-utils; see the head of this file"]
fn debian_says_the_same() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("debian");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let directory = std::env::var_os("QUORATE_DEBIAN").map_or("/usr/sbin".into(), PathBuf::from);
    let debian = Debian { directory, folder };
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let wanted =
        std::env::var("QUORATE_DOCUMENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(100);
    let (mut seen, mut serial) = (0, 0);
    let (mut valid, mut upgraded, mut old_format) = (0, 0, 0);
    let mut wrong: Vec<String> = Vec::new();
    for (name, mut a) in documents(&mut dice) {
        let known = a.get("validate-with").and_then(schema::version_of);
        if known.is_none_or(|version| version > schema::LATEST) {
            a.set("validate-with", "pacemaker-3.9");
        }
        let is_old = seen % 5 == 4;
        a.set("crm_feature_set", if is_old { "3.0.7" } else { "3.16.1" });
        for _ in 0..[0, 0, 1, 2][dice.roll(4)] {
            serial += 1;
            edit(&mut a, serial, &mut dice);
        }
        let mut b = a.clone();
        for _ in 0..1 + dice.roll(4) {
            serial += 1;
            edit(&mut b, serial, &mut dice);
        }
        b.set("epoch", (cib::CibVersion::of(&a).epoch + 1).to_string());
        if is_ambiguous(&a) || is_ambiguous(&b) {
            continue;
        }
        seen += 1;
        let mut expect = |what: &str, same: bool, detail: &dyn Fn() -> String| {
            if !same {
                wrong.push(format!("{seen} {name}: {what}: {}", detail()));
            }
        };
        debian.write("a.xml", &a);
        debian.write("b.xml", &b);

        for (option, ours) in
            [("-5", digest::v1(&a)), ("-6", digest::for_feature_set(&a, cib::FEATURE_SET))]
        {
            let theirs = text(&debian.run("cibadmin", &[option, "-x", "a.xml"]));
            expect(option, theirs == ours, &|| format!("{theirs} {ours}"));
        }

        let said = debian.run("crm_verify", &["-V", "-x", "a.xml"]);
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        let ours = schema::validate(&a);
        valid += usize::from(ours.is_ok());
        let refused = said.contains("did not pass schema validation");
        expect("validity", refused == ours.is_err(), &|| format!("{said}{ours:?}"));

        // Patches of each applied by the other.
        let mine = cib::diff::diff(&a, &b).unwrap();
        let theirs = debian.document("crm_diff", &["-o", "a.xml", "-n", "b.xml"]).unwrap();
        debian.write("mine.xml", &mine);
        let result = debian.document("crm_diff", &["-o", "a.xml", "-p", "mine.xml"]);
        expect("our patch", result.as_ref() == Some(&b), &|| format!("{mine}"));
        if is_old {
            assert_eq!(theirs.get("format"), Some("1"), "{theirs}");
            debian.write("theirs.xml", &theirs);
            let result = debian.document("crm_diff", &["-o", "a.xml", "-p", "theirs.xml"]);
            let ours = cib::patch::apply(&a, &theirs).ok();
            old_format += usize::from(result.is_some());
            // Patches of the old format do not keep orders: its maker cannot apply all of them.
            expect("old patch", result.is_none() || result == ours, &|| format!("{theirs}"));
        } else {
            expect("patch", theirs == mine, &|| format!("\n{theirs}\n{mine}"));
            let result = cib::patch::apply(&a, &theirs);
            expect("their patch", result.as_ref() == Ok(&b), &|| format!("{theirs}"));
        }

        debian.write("work.xml", &a);
        let output = debian.run("cibadmin", &["--upgrade", "--force"]);
        let theirs = xml::parse(&fs::read_to_string(debian.path("work.xml")).unwrap()).unwrap();
        let ours = upgrade::upgrade(&a, None);
        if output.status.success()
            && let Ok(ours) = &ours
        {
            upgraded += usize::from(theirs.get("validate-with") != a.get("validate-with"));
            let (mut theirs, mut ours) = (unstamped(&theirs), unstamped(ours));
            for document in [&mut theirs, &mut ours] {
                document.for_each_mut(&mut |e| {
                    e.nodes_mut().retain(|node| matches!(node, Node::Element(_)));
                });
            }
            expect("upgrade", theirs == ours, &|| format!("\n{theirs}\n{ours}"));
        }
        if seen == wanted {
            break;
        }
    }
    println!(
        "{seen} documents, {valid} valid, {upgraded} upgraded, {old_format} patches of format 1 \
         that their maker applies"
    );
    let count = wrong.len();
    wrong.truncate(8);
    assert!(wrong.is_empty(), "{count} differences:\n{}", wrong.join("\n"));
    assert!(seen == wanted && valid > wanted * 3 / 10 && valid < wanted * 95 / 100);
    assert!(upgraded > wanted / 10 && old_format > 0);
}

const OLD_NAMES: &[&str] = &[
    "requires",
    "isolation",
    "isolation-host",
    "resource-failure-stickiness",
    "timeout",
    "resource_failure_stickiness",
    "stonith_enabled",
    "default-resource-stickiness",
    "default_resource_failure_stickiness",
    "is_managed_default",
    "transition_idle_timeout",
    "notification-recipient",
    "cluster-infrastructure",
    "default-action-timeout",
    "pcmk_arg_map",
    "pcmk_list_cmd",
    "on-fail",
    "interval-origin",
    "plain",
    "expected-quorum-votes",
];
const OLD_VALUES: &[&str] =
    &["1", "-INFINITY", "cman", "corosync", "port:a", "port:a,b:c", "quorum", "fencing", ""];

/// Puts old constructs into a document of schema 2.10.
fn age(document: &mut Element, serial: usize, dice: &mut Dice) {
    let mut all = Vec::new();
    paths(document, NodePath::root(), &mut all);
    let path = all[dice.roll(all.len())].clone();
    let Some(element) = document.element_at_mut(&path) else { return };
    let pair = |dice: &mut Dice| {
        Element::new("nvpair")
            .with("id", format!("pair{serial}"))
            .with("name", OLD_NAMES[dice.roll(OLD_NAMES.len())])
            .with("value", OLD_VALUES[dice.roll(OLD_VALUES.len())])
    };
    match element.name() {
        "nvpair" => {
            element.set("name", OLD_NAMES[dice.roll(OLD_NAMES.len())]);
            element.set("value", OLD_VALUES[dice.roll(OLD_VALUES.len())]);
        }
        "meta_attributes" | "instance_attributes" | "cluster_property_set"
            if !element.has("id-ref") =>
        {
            element.push(pair(dice));
        }
        "op" => match dice.roll(4) {
            0 => element.set("requires", ["fencing", "nothing", "quorum"][dice.roll(3)]),
            1 => element.set("name", ["start", "promote", "stop", "demote"][dice.roll(4)]),
            other => {
                let name = ["meta_attributes", "instance_attributes"][other % 2];
                let set = Element::new(name).with("id", format!("set{serial}"));
                element.push(set.with_child(pair(dice)));
            }
        },
        "primitive" => {
            let set = Element::new("meta_attributes").with("id", format!("set{serial}"));
            element.push(set.with_child(pair(dice)));
        }
        "node" => element.set("type", ["normal", "member"][dice.roll(2)]),
        "configuration" | "rsc_defaults" | "op_defaults" => {
            let defaults = if element.name() == "configuration" {
                element.child_or_new(["rsc_defaults", "op_defaults"][dice.roll(2)])
            } else {
                element
            };
            let set = Element::new("meta_attributes").with("id", format!("set{serial}"));
            defaults.push(set.with_child(pair(dice)));
        }
        "crm_config" => {
            let set = Element::new("cluster_property_set").with("id", format!("set{serial}"));
            element.push(set.with_child(pair(dice)));
        }
        "operations" => element.push(
            Element::new("op")
                .with("id", format!("op{serial}"))
                .with("name", ["start", "promote", "monitor"][dice.roll(3)])
                .with("interval", "0"),
        ),
        _ => {}
    }
}

#[test]
#[ignore = "needs Debian's pacemaker-cli-utils; see the head of this file"]
fn debian_upgrades_alike() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("debian-upgrade");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let directory = std::env::var_os("QUORATE_DEBIAN").map_or("/usr/sbin".into(), PathBuf::from);
    let debian = Debian { directory, folder };
    let mut dice = Dice(0x1357_9bdf_0246_8ace);
    let inputs = common::files(&cases().join("schemas/2.10-to-3.0/input"));
    let (mut rewritten, mut told) = (0, 0);
    let mut wrong: Vec<String> = Vec::new();
    for round in 0..100 {
        let input = &inputs[round % inputs.len()];
        let mut document = xml::parse(&fs::read_to_string(input).unwrap()).unwrap();
        for edit in 0..dice.roll(6) {
            age(&mut document, round * 10 + edit, &mut dice);
        }
        // What is invalid is not opened there.
        if schema::validate(&document).is_err() {
            continue;
        }
        debian.write("work.xml", &document);
        let output = debian.run("cibadmin", &["--upgrade", "--force", "-VV"]);
        let ours = upgrade::upgrade_to(&document, schema::LATEST);
        if output.status.success() != ours.is_ok() {
            wrong.push(format!("{round} {}: {ours:?}\n{output:?}\n{document}", input.display()));
            continue;
        }
        let Ok(ours) = ours else { continue };
        let theirs = xml::parse(&fs::read_to_string(debian.path("work.xml")).unwrap()).unwrap();
        let plain = |document: &Element| {
            let mut document = unstamped(document);
            document.for_each_mut(&mut |element| {
                element.nodes_mut().retain(|node| matches!(node, Node::Element(_)));
            });
            document
        };
        let (theirs, mine) = (plain(&theirs), plain(&ours.document));
        if theirs != mine {
            wrong.push(format!("{round} {}:\n{document}\n{theirs}\n{mine}", input.display()));
        }
        rewritten += ours.steps.len();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let levels = ["WARNING: ", "INFO: ", "DEBUG: "];
        let said: Vec<&str> =
            said.lines().filter(|line| levels.iter().any(|l| line.starts_with(l))).collect();
        let mine: Vec<String> = ours
            .steps
            .iter()
            .flat_map(|step| step.messages.iter().map(ToString::to_string))
            .collect();
        told += mine.len();
        if said != mine {
            wrong.push(format!("{round} {}: {said:#?} {mine:#?}", input.display()));
        }
    }
    println!("{rewritten} rewritten, {told} messages");
    let count = wrong.len();
    wrong.truncate(4);
    assert!(wrong.is_empty(), "{count} differences:\n{}", wrong.join("\n"));
    assert!(rewritten > 50 && told > 200);
}

/// A permission on something that the sample documents have, and what it is for.
fn permission(dice: &mut Dice, number: usize) -> String {
    let kind = ["read", "write", "deny"][dice.roll(3)];
    let ids = ["rsc0", "rsc1", "rsc1-meta_attributes", "group0", "loc0", "rsc2", "loc0-rule"];
    let tags = ["primitive", "nvpair", "op", "node_state", "resources", "rule", "lrm_resource"];
    let xpaths = [
        "/cib",
        "/cib/configuration",
        "/cib/status",
        "/cib/configuration/resources",
        "//primitive[@id='rsc1']",
        "//meta_attributes",
        "/cib/configuration/constraints",
        "//nvpair[@name='fake' or @name='state']",
        "/cib/configuration/acls",
        "//primitive/@id",
        "//nvpair/@value",
        "configuration",
    ];
    let target = match dice.roll(4) {
        0 => format!("reference='{}'", ids[dice.roll(ids.len())]),
        1 => format!("object-type='{}'", tags[dice.roll(tags.len())]),
        2 => format!("object-type='{}' attribute='name'", tags[dice.roll(tags.len())]),
        _ => format!("xpath=\"{}\"", xpaths[dice.roll(xpaths.len())]),
    };
    format!("<acl_permission id='p{number}' kind='{kind}' {target}/>")
}

/// Commands of `cibadmin`, sections and what is to be done there.
const CHANGES: &[(&str, &str, &str)] = &[
    ("-D", "resources", "<primitive id='rsc4'/>"),
    ("-D", "constraints", "<rsc_location id='loc0'/>"),
    ("-M", "resources", "<primitive id='rsc1' description='x'/>"),
    ("-M", "resources", "<nvpair id='rsc1-instance_attributes-fake' value='x'/>"),
    ("-M", "resources", "<op id='rsc2-monitor-10s' timeout='9s'/>"),
    ("-M", "crm_config", "<nvpair id='e' value='false'/>"),
    ("-C", "resources", "<primitive id='new' class='lsb' type='x'/>"),
    ("-C", "resources", "<group id='ng'><primitive id='np' class='lsb' type='x'/></group>"),
    ("-C", "constraints", "<rsc_location id='nl' rsc='rsc1' node='node1' score='1'/>"),
    ("-C", "acls", "<acl_target id='bob'/>"),
    ("-R", "constraints", "<constraints/>"),
    ("-R", "resources", "<primitive id='rsc4' class='lsb' type='x'/>"),
];

#[test]
#[ignore = "needs Debian's pacemaker-cli-utils; see the head of this file"]
fn debian_lets_users_see_and_change_the_same() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("debian-acls");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let directory = std::env::var_os("QUORATE_DEBIAN").map_or("/usr/sbin".into(), PathBuf::from);
    let debian = Debian { directory, folder };
    let mut dice = Dice(0x2468_ace0_1357_9bdf);
    let (mut shown, mut nothing, mut changed, mut wrong) = (0, 0, 0, Vec::new());
    for _ in 0..120 {
        let mut document = cib::sample::document(3, 2);
        let entries: String =
            (0..1 + dice.roll(5)).map(|number| permission(&mut dice, number)).collect();
        let acls = format!(
            "<acls><acl_target id='ann'><role id='r'/></acl_target><acl_role id='r'>{entries}\
             </acl_role></acls>"
        );
        let configuration = document.child_mut("configuration").unwrap();
        configuration.push(xml::parse(&acls).unwrap());
        let options = configuration.at_mut(&["crm_config", "cluster_property_set"]).unwrap();
        options.push(
            Element::new("nvpair").with("id", "e").with("name", "enable-acl").with("value", "true"),
        );
        assert_eq!(schema::validate(&document), Ok(()), "{acls}");
        debian.write("work.xml", &document);
        let output = Command::new(debian.directory.join("cibadmin"))
            .arg("-Q")
            .env("CIB_file", debian.path("work.xml"))
            .env("CIB_user", "ann")
            .output()
            .unwrap();
        let theirs = xml::parse(&String::from_utf8_lossy(&output.stdout)).ok();
        let ours = cib::acl::readable(&document, "ann", &[]);
        match &ours {
            Some(_) => shown += 1,
            None => nothing += 1,
        }
        if theirs != ours {
            let text = |document: &Option<Element>| document.as_ref().map(Element::to_text);
            wrong.push(format!("{entries}\n{:?}\n{:?}", text(&theirs), text(&ours)));
        }
        let (command, section, data) = CHANGES[dice.roll(CHANGES.len())];
        let output = Command::new(debian.directory.join("cibadmin"))
            .args([command, "-o", section, "-X", data])
            .env("CIB_file", debian.path("work.xml"))
            .env("CIB_user", "ann")
            .output()
            .unwrap();
        let theirs = xml::parse(&fs::read_to_string(debian.path("work.xml")).unwrap()).unwrap();
        let input = xml::parse(data).unwrap();
        let request = Request {
            section,
            input: Some(&input),
            options: call::NO_MTIME,
            user: "ann",
            ..Request::default()
        };
        let op = match command {
            "-M" => Op::Modify,
            "-C" => Op::Create,
            "-D" => Op::Delete,
            _ => Op::Replace,
        };
        let document = Arc::new(document);
        let outcome = perform(&document, op, &request);
        changed += usize::from(outcome.rc.is_ok());
        let ours = outcome.document.unwrap_or(document);
        if output.status.success() != outcome.rc.is_ok() || unstamped(&theirs) != unstamped(&ours) {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            wrong.push(format!("{entries}\n{command} {section} {data}\n{said}{}", outcome.rc));
        }
    }
    println!("{shown} shown, {nothing} times nothing, {changed} changed");
    let count = wrong.len();
    wrong.truncate(3);
    assert!(wrong.is_empty(), "{count} differences:\n{}", wrong.join("\n"));
    assert!(shown > 20 && nothing > 2 && changed > 10);
}
