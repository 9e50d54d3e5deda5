//! `stonith_admin`: the fencer's devices, history and orders. Source: `spec/cli-pacemaker.md` §10.1.

use std::collections::BTreeMap;

use agents::class::{AgentName, Class};
use agents::fence::{Abilities, FenceCall};
use agents::find::Places;
use agents::judge::Ended;
use base::CrmExit;
use pacemaker_client::ClientError;
use pacemaker_client::controld::Controld;
use pacemaker_client::fenced::{Fence, Fenced, Outcome, options};
use xml::Element;

use crate::clock::{ctime, iso_local};
use crate::options::{Arg, Parsed, Table, flag, maybe, old, value};
use crate::output::{self, Fail, Out, text_element};
use crate::rc::Rc;
use crate::status::xml_view::fence_event_xml;
use crate::status::{FenceEvent, FenceState};

/// The command line.
pub(crate) const TABLE: Table = Table {
    tool: "stonith_admin",
    summary: "Access the Pacemaker fencing API",
    usage: "[OPTION…]",
    groups: &[
        ("definition", "Device Definition Commands:"),
        ("queries", "Queries:"),
        ("fence", "Fencing Commands:"),
        ("additional", "Additional Options:"),
    ],
    options: &[
        value(
            "register",
            'R',
            "DEVICE",
            "definition",
            "Register the named fencing device. Requires: --agent. Optional: --option, --env-option",
        ),
        value("deregister", 'D', "DEVICE", "definition", "De-register the named fencing device"),
        value(
            "register-level",
            'r',
            "TARGET",
            "definition",
            "Register a fencing level for the named target (NAME, @PATTERN, or ATTR=VALUE). Requires: --index and --device",
        ),
        value(
            "deregister-level",
            'd',
            "TARGET",
            "definition",
            "Unregister a fencing level for the named target. Requires: --index",
        ),
        value("list", 'l', "HOST", "queries", "List devices that can terminate the specified host"),
        flag("list-registered", 'L', "queries", "List all registered devices"),
        flag("list-installed", 'I', "queries", "List all installed devices"),
        value(
            "list-targets",
            's',
            "DEVICE",
            "queries",
            "List the targets that can be fenced by the named device",
        ),
        flag("metadata", 'M', "queries", "Show agent metadata. Requires: --agent"),
        value("query", 'Q', "DEVICE", "queries", "Check the named device's status"),
        maybe(
            "history",
            'H',
            "NODE",
            "queries",
            "Show last successful fencing operation for named node (or '*' for all nodes). Optional: --cleanup, --quiet, --verbose (all recorded and pending operations), --broadcast",
        ),
        value(
            "last",
            'h',
            "NODE",
            "queries",
            "Indicate when the named node was last fenced. Optional: --as-node-id",
        ),
        flag(
            "validate",
            'K',
            "queries",
            "Validate a fence device configuration. Requires: --agent",
        ),
        value("fence", 'F', "HOST", "fence", "Fence named host"),
        value("unfence", 'U', "HOST", "fence", "Unfence named host"),
        value("reboot", 'B', "HOST", "fence", "Reboot named host"),
        value("confirm", 'C', "HOST", "fence", "Tell cluster that named host is now safely down"),
        flag("cleanup", 'c', "additional", "Cleanup wherever appropriate. Requires --history"),
        flag("broadcast", 'b', "additional", "Broadcast wherever appropriate"),
        value(
            "agent",
            'a',
            "AGENT",
            "additional",
            "The agent to use (with --register, --metadata, --validate)",
        ),
        value(
            "option",
            'o',
            "PARAM",
            "additional",
            "Device configuration parameter NAME=VALUE (with --register, --validate)",
        ),
        value(
            "env-option",
            'e',
            "PARAM",
            "additional",
            "Device configuration parameter from the environment (OCF_RESKEY_PARAM)",
        ),
        value(
            "tag",
            'T',
            "TAG",
            "additional",
            "Identify fencing operations in logs with the specified tag",
        ),
        value("device", 'v', "DEVICE", "additional", "Device ID (with --register-level)"),
        value("index", 'i', "LEVEL", "additional", "The fencing level (1-9)"),
        value(
            "timeout",
            't',
            "SECONDS",
            "additional",
            "Operation timeout in seconds (default 120)",
        ),
        value(
            "delay",
            'y',
            "SECONDS",
            "additional",
            "Fencing delay in seconds; -1 disables all delays",
        ),
        flag(
            "as-node-id",
            'n',
            "additional",
            "(Advanced) The supplied node is the corosync node ID (with --last)",
        ),
        value(
            "tolerance",
            ' ',
            "SECONDS",
            "additional",
            "(Advanced) Do nothing if an equivalent request succeeded less than this many seconds earlier",
        ),
        flag("quiet", 'q', "", "Be less descriptive in output."),
        old("env_option", ' ', "env-option", Arg::Yes("")),
        old("as_node_id", ' ', "as-node-id", Arg::No),
    ],
    formats: &["text", "html", "xml"],
    notes: "",
};

