//! The handle of a store and the trait's methods. Each checks its input, opens the session that it needs, and
//! calls the function of the same name in the module of its subject.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tracing::instrument;
use uuid::Uuid;
use vestige_traits::backend::{NeighborWalk, PageStart, Prepared};
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
    MemoryStoreResult, ModelSignature, Neighbor, SearchQuery, SearchResult, SessionContext, limits,
};

use crate::analysis::{self, AnalysisVersion};
use crate::config::{PgMemoryStoreBuilder, SearchSettings};
use crate::connection::{self, Connections};
use crate::estimate::Estimates;
use crate::limits::{Limits, ServedTimeout};
use crate::registry::{self, Binding, BoundModel};
use crate::search::Searcher;
use crate::{
    context, diagnose, domains, graph, import, indexes, keyword, migrations, records, reembed, scheduling,
    stats, transfer,
};

/// A memory store in a PostgreSQL database with pgvector.
///
/// Needs a Tokio runtime with I/O and time enabled. Its methods, and those that open it, have to be called in
/// the runtime.
///
/// Cheap to clone: clones share the connections and the model that they are bound to.
#[derive(Clone)]
pub struct PgMemoryStore(Arc<Inner>);

struct Inner {
    connections: Connections,
    clock: Arc<dyn Clock>,
    search: SearchSettings,
    estimates: Estimates,
    binding: Binding,
    analysis: AnalysisVersion,
    /// The model of the re-embedding that this handle has begun.
    reembeds_to: Mutex<Option<ModelSignature>>,
}

impl PgMemoryStore {
    /// Connects to `postgres://user:password@host:port/database` with at most `max_connections` connections,
    /// and creates or upgrades the schema. Safe to call from many processes at once.
    ///
    /// # Errors
    ///
    /// As [`PgMemoryStoreBuilder::connect`].
    pub async fn connect(url: &str, max_connections: u32) -> MemoryStoreResult<Self> {
        Self::builder(url).max_connections(max_connections).connect().await
    }

    /// A store on the connections of `pool`, with the default options; creates or upgrades the schema.
    ///
    /// The pool is of sqlx 0.9, whose [`PgPool`](crate::PgPool) this crate exports. A program that depends on
    /// sqlx itself needs the same version.
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
    /// Timeouts are those of the pool and of its connections. If a caller gives up a search or a batch, the
    /// server notices within a second and cancels it. A single statement, such as that of `get` or `insert`,
    /// goes on until it ends, unless the connections set `client_connection_check_interval`.
    ///
    /// # Errors
    ///
    /// As [`PgMemoryStoreBuilder::connect`].
    pub async fn from_pool(pool: PgPool) -> MemoryStoreResult<Self> {
        let settings = Self::builder(String::new());
        let connections = Connections::new(pool, Limits::OF_POOL, ServedTimeout::default(), false);
        Self::open(connections, &settings).await
    }

    /// The options of a store. [`connect`](PgMemoryStoreBuilder::connect) opens it.
    pub fn builder(url: impl Into<String>) -> PgMemoryStoreBuilder {
        PgMemoryStoreBuilder::new(url)
    }

    /// Closes every connection after the operation on it has ended. Later operations fail with
    /// [`Unavailable`](vestige_traits::MemoryStoreError::Unavailable).
    pub async fn close(&self) {
        self.0.connections.pool().close().await;
    }

    async fn open(connections: Connections, settings: &PgMemoryStoreBuilder) -> MemoryStoreResult<Self> {
        let store = Self::new(connections, settings);
        store.init().await?;
        Ok(store)
    }

    /// A store whose schema is not checked yet.
    fn new(connections: Connections, settings: &PgMemoryStoreBuilder) -> Self {
        Self(Arc::new(Inner {
            connections,
            clock: Arc::clone(&settings.clock),
            search: settings.search,
            estimates: Estimates::default(),
            binding: Binding::default(),
            analysis: AnalysisVersion::default(),
            reembeds_to: Mutex::default(),
        }))
    }

    fn connections(&self) -> &Connections {
        &self.0.connections
    }

    fn now(&self) -> DateTime<Utc> {
        self.0.clock.now()
    }

    /// The model that this handle is bound to.
    fn model(&self) -> BoundModel {
        self.0.binding.get()
    }

