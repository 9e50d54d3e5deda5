//! Rules, with attributes to look at and a time to be in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scheduler::model::Attrs;
use scheduler::rules::{RuleInput, passes};

fuzz_target!(|text: &str| {
    let Ok(rule) = xml::parse(text) else { return };
    let attrs: Attrs = [("a", "1"), ("site", "b"), ("v", "1.2.3")]
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let input = RuleInput {
        now: 1_700_000_000,
        local_offset: 3600,
        node_attrs: Some(&attrs),
        params: Some(&attrs),
        meta: Some(&attrs),
        agent: Some(("ocf", Some("pacemaker"), "Dummy")),
        op: Some(("monitor", 10_000)),
        ..RuleInput::default()
    };
    for element in rule.descendants() {
        let _ = passes(element, &input);
    }
});
