//! Groups whose members need not be together, as instances of a clone.

use std::sync::Arc;

use scheduler::{Input, PlanOptions};

/// Three instances of a clone of a group of two, on three nodes.
fn document() -> String {
    let mut nodes = String::new();
    let mut states = String::new();
    for n in 1..=3 {
        nodes += &format!(r#"<node id="{n}" uname="n{n}"/>"#);
        states += &format!(
            r#"<node_state id="{n}" uname="n{n}" in_ccm="true" crmd="online" join="member" expected="member"/>"#
        );
    }
    format!(
        r#"<cib admin_epoch="0" epoch="1" num_updates="1" crm_feature_set="3.16.1" validate-with="pacemaker-3.9" have-quorum="1" dc-uuid="1"><configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config><nodes>{nodes}</nodes><resources><clone id="c"><group id="g"><meta_attributes id="gm"><nvpair id="gm1" name="collocated" value="false"/></meta_attributes><primitive id="a" class="ocf" provider="pacemaker" type="Dummy"/><primitive id="b" class="ocf" provider="pacemaker" type="Dummy"/></group></clone></resources><constraints/></configuration><status>{states}</status></cib>"#
    )
}

/// The first member's node is not the group's: it stays free for members of other instances, so
/// no node gets two of one kind. Pacemaker 2.1.5 was seen to answer the same.
#[test]
fn members_that_go_their_own_ways_take_no_place_for_the_group() {
    let cib = Arc::new(xml::parse(&document()).expect("well-formed"));
    let input = Input { now: 1_700_000_000, ..Input::default() };
    let options = PlanOptions { input, transition_id: 1, compat_2_1: false };
    let sched = scheduler::schedule(&cib, options).sched;
    for member in ["a:", "b:"] {
        let mut nodes: Vec<&str> = sched
            .rscs
            .iter()
            .filter(|rsc| rsc.id.starts_with(member))
            .filter_map(|rsc| rsc.assigned.map(|placed| sched.nodes[placed.node].name.as_str()))
            .collect();
        nodes.sort_unstable();
        assert_eq!(nodes, ["n1", "n2", "n3"], "{member}");
    }
}
