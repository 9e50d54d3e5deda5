//! Changed texts of documents through the scheduler: the seeds are conformance cases.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use scheduler::simulate::execute;
use scheduler::{Input, PlanOptions};

fuzz_target!(|text: &str| {
    let Ok(cib) = xml::parse(text) else { return };
    let mut cib = Arc::new(cib);
    let input = Input { now: 1_700_000_200, show_scores: true, ..Input::default() };
    let options = PlanOptions { input, transition_id: 1, compat_2_1: false };
    let plan = scheduler::schedule(&cib, options);
    let _ = plan.sched.graph_text();
    execute(&mut cib, &plan.sched, &[], 1_700_000_201);
});
