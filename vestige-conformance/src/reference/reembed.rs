use std::collections::BTreeMap;
use std::ops::Bound;

use uuid::Uuid;
use vestige_traits::backend::check_begun;
use vestige_traits::reembed::{PendingMemory, ReembeddedMemory, ReembeddingStatus};
use vestige_traits::{MemoryStoreError, MemoryStoreResult, ModelSignature, limits};

use super::state::{Reembedding, State};

impl State {
    pub(super) fn begin_reembedding(
        &mut self,
        model: &ModelSignature,
    ) -> MemoryStoreResult<ReembeddingStatus> {
        model.validate()?;
        if self.model.as_ref() == Some(model) {
            return Err(MemoryStoreError::invalid(
                "model",
                format!("is {model}, which the store is on already"),
            ));
        }
        match &self.reembedding {
            Some(under_way) if under_way.model != *model => {
                return Err(MemoryStoreError::conflict(
                    "re-embedding",
                    format!("one to {} is under way; finish or abort it", under_way.model),
                ));
            }
            Some(_) => {}
            None => self.reembedding = Some(Reembedding { model: model.clone(), done: BTreeMap::new() }),
        }
        Ok(self.status(self.under_way()?))
    }

    pub(super) fn reembedding_status(&self) -> Option<ReembeddingStatus> {
        self.reembedding.as_ref().map(|under_way| self.status(under_way))
    }

    pub(super) fn reembedding_pending(
        &self,
        after: Option<Uuid>,
        limit: usize,
    ) -> MemoryStoreResult<Vec<PendingMemory>> {
        limits::check_page("limit", limit)?;
        let under_way = self.under_way()?;
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let pending = self
            .memories
            .range((begin, Bound::Unbounded))
            .filter(|(id, _)| !under_way.done.contains_key(id))
            .take(limit)
            .map(|(&id, record)| PendingMemory {
                id,
                content: record.content.clone(),
                updated_at: record.updated_at,
            });
        Ok(pending.collect())
    }

    /// For a handle that has `begun` a re-embedding to this model.
    pub(super) fn write_reembedded(
        &mut self,
        vectors: &[ReembeddedMemory],
        begun: Option<&ModelSignature>,
    ) -> MemoryStoreResult<u64> {
        limits::check_len("vectors", vectors.len(), limits::MAX_BATCH)?;
        check_begun(&self.under_way()?.model, begun)?;
        let Some(under_way) = &mut self.reembedding else { return Err(none_under_way()) };
        let mut taken = 0;
        for vector in vectors {
            if let Some(embedding) = &vector.embedding {
                limits::check_embedding("embedding", embedding)?;
                if embedding.len() != under_way.model.dimension {
                    return Err(MemoryStoreError::model_mismatch(&under_way.model, embedding.len()));
                }
            }
            let version = limits::to_micros(vector.updated_at);
            if self.memories.get(&vector.id).is_some_and(|record| record.updated_at == version) {
                under_way.done.insert(vector.id, vector.embedding.clone());
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// For a handle that has `begun` a re-embedding to this model.
    pub(super) fn finish_reembedding(
        &mut self,
        begun: Option<&ModelSignature>,
    ) -> MemoryStoreResult<ModelSignature> {
        check_begun(&self.under_way()?.model, begun)?;
        let status = self.status(self.under_way()?);
        if status.pending > 0 {
            return Err(MemoryStoreError::conflict(
                "re-embedding",
                format!("{} memories have no new vector yet", status.pending),
            ));
        }
        let Some(Reembedding { model, mut done }) = self.reembedding.take() else {
            return Err(none_under_way());
        };
        for record in self.memories.values_mut() {
            record.embedding = done.remove(&record.id).flatten();
        }
        for domain in self.domains.values_mut() {
            domain.centroid = None;
        }
        self.model = Some(model.clone());
        Ok(model)
    }

    fn under_way(&self) -> MemoryStoreResult<&Reembedding> {
        self.reembedding.as_ref().ok_or_else(none_under_way)
    }

    fn status(&self, under_way: &Reembedding) -> ReembeddingStatus {
        let done = under_way.done.len() as u64;
        ReembeddingStatus { model: under_way.model.clone(), done, pending: self.memories.len() as u64 - done }
    }
}

fn none_under_way() -> MemoryStoreError {
    MemoryStoreError::conflict("re-embedding", "none is under way; begin one first")
}
