//! The graph, tried.

use super::*;

/// `1 -> 2 -> 3 (pseudo)`, and 4 on its own with priority 10.
const TEXT: &str = "<transition_graph cluster-delay='60s' stonith-timeout='1min' \
    batch-limit='0' transition_id='5'>\
    <synapse id='0'><action_set><rsc_op id='1' operation='stop' on_node='a' on_node_uuid='1'>\
    <attributes CRM_meta_timeout='20000'/></rsc_op></action_set><inputs/></synapse>\
    <synapse id='1'><action_set><rsc_op id='2' operation='start' on_node='b' \
    on_node_uuid='2'/></action_set><inputs><trigger><rsc_op id='1'/></trigger></inputs>\
    </synapse>\
    <synapse id='2'><action_set><pseudo_event id='3' operation='x'/></action_set>\
    <inputs><trigger><rsc_op id='2'/></trigger></inputs></synapse>\
    <synapse id='3' priority='10'><action_set><crm_event id='4' operation='y' on_node='a' \
    on_node_uuid='1'/></action_set><inputs/></synapse></transition_graph>";

fn graph() -> Graph {
    Graph::unpack(&xml::parse(TEXT).unwrap(), "pe-input-1").unwrap()
}

fn pass(graph: &mut Graph) -> (Vec<i32>, Pass) {
    let fired = graph.fire(0, |_, _| true);
    (fired, graph.outcome())
}

#[test]
fn actions_start_when_their_inputs_are_done() {
    let mut graph = graph();
    assert_eq!(graph.action(1).unwrap().timeout, Duration::from_secs(20));
    assert_eq!(pass(&mut graph), (vec![1, 4], Pass::Active));
    assert_eq!(pass(&mut graph), (vec![], Pass::Pending));
    graph.finish(1);
    assert_eq!(pass(&mut graph), (vec![2], Pass::Active));
    graph.finish(2);
    graph.finish(4);
    assert_eq!(pass(&mut graph), (vec![3], Pass::Active));
    graph.finish(3);
    assert_eq!(pass(&mut graph), (vec![], Pass::Complete));
    assert_eq!(graph.counts.completed, 4);
}

#[test]
fn a_failed_action_blocks_what_depends_on_it() {
    let mut graph = graph();
    pass(&mut graph);
    graph.action_mut(1).unwrap().failed = true;
    graph.finish(1);
    graph.finish(4);
    graph.abort(1, Completion::Restart, "Event failed");
    let (fired, outcome) = pass(&mut graph);
    assert_eq!((fired, outcome), (vec![], Pass::Complete));
    assert_eq!(graph.completion, Completion::Restart);
    assert!(graph.counts.incomplete > 0);
}

#[test]
fn an_abort_lets_only_higher_priorities_start() {
    let mut graph = graph();
    graph.abort(5, Completion::Restart, "Configuration change");
    assert_eq!(pass(&mut graph).0, [4]);
    assert_eq!(graph.counts.skipped, 1);
    assert!(!graph.abort(3, Completion::Done, "later"), "lower priorities are no news");
    assert_eq!(graph.abort_reason, "Configuration change");
}

#[test]
fn a_batch_limit_holds_back() {
    let mut graph = graph();
    assert_eq!(graph.fire(1, |_, _| true), [1]);
    assert_eq!(graph.outcome(), Pass::Active);
    assert_eq!(graph.fire(1, |_, _| true), []);
    graph.finish(1);
    assert_eq!(graph.fire(1, |_, _| true), [2]);
}

#[test]
fn a_lost_node_fails_its_actions() {
    let mut graph = graph();
    pass(&mut graph);
    assert_eq!(graph.fail_node("1", |_| None), 2);
    assert_eq!(pass(&mut graph), (vec![], Pass::Complete));
}

#[test]
fn broken_graphs_are_refused_or_survive() {
    for text in [
        "<transition_graph/>",
        "<transition_graph transition_id='1'/>",
        "<transition_graph transition_id='x' cluster-delay='60s'/>",
    ] {
        assert!(Graph::unpack(&xml::parse(text).unwrap(), "").is_none(), "{text}");
    }
    let odd = "<transition_graph transition_id='1' cluster-delay='60s'><synapse><action_set>\
               <rsc_op/><huh id='1'/></action_set></synapse><synapse/></transition_graph>";
    let mut graph = Graph::unpack(&xml::parse(odd).unwrap(), "").unwrap();
    for _ in 0..3 {
        pass(&mut graph);
    }
}