    /// The version of the analysis that this handle uses.
    fn analysis(&self) -> i64 {
        self.0.analysis.get()
    }

    fn reembeds_to(&self) -> MutexGuard<'_, Option<ModelSignature>> {
        self.0.reembeds_to.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn searcher(&self) -> Searcher<'_> {
        Searcher {
            connections: &self.0.connections,
            settings: &self.0.search,
            estimates: &self.0.estimates,
            model: self.model(),
            analysis: self.analysis(),
            now: self.now(),
        }
    }

    /// If there is a token, only if it is still that of the store.
    async fn insert_one(&self, record: &MemoryRecord, since: Option<ChangeToken>) -> MemoryStoreResult<()> {
        let record = Prepared::new(record)?;
        let written = records::Written { model: &self.model(), analysis: self.analysis() };
        records::insert(self.connections(), &record, since, written).await?;
        if keyword::is_check_due(&record) {
            self.refresh_statistics_if_stale().await;
            keyword::fold_counts_if_many(self.connections()).await;
        }
        Ok(())
    }

    /// As [`insert_one`](Self::insert_one), all or none.
    async fn insert_all(
        &self,
        records: &[MemoryRecord],
        since: Option<ChangeToken>,
    ) -> MemoryStoreResult<()> {
        let (connections, model) = (self.connections(), self.model());
        if records.is_empty() {
            return Ok(());
        }
        connections.check_writable()?;
        limits::check_len("records", records.len(), limits::MAX_BATCH)?;
        let prepared = records::prepare(connections, records, &model).await?;
        let written = records::Written { model: &model, analysis: self.analysis() };
        records::insert_batch(connections, &prepared, since, written).await?;
        self.refresh_statistics_if_stale().await;
        if prepared.iter().any(|record| keyword::is_check_due(record)) {
            keyword::fold_counts_if_many(connections).await;
        }
        Ok(())
    }

    async fn replace(
        &self,
        record: &MemoryRecord,
        version: Option<DateTime<Utc>>,
    ) -> MemoryStoreResult<DateTime<Utc>> {
        let record = Prepared::new(record)?;
        let written = records::Written { model: &self.model(), analysis: self.analysis() };
        records::update(self.connections(), &record, version, written, self.now()).await
    }

    async fn refresh_statistics_if_stale(&self) {
        let large = self.0.search.exact_words;
        keyword::refresh_statistics_if_stale(self.connections(), large, self.now()).await;
    }
}

impl PgMemoryStoreBuilder {
    /// Connects, and creates or upgrades the schema.
    ///
    /// Many processes may call it at once: one migrates, the others wait for it.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](vestige_traits::MemoryStoreError::InvalidInput) for a URL or setting that cannot be
    ///   used.
    /// - [`Unavailable`](vestige_traits::MemoryStoreError::Unavailable) if no server answers, if the server
    ///   refuses the login, or if it cannot hold the store because it is older than PostgreSQL 18, has no
    ///   pgvector, or the database is not in UTF-8.
    /// - [`SchemaTooNew`](vestige_traits::MemoryStoreError::SchemaTooNew) if a newer Vestige wrote the store,
    ///   which stays as it was.
    /// - [`Backend`](vestige_traits::MemoryStoreError::Backend) if a migration failed; the schema is as it
    ///   was.
    /// - [`Damaged`](vestige_traits::MemoryStoreError::Damaged) for a read-only store on a database without
    ///   the present schema.
    pub async fn connect(self) -> MemoryStoreResult<PgMemoryStore> {
        let connections = connection::connect(&self).await?;
        PgMemoryStore::open(connections, &self).await
    }

    /// As [`connect`](Self::connect), if the database holds a store. Returns `None`, and creates nothing, if
    /// it holds none.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_existing(self) -> MemoryStoreResult<Option<PgMemoryStore>> {
        let connections = connection::connect(&self).await?;
        if migrations::version(connections.sessions()).await?.is_none() {
            connections.pool().close().await;
            return Ok(None);
        }
        PgMemoryStore::open(connections, &self).await.map(Some)
    }
}

impl fmt::Debug for PgMemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The pool's options hold a password.
        f.debug_struct("PgMemoryStore")
            .field("connections", &self.0.connections.pool().size())
            .field("idle", &self.0.connections.pool().num_idle())
            .field("read_only", &self.0.connections.is_read_only())
            .field("model", &self.model().signature())
            .finish_non_exhaustive()
    }
}

