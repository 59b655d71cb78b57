//! The store itself: a handle, and the trait's operations handed to the rooms they belong to.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tracing::instrument;
use uuid::Uuid;
use vestige_traits::clock::Clock;
use vestige_traits::reembed::{PendingMemory, ReembeddedMemory, ReembeddingStatus};
use vestige_traits::transfer::{
    Checkpoint, ImportReport, TransferKey, TransferKind, TransferPage, TransferRow,
};
use vestige_traits::{
    Domain, DomainScore, DueMemory, Finding, HealthStatus, ListPage, ListQuery, MemoryEdge, MemoryRecord,
    MemoryStore, MemoryStoreResult, ModelSignature, Neighbor, ReviewEvent, SchedulingState, SearchPlan,
    SearchQuery, SearchResult, StoreStats,
};

use crate::config::{PgMemoryStoreBuilder, SearchSettings};
use crate::expectations::Expectations;
use crate::migrations;
use crate::session::Sessions;

/// A memory store in a PostgreSQL database with pgvector.
///
/// Needs a Tokio runtime with I/O and time enabled, in which its methods are called, the opening ones too.
///
/// Cheap to clone: clones share the connections and the model they speak for.
#[derive(Clone)]
pub struct PgMemoryStore {
    inner: Arc<Inner>,
}

struct Inner {
    sessions: Sessions,
    clock: Arc<dyn Clock>,
    read_only: bool,
    search: SearchSettings,
    expectations: Expectations,
    speaks_for: Mutex<Option<Arc<ModelSignature>>>,
    /// The model that this handle has begun a re-embedding to.
    reembeds_to: Mutex<Option<ModelSignature>>,
}

impl PgMemoryStore {
    /// Connects to `postgres://user:password@host:port/database` with at most `max_connections` connections, and
    /// creates or upgrades the schema. Safe to call from many processes at once.
    ///
    /// # Errors
    ///
    /// As [`PgMemoryStoreBuilder::connect`].
    pub async fn connect(url: &str, max_connections: u32) -> MemoryStoreResult<Self> {
        Self::builder(url).max_connections(max_connections).connect().await
    }

    /// A store on the connections of `pool`, with the default options; creates or upgrades the schema.
    ///
    /// The pool is one of sqlx 0.9, whose [`PgPool`](crate::PgPool) this crate exports. A program that depends on sqlx
    /// itself needs the same version.
    ///
    /// ```no_run
    /// # async fn open() -> Result<(), Box<dyn std::error::Error>> {
    /// use vestige_postgres::{PgMemoryStore, PgPool};
    ///
    /// let pool = PgPool::connect("postgres://ada@db.example/vestige").await?;
    /// let store = PgMemoryStore::from_pool(pool).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`PgMemoryStoreBuilder::connect`].
    pub async fn from_pool(pool: PgPool) -> MemoryStoreResult<Self> {
        Self::open(pool, &Self::builder(String::new())).await
    }

    /// Options, to be followed by [`connect`](PgMemoryStoreBuilder::connect).
    pub fn builder(url: impl Into<String>) -> PgMemoryStoreBuilder {
        PgMemoryStoreBuilder::new(url)
    }

    /// Closes every connection once what runs on it has ended. Later operations are
    /// [`Unavailable`](vestige_traits::MemoryStoreError::Unavailable).
    pub async fn close(&self) {
        self.inner.sessions.pool().close().await;
    }

    pub(crate) async fn open(pool: PgPool, settings: &PgMemoryStoreBuilder) -> MemoryStoreResult<Self> {
        let store = Self::over(pool, settings);
        store.init().await?;
        Ok(store)
    }

    /// A store over a database, of whose schema nothing is asked yet.
    pub(crate) fn over(pool: PgPool, settings: &PgMemoryStoreBuilder) -> Self {
        let mut sessions = Sessions::new(pool);
        if !sessions.keeps_statements() {
            sessions = sessions.beginning_with(settings.local_settings());
        }
        let inner = Inner {
            sessions,
            clock: Arc::clone(&settings.clock),
            read_only: settings.read_only,
            search: settings.search,
            expectations: Expectations::default(),
            speaks_for: Mutex::new(None),
            reembeds_to: Mutex::new(None),
        };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.inner.sessions
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.inner.clock.now()
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.inner.read_only
    }

    pub(crate) fn search_settings(&self) -> &SearchSettings {
        &self.inner.search
    }

