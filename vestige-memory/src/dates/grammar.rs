//! What words and numbers in a row name a time.

use std::ops::Range;

use chrono::{Datelike, Days as DayCount, NaiveDate};

use super::calendar::{Days, Period, Third, Unit, Yearly};
use super::names::{AFTER_NAME, BEFORE_MONTH, BEFORE_YEAR, Month, WINTER, month, ordinal, season, weekday};
use super::tokens::{Gap, Kind, Token, tokens};

/// The first year that is taken for one where it stands alone, and where a month stands before it.
const FIRST_YEAR: i32 = 1900;
const FIRST_YEAR_OF_MONTH: i32 = 1000;
/// How many years ahead the last one is.
const YEARS_AHEAD: i32 = 20;
/// From when `before 2020` is.
const BEGINNING: i32 = FIRST_YEAR;
/// How far back or ahead a count of units may reach.
const MAX_COUNT: u32 = 1000;
/// How many `the last few days` are.
const FEW: u32 = 5;

/// A text, and the day on which it was written.
pub(super) struct Reader {
    tokens: Vec<Token>,
    today: NaiveDate,
}

/// What was read, and the token after it.
type Read<T> = Option<(usize, T)>;

impl Reader {
    pub(super) fn new(text: &str, today: NaiveDate) -> Self {
        Self { tokens: tokens(text), today }
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Where the tokens from one until before another stand.
    pub(super) fn range(&self, from: usize, end: usize) -> Range<usize> {
        self.tokens[from].range.start..self.tokens[end - 1].range.end
    }

    /// The time that is named from this token on.
    pub(super) fn mention(&self, at: usize) -> Read<Days> {
        // An article belongs to no time.
        if self.text(at) == "the" || (at > 0 && self.gap(at) == Some(Gap::Glue)) {
            return None;
        }
        // `2023` of `555-2023` and of `2023-555`, which may be numbers of anything.
        let continues = |at: usize| {
            at > 0 && self.gap(at) == Some(Gap::Dash) && self.is_number(at) && self.is_number(at - 1)
        };
        if continues(at) {
            return None;
        }
        let days = self.between(at).or_else(|| self.open(at)).or_else(|| self.range_or_period(at))?;
        // `2023-05` of `2023-05_1`, `May` of `May's`: only a possessive may follow without a space.
        let is_cut = self.gap(days.0) == Some(Gap::Glue) && self.text(days.0) != "s";
        (!is_cut && !continues(days.0)).then_some(days)
    }

    // ---- spans ----

    /// `between A and B`, `from A to B`.
    fn between(&self, at: usize) -> Read<Days> {
        let (connectors, is_between): (&[&str], bool) = match self.text(at) {
            "between" => (&["and"], true),
            "from" => (&["to", "until", "till", "through"], false),
            _ => return None,
        };
        self.two(at + 1, true, |reader, at| {
            let word = reader.word(at);
            (connectors.contains(&word) || (!is_between && reader.gap(at) == Some(Gap::Dash)))
                .then_some(at + usize::from(connectors.contains(&word)))
        })
    }

    /// `since A`, `after A`, `before A`, `until A`.
    fn open(&self, at: usize) -> Read<Days> {
        let word = self.text(at);
        if !matches!(word, "since" | "after" | "before" | "until" | "till") {
            return None;
        }
        let (end, period) = self.period(at + 1, true)?;
        let days = period.days(self.today)?;
        let tomorrow = self.today.succ_opt()?;
        let beginning = NaiveDate::from_ymd_opt(BEGINNING, 1, 1)?;
        let open = match word {
            "since" => Days::new(days.from, tomorrow)?,
            "after" if days.before < tomorrow => Days::new(days.before, tomorrow)?,
            "after" => Days::new(days.before, Unit::Year.moved(days.before, 1)?)?,
            "before" => Days::new(beginning, days.from)?,
            _ => Days::new(beginning, days.before)?,
        };
        Some((end, open))
    }

    /// `A to B`, `A - B`, or `A` alone.
    fn range_or_period(&self, at: usize) -> Read<Days> {
        let is_named = at > 0 && self.is_space(at) && BEFORE_MONTH.contains(&self.text(at - 1));
        let range = self.two(at, is_named, |reader, at| match reader.word(at) {
            "to" | "until" | "till" | "through" => Some(at + 1),
            _ => (reader.gap(at) == Some(Gap::Dash)).then_some(at),
        });
        range.or_else(|| {
            let (end, period) = self.period(at, is_named)?;
            Some((end, period.days(self.today)?))
        })
    }

    /// Two periods with what `connects` them: from the beginning of one to the end of the other. Of `3 to 5
    /// March` and `March 3 to 5` one day stands alone.
    fn two(&self, at: usize, is_named: bool, connects: impl Fn(&Self, usize) -> Option<usize>) -> Read<Days> {
        let with_day = |period: Period, day: u32| match period {
            Period::Yearly { what: Yearly::Day { month, .. }, year, third: None } => {
                Some(Period::yearly(Yearly::Day { month, day }, year))
            }
            _ => None,
        };
        if let Some((end, first)) = self.period(at, is_named) {
            let at = connects(self, end)?;
            if let Some((end, last)) = self.period(at, true) {
                return Some((end, first.until(last, self.today)?));
            }
            let (end, day) = self.day(at)?;
            let (end, year) = self.year_after(end).map_or((end, None), |(end, year)| (end, Some(year)));
            let Period::Yearly { what, year: None, third } = with_day(first, day)? else { return None };
            return Some((end, first.until(Period::Yearly { what, year, third }, self.today)?));
        }
        let (end, day) = self.day(at)?;
        let (end, last) = self.period(connects(self, end)?, true)?;
        Some((end, with_day(last, day)?.until(last, self.today)?))
    }

    // ---- periods ----

    /// A single period. `is_named` where a word in front says that a time follows.
    fn period(&self, at: usize, is_named: bool) -> Read<Period> {
        let from = self.after_article(at);
        self.counted(from).or_else(|| self.beside(from)).or_else(|| self.named(at, is_named))
    }

    /// The token after a `the` that stands here, or this one.
    fn after_article(&self, at: usize) -> usize {
        at + usize::from(self.text(at) == "the" && self.is_space(at + 1))
    }

    /// A period that is not counted from another.
    fn named(&self, at: usize, is_named: bool) -> Read<Period> {
        let at = self.after_article(at);
        match self.tokens.get(at)?.kind {
            Kind::Day(day) => return Some((at + 1, Period::Known(Days::day(day)?))),
            Kind::Month { year, month } => {
                return Some((at + 1, Period::yearly(Yearly::Month(month), Some(year))));
            }
            Kind::Word { .. } | Kind::Number { .. } => {}
        }
        self.part(at)
            .or_else(|| self.relative(at))
            .or_else(|| self.week_of_month(at))
            .or_else(|| self.day_and_month(at, is_named))
            .or_else(|| self.weekday(at, is_named))
            .or_else(|| self.quarter(at))
            .or_else(|| self.season(at))
            .or_else(|| self.whole_year(at, is_named))
    }

    /// `early May`, `mid-August 2023`, `the end of 2023`.
    fn part(&self, at: usize) -> Read<Period> {
        let (third, after) = match self.text(at) {
            "early" => (Third::First, at + 1),
            "mid" => (Third::Second, at + 1),
            "late" => (Third::Last, at + 1),
            "beginning" | "start" if self.word(at + 1) == "of" => (Third::First, at + 2),
            "middle" if self.word(at + 1) == "of" => (Third::Second, at + 2),
            "end" if self.word(at + 1) == "of" => (Third::Last, at + 2),
            _ => return None,
        };
        if !matches!(self.gap(after)?, Gap::Space | Gap::Dash) {
            return None;
        }
        let whole = self
            .relative(after)
            .or_else(|| self.day_and_month(after, true))
            .or_else(|| self.season(after))
            .or_else(|| self.whole_year(after, true));
        let (end, whole) = whole?;
        // A day has no parts.
        let is_day = matches!(whole, Period::Yearly { what: Yearly::Day { .. }, .. });
        (!is_day).then_some((end, whole.third(third)?))
    }

    /// `3 days ago`, `two weeks before 11 August`, `a year after May 2020`.
    fn counted(&self, at: usize) -> Read<Period> {
        let (after, count) = self.count(at)?;
        let unit = self.unit(after)?;
        let count = i32::try_from(count).ok()?;
        let known = |end, days| Some((end, Period::Known(days)));
        match self.word(after + 1) {
            "ago" => known(after + 2, unit.about(self.today, -count)?),
            direction @ ("before" | "after") => {
                let (end, anchor) = self.named(after + 2, true)?;
                let anchor = anchor.days(self.today)?;
                let days = match direction {
                    "before" => unit.about(anchor.from, -count)?,
                    _ => unit.about(anchor.before.pred_opt()?, count)?,
                };
                known(end, days)
            }
            _ => None,
        }
    }

    /// `the week before 3 August`, `the day after tomorrow`, `the weekend of 8 May`.
    fn beside(&self, at: usize) -> Read<Period> {
        let at = if self.text(at) == "last" { at + 1 } else { at };
        let unit = self.unit(at).filter(|_| !self.text(at).ends_with('s'))?;
        let direction = self.word(at + 1);
        if !matches!(direction, "before" | "after" | "of") || (direction == "of" && unit == Unit::Day) {
            return None;
        }
        let (end, anchor) = self.named(at + 2, direction != "of")?;
        let anchor = anchor.days(self.today)?;
        let days = match (unit, direction) {
            // The one that holds it, not a month of a year.
            (_, "of") if anchor.before == anchor.from.succ_opt()? => unit.around(anchor.from)?,
            (_, "of") => return None,
            // A weekend is the last or the next one, a week the seven days.
            (Unit::Weekend, "before") => unit.after(anchor.from, -1)?,
            (Unit::Weekend, _) => {
                let days = unit.around(anchor.before)?;
                if days.from < anchor.before { unit.after(anchor.before, 1)? } else { days }
            }
            (_, "before") => Days::new(unit.moved(anchor.from, -1)?, anchor.from)?,
            _ => Days::new(anchor.before, unit.moved(anchor.before, 1)?)?,
        };
        Some((end, Period::Known(days)))
    }

    /// `yesterday`, `last week`, `next Monday`, `last summer`, `the last 3 days`, `the past year`.
    fn relative(&self, at: usize) -> Read<Period> {
        let today = self.today;
        let known = |end, days: Option<Days>| Some((end, Period::Known(days?)));
        let step = match self.text(at) {
            "today" | "tonight" => return known(at + 1, Days::day(today)),
            "yesterday" => return known(at + 1, Unit::Day.after(today, -1)),
            "tomorrow" => return known(at + 1, Unit::Day.after(today, 1)),
            "last" | "previous" | "past" => -1,
            "this" | "current" => 0,
            "next" | "coming" => 1,
            _ => return None,
        };
        let is_past = self.text(at) == "past";
        let next = at + 1;
        if !matches!(self.gap(next)?, Gap::Space) {
            return None;
        }
        if step != 0
            && let Some((after, count)) =
                self.count(next).or((self.text(next) == "few").then_some((next + 1, FEW)))
            && let Some(unit) = self.unit(after)
        {
            return known(after + 1, self.running(unit, step * i32::try_from(count).ok()?));
        }
        let has_article = at > 0 && self.is_space(at) && self.text(at - 1) == "the";
        if let Some(unit) = self.unit(next).filter(|_| !self.text(next).ends_with('s')) {
            if self.word(next + 1) == "of" {
                return None;
            }
            let days = match (unit, step) {
                // `the last year` is the one that ends today, `last year` the one of the calendar.
                // `the next day` is one of a story.
                (Unit::Day, _) if !is_past => return None,
                (_, -1) if is_past || (has_article && unit != Unit::Weekend) => self.running(unit, -1),
                // On a Sunday, last weekend is not the one of today.
                _ => unit.after(today, step),
            };
            return known(next + 1, days);
        }
        match self.text(next) {
            "night" if step == -1 => return known(next + 1, Unit::Day.after(today, -1)),
            "morning" | "afternoon" | "evening" if step == 0 => return known(next + 1, Days::day(today)),
            _ => {}
        }
        let word = self.text(next);
        if let Some(weekday) = weekday(word) {
            let monday = Unit::Week.around(today)?.from;
            let days_on = match step {
                -1 => self.days_since(weekday, 1),
                0 => return known(next + 1, Days::day(monday.checked_add_days(DayCount::new(weekday))?)),
                _ => return known(next + 1, Unit::Day.after(today, 7 - self.days_since(weekday, 0))),
            };
            return known(next + 1, Unit::Day.after(today, -days_on));
        }
        let yearly = match month(word) {
            // `this may fail`, `the last may be wrong`
            Some(month) if month.is_doubtful && !self.is_name_amid(next) && !self.may_end(next + 1) => {
                return None;
            }
            Some(month) if month.is_doubtful && step == 0 && !self.is_name_amid(next) => return None,
            Some(month) => Yearly::Month(month.number),
            // `the last fall` may be one from a height, and `this spring boot app` runs all year.
            None if has_article || !self.may_end(next + 1) => return None,
            None => Yearly::Season(season(word)?),
        };
        if self.year_after(next + 1).is_some() {
            return None;
        }
        let days = match step {
            -1 => yearly.last_over(today),
            0 => yearly.this(today),
            _ => yearly.next(today),
        };
        known(next + 1, days)
    }

    /// So many units until today, or from today on.
    fn running(&self, unit: Unit, count: i32) -> Option<Days> {
        let tomorrow = self.today.succ_opt()?;
        let end = unit.moved(self.today, count)?;
        if count < 0 { Days::new(end, tomorrow) } else { Days::new(self.today, end.succ_opt()?) }
    }

    /// How many days ago this weekday was, at least so many.
    fn days_since(&self, weekday: u64, at_least: u32) -> i32 {
        let today = self.today.weekday().num_days_from_monday();
        let ago = (today + 7 - weekday as u32) % 7;
        (if ago < at_least { ago + 7 } else { ago }) as i32
    }

    /// `the second week of November 2023`.
    fn week_of_month(&self, at: usize) -> Read<Period> {
        let number = match self.text(at) {
            "last" => 0,
            word => ordinal(word).filter(|number| *number <= 4)?,
        };
        if self.word(at + 1) != "week" || self.word(at + 2) != "of" {
            return None;
        }
        let (end, month) = self.month(at + 3)?;
        let (end, year) = self.year_after(end).map_or((end, None), |(end, year)| (end, Some(year)));
        Some((end, Period::yearly(Yearly::Week { month: month.number, number }, year)))
    }

    /// `3 March`, `the 3rd of March 2023`, `March 3rd, 2023`, `May 2023`, and `May` where a word says so.
    fn day_and_month(&self, at: usize, is_named: bool) -> Read<Period> {
        let is_named = is_named || (at > 0 && self.is_space(at) && self.text(at - 1) == "on");
        let yearly = |what, year| Period::yearly(what, year);
        if let Some((after, day)) = self.day(at) {
            let is_of = self.word(after) == "of";
            let (end, month) = self.month(after + usize::from(is_of))?;
            let dated = self.year_after(end);
            let is_ordinal = is_of || matches!(self.tokens[at].kind, Kind::Number { is_ordinal: true, .. });
            let clear = is_named || is_ordinal || dated.is_some() || !month.is_doubtful;
            let what = Yearly::Day { month: month.number, day };
            // A day that this month does not have.
            what.next(self.today)?;
            let clear = clear || self.is_name_amid(end - 1);
            return clear.then(|| match dated {
                Some((end, year)) => (end, yearly(what, Some(year))),
                None => (end, yearly(what, None)),
            });
        }
        let (after, month) = self.month(at)?;
        if let Some((end, year)) = self.year_after(after) {
            return Some((end, yearly(Yearly::Month(month.number), Some(year))));
        }
        let at_day = after + usize::from(self.word(after) == "the");
        if let Some((end, day)) = self.day(at_day) {
            let what = Yearly::Day { month: month.number, day };
            what.next(self.today)?;
            if let Some((end, year)) = self.year_after(end) {
                return Some((end, yearly(what, Some(year))));
            }
            let is_ordinal = matches!(self.tokens[at_day].kind, Kind::Number { is_ordinal: true, .. });
            let clear = is_named || is_ordinal || !month.is_doubtful || self.is_name_amid(at);
            return clear.then(|| (end, yearly(what, None)));
        }
        // `in May 99999`
        if self.is_space(after) && self.is_number(after) {
            return None;
        }
        let is_named = is_named && self.text(at.wrapping_sub(1)) != "on";
        let of_the_month = at > 1 && self.text(at - 1) == "of" && self.text(at - 2) == "month";
        (is_named || of_the_month).then(|| (after, yearly(Yearly::Month(month.number), None)))
    }

    /// `on Monday`, and `Monday, 8 May`.
    fn weekday(&self, at: usize, is_named: bool) -> Read<Period> {
        let weekday = weekday(self.text(at))?;
        let next = at + 1;
        if matches!(self.gap(next), Some(Gap::Space | Gap::Comma))
            && let Some(read) = self.day_and_month(next + usize::from(self.text(next) == "the"), true)
        {
            return Some(read);
        }
        let says_so = ["on", "since", "until", "till", "before", "after", "from", "between"];
        let is_named = is_named || (at > 0 && self.is_space(at) && says_so.contains(&self.text(at - 1)));
        let day = Unit::Day.after(self.today, -self.days_since(weekday, 0))?;
        is_named.then_some((at + 1, Period::Known(day)))
    }

    /// `Q3 2023`, `in Q3`, `the third quarter of 2023`.
    fn quarter(&self, at: usize) -> Read<Period> {
        let (after, number) = match self.text(at) {
            "q1" => (at + 1, 1),
            "q2" => (at + 1, 2),
            "q3" => (at + 1, 3),
            "q4" => (at + 1, 4),
            word => match ordinal(word) {
                Some(number) if number <= 4 && self.word(at + 1) == "quarter" => (at + 2, number),
                _ => return None,
            },
        };
        let of = after + usize::from(self.word(after) == "of");
        if let Some((end, year)) = self.year_after(of) {
            return Some((end, Period::yearly(Yearly::Quarter(number), Some(year))));
        }
        let is_named = at > 0 && self.is_space(at) && BEFORE_MONTH.contains(&self.text(at - 1));
        (is_named && after == at + 1).then(|| (after, Period::yearly(Yearly::Quarter(number), None)))
    }

    /// `summer 2023`, `the fall of 2023`. A winter is of two years, and is read by `last winter` alone.
    fn season(&self, at: usize) -> Read<Period> {
        let month = season(self.text(at)).filter(|month| *month != WINTER)?;
        let of = at + 1 + usize::from(self.word(at + 1) == "of");
        let (end, year) = self.year_after(of)?;
        Some((end, Period::yearly(Yearly::Season(month), Some(year))))
    }

    /// `in 2023`, where it is not the number of something.
    fn whole_year(&self, at: usize, is_named: bool) -> Read<Period> {
        let (end, year) = self.year(at, FIRST_YEAR)?;
        let says_so = at > 0 && self.is_space(at) && BEFORE_YEAR.contains(&self.text(at - 1));
        if !(is_named || says_so) || self.counts_something(end) {
            return None;
        }
        Some((end, Period::Known(Days::year(year)?)))
    }

    /// Whether the number before this token counts what is here: `2000 users`, `2000 ms`.
    fn counts_something(&self, at: usize) -> bool {
        let word = self.word(at);
        let units = ["ms", "kb", "mb", "gb", "kg", "km", "hz", "px", "m", "s", "percent", "of", "more"];
        let is_plural = word.len() > 3 && word.ends_with('s');
        units.contains(&word) || (is_plural && !["does", "this", "thus"].contains(&word))
    }

    // ---- parts of periods ----

    /// The token in lower case; empty where there is none, or no word.
    fn text(&self, at: usize) -> &str {
        match self.tokens.get(at).map(|token| &token.kind) {
            Some(Kind::Word { lower, .. }) => lower,
            _ => "",
        }
    }

    /// The same where only a space stands before it.
    fn word(&self, at: usize) -> &str {
        if self.is_space(at) { self.text(at) } else { "" }
    }

    fn gap(&self, at: usize) -> Option<Gap> {
        self.tokens.get(at).map(|token| token.gap)
    }

    fn is_space(&self, at: usize) -> bool {
        self.gap(at) == Some(Gap::Space)
    }

    /// Whether this token begins with a digit.
    fn is_number(&self, at: usize) -> bool {
        match self.tokens.get(at).map(|token| &token.kind) {
            Some(Kind::Word { lower, .. }) => lower.starts_with(|c: char| c.is_ascii_digit()),
            kind => kind.is_some(),
        }
    }

    /// Whether the name of a time may have ended before this token.
    fn may_end(&self, at: usize) -> bool {
        !self.is_space(at) || AFTER_NAME.contains(&self.text(at))
    }

    /// Whether a word is written as a name is, and not because a sentence begins with it.
    fn is_name_amid(&self, at: usize) -> bool {
        let is_first = self.gap(at) == Some(Gap::Break);
        !is_first && matches!(self.tokens[at].kind, Kind::Word { is_name: true, .. })
    }

    /// A day of a month.
    fn day(&self, at: usize) -> Read<u32> {
        match self.tokens.get(at)?.kind {
            Kind::Number { value: value @ 1..=31, digits: 1..=2, is_plain: true, .. } => {
                Some((at + 1, value))
            }
            _ => None,
        }
    }

    fn year(&self, at: usize, first: i32) -> Read<i32> {
        match self.tokens.get(at)?.kind {
            Kind::Number { value, digits: 4, is_ordinal: false, is_plain: true } => {
                let year = i32::try_from(value).ok()?;
                let last = self.today.year().saturating_add(YEARS_AHEAD);
                (first..=last).contains(&year).then_some((at + 1, year))
            }
            _ => None,
        }
    }

    /// The year that belongs to the day, month or season before this token: `2023`, `, 2023`, `of 2023`.
    fn year_after(&self, at: usize) -> Read<i32> {
        let at = at + usize::from(self.word(at) == "of");
        let stands_beside = matches!(self.gap(at)?, Gap::Space | Gap::Comma);
        self.year(at, FIRST_YEAR_OF_MONTH).filter(|(end, _)| stands_beside && !self.counts_something(*end))
    }

    /// The name of a month beside the token before it, or alone.
    fn month(&self, at: usize) -> Read<Month> {
        let month = month(self.text(at))?;
        Some((at + 1, month))
    }

    /// `3`, `three`, `a`, `a couple of`.
    fn count(&self, at: usize) -> Read<u32> {
        const WORDS: [&str; 12] = [
            "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
        ];
        match &self.tokens.get(at)?.kind {
            Kind::Number { value, is_ordinal: false, is_plain: true, .. } => {
                (1..=MAX_COUNT).contains(value).then_some((at + 1, *value))
            }
            Kind::Word { lower, .. } => match lower.as_str() {
                "a" if self.word(at + 1) == "couple" => {
                    Some((at + 2 + usize::from(self.word(at + 2) == "of"), 2))
                }
                "couple" => Some((at + 1 + usize::from(self.word(at + 1) == "of"), 2)),
                "a" | "an" => Some((at + 1, 1)),
                word => {
                    let number = WORDS.iter().position(|name| *name == word)?;
                    Some((at + 1, number as u32 + 1))
                }
            },
            _ => None,
        }
    }

    fn unit(&self, at: usize) -> Option<Unit> {
        Some(match self.word(at) {
            "day" | "days" => Unit::Day,
            "week" | "weeks" => Unit::Week,
            "weekend" | "weekends" => Unit::Weekend,
            "month" | "months" => Unit::Month,
            "quarter" | "quarters" => Unit::Quarter,
            "year" | "years" => Unit::Year,
            _ => return None,
        })
    }
}
