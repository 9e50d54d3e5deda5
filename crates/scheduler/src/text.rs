//! Readers of the small languages in attribute values, and the order of node names.
//! Source: `spec/scheduler.md` §1.

use std::cmp::Ordering;

/// A boolean word, in any case; `None` for anything else.
pub fn parse_bool(text: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(&["true", "on", "yes", "y", "1"]) {
        Some(true)
    } else if is(&["false", "off", "no", "n", "0"]) {
        Some(false)
    } else {
        None
    }
}

/// True only for a word that says so.
pub fn is_true(text: Option<&str>) -> bool {
    text.and_then(parse_bool) == Some(true)
}

/// C's `strtoll`: blanks, sign, digits, the rest ignored; capped.
pub fn scan_int(text: &str) -> Option<i64> {
    let text = text.trim_start();
    let signed = text.starts_with(['-', '+']);
    let digits = &text[usize::from(signed)..];
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    if end == 0 {
        return None;
    }
    let value = digits[..end].parse::<i64>().unwrap_or(i64::MAX);
    Some(if text.starts_with('-') { -value } else { value })
}

/// An integer not below `min`, which is also the default.
pub fn scan_min_int(text: Option<&str>, min: i32) -> i32 {
    let value = text.and_then(scan_int).unwrap_or(i64::from(min));
    value.clamp(i64::from(min), i64::from(i32::MAX)) as i32
}

/// A duration with unit, in milliseconds (negative ones stay negative).
pub fn parse_ms(text: &str) -> Option<i64> {
    let number = scan_int(text)?;
    let rest = text.trim_start().trim_start_matches(['-', '+']);
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').trim_start();
    let unit = rest.to_ascii_lowercase();
    let (multiplier, divisor) = if unit.is_empty() || unit.starts_with('s') {
        (1000, 1)
    } else if unit.starts_with("ms") {
        (1, 1)
    } else if unit.starts_with("us") {
        (1, 1000)
    } else if unit.starts_with('m') {
        (60_000, 1)
    } else if unit.starts_with('h') {
        (3_600_000, 1)
    } else {
        return None;
    };
    Some(number.saturating_mul(multiplier) / divisor)
}

/// An interval: a duration with unit, or an ISO 8601 duration. Milliseconds, 0 if invalid.
pub fn parse_interval(text: Option<&str>) -> u32 {
    let Some(text) = text else { return 0 };
    let ms = if text.starts_with('P') {
        base::dates::Duration::parse(text).map(|span| span.seconds_flat().saturating_mul(1000))
    } else {
        parse_ms(text)
    };
    ms.unwrap_or(0).clamp(0, i64::from(u32::MAX)) as u32
}

/// Milliseconds to whole seconds, half up, but never down to nothing.
pub fn ms_to_s(ms: u32) -> i64 {
    match ms {
        0 => 0,
        1..1000 => 1,
        _ => i64::from(ms / 1000) + i64::from(ms % 1000 >= 500),
    }
}

/// An interval for people: `1m30s`, `500ms`.
pub fn readable_interval(ms: u32) -> String {
    let mut text = String::new();
    for (part, unit) in
        [(ms / 86_400_000, "d"), (ms / 3_600_000 % 24, "h"), (ms / 60_000 % 60, "m")]
    {
        if part > 0 {
            text.push_str(&format!("{part}{unit}"));
        }
    }
    let (seconds, rest) = (ms / 1000 % 60, ms % 1000);
    if ms == 0 {
        text.push_str("0s");
    } else if rest > 0 && ms < 1000 {
        text.push_str(&format!("{rest}ms"));
    } else if rest > 0 {
        text.push_str(&format!("{seconds}.{rest:03}s"));
    } else if seconds > 0 {
        text.push_str(&format!("{seconds}s"));
    }
    text
}

