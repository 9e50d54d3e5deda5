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
    let base = if to_stderr { Priority::Error } else { Priority::Crit };
    let threshold = (base as u8).saturating_add(u8::try_from(verbosity).unwrap_or(u8::MAX));
    // A second applet in one process (the shell calls tools) keeps the first one's log.
    let kept = set_sink(Box::new(Stderr { threshold: AtomicU8::new(threshold) }));
    drop(kept);
}

/// True if the environment wants every line of an upstream function (`PCMK_trace_functions`).
fn is_traced(function: &str) -> bool {
    std::env::var("PCMK_trace_functions")
        .is_ok_and(|names| names.split(',').any(|name| name == function))
}

/// Tells what a schema upgrade did: the messages of its transformations from the first `-V` (those
/// for debugging from the second), the rest as upstream's routines would log it.
pub fn schema_upgrade(steps: &[cib::upgrade::Step], document: &xml::Element) {
    use cib::schema::name_of;
    use cib::upgrade::Level;
    let info = |function: &str, text: &str| {
        if is_traced(function) || base::log::enabled(Priority::Info, "") {
            eprintln!("({function}) \tinfo: {text}");
        }
    };
    for step in steps {
        for message in &step.messages {
            let enough = match message.level {
                Level::Warning | Level::Info => Priority::Error,
                Level::Debug => Priority::Warning,
            };
            if base::log::enabled(enough, "") {
                eprintln!("{message}");
            }
        }
        let (from, to) = (name_of(step.from), name_of(step.to));
        info("apply_upgrade", &format!("Schema upgrade from {from} to {to} succeeded"));
    }
    let name = document.get("validate-with").unwrap_or("");
    info("pcmk__update_schema", &format!("Transformed the configuration schema to {name}"));
}

const NO_FENCING: &str = "Resource start-up disabled since no fencing resources have been defined. Either configure \
     some or disable fencing with the fencing-enabled option. NOTE: Clusters with shared data need fencing to ensure \
     data integrity.";

/// What the scheduler found, in the words of newer versions: three messages of old are one.
pub fn in_new_words(messages: &[scheduler::model::Message]) -> Vec<scheduler::model::Message> {
    let mut new = Vec::with_capacity(messages.len());
    for message in messages {
        let mut message = message.clone();
        if message.text.starts_with("Resource start-up disabled") {
            NO_FENCING.clone_into(&mut message.text);
        } else if message.text.starts_with("Either configure some")
            || message.text.starts_with("NOTE: Clusters with shared")
        {
            continue;
        }
        new.push(message);
    }
    new
}

/// Logs what the scheduler found, as its routines would.
pub fn scheduler_message(message: &scheduler::model::Message) {
    use scheduler::model::Severity;
    let (priority, word) = match message.severity {
        Severity::ConfigError | Severity::Error => (Priority::Error, "error"),
        Severity::ConfigWarning | Severity::Warning | Severity::Caution => {
            (Priority::Warning, "warning")
        }
        Severity::Notice => (Priority::Notice, "notice"),
    };
    if base::log::enabled(priority, "") || is_traced(message.source) {
        eprintln!("({}) \t{word}: {}", message.source, message.text);
    }
}