    pub(crate) fn expectations(&self) -> &Expectations {
        &self.inner.expectations
    }

    /// The model this handle speaks for.
    pub(crate) fn spoken(&self) -> Option<Arc<ModelSignature>> {
        self.inner.speaks_for.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn speak_for(&self, model: ModelSignature) {
        *self.inner.speaks_for.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(model));
    }

    pub(crate) fn reembeds_to(&self) -> MutexGuard<'_, Option<ModelSignature>> {
        self.inner.reembeds_to.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PgMemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The pool's options hold a password.
        f.debug_struct("PgMemoryStore")
            .field("connections", &self.inner.sessions.pool().size())
            .field("idle", &self.inner.sessions.pool().num_idle())
            .field("read_only", &self.inner.read_only)
            .field("speaks_for", &self.spoken())
            .finish_non_exhaustive()
    }
}

impl MemoryStore for PgMemoryStore {
    #[instrument(level = "debug", name = "postgres.init", skip_all, err(level = "debug"))]
    async fn init(&self) -> MemoryStoreResult<()> {
        if self.inner.read_only {
            migrations::check(&self.inner.sessions).await
        } else {
            migrations::run(&self.inner.sessions).await
        }
    }

    #[instrument(level = "debug", name = "postgres.health_check", skip_all, err(level = "debug"))]
    async fn health_check(&self) -> MemoryStoreResult<HealthStatus> {
        Ok(self.health().await)
    }

    #[instrument(level = "debug", name = "postgres.count", skip_all, err(level = "debug"))]
    async fn count(&self) -> MemoryStoreResult<u64> {
        self.count_memories().await
    }

    #[instrument(level = "debug", name = "postgres.get_stats", skip_all, err(level = "debug"))]
    async fn get_stats(&self) -> MemoryStoreResult<StoreStats> {
        self.stats().await
    }

    #[instrument(level = "debug", name = "postgres.vacuum", skip_all, err(level = "debug"))]
    async fn vacuum(&self) -> MemoryStoreResult<()> {
        self.vacuum_tables().await
    }

    #[instrument(level = "debug", name = "postgres.diagnose", skip_all, err(level = "debug"))]
    async fn diagnose(&self) -> MemoryStoreResult<Vec<Finding>> {
        self.findings().await
    }

    #[instrument(level = "debug", name = "postgres.rebuild_indexes", skip_all, err(level = "debug"))]
    async fn rebuild_indexes(&self) -> MemoryStoreResult<()> {
        self.rebuild().await
    }

    #[instrument(level = "debug", name = "postgres.registered_model", skip_all, err(level = "debug"))]
    async fn registered_model(&self) -> MemoryStoreResult<Option<ModelSignature>> {
        self.read_model().await
    }

