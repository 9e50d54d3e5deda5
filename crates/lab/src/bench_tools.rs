//! `quorate bench tools`: what it costs to start each command, beside Debian's, as a table in
//! Markdown (`docs/performance.md`).
//!
//! `--version` does nothing but start: what is measured is loading, linking and the command line.
//! Both sides take turns and the best of the rounds counts.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use base::CrmExit;

use crate::bench_scheduler::kernel;

const TOOLS: [&str; 20] = [
    "attrd_updater",
    "cibadmin",
    "cibsecret",
    "crm_attribute",
    "crm_diff",
    "crm_error",
    "crm_failcount",
    "crm_master",
    "crm_mon",
    "crm_node",
    "crm_resource",
    "crm_rule",
    "crm_shadow",
    "crm_simulate",
    "crm_standby",
    "crm_ticket",
    "crm_verify",
    "crmadmin",
    "iso8601",
    "stonith_admin",
];

/// The command; `args[0]` is its name.
pub(crate) fn run(args: &[String]) -> i32 {
    let rounds = match args.first().map(|rounds| rounds.parse::<usize>()) {
        None => 20,
        Some(Ok(rounds)) if rounds > 0 => rounds,
        Some(_) => {
            eprintln!("Usage: quorate bench tools [ROUNDS]");
            return CrmExit::Usage.code();
        }
    };
    match table(rounds) {
        Ok(()) => CrmExit::Ok.code(),
        Err(error) => {
            eprintln!("quorate bench tools: {error}");
            CrmExit::Error.code()
        }
    }
}

/// Milliseconds and MB.
#[derive(Clone, Copy)]
struct Start {
    milliseconds: f64,
    peak_mb: f64,
}

fn table(rounds: usize) -> io::Result<()> {
    let own = std::env::current_exe()?;
    println!("| `--version` of | ours, ms | Debian, ms | Debian / ours | ours, MB | Debian, MB |");
    println!("|---|---|---|---|---|---|");
    for tool in TOOLS {
        let debian = Path::new("/usr/sbin").join(tool);
        // Where our tree lies over /usr there is nothing to compare with.
        let has_debian = debian.is_file() && !debian.canonicalize()?.ends_with("quorate");
        let (mut ours, mut theirs) = (None, None);
        for _ in 0..rounds {
            ours = better(ours, start(&own, tool)?);
            if has_debian {
                theirs = better(theirs, start(&debian, tool)?);
            }
        }
        let Some(ours) = ours else {
            return Err(io::Error::other(format!("`{tool} --version` of ours failed")));
        };
        let (their_ms, ratio, their_mb) = match theirs {
            Some(theirs) => (
                format!("{:.1}", theirs.milliseconds),
                format!("{:.1}", theirs.milliseconds / ours.milliseconds),
                format!("{:.1}", theirs.peak_mb),
            ),
            None => ("–".to_owned(), "–".to_owned(), "–".to_owned()),
        };
        println!(
            "| {tool} | {:.1} | {their_ms} | {ratio} | {:.1} | {their_mb} |",
            ours.milliseconds, ours.peak_mb
        );
    }
    Ok(())
}

fn better(best: Option<Start>, new: Option<Start>) -> Option<Start> {
    match (best, new) {
        (Some(best), Some(new)) if best.milliseconds <= new.milliseconds => Some(best),
        (best, new) => new.or(best),
    }
}

/// `None` if the command failed.
fn start(program: &Path, tool: &str) -> io::Result<Option<Start>> {
    let mut command = Command::new(program);
    command.arg0(tool).arg("--version");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begin = Instant::now();
    let child = command.spawn()?;
    let (ok, cost) = kernel::wait(&child)?;
    let milliseconds = begin.elapsed().as_secs_f64() * 1e3;
    Ok(ok.then_some(Start { milliseconds, peak_mb: cost.peak_mb }))
}
