//! What must hold for all documents: a patch leads from one to the other, canonical text says all
//! there is, and access control lets nobody see or change what he may not.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use cib::options::call;
use cib::request::{Outcome, Request, perform};
use cib::{Op, Rc, digest, sample};
use common::Dice;
use xml::{Element, Node, NodePath, XPath};

fn paths(element: &Element) -> Vec<NodePath> {
    fn walk(element: &Element, at: NodePath, paths: &mut Vec<NodePath>) {
        for (position, node) in element.nodes().iter().enumerate() {
            if let Node::Element(child) = node {
                walk(child, at.child(position), paths);
            }
        }
        paths.push(at);
    }
    let mut found = Vec::new();
    walk(element, NodePath::root(), &mut found);
    found
}

const TEXTS: &[&str] =
    &["", "x", "<&>\"'", "two  blanks", "a\nb\tc", "\u{e9}\u{2028}\u{1f600}", "]]>", "--", "1"];

/// A random change that keeps siblings apart by name and id, as the schema demands.
fn edit(document: &mut Element, serial: &mut usize, dice: &mut Dice) {
    let all = paths(document);
    let path = all[dice.roll(all.len())].clone();
    let Some(element) = document.element_at_mut(&path) else { return };
    *serial += 1;
    match dice.roll(8) {
        0 => element.set(&format!("a{}", dice.roll(3)), TEXTS[dice.roll(TEXTS.len())]),
        1 => {
            let names: Vec<String> = element
                .attrs()
                .map(|(name, _)| name.to_owned())
                .filter(|name| name != "id" && !path.is_root())
                .collect();
            if !names.is_empty() {
                element.unset(&names[dice.roll(names.len())]);
            }
        }
        2 | 3 => {
            let at = dice.roll(element.nodes().len() + 1);
            let child = Element::new(["nvpair", "op", "x"][dice.roll(3)])
                .with("id", format!("new{serial}"))
                .with("name", TEXTS[dice.roll(TEXTS.len())])
                .with_child(Element::new("y").with("id", format!("y{serial}")));
            element.nodes_mut().insert(at, Node::Element(child.into()));
        }
        4 => {
            let count = element.nodes().len();
            if count > 0 && path.steps().len() > 1 {
                let at = dice.roll(count);
                element.nodes_mut().remove(at);
            }
        }
        5 => {
            let count = element.nodes().len();
            if count > 1 {
                let node = element.nodes_mut().remove(dice.roll(count));
                let at = dice.roll(count);
                element.nodes_mut().insert(at, node);
            }
        }
        6 => {
            let at = dice.roll(element.nodes().len() + 1);
            element.nodes_mut().insert(at, Node::Comment(format!("c{serial}").as_str().into()));
        }
        _ => element.sort_attrs(),
    }
}

#[test]
fn a_patch_leads_from_one_document_to_the_other() {
    let mut dice = Dice(0x1234_5678_9abc_def1);
    let mut serial = 0;
    let (mut moved, mut created) = (0, 0);
    for round in 0..700 {
        let mut a = sample::document(3, 2);
        a.retain_children(|child| round % 2 == 0 || child.name() != "status");
        for _ in 0..dice.roll(6) {
            edit(&mut a, &mut serial, &mut dice);
        }
        let mut b = a.clone();
        for _ in 0..1 + dice.roll(6) {
            edit(&mut b, &mut serial, &mut dice);
        }
        let version = cib::CibVersion::of(&a);
        b.set("epoch", (version.epoch + 1).to_string());
        // Half of them share nothing.
        let b = if round % 3 == 0 { xml::parse(&b.to_text()).unwrap() } else { b };
        let mut patch = cib::diff::diff(&a, &b).expect("the epoch differs");
        patch.set("digest", digest::v2(&b));
        let text = patch.to_text();
        moved += text.matches("operation=\"move\"").count();
        created += text.matches("operation=\"create\"").count();
        let patch = xml::parse(&text).unwrap();
        let result =
            cib::patch::apply(&a, &patch).unwrap_or_else(|rc| panic!("{rc}\n{a}\n{b}\n{patch}"));
        assert_eq!(result, b, "{patch}");
        // It is of no use on another document.
        assert!(cib::patch::apply(&b, &patch).is_err());
    }
    assert!(moved > 50 && created > 250, "{moved} moved, {created} created");
}

