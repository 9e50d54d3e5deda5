//! Comparison of 32-bit sequence numbers that wrap around.
//!
//! Close to the wrap both numbers are shifted back before they are compared, exactly as the old
//! engine does: the initial token's `aru` of 0xFFFFFFFF must count as *below* 0.
//!
//! Source: `spec/totem.md` §1.

const NEAR_WRAP: u32 = 0x8000_0000;
const SHIFT: u32 = 0x1_0000;

fn shifted(a: u32, b: u32) -> (u32, u32) {
    if a > NEAR_WRAP || b > NEAR_WRAP {
        (a.wrapping_sub(SHIFT), b.wrapping_sub(SHIFT))
    } else {
        (a, b)
    }
}

/// Whether `a` comes before `b`.
pub fn lt(a: u32, b: u32) -> bool {
    let (a, b) = shifted(a, b);
    a < b
}

/// Whether `a` comes before `b` or is `b`.
pub fn le(a: u32, b: u32) -> bool {
    let (a, b) = shifted(a, b);
    a <= b
}

/// The earlier of the two.
pub fn min(a: u32, b: u32) -> u32 {
    if le(a, b) { a } else { b }
}

/// The later of the two.
pub fn max(a: u32, b: u32) -> u32 {
    if le(a, b) { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_survives_the_wrap() {
        for (a, b, expected) in [
            (1, 2, true),
            (2, 1, false),
            (5, 5, false),
            (u32::MAX, 0, true),
            (0, u32::MAX, false),
            (u32::MAX - 5, 7, true),
            (7, u32::MAX - 5, false),
            (0x8000_0001, 0x8000_0002, true),
        ] {
            assert_eq!(lt(a, b), expected, "{a:#x} < {b:#x}");
        }
        assert!(le(5, 5));
        assert_eq!((min(u32::MAX, 3), max(u32::MAX, 3)), (u32::MAX, 3));
    }
}
