//! `crm_verify`: is a configuration one that the cluster can work with?
//! Source: `spec/cli-pacemaker.md` §7.5.

use std::sync::Arc;

use base::CrmExit;
use scheduler::model::Severity;
use scheduler::{Input, PlanOptions};
use xml::Element;

use crate::clock;
use crate::options::{Parsed, Table, flag, value};
use crate::output::{self, Fail, Out};
use crate::source::{self, Source, Wish};

const TABLE: Table = Table {
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
    let (mut errors, mut warnings) = (0, 0);
    if let Err(problems) = cib::schema::validate(&cib) {
        for problem in &problems {
            let place = match (&file, problem.line) {
                (Some(file), Some(line)) => format!("{file}:{line}: "),
                _ => String::new(),
            };
            let mut shown = problem.clone();
            shown.line = None;
            out.err(&format!("{place}{shown}"));
        }
        out.err("CIB did not pass schema validation");
        errors += problems.len();
    } else {
        let now = clock::now();
        let input = Input { now, local_offset: clock::local_offset(now), ..Input::default() };
        let plan = scheduler::schedule(
            &Arc::new(cib),
            PlanOptions { input, compat_2_1: true, ..PlanOptions::default() },
        );
        for message in &plan.sched.messages {
            crate::logging::scheduler_message(message);
            match message.severity {
                Severity::ConfigError => errors += 1,
                Severity::ConfigWarning => warnings += 1,
                Severity::Error | Severity::Warning | Severity::Notice => {}
            }
        }
    }
    let verdict = if errors > 0 {
        "Errors found during check: config not valid"
    } else if warnings > 0 {
        "Warnings found during check: config may not be valid"
    } else {
        return Ok(CrmExit::Ok);
    };
    out.err(&format!("crm_verify: {verdict}"));
    if verbose == 0 {
        out.err("-V may provide more details");
    }
    Ok(CrmExit::Config)
}
