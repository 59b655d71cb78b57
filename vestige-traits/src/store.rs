use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::{Domain, DomainScore};
use crate::error::MemoryStoreResult;
use crate::graph::{MemoryEdge, Neighbor};
use crate::model::ModelSignature;
use crate::page::{ListPage, ListQuery};
use crate::record::MemoryRecord;
use crate::reembed::{PendingMemory, ReembeddedMemory, ReembeddingStatus};
use crate::scheduling::{DueMemory, ReviewEvent, SchedulingState};
use crate::search::{SearchPlan, SearchQuery, SearchResult};
use crate::stats::{Finding, HealthStatus, StoreStats};
use crate::transfer::{Checkpoint, ImportReport, TransferKey, TransferKind, TransferPage, TransferRow};

/// A store of memories.
///
/// # Contract
///
/// The API is the least that a backend must provide; every backend gives the
/// same results but for [what large stores give up](#where-backends-may-differ),
/// and the conformance suite (feature `conformance`) says what that means. What
/// holds for every method:
///
/// - **Atomic.** A write happens as a whole or not at all, also when the
///   process or the server dies. What was acknowledged is durable.
/// - **Visible.** Once a write has returned, every read that begins later sees
///   it, through this handle, another handle, or another process.
/// - **Cancellation.** Dropping the future of a read loses its result and
///   nothing else. Dropping the future of a write leaves it done or not done,
///   never half done, and leaves nothing locked. What the database is busy with
///   at that moment it may bring to its end first: PostgreSQL is sent no request
///   to cancel, so a dropped [`rebuild_indexes`](Self::rebuild_indexes),
///   [`vacuum`](Self::vacuum) or index build keeps its locks until the server is
///   done with the statements that it was sent.
/// - **Errors.** A method that fails has changed nothing. Besides the errors
///   named for it, each may return the backend's own
///   ([`Backend`](crate::MemoryStoreError::Backend)) and
///   [`Unavailable`](crate::MemoryStoreError::Unavailable);
///   [`is_retryable`](crate::MemoryStoreError::is_retryable) says whether
///   calling again can help. A store opened read-only answers writes with
///   [`ReadOnly`](crate::MemoryStoreError::ReadOnly).
/// - **Input.** Every input is checked by the rules of [`limits`](crate::limits)
///   and the `validate` methods of the types; what breaks them is
///   [`InvalidInput`](crate::MemoryStoreError::InvalidInput) with field and rule.
///   Where a call could be refused for several reasons, any of them may be named.
/// - **Times** are UTC in whole microseconds; finer parts are cut off.
///   Only [`update`](Self::update) and [`update_unless_changed`](Self::update_unless_changed) touch `updated_at`.
/// - **Models.** A handle that has called [`register_model`](Self::register_model)
///   speaks for that model: once the store has been switched to another one
///   its writes of vectors and its vector searches are
///   [`ModelMismatch`](crate::MemoryStoreError::ModelMismatch), never a wrong result.
///
/// # Where backends may differ
///
/// Small stores give the same results in the same order, but for the last of
/// these cases. Large ones trade some of that for time, each at its threshold:
///
/// - **Common words, PostgreSQL, from 20,000 memories on.** Words that half a
///   percent of the memories or more hold are not counted one by one: their
///   number comes from statistics, and they bring candidates only until there
///   are 2,000. So scores and the order of results may differ.
///   `SearchSettings::exact_words` is the threshold; `u32::MAX` counts always.
/// - **Nearest vectors, PostgreSQL, from 5,000 memories on.** Without a demanded
///   phrase, and unless the filter lets few through, the HNSW index finds most
///   of the nearest: recall@10 was 0.999 with 100,000 memories and 0.981 with
///   300,000 (`cargo xtask growth`). `SearchSettings::ef_search` finds more;
///   `SearchSettings::exact_memories` is the threshold, and `u32::MAX` compares
///   every vector.
/// - **Nearest vectors, SQLite, from 4,096 on.** Sketches of the vectors rule
///   out most by bounds that hold within four standard deviations: recall@10 was
///   1.000 up to a million memories (`cargo xtask growth`).
///   `SqliteMemoryStoreBuilder::indexes_in_memory(false)` does without sketches.
/// - **Very long memories, PostgreSQL, in a store of any size.** An index entry
///   keeps 255 places of a word, and none beyond 16,383. A word that stands more
///   often in a memory counts as if it did not, and the memory as shorter;
///   a phrase of several words in a place that is not kept is not seen, neither
///   where it is demanded nor where it is excluded. Single words are seen, in
///   a text that is not ASCII those of its first half megabyte. No setting
///   changes this.
///
/// Implement `MemoryStore`, the variant whose futures are `Send`; a blanket
/// implementation gives `LocalMemoryStore`. Neither is dyn-compatible:
/// [`AnyMemoryStore`](crate::AnyMemoryStore) is for callers that choose a
/// backend at run time.
#[trait_variant::make(MemoryStore: Send)]
pub trait LocalMemoryStore {
    // ---- life ----

