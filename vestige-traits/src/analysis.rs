//! How text becomes searchable terms, the same for every backend (ADR 17).
//!
//! A text passes through these modules, each of which knows those before it only:
//!
//! 1. `fold` and `script`: one form for all spellings of a character, and what a character is to a word.
//! 2. `language`: the function words and letters that tell a language.
//! 3. `token` and `segment`: the text as a row of words, runs of scripts without spaces, and symbols.
//! 4. `stems` and `compound`: the stems of a word, and the parts and wholes of words as code has them.
//! 5. `forms`: the terms of each, with what they count in a question.
//! 6. `question` and `document`: those of a question and of a memory. `bm25` weighs them.

mod bm25;
mod compound;
mod document;
mod fingerprint;
mod fold;
mod forms;
mod hash;
mod language;
mod query;
mod question;
mod replaced;
mod script;
mod segment;
mod stems;
#[cfg(test)]
mod tests;
mod token;

use crate::search::SearchQuery;

pub use bm25::Bm25;
pub use document::{AnalyzedDocument, FIELD_WEIGHTS, MAX_PLACES, MAX_POSITION, MAX_TERM_BYTES};
pub use query::{AnalyzedQuery, Phrase, QueryTerm};
pub use replaced::replaced_stems;

use forms::{Form, Forms, Purpose};
use language::ENGLISH;
use segment::segments;

/// The longest word that is indexed, in bytes. A longer one is passed over, as PostgreSQL does.
pub const MAX_WORD_BYTES: usize = 2046;

/// A searchable term and its position in its text, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// What is looked up, such as a stem.
    pub text: String,
    /// Its position. Words without a term count, so that phrases keep their distances.
    /// Several terms may share one.
    pub position: u32,
}

/// Turns texts into terms. Cheap to make: what it knows is made once in a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Analyzer {
    _private: (),
}

impl Analyzer {
    /// The terms of the first [`MAX_INDEXED_CHARS`](crate::limits::MAX_INDEXED_CHARS) characters of a text,
    /// in the order of their positions. No term stands twice at a position.
    pub fn terms(&self, text: &str) -> Vec<Term> {
        let segments = segments(text);
        let language = segments.evidence.language();
        // In a text of another language it may be no stop word.
        let has_other = segments.tokens.iter().any(|token| !token.is_stop_word());
        let drops_stop_words = has_other && language.is_none_or(|language| language == ENGLISH);
        let mut terms: Vec<Term> = Vec::with_capacity(segments.tokens.len());
        let mut sink = |Form { text, position, .. }| {
            let mut here = terms.iter().rev().take_while(|term| term.position == position);
            if !here.any(|term| term.text == text) {
                terms.push(Term { text, position });
            }
        };
        let forms = Forms { segments: &segments, language, purpose: Purpose::Memory, sink: &mut sink };
        forms.all(|token| drops_stop_words && !token.is_capital && token.is_stop_word());
        terms
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
        fingerprint::of(self)
    }
}
