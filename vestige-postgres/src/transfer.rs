//! Everything that the store holds, page by page, and the checkpoints of transfers.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::Query;
use sqlx::{Column, Decode, FromRow, Row, TypeInfo, ValueRef};
use uuid::Uuid;
use vestige_traits::backend::{PageStart, Prepared};
use vestige_traits::identity::{Group, GroupMembership, GroupRole, User};
use vestige_traits::transfer::{
    Checkpoint, RowIssue, ScheduledMemory, TransferKey, TransferKind, TransferPage, TransferRow,
};
use vestige_traits::{MemoryEdge, MemoryStoreError, MemoryStoreResult, limits};

use crate::error;
use crate::rows::{self, DomainRow, MemoryRow, ReviewRow, SchedulingRow};
use crate::session::Session;

/// The rows of a page, each with its key; an error for a row that cannot be read.
type KeyedRows = Vec<(TransferKey, MemoryStoreResult<TransferRow>)>;

pub(crate) async fn count_rows(session: &mut Session, kind: TransferKind) -> MemoryStoreResult<u64> {
    let counted = match kind {
        TransferKind::User => {
            sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM users"#).fetch_one(session).await
        }
        TransferKind::Group => {
            sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM groups"#).fetch_one(session).await
        }
        TransferKind::GroupMembership => {
            sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM group_memberships"#).fetch_one(session).await
        }
        TransferKind::Domain => {
            sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM domains"#).fetch_one(session).await
        }
        TransferKind::Memory => {
            sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM knowledge_nodes"#).fetch_one(session).await
        }
        TransferKind::Scheduling => {
            sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM scheduling"#).fetch_one(session).await
        }
        TransferKind::Edge => {
            sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM edges"#).fetch_one(session).await
        }
        TransferKind::ReviewEvent => {
            sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM review_events"#).fetch_one(session).await
        }
    };
    counted.map(rows::count).map_err(error::map)
}

/// A page of at most `limit` rows, beginning at `start`.
pub(crate) async fn export_page(
    mut transaction: Session,
    kind: TransferKind,
    start: PageStart<'_>,
    limit: usize,
) -> MemoryStoreResult<TransferPage> {
    let PageStart { first, second, text } = start;
    let more = rows::parameter(limit).saturating_add(1);
    let session = &mut transaction;
    let mut read = match kind {
        TransferKind::User => users(session, first, more).await?,
        TransferKind::Group => groups(session, first, more).await?,
        TransferKind::GroupMembership => memberships(session, first, second, more).await?,
        TransferKind::Domain => domains(session, text, more).await?,
        TransferKind::Memory => memories(session, first, more).await?,
        TransferKind::Scheduling => scheduling(session, first, more).await?,
        TransferKind::Edge => edges(session, first, second, text, more).await?,
        TransferKind::ReviewEvent => reviews(session, first, more).await?,
    };
    transaction.commit().await.map_err(error::map)?;
    let more = read.len() > limit;
    read.truncate(limit);
    let next = read.last().filter(|_| more).map(|(key, _)| key.clone());
    let mut page = TransferPage { rows: Vec::with_capacity(read.len()), damaged: Vec::new(), next };
    for (key, row) in read {
        match row {
            Ok(row) => page.rows.push(row),
            Err(error) => page.damaged.push(RowIssue::unreadable(key, &error)),
        }
    }
    Ok(page)
}

pub(crate) async fn get_checkpoint(
    session: &mut Session,
    name: &str,
) -> MemoryStoreResult<Option<Checkpoint>> {
    sqlx::query_as!(Checkpoint, "SELECT name, state, updated_at FROM checkpoints WHERE name = $1", name)
        .fetch_optional(session)
        .await
        .map_err(error::map)
}

pub(crate) async fn clear_checkpoint(mut session: Session, name: &str) -> MemoryStoreResult<()> {
    sqlx::query!("DELETE FROM checkpoints WHERE name = $1", name)
        .execute(&mut session)
        .await
        .map_err(error::map)?;
    session.commit().await.map_err(error::map)
}

