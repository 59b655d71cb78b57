//! Whether a text says what a memory says already.

use uuid::Uuid;
use vestige_traits::{
    Embedder, MemoryRecord, MemoryStore, SearchQuery, SearchResult, cosine_similarity, limits,
};

use crate::error::MemoryResult;
use crate::memory::Memory;

/// How many of the nearest memories are looked at first; more, as long as all of them are near and of other
/// code bases.
const LOOKED_AT: usize = 10;

/// A memory that says nearly the same as a new text, or the same of something else.
///
/// "Port 5433" and "port 5434" are as near to each other as a repetition. Whether the new text repeats the
/// memory, corrects it, or stands beside it is for an agent or a person to judge.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NearDuplicate {
    /// The memory's id.
    pub id: Uuid,
    /// The cosine similarity of the two texts, at most 1.
    pub similarity: f64,
    /// The memory's text.
    pub content: String,
}

impl<S, E> Memory<S, E>
where
    S: MemoryStore + Sync,
    E: Embedder + Sync,
{
    /// The nearest memory to `record`, if it is a near duplicate: one of the store, or of `others`, which are
    /// about to be stored. None if `record` has no vector.
    ///
    /// A near duplicate has a cosine similarity of at least
    /// [`near_duplicate_similarity`](crate::MemoryBuilder::near_duplicate_similarity), and both memories can
    /// hold in the same place: their code base is the same, or one of them has none. Of equally near ones the
    /// lowest id is taken. [`remember`](Self::remember) asks this for every text.
    ///
    /// # Errors
    ///
    /// [`ModelMismatch`](vestige_traits::MemoryStoreError::ModelMismatch) if the vector is of another model
    /// than the store's, and those of the store.
    pub async fn nearest(
        &self,
        record: &MemoryRecord,
        others: &[MemoryRecord],
    ) -> MemoryResult<Option<NearDuplicate>> {
        let Some(vector) = &record.embedding else { return Ok(None) };
        let stored = self.nearest_stored(record, vector).await?;
        let others = others.iter().filter_map(|other| {
            let theirs = other.embedding.as_ref().filter(|theirs| theirs.len() == vector.len())?;
            Some((other, cosine_similarity(vector, theirs)))
        });
        Ok(stored
            .iter()
            .map(|hit| (&hit.record, similarity(hit)))
            .chain(others)
            .filter(|(other, similarity)| self.is_near(*similarity) && same_place(record, other))
            .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.id.cmp(&a.0.id)))
            .map(|(other, similarity)| NearDuplicate {
                id: other.id,
                similarity,
                content: other.content.clone(),
            }))
    }

    /// The memories nearest to a vector: enough of them that one of the same place is among them if there is
    /// a near one.
    async fn nearest_stored(&self, record: &MemoryRecord, vector: &[f32]) -> MemoryResult<Vec<SearchResult>> {
        let mut limit = LOOKED_AT;
        loop {
            let query = SearchQuery::embedding(vector.to_vec()).limit(limit);
            let hits = self.store().search(&query).await?;
            let elsewhere =
                |hit: &SearchResult| self.is_near(similarity(hit)) && !same_place(record, &hit.record);
            if hits.len() < limit || limit == limits::MAX_LIMIT || !hits.iter().all(elsewhere) {
                return Ok(hits);
            }
            limit = (limit * 10).min(limits::MAX_LIMIT);
        }
    }

    fn is_near(&self, similarity: f64) -> bool {
        similarity >= self.near_duplicate_similarity()
    }
}

fn similarity(hit: &SearchResult) -> f64 {
    hit.vector_score.unwrap_or(hit.score)
}

/// What holds in one code base says nothing of another; what has no code base holds everywhere.
fn same_place(one: &MemoryRecord, other: &MemoryRecord) -> bool {
    one.codebase.is_none() || other.codebase.is_none() || one.codebase == other.codebase
}
