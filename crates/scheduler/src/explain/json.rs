//! Reports as JSON. The format is documented in `docs/explain.md`: members are only ever added,
//! anything else raises [`VERSION`].

use base::Json;

use super::{
    ActionReport, Because, NodeReport, NodeView, PromotionView, ResourceReport, Term, Wait,
};

/// Version of the format.
pub const VERSION: i32 = 1;

/// A document: what it is, the version of the format, notes on the cluster, the contents.
pub fn document(
    kind: &'static str,
    notes: Vec<String>,
    contents: Vec<(&'static str, Json)>,
) -> Json {
    let mut members: Vec<(&'static str, Json)> = vec![
        ("format", Json::from(format!("quorate-{kind}"))),
        ("version", VERSION.into()),
        ("notes", notes.into()),
    ];
    members.extend(contents);
    Json::Object(members)
}

impl From<&Term> for Json {
    fn from(term: &Term) -> Json {
        Json::Object(vec![
            ("source", term.source.into()),
            ("id", term.id.clone().into()),
            ("with", term.with.clone().into()),
            ("change", term.change.into()),
            ("score", term.score.into()),
            ("text", term.text.as_str().into()),
        ])
    }
}

impl From<&NodeView> for Json {
    fn from(view: &NodeView) -> Json {
        Json::Object(vec![
            ("node", view.node.as_str().into()),
            ("score", view.score.into()),
            ("verdict", view.verdict.into()),
            ("text", view.text.as_str().into()),
            ("terms", view.terms.iter().collect::<Vec<_>>().into()),
        ])
    }
}

impl From<&PromotionView> for Json {
    fn from(view: &PromotionView) -> Json {
        Json::Object(vec![
            ("promoted", view.promoted.into()),
            ("score", view.score.into()),
            ("text", view.text.as_str().into()),
            ("terms", view.terms.iter().collect::<Vec<_>>().into()),
        ])
    }
}

impl From<&ResourceReport> for Json {
    fn from(report: &ResourceReport) -> Json {
        Json::Object(vec![
            ("id", report.id.as_str().into()),
            ("kind", report.kind.into()),
            ("agent", report.agent.clone().into()),
            ("managed", report.managed.into()),
            ("running_on", report.running_on.clone().into()),
            ("role", report.role.into()),
            ("next_node", report.next_node.clone().into()),
            ("next_role", report.next_role.into()),
            ("summary", report.summary.clone().into()),
            ("nodes", report.nodes.iter().collect::<Vec<_>>().into()),
            ("promotion", report.promotion.as_ref().into()),
            ("actions", report.actions.iter().collect::<Vec<_>>().into()),
            ("members", report.members.iter().collect::<Vec<_>>().into()),
        ])
    }
}

impl From<&Because> for Json {
    fn from(because: &Because) -> Json {
        Json::Object(vec![
            ("source", because.source.into()),
            ("id", because.id.clone().into()),
            ("text", because.text.as_str().into()),
        ])
    }
}

impl From<&Wait> for Json {
    fn from(wait: &Wait) -> Json {
        Json::Object(vec![
            ("number", wait.number.into()),
            ("key", wait.key.as_str().into()),
            ("node", wait.node.clone().into()),
            ("because", wait.because.iter().collect::<Vec<_>>().into()),
        ])
    }
}

impl From<&ActionReport> for Json {
    fn from(report: &ActionReport) -> Json {
        Json::Object(vec![
            ("number", report.number.into()),
            ("key", report.key.as_str().into()),
            ("task", report.task.as_str().into()),
            ("resource", report.resource.clone().into()),
            ("node", report.node.clone().into()),
            ("state", report.state.into()),
            ("marker", report.marker.into()),
            ("text", report.what.as_str().into()),
            ("why", report.why.clone().into()),
            ("waits_for", report.waits_for.iter().collect::<Vec<_>>().into()),
        ])
    }
}

impl From<&NodeReport> for Json {
    fn from(report: &NodeReport) -> Json {
        let tenants: Vec<Json> = report
            .tenants
            .iter()
            .map(|tenant| {
                Json::Object(vec![
                    ("resource", tenant.resource.as_str().into()),
                    ("role", tenant.role.into()),
                    ("fate", tenant.fate.as_str().into()),
                ])
            })
            .collect();
        Json::Object(vec![
            ("name", report.name.as_str().into()),
            ("kind", report.kind.into()),
            ("status", report.status.as_str().into()),
            ("usable", report.usable.into()),
            ("summary", report.summary.clone().into()),
            ("resources", Json::List(tenants)),
            ("arriving", report.arriving.clone().into()),
            ("actions", report.actions.iter().collect::<Vec<_>>().into()),
        ])
    }
}
