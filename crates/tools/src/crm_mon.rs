//! `crm_mon`: the cluster's status, once or continuously. Source: `spec/cli-pacemaker.md` §6.

mod background;
mod keys;
mod screen;
mod simple;

use std::time::Duration;

use base::CrmExit;
use pacemaker_client::fenced::Fenced;

use crate::options::{Arg, Outcome, Parsed, Table, flag, maybe, old, value};
use crate::output::{self, Fail, Format, Out};
use crate::rc::Rc;
use crate::source::{Source, Wish};
use crate::status::html::{self, Page};
use crate::status::{FenceEvent, FenceState, Live, Sections, Show, View, text};
use pacemaker_client::pacemakerd::Pacemakerd;

/// The command line.
pub(crate) const TABLE: Table = Table {
    tool: "crm_mon",
    summary: "Provides a summary of cluster's current state.",
    usage: "[OPTION…]",
    groups: &[
        ("display", "Display Options:"),
        ("additional", "Additional Options:"),
        ("deprecated", "Deprecated Options:"),
    ],
    options: &[
        value(
            "include",
            'I',
            "SECTION(s)",
            "display",
            "A list of sections to include in the output (`list` shows them)",
        ),
        value(
            "exclude",
            'U',
            "SECTION(s)",
            "display",
            "A list of sections to exclude from the output (`list` shows them)",
        ),
        value(
            "node",
            ' ',
            "NODE",
            "display",
            "Show only what is related to this node, or to all nodes with this tag",
        ),
        value(
            "resource",
            ' ',
            "RSC",
            "display",
            "Show only what is related to this resource, or to all resources with this tag",
        ),
        flag("group-by-node", 'n', "display", "Group resources by node"),
        flag("inactive", 'r', "display", "Display inactive resources"),
        flag("failcounts", 'f', "display", "Display resource fail counts"),
        flag("operations", 'o', "display", "Display resource operation history"),
        flag(
            "timing-details",
            't',
            "display",
            "Display resource operation history with timing details",
        ),
        flag("tickets", 'c', "display", "Display cluster tickets"),
        maybe(
            "fence-history",
            'm',
            "LEVEL",
            "display",
            "Show fence history: 0=off, 1=failures and pending (default without option), 2=add successes (default without value for option), 3=full history without reduction to the most recent of each flavor",
        ),
        maybe(
            "neg-locations",
            'L',
            "PREFIX",
            "display",
            "Display negative location constraints (optionally filtered by id prefix)",
        ),
        flag("show-node-attributes", 'A', "display", "Display node attributes"),
        flag("hide-headers", 'D', "display", "Hide all headers"),
        flag(
            "show-detail",
            'R',
            "display",
            "Show more details (node IDs, individual clone instances)",
        ),
        flag("show-description", ' ', "display", "Show resource descriptions"),
        flag("brief", 'b', "display", "Brief output"),
        flag(
            "pending",
            'j',
            "display",
            "Display pending state if 'record-pending' is enabled (default)",
        ),
        flag(
            "simple-status",
            's',
            "display",
            "Display the cluster status once as a simple one line output (suitable for nagios)",
        ),
        value("interval", 'i', "TIMESPEC", "additional", "Update frequency (default is 5 seconds)"),
        flag("one-shot", '1', "additional", "Display the cluster status once and exit"),
        flag(
            "daemonize",
            'd',
            "additional",
            "Run in the background. Requires at least one of --output-to and --external-agent.",
        ),
        value("pid-file", 'p', "FILE", "additional", "(Advanced) Daemon pid file location"),
        value(
            "external-agent",
            'E',
            "FILE",
            "additional",
            "A program to run when resource operations take place",
        ),
        value(
            "external-recipient",
            'e',
            "RCPT",
            "additional",
            "A recipient for your program (assuming you want the program to send something to someone)",
        ),
        flag(
            "watch-fencing",
            'W',
            "additional",
            "Listen for fencing events. For use with --external-agent.",
        ),
        value(
            "as-html",
            'h',
            "FILE",
            "deprecated",
            "Write cluster status to this HTML file. Use --output-as=html --output-to=FILE instead.",
        ),
        flag(
            "as-xml",
            'X',
            "deprecated",
            "Write cluster status as XML to stdout, once. Use --output-as=xml instead.",
        ),
        flag(
            "disable-ncurses",
            'N',
            "deprecated",
            "Disable the redrawn screen. Use --output-as=text instead.",
        ),
        flag(
            "web-cgi",
            'w',
            "deprecated",
            "Web mode with output suitable for CGI (preselected when run as *.cgi). Use --output-as=html --html-cgi instead.",
        ),
        old("inactive-", ' ', "inactive", Arg::No),
    ],
    formats: &["console", "text", "html", "xml", "none"],
    notes: "Output control: by default text and HTML show the summary, nodes, resources and failures, XML everything. \
            --include and --exclude change that, from left to right.\n\nInteractive use: '?' shows what keys do.\n\n\
            TIMESPEC is a number of seconds, a number with a unit (ms, us, s, sec, m, min, h, hr), or an ISO 8601 duration.",
};

