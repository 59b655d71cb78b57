//! What stands around results in their sessions.

use std::collections::HashMap;

use uuid::Uuid;
use vestige_traits::{Embedder, MemoryRecord, MemoryStore, SearchResult, SessionContext};

use crate::error::MemoryResult;
use crate::memory::Memory;
use crate::recall::Recall;

/// A result, and the memories just before and just after it in its session.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultInContext {
    /// The result.
    pub result: SearchResult,
    /// Those before it, oldest first: the nearest is the last.
    pub before: Vec<Nearby>,
    /// Those after it, oldest first: the nearest is the first.
    pub after: Vec<Nearby>,
}

/// A memory near a result in its session.
#[derive(Clone, Debug, PartialEq)]
pub struct Nearby {
    /// The memory.
    pub record: MemoryRecord,
    /// Its place among the results, from 1, if it is one of them: it need not be shown twice.
    pub result: Option<usize>,
}

impl<S: MemoryStore + Sync, E> Memory<S, E> {
    /// Results with what stands around each in its session: at most `each` memories before it and `each`
    /// after it, by [`MemoryStore::get_context`]. With an `each` of 0 the store is not asked.
    ///
    /// No filter of the question holds for what stands around a result.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](vestige_traits::MemoryStoreError::InvalidInput) by [`SessionContext::check`], and
    /// those of the store.
    pub async fn in_context(
        &self,
        results: Vec<SearchResult>,
        each: usize,
    ) -> MemoryResult<Vec<ResultInContext>> {
        let ids: Vec<Uuid> = results.iter().map(|result| result.record.id).collect();
        let contexts = match each {
            0 => vec![SessionContext::default(); ids.len()],
            each => self.store().get_context(&ids, each).await?,
        };
        let places: HashMap<Uuid, usize> = ids.into_iter().zip(1..).collect();
        let nearby = |records: Vec<MemoryRecord>| {
            let near = |record: MemoryRecord| Nearby { result: places.get(&record.id).copied(), record };
            records.into_iter().map(near).collect()
        };
        let with = |(result, context): (SearchResult, SessionContext)| ResultInContext {
            result,
            before: nearby(context.before),
            after: nearby(context.after),
        };
        Ok(results.into_iter().zip(contexts).map(with).collect())
    }
}

impl<S, E> Memory<S, E>
where
    S: MemoryStore + Sync,
    E: Embedder + Sync,
{
    /// [`recall`](Self::recall), with what stands around each result in its session: at most `each` memories
    /// before it and `each` after it. In a conversation the answer often stands beside what was found.
    ///
    /// ```
    /// # use vestige_embed::StaticEmbedder;
    /// # use vestige_memory::{Memory, MemoryResult, NewMemory};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> MemoryResult<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let store = vestige_sqlite::SqliteMemoryStore::new(folder.path().join("agent.db"))?;
    /// # let memory = Memory::new(store, StaticEmbedder::bundled());
    /// for text in ["Which port has the staging database?", "It moved last week.", "5433 now."] {
    ///     memory.remember(NewMemory::new(text).session("standup of 3 March")).await?;
    /// }
    /// let found = memory.recall_in_context("port of staging", 2).await?;
    /// let after: Vec<&str> = found[0].after.iter().map(|near| &*near.record.content).collect();
    /// assert_eq!(after, ["It moved last week.", "5433 now."]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`recall`](Self::recall);
    /// [`InvalidInput`](vestige_traits::MemoryStoreError::InvalidInput) naming `context` for an `each` above
    /// [`MAX_CONTEXT`](vestige_traits::limits::MAX_CONTEXT), or one that is too many for the limit of the
    /// question ([`SessionContext::check`]).
    pub async fn recall_in_context(
        &self,
        question: impl Into<Recall>,
        each: usize,
    ) -> MemoryResult<Vec<ResultInContext>> {
        let question = question.into();
        question.check_context(each)?;
        let results = self.recall(question).await?;
        self.in_context(results, each).await
    }
}
