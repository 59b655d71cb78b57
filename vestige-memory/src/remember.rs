use std::fmt;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use vestige_traits::{Embedder, MemoryRecord, MemoryStore, MemoryStoreError, limits};

use crate::duplicates::NearDuplicate;
use crate::error::{MemoryError, MemoryResult};
use crate::memory::Memory;
use crate::new_memory::NewMemory;
use crate::retry::MAX_ATTEMPTS;
use crate::secrets::first_in;

/// How many texts are embedded between two reports of progress.
const STRETCH: usize = 16;

/// What to do about texts that are near duplicates of a memory, or of a text before them in the same call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NearDuplicates {
    /// They are reported and not stored.
    #[default]
    Refuse,
    /// They are reported and stored all the same.
    Store,
    /// They are stored, and nobody looks for near duplicates.
    Ignore,
}

/// How [`remember_all`](Memory::remember_all) stores.
///
/// ```
/// use vestige_memory::{NearDuplicates, RememberOptions};
///
/// let mut report = |progress: vestige_memory::RememberProgress| println!("{progress:?}");
/// let options = RememberOptions::new().near_duplicates(NearDuplicates::Store).progress(&mut report);
/// ```
#[derive(Default)]
#[must_use = "they are given to `Memory::remember_all`"]
pub struct RememberOptions<'a> {
    near_duplicates: NearDuplicates,
    allows_secrets: bool,
    progress: Option<&'a mut (dyn FnMut(RememberProgress) + Send)>,
}

impl<'a> RememberOptions<'a> {
    /// The defaults: near duplicates and credentials are refused, and progress is not reported.
    pub fn new() -> Self {
        Self::default()
    }

    /// What to do about near duplicates. Default: [`NearDuplicates::Refuse`].
    pub fn near_duplicates(mut self, near_duplicates: NearDuplicates) -> Self {
        self.near_duplicates = near_duplicates;
        self
    }

    /// Whether memories with what looks like a [credential](crate::secrets) are stored. Default: they are
    /// refused, unless [`MemoryBuilder::allow_secrets`](crate::MemoryBuilder::allow_secrets) allows them.
    pub fn allow_secrets(mut self, allow: bool) -> Self {
        self.allows_secrets = allow;
        self
    }

    /// What is called after each 16 texts that were embedded, and after each text that was compared for the
    /// first time.
    ///
    /// It is called on the task that stores, so it must not block.
    pub fn progress(mut self, progress: &'a mut (dyn FnMut(RememberProgress) + Send)) -> Self {
        self.progress = Some(progress);
        self
    }

    fn report(&mut self, phase: RememberPhase, done: usize, total: usize) {
        if let Some(progress) = &mut self.progress {
            progress(RememberProgress { phase, done, total });
        }
    }
}

impl fmt::Debug for RememberOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RememberOptions")
            .field("near_duplicates", &self.near_duplicates)
            .field("allows_secrets", &self.allows_secrets)
            .field("reports_progress", &self.progress.is_some())
            .finish()
    }
}

/// How far [`remember_all`](Memory::remember_all) is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RememberProgress {
    /// What is being done. The phases come in their order.
    pub phase: RememberPhase,
    /// How many texts are done in this phase.
    pub done: usize,
    /// How many texts there are.
    pub total: usize,
}

/// What [`remember_all`](Memory::remember_all) does with every text before it stores all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RememberPhase {
    /// Texts become vectors.
    Embedding,
    /// Texts are compared with what is remembered. Left out by [`NearDuplicates::Ignore`].
    Comparing,
}

/// What became of a new memory.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Remembered {
    /// The memory, as it is stored, or would have been.
    pub record: MemoryRecord,
    /// Whether it was stored.
    pub stored: bool,
    /// The memory that it is nearest to, if that one is a near duplicate.
    pub near_duplicate: Option<NearDuplicate>,
}

impl Remembered {
    /// The id of the memory, if it was stored.
    pub fn id(&self) -> Option<Uuid> {
        self.stored.then_some(self.record.id)
    }
}

