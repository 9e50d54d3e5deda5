//! Recording why changes nothing, and leaves no change of a score unexplained.
//!
//! Runs over all inputs of the conformance cases.
#![allow(clippy::unwrap_used, reason = "a test that cannot read its cases must stop")]

mod common;

use std::sync::Arc;

use base::Json;
use common::inputs;
use scheduler::synthetic::{Dice, random};
use scheduler::trace::Source;
use scheduler::{Input, PlanOptions, Sched, explain};
use xml::Element;

/// Words for all there is; a resource that runs nowhere is told why.
fn everything_can_be_explained(sched: &Sched, name: &str) {
    for rsc in &sched.top {
        let report = sched.explain_resource(*rsc, None);
        assert!(!report.summary.is_empty(), "{name}: nothing to say of {}", report.id);
        assert!(!explain::text::resource(&report, true).is_empty());
        assert!(!Json::from(&report).to_string().is_empty());
    }
    for node in sched.nodes.ids() {
        let report = sched.explain_node(node);
        assert!(!report.summary.is_empty(), "{name}: nothing to say of {}", report.name);
        assert!(!explain::text::node(&report).is_empty());
        assert!(!Json::from(&report).to_string().is_empty());
    }
    for action in sched.actions.ids() {
        let report = sched.explain_action(action);
        let told = report.state == "not-needed" || !report.why.is_empty();
        assert!(told, "{name}: no reason for {}", report.key);
        for wait in &report.waits_for {
            let known = report.state != "planned" || !wait.because.is_empty();
            assert!(known, "{name}: {} waits for {} without a reason", report.key, wait.key);
        }
    }
}

/// Plans with and without the trace, compares, explains all; changes of scores without a source.
fn check(cib: Element, name: &str) -> Vec<String> {
    let cib = Arc::new(cib);
    let input = Input { now: 1_500_000_000, show_scores: true, ..Input::default() };
    let options = PlanOptions { input, transition_id: 7, compat_2_1: false };
    let off = scheduler::schedule(&cib, options);
    assert!(off.sched.trace.is_none());
    let traced = Input { trace: true, ..input };
    let on = scheduler::schedule(&cib, PlanOptions { input: traced, ..options });
    assert!(off.sched.graph_text() == on.sched.graph_text(), "{name}: another graph");
    assert_eq!(off.summary, on.summary, "{name}");
    assert_eq!(off.sched.score_lines, on.sched.score_lines, "{name}");
    everything_can_be_explained(&on.sched, name);
    let trace = on.sched.trace.as_ref().unwrap();
    trace
        .all_scores()
        .filter(|c| c.source == Source::Unknown)
        .map(|c| {
            let (rsc, node) = (&on.sched.rscs[c.rsc].id, &on.sched.nodes[c.node].name);
            format!("{name}: {rsc} on {node} {:?} -> {:?}", c.before, c.after)
        })
        .collect()
}

#[test]
fn the_plan_is_the_same_with_and_without_the_trace() {
    let all = inputs();
    assert!(all.len() > 600, "only {} inputs", all.len());
    let mut gaps = Vec::new();
    for path in all {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let Ok(cib) = xml::parse(&std::fs::read_to_string(&path).unwrap()) else { continue };
        gaps.extend(check(cib, &name));
    }
    assert!(gaps.is_empty(), "{} changes without a source:\n{}", gaps.len(), gaps.join("\n"));
}

#[test]
fn so_it_is_for_made_up_clusters() {
    let mut gaps = Vec::new();
    for seed in 0..150 {
        gaps.extend(check(random(&mut Dice::new(seed)), &format!("seed {seed}")));
    }
    assert!(gaps.is_empty(), "{} changes without a source:\n{}", gaps.len(), gaps.join("\n"));
}
