//! The daemons' log: where it goes is told by the environment (`spec/cli-pacemaker.md` §5).

use pacemaker_client::account;
use qb::log::{Config, Logger};

use crate::daemon::Options;

/// Opens the log of this process. `env` looks up variables.
pub(crate) fn open(
    daemon: &str,
    options: &Options,
    env: &dyn Fn(&str) -> Option<String>,
) -> Logger {
    let named = |name: &str| match (&options.logfile, name) {
        (Some(file), "PCMK_logfile") => Some(file.clone()),
        _ => env(name),
    };
    let config = Config::pacemaker_daemon(daemon, options.verbose, account::daemon_ids(), &named);
    let (logger, errors) = qb::log::install(config);
    for error in errors {
        base::warning!("Cannot log to {}: {}", error.path.display(), error.source);
    }
    logger
}
