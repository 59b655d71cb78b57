//! The times that a question names, in English: `in May 2023`, `last week`, `on 3 March`, `2023-05-08`.
//!
//! [`mentions`] reads days, weeks, months, quarters, seasons, years, and spans of them, by a grammar. It
//! reads what is clear and nothing else: "may I", "march on", "port 1999" and "03/04/2023" name no time.
//! `docs/adr/0030` has what is read and why.

mod calendar;
mod grammar;
mod names;
mod tokens;

use std::fmt;
use std::ops::Range;

use chrono::{DateTime, FixedOffset, NaiveDate, Utc};
use vestige_traits::TimeSpan;
use vestige_traits::limits::MAX_TIMES;

use grammar::Reader;

/// How much of a text is read, in bytes.
const MAX_READ: usize = 8 << 10;

/// A time that a text names. `Display` writes its days: `2023-05-08`, or `2023-05-08 to 2023-05-14`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mention {
    /// Where it stands in the text, in bytes.
    pub range: Range<usize>,
    /// Its first day,
    pub first: NaiveDate,
    /// and its last.
    pub last: NaiveDate,
    /// The same as a time. It begins and ends at midnight by the offset.
    pub span: TimeSpan,
}

impl fmt::Display for Mention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last, .. } = self;
        if first == last { write!(f, "{first}") } else { write!(f, "{first} to {last}") }
    }
}

/// The times that a text names, in the order of the text: the first [`MAX_TIMES`] of its first 8 KiB. Its
/// phrases in quotes and its exclusions (`-word`) are not read.
///
/// Days are those of the offset from UTC, weeks begin on Monday, and seasons are the northern ones. A day or
/// month without a year is the last one that has begun. Takes time linear in the text.
///
/// ```
/// use chrono::{FixedOffset, Offset, Utc};
/// use vestige_memory::dates::mentions;
///
/// let now = "2023-05-18T12:00:00Z".parse().unwrap();
/// let text = "what did we decide last week?";
/// let found = mentions(text, now, Utc.fix());
/// assert_eq!(&text[found[0].range.clone()], "last week");
/// assert_eq!(found[0].to_string(), "2023-05-08 to 2023-05-14");
/// assert_eq!(found[0].span.before.to_rfc3339(), "2023-05-15T00:00:00+00:00");
/// ```
pub fn mentions(text: &str, now: DateTime<Utc>, offset: FixedOffset) -> Vec<Mention> {
    let text = &text[..text.floor_char_boundary(MAX_READ)];
    let today = now.with_timezone(&offset).date_naive();
    let reader = Reader::new(text, today);
    let mut found = Vec::new();
    let mut at = 0;
    while at < reader.len() && found.len() < MAX_TIMES {
        let Some((end, days)) = reader.mention(at) else {
            at += 1;
            continue;
        };
        if let Some((span, last)) = days.span(offset).zip(days.before.pred_opt()) {
            found.push(Mention { range: reader.range(at, end), first: days.from, last, span });
        }
        at = end;
    }
    found
}

#[cfg(test)]
mod tests;
