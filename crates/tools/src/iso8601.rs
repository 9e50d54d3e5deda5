//! `iso8601`: shows how dates and durations are read. Source: `spec/cli-pacemaker.md` §8.7.

use base::CrmExit;
use base::dates::{DateError, DateTime, Duration, Period, days_from_civil};
use xml::Element;

use crate::options::{Parsed, Table, flag, value};
use crate::output::{self, Fail, Out, text_element};

/// The command line.
pub(crate) const TABLE: Table = Table {
    tool: "iso8601",
    summary: "display and parse ISO 8601 dates and times",
    usage: "<command> [<output modifier>]",
    groups: &[
        ("commands", "Commands:"),
        ("modifiers", "Output modifiers:"),
        ("additional", "Additional options:"),
    ],
    options: &[
        flag("now", 'n', "commands", "Display the current date/time"),
        value(
            "date",
            'd',
            "DATE",
            "commands",
            "Parse an ISO 8601 date/time (for example, '2019-09-24 00:30:00 +01:00' or '2019-040')",
        ),
        value(
            "period",
            'p',
            "PERIOD",
            "commands",
            "Parse an ISO 8601 period (interval) with start time (for example, '2005-040/2005-043')",
        ),
        value(
            "duration",
            'D',
            "DURATION",
            "commands",
            "Parse an ISO 8601 duration (for example, 'P1M')",
        ),
        value("expected", 'E', "DATE", "commands", "Exit with an error if the result is not this"),
        flag(
            "seconds",
            's',
            "modifiers",
            "Show result as a seconds since 0000-001 00:00:00 (in UTC)",
        ),
        flag(
            "epoch",
            'S',
            "modifiers",
            "Show result as a seconds since EPOCH (1970-001 00:00:00) (in UTC)",
        ),
        flag("local", 'L', "modifiers", "Show result as a 'local' date/time"),
        flag("ordinal", 'O', "modifiers", "Show result as an 'ordinal' date/time"),
        flag("week", 'W', "modifiers", "Show result as an 'calendar week' date/time"),
    ],
    formats: &["text", "xml"],
    notes: "",
};

/// Runs the tool.
pub fn main(args: &[String]) -> i32 {
    output::run(&TABLE, args, work)
}

struct Style {
    seconds: bool,
    epoch: bool,
    local: bool,
    ordinal: bool,
    week: bool,
}

fn offset_text(offset: i32) -> String {
    if offset == 0 {
        return "Z".to_owned();
    }
    let (sign, seconds) = if offset < 0 { ('-', -offset) } else { ('+', offset) };
    format!(" {sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60)
}

impl Style {
    /// A date as asked for; in its own offset when `own` (or asked to), else in UTC.
    fn show(&self, date: DateTime, own: bool) -> String {
        if self.epoch {
            return date.epoch.to_string();
        }
        if self.seconds {
            return (date.epoch - days_from_civil(1, 1, 1) * 86_400).to_string();
        }
        let offset = if self.local || own { date.offset } else { 0 };
        let f = DateTime { epoch: date.epoch, offset }.fields();
        let day = if self.ordinal {
            format!("{}-{:03}", f.year, f.yearday)
        } else if self.week {
            format!("{}-W{:02}-{}", f.weekyear, f.week, f.weekday)
        } else {
            format!("{:04}-{:02}-{:02}", f.year, f.month, f.day)
        };
        format!("{day} {:02}:{:02}:{:02}{}", f.hour, f.minute, f.second, offset_text(offset))
    }
}

fn plural(count: i64) -> &'static str {
    if count == 1 || count == -1 { "" } else { "s" }
}

/// A duration as the library logs it: each part padded, seconds also in words.
fn duration_text(span: Duration) -> String {
    let mut text = String::new();
    let many = |count: i64| if count == 1 { "" } else { "s" };
    if span.years != 0 {
        text.push_str(&format!("{:4} year{} ", span.years, many(span.years)));
    }
    if span.months != 0 {
        text.push_str(&format!("{:2} month{} ", span.months, many(span.months)));
    }
    let days = span.weeks * 7 + span.days;
    if days != 0 {
        text.push_str(&format!("{days:2} day{} ", many(days)));
    }
    let seconds = span.hours * 3600 + span.minutes * 60 + span.seconds;
    if seconds != 0 || text.is_empty() {
        text.push_str(&format!("{seconds} second{}", many(seconds)));
        let total = seconds.abs();
        let parts: Vec<String> =
            [(total / 3600, "hour"), (total / 60 % 60, "minute"), (total % 60, "second")]
                .into_iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, unit)| format!("{count} {unit}{}", plural(count)))
                .collect();
        if total >= 60 {
            text.push_str(&format!(" ({})", parts.join(" ")));
        }
    }
    text
}

fn say(out: &mut Out, label: &str, tag: &str, text: &str) {
    out.line(&format!("{label}: {text}"));
    out.xml(|| text_element(tag, text));
}

fn work(parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    let has = |name: &str| parsed.has(name);
    let style = Style {
        seconds: has("seconds"),
        epoch: has("epoch"),
        local: has("local"),
        ordinal: has("ordinal"),
        week: has("week"),
    };
    let now = crate::clock::now();
    let zone = crate::clock::local_offset(now);
    let invalid = |error: DateError, what: &str, text: &str| {
        base::error!("{error}");
        Fail::new(CrmExit::InvalidParam, format!("Invalid {what} specified: {text}"))
    };
    let mut date = None;
    if has("now") {
        let current = DateTime { epoch: now, offset: zone };
        say(out, "Current date/time", "now", &style.show(current, false));
        date = Some(current);
    }
    if let Some(text) = parsed.value("date") {
        let parsed =
            DateTime::read(text, now, zone).map_err(|error| invalid(error, "date/time", text))?;
        say(out, "Date", "date", &style.show(parsed, false));
        date = Some(parsed);
    }
    let mut result = date;
    if let Some(text) = parsed.value("duration") {
        let span = Duration::read(text).map_err(|error| invalid(error, "duration", text))?;
        say(out, "Duration", "duration", &duration_text(span));
        if let Some(start) = date {
            let end = span.after(start);
            say(out, "Duration ends at", "duration_ends", &style.show(end, true));
            result = Some(end);
        }
    }
    if let Some(text) = parsed.value("period") {
        let period =
            Period::read(text, now, zone).map_err(|error| invalid(error, "interval", text))?;
        let (start, end) = (style.show(period.start, false), style.show(period.end, false));
        out.line(&format!("Period: {start} to {end}"));
        out.xml(|| {
            Element::new("period")
                .with_child(text_element("start", &start))
                .with_child(text_element("end", &end))
        });
    }
    if let (Some(expected), Some(result)) = (parsed.value("expected"), result) {
        let got = style.show(result, false);
        if got != expected {
            return Err(Fail::new(
                CrmExit::Error,
                format!("Result {got} is not the expected {expected}"),
            ));
        }
    } else if result.is_none()
        && parsed.value("duration").is_none()
        && parsed.value("period").is_none()
    {
        return Err(Fail::usage("Must specify a command option"));
    }
    Ok(CrmExit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_worded_as_the_library_does() {
        for (text, words) in [
            ("P2Y5MT6M", "   2 years  5 months 360 seconds (6 minutes)"),
            ("P-1M", "-1 months "),
            ("PT", "0 seconds"),
            ("P-1H", "-3600 seconds (1 hour)"),
            ("P3DT4H5M6S", " 3 days 14706 seconds (4 hours 5 minutes 6 seconds)"),
        ] {
            assert_eq!(Duration::parse(text).map(duration_text).as_deref(), Some(words), "{text}");
        }
    }
}
