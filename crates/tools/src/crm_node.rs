//! `crm_node`: what the cluster knows of nodes. Source: `spec/cli-pacemaker.md` §8.4.

use base::CrmExit;
use xml::Element;

use crate::controller::Controller;
use crate::ipc::{Connection, Envelope};
use crate::options::{Arg, Parsed, Table, flag, old, value};
use crate::output::{self, Fail, Out};
use crate::rc::Rc;
use crate::source::{self, Call, Source};

const TABLE: Table = Table {
    tool: "crm_node",
    summary: "display low-level node information",
    usage: "[OPTION…]",
    groups: &[("commands", "Commands:"), ("additional", "Additional Options:")],
    options: &[
        flag("cluster-id", 'i', "commands", "Display this node's cluster id"),
        flag(
            "list",
            'l',
            "commands",
            "Display all known members (past and present) of this cluster",
        ),
        flag("name", 'n', "commands", "Display the name used by the cluster for this node"),
        flag("partition", 'p', "commands", "Display the members of this partition"),
        flag("quorum", 'q', "commands", "Display a 1 if our partition has quorum, 0 if not"),
        value(
            "name-for-id",
            'N',
            "ID",
            "commands",
            "Display the name used by the cluster for the node with this id",
        ),
        value(
            "remove",
            'R',
            "NAME",
            "commands",
            "(Advanced) Remove the (stopped) node of this name from Pacemaker's configuration and caches; it must have been removed from the cluster layer before",
        ),
        flag("force", 'f', "additional", "Do what would be refused otherwise"),
        old("corosync", 'C', "ignored", Arg::No),
        old("openais", 'A', "ignored", Arg::No),
    ],
    formats: &["text", "xml"],
    notes: "",
};

/// Runs the tool.
pub fn main(args: &[String]) -> i32 {
    output::run(&TABLE, args, work)
}

fn connection(rc: Rc) -> Fail {
    Fail::new(rc.exit(), format!("error: Could not connect to controller: {rc}"))
}

fn performing(rc: Rc) -> Fail {
    Fail::new(rc.exit(), format!("error: {rc}"))
}

const COMMANDS: &[&str] =
    &["cluster-id", "list", "name", "partition", "quorum", "name-for-id", "remove"];

fn work(parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    let Some(command) = parsed.items.iter().rev().find(|item| COMMANDS.contains(&item.name)) else {
        out.text(&TABLE.help(false, None));
        return Err(Fail::silent(CrmExit::Usage));
    };
    let argument = command.value.as_deref().unwrap_or("");
    match command.name {
        "name" => {
            let name = crate::nodes::local_name().map_err(connection)?;
            out.line(&name);
            out.xml(|| Element::new("node-info").with("uname", name.as_str()));
        }
        "cluster-id" => {
            let info = open()?.node_info(&[]).map_err(performing)?;
            let id = info.id.ok_or_else(|| performing(Rc::NODE_UNKNOWN))?;
            out.line(&id);
            out.xml(|| Element::new("node-info").with("nodeid", id.as_str()));
        }
        "quorum" => {
            let quorum = open()?.node_info(&[]).map_err(performing)?.quorum;
            out.line(if quorum { "1" } else { "0" });
            out.xml(|| Element::new("cluster-info").with("quorum", quorum.to_string()));
            return Ok(if quorum { CrmExit::Ok } else { CrmExit::Quorum });
        }
        "name-for-id" => {
            if !argument.parse::<u32>().is_ok_and(|id| id > 0) {
                return Err(Fail::usage(format!("'{argument}' is not a node id")));
            }
            let info = open()?.node_info(&[("id", argument)]).map_err(performing)?;
            let Some(name) = info.name else {
                out.err("Node is not known to cluster");
                return Err(Fail::silent(CrmExit::Nohost));
            };
            out.line(&name);
            out.xml(|| {
                Element::new("node-info").with("nodeid", argument).with("uname", name.as_str())
            });
        }
        "list" | "partition" => {
            let mut nodes = open()?.nodes().map_err(performing)?;
            nodes.sort_by(|a, b| a.1.cmp(&b.1));
            if command.name == "list" {
                for (id, name, state) in &nodes {
                    out.line(&format!("{id} {name} {state}"));
                }
                out.xml(|| {
                    let mut list = Element::new("nodes");
                    for (id, name, state) in &nodes {
                        let node = Element::new("node")
                            .with("id", id.as_str())
                            .with("name", name.as_str());
                        list.push(node.with("state", state.as_str()));
                    }
                    list
                });
            } else {
                // Each name is followed by a blank, the last one too.
                let line: String = nodes
                    .iter()
                    .filter(|node| node.2 == "member")
                    .map(|node| format!("{} ", node.1))
                    .collect();
                out.line(&line);
                out.xml(|| {
                    let mut list = Element::new("nodes");
                    for (_, name, _) in nodes.iter().filter(|node| node.2 == "member") {
                        list.push(Element::new("node").with("name", name.as_str()));
                    }
                    list
                });
            }
        }
        _ => {
            if !parsed.has("force") {
                return Err(Fail::usage(
                    "The supplied command is considered dangerous. To prevent accidental destruction of the \
                     cluster, the --force flag is required in order to proceed.",
                ));
            }
            remove(argument)?;
        }
    }
    Ok(CrmExit::Ok)
}

fn open() -> Result<Controller, Fail> {
    Controller::open("crm_node").map_err(connection)
}

/// Makes Pacemaker forget a node: its entries in the CIB, its attributes, the daemons' caches.
fn remove(name: &str) -> Result<(), Fail> {
    let by_id = name.parse::<u32>().is_ok();
    let wish = source::Wish { tool: "crm_node", user: None, writes: true };
    let mut source = Source::open(&wish)
        .map_err(|rc| Fail::new(rc.exit(), format!("error: Could not connect to the CIB: {rc}")))?;
    let attr = if by_id { "id" } else { "uname" };
    for (section, tag) in [("nodes", "node"), ("status", "node_state")] {
        let data = Element::new(tag).with(attr, name);
        let call =
            Call { op: "cib_delete", section: Some(section), data: Some(&data), ..Call::default() };
        let answer = source.call(&call).map_err(performing)?;
        if !matches!(answer.rc, Rc::OK | Rc::ENXIO) {
            return Err(performing(answer.rc));
        }
    }
    crate::attrd::purge(name).map_err(performing)?;
    let attrs = [(attr, name)];
    for service in ["crmd", "pacemakerd", "stonith-ng"] {
        let (message, _) = Envelope {
            task: "rm_node_cache",
            to: service,
            host: None,
            tool: "crm_node",
            data: None,
            attrs: &attrs,
        }
        .build();
        Connection::open(service)
            .and_then(|mut daemon| daemon.send(&message))
            .map_err(performing)?;
    }
    Ok(())
}
