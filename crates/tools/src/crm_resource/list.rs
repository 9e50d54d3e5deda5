//! Lists: all resources, their ids, operations, where one runs, its configuration.

use base::CrmExit;
use scheduler::model::{Role, Variant};
use scheduler::present::{self, Line};
use scheduler::text::scan_int;
use xml::Element;

use super::Job;
use crate::clock::ctime;
use crate::output::{Fail, text_element};
use crate::status::facts::status_text;
use crate::status::{Sections, Show};

fn everything() -> Show {
    Show { sections: Sections::RESOURCES, inactive: true, ..Show::default() }
}

/// `-L`: every resource with its state.
pub(super) fn all(job: &mut Job<'_>) -> Result<CrmExit, Fail> {
    let mut show = everything();
    show.only_resources = job.name().map(|name| vec![name.to_owned()]);
    let items = without_nodes(job, &show);
    let mut lines = vec![Line { level: 0, text: "Full List of Resources:".to_owned() }];
    if items.is_empty() {
        lines.push(Line { level: 1, text: "No resources".to_owned() });
    }
    lines.extend(items);
    job.out.text(&present::render(&lines));
    let element = job.view.resources_xml(&show);
    if let Some(element) = element {
        job.out.xml(|| element);
    }
    Ok(CrmExit::Ok)
}

/// The resource list; where one of them runs is not part of this one (`-W` tells).
fn without_nodes(job: &Job<'_>, show: &Show) -> Vec<Line> {
    let (view, style) = (&job.view, job.view.style(show));
    let plain = |rsc, level| Line {
        level,
        text: view.sched.primitive_text(rsc, view.sched.printable_id(rsc), None, 1, style),
    };
    let mut items = Vec::new();
    for rsc in view.sched.top.iter().copied().filter(|rsc| view.wants_resource(show, *rsc)) {
        let r = &view.sched.rscs[rsc];
        if r.removed && !view.sched.is_active(rsc, false) {
            continue;
        }
        match r.variant {
            Variant::Primitive => items.push(plain(rsc, 1)),
            Variant::Group => {
                let mut lines = view.resource_lines(rsc, 1, show);
                lines.truncate(1);
                items.extend(lines);
                items.extend(r.children.iter().map(|member| plain(*member, 2)));
            }
            Variant::Clone | Variant::Bundle => items.extend(view.resource_lines(rsc, 1, show)),
        }
    }
    items
}

/// `-l`: the ids of all primitives, instances included.
pub(super) fn raw(job: &mut Job<'_>) -> Result<CrmExit, Fail> {
    let sched = &job.view.sched;
    let mut ids = Vec::new();
    for top in &sched.top {
        for leaf in sched.leaves(*top) {
            ids.push(sched.rscs[leaf].id.to_string());
        }
    }
    for id in &ids {
        job.out.line(id);
    }
    if ids.is_empty() {
        job.out.line("NO resources configured");
    }
    job.out.xml(|| {
        let mut list = Element::new("list")
            .with("name", "resource names")
            .with("count", ids.len().to_string());
        for id in &ids {
            let mut item = text_element("item", id);
            item.set("name", "resource");
            list.push(item);
        }
        list
    });
    Ok(CrmExit::Ok)
}

/// `-O` and `-o`: recorded operations. The active ones are those that still say something: probes
/// that found nothing are out once the resource was started or stopped there.
pub(super) fn operations(job: &mut Job<'_>, active: bool) -> Result<CrmExit, Fail> {
    let wanted_node = job.node()?.map(|node| job.view.sched.nodes[node].name.to_string());
    let wanted = job.name().map(str::to_owned);
    let cib = job.view.cib.clone();
    let mut xml = Element::new("operations");
    for state in cib.child("status").into_iter().flat_map(Element::children) {
        let node = state.get("uname").unwrap_or("");
        if state.name() != "node_state"
            || wanted_node.as_deref().is_some_and(|wanted| wanted != node)
        {
            continue;
        }
        let online =
            job.view.sched.node_by_name(node).is_some_and(|ix| job.view.sched.nodes[ix].online);
        if !online {
            continue;
        }
        for history in state.at(&["lrm", "lrm_resources"]).into_iter().flat_map(Element::children) {
            let id = history.id().unwrap_or("");
            if wanted.as_deref().is_some_and(|wanted| wanted != id) {
                continue;
            }
            let mut ops: Vec<&Element> =
                history.children().filter(|op| op.name() == "lrm_rsc_op").collect();
            ops.sort_by_key(|op| op.get("call-id").and_then(scan_int).unwrap_or(0));
            if active {
                ops = still_active(ops);
            }
            for op in ops {
                show_operation(job, node, id, history, op, &mut xml);
            }
        }
    }
    job.out.xml(|| xml);
    Ok(CrmExit::Ok)
}

/// Operations from the last start on, unless a stop followed. What never was started here begins
/// with the promotion or demotion, or else the monitor, that found it (`spec/scheduler-history.md`
/// §3).
fn still_active(ops: Vec<&Element>) -> Vec<&Element> {
    let (mut start, mut stop, mut found, mut changed) = (None, None, None, None);
    for (index, op) in ops.iter().enumerate() {
        let rc = op.get("rc-code").unwrap_or("");
        match op.get("operation") {
            Some("start" | "migrate_from") => start = Some(index),
            Some("stop") if op.get("op-status") == Some("0") => stop = Some(index),
            Some("monitor") if matches!(rc, "0" | "8") && found <= stop => found = Some(index),
            Some("promote" | "demote") => changed = Some(index),
            _ => {}
        }
    }
    let start = start.or(changed).or(found);
    if stop.is_some() && stop > start {
        return Vec::new();
    }
    ops.into_iter().skip(start.unwrap_or(0)).collect()
}

