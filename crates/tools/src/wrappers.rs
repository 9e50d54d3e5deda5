//! `crm_standby`, `crm_failcount` and `crm_master`: shorthands for other tools.
//! Source: `spec/cli-pacemaker.md` §7.6.

use base::{CrmExit, Score};

use crate::nodes;
use crate::options::{Arg, Outcome, Parsed, Table, flag, old, value};
use crate::output::print_best_effort;
use crate::source::{Call, Source, Wish};

/// The command line of `crm_standby`.
pub(crate) const STANDBY: Table = Table {
    tool: "crm_standby",
    summary: "query, enable, or disable standby mode for a node",
    usage: "<command> [options]",
    groups: &[],
    options: &[
        flag("query", 'G', "", "Query the current value of standby mode (on/off)"),
        value("update", 'v', "VALUE", "", "Update the value of standby mode (on/off)"),
        flag("delete", 'D', "", "Let standby mode use the default value"),
        value("node", 'N', "NODE", "", "Operate on this node instead of the current one"),
        value("lifetime", 'l', "VALUE", "", "Until when the setting takes effect: reboot, forever"),
        value("id", 'i', "VALUE", "", "(Advanced) XML ID used to identify the attribute"),
        flag("quiet", 'q', "", "Print only the standby status (if querying)"),
        old("uname", 'U', "node", Arg::Yes("")),
        old("attr-value", ' ', "update", Arg::Yes("")),
        old("get-value", ' ', "query", Arg::No),
        old("delete-attr", ' ', "delete", Arg::No),
        old("attr-id", ' ', "id", Arg::Yes("")),
        old("quiet-", 'Q', "quiet", Arg::No),
    ],
    formats: &[],
    notes: "",
};

/// The command line of `crm_failcount`.
pub(crate) const FAILCOUNT: Table = Table {
    tool: "crm_failcount",
    summary: "query or delete resource fail counts",
    usage: "<command> [options]",
    groups: &[],
    options: &[
        flag("query", 'G', "", "Query the current value of the resource's fail count"),
        flag("delete", 'D', "", "Delete the resource's recorded failures"),
        value("resource", 'r', "VALUE", "", "Name of the resource to use (required)"),
        value(
            "operation",
            'n',
            "VALUE",
            "",
            "Name of the operation to use (instead of all operations)",
        ),
        value("interval", 'I', "VALUE", "", "If an operation is specified, its interval"),
        value(
            "node",
            'N',
            "VALUE",
            "",
            "Use the fail count on this node (instead of the local node)",
        ),
        flag("quiet", 'q', "", "Print only the value (if querying)"),
        old("resource-id", ' ', "resource", Arg::Yes("")),
        old("uname", 'U', "node", Arg::Yes("")),
        old("attr-value", 'v', "update", Arg::Yes("")),
        old("get-value", ' ', "query", Arg::No),
        old("delete-attr", ' ', "delete", Arg::No),
        old("quiet-", 'Q', "quiet", Arg::No),
    ],
    formats: &[],
    notes: "",
};

/// The command line of `crm_master`.
pub(crate) const MASTER: Table = Table {
    tool: "crm_master",
    summary: "query, update, or delete a resource's promotion score (deprecated: use crm_attribute --promotion)",
    usage: "<command> [options]",
    groups: &[],
    options: &[
        flag("query", 'G', "", "Query the current value of the promotion score"),
        value("update", 'v', "VALUE", "", "Update the value of the promotion score"),
        flag("delete", 'D', "", "Delete the promotion score"),
        value(
            "node",
            'N',
            "NODE",
            "",
            "Use the promotion score on this node (instead of the current one)",
        ),
        value(
            "lifetime",
            'l',
            "VALUE",
            "",
            "Until when the setting takes effect: reboot (default), forever",
        ),
        value("id", 'i', "VALUE", "", "(Advanced) XML ID used to identify the attribute"),
        value("resource", 'r', "VALUE", "", "The resource (default: OCF_RESOURCE_INSTANCE)"),
        flag("quiet", 'q', "", "Print only the value (if querying)"),
        old("uname", 'U', "node", Arg::Yes("")),
        old("attr-value", ' ', "update", Arg::Yes("")),
        old("get-value", ' ', "query", Arg::No),
        old("delete-attr", ' ', "delete", Arg::No),
        old("attr-id", ' ', "id", Arg::Yes("")),
        old("quiet-", 'Q', "quiet", Arg::No),
    ],
    formats: &[],
    notes: "",
};

