use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::change_token::ChangeToken;
use crate::context::SessionContext;
use crate::domain::{Domain, DomainScore};
use crate::error::MemoryStoreResult;
use crate::graph::{MemoryEdge, Neighbor};
use crate::model::ModelSignature;
use crate::page::{ListPage, ListQuery};
use crate::plan::SearchPlan;
use crate::record::MemoryRecord;
use crate::reembed::{PendingMemory, ReembeddedMemory, ReembeddingStatus};
use crate::scheduling::{DueMemory, ReviewEvent, SchedulingState};
use crate::search::{SearchQuery, SearchResult};
use crate::stats::{Finding, HealthStatus, StoreStats};
use crate::transfer::{Checkpoint, ImportReport, TransferKey, TransferKind, TransferPage, TransferRow};

/// A store of memories.
///
/// # Contract
///
/// Every backend implements these methods and gives the same results, except
/// for [what large stores may give up](#where-backends-may-differ). The
/// conformance suite, the crate [`vestige-conformance`](https://docs.rs/vestige-conformance),
/// tests it. The following holds for every method:
///
/// - **Atomic.** A write happens as a whole or not at all, even if the process
///   or the server dies. A write that has returned without an error is durable.
/// - **Visible.** Once a write has returned, every read that begins later sees
///   it, through this handle, another handle, or another process.
/// - **Cancellation.** Dropping the future of a read loses its result and nothing else. Dropping the future
///   of a write leaves the write done or not done, never half done, and leaves nothing locked. The backend
///   may first finish the statement that is running at that moment: a dropped
///   [`rebuild_indexes`](Self::rebuild_indexes), [`vacuum`](Self::vacuum) or index build may keep its locks
///   until then.
/// - **Errors.** A method that fails has changed nothing. Besides the errors that its documentation names,
///   each method may return [`Backend`](crate::MemoryStoreError::Backend) and
///   [`Unavailable`](crate::MemoryStoreError::Unavailable).
///   [`is_retryable`](crate::MemoryStoreError::is_retryable) says whether the same call may succeed later. In
///   a store that is opened read-only, writes return [`ReadOnly`](crate::MemoryStoreError::ReadOnly).
/// - **Input.** Every input is checked by the rules of [`limits`](crate::limits) and the `validate` methods
///   of the types. Input that breaks a rule is [`InvalidInput`](crate::MemoryStoreError::InvalidInput), which
///   names the field and the rule. If an input breaks several rules, the error may name any of them.
/// - **Times** are UTC in whole microseconds; finer parts are cut off. Only [`update`](Self::update) and
///   [`update_unless_changed`](Self::update_unless_changed) touch `updated_at`.
/// - **Models.** A handle that has called [`register_model`](Self::register_model) is bound to that model.
///   After the store has been switched to another model, writes of vectors and vector searches by this handle
///   return [`ModelMismatch`](crate::MemoryStoreError::ModelMismatch), never a wrong result.
///
/// # Where backends may differ
///
/// Small stores give the same results in the same order on every backend. A large store may give up some of
/// that for speed:
///
/// - **Common words.** The backend may estimate how many memories contain a
///   common word, and may stop collecting candidates for such words once it has
///   enough. Scores and the order of results may then differ.
/// - **Nearest vectors.** The vector leg may be approximate: some of the nearest
///   memories may be missing from it.
///
/// The documentation of each backend names its thresholds, the settings that change them, and the recall that
/// was measured: see "What large stores give up" in [`vestige-sqlite`](https://docs.rs/vestige-sqlite) and
/// [`vestige-postgres`](https://docs.rs/vestige-postgres).
///
/// # Implementing it
///
/// Implement `MemoryStore`, the variant whose futures are `Send`. A blanket implementation then provides
/// `LocalMemoryStore`. Neither trait is dyn-compatible: callers that choose a backend at run time use
/// [`AnyMemoryStore`](crate::AnyMemoryStore). The module [`backend`](crate::backend) has helpers for
/// implementors.
#[trait_variant::make(MemoryStore: Send)]
pub trait LocalMemoryStore {
    // ---- life ----

