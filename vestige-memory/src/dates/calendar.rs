//! From names of times to days.

use chrono::{
    DateTime, Datelike, Days as DayCount, FixedOffset, Months, NaiveDate, NaiveTime, TimeDelta, Utc,
};
use vestige_traits::TimeSpan;

/// How many years are looked back for a day of the year: 29 February may be missing from eight in a row.
const YEARS_BACK: i32 = 8;

/// A run of whole days: from one until before another, which is later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Days {
    pub(super) from: NaiveDate,
    pub(super) before: NaiveDate,
}

/// What days are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Day,
    Week,
    Weekend,
    Month,
    Quarter,
    Year,
}

/// A part of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Third {
    First,
    Second,
    Last,
}

/// What comes once a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Yearly {
    Day {
        month: u32,
        day: u32,
    },
    /// The week of a month with this number, from 1; of 0 the last.
    Week {
        month: u32,
        number: u32,
    },
    Month(u32),
    /// Three months, by their number from 1.
    Quarter(u32),
    /// Three months from this one on: northern seasons.
    Season(u32),
}

/// A time as it was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Period {
    Known(Days),
    Yearly { what: Yearly, year: Option<i32>, third: Option<Third> },
}

impl Days {
    pub(super) fn day(day: NaiveDate) -> Option<Self> {
        Some(Self { from: day, before: day.succ_opt()? })
    }

    pub(super) fn new(from: NaiveDate, before: NaiveDate) -> Option<Self> {
        (from < before).then_some(Self { from, before })
    }

    pub(super) fn year(year: i32) -> Option<Self> {
        Self::new(NaiveDate::from_ymd_opt(year, 1, 1)?, NaiveDate::from_ymd_opt(year.checked_add(1)?, 1, 1)?)
    }

    /// So many months, from the first day of this one.
    fn months(year: i32, month: u32, count: u32) -> Option<Self> {
        let from = NaiveDate::from_ymd_opt(year, month, 1)?;
        Self::new(from, from.checked_add_months(Months::new(count))?)
    }

    pub(super) fn third(self, third: Third) -> Option<Self> {
        let length = (self.before - self.from).num_days();
        let at = |part: i64| self.from.checked_add_signed(TimeDelta::try_days(length * part / 3)?);
        match third {
            Third::First => Self::new(self.from, at(1)?),
            Third::Second => Self::new(at(1)?, at(2)?),
            Third::Last => Self::new(at(2)?, self.before),
        }
    }

    /// The time by UTC; none if a store takes no such time.
    pub(super) fn span(self, offset: FixedOffset) -> Option<TimeSpan> {
        let utc = |day: NaiveDate| -> Option<DateTime<Utc>> {
            let midnight = day.and_time(NaiveTime::MIN).checked_sub_offset(offset)?;
            Some(midnight.and_utc())
        };
        let span = TimeSpan { from: utc(self.from)?, before: utc(self.before)? };
        span.validate().is_ok().then_some(span)
    }
}

impl Unit {
    /// The one that holds this day.
    pub(super) fn around(self, day: NaiveDate) -> Option<Days> {
        let monday = || day.checked_sub_days(DayCount::new(u64::from(day.weekday().num_days_from_monday())));
        match self {
            Self::Day => Days::day(day),
            Self::Week => Days::new(monday()?, monday()?.checked_add_days(DayCount::new(7))?),
            Self::Weekend => {
                let week = Self::Week.around(day)?;
                Days::new(week.from.checked_add_days(DayCount::new(5))?, week.before)
            }
            Self::Month => Days::months(day.year(), day.month(), 1),
            Self::Quarter => Days::months(day.year(), (day.month() - 1) / 3 * 3 + 1, 3),
            Self::Year => Days::year(day.year()),
        }
    }

    /// A day moved by so many; back if the count is below 0.
    pub(super) fn moved(self, day: NaiveDate, count: i32) -> Option<NaiveDate> {
        let months = |each: u32| {
            let months = Months::new(count.unsigned_abs().checked_mul(each)?);
            if count < 0 { day.checked_sub_months(months) } else { day.checked_add_months(months) }
        };
        let days = |each: i64| day.checked_add_signed(TimeDelta::try_days(i64::from(count) * each)?);
        match self {
            Self::Day => days(1),
            Self::Week | Self::Weekend => days(7),
            Self::Month => months(1),
            Self::Quarter => months(3),
            Self::Year => months(12),
        }
    }

    /// The one that is so many after the one that holds this day.
    pub(super) fn after(self, day: NaiveDate, count: i32) -> Option<Days> {
        self.around(self.moved(day, count)?)
    }