/// Dotted versions.
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    let fields = |text: &str| -> Vec<i64> { text.trim().split('.').map_while(scan_int).collect() };
    let (a, b) = (fields(a), fields(b));
    for i in 0..a.len().max(b.len()) {
        let order = a.get(i).unwrap_or(&0).cmp(b.get(i).unwrap_or(&0));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// The order in which nodes are listed: runs of digits compare as numbers, letters without case.
pub fn compare_names(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        if a[i].is_ascii_digit() && b[j].is_ascii_digit() {
            let run =
                |s: &[u8], from: usize| s[from..].iter().take_while(|c| c.is_ascii_digit()).count();
            let (n, m) = (run(a, i), run(b, j));
            let number = |s: &[u8]| {
                let first = s.iter().position(|c| *c != b'0').unwrap_or(s.len());
                (s.len() - first, s[first..].to_vec())
            };
            let order = number(&a[i..i + n]).cmp(&number(&b[j..j + m])).then(n.cmp(&m));
            if order.is_ne() {
                return order;
            }
            i += n;
            j += m;
        } else {
            let order = a[i].to_ascii_lowercase().cmp(&b[j].to_ascii_lowercase());
            if order.is_ne() {
                return order;
            }
            i += 1;
            j += 1;
        }
    }
    (a.len() - i).cmp(&(b.len() - j))
}

/// The key of an operation.
pub fn op_key(rsc: &str, task: &str, interval_ms: u32) -> String {
    format!("{rsc}_{task}_{interval_ms}")
}

/// The key of a notification.
pub fn notify_key(rsc: &str, kind: &str, op: &str) -> String {
    format!("{rsc}_{kind}_notify_{op}_0")
}

/// Takes an operation key apart: resource, action, interval.
pub fn parse_op_key(key: &str) -> Option<(&str, &str, u32)> {
    let (rest, interval) = key.rsplit_once('_')?;
    let interval: u32 = interval.parse().ok()?;
    for task in ["migrate_to", "migrate_from"] {
        if let Some(rsc) = rest.strip_suffix(task).and_then(|rsc| rsc.strip_suffix('_')) {
            return Some((rsc, task, interval));
        }
    }
    let (rsc, _) = rest.rsplit_once('_')?;
    for kind in ["_confirmed-pre_notify", "_confirmed-post_notify", "_pre_notify", "_post_notify"] {
        if let Some(base) = rsc.strip_suffix(kind) {
            return Some((base, &rest[base.len() + 1..], interval));
        }
    }
    Some((rsc, &rest[rsc.len() + 1..], interval))
}

/// The id without its instance number (`web:1` → `web`).
pub fn base_id(id: &str) -> &str {
    match id.rsplit_once(':') {
        Some((base, digits))
            if !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit()) =>
        {
            base
        }
        _ => id,
    }
}

/// The interval of a history entry, which is in milliseconds already.
pub(crate) fn parse_interval_ms_attr(op: &xml::Element) -> u32 {
    op.get("interval").and_then(scan_int).unwrap_or(0).clamp(0, i64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_as_people_count() {
        for (a, b) in [("node2", "node10"), ("lxc1", "node1"), ("a", "a1"), ("Node1", "node2")] {
            assert_eq!(compare_names(a, b), Ordering::Less, "{a} {b}");
            assert_eq!(compare_names(b, a), Ordering::Greater, "{a} {b}");
        }
    }

    #[test]
    fn keys_come_apart() {
        for (key, parts) in [
            ("a_b_monitor_10", ("a_b", "monitor", 10)),
            ("x_migrate_to_0", ("x", "migrate_to", 0)),
            ("x_pre_notify_start_0", ("x", "pre_notify_start", 0)),
            ("x_confirmed-post_notify_running_0", ("x", "confirmed-post_notify_running", 0)),
        ] {
            assert_eq!(parse_op_key(key), Some(parts));
        }
    }

    #[test]
    fn durations_are_read_as_upstream_reads_them() {
        for (text, ms) in [
            ("10", 10_000),
            ("10ms", 10),
            ("1min", 60_000),
            ("2hr", 7_200_000),
            ("1.5", 1000),
            ("100us", 0),
            ("5x", 0),
            ("-5", 0),
            ("PT1H", 3_600_000),
        ] {
            assert_eq!(parse_interval(Some(text)), ms, "{text}");
        }
    }
}