impl MemoryStore for PgMemoryStore {
    #[instrument(level = "debug", name = "postgres.init", skip_all, err(level = "debug"))]
    async fn init(&self) -> MemoryStoreResult<()> {
        let (connections, analysis) = (self.connections(), &self.0.analysis);
        if connections.is_read_only() {
            migrations::check(connections.sessions()).await?;
            analysis::check_readable(connections, analysis).await
        } else {
            migrations::run(connections.sessions()).await?;
            analysis::bring_up_to_date(connections, analysis, self.0.search.exact_words, self.now()).await
        }
    }

    #[instrument(level = "debug", name = "postgres.health_check", skip_all, err(level = "debug"))]
    async fn health_check(&self) -> MemoryStoreResult<HealthStatus> {
        Ok(diagnose::health_check(self.connections()).await)
    }

    #[instrument(level = "debug", name = "postgres.count", skip_all, err(level = "debug"))]
    async fn count(&self) -> MemoryStoreResult<u64> {
        transfer::count_rows(&mut self.connections().scanner().await?, TransferKind::Memory).await
    }

    #[instrument(level = "debug", name = "postgres.get_stats", skip_all, err(level = "debug"))]
    async fn get_stats(&self) -> MemoryStoreResult<StoreStats> {
        stats::get_stats(&mut self.connections().scanner().await?, self.now()).await
    }

    #[instrument(level = "debug", name = "postgres.vacuum", skip_all, err(level = "debug"))]
    async fn vacuum(&self) -> MemoryStoreResult<()> {
        stats::vacuum(self.connections(), self.now()).await
    }

    #[instrument(level = "debug", name = "postgres.diagnose", skip_all, err(level = "debug"))]
    async fn diagnose(&self) -> MemoryStoreResult<Vec<Finding>> {
        diagnose::diagnose(self.connections(), self.0.search.exact_words).await
    }

    #[instrument(level = "debug", name = "postgres.rebuild_indexes", skip_all, err(level = "debug"))]
    async fn rebuild_indexes(&self) -> MemoryStoreResult<()> {
        analysis::analyze_all(self.connections(), self.analysis()).await?;
        indexes::rebuild_indexes(self.connections(), self.now()).await
    }

    #[instrument(level = "debug", name = "postgres.registered_model", skip_all, err(level = "debug"))]
    async fn registered_model(&self) -> MemoryStoreResult<Option<ModelSignature>> {
        registry::registered_model(&mut self.connections().reader().await?).await
    }

