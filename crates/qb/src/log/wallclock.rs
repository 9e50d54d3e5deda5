//! The local wall-clock time of log lines.
#![allow(unsafe_code)]

/// Broken-down local time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WallClock {
    pub(crate) year: i32,
    pub(crate) month: u8,
    pub(crate) day: u8,
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    pub(crate) second: u8,
    pub(crate) millis: u16,
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl WallClock {
    /// `Nov 21 00:50:06`.
    pub(crate) fn seconds(&self) -> String {
        let month = MONTHS[usize::from(self.month) % 12];
        format!("{month} {:02} {:02}:{:02}:{:02}", self.day, self.hour, self.minute, self.second)
    }

    /// `Nov 21 00:50:06.382`.
    pub(crate) fn millis(&self) -> String {
        format!("{}.{:03}", self.seconds(), self.millis)
    }

    /// `2026-11-21T06:34:35`, as upstream's flight data files are called.
    pub(crate) fn file_name(&self) -> String {
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            self.year,
            self.month + 1,
            self.day,
            self.hour,
            self.minute,
            self.second
        )
    }

    /// `Nov  1 00:50:06`: syslog's, with a blank for the day's missing digit.
    pub(crate) fn syslog(&self) -> String {
        let month = MONTHS[usize::from(self.month) % 12];
        format!("{month} {:2} {:02}:{:02}:{:02}", self.day, self.hour, self.minute, self.second)
    }
}

/// The time now, in the host's zone.
pub(crate) fn now() -> WallClock {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    at(now.tv_sec, now.tv_nsec)
}

/// A time since 1970, in the host's zone.
pub(crate) fn at(seconds: i64, nanos: i64) -> WallClock {
    let seconds: libc::time_t = seconds;
    // SAFETY: both pointers are to live locals; the struct is plain data, valid as zeros, so a
    // failing call leaves a usable value.
    let tm = unsafe {
        let mut tm = std::mem::zeroed::<libc::tm>();
        libc::localtime_r(&seconds, &mut tm);
        tm
    };
    WallClock {
        year: tm.tm_year + 1900,
        month: tm.tm_mon as u8,
        day: tm.tm_mday as u8,
        hour: tm.tm_hour as u8,
        minute: tm.tm_min as u8,
        second: tm.tm_sec as u8,
        millis: (nanos / 1_000_000) as u16,
    }
}
