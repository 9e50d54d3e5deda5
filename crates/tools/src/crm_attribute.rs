//! `crm_attribute`: cluster options, defaults and node attributes.
//! Source: `spec/cli-pacemaker.md` §7.2.

mod list_options;

use base::CrmExit;
use pacemaker_client::attrd::{Attrd, Update, Which};
use xml::Element;

use crate::nodes;
use crate::nvpairs::{self, Found, Section, Selector, Trouble};
use crate::options::{Arg, Parsed, Table, flag, maybe, old, value};
use crate::output::{self, Fail, Out};
use crate::rc::Rc;
use crate::source::PATIENCE;
use crate::source::{self, Source, call};

/// The command line.
pub(crate) const TABLE: Table = Table {
    tool: "crm_attribute",
    summary: "query and update Pacemaker cluster options and node attributes",
    usage: "[OPTION…]",
    groups: &[
        ("selections", "Selecting attributes:"),
        ("command", "Commands:"),
        ("additional", "Additional options:"),
    ],
    options: &[
        value(
            "id",
            'i',
            "XML_ID",
            "selections",
            "(Advanced) Operate on the attribute with this XML ID",
        ),
        value(
            "name",
            'n',
            "NAME",
            "selections",
            "Operate on the attribute or option of this name. Queries without it return all.",
        ),
        value(
            "pattern",
            'P',
            "PATTERN",
            "selections",
            "Operate on all attributes whose name matches this pattern (with -G, or with -v/-D and a node)",
        ),
        maybe(
            "promotion",
            'p',
            "RESOURCE",
            "selections",
            "Operate on the promotion score of this resource (default: OCF_RESOURCE_INSTANCE); implies -l reboot",
        ),
        value(
            "set-name",
            's',
            "NAME",
            "selections",
            "(Advanced) Operate on the attribute within the set with this XML ID",
        ),
        maybe(
            "list-options",
            'L',
            "TYPE",
            "command",
            "List all available options of the given type: cluster",
        ),
        flag("delete", 'D', "command", "Delete the attribute or option"),
        flag("query", 'G', "command", "Query the current value (the default)"),
        value("update", 'v', "VALUE", "command", "Update the value of the attribute or option"),
        flag(
            "all",
            'a',
            "additional",
            "With --list-options: include advanced and deprecated options",
        ),
        value(
            "default",
            'd',
            "VALUE",
            "additional",
            "(Advanced) Value to display if none is found in the configuration",
        ),
        value(
            "lifetime",
            'l',
            "LIFETIME",
            "additional",
            "Lifetime of the node attribute: reboot, forever",
        ),
        value(
            "node",
            'N',
            "NODE",
            "additional",
            "Operate on an attribute of this node (instead of a cluster option)",
        ),
        value(
            "type",
            't',
            "SECTION",
            "additional",
            "Part of the configuration: crm_config, rsc_defaults, op_defaults, tickets",
        ),
        value(
            "wait",
            'W',
            "UNTIL",
            "additional",
            "Wait for an attribute's change: no (default), local, cluster",
        ),
        flag("utilization", 'z', "additional", "Operate on a utilization attribute of the node"),
        flag(
            "score",
            ' ',
            "additional",
            "Treat NAME++ and NAME+=N in the value as arithmetic on the old value",
        ),
        flag("quiet", 'q', "", "Print only the value"),
        old("attr-id", ' ', "id", Arg::Yes("")),
        old("attr-name", ' ', "name", Arg::Yes("")),
        old("attr-value", ' ', "update", Arg::Yes("")),
        old("delete-attr", ' ', "delete", Arg::No),
        old("get-value", ' ', "query", Arg::No),
        old("node-uname", 'U', "node", Arg::Yes("")),
        old("uname", ' ', "node", Arg::Yes("")),
        old("node-uuid", 'u', "node", Arg::Yes("")),
        old("update-both", ' ', "update", Arg::Yes("")),
        old("quiet-", 'Q', "quiet", Arg::No),
        old("inhibit-policy-engine", '!', "inhibit", Arg::No),
    ],
    formats: &["text", "xml"],
    notes: "",
};

/// Runs the tool.
pub fn main(args: &[String]) -> i32 {
    output::run(&TABLE, args, work)
}

fn performing(rc: Rc) -> Fail {
    Fail::new(rc.exit(), format!("Error performing operation: {rc}"))
}