    /// Creates the schema where it is missing and upgrades an older one.
    ///
    /// Constructors already do this; another call changes nothing.
    ///
    /// # Errors
    ///
    /// [`SchemaTooNew`](crate::MemoryStoreError::SchemaTooNew) if a newer
    /// Vestige wrote the store, which stays as it was.
    #[doc = include_str!("../doc/store/init.md")]
    async fn init(&self) -> MemoryStoreResult<()>;

    /// Whether the store answers now. Cheap enough for periodic health checks.
    ///
    /// For a store that cannot be reached the answer is [`HealthStatus::Unavailable`], not an error.
    #[doc = include_str!("../doc/store/health_check.md")]
    async fn health_check(&self) -> MemoryStoreResult<HealthStatus>;

    /// The number of memories.
    #[doc = include_str!("../doc/store/count.md")]
    async fn count(&self) -> MemoryStoreResult<u64>;

    /// Counts of what the store contains, all from one consistent view.
    #[doc = include_str!("../doc/store/get_stats.md")]
    async fn get_stats(&self) -> MemoryStoreResult<StoreStats>;

    /// Reclaims the space of deleted memories and refreshes the statistics that searches use.
    ///
    /// Slow on a large store. Other calls through this handle may wait, but do not fail because of it. Calls
    /// through other handles and other processes wait at most for their own timeout, and then fail with a
    /// [retryable](crate::MemoryStoreError::is_retryable) error. The documentation of each backend names its
    /// timeouts.
    #[doc = include_str!("../doc/store/vacuum.md")]
    async fn vacuum(&self) -> MemoryStoreResult<()>;

    /// Checks the whole store: its schema, its settings, and its indexes against its rows.
    ///
    /// Reads everything, so it is slow on a large store. Changes nothing. A check
    /// that passes is reported too, as [`Severity::Ok`](crate::stats::Severity::Ok).
    #[doc = include_str!("../doc/store/diagnose.md")]
    async fn diagnose(&self) -> MemoryStoreResult<Vec<Finding>>;

    /// Builds everything anew that is derived from the rows: keyword index, vector index, statistics.
    ///
    /// Slow on a large store. The rows do not change. Other calls may wait, and fail with a
    /// [retryable](crate::MemoryStoreError::is_retryable) error when their timeout ends.
    #[doc = include_str!("../doc/store/rebuild_indexes.md")]
    async fn rebuild_indexes(&self) -> MemoryStoreResult<()>;

    // ---- model registry ----

    /// The model that the store's vectors belong to; `None` in a new store.
    #[doc = include_str!("../doc/store/registered_model.md")]
    async fn registered_model(&self) -> MemoryStoreResult<Option<ModelSignature>>;

    /// Binds this handle to a model, and registers the model in a store that has none.
    ///
    /// Idempotent. From then on the handle accepts vectors of the model's dimension.
    ///
    /// # Errors
    ///
    /// [`ModelMismatch`](crate::MemoryStoreError::ModelMismatch) if the store
    /// has another model; the handle then stays bound as it was before.
    #[doc = include_str!("../doc/store/register_model.md")]
    async fn register_model(&self, signature: &ModelSignature) -> MemoryStoreResult<()>;

    // ---- records ----

    /// Adds a memory exactly as given, including its times.
    ///
    /// # Errors
    ///
    /// - [`AlreadyExists`](crate::MemoryStoreError::AlreadyExists) if its id is taken.
    /// - [`ModelNotRegistered`](crate::MemoryStoreError::ModelNotRegistered) if it has a vector and the
    ///   store has no model; [`ModelMismatch`](crate::MemoryStoreError::ModelMismatch) if its vector is
    ///   of another length.
    /// - [`InvalidInput`](crate::MemoryStoreError::InvalidInput) naming `owner_user_id` if there is no such
    ///   user.
    #[doc = include_str!("../doc/store/insert.md")]
    async fn insert(&self, record: &MemoryRecord) -> MemoryStoreResult<()>;

    /// Adds up to [`MAX_BATCH`](crate::limits::MAX_BATCH) memories, all or none. An empty batch does nothing.
    ///
    /// # Errors
    ///
    /// As for [`insert`](Self::insert), if any memory is refused; also
    /// [`AlreadyExists`](crate::MemoryStoreError::AlreadyExists) for an id that occurs twice in the batch.
    #[doc = include_str!("../doc/store/insert_batch.md")]
    async fn insert_batch(&self, records: &[MemoryRecord]) -> MemoryStoreResult<()>;