impl<S, E> Memory<S, E>
where
    S: MemoryStore + Sync,
    E: Embedder + Sync,
{
    /// Stores a memory with its vector, unless it is a near duplicate of another one.
    ///
    /// A near duplicate is reported and not stored. Nothing merges by itself: what to do about it is for the
    /// caller to decide. If it repeats the other memory, there is nothing to do. If it corrects that one,
    /// [`edit`](Self::edit) it. If both shall stay, call [`remember_all`](Self::remember_all) with
    /// [`NearDuplicates::Store`]. [`nearest`](Self::nearest) says what a near duplicate is.
    ///
    /// The search for near duplicates and the write are one step: of equal texts that come at once, from
    /// whatever process, one is stored. If others store something between the two, the search is made again.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](vestige_traits::MemoryStoreError::InvalidInput) if the memory breaks a rule, such
    ///   as an empty text.
    /// - [`AlreadyExists`](vestige_traits::MemoryStoreError::AlreadyExists) if the id it names is taken.
    /// - [`ModelMismatch`](vestige_traits::MemoryStoreError::ModelMismatch) if the store belongs to another
    ///   model.
    /// - [`Conflict`](MemoryStoreError::Conflict) if others stored something during each of 64 attempts in a
    ///   row; try again later.
    /// - [`MemoryError::Secret`] if it holds what looks like a [credential](crate::secrets).
    /// - [`MemoryError::Embedder`], and those of the store.
    ///
    /// # Examples
    ///
    /// ```
    /// # use vestige_embed::StaticEmbedder;
    /// # use vestige_memory::{Memory, MemoryResult, NewMemory};
    /// # use vestige_sqlite::SqliteMemoryStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> MemoryResult<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let store = SqliteMemoryStore::new(folder.path().join("m.db"))?;
    /// # let memory = Memory::new(store, StaticEmbedder::bundled());
    /// let port = memory.remember(NewMemory::new("Staging listens on port 5433.").node_type("fact")).await?;
    /// assert!(port.stored);
    ///
    /// let again = memory.remember("staging listens on port 5433").await?;
    /// let near = again.near_duplicate.expect("it is there already");
    /// assert!(!again.stored && near.id == port.record.id);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn remember(&self, memory: impl Into<NewMemory>) -> MemoryResult<Remembered> {
        let record = memory.into().into_record(self.now())?;
        self.refuse_secrets(&record, None, false)?;
        let mut remembered = self.store_all(vec![record], RememberOptions::new()).await?;
        Ok(remembered.remove(0))
    }

    /// Stores up to [`MAX_BATCH`](limits::MAX_BATCH) memories in one transaction: all that are accepted, or
    /// none.
    ///
    /// Everything is computed before anything is stored, so a call that fails or is dropped has stored
    /// nothing. The results are in the order of the memories. A memory may be a near duplicate of one before
    /// it. No memories give no results.
    ///
    /// # Errors
    ///
    /// [`MemoryError::InvalidMemory`] naming the first memory that breaks a rule, [`MemoryError::Secret`]
    /// naming the first one that holds what looks like a credential, and otherwise those of
    /// [`remember`](Self::remember).
    pub async fn remember_all(
        &self,
        memories: impl IntoIterator<Item = impl Into<NewMemory>>,
        options: RememberOptions<'_>,
    ) -> MemoryResult<Vec<Remembered>> {
        let now = self.now();
        let (mut records, mut new_ids) = (Vec::new(), Vec::new());
        for (index, memory) in memories.into_iter().enumerate() {
            let memory = memory.into();
            if !memory.has_id() {
                new_ids.push(index);
            }
            let record = memory.into_record(now);
            let record = record.map_err(|source| MemoryError::InvalidMemory { index, source })?;
            self.refuse_secrets(&record, Some(index), options.allows_secrets)?;
            records.push(record);
        }
        let ids = ascending_ids(new_ids.iter().map(|at| &records[*at]));
        new_ids.into_iter().zip(ids).for_each(|(at, id)| records[at].id = id);
        self.store_all(records, options).await
    }

    fn refuse_secrets(&self, record: &MemoryRecord, index: Option<usize>, allowed: bool) -> MemoryResult<()> {
        if allowed || self.allows_secrets() {
            return Ok(());
        }
        first_in(record).map_or(Ok(()), |found| Err(MemoryError::Secret { index, found }))
    }

    async fn store_all(
        &self,
        mut records: Vec<MemoryRecord>,
        mut options: RememberOptions<'_>,
    ) -> MemoryResult<Vec<Remembered>> {
        let total = records.len();
        if total == 0 {
            return Ok(Vec::new());
        }
        limits::check_page("memories", total)?;
        self.register_model().await?;
        let mut done = 0;
        for stretch in records.chunks_mut(STRETCH) {
            let texts: Vec<&str> = stretch.iter().map(|record| &*record.content).collect();
            let vectors = self.embed_documents(&texts).await?;
            done += vectors.len();
            stretch.iter_mut().zip(vectors).for_each(|(record, vector)| record.embedding = vector);
            options.report(RememberPhase::Embedding, done, total);
        }
        match options.near_duplicates {
            NearDuplicates::Refuse => self.store_unless_overtaken(records, options).await,
            NearDuplicates::Store | NearDuplicates::Ignore => {
                let compared = self.compare(records, &mut options).await?;
                match compared.accepted.as_slice() {
                    // A store has a shorter way for one than for many.
                    [record] => self.store().insert(record).await?,
                    records => self.store().insert_batch(records).await?,
                }
                Ok(compared.into_remembered().collect())
            }
        }
    }

    /// Stores what is no near duplicate. The check and the write are one: if others stored something
    /// meanwhile, the check is made again.
    async fn store_unless_overtaken(
        &self,
        mut records: Vec<MemoryRecord>,
        mut options: RememberOptions<'_>,
    ) -> MemoryResult<Vec<Remembered>> {
        // Calls of this process wait here rather than be refused by the store.
        let _remembering = self.remembering().lock().await;
        let mut attempt = 1;
        loop {
            let token = self.store().change_token().await?;
            let compared = self.compare(records, &mut options).await?;
            match self.store().insert_batch_unless_changed(&compared.accepted, token).await {
                Ok(()) => return Ok(compared.into_remembered().collect()),
                Err(MemoryStoreError::Conflict { .. }) if attempt < MAX_ATTEMPTS => attempt += 1,
                Err(error) => return Err(error.into()),
            }
            records = compared.into_remembered().map(|remembered| remembered.record).collect();
            options.progress = None;
        }
    }

    /// Compares each record with what is stored and with those before it, as the options say.
    async fn compare(
        &self,
        records: Vec<MemoryRecord>,
        options: &mut RememberOptions<'_>,
    ) -> MemoryResult<Compared> {
        let total = records.len();
        let mut accepted: Vec<MemoryRecord> = Vec::with_capacity(total);
        let mut profiles = Vec::new();
        let mut outcomes = Vec::with_capacity(total);
        for (done, record) in (1..).zip(records) {
            let near = match options.near_duplicates {
                NearDuplicates::Ignore => None,
                NearDuplicates::Refuse | NearDuplicates::Store => {
                    let profile = self.profile(&record);
                    let near = self.nearest_of(&record, &profile, &accepted, &profiles).await?;
                    options.report(RememberPhase::Comparing, done, total);
                    if near.is_none() || options.near_duplicates == NearDuplicates::Store {
                        profiles.push(profile);
                    }
                    near
                }
            };
            let refused = near.is_some() && options.near_duplicates == NearDuplicates::Refuse;
            let refused = if refused {
                Some(record)
            } else {
                accepted.push(record);
                None
            };
            outcomes.push((refused, near));
        }
        Ok(Compared { accepted, outcomes })
    }
}

