//! The `corosync-*` commands: clients of the engine, with upstream's options, output and exit
//! statuses.
//!
//! Each is a module with a `run`; [`getopt`] reads command lines as the C library does, down to
//! its complaints. They work on any corosync 3: ours or Debian's.
//!
//! Source: `spec/corosync-conf-and-tools.md` §6.

mod blackbox;
mod cfgtool;
mod cmapctl;
mod cpg_load;
mod cpgtool;
mod getopt;
mod ipc_storm;
mod keygen;
mod notifyd;
mod quorumtool;
mod votes;
mod xmlproc;

use base::Applet;
use std::io::Write;

/// The commands of this module.
pub fn applets() -> Vec<Applet> {
    let sbin = |name, run| Applet { name, dir: "sbin", run };
    vec![
        sbin("corosync-cfgtool", cfgtool::run),
        sbin("corosync-cmapctl", cmapctl::run),
        sbin("corosync-cpgtool", cpgtool::run),
        sbin("corosync-keygen", keygen::run),
        sbin("corosync-notifyd", notifyd::run),
        sbin("corosync-quorumtool", quorumtool::run),
        Applet { name: "corosync-blackbox", dir: "bin", run: blackbox::run },
        Applet { name: "corosync-xmlproc", dir: "bin", run: xmlproc::run },
        Applet { name: "cpg-load", dir: "", run: cpg_load::run },
        Applet { name: "ipc-storm", dir: "", run: ipc_storm::run },
    ]
}

/// Writes to stdout. A reader that went away (`| head`) is no reason to complain.
fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}

/// Writes a line to stderr.
fn complain(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A positive number, as upstream's tools read them: all of the word, decimal.
fn positive(word: &str) -> Option<u32> {
    word.parse().ok().filter(|number| *number > 0)
}
