//! The nodes of all memories, and writes that leave out those on damaged pages.

use std::collections::HashSet;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use vestige_traits::{MemoryStoreError, MemoryStoreResult};

use crate::error::map;
use crate::log;

/// Runs `work` in a transaction and commits it. Within one SQLite writes nothing more once it has come upon a
/// damaged page: so where `work` does, it runs again, and is given the nodes that it must not touch.
pub(crate) fn write_past_damage(
    connection: &mut Connection,
    path: &Path,
    work: impl Fn(&Transaction<'_>, &HashSet<i64>) -> MemoryStoreResult<()>,
) -> MemoryStoreResult<()> {
    let mut on_damaged_pages = HashSet::new();
    loop {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(map)?;
        match log::begin(&tx, path).and_then(|()| work(&tx, &on_damaged_pages)) {
            Err(error @ MemoryStoreError::Damaged { .. }) if on_damaged_pages.is_empty() => {
                drop(tx);
                on_damaged_pages = nodes_on_damaged_pages(connection)?;
                if on_damaged_pages.is_empty() {
                    return Err(error);
                }
            }
            done => {
                done?;
                return tx.commit().map_err(map);
            }
        }
    }
}

fn nodes_on_damaged_pages(connection: &Connection) -> MemoryStoreResult<HashSet<i64>> {
    let mut row = connection.prepare("SELECT * FROM knowledge_nodes WHERE node = ?").map_err(map)?;
    let mut nodes = HashSet::new();
    for (node, _) in all(connection)? {
        match row.query_row([node], |_| Ok(())).optional().map_err(map) {
            Ok(_) => {}
            Err(MemoryStoreError::Damaged { .. }) => {
                nodes.insert(node);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(nodes)
}

/// The nodes in their order, with their ids as they are stored: by the index of ids, so that a damaged page
/// of rows hides no other.
pub(crate) fn all(connection: &Connection) -> MemoryStoreResult<Vec<(i64, Vec<u8>)>> {
    let mut statement =
        connection.prepare("SELECT node, id FROM knowledge_nodes ORDER BY id").map_err(map)?;
    let mut nodes = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)
        .map_err(map)?;
    nodes.sort_unstable();
    Ok(nodes)
}
