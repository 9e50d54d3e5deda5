//! Moving: location constraints made and removed by the tool, whose ids begin with `cli-`.
//! Source: `spec/cli-pacemaker.md` §8.2.

use base::CrmExit;
use base::dates::{DateTime, Duration};
use scheduler::ids::{NodeIx, RscIx};
use scheduler::model::{Role, Variant};
use xml::Element;

use super::{Job, failing, of_rc, performing};
use crate::output::Fail;
use crate::rc::Rc;
use crate::source::{Call, call};

fn put(job: &mut Job<'_>, op: &str, data: &Element) -> Result<(), Fail> {
    let options = if op == "cib_modify" { call::CAN_CREATE } else { 0 };
    let answer = job
        .source
        .call(&Call { op, section: Some("constraints"), data: Some(data), options, host: None })
        .map_err(of_rc)?;
    match answer.rc {
        Rc::OK => Ok(()),
        Rc::ENXIO if op == "cib_delete" => Ok(()),
        rc => Err(of_rc(rc)),
    }
}

/// When a constraint with `--lifetime` ends.
fn end_of_life(job: &mut Job<'_>) -> Result<Option<String>, Fail> {
    let Some(text) = job.parsed.value("lifetime") else { return Ok(None) };
    let Some(span) = Duration::parse(text) else {
        return Err(failing(
            CrmExit::Usage,
            &format!(
                "Invalid duration specified: {text}\nPlease refer to https://en.wikipedia.org/wiki/ISO_8601#Durations for examples of valid durations"
            ),
        ));
    };
    let end = span.after(DateTime::utc(crate::clock::now())).to_utc_text();
    job.out.info(&format!("Migration will take effect until: {end}"));
    Ok(Some(end))
}

struct Wanted<'a> {
    id: &'a str,
    rule: String,
    expression: String,
    date: String,
    rsc: &'a str,
    node: &'a str,
    score: &'a str,
    promoted: bool,
}

fn constraint(wanted: &Wanted<'_>, end: Option<&str>) -> Element {
    let role = if wanted.promoted { "Promoted" } else { "Started" };
    let location = Element::new("rsc_location")
        .with("id", wanted.id)
        .with("rsc", wanted.rsc)
        .with("role", role);
    let Some(end) = end else {
        return location.with("node", wanted.node).with("score", wanted.score);
    };
    let expression = Element::new("expression")
        .with("id", wanted.expression.as_str())
        .with("attribute", "#uname")
        .with("operation", "eq")
        .with("value", wanted.node)
        .with("type", "string");
    let date = Element::new("date_expression")
        .with("id", wanted.date.as_str())
        .with("operation", "lt")
        .with("end", end);
    let rule = Element::new("rule")
        .with("id", wanted.rule.as_str())
        .with("score", wanted.score)
        .with("boolean-op", "and")
        .with_child(expression)
        .with_child(date);
    location.with_child(rule)
}

/// The resource a constraint is about: the collective of an inner one.
fn subject(job: &Job<'_>) -> Result<(RscIx, String), Fail> {
    let rsc = job.resource()?;
    let name = job.name().unwrap_or("");
    if job.is_instance_name(rsc, name) {
        return Err(failing(
            CrmExit::InvalidParam,
            &format!("Cannot operate on clone resource instance '{name}'"),
        ));
    }
    Ok((rsc, name.to_owned()))
}

fn forbid(job: &mut Job<'_>, name: &str, node: &str) -> Result<(), Fail> {
    let end = end_of_life(job)?;
    let promoted = job.parsed.has("promoted");
    let id = format!("cli-ban-{name}-on-{node}");
    let doing = if promoted { "being promoted" } else { "running" };
    if !job.out.quiet {
        job.out.line(&format!(
            "WARNING: Creating rsc_location constraint '{id}' with a score of -INFINITY for resource {name} on \
             {node}.\n\tThis will prevent {name} from {doing} on {node} until the constraint is removed using the \
             clear option or by editing the CIB with an appropriate tool.\n\tThis will be the case even if {node} is \
             the last node in the cluster"
        ));
    }
    let data = constraint(
        &Wanted {
            id: &id,
            rule: format!("{id}-rule"),
            expression: format!("{id}-expr"),
            date: format!("{id}-lifetime"),
            rsc: name,
            node,
            score: "-INFINITY",
            promoted,
        },
        end.as_deref(),
    );
    put(job, "cib_modify", &data)
}

