//! `--wait` and `--restart`: until the cluster is where it was told to go.

use std::time::{Duration, Instant};

use base::CrmExit;
use pacemaker_client::controld::Controld;
use scheduler::ids::RscIx;
use xml::Element;

use super::{Job, element_name, of_rc, performing};
use crate::options::Parsed;
use crate::output::{Fail, Out};
use crate::rc::Rc;
use crate::source::{Call, PATIENCE};

/// How often the cluster is asked.
const STEP: Duration = Duration::from_millis(500);

fn timeout(parsed: &Parsed) -> Result<Option<Duration>, Fail> {
    match parsed.value("timeout") {
        None => Ok(None),
        Some(text) => base::interval::parse(text)
            .map(Some)
            .map_err(|_| Fail::usage(format!("Invalid timeout '{text}'"))),
    }
}

/// Waits until the designated controller has nothing left to do. Once is not enough: a change may
/// have reached the CIB and not the controller yet.
fn until_idle(deadline: Instant) -> Result<(), Fail> {
    let mut controller = Controld::connect_patiently("crm_resource", PATIENCE)
        .map_err(|error| of_rc(Rc::from(error)))?;
    let mut idle = 0;
    while idle < 3 {
        if Instant::now() >= deadline {
            return Err(performing(CrmExit::Timeout));
        }
        let state = match controller.ping(None, Duration::from_secs(5)).map_err(Rc::from) {
            Ok(ping) => Some(ping.state),
            // No DC now: there will be an election.
            Err(Rc::ETIMEDOUT) => None,
            Err(rc) => return Err(of_rc(rc)),
        };
        idle = if state.as_deref() == Some("S_IDLE") { idle + 1 } else { 0 };
        std::thread::sleep(STEP);
    }
    Ok(())
}

/// `--wait`: waits until the cluster settles; an hour unless told otherwise.
pub(super) fn settle(parsed: &Parsed, _out: &mut Out) -> Result<CrmExit, Fail> {
    let span = timeout(parsed)?.unwrap_or(Duration::from_secs(3600));
    until_idle(Instant::now() + span)?;
    Ok(CrmExit::Ok)
}

fn set_role(job: &mut Job<'_>, rsc: RscIx, role: Option<&str>) -> Result<(), Fail> {
    let r = &job.view.sched.rscs[rsc];
    let id = r.xml.id().unwrap_or("").to_owned();
    let (set, pair) =
        (format!("{id}-meta_attributes"), format!("{id}-meta_attributes-target-role"));
    let (tag, own) = (element_name(r.variant), own_role(job, rsc));
    let (set, pair) = own.map_or((set, pair), |(set, pair, _)| (set, pair));
    let (op, data) = match role {
        Some(role) => {
            let nvpair = Element::new("nvpair")
                .with("id", pair.as_str())
                .with("name", "target-role")
                .with("value", role);
            let attributes =
                Element::new("meta_attributes").with("id", set.as_str()).with_child(nvpair);
            ("cib_modify", Element::new(tag).with("id", id.as_str()).with_child(attributes))
        }
        None => (
            "cib_delete",
            Element::new("nvpair").with("id", pair.as_str()).with("name", "target-role"),
        ),
    };
    let call = Call { op, section: Some("resources"), data: Some(&data), ..Call::default() };
    let answer = job.source.call(&call).map_err(of_rc)?;
    if answer.rc != Rc::OK {
        return Err(of_rc(answer.rc));
    }
    match role {
        Some(role) => job
            .out
            .info(&format!("Set '{id}' option: id={pair} set={set} name=target-role value={role}")),
        None => job.out.info(&format!("Deleted '{id}' option: id={pair} name=target-role")),
    }
    Ok(())
}

/// Set id, pair id and value of a resource's own target role.
fn own_role(job: &Job<'_>, rsc: RscIx) -> Option<(String, String, String)> {
    let id = job.view.sched.rscs[rsc].xml.id()?;
    let element = job.view.cib.at(&["configuration", "resources"])?.find_id(id)?;
    element.children().filter(|child| child.name() == "meta_attributes").find_map(|set| {
        let pair = set.children().find(|pair| pair.get("name") == Some("target-role"))?;
        Some((
            set.id()?.to_owned(),
            pair.id()?.to_owned(),
            pair.get("value").unwrap_or("").to_owned(),
        ))
    })
}

/// Active primitives of the whole cluster, by id.
fn active(job: &Job<'_>) -> Vec<String> {
    let sched = &job.view.sched;
    let leaves = sched.top.iter().flat_map(|top| job.view.parts_of(*top));
    leaves
        .filter(|leaf| sched.is_active(*leaf, false))
        .map(|leaf| sched.rscs[leaf].id.to_string())
        .collect()
}

fn announce(job: &mut Job<'_>, names: &[String], what: &str) {
    job.out.info(&format!("Waiting for {} resources to {what}:", names.len()));
    for name in names {
        job.out.info(&format!(" * {name}"));
    }
}

/// `--restart`: stops a resource and what needs it, and has the cluster start them again.
pub(super) fn restart(job: &mut Job<'_>) -> Result<CrmExit, Fail> {
    if !job.source.is_live() {
        return Err(Fail::usage("--restart is only possible in a running cluster"));
    }
    let rsc = job.resource()?;
    let name = job.name().unwrap_or("").to_owned();
    let whole = job.view.sched.uber(rsc);
    if !job.view.sched.is_active(whole, false) {
        return Err(Fail::new(
            CrmExit::Error,
            format!("{name} is not running and so cannot be restarted"),
        ));
    }
    let deadline = Instant::now() + timeout(job.parsed)?.unwrap_or(Duration::from_secs(3600));
    let before = active(job);
    let mine: Vec<String> = {
        let sched = &job.view.sched;
        let parts = job.view.parts_of(whole);
        parts
            .into_iter()
            .map(|part| sched.rscs[part].id.to_string())
            .filter(|id| before.contains(id))
            .collect()
    };
    let old = own_role(job, whole).map(|(_, _, value)| value);
    set_role(job, whole, Some("stopped"))?;
    announce(job, &mine, "stop");
    let stopped = wait_for(job, deadline, |now| mine.iter().all(|id| !now.contains(id)));
    // Whatever happened, the resource gets its role back.
    set_role(job, whole, old.as_deref())?;
    stopped?;
    announce(job, &mine, "start again");
    wait_for(job, deadline, |now| mine.iter().all(|id| now.contains(id)))?;
    until_idle(deadline)?;
    Ok(CrmExit::Ok)
}

fn wait_for(
    job: &mut Job<'_>,
    deadline: Instant,
    done: impl Fn(&[String]) -> bool,
) -> Result<(), Fail> {
    loop {
        job.refresh_view()?;
        if done(&active(job)) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(performing(CrmExit::Timeout));
        }
        std::thread::sleep(STEP);
    }
}
