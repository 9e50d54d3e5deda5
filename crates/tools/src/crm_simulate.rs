//! `crm_simulate`: what would the cluster do? Source: `spec/cli-pacemaker.md` §9,
//! `spec/scheduler.md` §4.
//!
//! Reads a state (of the cluster, a file, stdin), puts events into it, plans, executes on paper,
//! and shows each step.

mod profile;

use std::io::Write;
use std::sync::Arc;

use base::CrmExit;
use base::dates::DateTime;
use scheduler::present::{Line, Style, render};
use scheduler::simulate::{Injections, OpSpec, execute, inject};
use scheduler::{Input, PlanOptions};
use xml::Element;

use crate::clock;
use crate::options::{Arg, Parsed, Table, flag, old, value};
use crate::output::{self, Fail, Out};
use crate::source::{self, Source, Wish};

const TABLE: Table = Table {
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
        value("node-down", 'd', "NODE", "synthetic", "Simulate taking a node offline"),
        value("node-fail", 'f', "NODE", "synthetic", "Simulate a node failing"),
        value(
            "op-inject",
            'i',
            "OPSPEC",
            "synthetic",
            "Generate a failure for the cluster to react to in the simulation (rsc_task_interval@node=rc)",
        ),
        value(
            "op-fail",
            'F',
            "OPSPEC",
            "synthetic",
            "If the specified task occurs during the simulation, have it fail with return code ${rc}",
        ),
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
        value("ticket-grant", 'g', "TICKET", "synthetic", "Simulate granting a ticket"),
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
    formats: &["text"],
    notes: "Operation specification: ${resource}_${task}_${interval_in_ms}@${node}=${rc}\n\nExamples:\n  crm_simulate -SL\n  crm_simulate --run --xml-file=FILE --node-down=NODE --save-dotfile=DOT",
};

/// The applet.
pub fn main(args: &[String]) -> i32 {
    output::run(&TABLE, args, work)
}

fn work(parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    if let Some(dir) = parsed.value("profile") {
        return profile::profile(dir, parsed.value("repeat"), out);
    }
    let mut run = Run::new(parsed, out.quiet)?;
    run.go(parsed, out)?;
    Ok(CrmExit::Ok)
}

fn read_input(parsed: &Parsed) -> Result<(Element, bool), Fail> {
    let unreadable =
        |why: String| Fail::new(CrmExit::Dataerr, format!("Could not read input XML: {why}"));
    if parsed.has("live-check") {
        let wish = Wish { tool: "crm_simulate", user: None, writes: false };
        let fail = |rc: crate::rc::Rc| Fail::new(rc.exit(), format!("Live CIB query failed: {rc}"));
        let cib = Source::open(&wish).and_then(|mut source| source.document()).map_err(fail)?;
        return Ok((cib, true));
    }
    let text = match parsed.value("xml-file") {
        Some("-") | None => source::read_stdin(),
        Some(path) => source::read_file(path),
    };
    let text = text.map_err(|error| unreadable(error.to_string()))?;
    let cib = xml::parse(&text).map_err(|error| unreadable(error.to_string()))?;
    if cib.name() != "cib" {
        return Err(unreadable(format!("the root element is <{}>, not <cib>", cib.name())));
    }
    Ok((cib, false))
}

/// One simulation.
struct Run {
    cib: Arc<Element>,
    live: bool,
    quiet: bool,
    /// Scores alone, without any titles.
    bare: bool,
    injections: Injections,
    op_fail: Vec<OpSpec>,
    /// The effective time, and the line that says so.
    time: (i64, Option<String>),
    /// Something was printed, so a blank line is due before the next block.
    printed: bool,
}

