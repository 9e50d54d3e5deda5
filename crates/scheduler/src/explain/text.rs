//! Reports as text for people.

use std::fmt::Write;

use super::{ActionReport, NodeReport, NodeView, PromotionView, ResourceReport, Term};
use crate::model::Sched;
use crate::score;

/// A report on a resource; `detail` also tells of nodes without any say and of monitors.
pub fn resource(report: &ResourceReport, detail: bool) -> String {
    let mut out = String::new();
    write_resource(&mut out, report, 0, detail);
    out
}

fn line(out: &mut String, depth: usize, text: &str) {
    let _ = writeln!(out, "{:width$}{text}", "", width = 2 * depth);
}

fn write_resource(out: &mut String, report: &ResourceReport, depth: usize, detail: bool) {
    let agent = report.agent.as_ref().map_or_else(String::new, |agent| format!(", {agent}"));
    line(out, depth, &format!("{} ({}{agent})", report.id, report.kind));
    for sentence in &report.summary {
        line(out, depth + 1, sentence);
    }
    if !report.nodes.is_empty() {
        line(out, depth + 1, "Nodes:");
        let mut shown: Vec<&NodeView> = Vec::new();
        for view in &report.nodes {
            let same = |other: &&NodeView| alike(view, other);
            if shown.iter().any(same) {
                continue;
            }
            let names: Vec<&str> = report
                .nodes
                .iter()
                .filter(|other| alike(view, other))
                .map(|other| other.node.as_str())
                .collect();
            write_node_view(out, view, &names.join(", "), depth + 2);
            shown.push(view);
        }
    }
    if let Some(promotion) = &report.promotion {
        write_promotion(out, promotion, depth + 1);
    }
    let actions: Vec<&ActionReport> = report
        .actions
        .iter()
        .filter(|action| detail || !(action.marker || action.task == "monitor"))
        .collect();
    if !actions.is_empty() {
        line(out, depth + 1, "Actions:");
        for action in actions {
            write_action(out, action, depth + 2, detail);
        }
    }
    for member in &report.members {
        write_resource(out, member, depth + 1, detail);
    }
}

/// Whether the same can be said of two nodes.
fn alike(a: &NodeView, b: &NodeView) -> bool {
    let terms = |view: &NodeView| -> Vec<(Option<i32>, String)> {
        view.terms.iter().map(|term| (term.change, term.text.clone())).collect()
    };
    (a.score, &a.text) == (b.score, &b.text) && terms(a) == terms(b)
}

fn write_node_view(out: &mut String, view: &NodeView, names: &str, depth: usize) {
    let score = view.score.map_or_else(|| "-".to_owned(), score::text);
    line(out, depth, &format!("{names}: {score}, {}", view.text));
    write_terms(out, &view.terms, depth + 1);
}

fn write_terms(out: &mut String, terms: &[Term], depth: usize) {
    for term in terms {
        let change = match term.change {
            None => term.score.map_or_else(String::new, |s| format!("= {}", score::text(s))),
            change => Sched::change_text(change),
        };
        line(out, depth, &format!("{change:>9}  {}", term.text));
    }
}

fn write_promotion(out: &mut String, view: &PromotionView, depth: usize) {
    let verdict = if view.promoted { "promoted" } else { "not promoted" };
    let score = score::text(view.score);
    line(out, depth, &format!("Promotion: {verdict} (score {score}): {}", view.text));
    write_terms(out, &view.terms, depth + 1);
}

fn write_action(out: &mut String, action: &ActionReport, depth: usize, detail: bool) {
    let state = match action.state {
        "planned" => "",
        "blocked" => " (CANNOT BE DONE)",
        _ => " (not needed)",
    };
    line(out, depth, &format!("#{} {}{state}", action.number, action.what));
    for why in &action.why {
        line(out, depth + 1, &format!("because {why}"));
    }
    if action.waits_for.is_empty() {
        return;
    }
    let shown = if detail { usize::MAX } else { WAITS_SHOWN };
    for wait in action.waits_for.iter().take(shown) {
        let node = wait.node.as_ref().map_or_else(String::new, |node| format!(" on {node}"));
        let why: Vec<&str> = wait.because.iter().map(|b| b.text.as_str()).collect();
        let why = if why.is_empty() { String::new() } else { format!(": {}", why.join("; ")) };
        line(out, depth + 1, &format!("after #{} {}{node}{why}", wait.number, wait.key));
    }
    if action.waits_for.len() > shown {
        let more = action.waits_for.len() - shown;
        line(out, depth + 1, &format!("after {more} more (--verbose lists them)"));
    }
}

/// Without `detail`, so many of the actions that one waits for are listed.
const WAITS_SHOWN: usize = 4;

/// A report on an action.
pub fn action(report: &ActionReport) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{} ({})", report.key, report.what);
    write_action(&mut out, report, 1, true);
    out
}

/// A report on a node.
pub fn node(report: &NodeReport) -> String {
    let mut out = String::new();
    line(&mut out, 0, &format!("{} ({}, {})", report.name, report.kind, report.status));
    for sentence in &report.summary {
        line(&mut out, 1, sentence);
    }
    if !report.tenants.is_empty() {
        line(&mut out, 1, "Resources there:");
        for tenant in &report.tenants {
            line(&mut out, 2, &format!("{} ({}) {}", tenant.resource, tenant.role, tenant.fate));
        }
    }
    if !report.arriving.is_empty() {
        line(&mut out, 1, &format!("Resources that come there: {}", report.arriving.join(", ")));
    }
    if !report.actions.is_empty() {
        line(&mut out, 1, "Actions:");
        for action in &report.actions {
            write_action(&mut out, action, 2, false);
        }
    }
    out
}
