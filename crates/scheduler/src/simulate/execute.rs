//! Executing a transition graph on a document instead of a cluster.
//! Source: `spec/scheduler-graph.md` §7.

use std::collections::HashMap;
use std::sync::Arc;

use ecow::EcoString;
use xml::Element;

use super::inject::{add_failcount, forget, set_state};
use super::{OpSpec, Places, Record, Step, count_change, node_state, record_op};
use crate::graph;
use crate::ids::Id;
use crate::model::{Attrs, Sched};
use crate::score::INFINITY;
use crate::text::scan_int;

/// What came of it.
#[derive(Debug, Default)]
pub struct Execution {
    /// What was done.
    pub steps: Vec<Step>,
    /// The graph could not be executed to its end.
    pub invalid: bool,
}

struct Synapse<'a> {
    step: graph::Step<'a>,
    done: bool,
    skipped: bool,
}

/// How an action ended.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Done,
    Failed,
}

struct Engine<'a> {
    cib: &'a mut Arc<Element>,
    sched: &'a Sched,
    fails: &'a [OpSpec],
    failed_offsets: (EcoString, EcoString),
    now: i64,
    steps: Vec<Step>,
    /// By name of the node.
    places: HashMap<EcoString, Places>,
    abort_priority: i32,
}

fn number(xml: &Element, name: &str) -> i64 {
    xml.get(name).and_then(scan_int).unwrap_or(-1)
}

/// Executes the transition that `sched` has planned on `cib`.
pub fn execute(cib: &mut Arc<Element>, sched: &Sched, fails: &[OpSpec], now: i64) -> Execution {
    let graph = &sched.graph;
    let mut synapses: Vec<Synapse<'_>> =
        graph.steps().map(|step| Synapse { step, done: false, skipped: false }).collect();
    let offset = |name: &str| graph.setting(name).unwrap_or("INFINITY").into();
    let mut engine = Engine {
        cib,
        sched,
        fails,
        failed_offsets: (offset("failed-start-offset"), offset("failed-stop-offset")),
        now,
        steps: Vec::new(),
        places: HashMap::new(),
        abort_priority: 0,
    };
    let mut outcomes: Vec<Option<Outcome>> = vec![None; sched.actions.len()];
    loop {
        let mut fired = false;
        for synapse in &mut synapses {
            if synapse.done || synapse.skipped {
                continue;
            }
            let step = synapse.step;
            // Failed actions release only those that must happen in any case.
            let anyhow = step.priority >= INFINITY;
            let ready = step.inputs.iter().all(|input| match outcomes[input.index()] {
                Some(Outcome::Done) => true,
                Some(Outcome::Failed) => anyhow,
                None => false,
            });
            if !ready {
                continue;
            }
            let action = sched.action_element(step.action, true);
            if action.name() != "pseudo_event" && step.priority < engine.abort_priority {
                synapse.skipped = true;
                continue;
            }
            synapse.done = true;
            fired = true;
            let ok = engine.fire(&action);
            let outcome = if ok { Outcome::Done } else { Outcome::Failed };
            outcomes[step.action.index()] = Some(outcome);
        }
        if !fired {
            break;
        }
    }
    let incomplete = synapses.iter().any(|s| !s.done && !s.skipped);
    Execution { invalid: incomplete && engine.abort_priority == 0, steps: engine.steps }
}

