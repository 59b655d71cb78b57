use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use rusqlite::Transaction;
use uuid::Uuid;
use vestige_traits::backend::Prepared;
use vestige_traits::clock::{Clock, new_id};
use vestige_traits::plan::SearchPlan;
use vestige_traits::reembed::{PendingMemory, ReembeddedMemory, ReembeddingStatus};
use vestige_traits::scheduling::{DueMemory, ReviewEvent, SchedulingState};
use vestige_traits::stats::{Finding, HealthStatus, StoreStats};
use vestige_traits::transfer::{
    Checkpoint, ImportReport, TransferKey, TransferKind, TransferPage, TransferRow,
};
use vestige_traits::{
    ChangeToken, Domain, DomainScore, ListPage, ListQuery, MemoryEdge, MemoryRecord, MemoryStore,
    MemoryStoreError, MemoryStoreResult, ModelSignature, Neighbor, SearchQuery, SearchResult, SessionContext,
    limits,
};

use crate::config::SqliteMemoryStoreBuilder;
use crate::connection::Connections;
use crate::search::{Caches, Searcher};
use crate::{
    backup, context, diagnose, domains, error, file, graph, import, journal, keyword, records, reembed,
    registry, scheduling, schema, stats, transfer,
};

/// A memory store in one SQLite file.
///
/// Any number of handles and processes may use the same file at once. Cheap to
/// clone; clones share one handle, its threads and its vectors in memory.
///
/// The trait's methods block no thread of the caller. Opening blocks, and so does dropping the last clone: it
/// waits for the calls under way, a long write too, and closes the file, which brings what is in the
/// write-ahead log into it. In async code, do both where blocking is allowed.
#[derive(Clone)]
pub struct SqliteMemoryStore(Arc<Inner>);

struct Inner {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    connections: Connections,
    caches: Arc<Caches>,
    model: Arc<Mutex<Option<ModelSignature>>>,
    /// The model that this handle has begun a re-embedding to.
    reembeds_to: Mutex<Option<ModelSignature>>,
}

impl SqliteMemoryStoreBuilder {
    /// Opens the store. Blocks while the file is opened and its schema checked: for a moment, but up to
    /// [`busy_timeout`](Self::busy_timeout) and longer where another process writes or the schema is
    /// upgraded. Dropping the last handle blocks too, see [`SqliteMemoryStore`].
    ///
    /// # Errors
    ///
    /// - [`Damaged`](vestige_traits::MemoryStoreError::Damaged) if there is something else than a file, or
    ///   the file is no SQLite database, not Vestige's, or broken.
    /// - [`SchemaTooNew`](vestige_traits::MemoryStoreError::SchemaTooNew) if a newer Vestige wrote it.
    /// - [`Unavailable`](vestige_traits::MemoryStoreError::Unavailable) if it cannot be opened or created.
    /// - [`InvalidInput`](vestige_traits::MemoryStoreError::InvalidInput) if the path is empty or `:memory:`:
    ///   several connections share a store, so it needs a file.
    ///
    /// In each case the file is left as it was.
    pub fn open(self) -> MemoryStoreResult<SqliteMemoryStore> {
        let connections = Connections::open(&self)?;
        Ok(SqliteMemoryStore(Arc::new(Inner {
            path: self.path,
            clock: self.clock,
            connections,
            caches: Arc::new(Caches::new(self.indexes_in_memory)),
            model: Arc::default(),
            reembeds_to: Mutex::default(),
        })))
    }
}

impl SqliteMemoryStore {
    /// Opens the store at `path`, and makes it if there is none. Blocks, as
    /// [`SqliteMemoryStoreBuilder::open`] does.
    ///
    /// # Errors
    ///
    /// As [`SqliteMemoryStoreBuilder::open`].
    pub fn new(path: impl AsRef<Path>) -> MemoryStoreResult<Self> {
        Self::builder(path).open()
    }

