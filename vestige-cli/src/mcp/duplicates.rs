//! Whether a text says what a memory says already.

use uuid::Uuid;
use vestige_traits::{MemoryRecord, MemoryStore, MemoryStoreResult, SearchQuery, cosine_similarity};

/// From this cosine similarity on two texts say nearly the same, or the same of something else:
/// "port 5433" and "port 5434" are as near as a repetition, and just as worth a look.
pub(crate) const NEAR: f64 = 0.95;
/// How many of the nearest memories are looked at. Those of other code bases do not count.
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
    let query = SearchQuery::embedding(vector.clone()).with_limit(LOOKED_AT);
    let stored = store.vector_search(&query).await?;
    let stored = stored.iter().map(|hit| (&hit.record, hit.vector_score.unwrap_or(hit.score)));
    let accepted = accepted.iter().filter_map(|other| {
        let theirs = other.embedding.as_ref().filter(|theirs| theirs.len() == vector.len())?;
        Some((other, cosine_similarity(vector, theirs)))
    });
    Ok(stored
        .chain(accepted)
        .filter(|(other, similarity)| *similarity >= NEAR && same_place(record, other))
        .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.id.cmp(&a.0.id)))
        .map(|(other, similarity)| Near { id: other.id, similarity, content: other.content.clone() }))
}

/// What holds in one code base says nothing of another; what has no code base holds everywhere.
fn same_place(one: &MemoryRecord, other: &MemoryRecord) -> bool {
    one.codebase.is_none() || other.codebase.is_none() || one.codebase == other.codebase
}
