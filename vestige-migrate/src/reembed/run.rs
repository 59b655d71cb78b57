use std::fmt;
use std::time::{Duration, Instant};

use futures_util::future;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vestige_traits::reembed::{PendingMemory, ReembeddedMemory};
use vestige_traits::{Embedder, MemoryStore, MemoryStoreError, ModelSignature};

use super::plan::ReembedPlan;
use super::texts::embed_texts;
use crate::elapsed::as_seconds;
use crate::error::{MigrateError, MigrateResult};
use crate::progress::{Phase, Progress, Reporter};

/// How many memories are embedded at once where nothing else is said.
const DEFAULT_BATCH: usize = 256;
/// How many batches beyond those of the beginning to embed before giving up.
const MAX_EXTRA_BATCHES: u64 = 1000;

/// Moves a store from its embedding model to another one, while it is in use.
///
/// # Guarantees
///
/// - Searches and writes use the old model until the switch. The switch is one transaction, so every vector
///   of the store belongs to one model at any time.
/// - If the process is killed, the same call continues later. Vectors that were made are kept.
/// - Memories that are added or changed meanwhile are embedded before the switch.
/// - A text in which the new model knows no word has no vector afterwards, and is found by its words.
/// - Afterwards the store's handle is bound to the new model, whichever process made
///   the switch. Another handle that is still bound to the old model gets
///   [`ModelMismatch`](MemoryStoreError::ModelMismatch).
#[derive(Debug)]
pub struct Reembedder<'a, S, E> {
    store: &'a S,
    embedder: &'a E,
    batch: usize,
    reporter: Reporter<'a>,
}

/// How a re-embedding ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReembedOutcome {
    /// The store is on the new model.
    Switched,
    /// It was on it before; nothing was changed.
    AlreadyOnModel,
}

impl fmt::Display for ReembedOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Switched => "switched to the new model",
            Self::AlreadyOnModel => "on the new model before",
        })
    }
}

/// What a re-embedding did.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ReembedReport {
    /// How it ended.
    pub outcome: ReembedOutcome,
    /// Whether it went on with one that was interrupted.
    pub resumed: bool,
    /// The model before; none if the store had none.
    pub from: Option<ModelSignature>,
    /// The model now.
    pub to: ModelSignature,
    /// How many vectors this run stored.
    pub embedded: u64,
    /// How many of the memories of this run have no word that the new model knows.
    pub without_vector: u64,
    /// How many more that is than were to do when it began, because memories came in or changed.
    pub caught_up: u64,
    /// How long this run took.
    #[serde(rename = "seconds", serialize_with = "as_seconds")]
    pub elapsed: Duration,
}

impl<'a, S: MemoryStore + Sync, E: Embedder + Sync> Reembedder<'a, S, E> {
    /// A re-embedding of `store` by `embedder`.
    pub fn new(store: &'a S, embedder: &'a E) -> Self {
        Self { store, embedder, batch: DEFAULT_BATCH, reporter: Reporter::default() }
    }

    /// How many memories to embed and to store at once, clamped to 1 to
    /// [`MAX_BATCH`](vestige_traits::limits::MAX_BATCH). Default: 256.
    #[must_use]
    pub fn batch(mut self, memories: usize) -> Self {
        self.batch = crate::limits::page_rows(memories);
        self
    }

    /// Calls `callback` with the progress.
    #[must_use]
    pub fn on_progress(mut self, callback: impl FnMut(&Progress) + Send + 'a) -> Self {
        self.reporter = Reporter::new(callback);
        self
    }

    /// What [`run`](Self::run) would do and about how long it would take. Changes nothing, and
    /// embeds a few memories to see how fast that goes.
    ///
    /// # Errors
    ///
    /// [`MigrateError::Store`], [`MigrateError::Embedder`].
    pub async fn plan(self) -> MigrateResult<ReembedPlan> {
        ReembedPlan::make(self.store, self.embedder).await
    }

    /// Re-embeds.
    ///
    /// Dropping the future interrupts the work, as a crash would.
    ///
    /// # Errors
    ///
    /// - [`MigrateError::Store`] with [`Conflict`](MemoryStoreError::Conflict) if a re-embedding
    ///   to a third model is under way; otherwise if the store fails.
    /// - [`MigrateError::Embedder`] if the model fails.
    /// - [`MigrateError::NotCaughtUp`] if memories come in faster than they are embedded.
    /// - [`MigrateError::ReembeddingEnded`] if somebody else aborts it meanwhile.
    pub async fn run(mut self) -> MigrateResult<ReembedReport> {
        let began = Instant::now();
        let to = self.embedder.signature().clone();
        let from = self.store.registered_model().await.map_err(MigrateError::Store)?;
        let under_way = self.store.reembedding_status().await.map_err(MigrateError::Store)?;
        let mut report = ReembedReport {
            outcome: ReembedOutcome::AlreadyOnModel,
            resumed: under_way.is_some_and(|status| status.model == to),
            from,
            to: to.clone(),
            embedded: 0,
            without_vector: 0,
            caught_up: 0,
            elapsed: Duration::ZERO,
        };
        if report.from.as_ref() != Some(&to) {
            report.outcome = self.switch(&mut report, &to).await?;
        }
        // If another process made the switch, this handle is still bound to the old model.
        self.store.register_model(&to).await.map_err(MigrateError::Store)?;
        report.elapsed = began.elapsed();
        Ok(report)
    }

