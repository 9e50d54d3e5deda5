//! The level `resource`.

use crate::live;
use crate::programs;
use crate::say;
use crate::shell::{Shell, Verdict};

pub(crate) fn run(shell: &mut Shell, name: &str, args: &[String]) -> Verdict {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let crm_resource = |options: &[&str]| Verdict::of(programs::show("crm_resource", options) == 0);
    match (name, &words[..]) {
        ("status", []) => crm_resource(&["--list"]),
        ("status" | "locate", ids) if !ids.is_empty() => {
            let all = ids.iter().map(|id| crm_resource(&["--resource", id, "--locate"]));
            all.fold(Verdict::Done, worse)
        }
        ("locate", _) => crm_resource(&["--list"]),
        ("start" | "promote" | "demote" | "manage" | "unmanage" | "stop", ids)
            if !ids.is_empty() =>
        {
            let (attribute, value) = match name {
                "start" => ("target-role", "Started"),
                "stop" => ("target-role", "Stopped"),
                "promote" => ("target-role", "Promoted"),
                "demote" => ("target-role", "Unpromoted"),
                "manage" => ("is-managed", "true"),
                _ => ("is-managed", "false"),
            };
            let verdict = set_meta(shell, name, ids, attribute, value);
            crate::wait_if_wanted(shell, verdict)
        }
        ("maintenance", [id] | [id, "on"]) => {
            let verdict = set_meta(shell, name, &[id], "maintenance", "true");
            crate::wait_if_wanted(shell, verdict)
        }
        ("maintenance", [id, "off"]) => {
            let verdict = set_meta(shell, name, &[id], "maintenance", "false");
            crate::wait_if_wanted(shell, verdict)
        }
        ("restart", ids) if !ids.is_empty() => restart(shell, ids),
        ("move", [id, rest @ ..]) => relocate(shell, id, rest, "--move"),
        ("ban", [id, rest @ ..]) => relocate(shell, id, rest, "--ban"),
        ("clear", [id, rest @ ..]) => {
            let mut options = vec!["--quiet", "--clear", "--resource", id];
            if let [node, ..] = rest {
                options.extend(["--node", node]);
            }
            let verdict = crm_resource(&options);
            if verdict == Verdict::Done {
                say::info(&format!("Removed migration constraints for {id}"));
            }
            crate::wait_if_wanted(shell, verdict)
        }
        ("cleanup" | "refresh", rest) => {
            let mut options = vec![if name == "cleanup" { "--cleanup" } else { "--refresh" }];
            let mut rest = rest.to_vec();
            if rest.last() == Some(&"force") {
                rest.pop();
                options.push("--force");
            }
            match rest[..] {
                [] => {}
                [id] => options.extend(["--resource", id]),
                [id, node] => options.extend(["--resource", id, "--node", node]),
                _ => return crate::usage("resource", name),
            }
            crm_resource(&options)
        }
        ("failcount", [id, "show", node]) => {
            Verdict::of(programs::show("crm_failcount", &["-G", "-r", id, "-N", node]) == 0)
        }
        ("failcount", [id, "delete", node]) => {
            Verdict::of(programs::show("crm_failcount", &["-D", "-r", id, "-N", node]) == 0)
        }
        ("failcount", [id, "set", node, value]) => {
            let attribute = format!("fail-count-{id}");
            let options = ["-t", "status", "-N", node, "-n", &attribute, "-v", value];
            Verdict::of(programs::show("crm_attribute", &options) == 0)
        }
        ("constraints", [id]) => crm_resource(&["-a", "-r", id]),
        ("operations", []) => crm_resource(&["-O"]),
        ("operations", [id]) => crm_resource(&["-O", "-r", id]),
        ("operations", [id, node]) => crm_resource(&["-O", "-r", id, "-N", node]),
        ("scores", _) => Verdict::of(programs::show("crm_simulate", &["-sUL"]) == 0),
        ("secret", [id, "set", parameter, value]) => {
            Verdict::of(programs::show("cibsecret", &["set", id, parameter, value]) == 0)
        }
        ("secret", [id, what @ ("stash" | "unstash" | "delete" | "show" | "check"), parameter]) => {
            let what = if *what == "show" { "get" } else { what };
            Verdict::of(programs::show("cibsecret", &[what, id, parameter]) == 0)
        }
        ("param" | "meta" | "utilization", [id, rest @ ..]) => {
            let mut options = vec!["--resource", id];
            match name {
                "meta" => options.push("--meta"),
                "utilization" => options.push("--utilization"),
                _ => {}
            }
            match rest {
                ["set", attribute, value] => {
                    options.extend(["--set-parameter", attribute, "--parameter-value", value]);
                }
                ["show", attribute] => options.extend(["--get-parameter", attribute]),
                ["delete", attribute] => options.extend(["--delete-parameter", attribute]),
                _ => return crate::usage("resource", name),
            }
            crm_resource(&options)
        }
        _ => crate::usage("resource", name),
    }
}