/// Runs the tool.
pub fn main(args: &[String]) -> i32 {
    output::run(&TABLE, args, work)
}

const COMMANDS: &[&str] = &[
    "register",
    "deregister",
    "register-level",
    "deregister-level",
    "list",
    "list-registered",
    "list-installed",
    "list-targets",
    "metadata",
    "query",
    "history",
    "last",
    "validate",
    "fence",
    "unfence",
    "reboot",
    "confirm",
];

fn went(error: &ClientError) -> Fail {
    let rc = Rc::from_legacy(error.rc().wire());
    Fail::new(rc.exit(), rc.text())
}

fn open(parsed: &Parsed) -> Result<Fenced, Fail> {
    let name = match parsed.value("tag") {
        Some(tag) => format!("stonith_admin.{tag}"),
        // The fencer adds the process id.
        None => "stonith_admin".to_owned(),
    };
    Fenced::connect(&name).map_err(|_| {
        Fail::new(CrmExit::Disconnect, format!("Could not connect to fencer: {}", Rc::ENOTCONN))
    })
}

/// Where an operation failed, the code and the words for it.
fn refused(outcome: &Outcome) -> (CrmExit, String) {
    let rc = Rc::from_legacy(outcome.legacy.wire());
    if rc != Rc::OK {
        return (rc.exit(), rc.text());
    }
    // Execution status 10: no device can do it.
    if outcome.status == 10 {
        return (CrmExit::Nosuch, Rc::ENODEV.text());
    }
    (CrmExit::Error, outcome.reason.clone().unwrap_or_else(|| "Error occurred".to_owned()))
}

fn seconds(parsed: &Parsed, name: &str, default: i32) -> Result<i32, Fail> {
    match parsed.value(name) {
        None => Ok(default),
        Some(text) => text
            .trim_end_matches('s')
            .parse()
            .map_err(|_| Fail::usage(format!("Invalid value '{text}' for --{name}"))),
    }
}

