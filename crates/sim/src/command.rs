//! `quorate-sim SEED [NODES]`: replays one storm and prints what went wrong.

use crate::storm::{Storm, run_storm};
use base::Applet;

/// The storm that the tests run for a seed.
pub(crate) fn storm_of(seed: u64, nodes: usize) -> Storm {
    Storm {
        seed,
        nodes,
        faults: 12,
        long_messages: !seed.is_multiple_of(2),
        bad_network: !seed.is_multiple_of(3),
    }
}

fn quorate_sim(args: &[String]) -> i32 {
    let mut numbers = args.iter().skip(1).map(|arg| arg.parse::<u64>());
    let seed = match numbers.next() {
        Some(Ok(seed)) => seed,
        _ => {
            eprintln!("usage: quorate-sim SEED [NODES]");
            return 64;
        }
    };
    let nodes = match numbers.next() {
        None => 2 + (seed % 4) as usize,
        Some(Ok(nodes @ 1..=64)) => nodes as usize,
        Some(_) => {
            eprintln!("quorate-sim: between 1 and 64 nodes");
            return 64;
        }
    };
    let outcome = run_storm(&storm_of(seed, nodes));
    println!(
        "seed {seed}, {nodes} nodes: {} deliveries, {} configurations, {} events, trace {:016x}",
        outcome.delivered, outcome.configurations, outcome.trace.0, outcome.trace.1
    );
    for violation in &outcome.violations {
        println!("{violation:?}");
    }
    i32::from(!outcome.violations.is_empty())
}

pub(crate) fn applets() -> Vec<Applet> {
    vec![Applet { name: "quorate-sim", dir: "", run: quorate_sim }]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storms(seeds: std::ops::Range<u64>, nodes: impl Fn(u64) -> usize) {
        let mut delivered = 0;
        for seed in seeds {
            let outcome = run_storm(&storm_of(seed, nodes(seed)));
            let first = &outcome.violations[..outcome.violations.len().min(4)];
            assert!(first.is_empty(), "quorate-sim {seed} {}: {first:#?}", nodes(seed));
            delivered += outcome.delivered;
        }
        assert!(delivered > 1000, "a storm without messages tests nothing");
    }

    #[test]
    fn promises_hold_in_small_clusters() {
        storms(0..150, |seed| 2 + (seed % 4) as usize);
    }

    #[test]
    fn promises_hold_in_large_clusters() {
        storms(1000..1002, |_| 16);
        storms(1002..1003, |_| 32);
    }

    #[test]
    fn a_seed_replays_exactly() {
        let storm = storm_of(7, 4);
        assert_eq!(run_storm(&storm).trace, run_storm(&storm).trace);
        assert_ne!(run_storm(&storm).trace, run_storm(&Storm { seed: 8, ..storm }).trace);
    }
}
