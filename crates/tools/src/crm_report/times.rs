//! Times of a report: what people type, and what begins the lines of logs.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

fn epoch(time: DateTime, zone: &TimeZone) -> Option<i64> {
    zone.to_ambiguous_timestamp(time).compatible().ok().map(|stamp| stamp.as_second())
}

/// A time as typed: `Y-M-D H:M:S`, a date, a time of today, or `@SECONDS` since 1970.
pub fn typed(text: &str, now: i64, zone: &TimeZone) -> Option<i64> {
    let today = jiff::Timestamp::from_second(now).ok()?.to_zoned(zone.clone()).date();
    let text = text.trim();
    if text == "now" {
        return Some(now);
    }
    let (date, time) = match text.split_once([' ', 'T']) {
        Some((date, time)) => (Some(date), Some(time.trim())),
        None if text.contains(':') => (None, Some(text)),
        None => (Some(text), None),
    };
    if let Some(seconds) = text.strip_prefix('@') {
        return seconds.parse().ok();
    }
    let date = match date {
        Some(text) => {
            let mut parts = text.split(['-', '/']);
            let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
            if parts.next().is_some() {
                return None;
            }
            Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()?
        }
        None => today,
    };
    let time = match time {
        Some(text) => clock(text)?,
        None => Time::midnight(),
    };
    epoch(date.to_datetime(time), zone)
}

fn clock(text: &str) -> Option<Time> {
    let mut parts = text.split(':');
    let (hour, minute) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let second = match parts.next() {
        Some(text) => text.split(['.', ',']).next()?.parse().ok()?,
        None => 0,
    };
    if parts.next().is_some() {
        return None;
    }
    Time::new(hour, minute, second, 0).ok()
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// When a log line was written: `Nov 21 07:55:16[.123] …` (of the last year that fits) or
/// `2026-11-21[T ]07:55:16…`. `None` for lines that continue the one before.
pub fn of_line(line: &str, now: i64, zone: &TimeZone) -> Option<i64> {
    let mut words = line.split_ascii_whitespace();
    let first = words.next()?;
    if let Some(month) = MONTHS.iter().position(|name| *name == first) {
        let month = i8::try_from(month).ok()? + 1;
        let day: i8 = words.next()?.parse().ok()?;
        let time = clock(words.next()?)?;
        let year = jiff::Timestamp::from_second(now).ok()?.to_zoned(zone.clone()).year();
        let in_year = |year| {
            Date::new(year, month, day).ok().and_then(|date| epoch(date.to_datetime(time), zone))
        };
        // A day of grace for clocks that are not alike.
        return in_year(year).filter(|at| *at <= now + 86_400).or_else(|| in_year(year - 1));
    }
    let (date, rest) = (line.get(..10)?, line.get(11..19)?);
    if !matches!(line.as_bytes().get(10), Some(b'T' | b' ')) {
        return None;
    }
    // An offset that is written wins over the zone here.
    if let Some(offset) = first.strip_prefix(date)
        && let Ok(stamp) = format!("{date}{offset}").parse::<jiff::Timestamp>()
    {
        return Some(stamp.as_second());
    }
    let date: Date = date.parse().ok()?;
    epoch(date.to_datetime(clock(rest)?), zone)
}

/// The lines of a log that were written from `from` to `to`, with the lines that continue them.
pub fn cut(log: &str, from: i64, to: i64, now: i64, zone: &TimeZone) -> String {
    let mut inside = false;
    let mut out = String::new();
    for line in log.split_inclusive('\n') {
        if let Some(at) = of_line(line, now, zone) {
            inside = (from..=to).contains(&at);
        }
        if inside {
            out.push_str(line);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    // 2026-11-21 08:00:00 UTC
    const NOW: i64 = 1_795_248_000;

    #[test]
    fn what_people_type() {
        for (text, want) in [
            ("2026-11-21 08:00:00", Some(NOW)),
            ("2026-11-21", Some(NOW - 8 * 3600)),
            ("7:59", Some(NOW - 60)),
            ("07:59:30", Some(NOW - 30)),
            ("now", Some(NOW)),
            ("@1795248000", Some(NOW)),
            ("@", None),
            ("soon", None),
            ("2026-13-01", None),
            ("25:00", None),
            ("", None),
        ] {
            assert_eq!(typed(text, NOW, &TimeZone::UTC), want, "{text}");
        }
    }

    #[test]
    fn lines_of_logs() {
        for (line, want) in [
            ("Nov 21 07:59:59.123 node pacemakerd", Some(NOW - 1)),
            ("Nov 21 08:00:00 node corosync[1]:", Some(NOW)),
            ("2026-11-21T09:00:00+01:00 node x", Some(NOW)),
            ("2026-11-21 08:00:00 x", Some(NOW)),
            ("    at something", None),
            ("é", None),
        ] {
            assert_eq!(of_line(line, NOW, &TimeZone::UTC), want, "{line}");
        }
        let december = of_line("Dec 25 00:00:00 node x", NOW, &TimeZone::UTC).unwrap();
        assert!(december < NOW && december > NOW - 366 * 86_400);
        let log = "Nov 21 07:00:00 a\n more\nNov 21 07:30:00 b\n more of b\nNov 21 08:00:00 c\n";
        let part = cut(log, NOW - 3_000, NOW - 60, NOW, &TimeZone::UTC);
        assert_eq!(part, "Nov 21 07:30:00 b\n more of b\n");
    }
}
