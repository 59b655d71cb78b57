//! The analysis, as backends use it.

use super::document::AnalyzedDocument;
use super::query::AnalyzedQuery;
use super::term::Term;
use super::{fingerprint, memory, question};
use crate::search::SearchQuery;

/// Turns texts into terms. Cheap to make: what it knows is made once in a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Analyzer {
    _private: (),
}

impl Analyzer {
    /// The terms of the first [`MAX_INDEXED_CHARS`](crate::limits::MAX_INDEXED_CHARS) characters of a text,
    /// in the order of their positions. No term stands twice at a position.
    pub fn terms(&self, text: &str) -> Vec<Term> {
        memory::terms(text)
    }

    /// What a query's text looks for.
    pub fn query(&self, text: &str) -> AnalyzedQuery {
        question::analyzed(text)
    }

    /// What a search asks of the words of memories: its text analysed by [`query`](Self::query). In a mode
    /// that does not rank by words no term counts, and the phrases and exclusions are left.
    pub fn search(&self, query: &SearchQuery) -> AnalyzedQuery {
        let mut analyzed = query.text.as_deref().map(|text| self.query(text)).unwrap_or_default();
        if !query.mode.ranks_by_words() {
            analyzed.terms.clear();
        }
        analyzed
    }

    /// What this analysis is known by: another text where it may make other terms of a text, as with another
    /// version of Unicode or of the stemmer. Who keeps an index of terms keeps this beside it, and makes the
    /// index anew where it is another: terms that are looked for, or taken out, have to be those that were
    /// put in.
    pub fn fingerprint(&self) -> String {
        fingerprint::fingerprint()
    }
}

impl AnalyzedDocument {
    /// Analyses the three fields. The tags are read as one text.
    pub fn new(analyzer: &Analyzer, content: &str, node_type: &str, tags: &[String]) -> Self {
        let tags = analyzer.terms(&tags.join(" "));
        Self::within_limits(analyzer.terms(content), analyzer.terms(node_type), tags)
    }
}
