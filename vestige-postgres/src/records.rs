//! Memories one by one, in batches, and in pages.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::types::Json;
use uuid::Uuid;
use vestige_traits::analysis::Analyzer;
use vestige_traits::backend::{Prepared, Reference};
use vestige_traits::{
    ChangeToken, ListCursor, ListPage, ListQuery, MemoryRecord, MemoryStoreError, MemoryStoreResult, limits,
};

use crate::analysis;
use crate::connection::Connections;
use crate::copy;
use crate::error;
use crate::filter::{Filter, query_with_filter};
use crate::passages::Passages;
use crate::registry::{self, BoundModel};
use crate::rows::{self, MemoryRow};
use crate::session::Session;
use crate::tsvector::MemoryTerms;

/// What a handle writes with: the model that it is bound to, and the version of the analysis that its terms
/// are of.
#[derive(Clone, Copy)]
pub(crate) struct Written<'h> {
    pub(crate) model: &'h BoundModel,
    pub(crate) analysis: i64,
}

/// A checked query whose first 21 parameters are a record, with its `updated_at`, the bound model, and the
/// record's terms with the version of their analysis and the number of its further passages.
macro_rules! query_of_record {
    (
        $query:ident!($sql:tt),
        $record:expr,
        $updated_at:expr,
        $written:expr,
        $terms:expr,
        [$($after:expr),* $(,)?] $(,)?
    ) => {
        sqlx::$query!(
            $sql,
            $record.id,
            $record.content,
            $record.node_type,
            &$record.tags,
            $record.metadata,
            &$record.domains,
            Json(&$record.domain_scores) as _,
            $record.embedding.as_deref() as Option<&[f32]>,
            $record.codebase,
            $record.owner_user_id,
            $record.visibility.as_str(),
            &$record.shared_with_groups,
            $record.created_at,
            $updated_at,
            $written.model.name(),
            $written.model.dimension(),
            $written.model.hash(),
            &$terms.first as _,
            $written.analysis,
            $record.session,
            $terms.passages(),
            $($after,)*
        )
    };
}

/// The state of the store, as its counts show it: whoever adds memories writes a row of `keyword_totals` in
/// the same transaction, and a row is the same version only if it has the same `xmin`.
pub(crate) async fn change_token(session: &mut Session) -> MemoryStoreResult<ChangeToken> {
    let state = sqlx::query_scalar!(
        r#"SELECT coalesce(bit_xor(hashtextextended(backend::text || ' ' || xmin::text, 0)), 0) AS "state!"
           FROM keyword_totals"#
    )
    .fetch_one(session)
    .await
    .map_err(error::map)?;
    Ok(ChangeToken::new(u128::from(state.cast_unsigned())))
}

/// A transaction that writes only if the token of the store is still `since`. Others like it wait for its
/// end.
async fn unless_changed(connections: &Connections, since: ChangeToken) -> MemoryStoreResult<Session> {
    let mut transaction = connections.conditional().await?;
    if change_token(&mut transaction).await? == since {
        return Ok(transaction);
    }
    // It would be rolled back later, and keep others waiting until then.
    transaction.commit().await.map_err(error::map)?;
    Err(MemoryStoreError::added_meanwhile())
}

/// A session that writes a memory with these terms: a transaction if that takes several statements.
async fn writer(connections: &Connections, terms: &MemoryTerms) -> MemoryStoreResult<Session> {
    if terms.further.is_empty() { connections.writer().await } else { connections.batch().await }
}

/// Inserts a record; if a token is given, only if it is still that of the store.
pub(crate) async fn insert(
    connections: &Connections,
    record: &Prepared<'_, MemoryRecord>,
    since: Option<ChangeToken>,
    written: Written<'_>,
) -> MemoryStoreResult<()> {
    let vector = record.embedding.as_ref().map_or(0, Vec::len);
    let terms = MemoryTerms::of_record(&Analyzer::default(), record);
    let mut session = match since {
        None => writer(connections, &terms).await?,
        Some(since) => unless_changed(connections, since).await?,
    };
    let inserted = query_of_record!(
        query!(
            "INSERT INTO knowledge_nodes (
               id, content, node_type, tags, metadata, domains, domain_scores, embedding, codebase,
               owner_user_id, visibility, shared_with_groups, created_at, updated_at, search_vec, session,
               passages
             )
             VALUES (
               $1, $2, $3, $4, $5, $6, $7,
               CASE WHEN vestige_model_takes($15, $16, $17, cardinality($8::real[])) THEN $8::real[]::vector END,
               $9, $10, $11, $12, $13, $14, vestige_accept_terms($18, $19), $20, $21
             )
             ON CONFLICT (id) DO NOTHING"
        ),
        record,
        record.updated_at,
        written,
        terms,
        [],
    )
    .execute(&mut session)
    .await
    .map_err(|error| written.model.map_error(error, vector))?;
    if inserted.rows_affected() > 0 {
        Passages::of(record.id, terms).write(&mut session).await.map_err(error::map)?;
    }
    session.commit().await.map_err(error::map)?;
    if inserted.rows_affected() == 0 {
        let refusal = first_refusal(connections, std::slice::from_ref(record), written.model).await?;
        // The row in the way may have been removed since.
        return Err(refusal.unwrap_or_else(|| MemoryStoreError::already_exists("memory", record.id)));
    }
    Ok(())
}

