//! What memories of one session lend each other in a ranking.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;
use vestige_traits::analysis::asks;
use vestige_traits::backend::{InSession, LENDING_RESULTS, lend, lending_floor, result_order};
use vestige_traits::{MemoryRecord, MemoryStoreResult, SearchResult};

use crate::error;
use crate::filter::{Filter, query_with_filter};
use crate::records;
use crate::session::Session;
use crate::tsvector::Constraints;

/// Those before a memory in its session, and those after it: the nearest first.
type Places = [[Option<Uuid>; 2]; 2];

/// A memory around a result in its session.
#[derive(Debug)]
struct AroundRow {
    lender: Uuid,
    place: i64,
    id: Uuid,
    created_at: DateTime<Utc>,
}

/// A memory next to a result in its session, or the next but one.
#[derive(Debug)]
struct NeighbourRow {
    lender: Uuid,
    id: Uuid,
    created_at: DateTime<Utc>,
    /// Whether it stands after the result.
    after: bool,
}

/// What lending goes by.
pub(crate) struct Lending<'q> {
    /// The results of which only a part was read.
    pub(crate) parts: HashSet<Uuid>,
    /// Whether the filter and the constraints keep anything out.
    pub(crate) narrowed: bool,
    /// What comes in passes this,
    pub(crate) filter: &'q Filter<'q>,
    /// and these.
    pub(crate) constraints: &'q Constraints,
    pub(crate) by_vector_alone: bool,
    /// How many results are wanted.
    pub(crate) limit: usize,
}

impl Lending<'_> {
    /// A ranking after its best have lent to the memories around them, which may come in.
    pub(crate) async fn lent(
        &self,
        transaction: &mut Session,
        ranking: Vec<SearchResult>,
    ) -> MemoryStoreResult<Vec<SearchResult>> {
        let lenders = &ranking[..ranking.len().min(LENDING_RESULTS)];
        let (places, times) = self.around(transaction, lenders).await?;
        let scores: Vec<f64> = ranking.iter().map(|result| result.score).collect();
        let lenders = lenders.iter().map(|result| {
            let key = result.record.id;
            let [before, after] = places.get(&key).copied().unwrap_or_default();
            InSession { key, score: result.score, asks: asks(&result.record.content), before, after }
        });
        let floor = lending_floor(&scores, self.by_vector_alone);
        let mut lent: HashMap<_, _> = lend(&lenders.collect::<Vec<_>>(), floor).into_iter().collect();

        let mut ranked = Vec::with_capacity(ranking.len() + lent.len());
        for mut result in ranking {
            let id = result.record.id;
            result.score = lent.remove(&id).unwrap_or(result.score);
            ranked.push(((result.score, result.record.created_at, id), Some(result)));
        }
        ranked.extend(lent.into_iter().map(|(id, score)| ((score, times[&id], id), None)));
        ranked.sort_unstable_by(|(a, _), (b, _)| result_order(*a, *b));
        ranked.truncate(self.limit);
        let unread = ranked.iter().filter(|((.., id), result)| result.is_none() || self.parts.contains(id));
        let mut records = whole(transaction, unread.map(|((.., id), _)| *id).collect()).await?;
        let results =
            ranked.into_iter().filter_map(|((score, _, id), result)| match (result, records.remove(&id)) {
                (Some(result), None) => Some(result),
                (Some(result), Some(record)) => Some(SearchResult { record, ..result }),
                (None, record) => {
                    let (fts_score, vector_score, fts_rank, vector_rank) = (None, None, None, None);
                    Some(SearchResult {
                        record: record?,
                        score,
                        fts_score,
                        vector_score,
                        fts_rank,
                        vector_rank,
                        passage: None,
                    })
                }
            });
        Ok(results.collect())
    }

    /// What stands around results in their sessions and may be found, and since when.
    async fn around(
        &self,
        transaction: &mut Session,
        results: &[SearchResult],
    ) -> MemoryStoreResult<(HashMap<Uuid, Places>, HashMap<Uuid, DateTime<Utc>>)> {
        let in_session = results.iter().map(|result| &result.record);
        let in_session: Vec<_> = in_session.filter(|record| record.session.is_some()).collect();
        if in_session.is_empty() {
            return Ok(Default::default());
        }
        let ids: Vec<Uuid> = in_session.iter().map(|record| record.id).collect();
        let (mut places, mut times) = (HashMap::<Uuid, Places>::new(), HashMap::new());
        if self.narrowed {
            let around = query_with_filter!(
                query_file_as!(AroundRow, "src/sql/around.sql"),
                [&ids, self.constraints.admission.as_deref()],
                self.filter,
                [self.constraints.phrases.as_deref(), self.constraints.excluded.as_deref()],
            );
            for row in around.fetch_all(transaction).await.map_err(error::map)? {
                let side = usize::from(row.place > 0);
                let nearest = row.place.unsigned_abs() == 1;
                places.entry(row.lender).or_default()[side][usize::from(!nearest)] = Some(row.id);
                times.insert(row.id, row.created_at);
            }
            return Ok((places, times));
        }
        let sessions: Vec<String> = in_session.iter().filter_map(|record| record.session.clone()).collect();
        let created_at: Vec<DateTime<Utc>> = in_session.iter().map(|record| record.created_at).collect();
        let neighbours =
            sqlx::query_file_as!(NeighbourRow, "src/sql/neighbours.sql", &sessions, &created_at, &ids);
        for row in neighbours.fetch_all(transaction).await.map_err(error::map)? {
            let side = &mut places.entry(row.lender).or_default()[usize::from(row.after)];
            times.insert(row.id, row.created_at);
            let is_first = side[0].is_none_or(|other| {
                let order = (row.created_at, row.id).cmp(&(times[&other], other));
                order == if row.after { Ordering::Less } else { Ordering::Greater }
            });
            if is_first {
                side.swap(0, 1);
            }
            side[usize::from(!is_first)] = Some(row.id);
        }
        Ok((places, times))
    }
}

/// Reads the whole of those results of which only a part was read.
pub(crate) async fn complete(
    transaction: &mut Session,
    results: &mut [SearchResult],
    parts: &HashSet<Uuid>,
) -> MemoryStoreResult<()> {
    let unread = results.iter().map(|result| result.record.id).filter(|id| parts.contains(id));
    let mut records = whole(transaction, unread.collect()).await?;
    for result in results {
        if let Some(record) = records.remove(&result.record.id) {
            result.record = record;
        }
    }
    Ok(())
}

async fn whole(transaction: &mut Session, ids: Vec<Uuid>) -> MemoryStoreResult<HashMap<Uuid, MemoryRecord>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let records = records::get_many(transaction, &ids).await?;
    Ok(records.into_iter().map(|record| (record.id, record)).collect())
}
