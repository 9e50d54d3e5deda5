//! Running the other commands: the shell drives `cibadmin`, `crm_mon`, `crm_resource` and their
//! like as every other user would, so that `CIB_file`, shadows and access rights mean the same.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What a program said and how it ended.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// Exit status; 128 + N for signal N.
    pub status: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// Whether it succeeded.
    pub fn is_ok(&self) -> bool {
        self.status == 0
    }

    /// The first line that says something about a failure.
    pub fn complaint(&self) -> &str {
        let mut lines = self.stderr.lines().chain(self.stdout.lines());
        lines.find(|line| !line.trim().is_empty()).unwrap_or("no message").trim()
    }
}

static SHADOW: OnceLock<String> = OnceLock::new();

/// From now on all programs work on this shadow CIB.
pub fn set_shadow(name: &str) {
    // The first one named on the command line counts.
    let _ = SHADOW.set(name.to_owned());
}

/// The shadow CIB in use, from the command line or the environment.
pub fn shadow() -> Option<String> {
    SHADOW.get().cloned().or_else(|| std::env::var("CIB_shadow").ok())
}

/// The command for one of our own applets: this very executable under the applet's name, so that
/// no search path can mix two installations.
fn applet(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(name).args(args);
    if let Some(shadow) = SHADOW.get() {
        command.env("CIB_shadow", shadow);
    }
    command
}

fn status_of(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1)
}

/// Runs an applet with the terminal as its own; gives the exit status.
pub fn show(name: &str, args: &[&str]) -> i32 {
    match applet(name, args).status() {
        Ok(status) => status_of(status),
        Err(error) => {
            crate::say::error(&format!("cannot run {name}: {error}"));
            1
        }
    }
}

/// Runs an applet and keeps what it says. `input` goes to its standard input.
pub fn capture(name: &str, args: &[&str], input: Option<&str>) -> Output {
    let mut command = applet(name, args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let failed = |error: std::io::Error| Output {
        status: 1,
        stderr: format!("cannot run {name}: {error}"),
        ..Output::default()
    };
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return failed(error),
    };
    // A thread feeds the input: a program that prints before it has read all must not block us.
    let feeder = input.map(str::to_owned).zip(child.stdin.take()).map(|(text, mut stdin)| {
        std::thread::spawn(move || {
            // A program that does not read its input to the end is no error of ours.
            let _ = stdin.write_all(text.as_bytes());
        })
    });
    let output = match child.wait_with_output() {
        Ok(output) => output,
        Err(error) => return failed(error),
    };
    if let Some(feeder) = feeder {
        // It cannot panic; a broken pipe was expected above.
        let _ = feeder.join();
    }
    Output {
        status: status_of(output.status),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