/// Checks each record by itself.
pub(crate) async fn prepare<'r>(
    connections: &Connections,
    records: &'r [MemoryRecord],
    model: &BoundModel,
) -> MemoryStoreResult<Vec<Prepared<'r, MemoryRecord>>> {
    let mut prepared = Vec::with_capacity(records.len());
    for record in records {
        match Prepared::new(record) {
            Ok(record) => prepared.push(record),
            // The contract names the first record that is refused, which may be one before this.
            Err(error) => return Err(first_refusal(connections, &prepared, model).await?.unwrap_or(error)),
        }
    }
    Ok(prepared)
}

/// Inserts records, all or none; if a token is given, only if it is still that of the store.
pub(crate) async fn insert_batch(
    connections: &Connections,
    records: &[Prepared<'_, MemoryRecord>],
    since: Option<ChangeToken>,
    written: Written<'_>,
) -> MemoryStoreResult<()> {
    let terms = analysis::terms(records).await;
    let transaction = match since {
        None => connections.batch().await?,
        Some(since) => unless_changed(connections, since).await?,
    };
    match copy_in(transaction, records, &terms, written).await {
        // The server names any of the refused records; the contract names the first.
        Err(error) if !error.is_retryable() => {
            Err(first_refusal(connections, records, written.model).await?.unwrap_or(error))
        }
        copied => copied,
    }
}

async fn copy_in(
    mut transaction: Session,
    records: &[Prepared<'_, MemoryRecord>],
    terms: &[MemoryTerms],
    written: Written<'_>,
) -> MemoryStoreResult<()> {
    copy::lock_for_derived(&mut transaction, written.analysis).await?;
    if records.iter().any(|record| record.embedding.is_some()) {
        let registered = registry::registered_model(&mut transaction).await?;
        for record in records {
            if let Some(embedding) = &record.embedding {
                written.model.models(registered.as_ref()).check_vector(embedding.len())?;
            }
        }
    }
    let rows = records.iter().map(AsRef::as_ref).zip(terms);
    let transaction = copy::memories(transaction, rows).await.map_err(error::map)?;
    transaction.commit().await.map_err(error::map)
}

/// The error for the first of these records that the store does not take; none if it takes them all.
pub(crate) async fn first_refusal(
    connections: &Connections,
    records: &[Prepared<'_, MemoryRecord>],
    model: &BoundModel,
) -> MemoryStoreResult<Option<MemoryStoreError>> {
    let mut snapshot = connections.snapshot().await?;
    let registered = registry::registered_model(&mut snapshot).await?;
    let ids: Vec<Uuid> = records.iter().map(|record| record.id).collect();
    let owners: Vec<Uuid> = records.iter().map(|record| record.owner_user_id).collect();
    let mut taken: HashSet<Uuid> =
        sqlx::query_scalar!("SELECT id FROM knowledge_nodes WHERE id = ANY ($1)", &ids)
            .fetch_all(&mut snapshot)
            .await
            .map_err(error::map)?
            .into_iter()
            .collect();
    let users: HashSet<Uuid> = sqlx::query_scalar!("SELECT id FROM users WHERE id = ANY ($1)", &owners)
        .fetch_all(&mut snapshot)
        .await
        .map_err(error::map)?
        .into_iter()
        .collect();
    for record in records {
        if let Some(embedding) = &record.embedding
            && let Err(error) = model.models(registered.as_ref()).check_vector(embedding.len())
        {
            return Ok(Some(error));
        }
        if !users.contains(&record.owner_user_id) {
            return Ok(Some(Reference::Owner(record.owner_user_id).missing()));
        }
        if !taken.insert(record.id) {
            return Ok(Some(MemoryStoreError::already_exists("memory", record.id)));
        }
    }
    Ok(None)
}

pub(crate) async fn get(session: &mut Session, id: Uuid) -> MemoryStoreResult<Option<MemoryRecord>> {
    Ok(get_many(session, &[id]).await?.pop())
}

/// Those of the memories that there are, in any order.
pub(crate) async fn get_many(session: &mut Session, ids: &[Uuid]) -> MemoryStoreResult<Vec<MemoryRecord>> {
    let rows = sqlx::query_as!(
        MemoryRow,
        r#"SELECT id, content, node_type, tags, metadata, domains, domain_scores AS "domain_scores: _",
             embedding::real[] AS embedding, codebase, owner_user_id, visibility, shared_with_groups,
             created_at, updated_at, session
           FROM knowledge_nodes
           WHERE id = ANY ($1)"#,
        ids,
    )
    .fetch_all(session)
    .await
    .map_err(error::map)?;
    rows::records(rows)
}

/// A page of at most `limit` records, which is the validated limit of the query.
pub(crate) async fn list(
    mut transaction: Session,
    query: &ListQuery,
    limit: usize,
    now: DateTime<Utc>,
) -> MemoryStoreResult<ListPage> {
    let filter = Filter::new(&query.filter, now);
    let after = query.after.map(|cursor| (limits::to_micros(cursor.created_at), cursor.id));
    let rows = query_with_filter!(
        query_file_as!(MemoryRow, "src/sql/list.sql"),
        [
            after.map(|(created_at, _)| created_at),
            after.map(|(_, id)| id),
            // One more than asked for shows whether there is another page.
            rows::parameter(limit).saturating_add(1),
        ],
        filter,
        [],
    )
    .fetch_all(&mut transaction)
    .await
    .map_err(error::map)?;
    transaction.commit().await.map_err(error::map)?;
    let mut records = rows::records(rows)?;
    let more = records.len() > limit;
    records.truncate(limit);
    let next = records.last().filter(|_| more);
    let next = next.map(|last| ListCursor { created_at: last.created_at, id: last.id });
    Ok(ListPage { records, next })
}

/// Replaces a memory by a record; if a `version` is given, only the memory of that version. Returns the new
/// version.
pub(crate) async fn update(
    connections: &Connections,
    record: &Prepared<'_, MemoryRecord>,
    version: Option<DateTime<Utc>>,
    written: Written<'_>,
    now: DateTime<Utc>,
) -> MemoryStoreResult<DateTime<Utc>> {
    let vector = record.embedding.as_ref().map_or(0, Vec::len);
    let terms = MemoryTerms::of_record(&Analyzer::default(), record);
    let mut session = writer(connections, &terms).await?;
    let updated_at = query_of_record!(
        query_scalar!(
            "UPDATE knowledge_nodes SET
               content = $2, node_type = $3, tags = $4, metadata = $5, domains = $6, domain_scores = $7,
               embedding =
                 CASE WHEN vestige_model_takes($15, $16, $17, cardinality($8::real[])) THEN $8::real[]::vector END,
               codebase = $9, owner_user_id = $10, visibility = $11,
               shared_with_groups = $12, created_at = $13,
               updated_at = greatest($14::timestamptz, updated_at + interval '1 microsecond'),
               search_vec = vestige_accept_terms($18, $19), session = $20, passages = $21
             WHERE id = $1 AND ($22::timestamptz IS NULL OR updated_at = $22)
               AND updated_at < '9999-12-31T23:59:59.999999Z'
             RETURNING updated_at"
        ),
        record,
        now,
        written,
        terms,
        [version.map(limits::to_micros)],
    )
    .fetch_optional(&mut session)
    .await
    .map_err(|error| written.model.map_error(error, vector))?;
    if updated_at.is_some() {
        Passages::of(record.id, terms).write(&mut session).await.map_err(error::map)?;
    }
    session.commit().await.map_err(error::map)?;
    if let Some(updated_at) = updated_at {
        return Ok(updated_at);
    }
    if let Some(present) = get(&mut connections.reader().await?, record.id).await? {
        limits::check_time("updated_at", present.updated_at + TimeDelta::microseconds(1))?;
        if version.is_some() {
            return Err(MemoryStoreError::changed_meanwhile(record.id));
        }
    }
    Err(MemoryStoreError::not_found("memory", record.id))
}

pub(crate) async fn delete(mut session: Session, id: Uuid) -> MemoryStoreResult<()> {
    // A later memory may have the same id and time; it must not get the new vector of this one.
    let deleted = sqlx::query!(
        "WITH staged AS (DELETE FROM reembedding_vectors WHERE memory_id = $1)
         DELETE FROM knowledge_nodes WHERE id = $1",
        id
    )
    .execute(&mut session)
    .await
    .map_err(error::map)?;
    session.commit().await.map_err(error::map)?;
    match deleted.rows_affected() {
        0 => Err(MemoryStoreError::not_found("memory", id)),
        _ => Ok(()),
    }
}