/// The rows of a page.
///
/// The statements below are not checked by a macro, because a macro reads all rows or fails, and a row that
/// was damaged outside of Vestige would hide the others. The columns of a row's key come first.
async fn page<T: for<'r> FromRow<'r, PgRow>>(
    session: &mut Session,
    kind: TransferKind,
    query: Query<'_, Postgres, PgArguments>,
    to_row: impl Fn(T) -> MemoryStoreResult<TransferRow>,
) -> MemoryStoreResult<KeyedRows> {
    let rows = query.fetch_all(session).await.map_err(error::map)?;
    let read = rows.iter().map(|row| {
        let unread = |error| MemoryStoreError::invalid(kind.as_str(), format!("cannot be read: {error}"));
        let values = check_values(row).and_then(|()| T::from_row(row).map_err(unread));
        Ok((key_of(row, kind).map_err(error::map)?, values.and_then(&to_row)))
    });
    read.collect()
}

fn key_of(row: &PgRow, kind: TransferKind) -> sqlx::Result<TransferKey> {
    let id = |at: usize| row.try_get::<Uuid, _>(at);
    Ok(match kind {
        TransferKind::User => TransferKey::User(id(0)?),
        TransferKind::Group => TransferKey::Group(id(0)?),
        TransferKind::GroupMembership => TransferKey::GroupMembership { user_id: id(0)?, group_id: id(1)? },
        TransferKind::Domain => TransferKey::Domain(row.try_get(0)?),
        TransferKind::Memory => TransferKey::Memory(id(0)?),
        TransferKind::Scheduling => TransferKey::Scheduling(id(0)?),
        TransferKind::Edge => {
            TransferKey::Edge { source_id: id(0)?, target_id: id(1)?, edge_type: row.try_get(2)? }
        }
        TransferKind::ReviewEvent => TransferKey::ReviewEvent(id(0)?),
    })
}

/// Refuses values that a column takes and a record does not: infinite times, at which the driver panics,
/// years outside of RFC 3339, and numbers that JSON does not have.
fn check_values(row: &PgRow) -> MemoryStoreResult<()> {
    // The first moment of 2000, from which the server counts microseconds.
    const EPOCH: i64 = 946_684_800_000_000;
    for column in row.columns() {
        let value = row.try_get_raw(column.ordinal()).map_err(error::map)?;
        let (is_null, name) = (value.is_null(), column.name());
        let decoded = match column.type_info().name() {
            _ if is_null => continue,
            "TIMESTAMPTZ" => <i64 as Decode<Postgres>>::decode(value).map(|since_2000| {
                let time = since_2000.checked_add(EPOCH).and_then(DateTime::from_timestamp_micros);
                let no_time = || MemoryStoreError::invalid(name, "is no time");
                time.ok_or_else(no_time).and_then(|time| limits::check_time(name, time))
            }),
            "FLOAT8" => <f64 as Decode<Postgres>>::decode(value).map(|number| {
                let is_number = number.is_finite();
                is_number.then_some(()).ok_or_else(|| MemoryStoreError::invalid(name, "is no finite number"))
            }),
            _ => continue,
        };
        decoded.map_err(|error| MemoryStoreError::invalid(name, error.to_string()))??;
    }
    Ok(())
}

/// A row of `users` or `groups`.
type Named = (Uuid, String, Option<String>, DateTime<Utc>, Value);

async fn users(session: &mut Session, after: Option<Uuid>, limit: i64) -> MemoryStoreResult<KeyedRows> {
    let query = sqlx::query(
        "SELECT id, handle, display_name, created_at, metadata FROM users
         WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2",
    );
    let query = query.bind(after).bind(limit);
    page(session, TransferKind::User, query, |(id, handle, display_name, created_at, metadata): Named| {
        Ok(TransferRow::User(User { id, handle, display_name, created_at, metadata }))
    })
    .await
}

async fn groups(session: &mut Session, after: Option<Uuid>, limit: i64) -> MemoryStoreResult<KeyedRows> {
    let query = sqlx::query(
        "SELECT id, handle, display_name, created_at, metadata FROM groups
         WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2",
    );
    let query = query.bind(after).bind(limit);
    page(session, TransferKind::Group, query, |(id, handle, display_name, created_at, metadata): Named| {
        Ok(TransferRow::Group(Group { id, handle, display_name, created_at, metadata }))
    })
    .await
}