fn show_operation(
    job: &mut Job<'_>,
    node: &str,
    id: &str,
    history: &Element,
    op: &Element,
    xml: &mut Element,
) {
    let attr = |name: &str| op.get(name).unwrap_or("").to_owned();
    let key = op.get("operation_key").or(op.id()).unwrap_or("").to_owned();
    let status =
        op.get("op-status").and_then(scan_int).and_then(|n| i32::try_from(n).ok()).unwrap_or(0);
    let agent_part = |name: &str| history.get(name).unwrap_or("").to_owned();
    let (class, provider, kind) = (agent_part("class"), agent_part("provider"), agent_part("type"));
    let head = match job.find(id) {
        Some(rsc) => {
            let style = job.view.style(&everything());
            job.view.sched.primitive_text(rsc, id, None, 1, style)
        }
        None => format!("{id}\t(unknown):\t Unknown"),
    };
    let changed = op.get("last-rc-change").and_then(scan_int).filter(|at| *at > 0);
    let when = changed.map(|at| format!(", last-rc-change='{}'", ctime(at))).unwrap_or_default();
    job.out.line(&format!(
        "{}: {key} (node={node}, call={}, rc={}{when}, exec={}ms): {}",
        head.trim_end(),
        attr("call-id"),
        attr("rc-code"),
        attr("exec-time"),
        status_text(status)
    ));
    let mut element = Element::new("operation")
        .with("op", key)
        .with("node", node)
        .with("call", attr("call-id"))
        .with("rc", attr("rc-code"))
        .with("status", status_text(status))
        .with("rsc", id)
        .with("agent", format!("{class}:{provider}:{kind}"));
    if let Some(at) = changed {
        element.set("last-rc-change", ctime(at));
    }
    element.set("exec-time", attr("exec-time"));
    xml.push(element);
}

/// `-W`: where a resource runs.
pub(super) fn locate(job: &mut Job<'_>) -> Result<CrmExit, Fail> {
    let rsc = job.resource()?;
    let name = job.name().unwrap_or("").to_owned();
    let sched = &job.view.sched;
    // The inner id of an anonymous clone stands for all its instances.
    let uber = sched.uber(rsc);
    let instance = job.is_instance_name(rsc, &name);
    let what = if !instance && (sched.is_anonymous_clone(uber) || sched.rscs[uber].promotable) {
        uber
    } else {
        rsc
    };
    let mut found: Vec<(String, bool)> = Vec::new();
    for part in job.view.parts_of(what) {
        let promoted = sched.role(part, true) == Role::Promoted;
        for node in &sched.rscs[part].active {
            let place = (sched.nodes[*node].name.to_string(), promoted);
            if !found.contains(&place) {
                found.push(place);
            }
        }
    }
    if sched.rscs[what].variant == Variant::Group {
        found.truncate(1);
    }
    found.sort();
    if found.is_empty() {
        job.out.err(&format!("resource {name} is NOT running"));
    }
    for (node, promoted) in &found {
        if job.out.quiet {
            job.out.line(node);
        } else {
            let state = if *promoted { " Promoted" } else { "" };
            job.out.line(&format!("resource {name} is running on: {node}{state}"));
        }
    }
    job.out.xml(|| {
        let mut nodes = Element::new("nodes").with("resource", name);
        for (node, promoted) in &found {
            let mut element = text_element("node", node);
            if *promoted {
                element.set("state", "promoted");
            }
            nodes.push(element);
        }
        nodes
    });
    Ok(CrmExit::Ok)
}

/// `-q` and `-w`: a resource's configuration, with its template's parts or as it is written.
pub(super) fn xml(job: &mut Job<'_>, expanded: bool) -> Result<CrmExit, Fail> {
    let rsc = job.by_configuration()?;
    let shown = rsc;
    let r = &job.view.sched.rscs[rsc];
    let id = r.xml.id().unwrap_or("").to_owned();
    let element = if expanded {
        (*r.xml).clone()
    } else {
        let resources = job.view.cib.at(&["configuration", "resources"]);
        resources.and_then(|all| all.find_id(&id)).cloned().unwrap_or_else(|| (*r.xml).clone())
    };
    let show = everything();
    let lines = job.view.resource_lines(shown, 0, &show);
    // Of a group its members are shown.
    let members = job.view.sched.rscs[shown].variant == Variant::Group;
    let text: String = lines
        .into_iter()
        .filter_map(|line| match (members, line.level) {
            (true, 0) => None,
            (true, level) => Some(Line { level: level - 1, text: line.text }),
            (false, _) => Some(line),
        })
        .map(|line| {
            if line.level == 0 {
                format!("{}\n", line.text)
            } else {
                format!("{:w$}* {}\n", "", line.text, w = 2 * line.level)
            }
        })
        .collect();
    job.out.text(&format!("{text}Resource XML:\n{}", element.to_pretty()));
    let status = job.view.resource_xml(shown, &show);
    job.out.xml(|| {
        let mut config = Element::new("resource_config");
        if let Some(status) = status {
            config.push(status);
        }
        config.push(text_element("xml", &element.to_pretty()));
        config
    });
    Ok(CrmExit::Ok)
}
