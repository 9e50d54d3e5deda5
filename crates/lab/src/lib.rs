//! Hosts in namespaces on one machine: the demo, and the acceptance tests that walk through the
//! handbook. Nothing but this executable is needed, not even root where user namespaces are allowed.
//!
//! Start reading at [`lab`] (what a lab can do), then [`sandbox`] (how nothing is left behind).

pub mod acceptance;
pub mod bench;
pub mod cable;
pub mod client;
pub mod demo;
pub mod lab;
pub mod netlink;
pub mod root;
pub mod sandbox;
pub mod timeline;
pub mod units;

mod bench_engine;
mod bench_scheduler;
mod bench_tools;
mod control;
mod remote;
mod talk;

use base::Applet;

/// The commands this crate contributes to the `quorate` executable.
pub fn applets() -> Vec<Applet> {
    [
        ("demo", control::demo as fn(&[String]) -> i32),
        ("acceptance", control::acceptance),
        ("bench", control::bench),
        ("lab", control::lab),
        ("lab-sandbox", control::sandbox),
        ("lab-director", control::director),
        ("lab-host", control::host),
        ("lab-init", control::init),
        ("lab-exec", control::exec),
        ("lab-systemd", units::main),
        ("lab-talk", talk::main),
        ("lab-sshd", remote::server),
        ("lab-ssh", remote::ssh),
        ("lab-scp", remote::scp),
    ]
    .map(|(name, run)| Applet { name, dir: "", run })
    .to_vec()
}