#[test]
fn canonical_text_says_all() {
    let mut dice = Dice(0xfeed_beef_1234_5671);
    let mut serial = 0;
    for _ in 0..700 {
        let mut document = sample::document(2, 2);
        for _ in 0..dice.roll(8) {
            edit(&mut document, &mut serial, &mut dice);
        }
        let text = document.to_text();
        let again = xml::parse(&text).unwrap();
        assert_eq!(again, document);
        assert_eq!(again.to_text(), text);
        let formatted = xml::parse(&document.to_pretty()).unwrap();
        assert_eq!(formatted.to_text(), text);
        assert_eq!(digest::v2(&again), digest::v2(&document));
    }
}

// --- access control ---------------------------------------------------------------------------

#[derive(Clone, Copy, PartialEq, Debug)]
enum Right {
    None,
    Read,
    Write,
}

/// Every element gets a number, so that it can be told apart in whatever comes out.
fn marked(document: &mut Element) {
    let mut number = 0;
    document.for_each_mut(&mut |element| {
        number += 1;
        element.set("mark", format!("m{number}"));
    });
}

fn rule(dice: &mut Dice, number: usize) -> (String, &'static str, String) {
    let kind = ["read", "write", "deny"][dice.roll(3)];
    let ids = ["rsc0", "rsc1", "rsc1-meta_attributes", "group0", "1", "loc0", "rsc2"];
    let tags = ["primitive", "nvpair", "op", "node_state", "resources", "rule", "lrm_resource"];
    let paths = [
        "/cib",
        "/cib/configuration",
        "/cib/status",
        "/cib/configuration/resources",
        "//primitive[@id='rsc1']",
        "//meta_attributes",
        "/cib/configuration/constraints",
        "//nvpair[@name='fake' or @name='state']",
        "/cib/configuration/acls",
    ];
    let (target, xpath) = match dice.roll(4) {
        0 => {
            let id = ids[dice.roll(ids.len())];
            (format!("reference='{id}'"), format!("//*[@id='{id}']"))
        }
        1 => {
            let tag = tags[dice.roll(tags.len())];
            (format!("object-type='{tag}'"), format!("//{tag}"))
        }
        2 => {
            let tag = tags[dice.roll(tags.len())];
            (format!("object-type='{tag}' attribute='name'"), format!("//{tag}[@name]"))
        }
        _ => {
            let path = paths[dice.roll(paths.len())];
            (format!("xpath=\"{path}\""), path.to_owned())
        }
    };
    (format!("<acl_permission id='p{number}' kind='{kind}' {target}/>"), kind, xpath)
}

/// The right to each element: that of the nearest element with a decision.
fn rights_at(document: &Element, rules: &[(&str, String)]) -> BTreeMap<NodePath, Right> {
    let mut decided: BTreeMap<NodePath, (bool, Right)> = BTreeMap::new();
    for (kind, xpath) in rules {
        for path in XPath::parse(xpath).unwrap().paths(document).unwrap() {
            let entry = decided.entry(path).or_insert((false, Right::None));
            match *kind {
                "deny" => entry.0 = true,
                "write" => entry.1 = Right::Write,
                _ if entry.1 == Right::None => entry.1 = Right::Read,
                _ => {}
            }
        }
    }
    let right_at = |path: NodePath| {
        // Who may write may read; but a nearer right to read does not take a wider one to write.
        let (mut at, mut right) = (path.clone(), Right::None);
        loop {
            match decided.get(&at) {
                Some((true, _)) => break,
                Some((false, Right::Write)) => {
                    right = Right::Write;
                    break;
                }
                Some((false, Right::Read)) => right = Right::Read,
                _ => {}
            }
            if !at.pop() {
                break;
            }
        }
        (path, right)
    };
    paths(document).into_iter().map(right_at).collect()
}

