//! Big regular clusters, for measurements.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::digest::digest_of;
use crate::model::Attrs;

/// What a made-up cluster is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It has just formed: nothing is known, everything is to be probed and started.
    Start,
    /// Everything is in place and has its history: there is nothing to do.
    Running,
    /// As `Running`, but the first node is gone.
    Failed,
}

const UUID: &str = "0c0de000-0000-4000-8000-000000000001";

struct Writer {
    nodes: usize,
    state: State,
    resources: String,
    constraints: String,
    serial: usize,
    /// Histories and calls by node.
    status: Vec<String>,
    calls: Vec<u32>,
    /// Where instances of clones run.
    placed: BTreeMap<(String, &'static str), Vec<usize>>,
}

/// The text of a CIB with so many nodes (at least two) and primitives, members of groups and
/// clones included: 60 % plain ones in blocks of four (the second runs with the first and after it,
/// the third prefers a node, the fourth keeps away from the second), 30 % in groups of five (every
/// second group ordered after the one before, every third with a node it must not run on), 10 %
/// clones of three instances, every fourth of them promotable.
pub fn big(nodes: usize, resources: usize, state: State) -> String {
    let nodes = nodes.max(2);
    let mut w = Writer {
        nodes,
        state,
        resources: String::new(),
        constraints: String::new(),
        serial: 0,
        status: vec![String::new(); nodes],
        calls: vec![0; nodes],
        placed: BTreeMap::new(),
    };
    let (plain, grouped) = (resources * 6 / 10, resources * 3 / 10);
    for k in 0..plain.div_ceil(4) {
        w.block(k, (plain - 4 * k).min(4));
    }
    for k in 0..grouped.div_ceil(5) {
        w.group(k, (grouped - 5 * k).min(5));
    }
    for k in 0..resources - plain - grouped {
        w.clone_of(k);
    }
    w.finish_clones();
    w.document()
}

/// The name of a node.
fn node_name(node: usize) -> String {
    format!("node{:02}", node + 1)
}

impl Writer {
    fn primitive(&mut self, id: &str, kind: &str) {
        let value = id.len();
        let promoted = if kind == "Stateful" {
            format!(
                r#"<op id="{id}-mon-p" name="monitor" interval="11s" role="Promoted" timeout="20s"/>"#
            )
        } else {
            String::new()
        };
        let _ = write!(
            self.resources,
            r#"<primitive id="{id}" class="ocf" provider="pacemaker" type="{kind}"><instance_attributes id="{id}-p"><nvpair id="{id}-p-fake" name="fake" value="v{value}"/></instance_attributes><operations><op id="{id}-mon" name="monitor" interval="10s" timeout="20s"/><op id="{id}-start" name="start" interval="0s" timeout="40s"/><op id="{id}-stop" name="stop" interval="0s" timeout="60s"/>{promoted}</operations></primitive>"#
        );
    }

