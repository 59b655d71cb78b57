//! What a question looks for by words and by meaning.

use std::borrow::Cow;

use vestige_traits::{
    Embedder, Fusion, FusionMethod, MemoryFilter, MemoryStore, SearchQuery, SearchResult, WebQuery,
};

use crate::error::MemoryResult;
use crate::memory::Memory;

/// A question to a memory.
///
/// A text alone will do, so [`recall`](Memory::recall) takes a `&str` too. In the text, `"a phrase"` must occur and
/// `-word` must not.
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
}

/// Which of the two legs answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SearchMode {
    /// By words and by meaning together.
    #[default]
    Hybrid,
    /// By words alone. Nothing is embedded.
    Keyword,
    /// By meaning alone. Phrases and exclusions hold all the same.
    Vector,
}

impl Recall {
    /// A question as a person types it.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// How many results at most, up to [`MAX_LIMIT`](vestige_traits::limits::MAX_LIMIT). Default, and what 0 means:
    /// [`DEFAULT_LIMIT`](vestige_traits::limits::DEFAULT_LIMIT).
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

    /// How the two rankings become one.
    pub fn fusion(mut self, fusion: Fusion) -> Self {
        self.fusion = fusion;
        self
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
    /// What the question excludes is not embedded: a vector knows no "not", and would look for just that. A question in
    /// which the model knows no word, such as an emoji, is answered by words alone, and so is every question as long as
    /// the store has no vectors. An empty question finds nothing.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](vestige_traits::MemoryStoreError::InvalidInput) for a question too long, a limit or a filter
    ///   out of range.
    /// - [`ModelMismatch`](vestige_traits::MemoryStoreError::ModelMismatch) if the store belongs to another model,
    ///   except by words alone.
    /// - [`MemoryError::Embedder`](crate::MemoryError::Embedder), and those of the store.
    pub async fn recall(&self, question: impl Into<Recall>) -> MemoryResult<Vec<SearchResult>> {
        let question = question.into();
        let mode = question.mode;
        let query = self.search_query(question).await?;
        let mut hits = self.store().search(&query).await?;
        if mode == SearchMode::Vector {
            found_by_meaning(&mut hits);
        }
        Ok(hits)
    }

    /// The query that [`recall`](Self::recall) sends to the store: for
    /// [`explain_search`](MemoryStore::explain_search), or to see whether the question has a vector.
    ///
    /// # Errors
    ///
    /// Those of [`recall`](Self::recall).
    pub async fn search_query(&self, question: impl Into<Recall>) -> MemoryResult<SearchQuery> {
        let Recall { text, limit, filter, fusion, mode } = question.into();
        let mut query = SearchQuery::text(text).with_limit(limit).with_filter(filter).with_fusion(fusion);
        query.validate()?;
        let text = query.text.as_deref().filter(|_| mode != SearchMode::Keyword);
        if let Some(meant) = text.and_then(meant) {
            query.embedding = self.embed_query(&meant).await?;
        }
        if mode == SearchMode::Vector {
            by_meaning_alone(&mut query);
        }
        Ok(query)
    }
}
/// The text to embed. What a question excludes is left out of it: a vector knows no "not", and would look for just that.
/// None if the question does nothing but exclude.
fn meant(text: &str) -> Option<Cow<'_, str>> {
    let read = WebQuery::parse(text);
    if read.excluded.is_empty() {
        return Some(Cow::Borrowed(text));
    }
    let left: Vec<String> = read.words.into_iter().chain(read.phrases).collect();
    (!left.is_empty()).then(|| Cow::Owned(left.join(" ")))
}

/// Leaves of the words only what must or must not occur, which holds for the vectors too, and lets them count nothing.
fn by_meaning_alone(query: &mut SearchQuery) {
    let Some(text) = query.text.take().filter(|_| query.embedding.is_some()) else { return };
    let WebQuery { phrases, excluded, .. } = WebQuery::parse(&text);
    let required = phrases.iter().map(|phrase| format!("\"{phrase}\""));
    let constraints: Vec<_> =
        required.chain(excluded.iter().map(|phrase| format!("-\"{phrase}\""))).collect();
    if constraints.is_empty() {
        return;
    }
    query.text = Some(constraints.join(" "));
    // By rank, so that even the last that has a vector stands before everything that has none.
    query.fusion = Fusion {
        method: FusionMethod::ReciprocalRank,
        keyword_weight: 0.0,
        vector_weight: 1.0,
        ..Fusion::default()
    };
}

/// What such a search found, as the vectors alone say it.
fn found_by_meaning(hits: &mut Vec<SearchResult>) {
    hits.retain_mut(|hit| {
        (hit.fts_rank, hit.fts_score) = (None, None);
        hit.vector_score.inspect(|cosine| hit.score = *cosine).is_some()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_excluded_is_not_meant() {
        for (text, expected) in [
            ("sick \"house cat\"!", Some("sick \"house cat\"!")),
            ("sick -dog cat", Some("sick cat")),
            ("\"house cat\" -\"guide dog\" sick", Some("sick house cat")),
            ("well-known - fact", Some("well-known - fact")),
            ("-dog -\"guide dog\"", None),
        ] {
            assert_eq!(meant(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn only_constraints_are_left_of_the_words() {
        for (text, expected) in
            [("sick cat", None), ("sick “house cat” -dog -\"a b\"", Some("\"house cat\" -\"dog\" -\"a b\""))]
        {
            let mut query = SearchQuery::hybrid(text, vec![1.0]);
            by_meaning_alone(&mut query);
            assert_eq!(query.text.as_deref(), expected, "{text}");
            let read = WebQuery::parse(query.text.as_deref().unwrap_or_default());
            assert!(read.words.is_empty());
            assert_eq!(read.excluded, WebQuery::parse(text).excluded);
        }
        let mut nothing_meant = SearchQuery::text("-dog");
        by_meaning_alone(&mut nothing_meant);
        assert_eq!(nothing_meant.text, None);
    }
}