fn prefer(job: &mut Job<'_>, name: &str, node: &str, is_promotable: bool) -> Result<(), Fail> {
    let end = end_of_life(job)?;
    let id = format!("cli-prefer-{name}");
    // A constraint of the other form must not stay beside its successor's parts.
    put(job, "cib_delete", &Element::new("rsc_location").with("id", id.as_str()))?;
    let data = constraint(
        &Wanted {
            id: &id,
            rule: format!("cli-prefer-rule-{name}"),
            expression: format!("cli-prefer-expr-{name}"),
            date: format!("cli-prefer-lifetime-end-{name}"),
            rsc: name,
            node,
            score: "INFINITY",
            promoted: job.parsed.has("promoted") && is_promotable,
        },
        end.as_deref(),
    );
    put(job, "cib_modify", &data)
}

/// The nodes a resource runs on; of a promotable one with `--promoted`, where it is promoted.
fn places(job: &Job<'_>, rsc: RscIx, promoted_only: bool) -> Vec<NodeIx> {
    let sched = &job.view.sched;
    let mut nodes: Vec<NodeIx> = Vec::new();
    for part in job.view.parts_of(rsc) {
        if promoted_only && sched.role(part, true) != Role::Promoted {
            continue;
        }
        for node in &sched.rscs[part].active {
            if !nodes.contains(node) {
                nodes.push(*node);
            }
        }
    }
    if sched.rscs[rsc].variant == Variant::Group {
        nodes.truncate(1);
    }
    nodes
}

fn ambiguous(name: &str, count: usize, promoted: Option<usize>) -> Fail {
    let text = match promoted {
        None => format!(
            "Resource '{name}' not moved: active in {count} locations.\nTo prevent '{name}' from running on a \
             specific location, specify a node."
        ),
        Some(promoted) => format!(
            "Resource '{name}' not moved: active in {count} locations (promoted in {promoted}).\nTo prevent '{name}' \
             from running on a specific location, specify a node.\nTo prevent '{name}' from being promoted at a \
             specific location, specify a node and the --promoted option."
        ),
    };
    Fail::usage(text)
}

/// Bans a resource from where it runs.
fn ban_where_it_runs(job: &mut Job<'_>, rsc: RscIx, name: &str) -> Result<CrmExit, Fail> {
    let all = places(job, rsc, false);
    let promotable = job.view.sched.rscs[rsc].promotable;
    let chosen = if all.len() == 1 {
        all.clone()
    } else if promotable {
        let promoted = places(job, rsc, true);
        if promoted.len() != 1 {
            return Err(ambiguous(name, all.len(), Some(promoted.len())));
        }
        promoted
    } else {
        return Err(ambiguous(name, all.len(), None));
    };
    let Some(node) = chosen.first() else { return Err(ambiguous(name, 0, None)) };
    let node = job.view.sched.nodes[*node].name.to_string();
    forbid(job, name, &node)?;
    Ok(CrmExit::Ok)
}

/// `-B`: keeps a resource off a node.
pub(super) fn ban(job: &mut Job<'_>) -> Result<CrmExit, Fail> {
    let (rsc, name) = subject(job)?;
    match job.node()? {
        Some(node) => {
            let node = job.view.sched.nodes[node].name.to_string();
            forbid(job, &name, &node)?;
            Ok(CrmExit::Ok)
        }
        None => ban_where_it_runs(job, rsc, &name),
    }
}

