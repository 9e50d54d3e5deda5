//! `--digests`: the digests of a resource's parameters on a node, by which the cluster notices that
//! they changed.
//!
//! Source: `spec/cli-pacemaker.md` §8.1, `spec/scheduler-history.md` §10.

use base::CrmExit;
use scheduler::digest::digest_of;
use scheduler::model::{Attrs, Variant};
use xml::Element;

use super::{Job, performing};
use crate::output::Fail;

/// Shows the digests; words of the command line of the form `NAME=VALUE` replace parameters.
pub(super) fn show(job: &mut Job<'_>) -> Result<CrmExit, Fail> {
    let node = job.node()?.ok_or_else(|| Fail::usage("Must supply a node name with -N"))?;
    let rsc = job.resource()?;
    if job.view.sched.rscs[rsc].variant != Variant::Primitive {
        return Err(performing(CrmExit::UnimplementFeature));
    }
    let mut overrides = Attrs::new();
    let mut interval_ms = 0;
    for word in &job.parsed.rest {
        let Some((name, value)) = word.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Fail::usage(format!("Error parsing '{word}' as a name=value pair")));
        };
        if name == "CRM_meta_interval" {
            // This one is in milliseconds without saying so.
            interval_ms = value
                .trim()
                .parse()
                .unwrap_or_else(|_| base::interval::parse_ms(value).unwrap_or(0));
        }
        overrides.insert(name.into(), value.into());
    }
    let (name, host) =
        (job.view.sched.rscs[rsc].id.to_string(), job.view.sched.nodes[node].name.to_string());
    let history = last_operation(&job.view.cib, &job.config_id(rsc), &host);
    let task = history.as_ref().and_then(|op| op.get("operation")).unwrap_or("start").to_owned();
    let report =
        job.view.sched.digest_report(rsc, node, (&task, interval_ms), &overrides, history.as_ref());
    let kinds = [
        ("all", "all parameters", Some(&report.all)),
        ("nonprivate", "non-private parameters", report.nonprivate.as_ref()),
        ("nonreloadable", "non-reloadable parameters", report.nonreloadable.as_ref()),
    ];
    let mut element = Element::new("digests")
        .with("resource", name)
        .with("node", host)
        .with("task", task)
        .with("interval", format!("{interval_ms}ms"));
    for (kind, words, params) in kinds {
        let Some(params) = params else { continue };
        let hash = digest_of(params);
        job.out.line(&format!("{hash} ({words})"));
        let mut shown = Element::new("parameters");
        // Meta-attributes come last, and so falling order puts them.
        for (name, value) in params.iter().rev() {
            shown.set(name, value.as_str());
        }
        element
            .push(Element::new("digest").with("type", kind).with("hash", hash).with_child(shown));
    }
    job.out.xml(|| element);
    Ok(CrmExit::Ok)
}

/// The last operation on a node that was not a repetition.
fn last_operation(cib: &Element, rsc: &str, host: &str) -> Option<Element> {
    let state = cib.child("status")?.children().find(|state| state.get("uname") == Some(host))?;
    let history =
        state.descendants().find(|e| e.name() == "lrm_resource" && e.id() == Some(rsc))?;
    let call = |op: &Element| op.get("call-id").and_then(|id| id.parse::<i64>().ok()).unwrap_or(-1);
    history
        .children_named("lrm_rsc_op")
        .filter(|op| op.get("interval").is_none_or(|interval| interval == "0"))
        .filter(|op| !op.id().is_some_and(|id| id.contains("_last_failure_")))
        .max_by_key(|op| call(op))
        .cloned()
}
