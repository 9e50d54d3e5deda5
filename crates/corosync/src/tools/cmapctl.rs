//! `corosync-cmapctl`: read, change and watch the engine's map.
//!
//! Source: `spec/corosync-conf-and-tools.md` §6.2.

use super::{complain, getopt, say};
use corosync_client::cmap::{
    Cmap, Map, TRACK_ADD_EVENTS, TRACK_DELETE_EVENTS, TRACK_MODIFY_EVENTS, TRACK_PREFIX, Value,
    ValueType,
};
use corosync_client::{CsError, retry};
use std::fmt::Write;
use std::io::{BufRead, Read};
use std::time::Duration;

const USAGE: &str = include_str!("cmapctl_usage.txt");
const CLEARABLE: [&str; 5] = ["knet", "ipc", "totem", "schedmiss", "all"];

#[derive(Clone, PartialEq, Eq)]
enum Action {
    Print,
    Get,
    Set,
    Delete,
    DeletePrefix,
    Load(String),
    Clear(String),
    Track,
    TrackPrefix,
}

/// How values are shown.
#[derive(Clone, Copy, Default)]
struct Style {
    binary: bool,
    quiet: bool,
}

/// Runs `corosync-cmapctl`.
pub(super) fn run(args: &[String]) -> i32 {
    let program = args.first().map_or("corosync-cmapctl", String::as_str);
    let flag = |letter| getopt::short(letter, false);
    let with = |letter| getopt::short(letter, true);
    let known = [
        flag('h'),
        flag('g'),
        flag('s'),
        flag('d'),
        flag('D'),
        flag('t'),
        flag('T'),
        flag('b'),
        flag('q'),
        with('p'),
        with('m'),
        with('C'),
    ];
    let parsed = getopt::parse(args.get(1..).unwrap_or_default(), &known);
    let (mut action, mut style, mut map) = (Action::Print, Style::default(), Map::Icmap);
    let before_error = parsed.errors.first().map_or(usize::MAX, |(at, _)| *at);
    for (letter, value) in parsed.options.iter().take(before_error) {
        let value = value.clone().unwrap_or_default();
        match letter {
            'h' => {
                say(USAGE);
                return 0;
            }
            'g' => action = Action::Get,
            's' => action = Action::Set,
            'd' => action = Action::Delete,
            'D' => action = Action::DeletePrefix,
            't' => action = Action::Track,
            'T' => action = Action::TrackPrefix,
            'b' => style.binary = true,
            'q' => style.quiet = true,
            'p' => action = Action::Load(value),
            'C' if CLEARABLE.contains(&value.as_str()) => {
                map = Map::Stats;
                action = Action::Clear(value);
            }
            'C' => {
                complain("argument to -C should be 'knet', 'totem', 'ipc', 'schedmiss' or 'all'");
                return 1;
            }
            'm' => match value.as_str() {
                "icmap" | "default" => map = Map::Icmap,
                "stats" => map = Map::Stats,
                _ => {
                    complain("invalid map name, must be 'default', 'icmap' or 'stats'");
                    return 1;
                }
            },
            _ => {}
        }
    }
    if parsed.complain(program) {
        return 1;
    }
    let keys = parsed.words;
    match action {
        Action::Set if keys.len() < 3 => {
            complain("At least 3 parameters are expected for set");
            return 1;
        }
        Action::Get
        | Action::Delete
        | Action::DeletePrefix
        | Action::Track
        | Action::TrackPrefix
            if keys.is_empty() =>
        {
            complain("Expected key after options");
            return 1;
        }
        _ => {}
    }
    let connected = retry(10, Duration::from_secs(1), || Cmap::connect_to(map));
    let mut cmap = match connected {
        Ok(cmap) => cmap,
        Err(error) => {
            complain(format_args!("Failed to initialize the cmap API. Error {error}"));
            return 1;
        }
    };
    match perform(&mut cmap, &action, &keys, style) {
        Ok(status) => status,
        Err(complaint) => {
            complain(complaint);
            1
        }
    }
}

