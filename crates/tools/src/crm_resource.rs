//! `crm_resource`: everything about resources. Source: `spec/cli-pacemaker.md` §8.1, §8.2.

mod agent;
mod ban;
mod clean;
mod constraints;
mod digests;
mod list;
mod params;
mod wait;
mod why;

use base::CrmExit;
use scheduler::ids::RscIx;
use scheduler::model::Variant;

use crate::list_options;
use crate::options::{Arg, Parsed, Table, flag, maybe, old, value};
use crate::output::{self, Fail, Out};
use crate::rc::Rc;
use crate::source::{Source, Wish};
use crate::status::View;

/// The command line.
pub(crate) const TABLE: Table = Table {
    tool: "crm_resource",
    summary: "perform tasks related to Pacemaker cluster resources",
    usage: "<query>|<command> [OPTION…]",
    groups: &[
        ("queries", "Queries:"),
        ("commands", "Commands:"),
        ("locations", "Locations:"),
        ("advanced", "Advanced:"),
        ("additional", "Additional Options:"),
    ],
    options: &[
        flag("list", 'L', "queries", "List all cluster resources with status"),
        flag(
            "list-raw",
            'l',
            "queries",
            "List IDs of all instantiated resources (individual members rather than groups etc.)",
        ),
        flag(
            "list-operations",
            'O',
            "queries",
            "List active resource operations, optionally filtered by --resource and/or --node",
        ),
        flag(
            "list-all-operations",
            'o',
            "queries",
            "List all resource operations, optionally filtered by --resource and/or --node",
        ),
        value(
            "list-options",
            ' ',
            "TYPE",
            "queries",
            "List all available options of the given type: primitive, fencing",
        ),
        flag("list-standards", ' ', "queries", "List supported standards"),
        flag("list-ocf-providers", ' ', "queries", "List all available OCF providers"),
        value(
            "list-agents",
            ' ',
            "STD:PROV",
            "queries",
            "List all agents available for the named standard and/or provider",
        ),
        value(
            "list-ocf-alternatives",
            ' ',
            "AGENT",
            "queries",
            "List all available providers for the named OCF agent",
        ),
        value(
            "show-metadata",
            ' ',
            "SPEC",
            "queries",
            "Show the metadata for the named class:provider:agent",
        ),
        flag(
            "query-xml",
            'q',
            "queries",
            "Show XML configuration of resource (after any template expansion)",
        ),
        flag(
            "query-xml-raw",
            'w',
            "queries",
            "Show XML configuration of resource (before any template expansion)",
        ),
        value(
            "get-parameter",
            'g',
            "PARAM",
            "queries",
            "Display a parameter of the resource (an instance attribute unless --meta, --element or --utilization is given)",
        ),
        flag("locate", 'W', "queries", "Show node(s) currently running resource"),
        flag(
            "constraints",
            'a',
            "queries",
            "Display the location and colocation constraints that apply to a resource",
        ),
        flag("stack", 'A', "queries", "Equivalent to --constraints --recursive"),
        flag(
            "why",
            'Y',
            "queries",
            "Show why resources are not running, optionally filtered by --resource and/or --node",
        ),
        maybe(
            "validate",
            ' ',
            "LEVEL",
            "commands",
            "Validate resource configuration by calling the agent's validate-all action",
        ),
        flag(
            "cleanup",
            'C',
            "commands",
            "If resource has any past failures, clear its history and fail count",
        ),
        flag(
            "refresh",
            'R',
            "commands",
            "Delete resource's history (including failures) so its current state is rechecked",
        ),
        value(
            "set-parameter",
            'p',
            "PARAM",
            "commands",
            "Set a parameter of the resource (requires -v)",
        ),
        value("delete-parameter", 'd', "PARAM", "commands", "Delete a parameter of the resource"),
        flag(
            "move",
            'M',
            "locations",
            "Create a constraint to move resource, to --node or away from where it is",
        ),
        flag("ban", 'B', "locations", "Create a constraint to keep resource off a node"),
        flag(
            "clear",
            'U',
            "locations",
            "Remove all constraints created by the --ban and/or --move commands",
        ),
        flag(
            "expired",
            'e',
            "locations",
            "Let --clear remove only constraints with expired lifetimes",
        ),
        value(
            "lifetime",
            'u',
            "TIMESPEC",
            "locations",
            "Lifespan (as ISO 8601 duration) of created constraints (with -B, -M)",
        ),
        flag(
            "promoted",
            ' ',
            "locations",
            "Limit scope of command to promoted role (with -B, -M, -U)",
        ),
        flag("delete", 'D', "advanced", "(Advanced) Delete a resource from the CIB. Required: -t"),
        flag("fail", 'F', "advanced", "(Advanced) Tell the cluster this resource has failed"),
        flag(
            "restart",
            ' ',
            "advanced",
            "(Advanced) Tell the cluster to restart this resource and anything that depends on it",
        ),
        flag(
            "wait",
            ' ',
            "advanced",
            "(Advanced) Wait until the cluster settles into a stable state",
        ),
        flag(
            "digests",
            ' ',
            "advanced",
            "(Advanced) Show parameter hashes that Pacemaker uses to detect configuration changes",
        ),
        flag(
            "force-demote",
            ' ',
            "advanced",
            "(Advanced) Bypass the cluster and demote a resource on the local node",
        ),
        flag(
            "force-stop",
            ' ',
            "advanced",
            "(Advanced) Bypass the cluster and stop a resource on the local node",
        ),
        flag(
            "force-start",
            ' ',
            "advanced",
            "(Advanced) Bypass the cluster and start a resource on the local node",
        ),
        flag(
            "force-promote",
            ' ',
            "advanced",
            "(Advanced) Bypass the cluster and promote a resource on the local node",
        ),
        maybe(
            "force-check",
            ' ',
            "LEVEL",
            "advanced",
            "(Advanced) Bypass the cluster and check the state of a resource on the local node",
        ),
        value("node", 'N', "NAME", "additional", "Node name"),
        flag(
            "recursive",
            ' ',
            "additional",
            "Follow colocation chains when using --set-parameter or --constraints",
        ),
        value(
            "resource-type",
            't',
            "ELEMENT",
            "additional",
            "Resource XML element (primitive, group, etc.) (with -D)",
        ),
        value("parameter-value", 'v', "PARAM", "additional", "Value to use with -p"),
        flag(
            "meta",
            'm',
            "additional",
            "Use resource meta-attribute instead of instance attribute (with -p, -g, -d)",
        ),
        flag(
            "utilization",
            'z',
            "additional",
            "Use resource utilization attribute instead of instance attribute (with -p, -g, -d)",
        ),
        flag(
            "element",
            ' ',
            "additional",
            "Use resource element attribute instead of instance attribute (with -p, -g, -d)",
        ),
        value(
            "operation",
            'n',
            "OPERATION",
            "additional",
            "Operation to clear instead of all (with -C -r)",
        ),
        value(
            "interval",
            'I',
            "N",
            "additional",
            "Interval of operation to clear (default 0) (with -C -r -n)",
        ),
        value(
            "class",
            ' ',
            "CLASS",
            "additional",
            "The standard the resource agent conforms to (with --validate and --force-*)",
        ),
        value(
            "agent",
            ' ',
            "TYPE",
            "additional",
            "The agent to use (with --validate and --force-*)",
        ),
        value(
            "provider",
            ' ',
            "PROVIDER",
            "additional",
            "The vendor that supplies the resource agent (with --validate and --force-*)",
        ),
        value(
            "option",
            ' ',
            "NAME=VALUE",
            "additional",
            "Specify a device configuration parameter (with --validate and --force-*)",
        ),
        value(
            "set-name",
            's',
            "ID",
            "additional",
            "(Advanced) XML ID of attributes element to use (with -p, -d)",
        ),
        value(
            "nvpair",
            'i',
            "ID",
            "additional",
            "(Advanced) XML ID of nvpair element to use (with -p, -d)",
        ),
        value(
            "timeout",
            'T',
            "N",
            "additional",
            "(Advanced) Abort if command does not finish in this time (with --restart, --wait, --force-*)",
        ),
        flag(
            "all",
            ' ',
            "additional",
            "List all options, including advanced and deprecated (with --list-options)",
        ),
        flag(
            "force",
            'f',
            "additional",
            "Force the action to be performed. See help for individual commands for additional behavior.",
        ),
        value("resource", 'r', "ID", "additional", "Resource ID"),
        old("master", ' ', "promoted", Arg::No),
        old("host-uname", 'H', "node", Arg::Yes("")),
        old("migrate", ' ', "move", Arg::No),
        old("un-migrate", ' ', "clear", Arg::No),
        old("un-move", ' ', "clear", Arg::No),
        old("unmove", ' ', "clear", Arg::No),
        old("reprobe", 'P', "refresh", Arg::No),
        old("xml-file", 'x', "xml-file", Arg::Yes("")),
    ],
    formats: &["text", "xml"],
    notes: "",
};

