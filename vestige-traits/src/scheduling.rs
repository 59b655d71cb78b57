//! When a memory is to be reviewed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::new_id;
use crate::error::MemoryStoreResult;
pub use crate::forgetting::retrievability;
use crate::forgetting::{days, elapsed_stabilities};
use crate::limits;
use crate::record::MemoryRecord;
use crate::words::words;

/// A tenth of a second. Products with anything smaller underflow, which PostgreSQL reports as an error.
const MIN_STABILITY: f64 = 1e-6;

/// How well a memory is remembered, by FSRS-6.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SchedulingState {
    /// Days until retrievability falls to 0.9, a millionth to a million.
    pub stability: f64,
    /// 1 (easy) to 10 (hard).
    pub difficulty: f64,
    /// The probability of recall when this state was written, 0 to 1. For the present see [`retrievability`].
    pub retrievability: f64,
    /// When it was last reviewed; none if never.
    pub last_review: Option<DateTime<Utc>>,
    /// When it is due; none if it is not scheduled.
    pub next_review: Option<DateTime<Utc>>,
    /// How often it was reviewed.
    pub reps: u32,
    /// How often it was forgotten.
    pub lapses: u32,
}

impl SchedulingState {
    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::MemoryStoreError::InvalidInput) naming the field.
    pub fn validate(&self) -> MemoryStoreResult<()> {
        limits::check_number("stability", self.stability, MIN_STABILITY..=1e6)?;
        limits::check_number("difficulty", self.difficulty, 1.0..=10.0)?;
        limits::check_number("retrievability", self.retrievability, 0.0..=1.0)?;
        for (field, time) in [("last_review", self.last_review), ("next_review", self.next_review)] {
            if let Some(time) = time {
                limits::check_time(field, time)?;
            }
        }
        for (field, count) in [("reps", self.reps), ("lapses", self.lapses)] {
            let rule = || format!("is {count}, must be at most {}", i32::MAX);
            limits::check(field, i32::try_from(count).is_ok(), rule)?;
        }
        Ok(())
    }

    /// The probability that the memory is recalled at `now`: 1 if it was never reviewed.
    pub fn retrievability_at(&self, now: DateTime<Utc>) -> f64 {
        self.last_review.map_or(1.0, |last| retrievability(now - last, self.stability))
    }

    /// Whether [`retrievability_at`](Self::retrievability_at) `now` is `minimum` or above, in the form that
    /// every backend evaluates: `(now - last_review in µs) / 86400e6 <= stability *
    /// elapsed_stabilities(minimum)`.
    ///
    /// True for a memory never reviewed.
    pub fn is_retrievable(&self, minimum: f64, now: DateTime<Utc>) -> bool {
        self.last_review.is_none_or(|last| days(now - last) <= self.stability * elapsed_stabilities(minimum))
    }
}

/// How a review went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rating {
    /// Forgotten.
    Again = 1,
    /// Recalled with effort.
    Hard = 2,
    /// Recalled.
    Good = 3,
    /// Recalled at once.
    Easy = 4,
}

words! {
    Rating { Again: "again", Hard: "hard", Good: "good", Easy: "easy" } "rating", "again, hard, good or easy"
}

/// One review, as the log keeps it for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReviewEvent {
    /// The key. An event with a known key is not recorded twice.
    pub id: Uuid,
    /// The memory that was reviewed.
    pub memory_id: Uuid,
    /// When.
    pub timestamp: DateTime<Utc>,
    /// How it went.
    pub rating: Rating,
    /// The scheduling state before, none at the first review.
    pub prior_state: Option<SchedulingState>,
    /// The scheduling state after.
    pub new_state: SchedulingState,
}

impl ReviewEvent {
    /// An event with a new id.
    pub fn new(
        memory_id: Uuid,
        timestamp: DateTime<Utc>,
        rating: Rating,
        prior_state: Option<SchedulingState>,
        new_state: SchedulingState,
    ) -> Self {
        let timestamp = limits::to_micros(timestamp);
        Self { id: new_id(timestamp), memory_id, timestamp, rating, prior_state, new_state }
    }

    /// Checks the time and both states.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::MemoryStoreError::InvalidInput) naming the field.
    pub fn validate(&self) -> MemoryStoreResult<()> {
        limits::check_time("timestamp", self.timestamp)?;
        self.prior_state.as_ref().map_or(Ok(()), SchedulingState::validate)?;
        self.new_state.validate()
    }
}

/// A memory whose review is due.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DueMemory {
    /// The memory.
    pub record: MemoryRecord,
    /// Its state; `next_review` is set.
    pub scheduling: SchedulingState,
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::forgetting::DAY_MICROS;

    #[test]
    fn retrievability_is_nine_tenths_after_one_stability() {
        assert!((retrievability(TimeDelta::days(5), 5.0) - 0.9).abs() < 1e-12);
        assert_eq!(retrievability(TimeDelta::zero(), 5.0), 1.0);
        assert_eq!(retrievability(TimeDelta::days(-3), 5.0), 1.0);
    }

    #[test]
    fn the_inverse_meets_the_curve() {
        for minimum in [0.2, 0.5, 0.9, 0.99] {
            let stabilities = elapsed_stabilities(minimum);
            let elapsed = TimeDelta::microseconds((stabilities * 7.0 * DAY_MICROS) as i64);
            assert!((retrievability(elapsed, 7.0) - minimum).abs() < 1e-9, "{minimum}");
            let now = DateTime::UNIX_EPOCH;
            let reviewed = |last_review| SchedulingState {
                stability: 7.0,
                difficulty: 5.0,
                retrievability: 1.0,
                last_review: Some(last_review),
                next_review: None,
                reps: 1,
                lapses: 0,
            };
            assert!(reviewed(now - elapsed).is_retrievable(minimum, now));
            assert!(!reviewed(now - elapsed - TimeDelta::seconds(1)).is_retrievable(minimum, now));
        }
        assert_eq!(elapsed_stabilities(1.0), 0.0);
        assert_eq!(elapsed_stabilities(0.0), f64::INFINITY);
    }
}
