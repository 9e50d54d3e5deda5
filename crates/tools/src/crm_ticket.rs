//! `crm_ticket`: which cluster of several may run what. Source: `spec/cli-pacemaker.md` §8.6.

use base::CrmExit;
use xml::Element;

use crate::clock::ctime;
use crate::options::{Arg, Parsed, Table, flag, old, value};
use crate::output::{self, Fail, Out};
use crate::rc::Rc;
use crate::source::{Call, Source, Wish, call};

/// The command line.
pub(crate) const TABLE: Table = Table {
    tool: "crm_ticket",
    summary: "perform tasks related to Pacemaker tickets",
    usage: "<query>|<command> [OPTION…]",
    groups: &[
        ("queries", "Queries:"),
        ("commands", "Commands:"),
        ("advanced", "Advanced Options:"),
        ("additional", "Additional Options:"),
    ],
    options: &[
        flag("info", 'l', "queries", "Display the information of ticket(s)"),
        flag("details", 'L', "queries", "Display the details of ticket(s)"),
        flag("raw", 'w', "queries", "Display the IDs of ticket(s)"),
        flag("query-xml", 'q', "queries", "Query the XML of ticket(s)"),
        flag(
            "constraints",
            'c',
            "queries",
            "Display the rsc_ticket constraints that apply to ticket(s)",
        ),
        flag("grant", 'g', "commands", "Grant a ticket to this cluster site"),
        flag("revoke", 'r', "commands", "Revoke a ticket from this cluster site"),
        flag("standby", 's', "commands", "Tell this cluster site this ticket is standby"),
        flag("activate", 'a', "commands", "Tell this cluster site this ticket is active"),
        value("get-attr", 'G', "ATTR", "advanced", "Display the named attribute for a ticket"),
        value("set-attr", 'S', "ATTR", "advanced", "Set the named attribute for a ticket"),
        value("delete-attr", 'D', "ATTR", "advanced", "Delete the named attribute for a ticket"),
        flag("cleanup", 'C', "advanced", "Delete all state of a ticket at this cluster site"),
        value("attr-value", 'v', "VALUE", "additional", "Attribute value to use with -S"),
        value(
            "default",
            'd',
            "VALUE",
            "additional",
            "(Advanced) Default attribute value to display if none is found (for use with -G)",
        ),
        flag("force", 'f', "additional", "(Advanced) Force the action to be performed"),
        value("ticket", 't', "ID", "additional", "Ticket ID"),
        value(
            "set-name",
            'n',
            "ID",
            "additional",
            "(Advanced) ID of the instance_attributes object to change",
        ),
        value(
            "nvpair",
            'i',
            "ID",
            "additional",
            "(Advanced) ID of the nvpair object to change/delete",
        ),
        old("quiet-", 'Q', "quiet", Arg::No),
    ],
    formats: &["text", "xml"],
    notes: "",
};

/// Runs the tool.
pub fn main(args: &[String]) -> i32 {
    output::run(&TABLE, args, work)
}

fn failed(rc: Rc) -> Fail {
    Fail::new(rc.exit(), format!("Error performing operation: {rc}"))
}

const COMMANDS: &[&str] = &[
    "info",
    "details",
    "raw",
    "query-xml",
    "constraints",
    "grant",
    "revoke",
    "standby",
    "activate",
    "get-attr",
    "set-attr",
    "delete-attr",
    "cleanup",
];

fn work(parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    let mut changes: Vec<(String, Option<String>)> = Vec::new();
    let mut command = "";
    let mut attribute = String::new();
    for item in parsed.items.iter().filter(|item| COMMANDS.contains(&item.name)) {
        command = item.name;
        attribute = item.value.clone().unwrap_or_default();
        match item.name {
            "grant" => changes.push(("granted".into(), Some("true".into()))),
            "revoke" => changes.push(("granted".into(), Some("false".into()))),
            "standby" => changes.push(("standby".into(), Some("true".into()))),
            "activate" => changes.push(("standby".into(), Some("false".into()))),
            "set-attr" => {
                let Some(value) = parsed.value("attr-value") else {
                    return Err(Fail::usage("Must supply attribute value with -v <value>"));
                };
                changes.push((attribute.clone(), Some(value.to_owned())));
            }
            "delete-attr" => changes.push((attribute.clone(), None)),
            _ => {}
        }
    }
    if command.is_empty() {
        return Err(Fail::usage("Must supply a command"));
    }
    let writes = !changes.is_empty() || command == "cleanup";
    let wish = Wish { tool: "crm_ticket", user: None, writes };
    let mut source = Source::open(&wish)
        .map_err(|rc| Fail::new(rc.exit(), format!("Could not connect to the CIB: {rc}")))?;
    let document = source.document().map_err(failed)?;
    let ticket = parsed.value("ticket");
    let states: Vec<Element> = document
        .at(&["status", "tickets"])
        .into_iter()
        .flat_map(Element::children)
        .filter(|state| ticket.is_none_or(|id| state.id() == Some(id)))
        .cloned()
        .collect();
    if !writes {
        return query(parsed, out, command, &attribute, &document, &states);
    }
    let Some(id) = ticket else { return Err(Fail::usage("Must supply ticket ID with -t")) };
    let old = states.first();
    if command == "cleanup" {
        if old.is_none() && awaited(&document).iter().any(|state| state.id() == Some(id)) {
            // It has no state that could be forgotten.
            return Ok(CrmExit::Ok);
        }
        let exit = cleanup(parsed, id, old, &mut source)?;
        out.info(&format!("Cleaned up {id}"));
        return Ok(exit);
    }
    if old.is_none() && changes.iter().all(|(_, value)| value.is_none()) {
        // What is not there has no attributes to lose.
        return Ok(CrmExit::Ok);
    }
    guard(parsed, id, old, &changes)?;
    change(id, old, &changes, &mut source)?;
    Ok(CrmExit::Ok)
}

