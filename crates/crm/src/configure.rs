//! The level `configure`: definitions, and the commands that work on the edited configuration.

use std::io::Read;

use crate::checks;
use crate::edit;
use crate::grammar::{self, Definition};
use crate::live;
use crate::programs;
use crate::ra::Installed;
use crate::say;
use crate::session::{self, Session};
use crate::shell::{Shell, Verdict};
use crate::words;

/// Runs one command of the level. `words[0]` is the command as typed, `name` its full name.
pub(crate) fn run(shell: &mut Shell, name: &str, words: &[String]) -> Verdict {
    if shell.session().is_none() {
        return Verdict::Failed;
    }
    let args = &words[1..];
    match name {
        "show" => show(shell, args),
        "delete" => delete(shell, args),
        "verify" => verify(shell),
        "commit" => {
            let force = args.iter().any(|arg| arg == "force") || shell.options.force;
            let replace = args.iter().any(|arg| arg == "replace");
            commit(shell, force, replace)
        }
        "edit" => edit::edit(shell, args),
        "load" => load(shell, args),
        "save" => save(shell, args),
        "refresh" => refresh(shell),
        "rename" => match args {
            [old, new] => with_session(shell, name, |session, _| {
                session.rename(old, new).map_err(|error| error.to_string())
            }),
            _ => crate::usage("configure", name),
        },
        "modgroup" => modgroup(shell, args),
        "get_property" => get_property(shell, args),
        "ptest" => ptest(shell, args),
        _ => {
            let mut line = words.to_vec();
            line[0] = name.to_owned();
            define(shell, &line)
        }
    }
}

fn with_session(
    shell: &mut Shell,
    name: &str,
    change: impl FnOnce(&mut Session, &Installed) -> Result<(), String>,
) -> Verdict {
    let Some((session, agents)) = shell.session_and_agents() else { return Verdict::Failed };
    let result = change(session, agents);
    live::tell(session);
    match result {
        Ok(()) => Verdict::Done,
        Err(error) => {
            // Syntax errors name their command themselves.
            if error.starts_with("syntax in") || name.is_empty() {
                say::error(&error);
            } else {
                say::error(&format!("configure.{name}: {error}"));
            }
            Verdict::Failed
        }
    }
}

fn define(shell: &mut Shell, words: &[String]) -> Verdict {
    with_session(shell, "", |session, agents| {
        let definition = grammar::parse(words, agents).map_err(|error| error.to_string())?;
        if let Definition::Object { element, .. } = &definition {
            checks::warn_about(element, session, agents);
        }
        session.define(definition).map_err(|error| error.to_string())
    })
}

fn show(shell: &mut Shell, args: &[String]) -> Verdict {
    with_session(shell, "", |session, agents| {
        let (as_xml, mut wanted) = match args.split_first() {
            Some((first, rest)) if first == "xml" => (true, rest.to_vec()),
            _ => (false, args.to_vec()),
        };
        if wanted.iter().any(|word| word == "changed") {
            wanted = changed(session);
            if wanted.is_empty() {
                return Ok(());
            }
        }
        if let Some(kind) = wanted.iter().find_map(|word| word.strip_prefix("type:")) {
            let kind = kind.to_owned();
            let of_kind = |id: &String| {
                session.object(id).is_some_and(|object| session::keyword_of(object.name()) == kind)
            };
            wanted = session.object_ids().into_iter().filter(of_kind).collect();
            if wanted.is_empty() {
                return Ok(());
            }
        }
        let is_section = |id: &str| {
            matches!(id, "property" | "rsc_defaults" | "op_defaults" | "fencing_topology")
        };
        for id in &wanted {
            if session.object(id).is_none() && !is_section(id) {
                return Err(format!("object {id} does not exist"));
            }
        }
        say::out(&if as_xml {
            xml_text(session, &wanted)
        } else {
            session::render(session, &wanted, agents).map_err(|error| error.to_string())?
        });
        Ok(())
    })
}

/// The document without its status section, or the objects named.
pub(crate) fn xml_text(session: &Session, wanted: &[String]) -> String {
    let mut text = String::from("<?xml version=\"1.0\" ?>\n");
    if wanted.is_empty() {
        let mut cib = session.cib().clone();
        cib.retain_children(|section| section.name() != "status");
        text.push_str(&cib.to_pretty());
        return text;
    }
    let mut cib = session.cib().clone();
    cib.retain_children(|section| section.name() == "configuration");
    if let Some(configuration) = cib.child_mut("configuration") {
        let is_wanted = |e: &xml::Element| {
            e.descendants().filter_map(xml::Element::id).any(|id| wanted.iter().any(|w| w == id))
                || e.get("uname").is_some_and(|name| wanted.iter().any(|w| w == name))
        };
        for section in configuration.children_mut() {
            section.retain_children(is_wanted);
        }
        configuration.retain_children(|section| !section.is_leaf());
    }
    text.push_str(&cib.to_pretty());
    text
}

