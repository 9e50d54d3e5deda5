//! `corosync-blackbox`: has the engine write its flight recorder, and shows it. Without options the
//! output is that of `qb-blackbox`; with options it is filtered, or one JSON object a line.
//!
//! Source: `spec/corosync-conf-and-tools.md` §6.7, §7.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base::log::Priority;
use corosync_client::cmap::{Cmap, Value};
use qb::log::blackbox::{self, Entry};

use super::{complain, getopt, say};

const USAGE: &str = "\
corosync-blackbox [options]

Has the local corosync write its flight recorder and shows the records.
options:
	-f, --file FILE         Show this file; the daemon is not asked.
	-p, --priority WORD     Only records of this priority and more important ones.
	-s, --subsystem NAME    Only records of this subsystem (TOTEM, CPG, ...); may be repeated.
	-F, --function NAME     Only records of this function.
	-g, --grep TEXT         Only records with this text.
	-S, --since SECONDS     Only records of the last seconds.
	-n, --last N            Only the last N of them.
	-j, --json              One JSON object a line.
	-h, --help              Display this help.
";

const STATE_DIR: &str = "/var/lib/corosync";

#[derive(Debug, Default)]
struct Filter {
    priority: Option<Priority>,
    subsystems: Vec<String>,
    function: Option<String>,
    text: Option<String>,
    not_before: Option<Duration>,
    last: Option<usize>,
}

impl Filter {
    fn takes(&self, entry: &Entry) -> bool {
        let subsystem = blackbox::subsystem(entry.tag).unwrap_or("");
        self.priority.is_none_or(|least| entry.priority <= least)
            && (self.subsystems.is_empty() || self.subsystems.iter().any(|name| name == subsystem))
            && self.function.as_ref().is_none_or(|name| *name == entry.function)
            && self.text.as_ref().is_none_or(|text| entry.message.contains(text.as_str()))
            && self.not_before.is_none_or(|time| entry.time >= time)
    }

    fn apply(&self, entries: Vec<Entry>) -> Vec<Entry> {
        let mut taken: Vec<Entry> = entries.into_iter().filter(|entry| self.takes(entry)).collect();
        if let Some(last) = self.last {
            let skipped = taken.len().saturating_sub(last);
            taken.drain(..skipped);
        }
        taken
    }
}

/// Runs `corosync-blackbox`.
pub(super) fn run(args: &[String]) -> i32 {
    let program = args.first().map_or("corosync-blackbox", String::as_str);
    let long = |short, long, has_arg| getopt::Opt { short, long, has_arg };
    let known = [
        long('f', "file", true),
        long('p', "priority", true),
        long('s', "subsystem", true),
        long('F', "function", true),
        long('g', "grep", true),
        long('S', "since", true),
        long('n', "last", true),
        long('j', "json", false),
        long('h', "help", false),
    ];
    let parsed = getopt::parse(args.get(1..).unwrap_or_default(), &known);
    if parsed.complain(program) {
        say(USAGE);
        return 1;
    }
    let (mut filter, mut file, mut json) = (Filter::default(), None, false);
    for (letter, value) in parsed.options {
        let value = value.unwrap_or_default();
        let fine = match letter {
            'f' => {
                file = Some(PathBuf::from(&value));
                true
            }
            'p' => {
                filter.priority = Priority::parse(&value);
                filter.priority.is_some()
            }
            's' => {
                filter.subsystems.push(value.to_ascii_uppercase());
                true
            }
            'F' => {
                filter.function = Some(value.clone());
                true
            }
            'g' => {
                filter.text = Some(value.clone());
                true
            }
            'S' => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let span = value.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
                filter.not_before = span.map(|span| now.saturating_sub(span));
                span.is_some()
            }
            'n' => {
                filter.last = value.parse().ok();
                filter.last.is_some()
            }
            'j' => {
                json = true;
                true
            }
            _ => {
                say(USAGE);
                return 0;
            }
        };
        if !fine {
            complain(format_args!("{program}: `{value}` is no value for -{letter}"));
            return 1;
        }
    }
    match show(file, &filter, json) {
        Ok(text) => {
            say(&text);
            0
        }
        Err(text) => {
            complain(text);
            1
        }
    }
}