    /// The present state of the store, for
    /// [`insert_batch_unless_changed`](Self::insert_batch_unless_changed).
    ///
    /// Two tokens of one store are equal only if no memory was added between them.
    #[doc = include_str!("../doc/store/change_token.md")]
    async fn change_token(&self) -> MemoryStoreResult<ChangeToken>;

    /// Does what [`insert_batch`](Self::insert_batch) does, but only if no memory was added since `since`,
    /// which is a [`change_token`](Self::change_token) of this store: not through this handle, another
    /// handle, or another process, by whichever method. An empty batch does nothing, whatever was added.
    ///
    /// For callers that search, and store what they did not find (optimistic locking): the search and the
    /// write are then one step to every other such caller. A backend may count other changes of memories,
    /// such as an update or [`vacuum`](Self::vacuum), as well. It may let several of these calls wait for
    /// each other; other methods wait for them no longer than for an insert.
    ///
    /// # Errors
    ///
    /// [`Conflict`](crate::MemoryStoreError::Conflict) if memories were added meanwhile; nothing is added
    /// then, so read the token again, search again and decide again. Otherwise as for
    /// [`insert_batch`](Self::insert_batch).
    #[doc = include_str!("../doc/store/insert_batch_unless_changed.md")]
    async fn insert_batch_unless_changed(
        &self,
        records: &[MemoryRecord],
        since: ChangeToken,
    ) -> MemoryStoreResult<()>;

    /// The memory with this id; `None` if there is no such memory.
    #[doc = include_str!("../doc/store/get.md")]
    async fn get(&self, id: Uuid) -> MemoryStoreResult<Option<MemoryRecord>>;

    /// A page of memories, newest `created_at` first, equal times by ascending id.
    ///
    /// Pages are joined by a keyset cursor, so memories that are added or deleted between two pages make no
    /// other memory appear twice or be left out. A page has `limit` records if as many match.
    #[doc = include_str!("../doc/store/list.md")]
    async fn list(&self, query: &ListQuery) -> MemoryStoreResult<ListPage>;

    /// Replaces every field of the memory with the same id, and sets its `updated_at`.
    ///
    /// Returns the `updated_at` that was set: the store's time, or one microsecond after the previous
    /// `updated_at` if that is later, so that two versions of a memory never have the same time. Scheduling,
    /// edges and reviews stay as they are.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::MemoryStoreError::NotFound) if there is no such
    /// memory; for its vector and its owner, as for [`insert`](Self::insert).
    #[doc = include_str!("../doc/store/update.md")]
    async fn update(&self, record: &MemoryRecord) -> MemoryStoreResult<DateTime<Utc>>;

    /// Does what [`update`](Self::update) does, but only if the memory's `updated_at` is still `version`.
    ///
    /// For callers that read a memory, change a part of it and write it back (optimistic locking).
    ///
    /// # Errors
    ///
    /// [`Conflict`](crate::MemoryStoreError::Conflict) if the memory was updated meanwhile; nothing is
    /// changed then, so read it again and repeat the change. Otherwise as for [`update`](Self::update).
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
    /// - **[`Hybrid`](crate::SearchMode::Hybrid)**, the default, has two legs, whose results `query.fusion`
    ///   makes one ranking: the keyword leg ranks by the words of `text`, the vector leg by `embedding`.
    ///   Where one leg has nothing to look for (no `text` with a searchable word, or no `embedding`), the
    ///   other one alone answers.
    /// - **[`Keyword`](crate::SearchMode::Keyword)** is the keyword leg alone: BM25 over content, type and
    ///   tags. Any word may match, rare words count for more, and English stop words have no weight.
    ///   `embedding` is validated and otherwise ignored, so one of another model is no error.
    /// - **[`Vector`](crate::SearchMode::Vector)** is the vector leg alone: cosine similarity, whatever its
    ///   sign. The words of `text` count nothing; without an `embedding` nothing is found.
    ///
    /// The filter, and the phrases and exclusions of the text, hold in every mode and inside both legs: where
    /// `limit` memories match, `limit` come back. A text that only excludes finds nothing by words. Memories
    /// without a vector are found by words alone. In a store without a model the vector finds nothing.
    ///
    /// Memories that were created at one of the [`times`](SearchQuery::times) of the query, or soon after,
    /// gain a part of their score, in every mode, before the best of what the legs found are chosen. No
    /// memory is excluded, and without times nothing changes.
    ///
    /// Memories of one [`session`](MemoryRecord::session) lend each other score, unless
    /// [`SearchQuery::sessions`] is off: each of the first 50 results lends a part of its score to the two
    /// memories before it and the two after it in the session, and one that ends in a question lends more to
    /// the next and gives up some of its own. A memory that neither leg found may come in so, in every mode;
    /// the filter, the phrases and the exclusions hold for it too. In a store without sessions nothing
    /// changes.
    ///
    /// Best score first, of equal scores the newest `created_at` first, then the lowest id; the same data in
    /// one store gives the same order every time. What a large store may leave out stands under [where
    /// backends may differ](#where-backends-may-differ).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::MemoryStoreError::InvalidInput) by [`SearchQuery::validate`];
    /// [`ModelMismatch`](crate::MemoryStoreError::ModelMismatch) for a vector of another model, where the
    /// mode ranks by vector.
    #[doc = include_str!("../doc/store/search.md")]
    async fn search(&self, query: &SearchQuery) -> MemoryStoreResult<Vec<SearchResult>>;