/// The same by the elements' marks.
fn rights(document: &Element, rules: &[(&str, String)]) -> BTreeMap<String, Right> {
    let mark = |path| document.element_at(path).and_then(|e| e.get("mark")).unwrap().to_owned();
    rights_at(document, rules).iter().map(|(path, right)| (mark(path), *right)).collect()
}

fn attempt(
    cib: &Arc<Element>,
    op: Op,
    section: &str,
    options: u32,
    input: Option<&Element>,
) -> Outcome {
    let request =
        Request { section, input, options, user: "ann", now: "now", ..Request::default() };
    perform(cib, op, &request)
}

#[test]
fn nobody_sees_or_changes_what_he_may_not() {
    let mut dice = Dice(0x0bad_cafe_dead_beef);
    let (mut seen, mut hidden, mut changed, mut refused) = (0, 0, 0, 0);
    for _ in 0..200 {
        let mut document = sample::document(3, 2);
        document.set("validate-with", "none");
        let count = 1 + dice.roll(5);
        let rules: Vec<(String, &str, String)> =
            (0..count).map(|number| rule(&mut dice, number)).collect();
        let entries: String = rules.iter().map(|rule| rule.0.as_str()).collect();
        let configuration = document.child_mut("configuration").unwrap();
        configuration.push(
            xml::parse(&format!(
                "<acls><acl_target id='ann'><role id='r'/></acl_target><acl_role id='r'>{entries}\
                 </acl_role></acls>"
            ))
            .unwrap(),
        );
        let options = configuration.at_mut(&["crm_config", "cluster_property_set"]).unwrap();
        options.push(
            Element::new("nvpair").with("id", "e").with("name", "enable-acl").with("value", "true"),
        );
        marked(&mut document);
        let cib = Arc::new(document);
        let rules: Vec<(&str, String)> =
            rules.iter().map(|(_, kind, xpath)| (*kind, xpath.clone())).collect();
        let rights = rights(&cib, &rules);

        // What he sees, whichever way he asks.
        let questions = [
            ("", 0),
            ("resources", 0),
            ("status", 0),
            ("acls", 0),
            ("constraints", call::NO_CHILDREN),
            ("//primitive", call::XPATH),
            ("//*[@mark]", call::XPATH),
            ("//nvpair/..", call::XPATH),
            ("//lrm_rsc_op", call::XPATH),
        ];
        for (section, options) in questions {
            let outcome = attempt(&cib, Op::Query, section, options, None);
            let Some(output) = outcome.output else { continue };
            assert_eq!(outcome.rc, Rc::OK);
            for element in output.descendants() {
                match element.get("mark") {
                    Some(mark) => {
                        assert_ne!(rights[mark], Right::None, "{section}: {element}\n{rules:?}");
                        seen += 1;
                    }
                    None => {
                        // The way to something he may see.
                        assert!(element.attrs().all(|(name, _)| name == "id"), "{element}");
                        hidden += 1;
                    }
                }
            }
            // Nothing he may see is kept from him.
            if section.is_empty() {
                let visible = rights.values().filter(|right| **right != Right::None).count();
                let shown = output.descendants().filter(|element| element.has("mark")).count();
                assert_eq!(shown, visible, "{rules:?}\n{output}");
            }
        }

        // What he changes, whichever way he tries.
        for _ in 0..12 {
            let all = paths(&cib);
            let path = &all[dice.roll(all.len())];
            let element = cib.element_at(path).unwrap();
            let xpath = format!("//*[@mark='{}']", element.get("mark").unwrap());
            let mut wanted = Element::new(element.name());
            if let Some(id) = element.id() {
                wanted.set("id", id);
            }
            let outcome = match dice.roll(8) {
                6 => {
                    let new = Element::new("acl_target").with("id", "bob");
                    attempt(&cib, Op::Create, "acls", 0, Some(&new))
                }
                7 => {
                    let new = Element::new("primitive").with("id", "new");
                    let new = if dice.roll(2) == 0 { new } else { new.with("class", "x") };
                    attempt(&cib, Op::Create, "resources", 0, Some(&new))
                }
                0 => {
                    wanted.set("value", "changed");
                    attempt(&cib, Op::Modify, "", 0, Some(&wanted))
                }
                1 => attempt(&cib, Op::Delete, "", 0, Some(&wanted)),
                2 => attempt(&cib, Op::Delete, &xpath, call::XPATH, None),
                3 => {
                    let mut new = element.clone();
                    new.set("value", "changed");
                    attempt(&cib, Op::Replace, &xpath, call::XPATH, Some(&new))
                }
                4 => {
                    let mut new = Element::clone(&cib);
                    edit(&mut new, &mut 0, &mut dice);
                    attempt(&cib, Op::Replace, "", 0, Some(&new))
                }
                _ => {
                    let mut new = Element::clone(&cib);
                    edit(&mut new, &mut 0, &mut dice);
                    match cib::diff::diff(&cib, &new) {
                        Some(patch) => attempt(&cib, Op::Patch, "", 0, Some(&patch)),
                        None => continue,
                    }
                }
            };
            let Some(new) = outcome.document else {
                refused += usize::from(outcome.rc == Rc::EACCES);
                continue;
            };
            changed += 1;
            judge(&cib, &new, &rights, &rules);
        }
    }
    assert!(seen > 1_000 && hidden > 500, "{seen} seen, {hidden} hidden");
    assert!(changed > 50 && refused > 500, "{changed} changed, {refused} refused");
}

