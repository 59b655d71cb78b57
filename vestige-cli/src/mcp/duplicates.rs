//! Whether a text says what a memory says already.

use uuid::Uuid;
use vestige_traits::{
    MemoryRecord, MemoryStore, MemoryStoreResult, SearchQuery, SearchResult, cosine_similarity, limits,
};

/// From this cosine similarity on two texts say nearly the same, or the same of something else:
/// "port 5433" and "port 5434" are as near as a repetition, and just as worth a look.
pub(crate) const NEAR: f64 = 0.95;
/// How many of the nearest memories are looked at first; more, as long as all of them are near and of other code bases.
const LOOKED_AT: usize = 10;

/// A memory that a text is close to.
pub(crate) struct Near {
    pub(crate) id: Uuid,
    pub(crate) similarity: f64,
    pub(crate) content: String,
}

/// The memory nearest to `record`, if it is near: one of the store, or of `accepted`, which are about to be stored.
pub(crate) async fn nearest<S: MemoryStore>(
    store: &S,
    record: &MemoryRecord,
    accepted: &[MemoryRecord],
) -> MemoryStoreResult<Option<Near>> {
    let Some(vector) = &record.embedding else { return Ok(None) };
    let stored = nearest_stored(store, record, vector).await?;
    let accepted = accepted.iter().filter_map(|other| {
        let theirs = other.embedding.as_ref().filter(|theirs| theirs.len() == vector.len())?;
        Some((other, cosine_similarity(vector, theirs)))
    });
    Ok(stored
        .iter()
        .map(|hit| (&hit.record, similarity(hit)))
        .chain(accepted)
        .filter(|(other, similarity)| *similarity >= NEAR && same_place(record, other))
        .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.id.cmp(&a.0.id)))
        .map(|(other, similarity)| Near { id: other.id, similarity, content: other.content.clone() }))
}

/// The memories nearest to a vector, so many that one of the same place is among them if there is a near one.
async fn nearest_stored<S: MemoryStore>(
    store: &S,
    record: &MemoryRecord,
    vector: &[f32],
) -> MemoryStoreResult<Vec<SearchResult>> {
    let mut limit = LOOKED_AT;
    loop {
        let query = SearchQuery::embedding(vector.to_vec()).with_limit(limit);
        let hits = store.search(&query).await?;
        let elsewhere = |hit: &SearchResult| similarity(hit) >= NEAR && !same_place(record, &hit.record);
        if hits.len() < limit || limit == limits::MAX_LIMIT || !hits.iter().all(elsewhere) {
            return Ok(hits);
        }
        limit = (limit * 10).min(limits::MAX_LIMIT);
    }
}

fn similarity(hit: &SearchResult) -> f64 {
    hit.vector_score.unwrap_or(hit.score)
}

/// What holds in one code base says nothing of another; what has no code base holds everywhere.
fn same_place(one: &MemoryRecord, other: &MemoryRecord) -> bool {
    one.codebase.is_none() || other.codebase.is_none() || one.codebase == other.codebase
}
