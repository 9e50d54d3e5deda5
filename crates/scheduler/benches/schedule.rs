//! The library call at the sizes of `docs/performance.md`: `cargo bench -p scheduler`.
//!
//! `cargo bench -p scheduler -- 1000x16` measures that size only (resources × nodes).

use std::sync::Arc;
use std::time::{Duration, Instant};

use scheduler::synthetic::{State, big};
use scheduler::{Input, PlanOptions};

fn main() {
    // cargo passes `--bench`; what remains is sizes.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    println!(
        "{:>12} {:>8} {:>10} {:>10} {:>8}",
        "size", "state", "status ms", "plan ms", "actions"
    );
    for resources in [100, 1000, 5000, 10_000] {
        for nodes in [3, 16, 32] {
            let size = format!("{resources}x{nodes}");
            if !wanted.is_empty() && !wanted.contains(&size) {
                continue;
            }
            for state in [State::Start, State::Running, State::Failed] {
                measure(&size, nodes, resources, state);
            }
        }
    }
}

fn measure(size: &str, nodes: usize, resources: usize, state: State) {
    let text = big(nodes, resources, state);
    let cib = match xml::parse(&text) {
        Ok(cib) => Arc::new(cib),
        Err(error) => {
            println!("{size:>12} {state:>8?} {error}");
            return;
        }
    };
    drop(text);
    let input = Input { now: 1_700_000_100, ..Input::default() };
    let options = PlanOptions { input, transition_id: 1, compat_2_1: true };
    let (mut status, mut plan, mut actions) = (Duration::MAX, Duration::MAX, 0);
    let begin = Instant::now();
    // At least three times, small ones for about half a second.
    for round in 0.. {
        if round >= 3 && begin.elapsed() > Duration::from_millis(500) {
            break;
        }
        let start = Instant::now();
        let sched = scheduler::status(&cib, input);
        status = status.min(start.elapsed());
        let start = Instant::now();
        let planned = scheduler::schedule_status(sched, options);
        plan = plan.min(start.elapsed());
        actions = planned.sched.graph.len();
    }
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!("{size:>12} {state:>8?} {:>10.2} {:>10.2} {actions:>8}", ms(status), ms(plan));
}