/// Refuses what only people who know all sites may do.
fn guard(
    parsed: &Parsed,
    id: &str,
    old: Option<&Element>,
    changes: &[(String, Option<String>)],
) -> Result<(), Fail> {
    if parsed.has("force") {
        return Ok(());
    }
    let granted = old.is_some_and(|state| state.get("granted") == Some("true"));
    for (name, value) in changes.iter().filter(|(name, _)| name == "granted") {
        let text = match value.as_deref() {
            Some("true") => format!(
                "This command cannot help you verify whether '{id}' has been already granted elsewhere.\n\
                 If you really want to grant '{id}' to this site now, and you know what you are doing,\n\
                 please specify --force."
            ),
            Some(_) => format!(
                "Revoking '{id}' can trigger the specified 'loss-policy'(s) relating to '{id}'.\n\n\
                 You can check that with:\ncrm_ticket --ticket {id} --constraints\n\n\
                 Otherwise before revoking '{id}', you may want to make '{id}'standby with:\n\
                 crm_ticket --ticket {id} --standby\n\n\
                 If you really want to revoke '{id}' from this site now, and you know what you are doing,\n\
                 please specify --force."
            ),
            None if granted => format!(
                "Deleting '{name}' of the granted ticket '{id}' revokes it.\nIf you really want that, please specify \
                 --force."
            ),
            None => continue,
        };
        return Err(Fail::new(CrmExit::Unsafe, text));
    }
    Ok(())
}

fn change(
    id: &str,
    old: Option<&Element>,
    changes: &[(String, Option<String>)],
    source: &mut Source,
) -> Result<(), Fail> {
    let mut state = old.cloned().unwrap_or_else(|| Element::new("ticket_state").with("id", id));
    for (name, value) in changes {
        match value {
            Some(value) => {
                let regained =
                    name == "granted" && value == "true" && state.get("granted") != Some("true");
                state.set(name, value.as_str());
                if regained {
                    state.set("last-granted", crate::clock::now().to_string());
                }
            }
            None => drop(state.unset(name)),
        }
    }
    // Removing an attribute needs the element replaced; a new one has to be made.
    let (op, data) = if old.is_some() {
        ("cib_replace", state)
    } else {
        ("cib_modify", Element::new("tickets").with_child(state))
    };
    let wrapped = Element::new("status").with_child(data.clone());
    let (section, data) =
        if old.is_some() { (Some("status"), data) } else { (Some("status"), wrapped) };
    let answer = source
        .call(&Call { op, section, data: Some(&data), options: call::CAN_CREATE, host: None })
        .map_err(failed)?;
    if answer.rc == Rc::OK { Ok(()) } else { Err(failed(answer.rc)) }
}

fn cleanup(
    parsed: &Parsed,
    id: &str,
    old: Option<&Element>,
    source: &mut Source,
) -> Result<CrmExit, Fail> {
    let Some(state) = old else {
        return Err(Fail::new(CrmExit::Nosuch, format!("No such ticket '{id}'")));
    };
    if !parsed.has("force") && state.get("granted") == Some("true") {
        return Err(Fail::new(
            CrmExit::Unsafe,
            format!(
                "The ticket '{id}' is granted here.\nIf you really want to forget it, please specify --force."
            ),
        ));
    }
    let data = Element::new("ticket_state").with("id", id);
    let call =
        Call { op: "cib_delete", section: Some("status"), data: Some(&data), ..Call::default() };
    let answer = source.call(&call).map_err(failed)?;
    if answer.rc == Rc::OK { Ok(CrmExit::Ok) } else { Err(failed(answer.rc)) }
}

fn is_true(state: &Element, name: &str) -> bool {
    matches!(state.get(name), Some("true" | "1" | "yes" | "on"))
}

fn last_granted(state: &Element) -> Option<String> {
    state.get("last-granted").and_then(|stamp| stamp.parse().ok()).map(ctime)
}

fn ticket_xml(state: &Element) -> Element {
    let mut element = Element::new("ticket")
        .with("id", state.id().unwrap_or(""))
        .with("status", if is_true(state, "granted") { "granted" } else { "revoked" })
        .with("standby", if is_true(state, "standby") { "true" } else { "false" });
    for (name, value) in state.attrs().filter(|(name, _)| !matches!(*name, "id" | "standby")) {
        let value = if name == "last-granted" {
            last_granted(state).unwrap_or_default()
        } else {
            value.to_owned()
        };
        element.set(name, value);
    }
    element
}

