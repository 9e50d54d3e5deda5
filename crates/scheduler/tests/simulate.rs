//! Playing with a state changes the document as its keeper would: what is written where, and how
//! the counters go. The expectations were measured on Pacemaker's own `crm_simulate`.
#![allow(clippy::unwrap_used, reason = "a test's own document is right")]

use std::sync::Arc;

use cib::CibVersion;
use scheduler::simulate::{Injections, OpSpec, Step, execute, inject};
use scheduler::{Input, PlanOptions};
use xml::Element;

const CIB: &str = "<cib crm_feature_set='3.16.1' validate-with='pacemaker-4.0' admin_epoch='1' \
    epoch='10' num_updates='5' have-quorum='1' dc-uuid='1'><configuration><crm_config/>\
    <nodes><node id='1' uname='n1'/><node id='2' uname='n2'/></nodes><resources>\
    <primitive id='st' class='stonith' type='fence_x'/>\
    <primitive id='a' class='ocf' provider='pacemaker' type='Dummy'><operations>\
    <op id='a-m' name='monitor' interval='10s'/></operations></primitive></resources>\
    <constraints/></configuration><status>\
    <node_state id='1' uname='n1' in_ccm='true' crmd='online' join='member' expected='member'>\
    <lrm id='1'><lrm_resources/></lrm><transient_attributes id='1'>\
    <instance_attributes id='status-1'><nvpair id='status-1-x' name='x' value='1'/>\
    </instance_attributes></transient_attributes></node_state>\
    <node_state id='2' uname='n2' in_ccm='true' crmd='online' join='member' expected='member'/>\
    </status></cib>";

const NOW: i64 = 1_700_000_000;

fn document() -> Arc<Element> {
    Arc::new(xml::parse(CIB).unwrap())
}

fn input() -> Input {
    Input { now: NOW, sanitized: true, ..Input::default() }
}

fn counters(cib: &Element) -> (u32, u32) {
    let version = CibVersion::of(cib);
    (u32::try_from(version.epoch).unwrap(), u32::try_from(version.num_updates).unwrap())
}

fn injected(injections: &Injections) -> (Arc<Element>, Vec<Step>) {
    let mut cib = document();
    let sched = scheduler::status(&cib, input());
    let steps = inject(&mut cib, injections, &sched, NOW);
    (cib, steps)
}

fn state<'a>(cib: &'a Element, name: &str) -> &'a Element {
    let status = cib.child("status").unwrap();
    status.children().find(|state| state.get("uname") == Some(name)).unwrap()
}

#[test]
fn events_are_counted_as_the_documents_keeper_counts_them() {
    let none = Injections::default;
    for (injections, expected, text) in [
        (Injections { node_up: vec!["n1".into()], ..none() }, (10, 6), "Bringing node n1 online"),
        (Injections { node_up: vec!["n3".into()], ..none() }, (11, 2), "Bringing node n3 online"),
        (Injections { node_down: vec!["n1".into()], ..none() }, (10, 8), "Taking node n1 offline"),
        (Injections { node_down: vec!["n2".into()], ..none() }, (10, 6), "Taking node n2 offline"),
        (Injections { node_fail: vec!["n1".into()], ..none() }, (10, 6), "Failing node n1"),
        (Injections { node_down: vec!["n9".into()], ..none() }, (10, 5), "Taking node n9 offline"),
        (Injections { watchdog: Some("1".into()), ..none() }, (11, 0), "Setting watchdog: 1"),
        (Injections { quorum: Some("0".into()), ..none() }, (10, 6), "Setting quorum: 0"),
        (Injections { quorum: Some("true".into()), ..none() }, (10, 5), "Setting quorum: true"),
        (Injections { ticket_grant: vec!["T".into()], ..none() }, (10, 6), "Granting ticket T"),
        (
            Injections { ticket_standby: vec!["T".into()], ..none() },
            (10, 6),
            "Making ticket T standby",
        ),
        (
            Injections { op_inject: vec!["a_monitor_10000@n1=1".into()], ..none() },
            (10, 6),
            "Injecting a_monitor_10000@n1=1 into the configuration",
        ),
        (
            Injections { op_inject: vec!["a_stop@n1".into()], ..none() },
            (10, 5),
            "Injecting a_stop@n1 into the configuration",
        ),
    ] {
        let (cib, steps) = injected(&injections);
        assert_eq!(counters(&cib), expected, "{text}");
        assert_eq!(steps[0].text(), text);
    }
}

