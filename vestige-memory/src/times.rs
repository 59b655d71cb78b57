//! Times as people write and read them. All are in UTC.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, TimeDelta, Utc};

/// RFC 3339 in UTC with the fewest digits of a second that are exact: `2026-01-31T12:00:00Z`.
pub fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// The day: `2026-01-31`.
pub fn day(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d").to_string()
}

/// The day and the minute: `2026-01-31 12:00 UTC`.
pub fn minute(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// A bound of a range of time, as it was written.
///
/// ```
/// use vestige_memory::times::When;
///
/// let now = "2026-02-03T04:05:06Z".parse().unwrap();
/// let day = When::parse("2026-01-31").unwrap();
/// assert_eq!(day.start(now), "2026-01-31T00:00:00Z".parse().ok());
/// assert_eq!(day.end(now), "2026-02-01T00:00:00Z".parse().ok());
/// assert_eq!(When::parse("7d").unwrap().start(now), "2026-01-27T04:05:06Z".parse().ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum When {
    /// A moment.
    Moment(DateTime<Utc>),
    /// A day as a whole.
    Day(NaiveDate),
    /// A span of time before now.
    Ago(TimeDelta),
}

impl When {
    /// Reads `2026-01-31`, an RFC 3339 time, `2026-01-31 12:00` (UTC), or a span before now: `30m`, `12h`,
    /// `7d`, `2w`.
    ///
    /// # Errors
    ///
    /// A sentence for the person who wrote it, without its subject: `is no time; write …`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(ago) = span(text) {
            return Ok(Self::Ago(ago));
        }
        Self::in_calendar(text).ok_or_else(|| {
            "is no time; write a day (2026-01-31), a time (2026-01-31T12:00:00Z), \
             or how long ago (30m, 12h, 7d, 2w)"
                .to_owned()
        })
    }

    fn in_calendar(text: &str) -> Option<Self> {
        // RFC 3339 writes each year with four digits; chrono alone would read 26-11-03 as a day of the year
        // 26.
        let (year, _) = text.split_once('-')?;
        if year.len() != 4 || !is_number(year) {
            return None;
        }
        if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            return Some(Self::Day(day));
        }
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Some(Self::Moment(time.to_utc()));
        }
        for format in ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"] {
            if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
                return Some(Self::Moment(time.and_utc()));
            }
        }
        None
    }

    /// The moment at which it begins; none if that is outside of the calendar.
    pub fn start(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Moment(time) => Some(time),
            Self::Day(day) => Some(day.and_time(NaiveTime::MIN).and_utc()),
            Self::Ago(span) => now.checked_sub_signed(span),
        }
    }

    /// The first moment after it: a day ends where the next one begins. None if that is outside of the
    /// calendar.
    ///
    /// At most the last moment that a store takes (the year 9999), so that `9999-12-31` means no end.
    pub fn end(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let last = NaiveDate::from_ymd_opt(9999, 12, 31)?.and_hms_micro_opt(23, 59, 59, 999_999)?.and_utc();
        let end = match self {
            Self::Day(day) => day.checked_add_days(Days::new(1))?.and_time(NaiveTime::MIN).and_utc(),
            other => other.start(now)?,
        };
        Some(end.min(last))
    }
}

/// `30m`, `12h`, `7d`, `2w`.
fn span(text: &str) -> Option<TimeDelta> {
    let unit = text.chars().next_back()?;
    let number = &text[..text.len() - unit.len_utf8()];
    // A sign would have to mean something: `+3d` is not three days ago.
    let number: i64 = number.parse().ok().filter(|_| is_number(number))?;
    match unit {
        's' => TimeDelta::try_seconds(number),
        'm' => TimeDelta::try_minutes(number),
        'h' => TimeDelta::try_hours(number),
        'd' => TimeDelta::try_days(number),
        'w' => TimeDelta::try_weeks(number),
        _ => None,
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_begins_at_midnight_and_ends_at_the_next() {
        let day = When::parse("2026-01-31").unwrap();
        let now = at("2026-05-05T05:05:05Z");
        assert_eq!(day.start(now), Some(at("2026-01-31T00:00:00Z")));
        assert_eq!(day.end(now), Some(at("2026-02-01T00:00:00Z")));
    }

    #[test]
    fn the_end_is_a_time_that_a_store_takes() {
        let now = at("2026-05-05T05:05:05Z");
        for text in ["9999-12-31", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-01:00"] {
            let end = When::parse(text).unwrap().end(now).unwrap();
            assert_eq!(end, at("9999-12-31T23:59:59.999999Z"), "{text}");
            vestige_traits::limits::check_time("until", end).unwrap();
        }
    }

    #[test]
    fn spans_count_back_from_now() {
        let now = at("2026-01-31T12:00:00Z");
        for (text, expected) in [
            ("90s", "2026-01-31T11:58:30Z"),
            ("30m", "2026-01-31T11:30:00Z"),
            ("12h", "2026-01-31T00:00:00Z"),
            ("7d", "2026-01-24T12:00:00Z"),
            ("2w", "2026-01-17T12:00:00Z"),
        ] {
            assert_eq!(When::parse(text).unwrap().start(now), Some(at(expected)), "{text}");
        }
    }

    #[test]
    fn times_have_their_zone_or_are_utc() {
        let now = DateTime::UNIX_EPOCH;
        for text in ["2026-01-31T13:30:00+01:00", "2026-01-31 12:30", "2026-01-31T12:30:00"] {
            assert_eq!(When::parse(text).unwrap().start(now), Some(at("2026-01-31T12:30:00Z")), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused_and_extremes_do_not_panic() {
        for text in [
            "",
            "d",
            "-7d",
            "+3d",
            "-0d",
            "26-11-03",
            "026-11-03",
            "+2026-11-03",
            "12026-11-03",
            "-2026-11-03",
            "26-11-03 12:00",
            "7",
            "7y",
            "yesterday",
            "2026-02-30",
            "é",
            "99999999999999999999d",
            "9223372036854775807w",
        ] {
            assert!(When::parse(text).is_err(), "{text}");
        }
        let far = When::parse("99999999999d").unwrap();
        assert_eq!(far.start(at("2026-01-31T12:00:00Z")), None);
    }
}