impl Run {
    fn new(parsed: &Parsed, quiet: bool) -> Result<Run, Fail> {
        let (mut cib, live) = read_input(parsed)?;
        if cib.get("validate-with").is_some_and(|v| v.eq_ignore_ascii_case("none")) {
            eprintln!(
                "Schema validation of configuration is disabled (support for validate-with set \
                 to \"none\" is deprecated and will be removed in a future release)"
            );
        }
        cib.child_or_new("status");
        let list = |name: &'static str| parsed.values(name).map(Into::into).collect();
        let specs = |name: &'static str| -> Result<Vec<OpSpec>, Fail> {
            parsed
                .values(name)
                .map(|text| {
                    OpSpec::parse(text).ok_or_else(|| {
                        Fail::usage(format!(
                            "`{text}` is no operation: expected RSC_TASK_INTERVAL@NODE=RC"
                        ))
                    })
                })
                .collect()
        };
        let injections = Injections {
            quorum: parsed.value("quorum").map(Into::into),
            watchdog: parsed.value("watchdog").map(Into::into),
            node_up: list("node-up"),
            node_down: list("node-down"),
            node_fail: list("node-fail"),
            ticket_grant: list("ticket-grant"),
            ticket_revoke: list("ticket-revoke"),
            ticket_standby: list("ticket-standby"),
            ticket_activate: list("ticket-activate"),
            op_inject: specs("op-inject")?,
        };
        let time = effective_time(&cib, parsed.value("set-datetime"))?;
        let scores = parsed.has("show-scores") || parsed.has("show-utilization");
        Ok(Run {
            cib: Arc::new(cib),
            live,
            quiet,
            bare: quiet && scores,
            injections,
            op_fail: specs("op-fail")?,
            time,
            printed: false,
        })
    }

    fn input(&self) -> Input {
        let now = self.time.0;
        Input {
            now,
            local_offset: clock::local_offset(now),
            sanitized: !self.live,
            ..Input::default()
        }
    }

    fn say(&mut self, out: &mut Out, text: &str) {
        if !self.quiet && !text.is_empty() {
            out.text(text);
            self.printed = true;
        }
    }

    fn block(&mut self, out: &mut Out, text: &str) {
        if self.printed {
            self.say(out, "\n");
        }
        self.say(out, text);
    }

    fn say_time(&mut self, out: &mut Out) {
        if let Some(line) = self.time.1.clone() {
            self.say(out, &format!("{line}\n"));
        }
    }

    fn go(&mut self, parsed: &Parsed, out: &mut Out) -> Result<(), Fail> {
        let in_place = parsed.has("in-place");
        let execute_it = parsed.has("simulate") || in_place || !self.op_fail.is_empty();
        let run_it = execute_it
            || ["run", "show-scores", "show-utilization", "save-graph", "save-dotfile"]
                .iter()
                .any(|name| parsed.has(name));
        if let Some(file) = parsed.value("save-input") {
            write_file(file, &self.cib.to_pretty())?;
        }
        let style = Style { v3: true, ..Style::default() };
        self.say_time(out);
        let mut sched = scheduler::status(&self.cib, self.input());
        let banner = header(&sched);
        if !banner.is_empty() {
            // The banner of maintenance mode stands apart from what follows it.
            self.say(out, &banner);
        }
        self.block(out, &sched.status_block("Current cluster status", style));
        if !self.injections.is_empty() {
            let lines = inject(&mut self.cib, &self.injections, &sched, clock::now());
            self.list(out, "Performing Requested Modifications", &lines);
            if self.injections.quorum.is_some() || run_it {
                self.say_time(out);
            }
            sched = scheduler::status(&self.cib, self.input());
        }
        drop(sched);
        if !run_it {
            return Ok(());
        }
        let mut input = self.input();
        input.show_scores = parsed.has("show-scores");
        input.show_utilization = parsed.has("show-utilization");
        let mut plan = scheduler::schedule(
            &self.cib,
            PlanOptions { input, transition_id: 1, compat_2_1: false },
        );
        for message in &plan.sched.messages {
            crate::logging::scheduler_message(message);
        }
        self.show_scores(out, &plan.sched.score_lines, input);
        self.list(out, "Transition Summary", &plan.summary);
        if let Some(file) = parsed.value("save-graph") {
            write_file(file, &scheduler::graph_text(&plan.graph))?;
        }
        if let Some(file) = parsed.value("save-dotfile") {
            let dot = plan.sched.to_dot(parsed.has("all-actions"), parsed.has("verbose"));
            write_file(file, &dot)?;
        }
        if execute_it {
            self.execute(parsed, out, &plan.graph, &plan.sched)?;
        }
        Ok(())
    }

    fn list(&mut self, out: &mut Out, title: &str, lines: &[Line]) {
        self.block(out, &format!("{title}:\n{}", render(lines)));
    }

    fn show_scores(&mut self, out: &mut Out, lines: &[String], input: Input) {
        if self.bare {
            for line in lines {
                out.line(line);
            }
            return;
        }
        let title = match (input.show_scores, input.show_utilization) {
            (true, true) => "Assignment Scores and Utilization Information",
            (true, false) => "Assignment Scores",
            (false, true) => "Utilization Information",
            (false, false) => return,
        };
        let lines: Vec<Line> =
            lines.iter().map(|text| Line { level: 1, text: text.clone() }).collect();
        self.list(out, title, &lines);
    }

    fn execute(
        &mut self,
        parsed: &Parsed,
        out: &mut Out,
        graph: &Element,
        sched: &scheduler::Sched,
    ) -> Result<(), Fail> {
        let done = execute(&mut self.cib, graph, sched, &self.op_fail, clock::now());
        self.list(out, "Executing Cluster Transition", &done.lines);
        if done.invalid {
            out.err("Transition failed: terminated");
            out.err("An invalid transition was produced");
        }
        if let Some(file) = parsed.value("save-output") {
            write_file(file, &self.cib.to_pretty())?;
        }
        if parsed.has("in-place")
            && let Some(file) = parsed.value("xml-file").filter(|file| *file != "-")
        {
            write_file(file, &self.cib.to_pretty())?;
        }
        self.say_time(out);
        let revised = scheduler::status(&self.cib, self.input());
        let style = Style { v3: true, pending: false, ..Style::default() };
        self.block(out, &revised.status_block("Revised Cluster Status", style));
        Ok(())
    }
}

