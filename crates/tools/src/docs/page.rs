//! Manual pages.

use std::fmt::Write as _;

use cib::settings::{self, Kind, Setting};

use crate::options::{Arg, Opt, Table};

/// Text as roff takes it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        // A line that begins with these would be a request.
        if line.starts_with(['.', '\'']) {
            out.push_str("\\&");
        }
        for c in line.chars() {
            match c {
                '\\' => out.push_str("\\e"),
                '-' => out.push_str("\\-"),
                other => out.push(other),
            }
        }
    }
    out
}

fn head(out: &mut String, name: &str, section: u8, what: &str) {
    let _ = writeln!(out, ".TH {} {section} \"\" Quorate \"Pacemaker\"", name.to_uppercase());
    let _ = writeln!(out, ".SH NAME\n{} \\- {}", escaped(name), escaped(what));
}

fn option(out: &mut String, option: &Opt) {
    let mut spelled = match option.short {
        Some(short) => format!("-{short}, --{}", option.long),
        None => format!("--{}", option.long),
    };
    match option.arg {
        Arg::No => {}
        Arg::Yes(arg) => spelled.push_str(&format!("={arg}")),
        Arg::Maybe(arg) => spelled.push_str(&format!("[={arg}]")),
    }
    let _ = writeln!(out, ".TP\n\\fB{}\\fR\n{}", escaped(&spelled), escaped(option.help));
}

/// The page of a tool.
pub(super) fn page(table: &Table) -> String {
    let mut out = String::new();
    let (what, more) = table.summary.split_once("\n\n").unwrap_or((table.summary, ""));
    head(&mut out, table.tool, 8, what);
    let usage = escaped(table.usage);
    let _ = writeln!(out, ".SH SYNOPSIS\n.B {}\n{usage}", escaped(table.tool));
    if !more.is_empty() {
        let _ = writeln!(out, ".SH DESCRIPTION\n{}", escaped(more));
    }
    let listed = table.listed();
    let groups = table.all_groups();
    for (key, title) in groups.iter().chain([&("", "Options")]) {
        let mut of_group = listed.iter().filter(|option| option.group == *key).peekable();
        if of_group.peek().is_none() {
            continue;
        }
        let title = title.trim_end_matches(':').to_uppercase();
        let _ = writeln!(out, ".SH {}", escaped(&title));
        of_group.for_each(|one| option(&mut out, one));
    }
    if !table.notes.is_empty() {
        let _ = writeln!(out, ".SH NOTES\n.nf\n{}\n.fi", escaped(table.notes));
    }
    let _ = writeln!(
        out,
        ".SH \"EXIT STATUS\"\n0 on success; other codes are explained by\n.BR \"crm_error \\-X\" ."
    );
    let _ = writeln!(
        out,
        ".SH \"SEE ALSO\"\n.BR crm (8),\n.BR crm_error (8),\n.BR pacemaker\\-options (7)"
    );
    out
}

fn setting(out: &mut String, setting: &Setting) {
    let _ = writeln!(out, ".TP\n\\fB{}\\fR", escaped(setting.name));
    let _ = writeln!(out, "{}", escaped(setting.short));
    if setting.has_long() {
        let _ = writeln!(out, ".IP\n{}", escaped(setting.long()));
    }
    let values = match setting.kind {
        Kind::Select(values) => values.join(", "),
        other => other.name().to_owned(),
    };
    let default = setting.default.map(|value| format!("; default {value}")).unwrap_or_default();
    let mark = match (setting.deprecated, setting.advanced) {
        (true, _) => "; deprecated",
        (false, true) => "; for experts",
        (false, false) => "",
    };
    let _ = writeln!(out, ".IP\nValues: {}", escaped(&format!("{values}{default}{mark}")));
}

/// The page of everything that can be configured.
pub(super) fn options_page() -> String {
    let mut out = String::new();
    head(&mut out, "pacemaker-options", 7, "options of the cluster, of resources and operations");
    for (title, table) in [
        ("CLUSTER OPTIONS", settings::CLUSTER),
        ("RESOURCE META-ATTRIBUTES", settings::PRIMITIVE),
        ("GROUP META-ATTRIBUTES", settings::GROUP),
        ("CLONE META-ATTRIBUTES", settings::CLONE),
        ("OPERATION ATTRIBUTES", settings::OPERATION),
        ("FENCING PARAMETERS", settings::FENCING),
    ] {
        let _ = writeln!(out, ".SH \"{}\"", escaped(title));
        table.iter().for_each(|one| setting(&mut out, one));
    }
    out
}
