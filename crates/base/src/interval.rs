//! Time spans as configuration writes them: `30s`, `1min`, `500ms`, `2h`, a bare number of
//! seconds. (ISO 8601 durations, which intervals may also be, belong to the date module.)

use std::time::Duration;

/// Why a text is no interval.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a number with an optional unit (us, ms, s, sec, m, min, h, hr), found `{0}`")]
pub struct IntervalError(pub String);

/// Reads an interval. Units: `us`/`usec`, `ms`/`msec`, `s`/`sec` or none, `m`/`min`, `h`/`hr`,
/// in any letter case. White space around the text and before the unit is allowed.
///
/// Source: `spec/cib.md` §2 (data types).
pub fn parse(text: &str) -> Result<Duration, IntervalError> {
    let bad = || IntervalError(text.to_owned());
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let (digits, unit) = trimmed.split_at(end);
    if digits.is_empty() {
        return Err(bad());
    }
    // More digits than u64 holds: the longest span there is, as upstream caps it.
    let number: u64 = digits.parse().unwrap_or(u64::MAX);
    let micros_per_unit: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "us" | "usec" => 1,
        "ms" | "msec" => 1_000,
        "" | "s" | "sec" => 1_000_000,
        "m" | "min" => 60_000_000,
        "h" | "hr" => 3_600_000_000,
        _ => return Err(bad()),
    };
    Ok(Duration::from_micros(number.saturating_mul(micros_per_unit)))
}

/// Reads an interval as milliseconds, capped to `u32::MAX` (operation intervals on the wire are
/// 32 bits wide).
pub fn parse_ms(text: &str) -> Result<u32, IntervalError> {
    parse(text).map(|span| u32::try_from(span.as_millis()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_understood() {
        for (text, ms) in [
            ("30", 30_000),
            ("30s", 30_000),
            ("1min", 60_000),
            (" 2 h ", 7_200_000),
            ("500ms", 500),
            ("1500us", 1),
            ("10SEC", 10_000),
            ("0", 0),
        ] {
            assert_eq!(parse_ms(text), Ok(ms), "{text:?}");
        }
        for text in ["", "s", "-5s", "10parsecs", "1.5s"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert_eq!(parse_ms("99999999999999999999h"), Ok(u32::MAX));
    }
}
