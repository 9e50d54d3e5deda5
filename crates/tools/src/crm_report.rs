//! `crm_report`: everything one needs to look into a cluster's problem, in one archive.
//!
//! What is collected lies in `DEST/NODE/`; each text goes through [`mask`] first, so that secrets
//! stay at home. This collects the local node; where other nodes are known the tool names them and
//! says how to collect there. Source: `spec/cli-pacemaker.md` §10.4.

mod collect;
mod mask;
mod tar;
mod times;

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use base::CrmExit;
use jiff::tz::TimeZone;

use crate::options::{Outcome, Parsed, Table, VERSION, flag, value};
use crate::output::print_best_effort;

/// The command line.
pub(crate) const TABLE: Table = Table {
    tool: "crm_report",
    summary: "Create archive of everything needed when reporting cluster problems",
    usage: "-f TIME [options] [DEST]",
    groups: &[],
    options: &[
        value(
            "from",
            'f',
            "TIME",
            "",
            "Time prior to problems beginning, as \"YYYY-M-D H:M:S\" (required)",
        ),
        value("to", 't', "TIME", "", "Time at which all problems were resolved (default: now)"),
        value("nodes", 'n', "NODES", "", "Node names of this cluster (-n \"a b\" or -n a -n b)"),
        flag("no-search", 'M', "", "Do not search for cluster logs"),
        value(
            "logfile",
            'l',
            "FILE",
            "",
            "Log file to collect also (may be specified multiple times)",
        ),
        value(
            "mask",
            'p',
            "PATT",
            "",
            "Regular expression of further variables to mask (always: passw.*)",
        ),
        value(
            "log-pattern",
            'L',
            "PATT",
            "",
            "Regular expression to look for in logs (always: CRIT: ERROR:)",
        ),
        flag("single-node", 'S', "", "Don't collect data from other nodes"),
        value("cluster", 'c', "TYPE", "", "Cluster type (only corosync is supported)"),
        flag("corosync", 'C', "", "The cluster type is corosync"),
        flag("as-directory", 'd', "", "Leave result as a directory tree instead of archiving"),
        flag("sos-mode", ' ', "", "Use defaults suitable for sosreport: this node, no log search"),
        value("user", 'u', "USER", "", "Accepted; no effect while other nodes are not collected"),
        value("rsh", 'e', "COMMAND", "", "Accepted; no effect while other nodes are not collected"),
        value("max-depth", 'D', "DEPTH", "", "Accepted; no effect: no directories are searched"),
        flag("version", 'v', "", "Display software version"),
        value("dest", ' ', "DEST", "", "Destination directory or file name"),
    ],
    formats: &[],
    notes: "Collects the local node only. Variables that match are masked in every file. Examples:\n\
            crm_report -f \"2011-12-14 13:05:00\" unexplained-apache-failure\n\
            crm_report -f 13:05:00 -t 13:12:00 brief-outage",
};

/// What is wanted.
struct Plan {
    from: i64,
    to: i64,
    dest: PathBuf,
    top: String,
}

/// Runs the tool.
pub fn main(args: &[String]) -> i32 {
    let parsed = match TABLE.parse(args) {
        Outcome::Run(parsed) => parsed,
        Outcome::Print(text) if args.iter().any(|arg| arg == "-v" || arg == "--version") => {
            drop(text);
            print_best_effort(&format!("crm_report {VERSION}\n"));
            return CrmExit::Ok.code();
        }
        Outcome::Print(text) => {
            print_best_effort(&text);
            return CrmExit::Ok.code();
        }
        Outcome::Wrong(message) => return fail(CrmExit::Usage, &message),
    };
    match work(&parsed) {
        Ok(exit) => exit.code(),
        Err((exit, message)) => fail(exit, &format!("crm_report: {message}")),
    }
}

fn fail(exit: CrmExit, message: &str) -> i32 {
    eprintln!("{message}");
    exit.code()
}

type Failure = (CrmExit, String);

