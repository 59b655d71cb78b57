use rusqlite::{Row, Transaction, params};
use uuid::Uuid;
use vestige_traits::backend::{NeighborWalk, Prepared};
use vestige_traits::{MemoryEdge, MemoryStoreError, MemoryStoreResult, Neighbor, limits};

use crate::codec;
use crate::error::{bad_value, map};
use crate::records;

/// The columns that [`edge`] reads.
pub(crate) const EDGE_COLUMNS: &str = "source_id, target_id, edge_type, weight, created_at";

/// Reads an edge from the row's first columns, which are [`EDGE_COLUMNS`].
pub(crate) fn edge(row: &Row<'_>) -> MemoryStoreResult<MemoryEdge> {
    Ok(MemoryEdge {
        source_id: codec::uuid(row, 0, "source_id")?,
        target_id: codec::uuid(row, 1, "target_id")?,
        edge_type: row.get(2).map_err(map)?,
        weight: row.get(3).map_err(map)?,
        created_at: codec::time(row, 4, "created_at")?,
    })
}

/// Draws an edge between memories that must exist, or gives the one with its key a new weight.
pub(crate) fn add(tx: &Transaction<'_>, edge: &Prepared<'_, MemoryEdge>) -> MemoryStoreResult<()> {
    records::existing_node(tx, edge.source_id)?;
    records::existing_node(tx, edge.target_id)?;
    write(tx, edge)
}

/// As [`add`], between memories that are there.
pub(crate) fn write(tx: &Transaction<'_>, edge: &Prepared<'_, MemoryEdge>) -> MemoryStoreResult<()> {
    tx.prepare_cached(
        "INSERT INTO edges (source_id, target_id, edge_type, weight, created_at) VALUES (?, ?, ?, ?, ?) \
         ON CONFLICT DO UPDATE SET weight = excluded.weight",
    )
    .map_err(map)?
    .execute(params![
        edge.source_id.into_bytes(),
        edge.target_id.into_bytes(),
        edge.edge_type,
        edge.weight,
        edge.created_at.timestamp_micros(),
    ])
    .map_err(map)?;
    Ok(())
}

pub(crate) fn find(
    tx: &Transaction<'_>,
    source_id: Uuid,
    target_id: Uuid,
    edge_type: &str,
) -> MemoryStoreResult<Option<MemoryEdge>> {
    let sql =
        format!("SELECT {EDGE_COLUMNS} FROM edges WHERE source_id = ? AND target_id = ? AND edge_type = ?");
    let mut statement = tx.prepare_cached(&sql).map_err(map)?;
    let mut rows =
        statement.query(params![source_id.into_bytes(), target_id.into_bytes(), edge_type]).map_err(map)?;
    rows.next().map_err(map)?.map(edge).transpose()
}

pub(crate) fn edges(tx: &Transaction<'_>, memory_id: Uuid) -> MemoryStoreResult<Vec<MemoryEdge>> {
    let sql = format!(
        "SELECT {EDGE_COLUMNS} FROM edges WHERE source_id = ?1 OR target_id = ?1 \
         ORDER BY source_id, target_id, edge_type"
    );
    let mut statement = tx.prepare_cached(&sql).map_err(map)?;
    let mut rows = statement.query([memory_id.into_bytes()]).map_err(map)?;
    let mut edges = Vec::new();
    while let Some(row) = rows.next().map_err(map)? {
        edges.push(edge(row)?);
    }
    Ok(edges)
}

pub(crate) fn remove(
    tx: &Transaction<'_>,
    source_id: Uuid,
    target_id: Uuid,
    edge_type: &str,
) -> MemoryStoreResult<()> {
    limits::check_name("edge_type", edge_type)?;
    let removed = tx
        .execute(
            "DELETE FROM edges WHERE source_id = ? AND target_id = ? AND edge_type = ?",
            params![source_id.into_bytes(), target_id.into_bytes(), edge_type],
        )
        .map_err(map)?;
    if removed == 0 {
        return Err(MemoryStoreError::not_found("edge", format!("{source_id} -{edge_type}-> {target_id}")));
    }
    Ok(())
}

pub(crate) fn neighbors(
    tx: &Transaction<'_>,
    memory_id: Uuid,
    depth: usize,
) -> MemoryStoreResult<Vec<Neighbor>> {
    let mut walk = NeighborWalk::new(memory_id, depth)?;
    records::existing_node(tx, memory_id)?;
    let mut statement = tx
        .prepare_cached(
            "SELECT source_id, target_id, weight FROM edges WHERE source_id = ?1 OR target_id = ?1",
        )
        .map_err(map)?;
    loop {
        let frontier = walk.frontier();
        if frontier.is_empty() {
            break;
        }
        let mut touching = Vec::new();
        for id in frontier {
            let mut rows = statement.query([id.into_bytes()]).map_err(map)?;
            while let Some(row) = rows.next().map_err(map)? {
                touching.push((
                    codec::uuid(row, 0, "source_id")?,
                    codec::uuid(row, 1, "target_id")?,
                    row.get(2).map_err(map)?,
                ));
            }
        }
        walk.advance(&touching);
    }
    walk.reached()
        .into_iter()
        .map(|(id, hops, score)| {
            let record = records::get(tx, id)?;
            let record =
                record.ok_or_else(|| bad_value("edges", format!("leads to {id}, which does not exist")))?;
            Ok(Neighbor { record, hops, score })
        })
        .collect()
}
