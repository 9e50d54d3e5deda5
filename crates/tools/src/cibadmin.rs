//! `cibadmin`: query and edit the CIB.
//! Source: `spec/cli-pacemaker.md` §7.1, `spec/pacemaker-ipc.md` §4.

mod access;
mod data;

use base::CrmExit;
use xml::Element;

use crate::options::{Arg, Parsed, Table, flag, maybe, old, value};
use crate::output::{self, Fail, Out, text_element};
use crate::rc::Rc;
use crate::source::{self, Call, Source, call};

const SCOPES: &[&str] = &[
    "all",
    "cib",
    "configuration",
    "nodes",
    "resources",
    "constraints",
    "crm_config",
    "rsc_defaults",
    "op_defaults",
    "acls",
    "fencing-topology",
    "tags",
    "alerts",
    "status",
];

/// The command line.
pub(crate) const TABLE: Table = Table {
    tool: "cibadmin",
    summary: "query and edit the Pacemaker configuration",
    usage: "<command> [OPTION…]",
    groups: &[("commands", "Commands:"), ("data", "Data:"), ("additional", "Additional Options:")],
    options: &[
        flag("upgrade", 'u', "commands", "Upgrade the configuration to the latest syntax"),
        flag("query", 'Q', "commands", "Query the contents of the CIB"),
        flag("erase", 'E', "commands", "Erase the contents of the whole CIB"),
        flag("bump", 'B', "commands", "Increase the CIB's epoch value by 1"),
        flag("create", 'C', "commands", "Create an object in the CIB (fails if it exists already)"),
        flag(
            "modify",
            'M',
            "commands",
            "Find an object in the CIB and update it (fails if it is missing unless -c is given)",
        ),
        flag("patch", 'P', "commands", "Apply an XML diff (see crm_diff(8))"),
        flag("replace", 'R', "commands", "Replace an object in the CIB with all its children"),
        flag(
            "delete",
            'D',
            "commands",
            "Delete the first object whose name and given attributes all match, for example <op id=\"rsc1_op1\" name=\"monitor\"/>",
        ),
        flag(
            "delete-all",
            'd',
            "commands",
            "With --xpath: delete all matching objects instead of just the first",
        ),
        maybe("empty", 'a', "SCHEMA", "commands", "Print an empty CIB"),
        flag("md5-sum", '5', "commands", "Calculate the digest of XML as it is stored on disk"),
        flag(
            "md5-sum-versioned",
            '6',
            "commands",
            "Calculate the digest of XML as it is used on the wire",
        ),
        maybe(
            "show-access",
            'S',
            "MODE",
            "commands",
            "With -Q and -U: mark what the user may read and write, as color (default for a terminal), text, namespace or auto",
        ),
        value("xml-text", 'X', "XML", "data", "Take XML from this text"),
        value("xml-file", 'x', "FILE", "data", "Take XML from this file"),
        flag("xml-pipe", 'p', "data", "Take XML from stdin"),
        flag("force", 'f', "additional", "Force the action to be performed"),
        value(
            "timeout",
            't',
            "SECONDS",
            "additional",
            "Time to wait before declaring the operation failed",
        ),
        value(
            "user",
            'U',
            "USER",
            "additional",
            "Run the command with permissions of this user (root and hacluster only)",
        ),
        flag("sync-call", 's', "additional", "Wait for the call to complete before returning"),
        flag("local", 'l', "additional", "Command takes effect locally (queries only)"),
        value(
            "scope",
            'o',
            "SECTION",
            "additional",
            "Limit the operation to a section: configuration, nodes, resources, constraints, crm_config, rsc_defaults, op_defaults, acls, fencing-topology, tags, alerts, status",
        ),
        value("xpath", 'A', "XPATH", "additional", "An XPath to use instead of --scope"),
        flag("node-path", 'e', "additional", "With --xpath: print the paths of the matches"),
        flag(
            "allow-create",
            'c',
            "additional",
            "(Advanced) Allow the target of --modify to be created",
        ),
        flag(
            "no-children",
            'n',
            "additional",
            "(Advanced) When querying an object, leave its children out",
        ),
        flag(
            "score",
            ' ',
            "additional",
            "Treat NAME++ and NAME+=N in attribute values as arithmetic on the old value",
        ),
        value("node", 'N', "NODE", "additional", "(Advanced) Send the command to this host"),
        old("force-quorum", ' ', "force", Arg::No),
        old("extended-version", '!', "version", Arg::No),
        old("obj_type", ' ', "scope", Arg::Yes("")),
        old("host", 'h', "node", Arg::Yes("")),
        old("no-bcast", 'b', "local", Arg::No),
    ],
    formats: &["text", "xml"],
    notes: "Examples:\n\n  cibadmin --query --scope crm_config\n  cibadmin --query --xpath \"//nvpair[@name='target-role']\"\n  cibadmin --replace --scope resources --xml-file $HOME/resources.xml",
};

