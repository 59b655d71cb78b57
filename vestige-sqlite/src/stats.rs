use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use vestige_traits::MemoryStoreResult;
use vestige_traits::stats::StoreStats;
use vestige_traits::transfer::TransferKind;

use crate::codec;
use crate::error::map;
use crate::transfer::count;
use crate::{log, registry, schema};

pub(crate) fn collect(tx: &Transaction<'_>, now: DateTime<Utc>) -> MemoryStoreResult<StoreStats> {
    let number = |sql: &str| tx.query_row(sql, [], |row| row.get::<_, u64>(0)).map_err(map);
    let end = |sql: &str| {
        let mut statement = tx.prepare(sql).map_err(map)?;
        let mut rows = statement.query([]).map_err(map)?;
        rows.next().map_err(map)?.map(|row| codec::time(row, 0, "created_at")).transpose()
    };
    let due = tx
        .query_row(
            "SELECT count(*) FROM scheduling WHERE next_review <= ?",
            [now.timestamp_micros()],
            |row| row.get(0),
        )
        .map_err(map)?;
    Ok(StoreStats {
        backend: "sqlite".to_owned(),
        memories: count(tx, TransferKind::Memory)?,
        embedded: number("SELECT count(*) FROM knowledge_nodes WHERE embedding IS NOT NULL")?,
        by_type: by(tx, "node_type")?,
        by_codebase: by(tx, "codebase")?,
        scheduled: count(tx, TransferKind::Scheduling)?,
        due,
        edges: count(tx, TransferKind::Edge)?,
        review_events: count(tx, TransferKind::ReviewEvent)?,
        domains: count(tx, TransferKind::Domain)?,
        users: count(tx, TransferKind::User)?,
        groups: count(tx, TransferKind::Group)?,
        model: registry::registered(tx)?,
        oldest: end("SELECT created_at FROM knowledge_nodes ORDER BY created_at LIMIT 1")?,
        newest: end("SELECT created_at FROM knowledge_nodes ORDER BY created_at DESC LIMIT 1")?,
        size_bytes: number("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")?,
        schema_version: schema::VERSION,
    })
}

fn by(tx: &Transaction<'_>, column: &str) -> MemoryStoreResult<BTreeMap<String, u64>> {
    let sql = format!(
        "SELECT {column}, count(*) FROM knowledge_nodes WHERE {column} IS NOT NULL GROUP BY {column}"
    );
    let mut statement = tx.prepare(&sql).map_err(map)?;
    let counts = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(map)?;
    counts.collect::<rusqlite::Result<_>>().map_err(map)
}

/// Gives free pages back to the file system and refreshes what the planner and FTS5 know.
pub(crate) fn vacuum(connection: &mut Connection, path: &Path) -> MemoryStoreResult<()> {
    optimize(connection, path)?;
    connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);").map_err(map)
}

/// Merges the segments of the keyword index, and refreshes what the planner knows.
pub(crate) fn optimize(connection: &mut Connection, path: &Path) -> MemoryStoreResult<()> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(map)?;
    log::begin(&tx, path)?;
    tx.execute_batch(
        "INSERT INTO memory_terms (memory_terms) VALUES ('optimize'); PRAGMA optimize = 0x10002;",
    )
    .map_err(map)?;
    tx.commit().map_err(map)
}
