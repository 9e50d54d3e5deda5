//! The crm shell: one command line for the whole cluster (`crm status`, `crm configure …`).
//!
//! A line goes through these rooms: [`words`] splits it, [`levels`] finds the command, [`shell`]
//! keeps the level and the pending configuration, [`grammar`] turns definitions into CIB elements,
//! [`session`] edits the document, [`show`] turns it back into text, and the other programs
//! (`cibadmin`, `crm_mon`, `crm_resource`, …) do the talking to the cluster, see `programs`.
//!
//! Source: `spec/crmsh.md`.

mod checks;
mod complete;
mod configure;
mod edit;
pub mod grammar;
mod help;
pub mod ids;
mod interactive;
pub mod levels;
mod live;
mod node;
mod programs;
mod ra;
mod ra_commands;
mod resource;
mod say;
pub mod session;
mod shell;
pub mod show;
mod status;
pub mod words;

use std::io::{BufRead, IsTerminal};

use base::Applet;

use shell::{Options, Shell, Verdict};

/// The commands this crate contributes to the `quorate` executable.
pub fn applets() -> Vec<Applet> {
    vec![Applet { name: "crm", dir: "sbin", run: main }]
}

/// This host's name, as the cluster knows it.
pub(crate) fn local_node() -> String {
    let output = programs::capture("crm_node", &["-n"], None);
    let name = output.stdout.trim();
    if output.is_ok() && !name.is_empty() {
        return name.to_owned();
    }
    let uname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    uname.trim().to_owned()
}

/// Columns of the terminal, 80 when there is none.
pub(crate) fn terminal_width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).unwrap_or(80)
}

/// Tells how a command is used; a failure.
pub(crate) fn usage(level: &str, name: &str) -> Verdict {
    let command = levels::level(level)
        .and_then(|level| level.commands.iter().find(|command| command.name == name));
    say::error(&format!("{level}.{name}: wrong number or kind of arguments"));
    if let Some(command) = command {
        say::info(&format!("usage: {} {}", command.name, command.usage));
    }
    Verdict::Failed
}

/// With `-w`: waits until the cluster has done what the change asks for.
pub(crate) fn wait_if_wanted(shell: &Shell, verdict: Verdict) -> Verdict {
    if verdict == Verdict::Done && shell.options.wait && live::is_live() {
        return Verdict::of(programs::show("crm_resource", &["--wait"]) == 0);
    }
    verdict
}

const HELP: &str = "\
Usage: crm [-h|--help] [OPTIONS] [SUBCOMMAND ARGS...]

  -f, --file=FILE      read commands from FILE (- is standard input)
  -c, --cib=CIB        work on this shadow CIB
  -F, --force          no questions, semantic errors are only warnings
  -w, --wait           after a change wait until the cluster has settled
  -n, --no             answer every question with no
  -d, --debug          accepted
  -D, --display=TYPE   plain, color, color-always, uppercase: accepted
      --version        print the version

Without a subcommand the shell is interactive; `help` there lists the commands.
";

fn main(args: &[String]) -> i32 {
    let mut options = Options::default();
    let mut file: Option<String> = None;
    let mut rest = args[1..].iter();
    let mut words: Vec<String> = Vec::new();
    while let Some(arg) = rest.next() {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (arg.as_str(), None),
        };
        let mut take = || value.clone().or_else(|| rest.next().cloned());
        match name {
            "-h" | "--help" => {
                say::out(HELP);
                return 0;
            }
            "--version" => {
                say::out(&format!("crm {} (Quorate)\n", env!("CARGO_PKG_VERSION")));
                return 0;
            }
            "-f" | "--file" => file = take(),
            "-c" | "--cib" => match take() {
                Some(cib) => programs::set_shadow(&cib),
                None => say::error("--cib wants the name of a shadow CIB"),
            },
            "-F" | "--force" => options.force = true,
            "-w" | "--wait" => options.wait = true,
            "-n" | "--no" => options.never = true,
            "-d" | "--debug" | "-R" | "--regression-tests" => {}
            "-D" | "--display" | "-H" | "--history" | "-X" | "--profile" | "-o" | "--opt"
            | "--scriptdir" => {
                take();
            }
            "--compgen" => return compgen(rest.as_slice()),
            _ if arg.starts_with("--") => {}
            _ => {
                words.push(arg.clone());
                words.extend(rest.by_ref().cloned());
            }
        }
    }
    let on_terminal = std::io::stdin().is_terminal();
    let interactive = words.is_empty() && file.is_none() && on_terminal;
    let mut shell = Shell::new(options, interactive);
    let well = if !words.is_empty() {
        let verdict = shell.words(&words);
        // A line that only names a level opens the shell there.
        if verdict == Verdict::Done && !shell.level().name.is_empty() && on_terminal {
            shell.interactive = true;
            interactive::run(&mut shell)
        } else {
            verdict != Verdict::Failed && shell.leave() != Verdict::Failed
        }
    } else if interactive {
        interactive::run(&mut shell)
    } else {
        match file.as_deref() {
            None | Some("-") => shell.script(std::io::stdin().lock().lines().map_while(Result::ok)),
            Some(path) => match std::fs::read_to_string(path) {
                Ok(text) => shell.script(text.lines().map(str::to_owned)),
                Err(error) => {
                    say::error(&format!("cannot read {path}: {error}"));
                    say::out(HELP);
                    return 2;
                }
            },
        }
    };
    i32::from(!well)
}

/// `--compgen POINT LINE`: candidates for the shell's own completion, one a line.
fn compgen(args: &[String]) -> i32 {
    let Some(line) = args.get(1) else { return 1 };
    let point = args[0].parse().unwrap_or(line.len()).min(line.len());
    let Some(line) = line.get(..point) else { return 1 };
    let line = line.strip_prefix("crm").map_or(line, str::trim_start);
    let mut shell = Shell::new(Options::default(), false);
    let names = complete::Names::of(&mut shell);
    for word in complete::candidates(&levels::ROOT, line, &names) {
        say::out(&format!("{word}\n"));
    }
    0
}