/// Runs the tool.
pub fn main(args: &[String]) -> i32 {
    output::run(&TABLE, args, work)
}

const COMMANDS: &[&str] = &[
    "list",
    "list-raw",
    "list-operations",
    "list-all-operations",
    "list-options",
    "list-standards",
    "list-ocf-providers",
    "list-agents",
    "list-ocf-alternatives",
    "show-metadata",
    "query-xml",
    "query-xml-raw",
    "get-parameter",
    "locate",
    "constraints",
    "stack",
    "why",
    "validate",
    "cleanup",
    "refresh",
    "set-parameter",
    "delete-parameter",
    "move",
    "ban",
    "clear",
    "delete",
    "fail",
    "restart",
    "wait",
    "digests",
    "force-demote",
    "force-stop",
    "force-start",
    "force-promote",
    "force-check",
];

/// What the commands work with.
struct Job<'a> {
    parsed: &'a Parsed,
    out: &'a mut Out,
    source: Source,
    view: View,
}

/// The second line of many failures.
fn performing(exit: CrmExit) -> Fail {
    Fail::new(exit, format!("Error performing operation: {}", exit.description()))
}

/// A specific text with the general one below it.
fn failing(exit: CrmExit, text: &str) -> Fail {
    Fail::new(exit, format!("{text}\nError performing operation: {}", exit.description()))
}