/// Every element that is no longer what it was must be one he may write, or have gone with one.
fn judge(old: &Element, new: &Element, rights: &BTreeMap<String, Right>, rules: &[(&str, String)]) {
    let mut now: BTreeMap<&str, &Element> = BTreeMap::new();
    for element in new.descendants() {
        if let Some(mark) = element.get("mark") {
            now.insert(mark, element);
        }
    }
    fn walk(
        element: &Element,
        now: &BTreeMap<&str, &Element>,
        rights: &BTreeMap<String, Right>,
        rules: &[(&str, String)],
    ) {
        let mark = element.get("mark").unwrap();
        let may = rights[mark] == Right::Write;
        let Some(new) = now.get(mark) else {
            assert!(may, "gone: {element}\n{rules:?}");
            return;
        };
        let attrs = |element: &Element| -> Vec<(String, String)> {
            let mut attrs: Vec<(String, String)> = element
                .attrs()
                // The manager's own.
                .filter(|(name, _)| {
                    element.name() != "cib"
                        || !(["epoch", "num_updates", "admin_epoch", "cib-last-written"]
                            .contains(name)
                            || name.starts_with("update-"))
                })
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            attrs.sort();
            attrs
        };
        if attrs(element) != attrs(new) {
            assert!(may, "changed: {element}\nto {new}\n{rules:?}");
        }
        element.children().for_each(|child| walk(child, now, rights, rules));
    }
    walk(old, &now, rights, rules);
    // What is new he must be allowed to write, or it is no more than an id outside of the acls.
    for (path, right) in rights_at(new, rules) {
        let element = new.element_at(&path).unwrap();
        let is_new = element.get("mark").is_none_or(|mark| !rights.contains_key(mark));
        if !is_new || right == Right::Write {
            continue;
        }
        let plain = element.attrs().all(|(name, _)| name == "id");
        let free = plain && !new.xpath_of(&path).contains("/acls/");
        assert!(free, "created: {element} at {}\n{rules:?}", new.xpath_of(&path));
    }
}
