//! What the tool does outside of itself: other programs, and what it says. Tests have another.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pacemaker_client::client::ClientError;
use pacemaker_client::controld::Controld;

use crate::source::PATIENCE;

/// What a program said.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// Whether it ended well.
    pub(super) is_ok: bool,
    /// Standard output.
    pub(super) out: String,
    /// Standard error.
    pub(super) err: String,
}

/// Everything outside.
pub(super) trait World {
    /// Whether a program of this name can be run.
    fn has(&self, program: &str) -> bool;
    /// Whether this node's controller runs.
    fn is_controller_running(&self) -> bool;
    /// Runs one of our own commands and returns what it says.
    fn ask(&mut self, words: &[&str]) -> Said;
    /// Runs one of our own commands for the user to read what it says; its exit status.
    fn tell(&mut self, words: &[&str]) -> i32;
    /// Runs another program and returns what it says.
    fn probe(&mut self, words: &[&str]) -> Said;
    /// Which of these hosts answer `ping`.
    fn pinged(&mut self, hosts: &[String]) -> Vec<String>;
    /// Runs another program that talks to the user itself; its exit status.
    fn command(&mut self, words: &[&str]) -> i32;
    /// Says a line.
    fn say(&mut self, text: &str);
    /// Says a line that is no answer.
    fn remark(&mut self, text: &str);
    /// Says a line to the administrator's standard error.
    fn complain(&mut self, text: &str);
    /// No remarks from now on.
    fn set_quiet(&mut self);
    /// Show what is run on other nodes.
    fn set_verbose(&mut self);
}

impl dyn World + '_ {
    pub(super) fn error(&mut self, text: &str) {
        self.say(&format!("ERROR: {text}"));
    }

    pub(super) fn warn(&mut self, text: &str) {
        self.say(&format!("WARNING: {text}"));
    }

    pub(super) fn info(&mut self, text: &str) {
        self.remark(&format!("INFO: {text}"));
    }
}

/// The machine.
#[derive(Default)]
pub(super) struct Real {
    quiet: bool,
    verbose: bool,
}

/// A program of `PATH`.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let is_program = |path: &Path| {
        use std::os::unix::fs::PermissionsExt;
        path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| is_program(path))
}

fn said(command: &mut Command) -> Said {
    match command.stdin(Stdio::null()).output() {
        Ok(output) => Said {
            is_ok: output.status.success(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        },
        Err(error) => Said { err: error.to_string(), ..Said::default() },
    }
}

/// One of our own commands, whatever else of that name is installed.
fn own(words: &[&str]) -> Command {
    let mut command = match std::env::current_exe() {
        Ok(exe) => Command::new(exe),
        Err(_) => Command::new(words.first().copied().unwrap_or_default()),
    };
    command.arg0(words.first().copied().unwrap_or_default()).args(words.iter().skip(1));
    command
}

fn other(words: &[&str]) -> Command {
    let mut command = Command::new(words.first().copied().unwrap_or_default());
    command.args(words.iter().skip(1));
    command
}

impl World for Real {
    fn has(&self, program: &str) -> bool {
        find(program).is_some()
    }

    fn is_controller_running(&self) -> bool {
        // One that refuses this user runs.
        use std::io::ErrorKind::{ConnectionRefused, NotFound};
        match Controld::connect_patiently("cibsecret", PATIENCE) {
            Err(ClientError::Io(error)) => !matches!(error.kind(), NotFound | ConnectionRefused),
            _ => true,
        }
    }

    fn ask(&mut self, words: &[&str]) -> Said {
        said(&mut own(words))
    }

    fn tell(&mut self, words: &[&str]) -> i32 {
        let mut command = own(words);
        if self.quiet {
            command.stdout(Stdio::null());
        }
        run(&mut command)
    }

    fn probe(&mut self, words: &[&str]) -> Said {
        said(&mut other(words))
    }

    fn pinged(&mut self, hosts: &[String]) -> Vec<String> {
        // All at once: a host that is off costs its time but once.
        let ping = |host: &String| {
            let mut command = Command::new("ping");
            command.args(["-c", "2", "-q", host]).stdin(Stdio::null());
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()
        };
        let children: Vec<_> = hosts.iter().map(|host| (host, ping(host))).collect();
        let mut alive = Vec::new();
        for (host, child) in children {
            if child.and_then(|mut child| child.wait()).is_ok_and(|status| status.success()) {
                alive.push(host.clone());
            }
        }
        alive
    }

    fn command(&mut self, words: &[&str]) -> i32 {
        if self.verbose {
            eprintln!("+ {}", words.join(" "));
        }
        run(other(words).stdin(Stdio::null()))
    }

    fn say(&mut self, text: &str) {
        crate::output::print_best_effort(&format!("{text}\n"));
    }

    fn remark(&mut self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    fn complain(&mut self, text: &str) {
        eprintln!("cibsecret: {text}");
    }

    fn set_quiet(&mut self) {
        self.quiet = true;
    }

    fn set_verbose(&mut self) {
        self.verbose = true;
    }
}

/// Runs a program to its end; its exit status, that of shells where it has none.
fn run(command: &mut Command) -> i32 {
    // What was said before must come before what the program says.
    drop(std::io::stdout().flush());
    match command.status() {
        Ok(status) => status.code().unwrap_or(255),
        Err(error) => {
            eprintln!("cibsecret: {}: {error}", command.get_program().to_string_lossy());
            127
        }
    }
}
