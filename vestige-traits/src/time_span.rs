//! What a memory gains by the time of its creation, where a question names a time.
//!
//! Whoever asks about May looks for what was said in May, and for what was said of it soon after. So such
//! memories gain score, and no other memory loses any. `docs/adr/0030` has what was measured.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::MemoryStoreResult;
use crate::limits;

/// What a memory that was created within a span gains, as a part of its score.
const GAIN: f64 = 1.0;
/// What one that was created right after it gains.
const GAIN_AFTER: f64 = 0.7;
/// How long after a span a memory gains, less and less, in microseconds.
const SOON: f64 = 15.0 * 86_400e6;

/// A span of time, half-open: from a moment until before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TimeSpan {
    /// The first moment.
    pub from: DateTime<Utc>,
    /// The first moment after it, later than `from`.
    pub before: DateTime<Utc>,
}

impl TimeSpan {
    /// Checks that it has a moment, and that its ends lie within the years 1 to 9999.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::MemoryStoreError::InvalidInput) naming `times`.
    pub fn validate(&self) -> MemoryStoreResult<()> {
        limits::check_time("times", self.from)?;
        limits::check_time("times", self.before)?;
        limits::check("times", self.from < self.before, || "has a span that does not end after it begins")
    }

    fn gain(&self, created_at: DateTime<Utc>) -> f64 {
        if (self.from..self.before).contains(&created_at) {
            return GAIN;
        }
        let after = (created_at - self.before).num_microseconds().unwrap_or(i64::MAX) as f64;
        if after < 0.0 { 0.0 } else { GAIN_AFTER * (1.0 - after / SOON).max(0.0) }
    }
}

/// What a memory that was created at this time gains by these spans, as a part of its score: that by the span
/// that gives it most; 0 without spans.
pub fn gain(created_at: DateTime<Utc>, times: &[TimeSpan]) -> f64 {
    times.iter().map(|span| span.gain(created_at)).fold(0.0, f64::max)
}

/// A score with a [`gain`]. One of 0 or less gains nothing; a higher score stays the higher one.
pub fn favoured(score: f64, gain: f64) -> f64 {
    score + gain * score.max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::MemoryStoreError;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn may() -> TimeSpan {
        TimeSpan { from: at("2023-05-01T00:00:00Z"), before: at("2023-06-01T00:00:00Z") }
    }

    #[test]
    fn a_memory_of_the_span_gains_most_and_one_of_soon_after_less_and_less() {
        let gains = ["2023-06-01T00:00:00Z", "2023-06-02T00:00:00Z", "2023-06-05T00:00:00Z"]
            .map(|time| gain(at(time), &[may()]));
        assert_eq!(gain(at("2023-05-01T00:00:00Z"), &[may()]), GAIN);
        assert_eq!(gain(at("2023-05-31T23:59:59.999999Z"), &[may()]), GAIN);
        assert!(gains.is_sorted_by(|sooner, later| sooner > later) && gains[2] > 0.0, "{gains:?}");
        for time in ["2023-04-30T23:59:59.999999Z", "2024-06-01T00:00:00Z", "9999-12-31T00:00:00Z"] {
            assert_eq!(gain(at(time), &[may()]), 0.0, "{time}");
        }
    }

    #[test]
    fn of_several_spans_the_nearest_counts() {
        let day = TimeSpan { from: at("2023-06-02T00:00:00Z"), before: at("2023-06-03T00:00:00Z") };
        assert_eq!(gain(at("2023-06-02T12:00:00Z"), &[may(), day]), GAIN);
        assert_eq!(gain(at("2023-06-02T12:00:00Z"), &[]), 0.0);
    }

    #[test]
    fn what_gains_keeps_its_order_and_loses_nothing() {
        let scores = [-0.5, -0.25, 0.0, 0.25, 0.5];
        let gained = scores.map(|score| favoured(score, 0.5));
        assert_eq!(gained, [-0.5, -0.25, 0.0, 0.375, 0.75]);
        assert_eq!(scores.map(|score| favoured(score, 0.0)), scores);
    }

    #[test]
    fn a_span_without_a_moment_is_invalid() {
        let TimeSpan { from, before } = may();
        assert!(may().validate().is_ok());
        for (from, before) in [(before, from), (from, from), (from, DateTime::<Utc>::MAX_UTC)] {
            let error = TimeSpan { from, before }.validate().unwrap_err();
            assert!(matches!(&error, MemoryStoreError::InvalidInput { field, .. } if field == "times"));
        }
    }
}