fn perform(cmap: &mut Cmap, action: &Action, keys: &[String], style: Style) -> Result<i32, String> {
    match action {
        Action::Print => print(cmap, keys, style),
        Action::Get => {
            for key in keys {
                let value =
                    cmap.get(key).map_err(|error| format!("Can't get key {key}. Error {error}"))?;
                say(&line(key, &value, style));
            }
            Ok(0)
        }
        Action::Set => match keys {
            [key, kind, value, ..] => set(cmap, key, kind, value).map(|()| 0),
            _ => Ok(1),
        },
        Action::Delete => {
            for key in keys {
                delete(cmap, key)?;
            }
            Ok(0)
        }
        Action::DeletePrefix => {
            for prefix in keys {
                delete_prefix(cmap, prefix);
            }
            Ok(0)
        }
        Action::Load(file) => load(cmap, file),
        Action::Clear(what) => cmap
            .set(&format!("stats.clear.{what}"), &Value::U32(1))
            .map(|()| 0)
            .map_err(|error| format!("Failed to clear {what} stats. Error {error}")),
        Action::Track => track(cmap, keys, 0, style),
        Action::TrackPrefix => track(cmap, keys, TRACK_PREFIX, style),
    }
}

fn print(cmap: &mut Cmap, prefixes: &[String], style: Style) -> Result<i32, String> {
    let mut found = prefixes.is_empty();
    let all = [String::new()];
    let prefixes = if prefixes.is_empty() { &all } else { prefixes };
    for prefix in prefixes {
        let entries = cmap
            .entries(prefix)
            .map_err(|error| format!("Can't get iteration of {prefix}. Error {error}"))?;
        found |= !entries.is_empty();
        let mut text = String::new();
        for (key, value) in &entries {
            text.push_str(&line(key, value, style));
        }
        say(&text);
    }
    Ok(i32::from(!found))
}

/// One value as a line.
fn line(key: &str, value: &Value, style: Style) -> String {
    let kind = value.kind().as_str();
    let mut text = match (style.quiet, value) {
        (false, Value::Bin(_)) => format!("{key} ({kind})"),
        (false, _) => format!("{key} ({kind}) = "),
        // Upstream's quiet mode leaves this of it.
        (true, Value::Bin(_)) => "bin)".to_owned(),
        (true, _) => String::new(),
    };
    match value {
        Value::Str(value) => text.push_str(value),
        Value::Float(value) => text.push_str(&fixed(f64::from(*value))),
        Value::Double(value) => text.push_str(&fixed(*value)),
        Value::Bin(bytes) if style.binary => {
            text.push_str(" = ");
            text.push_str(&escaped(bytes));
        }
        Value::Bin(_) => {}
        integer => {
            if let Some(number) = integer.as_i128() {
                let _ = write!(text, "{number}");
            }
        }
    }
    text.push('\n');
    text
}

/// C's `%f`.
fn fixed(value: f64) -> String {
    if value.is_nan() { "nan".to_owned() } else { format!("{value:.6}") }
}

fn escaped(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "*empty*".to_owned();
    }
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            0x20..=0x7e => text.push(char::from(*byte)),
            // Sign extension: upstream prints a signed char as an int.
            0x80.. => {
                let _ = write!(text, "\\xFFFFFF{byte:02X}");
            }
            _ => {
                let _ = write!(text, "\\x{byte:02X}");
            }
        }
    }
    text
}

fn set(cmap: &mut Cmap, key: &str, kind: &str, text: &str) -> Result<(), String> {
    let value = read_value(kind, text)?;
    // Upstream's library has no empty binary values, though the engine would take one.
    let done = if value == Value::Bin(Vec::new()) {
        Err(CsError::INVALID_PARAM)
    } else {
        cmap.set(key, &value)
    };
    done.map_err(|error| format!("Failed to set key {key}. Error {error}"))
}