    /// Creates what is missing of the schema and brings an older one up to date.
    ///
    /// Constructors do this already; calling it again changes nothing.
    ///
    /// # Errors
    ///
    /// [`SchemaTooNew`](crate::MemoryStoreError::SchemaTooNew) if a newer
    /// Vestige wrote the store, which stays as it was.
    #[doc = include_str!("../doc/store/init.md")]
    async fn init(&self) -> MemoryStoreResult<()>;

    /// Whether the store answers now. A cheap question, for probes.
    ///
    /// A store that cannot be reached is [`HealthStatus::Unavailable`], not an error.
    #[doc = include_str!("../doc/store/health_check.md")]
    async fn health_check(&self) -> MemoryStoreResult<HealthStatus>;

    /// How many memories there are.
    #[doc = include_str!("../doc/store/count.md")]
    async fn count(&self) -> MemoryStoreResult<u64>;

    /// What the store holds, in one consistent view.
    #[doc = include_str!("../doc/store/get_stats.md")]
    async fn get_stats(&self) -> MemoryStoreResult<StoreStats>;

    /// Gives space of deleted memories back and refreshes the statistics behind searches.
    ///
    /// Slow on a large store. Other work of this handle goes on, or waits, but does not fail. That of others waits for
    /// as long as they wait for anything, and then fails with a
    /// [retryable](crate::MemoryStoreError::is_retryable) error: on SQLite a writer by another handle or in another
    /// process waits for its busy timeout, 30 seconds by default.
    #[doc = include_str!("../doc/store/vacuum.md")]
    async fn vacuum(&self) -> MemoryStoreResult<()>;

    /// Examines the store thoroughly: its schema, its indexes against its rows, its settings.
    ///
    /// Reads everything, so it is slow on a large store; changes nothing. What
    /// is in order is reported too, as [`Severity::Ok`](crate::Severity::Ok).
    #[doc = include_str!("../doc/store/diagnose.md")]
    async fn diagnose(&self) -> MemoryStoreResult<Vec<Finding>>;

    /// Makes everything that is derived from the rows anew: keyword index, vector index, statistics.
    ///
    /// Slow on a large store. Other work goes on, or waits, and may fail at its time limits, as for
    /// [`vacuum`](Self::vacuum); on PostgreSQL all of it waits, and calls that find every connection of their pool
    /// waiting fail after its `acquire_timeout`, 10 seconds by default. The rows stay as they are.
    #[doc = include_str!("../doc/store/rebuild_indexes.md")]
    async fn rebuild_indexes(&self) -> MemoryStoreResult<()>;

    // ---- model registry ----

    /// The model that the store's vectors belong to; none in a new store.
    #[doc = include_str!("../doc/store/registered_model.md")]
    async fn registered_model(&self) -> MemoryStoreResult<Option<ModelSignature>>;

    /// Says which model the vectors of this handle belong to, and registers it in a store that has none.
    ///
    /// Idempotent. From then on vectors of the model's dimension are welcome.
    ///
    /// # Errors
    ///
    /// [`ModelMismatch`](crate::MemoryStoreError::ModelMismatch) if the store
    /// holds another model; the handle then speaks for the model it spoke for before.
    #[doc = include_str!("../doc/store/register_model.md")]
    async fn register_model(&self, signature: &ModelSignature) -> MemoryStoreResult<()>;

    // ---- records ----

