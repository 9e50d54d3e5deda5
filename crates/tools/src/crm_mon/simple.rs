//! One line for Nagios. Source: `spec/cli-pacemaker.md` §6.8.

use base::CrmExit;
use scheduler::model::NodeKind;

use crate::options::Parsed;
use crate::output::{Fail, Out, print_best_effort};

/// Prints the line; the exit status is one of the plugin's states 0, 1, 2.
pub(super) fn run(_parsed: &Parsed, _out: &mut Out) -> Result<CrmExit, Fail> {
    let view = match super::look() {
        Ok(view) => view,
        Err(rc) => {
            print_best_effort(&format!("CLUSTER CRIT: Connection to cluster failed: {rc}\n"));
            return Ok(CrmExit::InvalidParam);
        }
    };
    let sched = &view.sched;
    let mut warnings = String::new();
    if sched.dc.is_none() {
        warnings.push_str(" No DC");
    }
    let (mut online, mut standby, mut maintenance) = (0, 0, 0);
    for node in sched.node_order.iter().map(|node| &sched.nodes[*node]) {
        if node.kind != NodeKind::Cluster {
            continue;
        }
        if node.standby && node.online {
            standby += 1;
        } else if node.maintenance && node.online {
            maintenance += 1;
        } else if node.online {
            online += 1;
        } else {
            warnings.push_str(if warnings.starts_with(" No DC") && !warnings.contains("offline") {
                ","
            } else {
                ""
            });
            warnings.push_str(&format!(" offline node: {}", node.name));
        }
    }
    if !warnings.is_empty() {
        print_best_effort(&format!("CLUSTER WARN:{warnings}\n"));
        return Ok(CrmExit::Error);
    }
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let mut text = format!("CLUSTER OK: {online} node{} online", plural(online));
    if standby > 0 {
        text.push_str(&format!(", {standby} standby node{}", plural(standby)));
    }
    if maintenance > 0 {
        text.push_str(&format!(", {maintenance} maintenance node{}", plural(maintenance)));
    }
    let instances = sched.instances;
    text.push_str(&format!(", {instances} resource instance{} configured\n", plural(instances)));
    print_best_effort(&text);
    Ok(CrmExit::Ok)
}