fn of_rc(rc: Rc) -> Fail {
    performing(rc.exit())
}

impl<'a> Job<'a> {
    fn open(parsed: &'a Parsed, out: &'a mut Out) -> Result<Job<'a>, Fail> {
        let wish = Wish { tool: "crm_resource", user: None, writes: true };
        let mut source = Source::open(&wish).map_err(|rc| {
            Fail::new(
                rc.exit(),
                format!(
                    "Could not connect to the CIB: {rc}\nError performing operation: {}",
                    rc.exit()
                ),
            )
        })?;
        let document = source.document().map_err(|rc| {
            if rc == Rc::EACCES {
                out.err(&format!("Could not obtain the current CIB: {rc}"));
            }
            of_rc(rc)
        })?;
        let view = View::new(document, crate::clock::now(), None);
        view.log();
        Ok(Job { parsed, out, source, view })
    }

    /// Reads the state again.
    fn refresh_view(&mut self) -> Result<(), Fail> {
        let document = self.source.document().map_err(of_rc)?;
        self.view = View::new(document, crate::clock::now(), None);
        Ok(())
    }

    /// The name given with `-r`.
    fn name(&self) -> Option<&'a str> {
        self.parsed.value("resource")
    }

    /// The resource given with `-r`: by id, or by the id its instances share.
    fn resource(&self) -> Result<RscIx, Fail> {
        let Some(name) = self.name() else {
            return Err(Fail::usage("Must supply a resource id with -r"));
        };
        self.find(name)
            .ok_or_else(|| failing(CrmExit::Nosuch, &format!("Resource '{name}' not found")))
    }

    /// A resource by id. What an anonymous clone holds is known by its shared id, too.
    fn find(&self, name: &str) -> Option<RscIx> {
        let sched = &self.view.sched;
        sched
            .find_resource(name)
            .or_else(|| sched.rscs.ids().find(|rsc| sched.rscs[*rsc].id == name))
            .or_else(|| {
                let named = |rsc: &RscIx| sched.rscs[*rsc].xml.id() == Some(name);
                sched.rscs.ids().find(|rsc| named(rsc) && !sched.rscs[*rsc].unique)
            })
    }

    /// As [`resource`](Self::resource), but the id that the instances of a unique clone share
    /// stands for them, too: what a configuration says is the same for all.
    fn by_configuration(&self) -> Result<RscIx, Fail> {
        let sched = &self.view.sched;
        let found = self.resource();
        let inner = || sched.rscs.ids().find(|rsc| sched.rscs[*rsc].xml.id() == self.name());
        if found.is_err() { inner().map_or(found, Ok) } else { found }
    }

    /// Whether a name is that of an instance (`x:0`).
    fn is_instance_name(&self, rsc: RscIx, name: &str) -> bool {
        self.view.sched.rscs[rsc].xml.id() != Some(name)
    }

    /// The node given with `-N`, which must exist.
    fn node(&self) -> Result<Option<scheduler::ids::NodeIx>, Fail> {
        let Some(name) = self.parsed.value("node") else { return Ok(None) };
        match self.view.sched.node_by_name(name) {
            Some(node) => Ok(Some(node)),
            None => Err(failing(CrmExit::Nosuch, &format!("Node '{name}' not found"))),
        }
    }
}