fn work(parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    let Some(command) = parsed.items.iter().rev().find(|item| COMMANDS.contains(&item.name)) else {
        eprint!("{}", TABLE.help(false, None));
        return Err(Fail::silent(CrmExit::Usage));
    };
    let subject = command.value.as_deref().unwrap_or("");
    let timeout = u32::try_from(seconds(parsed, "timeout", 120)?).unwrap_or(120);
    match command.name {
        "list-installed" => {
            let mut names = glue_plugins();
            names.extend(Places::system().agents(Class::Stonith, None));
            return Ok(devices(out, &names, "installed fence devices"));
        }
        "metadata" => return metadata(parsed, out),
        "validate" => {
            return validate(parsed, out);
        }
        _ => {}
    }
    let mut fencer = open(parsed)?;
    match command.name {
        "list" | "list-registered" => {
            let target = (command.name == "list").then_some(subject);
            let names = fencer.devices(target, timeout).map_err(|error| went(&error))?;
            Ok(devices(out, &names, "registered fence devices"))
        }
        "history" => history(parsed, out, &mut fencer, subject, timeout),
        "last" => last(parsed, out, &mut fencer, subject, timeout),
        "fence" | "reboot" | "unfence" | "confirm" => {
            fence(parsed, &mut fencer, command.name, subject, timeout)
        }
        "query" | "list-targets" => {
            let action = if command.name == "query" { "monitor" } else { "list" };
            let data = Element::new("st_device_id")
                .with("st_origin", "stonith_admin")
                .with("st_device_id", subject)
                .with("st_device_action", action);
            let outcome = fencer
                .command("st_execute", Some(data), options::SYNC, timeout)
                .map_err(|error| went(&error))?;
            if !outcome.is_ok() {
                let (exit, text) = refused(&outcome);
                if action == "list" {
                    out.err(&format!("Couldn't list targets: {text}"));
                }
                return Err(Fail::silent(exit));
            }
            if action == "list" {
                let targets = agents::fence::targets(outcome.output.as_deref().unwrap_or(""));
                return Ok(devices(out, &targets, "fence targets"));
            }
            Ok(CrmExit::Ok)
        }
        "register" => {
            let Some(agent) = parsed.value("agent") else {
                return Err(Fail::usage(
                    "Please specify an agent to register using -a,--agent [value]",
                ));
            };
            let params = parameters(parsed)?;
            let outcome = fencer
                .register_device(subject, None, agent, &params)
                .map_err(|error| went(&error))?;
            answered(&outcome)
        }
        "deregister" => {
            let outcome = fencer.remove_device(subject).map_err(|error| went(&error))?;
            answered(&outcome)
        }
        _ => level(parsed, &mut fencer, command.name, subject, timeout),
    }
}

/// The plugins of cluster-glue, where it is installed: its `stonith` command lists them.
fn glue_plugins() -> Vec<String> {
    let listed = std::process::Command::new("stonith").arg("-L").output();
    let Ok(listed) = listed else { return Vec::new() };
    if !listed.status.success() {
        return Vec::new();
    }
    String::from_utf8_lossy(&listed.stdout)
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `--validate`: asks the agent whether parameters make sense, without the fencer.
fn validate(parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    let Some(agent) = parsed.value("agent") else {
        return Err(Fail::usage("Please specify an agent to validate using -a,--agent [value]"));
    };
    let params = parameters(parsed)?;
    let (code, stderr) = match Places::system().fence_agent(agent) {
        Some(program) => {
            let call = FenceCall {
                action: "validate-all",
                target: None,
                nodeid: None,
                alias: None,
                params: &params,
                abilities: Abilities::default(),
            };
            let timeout = u64::try_from(seconds(parsed, "timeout", 120)?).unwrap_or(120);
            let timeout = std::time::Duration::from_secs(timeout);
            let ran = agents::run::command(&call.command(&program), timeout);
            let failed = ran.ended != Ended::Exited(0);
            (if failed { -201 } else { 0 }, ran.stderr)
        }
        None => (-19, format!("Agent {agent} not found")),
    };
    let valid = code == 0;
    out.line(&format!("Validation of {agent} {}", if valid { "succeeded" } else { "failed" }));
    if !stderr.is_empty() {
        out.line(&stderr);
    }
    out.xml(|| {
        let mut command = Element::new("command").with("code", code.to_string());
        if !stderr.is_empty() {
            command.push(text_element("output", &stderr).with("source", "stderr"));
        }
        Element::new("validate")
            .with("agent", agent)
            .with("valid", valid.to_string())
            .with_child(command)
    });
    Ok(match code {
        0 => CrmExit::Ok,
        -19 => CrmExit::Nosuch,
        _ => CrmExit::Error,
    })
}

fn answered(outcome: &Outcome) -> Result<CrmExit, Fail> {
    if outcome.is_ok() {
        return Ok(CrmExit::Ok);
    }
    let (exit, text) = refused(outcome);
    Err(Fail::new(exit, text))
}

fn parameters(parsed: &Parsed) -> Result<BTreeMap<String, String>, Fail> {
    let mut params = BTreeMap::new();
    for word in parsed.values("option") {
        match word.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                params.insert(name.to_owned(), value.to_owned())
            }
            _ => {
                return Err(Fail::usage(format!(
                    "Invalid option: -o/--option={word}: must be NAME=VALUE"
                )));
            }
        };
    }
    for name in parsed.values("env-option") {
        match std::env::var(format!("OCF_RESKEY_{name}")) {
            Ok(value) => params.insert(name.to_owned(), value),
            Err(_) => {
                return Err(Fail::usage(format!(
                    "Invalid option: -e/--env-option={name}: OCF_RESKEY_{name} is not set"
                )));
            }
        };
    }
    Ok(params)
}