fn work(parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    if parsed.has("list-options") {
        return list_options::run(parsed, out);
    }
    let command = parsed
        .items
        .iter()
        .rev()
        .map(|item| item.name)
        .find(|name| matches!(*name, "delete" | "query" | "update"));
    let command = command.unwrap_or("query");
    let mut selector = Selector {
        name: parsed.value("name").map(str::to_owned),
        pattern: parsed.value("pattern").map(str::to_owned),
        id: parsed.value("id").map(str::to_owned),
        set: parsed.value("set-name").map(str::to_owned),
    };
    let mut lifetime = parsed.value("lifetime").map(str::to_owned);
    if parsed.has("promotion") {
        let given = parsed.value("promotion").filter(|name| !name.is_empty()).map(str::to_owned);
        let resource = given.or_else(|| {
            std::env::var("OCF_RESOURCE_INSTANCE").ok().filter(|name| !name.is_empty())
        });
        let Some(resource) = resource else {
            return Err(Fail::usage(
                "-p/--promotion must be called from an OCF resource agent or with a resource ID specified",
            ));
        };
        selector.name = Some(format!("master-{resource}"));
        lifetime.get_or_insert_with(|| "reboot".to_owned());
    }
    if selector.pattern.is_some() && selector.name.is_some() {
        return Err(Fail::usage("Error: --name and --pattern cannot be used at the same time"));
    }
    let is_of_node = match lifetime.as_deref().or(parsed.value("type")) {
        Some(kind) => matches!(kind, "reboot" | "forever" | "status" | "nodes"),
        None => parsed.has("node"),
    };
    if selector.pattern.is_some() && command != "query" && !is_of_node {
        return Err(Fail::usage(
            "Error: pattern can only be used with query, or with update or delete of a node's attributes",
        ));
    }
    let wish = source::Wish { tool: "crm_attribute", user: None, writes: command != "query" };
    let mut source = Source::open(&wish)
        .map_err(|rc| Fail::new(rc.exit(), format!("Could not connect to the CIB: {rc}")))?;
    let (section, node) = section_of(parsed, lifetime.as_deref(), &mut source)?;
    let named = selector.name.is_some() || selector.pattern.is_some();
    if command == "delete" && !named {
        return Err(Fail::usage("Error: must specify attribute name or pattern to delete"));
    }
    if command == "update" && !named {
        return Err(Fail::usage("Error: must specify attribute name or pattern to update"));
    }
    match command {
        "query" => query(parsed, out, &mut source, &section, &selector),
        "update" => {
            let value = parsed.value("update").unwrap_or("");
            let options = if parsed.has("score") || value.ends_with("++") || value.contains("+=") {
                call::SCORE_UPDATE
            } else {
                0
            };
            if let (Section::Status { .. }, Some(node), true) = (&section, &node, source.is_live())
            {
                return through_attrd(&selector, node, Some(value));
            }
            match nvpairs::set(&mut source, &section, &selector, value, options) {
                Ok(()) => Ok(CrmExit::Ok),
                Err(trouble) => Err(complain(out, &section, &selector, trouble, Some(value))),
            }
        }
        _ => {
            if let (Section::Status { .. }, Some(node), true) = (&section, &node, source.is_live())
            {
                return through_attrd(&selector, node, None);
            }
            delete(out, &mut source, &section, &selector)
        }
    }
}

/// Which section is meant, and the name of the node when there is one.
fn section_of(
    parsed: &Parsed,
    lifetime: Option<&str>,
    source: &mut Source,
) -> Result<(Section, Option<String>), Fail> {
    let mut kind = parsed.value("type").map(str::to_owned);
    match lifetime {
        Some("reboot") => kind = Some("status".to_owned()),
        Some("forever") => kind = Some("nodes".to_owned()),
        Some(other) => return Err(Fail::usage(format!("Invalid lifetime '{other}'"))),
        None => {}
    }
    let node = parsed.value("node").filter(|node| !node.is_empty());
    let kind = match kind {
        Some(kind) => kind,
        None if node.is_some() || parsed.has("utilization") => "nodes".to_owned(),
        None => "crm_config".to_owned(),
    };
    let section = match kind.as_str() {
        "crm_config" => Section::CrmConfig,
        "rsc_defaults" => Section::RscDefaults,
        "op_defaults" => Section::OpDefaults,
        "tickets" => Section::Tickets,
        "nodes" | "status" => {
            let name = match node {
                Some(node) => node.to_owned(),
                None => nodes::local_name().map_err(|rc| {
                    Fail::new(rc.exit(), format!("Could not get local node name: {rc}"))
                })?,
            };
            let known = nodes::of_name(source, &name).map_err(performing)?;
            let Some(node) = known else {
                return Err(Fail::new(
                    CrmExit::Nosuch,
                    format!("Could not map name={name} to a UUID"),
                ));
            };
            let section = if kind == "nodes" {
                Section::Nodes { node, utilization: parsed.has("utilization") }
            } else {
                Section::Status { node }
            };
            return Ok((section, Some(name)));
        }
        other => return Err(Fail::usage(format!("Invalid section '{other}'"))),
    };
    Ok((section, None))
}

