use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use chrono::{DateTime, FixedOffset, Offset, Utc};
use tokio::sync::Mutex;
use uuid::Uuid;
use vestige_traits::clock::{Clock, SystemClock};
use vestige_traits::stats::StoreStats;
use vestige_traits::{ListPage, ListQuery, MemoryRecord, MemoryStore, MemoryStoreError};

use crate::error::MemoryResult;
#[cfg(feature = "fsrs")]
use crate::scheduler::Scheduler;

/// From this cosine similarity on a text is a near duplicate of another, unless the builder says otherwise.
const NEAR_DUPLICATE_SIMILARITY: f64 = 0.95;

/// The memory of an agent: a store of memories, and the embedder that turns their texts into vectors.
///
/// Everything here can be done with a [`MemoryStore`] and an [`Embedder`](vestige_traits::Embedder) alone.
/// This type does what every agent would have to write around them: it embeds what is stored and what is
/// asked, it finds near duplicates, and it repeats an edit that met another one. What it has no method for is
/// done with [`store`](Self::store).
///
/// A clone is another handle on the same memory and costs as much as a clone of an [`Arc`]. Any async runtime
/// will do.
///
/// # Model
///
/// The vectors of one store belong to one model. The first operation that writes a vector registers the
/// embedder's model in a store that has none; [`register_model`](Self::register_model) does it earlier. An
/// operation that needs vectors fails with [`ModelMismatch`](MemoryStoreError::ModelMismatch) if the store
/// belongs to another model; all others work. [`NoEmbedder`](crate::NoEmbedder) makes a memory that finds by
/// words alone.
///
/// # Cancellation
///
/// Dropping the future of an operation leaves it done or not done, never half done, as the store promises it
/// for each of its methods. An operation here writes at most once, at its end, except where its documentation
/// says otherwise.
///
/// # Examples
///
/// ```
/// use vestige_embed::StaticEmbedder;
/// use vestige_memory::{Memory, MemoryResult};
/// use vestige_sqlite::SqliteMemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> MemoryResult<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("agent.db");
/// let memory = Memory::new(SqliteMemoryStore::new(path)?, StaticEmbedder::bundled());
/// memory.remember("Deploys are frozen on Fridays after noon.").await?;
/// let found = memory.recall("when may I deploy?").await?;
/// assert_eq!(found[0].record.content, "Deploys are frozen on Fridays after noon.");
/// # Ok(())
/// # }
/// ```
pub struct Memory<S, E>(Arc<Shared<S, E>>);

struct Shared<S, E> {
    store: S,
    embedder: E,
    clock: Arc<dyn Clock>,
    utc_offset: FixedOffset,
    near_duplicate_similarity: f64,
    allows_secrets: bool,
    /// Whether the store is known to belong to the embedder's model.
    bound: AtomicBool,
    /// Is held from the search for near duplicates to the write, so that of equal texts that come at once the
    /// second finds the first.
    remembering: Mutex<()>,
    #[cfg(feature = "fsrs")]
    scheduler: Scheduler,
}

impl<S, E> Memory<S, E> {
    /// A memory in `store`, embedded by `embedder`, with the defaults of [`MemoryBuilder`]. Neither of them
    /// is used yet.
    pub fn new(store: S, embedder: E) -> Self {
        Self::builder(store, embedder).build()
    }

    /// A memory whose clock, local time or thresholds are other than the default.
    pub fn builder(store: S, embedder: E) -> MemoryBuilder<S, E> {
        MemoryBuilder {
            store,
            embedder,
            clock: Arc::new(SystemClock),
            utc_offset: Utc.fix(),
            near_duplicate_similarity: NEAR_DUPLICATE_SIMILARITY,
            allows_secrets: false,
        }
    }

    /// The store, for what this type has no method for.
    ///
    /// What is written there directly is found here at once. After the store has been moved to another model
    /// through this handle, make a new `Memory` with an embedder of that model.
    pub fn store(&self) -> &S {
        &self.0.store
    }

    /// The embedder.
    pub fn embedder(&self) -> &E {
        &self.0.embedder
    }

    /// The present by the memory's clock, in whole microseconds.
    pub fn now(&self) -> DateTime<Utc> {
        self.0.clock.now()
    }

    pub(crate) fn utc_offset(&self) -> FixedOffset {
        self.0.utc_offset
    }

    pub(crate) fn near_duplicate_similarity(&self) -> f64 {
        self.0.near_duplicate_similarity
    }

    /// Whether memories may hold credentials.
    pub(crate) fn allows_secrets(&self) -> bool {
        self.0.allows_secrets
    }

    pub(crate) fn bound(&self) -> &AtomicBool {
        &self.0.bound
    }

    pub(crate) fn remembering(&self) -> &Mutex<()> {
        &self.0.remembering
    }

