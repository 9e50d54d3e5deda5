//! `crm_verify`: is a configuration one that the cluster can work with?
//! Source: `spec/cli-pacemaker.md` §7.5.

use std::sync::Arc;

use base::CrmExit;
use scheduler::model::{Message, Severity};
use scheduler::{Input, PlanOptions};
use xml::Element;

use crate::clock;
use crate::options::{Parsed, Table, flag, value};
use crate::output::{self, Fail, Out};
use crate::source::{self, Source, Wish};

/// The command line.
pub(crate) const TABLE: Table = Table {
    tool: "crm_verify",
    summary: "Check a Pacemaker configuration for errors\n\nChecks the well-formedness of a complete Pacemaker XML configuration,\nits conformance to the configured schema, and the presence of common\nmisconfigurations. Problems reported as errors must be fixed before the\ncluster will work properly. It is left to the administrator to decide\nwhether to fix problems reported as warnings.",
    usage: "[OPTION…]",
    groups: &[("data", "Data sources:"), ("additional", "Additional options:")],
    options: &[
        flag("live-check", 'L', "data", "Check the configuration used by the running cluster"),
        value("xml-file", 'x', "FILE", "data", "Check the configuration in the named file"),
        flag("xml-pipe", 'p', "data", "Check the configuration piped in via stdin"),
        value("xml-text", 'X', "XML", "data", "Check the configuration in the supplied string"),
        value(
            "save-xml",
            'S',
            "FILE",
            "additional",
            "Save verified XML to named file (most useful with -L)",
        ),
    ],
    formats: &["text", "xml"],
    notes: "Examples:\n  crm_verify --live-check\n  crm_verify --xml-file FILE --verbose",
};

/// The applet.
pub fn main(args: &[String]) -> i32 {
    output::run(&TABLE, args, work)
}

/// The configuration and, if it came from one, the file's name.
fn read_input(parsed: &Parsed) -> Result<(Element, Option<String>), Fail> {
    let parse = |text: &str, from: &str| {
        crate::xml_input::parse(text)
            .map_err(|error| Fail::new(CrmExit::Dataerr, format!("Couldn't parse {from}: {error}")))
    };
    if parsed.has("live-check") {
        let wish = Wish { tool: "crm_verify", user: None, writes: false };
        let cib = Source::open_real(&wish)
            .and_then(|mut source| source.document())
            .map_err(|rc| Fail::new(rc.exit(), format!("CIB query failed: {rc}")))?;
        return Ok((cib, None));
    }
    if let Some(path) = parsed.value("xml-file") {
        let text = source::read_file(path).map_err(|error| {
            Fail::new(CrmExit::Error, format!("Couldn't parse input file: {path}: {error}"))
        })?;
        return Ok((parse(&text, path)?, Some(path.to_owned())));
    }
    if let Some(text) = parsed.value("xml-text") {
        return Ok((parse(text, "input string")?, None));
    }
    if parsed.has("xml-pipe") {
        let text = source::read_stdin()
            .map_err(|error| Fail::new(CrmExit::Noinput, format!("stdin: {error}")))?;
        return Ok((parse(&text, "stdin")?, None));
    }
    Err(Fail::usage("No configuration source specified.\nUse -L, -x, -X or -p (see --help)."))
}

fn work(parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    let verbose = parsed.count("verbose");
    let (mut cib, file) = read_input(parsed)?;
    if cib.name() != "cib" {
        return Err(Fail::new(
            CrmExit::Dataerr,
            "This tool can only check complete configurations (i.e. those starting with <cib>).",
        ));
    }
    if let Some(path) = parsed.value("save-xml") {
        std::fs::write(path, cib.to_pretty()).map_err(|error| {
            Fail::new(CrmExit::Cantcreat, format!("Could not write {path}: {error}"))
        })?;
    }
    cib.child_or_new("status");
    let mut report =
        Report { out, verbose, live: parsed.has("live-check"), errors: 0, warnings: 0 };
    if let Err(problems) = cib::schema::validate(&cib) {
        report.schema(&problems, file.as_deref());
    } else {
        let now = clock::now();
        let input = Input { now, local_offset: clock::local_offset(now), ..Input::default() };
        let plan = scheduler::schedule(
            &Arc::new(cib),
            PlanOptions { input, compat_2_1: true, ..PlanOptions::default() },
        );
        report.messages(&plan.sched.messages);
    }
    report.verdict()
}

/// What was found, as it is told. A running cluster is one of Pacemaker 2.1 and is told about in
/// that version's words, which its users and their scripts know; documents in the newest one's.
struct Report<'a> {
    out: &'a mut Out,
    verbose: usize,
    live: bool,
    errors: usize,
    warnings: usize,
}

impl Report<'_> {
    fn schema(&mut self, problems: &[cib::schema::Problem], file: Option<&str>) {
        for problem in problems {
            let place = match (file, problem.line) {
                (Some(file), Some(line)) => {
                    format!("{file}:{line}:{}: ", problem.column.unwrap_or(1))
                }
                _ => String::new(),
            };
            let mut shown = problem.clone();
            if file.is_some() {
                shown.line = None;
            }
            self.out.err(&format!("{place}{shown}"));
        }
        if self.live {
            self.out.err("CIB did not pass schema validation");
        }
        self.errors += problems.len();
    }

    fn messages(&mut self, messages: &[Message]) {
        let messages =
            if self.live { messages.to_vec() } else { crate::logging::in_new_words(messages) };
        for message in &messages {
            let word = match message.severity {
                Severity::ConfigError => {
                    self.errors += 1;
                    "error"
                }
                Severity::ConfigWarning => {
                    self.warnings += 1;
                    "warning"
                }
                Severity::Error | Severity::Warning | Severity::Caution | Severity::Notice => {
                    crate::logging::scheduler_message(message);
                    continue;
                }
            };
            if self.live {
                crate::logging::scheduler_message(message);
            } else {
                self.detail(&format!("{word}: {}", message.text));
            }
        }
    }

    /// What only those want to know who ask for more; programs always do.
    fn detail(&mut self, text: &str) {
        if self.verbose > 0 || self.out.is_xml() {
            self.out.err(text);
        }
    }

    fn verdict(mut self) -> Result<CrmExit, Fail> {
        if self.errors + self.warnings == 0 {
            return Ok(CrmExit::Ok);
        }
        if self.live {
            self.out.err(match self.errors {
                0 => "crm_verify: Warnings found during check: config may not be valid",
                _ => "crm_verify: Errors found during check: config not valid",
            });
            if self.verbose == 0 {
                self.out.err("-V may provide more details");
            }
            return Ok(CrmExit::Config);
        }
        self.detail("error: CIB did not pass schema validation");
        if !self.out.quiet {
            self.out.err(match self.verbose == 0 && !self.out.is_xml() {
                true => "Configuration invalid (-V may provide more detail)",
                false => "Configuration invalid",
            });
        }
        Ok(CrmExit::Config)
    }
}
