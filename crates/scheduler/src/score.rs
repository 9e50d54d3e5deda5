//! Score arithmetic on plain integers. Source: `spec/scheduler.md` §1.1 and §1.2.
//!
//! Tables hold `i32` rather than [`base::Score`]: the propagation of colocations stores a marker
//! a hundred times below −INFINITY, which the newtype rightly refuses to represent.

/// "Must".
pub const INFINITY: i32 = 1_000_000;

/// "Was positive, would become negative": kept apart during propagation (§9 item 11).
pub const SENTINEL: i32 = -100 * INFINITY;

/// Adds two scores: −INFINITY wins, then INFINITY, then the capped sum.
pub fn add(a: i32, b: i32) -> i32 {
    if a <= -INFINITY || b <= -INFINITY {
        -INFINITY
    } else if a >= INFINITY || b >= INFINITY {
        INFINITY
    } else {
        (a + b).clamp(-INFINITY, INFINITY)
    }
}

/// As people read it.
pub fn text(score: i32) -> String {
    if score >= INFINITY {
        "INFINITY".into()
    } else if score <= -INFINITY {
        "-INFINITY".into()
    } else {
        score.to_string()
    }
}

/// The health scores that the words `red`, `yellow` and `green` stand for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Health {
    /// `node-health-red`
    pub red: i32,
    /// `node-health-yellow`
    pub yellow: i32,
    /// `node-health-green`
    pub green: i32,
}

/// Reads a score; `None` if there is none in the text.
pub fn parse(text: &str, health: Health) -> Option<i32> {
    match text {
        "INFINITY" | "+INFINITY" => return Some(INFINITY),
        "-INFINITY" => return Some(-INFINITY),
        _ => {}
    }
    if text.eq_ignore_ascii_case("red") {
        return Some(health.red);
    }
    if text.eq_ignore_ascii_case("yellow") {
        return Some(health.yellow);
    }
    if text.eq_ignore_ascii_case("green") {
        return Some(health.green);
    }
    let value = crate::text::scan_int(text)?;
    Some(value.clamp(-i64::from(INFINITY), i64::from(INFINITY)) as i32)
}

/// The share of a score that a colocation of that factor passes on: single precision product,
/// rounded half away from zero, but never rounded away to nothing.
pub fn share(factor: f32, score: i32) -> i32 {
    let product = f64::from(factor * score as f32);
    let rounded = if product < 0.0 { product - 0.5 } else { product + 0.5 };
    let delta = rounded as i64;
    if delta == 0 && score != 0 {
        return if factor > 0.0 {
            1
        } else if factor < 0.0 {
            -1
        } else {
            0
        };
    }
    delta.clamp(i64::from(i32::MIN / 2), i64::from(i32::MAX / 2)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minus_infinity_wins() {
        for (a, b, sum) in [
            (1, 2, 3),
            (INFINITY, -INFINITY, -INFINITY),
            (INFINITY, -5, INFINITY),
            (999_999, 5, INFINITY),
            (-999_999, -5, -INFINITY),
        ] {
            assert_eq!(add(a, b), sum);
            assert_eq!(add(b, a), sum);
        }
    }

    #[test]
    fn a_share_is_never_rounded_to_nothing() {
        assert_eq!(share(0.000_001, 1), 1);
        assert_eq!(share(-0.000_001, 1), -1);
        assert_eq!(share(0.5, 3), 2);
        assert_eq!(share(1.0, 0), 0);
    }
}
