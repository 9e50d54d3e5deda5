//! Times changes of one attribute in a document: `updates FILE [N]`.

use std::sync::Arc;
use std::time::Instant;

use cib::options::call;
use cib::request::{Request, perform};
use cib::{Op, digest};
use xml::Element;

fn main() {
    let mut args = std::env::args().skip(1);
    let path = args.next().unwrap_or_default();
    let rounds: u32 = args.next().and_then(|n| n.parse().ok()).unwrap_or(1000);
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("{path}: cannot be read");
        std::process::exit(1);
    };
    let start = Instant::now();
    let mut document = match xml::parse(&text) {
        Ok(document) => Arc::new(document),
        Err(error) => {
            eprintln!("{path}: {error}");
            std::process::exit(1);
        }
    };
    println!("parse: {:?} for {} bytes", start.elapsed(), text.len());
    let start = Instant::now();
    println!("digest {}: {:?}", digest::v2(&document), start.elapsed());
    let nodes = document.xpath("//node_state").unwrap_or_default();
    let id = nodes.last().and_then(|node| node.id()).unwrap_or("1").to_owned();
    let start = Instant::now();
    let mut patches = 0;
    for round in 0..rounds {
        let pair = Element::new("nvpair")
            .with("id", format!("status-{id}-bench"))
            .with("name", "bench")
            .with("value", round.to_string());
        let set =
            Element::new("instance_attributes").with("id", format!("status-{id}")).with_child(pair);
        let attributes =
            Element::new("transient_attributes").with("id", id.as_str()).with_child(set);
        let state = Element::new("node_state").with("id", id.as_str()).with_child(attributes);
        let input = Element::new("status").with_child(state);
        let request = Request {
            section: "status",
            input: Some(&input),
            options: call::CAN_CREATE,
            ..Request::default()
        };
        let outcome = perform(&document, Op::Modify, &request);
        patches += usize::from(outcome.diff.is_some());
        if let Some(new) = outcome.document {
            document = new;
        }
    }
    let spent = start.elapsed();
    println!("{rounds} changes, {patches} patches: {:?} each", spent / rounds.max(1));
}
