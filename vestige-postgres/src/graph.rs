//! Links between memories.

use std::collections::HashMap;

use uuid::Uuid;
use vestige_traits::backend::{NeighborWalk, Prepared};
use vestige_traits::{MemoryEdge, MemoryRecord, MemoryStoreError, MemoryStoreResult, Neighbor};

use crate::error;
use crate::records;
use crate::session::Session;

pub(crate) async fn add_edge(mut session: Session, edge: &Prepared<'_, MemoryEdge>) -> MemoryStoreResult<()> {
    sqlx::query!(
        "INSERT INTO edges (source_id, target_id, edge_type, weight, created_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (source_id, target_id, edge_type) DO UPDATE SET weight = excluded.weight",
        edge.source_id,
        edge.target_id,
        edge.edge_type,
        edge.weight,
        edge.created_at,
    )
    .execute(&mut session)
    .await
    .map_err(error::map)?;
    session.commit().await.map_err(error::map)
}

pub(crate) async fn get_edges(session: &mut Session, memory_id: Uuid) -> MemoryStoreResult<Vec<MemoryEdge>> {
    sqlx::query_as!(
        MemoryEdge,
        "SELECT source_id, target_id, edge_type, weight, created_at FROM edges
         WHERE source_id = $1 OR target_id = $1
         ORDER BY source_id, target_id, edge_type",
        memory_id,
    )
    .fetch_all(session)
    .await
    .map_err(error::map)
}

pub(crate) async fn remove_edge(
    mut session: Session,
    source_id: Uuid,
    target_id: Uuid,
    edge_type: &str,
) -> MemoryStoreResult<()> {
    let deleted = sqlx::query!(
        "DELETE FROM edges WHERE source_id = $1 AND target_id = $2 AND edge_type = $3",
        source_id,
        target_id,
        edge_type,
    )
    .execute(&mut session)
    .await
    .map_err(error::map)?;
    session.commit().await.map_err(error::map)?;
    match deleted.rows_affected() {
        0 => Err(MemoryStoreError::not_found("edge", format!("{source_id} -{edge_type}-> {target_id}"))),
        _ => Ok(()),
    }
}

/// The memories that a walk from `memory_id` reaches, in one snapshot.
pub(crate) async fn get_neighbors(
    snapshot: &mut Session,
    memory_id: Uuid,
    mut walk: NeighborWalk,
) -> MemoryStoreResult<Vec<Neighbor>> {
    let start = sqlx::query_scalar!("SELECT id FROM knowledge_nodes WHERE id = $1", memory_id)
        .fetch_optional(&mut *snapshot)
        .await
        .map_err(error::map)?;
    if start.is_none() {
        return Err(MemoryStoreError::not_found("memory", memory_id));
    }
    loop {
        let frontier = walk.frontier();
        if frontier.is_empty() {
            break;
        }
        let edges = sqlx::query!(
            r#"SELECT source_id AS "source_id!", target_id AS "target_id!", weight AS "weight!"
               FROM edges WHERE source_id = ANY ($1)
               UNION ALL
               SELECT source_id, target_id, weight FROM edges WHERE target_id = ANY ($1)"#,
            &frontier,
        )
        .fetch_all(&mut *snapshot)
        .await
        .map_err(error::map)?;
        let edges: Vec<_> =
            edges.into_iter().map(|edge| (edge.source_id, edge.target_id, edge.weight)).collect();
        walk.advance(&edges);
    }
    let reached = walk.reached();
    let ids: Vec<Uuid> = reached.iter().map(|(id, _, _)| *id).collect();
    let records = records::get_many(snapshot, &ids).await?;
    let mut records: HashMap<Uuid, MemoryRecord> =
        records.into_iter().map(|record| (record.id, record)).collect();
    let neighbors = reached.into_iter().filter_map(|(id, hops, score)| {
        let record = records.remove(&id)?;
        Some(Neighbor { record, hops, score })
    });
    Ok(neighbors.collect())
}
