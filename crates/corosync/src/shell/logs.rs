//! From the settings of `logging {}` to log targets.
//!
//! Source: `spec/corosync-conf-and-tools.md` §3.6.

use std::collections::BTreeMap;
use std::path::PathBuf;

use qb::log::{Config, Facility, Format, Targets};

use crate::config::logging::{Filter, LogConfig, Timestamp};

/// The log's configuration. `mute_stderr`: in the background there is no stderr.
pub(super) fn config(settings: &LogConfig, mute_stderr: bool) -> Config {
    let timestamp = match settings.timestamp {
        Timestamp::Off => qb::log::Timestamp::Off,
        Timestamp::Seconds => qb::log::Timestamp::Seconds,
        Timestamp::Hires => qb::log::Timestamp::Millis,
    };
    let subsystems: BTreeMap<String, Targets> = settings
        .subsystems
        .iter()
        .map(|(name, filter)| {
            // stderr and syslog are switched for all subsystems together.
            let filter = Filter {
                to_stderr: settings.all.to_stderr,
                to_syslog: settings.all.to_syslog,
                ..filter.clone()
            };
            (name.clone(), targets(&filter, mute_stderr))
        })
        .collect();
    Config {
        format: Format::Corosync {
            timestamp,
            fileline: settings.fileline,
            function_name: settings.function_name,
        },
        targets: targets(&settings.all, mute_stderr),
        subsystems,
        facility: Facility::parse(settings.syslog_facility).unwrap_or(Facility::DAEMON),
        ..Config::corosync()
    }
}

fn targets(filter: &Filter, mute_stderr: bool) -> Targets {
    let file = filter.logfile.as_ref().filter(|_| filter.to_logfile);
    Targets {
        stderr: (filter.to_stderr && !mute_stderr).then(|| filter.file_level()),
        syslog: filter.to_syslog.then(|| filter.syslog_level()),
        file: file.map(|path| (PathBuf::from(path), filter.file_level())),
    }
}