    /// How [`search`](Self::search) would answer this question now, in words for people. The text may change
    /// in any version.
    ///
    /// # Errors
    ///
    /// Those of [`search`](Self::search).
    #[doc = include_str!("../doc/store/explain_search.md")]
    async fn explain_search(&self, query: &SearchQuery) -> MemoryStoreResult<SearchPlan>;

    /// What stands just before and just after memories in their [sessions](MemoryRecord::session): for each
    /// id, in the order of `ids`, at most `each` memories before it and `each` after it, all from one
    /// consistent view.
    ///
    /// Memories of one session stand in it by (`created_at`, `id`). No filter holds: the context is what was
    /// said there. It is empty for a memory that is part of no session, and where there is no such memory,
    /// since one that was just found may be deleted meanwhile. An id may occur twice. An `each` of 0 gives
    /// empty contexts.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::MemoryStoreError::InvalidInput) by [`SessionContext::check`]: at most
    /// [`MAX_LIMIT`](crate::limits::MAX_LIMIT) ids, [`MAX_CONTEXT`](crate::limits::MAX_CONTEXT) for each, and
    /// `MAX_LIMIT` for all ids together.
    #[doc = include_str!("../doc/store/get_context.md")]
    async fn get_context(&self, ids: &[Uuid], each: usize) -> MemoryStoreResult<Vec<SessionContext>>;

    // ---- scheduling ----

    /// The scheduling state of a memory; `None` if it has no state, or if there is no such memory.
    #[doc = include_str!("../doc/store/get_scheduling.md")]
    async fn get_scheduling(&self, memory_id: Uuid) -> MemoryStoreResult<Option<SchedulingState>>;

    /// Sets the scheduling state of a memory, without adding a review to the log. Idempotent.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::MemoryStoreError::NotFound) if there is no such memory.
    #[doc = include_str!("../doc/store/update_scheduling.md")]
    async fn update_scheduling(&self, memory_id: Uuid, state: &SchedulingState) -> MemoryStoreResult<()>;

    /// Memories whose `next_review` is `now` or earlier: longest overdue first, equal times by ascending id,
    /// at most `limit` (as for [`SearchQuery::limit`]). Those without a `next_review` are left out.
    #[doc = include_str!("../doc/store/get_due_memories.md")]
    async fn get_due_memories(&self, now: DateTime<Utc>, limit: usize) -> MemoryStoreResult<Vec<DueMemory>>;

    /// Appends a review to the log and replaces the scheduling state by its `new_state`, in one transaction.
    ///
    /// An event never changes afterwards. Recording the same event again changes nothing.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](crate::MemoryStoreError::NotFound) if there is no such memory.
    /// - [`Conflict`](crate::MemoryStoreError::Conflict) if the current state is not `prior_state`:
    ///   another review came first. Read the state and compute the new one again.
    /// - [`AlreadyExists`](crate::MemoryStoreError::AlreadyExists) if a different event has this id.
    #[doc = include_str!("../doc/store/record_review.md")]
    async fn record_review(&self, event: &ReviewEvent) -> MemoryStoreResult<()>;

