//! The daemons' log: the detail log file, standard error, and syslog, by the environment.
//!
//! Source: `spec/pacemaker-cluster.md` §20, `spec/cli-pacemaker.md` §5.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base::log::{Priority, Record, Sink};

use crate::daemon::Options;

/// The detail log, unless `PCMK_logfile` says otherwise.
const LOGFILE: &str = "/var/log/pacemaker/pacemaker.log";

struct DetailLog {
    daemon: &'static str,
    node: String,
    level: Priority,
    files: Vec<File>,
    stderr: bool,
}

/// Whether a `PCMK_*` switch is on for a daemon: `yes`, or a list with its name.
fn switched_on(variable: &str, daemon: &str) -> bool {
    let Ok(value) = std::env::var(variable) else { return false };
    matches!(value.trim().to_ascii_lowercase().as_str(), "1" | "yes" | "true" | "on" | "y")
        || value.split(',').any(|name| name.trim() == daemon)
}

/// Opens the log of this process.
pub(crate) fn open(daemon: &'static str, options: &Options) {
    let mode = std::env::var("PCMK_logfile_mode").ok();
    let mode = mode.and_then(|text| u32::from_str_radix(text.trim(), 8).ok()).unwrap_or(0o660);
    let wanted = std::env::var("PCMK_logfile").unwrap_or_else(|_| LOGFILE.to_owned());
    let detail = (!matches!(wanted.as_str(), "none" | "/dev/null")).then_some(wanted);
    let files = detail
        .iter()
        .chain(&options.logfile)
        .filter_map(|path| OpenOptions::new().append(true).create(true).mode(mode).open(path).ok());
    let debug = options.verbose > 0 || switched_on("PCMK_debug", daemon);
    let sink = DetailLog {
        daemon,
        node: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        level: if debug { Priority::Debug } else { Priority::Info },
        files: files.collect(),
        stderr: switched_on("PCMK_stderr", daemon),
    };
    // A second call in one process (tests) keeps the first sink.
    let _ = base::log::set_sink(Box::new(sink));
}

impl Sink for DetailLog {
    fn enabled(&self, priority: Priority, _: &str) -> bool {
        priority <= self.level
    }

    fn write(&self, record: &Record<'_>) {
        let line = format!(
            "{} {} {:<19} [{}] ({}) \t{}: {}\n",
            stamp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)),
            self.node,
            self.daemon,
            std::process::id(),
            record.function,
            record.priority.as_str(),
            record.message
        );
        for mut file in &self.files {
            // There is nowhere to complain about a log that cannot be written.
            let _ = file.write_all(line.as_bytes());
        }
        if self.stderr {
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }
}

/// `Nov 21 00:18:25.862`, in UTC.
fn stamp(since_epoch: Duration) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = since_epoch.as_secs();
    let (mut month, mut day) = (0, 0);
    let (mut days, mut year) = (seconds / 86_400, 1970u64);
    let leap = |y: u64| (y.is_multiple_of(4) && !y.is_multiple_of(100)) || y.is_multiple_of(400);
    while days >= if leap(year) { 366 } else { 365 } {
        days -= if leap(year) { 366 } else { 365 };
        year += 1;
    }
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    for (index, length) in lengths.into_iter().enumerate() {
        if days < length {
            (month, day) = (index, days + 1);
            break;
        }
        days -= length;
    }
    format!(
        "{} {day:02} {:02}:{:02}:{:02}.{:03}",
        MONTHS[month],
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
        since_epoch.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_read_like_upstreams() {
        for (millis, want) in [
            (0, "Jan 01 00:00:00.000"),
            (1_795_220_305_862, "Nov 21 00:18:25.862"),
            (951_782_400_000, "Feb 29 00:00:00.000"),
        ] {
            assert_eq!(stamp(Duration::from_millis(millis)), want);
        }
    }
}
