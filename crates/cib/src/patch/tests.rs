use std::sync::Arc;

use super::*;
use crate::diff::diff;

/// A small generator of numbers: the same seed, the same documents.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

fn tree(dice: &mut Dice, depth: usize) -> Element {
    let mut element = Element::new(["a", "b", "c"][dice.roll(3)]);
    if dice.roll(4) > 0 {
        element.set("id", dice.roll(5).to_string());
    }
    for name in ["x", "y"] {
        if dice.roll(2) == 0 {
            element.set(name, ["1", "it's", "<&>"][dice.roll(3)]);
        }
    }
    if depth > 0 {
        for _ in 0..dice.roll(5) {
            if dice.roll(8) == 0 {
                element.nodes_mut().push(Node::Comment(["k", "l"][dice.roll(2)].into()));
            } else {
                element.push(tree(dice, depth - 1));
            }
        }
    }
    element
}

fn edit(element: &mut Element, dice: &mut Dice) {
    for _ in 0..1 + dice.roll(3) {
        let len = element.nodes().len();
        match dice.roll(6) {
            0 => element.set("x", dice.roll(3).to_string()),
            1 => {
                element.unset("y");
            }
            2 if len > 0 => {
                element.nodes_mut().remove(dice.roll(len));
            }
            3 => {
                let new = tree(dice, 1);
                element.nodes_mut().insert(dice.roll(len + 1), Node::Element(new.into()));
            }
            4 if len > 1 => element.nodes_mut().swap(dice.roll(len), dice.roll(len)),
            _ if len > 0 => {
                let at = dice.roll(len);
                if let Some(Node::Element(child)) = element.nodes_mut().get_mut(at) {
                    edit(Arc::make_mut(child), dice);
                }
            }
            _ => {}
        }
    }
}

fn root(dice: &mut Dice) -> Element {
    let mut root = tree(dice, 3);
    root.rename("cib");
    root.unset("id");
    root.set("epoch", "1");
    root
}

#[test]
fn a_patch_leads_from_old_to_new() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut patched, mut moves) = (0, 0);
    for round in 0..4000 {
        let old = root(&mut dice);
        let mut new = if round % 2 == 0 { old.clone() } else { root(&mut dice) };
        edit(&mut new, &mut dice);
        new.set("epoch", "2");
        let Some(patch) = diff(&old, &new) else { panic!("epochs differ") };
        // The patch must survive its text form, too.
        let patch = xml::parse(&patch.to_text()).unwrap();
        let result = apply(&old, &patch).unwrap();
        assert_eq!(
            result.to_text(),
            new.to_text(),
            "round {round}\nold {}\npatch {}",
            old.to_text(),
            patch.to_pretty()
        );
        patched += changes(&patch).count();
        moves += changes(&patch).filter(|change| change.operation == "move").count();
    }
    assert!(patched > 4000 && moves > 100, "{patched} changes, {moves} moves");
}

#[test]
fn a_patch_is_only_for_its_version() {
    let cib = xml::parse("<cib admin_epoch='0' epoch='5' num_updates='3'/>").unwrap();
    let patch = |from: &str, to: &str| {
        xml::parse(&format!(
            "<diff format='2'><version><source {from}/><target {to}/></version></diff>"
        ))
        .unwrap()
    };
    let v = |n| format!("admin_epoch='0' epoch='5' num_updates='{n}'");
    for (from, to, expected) in [
        (3, 4, Ok(())),
        (2, 3, Err(Rc::OLD_DATA)),
        (4, 5, Err(Rc::DIFF_RESYNC)),
        (3, 3, Err(Rc::OLD_DATA)),
    ] {
        assert_eq!(apply(&cib, &patch(&v(from), &v(to))).map(|_| ()), expected, "{from} {to}");
    }
}