fn show(file: Option<PathBuf>, filter: &Filter, json: bool) -> Result<String, String> {
    let path = match file {
        Some(path) => path,
        None => dump()?,
    };
    let bytes =
        std::fs::read(&path).map_err(|error| format!("Can't read {}: {error}", path.display()))?;
    let entries =
        blackbox::decode(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    let entries = filter.apply(entries);
    let mut text = String::new();
    if !json {
        text = format!("Dumping the contents of {}\n", path.display());
    }
    for entry in &entries {
        text.push_str(&if json { as_json(entry) } else { as_line(entry) });
    }
    Ok(text)
}

/// As `qb-blackbox` prints it.
fn as_line(entry: &Entry) -> String {
    let time = qb::log::time_text(entry.time);
    let (function, line, tag) = (&entry.function, entry.line, entry.tag);
    format!("{:<7} {time} {function}({line}):{tag}: {}\n", entry.priority.as_str(), entry.message)
}

fn as_json(entry: &Entry) -> String {
    let subsystem = blackbox::subsystem(entry.tag).unwrap_or("");
    let mut text = format!(
        "{{\"time\":{}.{:09},\"priority\":\"{}\",\"subsystem\":\"{subsystem}\",\"function\":",
        entry.time.as_secs(),
        entry.time.subsec_nanos(),
        entry.priority.as_str()
    );
    quote(&mut text, &entry.function);
    let _ = write!(text, ",\"line\":{},\"message\":", entry.line);
    quote(&mut text, &entry.message);
    text.push_str("}\n");
    text
}

fn quote(text: &mut String, value: &str) {
    text.push('"');
    for c in value.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('"');
}

/// Has the daemon write its file, and finds it.
fn dump() -> Result<PathBuf, String> {
    let failed = |error: corosync_client::CsError| {
        format!("Failed to initialize the cmap API. Error {error}")
    };
    let mut cmap = Cmap::connect().map_err(failed)?;
    let dir = cmap.get_str("system.state_dir").ok().flatten().unwrap_or_else(|| STATE_DIR.into());
    let link = Path::new(&dir).join("fdata");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let before = std::fs::read_link(&link).ok();
    let epoch = Value::Str(now.as_secs().to_string());
    for key in ["runtime.blackbox.dump_state", "runtime.blackbox.dump_flight_data"] {
        // Twice in a second the value would be no change.
        let value = match cmap.get(key) {
            Ok(old) if old == epoch => {
                Value::Str(format!("{}.{}", now.as_secs(), now.subsec_nanos()))
            }
            _ => epoch.clone(),
        };
        cmap.set(key, &value).map_err(|error| format!("Failed to set key {key}. Error {error}"))?;
    }
    // The daemon writes it before it takes the next request, but a Debian one may be slower.
    let end = Instant::now() + Duration::from_secs(2);
    while std::fs::read_link(&link).ok() == before && Instant::now() < end {
        let fresh = link.metadata().and_then(|file| file.modified());
        let is_fresh = fresh.is_ok_and(|time| time >= UNIX_EPOCH + now);
        if is_fresh {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(link)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seconds: u64, priority: Priority, tag: u32, message: &str) -> Entry {
        Entry {
            time: Duration::from_secs(seconds),
            priority,
            tag,
            function: "f".into(),
            line: 3,
            message: message.into(),
        }
    }

    #[test]
    fn records_are_filtered() {
        let all = vec![
            entry(1, Priority::Debug, 15, "token"),
            entry(2, Priority::Notice, 15, "new membership"),
            entry(3, Priority::Error, 5, "no membership"),
        ];
        let count = |filter: &Filter| filter.apply(all.clone()).len();
        assert_eq!(count(&Filter::default()), 3);
        assert_eq!(count(&Filter { priority: Some(Priority::Notice), ..Filter::default() }), 2);
        assert_eq!(count(&Filter { subsystems: vec!["TOTEM".into()], ..Filter::default() }), 2);
        assert_eq!(count(&Filter { text: Some("member".into()), ..Filter::default() }), 2);
        assert_eq!(count(&Filter { last: Some(1), ..Filter::default() }), 1);
        let not_before = Some(Duration::from_secs(3));
        assert_eq!(count(&Filter { not_before, ..Filter::default() }), 1);
        assert_eq!(count(&Filter { function: Some("g".into()), ..Filter::default() }), 0);
    }

    #[test]
    fn json_is_quoted() {
        let text = as_json(&entry(1, Priority::Info, 5, "a \"b\"\\\n\u{1}"));
        assert_eq!(
            text,
            "{\"time\":1.000000000,\"priority\":\"info\",\"subsystem\":\"CPG\",\
             \"function\":\"f\",\"line\":3,\"message\":\"a \\\"b\\\"\\\\\\n\\u0001\"}\n"
        );
    }
}