    /// About so many away from a day: one unit long, with the day that is meant in its middle.
    pub(super) fn about(self, day: NaiveDate, count: i32) -> Option<Days> {
        let middle = self.moved(day, count)?;
        let half = match self {
            Self::Day => return Days::day(middle),
            Self::Week | Self::Weekend => 3,
            Self::Month => 15,
            Self::Quarter => 45,
            Self::Year => 182,
        };
        let half = DayCount::new(half);
        Days::new(middle.checked_sub_days(half)?, middle.checked_add_days(half)?.succ_opt()?)
    }
}

impl Yearly {
    fn in_year(self, year: i32) -> Option<Days> {
        match self {
            Self::Day { month, day } => Days::day(NaiveDate::from_ymd_opt(year, month, day)?),
            Self::Month(month) => Days::months(year, month, 1),
            Self::Quarter(number) => Days::months(year, number.checked_sub(1)? * 3 + 1, 3),
            Self::Season(month) => Days::months(year, month, 3),
            Self::Week { month, number: 0 } => {
                let month = Days::months(year, month, 1)?;
                Days::new(month.before.checked_sub_days(DayCount::new(7))?, month.before)
            }
            Self::Week { month, number } => {
                let first = NaiveDate::from_ymd_opt(year, month, 1)?;
                let from = first.checked_add_days(DayCount::new(u64::from(number - 1) * 7))?;
                Days::new(from, from.checked_add_days(DayCount::new(7))?)
            }
        }
    }

    /// The latest that has begun on this day; beyond the `skipped` ones.
    pub(super) fn last_begun(self, day: NaiveDate) -> Option<Days> {
        let mut years = (0..=YEARS_BACK).filter_map(|back| self.in_year(day.year().checked_sub(back)?));
        years.find(|days| days.from <= day)
    }

    /// The last that is over on this day.
    pub(super) fn last_over(self, day: NaiveDate) -> Option<Days> {
        let mut years = (0..=YEARS_BACK).filter_map(|back| self.in_year(day.year().checked_sub(back)?));
        years.find(|days| days.before <= day)
    }

    /// The first that begins after this day.
    pub(super) fn next(self, day: NaiveDate) -> Option<Days> {
        let mut years = (0..=YEARS_BACK).filter_map(|on| self.in_year(day.year().checked_add(on)?));
        years.find(|days| days.from > day)
    }

    /// The one of the year of this day.
    pub(super) fn this(self, day: NaiveDate) -> Option<Days> {
        self.in_year(day.year())
    }
}

impl Period {
    pub(super) fn yearly(what: Yearly, year: Option<i32>) -> Self {
        Self::Yearly { what, year, third: None }
    }

    /// A part of it.
    pub(super) fn third(self, part: Third) -> Option<Self> {
        match self {
            Self::Known(days) => Some(Self::Known(days.third(part)?)),
            Self::Yearly { what, year, .. } => Some(Self::Yearly { what, year, third: Some(part) }),
        }
    }

    /// Whether its year was named, or follows from today.
    fn has_year(self) -> bool {
        !matches!(self, Self::Yearly { year: None, .. })
    }

    /// Its days; without a year the latest that have begun.
    pub(super) fn days(self, today: NaiveDate) -> Option<Days> {
        match self {
            Self::Known(days) => Some(days),
            Self::Yearly { what, year, third } => {
                let days = match year {
                    Some(year) => what.in_year(year)?,
                    None => what.last_begun(today)?,
                };
                third.map_or(Some(days), |third| days.third(third))
            }
        }
    }

    fn in_year(self, year: i32) -> Option<Days> {
        match self {
            Self::Known(days) => Some(days),
            Self::Yearly { what, third, .. } => {
                Self::Yearly { what, year: Some(year), third }.days(NaiveDate::MIN)
            }
        }
    }

    /// From the beginning of one to the end of another. The year of one is the other's where it has none.
    pub(super) fn until(self, last: Self, today: NaiveDate) -> Option<Days> {
        let (first, last) = match (self.has_year(), last.has_year()) {
            (true, false) => {
                let first = self.days(today)?;
                let same = last.in_year(first.from.year()).filter(|last| last.before > first.from);
                (first, same.or_else(|| last.in_year(first.from.year() + 1))?)
            }
            (false, _) => {
                let last = last.days(today)?;
                let same = self.in_year(last.from.year()).filter(|first| first.from < last.before);
                (same.or_else(|| self.in_year(last.from.year() - 1))?, last)
            }
            (true, true) => (self.days(today)?, last.days(today)?),
        };
        Days::new(first.from, last.before)
    }
}
