//! pacemakerd: starts the daemons, watches them, restarts them, stops them in order.
//!
//! [`core`] decides (a state machine over six [`Daemon`]s), [`env`] reads the configuration file
//! that becomes the daemons' environment, [`prepare`] has everything ready, [`spawn`] starts processes as the right users, [`probe`]
//! asks daemons for a sign of life without waiting for it, [`panic`] resets the host when that is
//! the only safe thing left, [`shell`] is the daemon around all of it.
//!
//! Source: `spec/pacemaker-cluster.md` §11, §19; `spec/pacemaker-ipc.md` §6.

pub mod core;
#[cfg(test)]
mod core_tests;
pub mod env;
pub mod panic;
mod prepare;
pub mod probe;
pub mod shell;
pub mod spawn;

/// The daemons, in the order they are started.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Daemon {
    /// The CIB manager.
    Based,
    /// The fencer.
    Fenced,
    /// The executor.
    Execd,
    /// The attribute manager.
    Attrd,
    /// The scheduler.
    Schedulerd,
    /// The controller.
    Controld,
}

impl Daemon {
    /// All, in starting order.
    pub const ALL: [Daemon; 6] = [
        Daemon::Based,
        Daemon::Fenced,
        Daemon::Execd,
        Daemon::Attrd,
        Daemon::Schedulerd,
        Daemon::Controld,
    ];

    /// Its process's name.
    pub const fn name(self) -> &'static str {
        match self {
            Daemon::Based => "pacemaker-based",
            Daemon::Fenced => "pacemaker-fenced",
            Daemon::Execd => "pacemaker-execd",
            Daemon::Attrd => "pacemaker-attrd",
            Daemon::Schedulerd => "pacemaker-schedulerd",
            Daemon::Controld => "pacemaker-controld",
        }
    }

    /// The IPC service by which its life is judged.
    pub const fn service(self) -> &'static str {
        match self {
            Daemon::Based => "cib_ro",
            Daemon::Fenced => "stonith-ng",
            Daemon::Execd => "lrmd",
            Daemon::Attrd => "attrd",
            Daemon::Schedulerd => "pengine",
            Daemon::Controld => "crmd",
        }
    }

    /// Runs as root; the others run as the cluster's user.
    pub const fn is_root(self) -> bool {
        matches!(self, Daemon::Fenced | Daemon::Execd)
    }

    /// Cannot work without the cluster engine.
    pub const fn needs_cluster(self) -> bool {
        !matches!(self, Daemon::Execd | Daemon::Schedulerd)
    }
}