#[test]
fn what_makes_no_sense_is_said_in_upstreams_words() {
    for (spec, message) in [
        ("a_stop@n1", "Invalid operation spec: a_stop@n1.  Only found 2 fields"),
        ("a_stop_0", "Invalid operation spec: a_stop_0.  Only found 1 fields"),
        ("@n1=1", "Invalid operation spec: @n1=1.  Only found 0 fields"),
        ("", "Invalid operation spec: .  Only found -1 fields"),
        ("b_stop_0@n1=1", "Invalid resource name: b"),
    ] {
        let (_, steps) =
            injected(&Injections { op_inject: vec![spec.into()], ..Injections::default() });
        assert_eq!(steps.last(), Some(&Step::Wrong(message.to_owned())), "{spec}");
    }
}

#[test]
fn a_failure_is_recorded_and_counted() {
    let spec = "a_monitor_10000@n1=7";
    let (cib, steps) =
        injected(&Injections { op_inject: vec![spec.into()], ..Injections::default() });
    assert_eq!(
        steps[1].text(),
        "Injecting attribute fail-count-a#monitor_10000=1 into /node_state '1'"
    );
    let attributes = state(&cib, "n1").at(&["transient_attributes", "instance_attributes"]);
    let pair = attributes.unwrap().children().nth(1).unwrap();
    assert_eq!(pair.id(), Some("status-1-fail-count-a.monitor_10000"));
    let op = state(&cib, "n1").find_id("a_last_failure_0").unwrap();
    assert_eq!(op.get("exit-reason"), Some("Simulated action result"));
    assert_eq!(op.get("transition-magic"), Some("0:7;1:-1:0:xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"));
    assert_eq!(op.get("op-digest"), None);
}

#[test]
fn a_transition_on_paper_is_one_change_an_action() {
    let mut cib = document();
    let options = PlanOptions { input: input(), transition_id: 1, compat_2_1: false };
    let plan = scheduler::schedule(&cib, options);
    let done = execute(&mut cib, &plan.sched, &[], NOW);
    // Four probes, two starts, one recurring monitor.
    assert_eq!(done.steps.len(), 7);
    assert_eq!(counters(&cib), (10, 12));
    let op = state(&cib, "n2").find_id("a_monitor_10000").unwrap();
    assert_eq!(op.get("call-id"), Some("3"));
    assert_eq!(op.get("op-digest"), Some("4811cef7f7f94e3a35a70be7916cb2fd"));
    // The result is a state in which nothing is left to do.
    assert!(scheduler::schedule(&cib, options).changes.is_empty());
}

#[test]
fn a_failure_on_paper_stops_what_follows() {
    let mut cib = document();
    let options = PlanOptions { input: input(), transition_id: 1, compat_2_1: false };
    let plan = scheduler::schedule(&cib, options);
    let fails = [OpSpec::parse("a_start_0@n2=1").unwrap()];
    let done = execute(&mut cib, &plan.sched, &fails, NOW);
    let texts: Vec<String> = done.steps.iter().map(Step::text).collect();
    assert!(texts.iter().any(|text| text.starts_with("Pretending action")), "{texts:?}");
    assert!(!texts.iter().any(|text| text.contains("monitor=10000")), "{texts:?}");
    assert_eq!(counters(&cib), (10, 11));
    let op = state(&cib, "n2").find_id("a_last_failure_0").unwrap();
    assert_eq!(op.get("exit-reason"), Some("User-injected result"));
}

#[test]
fn a_record_keeps_what_the_new_one_does_not_say() {
    let mut cib = document();
    let options = PlanOptions { input: input(), transition_id: 1, compat_2_1: false };
    let history = xml::parse(
        "<lrm_resource id='a' class='ocf' provider='pacemaker' type='Dummy'><lrm_rsc_op \
         id='a_last_0' operation='stop' operation_key='a_stop_0' interval='0' call-id='-1' \
         rc-code='0' op-status='0' transition-key='1:1:0:u' transition-magic='0:0;1:1:0:u' \
         op-restart-digest='kept'/></lrm_resource>",
    );
    let states = Arc::make_mut(&mut cib).child_mut("status").unwrap();
    states
        .children_mut()
        .next()
        .and_then(|state| state.at_mut(&["lrm", "lrm_resources"]))
        .unwrap()
        .push(history.unwrap());
    let plan = scheduler::schedule(&cib, options);
    execute(&mut cib, &plan.sched, &[], NOW);
    let on_n1 = state(&cib, "n1").find_id("a_last_0").unwrap();
    assert_eq!(on_n1.get("op-restart-digest"), Some("kept"));
}
