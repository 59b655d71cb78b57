//! Between the values of a row and the values of a record.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use rusqlite::Row;
use uuid::Uuid;
use vestige_traits::{MemoryRecord, MemoryStoreError, MemoryStoreResult};

use crate::error::{BACKEND, bad_value, map};

/// The columns that [`record`] reads, in its order. The table is called `n`.
pub(crate) const RECORD_COLUMNS: &str = "n.id, n.content, n.node_type, n.tags, n.metadata, n.domains, \
     n.domain_scores, n.codebase, n.owner_user_id, n.visibility, n.shared_with_groups, n.created_at, \
     n.updated_at, n.embedding, n.session";

/// How many these are: what a statement asks for behind them begins here.
pub(crate) const RECORD_COLUMN_COUNT: usize = 15;

/// Reads a record from the row's first columns, which are [`RECORD_COLUMNS`].
pub(crate) fn record(row: &Row<'_>) -> MemoryStoreResult<MemoryRecord> {
    read(row).map_err(|error| {
        // The driver's error lies behind, not one that says the same in other words.
        let (wrong, source) = match error {
            MemoryStoreError::Damaged { what, reason, source } => {
                (format!("{what} is damaged ({reason})"), source)
            }
            MemoryStoreError::Backend { name, source, .. } => {
                (format!("{name} error: {source}"), Some(source))
            }
            other => return other,
        };
        let reason = format!("{wrong}; restore it from a backup or an archive");
        MemoryStoreError::Damaged { what: name(uuid(row, 0, "id").ok()), reason, source }
    })
}

/// A memory, by its id where that can be read.
pub(crate) fn name(id: Option<Uuid>) -> String {
    id.map_or_else(|| "a memory without an id".to_owned(), |id| format!("memory {id}"))
}

fn read(row: &Row<'_>) -> MemoryStoreResult<MemoryRecord> {
    let (id, content) = (uuid(row, 0, "id")?, row.get::<_, String>(1).map_err(map)?);
    let created_at = time(row, 11, "created_at")?;
    let mut record = MemoryRecord::from_parts(id, content, row.get::<_, String>(2).map_err(map)?, created_at);
    record.tags = json(row, 3, "tags")?;
    record.metadata = json(row, 4, "metadata")?;
    record.domains = json(row, 5, "domains")?;
    record.domain_scores = json(row, 6, "domain_scores")?;
    record.codebase = row.get(7).map_err(map)?;
    record.owner_user_id = uuid(row, 8, "owner_user_id")?;
    record.visibility = word(row, 9, "visibility")?;
    record.shared_with_groups = json(row, 10, "shared_with_groups")?;
    record.updated_at = time(row, 12, "updated_at")?;
    record.embedding = vector(row, 13, "embedding")?;
    record.session = row.get(14).map_err(map)?;
    Ok(record)
}

pub(crate) fn uuid(row: &Row<'_>, at: usize, column: &'static str) -> MemoryStoreResult<Uuid> {
    row.get(at).map(Uuid::from_bytes).map_err(|error| bad_value(column, error.to_string()))
}

pub(crate) fn time(row: &Row<'_>, at: usize, column: &'static str) -> MemoryStoreResult<DateTime<Utc>> {
    from_micros(row.get(at).map_err(map)?, column)
}

pub(crate) fn optional_time(
    row: &Row<'_>,
    at: usize,
    column: &'static str,
) -> MemoryStoreResult<Option<DateTime<Utc>>> {
    row.get::<_, Option<i64>>(at).map_err(map)?.map(|micros| from_micros(micros, column)).transpose()
}

fn from_micros(micros: i64, column: &'static str) -> MemoryStoreResult<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| bad_value(column, format!("{micros} is no time")))
}

pub(crate) fn json<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    at: usize,
    column: &'static str,
) -> MemoryStoreResult<T> {
    let text =
        row.get_ref(at).map_err(map)?.as_str().map_err(|error| bad_value(column, error.to_string()))?;
    serde_json::from_str(text).map_err(|error| bad_value(column, error.to_string()))
}

/// JSON text for a column. Rows hold nothing whose serialization can fail.
pub(crate) fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> MemoryStoreResult<String> {
    serde_json::to_string(value).map_err(|error| MemoryStoreError::backend(BACKEND, error, false))
}

pub(crate) fn word<T: FromStr<Err = MemoryStoreError>>(
    row: &Row<'_>,
    at: usize,
    column: &'static str,
) -> MemoryStoreResult<T> {
    let word: String = row.get(at).map_err(map)?;
    word.parse().map_err(|error: MemoryStoreError| bad_value(column, error.to_string()))
}

pub(crate) fn vector(row: &Row<'_>, at: usize, column: &'static str) -> MemoryStoreResult<Option<Vec<f32>>> {
    let bytes = row
        .get_ref(at)
        .map_err(map)?
        .as_blob_or_null()
        .map_err(|error| bad_value(column, error.to_string()))?;
    bytes.map(|bytes| from_bytes(bytes).ok_or_else(|| bad_value(column, "is cut off"))).transpose()
}

/// A vector as the bytes of its little-endian components.
pub(crate) fn to_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|component| component.to_le_bytes()).collect()
}

/// The vector whose little-endian components these are; none if the last one is cut off.
pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Vec<f32>> {
    let (components, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| components.iter().map(|&component| f32::from_le_bytes(component)).collect())
}

/// Reads SQLite's variable-length integers (file format, section 1.6), of at most eight bytes.
pub(crate) fn varints(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes
        .split_inclusive(|byte| byte & 0x80 == 0)
        .map(|number| number.iter().fold(0, |number, byte| number << 7 | u64::from(byte & 0x7f)))
}
