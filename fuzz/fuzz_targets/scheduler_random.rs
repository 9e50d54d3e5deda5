//! Made-up clusters through the scheduler, twice, with the plan executed in between.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use scheduler::simulate::execute;
use scheduler::synthetic::{Dice, random};
use scheduler::{Input, PlanOptions};

fuzz_target!(|data: &[u8]| {
    let mut cib = Arc::new(random(&mut Dice::of(data)));
    let input = Input { now: 1_700_000_200, trace: data.len() % 2 == 0, ..Input::default() };
    let options = PlanOptions { input, transition_id: 1, compat_2_1: true };
    for _ in 0..2 {
        let mut plan = scheduler::schedule(&cib, options);
        let _ = plan.sched.to_dot(true, true);
        let text = plan.sched.graph_text();
        assert!(xml::parse(&text).is_ok(), "{text}");
        execute(&mut cib, &plan.sched, &[], 1_700_000_201);
    }
});
