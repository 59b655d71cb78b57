use chrono::{DateTime, Utc};
use rusqlite::{Row, Transaction, params};
use uuid::Uuid;
use vestige_traits::backend::Prepared;
use vestige_traits::scheduling::{DueMemory, ReviewEvent, SchedulingState};
use vestige_traits::{MemoryStoreError, MemoryStoreResult};

use crate::codec::{self, RECORD_COLUMN_COUNT, RECORD_COLUMNS, to_json};
use crate::error::{bad_value, map};
use crate::records;

/// The columns that [`state`] reads. The table is called `s`.
pub(crate) const STATE_COLUMNS: &str =
    "s.stability, s.difficulty, s.retrievability, s.last_review, s.next_review, s.reps, s.lapses";
/// The columns that [`event`] reads.
pub(crate) const EVENT_COLUMNS: &str = "id, memory_id, timestamp, rating, prior_state, new_state";

/// Reads a state from the columns that begin at `first`, which are [`STATE_COLUMNS`].
pub(crate) fn state(row: &Row<'_>, first: usize) -> MemoryStoreResult<SchedulingState> {
    let count = |at, column| {
        u32::try_from(row.get::<_, i64>(at).map_err(map)?).map_err(|_| bad_value(column, "is out of range"))
    };
    Ok(SchedulingState {
        stability: row.get(first).map_err(map)?,
        difficulty: row.get(first + 1).map_err(map)?,
        retrievability: row.get(first + 2).map_err(map)?,
        last_review: codec::optional_time(row, first + 3, "last_review")?,
        next_review: codec::optional_time(row, first + 4, "next_review")?,
        reps: count(first + 5, "reps")?,
        lapses: count(first + 6, "lapses")?,
    })
}

/// Reads an event from the row's first columns, which are [`EVENT_COLUMNS`].
pub(crate) fn event(row: &Row<'_>) -> MemoryStoreResult<ReviewEvent> {
    let prior: Option<String> = row.get(4).map_err(map)?;
    Ok(ReviewEvent {
        id: codec::uuid(row, 0, "id")?,
        memory_id: codec::uuid(row, 1, "memory_id")?,
        timestamp: codec::time(row, 2, "timestamp")?,
        rating: codec::word(row, 3, "rating")?,
        prior_state: match prior {
            None => None,
            Some(_) => Some(codec::json(row, 4, "prior_state")?),
        },
        new_state: codec::json(row, 5, "new_state")?,
    })
}

pub(crate) fn get(tx: &Transaction<'_>, memory_id: Uuid) -> MemoryStoreResult<Option<SchedulingState>> {
    let sql = format!("SELECT {STATE_COLUMNS} FROM scheduling s WHERE s.memory_id = ?");
    let mut statement = tx.prepare_cached(&sql).map_err(map)?;
    let mut rows = statement.query([memory_id.into_bytes()]).map_err(map)?;
    rows.next().map_err(map)?.map(|row| state(row, 0)).transpose()
}

/// Sets the state of a memory that must exist.
pub(crate) fn set(
    tx: &Transaction<'_>,
    memory_id: Uuid,
    state: &Prepared<'_, SchedulingState>,
) -> MemoryStoreResult<()> {
    records::existing_node(tx, memory_id)?;
    write(tx, memory_id, state)
}

/// Writes the state of a memory that is there.
pub(crate) fn write(
    tx: &Transaction<'_>,
    memory_id: Uuid,
    state: &Prepared<'_, SchedulingState>,
) -> MemoryStoreResult<()> {
    tx.prepare_cached(
        "INSERT OR REPLACE INTO scheduling (memory_id, stability, difficulty, retrievability, last_review, \
         next_review, reps, lapses) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .map_err(map)?
    .execute(params![
        memory_id.into_bytes(),
        state.stability,
        state.difficulty,
        state.retrievability,
        state.last_review.map(|time| time.timestamp_micros()),
        state.next_review.map(|time| time.timestamp_micros()),
        state.reps,
        state.lapses,
    ])
    .map_err(map)?;
    Ok(())
}

pub(crate) fn due(
    tx: &Transaction<'_>,
    now: DateTime<Utc>,
    limit: usize,
) -> MemoryStoreResult<Vec<DueMemory>> {
    let sql = format!(
        "SELECT {RECORD_COLUMNS}, {STATE_COLUMNS} FROM scheduling s JOIN knowledge_nodes n ON n.id = s.memory_id \
         WHERE s.next_review <= ? ORDER BY s.next_review, s.memory_id LIMIT {limit}"
    );
    let mut statement = tx.prepare_cached(&sql).map_err(map)?;
    let mut rows = statement.query([now.timestamp_micros()]).map_err(map)?;
    let mut due = Vec::new();
    while let Some(row) = rows.next().map_err(map)? {
        due.push(DueMemory { record: codec::record(row)?, scheduling: state(row, RECORD_COLUMN_COUNT)? });
    }
    Ok(due)
}

/// Appends an event and sets the state it led to.
pub(crate) fn record(tx: &Transaction<'_>, event: &Prepared<'_, ReviewEvent>) -> MemoryStoreResult<()> {
    records::existing_node(tx, event.memory_id)?;
    match find_event(tx, event.id)? {
        Some(known) if known == **event => return Ok(()),
        Some(_) => return Err(MemoryStoreError::already_exists("review event", event.id)),
        None => {}
    }
    if get(tx, event.memory_id)? != event.prior_state {
        return Err(MemoryStoreError::conflict(
            format!("scheduling of memory {}", event.memory_id),
            "it is not in the state that the review began with",
        ));
    }
    write(tx, event.memory_id, &event.new_state())?;
    append(tx, event)
}

/// Writes an event whose id is free.
pub(crate) fn append(tx: &Transaction<'_>, event: &Prepared<'_, ReviewEvent>) -> MemoryStoreResult<()> {
    tx.prepare_cached(
        "INSERT INTO review_events (id, memory_id, timestamp, rating, prior_state, new_state) \
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .map_err(map)?
    .execute(params![
        event.id.into_bytes(),
        event.memory_id.into_bytes(),
        event.timestamp.timestamp_micros(),
        event.rating.as_str(),
        event.prior_state.as_ref().map(to_json).transpose()?,
        to_json(&event.new_state)?,
    ])
    .map_err(map)?;
    Ok(())
}

pub(crate) fn find_event(tx: &Transaction<'_>, id: Uuid) -> MemoryStoreResult<Option<ReviewEvent>> {
    let sql = format!("SELECT {EVENT_COLUMNS} FROM review_events WHERE id = ?");
    let mut statement = tx.prepare_cached(&sql).map_err(map)?;
    let mut rows = statement.query([id.into_bytes()]).map_err(map)?;
    rows.next().map_err(map)?.map(event).transpose()
}

pub(crate) fn reviews(tx: &Transaction<'_>, memory_id: Uuid) -> MemoryStoreResult<Vec<ReviewEvent>> {
    let sql = format!("SELECT {EVENT_COLUMNS} FROM review_events WHERE memory_id = ? ORDER BY timestamp, id");
    let mut statement = tx.prepare_cached(&sql).map_err(map)?;
    let mut rows = statement.query([memory_id.into_bytes()]).map_err(map)?;
    let mut events = Vec::new();
    while let Some(row) = rows.next().map_err(map)? {
        events.push(event(row)?);
    }
    Ok(events)
}
