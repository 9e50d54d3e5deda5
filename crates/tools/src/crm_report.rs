//! `crm_report`: everything one needs to look into a cluster's problem, in one archive.
//!
//! What is collected of a node lies in `DEST/NODE/` ([`collect`], [`logs`]); each text goes through
//! [`mask`] first, so that secrets stay at home. Other nodes are asked to do the same by running
//! this tool there through `ssh` ([`peers`]). Source: `spec/cli-pacemaker.md` §10.4.

mod analysis;
mod collect;
mod cts;
mod logs;
mod mask;
mod peers;
mod tar;
mod times;

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use base::CrmExit;
use jiff::tz::TimeZone;

use crate::options::{Arg, Opt, Outcome, Parsed, Table, VERSION, flag, old, value};
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
        value("user", 'u', "USER", "", "Whom to be on other nodes (default: root)"),
        value(
            "rsh",
            'e',
            "COMMAND",
            "",
            "Command to use to run commands on other nodes (default: ssh -T)",
        ),
        value("ssh-options", 'X', "OPTIONS", "", "Further options of that command"),
        value(
            "cts",
            'T',
            "TEST",
            "",
            "CTS test to extract (a number, or FIRST-LAST), instead of -f",
        ),
        value("cts-log", ' ', "FILE", "", "Log that tells when CTS tests ran"),
        value("max-depth", 'D', "DEPTH", "", "Accepted; no effect: no directories are searched"),
        flag("features", ' ', "", "Display software features"),
        flag("version", 'v', "", "Display software version"),
        value("dest", ' ', "DEST", "", "Destination directory or file name"),
        old("cluster-log", ' ', "logfile", Arg::Yes("")),
        COLLECT,
    ],
    formats: &[],
    notes: "Collects all nodes of the cluster (those of -n, of the CIB, or of corosync.conf) by running\n\
            itself there, which -e must be able to do as the user of -u; a node that cannot be\n\
            reached is named and left out. Variables that match are masked in every file, on the\n\
            node they are on. Examples:\n\
            crm_report -f \"2011-12-14 13:05:00\" unexplained-apache-failure\n\
            crm_report -f 13:05:00 -t 13:12:00 brief-outage",
};

/// How one node asks another for its part, under this name, on standard output.
const COLLECT: Opt = Opt {
    long: "collect",
    short: None,
    arg: Arg::Yes("NODE"),
    group: "hidden",
    help: "",
    alias_of: None,
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
    if args.len() < 2 {
        print_best_effort(&TABLE.help(true, None));
        return CrmExit::Ok.code();
    }
    let done = if parsed.has("features") {
        features()
    } else if let Some(node) = parsed.value("collect") {
        part(&parsed, node)
    } else {
        work(&parsed)
    };
    match done {
        Ok(()) => CrmExit::Ok.code(),
        Err((exit, message)) => fail(exit, &format!("crm_report: {message}")),
    }
}

/// What this build can do: as the launcher says it, in one line.
fn features() -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| (CrmExit::Oserr, format!("pacemakerd: {error}"));
    let exe = std::env::current_exe().map_err(|error| failed(&error))?;
    let mut command = std::process::Command::new(exe);
    let output = command.arg0("pacemakerd").arg("--features").output();
    let output = output.map_err(|error| failed(&error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let list = text.split_once(" Supporting ").and_then(|(_, list)| list.split_once(": "));
    let (_, list) = list.ok_or_else(|| failed(&"no features"))?;
    print_best_effort(&format!("{VERSION}: {}\n", list.trim()));
    Ok(())
}

fn fail(exit: CrmExit, message: &str) -> i32 {
    eprintln!("{message}");
    exit.code()
}

type Failure = (CrmExit, String);

/// From when to when.
fn range(parsed: &Parsed, now: i64) -> Result<(i64, i64), Failure> {
    let zone = TimeZone::system();
    let usage = |message: String| (CrmExit::Usage, message);
    let time = |text: &str| {
        times::typed(text, now, &zone)
            .ok_or_else(|| usage(format!("\"{text}\" is no time; write it as \"YYYY-M-D H:M:S\"")))
    };
    if parsed.has("cts") {
        let log = parsed.value("cts-log").ok_or_else(|| {
            usage("where are the tests? Name the log of CTS with --cts-log".to_owned())
        })?;
        let text = logs::read(Path::new(log))
            .map_err(|error| (CrmExit::Noinput, format!("{log}: {error}")))?;
        let tests = cts::numbers(parsed.values("cts")).map_err(usage)?;
        return cts::range(&text, &tests, now, &zone)
            .ok_or_else(|| (CrmExit::Nosuch, format!("{log} does not tell of these tests")));
    }
    let from = match parsed.value("from") {
        Some(text) => time(text)?,
        None if parsed.has("sos-mode") => now - 86_400,
        None => {
            let text = "from when on? Give the time with -f (or tests with -T), see --help";
            return Err((CrmExit::Error, text.into()));
        }
    };
    let to = parsed.value("to").map_or(Ok(now), time)?;
    if to < from {
        return Err(usage("the time of -t is before that of -f".into()));
    }
    Ok((from, to))
}

fn plan(parsed: &Parsed) -> Result<Plan, Failure> {
    let usage = |message: String| (CrmExit::Usage, message);
    if let Some(kind) = parsed.value("cluster").filter(|kind| *kind != "corosync") {
        return Err(usage(format!("cluster type {kind} is not supported, only corosync")));
    }
    let now = crate::clock::now();
    let (from, to) = range(parsed, now)?;
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

fn cannot(path: &Path, error: &std::io::Error) -> Failure {
    (CrmExit::Cantcreat, format!("cannot write {}: {error}", path.display()))
}

/// Never into a directory that exists: it would be mixed with other things, and removed.
fn new_directory(path: &Path) -> Result<(), Failure> {
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700).create(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => already(path),
        _ => cannot(path, &error),
    })
}

