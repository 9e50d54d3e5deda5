//! The level `node`.

use crate::live;
use crate::programs;
use crate::say;
use crate::session::Session;
use crate::shell::{Shell, Verdict};

pub(crate) fn run(shell: &mut Shell, name: &str, args: &[String]) -> Verdict {
    let node = args.first().cloned().unwrap_or_else(crate::local_node);
    match name {
        "show" => show(shell, args.first().map(String::as_str)),
        "standby" => match args.get(1).map(String::as_str) {
            None | Some("forever") => attribute(shell, &node, "standby", "on", "standby"),
            Some("reboot") => {
                let options = ["-N", &node, "-t", "status", "-n", "standby", "-v", "on"];
                Verdict::of(programs::show("crm_attribute", &options) == 0)
            }
            Some(other) => {
                say::error(&format!("node.standby: expected reboot or forever, found `{other}`"));
                Verdict::Failed
            }
        },
        "online" => attribute(shell, &node, "standby", "off", "online"),
        "maintenance" => attribute(shell, &node, "maintenance", "on", "maintenance"),
        "ready" => attribute(shell, &node, "maintenance", "off", "ready"),
        "attribute" => manage(name, args, "nodes", &[]),
        "status-attr" => manage(name, args, "status", &[]),
        "utilization" => manage(name, args, "nodes", &["-z"]),
        _ => crate::usage("node", name),
    }
}

/// Sets an attribute of a node in the configuration and commits.
fn attribute(shell: &mut Shell, node: &str, name: &str, value: &str, verb: &str) -> Verdict {
    let Some(session) = shell.session() else { return Verdict::Failed };
    if !session.node_names().contains(&node) {
        say::error(&format!(
            "node.{verb}: {node} is no node of this cluster (nodes: {})",
            session.node_names().join(" ")
        ));
        shell.forget_session();
        return Verdict::Failed;
    }
    if let Err(error) = session.set_node_attribute(node, name, value) {
        say::error(&format!("node.{verb}: {error}"));
        return Verdict::Failed;
    }
    let verdict = match live::commit(session, true, false) {
        Ok(()) => {
            say::info(&format!("{verb} node {node}"));
            Verdict::Done
        }
        Err(error) => {
            say::error(&format!("node.{verb}: {error}"));
            Verdict::Failed
        }
    };
    shell.forget_session();
    crate::wait_if_wanted(shell, verdict)
}

fn show(shell: &mut Shell, wanted: Option<&str>) -> Verdict {
    let Some(session) = shell.session() else { return Verdict::Failed };
    let text = describe(session, wanted);
    shell.forget_session();
    match text {
        Some(text) => {
            say::out(&text);
            Verdict::Done
        }
        None => {
            say::error(&format!("node.show: node {} not found", wanted.unwrap_or("")));
            Verdict::Failed
        }
    }
}

/// `uname(id): type`, and its attributes below.
fn describe(session: &Session, wanted: Option<&str>) -> Option<String> {
    let nodes = session.cib().at(&["configuration", "nodes"])?;
    let mut text = String::new();
    for node in nodes.children_named("node") {
        let (id, uname) = (node.id().unwrap_or(""), node.get("uname").unwrap_or(""));
        if wanted.is_some_and(|wanted| wanted != uname) {
            continue;
        }
        let kind = node.get("type").unwrap_or("member");
        text.push_str(&format!("{uname}({id}): {kind}\n"));
        for set in node.children_named("instance_attributes") {
            for pair in set.children_named("nvpair") {
                let (name, value) =
                    (pair.get("name").unwrap_or(""), pair.get("value").unwrap_or(""));
                text.push_str(&format!("\t{name}={value}\n"));
            }
        }
    }
    (wanted.is_none() || !text.is_empty()).then_some(text)
}

fn manage(command: &str, args: &[String], kind: &str, more: &[&str]) -> Verdict {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut options = more.to_vec();
    match words[..] {
        [node, "set", name, value] => {
            options.extend(["-t", kind, "-N", node, "-n", name, "-v", value]);
        }
        [node, "show", name] => options.extend(["-G", "-t", kind, "-N", node, "-n", name]),
        [node, "delete", name] => options.extend(["-D", "-t", kind, "-N", node, "-n", name]),
        _ => return crate::usage("node", command),
    }
    Verdict::of(programs::show("crm_attribute", &options) == 0)
}