fn worse(a: Verdict, b: Verdict) -> Verdict {
    if a == Verdict::Done { b } else { a }
}

/// Sets a meta-attribute of resources in one commit.
fn set_meta(shell: &mut Shell, command: &str, ids: &[&str], name: &str, value: &str) -> Verdict {
    let Some(session) = shell.session() else { return Verdict::Failed };
    let mut problem = None;
    for id in ids {
        if session.resource(id).is_none() {
            problem = Some(format!("resource {id} does not exist"));
        } else if let Err(error) = session.set_meta(id, name, value) {
            problem = Some(error.to_string());
        }
    }
    let problem = match problem {
        Some(problem) => Err(problem),
        None => live::commit(session, true, false).map_err(|error| error.to_string()),
    };
    shell.forget_session();
    match problem {
        Ok(()) => Verdict::Done,
        Err(problem) => {
            say::error(&format!("resource.{command}: {problem}"));
            Verdict::Failed
        }
    }
}

fn wait() -> bool {
    programs::show("crm_resource", &["--wait"]) == 0
}

fn restart(shell: &mut Shell, ids: &[&str]) -> Verdict {
    say::info(&format!("ordering {} to stop", ids.join(", ")));
    if set_meta(shell, "restart", ids, "target-role", "Stopped") != Verdict::Done {
        return Verdict::Failed;
    }
    let stopped = !live::is_live() || wait();
    if !stopped {
        say::error("resource.restart: the cluster did not settle after the stop; starting again");
    }
    say::info(&format!("ordering {} to start", ids.join(", ")));
    let started = set_meta(shell, "restart", ids, "target-role", "Started");
    if started == Verdict::Done && stopped && live::is_live() {
        return Verdict::of(wait());
    }
    worse(started, Verdict::of(stopped))
}

fn relocate(shell: &mut Shell, id: &str, rest: &[&str], how: &str) -> Verdict {
    let mut rest = rest.to_vec();
    let force = rest.last() == Some(&"force");
    if force {
        rest.pop();
    }
    let verb = how.trim_start_matches('-');
    if verb == "move" && rest.is_empty() && !force {
        say::error("resource.move: No target node: Move requires either a target node or 'force'");
        return Verdict::Failed;
    }
    let mut options = vec!["--quiet", how, "--resource", id];
    if let Some(node) = rest.first() {
        options.extend(["--node", node]);
    }
    if let Some(lifetime) = rest.get(1) {
        options.extend(["--lifetime", lifetime]);
    }
    if force {
        options.push("--force");
    }
    let verdict = Verdict::of(programs::show("crm_resource", &options) == 0);
    if verdict == Verdict::Done {
        let what = if verb == "move" { "Move" } else { "Ban" };
        let target = rest.first().map_or(String::new(), |node| {
            format!(" {} {node}", if verb == "move" { "to" } else { "on" })
        });
        say::info(&format!("{what} constraint created for {id}{target}"));
        say::info(&format!("Use `crm resource clear {id}` to remove this constraint"));
    }
    crate::wait_if_wanted(shell, verdict)
}
