//! The `logging {}` section: where records go, from which priority on, in which form.
//!
//! Source: `spec/corosync-conf-and-tools.md` §3.6.

use std::collections::BTreeMap;

use base::log::Priority;

use crate::cmap::Map;

/// The time stamp of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timestamp {
    /// None.
    Off,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Hires,
}

/// How much a destination or subsystem says beyond its priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// As its priority says.
    Normal,
    /// Debug and up, everywhere.
    Debug,
    /// Everything.
    Trace,
}

/// Settings that a subsystem may have of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Goes to stderr.
    pub to_stderr: bool,
    /// Goes to syslog.
    pub to_syslog: bool,
    /// Goes to the log file.
    pub to_logfile: bool,
    /// The file.
    pub logfile: Option<String>,
    /// Least important priority for the file and stderr.
    pub logfile_priority: Priority,
    /// Least important priority for syslog.
    pub syslog_priority: Priority,
    /// More than that.
    pub verbosity: Verbosity,
}

impl Filter {
    /// The least important priority for files and stderr.
    pub fn file_level(&self) -> Priority {
        self.level(self.logfile_priority)
    }

    /// The least important priority for syslog.
    pub fn syslog_level(&self) -> Priority {
        self.level(self.syslog_priority)
    }

    fn level(&self, configured: Priority) -> Priority {
        match self.verbosity {
            Verbosity::Normal => configured,
            Verbosity::Debug => Priority::Debug,
            Verbosity::Trace => Priority::Trace,
        }
    }
}

/// The whole section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The time stamp of stderr and file lines.
    pub timestamp: Timestamp,
    /// File and line of the source.
    pub fileline: bool,
    /// Name of the function.
    pub function_name: bool,
    /// Whether the flight recorder is on.
    pub blackbox: bool,
    /// Syslog's facility.
    pub syslog_facility: &'static str,
    /// For all subsystems.
    pub all: Filter,
    /// For single ones.
    pub subsystems: BTreeMap<String, Filter>,
    /// Advice about obsolete keys.
    pub warnings: Vec<String>,
}