    /// The reviews of a memory, oldest first, equal times by ascending id. Works for a deleted memory too.
    #[doc = include_str!("../doc/store/get_reviews.md")]
    async fn get_reviews(&self, memory_id: Uuid) -> MemoryStoreResult<Vec<ReviewEvent>>;

    // ---- graph ----

    /// Adds an edge. If there is one with the same source, target and type, it gets the new weight and keeps
    /// its `created_at`. Idempotent.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::MemoryStoreError::NotFound) naming the memory that does not exist.
    #[doc = include_str!("../doc/store/add_edge.md")]
    async fn add_edge(&self, edge: &MemoryEdge) -> MemoryStoreResult<()>;

    /// The edges that start or end at a memory, ascending by source, target and type (byte order).
    /// Empty if there is no such memory.
    #[doc = include_str!("../doc/store/get_edges.md")]
    async fn get_edges(&self, memory_id: Uuid) -> MemoryStoreResult<Vec<MemoryEdge>>;

    /// Removes an edge.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::MemoryStoreError::NotFound) if there is no such edge.
    #[doc = include_str!("../doc/store/remove_edge.md")]
    async fn remove_edge(&self, source_id: Uuid, target_id: Uuid, edge_type: &str) -> MemoryStoreResult<()>;

    /// The memories that are at most `depth` edges away. Edges are followed in both directions.
    ///
    /// A neighbor's score is the product of the weights along the best path of at
    /// most `depth` edges. Fewer hops come first, then the higher score, then the
    /// lower id. The memory itself is not included. The result has at most
    /// [`MAX_NEIGHBORS`](crate::limits::MAX_NEIGHBORS) memories; a `depth` of 0 gives none.
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

    /// The domain with this id; `None` if there is no such domain.
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

    /// The cosine similarity of a vector to the centroid of every domain that has one: highest first, equal
    /// scores by id. Empty in a store without a model.
    ///
    /// # Errors
    ///
    /// As for the vector of a [`search`](Self::search).
    #[doc = include_str!("../doc/store/classify.md")]
    async fn classify(&self, embedding: &[f32]) -> MemoryStoreResult<Vec<DomainScore>>;

    // ---- transfer ----

    /// The number of rows of a kind.
    #[doc = include_str!("../doc/store/count_rows.md")]
    async fn count_rows(&self, kind: TransferKind) -> MemoryStoreResult<u64>;

    /// A page of the rows of a kind, ascending by key, starting after the key `after`.
    ///
    /// `limit` is 1 to [`MAX_BATCH`](crate::limits::MAX_BATCH). Rows that cannot be read are listed in
    /// [`TransferPage::damaged`] and do not stop the export. A row that can be read is exported even if it
    /// breaks a rule; the importing store rejects it.
    #[doc = include_str!("../doc/store/export_page.md")]
    async fn export_page(
        &self,
        kind: TransferKind,
        after: Option<&TransferKey>,
        limit: usize,
    ) -> MemoryStoreResult<TransferPage>;

    /// Imports rows exactly as given, including ids and times, and writes the checkpoint, in one transaction.
    ///
    /// Idempotent: a row that the store already has with the same content counts as unchanged. A row that the
    /// store has with other content, or that breaks a rule, is reported and not written; the other rows are
    /// written. At most [`MAX_BATCH`](crate::limits::MAX_BATCH) rows of any kinds, ordered so that every row
    /// comes after the rows that it refers to. Events of the review log refer to no other row, because the
    /// log outlives its memories.
    ///
    /// # Errors
    ///
    /// - [`ModelMismatch`](crate::MemoryStoreError::ModelMismatch) for a row with a vector, if this handle is
    ///   bound to another model than the store's. A vector that does not fit the store's model is a rejected
    ///   row, not an error.
    /// - [`InvalidInput`](crate::MemoryStoreError::InvalidInput) for too many rows or an invalid checkpoint.
    /// - A retryable [`Unavailable`](crate::MemoryStoreError::Unavailable) if other writers keep changing the
    ///   same rows.
    #[doc = include_str!("../doc/store/import_page.md")]
    async fn import_page(
        &self,
        rows: &[TransferRow],
        checkpoint: Option<Checkpoint>,
    ) -> MemoryStoreResult<ImportReport>;