    /// Adds a memory as it is, times included.
    ///
    /// # Errors
    ///
    /// - [`AlreadyExists`](crate::MemoryStoreError::AlreadyExists) if its id is taken.
    /// - [`ModelNotRegistered`](crate::MemoryStoreError::ModelNotRegistered) if it has a vector and the
    ///   store has no model; [`ModelMismatch`](crate::MemoryStoreError::ModelMismatch) if its vector is
    ///   of another length.
    /// - [`InvalidInput`](crate::MemoryStoreError::InvalidInput) naming `owner_user_id` if there is no such user.
    #[doc = include_str!("../doc/store/insert.md")]
    async fn insert(&self, record: &MemoryRecord) -> MemoryStoreResult<()>;

    /// Adds up to [`MAX_BATCH`](crate::limits::MAX_BATCH) memories, all or none. An empty batch does nothing.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert), for a memory that is refused; also
    /// [`AlreadyExists`](crate::MemoryStoreError::AlreadyExists) for an id that occurs twice in the batch.
    #[doc = include_str!("../doc/store/insert_batch.md")]
    async fn insert_batch(&self, records: &[MemoryRecord]) -> MemoryStoreResult<()>;

    /// The memory with this id; none if there is none.
    #[doc = include_str!("../doc/store/get.md")]
    async fn get(&self, id: Uuid) -> MemoryStoreResult<Option<MemoryRecord>>;

    /// A page of memories, newest `created_at` first, equal times by ascending id.
    ///
    /// A keyset cursor: memories that come or go meanwhile neither repeat nor
    /// hide others. Never fewer than `limit` records where as many match.
    #[doc = include_str!("../doc/store/list.md")]
    async fn list(&self, query: &ListQuery) -> MemoryStoreResult<ListPage>;

    /// Replaces every field of the memory with the same id, and sets its `updated_at`.
    ///
    /// Returns the `updated_at` that was set: the store's time, or one
    /// microsecond after the previous `updated_at` if that is later, so that
    /// versions of a memory never share a time. Scheduling, edges and reviews stay.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::MemoryStoreError::NotFound) if there is no such
    /// memory; vectors and owners as for [`insert`](Self::insert).
    #[doc = include_str!("../doc/store/update.md")]
    async fn update(&self, record: &MemoryRecord) -> MemoryStoreResult<DateTime<Utc>>;

    /// The same, of a memory that is still the version with this `updated_at`: for who has read it, and changes a part.
    ///
    /// # Errors
    ///
    /// [`Conflict`](crate::MemoryStoreError::Conflict) if it was updated meanwhile, and then nothing is changed: read it
    /// again; otherwise as for [`update`](Self::update).
    #[doc = include_str!("../doc/store/update_unless_changed.md")]
    async fn update_unless_changed(
        &self,
        record: &MemoryRecord,
        version: DateTime<Utc>,
    ) -> MemoryStoreResult<DateTime<Utc>>;

    /// Removes a memory with its scheduling and its edges. Its reviews stay in the log.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::MemoryStoreError::NotFound) if there is no such memory.
    #[doc = include_str!("../doc/store/delete.md")]
    async fn delete(&self, id: Uuid) -> MemoryStoreResult<()>;

    // ---- search ----

    /// Finds memories by words, by meaning, or by both, as [`SearchQuery::mode`] says.
    ///
    /// - **[`Hybrid`](crate::SearchMode::Hybrid)**, the default, has two legs, whose results `query.fusion` makes one
    ///   ranking: the keyword leg ranks by the words of `text`, the vector leg by `embedding`. Where one leg has
    ///   nothing to look for (no `text` with a searchable word, or no `embedding`), the other one alone answers.
    /// - **[`Keyword`](crate::SearchMode::Keyword)** is the keyword leg alone: BM25 over content, type and tags. Any
    ///   word may match, rare words count for more, and English stop words have no weight. `embedding` is validated
    ///   and otherwise ignored, so one of another model is no error.
    /// - **[`Vector`](crate::SearchMode::Vector)** is the vector leg alone: cosine similarity, whatever its sign. The
    ///   words of `text` count nothing; without an `embedding` nothing is found.
    ///
    /// The filter, and the phrases and exclusions of the text, hold in every mode and inside both legs: where `limit`
    /// memories match, `limit` come back. A text that only excludes finds nothing by words. Memories without a vector
    /// are found by words alone. In a store without a model the vector finds nothing.
    ///
    /// Best score first, equal scores by ascending id; the same data in one store gives the same order every time.
    /// What a large store may leave out stands under [where backends may differ](#where-backends-may-differ).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::MemoryStoreError::InvalidInput) by
    /// [`SearchQuery::validate`];
    /// [`ModelMismatch`](crate::MemoryStoreError::ModelMismatch) for a vector
    /// of another model, where the mode ranks by vector.
    #[doc = include_str!("../doc/store/search.md")]
    async fn search(&self, query: &SearchQuery) -> MemoryStoreResult<Vec<SearchResult>>;