#[test]
fn addresses_are_read_with_care() {
    let cib = xml::parse("<cib><a id=\"x']/b[@id='y\"/><a id='z'/><!--c--></cib>").unwrap();
    let at = |path: &str| locate(&cib, path, None).map(|path| path.steps().collect::<Vec<_>>());
    assert_eq!(at("/cib"), Some(vec![]));
    assert_eq!(at("/cib/a[@id='z']"), Some(vec![1]));
    assert_eq!(at("/cib/a[@id='x']/b[@id='y']"), None);
    assert_eq!(at("/cib/comment"), Some(vec![2]));
    assert_eq!(locate(&cib, "/cib/comment", Some(1)), None);
    for path in ["", "/", "cib", "//cib", "/cib/", "/cib/a[", "/cib/a[@id='z", "/cib/a[1]", "/x"] {
        assert_eq!(at(path), None, "{path}");
    }
}

#[test]
fn a_wrong_digest_or_address_fails_the_patch() {
    let old = xml::parse("<cib crm_feature_set='3.16.1' epoch='1'><a id='1'/></cib>").unwrap();
    let mut new = old.clone();
    new.set("epoch", "2");
    new.child_mut("a").unwrap().set("x", "1");
    let mut patch = diff(&old, &new).unwrap();
    patch.set("digest", digest::v2(&new));
    assert_eq!(apply(&old, &patch), Ok(new.clone()));
    patch.set("digest", digest::v2(&old));
    assert_eq!(apply(&old, &patch), Err(Rc::DIFF_FAILED));
    patch.unset("digest");
    patch.push(
        Element::new("change")
            .with("operation", "move")
            .with("path", "/cib/b")
            .with("position", "0"),
    );
    assert_eq!(apply(&old, &patch), Err(Rc::DIFF_FAILED));
}

#[test]
fn random_patches_never_panic() {
    let mut dice = Dice(77);
    let paths = ["/cib", "/cib/a", "/cib/a[@id='1']", "/cib/comment", "/x", "", "/cib/b/c", "//"];
    for _ in 0..20_000 {
        let cib = root(&mut dice);
        let mut patch = Element::new("diff").with("format", "2");
        for _ in 0..dice.roll(6) {
            let mut change = Element::new("change")
                .with("operation", ["create", "delete", "modify", "move", "x"][dice.roll(5)])
                .with("path", paths[dice.roll(paths.len())]);
            if dice.roll(3) > 0 {
                change.set("position", ["0", "1", "99", "-1", "x"][dice.roll(5)]);
            }
            if dice.roll(2) == 0 {
                change.push(tree(&mut dice, 1));
            }
            patch.push(change);
        }
        let _ = apply(&cib, &patch);
    }
}

#[test]
fn patches_of_format_1_are_read() {
    let old = xml::parse(
        "<cib crm_feature_set='3.0.7' admin_epoch='0' num_updates='0' epoch='1'><configuration>\
         <nodes><node id='1' uname='a' type='normal'/><node id='2' uname='b'/></nodes><resources/>\
         </configuration></cib>",
    )
    .unwrap();
    let patch = "<diff crm_feature_set='3.16.1' format='1'>\
         <diff-removed admin_epoch='0' epoch='1' num_updates='0'><cib epoch='1'><configuration>\
         <nodes><node id='1' type='normal'/><node id='2' uname='b' \
         __crm_diff_marker__='removed:top'/></nodes></configuration></cib></diff-removed>\
         <diff-added admin_epoch='0' epoch='2' num_updates='0'><cib crm_feature_set='3.0.7' \
         admin_epoch='0' num_updates='0' epoch='2'><configuration><nodes><node id='1' uname='a' \
         type='member'/><node id='3' uname='c' __crm_diff_marker__='added:top'/></nodes>\
         </configuration></cib></diff-added></diff>";
    let patch = xml::parse(patch).unwrap();
    let new = apply(&old, &patch).unwrap();
    assert_eq!(
        new.to_text(),
        "<cib crm_feature_set=\"3.0.7\" admin_epoch=\"0\" num_updates=\"0\" epoch=\"2\">\
         <configuration><nodes><node id=\"1\" uname=\"a\" type=\"member\"/><node id=\"3\" \
         uname=\"c\"/></nodes><resources/></configuration></cib>"
    );
    assert_eq!(apply(&new, &patch), Err(Rc::OLD_DATA));
    let mut wrong = patch.clone();
    wrong.set("digest", "00000000000000000000000000000000");
    assert_eq!(apply(&old, &wrong), Err(Rc::DIFF_FAILED));
}