/// Banner of maintenance mode, and how many resources are out of action.
fn header(sched: &scheduler::Sched) -> String {
    let mut text = String::new();
    if sched.options.maintenance {
        text.push_str(
            "\n              *** Resource management is DISABLED ***\n  The cluster will not attempt to start, stop or recover services\n",
        );
    }
    if sched.disabled > 0 || sched.blocked > 0 {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!(
            "{} of {} resource instances DISABLED and {} BLOCKED from further action due to failure\n",
            sched.disabled, sched.instances, sched.blocked
        ));
    }
    text
}

fn effective_time(cib: &Element, wanted: Option<&str>) -> Result<(i64, Option<String>), Fail> {
    let now = clock::now();
    if let Some(text) = wanted {
        let time = DateTime::parse(text, now, clock::local_offset(now)).ok_or_else(|| {
            Fail::usage(format!(
                "`{text}` is no date: expected ISO 8601, like 2024-02-29 12:00:00Z"
            ))
        })?;
        return Ok((time.epoch, Some(format!("Setting effective cluster time: {text}"))));
    }
    if let Some(date) = cib.get("execution-date").and_then(scheduler::text::scan_int) {
        let text = DateTime::utc(date).to_utc_text();
        return Ok((date, Some(format!("Using the original execution date of: {text}"))));
    }
    Ok((now, None))
}

fn write_file(path: &str, text: &str) -> Result<(), Fail> {
    let written = if path == "-" {
        std::io::stdout().lock().write_all(text.as_bytes())
    } else {
        std::fs::write(path, text)
    };
    written
        .map_err(|error| Fail::new(CrmExit::Cantcreat, format!("Could not write {path}: {error}")))
}
