//! The analysis, as backends use it.

use crate::document::AnalyzedDocument;
use crate::query::AnalyzedQuery;
use crate::term::Term;
use crate::{fingerprint, memory, question};

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

    /// What a question's text looks for, read as [`WebQuery`](crate::WebQuery) reads it.
    pub fn query(&self, text: &str) -> AnalyzedQuery {
        question::analyzed(text)
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
