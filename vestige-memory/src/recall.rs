//! What a question looks for by words and by meaning.

use vestige_traits::analysis::Analyzer;
use vestige_traits::analysis::WebQuery;
use vestige_traits::{
    Embedder, Fusion, MemoryFilter, MemoryStore, MemoryStoreResult, SearchMode, SearchQuery, SearchResult,
    SessionContext, limits,
};

use crate::dates::{Mention, mentions};
use crate::error::MemoryResult;
use crate::memory::Memory;

/// A question to a memory.
///
/// A text alone will do, so [`recall`](Memory::recall) takes a `&str` too. In the text, `"a phrase"` must
/// occur and `-word` must not.
///
/// ```
/// use vestige_memory::Recall;
/// use vestige_traits::MemoryFilter;
///
/// let mut filter = MemoryFilter::default();
/// filter.codebases.push("tidewater".into());
/// let question = Recall::new("flaky \"connection pool\" -windows").limit(5).filter(filter);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "it is asked by `Memory::recall`"]
pub struct Recall {
    text: String,
    limit: usize,
    filter: MemoryFilter,
    fusion: Fusion,
    mode: SearchMode,
    without_sessions: bool,
    without_dates: bool,
}

impl Recall {
    /// A question as a person types it.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// How many results at most, up to [`MAX_LIMIT`](vestige_traits::limits::MAX_LIMIT). Default, and what 0
    /// means: [`DEFAULT_LIMIT`](vestige_traits::limits::DEFAULT_LIMIT).
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Which memories may be found. Default: all.
    pub fn filter(mut self, filter: MemoryFilter) -> Self {
        self.filter = filter;
        self
    }

    /// By words, by meaning, or both. Default: both.
    pub fn mode(mut self, mode: SearchMode) -> Self {
        self.mode = mode;
        self
    }

    /// Whether memories of one session lend each other score. Default: yes.
    pub fn sessions(mut self, lend: bool) -> Self {
        self.without_sessions = !lend;
        self
    }

    /// Whether memories of the times that the question names are favoured ([`mentions`]). Default: yes.
    pub fn dates(mut self, favour: bool) -> Self {
        self.without_dates = !favour;
        self
    }

    /// How the two rankings become one.
    pub fn fusion(mut self, fusion: Fusion) -> Self {
        self.fusion = fusion;
        self
    }

    /// Checks everything that does not depend on what the store holds. [`recall`](Memory::recall) does so
    /// too.
    ///
    /// # Errors
    ///
    /// Those of [`SearchQuery::validate`].
    pub fn validate(&self) -> MemoryStoreResult<()> {
        self.clone().query().validate()
    }

    /// Checks that so many memories before and after each result are not too many for
    /// [`recall_in_context`](Memory::recall_in_context), which does so too.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](vestige_traits::MemoryStoreError::InvalidInput), by [`SessionContext::check`].
    pub fn check_context(&self, each: usize) -> MemoryStoreResult<()> {
        SessionContext::check(limits::effective_limit(self.limit)?, each)
    }

    /// How many terms of the question are looked for by words; 0 in a mode without words. Of more than
    /// [`MAX_QUERY_TERMS`](vestige_traits::limits::MAX_QUERY_TERMS) the rarest of those that occur count, and
    /// who asked should be told.
    pub fn terms(&self) -> usize {
        if self.mode.ranks_by_words() { Analyzer::default().query(&self.text).terms.len() } else { 0 }
    }

    /// The query without a vector and without times.
    fn query(self) -> SearchQuery {
        let Self { text, limit, filter, fusion, mode, without_sessions, without_dates: _ } = self;
        SearchQuery::text(text)
            .mode(mode)
            .limit(limit)
            .filter(filter)
            .fusion(fusion)
            .sessions(!without_sessions)
    }
}

impl From<&str> for Recall {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Recall {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl<S, E> Memory<S, E>
where
    S: MemoryStore + Sync,
    E: Embedder + Sync,
{
    /// Finds the memories that answer a question by their words and by their meaning, best first.
    ///
    /// What the question excludes is not embedded: a vector knows no "not", and would look for just that. A
    /// question in which the model knows no word, such as an emoji, is answered by words alone, and so is
    /// every question as long as the store has no vectors. The meaning of a question counts for as much
    /// beside its words as the model knows of it ([`Embedder::known_share`]). An empty question finds
    /// nothing.
    ///
    /// Of a long memory the result says which part the words of the question match best:
    /// [`SearchResult::passage`]. [`text::excerpt`](crate::text::excerpt) shows it.
    ///
    /// Where the question names a time in English, as in "last week" or "in May 2023", memories that were
    /// created then, or soon after, are favoured; none is excluded. [`mentions`] says what is read, by the
    /// memory's clock and [`utc_offset`](crate::MemoryBuilder::utc_offset); [`dates`](Self::dates) says it of
    /// a question. [`Recall::dates`] switches it off.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](vestige_traits::MemoryStoreError::InvalidInput) for a question too long, a limit or
    ///   a filter out of range.
    /// - [`ModelMismatch`](vestige_traits::MemoryStoreError::ModelMismatch) if the store belongs to another
    ///   model, except by words alone.
    /// - [`MemoryError::Embedder`](crate::MemoryError::Embedder), and those of the store.
    pub async fn recall(&self, question: impl Into<Recall>) -> MemoryResult<Vec<SearchResult>> {
        let query = self.search_query(question).await?;
        Ok(self.store().search(&query).await?)
    }

    /// The query that [`recall`](Self::recall) sends to the store: for
    /// [`explain_search`](MemoryStore::explain_search), or to see whether the question has a vector.
    ///
    /// # Errors
    ///
    /// Those of [`recall`](Self::recall).
    pub async fn search_query(&self, question: impl Into<Recall>) -> MemoryResult<SearchQuery> {
        let question = question.into();
        let dates = self.dates(&question);
        let mut query = question.query().times(dates.into_iter().map(|date| date.span));
        query.validate()?;
        let text = query.text.as_deref().filter(|_| query.mode.ranks_by_vector());
        if let Some(meaning) = text.and_then(WebQuery::meaning) {
            query.embedding = self.embed_query(&meaning).await?;
            // A vector says little of words that the model does not know.
            query.fusion.vector_weight *= self.embedder().known_share(&meaning).clamp(0.0, 1.0);
        }
        Ok(query)
    }
}

impl<S, E> Memory<S, E> {
    /// The times that a question names, as [`recall`](Self::recall) reads them now; none where
    /// [`Recall::dates`] is off.
    pub fn dates(&self, question: &Recall) -> Vec<Mention> {
        if question.without_dates {
            return Vec::new();
        }
        mentions(&question.text, self.now(), self.utc_offset())
    }
}
