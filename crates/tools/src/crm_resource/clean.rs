//! `-C`, `-R`, `-F`: histories and failures are forgotten, or made up.
//! Source: `spec/cli-pacemaker.md` §8.2, `spec/pacemaker-ipc.md` §7.3.

use std::time::{Duration, Instant};

use base::CrmExit;
use pacemaker_client::attrd::Attrd;
use pacemaker_client::controld::Controld;
use scheduler::ids::{NodeIx, RscIx};
use scheduler::model::{NodeKind, Variant};
use xml::Element;

use super::{Job, failing, of_rc};
use crate::output::Fail;
use crate::rc::Rc;
use crate::source::PATIENCE;

/// How long a node may take to answer.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// Requests to controllers whose replies are still to come.
struct Requests {
    controller: Option<Controld>,
    open: usize,
}

impl Requests {
    fn new() -> Requests {
        Requests { controller: None, open: 0 }
    }

    fn controller(&mut self) -> Result<&mut Controld, Fail> {
        if self.controller.is_none() {
            let opened =
                Controld::connect_patiently("crm_resource", PATIENCE).map_err(|error| {
                    let rc = Rc::from(error);
                    failing(rc.exit(), &format!("Error connecting to the controller: {rc}"))
                })?;
            self.controller = Some(opened);
        }
        self.controller.as_mut().ok_or_else(|| of_rc(Rc::ENOTCONN))
    }

    fn wait(mut self, job: &mut Job<'_>) -> Result<CrmExit, Fail> {
        if self.open == 0 {
            return Ok(CrmExit::Ok);
        }
        let plural = if self.open == 1 { "reply" } else { "replies" };
        job.out.info(&format!("Waiting for {} {plural} from the controller", self.open));
        let deadline = Instant::now() + REPLY_TIMEOUT;
        while self.open > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(controller) = self.controller.as_mut() else { break };
            match controller.next_reply(left) {
                Ok(Some(_)) => {
                    self.open -= 1;
                    job.out.info(if self.open == 0 {
                        "... got reply (done)"
                    } else {
                        "... got reply"
                    });
                }
                Ok(None) => {
                    return Err(failing(
                        CrmExit::Timeout,
                        &format!(
                            "Aborting because no messages received in {} seconds",
                            REPLY_TIMEOUT.as_secs()
                        ),
                    ));
                }
                Err(error) => return Err(of_rc(Rc::from(error))),
            }
        }
        Ok(CrmExit::Ok)
    }
}

/// The id under which the executor knows a resource, and its own.
fn names(job: &Job<'_>, rsc: RscIx) -> (String, String) {
    let sched = &job.view.sched;
    let own = sched.rscs[rsc].id.to_string();
    let anonymous = sched.rscs[rsc].parent.is_some() && sched.is_anonymous_clone(sched.uber(rsc));
    let known =
        if anonymous { sched.rscs[rsc].xml.id().unwrap_or(&own).to_owned() } else { own.clone() };
    (known, own)
}

/// Asks the controller of a node to do something to a resource there.
fn ask(
    job: &Job<'_>,
    requests: &mut Requests,
    task: &str,
    rsc: RscIx,
    node: NodeIx,
) -> Result<(), Fail> {
    let sched = &job.view.sched;
    let n = &sched.nodes[node];
    let (known, own) = names(job, rsc);
    let (class, provider, kind) = sched.agent(rsc);
    // A node without controller is reached through the node that holds its connection.
    let router = match n.kind {
        NodeKind::Cluster => Some(node),
        NodeKind::Remote => n.connection.and_then(|connection| sched.current_node(connection)),
    };
    let router = router.map_or(n.name.to_string(), |ix| sched.nodes[ix].name.to_string());
    let pid = std::process::id();
    let mut data = Element::new("rsc_op")
        .with("transition-key", format!("0:{pid}:0:xxxxxxxx-xrsc-opxx-xcrm-resourcexxxx"))
        .with("on_node", n.name.as_str());
    if router != n.name.as_str() {
        data.set("router_node", router.as_str());
    }
    if !n.online {
        data.set("mode", "cib");
    }
    let mut primitive = Element::new("primitive").with("id", known.as_str());
    if known != own {
        primitive.set("long-id", own);
    }
    primitive.set("class", class);
    if let Some(provider) = provider {
        primitive.set("provider", provider);
    }
    primitive.set("type", kind);
    data.push(primitive);
    data.push(
        Element::new("attributes")
            .with("crm_feature_set", crate::source::FEATURE_SET)
            .with("CRM_meta_timeout", "60000"),
    );
    let (to, online) = (if n.online { "lrmd" } else { "crmd" }, n.online);
    let controller = requests.controller()?;
    let host = if online { Some(router.as_str()) } else { None };
    controller.send(task, to, host, Some(data)).map_err(|error| of_rc(Rc::from(error)))?;
    requests.open += 1;
    Ok(())
}

/// Whether something failed there that was not forgotten.
fn has_failures(job: &Job<'_>, rsc: RscIx, node: NodeIx) -> bool {
    let sched = &job.view.sched;
    let (count, last) = sched.raw_failcount(rsc, node);
    let (known, own) = names(job, rsc);
    count > 0
        || last > 0
        || sched.failed_ops.iter().any(|failed| {
            failed.node == sched.nodes[node].name
                && (failed.rsc == own.as_str() || failed.rsc == known.as_str())
        })
}

