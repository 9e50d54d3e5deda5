//! Scores and their arithmetic: integers that saturate at ±1 000 000, which means infinity.

use std::fmt;
use std::ops::{Add, AddAssign, Neg};

/// A preference for or against something. Source: `spec/scheduler.md` §1.1.
///
/// Adding follows the rules of the field: −INFINITY plus anything is −INFINITY (a ban always
/// wins), otherwise +INFINITY plus anything is +INFINITY, otherwise the sum is capped at both ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Score(i32);

impl Score {
    /// "Must": 1 000 000.
    pub const INFINITY: Score = Score(1_000_000);
    /// "Must not": −1 000 000.
    pub const MINUS_INFINITY: Score = Score(-1_000_000);
    /// No preference.
    pub const ZERO: Score = Score(0);

    /// Any integer, capped to ±INFINITY.
    pub fn new(value: i64) -> Score {
        Score(value.clamp(-1_000_000, 1_000_000) as i32)
    }

    /// The number, ±1 000 000 for ±INFINITY.
    pub fn value(self) -> i32 {
        self.0
    }

    /// True for both infinities.
    pub fn is_infinite(self) -> bool {
        self.0.abs() >= 1_000_000
    }

    /// Reads a score as configuration has it: an optional sign and digits (what follows the
    /// digits is ignored, as upstream's `strtoll` does), `INFINITY` and `+INFINITY`,
    /// `-INFINITY` (any letter case), and `red`, `yellow`, `green`, which are node health's words
    /// and stand for −INFINITY, 0 and 0 unless the caller's options say otherwise.
    ///
    /// `None` when nothing of that is there.
    pub fn parse(text: &str) -> Option<Score> {
        let text = text.trim_start();
        let eq = |word: &str| text.eq_ignore_ascii_case(word);
        if eq("INFINITY") || eq("+INFINITY") {
            return Some(Score::INFINITY);
        }
        if eq("-INFINITY") || eq("red") {
            return Some(Score::MINUS_INFINITY);
        }
        if eq("yellow") || eq("green") {
            return Some(Score::ZERO);
        }
        let digits_at = usize::from(text.starts_with(['+', '-']));
        let end = text[digits_at..]
            .find(|c: char| !c.is_ascii_digit())
            .map_or(text.len(), |n| digits_at + n);
        if end == digits_at {
            return None;
        }
        // Too long for i64 can only mean beyond infinity, on the side the sign says.
        Some(match text[..end].trim_start_matches('+').parse::<i64>() {
            Ok(value) => Score::new(value),
            Err(_) if text.starts_with('-') => Score::MINUS_INFINITY,
            Err(_) => Score::INFINITY,
        })
    }
}

impl Add for Score {
    type Output = Score;
    fn add(self, other: Score) -> Score {
        if self == Score::MINUS_INFINITY || other == Score::MINUS_INFINITY {
            Score::MINUS_INFINITY
        } else if self == Score::INFINITY || other == Score::INFINITY {
            Score::INFINITY
        } else {
            Score::new(i64::from(self.0) + i64::from(other.0))
        }
    }
}

impl AddAssign for Score {
    fn add_assign(&mut self, other: Score) {
        *self = *self + other;
    }
}

impl Neg for Score {
    type Output = Score;
    fn neg(self) -> Score {
        Score(-self.0)
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Score::INFINITY => f.pad("INFINITY"),
            Score::MINUS_INFINITY => f.pad("-INFINITY"),
            Score(value) => value.fmt(f),
        }
    }
}

impl fmt::Debug for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addition_follows_the_rules_of_infinity() {
        const INF: i64 = 1_000_000;
        for (a, b, sum) in [
            (1, 2, 3),
            (INF, -5, INF),
            (-INF, 5, -INF),
            (INF, -INF, -INF),
            (-INF, INF, -INF),
            (999_999, 1, INF),
            (-999_999, -2, -INF),
            (INF, INF, INF),
        ] {
            assert_eq!(Score::new(a) + Score::new(b), Score::new(sum), "{a} + {b}");
        }
    }

    #[test]
    fn scores_are_read_as_configuration_writes_them() {
        for (text, value) in [
            ("100", Some(100)),
            ("+100", Some(100)),
            ("-7", Some(-7)),
            ("INFINITY", Some(1_000_000)),
            ("infinity", Some(1_000_000)),
            ("+INFINITY", Some(1_000_000)),
            ("-INFINITY", Some(-1_000_000)),
            ("2000000", Some(1_000_000)),
            ("99999999999999999999", Some(1_000_000)),
            ("-99999999999999999999", Some(-1_000_000)),
            ("12abc", Some(12)),
            ("", None),
            ("abc", None),
            ("-", None),
        ] {
            assert_eq!(Score::parse(text).map(Score::value), value, "{text:?}");
        }
    }
}
