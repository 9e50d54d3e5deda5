//! What must hold when everything has come back and had its time.

use std::sync::Arc;

use pacemaker::controld::fsm::State;
use scheduler::{Input, PlanOptions};
use xml::Element;

use super::Cluster;

/// What does not hold; nothing is the aim.
pub(super) fn check(cluster: &mut Cluster) -> Vec<String> {
    let mut wrong = Vec::new();
    for host in &mut cluster.hosts {
        wrong.append(&mut host.troubles);
    }
    controllers(cluster, &mut wrong);
    if documents(cluster, &mut wrong) {
        nodes(cluster, &mut wrong);
        resources(cluster, &mut wrong);
    }
    wrong
}

/// One DC, everybody else its follower.
fn controllers(cluster: &mut Cluster, wrong: &mut Vec<String>) {
    let mut dcs = Vec::new();
    for host in &mut cluster.hosts {
        let name = host.name.clone();
        let Some(side) = host.controld() else {
            wrong.push(format!("{name}: no controller runs"));
            continue;
        };
        match (side.core.state(), side.core.is_dc()) {
            (State::Idle, true) => dcs.push(name),
            (State::NotDc, false) => {}
            (state, is_dc) => wrong.push(format!("{name}: {state:?}, DC: {is_dc}")),
        }
    }
    if dcs.len() != 1 {
        wrong.push(format!("DCs: {dcs:?}"));
    }
}

/// The same document everywhere.
fn documents(cluster: &Cluster, wrong: &mut Vec<String>) -> bool {
    let digests: Vec<Option<String>> =
        cluster.hosts.iter().map(|host| host.document().map(cib::digest::v2)).collect();
    if digests.iter().any(|digest| digest.is_none() || *digest != digests[0]) {
        let versions: Vec<String> = cluster
            .hosts
            .iter()
            .map(|host| match host.document() {
                None => format!("{}: none", host.name),
                Some(cib) => format!(
                    "{}: {}.{}.{}",
                    host.name,
                    cib.get("admin_epoch").unwrap_or("?"),
                    cib.get("epoch").unwrap_or("?"),
                    cib.get("num_updates").unwrap_or("?")
                ),
            })
            .collect();
        wrong.push(format!("the documents differ: {}", versions.join(", ")));
        for host in &cluster.hosts[1..] {
            if let (Some(a), Some(b)) = (cluster.hosts[0].document(), host.document())
                && let Some(where_) = difference(a, b, "")
            {
                wrong.push(format!("  n1 and {}: {where_}", host.name));
            }
        }
        return false;
    }
    true
}

/// The first place where two elements are not alike.
fn difference(a: &Element, b: &Element, path: &str) -> Option<String> {
    let path = format!("{path}/{}[{}]", a.name(), a.id().unwrap_or(""));
    let without_children = |element: &Element| {
        let mut bare = element.clone();
        bare.clear_children();
        // Every node's own.
        for name in ["cib-last-written", "update-origin", "update-client", "update-user"] {
            bare.unset(name);
        }
        bare.to_text()
    };
    let (bare_a, bare_b) = (without_children(a), without_children(b));
    if bare_a != bare_b {
        return Some(format!("{path}: {bare_a} | {bare_b}"));
    }
    let (mut of_a, mut of_b) = (a.children(), b.children());
    loop {
        match (of_a.next(), of_b.next()) {
            (None, None) => return None,
            (Some(a), Some(b)) => {
                if let Some(found) = difference(a, b, &path) {
                    return Some(found);
                }
            }
            (Some(one), None) | (None, Some(one)) => {
                return Some(format!("{path}: only one has {}", without_children(one)));
            }
        }
    }
}

/// Everybody is a full member, in the document too.
fn nodes(cluster: &Cluster, wrong: &mut Vec<String>) {
    let Some(cib) = cluster.hosts[0].document() else { return };
    for host in &cluster.hosts {
        let state = cib.child("status").and_then(|status| {
            status.children_named("node_state").find(|s| s.get("uname") == Some(&host.name))
        });
        let get = |name: &str| state.and_then(|state| state.get(name)).unwrap_or("-");
        let found = (get("in_ccm"), get("crmd"), get("join"));
        if found != ("true", "online", "member") {
            wrong.push(format!("{} in the document: {found:?}", host.name));
        }
    }
}

/// Nothing is left to do, and what should run runs as often as it should.
fn resources(cluster: &Cluster, wrong: &mut Vec<String>) {
    let Some(cib) = cluster.hosts[0].document() else { return };
    let now = 1_780_000_000 + i64::try_from(cluster.now.as_millis() / 1000).unwrap_or(0);
    let plan = scheduler::schedule(
        &Arc::new(cib.clone()),
        PlanOptions {
            input: Input { now, ..Input::default() },
            transition_id: 0,
            compat_2_1: true,
        },
    );
    for line in &plan.summary {
        wrong.push(format!("left to do: {}", line.text));
    }
    let in_service = cluster.hosts.iter().filter(|host| !is_standby(cib, &host.name)).count();
    for id in expected(cib) {
        if in_service == 0 {
            continue;
        }
        let places: Vec<&str> = cluster
            .hosts
            .iter()
            .filter(|host| host.running.resources().contains(&id.0))
            .map(|host| host.name.as_str())
            .collect();
        if places.len() != id.1.unwrap_or(in_service) {
            wrong.push(format!("{} runs on {places:?}", id.0));
        }
    }
}

fn is_standby(cib: &Element, name: &str) -> bool {
    cib.at(&["configuration", "nodes"])
        .and_then(|nodes| nodes.children().find(|node| node.get("uname") == Some(name)))
        .is_some_and(|node| {
            node.descendants()
                .any(|pair| pair.get("name") == Some("standby") && pair.get("value") == Some("on"))
        })
}

/// Primitives and how often they run; `None` is everywhere.
fn expected(cib: &Element) -> Vec<(String, Option<usize>)> {
    let Some(resources) = cib.at(&["configuration", "resources"]) else { return Vec::new() };
    let mut found = Vec::new();
    for resource in resources.children() {
        let times = if resource.name() == "clone" { None } else { Some(1) };
        let primitives = resource.descendants().filter(|e| e.name() == "primitive");
        found.extend(primitives.filter_map(|e| Some((e.id()?.to_owned(), times))));
    }
    found
}