fn work(parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    let command = parsed.items.iter().rev().find(|item| COMMANDS.contains(&item.name));
    let name = command.map_or("list", |command| command.name);
    let argument = command.and_then(|command| command.value.as_deref());
    if !parsed.rest.is_empty() && name != "digests" {
        let count = parsed.rest.len();
        let words: Vec<String> = parsed
            .rest
            .iter()
            .enumerate()
            .map(|(at, word)| format!("[{} of {count}] {word}", at + 1))
            .collect();
        return Err(Fail::usage(format!("non-option ARGV-elements:\n{}", words.join("\n"))));
    }
    let by_agent = parsed.has("class") || parsed.has("agent") || parsed.has("provider");
    if by_agent {
        if parsed.has("resource") {
            return Err(Fail::usage(
                "--class, --agent, and --provider cannot be used with -r/--resource",
            ));
        }
        if name != "validate" && !name.starts_with("force-") {
            return Err(Fail::usage(
                "--class, --agent, and --provider can only be used with --validate and --force-*",
            ));
        }
        return agent::by_spec(parsed, out, name, argument);
    }
    match name {
        "list-standards" => return agent::standards(out),
        "list-ocf-providers" => return agent::providers(out),
        "list-ocf-alternatives" => return agent::alternatives(out, argument.unwrap_or("")),
        "list-agents" => return agent::agents(out, argument.unwrap_or("")),
        "show-metadata" => return agent::metadata(out, argument.unwrap_or("")),
        "list-options" => {
            let list = match argument {
                Some("primitive") => &list_options::PRIMITIVE,
                Some("fencing") => &list_options::FENCING,
                _ => return Err(Fail::unparsed("Error parsing option --list-options")),
            };
            return Ok(list_options::show(list, parsed.has("all"), out));
        }
        "wait" => return wait::settle(parsed, out),
        _ => {}
    }
    let needs_resource = !matches!(
        name,
        "list"
            | "list-raw"
            | "list-operations"
            | "list-all-operations"
            | "why"
            | "cleanup"
            | "refresh"
            | "clear"
    );
    if needs_resource && !parsed.has("resource") {
        return Err(Fail::usage("Must supply a resource id with -r"));
    }
    if name == "clear" && !parsed.has("resource") && !parsed.has("expired") {
        return Err(Fail::usage("Must supply a resource id with -r"));
    }
    let mut job = Job::open(parsed, out)?;
    match name {
        "list" => list::all(&mut job),
        "list-raw" => list::raw(&mut job),
        "list-operations" => list::operations(&mut job, true),
        "list-all-operations" => list::operations(&mut job, false),
        "locate" => list::locate(&mut job),
        "query-xml" => list::xml(&mut job, true),
        "query-xml-raw" => list::xml(&mut job, false),
        "get-parameter" => params::get(&mut job, argument.unwrap_or("")),
        "set-parameter" => params::set(&mut job, argument.unwrap_or("")),
        "delete-parameter" => params::delete(&mut job, argument.unwrap_or("")),
        "constraints" => constraints::show(&mut job, parsed.has("recursive")),
        "stack" => constraints::show(&mut job, true),
        "why" => why::show(&mut job),
        "move" => ban::relocate(&mut job),
        "ban" => ban::ban(&mut job),
        "clear" => ban::clear(&mut job),
        "delete" => params::remove(&mut job),
        "cleanup" => clean::run(&mut job, true),
        "refresh" => clean::run(&mut job, false),
        "fail" => clean::fail(&mut job),
        "restart" => wait::restart(&mut job),
        "digests" => digests::show(&mut job),
        _ => agent::by_resource(&mut job, name, argument),
    }
}

/// The kind of a resource as its XML element is called.
fn element_name(variant: Variant) -> &'static str {
    match variant {
        Variant::Primitive => "primitive",
        Variant::Group => "group",
        Variant::Clone => "clone",
        Variant::Bundle => "bundle",
    }
}
