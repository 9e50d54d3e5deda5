//! The two fence agents that come with Pacemaker: `fence_watchdog`, whose fencing the fencer does
//! itself, and `fence_legacy`, which calls the `stonith` command of cluster-glue.
//!
//! Source: `spec/cli-pacemaker.md` §10.2.

use std::io::{IsTerminal as _, Read as _};
use std::process::Command;

use crate::output::print_best_effort;

const WATCHDOG_ABOUT: &str = "fence_watchdog just provides\n\
     meta-data - actual fencing is done by the pacemaker internal watchdog agent.";

const WATCHDOG_HELP: &str = "
Usage:
\tfence_watchdog [options]
Options:
   -o, --action=[action]          Action: metadata
   -N, --nodename                 Node name of fence target (ignored)
   -n, --plug=[id]                Physical plug number on device (ignored)
   -V, --version                  Display version information and exit
   -h, --help                     Display this help and exit
";

/// A parameter in an agent's metadata: name, whether it is required, spelling on the command line,
/// type, default, what it is.
type Parameter =
    (&'static str, bool, &'static str, &'static str, Option<&'static str>, &'static str);

const WATCHDOG: &[Parameter] = &[
    ("action", true, "-o, --action=[action]", "string", Some("metadata"), "Fencing Action"),
    ("nodename", false, "-N, --nodename", "string", None, "Ignored"),
    ("plug", true, "-n, --plug=[id]", "string", None, "Ignored"),
    ("version", false, "-V, --version", "boolean", None, "Display version information and exit"),
    ("help", false, "-h, --help", "boolean", None, "Display help and exit"),
];

const LEGACY: &[Parameter] = &[
    ("action", true, "-o &lt;action&gt;", "string", Some("disable"), "Fencing Action"),
    (
        "port",
        true,
        "-n &lt;id&gt;",
        "string",
        None,
        "Physical plug number or name of virtual machine",
    ),
    ("help", false, "-h", "string", None, "Display help and exit"),
];

fn metadata(
    name: &str,
    short: &str,
    long: &str,
    parameters: &[Parameter],
    actions: &[&str],
) -> String {
    let mut text = format!(
        "<?xml version=\"1.0\" ?>\n<resource-agent name=\"{name}\" shortdesc=\"{short}\">\n\
         <longdesc>{long}</longdesc>\n<parameters>\n"
    );
    for (name, required, getopt, kind, default, about) in parameters {
        let required = u8::from(*required);
        let default = default.map(|value| format!("default=\"{value}\"")).unwrap_or_default();
        text.push_str(&format!(
            "    <parameter name=\"{name}\" required=\"{required}\">\n      \
             <getopt mixed=\"{getopt}\" />\n      <content type=\"{kind}\" {default} />\n      \
             <shortdesc lang=\"en\">{about}</shortdesc>\n    </parameter>\n"
        ));
    }
    text.push_str("  </parameters>\n <actions>\n");
    for action in actions {
        text.push_str(&format!("    <action name=\"{action}\" />\n"));
    }
    text.push_str("  </actions>\n</resource-agent>\n");
    text
}

/// What the command line or, without one, standard input says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wishes {
    action: Option<String>,
    node: Option<String>,
    plugin: Option<String>,
    /// Everything that came on standard input.
    params: Vec<(String, String)>,
}

/// Reads `NAME=VALUE` lines. The error is the number of a line that is none.
fn read_lines(text: &str) -> Result<Wishes, usize> {
    let mut wishes = Wishes::default();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else { return Err(index + 1) };
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() {
            return Err(index + 1);
        }
        match name {
            "option" | "action" => wishes.action = Some(value.to_owned()),
            "nodename" => wishes.node = Some(value.to_owned()),
            "plugin" => wishes.plugin = Some(value.to_owned()),
            _ => {}
        }
        if !matches!(name, "option" | "action" | "plugin") {
            wishes.params.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok(wishes)
}

fn read_stdin() -> String {
    let mut bytes = Vec::new();
    let stdin = std::io::stdin();
    // Somebody who types is not asked for lines.
    if stdin.is_terminal() || stdin.lock().read_to_end(&mut bytes).is_err() {
        return String::new();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `fence_watchdog`.
pub fn watchdog(args: &[String]) -> i32 {
    let mut action = None;
    let mut words = args.iter().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-h" | "--help" => {
                print_best_effort(&format!("{WATCHDOG_ABOUT}\n{WATCHDOG_HELP}"));
                return 0;
            }
            "-V" | "--version" => {
                print_best_effort("1.0.0\n");
                return 0;
            }
            "-o" | "--action" => action = words.next().cloned(),
            "-N" | "--nodename" | "-n" | "--plug" => drop(words.next()),
            other => match other.split_once('=') {
                Some(("--action", value)) => action = Some(value.to_owned()),
                Some(("--nodename" | "--plug", _)) => {}
                _ => {
                    eprintln!("Parse error: option {other} not recognized");
                    eprintln!("Please use '-h' for usage");
                    return 1;
                }
            },
        }
    }
    if args.len() <= 1 {
        let text = read_stdin();
        for line in text.lines() {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            match name.trim() {
                "action" | "option" => action = Some(value.trim().to_owned()),
                "nodename" | "plug" | "port" | "version" | "help" | "" => {}
                _ => eprintln!("Parse error: Ignoring unknown option '{line}'"),
            }
        }
    }
    if matches!(action.as_deref(), Some("metadata" | "meta-data")) {
        let actions = ["on", "off", "reboot", "monitor", "list", "metadata"];
        let short = "Dummy watchdog fence agent";
        print_best_effort(&metadata("fence_watchdog", short, WATCHDOG_ABOUT, WATCHDOG, &actions));
        return 0;
    }
    eprintln!("Watchdog fencing may be initiated only by the cluster, not this agent.");
    1
}