fn already(path: &Path) -> Failure {
    let text = format!("{} already exists, name another with --dest", path.display());
    (CrmExit::Error, text)
}

fn collector(parsed: &Parsed, plan: &Plan, node: String) -> Result<collect::Collector, Failure> {
    let wrong = |message| (CrmExit::Usage, message);
    Ok(collect::Collector {
        node,
        root: PathBuf::from("/"),
        dest: plan.dest.clone(),
        from: plan.from,
        to: plan.to,
        now: crate::clock::now(),
        zone: TimeZone::system(),
        masker: mask::Masker::new(parsed.values("mask")).map_err(wrong)?,
        problems: collect::problems(parsed.values("log-pattern")).map_err(wrong)?,
        extra_logs: parsed.values("logfile").map(PathBuf::from).collect(),
        search: !parsed.has("no-search") && !parsed.has("sos-mode"),
        members: words(parsed, "nodes"),
        notes: Vec::new(),
    })
}

/// The words of all values of an option.
fn words(parsed: &Parsed, option: &str) -> Vec<String> {
    let words = parsed.values(option).flat_map(|names| names.split([' ', ',']));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Says what happens, under the name of the host.
fn tell(text: &str) {
    eprintln!("{}:  {text}", collect::host_name());
}

/// Collects this node for another one: the archive goes to standard output.
fn part(parsed: &Parsed, node: &str) -> Result<(), Failure> {
    if node.contains('/') || node.starts_with('.') {
        return Err((CrmExit::Usage, format!("{node} is no name of a node")));
    }
    let (from, to) = range(parsed, crate::clock::now())?;
    let dest = std::env::temp_dir().join(format!("crm_report-{}", std::process::id()));
    let plan = Plan { from, to, dest: dest.clone(), top: node.to_owned() };
    let mut collector = collector(parsed, &plan, node.to_owned())?;
    new_directory(&dest)?;
    let sent = collector.run().and_then(|_| {
        tar::pack_to(&dest.join(node), node, std::io::stdout().lock())
            .and_then(|mut out| std::io::Write::flush(&mut out))
    });
    // What went wrong before matters more than what is left behind.
    let removed = fs::remove_dir_all(&dest);
    collector.notes.iter().for_each(|note| tell(note));
    sent.and(removed).map_err(|error| cannot(&dest, &error))
}

fn work(parsed: &Parsed) -> Result<(), Failure> {
    let plan = plan(parsed)?;
    let archive = plan.dest.with_file_name(format!("{}.tar.bz2", plan.top));
    let as_directory = parsed.has("as-directory");
    if !as_directory && archive.exists() {
        return Err(already(&archive));
    }
    let host = collect::host_name();
    let mut collector = collector(parsed, &plan, host.clone())?;
    new_directory(&plan.dest)?;
    let (from, to) = (crate::clock::iso_local(plan.from), crate::clock::iso_local(plan.to));
    tell(&format!("Collecting data from {host} ({from} to {to})"));
    let members = collector.run().map_err(|error| cannot(&plan.dest, &error))?;
    collector.notes.iter().for_each(|note| tell(note));
    let mut nodes = vec![host.clone()];
    if !parsed.has("single-node") && !parsed.has("sos-mode") {
        let others: Vec<String> = members.iter().filter(|name| **name != host).cloned().collect();
        nodes.extend(from_others(parsed, &plan, others));
    }
    let finish = || {
        analysis::write(&plan.dest, &nodes)?;
        fs::write(plan.dest.join("members.txt"), format!("{}\n", members.join(" ")))?;
        let missing: Vec<&str> =
            members.iter().filter(|name| !nodes.contains(name)).map(String::as_str).collect();
        let summary = format!(
            "crm_report of {}\nfrom {from}\nto   {to}\nmissing: {}\n",
            nodes.join(" "),
            missing.join(" ")
        );
        fs::write(plan.dest.join("report.out"), summary)
    };
    finish().map_err(|error| cannot(&plan.dest, &error))?;
    let result = if as_directory {
        &plan.dest
    } else {
        tar::pack(&plan.dest, &plan.top, &archive).map_err(|error| cannot(&archive, &error))?;
        fs::remove_dir_all(&plan.dest).map_err(|error| cannot(&plan.dest, &error))?;
        &archive
    };
    tell(&format!("Collected results are available in {}", result.display()));
    Ok(())
}

/// Fetches the other nodes' parts; returns those that came. One that does not come is no failure:
/// a report is asked for because something is broken.
fn from_others(parsed: &Parsed, plan: &Plan, others: Vec<String>) -> Vec<String> {
    let options: Vec<String> = parsed.values("ssh-options").map(str::to_owned).collect();
    let way = peers::Way {
        shell: parsed.value("rsh").unwrap_or("ssh -T"),
        options: &options,
        user: parsed.value("user").unwrap_or("root"),
    };
    let mut came = Vec::new();
    for node in others {
        tell(&format!("Collecting data from {node}"));
        let mut words = vec![
            format!("--collect={node}"),
            format!("--from=@{}", plan.from),
            format!("--to=@{}", plan.to),
        ];
        for option in ["nodes", "logfile", "mask", "log-pattern"] {
            words.extend(parsed.values(option).map(|value| format!("--{option}={value}")));
        }
        if parsed.has("no-search") {
            words.push("--no-search".into());
        }
        match peers::fetch(&way, &node, &words, &plan.dest) {
            Ok(()) => came.push(node),
            Err(error) => tell(&format!(
                "WARN: {node} is not part of this report: {error}; \"crm_report -S\" collects it \
                 there"
            )),
        }
    }
    came
}
