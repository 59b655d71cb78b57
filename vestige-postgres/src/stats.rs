//! What a store holds, and its periodic maintenance.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use vestige_traits::MemoryStoreResult;
use vestige_traits::stats::StoreStats;

use crate::connection::Connections;
use crate::error;
use crate::keyword;
use crate::migrations;
use crate::rights::Rights;
use crate::rows;
use crate::session::Session;

pub(crate) async fn get_stats(session: &mut Session, now: DateTime<Utc>) -> MemoryStoreResult<StoreStats> {
    let stats = sqlx::query_file!("src/sql/stats.sql", now).fetch_one(session).await.map_err(error::map)?;
    let model = match (stats.model_name, stats.model_dimension, stats.model_hash) {
        (Some(name), Some(dimension), Some(hash)) => {
            Some(rows::ModelRow { name, dimension, hash }.try_into()?)
        }
        _ => None,
    };
    let counts = |counts: Json<BTreeMap<String, u64>>| counts.0;
    Ok(StoreStats {
        backend: "postgres".to_owned(),
        memories: rows::count(stats.memories),
        embedded: rows::count(stats.embedded),
        by_type: counts(stats.by_type),
        by_codebase: counts(stats.by_codebase),
        scheduled: rows::count(stats.scheduled),
        due: rows::count(stats.due),
        edges: rows::count(stats.edges),
        review_events: rows::count(stats.review_events),
        domains: rows::count(stats.domains),
        users: rows::count(stats.users),
        groups: rows::count(stats.groups),
        model,
        oldest: stats.oldest,
        newest: stats.newest,
        size_bytes: rows::count(stats.size_bytes),
        schema_version: stats.schema_version,
    })
}

/// Refuses a role without the right to maintain the tables, which the server would pass over with a warning.
async fn check_maintains(connections: &Connections) -> MemoryStoreResult<()> {
    let mut session = connections.writer().await?;
    match Rights::find(&mut session).await.map_err(error::map)? {
        Some(rights) if rights.to_write.iter().any(|lacking| lacking.starts_with("MAINTAIN")) => {
            let reason = format!("role {} may not do this: {rights}; see the runbook on roles", rights.role);
            Err(migrations::unusable(reason))
        }
        _ => Ok(()),
    }
}

/// Gives space back, renews the statistics of the planner and of keyword ranking, and folds the counts of
/// server processes that are gone.
pub(crate) async fn vacuum(connections: &Connections, now: DateTime<Utc>) -> MemoryStoreResult<()> {
    check_maintains(connections).await?;
    connections
        .execute_outside_transaction(
            "VACUUM (ANALYZE) knowledge_nodes, scheduling, edges, review_events, domains, users, groups,
               group_memberships, keyword_passages, keyword_totals, keyword_statistics, checkpoints,
               reembedding_vectors, unanalyzed_memories",
        )
        .await?;
    keyword::fold_counts(connections).await?;
    keyword::refresh_statistics(connections, now).await
}
