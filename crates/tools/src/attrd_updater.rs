//! `attrd_updater`: transient node attributes, in the attribute manager.
//! Source: `spec/cli-pacemaker.md` §8.3.

use base::CrmExit;
use pacemaker_client::attrd::{Attrd, Update, Which};
use xml::Element;

use crate::options::{Arg, Parsed, Table, flag, old, value};
use crate::output::{self, Fail, Out};
use crate::rc::Rc;
use crate::source::PATIENCE;

/// The command line.
pub(crate) const TABLE: Table = Table {
    tool: "attrd_updater",
    summary: "query and update Pacemaker node attributes",
    usage: "-n NAME [OPTION…]",
    groups: &[
        ("required", "Required Arguments:"),
        ("command", "Command:"),
        ("additional", "Additional Options:"),
    ],
    options: &[
        value("name", 'n', "NAME", "required", "The attribute's name"),
        value(
            "pattern",
            'P',
            "PATTERN",
            "required",
            "Operate on all attributes matching this pattern (with -B, -D, -U, -Y)",
        ),
        value(
            "update",
            'U',
            "VALUE",
            "command",
            "Update the attribute's value; if it changes it is written to the CIB, too",
        ),
        value(
            "update-both",
            'B',
            "VALUE",
            "command",
            "Update the attribute's value and its dampening (needs -d)",
        ),
        flag("update-delay", 'Y', "command", "Update the attribute's dampening (needs -d)"),
        flag("query", 'Q', "command", "Query the attribute's value"),
        flag("delete", 'D', "command", "Unset the attribute"),
        flag("refresh", 'R', "command", "(Advanced) Have all current values written to the CIB"),
        value(
            "delay",
            'd',
            "SECONDS",
            "additional",
            "The time to wait (dampening) for further changes before writing to the CIB",
        ),
        value(
            "set",
            's',
            "SET",
            "additional",
            "(Advanced) The attribute set in which to place the value",
        ),
        value(
            "node",
            'N',
            "NODE",
            "additional",
            "Set the attribute for this node (instead of the local one)",
        ),
        flag("all", 'A', "additional", "Show values of the attribute for all nodes (query only)"),
        value("lifetime", 'l', "SECTION", "additional", "Ignored"),
        flag(
            "private",
            'p',
            "additional",
            "If this creates the attribute: never write it to the CIB",
        ),
        value(
            "wait",
            'W',
            "UNTIL",
            "additional",
            "Wait until the change took effect: no (default), local, cluster",
        ),
        flag("utilization", 'z', "additional", "The attribute is a utilization attribute"),
        flag("quiet", 'q', "", "Ignored"),
        old("attr-value", 'v', "update", Arg::Yes("")),
        old("section", 'S', "lifetime", Arg::Yes("")),
    ],
    formats: &["text", "xml"],
    notes: "",
};

/// Runs the tool.
pub fn main(args: &[String]) -> i32 {
    output::run(&TABLE, args, work)
}

fn work(parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    let command = parsed.items.iter().rev().map(|item| item.name).find(|name| {
        matches!(*name, "update" | "update-both" | "update-delay" | "query" | "delete" | "refresh")
    });
    let command = command.unwrap_or("query");
    let (name, pattern) = (parsed.value("name"), parsed.value("pattern"));
    if command != "refresh" && name.is_none() && (pattern.is_none() || command == "query") {
        return Err(Fail::usage("Command requires --name argument"));
    }
    if matches!(command, "update-both" | "update-delay") && parsed.value("delay").is_none() {
        let letter = if command == "update-both" { 'B' } else { 'Y' };
        out.err(&format!("Warning: '{letter}' command given without required --delay"));
    }
    if let Some(wait) = parsed.value("wait")
        && !matches!(wait, "no" | "local" | "cluster")
    {
        return Err(Fail::usage("--wait= must be one of 'no', 'local', 'cluster'"));
    }
    let node = parsed.value("node").filter(|node| !node.is_empty());
    if command == "refresh" {
        open()
            .and_then(|mut attrd| Ok(attrd.refresh()?))
            .map_err(|rc| could_not("update", "all attributes", None, rc))?;
        return Ok(CrmExit::Ok);
    }
    if command == "query" {
        return query(name.unwrap_or(""), node, parsed.has("all"), out);
    }
    let value = match command {
        "update" | "update-both" => parsed.value(command),
        _ => None,
    };
    // The manager fills in the local node for an attribute without one; an agent's environment
    // may know better (inside a container).
    let from_environment =
        std::env::var("OCF_RESKEY_CRM_meta_on_node").ok().filter(|name| !name.is_empty());
    let which = match (name, pattern) {
        (_, Some(pattern)) => Which::Regex(pattern),
        (name, None) => Which::Name(name.unwrap_or("")),
    };
    let change = Update {
        value,
        node: node.or(from_environment.as_deref()),
        dampening: parsed.value("delay").filter(|_| command != "delete"),
        set: parsed.value("set"),
        is_utilization: parsed.has("utilization"),
        is_private: parsed.has("private"),
        sync_point: parsed.value("wait").filter(|wait| *wait != "no"),
        ..Update::default()
    };
    open()
        .and_then(|mut attrd| {
            match command {
                "update-both" => attrd.update_both(which, &change)?,
                "update-delay" => attrd.update_delay(which, &change)?,
                _ => attrd.update(which, &change)?,
            }
            Ok(())
        })
        .map_err(|rc| could_not("update", name.or(pattern).unwrap_or(""), value, rc))?;
    Ok(CrmExit::Ok)
}

fn open() -> Result<Attrd, Rc> {
    Ok(Attrd::connect_patiently("attrd_updater", PATIENCE)?)
}

fn could_not(what: &str, name: &str, value: Option<&str>, rc: Rc) -> Fail {
    let shown = value.map(|value| format!("={value}")).unwrap_or_default();
    Fail::new(rc.exit(), format!("Could not {what} {name}{shown}: {rc} ({})", rc.0))
}

fn query(name: &str, node: Option<&str>, all: bool, out: &mut Out) -> Result<CrmExit, Fail> {
    // A query that names no node is about the local one, unless --all widens it.
    let host = if all { None } else { Some(node.unwrap_or("localhost")) };
    let answer = open().and_then(|mut attrd| Ok(attrd.query(name, host)?)).map_err(|rc| {
        Fail::new(rc.exit(), format!("Could not query value of {name}: {rc} ({})", rc.0))
    })?;
    let Some(values) = answer else {
        return Err(Fail::new(
            CrmExit::Config,
            format!("Could not query value of {name}: attribute does not exist"),
        ));
    };
    for (host, value) in values {
        let value = value.unwrap_or_default();
        out.line(&format!("name=\"{name}\" host=\"{host}\" value=\"{value}\""));
        out.xml(|| {
            Element::new("attribute")
                .with("name", name)
                .with("value", value.as_str())
                .with("host", host.as_str())
        });
    }
    Ok(CrmExit::Ok)
}