/// `-M`: moves a resource to a node, or away from where it is.
pub(super) fn relocate(job: &mut Job<'_>) -> Result<CrmExit, Fail> {
    let (rsc, name) = subject(job)?;
    let Some(node) = job.node()? else { return ban_where_it_runs(job, rsc, &name) };
    let force = job.parsed.has("force");
    let here = places(job, rsc, false);
    let promotable = job.view.sched.rscs[rsc].promotable;
    let there = if job.parsed.has("promoted") && promotable {
        places(job, rsc, true).contains(&node)
    } else {
        here.contains(&node) && here.len() == 1
    };
    if job.parsed.has("promoted") && !promotable {
        job.out.info(&format!("Ignoring --promoted option: {name} is not promotable"));
    }
    let is_single = |rsc: RscIx| {
        matches!(job.view.sched.rscs[rsc].variant, Variant::Primitive | Variant::Group)
    };
    let is_in_several = |part: RscIx| job.view.sched.rscs[part].active.len() > 1;
    if is_single(job.view.sched.uber(rsc)) && job.view.parts_of(rsc).into_iter().any(is_in_several)
    {
        // Which of the places it shall leave is for people to say.
        return Err(performing(CrmExit::Multiple));
    }
    if there && !force {
        return Err(performing(CrmExit::Exists));
    }
    let to = job.view.sched.nodes[node].name.to_string();
    // Earlier wishes for the resource are forgotten, and that it shall not be there.
    let what = Which { name: Some(&name), bans_of: Some(&to), ..Which::default() };
    remove_bans(job, &what, true)?;
    prefer(job, &name, &to, promotable)?;
    if force
        && let [from] = here.as_slice()
        && *from != node
    {
        let from = job.view.sched.nodes[*from].name.to_string();
        forbid(job, &name, &from)?;
    }
    Ok(CrmExit::Ok)
}

/// Which of the tool's constraints.
#[derive(Clone, Copy, Default)]
struct Which<'a> {
    /// Those of this resource.
    name: Option<&'a str>,
    /// Those about this node.
    node: Option<&'a str>,
    /// Bans from this node only; preferences for all.
    bans_of: Option<&'a str>,
    /// Those whose time is over.
    expired: bool,
}

/// Removes the tool's constraints; `silently` without telling.
fn remove_bans(job: &mut Job<'_>, which: &Which<'_>, silently: bool) -> Result<(), Fail> {
    let now = crate::clock::now();
    let list: Vec<Element> = job
        .view
        .cib
        .at(&["configuration", "constraints"])
        .into_iter()
        .flat_map(Element::children)
        .cloned()
        .collect();
    let force = job.parsed.has("force");
    for constraint in list {
        let id = constraint.id().unwrap_or("").to_owned();
        if constraint.name() != "rsc_location"
            || !(id.starts_with("cli-ban-") || id.starts_with("cli-prefer-"))
        {
            continue;
        }
        if let Some(name) = which.name
            && constraint.get("rsc") != Some(name)
        {
            continue;
        }
        if let Some(node) = which.node.or(which.bans_of) {
            let about = constraint.get("node").map(str::to_owned).or_else(|| {
                constraint
                    .descendants()
                    .find(|e| e.name() == "expression")
                    .and_then(|e| e.get("value"))
                    .map(str::to_owned)
            });
            let any_move = (force || which.bans_of.is_some()) && id.starts_with("cli-prefer-");
            if about.as_deref() != Some(node) && !any_move {
                continue;
            }
        }
        if which.expired {
            let end = constraint
                .descendants()
                .find(|e| e.name() == "date_expression")
                .and_then(|e| e.get("end"));
            let end =
                end.and_then(|text| DateTime::parse(text, now, crate::clock::local_offset(now)));
            if end.is_none_or(|end| end.epoch >= now) {
                continue;
            }
        }
        put(job, "cib_delete", &Element::new("rsc_location").with("id", id.as_str()))?;
        if !silently {
            job.out.info(&format!("Removing constraint: {id}"));
        }
    }
    Ok(())
}

/// `-U`: removes constraints made by moves and bans.
pub(super) fn clear(job: &mut Job<'_>) -> Result<CrmExit, Fail> {
    let name = match job.name() {
        Some(_) => Some(subject(job)?.1),
        None => None,
    };
    let node = job.node()?.map(|node| job.view.sched.nodes[node].name.to_string());
    let (name, node) = (name.as_deref(), node.as_deref());
    let expired = job.parsed.has("expired");
    remove_bans(job, &Which { name, node, expired, ..Which::default() }, false)?;
    Ok(CrmExit::Ok)
}
