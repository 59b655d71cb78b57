use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Transaction, params};
use vestige_traits::backend::Models;
use vestige_traits::{MemoryStoreError, MemoryStoreResult, ModelSignature};

use crate::error::{bad_value, map};

/// The model that the store's vectors belong to.
pub(crate) fn registered(tx: &Transaction<'_>) -> MemoryStoreResult<Option<ModelSignature>> {
    read_signature(tx, "SELECT name, dimension, hash FROM embedding_model")
}

/// The signature in the one row that `sql` selects as name, dimension, hash.
pub(crate) fn read_signature(tx: &Transaction<'_>, sql: &str) -> MemoryStoreResult<Option<ModelSignature>> {
    let row = tx
        .prepare_cached(sql)
        .and_then(|mut statement| {
            statement.query_row([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get(2)?))).optional()
        })
        .map_err(map)?;
    row.map(|(name, dimension, hash)| {
        let dimension = usize::try_from(dimension).map_err(|_| bad_value("dimension", "is negative"))?;
        Ok(ModelSignature { name, dimension, hash })
    })
    .transpose()
}

/// Whether `signature` is the registered model; false if none is registered.
pub(crate) fn agrees(tx: &Transaction<'_>, signature: &ModelSignature) -> MemoryStoreResult<bool> {
    match registered(tx)? {
        None => Ok(false),
        Some(known) if known == *signature => Ok(true),
        Some(known) => Err(MemoryStoreError::model_mismatch(&known, signature)),
    }
}

pub(crate) fn register(
    tx: &Transaction<'_>,
    signature: &ModelSignature,
    now: DateTime<Utc>,
) -> MemoryStoreResult<()> {
    if !agrees(tx, signature)? {
        set(tx, signature, now)?;
    }
    Ok(())
}

/// Writes the registry's one row.
pub(crate) fn set(
    tx: &Transaction<'_>,
    signature: &ModelSignature,
    now: DateTime<Utc>,
) -> MemoryStoreResult<()> {
    tx.execute(
        "INSERT OR REPLACE INTO embedding_model (id, name, dimension, hash, created_at) VALUES (1, ?, ?, ?, ?)",
        params![signature.name, dimension(signature), signature.hash, now.timestamp_micros()],
    )
    .map_err(map)?;
    Ok(())
}

/// The dimension as SQLite keeps it; validation has bounded it.
pub(crate) fn dimension(signature: &ModelSignature) -> i64 {
    i64::try_from(signature.dimension).unwrap_or(i64::MAX)
}

/// Refuses a vector that the store must not take from a handle that is bound to the model `bound`.
pub(crate) fn check_vector(
    tx: &Transaction<'_>,
    bound: Option<&ModelSignature>,
    vector: &[f32],
) -> MemoryStoreResult<()> {
    Models { registered: registered(tx)?.as_ref(), bound }.check_vector(vector.len())
}

/// Whether a vector of a question can be compared with the store's; false if it has no model.
pub(crate) fn may_compare(
    tx: &Transaction<'_>,
    bound: Option<&ModelSignature>,
    vector: &[f32],
) -> MemoryStoreResult<bool> {
    Models { registered: registered(tx)?.as_ref(), bound }.may_compare(vector.len())
}
