//! `crmadmin`: the controllers' state, and lists of nodes. Source: `spec/cli-pacemaker.md` §8.5.

use std::time::{Duration, Instant};

use base::CrmExit;
use pacemaker_client::controld::Controld;
use pacemaker_client::pacemakerd::Pacemakerd;
use xml::Element;

use crate::nodes::{self, Kind};
use crate::options::{Arg, Parsed, Table, flag, maybe, old, value};
use crate::output::{self, Fail, Out};
use crate::rc::Rc;
use crate::source::PATIENCE;
use crate::source::{self, Call, Source};

/// The command line.
pub(crate) const TABLE: Table = Table {
    tool: "crmadmin",
    summary: "query and manage the Pacemaker controller",
    usage: "[OPTION…]",
    groups: &[("command", "Commands:"), ("additional", "Additional Options:")],
    options: &[
        value("status", 'S', "NODE", "command", "Display the state of this node's controller"),
        flag(
            "pacemakerd",
            'P',
            "command",
            "Display the state of the local pacemakerd and its daemons",
        ),
        flag(
            "dc_lookup",
            'D',
            "command",
            "Display the name of the node that co-ordinates the cluster",
        ),
        maybe(
            "nodes",
            'N',
            "TYPE",
            "command",
            "Display all nodes, or those of these types (comma separated): all, cluster, guest, remote",
        ),
        value(
            "timeout",
            't',
            "TIMESPEC",
            "additional",
            "Time to wait before declaring the operation failed",
        ),
        flag(
            "bash-export",
            'B',
            "additional",
            "Display nodes as shell commands 'export NAME=ID' (with -N)",
        ),
        value(
            "ipc-name",
            'i',
            "NAME",
            "additional",
            "Name to use for ipc instead of 'crmadmin' (with -P)",
        ),
        flag("quiet", 'q', "", "Display only the essential query information"),
        old("crmd_shutdown", 'K', "shutdown", Arg::Yes("")),
        old("debug_inc", ' ', "verbose", Arg::Yes("")),
    ],
    formats: &["text", "xml"],
    notes: "TIMESPEC is a number of seconds, a number with a unit (ms, us, s, sec, m, min, h, hr), or an ISO 8601 duration.",
};

/// Runs the tool.
pub fn main(args: &[String]) -> i32 {
    output::run(&TABLE, args, work)
}

fn failed(rc: Rc) -> Fail {
    Fail::new(rc.exit(), format!("error: Command failed: {rc}"))
}

/// The end of a question that the controller did not answer.
fn unanswered(rc: Rc, out: &mut Out, timeout: Duration) -> Fail {
    if rc == Rc::ETIMEDOUT {
        let ms = timeout.as_millis();
        out.err(&format!("error: No reply received from controller before timeout ({ms}ms)"));
    }
    failed(rc)
}

fn open(out: &mut Out) -> Result<Controld, Fail> {
    Controld::connect_patiently("crmadmin", PATIENCE).map_err(|error| {
        let rc = Rc::from(error);
        out.err(&format!("error: Could not connect to controller: {rc}"));
        failed(rc)
    })
}

fn work(parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    let timeout = match parsed.value("timeout") {
        None => Duration::from_secs(30),
        Some(text) => base::interval::parse(text)
            .map_err(|_| Fail::usage(format!("Invalid value '{text}' for --timeout")))?,
    };
    let command = parsed.items.iter().find(|item| {
        matches!(item.name, "status" | "pacemakerd" | "dc_lookup" | "nodes" | "shutdown")
    });
    if let Some(extra) = parsed.rest.first() {
        return Err(Fail::usage(format!("error: non-option ARGV-elements: {extra}")));
    }
    let Some(command) = command else {
        return Err(Fail::usage("error: Must specify a command option"));
    };
    match command.name {
        "nodes" => list(parsed, command.value.as_deref(), out),
        "dc_lookup" => designated(out, timeout),
        "status" => state(command.value.as_deref().unwrap_or(""), out, timeout),
        "shutdown" => Err(Fail::usage("error: -K is not supported by any current cluster")),
        _ => pacemakerd(parsed.value("ipc-name").unwrap_or("crmadmin"), out, timeout),
    }
}