fn parse(table: &'static Table, args: &[String]) -> Result<Parsed, i32> {
    match table.parse(args) {
        Outcome::Run(parsed) => Ok(parsed),
        Outcome::Print(text) => {
            print_best_effort(&text);
            Err(CrmExit::Ok.code())
        }
        Outcome::Wrong(message) => {
            eprintln!("{message}");
            Err(CrmExit::Usage.code())
        }
    }
}

fn attribute(words: &[&str]) -> i32 {
    let args: Vec<String> =
        std::iter::once("crm_attribute").chain(words.iter().copied()).map(str::to_owned).collect();
    crate::crm_attribute::main(&args)
}

/// The named node, or the local one.
fn node_or_local(parsed: &Parsed) -> Result<String, i32> {
    if let Some(node) = parsed.value("node") {
        return Ok(node.to_owned());
    }
    nodes::local_name().map_err(|rc| {
        eprintln!("error: Could not connect to controller: {rc}");
        eprintln!("error: node name required");
        CrmExit::Usage.code()
    })
}

fn common<'a>(parsed: &'a Parsed, words: &mut Vec<&'a str>) {
    for (option, short) in [("id", "-i"), ("set", "-s")] {
        if let Some(value) = parsed.value(option) {
            words.extend([short, value]);
        }
    }
    if parsed.has("quiet") {
        words.push("-q");
    }
    for _ in 0..parsed.count("verbose") {
        words.push("-V");
    }
}

/// Runs `crm_standby`.
pub fn standby(args: &[String]) -> i32 {
    let parsed = match parse(&STANDBY, args) {
        Ok(parsed) => parsed,
        Err(exit) => return exit,
    };
    let node = match node_or_local(&parsed) {
        Ok(node) => node,
        Err(exit) => return exit,
    };
    let mut words = vec!["-N", node.as_str(), "-n", "standby"];
    common(&parsed, &mut words);
    if let Some(value) = parsed.value("update") {
        words.extend(["-v", value, "-l", parsed.value("lifetime").unwrap_or("forever")]);
        return attribute(&words);
    }
    if parsed.has("delete") {
        if let Some(lifetime) = parsed.value("lifetime") {
            words.extend(["-D", "-l", lifetime]);
            return attribute(&words);
        }
        // Without a lifetime both are meant; the permanent one first, as it was set by default.
        let mut both = words.clone();
        both.extend(["-D", "-l", "forever"]);
        let exit = attribute(&both);
        if exit != 0
            || std::env::var_os("CIB_file").is_some()
            || std::env::var_os("CIB_shadow").is_some()
        {
            return exit;
        }
        words.extend(["-D", "-l", "reboot"]);
        return attribute(&words);
    }
    match parsed.value("lifetime") {
        Some(lifetime) => words.extend(["-G", "-d", "off", "-l", lifetime]),
        None => {
            let lifetime = if is_set(&node, "standby") { "forever" } else { "reboot" };
            words.extend(["-G", "-d", "off", "-l", lifetime]);
        }
    }
    attribute(&words)
}

/// Whether a permanent attribute of the node exists.
fn is_set(node: &str, name: &str) -> bool {
    let wish = Wish { tool: "crm_attribute", user: None, writes: false };
    let Ok(mut source) = Source::open(&wish) else { return false };
    let Ok(Some(node)) = nodes::of_name(&mut source, node) else { return false };
    let section = crate::nvpairs::Section::Nodes { node, utilization: false };
    let selector = crate::nvpairs::Selector { name: Some(name.to_owned()), ..Default::default() };
    crate::nvpairs::find(&mut source, &section, &selector).is_ok_and(|found| !found.is_empty())
}

/// Runs `crm_master`.
pub fn master(args: &[String]) -> i32 {
    let parsed = match parse(&MASTER, args) {
        Ok(parsed) => parsed,
        Err(exit) => return exit,
    };
    let resource = parsed.value("resource").map(str::to_owned);
    let resource = resource
        .or_else(|| std::env::var("OCF_RESOURCE_INSTANCE").ok())
        .filter(|name| !name.is_empty());
    let Some(resource) = resource else {
        eprintln!(
            "This program should normally only be invoked from inside an OCF resource agent."
        );
        eprintln!(
            "DIRECT COMMAND LINE USE MAY RESULT IN THE ENVIRONMENT VARIABLE OCF_RESOURCE_INSTANCE BEING UNSET"
        );
        return CrmExit::Usage.code();
    };
    let name = format!("master-{resource}");
    let mut words = vec!["-n", name.as_str(), "-l", parsed.value("lifetime").unwrap_or("reboot")];
    if let Some(node) = parsed.value("node") {
        words.extend(["-N", node]);
    }
    common(&parsed, &mut words);
    match parsed.value("update") {
        Some(value) => words.extend(["-v", value]),
        None if parsed.has("delete") => words.push("-D"),
        None => words.push("-G"),
    }
    attribute(&words)
}