impl Engine<'_> {
    /// Executes one action; false if it failed.
    fn fire(&mut self, action: &Element) -> bool {
        let attr = |name: &str| EcoString::from(action.get(name).unwrap_or(""));
        match action.name() {
            "pseudo_event" => {
                let node = action.get("on_node").map(Into::into);
                self.steps.push(Step::Pseudo { task: attr("operation_key"), node });
                true
            }
            "crm_event" if action.get("operation") == Some("stonith") => {
                self.fence(action);
                true
            }
            "crm_event" => {
                let rsc = action.child("primitive").and_then(Element::id).map(Into::into);
                let (task, node) = (attr("operation"), attr("on_node"));
                self.steps.push(Step::Cluster { task, rsc, node });
                true
            }
            _ => self.execute_op(action),
        }
    }

    fn rsc_name(&self, primitive: &Element) -> String {
        let id = primitive.id().unwrap_or("");
        match primitive.get("long-id") {
            Some(long) if self.sched.constraint_rsc(id).is_none() => long.to_owned(),
            _ => id.to_owned(),
        }
    }

    fn fence(&mut self, action: &Element) {
        let op = action
            .child("attributes")
            .and_then(|a| a.get("CRM_meta_stonith_action"))
            .unwrap_or("")
            .to_owned();
        let (name, id) =
            (action.get("on_node").unwrap_or("").to_owned(), action.get("on_node_uuid"));
        self.steps.push(Step::Fence { node: name.as_str().into(), op: op.as_str().into() });
        if op == "on" {
            return;
        }
        let state = node_state(self.cib, &name, id);
        let changed = set_state(
            state,
            &[
                ("in_ccm", "false"),
                ("crmd", "offline"),
                ("join", "down"),
                ("expected", "down"),
                ("crm-debug-origin", "simulate_fencing_action"),
            ],
        );
        for _ in 0..changed + forget(state) {
            count_change(self.cib, false);
        }
    }

    fn execute_op(&mut self, action: &Element) -> bool {
        let Some(primitive) = action.child("primitive") else { return true };
        let rsc = self.rsc_name(primitive);
        let config_id = primitive.id().unwrap_or("").to_owned();
        let task = action.get("operation").unwrap_or("").to_owned();
        let attributes = action.child("attributes");
        let meta = |name: &str| attributes.and_then(|a| a.get(name));
        let interval = meta("CRM_meta_interval").and_then(scan_int).unwrap_or(0);
        let interval = interval.clamp(0, i64::from(u32::MAX)) as u32;
        let node = action.get("on_node").unwrap_or("").to_owned();
        self.steps.push(Step::Resource {
            rsc: rsc.as_str().into(),
            task: task.as_str().into(),
            interval,
            node: node.as_str().into(),
        });
        if matches!(task.as_str(), "delete" | "meta-data") {
            return true;
        }
        let target_rc = meta("CRM_meta_op_target_rc").and_then(scan_int).unwrap_or(0) as i32;
        let mut rc = target_rc;
        let spec = self.fails.iter().find(|spec| {
            spec.task.eq_ignore_ascii_case(&task)
                && spec.interval == interval
                && spec.node.eq_ignore_ascii_case(&node)
                && (spec.rsc.eq_ignore_ascii_case(&rsc)
                    || spec.rsc.eq_ignore_ascii_case(&config_id))
        });
        if let Some(spec) = spec {
            rc = spec.rc;
            let id = number(action, "id");
            self.steps.push(Step::Pretended { id, rc });
        }
        let failed = rc != target_rc;
        let id = if action.has("router_node") {
            Some(node.as_str())
        } else {
            action.get("on_node_uuid")
        };
        let mut params = Attrs::new();
        for (name, value) in attributes.into_iter().flat_map(Element::attrs) {
            params.insert(name.into(), value.into());
        }
        // Names that no XML attribute may have are listed.
        for param in attributes.into_iter().flat_map(|a| a.children_named("param")) {
            if let (Some(name), Some(value)) = (param.get("name"), param.get("value")) {
                params.insert(name.into(), value.into());
            }
        }
        crate::digest::filter(&mut params, interval);
        let digest = crate::digest::digest_of(&params);
        let migrate = match (meta("CRM_meta_migrate_source"), meta("CRM_meta_migrate_target")) {
            (Some(source), Some(target)) => Some((source, target)),
            _ => None,
        };
        let notify = match (meta("CRM_meta_notify_type"), meta("CRM_meta_notify_operation")) {
            (Some(kind), Some(operation)) if task == "notify" => Some((kind, operation)),
            _ => None,
        };
        let record = Record {
            rsc: &rsc,
            config_id: &config_id,
            op_name: Some(&config_id),
            class: primitive.get("class").unwrap_or(""),
            provider: primitive.get("provider"),
            kind: primitive.get("type").unwrap_or(""),
            task: &task,
            interval,
            rc,
            target_rc,
            reason: if spec.is_some() { "User-injected result" } else { "" },
            digest: Some(digest),
            migrate,
            notify,
            now: self.now,
        };
        let state = node_state(self.cib, &node, id);
        let places = self.places.entry(node.as_str().into()).or_default();
        record_op(state, &node, &record, places);
        count_change(self.cib, false);
        if !failed {
            return true;
        }
        self.abort_priority = INFINITY;
        let infinite = (task == "start" && self.failed_offsets.0 == "INFINITY")
            || (task == "stop" && self.failed_offsets.1 == "INFINITY");
        let state = node_state(self.cib, &node, id);
        let counted = add_failcount(state, &rsc, &task, interval, infinite, self.now);
        self.steps.extend(counted);
        false
    }
}
