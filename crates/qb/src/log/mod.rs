//! Where log lines go: files, stderr, syslog; in the formats people's log watchers know.
//!
//! [`install`] makes a [`Logger`] the process's sink for the macros of `base::log`. What goes
//! where is one value, [`Config`], which can be replaced at any time ([`Logger::configure`]);
//! corosync does so on reload, every daemon on a request for debug output.
//!
//! Two line formats exist. Corosync's has the subsystem in brackets, and each subsystem may have
//! priorities and a file of its own; pacemaker's has the function's name.
//!
//! Source: `spec/corosync-conf-and-tools.md` §3.6, `spec/cli-pacemaker.md` §5.

pub mod blackbox;
mod format;
mod pacemaker;
mod printf;
mod syslog;
mod wallclock;

pub use pacemaker::DETAIL_LOG;
pub use syslog::{Facility, SyslogLine};

use base::log::{Priority, Record, Sink};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// How lines begin with the time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Timestamp {
    /// No time.
    Off,
    /// `Nov 21 00:50:06`.
    Seconds,
    /// `Nov 21 00:50:06.382`.
    #[default]
    Millis,
}

/// Whose line format it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// `notice  [TOTEM ] text`.
    Corosync {
        /// The time before it (not in syslog).
        timestamp: Timestamp,
        /// Source file and line after the subsystem.
        fileline: bool,
        /// Function after the subsystem.
        function_name: bool,
    },
    /// `(function) <tab>notice: text`.
    Pacemaker,
}

/// Which records of a subsystem go where: the least important priority that still does.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Targets {
    /// To stderr.
    pub stderr: Option<Priority>,
    /// To syslog.
    pub syslog: Option<Priority>,
    /// To this file.
    pub file: Option<(PathBuf, Priority)>,
}

impl Targets {
    fn most(&self) -> Option<Priority> {
        let file = self.file.as_ref().map(|(_, priority)| *priority);
        [self.stderr, self.syslog, file].into_iter().flatten().max()
    }
}

/// Everything about logging.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The program's name in syslog and files.
    pub ident: String,
    /// The host's name in files.
    pub host: String,
    /// The lines' format.
    pub format: Format,
    /// What applies where nothing else is said.
    pub targets: Targets,
    /// What applies to single subsystems instead.
    pub subsystems: BTreeMap<String, Targets>,
    /// Syslog's facility.
    pub facility: Facility,
    /// Owner and group of log files, when this process may give them away.
    pub file_owner: Option<(u32, u32)>,
    /// Mode new log files are created with.
    pub file_mode: u32,
}

impl Config {
    /// Corosync's defaults: stderr and syslog from `info` on, time with milliseconds.
    pub fn corosync() -> Config {
        Config {
            ident: "corosync".to_owned(),
            host: host_name(),
            format: Format::Corosync {
                timestamp: Timestamp::Millis,
                fileline: false,
                function_name: false,
            },
            targets: Targets {
                stderr: Some(Priority::Info),
                syslog: Some(Priority::Info),
                file: None,
            },
            subsystems: BTreeMap::new(),
            facility: Facility::DAEMON,
            file_owner: None,
            file_mode: 0o666,
        }
    }

    fn targets_of(&self, subsys: &str) -> &Targets {
        // Almost always empty, and then not searched.
        if self.subsystems.is_empty() {
            return &self.targets;
        }
        self.subsystems.get(subsys).unwrap_or(&self.targets)
    }

    fn all_targets(&self) -> impl Iterator<Item = &Targets> {
        std::iter::once(&self.targets).chain(self.subsystems.values())
    }
}

/// A time since 1970 as lines have it: `Nov 21 00:50:06.382`, in the host's zone.
pub fn time_text(time: std::time::Duration) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    wallclock::at(seconds, i64::from(time.subsec_nanos())).millis()
}

/// The host's name, as files have it.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A log file that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("Can't open logfile '{}' for reason: {}", path.display(), source)]
pub struct FileError {
    /// Which one.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

struct Shared {
    config: RwLock<Config>,
    /// The most verbose priority any target takes: the quick answer for the others.
    most: AtomicU8,
    files: Mutex<BTreeMap<PathBuf, File>>,
    /// Keeps the last records of all priorities, once asked for.
    recorder: blackbox::Recorder,
    is_recording: AtomicBool,
    syslog: syslog::Syslog,
    /// Taken when the format was set: corosync's files show the pid before daemonising.
    pid: u32,
}

/// The process's logging; clones are the same one.
#[derive(Clone)]
pub struct Logger {
    shared: Arc<Shared>,
}

/// Makes a logger the process's sink. A process has one: later calls configure the first.
/// Files that cannot be opened are reported; the logger works without them.
pub fn install(config: Config) -> (Logger, Vec<FileError>) {
    static INSTALLED: Mutex<Option<Logger>> = Mutex::new(None);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    let logger = match &*installed {
        Some(logger) => logger.clone(),
        None => {
            let logger = Logger::new();
            // Fails when someone set another sink before, whose lines are then not ours.
            let _ = base::log::set_sink(Box::new(logger.clone()));
            *installed = Some(logger.clone());
            logger
        }
    };
    let errors = logger.configure(config);
    (logger, errors)
}

impl Logger {
    fn new() -> Logger {
        Logger {
            shared: Arc::new(Shared {
                config: RwLock::new(Config { targets: Targets::default(), ..Config::corosync() }),
                most: AtomicU8::new(0),
                files: Mutex::new(BTreeMap::new()),
                recorder: blackbox::Recorder::default(),
                is_recording: AtomicBool::new(false),
                syslog: syslog::Syslog::new(),
                pid: std::process::id(),
            }),
        }
    }