async fn memberships(
    session: &mut Session,
    user: Option<Uuid>,
    group: Option<Uuid>,
    limit: i64,
) -> MemoryStoreResult<KeyedRows> {
    let query = sqlx::query(
        "SELECT user_id, group_id, role, joined_at FROM group_memberships
         WHERE $1::uuid IS NULL OR (user_id, group_id) > ($1, $2::uuid)
         ORDER BY user_id, group_id LIMIT $3",
    );
    let query = query.bind(user).bind(group).bind(limit);
    type Row = (Uuid, Uuid, String, DateTime<Utc>);
    page(session, TransferKind::GroupMembership, query, |(user_id, group_id, role, joined_at): Row| {
        let role = role.parse::<GroupRole>()?;
        Ok(TransferRow::GroupMembership(GroupMembership { user_id, group_id, role, joined_at }))
    })
    .await
}

async fn domains(session: &mut Session, after: Option<&str>, limit: i64) -> MemoryStoreResult<KeyedRows> {
    let query = sqlx::query(
        "SELECT id, label, centroid::real[] AS centroid, top_terms, memory_count, created_at, metadata
         FROM domains WHERE $1::text IS NULL OR id > $1 ORDER BY id LIMIT $2",
    );
    let query = query.bind(after).bind(limit);
    page(session, TransferKind::Domain, query, |row: DomainRow| row.try_into().map(TransferRow::Domain)).await
}

async fn memories(session: &mut Session, after: Option<Uuid>, limit: i64) -> MemoryStoreResult<KeyedRows> {
    let query = sqlx::query(
        "SELECT id, content, node_type, tags, metadata, domains, domain_scores, embedding::real[] AS embedding,
           codebase, owner_user_id, visibility, shared_with_groups, created_at, updated_at, session
         FROM knowledge_nodes WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2",
    );
    let query = query.bind(after).bind(limit);
    page(session, TransferKind::Memory, query, |row: MemoryRow| row.try_into().map(TransferRow::Memory)).await
}

async fn scheduling(session: &mut Session, after: Option<Uuid>, limit: i64) -> MemoryStoreResult<KeyedRows> {
    let query = sqlx::query(
        "SELECT memory_id, stability, difficulty, retrievability, last_review, next_review, reps, lapses
         FROM scheduling WHERE $1::uuid IS NULL OR memory_id > $1 ORDER BY memory_id LIMIT $2",
    );
    let query = query.bind(after).bind(limit);
    page(session, TransferKind::Scheduling, query, |row: SchedulingRow| {
        let memory_id = row.memory_id;
        Ok(TransferRow::Scheduling(ScheduledMemory { memory_id, state: row.try_into()? }))
    })
    .await
}

async fn edges(
    session: &mut Session,
    source: Option<Uuid>,
    target: Option<Uuid>,
    edge_type: Option<&str>,
    limit: i64,
) -> MemoryStoreResult<KeyedRows> {
    let query = sqlx::query(
        "SELECT source_id, target_id, edge_type, weight, created_at FROM edges
         WHERE $1::uuid IS NULL OR (source_id, target_id, edge_type) > ($1, $2::uuid, $3::text)
         ORDER BY source_id, target_id, edge_type LIMIT $4",
    );
    let query = query.bind(source).bind(target).bind(edge_type).bind(limit);
    type Row = (Uuid, Uuid, String, f64, DateTime<Utc>);
    page(session, TransferKind::Edge, query, |(source_id, target_id, edge_type, weight, created_at): Row| {
        Ok(TransferRow::Edge(MemoryEdge { source_id, target_id, edge_type, weight, created_at }))
    })
    .await
}

async fn reviews(session: &mut Session, after: Option<Uuid>, limit: i64) -> MemoryStoreResult<KeyedRows> {
    let query = sqlx::query(
        "SELECT id, memory_id, timestamp, rating, prior_state, new_state
         FROM review_events WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2",
    );
    let query = query.bind(after).bind(limit);
    page(session, TransferKind::ReviewEvent, query, |row: ReviewRow| {
        row.try_into().map(TransferRow::ReviewEvent)
    })
    .await
}

/// Writes a checkpoint, in the transaction of the page that it is about.
pub(crate) async fn put_checkpoint(
    session: &mut Session,
    checkpoint: &Prepared<'_, Checkpoint>,
) -> MemoryStoreResult<()> {
    let updated_at: DateTime<Utc> = checkpoint.updated_at;
    sqlx::query!(
        "INSERT INTO checkpoints (name, state, updated_at) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at",
        checkpoint.name,
        checkpoint.state,
        updated_at,
    )
    .execute(session)
    .await
    .map_err(error::map)?;
    Ok(())
}