/// Runs the tool.
pub fn main(args: &[String]) -> i32 {
    output::run(&TABLE, args, work)
}

const COMMANDS: &[&str] = &[
    "upgrade",
    "query",
    "erase",
    "bump",
    "create",
    "modify",
    "patch",
    "replace",
    "delete",
    "delete-all",
    "empty",
    "md5-sum",
    "md5-sum-versioned",
];

fn work(parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    let Some(command) =
        parsed.items.iter().rev().map(|item| item.name).find(|name| COMMANDS.contains(name))
    else {
        return Err(Fail::usage("Must specify a command option"));
    };
    if !parsed.rest.is_empty() {
        return Err(Fail::usage(format!("non-option ARGV-elements:\n{}", parsed.rest.join(" "))));
    }
    // The later of --scope and --xpath counts.
    let target = parsed.items.iter().rev().find(|item| matches!(item.name, "scope" | "xpath"));
    let xpath = target.filter(|item| item.name == "xpath").and_then(|item| item.value.clone());
    let scope = target.filter(|item| item.name == "scope").and_then(|item| item.value.clone());
    if let Some(scope) = &scope
        && !SCOPES.contains(&scope.as_str())
    {
        return Err(Fail::usage(format!("Invalid value '{scope}' for '--scope'")));
    }
    let deletes_by_xpath = matches!(command, "delete" | "delete-all") && xpath.is_some();
    if matches!(command, "upgrade" | "erase" | "delete-all") && !parsed.has("force") {
        return Err(Fail::new(
            CrmExit::Unsafe,
            "The supplied command is considered dangerous. To prevent accidental destruction of the cluster, the \
             --force flag is required in order to proceed.",
        ));
    }
    if command == "empty" {
        return empty(parsed, out);
    }
    let needs_data = matches!(
        command,
        "create" | "modify" | "patch" | "replace" | "md5-sum" | "md5-sum-versioned"
    ) || matches!(command, "delete" | "delete-all") && !deletes_by_xpath;
    let mut input =
        if needs_data || parsed.has("xml-text") || parsed.has("xml-file") || parsed.has("xml-pipe")
        {
            data::read(parsed, &out_errors(command))?
        } else {
            None
        };
    if needs_data && input.is_none() {
        return Err(Fail::usage("Please supply XML to process with -X, -x, or -p"));
    }
    if let ("md5-sum" | "md5-sum-versioned", Some(element)) = (command, &input) {
        let sum = if command == "md5-sum" {
            cib::digest::v1(element)
        } else {
            cib::digest::for_feature_set(element, cib::FEATURE_SET)
        };
        // The process ends here: taking a large tree apart would be the longest part of it.
        std::mem::forget(input);
        return Ok(digest(out, &sum));
    }
    let mut options = 0;
    for (option, bit) in [
        ("allow-create", call::CAN_CREATE),
        ("no-children", call::NO_CHILDREN),
        ("node-path", call::XPATH_ADDRESS),
        ("local", call::SCOPE_LOCAL),
        ("score", call::SCORE_UPDATE),
    ] {
        if parsed.has(option) {
            options |= bit;
        }
    }
    if xpath.is_some() {
        options |= call::XPATH;
    }
    if command == "delete-all" && xpath.is_some() {
        options |= call::MULTIPLE;
    }
    if command == "upgrade" {
        options |= call::VERBOSE;
    }
    let shows_access = command == "query" && parsed.has("show-access");
    if shows_access {
        access::check(parsed)?;
    }
    // The rights of a user can only be shown by somebody who sees all.
    let user = parsed.value("user").filter(|_| !shows_access).map(str::to_owned);
    let mut source =
        Source::open(&source::Wish { tool: "cibadmin", user, writes: command != "query" })
            .map_err(|rc| {
                Fail::new(rc.exit(), format!("Could not connect to the CIB API: {rc}"))
            })?;
    if let Some(text) = parsed.value("timeout") {
        match base::interval::parse(text) {
            Ok(span) if !span.is_zero() => source.set_timeout(span),
            Ok(_) => {}
            Err(_) => return Err(Fail::usage(format!("Invalid value '{text}' for --timeout"))),
        }
    }
    if shows_access {
        let place = xpath.as_deref().or(scope.as_deref().filter(|scope| *scope != "all"));
        return access_page(parsed, out, &mut source, place);
    }
    let op = match command {
        "upgrade" => "cib_upgrade",
        "query" => "cib_query",
        "erase" => "cib_erase",
        "bump" => "cib_bump",
        "create" => "cib_create",
        "modify" => "cib_modify",
        "patch" => "cib_apply_diff",
        "replace" => "cib_replace",
        _ => "cib_delete",
    };
    if command == "replace"
        && let Some(element) = &mut input
        && element.name() == "cib"
    {
        element.child_or_new("status");
        // A document without versions replaces nothing: say so before the daemon does.
        if element.get("validate-with").is_none() && parsed.has("verbose") {
            base::warning!("the given CIB names no schema");
        }
    }
    let section = xpath.clone().or(scope.filter(|scope| scope != "all"));
    let answer = source
        .call(&Call {
            op,
            section: section.as_deref(),
            data: input.as_ref(),
            options,
            host: parsed.value("node"),
        })
        .map_err(|rc| failed(out, rc, None))?;
    if answer.rc != Rc::OK {
        // A schema that is the newest already is as good as an upgrade.
        if command == "upgrade" && answer.rc == Rc::SCHEMA_UNCHANGED {
            out.err(&format!("Upgrade unnecessary: {}", answer.rc));
            return Ok(CrmExit::Ok);
        }
        let shown = answer.output.as_ref().filter(|_| !parsed.has("node-path"));
        return Err(failed(out, answer.rc, shown));
    }
    if command == "query" {
        if let Some(element) = &answer.output {
            show(parsed, out, element)?;
        }
    } else if let Some(element) = &answer.output
        && command != "erase"
        && op != "cib_bump"
        && !matches!(element.name(), "cib")
    {
        out.text(&element.to_pretty());
    }
    Ok(CrmExit::Ok)
}