    /// Settings beside the path.
    pub fn builder(path: impl AsRef<Path>) -> SqliteMemoryStoreBuilder {
        SqliteMemoryStoreBuilder::new(path.as_ref())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Copies the store, as it is at one moment, to another file, while others read and write it. Every row
    /// of the copy is compared with the store before the copy takes its name; its owner alone can read it.
    ///
    /// The copy is a store: open it, or put it in the place of the file that it was copied from while nobody
    /// has that open. What is beside that file (`-wal`, `-shm`) has to be removed with it.
    ///
    /// Dropping the future leaves no copy.
    ///
    /// # Errors
    ///
    /// - [`Unavailable`](vestige_traits::MemoryStoreError::Unavailable) if there is a file of that name and
    ///   `overwrite` is not set, if a log of another database lies beside it, or if it cannot be written.
    /// - [`Damaged`](vestige_traits::MemoryStoreError::Damaged) if the store cannot be read to its end, or
    ///   the copy turns out to be another one.
    /// - [`InvalidInput`](vestige_traits::MemoryStoreError::InvalidInput) if `to` is the store's own file.
    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    pub async fn backup(&self, to: impl AsRef<Path>, overwrite: bool) -> MemoryStoreResult<()> {
        let to = to.as_ref().to_owned();
        if file::is_same(&to, &self.0.path) {
            return Err(MemoryStoreError::invalid("path", "must not be the file that is copied"));
        }
        let tag = new_id(self.0.clock.now());
        self.0.connections.with_reader(move |connection| backup::write(connection, &to, overwrite, tag)).await
    }

    /// The model this handle is bound to, if it has called `register_model`.
    fn model(&self) -> Option<ModelSignature> {
        self.0.model.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn reembeds_to(&self) -> MutexGuard<'_, Option<ModelSignature>> {
        self.0.reembeds_to.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> MemoryStoreResult<T> + Send + 'static,
    ) -> MemoryStoreResult<T> {
        self.0.connections.read(work).await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> MemoryStoreResult<T> + Send + 'static,
    ) -> MemoryStoreResult<T> {
        self.0.connections.write(work).await
    }

    /// If there is a token, only if it is still that of the store.
    async fn insert_all(
        &self,
        records: &[MemoryRecord],
        since: Option<ChangeToken>,
    ) -> MemoryStoreResult<()> {
        limits::check_len("records", records.len(), limits::MAX_BATCH)?;
        let records = records
            .iter()
            .map(|record| Prepared::new(record).map(Prepared::into_static))
            .collect::<MemoryStoreResult<Vec<_>>>()?;
        if records.is_empty() {
            return Ok(());
        }
        let model = self.model();
        self.write(move |tx| records::insert_all(tx, &records, since, model.as_ref())).await
    }

    async fn replace(
        &self,
        record: &MemoryRecord,
        version: Option<DateTime<Utc>>,
    ) -> MemoryStoreResult<DateTime<Utc>> {
        let record = Prepared::new(record)?.into_static();
        let (model, now) = (self.model(), self.0.clock.now());
        self.write(move |tx| records::update(tx, &record, version, model.as_ref(), now)).await
    }

    fn searcher(&self, query: &SearchQuery) -> MemoryStoreResult<Searcher> {
        query.validate()?;
        Ok(Searcher::new(query, Arc::clone(&self.0.caches), self.model(), self.0.clock.now()))
    }
}

fn bind_to(bound: &Mutex<Option<ModelSignature>>, signature: ModelSignature) {
    *bound.lock().unwrap_or_else(PoisonError::into_inner) = Some(signature);
}

impl fmt::Debug for SqliteMemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteMemoryStore").field("path", &self.0.path).finish_non_exhaustive()
    }
}