const FACILITIES: &[&str] = &[
    "auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news", "syslog", "user",
    "uucp", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

impl Default for LogConfig {
    fn default() -> LogConfig {
        LogConfig {
            timestamp: Timestamp::Hires,
            fileline: false,
            function_name: false,
            blackbox: true,
            syslog_facility: "daemon",
            all: Filter {
                to_stderr: true,
                to_syslog: true,
                to_logfile: false,
                logfile: None,
                logfile_priority: Priority::Info,
                syslog_priority: Priority::Info,
                verbosity: Verbosity::Normal,
            },
            subsystems: BTreeMap::new(),
            warnings: Vec::new(),
        }
    }
}

/// Reads the section.
///
/// # Errors
/// What is wrong, without `parse error in config: ` and without full stop.
pub fn read(map: &Map) -> Result<LogConfig, String> {
    let mut config = LogConfig::default();
    let word = |key: &str| map.get_text(&format!("logging.{key}"));
    config.timestamp = match word("timestamp").as_deref() {
        None | Some("hires") => Timestamp::Hires,
        Some("on") => Timestamp::Seconds,
        Some("off") => Timestamp::Off,
        Some(_) => return Err("unknown value for timestamp".into()),
    };
    let on_off = |key: &str, default: bool| match word(key).as_deref() {
        None => Ok(default),
        Some("on") => Ok(true),
        Some("off") => Ok(false),
        Some(_) => Err(format!("unknown value for {key}")),
    };
    config.fileline = on_off("fileline", false)?;
    config.function_name = on_off("function_name", false)?;
    config.blackbox = on_off("blackbox", true)?;
    if let Some(name) = word("syslog_facility") {
        let found = FACILITIES.iter().find(|known| name.eq_ignore_ascii_case(known));
        config.syslog_facility = found.ok_or("unknown syslog facility specified")?;
    }
    read_filter(map, "logging", &mut config.all, &mut config.warnings)?;

    let prefix = "logging.logger_subsys.";
    let mut names: Vec<String> = map
        .iter(prefix)
        .filter_map(|(key, _)| {
            key[prefix.len()..].rsplit_once('.').map(|(name, _)| name.to_owned())
        })
        .collect();
    names.dedup();
    for name in names {
        let mut filter = config.all.clone();
        read_filter(map, &format!("{prefix}{name}"), &mut filter, &mut config.warnings)?;
        config.subsystems.insert(name, filter);
    }
    Ok(config)
}

fn read_filter(
    map: &Map,
    section: &str,
    filter: &mut Filter,
    warnings: &mut Vec<String>,
) -> Result<(), String> {
    let word = |key: &str| map.get_text(&format!("{section}.{key}"));
    let switch = |key: &str, default: bool| match word(key).as_deref() {
        None => Ok(default),
        Some("yes" | "on") => Ok(true),
        Some("no" | "off") => Ok(false),
        Some(_) => Err(format!("unknown value for {key}")),
    };
    filter.to_stderr = switch("to_stderr", filter.to_stderr)?;
    filter.to_syslog = switch("to_syslog", filter.to_syslog)?;
    filter.to_logfile = switch("to_file", filter.to_logfile)?;
    filter.to_logfile = switch("to_logfile", filter.to_logfile)?;
    if word("to_file").is_some() {
        warnings.push(obsolete("to_file", "to_logfile"));
    }
    if let Some(file) = word("logfile") {
        filter.logfile = Some(file);
    }
    // "off" for trace and "on" for debug are words of one key here.
    filter.verbosity = match word("debug").as_deref() {
        None => filter.verbosity,
        Some("off") => Verbosity::Normal,
        Some("on") => Verbosity::Debug,
        Some("trace") => Verbosity::Trace,
        Some(_) => return Err("unknown value for debug".into()),
    };
    if let Some(name) = word("logfile_priority") {
        filter.logfile_priority = priority(&name).ok_or("unknown logfile priority specified")?;
    }
    if let Some(name) = word("syslog_level") {
        warnings.push(obsolete("syslog_level", "syslog_priority"));
        filter.syslog_priority = priority(&name).ok_or("unknown syslog level specified")?;
    }
    if let Some(name) = word("syslog_priority") {
        filter.syslog_priority = priority(&name).ok_or("unknown syslog priority specified")?;
    }
    Ok(())
}

fn obsolete(old: &str, new: &str) -> String {
    format!(
        "Warning: the {old} config parameter has been obsoleted. See corosync.conf man page {new} \
         directive."
    )
}

fn priority(name: &str) -> Option<Priority> {
    // The file knows fewer words than the logging facade.
    let known = ["alert", "crit", "debug", "emerg", "err", "error", "info", "notice", "warning"];
    known.iter().any(|word| name.eq_ignore_ascii_case(word)).then(|| Priority::parse(name))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmap::Value;

    fn config(keys: &[(&str, &str)]) -> Result<LogConfig, String> {
        let mut map = Map::new();
        for (key, value) in keys {
            map.put(&format!("logging.{key}"), Value::text(*value));
        }
        read(&map)
    }

    #[test]
    fn subsystems_start_from_the_whole() {
        let config = config(&[
            ("to_stderr", "no"),
            ("to_logfile", "yes"),
            ("logfile", "/x"),
            ("timestamp", "on"),
            ("logger_subsys.QUORUM.subsys", "QUORUM"),
            ("logger_subsys.QUORUM.debug", "on"),
            ("logger_subsys.AMF.tags", "enter|leave"),
        ])
        .unwrap();
        assert_eq!(config.timestamp, Timestamp::Seconds);
        assert_eq!(config.all.file_level(), Priority::Info);
        let quorum = &config.subsystems["QUORUM"];
        assert_eq!(quorum.file_level(), Priority::Debug);
        assert_eq!(quorum.syslog_level(), Priority::Debug);
        assert!(!quorum.to_stderr && quorum.to_logfile);
        assert_eq!(config.subsystems["AMF"], config.all);
    }

    #[test]
    fn wrong_words_are_named() {
        for (key, value, wanted) in [
            ("timestamp", "yes", "unknown value for timestamp"),
            ("to_stderr", "maybe", "unknown value for to_stderr"),
            ("debug", "yes", "unknown value for debug"),
            ("syslog_facility", "mars", "unknown syslog facility specified"),
            ("logfile_priority", "loud", "unknown logfile priority specified"),
            ("syslog_priority", "trace", "unknown syslog priority specified"),
            ("logger_subsys.X.debug", "1", "unknown value for debug"),
        ] {
            assert_eq!(config(&[(key, value)]).unwrap_err(), wanted, "{key}");
        }
    }
}