/// Runs the tool.
pub fn main(args: &[String]) -> i32 {
    let mut args = args.to_vec();
    if args.first().is_some_and(|name| name.ends_with(".cgi")) {
        args.extend(["--output-as=html".to_owned(), "--html-cgi".to_owned()]);
    }
    let Outcome::Run(parsed) = TABLE.parse(&args) else {
        return output::run(&TABLE, &args, |_, _| Ok(CrmExit::Ok));
    };
    // The old spellings become the new ones.
    for (old, new) in [
        ("as-xml", "--output-as=xml"),
        ("web-cgi", "--output-as=html"),
        ("disable-ncurses", "--output-as=text"),
    ] {
        if parsed.has(old) {
            args.push(new.to_owned());
        }
    }
    if let Some(file) = parsed.value("as-html") {
        args.extend(["--output-as=html".to_owned(), format!("--output-to={file}")]);
    }
    let has_format = args.iter().any(|word| word.starts_with("--output-as"));
    if !has_format && parsed.has("one-shot") {
        args.push("--output-as=text".to_owned());
    }
    output::run(&TABLE, &args, |parsed, out| work(&args, parsed, out))
}

/// What the options ask to be shown.
fn wanted(parsed: &Parsed, format: Format) -> Result<Show, Fail> {
    let default = if format == Format::Xml { Sections::ALL } else { Sections::DEFAULT };
    let mut show = Show { sections: default, ..Show::default() };
    if format == Format::Xml {
        show.inactive = true;
        show.timing = true;
        show.fence_level = 3;
    }
    for item in &parsed.items {
        let argument = item.value.as_deref().unwrap_or("");
        match item.name {
            "include" | "exclude" => {
                let option = format!("--{}", item.name);
                show.sections = show
                    .sections
                    .apply(&option, argument, default, &mut show.ban_prefix)
                    .map_err(Fail::usage)?;
            }
            "group-by-node" => show.by_node = true,
            "inactive" => show.inactive = true,
            "failcounts" => show.sections = show.sections.with(Sections::FAILCOUNTS),
            "operations" => show.sections = show.sections.with(Sections::OPERATIONS),
            "timing-details" => {
                show.timing = true;
                show.sections = show.sections.with(Sections::OPERATIONS);
            }
            "tickets" => show.sections = show.sections.with(Sections::TICKETS),
            "fence-history" => {
                show.fence_level = match item.value.as_deref() {
                    None | Some("2") => 2,
                    Some("0") => 0,
                    Some("1") => 1,
                    Some("3") => 3,
                    Some(_) => return Err(Fail::usage("Fence history must be 0-3")),
                };
                show.sections = match show.fence_level {
                    0 => show.sections.without(Sections::FENCING),
                    1 => show.sections.with(Sections::FENCE_FAILED).with(Sections::FENCE_PENDING),
                    _ => show.sections.with(Sections::FENCING),
                };
            }
            "neg-locations" => {
                show.sections = show.sections.with(Sections::BANS);
                show.ban_prefix = argument.to_owned();
            }
            "show-node-attributes" => show.sections = show.sections.with(Sections::ATTRIBUTES),
            "hide-headers" => show.sections = show.sections.without(Sections::SUMMARY),
            "show-detail" => show.detail = true,
            "show-description" => show.description = true,
            "brief" => show.brief = true,
            _ => {}
        }
    }
    if parsed.items.iter().any(|item| item.name == "include")
        && parsed.value("fence-history").is_none()
        && show.sections.has(Sections::FENCE_WORKED)
    {
        show.fence_level = show.fence_level.max(2);
    }
    Ok(show)
}

/// Restricts the display to the nodes and resources named on the command line.
fn restrict(parsed: &Parsed, view: &View, show: &mut Show) {
    show.only_nodes = parsed.value("node").map(|word| view.nodes_of(word));
    show.only_resources = parsed.value("resource").map(|word| view.resources_of(word));
}