/// Shows a user's rights to the document, a section of it or what an XPath finds first.
fn access_page(
    parsed: &Parsed,
    out: &mut Out,
    source: &mut Source,
    place: Option<&str>,
) -> Result<CrmExit, Fail> {
    let document = source.document().map_err(|rc| failed(out, rc, None))?;
    let path = match place {
        None => Some(xml::NodePath::root()),
        Some(place) => {
            let text = match place.starts_with('/') {
                true => place.to_owned(),
                false => format!("//{place}"),
            };
            xml::XPath::parse(&text)
                .and_then(|xpath| xpath.targets(&document))
                .ok()
                .and_then(|paths| paths.into_iter().next())
        }
    };
    match path {
        Some(path) => access::show(parsed, out, &document, &path).map(|()| CrmExit::Ok),
        None => Err(failed(out, Rc::ENXIO, None)),
    }
}

fn out_errors(command: &str) -> String {
    format!("--{command}")
}

fn failed(out: &mut Out, rc: Rc, output: Option<&Element>) -> Fail {
    out.err(&format!("cibadmin: CIB API call failed: {rc}"));
    if let Some(element) = output
        && element.name() == "failed"
    {
        // The wire's name of the attribute is the old one.
        let mut element = element.clone();
        element.for_each_mut(&mut |part| {
            if part.has("object_type") {
                let renamed: Vec<(String, String)> = part
                    .attrs()
                    .map(|(name, value)| {
                        (name.replace("object_type", "object-type"), value.to_owned())
                    })
                    .collect();
                part.retain_attrs(|_, _| false);
                for (name, value) in renamed {
                    part.set(&name, value);
                }
            }
        });
        out.text(&element.to_pretty());
        out.xml(|| text_element("output", &element.to_pretty()));
    }
    Fail::silent(rc.exit())
}

fn digest(out: &mut Out, hash: &str) -> CrmExit {
    out.line(hash);
    out.xml(|| Element::new("md5-sum").with("digest", hash));
    CrmExit::Ok
}

fn empty(parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    let schema = parsed.value("empty");
    let document = source::empty_cib(schema).ok_or_else(|| {
        Fail::new(CrmExit::Config, format!("Unknown schema '{}'", schema.unwrap_or("")))
    })?;
    let text = document.to_pretty();
    out.text(&text);
    out.xml(|| text_element("output", &text));
    Ok(CrmExit::Ok)
}

fn show(parsed: &Parsed, out: &mut Out, element: &Element) -> Result<(), Fail> {
    if parsed.has("node-path") {
        let list = element.name() == "xpath-query";
        let paths: Vec<&str> = if list {
            element.children().filter_map(|child| child.get("id")).collect()
        } else {
            element.get("id").into_iter().collect()
        };
        let mut text = String::new();
        for path in paths {
            text.push_str(path);
            text.push('\n');
        }
        out.text(&text);
        out.xml(|| text_element("output", &text));
        return Ok(());
    }
    let text = element.to_pretty();
    out.text(&text);
    out.xml(|| text_element("output", &text));
    Ok(())
}