/// Runs `crm_failcount`.
pub fn failcount(args: &[String]) -> i32 {
    let parsed = match parse(&FAILCOUNT, args) {
        Ok(parsed) => parsed,
        Err(exit) => return exit,
    };
    let wrong = |message: &str| {
        eprintln!("{message}");
        eprint!("{}", FAILCOUNT.help(false, None));
        CrmExit::Usage.code()
    };
    let Some(resource) = parsed.value("resource").filter(|name| !name.is_empty()) else {
        return wrong("error: resource name required");
    };
    if let Some(value) = parsed.value("update")
        && value != "0"
    {
        return wrong("error: a fail count can only be deleted, not set");
    }
    let node = match parsed.value("node") {
        Some(node) => node.to_owned(),
        None => match nodes::local_name() {
            Ok(node) => node,
            Err(_) => return wrong("error: node name required"),
        },
    };
    if parsed.has("delete") || parsed.value("update").is_some() {
        let mut words = vec!["crm_resource", "--cleanup", "-r", resource, "-N", node.as_str()];
        for (option, short) in [("operation", "-n"), ("interval", "-I")] {
            if let Some(value) = parsed.value(option) {
                words.extend([short, value]);
            }
        }
        let args: Vec<String> = words.into_iter().map(str::to_owned).collect();
        return crate::crm_resource::main(&args);
    }
    if !parsed.has("query") {
        return wrong("error: must specify --query or --delete");
    }
    match count(resource, &node, parsed.value("operation"), parsed.value("interval")) {
        Ok(count) => {
            if parsed.has("quiet") {
                print_best_effort(&format!("{count}\n"));
            } else {
                print_best_effort(&format!(
                    "scope=status  name=fail-count-{resource} value={count}\n"
                ));
            }
            CrmExit::Ok.code()
        }
        Err(exit) => exit,
    }
}

/// Adds up the fail counts of a resource's operations on a node.
fn count(
    resource: &str,
    node: &str,
    operation: Option<&str>,
    interval: Option<&str>,
) -> Result<Score, i32> {
    let wish = Wish { tool: "crm_failcount", user: None, writes: false };
    let tell = |rc: crate::rc::Rc| {
        eprintln!("crm_failcount: Could not connect to the CIB: {rc}");
        rc.exit().code()
    };
    let mut source = Source::open(&wish).map_err(tell)?;
    let answer = source.call(&Call { op: "cib_query", ..Call::default() }).map_err(tell)?;
    let Some(cib) = answer.output else { return Err(tell(answer.rc)) };
    let nodes = nodes::all(&cib);
    let Some(node) = nodes::find(&nodes, node) else {
        eprintln!("crm_failcount: Could not map name={node} to a UUID");
        return Err(CrmExit::Nosuch.code());
    };
    let exact = format!("fail-count-{resource}");
    let prefix = format!("{exact}#");
    let milliseconds = interval.and_then(|text| base::interval::parse_ms(text).ok()).unwrap_or(0);
    let wanted = operation.map(|operation| format!("{prefix}{operation}_{milliseconds}"));
    let mut sum = Score::new(0);
    let states = cib.child("status").into_iter().flat_map(xml::Element::children);
    for state in states.filter(|state| state.id() == Some(&node.id)) {
        let attributes = state.children().filter(|child| child.name() == "transient_attributes");
        for pair in
            attributes.flat_map(xml::Element::descendants).filter(|pair| pair.name() == "nvpair")
        {
            let name = pair.get("name").unwrap_or("");
            let counts = match &wanted {
                Some(wanted) => name == wanted,
                None => name == exact || name.starts_with(&prefix),
            };
            if counts {
                sum += pair.get("value").and_then(Score::parse).unwrap_or(Score::new(0));
            }
        }
    }
    Ok(sum)
}