/// Has the attribute manager forget failures.
fn forget_failures(job: &Job<'_>, node: Option<&str>, resource: Option<&str>) -> Result<(), Fail> {
    let operation = job.parsed.value("operation");
    let interval = job.parsed.value("interval");
    let operation = operation.map(|name| (name, Some(interval.unwrap_or("0"))));
    Attrd::connect_patiently("crm_resource", PATIENCE)
        .and_then(|mut attrd| attrd.clear_failures(node, resource, operation, None, false))
        .map_err(Rc::from)
        .map_err(|rc| failing(rc.exit(), &format!("Unable to clean up resource history: {rc}")))
}

fn clean_one(
    job: &mut Job<'_>,
    requests: &mut Requests,
    rsc: RscIx,
    node: NodeIx,
    failures_only: bool,
) -> Result<(), Fail> {
    let (known, own) = names(job, rsc);
    let name = job.view.sched.nodes[node].name.to_string();
    if !job.source.is_live() {
        job.out.line(&format!("Dry run: skipping clean-up of {own} on {name} due to CIB_file"));
        return Ok(());
    }
    forget_failures(job, Some(&name), Some(&known))?;
    if !failures_only || has_failures(job, rsc, node) {
        ask(job, requests, "lrm_delete", rsc, node)?;
    }
    job.out.info(&format!("Cleaned up {own} on {name}"));
    Ok(())
}

/// The primitives to be cleaned, each with its nodes: every instance where it is active, and one
/// of an anonymous clone's on each node.
fn targets(job: &Job<'_>, rsc: RscIx) -> Vec<RscIx> {
    let sched = &job.view.sched;
    let leaves = job.view.parts_of(rsc);
    let mut chosen: Vec<RscIx> = Vec::new();
    for leaf in leaves {
        let shared = sched.rscs[leaf].xml.id();
        let anonymous =
            sched.rscs[leaf].parent.is_some() && sched.is_anonymous_clone(sched.uber(leaf));
        if anonymous && chosen.iter().any(|other| sched.rscs[*other].xml.id() == shared) {
            continue;
        }
        chosen.push(leaf);
    }
    chosen
}

/// Cleans up (`failures_only`) or refreshes what was named, or everything.
pub(super) fn run(job: &mut Job<'_>, failures_only: bool) -> Result<CrmExit, Fail> {
    let node = job.node()?;
    let mut requests = Requests::new();
    if job.name().is_none() {
        return all(job, requests, node, failures_only);
    }
    let rsc = job.resource()?;
    let sched = &job.view.sched;
    let name = job.name().unwrap_or("").to_owned();
    let mut subject = if job.parsed.has("force") { rsc } else { sched.uber(rsc) };
    if !job.parsed.has("force")
        && let Some(parent) = sched.rscs[subject].parent
        && sched.rscs[parent].variant == Variant::Group
    {
        subject = parent;
    }
    if job.parsed.has("force") && job.is_instance_name(rsc, &name) {
        subject = rsc;
    }
    let nodes: Vec<NodeIx> = match node {
        Some(node) => vec![node],
        None => sched.node_order.clone(),
    };
    for leaf in targets(job, subject) {
        for node in &nodes {
            // Each node is told of the instance it runs, if it runs one.
            let sched = &job.view.sched;
            let shared = sched.rscs[leaf].xml.id();
            let here =
                sched.nodes[*node].running.iter().copied().find(|r| {
                    sched.rscs[*r].xml.id() == shared && sched.uber(*r) == sched.uber(leaf)
                });
            clean_one(job, &mut requests, here.unwrap_or(leaf), *node, failures_only)?;
        }
    }
    job.out.xml(|| Element::new("check").with("id", name));
    requests.wait(job)
}

fn all(
    job: &mut Job<'_>,
    mut requests: Requests,
    node: Option<NodeIx>,
    failures_only: bool,
) -> Result<CrmExit, Fail> {
    let node_name = node.map(|node| job.view.sched.nodes[node].name.to_string());
    if !job.source.is_live() {
        let shown = node_name.as_deref().unwrap_or("all nodes");
        job.out.line(&format!("Dry run: skipping clean-up of {shown} due to CIB_file"));
        return Ok(CrmExit::Ok);
    }
    forget_failures(job, node_name.as_deref(), None)?;
    if failures_only {
        let sched = &job.view.sched;
        let mut failed: Vec<(RscIx, NodeIx)> = Vec::new();
        for failure in &sched.failed_ops {
            let (Some(rsc), Some(at)) =
                (sched.find_resource(&failure.rsc), sched.node_by_name(&failure.node))
            else {
                continue;
            };
            if node.is_none_or(|node| node == at) && !failed.contains(&(rsc, at)) {
                failed.push((rsc, at));
            }
        }
        for (rsc, at) in failed {
            ask(job, &mut requests, "lrm_delete", rsc, at)?;
        }
        let shown = node_name.as_deref().unwrap_or("all nodes");
        job.out.info(&format!("Cleaned up all resources on {shown}"));
        return requests.wait(job);
    }
    let mut data = Element::new("data_for_probe_again");
    if let Some(name) = &node_name {
        data.set("on_node", name.as_str());
    }
    requests
        .controller()?
        .send("probe_again", "crmd", node_name.as_deref(), Some(data))
        .map_err(|error| of_rc(Rc::from(error)))?;
    requests.open += 1;
    requests.wait(job)
}

/// `-F`: tells the cluster that a resource failed.
pub(super) fn fail(job: &mut Job<'_>) -> Result<CrmExit, Fail> {
    let Some(node) = job.node()? else {
        return Err(Fail::usage("Must supply a node name with -N"));
    };
    let rsc = job.resource()?;
    let leaf = job.view.parts_of(rsc).first().copied().unwrap_or(rsc);
    let mut requests = Requests::new();
    ask(job, &mut requests, "lrm_fail", leaf, node)?;
    requests.wait(job)
}
