//! `crm_diff`: patches between documents. Source: `spec/cli-pacemaker.md` §7.4.

use base::CrmExit;
use xml::Element;

use crate::options::{Parsed, Table, flag, value};
use crate::output::{self, Fail, Out, text_element};
use crate::source;

/// The command line.
pub(crate) const TABLE: Table = Table {
    tool: "crm_diff",
    summary: "compare two Pacemaker configurations (in XML format) to produce a custom diff-like output, or apply such an output as a patch",
    usage: "[OPTION…]",
    groups: &[
        ("xml", "Original XML:"),
        ("operation", "Operation:"),
        ("additional", "Additional Options:"),
    ],
    options: &[
        value("original", 'o', "FILE", "xml", "XML is contained in this file (- for stdin)"),
        value("original-string", 'O', "STRING", "xml", "XML is contained in this string"),
        value(
            "new",
            'n',
            "FILE",
            "operation",
            "Compare the original XML to the contents of this file",
        ),
        value("new-string", 'N', "STRING", "operation", "Compare the original XML to this string"),
        value(
            "patch",
            'p',
            "FILE",
            "operation",
            "Patch the original XML with the contents of this file",
        ),
        flag(
            "cib",
            'c',
            "additional",
            "Compare/patch the inputs as a CIB (includes versions details)",
        ),
        flag("stdin", 's', "additional", "Read the inputs from stdin"),
        flag("no-version", 'u', "additional", "Generate the difference without versions details"),
    ],
    formats: &["text", "xml"],
    notes: "Exit status 0: no difference, or the patch was applied. 1: differences were found.",
};

/// Runs the tool.
pub fn main(args: &[String]) -> i32 {
    output::run(&TABLE, args, work)
}

fn load(parsed: &Parsed, file: &str, string: &str) -> Result<Option<Element>, Fail> {
    let (text, name) = match (parsed.value(file), parsed.value(string)) {
        (Some(path), _) => {
            let text = if path == "-" { source::read_stdin() } else { source::read_file(path) };
            let text = text.map_err(|error| {
                Fail::new(CrmExit::Dataerr, format!("Could not read {path}: {error}"))
            })?;
            (text, path.to_owned())
        }
        (None, Some(text)) => (text.to_owned(), "input string".to_owned()),
        (None, None) if parsed.has("stdin") => {
            let text = source::read_stdin();
            (
                text.map_err(|error| {
                    Fail::new(CrmExit::Noinput, format!("Could not read stdin: {error}"))
                })?,
                "stdin".to_owned(),
            )
        }
        (None, None) => return Ok(None),
    };
    crate::xml_input::parse(&text)
        .map(Some)
        .map_err(|error| Fail::new(CrmExit::Dataerr, format!("Could not parse {name}: {error}")))
}

fn unparsed(which: &str) -> Fail {
    let text = format!("Could not parse the {which} XML fragment: none was given");
    Fail::new(CrmExit::Dataerr, text)
}

fn work(parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    if parsed.has("cib") && parsed.has("no-version") {
        return Err(Fail::usage("-u/--no-version incompatible with -c/--cib"));
    }
    let Some(old) = load(parsed, "original", "original-string")? else {
        return Err(unparsed("first"));
    };
    if parsed.value("patch").is_some() {
        if parsed.has("no-version") {
            out.err("Warning: -u/--no-version ignored with -p/--patch");
        }
        let patch = load(parsed, "patch", "")?;
        let patch =
            patch.ok_or_else(|| Fail::usage("Could not parse the patch: none was given"))?;
        return apply(&old, &patch, out);
    }
    let Some(new) = load(parsed, "new", "new-string")? else {
        return Err(unparsed("second"));
    };
    let patch = if parsed.has("no-version") {
        without_versions(&old, &new)
    } else if parsed.has("cib") {
        cib::diff::diff_significant(&old, &new)
    } else {
        cib::diff::diff(&old, &new)
    };
    let Some(mut patch) = patch else { return Ok(CrmExit::Ok) };
    if parsed.has("cib") {
        patch.set(
            "digest",
            cib::digest::for_feature_set(&new, new.get("crm_feature_set").unwrap_or("")),
        );
    }
    let text = patch.to_pretty();
    out.text(&text);
    out.xml(|| text_element("patchset", &text));
    Ok(CrmExit::Error)
}

/// The patch between the documents with the original's versions, and none in the patch.
fn without_versions(old: &Element, new: &Element) -> Option<Element> {
    let mut new = new.clone();
    for name in ["admin_epoch", "epoch", "num_updates"] {
        match old.get(name) {
            Some(value) => new.set(name, value),
            None => drop(new.unset(name)),
        }
    }
    let mut patch = cib::diff::diff(old, &new)?;
    patch.retain_children(|child| child.name() != "version");
    Some(patch)
}

fn apply(old: &Element, patch: &Element, out: &mut Out) -> Result<CrmExit, Fail> {
    let failed = |text: String| Fail::new(CrmExit::Error, format!("Could not apply patch: {text}"));
    let new = cib::patch::apply(old, patch)
        .map_err(|rc| failed(crate::rc::Rc::from_legacy(rc.wire()).text()))?;
    if let Some(digest) = patch.get("digest")
        && digest != cib::digest::for_feature_set(&new, new.get("crm_feature_set").unwrap_or(""))
    {
        return Err(failed("Application of update diff failed".to_owned()));
    }
    let text = new.to_pretty();
    out.text(&text);
    out.xml(|| text_element("updated", &text));
    Ok(CrmExit::Ok)
}