const LEGACY_HELP: &str =
    "Helper that presents a Pacemaker-style interface for Linux-HA stonith plugins

Should never be invoked by the user directly


Usage: fence_legacy [options]

Options:
  -h               usage
  -t <sub agent>   sub agent
  -n <name>        nodename
  -o <string>      Action:  on | off | reset (default) | stat | hostlist
  -s <stonith>     stonith command
  -q               quiet mode
  -V               version
";

const LEGACY_ACTIONS: &[&str] = &[
    "on", "off", "reset", "reboot", "stat", "status", "metadata", "monitor", "list", "hostlist",
    "poweroff", "poweron",
];

fn wrong(what: &str) -> i32 {
    eprintln!("usage: fence_legacy [-t SUBAGENT] [-n NODE] [-o ACTION] [-s COMMAND] [-q] [-h]");
    eprintln!("                    [-V]");
    eprintln!("fence_legacy: error: {what}");
    2
}

/// `fence_legacy`.
pub fn legacy(args: &[String]) -> i32 {
    let mut wishes = Wishes::default();
    let (mut stonith, mut quiet) = ("stonith".to_owned(), false);
    let mut asked = false;
    let mut words = args.iter().skip(1);
    while let Some(word) = words.next() {
        let (letter, glued) = match word.strip_prefix('-') {
            Some(rest) if rest.is_char_boundary(1) && !rest.is_empty() => rest.split_at(1),
            _ => return wrong(&format!("unrecognized arguments: {word}")),
        };
        let mut value = || match glued.is_empty() {
            true => words.next().cloned(),
            false => Some(glued.to_owned()),
        };
        match letter {
            "h" => {
                print_best_effort(LEGACY_HELP);
                return 0;
            }
            "V" => {
                print_best_effort("1.1.0\n");
                return 0;
            }
            "q" => quiet = true,
            "t" | "n" | "o" | "s" => {
                let Some(value) = value() else {
                    return wrong(&format!("argument -{letter}: expected one argument"));
                };
                match letter {
                    "t" => wishes.plugin = Some(value),
                    "n" => wishes.node = Some(value),
                    "s" => stonith = value,
                    _ => wishes.action = Some(value),
                }
                asked |= letter != "s";
            }
            _ => return wrong(&format!("unrecognized arguments: {word}")),
        }
    }
    if !asked {
        match read_lines(&read_stdin()) {
            Ok(read) => wishes = read,
            Err(line) => {
                eprintln!("parse error: illegal name in option {line}");
                return 2;
            }
        }
    }
    let action = wishes.action.clone().unwrap_or_else(|| "reset".to_owned());
    if !LEGACY_ACTIONS.contains(&action.as_str()) {
        let choices: Vec<String> = LEGACY_ACTIONS.iter().map(|name| format!("'{name}'")).collect();
        let choices = choices.join(", ");
        return wrong(&format!("argument -o: invalid choice: '{action}' (choose from {choices})"));
    }
    if action == "metadata" {
        let actions = ["enable", "disable", "reboot", "off", "on", "status", "list", "metadata"];
        let long = "\nThis agent should never be invoked by the user directly.\n";
        let short = "Helper that presents a Pacemaker-style interface for Linux-HA stonith plugins";
        print_best_effort(&metadata("fence_pcmk", short, long, LEGACY, &actions));
        return 0;
    }
    run_stonith(&stonith, &wishes, &action, quiet)
}

/// Calls the command, which takes the plugin's parameters from the environment (`-E`).
fn run_stonith(stonith: &str, wishes: &Wishes, action: &str, quiet: bool) -> i32 {
    let node = wishes.node.as_deref().unwrap_or("");
    let mut words = vec!["-t", wishes.plugin.as_deref().unwrap_or("none"), "-E"];
    let lists = matches!(action, "list" | "hostlist");
    match action {
        "list" | "hostlist" => words.push("-l"),
        "stat" | "status" | "monitor" => words.push("-S"),
        _ if node.is_empty() => {
            print_best_effort("failed: no plug number\n");
            return 1;
        }
        "reset" | "reboot" => words.extend(["-T", "reset", node]),
        "on" | "poweron" => words.extend(["-T", "on", node]),
        _ => words.extend(["-T", "off", node]),
    }
    let tells = !quiet && !lists;
    if tells {
        print_best_effort(&format!("Performing: {stonith} {}\n", words.join(" ")));
    }
    let params = wishes.params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let code = match Command::new(stonith).args(&words).envs(params).status() {
        Ok(status) => status.code().unwrap_or(1),
        Err(error) => {
            eprintln!("{stonith}: {error}");
            127
        }
    };
    if tells {
        let word = if code == 0 { "success" } else { "failed" };
        print_best_effort(&format!("{word}: {node} {code}\n"));
    }
    i32::from(code != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let wishes = read_lines("# x\naction=off\nplugin=external/ssh\nnodename=n1\nfoo=bar x\n");
        let wishes = wishes.unwrap();
        assert_eq!(wishes.action.as_deref(), Some("off"));
        assert_eq!(wishes.plugin.as_deref(), Some("external/ssh"));
        assert_eq!(wishes.node.as_deref(), Some("n1"));
        assert_eq!(wishes.params.len(), 2);
        assert_eq!(read_lines("action=off\nbogus\n"), Err(2));
    }

    #[test]
    fn metadata_is_xml() {
        for parameters in [WATCHDOG, LEGACY] {
            let text = metadata("x", "s", "l", parameters, &["on"]);
            let tree = xml::parse(&text).unwrap();
            let count = tree.child("parameters").unwrap().children().count();
            assert_eq!(count, parameters.len());
        }
    }
}