fn read_value(word: &str, text: &str) -> Result<Value, String> {
    let kind = ValueType::parse(word).ok_or_else(|| format!("Unknown type {word}"))?;
    let no_value = || format!("{text} is not valid {word} type value");
    let signed = |min: i64, max: i64| {
        let number = scan_signed(text).ok_or_else(no_value)?;
        if (min..=max).contains(&number) {
            Ok(number)
        } else {
            Err(format!("{text} is not valid {word} integer"))
        }
    };
    Ok(match kind {
        ValueType::I8 => Value::I8(signed(i8::MIN.into(), i8::MAX.into())? as i8),
        ValueType::U8 => Value::U8(signed(0, u8::MAX.into())? as u8),
        ValueType::I16 => Value::I16(signed(i16::MIN.into(), i16::MAX.into())? as i16),
        ValueType::U16 => Value::U16(signed(0, u16::MAX.into())? as u16),
        ValueType::I32 => Value::I32(signed(i32::MIN.into(), i32::MAX.into())? as i32),
        ValueType::U32 => Value::U32(signed(0, u32::MAX.into())? as u32),
        ValueType::I64 => Value::I64(signed(i64::MIN, i64::MAX)?),
        ValueType::U64 => Value::U64(scan_unsigned(text).ok_or_else(no_value)?),
        ValueType::Float => Value::Float(scan_float(text).ok_or_else(no_value)? as f32),
        ValueType::Double => Value::Double(scan_float(text).ok_or_else(no_value)?),
        ValueType::Str => Value::Str(text.to_owned()),
        ValueType::Bin => Value::Bin(read_binary(text)?),
    })
}

fn read_binary(path: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = if path == "-" {
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| ())
    } else {
        std::fs::read(path).map(|content| bytes = content)
    };
    read.map(|()| bytes).map_err(|error| format!("Can't open input file: {}", strerror(&error)))
}

/// The system's words, without the number Rust adds.
fn strerror(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// The decimal digits at the beginning, after blanks and a sign, as `sscanf` takes them.
fn scan(text: &str) -> Option<(bool, &str)> {
    let text = text.trim_start();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    (end > 0).then(|| (negative, &digits[..end]))
}

fn scan_signed(text: &str) -> Option<i64> {
    let (negative, digits) = scan(text)?;
    let number: i128 = digits.parse().unwrap_or(i128::from(i64::MAX) + 1);
    let number = if negative { -number } else { number };
    Some(number.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
}

fn scan_unsigned(text: &str) -> Option<u64> {
    let (negative, digits) = scan(text)?;
    let number: u64 = digits.parse().unwrap_or(u64::MAX);
    Some(if negative { number.wrapping_neg() } else { number })
}

/// The longest beginning that is a number.
fn scan_float(text: &str) -> Option<f64> {
    let text = text.trim_start();
    (1..=text.len()).rev().filter_map(|end| text.get(..end)).find_map(|prefix| prefix.parse().ok())
}

fn delete(cmap: &mut Cmap, key: &str) -> Result<(), String> {
    cmap.delete(key).map_err(|error| format!("Can't delete key {key}. Error {error}"))
}

/// Deletes what can be deleted and complains of the rest.
fn delete_prefix(cmap: &mut Cmap, prefix: &str) {
    match cmap.keys(prefix) {
        Ok(keys) => {
            for (key, _) in keys {
                if let Err(complaint) = delete(cmap, &key) {
                    complain(complaint);
                }
            }
        }
        Err(error) => complain(format_args!("Can't get iteration of {prefix}. Error {error}")),
    }
}

fn load(cmap: &mut Cmap, path: &str) -> Result<i32, String> {
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => {
            complain(format_args!("Couldn't open file.: {}", strerror(&error)));
            // So does upstream.
            return Ok(0);
        }
    };
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let mut words = line.split_whitespace();
        let Some(key) = words.next() else { continue };
        if let Some(prefix) = key.strip_prefix("^^") {
            delete_prefix(cmap, prefix);
        } else if let Some(key) = key.strip_prefix('^') {
            if let Err(complaint) = delete(cmap, key) {
                complain(complaint);
            }
        } else {
            match (words.next(), words.next()) {
                (Some(kind), Some(value)) => set(cmap, key, kind, value)?,
                _ => return Err(format!("Both type and value for key {key} are required")),
            }
        }
    }
    Ok(0)
}

