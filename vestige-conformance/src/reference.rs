//! The contract in its plainest form: sorted maps under a lock, every answer computed by a full scan.

mod graph;
mod records;
mod reembed;
mod registry;
mod scheduling;
mod search;
mod state;
mod stats;
mod transfer;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use uuid::Uuid;
use vestige_traits::clock::Clock;
use vestige_traits::plan::SearchPlan;
use vestige_traits::reembed::{PendingMemory, ReembeddedMemory, ReembeddingStatus};
use vestige_traits::scheduling::{DueMemory, ReviewEvent, SchedulingState};
use vestige_traits::stats::{Finding, HealthStatus, StoreStats};
use vestige_traits::transfer::{
    Checkpoint, ImportReport, TransferKey, TransferKind, TransferPage, TransferRow,
};
use vestige_traits::{
    ChangeToken, Domain, DomainScore, ListPage, ListQuery, MemoryEdge, MemoryRecord, MemoryStore,
    MemoryStoreResult, ModelSignature, Neighbor, SearchQuery, SearchResult, SessionContext,
};

use self::state::State;

/// A store in memory that is obviously right rather than fast: the model that the others are compared with.
///
/// It keeps the whole contract of [`MemoryStore`], across several handles too, and
/// nothing else: it is not on disk, and a write copies everything it holds.
#[derive(Debug)]
pub struct ReferenceStore {
    shared: Arc<Shared>,
    bound_to: Mutex<Option<ModelSignature>>,
    /// The model that this handle has begun a re-embedding to.
    reembeds_to: Mutex<Option<ModelSignature>>,
}

