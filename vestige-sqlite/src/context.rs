//! What stands around memories in their sessions.

use rusqlite::{OptionalExtension, Transaction, params};
use uuid::Uuid;
use vestige_traits::{MemoryRecord, MemoryStoreResult, SessionContext};

use crate::codec::{self, RECORD_COLUMNS};
use crate::error::map;

/// A place in a session: its name, a time and an id.
type Place = (String, i64, [u8; 16]);

/// At most `each` memories before and after each of these.
pub(crate) fn get(tx: &Transaction<'_>, ids: &[Uuid], each: usize) -> MemoryStoreResult<Vec<SessionContext>> {
    let before = format!(
        "SELECT {RECORD_COLUMNS} FROM knowledge_nodes n WHERE n.session = ? AND (n.created_at, n.id) < (?, ?) \
         ORDER BY n.created_at DESC, n.id DESC LIMIT ?"
    );
    let after = format!(
        "SELECT {RECORD_COLUMNS} FROM knowledge_nodes n WHERE n.session = ? AND (n.created_at, n.id) > (?, ?) \
         ORDER BY n.created_at, n.id LIMIT ?"
    );
    let context = |id: &Uuid| {
        let Some(place) = place_of(tx, *id)? else { return Ok(SessionContext::default()) };
        let mut before = records(tx, &before, &place, each)?;
        before.reverse();
        Ok(SessionContext { before, after: records(tx, &after, &place, each)? })
    };
    ids.iter().map(context).collect()
}

/// Where a memory stands in its session; none if it is part of none, or if there is no such memory.
fn place_of(tx: &Transaction<'_>, id: Uuid) -> MemoryStoreResult<Option<Place>> {
    tx.prepare_cached(
        "SELECT session, created_at, id FROM knowledge_nodes WHERE id = ? AND session IS NOT NULL",
    )
    .and_then(|mut statement| {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        statement.query_row([id.into_bytes()], read).optional()
    })
    .map_err(map)
}

fn records(
    tx: &Transaction<'_>,
    sql: &str,
    (session, created_at, id): &Place,
    limit: usize,
) -> MemoryStoreResult<Vec<MemoryRecord>> {
    let mut statement = tx.prepare_cached(sql).map_err(map)?;
    let mut rows = statement.query(params![session, created_at, id, limit]).map_err(map)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next().map_err(map)? {
        records.push(codec::record(row)?);
    }
    Ok(records)
}