    /// Replaces the configuration. Files are opened at once; those that cannot be are reported.
    pub fn configure(&self, config: Config) -> Vec<FileError> {
        let errors = self.open_files(&config, false);
        let most = config.all_targets().filter_map(Targets::most).max();
        *self.shared.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        self.shared.most.store(most.map_or(0, |most| most as u8 + 1), Ordering::Relaxed);
        errors
    }

    /// The configuration in use.
    pub fn config(&self) -> Config {
        self.shared.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts or stops the flight recorder.
    pub fn set_recording(&self, wanted: bool) {
        if self.shared.is_recording.swap(wanted, Ordering::Relaxed) && !wanted {
            self.shared.recorder.clear();
        }
    }

    /// The flight recorder, when it is on.
    pub fn recorder(&self) -> Option<&blackbox::Recorder> {
        self.shared.is_recording.load(Ordering::Relaxed).then_some(&self.shared.recorder)
    }

    /// Closes and opens all files, after they were rotated.
    pub fn reopen(&self) -> Vec<FileError> {
        self.open_files(&self.config(), true)
    }

    fn open_files(&self, config: &Config, anew: bool) -> Vec<FileError> {
        let wanted: Vec<&Path> = config
            .all_targets()
            .filter_map(|targets| targets.file.as_ref())
            .map(|(path, _)| path.as_path())
            .collect();
        let mut files = self.shared.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|path, _| !anew && wanted.contains(&path.as_path()));
        let mut errors = Vec::new();
        for path in wanted {
            if !files.contains_key(path) {
                match open_file(path, config) {
                    Ok(file) => {
                        files.insert(path.to_owned(), file);
                    }
                    Err(source) => errors.push(FileError { path: path.to_owned(), source }),
                }
            }
        }
        errors
    }
}

fn open_file(path: &Path, config: &Config) -> io::Result<File> {
    let is_new = !path.exists();
    let file = OpenOptions::new().append(true).create(true).mode(config.file_mode).open(path)?;
    if let (true, Some((uid, gid))) = (is_new, config.file_owner) {
        // Without the right to, the file stays ours.
        let _ = std::os::unix::fs::fchown(&file, Some(uid), Some(gid));
        let mode = rustix::fs::Mode::from_raw_mode(config.file_mode);
        // The umask took part of it.
        let _ = rustix::fs::fchmod(&file, mode);
    }
    Ok(file)
}

impl Sink for Logger {
    fn enabled(&self, priority: Priority, subsys: &str) -> bool {
        if self.shared.is_recording.load(Ordering::Relaxed) {
            return true;
        }
        if priority as u8 >= self.shared.most.load(Ordering::Relaxed) {
            return false;
        }
        let config = self.shared.config.read().unwrap_or_else(PoisonError::into_inner);
        config.targets_of(subsys).most().is_some_and(|most| priority <= most)
    }

    fn write(&self, record: &Record<'_>) {
        let config = self.shared.config.read().unwrap_or_else(PoisonError::into_inner);
        let targets = config.targets_of(record.subsys);
        let takes = |limit: Option<Priority>| limit.is_some_and(|limit| record.priority <= limit);
        let message = record.message.to_string();
        let message = message.trim_end_matches('\n');
        if let Some(recorder) = self.recorder() {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            recorder.record(record, message, since.unwrap_or_default());
            if targets.most().is_none_or(|most| record.priority > most) {
                return;
            }
        }
        let now = wallclock::now();
        if takes(targets.stderr) {
            let line = format::stderr(&config, record, message, now);
            // Nowhere to complain to.
            let _ = io::stderr().lock().write_all(line.as_bytes());
        }
        if takes(targets.syslog) {
            let text = format::syslog(&config, record, message);
            let severity = format::syslog_severity(&config, record.priority);
            self.shared.syslog.send(config.facility, severity, &config.ident, now, &text);
        }
        if let Some((path, limit)) = &targets.file
            && takes(Some(*limit))
        {
            let line = format::file(&config, record, message, now, self.shared.pid);
            let mut files = self.shared.files.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(file) = files.get_mut(path) {
                // One write, so that lines of several processes do not mix. A full disk must not
                // stop a cluster.
                let _ = file.write_all(line.as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests;