fn level(
    parsed: &Parsed,
    fencer: &mut Fenced,
    name: &str,
    target: &str,
    timeout: u32,
) -> Result<CrmExit, Fail> {
    let Some(index) = parsed.value("index") else {
        return Err(Fail::usage(
            "--index is required with --register-level and --deregister-level",
        ));
    };
    let mut data =
        Element::new("fencing-level").with("st_origin", "stonith_admin").with("id", target);
    data.set("index", index);
    if let Some(pattern) = target.strip_prefix('@') {
        data.set("target-pattern", pattern);
    } else if let Some((attribute, value)) = target.split_once('=') {
        data.set("target-attribute", attribute);
        data.set("target-value", value);
    } else {
        data.set("target", target);
    }
    let op = if name == "register-level" {
        let devices: Vec<&str> = parsed.values("device").collect();
        data.set("devices", devices.join(","));
        "st_level_add"
    } else {
        "st_level_remove"
    };
    let outcome =
        fencer.command(op, Some(data), options::SYNC, timeout).map_err(|error| went(&error))?;
    answered(&outcome)
}

fn devices(out: &mut Out, names: &[String], what: &str) -> CrmExit {
    for name in names {
        out.line(name);
    }
    let plural = if names.len() == 1 { "" } else { "s" };
    out.info(&format!("{} fence device{plural} found", names.len()));
    out.xml(|| {
        let mut list =
            Element::new("list").with("name", what).with("count", names.len().to_string());
        for name in names {
            list.push(text_element("item", name));
        }
        list
    });
    CrmExit::Ok
}

fn metadata(parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    let Some(agent) = parsed.value("agent") else {
        return Err(Fail::usage("Please specify an agent to query using -a,--agent [value]"));
    };
    let name = AgentName::new(Class::Stonith, None, agent);
    match agents::run::metadata_text(&name, &Places::system()) {
        Ok(text) => {
            out.line(text.trim_end_matches('\n'));
            out.xml(|| {
                Element::new("metadata").with("agent", agent).with_child(text_element("xml", &text))
            });
            Ok(CrmExit::Ok)
        }
        Err(error) => {
            Err(Fail::new(CrmExit::Error, format!("Can not get fence agent meta-data: {error}")))
        }
    }
}

fn fence(
    parsed: &Parsed,
    fencer: &mut Fenced,
    command: &str,
    target: &str,
    timeout: u32,
) -> Result<CrmExit, Fail> {
    let (action, word) = match command {
        "reboot" => ("reboot", "fence"),
        "unfence" => ("on", "unfence"),
        _ => ("off", "fence"),
    };
    let confirmed = if command == "confirm" { options::MANUAL_ACK } else { 0 };
    let request = Fence {
        target,
        action,
        timeout,
        tolerance: u32::try_from(seconds(parsed, "tolerance", 0)?).unwrap_or(0),
        delay: seconds(parsed, "delay", 0)?,
        options: confirmed | options::ALLOW_SELF,
    };
    let outcome = fencer.fence(&request).map_err(|error| went(&error))?;
    if outcome.is_ok() {
        return Ok(CrmExit::Ok);
    }
    let (exit, text) = refused(&outcome);
    Err(Fail::new(exit, format!("Couldn't {word} {target}: {text}")))
}

