//! No input makes the scheduler panic: a rich cluster, damaged at random, is planned and executed.

use std::sync::Arc;

use scheduler::simulate::{Injections, execute, inject};
use scheduler::survive::{Quorum, Study};
use scheduler::{Input, PlanOptions, explain};
use xml::{Element, Node};

const CIB: &str = r##"<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" have-quorum="1" dc-uuid="1"><configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="true"/><nvpair id="o2" name="placement-strategy" value="balanced"/><nvpair id="o3" name="priority-fencing-delay" value="15s"/></cluster_property_set></crm_config><nodes><node id="1" uname="n1"><utilization id="u1"><nvpair id="u1c" name="cpu" value="4"/></utilization></node><node id="2" uname="n2"/><node id="3" uname="n3"/></nodes><resources><primitive id="f" class="stonith" type="fence_x"><meta_attributes id="fm"><nvpair id="fm1" name="provides" value="unfencing"/></meta_attributes></primitive><primitive id="r" class="ocf" provider="pacemaker" type="remote"/><group id="g"><primitive id="a" class="ocf" provider="pacemaker" type="Dummy"><operations><op id="ao" name="monitor" interval="10s"/></operations><utilization id="au"><nvpair id="auc" name="cpu" value="2"/></utilization></primitive><primitive id="b" class="ocf" provider="pacemaker" type="Dummy"><meta_attributes id="bm"><nvpair id="bm1" name="allow-migrate" value="true"/><nvpair id="bm2" name="remote-node" value="guest"/></meta_attributes></primitive></group><clone id="m"><meta_attributes id="mm"><nvpair id="mm1" name="promotable" value="true"/><nvpair id="mm2" name="notify" value="true"/><nvpair id="mm3" name="clone-max" value="2"/><nvpair id="mm4" name="interleave" value="true"/></meta_attributes><primitive id="p" class="ocf" provider="pacemaker" type="Stateful"><operations><op id="po" name="monitor" interval="10s" role="Promoted" on-fail="demote"/><op id="po2" name="monitor" interval="11s" role="Unpromoted"/></operations></primitive></clone><bundle id="w"><docker image="i" replicas="2" promoted-max="1"/><network ip-range-start="192.0.2.1"><port-mapping id="pm" port="80"/></network><primitive id="h" class="ocf" provider="heartbeat" type="apache"/></bundle></resources><constraints><rsc_location id="l" rsc="g" node="n1" score="10"/><rsc_location id="l2" rsc-pattern="^(.)$"><rule id="l2r" score="-INFINITY"><expression id="l2e" attribute="#uname" operation="eq" value="n3"/></rule></rsc_location><rsc_colocation id="c" rsc="g" with-rsc="m" with-rsc-role="Promoted" score="INFINITY"/><rsc_colocation id="c2" rsc="w" with-rsc="a" score="-100"/><rsc_order id="d" first="m" first-action="promote" then="g" then-action="start"/><rsc_order id="d2"><resource_set id="s1" require-all="false"><resource_ref id="a"/><resource_ref id="m"/></resource_set><resource_set id="s2"><resource_ref id="w"/></resource_set></rsc_order><rsc_ticket id="t" rsc="g" ticket="T" loss-policy="fence"/></constraints></configuration><status><tickets><ticket_state id="T" granted="true"/></tickets><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"><transient_attributes id="1"><instance_attributes id="s"><nvpair id="s3" name="master-p" value="10"/><nvpair id="s4" name="fail-count-a#monitor_10000" value="3"/></instance_attributes></transient_attributes><lrm id="1"><lrm_resources><lrm_resource id="a" class="ocf" provider="pacemaker" type="Dummy"><lrm_rsc_op id="a_last_0" operation="start" operation_key="a_start_0" interval="0" call-id="5" rc-code="0" op-status="0" last-rc-change="100" transition-key="1:1:0:u" transition-magic="0:0;1:1:0:u" op-digest="x"/><lrm_rsc_op id="a_last_failure_0" operation="monitor" operation_key="a_monitor_10000" interval="10000" call-id="6" rc-code="7" op-status="0" last-rc-change="100" transition-key="2:1:0:u" transition-magic="0:7;2:1:0:u"/></lrm_resource><lrm_resource id="b" class="ocf" provider="pacemaker" type="Dummy"><lrm_rsc_op id="b_migrate_to_0" operation="migrate_to" interval="0" call-id="5" rc-code="0" op-status="0" migrate_source="n1" migrate_target="n2" transition-key="1:1:0:u" transition-magic="0:0;1:1:0:u"/></lrm_resource><lrm_resource id="p" class="ocf" provider="pacemaker" type="Stateful"><lrm_rsc_op id="p_last_0" operation="promote" interval="0" call-id="7" rc-code="0" op-status="0" transition-key="1:1:0:u" transition-magic="0:0;1:1:0:u"/></lrm_resource><lrm_resource id="w-docker-0" class="ocf" provider="heartbeat" type="docker"><lrm_rsc_op id="wd_last_0" operation="start" interval="0" call-id="8" rc-code="0" op-status="0" transition-key="1:1:0:u"/></lrm_resource><lrm_resource id="gone" class="ocf" provider="pacemaker" type="Dummy"><lrm_rsc_op id="gone_last_0" operation="start" interval="0" call-id="9" rc-code="0" op-status="0" transition-key="1:1:0:u"/></lrm_resource></lrm_resources></lrm></node_state><node_state id="2" uname="n2" in_ccm="false" crmd="offline" join="down" expected="member"><lrm id="2"><lrm_resources><lrm_resource id="p" class="ocf" provider="pacemaker" type="Stateful"><lrm_rsc_op id="p_last_0" operation="start" interval="0" call-id="7" rc-code="0" op-status="0" transition-key="1:1:0:u"/></lrm_resource></lrm_resources></lrm></node_state><node_state id="3" uname="n3" in_ccm="true" crmd="online" join="member" expected="member"/></status></cib>"##;