#[derive(Debug)]
struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl ReferenceStore {
    /// A new, empty store.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            shared: Arc::new(Shared { clock, state: Mutex::new(State::new()) }),
            bound_to: Mutex::new(None),
            reembeds_to: Mutex::new(None),
        }
    }

    /// Another handle on the same store, which is bound to no model yet: what another process would have.
    #[must_use]
    pub fn another_handle(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), bound_to: Mutex::new(None), reembeds_to: Mutex::new(None) }
    }

    fn now(&self) -> DateTime<Utc> {
        self.shared.clock.now()
    }

    /// The model this handle is bound to.
    fn model(&self) -> Option<ModelSignature> {
        lock(&self.bound_to).clone()
    }

    fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&lock(&self.shared.state))
    }

    /// Writes to a copy and keeps it only where the write succeeded: a failed operation changes nothing.
    fn write<T>(&self, write: impl FnOnce(&mut State) -> MemoryStoreResult<T>) -> MemoryStoreResult<T> {
        let mut state = lock(&self.shared.state);
        let mut copy = state.clone();
        let answer = write(&mut copy)?;
        *state = copy;
        Ok(answer)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryStore for ReferenceStore {
    async fn init(&self) -> MemoryStoreResult<()> {
        Ok(())
    }

    async fn health_check(&self) -> MemoryStoreResult<HealthStatus> {
        Ok(HealthStatus::Healthy)
    }

    async fn count(&self) -> MemoryStoreResult<u64> {
        Ok(self.read(|state| state.memories.len() as u64))
    }

    async fn get_stats(&self) -> MemoryStoreResult<StoreStats> {
        let now = self.now();
        Ok(self.read(|state| state.stats(now)))
    }

    async fn vacuum(&self) -> MemoryStoreResult<()> {
        Ok(())
    }

    async fn diagnose(&self) -> MemoryStoreResult<Vec<Finding>> {
        let memories = self.read(|state| state.memories.len());
        Ok(vec![Finding::ok("memory", format!("{memories} memories, nothing on disk"))])
    }

    async fn rebuild_indexes(&self) -> MemoryStoreResult<()> {
        Ok(())
    }

    async fn registered_model(&self) -> MemoryStoreResult<Option<ModelSignature>> {
        Ok(self.read(|state| state.model.clone()))
    }

    async fn register_model(&self, signature: &ModelSignature) -> MemoryStoreResult<()> {
        self.write(|state| state.register_model(signature))?;
        *lock(&self.bound_to) = Some(signature.clone());
        Ok(())
    }

    async fn insert(&self, record: &MemoryRecord) -> MemoryStoreResult<()> {
        let model = self.model();
        self.write(|state| state.insert(record, model.as_ref()))
    }

    async fn insert_batch(&self, records: &[MemoryRecord]) -> MemoryStoreResult<()> {
        let model = self.model();
        self.write(|state| state.insert_batch(records, model.as_ref()))
    }

    async fn change_token(&self) -> MemoryStoreResult<ChangeToken> {
        Ok(self.read(State::change_token))
    }

    async fn insert_batch_unless_changed(
        &self,
        records: &[MemoryRecord],
        since: ChangeToken,
    ) -> MemoryStoreResult<()> {
        let model = self.model();
        self.write(|state| state.insert_batch_unless_changed(records, since, model.as_ref()))
    }

    async fn get(&self, id: Uuid) -> MemoryStoreResult<Option<MemoryRecord>> {
        Ok(self.read(|state| state.memories.get(&id).cloned()))
    }

    async fn list(&self, query: &ListQuery) -> MemoryStoreResult<ListPage> {
        let now = self.now();
        self.read(|state| state.list(query, now))
    }

    async fn update(&self, record: &MemoryRecord) -> MemoryStoreResult<DateTime<Utc>> {
        let (now, model) = (self.now(), self.model());
        self.write(|state| state.update(record, None, now, model.as_ref()))
    }

    async fn update_unless_changed(
        &self,
        record: &MemoryRecord,
        version: DateTime<Utc>,
    ) -> MemoryStoreResult<DateTime<Utc>> {
        let (now, model) = (self.now(), self.model());
        self.write(|state| state.update(record, Some(version), now, model.as_ref()))
    }

    async fn delete(&self, id: Uuid) -> MemoryStoreResult<()> {
        self.write(|state| state.delete(id))
    }

    async fn search(&self, query: &SearchQuery) -> MemoryStoreResult<Vec<SearchResult>> {
        let (now, model) = (self.now(), self.model());
        self.read(|state| state.search(query, now, model.as_ref()))
    }

    async fn explain_search(&self, query: &SearchQuery) -> MemoryStoreResult<SearchPlan> {
        let model = self.model();
        self.read(|state| state.explain(query, model.as_ref()))
    }

    async fn get_context(&self, ids: &[Uuid], each: usize) -> MemoryStoreResult<Vec<SessionContext>> {
        self.read(|state| state.context(ids, each))
    }

    async fn get_scheduling(&self, memory_id: Uuid) -> MemoryStoreResult<Option<SchedulingState>> {
        Ok(self.read(|state| state.scheduling.get(&memory_id).copied()))
    }

    async fn update_scheduling(&self, memory_id: Uuid, new: &SchedulingState) -> MemoryStoreResult<()> {
        self.write(|state| state.update_scheduling(memory_id, new))
    }

    async fn get_due_memories(&self, now: DateTime<Utc>, limit: usize) -> MemoryStoreResult<Vec<DueMemory>> {
        self.read(|state| state.due_memories(now, limit))
    }

    async fn record_review(&self, event: &ReviewEvent) -> MemoryStoreResult<()> {
        self.write(|state| state.record_review(event))
    }

    async fn get_reviews(&self, memory_id: Uuid) -> MemoryStoreResult<Vec<ReviewEvent>> {
        Ok(self.read(|state| state.reviews_of(memory_id)))
    }

    async fn add_edge(&self, edge: &MemoryEdge) -> MemoryStoreResult<()> {
        self.write(|state| state.add_edge(edge))
    }

    async fn get_edges(&self, memory_id: Uuid) -> MemoryStoreResult<Vec<MemoryEdge>> {
        Ok(self.read(|state| state.edges_of(memory_id)))
    }

    async fn remove_edge(&self, source_id: Uuid, target_id: Uuid, edge_type: &str) -> MemoryStoreResult<()> {
        self.write(|state| state.remove_edge(source_id, target_id, edge_type))
    }

    async fn get_neighbors(&self, memory_id: Uuid, depth: usize) -> MemoryStoreResult<Vec<Neighbor>> {
        self.read(|state| state.neighbors(memory_id, depth))
    }

    async fn list_domains(&self) -> MemoryStoreResult<Vec<Domain>> {
        Ok(self.read(|state| state.domains.values().cloned().collect()))
    }

    async fn get_domain(&self, id: &str) -> MemoryStoreResult<Option<Domain>> {
        self.read(|state| state.domain(id))
    }

    async fn upsert_domain(&self, domain: &Domain) -> MemoryStoreResult<()> {
        let model = self.model();
        self.write(|state| state.upsert_domain(domain, model.as_ref()))
    }

    async fn delete_domain(&self, id: &str) -> MemoryStoreResult<()> {
        self.write(|state| state.delete_domain(id))
    }

    async fn classify(&self, embedding: &[f32]) -> MemoryStoreResult<Vec<DomainScore>> {
        let model = self.model();
        self.read(|state| state.classify(embedding, model.as_ref()))
    }

    async fn count_rows(&self, kind: TransferKind) -> MemoryStoreResult<u64> {
        Ok(self.read(|state| state.rows(kind).len() as u64))
    }

    async fn export_page(
        &self,
        kind: TransferKind,
        after: Option<&TransferKey>,
        limit: usize,
    ) -> MemoryStoreResult<TransferPage> {
        self.read(|state| state.export_page(kind, after, limit))
    }

    async fn import_page(
        &self,
        rows: &[TransferRow],
        checkpoint: Option<Checkpoint>,
    ) -> MemoryStoreResult<ImportReport> {
        let model = self.model();
        self.write(|state| state.import_page(rows, checkpoint, model.as_ref()))
    }

    async fn begin_bulk_load(&self) -> MemoryStoreResult<()> {
        Ok(())
    }

    async fn finish_bulk_load(&self) -> MemoryStoreResult<()> {
        Ok(())
    }

    async fn get_checkpoint(&self, name: &str) -> MemoryStoreResult<Option<Checkpoint>> {
        self.read(|state| state.checkpoint(name))
    }

    async fn clear_checkpoint(&self, name: &str) -> MemoryStoreResult<()> {
        self.write(|state| state.clear_checkpoint(name))
    }

    async fn begin_reembedding(&self, model: &ModelSignature) -> MemoryStoreResult<ReembeddingStatus> {
        let status = self.write(|state| state.begin_reembedding(model))?;
        *lock(&self.reembeds_to) = Some(model.clone());
        Ok(status)
    }

    async fn reembedding_status(&self) -> MemoryStoreResult<Option<ReembeddingStatus>> {
        Ok(self.read(State::reembedding_status))
    }

    async fn reembedding_pending(
        &self,
        after: Option<Uuid>,
        limit: usize,
    ) -> MemoryStoreResult<Vec<PendingMemory>> {
        self.read(|state| state.reembedding_pending(after, limit))
    }

    async fn write_reembedded(&self, vectors: &[ReembeddedMemory]) -> MemoryStoreResult<u64> {
        let begun = lock(&self.reembeds_to).clone();
        self.write(|state| state.write_reembedded(vectors, begun.as_ref()))
    }

    async fn finish_reembedding(&self) -> MemoryStoreResult<()> {
        let begun = lock(&self.reembeds_to).clone();
        let model = self.write(|state| state.finish_reembedding(begun.as_ref()))?;
        *lock(&self.bound_to) = Some(model);
        Ok(())
    }

    async fn abort_reembedding(&self) -> MemoryStoreResult<()> {
        self.write(|state| {
            state.reembedding = None;
            Ok(())
        })
    }
}
