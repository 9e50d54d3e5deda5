//! Every single node of every fifth conformance input fails: nothing panics, what is lost is
//! explained, and nothing is said to run on a node that is gone.
#![allow(clippy::unwrap_used, reason = "a test that cannot read its cases must stop")]

mod common;

use std::sync::Arc;

use common::inputs;
use scheduler::Input;
use scheduler::survive::{Quorum, Study};
use scheduler::whatif::{Play, settle};

#[test]
fn every_failure_of_one_node_is_judged() {
    let all = inputs();
    assert!(all.len() > 600, "only {} inputs", all.len());
    let mut tried = 0;
    for path in all.into_iter().step_by(5) {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let Ok(cib) = xml::parse(&std::fs::read_to_string(&path).unwrap()) else { continue };
        let input = Input { now: 1_500_000_000, ..Input::default() };
        let study = Study::new(&Arc::new(cib), input, Quorum::Count);
        let sets = study.sets(1);
        let most = if study.nodes.len() > 1 { study.nodes.len() } else { 0 };
        assert_eq!(sets.len(), most, "{name}");
        let trial = study.trial();
        for set in sets.iter().take(2) {
            let verdict = trial.try_set(set);
            tried += 1;
            let at_lost = |(node, _): &(ecow::EcoString, _)| verdict.failed.contains(node);
            assert!(!verdict.placement.0.values().flatten().any(at_lost), "{name}");
            for loss in &verdict.lost {
                assert!(!loss.why.is_empty(), "{name}: {} without a reason", loss.resource);
                assert!(!study.exempt.contains_key(&loss.resource), "{name}: {}", loss.resource);
            }
        }
    }
    assert!(tried > 150, "only {tried} failures were tried");
}

#[test]
fn what_is_at_rest_stays_at_rest() {
    for path in inputs().into_iter().step_by(7) {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let Ok(cib) = xml::parse(&std::fs::read_to_string(&path).unwrap()) else { continue };
        let input = Input { now: 1_500_000_000, ..Input::default() };
        let play = Play { input, ..Play::default() };
        let once = settle(&Arc::new(cib), play);
        if !once.stable {
            continue;
        }
        let twice = settle(&once.cib, play);
        assert_eq!(once.placement(), twice.placement(), "{name}");
        let visible = twice.transitions.iter().flatten().count();
        assert_eq!(visible, 0, "{name}: {:?}", twice.transitions);
    }
}
