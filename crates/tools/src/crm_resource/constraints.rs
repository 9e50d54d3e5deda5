//! `-a` and `-A`: constraints of a resource, with those of the resources it is tied to.
//! Source: `spec/cli-pacemaker.md` §8.2.

use base::{CrmExit, Score};
use scheduler::ids::RscIx;
use xml::Element;

use super::Job;
use crate::output::Fail;

struct Walk {
    lines: Vec<(usize, String)>,
    xml: Element,
    seen: Vec<String>,
    recursive: bool,
}

fn score(element: &Element) -> String {
    element.get("score").and_then(Score::parse).unwrap_or(Score::new(0)).to_string()
}

fn constraints(job: &Job<'_>, tag: &str) -> Vec<Element> {
    let all = job.view.cib.at(&["configuration", "constraints"]);
    all.into_iter()
        .flat_map(Element::children)
        .filter(|child| child.name() == tag)
        .cloned()
        .collect()
}

/// Shows the constraints.
pub(super) fn show(job: &mut Job<'_>, recursive: bool) -> Result<CrmExit, Fail> {
    let rsc = job.resource()?;
    let rsc = if job.parsed.has("force") { rsc } else { job.view.sched.uber(rsc) };
    let rsc = top_group(job, rsc);
    let id = job.view.sched.rscs[rsc].xml.id().unwrap_or("").to_owned();
    let mut walk =
        Walk { lines: Vec::new(), xml: Element::new("constraints"), seen: Vec::new(), recursive };
    locations(job, &mut walk, &id, 0);
    walk.seen = Vec::new();
    colocated(job, &mut walk, &id, 0, true);
    walk.seen = Vec::new();
    colocated(job, &mut walk, &id, 0, false);
    let text: String = walk
        .lines
        .iter()
        .map(|(level, line)| {
            if *level == 0 {
                format!("{line}\n")
            } else {
                format!("{:w$}* {line}\n", "", w = 2 * level)
            }
        })
        .collect();
    job.out.text(&text);
    let xml = walk.xml;
    job.out.xml(|| xml);
    Ok(CrmExit::Ok)
}

fn top_group(job: &Job<'_>, rsc: RscIx) -> RscIx {
    if job.parsed.has("force") { rsc } else { job.view.sched.top_of(rsc, false) }
}

fn locations(job: &Job<'_>, walk: &mut Walk, id: &str, level: usize) {
    let mut first = true;
    for constraint in constraints(job, "rsc_location") {
        if constraint.get("rsc") != Some(id) {
            continue;
        }
        for (node, score) in job.view.located(&constraint) {
            if std::mem::take(&mut first) {
                walk.lines.push((level, "Locations:".to_owned()));
            }
            let score = Score::new(i64::from(score)).to_string();
            let name = job.view.sched.nodes[node].name.to_string();
            let own = constraint.id().unwrap_or("");
            walk.lines
                .push((level + 1, format!("Node {name} (score={score}, id={own}, rsc={id})")));
            let element = Element::new("rsc_location").with("node", name).with("rsc", id);
            walk.xml.push(element.with("id", own).with("score", score));
        }
    }
}

/// Colocations of a resource: those that depend on it, or those it depends on.
fn colocated(job: &Job<'_>, walk: &mut Walk, id: &str, level: usize, dependents: bool) {
    let (this, other) = if dependents { ("with-rsc", "rsc") } else { ("rsc", "with-rsc") };
    walk.seen.push(id.to_owned());
    let mut first = true;
    let mut list = constraints(job, "rsc_colocation");
    // The strongest first, then by the other's id.
    list.sort_by(|a, b| {
        let strength = |c: &Element| c.get("score").and_then(Score::parse).map_or(0, Score::value);
        strength(b).cmp(&strength(a)).then_with(|| a.get(other).cmp(&b.get(other)))
    });
    for constraint in list {
        let Some(peer) = constraint.get(other).filter(|_| constraint.get(this) == Some(id)) else {
            continue;
        };
        if std::mem::take(&mut first) {
            let title = if dependents {
                format!("Resources colocated with {id}:")
            } else {
                format!("Resources {id} is colocated with:")
            };
            walk.lines.push((level, title));
        }
        let own = constraint.id().unwrap_or("");
        let is_loop = walk.seen.iter().any(|seen| seen == peer);
        let role_name = if dependents { "needs role" } else { "with role" };
        let role = constraint.get("with-rsc-role");
        let role = role.map(|role| format!("{role_name}={role}, ")).unwrap_or_default();
        let text = if is_loop {
            format!("{peer} (id={own} - loop)")
        } else {
            format!("{peer} (score={}, {role}id={own})", score(&constraint))
        };
        walk.lines.push((level + 1, text));
        let mut element = Element::new("rsc_colocation")
            .with("id", own)
            .with("rsc", constraint.get("rsc").unwrap_or(""))
            .with("with-rsc", constraint.get("with-rsc").unwrap_or(""))
            .with("score", score(&constraint))
            .with("node-attribute", constraint.get("node-attribute").unwrap_or("#uname"));
        for role in ["rsc-role", "with-rsc-role"] {
            if let Some(value) = constraint.get(role) {
                element.set(role, value);
            }
        }
        walk.xml.push(element);
        if is_loop {
            continue;
        }
        let peer = peer.to_owned();
        locations(job, walk, &peer, level + 2);
        if walk.recursive {
            colocated(job, walk, &peer, level + 2, dependents);
        }
    }
    walk.seen.pop();
}