    #[instrument(level = "debug", name = "postgres.register_model", skip_all,
        fields(model = %signature), err(level = "debug"))]
    async fn register_model(&self, signature: &ModelSignature) -> MemoryStoreResult<()> {
        signature.validate()?;
        registry::register_model(self.connections(), signature, self.now()).await?;
        self.0.binding.set(signature.clone());
        Ok(())
    }

    #[instrument(level = "debug", name = "postgres.insert", skip_all,
        fields(id = %record.id), err(level = "debug"))]
    async fn insert(&self, record: &MemoryRecord) -> MemoryStoreResult<()> {
        self.insert_one(record, None).await
    }

    #[instrument(level = "debug", name = "postgres.insert_batch", skip_all,
        fields(records = records.len()), err(level = "debug"))]
    async fn insert_batch(&self, records: &[MemoryRecord]) -> MemoryStoreResult<()> {
        self.insert_all(records, None).await
    }

    #[instrument(level = "debug", name = "postgres.change_token", skip_all, err(level = "debug"))]
    async fn change_token(&self) -> MemoryStoreResult<ChangeToken> {
        records::change_token(&mut self.connections().reader().await?).await
    }

    #[instrument(level = "debug", name = "postgres.insert_batch_unless_changed", skip_all,
        fields(records = records.len()), err(level = "debug"))]
    async fn insert_batch_unless_changed(
        &self,
        records: &[MemoryRecord],
        since: ChangeToken,
    ) -> MemoryStoreResult<()> {
        match records {
            // There is a shorter way for one than for many.
            [record] => self.insert_one(record, Some(since)).await,
            records => self.insert_all(records, Some(since)).await,
        }
    }

    #[instrument(level = "debug", name = "postgres.get", skip_all, fields(%id), err(level = "debug"))]
    async fn get(&self, id: Uuid) -> MemoryStoreResult<Option<MemoryRecord>> {
        records::get(&mut self.connections().reader().await?, id).await
    }

    #[instrument(level = "debug", name = "postgres.list", skip_all,
        fields(limit = query.limit), err(level = "debug"))]
    async fn list(&self, query: &ListQuery) -> MemoryStoreResult<ListPage> {
        let limit = query.validate()?;
        records::list(self.connections().filtering().await?, query, limit, self.now()).await
    }

    #[instrument(level = "debug", name = "postgres.update", skip_all,
        fields(id = %record.id), err(level = "debug"))]
    async fn update(&self, record: &MemoryRecord) -> MemoryStoreResult<DateTime<Utc>> {
        self.replace(record, None).await
    }

    #[instrument(level = "debug", name = "postgres.update_unless_changed", skip_all,
        fields(id = %record.id), err(level = "debug"))]
    async fn update_unless_changed(
        &self,
        record: &MemoryRecord,
        version: DateTime<Utc>,
    ) -> MemoryStoreResult<DateTime<Utc>> {
        self.replace(record, Some(version)).await
    }

    #[instrument(level = "debug", name = "postgres.delete", skip_all, fields(%id), err(level = "debug"))]
    async fn delete(&self, id: Uuid) -> MemoryStoreResult<()> {
        records::delete(self.connections().writer().await?, id).await
    }

    #[instrument(level = "debug", name = "postgres.search", skip_all,
        fields(limit = query.limit), err(level = "debug"))]
    async fn search(&self, query: &SearchQuery) -> MemoryStoreResult<Vec<SearchResult>> {
        query.validate()?;
        self.searcher().search(query).await
    }

    #[instrument(level = "debug", name = "postgres.explain_search", skip_all, err(level = "debug"))]
    async fn explain_search(&self, query: &SearchQuery) -> MemoryStoreResult<SearchPlan> {
        query.validate()?;
        self.searcher().explain_search(query).await
    }

    #[instrument(level = "debug", name = "postgres.get_context", skip_all,
        fields(ids = ids.len(), each), err(level = "debug"))]
    async fn get_context(&self, ids: &[Uuid], each: usize) -> MemoryStoreResult<Vec<SessionContext>> {
        SessionContext::check(ids.len(), each)?;
        context::get_context(self.connections(), ids, each).await
    }

    #[instrument(level = "debug", name = "postgres.get_scheduling", skip_all,
        fields(%memory_id), err(level = "debug"))]
    async fn get_scheduling(&self, memory_id: Uuid) -> MemoryStoreResult<Option<SchedulingState>> {
        scheduling::get_scheduling(&mut self.connections().reader().await?, memory_id).await
    }

    #[instrument(level = "debug", name = "postgres.update_scheduling", skip_all,
        fields(%memory_id), err(level = "debug"))]
    async fn update_scheduling(&self, memory_id: Uuid, state: &SchedulingState) -> MemoryStoreResult<()> {
        let state = Prepared::new(state)?;
        scheduling::update_scheduling(self.connections().transaction().await?, memory_id, &state).await
    }

    #[instrument(level = "debug", name = "postgres.get_due_memories", skip_all,
        fields(%now, limit), err(level = "debug"))]
    async fn get_due_memories(&self, now: DateTime<Utc>, limit: usize) -> MemoryStoreResult<Vec<DueMemory>> {
        limits::check_time("now", now)?;
        let limit = limits::effective_limit(limit)?;
        scheduling::get_due_memories(&mut self.connections().reader().await?, now, limit).await
    }

    #[instrument(level = "debug", name = "postgres.record_review", skip_all,
        fields(memory_id = %event.memory_id), err(level = "debug"))]
    async fn record_review(&self, event: &ReviewEvent) -> MemoryStoreResult<()> {
        let event = Prepared::new(event)?;
        scheduling::record_review(self.connections().transaction().await?, &event).await
    }

    #[instrument(level = "debug", name = "postgres.get_reviews", skip_all,
        fields(%memory_id), err(level = "debug"))]
    async fn get_reviews(&self, memory_id: Uuid) -> MemoryStoreResult<Vec<ReviewEvent>> {
        scheduling::get_reviews(&mut self.connections().reader().await?, memory_id).await
    }

    #[instrument(level = "debug", name = "postgres.add_edge", skip_all,
        fields(source = %edge.source_id, target = %edge.target_id), err(level = "debug"))]
    async fn add_edge(&self, edge: &MemoryEdge) -> MemoryStoreResult<()> {
        let edge = Prepared::new(edge)?;
        graph::add_edge(self.connections().writer().await?, &edge).await
    }

    #[instrument(level = "debug", name = "postgres.get_edges", skip_all,
        fields(%memory_id), err(level = "debug"))]
    async fn get_edges(&self, memory_id: Uuid) -> MemoryStoreResult<Vec<MemoryEdge>> {
        graph::get_edges(&mut self.connections().reader().await?, memory_id).await
    }

    #[instrument(level = "debug", name = "postgres.remove_edge", skip_all,
        fields(%source_id, %target_id), err(level = "debug"))]
    async fn remove_edge(&self, source_id: Uuid, target_id: Uuid, edge_type: &str) -> MemoryStoreResult<()> {
        limits::check_name("edge_type", edge_type)?;
        graph::remove_edge(self.connections().writer().await?, source_id, target_id, edge_type).await
    }

    #[instrument(level = "debug", name = "postgres.get_neighbors", skip_all,
        fields(%memory_id, depth), err(level = "debug"))]
    async fn get_neighbors(&self, memory_id: Uuid, depth: usize) -> MemoryStoreResult<Vec<Neighbor>> {
        let walk = NeighborWalk::new(memory_id, depth)?;
        graph::get_neighbors(&mut self.connections().snapshot().await?, memory_id, walk).await
    }

    #[instrument(level = "debug", name = "postgres.list_domains", skip_all, err(level = "debug"))]
    async fn list_domains(&self) -> MemoryStoreResult<Vec<Domain>> {
        domains::list_domains(&mut self.connections().reader().await?).await
    }

    #[instrument(level = "debug", name = "postgres.get_domain", skip_all, err(level = "debug"))]
    async fn get_domain(&self, id: &str) -> MemoryStoreResult<Option<Domain>> {
        limits::check_name("domain.id", id)?;
        domains::get_domain(&mut self.connections().reader().await?, id).await
    }

    #[instrument(level = "debug", name = "postgres.upsert_domain", skip_all, err(level = "debug"))]
    async fn upsert_domain(&self, domain: &Domain) -> MemoryStoreResult<()> {
        let domain = Prepared::new(domain)?;
        domains::upsert_domain(self.connections().writer().await?, &domain, &self.model()).await
    }

    #[instrument(level = "debug", name = "postgres.delete_domain", skip_all, err(level = "debug"))]
    async fn delete_domain(&self, id: &str) -> MemoryStoreResult<()> {
        limits::check_name("domain.id", id)?;
        domains::delete_domain(self.connections().writer().await?, id).await
    }

    #[instrument(level = "debug", name = "postgres.classify", skip_all, err(level = "debug"))]
    async fn classify(&self, embedding: &[f32]) -> MemoryStoreResult<Vec<DomainScore>> {
        limits::check_embedding("embedding", embedding)?;
        domains::classify(&mut self.connections().reader().await?, embedding, &self.model()).await
    }

    #[instrument(level = "debug", name = "postgres.count_rows", skip_all,
        fields(%kind), err(level = "debug"))]
    async fn count_rows(&self, kind: TransferKind) -> MemoryStoreResult<u64> {
        transfer::count_rows(&mut self.connections().scanner().await?, kind).await
    }

    #[instrument(level = "debug", name = "postgres.export_page", skip_all,
        fields(%kind, limit), err(level = "debug"))]
    async fn export_page(
        &self,
        kind: TransferKind,
        after: Option<&TransferKey>,
        limit: usize,
    ) -> MemoryStoreResult<TransferPage> {
        limits::check_page("limit", limit)?;
        let start = PageStart::new(kind, after)?;
        transfer::export_page(self.connections().paging().await?, kind, start, limit).await
    }

    #[instrument(level = "debug", name = "postgres.import_page", skip_all,
        fields(rows = rows.len()), err(level = "debug"))]
    async fn import_page(
        &self,
        rows: &[TransferRow],
        checkpoint: Option<Checkpoint>,
    ) -> MemoryStoreResult<ImportReport> {
        let connections = self.connections();
        connections.check_writable()?;
        limits::check_len("rows", rows.len(), limits::MAX_BATCH)?;
        let checkpoint = checkpoint.map(Prepared::from_owned).transpose()?;
        let written = records::Written { model: &self.model(), analysis: self.analysis() };
        import::import_page(connections, rows, checkpoint.as_ref(), written).await
    }

    #[instrument(level = "debug", name = "postgres.begin_bulk_load", skip_all, err(level = "debug"))]
    async fn begin_bulk_load(&self) -> MemoryStoreResult<()> {
        indexes::begin_bulk_load(self.connections()).await
    }

    #[instrument(level = "debug", name = "postgres.finish_bulk_load", skip_all, err(level = "debug"))]
    async fn finish_bulk_load(&self) -> MemoryStoreResult<()> {
        indexes::finish_bulk_load(self.connections(), self.now()).await
    }

    #[instrument(level = "debug", name = "postgres.get_checkpoint", skip_all, err(level = "debug"))]
    async fn get_checkpoint(&self, name: &str) -> MemoryStoreResult<Option<Checkpoint>> {
        limits::check_name("checkpoint.name", name)?;
        transfer::get_checkpoint(&mut self.connections().reader().await?, name).await
    }

    #[instrument(level = "debug", name = "postgres.clear_checkpoint", skip_all, err(level = "debug"))]
    async fn clear_checkpoint(&self, name: &str) -> MemoryStoreResult<()> {
        limits::check_name("checkpoint.name", name)?;
        transfer::clear_checkpoint(self.connections().writer().await?, name).await
    }

    #[instrument(level = "debug", name = "postgres.begin_reembedding", skip_all,
        fields(%model), err(level = "debug"))]
    async fn begin_reembedding(&self, model: &ModelSignature) -> MemoryStoreResult<ReembeddingStatus> {
        model.validate()?;
        // Set before the first await: if the caller drops the future, the handle takes part in no other
        // re-embedding.
        let before = self.reembeds_to().replace(model.clone());
        let begun = async {
            let transaction = self.connections().batch().await?;
            reembed::begin_reembedding(transaction, model, self.now()).await
        };
        let begun = begun.await;
        if begun.is_err() {
            *self.reembeds_to() = before;
        }
        begun
    }

    #[instrument(level = "debug", name = "postgres.reembedding_status", skip_all, err(level = "debug"))]
    async fn reembedding_status(&self) -> MemoryStoreResult<Option<ReembeddingStatus>> {
        reembed::reembedding_status(&mut self.connections().snapshot().await?).await
    }

    #[instrument(level = "debug", name = "postgres.reembedding_pending", skip_all,
        fields(%limit), err(level = "debug"))]
    async fn reembedding_pending(
        &self,
        after: Option<Uuid>,
        limit: usize,
    ) -> MemoryStoreResult<Vec<PendingMemory>> {
        limits::check_page("limit", limit)?;
        reembed::reembedding_pending(self.connections().paging().await?, after, limit).await
    }

    #[instrument(level = "debug", name = "postgres.write_reembedded", skip_all,
        fields(vectors = vectors.len()), err(level = "debug"))]
    async fn write_reembedded(&self, vectors: &[ReembeddedMemory]) -> MemoryStoreResult<u64> {
        limits::check_len("vectors", vectors.len(), limits::MAX_BATCH)?;
        let begun = self.reembeds_to().clone();
        reembed::write_reembedded(self.connections().batch().await?, vectors, begun.as_ref()).await
    }

    #[instrument(level = "debug", name = "postgres.finish_reembedding", skip_all, err(level = "debug"))]
    async fn finish_reembedding(&self) -> MemoryStoreResult<()> {
        let begun = self.reembeds_to().clone();
        reembed::finish_reembedding(self.connections(), begun.as_ref(), &self.0.binding).await
    }

    #[instrument(level = "debug", name = "postgres.abort_reembedding", skip_all, err(level = "debug"))]
    async fn abort_reembedding(&self) -> MemoryStoreResult<()> {
        reembed::abort_reembedding(self.connections().batch().await?).await
    }
}