/// New memories after the search for near duplicates.
struct Compared {
    /// What is to be stored.
    accepted: Vec<MemoryRecord>,
    /// For each memory: itself, if it is not to be stored, and its near duplicate.
    outcomes: Vec<(Option<MemoryRecord>, Option<NearDuplicate>)>,
}

impl Compared {
    /// What becomes of each memory once the accepted ones are stored.
    fn into_remembered(self) -> impl Iterator<Item = Remembered> {
        let mut accepted = self.accepted.into_iter();
        self.outcomes.into_iter().filter_map(move |(refused, near_duplicate)| {
            let stored = refused.is_none();
            let record = refused.or_else(|| accepted.next())?;
            Some(Remembered { record, stored, near_duplicate })
        })
    }
}

/// The same new ids, those of memories of one time in ascending order: by it they stand in their session as
/// they were given.
fn ascending_ids<'r>(records: impl Iterator<Item = &'r MemoryRecord>) -> Vec<Uuid> {
    let mut made: Vec<(usize, DateTime<Utc>, Uuid)> =
        records.enumerate().map(|(at, record)| (at, record.created_at, record.id)).collect();
    // By time, and within one time as they were given.
    made.sort_by_key(|(_, time, _)| *time);
    for of_one_time in made.chunk_by_mut(|a, b| a.1 == b.1) {
        let mut ids: Vec<Uuid> = of_one_time.iter().map(|(.., id)| *id).collect();
        ids.sort_unstable();
        of_one_time.iter_mut().zip(ids).for_each(|(made, id)| made.2 = id);
    }
    made.sort_unstable_by_key(|(at, ..)| *at);
    made.into_iter().map(|(.., id)| id).collect()
}
