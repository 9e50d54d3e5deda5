//! Reading dates, durations and periods, with upstream's reasons for those that cannot be read.
//!
//! The readers are as lenient as upstream's: what follows a complete date is ignored, and fields
//! may have fewer digits. Source: `spec/cib.md` §13.6–13.7, `spec/cli-pacemaker.md` §8.7.

use super::{
    DateTime, Duration, civil_from_days, days_from_civil, first_monday, is_leap, month_days,
};

/// Why a text is no date, duration or period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateError(String);

impl std::fmt::Display for DateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DateError {}

/// A decimal number of at most `width` characters at the start of the text, and the rest. As in
/// C, a negative number wraps around to a large one.
fn number(text: &str, width: usize) -> Option<(u32, &str)> {
    let sign = usize::from(text.starts_with(['-', '+']));
    let digits = text[sign..].bytes().take(width.saturating_sub(sign));
    let count = digits.take_while(u8::is_ascii_digit).count();
    if count == 0 {
        return None;
    }
    let (digits, rest) = text[sign..].split_at(count);
    let value = digits.parse::<u32>().unwrap_or(u32::MAX);
    let value = if text.starts_with('-') { value.wrapping_neg() } else { value };
    Some((value, rest))
}

/// A plain number: digits only.
fn digits(text: &str, width: usize) -> Option<(u32, &str)> {
    if text.starts_with(['-', '+']) { None } else { number(text, width) }
}

/// Three numbers with a dash between them.
fn dashed(text: &str) -> Option<(u32, u32, u32)> {
    let (year, rest) = number(text, 11)?;
    let (month, rest) = number(rest.strip_prefix('-')?, 11)?;
    let (day, _) = number(rest.strip_prefix('-')?, 11)?;
    Some((year, month, day))
}

/// `YYYYMMDD`.
fn compact(text: &str) -> Option<(u32, u32, u32)> {
    let (year, rest) = digits(text, 4)?;
    let (month, rest) = digits(rest, 2)?;
    let (day, _) = digits(rest, 2)?;
    Some((year, month, day))
}

/// The days since 1970 of the date a text begins with.
fn date_days(text: &str) -> Result<i64, DateError> {
    let wrong = |why: String| {
        DateError(format!("'{text}' is not a valid ISO 8601 date/time specification{why}"))
    };
    let because =
        |value: u32, what: &str| wrong(format!(" because '{value}' is not a valid {what}"));
    let year_of = |year: u32| match i32::try_from(year) {
        Ok(year) if year > 0 => Ok(i64::from(year)),
        _ => Err(because(year, "year")),
    };
    if let Some((year, month, day)) = dashed(text).or_else(|| compact(text)) {
        let y = year_of(year)?;
        if !(1..=12).contains(&month) {
            return Err(because(month, "month"));
        }
        if !(1..=month_days(y, i64::from(month))).contains(&i64::from(day)) {
            return Err(because(day, "day of the month"));
        }
        return Ok(days_from_civil(y, i64::from(month), i64::from(day)));
    }
    let Some((year, rest)) = number(text, 11) else { return Err(wrong(String::new())) };
    let Some(rest) = rest.strip_prefix('-') else { return Err(wrong(String::new())) };
    if let Some((day, _)) = number(rest, 11) {
        let y = year_of(year)?;
        let last = 365 + i64::from(is_leap(y));
        if !(1..=last).contains(&i64::from(day)) {
            return Err(because(day, &format!("day of the year (max {last})")));
        }
        return Ok(days_from_civil(y, 1, 1) + i64::from(day) - 1);
    }
    let week = rest.strip_prefix('W').and_then(|rest| number(rest, 11));
    let Some((week, Some((day, _)))) =
        week.map(|(week, rest)| (week, rest.strip_prefix('-').and_then(|rest| number(rest, 11))))
    else {
        return Err(wrong(String::new()));
    };
    let y = year_of(year)?;
    let last = (first_monday(y + 1) - first_monday(y)) / 7;
    if !(1..=last).contains(&i64::from(week)) {
        return Err(because(week, &format!("week of the year (max {last})")));
    }
    if !(1..=7).contains(&day) {
        return Err(because(day, "day of the week"));
    }
    Ok(first_monday(y) + (i64::from(week) - 1) * 7 + i64::from(day) - 1)
}

/// The seconds of the time of day (or of the offset) a text begins with.
fn clock_seconds(text: &str) -> Result<i64, DateError> {
    let wrong =
        |why: String| DateError(format!("{text} is not a valid ISO 8601 time specification{why}"));
    let colons = digits(text, 11).is_some_and(|(_, rest)| rest.starts_with(':'));
    let mut fields = [0; 3];
    let mut rest = text;
    for (index, field) in fields.iter_mut().enumerate() {
        let next = match (index, colons) {
            (0, true) => digits(rest, 11),
            (_, true) => rest.strip_prefix(':').and_then(|rest| digits(rest, 11)),
            (_, false) => digits(rest, 2),
        };
        match next {
            Some((value, after)) => (*field, rest) = (value, after),
            None if index == 0 => return Err(wrong(String::new())),
            None => break,
        }
    }
    let [hour, minute, second] = fields;
    let because = |value: u32, what: &str| wrong(format!(" because {value} is not a valid {what}"));
    // Midnight may be called the end of the day before.
    if hour > 24 || (hour == 24 && (minute, second) != (0, 0)) {
        return Err(because(hour, "hour"));
    }
    if minute > 59 {
        return Err(because(minute, "minute"));
    }
    if second > 59 {
        return Err(because(second, "second"));
    }
    Ok(i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second))
}