fn query(
    parsed: &Parsed,
    out: &mut Out,
    source: &mut Source,
    section: &Section,
    selector: &Selector,
) -> Result<CrmExit, Fail> {
    let found = nvpairs::find(source, section, selector).map_err(performing)?;
    if found.is_empty() {
        let Some(default) = parsed.value("default") else { return Err(performing(Rc::ENXIO)) };
        let name = selector.name.clone().or_else(|| selector.pattern.clone()).unwrap_or_default();
        say(out, section, &name, default);
        return Ok(CrmExit::Ok);
    }
    for pair in &found {
        say(out, section, &pair.name, &pair.value);
    }
    Ok(CrmExit::Ok)
}

fn say(out: &mut Out, section: &Section, name: &str, value: &str) {
    if out.quiet {
        out.line(value);
    } else {
        // Two blanks after the scope: the layout scripts have known since 1.x.
        out.line(&format!("scope={}  name={name} value={value}", section.name()));
    }
    out.xml(|| {
        Element::new("attribute")
            .with("name", name)
            .with("value", value)
            .with("scope", section.name())
    });
}

fn delete(
    out: &mut Out,
    source: &mut Source,
    section: &Section,
    selector: &Selector,
) -> Result<CrmExit, Fail> {
    match nvpairs::delete(source, section, selector) {
        Ok(found) => {
            for Found { id, name, .. } in found {
                // A pair selected by its id is reported without it; scripts compare this line.
                let shown = if selector.id.is_some() { "(null)" } else { id.as_str() };
                let kind = match section {
                    Section::Nodes { .. } | Section::Status { .. } => "attribute",
                    Section::CrmConfig
                    | Section::RscDefaults
                    | Section::OpDefaults
                    | Section::Tickets => "option",
                };
                out.info(&format!("Deleted {} {kind}: id={shown} name={name}", section.name()));
            }
            Ok(CrmExit::Ok)
        }
        Err(trouble) => Err(complain(out, section, selector, trouble, None)),
    }
}

fn complain(
    out: &mut Out,
    section: &Section,
    selector: &Selector,
    trouble: Trouble,
    value: Option<&str>,
) -> Fail {
    match trouble {
        Trouble::Several(found) => {
            let name = selector.name.as_deref().unwrap_or("<null>");
            out.err(
                "crm_attribute: Please choose from one of the matches below and supply the 'id' with --attr-id",
            );
            out.line(&format!("Multiple attributes match name={name}"));
            for pair in &found {
                out.line(&format!("  Value: {} \t(id={})", pair.value, pair.id));
            }
            Fail::silent(CrmExit::Multiple)
        }
        Trouble::Cib(rc) => performing(rc),
        Trouble::Refused(rc) => {
            if let (Rc::EACCES, Some(value), Some(name)) = (rc, value, &selector.name) {
                let set = selector.set.as_deref().unwrap_or("<null>");
                out.err(&format!(
                    "Error setting {name}={value} (section={}, set={set}): {rc}",
                    section.name()
                ));
            }
            performing(rc)
        }
    }
}

/// Changes a transient attribute where it lives: in the attribute manager.
fn through_attrd(selector: &Selector, node: &str, value: Option<&str>) -> Result<CrmExit, Fail> {
    let which = match (&selector.name, &selector.pattern) {
        (_, Some(pattern)) => Which::Regex(pattern),
        (name, None) => Which::Name(name.as_deref().unwrap_or("")),
    };
    let change =
        Update { value, node: Some(node), set: selector.set.as_deref(), ..Update::default() };
    Attrd::connect_patiently("crm_attribute", PATIENCE)
        .and_then(|mut attrd| attrd.update(which, &change))
        .map_err(|error| performing(Rc::from(error)))?;
    Ok(CrmExit::Ok)
}
