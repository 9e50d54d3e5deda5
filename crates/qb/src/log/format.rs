//! The lines, to the byte.

use super::wallclock::WallClock;
use super::{Config, Format, Timestamp};
use base::log::{Priority, Record};
use std::fmt::Write;

/// A line for stderr, with its newline.
pub(crate) fn stderr(
    config: &Config,
    record: &Record<'_>,
    message: &str,
    now: WallClock,
) -> String {
    let mut line = String::new();
    if let Format::Corosync { timestamp, .. } = config.format {
        push_time(&mut line, timestamp, now);
        push_priority(&mut line, record);
    }
    push_body(&mut line, config, record, message);
    line.push('\n');
    line
}

/// A line for a file, with its newline.
pub(crate) fn file(
    config: &Config,
    record: &Record<'_>,
    message: &str,
    now: WallClock,
    pid: u32,
) -> String {
    let mut line = String::new();
    let (ident, host) = (&config.ident, &config.host);
    match config.format {
        Format::Corosync { timestamp, .. } => {
            push_time(&mut line, timestamp, now);
            // Upstream's blank after the name belongs to the time: without one it is missing.
            let blank = if timestamp == Timestamp::Off { "" } else { " " };
            push(&mut line, format_args!("[{pid}] {host} {ident}{blank}"));
            push_priority(&mut line, record);
        }
        Format::Pacemaker => {
            push(&mut line, format_args!("{} {host} {ident:<20}[{pid}] ", now.millis()));
        }
    }
    push_body(&mut line, config, record, message);
    line.push('\n');
    line
}

/// The text for syslog, which has the time, name and priority beside it.
pub(crate) fn syslog(config: &Config, record: &Record<'_>, message: &str) -> String {
    match config.format {
        Format::Corosync { .. } => {
            let mut line = String::new();
            push_body(&mut line, config, record, message);
            line
        }
        // The blank at the beginning is upstream's.
        Format::Pacemaker => format!(" {}: {message}", record.priority.as_str()),
    }
}

/// Syslog's severity. Corosync sends debug output as information, because syslog daemons drop
/// debug by default, and trace, which syslog does not know, as debug.
pub(crate) fn syslog_severity(config: &Config, priority: Priority) -> u8 {
    match (config.format, priority) {
        (Format::Corosync { .. }, Priority::Debug) => Priority::Info as u8,
        (_, Priority::Trace) => Priority::Debug as u8,
        (_, priority) => priority as u8,
    }
}

fn push(line: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = line.write_fmt(text);
}

fn push_time(line: &mut String, timestamp: Timestamp, now: WallClock) {
    match timestamp {
        Timestamp::Off => {}
        Timestamp::Seconds => push(line, format_args!("{} ", now.seconds())),
        Timestamp::Millis => push(line, format_args!("{} ", now.millis())),
    }
}

fn push_priority(line: &mut String, record: &Record<'_>) {
    push(line, format_args!("{:<7} ", record.priority.as_str()));
}

fn push_body(line: &mut String, config: &Config, record: &Record<'_>, message: &str) {
    let function = record.function;
    let (file, number) = (file_name(record.file), record.line);
    match config.format {
        Format::Corosync { fileline, function_name, .. } => {
            push(line, format_args!("[{:<6}] ", record.subsys));
            match (fileline, function_name) {
                (true, true) => push(line, format_args!("{file}:{function}:{number} ")),
                (true, false) => push(line, format_args!("{file}:{number} ")),
                (false, true) => push(line, format_args!("{function} ")),
                (false, false) => {}
            }
        }
        Format::Pacemaker => {
            if record.priority == Priority::Trace {
                push(line, format_args!("({function}@{file}:{number}) "));
            } else {
                push(line, format_args!("({function}) "));
            }
            push(line, format_args!("\t{}: ", record.priority.as_str()));
        }
    }
    line.push_str(message);
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