fn plan(parsed: &Parsed) -> Result<Plan, Failure> {
    let usage = |message: String| (CrmExit::Usage, message);
    if let Some(kind) = parsed.value("cluster").filter(|kind| *kind != "corosync") {
        return Err(usage(format!("cluster type {kind} is not supported, only corosync")));
    }
    let (now, zone) = (crate::clock::now(), TimeZone::system());
    let time = |text: &str| {
        times::typed(text, now, &zone)
            .ok_or_else(|| usage(format!("\"{text}\" is no time; write it as \"YYYY-M-D H:M:S\"")))
    };
    let from = match parsed.value("from") {
        Some(text) => time(text)?,
        None if parsed.has("sos-mode") => now - 86_400,
        None => return Err(usage("from when on? Give the time with -f, see --help".into())),
    };
    let to = parsed.value("to").map_or(Ok(now), time)?;
    if to < from {
        return Err(usage("the time of -t is before that of -f".into()));
    }
    let stamp = crate::clock::iso_local(now);
    let stamp: String = stamp.chars().take(19).filter(char::is_ascii_alphanumeric).collect();
    let named = parsed.value("dest").or(parsed.rest.first().map(String::as_str));
    let named = named.map_or_else(|| format!("pcmk-{stamp}"), str::to_owned);
    let named = named.trim_end_matches('/');
    let named = named.strip_suffix(".tar.bz2").unwrap_or(named);
    let dest = std::path::absolute(named).map_err(|error| usage(format!("{named}: {error}")))?;
    let top = dest.file_name().map(|name| name.to_string_lossy().into_owned());
    let top = top.ok_or_else(|| usage(format!("{named} is no name for a report")))?;
    Ok(Plan { from, to, dest, top })
}

fn work(parsed: &Parsed) -> Result<CrmExit, Failure> {
    let plan = plan(parsed)?;
    let masker = mask::Masker::new(parsed.values("mask")).map_err(|m| (CrmExit::Usage, m))?;
    let problems =
        collect::problems(parsed.values("log-pattern")).map_err(|m| (CrmExit::Usage, m))?;
    let cannot = |path: &Path, error: &std::io::Error| {
        (CrmExit::Cantcreat, format!("cannot write {}: {error}", path.display()))
    };
    let archive = plan.dest.with_file_name(format!("{}.tar.bz2", plan.top));
    let as_directory = parsed.has("as-directory");
    if !as_directory && archive.exists() {
        let text = format!("{} is there already; choose another name", archive.display());
        return Err((CrmExit::Cantcreat, text));
    }
    // Never into a directory that exists: it would be mixed with other things, and removed.
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700).create(&plan.dest).map_err(|error| cannot(&plan.dest, &error))?;
    let logs = parsed.values("logfile").map(PathBuf::from).collect();
    let mut collector = collect::Collector {
        root: PathBuf::from("/"),
        dest: plan.dest.clone(),
        from: plan.from,
        to: plan.to,
        now: crate::clock::now(),
        zone: TimeZone::system(),
        masker,
        problems,
        extra_logs: logs,
        search: !parsed.has("no-search") && !parsed.has("sos-mode"),
        notes: Vec::new(),
    };
    let collected = collector.run();
    let members = collected.map_err(|error| cannot(&plan.dest, &error))?;
    let mut exit = CrmExit::Ok;
    if !parsed.has("single-node") && !parsed.has("sos-mode") {
        let mut others: Vec<String> = parsed
            .values("nodes")
            .flat_map(|names| names.split([' ', ',']).map(str::to_owned))
            .filter(|name| !name.is_empty())
            .collect();
        if others.is_empty() {
            others = members;
        }
        others.retain(|name| *name != collect::host_name());
        for name in others {
            eprintln!(
                "crm_report: WARN: {name} is not part of this report (only the local node is \
                 collected); run \"crm_report -S\" with the same times there"
            );
            exit = CrmExit::Error;
        }
    }
    for note in &collector.notes {
        eprintln!("crm_report: {note}");
    }
    if as_directory {
        println!("Collected results are available in {}", plan.dest.display());
        return Ok(exit);
    }
    tar::pack(&plan.dest, &plan.top, &archive).map_err(|error| cannot(&archive, &error))?;
    fs::remove_dir_all(&plan.dest).map_err(|error| cannot(&plan.dest, &error))?;
    println!("Collected results are available in {}", archive.display());
    Ok(exit)
}
