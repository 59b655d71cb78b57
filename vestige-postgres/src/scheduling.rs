//! When memories are reviewed, and the log of their reviews.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use uuid::Uuid;
use vestige_traits::backend::Prepared;
use vestige_traits::scheduling::{DueMemory, ReviewEvent, SchedulingState};
use vestige_traits::{MemoryStoreError, MemoryStoreResult, limits};

use crate::error;
use crate::rows::{self, MemoryRow, ReviewRow, SchedulingRow};
use crate::session::Session;

pub(crate) async fn get_scheduling(
    session: &mut Session,
    memory_id: Uuid,
) -> MemoryStoreResult<Option<SchedulingState>> {
    sqlx::query_as!(
        SchedulingRow,
        "SELECT memory_id, stability, difficulty, retrievability, last_review, next_review, reps, lapses
         FROM scheduling WHERE memory_id = $1",
        memory_id,
    )
    .fetch_optional(session)
    .await
    .map_err(error::map)?
    .map(SchedulingState::try_from)
    .transpose()
}

pub(crate) async fn update_scheduling(
    mut transaction: Session,
    memory_id: Uuid,
    state: &Prepared<'_, SchedulingState>,
) -> MemoryStoreResult<()> {
    if !lock_memory(&mut transaction, memory_id).await? {
        return Err(MemoryStoreError::not_found("memory", memory_id));
    }
    upsert(&mut transaction, memory_id, state).await?;
    transaction.commit().await.map_err(error::map)
}

pub(crate) async fn get_due_memories(
    session: &mut Session,
    now: DateTime<Utc>,
    limit: usize,
) -> MemoryStoreResult<Vec<DueMemory>> {
    let rows = sqlx::query!(
        r#"SELECT n.id, n.content, n.node_type, n.tags, n.metadata, n.domains,
             n.domain_scores AS "domain_scores: Json<std::collections::BTreeMap<String, f64>>",
             n.embedding::real[] AS embedding, n.codebase, n.owner_user_id, n.visibility,
             n.shared_with_groups, n.created_at, n.updated_at, n.session,
             s.stability, s.difficulty, s.retrievability, s.last_review, s.next_review, s.reps, s.lapses
           FROM scheduling AS s
           JOIN knowledge_nodes AS n ON n.id = s.memory_id
           WHERE s.next_review <= $1
           ORDER BY s.next_review, s.memory_id
           LIMIT $2"#,
        limits::to_micros(now),
        rows::parameter(limit),
    )
    .fetch_all(session)
    .await
    .map_err(error::map)?;
    let due = rows.into_iter().map(|row| {
        let scheduling = SchedulingRow {
            memory_id: row.id,
            stability: row.stability,
            difficulty: row.difficulty,
            retrievability: row.retrievability,
            last_review: row.last_review,
            next_review: row.next_review,
            reps: row.reps,
            lapses: row.lapses,
        };
        let memory = MemoryRow {
            id: row.id,
            content: row.content,
            node_type: row.node_type,
            tags: row.tags,
            metadata: row.metadata,
            domains: row.domains,
            domain_scores: row.domain_scores,
            embedding: row.embedding,
            codebase: row.codebase,
            session: row.session,
            owner_user_id: row.owner_user_id,
            visibility: row.visibility,
            shared_with_groups: row.shared_with_groups,
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        rows::due(memory, scheduling)
    });
    due.collect()
}

pub(crate) async fn record_review(
    mut transaction: Session,
    event: &Prepared<'_, ReviewEvent>,
) -> MemoryStoreResult<()> {
    if !lock_memory(&mut transaction, event.memory_id).await? {
        return Err(MemoryStoreError::not_found("memory", event.memory_id));
    }
    let known = sqlx::query_as!(
        ReviewRow,
        r#"SELECT id, memory_id, timestamp, rating, prior_state AS "prior_state: _", new_state AS "new_state: _"
           FROM review_events WHERE id = $1"#,
        event.id,
    )
    .fetch_optional(&mut transaction)
    .await
    .map_err(error::map)?
    .map(ReviewEvent::try_from)
    .transpose()?;
    match known {
        Some(known) if known == **event => return Ok(()),
        Some(_) => return Err(MemoryStoreError::already_exists("review event", event.id)),
        None => {}
    }
    let present = sqlx::query_as!(
        SchedulingRow,
        "SELECT memory_id, stability, difficulty, retrievability, last_review, next_review, reps, lapses
         FROM scheduling WHERE memory_id = $1",
        event.memory_id,
    )
    .fetch_optional(&mut transaction)
    .await
    .map_err(error::map)?
    .map(SchedulingState::try_from)
    .transpose()?;
    if present != event.prior_state {
        return Err(MemoryStoreError::conflict(
            format!("scheduling of memory {}", event.memory_id),
            "it is not in the state that the review began with",
        ));
    }
    upsert(&mut transaction, event.memory_id, &event.new_state()).await?;
    sqlx::query!(
        "INSERT INTO review_events (id, memory_id, timestamp, rating, prior_state, new_state)
         VALUES ($1, $2, $3, $4, $5, $6)",
        event.id,
        event.memory_id,
        event.timestamp,
        event.rating.as_str(),
        event.prior_state.map(Json) as _,
        Json(event.new_state) as _,
    )
    .execute(&mut transaction)
    .await
    .map_err(error::map)?;
    transaction.commit().await.map_err(error::map)
}

pub(crate) async fn get_reviews(
    session: &mut Session,
    memory_id: Uuid,
) -> MemoryStoreResult<Vec<ReviewEvent>> {
    sqlx::query_as!(
        ReviewRow,
        r#"SELECT id, memory_id, timestamp, rating, prior_state AS "prior_state: _", new_state AS "new_state: _"
           FROM review_events WHERE memory_id = $1 ORDER BY timestamp, id"#,
        memory_id,
    )
    .fetch_all(session)
    .await
    .map_err(error::map)?
    .into_iter()
    .map(ReviewEvent::try_from)
    .collect()
}

/// Keeps others from scheduling a memory until the transaction ends; false if it is not there. Before the
/// first review there is no scheduling row to lock, so it is the memory's.
async fn lock_memory(transaction: &mut Session, memory_id: Uuid) -> MemoryStoreResult<bool> {
    let memory =
        sqlx::query_scalar!("SELECT id FROM knowledge_nodes WHERE id = $1 FOR NO KEY UPDATE", memory_id)
            .fetch_optional(transaction)
            .await
            .map_err(error::map)?;
    Ok(memory.is_some())
}

async fn upsert(
    session: &mut Session,
    memory_id: Uuid,
    state: &Prepared<'_, SchedulingState>,
) -> MemoryStoreResult<()> {
    sqlx::query!(
        "INSERT INTO scheduling
           (memory_id, stability, difficulty, retrievability, last_review, next_review, reps, lapses)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (memory_id) DO UPDATE SET
           stability = excluded.stability, difficulty = excluded.difficulty,
           retrievability = excluded.retrievability, last_review = excluded.last_review,
           next_review = excluded.next_review, reps = excluded.reps, lapses = excluded.lapses",
        memory_id,
        state.stability,
        state.difficulty,
        state.retrievability,
        state.last_review,
        state.next_review,
        rows::small(state.reps),
        rows::small(state.lapses),
    )
    .execute(session)
    .await
    .map_err(error::map)?;
    Ok(())
}
