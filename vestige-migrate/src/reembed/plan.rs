use serde::{Deserialize, Serialize};
use vestige_traits::transfer::{TransferKind, TransferRow};
use vestige_traits::{Embedder, MemoryStore, ModelSignature};

use super::texts::{embed_texts, timed};
use crate::error::{MigrateError, MigrateResult};

/// How many memories are embedded to see how fast it goes.
const SAMPLE: usize = 64;
/// What a row takes besides its numbers: the key, the time, the row's header.
const ROW_BYTES: u64 = 64;
/// The new vectors are written beside the old ones, written again by the switch, and indexed.
const COPIES: u64 = 3;

/// What a re-embedding would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReembedPlan {
    /// The present model; none if the store has none.
    pub from: Option<ModelSignature>,
    /// The model that the store would go to.
    pub to: ModelSignature,
    /// Whether it would go on with one that was interrupted.
    pub resumes: bool,
    /// Whether the store is on the model already, so that nothing would be done.
    pub already_on_model: bool,
    /// All memories.
    pub memories: u64,
    /// Memories that would be embedded.
    pub pending: u64,
    /// About how long embedding them would take, in seconds, by a sample that was embedded just now.
    pub embedding_seconds: f64,
    /// How many memories the sample had.
    pub sampled: u64,
    /// How many of the sample have no word that the new model knows.
    pub sampled_without_vector: u64,
    /// About how much more disk space the store needs during the work, in bytes.
    pub disk_bytes: u64,
}

impl ReembedPlan {
    pub(super) async fn make(
        store: &(impl MemoryStore + Sync),
        embedder: &(impl Embedder + Sync),
    ) -> MigrateResult<Self> {
        let to = embedder.signature().clone();
        let from = store.registered_model().await.map_err(MigrateError::Store)?;
        let status = store.reembedding_status().await.map_err(MigrateError::Store)?;
        let memories = store.count().await.map_err(MigrateError::Store)?;
        let already_on_model = from.as_ref() == Some(&to);
        let resumes = status.as_ref().is_some_and(|status| status.model == to);
        let pending = match &status {
            Some(status) if resumes => status.pending,
            _ if already_on_model => 0,
            _ => memories,
        };
        let page =
            store.export_page(TransferKind::Memory, None, SAMPLE).await.map_err(MigrateError::Store)?;
        let texts: Vec<&str> = page
            .rows
            .iter()
            .filter_map(|row| match row {
                TransferRow::Memory(record) => Some(record.content.as_str()),
                _ => None,
            })
            .collect();
        let (vectors, elapsed) = timed(embed_texts(embedder, &texts)).await;
        let vectors = vectors?;
        let each = elapsed.as_secs_f64() / vectors.len().max(1) as f64;
        let vector_bytes = 4 * to.dimension as u64 + ROW_BYTES;
        Ok(Self {
            resumes,
            already_on_model,
            memories,
            pending,
            embedding_seconds: each * pending as f64,
            sampled: vectors.len() as u64,
            sampled_without_vector: vectors.iter().filter(|vector| vector.is_none()).count() as u64,
            // The switch rewrites every vector, those that a run before has embedded too.
            disk_bytes: if already_on_model { 0 } else { COPIES * memories * vector_bytes },
            from,
            to,
        })
    }
}