    fn constraint(&mut self, kind: &str, attrs: &str) {
        self.serial += 1;
        let serial = self.serial;
        let _ = writeln!(self.constraints, r#"<rsc_{kind} id="{kind}-{serial}" {attrs}/>"#);
    }

    fn block(&mut self, k: usize, size: usize) {
        let home = k % self.nodes;
        let id = |j: usize| format!("prim{k:05}{}", ['a', 'b', 'c', 'd'][j % 4]);
        for j in 0..size {
            let name = id(j);
            self.primitive(&name, "Dummy");
            let mut at = home;
            match j {
                1 => {
                    let (first, name) = (id(0), &name);
                    self.constraint(
                        "colocation",
                        &format!(r#"rsc="{name}" with-rsc="{first}" score="INFINITY""#),
                    );
                    self.constraint(
                        "order",
                        &format!(r#"first="{first}" then="{name}" kind="Mandatory""#),
                    );
                }
                2 => self.constraint(
                    "location",
                    &format!(r#"rsc="{name}" node="{}" score="100""#, node_name(home)),
                ),
                3 => {
                    let second = id(1);
                    self.constraint(
                        "colocation",
                        &format!(r#"rsc="{name}" with-rsc="{second}" score="-INFINITY""#),
                    );
                    at = (k + 1) % self.nodes;
                }
                _ => {}
            }
            self.runs(&name, at);
        }
    }

    fn group(&mut self, k: usize, size: usize) {
        let _ = write!(self.resources, r#"<group id="group{k:05}">"#);
        for j in 0..size {
            self.primitive(&format!("group{k:05}-m{j}"), "Dummy");
        }
        self.resources.push_str("</group>");
        if k % 2 == 1 {
            let before = k - 1;
            self.constraint(
                "order",
                &format!(r#"first="group{before:05}" then="group{k:05}" kind="Mandatory""#),
            );
        }
        if k % 3 == 2 {
            let node = node_name((k + 1) % self.nodes);
            self.constraint(
                "location",
                &format!(r#"rsc="group{k:05}" node="{node}" score="-INFINITY""#),
            );
        }
        for j in 0..size {
            self.runs(&format!("group{k:05}-m{j}"), k % self.nodes);
        }
    }

    fn clone_of(&mut self, k: usize) {
        let instances = self.nodes.min(3);
        let (kind, promotable) = if k % 4 == 3 {
            let nvpair = r#"<nvpair id="clone{k}-prom" name="promotable" value="true"/>"#;
            ("Stateful", nvpair.replace("{k}", &format!("{k:05}")))
        } else {
            ("Dummy", String::new())
        };
        let _ = write!(
            self.resources,
            r#"<clone id="clone{k:05}"><meta_attributes id="clone{k:05}-meta"><nvpair id="clone{k:05}-max" name="clone-max" value="{instances}"/>{promotable}</meta_attributes>"#
        );
        let id = format!("clone{k:05}-r");
        self.primitive(&id, kind);
        self.resources.push_str("</clone>");
        if k % 2 == 1 {
            let before = k - 1;
            self.constraint(
                "order",
                &format!(r#"first="clone{before:05}" then="clone{k:05}" kind="Optional""#),
            );
        }
        if self.state == State::Start {
            return;
        }
        for j in 0..instances {
            let at = (k + j) % self.nodes;
            self.history(at, &id, kind, true);
            self.placed.entry((id.clone(), kind)).or_default().push(at);
        }
    }

    // --- status

    fn runs(&mut self, id: &str, at: usize) {
        if self.state == State::Start {
            return;
        }
        for node in 0..self.nodes {
            self.history(node, id, "Dummy", node == at);
        }
    }

    fn finish_clones(&mut self) {
        for ((id, kind), active) in std::mem::take(&mut self.placed) {
            for node in (0..self.nodes).filter(|node| !active.contains(node)) {
                self.history(node, &id, kind, false);
            }
        }
    }

    fn history(&mut self, node: usize, id: &str, kind: &str, active: bool) {
        let _ = write!(
            self.status[node],
            r#"<lrm_resource id="{id}" type="{kind}" class="ocf" provider="pacemaker">"#
        );
        if active {
            self.op(node, id, "start", 0, 0);
            self.op(node, id, "monitor", 10_000, 0);
        } else {
            self.op(node, id, "monitor", 0, 7);
        }
        self.status[node].push_str("</lrm_resource>\n");
    }

    fn op(&mut self, node: usize, id: &str, task: &str, interval: u32, rc: u32) {
        self.calls[node] += 1;
        let (call, name) = (self.calls[node], node_name(node));
        let mut params = Attrs::new();
        params.insert("fake".into(), format!("v{}", id.len()).into());
        if interval > 0 {
            params.insert("CRM_meta_timeout".into(), "20000".into());
        }
        let digest = digest_of(&params);
        let key = format!("{id}_{task}_{interval}");
        let op_id = if interval == 0 { format!("{id}_last_0") } else { key.clone() };
        let transition = format!("{call}:1:{rc}:{UUID}");
        let _ = write!(
            self.status[node],
            r#"<lrm_rsc_op id="{op_id}" operation_key="{key}" operation="{task}" crm-debug-origin="synthetic" crm_feature_set="3.16.1" transition-key="{transition}" transition-magic="0:{rc};{transition}" exit-reason="" on_node="{name}" call-id="{call}" rc-code="{rc}" op-status="0" interval="{interval}" last-rc-change="1700000000" exec-time="10" queue-time="0" op-digest="{digest}"/>"#
        );
    }

    fn document(self) -> String {
        let mut out = format!(
            r#"<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.8" epoch="10" num_updates="0" admin_epoch="0" have-quorum="1" dc-uuid="{}"><configuration><crm_config><cluster_property_set id="cib-bootstrap-options">"#,
            self.nodes
        );
        for (name, value) in [
            ("dc-version", "2.1.5"),
            ("cluster-infrastructure", "corosync"),
            ("stonith-enabled", "false"),
            ("have-watchdog", "false"),
            ("no-quorum-policy", "stop"),
            ("batch-limit", "0"),
        ] {
            let _ = write!(out, r#"<nvpair id="opt-{name}" name="{name}" value="{value}"/>"#);
        }
        out.push_str("</cluster_property_set></crm_config><nodes>");
        for node in 0..self.nodes {
            let _ = write!(out, r#"<node id="{}" uname="{}"/>"#, node + 1, node_name(node));
        }
        let _ = write!(
            out,
            r#"</nodes><resources>{}</resources><constraints>{}</constraints><rsc_defaults><meta_attributes id="rsc-options"><nvpair id="rsc-stick" name="resource-stickiness" value="1000"/></meta_attributes></rsc_defaults></configuration><status>"#,
            self.resources, self.constraints
        );
        for (node, histories) in self.status.iter().enumerate() {
            let up = if self.state == State::Failed && node == 0 {
                r#"in_ccm="false" crmd="offline" join="down" expected="down""#
            } else {
                r#"in_ccm="true" crmd="online" join="member" expected="member""#
            };
            let _ = write!(
                out,
                r#"<node_state id="{id}" uname="{}" {up}><lrm id="{id}"><lrm_resources>{histories}</lrm_resources></lrm></node_state>"#,
                node_name(node),
                id = node + 1
            );
        }
        out.push_str("</status></cib>");
        out
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn actions(state: State) -> usize {
        let cib = Arc::new(xml::parse(&big(4, 40, state)).unwrap());
        let input = crate::Input { now: 1_700_000_100, ..Default::default() };
        let plan = crate::schedule(&cib, crate::PlanOptions { input, ..Default::default() });
        let wrong: Vec<_> = plan
            .sched
            .messages
            .iter()
            .filter(|m| m.severity == crate::model::Severity::ConfigError)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        plan.changes.len()
    }

    #[test]
    fn each_state_asks_for_what_it_says() {
        assert_eq!(actions(State::Running), 0);
        let (start, failed) = (actions(State::Start), actions(State::Failed));
        assert!(start > failed && failed > 0, "{start} {failed}");
    }
}