/// The offset that follows a time of day; `own` holds up to where it may be looked for.
fn offset_seconds(text: &str, own: &str, local: i32) -> Result<i32, DateError> {
    if own.contains(['Z', 'z']) {
        return Ok(0);
    }
    // `text` goes on where `own` ends, so that a message shows all of it.
    let Some(at) = own.find(['+', '-']) else { return Ok(local) };
    let seconds = i32::try_from(clock_seconds(&text[at + 1..])?).unwrap_or(0);
    Ok(if own[at..].starts_with('-') { -seconds } else { seconds })
}

impl DateTime {
    /// Reads a date with or without time; nothing at all is now. `local_offset` is that of times
    /// without one.
    pub fn parse(text: &str, now: i64, local_offset: i32) -> Option<DateTime> {
        if text.trim().is_empty() {
            return Some(DateTime { epoch: now, offset: local_offset });
        }
        DateTime::read(text, now, local_offset).ok()
    }

    /// Reads a date with or without time.
    ///
    /// # Errors
    /// What is wrong with it, in upstream's words.
    pub fn read(text: &str, now: i64, local_offset: i32) -> Result<DateTime, DateError> {
        if text.is_empty() {
            return Err(DateError("No ISO 8601 date/time specification given".to_owned()));
        }
        let bytes = text.as_bytes();
        if bytes.len() >= 5
            && bytes[..5].eq_ignore_ascii_case(b"epoch")
            && matches!(bytes.get(5), None | Some(b' ' | b'/'))
        {
            return Ok(DateTime::utc(0));
        }
        let today = (now + i64::from(local_offset)).div_euclid(86_400);
        // A period's other half is not this date's business.
        let own = text.split('/').next().unwrap_or(text);
        let (days, time) = if text.starts_with('T') {
            (today, 1)
        } else if bytes.get(2) == Some(&b':') {
            (today, 0)
        } else {
            let days = date_days(text)?;
            match own.find(['T', ' ']) {
                Some(at) => (days, at + 1),
                None => (days, own.len()),
            }
        };
        let time = own.len() - own[time..].trim_start().len();
        if time >= own.len() {
            let offset = if text.starts_with('T') { local_offset } else { 0 };
            return Ok(DateTime { epoch: days * 86_400 - i64::from(offset), offset });
        }
        let seconds = clock_seconds(&text[time..])?;
        let offset = offset_seconds(&text[time..], &own[time..], local_offset)?;
        Ok(DateTime { epoch: days * 86_400 + seconds - i64::from(offset), offset })
    }

    /// Whether the year has four digits, which periods ask for.
    fn is_in_range(self) -> bool {
        let year = civil_from_days(self.epoch.div_euclid(86_400)).0;
        (1..=9999).contains(&year)
    }
}

impl Duration {
    /// Reads `P1Y2M3DT4H5M6S`.
    pub fn parse(text: &str) -> Option<Duration> {
        Duration::read(text).ok()
    }

    /// Reads `P1Y2M3DT4H5M6S`, up to the end, a blank or a slash.
    ///
    /// # Errors
    /// What is wrong with it, in upstream's words.
    pub fn read(text: &str) -> Result<Duration, DateError> {
        let whole = |why: String| {
            DateError(format!("'{text}' is not a valid ISO 8601 time duration because {why}"))
        };
        let element = |why: String| {
            DateError(format!("'{text}' is not a valid ISO 8601 duration because {why}"))
        };
        let Some(mut rest) = text.strip_prefix('P') else {
            return Err(whole("it does not start with a 'P'".to_owned()));
        };
        if rest.is_empty() || rest.starts_with(['/', ' ']) {
            return Err(whole("nothing follows 'P'".to_owned()));
        }
        let (mut span, mut in_time) = (Duration::default(), false);
        while !rest.is_empty() && !rest.starts_with(['/', ' ']) {
            if let Some(after) = rest.strip_prefix('T') {
                in_time = true;
                rest = after;
                continue;
            }
            let sign = usize::from(rest.starts_with(['-', '+', ':']));
            let count = rest[sign..].bytes().take(10).take_while(u8::is_ascii_digit).count();
            if count == 0 {
                return Err(element(format!("no valid integer at '{rest}'")));
            }
            let (value, after) = rest.split_at(sign + count);
            let magnitude: i64 = value[sign..].parse().unwrap_or(0);
            let value = if rest.starts_with('-') { -magnitude } else { magnitude };
            let mut units = after.chars();
            let unit = match units.next() {
                None | Some('/' | ' ') => {
                    return Err(element(format!("no units after {value}")));
                }
                Some(unit) => unit,
            };
            let field = match unit {
                'Y' => &mut span.years,
                'M' if in_time => &mut span.minutes,
                'M' => &mut span.months,
                'W' => &mut span.weeks,
                'D' => &mut span.days,
                'H' => &mut span.hours,
                'S' => &mut span.seconds,
                _ => return Err(element(format!("'{unit}' is not a valid time unit"))),
            };
            *field = value;
            rest = units.as_str();
        }
        Ok(span)
    }
}