impl MemoryStore for SqliteMemoryStore {
    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn init(&self) -> MemoryStoreResult<()> {
        let path = self.0.path.clone();
        let upgrade = move |connection: &mut _| {
            schema::upgrade(connection, &path)?;
            keyword::keep_current(connection, &path)
        };
        self.0.connections.with_writer(upgrade).await
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn health_check(&self) -> MemoryStoreResult<HealthStatus> {
        let answer = self.read(|tx| {
            tx.query_row("SELECT count(*) FROM embedding_model", [], |_| Ok(())).map_err(error::map)
        });
        Ok(match answer.await {
            Ok(()) => HealthStatus::Healthy,
            Err(error) => HealthStatus::unavailable(error),
        })
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn count(&self) -> MemoryStoreResult<u64> {
        self.read(|tx| transfer::count(tx, TransferKind::Memory)).await
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn get_stats(&self) -> MemoryStoreResult<StoreStats> {
        let now = self.0.clock.now();
        self.read(move |tx| stats::collect(tx, now)).await
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn vacuum(&self) -> MemoryStoreResult<()> {
        let path = self.0.path.clone();
        self.0.connections.with_writer(move |connection| stats::vacuum(connection, &path)).await
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn diagnose(&self) -> MemoryStoreResult<Vec<Finding>> {
        self.read(diagnose::run).await
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn rebuild_indexes(&self) -> MemoryStoreResult<()> {
        let path = self.0.path.clone();
        self.0.connections.with_writer(move |connection| records::rebuild_indexes(connection, &path)).await
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn registered_model(&self) -> MemoryStoreResult<Option<ModelSignature>> {
        self.read(registry::registered).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(model = signature.name), err(level = "debug"))]
    async fn register_model(&self, signature: &ModelSignature) -> MemoryStoreResult<()> {
        signature.validate()?;
        let wanted = signature.clone();
        // Most handles find their model registered; those need not wait for a writer.
        if !self.read(move |tx| registry::agrees(tx, &wanted)).await? {
            let (wanted, now) = (signature.clone(), self.0.clock.now());
            self.write(move |tx| registry::register(tx, &wanted, now)).await?;
        }
        bind_to(&self.0.model, signature.clone());
        Ok(())
    }

    #[tracing::instrument(level = "debug", skip_all, fields(id = %record.id), err(level = "debug"))]
    async fn insert(&self, record: &MemoryRecord) -> MemoryStoreResult<()> {
        self.insert_batch(std::slice::from_ref(record)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(records = records.len()), err(level = "debug"))]
    async fn insert_batch(&self, records: &[MemoryRecord]) -> MemoryStoreResult<()> {
        self.insert_all(records, None).await
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn change_token(&self) -> MemoryStoreResult<ChangeToken> {
        self.read(|view| Ok(journal::state(view)?.token())).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(records = records.len()), err(level = "debug"))]
    async fn insert_batch_unless_changed(
        &self,
        records: &[MemoryRecord],
        since: ChangeToken,
    ) -> MemoryStoreResult<()> {
        self.insert_all(records, Some(since)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%id), err(level = "debug"))]
    async fn get(&self, id: Uuid) -> MemoryStoreResult<Option<MemoryRecord>> {
        self.read(move |tx| records::get(tx, id)).await
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn list(&self, query: &ListQuery) -> MemoryStoreResult<ListPage> {
        let limit = query.validate()?;
        let (query, now) = (query.clone(), self.0.clock.now());
        self.read(move |tx| records::list(tx, &query, limit, now)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(id = %record.id), err(level = "debug"))]
    async fn update(&self, record: &MemoryRecord) -> MemoryStoreResult<DateTime<Utc>> {
        self.replace(record, None).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(id = %record.id), err(level = "debug"))]
    async fn update_unless_changed(
        &self,
        record: &MemoryRecord,
        version: DateTime<Utc>,
    ) -> MemoryStoreResult<DateTime<Utc>> {
        self.replace(record, Some(version)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%id), err(level = "debug"))]
    async fn delete(&self, id: Uuid) -> MemoryStoreResult<()> {
        self.write(move |tx| records::delete(tx, id)).await
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn search(&self, query: &SearchQuery) -> MemoryStoreResult<Vec<SearchResult>> {
        let searcher = self.searcher(query)?;
        self.0.connections.with_reader(move |connection| searcher.run(connection)).await
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn explain_search(&self, query: &SearchQuery) -> MemoryStoreResult<SearchPlan> {
        let searcher = self.searcher(query)?;
        self.0.connections.with_reader(move |connection| searcher.explain(connection)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(ids = ids.len(), each), err(level = "debug"))]
    async fn get_context(&self, ids: &[Uuid], each: usize) -> MemoryStoreResult<Vec<SessionContext>> {
        SessionContext::check(ids.len(), each)?;
        let ids = ids.to_vec();
        self.read(move |tx| context::get(tx, &ids, each)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%memory_id), err(level = "debug"))]
    async fn get_scheduling(&self, memory_id: Uuid) -> MemoryStoreResult<Option<SchedulingState>> {
        self.read(move |tx| scheduling::get(tx, memory_id)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%memory_id), err(level = "debug"))]
    async fn update_scheduling(&self, memory_id: Uuid, state: &SchedulingState) -> MemoryStoreResult<()> {
        let state = Prepared::new(state)?.into_static();
        self.write(move |tx| scheduling::set(tx, memory_id, &state)).await
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn get_due_memories(&self, now: DateTime<Utc>, limit: usize) -> MemoryStoreResult<Vec<DueMemory>> {
        limits::check_time("now", now)?;
        let limit = limits::effective_limit(limit)?;
        self.read(move |tx| scheduling::due(tx, now, limit)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(memory_id = %event.memory_id), err(level = "debug"))]
    async fn record_review(&self, event: &ReviewEvent) -> MemoryStoreResult<()> {
        let event = Prepared::new(event)?.into_static();
        self.write(move |tx| scheduling::record(tx, &event)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%memory_id), err(level = "debug"))]
    async fn get_reviews(&self, memory_id: Uuid) -> MemoryStoreResult<Vec<ReviewEvent>> {
        self.read(move |tx| scheduling::reviews(tx, memory_id)).await
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn add_edge(&self, edge: &MemoryEdge) -> MemoryStoreResult<()> {
        let edge = Prepared::new(edge)?.into_static();
        self.write(move |tx| graph::add(tx, &edge)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%memory_id), err(level = "debug"))]
    async fn get_edges(&self, memory_id: Uuid) -> MemoryStoreResult<Vec<MemoryEdge>> {
        self.read(move |tx| graph::edges(tx, memory_id)).await
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn remove_edge(&self, source_id: Uuid, target_id: Uuid, edge_type: &str) -> MemoryStoreResult<()> {
        let edge_type = edge_type.to_owned();
        self.write(move |tx| graph::remove(tx, source_id, target_id, &edge_type)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%memory_id, depth), err(level = "debug"))]
    async fn get_neighbors(&self, memory_id: Uuid, depth: usize) -> MemoryStoreResult<Vec<Neighbor>> {
        self.read(move |tx| graph::neighbors(tx, memory_id, depth)).await
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn list_domains(&self) -> MemoryStoreResult<Vec<Domain>> {
        self.read(domains::list).await
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn get_domain(&self, id: &str) -> MemoryStoreResult<Option<Domain>> {
        let id = id.to_owned();
        self.read(move |tx| domains::get(tx, &id)).await
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn upsert_domain(&self, domain: &Domain) -> MemoryStoreResult<()> {
        let (domain, model) = (Prepared::new(domain)?.into_static(), self.model());
        self.write(move |tx| domains::upsert(tx, &domain, model.as_ref())).await
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn delete_domain(&self, id: &str) -> MemoryStoreResult<()> {
        let id = id.to_owned();
        self.write(move |tx| domains::delete(tx, &id)).await
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn classify(&self, embedding: &[f32]) -> MemoryStoreResult<Vec<DomainScore>> {
        limits::check_embedding("embedding", embedding)?;
        let (embedding, model) = (embedding.to_vec(), self.model());
        self.read(move |tx| domains::classify(tx, &embedding, model.as_ref())).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%kind), err(level = "debug"))]
    async fn count_rows(&self, kind: TransferKind) -> MemoryStoreResult<u64> {
        self.read(move |tx| transfer::count(tx, kind)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(%kind), err(level = "debug"))]
    async fn export_page(
        &self,
        kind: TransferKind,
        after: Option<&TransferKey>,
        limit: usize,
    ) -> MemoryStoreResult<TransferPage> {
        limits::check_page("limit", limit)?;
        let after = after.cloned();
        self.read(move |tx| transfer::export(tx, kind, after.as_ref(), limit)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(rows = rows.len()), err(level = "debug"))]
    async fn import_page(
        &self,
        rows: &[TransferRow],
        checkpoint: Option<Checkpoint>,
    ) -> MemoryStoreResult<ImportReport> {
        limits::check_len("rows", rows.len(), limits::MAX_BATCH)?;
        let checkpoint = checkpoint.map(Prepared::from_owned).transpose()?;
        let (rows, model) = (import::prepare(rows), self.model());
        self.write(move |tx| import::page(tx, rows, checkpoint.as_ref(), model.as_ref())).await
    }

    async fn begin_bulk_load(&self) -> MemoryStoreResult<()> {
        // Every index here is filled row by row at its full speed.
        self.write(|_| Ok(())).await
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn finish_bulk_load(&self) -> MemoryStoreResult<()> {
        let path = self.0.path.clone();
        self.0.connections.with_writer(move |connection| stats::optimize(connection, &path)).await
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn get_checkpoint(&self, name: &str) -> MemoryStoreResult<Option<Checkpoint>> {
        let name = name.to_owned();
        self.read(move |tx| transfer::checkpoint(tx, &name)).await
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn clear_checkpoint(&self, name: &str) -> MemoryStoreResult<()> {
        let name = name.to_owned();
        self.write(move |tx| transfer::clear_checkpoint(tx, &name)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(model = model.name), err(level = "debug"))]
    async fn begin_reembedding(&self, model: &ModelSignature) -> MemoryStoreResult<ReembeddingStatus> {
        model.validate()?;
        let to = model.clone();
        // At once: if the caller drops the call before the answer, the handle still takes part in no other
        // re-embedding.
        let before = self.reembeds_to().replace(model.clone());
        let begun = self.write(move |tx| reembed::begin(tx, &to)).await;
        if begun.is_err() {
            *self.reembeds_to() = before;
        }
        begun
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn reembedding_status(&self) -> MemoryStoreResult<Option<ReembeddingStatus>> {
        self.read(reembed::status).await
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn reembedding_pending(
        &self,
        after: Option<Uuid>,
        limit: usize,
    ) -> MemoryStoreResult<Vec<PendingMemory>> {
        limits::check_page("limit", limit)?;
        self.read(move |tx| reembed::pending(tx, after, limit)).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(vectors = vectors.len()), err(level = "debug"))]
    async fn write_reembedded(&self, vectors: &[ReembeddedMemory]) -> MemoryStoreResult<u64> {
        limits::check_len("vectors", vectors.len(), limits::MAX_BATCH)?;
        let (vectors, begun) = (vectors.to_vec(), self.reembeds_to().clone());
        self.write(move |tx| reembed::write(tx, &vectors, begun.as_ref())).await
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn finish_reembedding(&self) -> MemoryStoreResult<()> {
        let (now, begun) = (self.0.clock.now(), self.reembeds_to().clone());
        let bound = Arc::clone(&self.0.model);
        let finish = move |tx: &Transaction<'_>| reembed::finish(tx, begun.as_ref(), now);
        let bind = move |model: &ModelSignature| bind_to(&bound, model.clone());
        self.0.connections.write_then(finish, bind).await?;
        Ok(())
    }

    #[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
    async fn abort_reembedding(&self) -> MemoryStoreResult<()> {
        self.write(reembed::abort).await
    }
}