fn events(fencer: &mut Fenced, target: &str, timeout: u32) -> Result<Vec<FenceEvent>, Fail> {
    let target = (target != "*" && !target.is_empty()).then_some(target);
    let records = fencer.history(target, timeout).map_err(|error| went(&error))?;
    let mut events: Vec<FenceEvent> = records.iter().map(crate::crm_mon::event_of).collect();
    events.sort_by_key(|event| {
        (
            event.state != FenceState::Pending,
            std::cmp::Reverse((event.completed, event.nanoseconds)),
        )
    });
    Ok(events)
}

/// One act of fencing in `stonith_admin`'s words.
fn words(event: &FenceEvent, last: bool) -> String {
    let action = match event.action.as_str() {
        "off" => "turning off",
        "on" => "turning on",
        other => other,
    };
    let (state, when) = match event.state {
        FenceState::Pending => ("pending", None),
        FenceState::Success if last => ("successful", Some("last-successful")),
        FenceState::Success => ("successful", Some("completed")),
        FenceState::Failed if last => ("failed", Some("last-failed")),
        FenceState::Failed => ("failed", Some("completed")),
    };
    let delegate =
        event.delegate.as_ref().map(|node| format!("delegate={node}, ")).unwrap_or_default();
    let when =
        when.map(|word| format!(", {word}='{}'", iso_local(event.completed))).unwrap_or_default();
    format!(
        "{action} of {} {state}: {delegate}client={}, origin={}{when}",
        event.target, event.client, event.origin
    )
}

fn history(
    parsed: &Parsed,
    out: &mut Out,
    fencer: &mut Fenced,
    target: &str,
    timeout: u32,
) -> Result<CrmExit, Fail> {
    let shown = if target.is_empty() { "*" } else { target };
    if parsed.has("cleanup") {
        out.info(&format!("cleaning up fencing-history for node {shown}"));
        let target = (shown != "*").then_some(shown);
        fencer.clean_history(target).map_err(|error| went(&error))?;
        return Ok(CrmExit::Ok);
    }
    let all = events(fencer, shown, timeout)?;
    let every = parsed.has("verbose");
    let mut seen: Vec<(String, String, FenceState)> = Vec::new();
    let mut count = 0;
    let mut list = Element::new("list").with("name", "fencing history").with("count", "0");
    for event in &all {
        if !every {
            // The newest success of each flavour.
            let flavour = (event.action.clone(), event.target.clone(), event.state);
            if event.state != FenceState::Success || seen.contains(&flavour) {
                continue;
            }
            seen.push(flavour);
        }
        count += 1;
        if out.quiet {
            out.line(&event.completed.to_string());
        } else {
            out.line(&words(event, !every));
        }
        list.push(fence_event_xml(event));
    }
    out.info(&format!("{count} event{} found", if count == 1 { "" } else { "s" }));
    list.set("count", count.to_string());
    out.xml(|| list);
    Ok(CrmExit::Ok)
}

fn last(
    parsed: &Parsed,
    out: &mut Out,
    fencer: &mut Fenced,
    target: &str,
    timeout: u32,
) -> Result<CrmExit, Fail> {
    let name = if parsed.has("as-node-id") {
        let id = target.parse::<u32>().ok();
        let info = Controld::connect("stonith_admin")
            .and_then(|mut controller| {
                controller.node_info(id, None, std::time::Duration::from_secs(30))
            })
            .map_err(|error| {
                let rc = Rc::from(error);
                Fail::new(rc.exit(), rc.text())
            })?;
        info.uname.unwrap_or_else(|| target.to_owned())
    } else {
        target.to_owned()
    };
    let all = events(fencer, &name, timeout)?;
    let when = all
        .iter()
        .filter(|event| event.state == FenceState::Success && event.action != "on")
        .map(|event| event.completed)
        .max();
    match when {
        Some(at) => out.line(&format!("Node {target} last fenced at: {}", ctime(at))),
        None => out.line(&format!("Node {target} has never been fenced")),
    }
    if let Some(at) = when {
        out.xml(|| Element::new("last-fenced").with("target", target).with("when", iso_local(at)));
    }
    Ok(CrmExit::Ok)
}