/// Ids of the objects that differ from what was read.
fn changed(session: &Session) -> Vec<String> {
    let before = Session::new(session.original().clone());
    session.object_ids().into_iter().filter(|id| before.object(id) != session.object(id)).collect()
}

fn delete(shell: &mut Shell, args: &[String]) -> Verdict {
    let force = args.iter().any(|arg| arg == "--force") || shell.options.force;
    let ids: Vec<String> = args.iter().filter(|arg| *arg != "--force").cloned().collect();
    if ids.is_empty() {
        return crate::usage("configure", "delete");
    }
    let Some(session) = shell.session() else { return Verdict::Failed };
    if let Some(missing) = ids.iter().find(|id| session.object(id).is_none()) {
        say::error(&format!("object {missing} does not exist"));
        return Verdict::Failed;
    }
    let resources: Vec<String> =
        ids.iter().filter(|id| session.resource(id).is_some()).cloned().collect();
    for id in resources {
        if !is_running(&id) {
            continue;
        }
        if !force {
            say::error(&format!("resource {id} is running, can't delete it"));
            return Verdict::Failed;
        }
        say::info(&format!("stopping {id} first"));
        let stopped = crate::resource::run(shell, "stop", std::slice::from_ref(&id));
        if stopped != Verdict::Done || programs::show("crm_resource", &["--wait"]) != 0 {
            say::error(&format!("resource {id} could not be stopped, it was not deleted"));
            return Verdict::Failed;
        }
    }
    with_session(shell, "", |session, _| session.delete(&ids).map_err(|error| error.to_string()))
}

/// Whether the cluster says that a resource runs somewhere. Files and shadows run nothing.
fn is_running(id: &str) -> bool {
    live::is_live()
        && programs::capture("crm_resource", &["-W", "-r", id], None)
            .stdout
            .contains("is running on")
}

fn verify(shell: &mut Shell) -> Verdict {
    let Some((session, agents)) = shell.session_and_agents() else { return Verdict::Failed };
    let valid = live::verify(session.cib());
    let sound = checks::semantic(session, agents);
    Verdict::of(valid && sound)
}

/// Commits what is pending: verified first, forced past semantic errors only on request.
pub(crate) fn commit(shell: &mut Shell, force: bool, replace: bool) -> Verdict {
    let interactive = shell.interactive && !shell.options.never;
    let Some((session, agents)) = shell.session_and_agents() else { return Verdict::Failed };
    if !session.is_changed() {
        say::info("apparently there is nothing to commit");
        say::info("try changing something first");
        return Verdict::Done;
    }
    let valid = live::acceptable(session.cib()) & checks::semantic(session, agents);
    if !valid && !force {
        let anyway = interactive && say::ask("Do you still want to commit", false);
        if !anyway {
            if !interactive {
                say::error("nothing was committed; mend the above, or `commit force`");
            }
            return Verdict::Failed;
        }
    }
    let verdict = match live::commit(session, force, replace) {
        Ok(()) => {
            if force && !valid {
                say::info("commit forced");
            }
            Verdict::Done
        }
        Err(error @ live::CommitError::ChangedMeanwhile) => {
            say::warning(&error.to_string());
            Verdict::Failed
        }
        Err(error) => {
            say::error(&error.to_string());
            Verdict::Failed
        }
    };
    crate::wait_if_wanted(shell, verdict)
}

fn refresh(shell: &mut Shell) -> Verdict {
    let drop_changes = !shell.has_pending_changes()
        || shell.options.force
        || say::ask("All changes will be dropped. Do you want to proceed", true);
    if drop_changes {
        shell.forget_session();
    }
    Verdict::of(shell.session().is_some())
}

fn save(shell: &mut Shell, args: &[String]) -> Verdict {
    let (as_xml, rest) = match args.split_first() {
        Some((first, rest)) if first == "xml" => (true, rest),
        _ => (false, args),
    };
    let Some((file, ids)) = rest.split_last() else { return crate::usage("configure", "save") };
    let force = shell.options.force;
    with_session(shell, "save", |session, agents| {
        let text = if as_xml {
            xml_text(session, ids)
        } else {
            session::render(session, ids, agents).map_err(|error| error.to_string())?
        };
        if file == "-" {
            say::out(&text);
            return Ok(());
        }
        let exists = std::path::Path::new(file).exists();
        if exists && !force && !say::ask(&format!("Overwrite {file}?"), true) {
            return Ok(());
        }
        std::fs::write(file, text).map_err(|error| format!("cannot write {file}: {error}"))
    })
}

fn load(shell: &mut Shell, args: &[String]) -> Verdict {
    let (as_xml, rest) = match args.split_first() {
        Some((first, rest)) if first == "xml" => (true, rest),
        _ => (false, args),
    };
    let [method, file] = rest else { return crate::usage("configure", "load") };
    if !matches!(method.as_str(), "replace" | "update" | "push") {
        return crate::usage("configure", "load");
    }
    let mut text = String::new();
    let read = if file == "-" {
        std::io::stdin().read_to_string(&mut text).map(|_| ())
    } else {
        std::fs::read_to_string(file).map(|content| text = content)
    };
    if let Err(error) = read {
        say::error(&format!("configure.load: cannot read {file}: {error}"));
        return Verdict::Failed;
    }
    with_session(shell, "load", |session, agents| {
        if as_xml || text.trim_start().starts_with('<') {
            let document = xml::parse(&text).map_err(|error| format!("{file}: {error}"))?;
            return edit::take_xml(session, document);
        }
        let definitions = definitions_of(&text, agents)?;
        let keep = method == "update";
        let old = if keep { Vec::new() } else { non_nodes(session) };
        edit::swap(session, &old, definitions)
    })
}

