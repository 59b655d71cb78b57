use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use fsrs::{FSRS, MemoryState};
use uuid::Uuid;
use vestige_traits::scheduling::{Rating, ReviewEvent, SchedulingState};
use vestige_traits::transfer::{TransferKind, TransferRow};
use vestige_traits::{MemoryStore, MemoryStoreError, MemoryStoreResult, limits};

use crate::retry::MAX_ATTEMPTS;

/// A memory is due when its probability of recall has fallen to this.
const DESIRED_RETENTION: f32 = 0.9;
const PAGE: usize = 1000;

/// What rebuilding the schedule found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RebuiltSchedule {
    /// Memories with reviews in the log.
    pub reviewed: u64,
    /// Those of them whose state differed from the log's, and is corrected.
    pub changed: u64,
    /// Memories that are gone while their reviews stay in the log.
    pub gone: u64,
}

/// When a memory should come up again: FSRS-6 with its default parameters, over any store.
///
/// The same reviews give the same states wherever and whenever they are computed. [`Memory`](crate::Memory)
/// has one; use this type to schedule without a memory.
#[derive(Debug)]
pub struct Scheduler(FSRS);

impl Default for Scheduler {
    fn default() -> Self {
        Self::new()
    }
}

impl Scheduler {
    /// The schedule by the default parameters of the `fsrs` crate.
    pub fn new() -> Self {
        Self(FSRS::default())
    }

    /// The state that a review at `at` leads to. Time counts in whole days since the last review; within
    /// the same day FSRS-6's formula for short terms holds.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](MemoryStoreError::InvalidInput) if there is no next state for `prior`, or if the next
    /// review would lie outside the calendar.
    pub fn next(
        &self,
        prior: Option<&SchedulingState>,
        at: DateTime<Utc>,
        rating: Rating,
    ) -> MemoryStoreResult<SchedulingState> {
        let memory = prior.map(|state| MemoryState {
            stability: state.stability as f32,
            difficulty: state.difficulty as f32,
        });
        let elapsed = prior.and_then(|state| state.last_review).map_or(0, |last| (at - last).num_days());
        let elapsed = u32::try_from(elapsed).unwrap_or(0);
        let states = self.0.next_states(memory, DESIRED_RETENTION, elapsed).map_err(|error| {
            MemoryStoreError::invalid("scheduling", format!("has no next state ({error})"))
        })?;
        let next = match rating {
            Rating::Again => states.again,
            Rating::Hard => states.hard,
            Rating::Good => states.good,
            Rating::Easy => states.easy,
        };
        let interval = TimeDelta::microseconds((f64::from(next.interval) * 86_400e6).round() as i64);
        let next_review = at
            .checked_add_signed(interval)
            .ok_or_else(|| MemoryStoreError::invalid("next_review", "lies outside of the calendar"))?;
        let counted = |before: fn(&SchedulingState) -> u32| prior.map_or(0, before);
        Ok(SchedulingState {
            stability: widened(next.memory.stability),
            difficulty: widened(next.memory.difficulty),
            retrievability: 1.0,
            last_review: Some(limits::to_micros(at)),
            next_review: Some(limits::to_micros(next_review)),
            reps: counted(|state| state.reps).saturating_add(1),
            lapses: counted(|state| state.lapses).saturating_add(u32::from(rating == Rating::Again)),
        })
    }

    /// Reviews a memory and records it. Where somebody else reviews it at the same moment, one comes after
    /// the other.
    ///
    /// No review is earlier than the one before it, whatever the clocks of two machines say, so that
    /// the log in the order of its times gives the same states again.
    ///
    /// # Errors
    ///
    /// [`NotFound`](MemoryStoreError::NotFound) if there is no such memory,
    /// [`Conflict`](MemoryStoreError::Conflict) if 64 attempts in a row met another review, and those of the
    /// store.
    pub async fn review<S: MemoryStore>(
        &self,
        store: &S,
        memory_id: Uuid,
        rating: Rating,
        now: DateTime<Utc>,
    ) -> MemoryStoreResult<ReviewEvent> {
        let mut attempt = 1;
        loop {
            let prior = store.get_scheduling(memory_id).await?;
            let last = prior.and_then(|state| state.last_review);
            let at = last.map_or(now, |last| now.max(last + TimeDelta::microseconds(1)));
            let state = self.next(prior.as_ref(), at, rating)?;
            let event = ReviewEvent::new(memory_id, at, rating, prior, state);
            match store.record_review(&event).await {
                Ok(()) => return Ok(event),
                Err(MemoryStoreError::Conflict { .. }) if attempt < MAX_ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Computes the scheduling states anew from the log. Memories without a review keep what they have.
    ///
    /// # Errors
    ///
    /// Those of the store. What was corrected before the error stays corrected.
    pub async fn rebuild<S: MemoryStore>(&self, store: &S) -> MemoryStoreResult<RebuiltSchedule> {
        let mut rebuilt = RebuiltSchedule::default();
        for memory_id in reviewed_memories(store).await? {
            if store.get(memory_id).await?.is_none() {
                rebuilt.gone += 1;
                continue;
            }
            rebuilt.reviewed += 1;
            rebuilt.changed += u64::from(self.rebuild_one(store, memory_id).await?);
        }
        Ok(rebuilt)
    }

    /// Returns whether the state was another.
    async fn rebuild_one<S: MemoryStore>(&self, store: &S, memory_id: Uuid) -> MemoryStoreResult<bool> {
        let mut changed = false;
        // A review may come in between reading the log and writing the state: then once more.
        for _ in 0..MAX_ATTEMPTS {
            let state = self.replay(&store.get_reviews(memory_id).await?)?;
            if state == store.get_scheduling(memory_id).await? {
                return Ok(changed);
            }
            let Some(state) = state else { return Ok(changed) };
            store.update_scheduling(memory_id, &state).await?;
            changed = true;
        }
        Err(MemoryStoreError::conflict(
            format!("scheduling of memory {memory_id}"),
            "it is reviewed all the time; try again later",
        ))
    }

    /// The state after these reviews, oldest first, beginning with the state before the first of them. None
    /// without reviews.
    ///
    /// # Errors
    ///
    /// Those of [`next`](Self::next).
    pub fn replay(&self, events: &[ReviewEvent]) -> MemoryStoreResult<Option<SchedulingState>> {
        let before = events.first().and_then(|event| event.prior_state);
        events.iter().try_fold(before, |state, event| {
            self.next(state.as_ref(), event.timestamp, event.rating).map(Some)
        })
    }
}

async fn reviewed_memories<S: MemoryStore>(store: &S) -> MemoryStoreResult<BTreeSet<Uuid>> {
    let mut memories = BTreeSet::new();
    let mut after = None;
    loop {
        let page = store.export_page(TransferKind::ReviewEvent, after.as_ref(), PAGE).await?;
        for row in &page.rows {
            if let TransferRow::ReviewEvent(event) = row {
                memories.insert(event.memory_id);
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(memories);
        }
    }
}

/// The double with the fewest digits that is this single: 0.212, not 0.21199999749660492. It narrows to the
/// same single.
fn widened(single: f32) -> f64 {
    single
        .to_string()
        .parse()
        .ok()
        .filter(|double: &f64| *double as f32 == single)
        .unwrap_or(f64::from(single))
}

#[cfg(test)]
mod tests;