    /// How [`search`](Self::search) would answer this question now, for people. The text is not stable.
    ///
    /// # Errors
    ///
    /// Those of [`search`](Self::search).
    #[doc = include_str!("../doc/store/explain_search.md")]
    async fn explain_search(&self, query: &SearchQuery) -> MemoryStoreResult<SearchPlan>;

    // ---- scheduling ----

    /// The scheduling state of a memory; none if it has none, or if there is no such memory.
    #[doc = include_str!("../doc/store/get_scheduling.md")]
    async fn get_scheduling(&self, memory_id: Uuid) -> MemoryStoreResult<Option<SchedulingState>>;

    /// Sets the scheduling state of a memory, without an event in the log. Idempotent.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::MemoryStoreError::NotFound) if there is no such memory.
    #[doc = include_str!("../doc/store/update_scheduling.md")]
    async fn update_scheduling(&self, memory_id: Uuid, state: &SchedulingState) -> MemoryStoreResult<()>;

    /// Memories whose `next_review` is `now` or earlier: longest overdue first, equal times by
    /// ascending id, at most `limit` (as for [`SearchQuery::limit`]). Those without a `next_review` are left out.
    #[doc = include_str!("../doc/store/get_due_memories.md")]
    async fn get_due_memories(&self, now: DateTime<Utc>, limit: usize) -> MemoryStoreResult<Vec<DueMemory>>;

    /// Appends a review to the log and replaces the scheduling state by its `new_state`, in one transaction.
    ///
    /// Nothing changes an event afterwards. Recording the same event again changes nothing.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](crate::MemoryStoreError::NotFound) if there is no such memory.
    /// - [`Conflict`](crate::MemoryStoreError::Conflict) if the present state is not `prior_state`:
    ///   somebody else reviewed first. Read the state and compute again.
    /// - [`AlreadyExists`](crate::MemoryStoreError::AlreadyExists) if another event has this id.
    #[doc = include_str!("../doc/store/record_review.md")]
    async fn record_review(&self, event: &ReviewEvent) -> MemoryStoreResult<()>;

    /// The reviews of a memory, oldest first, equal times by ascending id. Also those of a deleted memory.
    #[doc = include_str!("../doc/store/get_reviews.md")]
    async fn get_reviews(&self, memory_id: Uuid) -> MemoryStoreResult<Vec<ReviewEvent>>;

    // ---- graph ----

    /// Draws an edge. One with the same key gets the new weight and keeps its `created_at`. Idempotent.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::MemoryStoreError::NotFound) naming the end that does not exist.
    #[doc = include_str!("../doc/store/add_edge.md")]
    async fn add_edge(&self, edge: &MemoryEdge) -> MemoryStoreResult<()>;

    /// The edges that start or end at a memory, ascending by source, target and type (byte order).
    /// None where there is no such memory.
    #[doc = include_str!("../doc/store/get_edges.md")]
    async fn get_edges(&self, memory_id: Uuid) -> MemoryStoreResult<Vec<MemoryEdge>>;

    /// Removes an edge.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::MemoryStoreError::NotFound) if there is no such edge.
    #[doc = include_str!("../doc/store/remove_edge.md")]
    async fn remove_edge(&self, source_id: Uuid, target_id: Uuid, edge_type: &str) -> MemoryStoreResult<()>;

