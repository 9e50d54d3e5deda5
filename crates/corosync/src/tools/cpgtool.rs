//! `corosync-cpgtool`: the process groups and their members.
//!
//! Source: `spec/corosync-conf-and-tools.md` §6.4.

use super::{complain, getopt, say};
use corosync_client::cfg::Cfg;
use corosync_client::cpg::{Cpg, Iterate};
use std::fmt::Write;

const USAGE: &str = "\
corosync-cpgtool [-d delimiter] [-e] [-n] [-h]

A tool for displaying cpg groups and members.
options:
	-d	Delimiter between fields.
	-e	Don't escape unprintable characters in group name.
	-n	Display only all existing group names.
	-h	Display this help.
";

/// Runs `corosync-cpgtool`.
pub(super) fn run(args: &[String]) -> i32 {
    let program = args.first().map_or("corosync-cpgtool", String::as_str);
    let known = [
        getopt::short('d', true),
        getopt::short('e', false),
        getopt::short('n', false),
        getopt::short('h', false),
    ];
    let parsed = getopt::parse(args.get(1..).unwrap_or_default(), &known);
    let (mut delimiter, mut escape, mut names_only) = (None, true, false);
    let before_error = parsed.errors.first().map_or(usize::MAX, |(at, _)| *at);
    for (letter, value) in parsed.options.iter().take(before_error) {
        match letter {
            // Only its first character counts.
            'd' => delimiter = value.as_deref().and_then(|value| value.chars().next()),
            'e' => escape = false,
            'n' => names_only = true,
            'h' => {
                say(USAGE);
                return 0;
            }
            _ => {}
        }
    }
    if parsed.complain(program) {
        return 1;
    }
    let mut cpg = match Cpg::connect() {
        Ok(cpg) => cpg,
        Err(error) => {
            complain(format_args!("Could not initialize corosync cpg API error {}", error.0));
            return 1;
        }
    };
    let done = if names_only {
        names(&mut cpg, delimiter, escape)
    } else {
        members(&mut cpg, delimiter, escape)
    };
    match done {
        Ok(text) => {
            say(&text);
            0
        }
        Err(text) => {
            complain(text);
            1
        }
    }
}

fn shown(name: &[u8], escape: bool) -> String {
    if !escape {
        return String::from_utf8_lossy(name).into_owned();
    }
    let mut text = String::new();
    for byte in name {
        match byte {
            b'\\' => text.push_str("\\\\"),
            0x20..=0x7e => text.push(char::from(*byte)),
            _ => {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text
}

fn names(cpg: &mut Cpg, delimiter: Option<char>, escape: bool) -> Result<String, String> {
    let entries = cpg
        .iterate(Iterate::Names)
        .map_err(|error| format!("Cannot initialize cpg iterator error {}", error.0))?;
    let end = delimiter.unwrap_or('\n');
    let mut text = String::new();
    for entry in &entries {
        text.push_str(&shown(&entry.group, escape));
        text.push(end);
    }
    if delimiter.is_some() {
        text.push('\n');
    }
    Ok(text)
}

fn members(cpg: &mut Cpg, delimiter: Option<char>, escape: bool) -> Result<String, String> {
    let mut cfg = Cfg::connect().map_err(|error| {
        format!("Could not initialize corosync configuration API error {}", error.0)
    })?;
    let entries = cpg
        .iterate(Iterate::All)
        .map_err(|error| format!("Cannot initialize cpg iterator error {}", error.0))?;
    let mut text = match delimiter {
        None => format!("Group Name\t{:>10}\t{:>10}\n", "PID", "Node ID"),
        Some(d) => format!("GRP_NAME{d}PID{d}NODEID\n"),
    };
    let mut group: Option<&[u8]> = None;
    for entry in &entries {
        if let Some(d) = delimiter {
            let name = shown(&entry.group, escape);
            let _ = writeln!(text, "{name}{d}{}{d}{}", entry.pid, entry.node);
            continue;
        }
        if group != Some(&entry.group) {
            group = Some(&entry.group);
            let _ = writeln!(text, "{}", shown(&entry.group, escape));
        }
        let addresses = match cfg.node_addrs(entry.node) {
            Ok(addresses) => {
                addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
            }
            Err(_) => String::new(),
        };
        let _ = writeln!(text, "\t\t{:>10}\t{:>10} ({addresses})", entry.pid, entry.node.0);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_escaped() {
        assert_eq!(super::shown(b"gr\\x01p one\0\xff", true), "gr\\\\x01p one\\x00\\xff");
        assert_eq!(super::shown(b"a\\b", false), "a\\b");
    }
}
