//! Asking for a password on a terminal, without showing it, once for each run of a command.
//!
//! Source: `spec/cli-pacemaker.md` §4 (`CIB_passwd`).

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::OnceLock;

use pacemaker_client::cib::remote::Password;
use rustix::termios::{self, LocalModes, OptionalActions, Termios};

/// The longest password that is read.
const LEN_MAX: u64 = 1023;

/// Restores the terminal, whatever happens.
struct Quiet {
    before: Termios,
}

impl Quiet {
    fn new() -> io::Result<Quiet> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        termios::tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Quiet { before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // If the terminal went meanwhile there is nothing to restore.
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
    }
}

/// Asks, the first time; `None` if stdin is no terminal or nothing was typed.
pub fn ask() -> Option<Password> {
    // Who connects again (`crm_mon`) does not ask again.
    static ASKED: OnceLock<Option<Password>> = OnceLock::new();
    ASKED.get_or_init(read).clone()
}

fn read() -> Option<Password> {
    if !io::stdin().is_terminal() {
        return None;
    }
    let quiet = Quiet::new().ok()?;
    eprint!("Password: ");
    io::stderr().flush().ok()?;
    let mut line = String::new();
    let read = io::Read::take(io::stdin().lock(), LEN_MAX).read_line(&mut line);
    drop(quiet);
    eprintln!();
    read.ok()?;
    let text = line.trim_end_matches(['\r', '\n']);
    (!text.is_empty()).then(|| Password::new(text))
}