    /// Prepares for many calls of [`import_page`](Self::import_page): the store may drop indexes that are
    /// slow to fill row by row.
    ///
    /// Until [`finish_bulk_load`](Self::finish_bulk_load), searches stay correct and may be slow. Idempotent.
    #[doc = include_str!("../doc/store/begin_bulk_load.md")]
    async fn begin_bulk_load(&self) -> MemoryStoreResult<()>;

    /// Builds the indexes that [`begin_bulk_load`](Self::begin_bulk_load) dropped, and refreshes statistics.
    /// Idempotent.
    #[doc = include_str!("../doc/store/finish_bulk_load.md")]
    async fn finish_bulk_load(&self) -> MemoryStoreResult<()>;

    /// The checkpoint with this name; `None` if there is no such checkpoint.
    #[doc = include_str!("../doc/store/get_checkpoint.md")]
    async fn get_checkpoint(&self, name: &str) -> MemoryStoreResult<Option<Checkpoint>>;

    /// Removes the checkpoint with this name, if there is one.
    #[doc = include_str!("../doc/store/clear_checkpoint.md")]
    async fn clear_checkpoint(&self, name: &str) -> MemoryStoreResult<()>;

    // ---- re-embedding ----

    /// Starts to build the vectors of another model beside the current ones, or continues to.
    ///
    /// Searches and writes use the current model until [`finish_reembedding`](Self::finish_reembedding).
    ///
    /// # Errors
    ///
    /// - [`Conflict`](crate::MemoryStoreError::Conflict) if a re-embedding to a third model is under way, or
    ///   if the switch would lose something that others have added to the store's database, such as a column.
    /// - [`InvalidInput`](crate::MemoryStoreError::InvalidInput) if this is already the store's model.
    #[doc = include_str!("../doc/store/begin_reembedding.md")]
    async fn begin_reembedding(&self, model: &ModelSignature) -> MemoryStoreResult<ReembeddingStatus>;

    /// The progress of the re-embedding; `None` if none is under way.
    #[doc = include_str!("../doc/store/reembedding_status.md")]
    async fn reembedding_status(&self) -> MemoryStoreResult<Option<ReembeddingStatus>>;

    /// Up to `limit` memories (1 to [`MAX_BATCH`](crate::limits::MAX_BATCH)) that still need a new vector,
    /// ascending by id, starting after the id `after`.
    ///
    /// New memories appear here, and so does every memory that was updated. The work is done when a page with
    /// `after` = `None` is empty.
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

    /// Stores new vectors beside the current ones, and returns how many were stored.
    ///
    /// A vector is skipped if its memory was updated after the text was read, or no longer exists.
    ///
    /// A vector does not name its model. So a handle that has begun a re-embedding can write for that one
    /// only, until it begins another: another process may have aborted the first and begun a second one of
    /// the same dimension. A `begin_reembedding` whose future was dropped counts as begun.
    ///
    /// # Errors
    ///
    /// - [`Conflict`](crate::MemoryStoreError::Conflict) if no re-embedding is under way, or not the one that
    ///   this handle began last.
    /// - [`ModelMismatch`](crate::MemoryStoreError::ModelMismatch) for a vector of another length than the
    ///   new model's.
    #[doc = include_str!("../doc/store/write_reembedded.md")]
    async fn write_reembedded(&self, vectors: &[ReembeddedMemory]) -> MemoryStoreResult<u64>;

    /// Switches the store to the new model and its vectors, in one short transaction.
    ///
    /// Afterwards this handle is bound to the new model, even if the future was dropped before it answered.
    /// The centroids of domains belong to the old model and are dropped. `updated_at` of the memories stays.
    ///
    /// # Errors
    ///
    /// [`Conflict`](crate::MemoryStoreError::Conflict) if no re-embedding is under way, or not the one that
    /// this handle began last; if memories still need a new vector; or if the switch would lose something
    /// that others have added to the store's database.
    #[doc = include_str!("../doc/store/finish_reembedding.md")]
    async fn finish_reembedding(&self) -> MemoryStoreResult<()>;

    /// Drops what was built for the new model; the current vectors stay. Does nothing if no re-embedding is
    /// under way.
    #[doc = include_str!("../doc/store/abort_reembedding.md")]
    async fn abort_reembedding(&self) -> MemoryStoreResult<()>;
}