    /// The memories within `depth` edges, breadth first, edges followed both ways.
    ///
    /// The score is the product of the weights along the best path of at most
    /// `depth` edges. Fewer hops first, then the higher score, then the lower
    /// id; the memory itself is left out; at most
    /// [`MAX_NEIGHBORS`](crate::limits::MAX_NEIGHBORS). A `depth` of 0 gives nothing.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::MemoryStoreError::NotFound) if there is no such memory;
    /// [`InvalidInput`](crate::MemoryStoreError::InvalidInput) for a `depth` above
    /// [`MAX_NEIGHBOR_DEPTH`](crate::limits::MAX_NEIGHBOR_DEPTH).
    #[doc = include_str!("../doc/store/get_neighbors.md")]
    async fn get_neighbors(&self, memory_id: Uuid, depth: usize) -> MemoryStoreResult<Vec<Neighbor>>;

    // ---- domains ----

    /// All domains, by id in byte order.
    #[doc = include_str!("../doc/store/list_domains.md")]
    async fn list_domains(&self) -> MemoryStoreResult<Vec<Domain>>;

    /// The domain with this id; none if there is none.
    #[doc = include_str!("../doc/store/get_domain.md")]
    async fn get_domain(&self, id: &str) -> MemoryStoreResult<Option<Domain>>;

    /// Adds a domain, or replaces every field of the one with the same id. Idempotent.
    ///
    /// # Errors
    ///
    /// For a centroid, the same as for a vector in [`insert`](Self::insert).
    #[doc = include_str!("../doc/store/upsert_domain.md")]
    async fn upsert_domain(&self, domain: &Domain) -> MemoryStoreResult<()>;

    /// Removes a domain. Memories keep their scores for it.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::MemoryStoreError::NotFound) if there is no such domain.
    #[doc = include_str!("../doc/store/delete_domain.md")]
    async fn delete_domain(&self, id: &str) -> MemoryStoreResult<()>;

    /// How near a vector is to every domain that has a centroid, as cosine similarity: best first, equal scores by
    /// id. Nothing in a store without a model.
    ///
    /// # Errors
    ///
    /// As for the vector of a [`search`](Self::search).
    #[doc = include_str!("../doc/store/classify.md")]
    async fn classify(&self, embedding: &[f32]) -> MemoryStoreResult<Vec<DomainScore>>;

    // ---- transfer ----

    /// How many rows of a kind there are.
    #[doc = include_str!("../doc/store/count_rows.md")]
    async fn count_rows(&self, kind: TransferKind) -> MemoryStoreResult<u64>;

    /// A page of everything of a kind, ascending by key, beginning after `after`.
    ///
    /// `limit` is 1 to [`MAX_BATCH`](crate::limits::MAX_BATCH). Rows that
    /// cannot be read are listed beside the rows and stop nothing. A row that
    /// can be read and breaks a rule is a row: who takes it in refuses it.
    #[doc = include_str!("../doc/store/export_page.md")]
    async fn export_page(
        &self,
        kind: TransferKind,
        after: Option<&TransferKey>,
        limit: usize,
    ) -> MemoryStoreResult<TransferPage>;

    /// Takes in rows as they are, ids and times included, and writes the checkpoint, in one transaction.
    ///
    /// Idempotent: a row that is there with the same content counts as
    /// unchanged. A row that is there with other content, or that breaks a
    /// rule, is reported and not written; the other rows are. At most
    /// [`MAX_BATCH`](crate::limits::MAX_BATCH) rows, of any kinds, in an order
    /// in which nothing comes before what it refers to. Events of the review
    /// log refer to nothing, since the log outlives its memories.
    ///
    /// # Errors
    ///
    /// [`ModelMismatch`](crate::MemoryStoreError::ModelMismatch) for a row with a vector from a handle that speaks
    /// for another model than the store's; [`InvalidInput`](crate::MemoryStoreError::InvalidInput) for too many
    /// rows or an invalid checkpoint; a retryable [`Unavailable`](crate::MemoryStoreError::Unavailable) where others
    /// keep changing the same rows. A vector that does not fit the store is a rejected row.
    #[doc = include_str!("../doc/store/import_page.md")]
    async fn import_page(
        &self,
        rows: &[TransferRow],
        checkpoint: Option<Checkpoint>,
    ) -> MemoryStoreResult<ImportReport>;

    /// Prepares for many [`import_page`](Self::import_page)s: indexes that are slow to fill row by row may be dropped.
    ///
    /// Searches stay right and may be slow until [`finish_bulk_load`](Self::finish_bulk_load). Idempotent.
    #[doc = include_str!("../doc/store/begin_bulk_load.md")]
    async fn begin_bulk_load(&self) -> MemoryStoreResult<()>;

