//! `crm_shadow`: sandbox copies of the CIB. Source: `spec/cli-pacemaker.md` §7.3.

use std::path::Path;
use std::process::Command;

use base::CrmExit;
use xml::Element;

use crate::file_cib;
use crate::options::{Parsed, Table, flag, maybe, value};
use crate::output::{self, Fail, Out, text_element};
use crate::patch_text;
use crate::rc::Rc;
use crate::source::{self, Call, Source, Wish, call};

/// The command line.
pub(crate) const TABLE: Table = Table {
    tool: "crm_shadow",
    summary: "perform Pacemaker configuration changes in a sandbox",
    usage: "<query>|<command> [OPTION…]",
    groups: &[
        ("queries", "Queries:"),
        ("commands", "Commands:"),
        ("additional", "Additional Options:"),
    ],
    options: &[
        flag("which", 'w', "queries", "Indicate the active shadow copy"),
        flag("display", 'p', "queries", "Display the contents of the active shadow copy"),
        flag("diff", 'd', "queries", "Display the changes in the active shadow copy"),
        flag("file", 'F', "queries", "Display the location of the active shadow copy file"),
        value(
            "create",
            'c',
            "NAME",
            "commands",
            "Create a shadow copy of the active cluster configuration",
        ),
        maybe(
            "create-empty",
            'e',
            "NAME",
            "commands",
            "Create a shadow copy with an empty configuration",
        ),
        value(
            "commit",
            'C',
            "NAME",
            "commands",
            "Upload the contents of a shadow copy to the cluster",
        ),
        value("delete", 'D', "NAME", "commands", "Delete a shadow copy"),
        flag(
            "edit",
            'E',
            "commands",
            "Edit the contents of the active shadow copy with your $EDITOR",
        ),
        value(
            "reset",
            'r',
            "NAME",
            "commands",
            "Recreate a shadow copy from the active cluster configuration",
        ),
        value("switch", 's', "NAME", "commands", "(Advanced) Switch to a shadow copy"),
        flag("force", 'f', "additional", "(Advanced) Force the action to be performed"),
        flag("batch", 'b', "additional", "(Advanced) Don't spawn a new shell"),
        flag(
            "all",
            'a',
            "additional",
            "(Advanced) Upload the entire CIB, including status, with --commit",
        ),
        value(
            "validate-with",
            'v',
            "SCHEMA",
            "additional",
            "(Advanced) Create an older configuration version",
        ),
    ],
    formats: &["text", "xml"],
    notes: "",
};

/// Runs the tool.
pub fn main(args: &[String]) -> i32 {
    output::run(&TABLE, args, work)
}

const COMMANDS: &[&str] = &[
    "which",
    "display",
    "diff",
    "file",
    "create",
    "create-empty",
    "commit",
    "delete",
    "edit",
    "reset",
    "switch",
];

fn active() -> Option<String> {
    std::env::var("CIB_shadow").ok().filter(|name| !name.is_empty())
}

fn work(parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    let Some(command) = parsed.items.iter().rev().find(|item| COMMANDS.contains(&item.name)) else {
        return Err(Fail::usage("A query or command is required"));
    };
    let name = match (&command.value, active()) {
        (Some(name), _) => name.clone(),
        (None, Some(name)) => name,
        (None, None) => {
            return Err(Fail::new(CrmExit::Nosuch, "No active shadow configuration defined"));
        }
    };
    let file = source::shadow_file(&name);
    match command.name {
        "which" => {
            out.line(&name);
            out.xml(|| Element::new("shadow").with("instance", name.as_str()));
            Ok(CrmExit::Ok)
        }
        "file" => {
            let path = file.to_string_lossy().into_owned();
            out.line(&path);
            out.xml(|| {
                Element::new("shadow").with("instance", name.as_str()).with("file", path.as_str())
            });
            Ok(CrmExit::Ok)
        }
        "display" => {
            let document = read(&name, &file)?;
            out.text(&document.to_pretty());
            out.xml(|| {
                let content = text_element("content", &document.to_pretty());
                Element::new("shadow").with("instance", name.as_str()).with_child(content)
            });
            Ok(CrmExit::Ok)
        }
        "diff" => diff(&name, &file, out),
        "edit" => edit(&file),
        "switch" => {
            read(&name, &file)?;
            enter(parsed, out, &name, "To switch to the named shadow instance");
            Ok(CrmExit::Ok)
        }
        "create" => create(parsed, out, &name, &file),
        "create-empty" => create_empty(parsed, out, &name, &file),
        "reset" => reset(parsed, out, &name, &file),
        "commit" => commit(parsed, &name, &file),
        _ => delete(parsed, out, &name, &file),
    }
}

