//! What made-up clusters showed beside Pacemaker 2.1.5, each as small as it can be.

use std::fmt::Write as _;
use std::sync::Arc;

use scheduler::{Input, Plan, PlanOptions};

fn plan(cib: &str) -> Plan {
    let cib = Arc::new(xml::parse(cib).expect("a document"));
    let input = Input { now: 1_700_000_000, ..Input::default() };
    scheduler::schedule(&cib, PlanOptions { input, transition_id: 1, compat_2_1: false })
}

fn summary(cib: &str) -> Vec<String> {
    let squeeze =
        |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").replace("( ", "(");
    plan(cib).summary.iter().map(|line| squeeze(&line.text)).collect()
}

/// A record of a history: resource, task, found (as expected).
type Record = (&'static str, &'static str, u8);

/// A cluster without fencing; nodes come with what is inside their elements, with transient
/// attributes, and with a history.
fn cluster(options: &str, resources: &str, nodes: &[(&str, &str, &[Record])]) -> String {
    let (mut list, mut status) = (String::new(), String::new());
    for (at, (inside, transient, history)) in nodes.iter().enumerate() {
        let id = at + 1;
        let mut lrm = String::new();
        for (call, (rsc, task, rc)) in history.iter().enumerate() {
            let key = format!("{call}:1:{rc}:0c0de000-0000-4000-8000-000000000001");
            write!(
                lrm,
                r#"<lrm_resource id="{rsc}" class="ocf" provider="pacemaker" type="Stateful">
                <lrm_rsc_op id="{rsc}_last_0" operation_key="{rsc}_{task}_0" operation="{task}"
                transition-key="{key}" transition-magic="0:{rc};{key}" call-id="{call}"
                rc-code="{rc}" op-status="0" interval="0"
                op-digest="f2317cad3d54cec5d7d7aa7d0bf35cf8"/></lrm_resource>"#
            )
            .expect("a string takes everything");
        }
        write!(list, r#"<node id="{id}" uname="n{id}">{inside}</node>"#).expect("as above");
        write!(
            status,
            r#"<node_state id="{id}" uname="n{id}" in_ccm="true" crmd="online" join="member"
            expected="member"><transient_attributes id="{id}">{transient}</transient_attributes>
            <lrm id="{id}"><lrm_resources>{lrm}</lrm_resources></lrm></node_state>"#
        )
        .expect("as above");
    }
    format!(
        r#"<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" have-quorum="1"
        admin_epoch="0" epoch="1" num_updates="1" dc-uuid="1"><configuration><crm_config>
        <cluster_property_set id="o"><nvpair id="o-f" name="stonith-enabled" value="false"/>{options}
        </cluster_property_set></crm_config><nodes>{list}</nodes><resources>{resources}</resources>
        <constraints/></configuration><status>{status}</status></cib>"#
    )
}

/// An instance that only started, and is not managed, was to become unpromoted once more: stopped
/// and started, with a start of the clone that nothing could complete.
#[test]
fn in_maintenance_an_instance_that_is_not_promoted_stays_as_it_is() {
    let maintenance = r#"<instance_attributes id="a"><nvpair id="a-m" name="maintenance"
        value="true"/></instance_attributes>"#;
    let second = maintenance.replace("\"a", "\"b");
    let clone = r#"<clone id="c"><meta_attributes id="c-m"><nvpair id="c-m-p" name="promotable"
        value="true"/></meta_attributes><primitive id="s" class="ocf" provider="pacemaker"
        type="Stateful"/></clone>"#;
    let cib = cluster(
        "",
        clone,
        &[(maintenance, "", &[("s", "promote", 0)]), (&second, "", &[("s", "start", 0)])],
    );
    let plan = plan(&cib);
    assert!(plan.sched.graph.is_empty(), "{}", plan.sched.graph_text());
}

const NEEDS_A_CPU: &str = r#"<primitive id="p" class="ocf" provider="pacemaker" type="Stateful">
    <utilization id="u"><nvpair id="u-c" name="cpu" value="1"/></utilization></primitive>"#;
const BY_CAPACITY: &str = r#"<nvpair id="o-p" name="placement-strategy" value="minimal"/>"#;
const HAS_CPUS: &str =
    r#"<utilization id="h"><nvpair id="h-c" name="cpu" value="2"/></utilization>"#;
const PROBED: &[Record] = &[("p", "monitor", 7)];

#[test]
fn a_node_has_none_of_a_capacity_that_it_does_not_mention() {
    let cib = cluster(BY_CAPACITY, NEEDS_A_CPU, &[("", "", PROBED)]);
    assert!(summary(&cib).is_empty(), "{:?}", summary(&cib));
    let cib = cluster(BY_CAPACITY, NEEDS_A_CPU, &[("", "", PROBED), (HAS_CPUS, "", PROBED)]);
    assert_eq!(summary(&cib), ["Start p (n2 )"]);
}

#[test]
fn a_transient_capacity_counts_and_covers_the_permanent_one() {
    let cib = cluster(BY_CAPACITY, NEEDS_A_CPU, &[("", "", PROBED), ("", HAS_CPUS, PROBED)]);
    assert_eq!(summary(&cib), ["Start p (n2 )"]);
    let none = HAS_CPUS.replace("\"h", "\"t").replace("value=\"2\"", "value=\"0\"");
    let cib = cluster(BY_CAPACITY, NEEDS_A_CPU, &[(HAS_CPUS, &none, PROBED)]);
    assert!(summary(&cib).is_empty(), "{:?}", summary(&cib));
}