    /// Builds again what [`begin_bulk_load`](Self::begin_bulk_load) dropped, and refreshes statistics. Idempotent.
    #[doc = include_str!("../doc/store/finish_bulk_load.md")]
    async fn finish_bulk_load(&self) -> MemoryStoreResult<()>;

    /// The checkpoint of this name; none if there is none.
    #[doc = include_str!("../doc/store/get_checkpoint.md")]
    async fn get_checkpoint(&self, name: &str) -> MemoryStoreResult<Option<Checkpoint>>;

    /// Removes the checkpoint of this name, if there is one.
    #[doc = include_str!("../doc/store/clear_checkpoint.md")]
    async fn clear_checkpoint(&self, name: &str) -> MemoryStoreResult<()>;

    // ---- re-embedding ----

    /// Begins to build vectors of another model beside the present ones, or goes on with it.
    ///
    /// Searches and writes go on with the present model until the switch.
    ///
    /// # Errors
    ///
    /// [`Conflict`](crate::MemoryStoreError::Conflict) if a re-embedding to a
    /// third model is under way, or if the switch would lose what others have
    /// put into the store's database, such as a column of their own;
    /// [`InvalidInput`](crate::MemoryStoreError::InvalidInput) if the store is on this model already.
    #[doc = include_str!("../doc/store/begin_reembedding.md")]
    async fn begin_reembedding(&self, model: &ModelSignature) -> MemoryStoreResult<ReembeddingStatus>;

    /// How far the re-embedding has come; none if none is under way.
    #[doc = include_str!("../doc/store/reembedding_status.md")]
    async fn reembedding_status(&self) -> MemoryStoreResult<Option<ReembeddingStatus>>;

    /// Up to `limit` memories (1 to [`MAX_BATCH`](crate::limits::MAX_BATCH)) that are still to do, ascending by
    /// id, after `after`.
    ///
    /// New memories appear here, and so does every one that was updated, so the work is done when a page from
    /// the start is empty.
    ///
    /// # Errors
    ///
    /// [`Conflict`](crate::MemoryStoreError::Conflict) if no re-embedding is under way.
    #[doc = include_str!("../doc/store/reembedding_pending.md")]
    async fn reembedding_pending(
        &self,
        after: Option<Uuid>,
        limit: usize,
    ) -> MemoryStoreResult<Vec<PendingMemory>>;

    /// Stores new vectors beside the present ones, and says how many were taken.
    ///
    /// A vector of a text that has changed since, or of a memory that is gone, is passed over.
    ///
    /// A vector does not name its model, so a handle that has begun a re-embedding takes part in no other one until it
    /// begins that: somebody else may have aborted the first and begun a second meanwhile, of the same dimension. A
    /// `begin_reembedding` whose future was dropped counts as begun.
    ///
    /// # Errors
    ///
    /// [`Conflict`](crate::MemoryStoreError::Conflict) if no re-embedding is under way, or another one than this handle
    /// has begun last;
    /// [`ModelMismatch`](crate::MemoryStoreError::ModelMismatch) for a vector of another length than the new model's.
    #[doc = include_str!("../doc/store/write_reembedded.md")]
    async fn write_reembedded(&self, vectors: &[ReembeddedMemory]) -> MemoryStoreResult<u64>;

    /// Switches vectors, dimension and registry to the new model in one short transaction.
    ///
    /// Afterwards this handle speaks for the new model, also if the future was dropped before it answered. The centroids of domains, which belong to the old one, are
    /// dropped. `updated_at` of the memories stays.
    ///
    /// # Errors
    ///
    /// [`Conflict`](crate::MemoryStoreError::Conflict) if no re-embedding is under way, or another one than this handle
    /// has begun last, while memories are still to do, or if the switch would lose what others have put into the
    /// store's database.
    #[doc = include_str!("../doc/store/finish_reembedding.md")]
    async fn finish_reembedding(&self) -> MemoryStoreResult<()>;

    /// Drops what was built for the new model; the present vectors stay. Does nothing if no re-embedding is under way.
    #[doc = include_str!("../doc/store/abort_reembedding.md")]
    async fn abort_reembedding(&self) -> MemoryStoreResult<()>;
}
