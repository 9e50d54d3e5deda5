//! The log of a command line tool: stderr, and only as loud as `-V` asks.
//!
//! Lines look like upstream's: `(function)` TAB `level: text`. Without `-V` only critical errors
//! show; each `-V` adds a level. `PCMK_stderr=1` shows errors even without.
//! Source: `spec/cli-pacemaker.md` §2.1.

use std::sync::atomic::{AtomicU8, Ordering};

use base::log::{Priority, Record, Sink, set_sink};

struct Stderr {
    threshold: AtomicU8,
}

impl Sink for Stderr {
    fn enabled(&self, priority: Priority, _subsys: &str) -> bool {
        priority as u8 <= self.threshold.load(Ordering::Relaxed)
    }

    fn write(&self, record: &Record<'_>) {
        eprintln!("({}) \t{}: {}", record.function, record.priority.as_str(), record.message);
    }
}

/// Starts logging; `verbosity` is the number of `-V`.
pub fn start(verbosity: usize) {
    let to_stderr = std::env::var("PCMK_stderr")
        .is_ok_and(|value| matches!(value.as_str(), "1" | "yes" | "true" | "on"));
    let threshold = match verbosity {
        0 if to_stderr => Priority::Error as u8,
        0 => Priority::Crit as u8,
        more => (Priority::Crit as u8).saturating_add(u8::try_from(more).unwrap_or(u8::MAX)),
    };
    // A second applet in one process (the shell calls tools) keeps the first one's log.
    let kept = set_sink(Box::new(Stderr { threshold: AtomicU8::new(threshold) }));
    drop(kept);
}

/// Logs what the scheduler found, as its routines would.
pub fn scheduler_message(message: &scheduler::model::Message) {
    use scheduler::model::Severity;
    let (priority, word) = match message.severity {
        Severity::ConfigError | Severity::Error => (Priority::Error, "error"),
        Severity::ConfigWarning | Severity::Warning => (Priority::Warning, "warning"),
        Severity::Notice => (Priority::Notice, "notice"),
    };
    if base::log::enabled(priority, "") {
        eprintln!("({}) \t{word}: {}", message.source, message.text);
    }
}
