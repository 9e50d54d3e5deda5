//! `crm_node`: what the cluster knows of nodes. Source: `spec/cli-pacemaker.md` §8.4.

use std::time::Duration;

use base::CrmExit;
use pacemaker_client::attrd::Attrd;
use pacemaker_client::client::{Client, ClientError};
use pacemaker_client::controld::Controld;
use pacemaker_client::envelope;
use xml::Element;

use crate::options::{Arg, Parsed, Table, flag, old, value};
use crate::output::{self, Fail, Out};
use crate::rc::Rc;
use crate::source::PATIENCE;
use crate::source::{self, Call, Source};

/// How long a daemon may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The command line.
pub(crate) const TABLE: Table = Table {
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
            let info = asked(open()?.node_info(None, None, TIMEOUT))?;
            let id = info.id.ok_or_else(|| performing(Rc::NODE_UNKNOWN))?;
            out.line(&id);
            out.xml(|| Element::new("node-info").with("nodeid", id.as_str()));
        }
        "quorum" => {
            let quorum = asked(open()?.node_info(None, None, TIMEOUT))?.has_quorum;
            out.line(if quorum { "1" } else { "0" });
            out.xml(|| Element::new("cluster-info").with("quorum", quorum.to_string()));
            return Ok(if quorum { CrmExit::Ok } else { CrmExit::Quorum });
        }
        "name-for-id" => {
            let Some(id) = argument.parse::<u32>().ok().filter(|id| *id > 0) else {
                return Err(Fail::usage(format!("'{argument}' is not a node id")));
            };
            let info = asked(open()?.node_info(Some(id), None, TIMEOUT))?;
            let Some(name) = info.uname else {
                out.err("Node is not known to cluster");
                return Err(Fail::silent(CrmExit::Nohost));
            };
            out.line(&name);
            out.xml(|| {
                Element::new("node-info").with("nodeid", argument).with("uname", name.as_str())
            });
        }
        "list" | "partition" => {
            let mut nodes = asked(open()?.list_nodes(TIMEOUT))?;
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

fn open() -> Result<Controld, Fail> {
    Controld::connect_patiently("crm_node", PATIENCE).map_err(|error| connection(Rc::from(error)))
}

fn asked<T>(answer: Result<T, ClientError>) -> Result<T, Fail> {
    answer.map_err(|error| performing(Rc::from(error)))
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
    let id = name.parse::<u32>().ok();
    let uname = Some(name).filter(|_| id.is_none());
    asked(
        Attrd::connect_patiently("crm_node", PATIENCE)
            .and_then(|mut attrd| attrd.remove_node(Some(name), None)),
    )?;
    asked(open()?.forget_node(id, uname))?;
    let sender = envelope::sender("crm_node");
    for service in ["pacemakerd", "stonith-ng"] {
        let mut request = envelope::request("rm_node_cache", Some(service), &sender, None, None);
        request.set(attr, name);
        asked(Client::connect(service).and_then(|mut daemon| daemon.send(&request, 0)))?;
    }
    Ok(())
}