fn track(cmap: &mut Cmap, keys: &[String], prefix: u32, style: Style) -> Result<i32, String> {
    let events = TRACK_ADD_EVENTS | TRACK_DELETE_EVENTS | TRACK_MODIFY_EVENTS;
    let mut tracks = Vec::new();
    for key in keys {
        let track = cmap
            .track(key, events | prefix)
            .map_err(|error| format!("Failed to add tracking function. Error {error}"))?;
        tracks.push(track);
    }
    say("Type \"q\" to finish\n");
    let lost = |error: CsError| format!("Could not dispatch cmap events. Error {error}");
    let mut input = std::io::stdin().lock();
    loop {
        let (event_came, input_came) = wait(cmap, &input);
        if event_came {
            while let Some(event) = cmap.dispatch().map_err(lost)? {
                let (word, value) = match event.event {
                    TRACK_ADD_EVENTS => ("create", event.new),
                    TRACK_DELETE_EVENTS => ("delete", event.old),
                    _ => ("modify", event.new),
                };
                // A counter's notification may come without a value: then it is what it is now.
                let value = match value {
                    Some(value) => Some(value),
                    None => cmap.get(&event.key).ok(),
                };
                if let Some(value) = value {
                    say(&format!("{word}> {}", line(&event.key, &value, style)));
                }
            }
        }
        if input_came {
            let mut typed = String::new();
            // An input that cannot be read ended, too.
            let got = input.read_line(&mut typed).unwrap_or(0);
            if got == 0 || typed.starts_with('q') {
                break;
            }
        }
    }
    for track in tracks {
        cmap.untrack(track).map_err(lost)?;
    }
    Ok(0)
}

/// Waits for an event or a line of input.
fn wait(cmap: &Cmap, input: &std::io::StdinLock<'_>) -> (bool, bool) {
    use rustix::event::{PollFd, PollFlags, poll};
    use std::os::fd::AsFd;
    let mut fds = [
        PollFd::from_borrowed_fd(cmap.fd(), PollFlags::IN),
        PollFd::from_borrowed_fd(input.as_fd(), PollFlags::IN),
    ];
    // Interrupted: nothing came, and we are asked again.
    match poll(&mut fds, None) {
        Ok(_) => (!fds[0].revents().is_empty(), !fds[1].revents().is_empty()),
        Err(_) => (false, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_upstream_reads_them() {
        for (kind, text, value) in [
            ("u8", "7x", Ok(Value::U8(7))),
            ("u8", "256", Err("256 is not valid u8 integer")),
            ("u8", "-1", Err("-1 is not valid u8 integer")),
            ("u8", "x", Err("x is not valid u8 type value")),
            ("i8", "-128", Ok(Value::I8(-128))),
            ("i8", "-129", Err("-129 is not valid i8 integer")),
            ("u16", "0x10", Ok(Value::U16(0))),
            ("u16", " 5", Ok(Value::U16(5))),
            ("u32", "4294967296", Err("4294967296 is not valid u32 integer")),
            ("u64", "-1", Ok(Value::U64(u64::MAX))),
            ("u64", "99999999999999999999", Ok(Value::U64(u64::MAX))),
            ("i64", "99999999999999999999", Ok(Value::I64(i64::MAX))),
            ("flt", "1.5x", Ok(Value::Float(1.5))),
            ("flt", "x", Err("x is not valid flt type value")),
            ("dbl", "1e400", Ok(Value::Double(f64::INFINITY))),
            ("str", "", Ok(Value::Str(String::new()))),
            ("zz", "1", Err("Unknown type zz")),
            ("bin", "/nope", Err("Can't open input file: No such file or directory")),
        ] {
            assert_eq!(read_value(kind, text), value.map_err(str::to_owned), "{kind} {text}");
        }
    }

    #[test]
    fn values_are_shown_as_upstream_shows_them() {
        let plain = Style::default();
        let quiet = Style { quiet: true, ..plain };
        let both = Style { quiet: true, binary: true };
        let binary = Style { binary: true, ..plain };
        let bin = Value::Bin(b"a\\b\xff\n".to_vec());
        for (value, style, text) in [
            (Value::I8(-5), plain, "k (i8) = -5\n"),
            (Value::Float(1.5), plain, "k (flt) = 1.500000\n"),
            (Value::Double(f64::NAN), plain, "k (dbl) = nan\n"),
            (Value::Str("a b".to_owned()), quiet, "a b\n"),
            (bin.clone(), plain, "k (bin)\n"),
            (bin.clone(), quiet, "bin)\n"),
            (bin.clone(), binary, "k (bin) = a\\\\b\\xFFFFFFFF\\x0A\n"),
            (bin, both, "bin) = a\\\\b\\xFFFFFFFF\\x0A\n"),
            (Value::Bin(vec![]), binary, "k (bin) = *empty*\n"),
        ] {
            assert_eq!(line("k", &value, style), text);
        }
    }
}
