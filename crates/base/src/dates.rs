//! Dates and durations of ISO 8601 as rules use them, on the proleptic Gregorian calendar.
//! Reading them, and saying why they cannot be read, is in [`parse`]. Source: `spec/cib.md` §13.6–13.7.

mod parse;

pub use parse::{DateError, Period};

/// A point in time: seconds since 1970 in UTC, and the offset in which its fields are read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DateTime {
    /// Seconds since the epoch.
    pub epoch: i64,
    /// Seconds east of UTC.
    pub offset: i32,
}

/// Days since 1970-01-01 of a date.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let doy = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// Year, month and day of a number of days since 1970-01-01.
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z - era * 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// True for years of 366 days.
pub fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days of a month.
pub fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Fields of a [`DateTime`], each as `date_spec` names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fields {
    /// Gregorian year.
    pub year: i64,
    /// 1–12
    pub month: i64,
    /// 1–31
    pub day: i64,
    /// 0–23
    pub hour: i64,
    /// 0–59
    pub minute: i64,
    /// 0–59
    pub second: i64,
    /// 1–366
    pub yearday: i64,
    /// ISO 8601 week-based year.
    pub weekyear: i64,
    /// ISO 8601 week, 1–53.
    pub week: i64,
    /// 1 (Monday) – 7
    pub weekday: i64,
}

fn weekday_of(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

fn first_monday(weekyear: i64) -> i64 {
    let fourth = days_from_civil(weekyear, 1, 4);
    fourth - (weekday_of(fourth) - 1)
}

impl DateTime {
    /// A point in time read in UTC.
    pub fn utc(epoch: i64) -> DateTime {
        DateTime { epoch, offset: 0 }
    }

    /// Its fields, in its own offset.
    pub fn fields(self) -> Fields {
        let local = self.epoch + i64::from(self.offset);
        let (days, seconds) = (local.div_euclid(86_400), local.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        let mut weekyear = year + 1;
        while first_monday(weekyear) > days {
            weekyear -= 1;
        }
        Fields {
            year,
            month,
            day,
            hour: seconds / 3600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            yearday: days - days_from_civil(year, 1, 1) + 1,
            weekyear,
            week: (days - first_monday(weekyear)) / 7 + 1,
            weekday: weekday_of(days),
        }
    }

    /// `2005-01-20 12:30:00Z`
    pub fn to_utc_text(self) -> String {
        let f = DateTime::utc(self.epoch).fields();
        format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}Z",
            f.year, f.month, f.day, f.hour, f.minute, f.second
        )
    }

    /// C's `ctime` without the line end: `Sat Nov 21 00:46:14 2026`, in its own offset.
    pub fn to_ctime(self) -> String {
        const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let f = self.fields();
        format!(
            "{} {} {:2} {:02}:{:02}:{:02} {}",
            DAYS[(f.weekday - 1).clamp(0, 6) as usize],
            MONTHS[(f.month - 1).clamp(0, 11) as usize],
            f.day,
            f.hour,
            f.minute,
            f.second,
            f.year
        )
    }
}

/// A duration in calendar units.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Duration {
    /// Years.
    pub years: i64,
    /// Months.
    pub months: i64,
    /// Weeks.
    pub weeks: i64,
    /// Days.
    pub days: i64,
    /// Hours.
    pub hours: i64,
    /// Minutes.
    pub minutes: i64,
    /// Seconds.
    pub seconds: i64,
}

impl Duration {
    /// Its length with years of 365 and months of 30 days.
    pub fn seconds_flat(self) -> i64 {
        (self.years * 365 + self.months * 30 + self.weeks * 7 + self.days) * 86_400
            + self.hours * 3600
            + self.minutes * 60
            + self.seconds
    }

    /// The point in time that much earlier.
    pub fn before(self, end: DateTime) -> DateTime {
        let back = Duration {
            years: -self.years,
            months: -self.months,
            weeks: -self.weeks,
            days: -self.days,
            hours: -self.hours,
            minutes: -self.minutes,
            seconds: -self.seconds,
        };
        back.after(end)
    }

    /// The point in time that much later: years keep the day of the year, months clip the day.
    pub fn after(self, start: DateTime) -> DateTime {
        let local = start.epoch + i64::from(start.offset);
        let (mut days, seconds) = (local.div_euclid(86_400), local.rem_euclid(86_400));
        if self.years != 0 {
            let (year, _, _) = civil_from_days(days);
            let ordinal = days - days_from_civil(year, 1, 1);
            days = days_from_civil(year + self.years, 1, 1) + ordinal;
        }
        if self.months != 0 {
            let (year, month, day) = civil_from_days(days);
            let months = year * 12 + month - 1 + self.months;
            let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
            days = days_from_civil(year, month, day.min(month_days(year, month)));
        }
        days += self.weeks * 7 + self.days;
        let seconds = seconds + self.hours * 3600 + self.minutes * 60 + self.seconds;
        DateTime { epoch: days * 86_400 + seconds - i64::from(start.offset), offset: start.offset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Option<String> {
        DateTime::parse(text, 0, 0).map(DateTime::to_utc_text)
    }

    #[test]
    fn every_form_of_a_date_is_read() {
        for (text, want) in [
            ("2024-W09-4", "2024-02-29 00:00:00Z"),
            ("2024-060", "2024-02-29 00:00:00Z"),
            ("20240229T101010", "2024-02-29 10:10:10Z"),
            ("2020-W53-7", "2021-01-03 00:00:00Z"),
            ("2024-02-29 12:00:00 +05:30", "2024-02-29 06:30:00Z"),
            ("2005-020T12:30", "2005-01-20 12:30:00Z"),
            ("2005-020T24:00:00Z", "2005-01-21 00:00:00Z"),
            ("epoch", "1970-01-01 00:00:00Z"),
        ] {
            assert_eq!(utc(text).as_deref(), Some(want), "{text}");
        }
        for text in ["2024-02-30", "2024-13-01", "17", "x", "2024-01-01T25:00", "2024-W60-1"] {
            assert_eq!(utc(text), None, "{text}");
        }
    }

    #[test]
    fn months_clip_the_day() {
        let start = DateTime::parse("2024-01-31", 0, 0).unwrap();
        let end = Duration::parse("P1M").unwrap().after(start);
        assert_eq!(end.to_utc_text(), "2024-02-29 00:00:00Z");
    }
}