/// A stretch of time between two dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// When it begins.
    pub start: DateTime,
    /// When it ends.
    pub end: DateTime,
}

impl Period {
    /// Reads `START/END`, `START/DURATION`, `DURATION/END`, or a duration that begins now.
    ///
    /// # Errors
    /// What is wrong with it, in upstream's words.
    pub fn read(text: &str, now: i64, local_offset: i32) -> Result<Period, DateError> {
        if text.is_empty() {
            return Err(DateError("No ISO 8601 time period given".to_owned()));
        }
        let wrong = |at: &str, why: &str| {
            Err(DateError(format!("'{at}' is not a valid ISO 8601 time period because {why}")))
        };
        let range = "(must be between 0001-01-01T00:00:00 and 9999-12-31T23:59:59)";
        let (mut start, mut length) = (None, None);
        if text.starts_with('P') {
            length = Some(Duration::read(text)?);
        } else {
            start = Some(DateTime::read(text, now, local_offset)?);
        }
        let mut at = text;
        let mut end = None;
        if let Some((_, second)) = text.split_once('/') {
            if second.starts_with('P') {
                if length.is_some() {
                    return wrong(text, "it has two durations");
                }
                length = Some(Duration::read(second)?);
            } else {
                end = Some(DateTime::read(second, now, local_offset)?);
            }
            at = second;
        } else if let Some(length) = length {
            let current = DateTime { epoch: now, offset: local_offset };
            (start, end) = (Some(current), Some(length.after(current)));
        } else {
            return wrong(text, "it has no duration or ending time");
        }
        let (start, end) = match (start, end, length) {
            (Some(start), Some(end), _) => (start, end),
            (Some(start), None, Some(length)) => (start, length.after(start)),
            (None, Some(end), Some(length)) => (length.before(end), end),
            _ => return wrong(text, "it has no duration or ending time"),
        };
        if !start.is_in_range() {
            return wrong(at, &format!("the start is invalid {range}"));
        }
        if !end.is_in_range() {
            return wrong(at, &format!("the end is invalid {range}"));
        }
        Ok(Period { start, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_upstreams() {
        for (text, reason) in [
            ("2019-13-01", "because '13' is not a valid month"),
            ("2019-W53-1", "because '53' is not a valid week of the year (max 52)"),
            ("2019-W10-9", "because '9' is not a valid day of the week"),
            ("2019-400", "because '400' is not a valid day of the year (max 365)"),
            ("-0005-10-01", "because '4294967291' is not a valid year"),
            ("2019-05-05T10:61", "10:61 is not a valid ISO 8601 time specification because 61"),
            ("2019-05-05 10:01:01 +x", "x is not a valid ISO 8601 time specification"),
            ("201905", "'201905' is not a valid ISO 8601 date/time specification"),
        ] {
            let error = DateTime::read(text, 0, 0).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
        for (text, reason) in [
            ("P1", "'P1' is not a valid ISO 8601 duration because no units after 1"),
            ("1Y", "'1Y' is not a valid ISO 8601 time duration because it does not start with a"),
            ("PY", "because no valid integer at 'Y'"),
            ("P1.5Y", "because '.' is not a valid time unit"),
        ] {
            let error = Duration::read(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_period_needs_one_date() {
        assert!(Period::read("PT2S/P1M", 0, 0).is_err());
        let period = Period::read("P1Y/2020-02-01 00:00:00Z", 0, 0).unwrap();
        assert_eq!(
            (period.start.to_utc_text().as_str(), period.end.to_utc_text().as_str()),
            ("2019-02-01 00:00:00Z", "2020-02-01 00:00:00Z")
        );
        assert!(Period::read("nonsense", 0, 0).is_err());
        assert!(Period::read("P1Y/10000-01-01", 0, 0).is_err());
        assert_eq!(Period::read("P1D", 0, 0).unwrap().end.epoch, 86_400);
    }

    #[test]
    fn any_text_is_survived() {
        let alphabet = ['0', '1', '9', '-', '+', ':', 'T', 'W', 'P', 'Z', '/', ' ', 'M', 'é'];
        let mut state = 0x9e37_79b9_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..12 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040);
                text.push(alphabet[usize::try_from(state >> 33).unwrap_or(0) % alphabet.len()]);
            }
            let shown = (
                DateTime::read(&text, 0, 3600).is_ok(),
                Duration::read(&text).is_ok(),
                Period::read(&text, 0, 3600).is_ok(),
            );
            assert!(!text.is_empty() || shown == (false, false, false));
        }
    }
}
