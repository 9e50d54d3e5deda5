//! `-Y`: why resources do not run. Source: `spec/cli-pacemaker.md` §8.2.

use base::CrmExit;
use scheduler::ids::{NodeIx, RscIx};
use scheduler::model::Role;
use xml::Element;

use super::Job;
use crate::output::Fail;

/// What speaks against a resource.
#[derive(Default)]
struct Reasons {
    remain_stopped: bool,
    unpromotable: bool,
    unmanaged: bool,
    locked: Option<String>,
    unhealthy: Option<String>,
}

fn reasons(job: &Job<'_>, rsc: RscIx, node: Option<NodeIx>) -> Reasons {
    let sched = &job.view.sched;
    let parent = sched.uber(rsc);
    let target = sched.target_role(rsc).or_else(|| sched.target_role(parent));
    let mut found = Reasons::default();
    match target {
        Some(Role::Stopped) => found.remain_stopped = true,
        Some(Role::Unpromoted) if sched.rscs[parent].promotable => found.unpromotable = true,
        _ => {}
    }
    found.unmanaged = !sched.rscs[rsc].managed;
    found.locked = sched.rscs[rsc].lock_node.map(|node| sched.nodes[node].name.to_string());
    let strategy = &sched.options.health_strategy;
    if let Some(node) = node
        && strategy != "none"
        && !strategy.is_empty()
    {
        let health = scheduler::present::health(sched, node);
        if health < 0 || health == 0 && strategy == "only-green" {
            found.unhealthy = Some(strategy.to_string());
        }
    }
    found
}

fn say(job: &mut Job<'_>, rsc: RscIx, node: Option<NodeIx>) -> Element {
    let found = reasons(job, rsc, node);
    // What is in a collective is checked as the collective.
    let id = job.view.sched.rscs[job.view.sched.uber(rsc)].id.to_string();
    let mut check = Element::new("check").with("id", id.as_str());
    if found.remain_stopped {
        job.out.line(&format!("Configuration specifies '{id}' should remain stopped"));
        check.set("remain_stopped", "true");
    }
    if found.unpromotable {
        job.out.line(&format!("Configuration specifies '{id}' should not be promoted"));
        check.set("promotable", "false");
    }
    if found.unmanaged {
        job.out.line(&format!(
            "Configuration prevents cluster from stopping or starting unmanaged '{id}'"
        ));
        check.set("unmanaged", "true");
    }
    if let Some(node) = &found.locked {
        job.out.line(&format!("'{id}' is locked to node {node} due to shutdown"));
        check.set("locked-to", node.as_str());
    }
    if let Some(strategy) = &found.unhealthy {
        job.out.line(&format!(
            "'{id}' cannot run on unhealthy nodes due to node-health-strategy='{strategy}'"
        ));
        check.set("unhealthy", "true");
    }
    check
}

/// Whether any of it is found anywhere.
fn runs(job: &Job<'_>, rsc: RscIx) -> bool {
    !job.view.sched.locations_of(rsc, true).is_empty()
}

fn runs_on(job: &Job<'_>, rsc: RscIx, node: NodeIx) -> bool {
    job.view.parts_of(rsc).into_iter().any(|part| job.view.sched.rscs[part].active.contains(&node))
}

/// Says of each resource whether it runs, and if not what the configuration has against it.
pub(super) fn show(job: &mut Job<'_>) -> Result<CrmExit, Fail> {
    let node = job.node()?;
    let host = node.map(|node| job.view.sched.nodes[node].name.to_string());
    let mut reason = Element::new("reason");
    if job.name().is_some() {
        let rsc = job.resource()?;
        let id = job.view.sched.rscs[rsc].id.to_string();
        match (node, &host) {
            (Some(node), Some(host)) => {
                if runs_on(job, rsc, node) {
                    job.out.line(&format!("Resource {id} is running on host {host}"));
                } else {
                    job.out.line(&format!("Resource {id} is not running on host {host}"));
                }
            }
            _ => {
                let running = runs(job, rsc);
                job.out.line(&format!(
                    "Resource {id} is {}running",
                    if running { "" } else { "not " }
                ));
                reason.set("running", if running { "true" } else { "false" });
            }
        }
        let check = say(job, rsc, node);
        reason.push(check);
        job.out.xml(|| reason);
        return Ok(CrmExit::Ok);
    }
    let mut all = Element::new("resources");
    let list: Vec<(RscIx, bool)> = match node {
        Some(node) => {
            let running = &job.view.sched.nodes[node].running;
            running.iter().map(|rsc| (*rsc, true)).collect()
        }
        None => {
            let sched = &job.view.sched;
            sched.top.iter().map(|rsc| (*rsc, runs(job, *rsc))).collect()
        }
    };
    for (rsc, running) in list {
        let id = job.view.sched.rscs[rsc].id.to_string();
        let mut element = Element::new("resource").with("id", id.as_str());
        element.set("running", if running { "true" } else { "false" });
        match &host {
            Some(host) => {
                job.out.line(&format!("Resource {id} is running on host {host}"));
                element.set("host", host.as_str());
            }
            None => {
                job.out.line(&format!(
                    "Resource {id} is {}running",
                    if running { "" } else { "not " }
                ));
            }
        }
        element.push(say(job, rsc, node));
        all.push(element);
    }
    reason.push(all);
    job.out.xml(|| reason);
    Ok(CrmExit::Ok)
}