fn non_nodes(session: &Session) -> Vec<String> {
    let is_node = |id: &String| session.object(id).is_some_and(|object| object.name() == "node");
    session.object_ids().into_iter().filter(|id| !is_node(id)).collect()
}

/// Parses a text of definitions. Errors carry the line.
pub(crate) fn definitions_of(text: &str, agents: &Installed) -> Result<Vec<Definition>, String> {
    let mut definitions = Vec::new();
    let mut pending = String::new();
    let mut first_line = 0;
    for (n, line) in text.lines().enumerate() {
        if pending.is_empty() {
            first_line = n + 1;
        }
        if let Some(head) = line.trim_end().strip_suffix('\\') {
            pending.push_str(head);
            pending.push(' ');
            continue;
        }
        let whole = std::mem::take(&mut pending) + line;
        let whole = whole.trim();
        if whole.is_empty() || whole.starts_with('#') {
            continue;
        }
        let words = match whole.split_once(char::is_whitespace) {
            Some((head, rest)) if head.eq_ignore_ascii_case("xml") => {
                vec![head.to_owned(), rest.to_owned()]
            }
            _ => words::split(whole).map_err(|error| format!("{first_line}: {error}"))?,
        };
        let definition =
            grammar::parse(&words, agents).map_err(|error| format!("{first_line}: {error}"))?;
        definitions.push(definition);
    }
    Ok(definitions)
}

fn modgroup(shell: &mut Shell, args: &[String]) -> Verdict {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let (group, member, anchor) = match words[..] {
        [group, "add", member] => (group, Some(member), None),
        [group, "add", member, how @ ("after" | "before"), other] => {
            (group, Some(member), Some((how == "after", other)))
        }
        [group, "remove", member] => (group, None, Some((false, member))),
        _ => return crate::usage("configure", "modgroup"),
    };
    with_session(shell, "modgroup", |session, agents| {
        let Some(element) = session.object(group).filter(|object| object.name() == "group") else {
            return Err(format!("group {group} does not exist"));
        };
        let mut members: Vec<String> = element
            .children()
            .filter(|child| crate::show::is_resource(child.name()))
            .filter_map(|child| child.id().map(str::to_owned))
            .collect();
        let position = |id: &str| {
            members
                .iter()
                .position(|member| member == id)
                .ok_or_else(|| format!("{id} is not in group {group}"))
        };
        match (member, anchor) {
            (Some(member), None) => members.push(member.to_owned()),
            (Some(member), Some((after, other))) => {
                let at = position(other)? + usize::from(after);
                members.insert(at, member.to_owned());
            }
            (None, Some((_, gone))) => {
                let at = position(gone)?;
                members.remove(at);
            }
            (None, None) => {}
        }
        let text = session::render(session, &[group.to_owned()], agents)
            .map_err(|error| error.to_string())?;
        let mut definitions = definitions_of(&text, agents)?;
        for definition in &mut definitions {
            if let Definition::Object { members: old, .. } = definition {
                *old = members.clone();
            }
        }
        session.replace(&[group.to_owned()], definitions).map_err(|error| error.to_string())
    })
}

fn get_property(shell: &mut Shell, args: &[String]) -> Verdict {
    let Some(name) = args.iter().find(|arg| !arg.starts_with('-')) else {
        return crate::usage("configure", "get_property");
    };
    let Some(session) = shell.session() else { return Verdict::Failed };
    let value = session
        .cib()
        .at(&["configuration", "crm_config"])
        .into_iter()
        .flat_map(xml::Element::descendants)
        .find(|pair| pair.name() == "nvpair" && pair.get("name") == Some(name.as_str()))
        .and_then(|pair| pair.get("value"));
    match value {
        Some(value) => {
            say::out(&format!("{value}\n"));
            Verdict::Done
        }
        None => {
            say::error(&format!("configure.get_property: {name}: Property not set"));
            Verdict::Failed
        }
    }
}

fn ptest(shell: &mut Shell, args: &[String]) -> Verdict {
    let Some(session) = shell.session() else { return Verdict::Failed };
    let mut options = vec!["-x", "-", "-S"];
    for arg in args {
        match arg.as_str() {
            "scores" => options.push("-s"),
            "utilization" => options.push("-U"),
            _ => {}
        }
    }
    let output = programs::capture("crm_simulate", &options, Some(&session.cib().to_pretty()));
    say::out(&output.stdout);
    if !output.is_ok() {
        say::error(output.complaint());
    }
    Verdict::of(output.is_ok())
}
