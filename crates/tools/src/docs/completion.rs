//! Completions: options, and where it is known what an argument is, its values.

use std::fmt::Write as _;

use cib::settings;

use crate::options::{Arg, Opt, Table};

/// What can stand for an option's argument.
enum Values {
    /// These words.
    Words(Vec<&'static str>),
    /// What this command prints.
    Command(&'static str),
    /// A file.
    File,
    /// Nobody knows.
    Any,
}

/// The words that a tool takes in place of options.
fn commands(table: &Table) -> Vec<&'static str> {
    match table.tool {
        "cibsecret" => crate::cibsecret::commands(),
        _ => Vec::new(),
    }
}

const NODES: &str = "crm_node -l 2>/dev/null | cut -d' ' -f2";
const RESOURCES: &str = "crm_resource -l 2>/dev/null";

fn values(table: &Table, option: &Opt) -> Values {
    let arg = match option.arg {
        Arg::No => return Values::Any,
        Arg::Yes(arg) | Arg::Maybe(arg) => arg,
    };
    match (table.tool, option.long) {
        (_, "output-as") => Values::Words(table.output_formats()),
        ("crm_attribute", "name") => {
            Values::Words(settings::CLUSTER.iter().map(|setting| setting.name).collect())
        }
        ("crm_resource", "list-options") => Values::Words(vec!["primitive", "fencing"]),
        ("crm_attribute", "list-options") => Values::Words(vec!["cluster"]),
        ("cibadmin", "show-access") => Values::Words(vec!["color", "text", "namespace", "auto"]),
        (_, "lifetime") => Values::Words(vec!["forever", "reboot"]),
        (_, "node" | "node-up" | "node-down" | "node-fail") => Values::Command(NODES),
        ("stonith_admin", "fence" | "unfence" | "reboot" | "confirm" | "history" | "list") => {
            Values::Command(NODES)
        }
        ("crm_resource" | "crm_failcount", "resource") => Values::Command(RESOURCES),
        _ if arg.contains("FILE") || arg == "DEST" || arg == "DIR" => Values::File,
        _ => Values::Any,
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A word that may be part of a name in all shells.
fn function(tool: &str) -> String {
    tool.replace('-', "_")
}

/// For bash.
pub(super) fn bash(table: &Table) -> String {
    let (tool, name) = (table.tool, function(table.tool));
    let mut words: Vec<String> = Vec::new();
    let mut cases = String::new();
    for option in table.listed() {
        words.push(format!("--{}", option.long));
        words.extend(option.short.map(|short| format!("-{short}")));
        let spelled = match option.short {
            Some(short) => format!("--{}|-{short}", option.long),
            None => format!("--{}", option.long),
        };
        let reply = match values(table, &option) {
            Values::Words(list) => format!("$(compgen -W {} -- \"$cur\")", quoted(&list.join(" "))),
            Values::Command(command) => format!("$(compgen -W \"$({command})\" -- \"$cur\")"),
            Values::File => "$(compgen -f -- \"$cur\")".to_owned(),
            Values::Any => continue,
        };
        let spelled = spelled.replace('$', "\\$").replace('!', "\\!");
        let _ = writeln!(cases, "        {spelled}) COMPREPLY=({reply}); return ;;");
    }
    words.push("--help".to_owned());
    words.extend(commands(table).into_iter().map(str::to_owned));
    format!(
        "# Made by `quorate docs`.\n_{name}() {{\n    local cur=${{COMP_WORDS[COMP_CWORD]}} \
         prev=${{COMP_WORDS[COMP_CWORD-1]}}\n    if [ \"$cur\" = = ]; then cur=; \
         elif [ \"$prev\" = = ]; then prev=${{COMP_WORDS[COMP_CWORD-2]}}; fi\n    \
         case $prev in\n{cases}    esac\n    COMPREPLY=($(compgen -W {} -- \"$cur\"))\n}}\n\
         complete -F _{name} {tool}\n",
        quoted(&words.join(" "))
    )
}

/// For zsh.
pub(super) fn zsh(table: &Table) -> String {
    let mut out = format!("#compdef {}\n# Made by `quorate docs`.\n_arguments -s \\\n", table.tool);
    for option in table.listed() {
        let help = option.help.replace(['[', ']'], "").replace(':', "\\:");
        let action = match values(table, &option) {
            Values::Words(list) => format!("({})", list.join(" ")),
            Values::Command(command) => format!("{{compadd -- $({command})}}"),
            Values::File => "_files".to_owned(),
            Values::Any => " ".to_owned(),
        };
        let (arg, join, inline) = match option.arg {
            Arg::No => (String::new(), "", ""),
            Arg::Yes(arg) => (format!(":{arg}:{action}"), "+", "="),
            Arg::Maybe(arg) => (format!("::{arg}:{action}"), "-", "=-"),
        };
        let long = quoted(&format!("--{}{inline}[{help}]{arg}", option.long));
        let _ = writeln!(out, "    {long} \\");
        if let Some(short) = option.short {
            let short = quoted(&format!("-{short}{join}[{help}]{arg}"));
            let _ = writeln!(out, "    {short} \\");
        }
    }
    let commands = commands(table);
    if !commands.is_empty() {
        let _ = writeln!(out, "    '1:command:({})' \\", commands.join(" "));
    }
    out.push_str("    '--help[Show help options]'\n");
    out
}

/// For fish.
pub(super) fn fish(table: &Table) -> String {
    let mut out = String::from("# Made by `quorate docs`.\n");
    let commands = commands(table);
    if !commands.is_empty() {
        let (tool, words) = (table.tool, quoted(&commands.join(" ")));
        let _ = writeln!(out, "complete -c {tool} -n __fish_is_first_token -f -a {words}");
    }
    for option in table.listed() {
        let short = option.short.map(|short| format!(" -s {}", quoted(&short.to_string())));
        let arg = match (option.arg, values(table, &option)) {
            (Arg::No, _) => " -f".to_owned(),
            (_, Values::Words(list)) => format!(" -x -a {}", quoted(&list.join(" "))),
            (_, Values::Command(command)) => format!(" -x -a {}", quoted(&format!("({command})"))),
            (_, Values::File) => " -r -F".to_owned(),
            (Arg::Yes(_), Values::Any) => " -x".to_owned(),
            (Arg::Maybe(_), Values::Any) => " -f".to_owned(),
        };
        let help = option.help.lines().next().unwrap_or("");
        let _ = writeln!(
            out,
            "complete -c {}{} -l {} {arg} -d {}",
            table.tool,
            short.unwrap_or_default(),
            option.long,
            quoted(help)
        );
    }
    out
}
