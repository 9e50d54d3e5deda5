//! Times as tools print them.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::{Timestamp, tz::TimeZone};

/// Seconds since 1970.
pub fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

fn zoned(epoch: i64) -> Option<jiff::Zoned> {
    Timestamp::from_second(epoch).ok().map(|stamp| stamp.to_zoned(TimeZone::system()))
}

/// The C library's `ctime` layout in local time: `Sat Nov 21 00:46:14 2026`.
pub fn ctime(epoch: i64) -> String {
    zoned(epoch)
        .map_or_else(|| epoch.to_string(), |time| time.strftime("%a %b %e %H:%M:%S %Y").to_string())
}

/// ISO layout in local time with the zone: `2026-11-21 00:18:30Z`, `… +01:00`.
pub fn iso_local(epoch: i64) -> String {
    let Some(time) = zoned(epoch) else { return epoch.to_string() };
    let zone = match time.offset().seconds() {
        0 => "Z".to_owned(),
        seconds => {
            let (sign, seconds) = if seconds < 0 { ('-', -seconds) } else { ('+', seconds) };
            format!(" {sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60)
        }
    };
    format!("{}{zone}", time.strftime("%Y-%m-%d %H:%M:%S"))
}

/// Seconds east of UTC at a time.
pub fn local_offset(epoch: i64) -> i32 {
    zoned(epoch).map_or(0, |time| time.offset().seconds())
}