fn work(args: &[String], parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    let show = wanted(parsed, out.format)?;
    let interval = match parsed.value("interval") {
        None => Duration::from_secs(5),
        Some(text) => base::interval::parse(text)
            .map_err(|_| Fail::usage(format!("Invalid value for -i: {text}")))?,
    };
    if parsed.has("daemonize")
        && parsed.value("output-to").is_none_or(|file| file == "-")
        && parsed.value("as-html").is_none()
        && !parsed.has("external-agent")
    {
        return Err(Fail::usage(
            "--daemonize requires at least one of --output-to (with value not set to '-') and --external-agent",
        ));
    }
    if parsed.has("daemonize") && !background::is_background() {
        return background::start(parsed, args);
    }
    if parsed.has("simple-status") {
        return simple::run(parsed, out);
    }
    let terminal = rustix::termios::isatty(rustix::stdio::stdout());
    let to_file = parsed.value("output-to").is_some_and(|file| file != "-");
    let in_background = parsed.has("daemonize")
        || parsed.has("external-agent")
        || out.format == Format::Html && to_file && !parsed.has("one-shot");
    if in_background {
        return background::run(parsed, &show, interval, out.format);
    }
    let once = parsed.has("one-shot")
        || matches!(out.format, Format::Xml | Format::None)
        || out.format == Format::Html && !to_file;
    if once {
        return one_shot(parsed, &show, out);
    }
    screen::run(parsed, show, interval, out.format == Format::Console && terminal)
}

fn one_shot(parsed: &Parsed, show: &Show, out: &mut Out) -> Result<CrmExit, Fail> {
    let mut show = show.clone();
    let mut view = match look() {
        Ok(view) => view,
        Err(rc) => return Err(Fail::new(rc.exit(), format!("Connection to cluster failed: {rc}"))),
    };
    view.log();
    restrict(parsed, &view, &mut show);
    match out.format {
        Format::Xml if parsed.has("as-xml") => {
            // The old form: a root of its own, and no status.
            let mut root = xml::Element::new("crm_mon").with("version", crate::options::VERSION);
            for element in view.elements(&show) {
                root.push(element);
            }
            out.replace_document(root.to_pretty());
        }
        Format::Xml => {
            for element in view.elements(&show) {
                out.xml(|| element);
            }
        }
        Format::Html => {
            let page = Page {
                title: parsed.value("html-title").unwrap_or("").to_owned(),
                stylesheet: parsed.value("html-stylesheet").map(str::to_owned),
                cgi: parsed.has("html-cgi") || parsed.has("web-cgi"),
                refresh: None,
            };
            let page = html::page(&mut view, &show, &page);
            out.set_html(page);
        }
        Format::Console => output::print_best_effort(&text::render(&view.blocks(&show))),
        Format::Text | Format::None => {
            let blocks = view.blocks(&show);
            out.text(&text::render(&blocks));
        }
    }
    Ok(CrmExit::Ok)
}

/// Reads the state once.
pub(crate) fn look() -> Result<View, Rc> {
    // The daemons of this host know nothing of a file or of another host's cluster.
    let elsewhere = ["CIB_file", "CIB_shadow", "CIB_port"];
    let from_file = elsewhere.iter().any(|name| std::env::var_os(name).is_some());
    let wish = Wish { tool: "crm_mon", user: None, writes: false };
    if from_file {
        let document = Source::open(&wish)?.document()?;
        return Ok(View::new(document, crate::clock::now(), None));
    }
    let live = ask_daemons()?;
    let document = Source::open(&wish)?.document()?;
    Ok(View::new(document, crate::clock::now(), Some(live)))
}

/// What pacemakerd and the fencer have to say.
pub(crate) fn ask_daemons() -> Result<Live, Rc> {
    let status = Pacemakerd::connect("crm_mon")?.ping(Duration::from_secs(5))?;
    let node = crate::nodes::local_name().ok();
    Ok(Live {
        pacemakerd: Some((status.friendly().to_owned(), status.state.clone())),
        node,
        fencing: fence_history(),
    })
}

fn fence_history() -> Result<Vec<FenceEvent>, String> {
    let history = Fenced::connect("crm_mon")
        .and_then(|mut fencer| fencer.history(None, 0))
        .map_err(|error| error.to_string())?;
    let mut events: Vec<FenceEvent> = history.iter().map(event_of).collect();
    events.sort_by_key(|event| {
        (
            event.state != FenceState::Pending,
            std::cmp::Reverse((event.completed, event.nanoseconds)),
        )
    });
    Ok(events)
}

pub(crate) fn event_of(record: &xml::Element) -> FenceEvent {
    let text = |name: &str| record.get(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let state = match record.get("st_state").and_then(|state| state.parse::<i32>().ok()) {
        Some(2) => FenceState::Success,
        Some(4) => FenceState::Failed,
        _ => FenceState::Pending,
    };
    FenceEvent {
        action: text("st_device_action").or_else(|| text("st_op")).unwrap_or_default(),
        target: text("st_target").unwrap_or_default(),
        delegate: text("st_delegate"),
        client: text("st_clientname").unwrap_or_default(),
        origin: text("st_origin").unwrap_or_default(),
        state,
        nanoseconds: text("st_date_nsec").and_then(|part| part.parse().ok()).unwrap_or(0),
        completed: text("st_date").and_then(|date| date.parse().ok()).unwrap_or(0),
        reason: text("rc-exit-reason").or_else(|| text("exit-reason")),
    }
}
