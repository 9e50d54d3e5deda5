//! Changes the live CIB at random and checks that all nodes still have the same: `churn NODES
//! ROUNDS [SEED]`, NODES being names separated by commas. For a mixed cluster it is the test that
//! both implementations understand every operation alike.

use std::time::Duration;

use cib::digest;
use pacemaker_client::cib::{CALL_TIMEOUT, Live, Op, Request, call};
use xml::Element;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.roll(words.len())]
    }
}

/// How long a node may take to show its copy.
const ANSWER: Duration = Duration::from_secs(10);

const VALUES: [&str; 8] = ["1", "x", "it's", "a\"b", "<&>", "", "\u{e9}t\u{e9}", "value=x"];

/// A node of the configuration, with attributes now and then.
fn node(dice: &mut Dice) -> Element {
    let id = 100 + dice.roll(6);
    let mut node = Element::new("node");
    if dice.roll(4) == 0 {
        node.set("uname", format!("n{id}"));
        node.set("id", id.to_string());
    } else {
        node.set("id", id.to_string());
        node.set("uname", format!("n{id}"));
    }
    if dice.roll(3) == 0 {
        node.set("description", dice.pick(&VALUES));
    }
    for set in 0..dice.roll(3) {
        let set_id = format!("n{id}-{set}");
        let mut attributes = Element::new("instance_attributes").with("id", set_id.as_str());
        for pair in 0..dice.roll(3) {
            attributes.push(
                Element::new("nvpair")
                    .with("id", format!("{set_id}-{pair}"))
                    .with("name", format!("p{pair}"))
                    .with("value", dice.pick(&VALUES)),
            );
        }
        node.push(attributes);
    }
    node
}

/// Anything; the status section takes it.
fn thing(dice: &mut Dice, depth: usize) -> Element {
    let mut thing = Element::new(dice.pick(&["a", "b", "c"]));
    thing.set("id", format!("t{}", dice.roll(5)));
    if dice.roll(3) == 0 {
        let name = dice.pick(&["v", "w"]);
        let value = match dice.roll(5) {
            0 => format!("{name}++"),
            1 => format!("{name}+=3"),
            _ => dice.pick(&VALUES).to_owned(),
        };
        thing.set(name, value);
    }
    if depth > 0 {
        for _ in 0..dice.roll(3) {
            thing.push(self::thing(dice, depth - 1));
        }
    }
    thing
}

fn step(live: &mut Live, dice: &mut Dice) -> String {
    let status = dice.roll(2) == 0;
    let section = if status { "status" } else { "nodes" };
    let object = if status { thing(dice, 2) } else { node(dice) };
    let wrapped = dice.roll(3) == 0;
    let mut data = object.clone();
    if wrapped {
        data = Element::new(section).with_child(object.clone());
        // 2.1.5 keeps half of a create in the status section that fails in its middle.
        if !status && dice.roll(2) == 0 {
            data.push(if status { thing(dice, 1) } else { node(dice) });
        }
    }
    let shallow = {
        let mut pattern = object.clone();
        pattern.clear_children();
        if dice.roll(2) == 0 {
            pattern.retain_attrs(|name, _| name == "id");
        }
        pattern
    };
    // Matches never lie in each other: 2.1.5's manager dies of such a delete.
    let top = if status { "/cib/status" } else { "/cib/configuration/nodes" };
    let xpath = match dice.roll(4) {
        0 => format!("{top}/{}[@id='{}']", object.name(), object.id().unwrap_or("")),
        1 => format!("{top}/{}", object.name()),
        2 => format!("{top}/{}[@description or @v]", object.name()),
        _ => format!("{top}/*[last()]"),
    };
    let multiple = if dice.roll(2) == 0 { call::MULTIPLE } else { 0 };
    let can_create = if dice.roll(2) == 0 { call::CAN_CREATE } else { 0 };
    let x = call::XPATH;
    let (op, section, data, options) = match dice.roll(12) {
        0 | 1 => (Op::Create, section, Some(data), 0),
        2 | 3 => (Op::Modify, section, Some(data), can_create),
        4 => (Op::Modify, "", Some(data), 0),
        5 => (Op::Modify, xpath.as_str(), Some(object), x | multiple),
        6 => (Op::Replace, section, Some(data), 0),
        7 => (Op::Replace, xpath.as_str(), Some(object), x | multiple),
        8 => (Op::Delete, section, Some(shallow), 0),
        9 => (Op::Delete, xpath.as_str(), None, x | multiple),
        10 => (Op::Delete, "", Some(shallow), 0),
        _ => (Op::Bump, "", None, 0),
    };
    let request = Request {
        section: Some(section).filter(|section| !section.is_empty()),
        data,
        options,
        ..Request::default()
    };
    let result = live.call(op, &request, CALL_TIMEOUT);
    let rc = result.map_or_else(|failure| failure.rc, |_| cib::Rc::OK);
    let data = request.data.map_or_else(String::new, |data| data.to_text());
    format!("{} {section} {options:#x} {data} -> {rc:?}", op.as_str())
}

fn copies(live: &mut Live, nodes: &[String]) -> Vec<Element> {
    let of = |live: &mut Live, node: &String| {
        let request = Request { host: Some(node), ..Request::default() };
        live.call(Op::Query, &request, ANSWER).ok().flatten().unwrap_or_default()
    };
    nodes.iter().map(|node| of(live, node)).collect()
}

fn all_equal(copies: &[Element]) -> bool {
    copies.windows(2).all(|pair| digest::v2(&pair[0]) == digest::v2(&pair[1]))
}

fn main() {
    let mut args = std::env::args().skip(1);
    let nodes: Vec<String> =
        args.next().unwrap_or_default().split(',').map(str::to_owned).collect();
    let rounds: usize = args.next().and_then(|text| text.parse().ok()).unwrap_or(100);
    let mut dice = Dice(args.next().and_then(|text| text.parse().ok()).unwrap_or(1) | 1);
    let mut live = match Live::connect("cib_rw", "churn") {
        Ok(live) => live,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    let (mut good, mut refused) = (0, 0);
    for round in 0..rounds {
        let what = step(&mut live, &mut dice);
        if what.ends_with("OK (0)") {
            good += 1;
        } else {
            refused += 1;
        }
        let mut copies = copies(&mut live, &nodes);
        // The controller writes, too: give it time to come to rest before calling it different.
        for _ in 0..20 {
            if all_equal(&copies) {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
            copies = self::copies(&mut live, &nodes);
        }
        if !all_equal(&copies) {
            let digests: Vec<String> = copies.iter().map(digest::v2).collect();
            println!("round {round}: {what}\n  left different copies: {digests:?}");
            for (node, copy) in nodes.iter().zip(&copies) {
                let _ = std::fs::write(format!("/tmp/churn.{node}.xml"), copy.to_pretty());
            }
            std::process::exit(1);
        }
    }
    println!("{rounds} rounds ({good} done, {refused} refused): all copies equal");
}
