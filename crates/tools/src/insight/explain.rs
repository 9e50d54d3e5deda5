//! `quorate explain`: why a resource is where it is, why an action is done, what ails a node.

use base::{CrmExit, Json};
use scheduler::explain::{Subject, json, text};
use scheduler::{Input, PlanOptions};

use super::{FILE, JSON, State, node_named};
use crate::options::{Parsed, Table, value};
use crate::output::{self, Fail, Out};

const TABLE: Table = Table {
    tool: "quorate explain",
    summary: "say why a resource, an action or a node is as it is",
    usage: "[OPTION…] RESOURCE|NODE|ACTION…",
    groups: &[],
    options: &[
        value(
            "on",
            'n',
            "NODE",
            "",
            "Look at this node only: why is the resource (not) there, which of several actions",
        ),
        FILE,
        JSON,
    ],
    formats: &[],
    notes: "",
};

/// The applet.
pub fn main(args: &[String]) -> i32 {
    output::run(&TABLE, args, work)
}

fn work(parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    if parsed.rest.is_empty() {
        return Err(Fail::usage(
            "name a resource, a node or an action (like `vip_start_0`, or `#12` for its number in \
             the transition)",
        ));
    }
    let state = State::read("explain", parsed)?;
    let input = Input { trace: true, ..state.input() };
    let plan = scheduler::schedule(&state.cib, PlanOptions { input, ..PlanOptions::default() });
    let sched = &plan.sched;
    let on = parsed.value("on").map(|word| node_named(sched, word)).transpose()?;
    let detail = parsed.has("verbose");
    let notes = sched.cluster_notes();
    let mut reports: Vec<(&'static str, Json)> = Vec::new();
    let mut texts = Vec::new();
    for word in &parsed.rest {
        let Some(subject) = sched.subject(word, on) else {
            let message = format!("there is no resource, node or action `{word}`");
            return Err(Fail::new(CrmExit::Nosuch, message));
        };
        match subject {
            Subject::Resource(rsc) => {
                let report = sched.explain_resource(rsc, on);
                texts.push(text::resource(&report, detail));
                reports.push(("resource", Json::from(&report)));
            }
            Subject::Node(node) => {
                let report = sched.explain_node(node);
                texts.push(text::node(&report));
                reports.push(("node", Json::from(&report)));
            }
            Subject::Action(action) => {
                let report = sched.explain_action(action);
                texts.push(text::action(&report));
                reports.push(("action", Json::from(&report)));
            }
        }
    }
    if parsed.has("json") {
        let reports: Vec<Json> =
            reports.into_iter().map(|report| Json::Object(vec![report])).collect();
        let contents = vec![("reports", Json::List(reports))];
        out.line(&json::document("explain", notes, contents).to_string());
    } else {
        if !notes.is_empty() {
            out.line(&format!("{}\n", notes.join("\n")));
        }
        out.text(&texts.join("\n"));
    }
    Ok(CrmExit::Ok)
}