    /// Takes the store to the model, unless another process that does the same work is first.
    async fn switch(
        &mut self,
        report: &mut ReembedReport,
        to: &ModelSignature,
    ) -> MigrateResult<ReembedOutcome> {
        let status = match self.store.begin_reembedding(to).await {
            Ok(status) => status,
            // It made the switch since we looked.
            Err(MemoryStoreError::InvalidInput { .. }) if is_switched(self.store, to).await? => {
                return Ok(ReembedOutcome::AlreadyOnModel);
            }
            Err(error) => return Err(MigrateError::Store(error)),
        };
        tracing::info!(%to, done = status.done, pending = status.pending, "re-embedding");
        match self.embed_all(report, status.done, status.pending).await {
            // It made the switch while we worked.
            Err(
                MigrateError::Store(MemoryStoreError::Conflict { .. })
                | MigrateError::ReembeddingEnded { .. },
            ) if is_switched(self.store, to).await? => {}
            Err(error @ MigrateError::Store(MemoryStoreError::Conflict { .. })) => {
                check_under_way(self.store, to).await?;
                return Err(error);
            }
            Ok(()) if !is_switched(self.store, to).await? => return Err(ended(to, None)),
            result => result?,
        }
        tracing::info!(%to, embedded = report.embedded, "switched to the new model");
        Ok(ReembedOutcome::Switched)
    }

    /// Goes through what is still to do until nothing is, and switches.
    async fn embed_all(&mut self, report: &mut ReembedReport, done: u64, pending: u64) -> MigrateResult<()> {
        let total = done + pending;
        self.reporter.report(Phase::Embedding, done, total);
        // Ids of new memories ascend, so a writer can keep a single pass from its end.
        let mut batches_left = pending.div_ceil(self.batch as u64) + MAX_EXTRA_BATCHES;
        loop {
            let mut page = self.pending(None).await?;
            if page.is_empty() {
                self.reporter.report(Phase::Switching, 0, 0);
                match self.store.finish_reembedding().await {
                    Ok(()) => return Ok(()),
                    // Something came in between the last look and the switch.
                    Err(MemoryStoreError::Conflict { .. }) if still_pending(self.store).await?.is_some() => {}
                    Err(error) => return Err(MigrateError::Store(error)),
                }
            }
            while let Some(last) = page.last() {
                // The next page is read while this one is embedded.
                let (vectors, next) =
                    future::join(embed(self.embedder, &page), self.pending(Some(last.id))).await;
                let vectors = vectors?;
                report.without_vector +=
                    vectors.iter().filter(|vector| vector.embedding.is_none()).count() as u64;
                report.embedded +=
                    self.store.write_reembedded(&vectors).await.map_err(MigrateError::Store)?;
                report.caught_up = report.embedded.saturating_sub(pending);
                if report.embedded > pending {
                    self.reporter.report(Phase::CatchingUp, report.caught_up, 0);
                } else {
                    self.reporter.report(Phase::Embedding, done + report.embedded, total);
                }
                page = next?;
                batches_left = self.use_up(batches_left).await?;
            }
            batches_left = self.use_up(batches_left).await?;
        }
    }

    fn pending(
        &self,
        after: Option<Uuid>,
    ) -> impl Future<Output = MigrateResult<Vec<PendingMemory>>> + use<'a, S, E> {
        let (store, batch) = (self.store, self.batch);
        async move { store.reembedding_pending(after, batch).await.map_err(MigrateError::Store) }
    }

    async fn use_up(&mut self, batches_left: u64) -> MigrateResult<u64> {
        match batches_left.checked_sub(1) {
            Some(left) => Ok(left),
            None => Err(MigrateError::NotCaughtUp {
                pending: still_pending(self.store).await?.unwrap_or_default(),
            }),
        }
    }
}

async fn is_switched(store: &(impl MemoryStore + Sync), to: &ModelSignature) -> MigrateResult<bool> {
    let registered = store.registered_model().await.map_err(MigrateError::Store)?;
    Ok(registered.as_ref() == Some(to))
}

/// Fails unless the re-embedding under way is the one to this model.
async fn check_under_way(store: &(impl MemoryStore + Sync), to: &ModelSignature) -> MigrateResult<()> {
    let status = store.reembedding_status().await.map_err(MigrateError::Store)?;
    match status {
        Some(status) if status.model == *to => Ok(()),
        other => Err(ended(to, other.map(|status| status.model))),
    }
}

fn ended(to: &ModelSignature, under_way: Option<ModelSignature>) -> MigrateError {
    MigrateError::ReembeddingEnded { wanted: Box::new(to.clone()), under_way: under_way.map(Box::new) }
}

/// How many memories have no new vector; none if there are none, or nothing is under way.
async fn still_pending(store: &(impl MemoryStore + Sync)) -> MigrateResult<Option<u64>> {
    let status = store.reembedding_status().await.map_err(MigrateError::Store)?;
    Ok(status.map(|status| status.pending).filter(|pending| *pending > 0))
}

async fn embed(
    embedder: &(impl Embedder + Sync),
    page: &[PendingMemory],
) -> MigrateResult<Vec<ReembeddedMemory>> {
    let texts: Vec<&str> = page.iter().map(|memory| memory.content.as_str()).collect();
    let vectors = embed_texts(embedder, &texts).await?;
    let with_vector = |(memory, embedding): (&PendingMemory, Option<Vec<f32>>)| ReembeddedMemory {
        id: memory.id,
        updated_at: memory.updated_at,
        embedding,
    };
    Ok(page.iter().zip(vectors).map(with_vector).collect())
}