    #[instrument(level = "debug", name = "postgres.register_model", skip_all,
        fields(model = %signature), err(level = "debug"))]
    async fn register_model(&self, signature: &ModelSignature) -> MemoryStoreResult<()> {
        self.write_model(signature).await
    }

    #[instrument(level = "debug", name = "postgres.insert", skip_all,
        fields(id = %record.id), err(level = "debug"))]
    async fn insert(&self, record: &MemoryRecord) -> MemoryStoreResult<()> {
        self.insert_record(record).await
    }

    #[instrument(level = "debug", name = "postgres.insert_batch", skip_all,
        fields(records = records.len()), err(level = "debug"))]
    async fn insert_batch(&self, records: &[MemoryRecord]) -> MemoryStoreResult<()> {
        self.insert_records(records).await
    }

    #[instrument(level = "debug", name = "postgres.get", skip_all, fields(%id), err(level = "debug"))]
    async fn get(&self, id: Uuid) -> MemoryStoreResult<Option<MemoryRecord>> {
        self.get_record(id).await
    }

    #[instrument(level = "debug", name = "postgres.list", skip_all,
        fields(limit = query.limit), err(level = "debug"))]
    async fn list(&self, query: &ListQuery) -> MemoryStoreResult<ListPage> {
        self.list_records(query).await
    }

    #[instrument(level = "debug", name = "postgres.update", skip_all,
        fields(id = %record.id), err(level = "debug"))]
    async fn update(&self, record: &MemoryRecord) -> MemoryStoreResult<DateTime<Utc>> {
        self.update_record(record, None).await
    }

    #[instrument(level = "debug", name = "postgres.update_unless_changed", skip_all,
        fields(id = %record.id), err(level = "debug"))]
    async fn update_unless_changed(
        &self,
        record: &MemoryRecord,
        version: DateTime<Utc>,
    ) -> MemoryStoreResult<DateTime<Utc>> {
        self.update_record(record, Some(version)).await
    }

    #[instrument(level = "debug", name = "postgres.delete", skip_all, fields(%id), err(level = "debug"))]
    async fn delete(&self, id: Uuid) -> MemoryStoreResult<()> {
        self.delete_record(id).await
    }

    #[instrument(level = "debug", name = "postgres.search", skip_all,
        fields(limit = query.limit), err(level = "debug"))]
    async fn search(&self, query: &SearchQuery) -> MemoryStoreResult<Vec<SearchResult>> {
        self.find(query).await
    }

    #[instrument(level = "debug", name = "postgres.explain_search", skip_all, err(level = "debug"))]
    async fn explain_search(&self, query: &SearchQuery) -> MemoryStoreResult<SearchPlan> {
        self.explain(query).await
    }

    #[instrument(level = "debug", name = "postgres.get_scheduling", skip_all,
        fields(%memory_id), err(level = "debug"))]
    async fn get_scheduling(&self, memory_id: Uuid) -> MemoryStoreResult<Option<SchedulingState>> {
        self.read_scheduling(memory_id).await
    }

    #[instrument(level = "debug", name = "postgres.update_scheduling", skip_all,
        fields(%memory_id), err(level = "debug"))]
    async fn update_scheduling(&self, memory_id: Uuid, state: &SchedulingState) -> MemoryStoreResult<()> {
        self.write_scheduling(memory_id, state).await
    }

    #[instrument(level = "debug", name = "postgres.get_due_memories", skip_all,
        fields(%now, limit), err(level = "debug"))]
    async fn get_due_memories(&self, now: DateTime<Utc>, limit: usize) -> MemoryStoreResult<Vec<DueMemory>> {
        self.due_memories(now, limit).await
    }

    #[instrument(level = "debug", name = "postgres.record_review", skip_all,
        fields(memory_id = %event.memory_id), err(level = "debug"))]
    async fn record_review(&self, event: &ReviewEvent) -> MemoryStoreResult<()> {
        self.write_review(event).await
    }

    #[instrument(level = "debug", name = "postgres.get_reviews", skip_all,
        fields(%memory_id), err(level = "debug"))]
    async fn get_reviews(&self, memory_id: Uuid) -> MemoryStoreResult<Vec<ReviewEvent>> {
        self.read_reviews(memory_id).await
    }

    #[instrument(level = "debug", name = "postgres.add_edge", skip_all,
        fields(source = %edge.source_id, target = %edge.target_id), err(level = "debug"))]
    async fn add_edge(&self, edge: &MemoryEdge) -> MemoryStoreResult<()> {
        self.write_edge(edge).await
    }

    #[instrument(level = "debug", name = "postgres.get_edges", skip_all,
        fields(%memory_id), err(level = "debug"))]
    async fn get_edges(&self, memory_id: Uuid) -> MemoryStoreResult<Vec<MemoryEdge>> {
        self.read_edges(memory_id).await
    }

    #[instrument(level = "debug", name = "postgres.remove_edge", skip_all,
        fields(%source_id, %target_id), err(level = "debug"))]
    async fn remove_edge(&self, source_id: Uuid, target_id: Uuid, edge_type: &str) -> MemoryStoreResult<()> {
        self.delete_edge(source_id, target_id, edge_type).await
    }

    #[instrument(level = "debug", name = "postgres.get_neighbors", skip_all,
        fields(%memory_id, depth), err(level = "debug"))]
    async fn get_neighbors(&self, memory_id: Uuid, depth: usize) -> MemoryStoreResult<Vec<Neighbor>> {
        self.neighbors(memory_id, depth).await
    }

    #[instrument(level = "debug", name = "postgres.list_domains", skip_all, err(level = "debug"))]
    async fn list_domains(&self) -> MemoryStoreResult<Vec<Domain>> {
        self.read_domains().await
    }

    #[instrument(level = "debug", name = "postgres.get_domain", skip_all, err(level = "debug"))]
    async fn get_domain(&self, id: &str) -> MemoryStoreResult<Option<Domain>> {
        self.read_domain(id).await
    }

    #[instrument(level = "debug", name = "postgres.upsert_domain", skip_all, err(level = "debug"))]
    async fn upsert_domain(&self, domain: &Domain) -> MemoryStoreResult<()> {
        self.write_domain(domain).await
    }

    #[instrument(level = "debug", name = "postgres.delete_domain", skip_all, err(level = "debug"))]
    async fn delete_domain(&self, id: &str) -> MemoryStoreResult<()> {
        self.remove_domain(id).await
    }

    #[instrument(level = "debug", name = "postgres.classify", skip_all, err(level = "debug"))]
    async fn classify(&self, embedding: &[f32]) -> MemoryStoreResult<Vec<DomainScore>> {
        self.score_domains(embedding).await
    }

    #[instrument(level = "debug", name = "postgres.count_rows", skip_all,
        fields(%kind), err(level = "debug"))]
    async fn count_rows(&self, kind: TransferKind) -> MemoryStoreResult<u64> {
        self.count_kind(kind).await
    }

    #[instrument(level = "debug", name = "postgres.export_page", skip_all,
        fields(%kind, limit), err(level = "debug"))]
    async fn export_page(
        &self,
        kind: TransferKind,
        after: Option<&TransferKey>,
        limit: usize,
    ) -> MemoryStoreResult<TransferPage> {
        self.read_page(kind, after, limit).await
    }

    #[instrument(level = "debug", name = "postgres.import_page", skip_all,
        fields(rows = rows.len()), err(level = "debug"))]
    async fn import_page(
        &self,
        rows: &[TransferRow],
        checkpoint: Option<Checkpoint>,
    ) -> MemoryStoreResult<ImportReport> {
        self.write_page(rows, checkpoint).await
    }

    #[instrument(level = "debug", name = "postgres.begin_bulk_load", skip_all, err(level = "debug"))]
    async fn begin_bulk_load(&self) -> MemoryStoreResult<()> {
        self.drop_vector_index().await
    }

    #[instrument(level = "debug", name = "postgres.finish_bulk_load", skip_all, err(level = "debug"))]
    async fn finish_bulk_load(&self) -> MemoryStoreResult<()> {
        self.restore_indexes().await
    }

    #[instrument(level = "debug", name = "postgres.get_checkpoint", skip_all, err(level = "debug"))]
    async fn get_checkpoint(&self, name: &str) -> MemoryStoreResult<Option<Checkpoint>> {
        self.read_checkpoint(name).await
    }

    #[instrument(level = "debug", name = "postgres.clear_checkpoint", skip_all, err(level = "debug"))]
    async fn clear_checkpoint(&self, name: &str) -> MemoryStoreResult<()> {
        self.remove_checkpoint(name).await
    }

    #[instrument(level = "debug", name = "postgres.begin_reembedding", skip_all,
        fields(%model), err(level = "debug"))]
    async fn begin_reembedding(&self, model: &ModelSignature) -> MemoryStoreResult<ReembeddingStatus> {
        // At once, so that a caller who goes before the answer leaves a handle that takes part in no other.
        let before = self.reembeds_to().replace(model.clone());
        let begun = self.start_reembedding(model).await;
        if begun.is_err() {
            *self.reembeds_to() = before;
        }
        begun
    }

    #[instrument(level = "debug", name = "postgres.reembedding_status", skip_all, err(level = "debug"))]
    async fn reembedding_status(&self) -> MemoryStoreResult<Option<ReembeddingStatus>> {
        self.read_reembedding().await
    }

    #[instrument(
        level = "debug",
        name = "postgres.reembedding_pending",
        skip_all,
        fields(limit),
        err(level = "debug")
    )]
    async fn reembedding_pending(
        &self,
        after: Option<Uuid>,
        limit: usize,
    ) -> MemoryStoreResult<Vec<PendingMemory>> {
        self.read_pending(after, limit).await
    }

    #[instrument(level = "debug", name = "postgres.write_reembedded", skip_all,
        fields(vectors = vectors.len()), err(level = "debug"))]
    async fn write_reembedded(&self, vectors: &[ReembeddedMemory]) -> MemoryStoreResult<u64> {
        self.stage_vectors(vectors).await
    }

    #[instrument(level = "debug", name = "postgres.finish_reembedding", skip_all, err(level = "debug"))]
    async fn finish_reembedding(&self) -> MemoryStoreResult<()> {
        self.switch_model().await
    }

    #[instrument(level = "debug", name = "postgres.abort_reembedding", skip_all, err(level = "debug"))]
    async fn abort_reembedding(&self) -> MemoryStoreResult<()> {
        self.drop_reembedding().await
    }
}
