//! The logging facade: priorities of syslog, a subsystem tag, one process-wide sink.
//!
//! Cores do not log: they put out typed events, and their shell words them. Shells and tools use
//! the macros [`error!`](crate::error), [`warning!`](crate::warning), [`notice!`](crate::notice),
//! [`info!`](crate::info), [`debug!`](crate::debug) and [`log!`](crate::log!); the sink (line
//! format, files, syslog, stderr) is set once by the daemon, see the crate `qb`.

use std::fmt;
use std::sync::OnceLock;

/// Syslog's priorities, plus `Trace` below debug (libqb's numbering).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Priority {
    /// System is unusable.
    Emerg = 0,
    /// Action must be taken at once.
    Alert = 1,
    /// Critical conditions.
    Crit = 2,
    /// Error conditions.
    Error = 3,
    /// Warning conditions.
    Warning = 4,
    /// Normal, but worth noticing.
    Notice = 5,
    /// Informational.
    Info = 6,
    /// For developers and hard cases.
    Debug = 7,
    /// Every step.
    Trace = 8,
}

impl Priority {
    /// The word in log lines: `error`, `notice`, ….
    pub const fn as_str(self) -> &'static str {
        match self {
            Priority::Emerg => "emerg",
            Priority::Alert => "alert",
            Priority::Crit => "crit",
            Priority::Error => "error",
            Priority::Warning => "warning",
            Priority::Notice => "notice",
            Priority::Info => "info",
            Priority::Debug => "debug",
            Priority::Trace => "trace",
        }
    }

    /// Reads the words above, and `emergency`, `critical`, `err`, `warn` beside them.
    pub fn parse(word: &str) -> Option<Priority> {
        Some(match word.to_ascii_lowercase().as_str() {
            "emerg" | "emergency" => Priority::Emerg,
            "alert" => Priority::Alert,
            "crit" | "critical" => Priority::Crit,
            "error" | "err" => Priority::Error,
            "warning" | "warn" => Priority::Warning,
            "notice" => Priority::Notice,
            "info" => Priority::Info,
            "debug" => Priority::Debug,
            "trace" => Priority::Trace,
            _ => return None,
        })
    }
}

/// One thing to be logged.
#[derive(Debug)]
pub struct Record<'a> {
    /// How important it is.
    pub priority: Priority,
    /// Corosync's subsystem (`TOTEM`, `MAIN`, …); empty for pacemaker's daemons and tools.
    pub subsys: &'a str,
    /// Source file of the call.
    pub file: &'static str,
    /// Source line of the call.
    pub line: u32,
    /// Name of the function that logs, without its path.
    pub function: &'static str,
    /// The text.
    pub message: fmt::Arguments<'a>,
}

/// Where log records go.
pub trait Sink: Send + Sync {
    /// Whether a record of this kind would be written anywhere.
    fn enabled(&self, priority: Priority, subsys: &str) -> bool;
    /// Writes it. Must not block for long and must not fail loudly.
    fn write(&self, record: &Record<'_>);
}

static SINK: OnceLock<Box<dyn Sink>> = OnceLock::new();

/// Sets the process's sink. The first one stays; later calls return theirs back.
pub fn set_sink(sink: Box<dyn Sink>) -> Result<(), Box<dyn Sink>> {
    SINK.set(sink)
}

/// Whether it is worth wording a record. Without a sink: no.
pub fn enabled(priority: Priority, subsys: &str) -> bool {
    SINK.get().is_some_and(|sink| sink.enabled(priority, subsys))
}

/// Hands a record to the sink. Use the macros instead.
pub fn write(record: &Record<'_>) {
    if let Some(sink) = SINK.get() {
        sink.write(record);
    }
}

/// The last plain segment of a path such as `a::b::func::{{closure}}::here`. For [`log!`](crate::log!).
pub fn function_of(type_name: &'static str) -> &'static str {
    type_name.rsplit("::").find(|part| *part != "__here" && !part.starts_with('{')).unwrap_or("")
}

/// Logs at a priority that is a value: `log!(priority, sub: "TOTEM", "text {x}")` or
/// `log!(priority, "text")`.
#[macro_export]
macro_rules! log {
    ($priority:expr, sub: $subsys:expr, $($arg:tt)+) => {{
        let (priority, subsys): ($crate::log::Priority, &str) = ($priority, $subsys);
        if $crate::log::enabled(priority, subsys) {
            fn __here() {}
            fn name_of<T>(_: T) -> &'static str { std::any::type_name::<T>() }
            $crate::log::write(&$crate::log::Record {
                priority,
                subsys,
                file: file!(),
                line: line!(),
                function: $crate::log::function_of(name_of(__here)),
                message: format_args!($($arg)+),
            });
        }
    }};
    ($priority:expr, $($arg:tt)+) => { $crate::log!($priority, sub: "", $($arg)+) };
}

/// Logs with priority `crit`.
#[macro_export]
macro_rules! crit { ($($arg:tt)+) => { $crate::log!($crate::log::Priority::Crit, $($arg)+) }; }
/// Logs with priority `error`.
#[macro_export]
macro_rules! error { ($($arg:tt)+) => { $crate::log!($crate::log::Priority::Error, $($arg)+) }; }
/// Logs with priority `warning`.
#[macro_export]
macro_rules! warning { ($($arg:tt)+) => { $crate::log!($crate::log::Priority::Warning, $($arg)+) }; }
/// Logs with priority `notice`.
#[macro_export]
macro_rules! notice { ($($arg:tt)+) => { $crate::log!($crate::log::Priority::Notice, $($arg)+) }; }
/// Logs with priority `info`.
#[macro_export]
macro_rules! info { ($($arg:tt)+) => { $crate::log!($crate::log::Priority::Info, $($arg)+) }; }
/// Logs with priority `debug`.
#[macro_export]
macro_rules! debug { ($($arg:tt)+) => { $crate::log!($crate::log::Priority::Debug, $($arg)+) }; }
/// Logs with priority `trace`.
#[macro_export]
macro_rules! trace { ($($arg:tt)+) => { $crate::log!($crate::log::Priority::Trace, $($arg)+) }; }

#[cfg(test)]
mod tests {
    #[test]
    fn the_function_name_is_the_enclosing_function() {
        assert_eq!(super::function_of("a::b::run::__here"), "run");
        assert_eq!(super::function_of("a::b::run::{{closure}}::__here"), "run");
    }
}
