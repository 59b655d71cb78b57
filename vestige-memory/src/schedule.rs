use chrono::{DateTime, Utc};
use uuid::Uuid;
use vestige_traits::MemoryStore;
use vestige_traits::scheduling::{DueMemory, SchedulingState};
#[cfg(feature = "fsrs")]
use vestige_traits::scheduling::{Rating, ReviewEvent};

use crate::error::MemoryResult;
use crate::memory::Memory;
#[cfg(feature = "fsrs")]
use crate::scheduler::RebuiltSchedule;

/// The same state with the probability of recall at `now`, rather than at its last review.
#[must_use]
pub fn as_of(mut state: SchedulingState, now: DateTime<Utc>) -> SchedulingState {
    state.retrievability = state.retrievability_at(now);
    state
}

impl<S: MemoryStore + Sync, E> Memory<S, E> {
    /// When a memory comes up again, with the probability that it would be recalled now. None if it was never
    /// reviewed, or if there is no such memory.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn schedule(&self, id: Uuid) -> MemoryResult<Option<SchedulingState>> {
        let state = self.store().get_scheduling(id).await?;
        Ok(state.map(|state| as_of(state, self.now())))
    }

    /// The memories whose review is due now, longest overdue first, each with the probability that it would
    /// be recalled now. At most `limit`, up to [`MAX_LIMIT`](vestige_traits::limits::MAX_LIMIT); 0 means
    /// [`DEFAULT_LIMIT`](vestige_traits::limits::DEFAULT_LIMIT).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](vestige_traits::MemoryStoreError::InvalidInput) for a limit out of range, and those
    /// of the store.
    pub async fn due(&self, limit: usize) -> MemoryResult<Vec<DueMemory>> {
        let now = self.now();
        let mut due = self.store().get_due_memories(now, limit).await?;
        due.iter_mut().for_each(|due| due.scheduling = as_of(due.scheduling, now));
        Ok(due)
    }

    /// Records how well a memory was recalled, which decides when it comes up again: when the probability of
    /// recalling it has fallen to 0.9. The first review schedules it.
    ///
    /// Where somebody else reviews the memory at the same moment, one review comes after the other.
    ///
    /// # Errors
    ///
    /// [`NotFound`](vestige_traits::MemoryStoreError::NotFound) if there is no such memory,
    /// [`Conflict`](vestige_traits::MemoryStoreError::Conflict) if 64 attempts in a row met another review,
    /// and those of the store.
    #[cfg(feature = "fsrs")]
    pub async fn review(&self, id: Uuid, rating: Rating) -> MemoryResult<ReviewEvent> {
        Ok(self.scheduler().review(self.store(), id, rating, self.now()).await?)
    }

    /// Computes the schedule anew from the log of reviews, and corrects what differs. Memories without a
    /// review keep what they have.
    ///
    /// Reads the whole log, and writes memory by memory: dropping the future leaves some corrected and some
    /// not, and calling it again goes on.
    ///
    /// # Errors
    ///
    /// Those of the store. What was corrected before the error stays corrected.
    #[cfg(feature = "fsrs")]
    pub async fn rebuild_schedule(&self) -> MemoryResult<RebuiltSchedule> {
        Ok(self.scheduler().rebuild(self.store()).await?)
    }
}
