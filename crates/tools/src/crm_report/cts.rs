//! When the tests of Pacemaker's cluster test suite ran, as its log tells:
//! `… Running test NAME (NODE) [  3]`.

use jiff::tz::TimeZone;

use super::times;

/// The tests that are named: `3`, `3-5`, `3,7`.
///
/// # Errors
/// What is no number, for the user.
pub(super) fn numbers<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<u64>, String> {
    let mut found = Vec::new();
    for word in texts.flat_map(|text| text.split([' ', ','])).filter(|word| !word.is_empty()) {
        let bad = || format!("\"{word}\" is no test's number, nor FIRST-LAST");
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let first: u64 = first.parse().map_err(|_| bad())?;
        let last: u64 = last.parse().map_err(|_| bad())?;
        if last < first || last - first > 100_000 {
            return Err(bad());
        }
        found.extend(first..=last);
    }
    Ok(found)
}

/// The number of the test a line says to begin.
fn begun(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("Running test ")?;
    let (_, number) = rest.rsplit_once('[')?;
    number.split(']').next()?.trim().parse().ok()
}

/// From the beginning of the first of these tests to the end of the last, which is where the next
/// one begins, or the log ends. `None` when none of them is in the log.
pub(super) fn range(log: &str, tests: &[u64], now: i64, zone: &TimeZone) -> Option<(i64, i64)> {
    let mut range: Option<(i64, i64)> = None;
    let mut is_inside = false;
    for line in log.lines() {
        let Some(at) = times::of_line(line, now, zone) else { continue };
        let number = begun(line);
        if is_inside && let Some((_, end)) = &mut range {
            *end = at;
        }
        if let Some(number) = number {
            is_inside = tests.contains(&number);
            if is_inside && range.is_none() {
                range = Some((at, at));
            }
        }
    }
    range
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_found_in_the_log() {
        // 2026-11-21 08:00:00 UTC
        let now = 1_795_248_000;
        let log = "Nov 21 07:00:00 CTS: Running test Flip (n1) [  1]\nNov 21 07:05:00 CTS: x\n\
                   Nov 21 07:10:00 CTS: Running test Stop (n2) [  2]\nno time\n\
                   Nov 21 07:20:00 CTS: Running test Start (n1) [  3]\nNov 21 07:30:00 CTS: end\n";
        for (text, want) in [
            ("1", Some((3600, 3000))),
            ("2", Some((3000, 2400))),
            ("3", Some((2400, 1800))),
            ("1-2", Some((3600, 2400))),
            ("2, 3", Some((3000, 1800))),
            ("4", None),
        ] {
            let tests = numbers([text].into_iter()).unwrap();
            let found = range(log, &tests, now, &TimeZone::UTC);
            assert_eq!(found, want.map(|(a, b)| (now - a, now - b)), "{text}");
        }
        for bad in ["x", "3-1", "-", "1-", "1-999999999999"] {
            assert!(numbers([bad].into_iter()).is_err(), "{bad}");
        }
    }
}