/// Values that have meaning somewhere, and numbers at the edges.
const WORDS: &[&str] = &[
    "",
    "0",
    "1",
    "-1",
    "true",
    "false",
    "INFINITY",
    "-INFINITY",
    "9223372036854775807",
    "-9223372036854775808",
    "2147483648",
    "a",
    "b",
    "g",
    "m",
    "p",
    "w",
    "r",
    "guest",
    "n1",
    "n2",
    "Promoted",
    "Stopped",
    "stop",
    "start",
    "monitor",
    "promote",
    "migrate_from",
    "block",
    "fence",
    "standby",
    "restart-container",
    "P1D",
    "99999999999h",
    "2024-13-45",
    "%1",
    "((",
    "7",
    "8",
    "193",
    "freeze",
    "demote",
    "suicide",
    "exclusive",
    "never",
    "remote",
    "minimal",
];

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit.max(1)
    }
}

/// Damages one place of the tree.
fn damage(element: &mut Element, random: &mut Random) {
    let children = element.nodes().len();
    if children > 0 && random.below(5) > 0 {
        let at = random.below(children);
        if let Node::Element(child) = &mut element.nodes_mut()[at] {
            damage(Arc::make_mut(child), random);
        }
        return;
    }
    match random.below(4) {
        0 if children > 0 => {
            let at = random.below(children);
            element.nodes_mut().remove(at);
        }
        1 if children > 0 => {
            let copy = element.nodes()[random.below(children)].clone();
            element.nodes_mut().push(copy);
        }
        _ => {
            let names: Vec<String> = element.attrs().map(|(name, _)| name.to_owned()).collect();
            if let Some(name) = names.get(random.below(names.len())) {
                if random.below(6) == 0 {
                    element.unset(name);
                } else {
                    element.set(name, WORDS[random.below(WORDS.len())]);
                }
            }
        }
    }
}

#[test]
fn damaged_clusters_are_planned_without_panic() {
    let whole = xml::parse(CIB).unwrap();
    for seed in 0..250_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut cib = whole.clone();
        for _ in 0..=random.below(12) {
            damage(&mut cib, &mut random);
        }
        let mut cib = Arc::new(cib);
        let input = Input { now: 1_700_000_000, show_scores: true, ..Input::default() };
        let options = PlanOptions { input, transition_id: 1, compat_2_1: seed % 2 == 0 };
        let mut plan = scheduler::schedule(&cib, options);
        assert!(plan.sched.to_dot(true, true).ends_with("}\n"), "seed {seed}");
        let injections = Injections { node_down: vec!["n1".into()], ..Injections::default() };
        execute(&mut cib, &plan.sched, &[], 1_700_000_001);
        inject(&mut cib, &injections, &plan.sched, 1_700_000_002);
        drop(scheduler::schedule(&cib, options));
    }
}

#[test]
fn damaged_clusters_are_explained_without_panic() {
    let whole = xml::parse(CIB).unwrap();
    for seed in 0..40_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(77));
        let mut cib = whole.clone();
        for _ in 0..=random.below(12) {
            damage(&mut cib, &mut random);
        }
        let cib = Arc::new(cib);
        let input = Input { now: 1_700_000_000, trace: true, ..Input::default() };
        let plan = scheduler::schedule(&cib, PlanOptions { input, ..PlanOptions::default() });
        let sched = &plan.sched;
        for rsc in &sched.top {
            let report = sched.explain_resource(*rsc, None);
            drop(explain::text::resource(&report, true));
        }
        for node in sched.nodes.ids() {
            drop(explain::text::node(&sched.explain_node(node)));
        }
        for action in sched.actions.ids() {
            drop(explain::text::action(&sched.explain_action(action)));
        }
        if seed % 8 == 0 {
            let study = Study::new(&cib, Input { trace: false, ..input }, Quorum::Count);
            let trial = study.trial();
            for set in study.sets(1) {
                drop(trial.try_set(&set));
            }
        }
    }
}

#[test]
fn the_whole_cluster_is_planned_the_same_twice() {
    let cib = Arc::new(xml::parse(CIB).unwrap());
    let input = Input { now: 1_700_000_000, ..Input::default() };
    let options = PlanOptions { input, transition_id: 1, compat_2_1: true };
    let text = || scheduler::schedule(&cib, options).sched.graph_text();
    let first = text();
    assert!(first.contains("w-docker-0"), "{first}");
    assert_eq!(first, text());
}
