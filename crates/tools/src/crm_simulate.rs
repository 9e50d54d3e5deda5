//! `crm_simulate`: what would the cluster do? Source: `spec/cli-pacemaker.md` §9,
//! `spec/scheduler.md` §4.
//!
//! Reads a state (of the cluster, a file, stdin), puts events into it, plans, executes on paper,
//! and shows each step.

mod document;
pub(crate) mod events;
mod input;
mod profile;
mod run;

use base::CrmExit;

use crate::options::{Arg, Parsed, Table, flag, old, value};
use crate::output::{self, Fail, Out};

/// The command line.
pub(crate) const TABLE: Table = Table {
    tool: "crm_simulate",
    summary: "simulate a Pacemaker cluster's response to events",
    usage: "[OPTION…]",
    groups: &[
        ("operations", "Operations:"),
        ("synthetic", "Synthetic Cluster Events:"),
        ("artifact", "Artifact Options:"),
        ("source", "Data Source:"),
    ],
    options: &[
        flag(
            "run",
            'R',
            "operations",
            "Process the supplied input and show what actions the cluster will take in response",
        ),
        flag(
            "simulate",
            'S',
            "operations",
            "Like --run, but also simulate taking those actions and show the resulting new status",
        ),
        flag(
            "in-place",
            'X',
            "operations",
            "Like --simulate, but also store the results back to the input file",
        ),
        flag("show-attrs", 'A', "operations", "Show node attributes"),
        flag("show-failcounts", 'c', "operations", "Show resource fail counts"),
        flag("show-scores", 's', "operations", "Show allocation scores"),
        flag("show-utilization", 'U', "operations", "Show utilization information"),
        value(
            "profile",
            'P',
            "DIR",
            "operations",
            "Process all the XML files in the named directory to create profiling data",
        ),
        value(
            "repeat",
            'N',
            "N",
            "operations",
            "With --profile, repeat each test N times and print timings",
        ),
        old("pending", 'j', "pending", Arg::No),
        value("node-up", 'u', "NODE", "synthetic", "Simulate bringing a node online"),
        events::NODE_DOWN.in_group("synthetic"),
        events::NODE_FAIL.in_group("synthetic"),
        value(
            "op-inject",
            'i',
            "OPSPEC",
            "synthetic",
            "Generate a failure for the cluster to react to in the simulation (rsc_task_interval@node=rc)",
        ),
        events::OP_FAIL.in_group("synthetic"),
        value("set-datetime", 't', "DATETIME", "synthetic", "Set date/time (ISO 8601 format)"),
        value(
            "quorum",
            'q',
            "QUORUM",
            "synthetic",
            "Set to '1' (or 'true') to indicate cluster has quorum",
        ),
        value(
            "watchdog",
            'w',
            "DEVICE",
            "synthetic",
            "Set to '1' (or 'true') to indicate cluster has an active watchdog device",
        ),
        events::TICKET_GRANT.in_group("synthetic"),
        value("ticket-revoke", 'r', "TICKET", "synthetic", "Simulate revoking a ticket"),
        value("ticket-standby", 'b', "TICKET", "synthetic", "Simulate making a ticket standby"),
        value("ticket-activate", 'e', "TICKET", "synthetic", "Simulate activating a ticket"),
        value(
            "save-input",
            'I',
            "FILE",
            "artifact",
            "Save the input configuration to the named file",
        ),
        value(
            "save-output",
            'O',
            "FILE",
            "artifact",
            "Save the output configuration to the named file",
        ),
        value(
            "save-graph",
            'G',
            "FILE",
            "artifact",
            "Save the transition graph (XML format) to the named file",
        ),
        value(
            "save-dotfile",
            'D',
            "FILE",
            "artifact",
            "Save the transition graph (DOT format) to the named file",
        ),
        flag(
            "all-actions",
            'a',
            "artifact",
            "Display all possible actions in DOT graph (even if not part of transition)",
        ),
        flag(
            "live-check",
            'L',
            "source",
            "Connect to CIB manager and use the current CIB contents as input",
        ),
        value("xml-file", 'x', "FILE", "source", "Retrieve XML from the named file"),
        flag("xml-pipe", 'p', "source", "Retrieve XML from stdin"),
    ],
    formats: &["text", "xml"],
    notes: "Operation Specification:\n\nOPSPEC is ${resource}_${task}_${interval_in_ms}@${node}=${rc}, where ${rc} is\nthe exit status of the resource agent, for example web_monitor_10000@node1=7.\n\nExamples:\n\nWhat would the cluster do now?\n\n\tcrm_simulate -LS\n\nThe same after a failed monitor, when the stop that follows fails as well; and\nwhat comes after that:\n\n\tcrm_simulate -LS --op-inject web_monitor_10000@node1=7 --op-fail web_stop_0@node1=1 --save-output after.xml\n\tcrm_simulate -S --xml-file after.xml\n\nThe transition if a node were lost, as a picture:\n\n\tcrm_simulate -L --node-down node1 --save-dotfile lost.dot",
};

/// The applet.
pub fn main(args: &[String]) -> i32 {
    output::run(&TABLE, args, work)
}

fn work(parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    if let Some(dir) = parsed.value("profile") {
        return profile::profile(dir, parsed.value("repeat"), out);
    }
    let mut run = run::Run::new(parsed, out.quiet)?;
    run.go(parsed, out)?;
    // The program ends here; to take a big document apart would only cost time.
    std::mem::forget(run);
    Ok(CrmExit::Ok)
}