fn read(name: &str, file: &Path) -> Result<Element, Fail> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        let rc = Rc(error.raw_os_error().unwrap_or(5));
        Fail::new(rc.exit(), format!("Could not access shadow instance '{name}': {rc}"))
    })?;
    crate::xml_input::parse(&text).map_err(|error| {
        Fail::new(CrmExit::Config, format!("Shadow instance '{name}' is no XML: {error}"))
    })
}

/// The CIB behind all shadows: a file or the cluster's.
fn real(writes: bool) -> Result<Source, Fail> {
    let wish = Wish { tool: "crm_shadow", user: None, writes };
    Source::open_real(&wish)
        .map_err(|rc| Fail::new(rc.exit(), format!("Could not connect to CIB: {rc}")))
}

fn real_document() -> Result<Element, Fail> {
    real(false)?
        .document()
        .map_err(|rc| Fail::new(rc.exit(), format!("Could not connect to the CIB manager: {rc}")))
}

fn diff(name: &str, file: &Path, out: &mut Out) -> Result<CrmExit, Fail> {
    let old = real_document()?;
    let new = read(name, file)?;
    let patch = cib::diff::diff(&old, &new);
    out.xml(|| {
        let mut shadow = Element::new("shadow").with("instance", name);
        if let Some(patch) = &patch {
            let mut holder = Element::new("xml-patchset");
            holder.push_text(patch.to_pretty());
            shadow.push(holder);
        }
        shadow
    });
    match patch {
        None => Ok(CrmExit::Ok),
        Some(patch) => {
            out.text(&patch_text::render(&patch));
            Ok(CrmExit::Error)
        }
    }
}

fn edit(file: &Path) -> Result<CrmExit, Fail> {
    let Some(editor) = std::env::var("EDITOR").ok().filter(|editor| !editor.is_empty()) else {
        return Err(Fail::new(CrmExit::NotConfigured, "No value for EDITOR defined"));
    };
    let status = Command::new(&editor).arg(file).status();
    let status = status.map_err(|error| {
        Fail::new(CrmExit::Oserr, format!("Could not invoke EDITOR {editor}: {error}"))
    })?;
    Ok(if status.success() { CrmExit::Ok } else { CrmExit::Error })
}

fn exists_already(parsed: &Parsed, name: &str, file: &Path) -> Result<(), Fail> {
    if file.exists() && !parsed.has("force") {
        return Err(Fail::new(
            CrmExit::Cantcreat,
            format!(
                "A shadow instance '{name}' already exists.\nTo prevent accidental destruction of the shadow file, \
                 the --force flag is required in order to proceed."
            ),
        ));
    }
    Ok(())
}

fn save(name: &str, file: &Path, document: &Element) -> Result<(), Fail> {
    file_cib::save(file, document).map_err(|rc| {
        Fail::new(rc.exit(), format!("Could not create shadow instance '{name}': {rc}"))
    })
}

fn create(parsed: &Parsed, out: &mut Out, name: &str, file: &Path) -> Result<CrmExit, Fail> {
    exists_already(parsed, name, file)?;
    let document = real_document()?;
    save(name, file, &document)?;
    enter(parsed, out, name, "A new shadow instance was created. To begin using it");
    Ok(CrmExit::Ok)
}

fn create_empty(parsed: &Parsed, out: &mut Out, name: &str, file: &Path) -> Result<CrmExit, Fail> {
    exists_already(parsed, name, file)?;
    let schema = parsed.value("validate-with");
    let Some(document) = source::empty_cib(schema) else {
        return Err(Fail::usage(format!("Invalid schema '{}'", schema.unwrap_or(""))));
    };
    save(name, file, &document)?;
    out.line(&format!(
        "Created new {} configuration",
        document.get("validate-with").unwrap_or("pacemaker")
    ));
    enter(parsed, out, name, "A new shadow instance was created. To begin using it");
    Ok(CrmExit::Ok)
}

