//! `crm_error`: what a result code means.
//! Source: `spec/cli-pacemaker.md` §8.7.

mod explain;

use base::CrmExit;
use xml::Element;

use crate::options::{Parsed, Table, flag};
use crate::output::{self, Fail, Out};
use crate::rc::{ERRNO, LEGACY, PCMK, Rc};

/// The command line.
pub(crate) const TABLE: Table = Table {
    tool: "crm_error",
    summary: "display name or description of a Pacemaker error code",
    usage: "[OPTION…] [-- <rc>…]",
    groups: &[],
    options: &[
        flag(
            "name",
            'n',
            "",
            "Show error's name with its description (useful for looking for sources of the error)",
        ),
        flag("list", 'l', "", "Show all known errors (enabled by default if no rc is specified)"),
        flag("exit", 'X', "", "Interpret as exit code rather than legacy function return value"),
        flag("rc", 'r', "", "Interpret as return code rather than legacy function return value"),
        flag("explain", ' ', "", "Say what the code means in practice and what to do next"),
    ],
    formats: &["text", "xml"],
    notes: "",
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Legacy,
    Rc,
    Exit,
}

/// Runs the tool.
pub fn main(args: &[String]) -> i32 {
    output::run(&TABLE, args, work)
}

fn describe(kind: Kind, code: i32) -> (String, String) {
    let known = |table: &[(i32, &'static str, &'static str)], code| {
        table.iter().find(|row| row.0 == code).map(|row| (row.1.to_owned(), row.2.to_owned()))
    };
    match kind {
        Kind::Exit => match CrmExit::from_code(code) {
            Some(exit) => (exit.symbol().to_owned(), exit.description().to_owned()),
            None if (129..192).contains(&code) => {
                ("CRM_EX_UNKNOWN".to_owned(), "Interrupted by signal".to_owned())
            }
            None => ("CRM_EX_UNKNOWN".to_owned(), "Unknown exit status".to_owned()),
        },
        Kind::Rc => (Rc(code).name().to_owned(), Rc(code).text()),
        Kind::Legacy => {
            let code = code.saturating_abs();
            known(LEGACY, code)
                .or_else(|| known(ERRNO, code))
                .unwrap_or_else(|| ("Unknown".to_owned(), format!("Unknown error {code}")))
        }
    }
}

/// The exit code that a tool which meets this code ends with.
fn exit_of(kind: Kind, code: i32) -> CrmExit {
    match kind {
        Kind::Exit => CrmExit::from_code(code).unwrap_or(CrmExit::Error),
        Kind::Rc => Rc(code).exit(),
        Kind::Legacy => Rc::from_legacy(-code.saturating_abs()).exit(),
    }
}

fn all(kind: Kind) -> Vec<i32> {
    match kind {
        Kind::Exit => CrmExit::ALL.iter().map(|exit| exit.code()).collect(),
        Kind::Rc => {
            PCMK.iter().map(|row| row.0).chain([0]).chain(ERRNO.iter().map(|row| row.0)).collect()
        }
        Kind::Legacy => ERRNO.iter().chain(LEGACY).map(|row| row.0).collect(),
    }
}

fn work(parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    let kind = match parsed.items.iter().rev().find(|item| matches!(item.name, "exit" | "rc")) {
        Some(item) if item.name == "exit" => Kind::Exit,
        Some(_) => Kind::Rc,
        None => Kind::Legacy,
    };
    let with_name = parsed.has("name");
    let list = parsed.has("list") || parsed.rest.is_empty();
    let mut wrong = Vec::new();
    let codes: Vec<i32> = if list {
        all(kind)
    } else {
        let read = |word: &String| match word.parse() {
            Ok(code) => Some(code),
            Err(_) => {
                wrong.push(word.clone());
                None
            }
        };
        parsed.rest.iter().filter_map(read).collect()
    };
    for code in codes {
        let (name, text) = describe(kind, code);
        let line = match (list, with_name) {
            (true, true) => format!("{code:5}: {name:<27} {text}"),
            (true, false) => format!("{code:5}: {text}"),
            (false, true) => format!("{name} - {text}"),
            (false, false) => text.clone(),
        };
        out.line(&line);
        let advice = parsed.has("explain").then(|| explain::explain(exit_of(kind, code)));
        if let Some(advice) = advice {
            out.line(&format!("  {advice}"));
        }
        out.xml(|| {
            let mut element = Element::new("result-code").with("code", code.to_string());
            if with_name {
                element.set("name", name);
            }
            if let Some(advice) = advice {
                return element.with("description", text).with("explanation", advice);
            }
            element.with("description", text)
        });
    }
    if let Some(word) = wrong.first() {
        return Err(Fail::usage(format!("Invalid return code: {word}")));
    }
    Ok(CrmExit::Ok)
}
