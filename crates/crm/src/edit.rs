//! `configure edit`: the configuration as text in the user's editor, and back.

use std::process::Command;

use xml::Element;

use crate::configure::{definitions_of, xml_text};
use crate::grammar::Definition;
use crate::live;
use crate::say;
use crate::session::{self, Session};
use crate::shell::{Shell, Verdict};

/// Opens an editor on the objects named (or all) and takes what it leaves. The session changes
/// only when the whole text was understood.
pub(crate) fn edit(shell: &mut Shell, args: &[String]) -> Verdict {
    let (as_xml, ids) = match args.split_first() {
        Some((first, rest)) if first == "xml" => (true, rest),
        _ => (false, args),
    };
    let interactive = shell.interactive;
    let Some((session, agents)) = shell.session_and_agents() else { return Verdict::Failed };
    if let Some(missing) = ids.iter().find(|id| session.object(id).is_none()) {
        say::error(&format!("object {missing} does not exist"));
        return Verdict::Failed;
    }
    let before = if as_xml {
        xml_text(session, &[])
    } else {
        match session::render(session, ids, agents) {
            Ok(text) => text,
            Err(error) => {
                say::error(&format!("configure.edit: {error}"));
                return Verdict::Failed;
            }
        }
    };
    let mut text = before.clone();
    loop {
        text = match in_editor(&text) {
            Ok(text) => text,
            Err(why) => {
                say::error(&format!("configure.edit: {why}"));
                return Verdict::Failed;
            }
        };
        if text == before {
            return Verdict::Done;
        }
        let taken = if as_xml {
            xml::parse(&text)
                .map_err(|error| error.to_string())
                .and_then(|document| take_xml(session, document))
        } else {
            definitions_of(&text, agents).and_then(|definitions| {
                let shown: Vec<String> =
                    if ids.is_empty() { session.object_ids() } else { ids.to_vec() };
                swap(session, &shown, definitions)
            })
        };
        live::tell(session);
        match taken {
            Ok(()) => return Verdict::Done,
            Err(why) => say::error(&why),
        }
        if !interactive || !say::ask("Edit again", true) {
            return Verdict::Failed;
        }
    }
}

/// Runs `$EDITOR` on a temporary file with `text`; gives what is in it afterwards.
fn in_editor(text: &str) -> Result<String, String> {
    let editor = ["VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty()))
        .unwrap_or_else(|| "vi".into());
    let path = std::env::temp_dir().join(format!("crm-edit-{}.txt", std::process::id()));
    let describe =
        |what: &str, error: std::io::Error| format!("cannot {what} {}: {error}", path.display());
    let _ = std::fs::remove_file(&path);
    write_private(&path, text).map_err(|error| describe("write", error))?;
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let status = Command::new(program).args(words).arg(&path).status();
    let edited = std::fs::read_to_string(&path);
    let _ = std::fs::remove_file(&path);
    match status {
        Err(error) => Err(format!("cannot run the editor `{editor}`: {error}; set EDITOR")),
        Ok(status) if !status.success() => Err(format!("the editor `{editor}` failed: {status}")),
        Ok(_) => edited.map_err(|error| describe("read", error)),
    }
}

/// A file that only its owner may read (configurations hold passwords) and that was not there.
fn write_private(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// Replaces the objects `old` by `definitions`: what is no longer there is deleted.
pub(crate) fn swap(
    session: &mut Session,
    old: &[String],
    definitions: Vec<Definition>,
) -> Result<(), String> {
    let kept: Vec<String> = definitions
        .iter()
        .filter_map(|definition| match definition {
            Definition::Object { element, .. } if element.name() == "node" => {
                element.get("uname").map(str::to_owned)
            }
            Definition::Object { element, .. } => element.id().map(str::to_owned),
            Definition::Defaults { set, .. } => set.id().map(str::to_owned),
            Definition::Fencing { .. } | Definition::Monitor { .. } => None,
        })
        .collect();
    let mut copy = session.clone();
    copy.replace(old, definitions).map_err(|error| error.to_string())?;
    let is_node = |id: &String| copy.object(id).is_some_and(|object| object.name() == "node");
    let is_set = |id: &String| {
        copy.object(id)
            .is_some_and(|o| matches!(o.name(), "cluster_property_set" | "meta_attributes"))
    };
    let gone: Vec<String> = old
        .iter()
        .filter(|id| !kept.contains(id) && !is_node(id) && !is_set(id) && copy.object(id).is_some())
        .cloned()
        .collect();
    copy.delete(&gone).map_err(|error| error.to_string())?;
    *session = copy;
    Ok(())
}

/// Takes an edited document: its configuration becomes the session's.
pub(crate) fn take_xml(session: &mut Session, document: Element) -> Result<(), String> {
    let configuration = match document.name() {
        "configuration" => Some(&document),
        _ => document.child("configuration"),
    };
    let Some(configuration) = configuration else {
        return Err(format!("expected <cib> with <configuration>, found <{}>", document.name()));
    };
    session.set_configuration(configuration.clone());
    Ok(())
}
