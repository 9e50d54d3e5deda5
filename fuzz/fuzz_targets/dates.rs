//! ISO 8601 in the dialect of rules: times and durations, and sums of them.
#![no_main]

use base::dates::{DateTime, Duration};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (left, right) = text.split_once('\n').unwrap_or((text, text));
    let time = DateTime::parse(left, 1_700_000_000, 3600);
    let span = Duration::parse(right);
    if let Some(time) = time {
        let _ = (time.to_utc_text(), time.to_ctime(), time.fields());
        if let Some(span) = span {
            let _ = (span.before(time), span.after(time), span.seconds_flat());
        }
    }
});