    #[cfg(feature = "fsrs")]
    pub(crate) fn scheduler(&self) -> &Scheduler {
        &self.0.scheduler
    }
}

impl<S: MemoryStore + Sync, E> Memory<S, E> {
    /// The memory with this id; none if there is none.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn get(&self, id: Uuid) -> MemoryResult<Option<MemoryRecord>> {
        Ok(self.store().get(id).await?)
    }

    /// The memories with these ids, one answer for each in their order; none where there is none.
    ///
    /// Each is read by itself, so memories that come or go meanwhile may be seen or not.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn get_many(&self, ids: &[Uuid]) -> MemoryResult<Vec<Option<MemoryRecord>>> {
        let mut records = Vec::with_capacity(ids.len());
        for id in ids {
            records.push(self.store().get(*id).await?);
        }
        Ok(records)
    }

    /// A page of memories, newest first, as [`MemoryStore::list`] gives it.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](MemoryStoreError::InvalidInput) for a filter or a limit out of range, and those of
    /// the store.
    pub async fn list(&self, query: &ListQuery) -> MemoryResult<ListPage> {
        Ok(self.store().list(query).await?)
    }

    /// Removes a memory with its schedule and its links. Its reviews stay in the log.
    ///
    /// # Errors
    ///
    /// [`NotFound`](MemoryStoreError::NotFound) if there is no such memory, and those of the store.
    pub async fn forget(&self, id: Uuid) -> MemoryResult<()> {
        Ok(self.store().delete(id).await?)
    }

    /// What the memory holds, in one consistent view.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn stats(&self) -> MemoryResult<StoreStats> {
        Ok(self.store().get_stats().await?)
    }

    /// The memory with this id, or that there is none as an error.
    pub(crate) async fn existing(&self, id: Uuid) -> MemoryResult<MemoryRecord> {
        let record = self.store().get(id).await?;
        record.ok_or_else(|| MemoryStoreError::not_found("memory", id).into())
    }
}

impl<S, E> Clone for Memory<S, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: fmt::Debug, E: fmt::Debug> fmt::Debug for Memory<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("store", self.store()).field("embedder", self.embedder()).finish()
    }
}

/// Makes a [`Memory`] whose clock, local time or thresholds are other than the default.
///
/// ```
/// use vestige_memory::{Memory, NoEmbedder};
/// use vestige_traits::clock::ManualClock;
///
/// let clock = ManualClock::new("2026-01-31T12:00:00Z".parse().unwrap());
/// # let store = ();
/// let memory = Memory::builder(store, NoEmbedder).clock(clock).near_duplicate_similarity(0.9).build();
/// assert_eq!(memory.now().to_rfc3339(), "2026-01-31T12:00:00+00:00");
/// ```
#[derive(Debug)]
pub struct MemoryBuilder<S, E> {
    store: S,
    embedder: E,
    clock: Arc<dyn Clock>,
    utc_offset: FixedOffset,
    near_duplicate_similarity: f64,
    allows_secrets: bool,
}

impl<S, E> MemoryBuilder<S, E> {
    /// Where the times of new memories, links and reviews come from. Default: [`SystemClock`].
    ///
    /// A store has a clock of its own, which sets `updated_at`.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The local time of whoever asks, by which a question says "yesterday" or "in May". Default: UTC.
    #[must_use]
    pub fn utc_offset(mut self, offset: FixedOffset) -> Self {
        self.utc_offset = offset;
        self
    }

    /// From which cosine similarity on [`remember`](Memory::remember) calls a text a near duplicate, -1 to 1.
    /// Default: 0.95. [`nearest`](Memory::nearest) says what else it asks for, and what holds for texts of
    /// which the model knows too little.
    ///
    /// The default was chosen for the bundled model of `vestige-embed`: it finds most restatements and
    /// corrections, and few texts that say something else. Another model needs another threshold.
    #[must_use]
    pub fn near_duplicate_similarity(mut self, similarity: f64) -> Self {
        self.near_duplicate_similarity = similarity;
        self
    }

    /// Whether memories with what looks like a [credential](crate::secrets) are stored, by every call.
    /// Default: they are refused.
    #[must_use]
    pub fn allow_secrets(mut self, allow: bool) -> Self {
        self.allows_secrets = allow;
        self
    }

    /// The memory.
    #[must_use]
    pub fn build(self) -> Memory<S, E> {
        Memory(Arc::new(Shared {
            store: self.store,
            embedder: self.embedder,
            clock: self.clock,
            utc_offset: self.utc_offset,
            near_duplicate_similarity: self.near_duplicate_similarity,
            allows_secrets: self.allows_secrets,
            bound: AtomicBool::new(false),
            remembering: Mutex::new(()),
            #[cfg(feature = "fsrs")]
            scheduler: Scheduler::new(),
        }))
    }
}
