//! `cargo bench -p cib`: what the document costs at 100 KB, 1 MB and 10 MB. The best of several
//! runs counts, because the machine is shared.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cib::request::{Request, perform};
use cib::{Op, sample};
use xml::Element;

fn best<T>(mut run: impl FnMut() -> T) -> Duration {
    let (mut best, begin) = (Duration::MAX, Instant::now());
    let mut rounds = 0;
    while rounds < 5 || (begin.elapsed() < Duration::from_millis(700) && rounds < 200) {
        let start = Instant::now();
        black_box(run());
        best = best.min(start.elapsed());
        rounds += 1;
    }
    best
}

fn main() {
    println!("{:<42}{:>12}{:>12}{:>12}", "", "100 KB", "1 MB", "10 MB");
    let documents = [100_000, 1_000_000, 10_000_000].map(|bytes| Arc::new(sample::of_size(bytes)));
    let row = |name: &str, run: &mut dyn FnMut(&Arc<Element>) -> Duration| {
        let times: Vec<String> = documents
            .iter()
            .map(|document| format!("{:>9.3} ms", run(document).as_secs_f64() * 1e3))
            .collect();
        println!("{name:<42}{}", times.join(""));
    };
    row("parse", &mut |cib| {
        let text = cib.to_text();
        best(|| xml::parse(&text))
    });
    row("canonical text", &mut |cib| best(|| cib.to_text()));
    row("formatted text", &mut |cib| best(|| cib.to_pretty()));
    row("digest", &mut |cib| best(|| cib::digest::v2(cib)));
    row("validate", &mut |cib| best(|| cib::schema::validate(cib)));
    row("snapshot", &mut |cib| best(|| Arc::clone(cib)));
    row("diff, shared trees, one attribute", &mut |cib| {
        let new = changed(cib);
        best(|| cib::diff::diff(cib, &new))
    });
    row("diff, separate trees, one attribute", &mut |cib| {
        let new = xml::parse(&changed(cib).to_text());
        best(|| new.as_ref().map(|new| cib::diff::diff(cib, new)))
    });
    row("apply a patch of one attribute", &mut |cib| {
        let patch = cib::diff::diff(cib, &changed(cib));
        best(|| patch.as_ref().map(|patch| cib::patch::apply(cib, patch)))
    });
    row("change one attribute (whole operation)", &mut |cib| {
        let mut current = Arc::clone(cib);
        let mut number = 0;
        best(|| {
            number += 1;
            let update = Element::new("primitive")
                .with("id", "rsc1")
                .with("description", number.to_string());
            let request = Request {
                section: "resources",
                input: Some(&update),
                now: "Sat Nov 21 06:00:00 2026",
                ..Request::default()
            };
            let outcome = perform(&current, Op::Modify, &request);
            current = outcome.document.unwrap_or_else(|| Arc::clone(&current));
        })
    });
}

fn changed(cib: &Element) -> Element {
    let mut new = cib.clone();
    if let Some(primitive) = new
        .at_mut(&["configuration", "resources"])
        .and_then(|resources| resources.child_with_id_mut("primitive", "rsc5"))
    {
        primitive.set("description", "changed");
    }
    new
}
