//! Where time and ids come from, so that tests can set them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::{NoContext, Timestamp, Uuid};

use crate::limits::to_micros;

/// Where a store takes the time from.
///
/// Stores use it for `updated_at`, for retrievability at query time and for
/// the time of their own bookkeeping; tests put a [`ManualClock`] in.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The present, in whole microseconds.
    fn now(&self) -> DateTime<Utc>;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> DateTime<Utc> {
        (**self).now()
    }
}

/// The machine's clock. One that is set to a time before 1970 is told as it is; whoever stores what it says
/// may refuse it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        // The one place that reads the machine's clock. `Utc::now` panics before 1970.
        time_of(SystemTime::now())
    }
}

fn time_of(time: SystemTime) -> DateTime<Utc> {
    to_micros(time.into())
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock(Mutex<DateTime<Utc>>);

impl ManualClock {
    /// A clock that shows `now`, cut to whole microseconds.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self(Mutex::new(to_micros(now)))
    }

    /// Moves the clock to `now`.
    pub fn set(&self, now: DateTime<Utc>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = to_micros(now);
    }

    /// Moves the clock by `delta`.
    pub fn advance(&self, delta: TimeDelta) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = to_micros(*now + delta);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A new UUID of version 7 (RFC 9562, section 5.7): `at` to the millisecond, then randomness.
///
/// A time before 1970 counts as 1970, since version 7 knows no earlier one.
pub fn new_id(at: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(at.timestamp()).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, at.timestamp_subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_before_1970_is_told_as_it_is() {
        let before = SystemTime::UNIX_EPOCH - Duration::from_micros(1_500_000);
        assert_eq!(time_of(before), DateTime::UNIX_EPOCH - TimeDelta::milliseconds(1500));
        let after = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_500_000_999);
        assert_eq!(time_of(after), DateTime::UNIX_EPOCH + TimeDelta::milliseconds(1500));
        assert!(new_id(time_of(before)) < new_id(time_of(after)));
    }
}
