//! The analysis, as backends use it.

use std::ops::Range;

use crate::document::AnalyzedDocument;
use crate::limits::MAX_LABEL_BYTES;
use crate::query::AnalyzedQuery;
use crate::term::Term;
use crate::{fingerprint, memory, passages, question};

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

    /// The passages of a text, each of which is searched by itself, in bytes: one, from its beginning to its
    /// end, or up to [`MAX_PASSAGES`](crate::MAX_PASSAGES) of about [`PASSAGE_WORDS`](crate::PASSAGE_WORDS)
    /// words that overlap by half.
    pub fn passages(&self, text: &str) -> Vec<Range<usize>> {
        passages::passages(text)
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
    /// A memory as the documents that are searched, made one after the other: one for each of the content's
    /// [`passages`](Analyzer::passages), in their order, all with the type and the tags of the memory; the
    /// first alone where those take more than [`MAX_LABEL_BYTES`]. The tags are read as one text.
    pub fn of_memory<'a>(
        analyzer: &'a Analyzer,
        content: &'a str,
        node_type: &str,
        tags: &[String],
    ) -> impl Iterator<Item = Self> + 'a {
        let labels = [analyzer.terms(node_type), analyzer.terms(&tags.join(" "))];
        let bytes: usize = labels.iter().flatten().map(|term| term.text.len()).sum();
        analyzer.passages(content).into_iter().enumerate().map(move |(number, passage)| {
            let [node_type, tags] = match number == 0 || bytes <= MAX_LABEL_BYTES {
                true => labels.clone(),
                false => Default::default(),
            };
            Self::within_limits(analyzer.terms(&content[passage]), node_type, tags)
        })
    }

    /// Analyses three fields as one document, however long the content is.
    #[cfg(test)]
    pub(crate) fn new(analyzer: &Analyzer, content: &str, node_type: &str, tags: &[String]) -> Self {
        let tags = analyzer.terms(&tags.join(" "));
        Self::within_limits(analyzer.terms(content), analyzer.terms(node_type), tags)
    }
}
