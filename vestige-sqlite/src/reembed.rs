use chrono::{DateTime, Utc};
use rusqlite::{Transaction, params};
use uuid::Uuid;
use vestige_traits::backend::{Models, check_begun};
use vestige_traits::reembed::{PendingMemory, ReembeddedMemory, ReembeddingStatus};
use vestige_traits::{MemoryStoreError, MemoryStoreResult, ModelSignature, limits};

use crate::codec::{self, to_bytes};
use crate::error::map;
use crate::{journal, registry, vector};

pub(crate) fn begin(tx: &Transaction<'_>, model: &ModelSignature) -> MemoryStoreResult<ReembeddingStatus> {
    if registry::registered(tx)?.as_ref() == Some(model) {
        return Err(MemoryStoreError::invalid("model", format!("is {model}, which the store is on already")));
    }
    match target(tx)? {
        Some(other) if other != *model => {
            let reason = format!("one to {other} is under way; finish or abort it");
            return Err(MemoryStoreError::conflict("re-embedding", reason));
        }
        Some(_) => {}
        None => {
            tx.execute(
                "INSERT INTO reembedding (id, name, dimension, hash) VALUES (1, ?, ?, ?)",
                params![model.name, registry::dimension(model), model.hash],
            )
            .map_err(map)?;
        }
    }
    status_of(tx, model.clone())
}

pub(crate) fn status(tx: &Transaction<'_>) -> MemoryStoreResult<Option<ReembeddingStatus>> {
    target(tx)?.map(|model| status_of(tx, model)).transpose()
}

pub(crate) fn pending(
    tx: &Transaction<'_>,
    after: Option<Uuid>,
    limit: usize,
) -> MemoryStoreResult<Vec<PendingMemory>> {
    under_way(tx)?;
    let sql = format!(
        "SELECT n.id, n.content, n.updated_at FROM knowledge_nodes n WHERE n.id > ? \
         AND NOT EXISTS (SELECT 1 FROM reembedding_vectors v WHERE v.node = n.node) ORDER BY n.id LIMIT {limit}"
    );
    // Before every id there is the empty string of bytes.
    let after = after.map_or_else(Vec::new, |id| id.into_bytes().to_vec());
    let mut statement = tx.prepare_cached(&sql).map_err(map)?;
    let mut rows = statement.query([after]).map_err(map)?;
    let mut pending = Vec::new();
    while let Some(row) = rows.next().map_err(map)? {
        pending.push(PendingMemory {
            id: codec::uuid(row, 0, "id")?,
            content: row.get(1).map_err(map)?,
            updated_at: codec::time(row, 2, "updated_at")?,
        });
    }
    Ok(pending)
}

/// For a handle that has `begun` a re-embedding to this model.
pub(crate) fn write(
    tx: &Transaction<'_>,
    vectors: &[ReembeddedMemory],
    begun: Option<&ModelSignature>,
) -> MemoryStoreResult<u64> {
    let model = under_way(tx)?;
    check_begun(&model, begun)?;
    let mut statement = tx
        .prepare_cached(
            "INSERT OR REPLACE INTO reembedding_vectors (node, embedding) \
             SELECT node, ? FROM knowledge_nodes WHERE id = ? AND updated_at = ?",
        )
        .map_err(map)?;
    let mut taken = 0;
    for ReembeddedMemory { id, updated_at, embedding } in vectors {
        if let Some(embedding) = embedding {
            limits::check_embedding("embedding", embedding)?;
            Models { registered: Some(&model), bound: None }.check_vector(embedding.len())?;
        }
        let version = limits::to_micros(*updated_at).timestamp_micros();
        let bytes = embedding.as_deref().map(to_bytes);
        taken += statement.execute(params![bytes, id.into_bytes(), version]).map_err(map)?;
    }
    Ok(taken as u64)
}

/// Switches to the new model, and says which it is. For a handle that has `begun` a re-embedding to this
/// model.
pub(crate) fn finish(
    tx: &Transaction<'_>,
    begun: Option<&ModelSignature>,
    now: DateTime<Utc>,
) -> MemoryStoreResult<ModelSignature> {
    let status = status_of(tx, under_way(tx)?)?;
    check_begun(&status.model, begun)?;
    if status.pending > 0 {
        let reason = format!("{} memories have no new vector yet", status.pending);
        return Err(MemoryStoreError::conflict("re-embedding", reason));
    }
    registry::set(tx, &status.model, now)?;
    tx.execute_batch(
        "UPDATE knowledge_nodes SET embedding =
             (SELECT v.embedding FROM reembedding_vectors v WHERE v.node = knowledge_nodes.node);
         UPDATE domains SET centroid = NULL;
         DELETE FROM vector_codes;",
    )
    .map_err(map)?;
    let mut statement = tx
        .prepare("SELECT node, embedding FROM reembedding_vectors WHERE embedding IS NOT NULL ORDER BY node")
        .map_err(map)?;
    let mut rows = statement.query([]).map_err(map)?;
    while let Some(row) = rows.next().map_err(map)? {
        if let Some(embedding) = codec::vector(row, 1, "embedding")? {
            vector::add(tx, row.get(0).map_err(map)?, &embedding)?;
        }
    }
    journal::begin_generation(tx)?;
    abort(tx)?;
    Ok(status.model)
}

pub(crate) fn abort(tx: &Transaction<'_>) -> MemoryStoreResult<()> {
    tx.execute_batch("DELETE FROM reembedding_vectors; DELETE FROM reembedding;").map_err(map)
}

/// Drops the new vector of a memory that has changed, so that it is still to do.
pub(crate) fn forget(tx: &Transaction<'_>, node: i64) -> MemoryStoreResult<()> {
    tx.prepare_cached("DELETE FROM reembedding_vectors WHERE node = ?")
        .and_then(|mut statement| statement.execute([node]))
        .map_err(map)?;
    Ok(())
}

fn target(tx: &Transaction<'_>) -> MemoryStoreResult<Option<ModelSignature>> {
    registry::read_signature(tx, "SELECT name, dimension, hash FROM reembedding")
}

fn under_way(tx: &Transaction<'_>) -> MemoryStoreResult<ModelSignature> {
    target(tx)?
        .ok_or_else(|| MemoryStoreError::conflict("re-embedding", "none is under way; begin one first"))
}

fn status_of(tx: &Transaction<'_>, model: ModelSignature) -> MemoryStoreResult<ReembeddingStatus> {
    let (all, done): (u64, u64) = tx
        .query_row(
            "SELECT (SELECT count(*) FROM knowledge_nodes), (SELECT count(*) FROM reembedding_vectors)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .map_err(map)?;
    Ok(ReembeddingStatus { model, done, pending: all - done })
}
