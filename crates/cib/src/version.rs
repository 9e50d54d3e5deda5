//! The three counters that order all versions of the document, and `crm_feature_set`.
//!
//! Source: `spec/cib.md` §5.1, §13.8.

use std::cmp::Ordering;
use std::fmt;

use xml::Element;

/// The feature set that this implementation speaks (Pacemaker 2.1.5's).
pub const FEATURE_SET: &str = "3.16.1";

/// The newest feature set whose documents we understand. Documents that a tool makes have it; in
/// the cluster the controllers agree on what all of them have.
pub const NEWEST_FEATURE_SET: &str = "3.20.5";

/// `admin_epoch.epoch.num_updates`, compared in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct CibVersion {
    /// Raised by administrators, erase and schema upgrades.
    pub admin_epoch: i64,
    /// Raised by every change of the configuration.
    pub epoch: i64,
    /// Raised by every other change; 0 after a change of the configuration.
    pub num_updates: i64,
}

/// The attribute names, most significant first.
pub const COUNTERS: [&str; 3] = ["admin_epoch", "epoch", "num_updates"];

impl CibVersion {
    /// Reads the counters of a `cib` element (or of `source`/`target` of a patch); missing or
    /// unreadable ones are 0.
    pub fn of(element: &Element) -> CibVersion {
        let counter = |name| element.get(name).map_or(0, counter_of);
        CibVersion {
            admin_epoch: counter("admin_epoch"),
            epoch: counter("epoch"),
            num_updates: counter("num_updates"),
        }
    }

    /// The counters, most significant first.
    pub fn fields(self) -> [i64; 3] {
        [self.admin_epoch, self.epoch, self.num_updates]
    }

    /// Writes the counters that differ into the element.
    pub fn store(self, element: &mut Element) {
        for (name, value) in COUNTERS.into_iter().zip(self.fields()) {
            if element.get(name).map(counter_of) != Some(value) {
                element.set(name, value.to_string());
            }
        }
    }
}

impl fmt::Display for CibVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.admin_epoch, self.epoch, self.num_updates)
    }
}

/// Reads a counter as C's `strtoll` would: leading blanks, sign, digits; negative ones count as 0.
pub fn counter_of(text: &str) -> i64 {
    let text = text.trim_start();
    let (digits, negative) = match text.strip_prefix('-') {
        Some(digits) => (digits, true),
        None => (text.strip_prefix('+').unwrap_or(text), false),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    if end == 0 || negative {
        return 0;
    }
    digits[..end].parse().unwrap_or(i64::MAX)
}

/// Compares dotted versions number by number; missing parts count as 0 (`1.0` = `1`).
pub fn compare_feature_sets(a: &str, b: &str) -> Ordering {
    let mut a = a.split('.').map(counter_of);
    let mut b = b.split('.').map(counter_of);
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (left, right) => match left.unwrap_or(0).cmp(&right.unwrap_or(0)) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_significance() {
        let of = |text: &str| CibVersion::of(&xml::parse(text).unwrap());
        let a = of("<cib admin_epoch='0' epoch='5' num_updates='99'/>");
        let b = of("<cib admin_epoch='0' epoch='6'/>");
        let c = of("<cib admin_epoch='1' epoch='x' num_updates='-4'/>");
        assert!(a < b && b < c);
        assert_eq!(c.to_string(), "1.0.0");
    }

    #[test]
    fn feature_sets_compare_numerically() {
        for (a, b, order) in [
            ("3.16.1", "3.9.0", Ordering::Greater),
            ("3.16", "3.16.0", Ordering::Equal),
            ("3.0.5", "3.0.10", Ordering::Less),
            ("", "0", Ordering::Equal),
        ] {
            assert_eq!(compare_feature_sets(a, b), order, "{a} {b}");
        }
    }
}
