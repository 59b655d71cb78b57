use chrono::{DateTime, Utc};
use uuid::Uuid;
use vestige_traits::backend::Prepared;
use vestige_traits::scheduling::{DueMemory, ReviewEvent, SchedulingState};
use vestige_traits::{MemoryStoreError, MemoryStoreResult, limits};

use super::state::State;

impl State {
    pub(super) fn update_scheduling(
        &mut self,
        memory_id: Uuid,
        state: &SchedulingState,
    ) -> MemoryStoreResult<()> {
        let state = Prepared::new(state)?;
        self.check_memory(memory_id)?;
        self.scheduling.insert(memory_id, *state);
        Ok(())
    }

    pub(super) fn due_memories(&self, now: DateTime<Utc>, limit: usize) -> MemoryStoreResult<Vec<DueMemory>> {
        limits::check_time("now", now)?;
        let limit = limits::effective_limit(limit)?;
        let now = limits::to_micros(now);
        let mut due: Vec<_> = self
            .scheduling
            .iter()
            .filter_map(|(id, state)| Some((state.next_review?, *id, *state)))
            .filter(|(next_review, _, _)| *next_review <= now)
            .collect();
        due.sort_by_key(|(next_review, id, _)| (*next_review, *id));
        due.truncate(limit);
        let due = due
            .into_iter()
            .map(|(_, id, scheduling)| DueMemory { record: self.memories[&id].clone(), scheduling });
        Ok(due.collect())
    }

    pub(super) fn record_review(&mut self, event: &ReviewEvent) -> MemoryStoreResult<()> {
        let event = Prepared::new(event)?.into_owned();
        self.check_memory(event.memory_id)?;
        match self.reviews.get(&event.id) {
            Some(known) if *known == event => return Ok(()),
            Some(_) => return Err(MemoryStoreError::already_exists("review event", event.id)),
            None => {}
        }
        if self.scheduling.get(&event.memory_id) != event.prior_state.as_ref() {
            return Err(MemoryStoreError::conflict(
                format!("scheduling of memory {}", event.memory_id),
                "it is not in the state that the review began with",
            ));
        }
        self.scheduling.insert(event.memory_id, event.new_state);
        self.reviews.insert(event.id, event);
        Ok(())
    }

    pub(super) fn reviews_of(&self, memory_id: Uuid) -> Vec<ReviewEvent> {
        let mut events: Vec<_> =
            self.reviews.values().filter(|event| event.memory_id == memory_id).cloned().collect();
        events.sort_by_key(|event| (event.timestamp, event.id));
        events
    }

    pub(super) fn check_memory(&self, id: Uuid) -> MemoryStoreResult<()> {
        if self.memories.contains_key(&id) {
            return Ok(());
        }
        Err(MemoryStoreError::not_found("memory", id))
    }
}