fn query(
    parsed: &Parsed,
    out: &mut Out,
    command: &str,
    attribute: &str,
    document: &Element,
    states: &[Element],
) -> Result<CrmExit, Fail> {
    let ticket = parsed.value("ticket");
    let mut xml = Element::new("tickets");
    if command == "get-attr" {
        let Some(id) = ticket else { return Err(Fail::usage("Must supply ticket ID with -t")) };
        let value =
            states.first().and_then(|state| state.get(attribute)).or(parsed.value("default"));
        let Some(value) = value else { return Err(failed(Rc::ENXIO)) };
        out.line(value);
        let found = Element::new("attribute").with("name", attribute).with("value", value);
        xml.push(Element::new("ticket").with("id", id).with_child(found));
        out.xml(|| xml);
        return Ok(CrmExit::Ok);
    }
    if command == "constraints" {
        return constraints(out, ticket, document);
    }
    // Tickets that are only waited for have no state yet: they are revoked.
    let mut states = states.to_vec();
    if command != "query-xml" {
        states.extend(
            awaited(document)
                .into_iter()
                .filter(|state| ticket.is_none_or(|id| state.id() == Some(id))),
        );
    }
    let states = states.as_slice();
    if let Some(id) = ticket
        && states.is_empty()
    {
        return Err(Fail::new(CrmExit::Nosuch, format!("No such ticket '{id}'")));
    }
    if command == "query-xml" {
        out.line("State XML:\n");
    }
    for state in states {
        let id = state.id().unwrap_or("");
        let status = if is_true(state, "granted") { "granted" } else { "revoked" };
        let standby = if is_true(state, "standby") { " [standby]" } else { "" };
        match command {
            "raw" => out.line(id),
            "query-xml" => out.text(&state.to_pretty()),
            "details" => {
                let details: Vec<String> = state
                    .attrs()
                    .filter(|(name, _)| *name != "id")
                    .map(|(name, value)| match name {
                        "last-granted" => {
                            format!("last-granted={}", last_granted(state).unwrap_or_default())
                        }
                        _ => format!("{name}={value}"),
                    })
                    .collect();
                let details = if details.is_empty() {
                    String::new()
                } else {
                    format!("\t({})", details.join(", "))
                };
                out.line(&format!("{id}\t{status}{standby} {details}").replace(" \t", "\t"));
            }
            _ => {
                let when = last_granted(state)
                    .map(|at| format!(" last-granted=\"{at}\""))
                    .unwrap_or_default();
                out.line(&format!("{id}\t{status}{standby}{when}"));
            }
        }
        if command == "query-xml" {
            let mut element = Element::new("ticket");
            for (name, value) in state.attrs() {
                element.set(name, value);
            }
            xml.push(element);
        } else {
            xml.push(ticket_xml(state));
        }
    }
    out.xml(|| xml);
    Ok(CrmExit::Ok)
}

/// States of the tickets that constraints name and the status does not know.
pub(crate) fn awaited(document: &Element) -> Vec<Element> {
    let known = document.at(&["status", "tickets"]);
    let mut found: Vec<Element> = Vec::new();
    let all =
        document.at(&["configuration", "constraints"]).into_iter().flat_map(Element::children);
    for id in
        all.filter(|child| child.name() == "rsc_ticket").filter_map(|child| child.get("ticket"))
    {
        let is_known =
            known.is_some_and(|tickets| tickets.child_with_id("ticket_state", id).is_some());
        if !is_known && !found.iter().any(|state| state.id() == Some(id)) {
            found.push(Element::new("ticket_state").with("id", id));
        }
    }
    found
}

fn constraints(out: &mut Out, ticket: Option<&str>, document: &Element) -> Result<CrmExit, Fail> {
    let all =
        document.at(&["configuration", "constraints"]).into_iter().flat_map(Element::children);
    let found: Vec<&Element> = all
        .filter(|child| {
            child.name() == "rsc_ticket" && ticket.is_none_or(|id| child.get("ticket") == Some(id))
        })
        .collect();
    if found.is_empty() {
        let why = format!("Could not show ticket constraints: {}", Rc::ENXIO);
        return Err(Fail::new(Rc::ENXIO.exit(), why));
    }
    out.line("Constraints XML:\n");
    let (mut tickets, mut resources) = (Element::new("tickets"), Element::new("resources"));
    for constraint in &found {
        out.text(&constraint.to_pretty());
        let holder = Element::new("constraints").with_child((*constraint).clone());
        let id = constraint.get("ticket").unwrap_or("");
        tickets.push(Element::new("ticket").with("id", id).with_child(holder));
        if let Some(rsc) = constraint.get("rsc") {
            resources.push(Element::new("resource").with("id", rsc));
        }
    }
    out.xml(|| tickets);
    if !resources.is_leaf() {
        out.xml(|| resources);
    }
    Ok(CrmExit::Ok)
}