fn designated(out: &mut Out, timeout: Duration) -> Result<CrmExit, Fail> {
    let mut controller = open(out)?;
    // Without a DC nobody answers a message to "dc", nor later when there is one: asked again, at
    // longer and longer intervals.
    let deadline = Instant::now() + timeout;
    let mut patience = Duration::from_millis(500);
    let answer = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match controller.ping(None, patience.min(left)).map_err(Rc::from) {
            Err(Rc::ETIMEDOUT) if left > patience => patience *= 2,
            Err(rc) => return Err(unanswered(rc, out, timeout)),
            Ok(answer) => break answer,
        }
    };
    let dc = Some(answer.node).filter(|name| !name.is_empty());
    match &dc {
        Some(name) if out.quiet => out.line(name),
        Some(name) => out.line(&format!("Designated Controller is: {name}")),
        None => out.info("Designated Controller is: not yet elected"),
    }
    out.xml(|| Element::new("dc").with("node_name", dc.as_deref().unwrap_or("")));
    Ok(if dc.is_some() { CrmExit::Ok } else { CrmExit::NoDc })
}

fn state(node: &str, out: &mut Out, timeout: Duration) -> Result<CrmExit, Fail> {
    let mut controller = open(out)?;
    let ping = controller
        .ping(Some(node), timeout)
        .map_err(|error| unanswered(Rc::from(error), out, timeout))?;
    let (system, state, result) = (ping.subsystem, ping.state, ping.result);
    let from = if ping.node.is_empty() { node.to_owned() } else { ping.node };
    if out.quiet {
        out.line(&state);
    } else {
        // The subsystem's old name is `crmd`; people are shown what it does.
        let shown = if system == "crmd" { "Controller" } else { system.as_str() };
        out.line(&format!("{shown} on {from} in state {state}: {result}"));
    }
    out.xml(|| {
        Element::new("crmd")
            .with("node_name", from.as_str())
            .with("state", state)
            .with("result", result)
    });
    Ok(CrmExit::Ok)
}

fn pacemakerd(name: &str, out: &mut Out, timeout: Duration) -> Result<CrmExit, Fail> {
    let status = Pacemakerd::connect(name).and_then(|mut daemon| daemon.ping(timeout));
    let status = status.map_err(|error| {
        let rc = Rc::from(error);
        out.err(&format!("error: Could not connect to launcher: {rc}"));
        failed(rc)
    })?;
    let checked = status.last_good.and_then(|at| i64::try_from(at).ok()).unwrap_or(0);
    let stamp = crate::clock::iso_local(checked);
    if out.quiet {
        out.line(&status.state);
    } else {
        out.line(&format!("Status of pacemakerd: '{}' (last updated {stamp})", status.friendly()));
    }
    out.xml(|| {
        Element::new("pacemakerd")
            .with("sys_from", status.sys_from.as_str())
            .with("state", status.state.as_str())
            .with("last_updated", stamp.as_str())
    });
    Ok(CrmExit::Ok)
}

fn list(parsed: &Parsed, types: Option<&str>, out: &mut Out) -> Result<CrmExit, Fail> {
    let types = types.unwrap_or("all");
    let wanted: Vec<&str> = types.split(',').filter(|word| !word.is_empty()).collect();
    for word in &wanted {
        if !matches!(*word, "all" | "cluster" | "guest" | "remote" | "member") {
            return Err(Fail::usage(format!("error: Invalid node type '{word}'")));
        }
    }
    let wish = source::Wish { tool: "crmadmin", user: None, writes: false };
    let mut source = Source::open(&wish).map_err(failed)?;
    let answer = source.call(&Call { op: "cib_query", ..Call::default() }).map_err(failed)?;
    let cib = answer.output.ok_or_else(|| failed(answer.rc))?;
    let word = |kind: Kind| match kind {
        Kind::Cluster => "cluster",
        Kind::Guest => "guest",
        Kind::Remote => "remote",
    };
    let mut nodes = nodes::all(&cib);
    nodes.sort_by_key(|node| node.kind);
    nodes.retain(|node| wanted.iter().any(|wanted| *wanted == "all" || *wanted == word(node.kind)));
    for node in &nodes {
        if parsed.has("bash-export") {
            out.line(&format!("export {}={}", node.name, node.id));
        } else if out.quiet {
            out.line(&node.name);
        } else {
            out.line(&format!("{} node: {} ({})", word(node.kind), node.name, node.id));
        }
    }
    if nodes.is_empty() {
        out.info(match types {
            "all" => "No nodes configured",
            _ => "No nodes of the given type configured",
        });
    }
    out.xml(|| {
        let mut list = Element::new("nodes");
        for node in &nodes {
            let element = Element::new("node").with("type", word(node.kind));
            list.push(element.with("name", node.name.as_str()).with("id", node.id.as_str()));
        }
        list
    });
    Ok(CrmExit::Ok)
}
