//! What memories of one session lend each other in a ranking.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use vestige_traits::backend::{InSession, LENDING_RESULTS, asks, lend, lending_floor, result_order};
use vestige_traits::{MemoryRecord, MemoryStoreResult, SearchResult};

use crate::error;
use crate::filter::{Filter, query_with_filter};
use crate::rows::{self, MemoryRow};
use crate::session::Session;

/// A memory around a result in its session.
#[derive(Debug)]
struct AroundRow {
    lender: Uuid,
    place: i64,
    id: Uuid,
    created_at: DateTime<Utc>,
}

/// A ranking after its best have lent to the memories around them that pass the filter and the admission, the
/// phrases and exclusions as a tsquery. Those may come in. At most `limit` are left.
pub(crate) async fn lent(
    transaction: &mut Session,
    mut ranking: Vec<SearchResult>,
    filter: &Filter<'_>,
    admission: Option<String>,
    by_vector_alone: bool,
    limit: usize,
) -> MemoryStoreResult<Vec<SearchResult>> {
    let lenders = &ranking[..ranking.len().min(LENDING_RESULTS)];
    let in_session = lenders.iter().filter(|result| result.record.session.is_some());
    let ids: Vec<Uuid> = in_session.map(|result| result.record.id).collect();
    if ids.is_empty() {
        ranking.truncate(limit);
        return Ok(ranking);
    }
    let around =
        query_with_filter!(query_file_as!(AroundRow, "src/sql/around.sql"), [&ids, admission], filter, [],)
            .fetch_all(&mut *transaction)
            .await
            .map_err(error::map)?;

    let mut places: HashMap<Uuid, [[Option<Uuid>; 2]; 2]> = HashMap::with_capacity(ids.len());
    let mut times: HashMap<Uuid, DateTime<Utc>> = HashMap::with_capacity(around.len());
    for row in around {
        let side = usize::from(row.place > 0);
        let nearest = row.place.unsigned_abs() == 1;
        places.entry(row.lender).or_default()[side][usize::from(!nearest)] = Some(row.id);
        times.insert(row.id, row.created_at);
    }
    let scores: Vec<f64> = ranking.iter().map(|result| result.score).collect();
    let lenders = lenders.iter().map(|result| {
        let key = result.record.id;
        let [before, after] = places.get(&key).copied().unwrap_or_default();
        InSession { key, score: result.score, asks: asks(&result.record.content), before, after }
    });
    let mut lent = lend(&lenders.collect::<Vec<_>>(), lending_floor(&scores, by_vector_alone));

    let mut ranked = Vec::with_capacity(ranking.len() + lent.len());
    for mut result in ranking {
        let id = result.record.id;
        result.score = lent.remove(&id).unwrap_or(result.score);
        ranked.push(((result.score, result.record.created_at, id), Some(result)));
    }
    ranked.extend(lent.into_iter().map(|(id, score)| ((score, times[&id], id), None)));
    ranked.sort_unstable_by(|(a, _), (b, _)| result_order(*a, *b));
    ranked.truncate(limit);
    let missing = ranked.iter().filter(|(_, result)| result.is_none()).map(|((.., id), _)| *id);
    let mut records = records(transaction, missing.collect()).await?;
    let results = ranked.into_iter().filter_map(|((score, _, id), result)| {
        result.or_else(|| {
            let record = records.remove(&id)?;
            let (fts_score, vector_score, fts_rank, vector_rank) = (None, None, None, None);
            Some(SearchResult { record, score, fts_score, vector_score, fts_rank, vector_rank })
        })
    });
    Ok(results.collect())
}

async fn records(
    transaction: &mut Session,
    ids: Vec<Uuid>,
) -> MemoryStoreResult<HashMap<Uuid, MemoryRecord>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query_as!(
        MemoryRow,
        r#"SELECT id, content, node_type, tags, metadata, domains, domain_scores AS "domain_scores: _",
             embedding::real[] AS embedding, codebase, owner_user_id, visibility, shared_with_groups,
             created_at, updated_at, session
           FROM knowledge_nodes
           WHERE id = ANY ($1)"#,
        &ids,
    )
    .fetch_all(transaction)
    .await
    .map_err(error::map)?;
    Ok(rows::records(rows)?.into_iter().map(|record| (record.id, record)).collect())
}