fn reset(parsed: &Parsed, out: &mut Out, name: &str, file: &Path) -> Result<CrmExit, Fail> {
    refuse_without_force(
        parsed,
        name,
        "The reset command overwrites the active shadow configuration.",
        "To prevent accidental destruction of the shadow file, the --force flag is required in order to proceed.",
    )?;
    if !file.exists() && !parsed.has("force") {
        read(name, file)?;
    }
    let document = real_document()?;
    save(name, file, &document)?;
    enter(parsed, out, name, "A new shadow instance was created. To begin using it");
    Ok(CrmExit::Ok)
}

fn refuse_without_force(parsed: &Parsed, name: &str, what: &str, why: &str) -> Result<(), Fail> {
    if parsed.has("force") {
        return Ok(());
    }
    let mut message = what.to_owned();
    if let Some(active) = active()
        && active != name
    {
        message.push_str(&format!(
            "\nAdditionally, the supplied shadow instance ({name}) is not the same as the active one ({active})."
        ));
    }
    Err(Fail::usage(format!("{message}\n{why}")))
}

fn commit(parsed: &Parsed, name: &str, file: &Path) -> Result<CrmExit, Fail> {
    refuse_without_force(
        parsed,
        name,
        "The commit command overwrites the active cluster configuration.",
        "To prevent accidental destruction of the cluster, the --force flag is required in order to proceed.",
    )?;
    let document = match read(name, file) {
        Ok(document) => document,
        Err(fail) => {
            real(true)?;
            return Err(fail);
        }
    };
    let mut real = real(true)?;
    let (section, data) = if parsed.has("all") {
        (None, Some(document.clone()))
    } else {
        (Some("configuration"), document.child("configuration").cloned())
    };
    let Some(data) = data else {
        return Err(Fail::new(
            CrmExit::Config,
            format!("Shadow instance '{name}' holds no configuration"),
        ));
    };
    let call =
        Call { op: "cib_replace", section, data: Some(&data), options: call::VERBOSE, host: None };
    let rc = real.call(&call).map_or_else(|rc| rc, |answer| answer.rc);
    if rc != Rc::OK {
        return Err(Fail::new(
            rc.exit(),
            format!("Could not commit shadow instance '{name}' to the CIB: {rc}"),
        ));
    }
    Ok(CrmExit::Ok)
}

fn delete(parsed: &Parsed, out: &mut Out, name: &str, file: &Path) -> Result<CrmExit, Fail> {
    refuse_without_force(
        parsed,
        name,
        "The delete command removes the specified shadow file.",
        "To prevent accidental destruction of the shadow file, the --force flag is required in order to proceed.",
    )?;
    match std::fs::remove_file(file) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            let rc = Rc(error.raw_os_error().unwrap_or(5));
            return Err(Fail::new(
                rc.exit(),
                format!("Could not remove shadow instance '{name}': {rc}"),
            ));
        }
    }
    leave(out, name);
    Ok(CrmExit::Ok)
}

fn instruct(out: &mut Out, text: &str) {
    out.line(text);
    out.xml(|| text_element("instruction", text));
}

/// Starts a shell that works on the shadow, or tells how to.
fn enter(parsed: &Parsed, out: &mut Out, name: &str, intro: &str) {
    if parsed.has("batch")
        || active().is_some() && std::env::var_os("CIB_shadow").is_some() && parsed.has("batch")
    {
        instruct(
            out,
            &format!("{intro}, enter the following into your shell:\n\texport CIB_shadow={name}"),
        );
        return;
    }
    let Some(shell) = std::env::var("SHELL").ok().filter(|shell| !shell.is_empty()) else {
        instruct(
            out,
            &format!("{intro}, enter the following into your shell:\n\texport CIB_shadow={name}"),
        );
        return;
    };
    out.line("Setting up shadow instance");
    let prompt = format!("shadow[{name}] # ");
    let mut command = Command::new(&shell);
    if shell.ends_with("bash") {
        command.args(["--norc", "--noprofile"]);
    }
    let status = command.env("PS1", prompt).env("CIB_shadow", name).status();
    if let Err(error) = status {
        out.err(&format!("crm_shadow: Failed to launch shell '{shell}': {error}"));
    }
}

/// Reminds of the variable that still names a shadow.
fn leave(out: &mut Out, name: &str) {
    if active().as_deref() == Some(name) {
        instruct(
            out,
            "Remember to unset the CIB_shadow variable by entering the following into your shell:\n\tunset CIB_shadow",
        );
    }
}
