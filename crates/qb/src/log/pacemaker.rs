//! What pacemaker's environment says about logging.
//!
//! Source: `spec/cli-pacemaker.md` §5.

use super::{Config, Facility, Format, Targets, host_name};
use base::log::Priority;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The detail log unless `PCMK_logfile` says otherwise.
pub const DETAIL_LOG: &str = "/var/log/pacemaker/pacemaker.log";

/// An option of the environment, under either of its spellings.
fn option(env: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    env(&format!("PCMK_{name}")).or_else(|| env(&format!("HA_{name}")))
}

fn is_true(word: &str) -> bool {
    ["true", "on", "yes", "y", "1"].iter().any(|yes| yes.eq_ignore_ascii_case(word))
}

/// Whether a yes/no/list option means this daemon.
fn is_enabled(value: Option<String>, daemon: &str) -> bool {
    value.is_some_and(|value| is_true(&value) || value.split(',').any(|name| name == daemon))
}

impl Config {
    /// A daemon of pacemaker: detail log and syslog as the environment wants them.
    /// `verbosity` counts `-V`, which logs more and to stderr.
    /// `file_owner`: whose new log files shall be (the cluster's user and group).
    pub fn pacemaker_daemon(
        name: &str,
        verbosity: u8,
        file_owner: Option<(u32, u32)>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Config {
        let debug = is_enabled(option(env, "debug"), name) || verbosity > 0;
        let detail = if verbosity > 1 {
            Priority::Trace
        } else if debug {
            Priority::Debug
        } else {
            Priority::Info
        };
        let to_stderr = is_enabled(option(env, "stderr"), name) || verbosity > 0;
        let logfile = option(env, "logfile").unwrap_or_else(|| DETAIL_LOG.to_owned());
        let logfile = (logfile != "none" && logfile != "/dev/null" && !logfile.is_empty())
            .then(|| PathBuf::from(logfile));
        let facility = option(env, "logfacility").unwrap_or_else(|| "daemon".to_owned());
        let syslog = (!facility.eq_ignore_ascii_case("none")).then(|| {
            let word = option(env, "logpriority");
            word.and_then(|word| Priority::parse(&word)).unwrap_or(Priority::Notice)
        });
        let mode = option(env, "logfile_mode")
            .and_then(|mode| u32::from_str_radix(&mode, 8).ok())
            .filter(|mode| (1..=0o777).contains(mode));
        Config {
            ident: name.to_owned(),
            host: host_name(),
            format: Format::Pacemaker,
            targets: Targets {
                stderr: to_stderr.then_some(detail),
                syslog,
                file: logfile.map(|path| (path, detail)),
            },
            subsystems: BTreeMap::new(),
            facility: Facility::parse(&facility).unwrap_or(Facility::DAEMON),
            file_owner,
            file_mode: mode.unwrap_or(0o660),
        }
    }

    /// A command-line tool of pacemaker: stderr only, from `crit` on and one priority more for
    /// each `-V`.
    pub fn pacemaker_tool(name: &str, verbosity: u8) -> Config {
        const STEPS: [Priority; 7] = [
            Priority::Crit,
            Priority::Error,
            Priority::Warning,
            Priority::Notice,
            Priority::Info,
            Priority::Debug,
            Priority::Trace,
        ];
        let limit = STEPS[usize::from(verbosity).min(STEPS.len() - 1)];
        Config {
            ident: name.to_owned(),
            host: host_name(),
            format: Format::Pacemaker,
            targets: Targets { stderr: Some(limit), syslog: None, file: None },
            subsystems: BTreeMap::new(),
            facility: Facility::DAEMON,
            file_owner: None,
            file_mode: 0o660,
        }
    }
}
