//! What a question asks of the terms of memories.

use crate::document::AnalyzedDocument;
use crate::limits::MAX_QUERY_TERMS;
use crate::term::Phrase;

/// A term that a question asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryTerm {
    /// The term.
    pub text: String,
    /// What its part of a score is multiplied by: above 0, at most 1.
    pub weight: f64,
}

/// A question in terms of the index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnalyzedQuery {
    /// The terms that count for the score, each once: of the words, then of the phrases.
    pub terms: Vec<QueryTerm>,
    /// Phrases that must occur.
    pub required: Vec<Phrase>,
    /// Words and phrases that must not occur.
    pub excluded: Vec<Phrase>,
}

impl AnalyzedQuery {
    /// Terms that this many documents hold, or more, are equally rare to [`rarest`](Self::rarest).
    pub const MAX_HOLDING: u64 = 1000;

    /// Whether the keyword leg has nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether there is a phrase that must or must not occur.
    pub fn has_constraints(&self) -> bool {
        !self.required.is_empty() || !self.excluded.is_empty()
    }

    /// Whether a memory of these documents meets the phrases and exclusions: each phrase stands in one of
    /// them, and none holds what is excluded.
    pub fn admits(&self, memory: &[AnalyzedDocument]) -> bool {
        let holds = |phrase: &Phrase| memory.iter().any(|document| document.contains(phrase));
        self.required.iter().all(holds) && !self.excluded.iter().any(holds)
    }

    /// The terms that count: all of them, or of more than [`MAX_QUERY_TERMS`] the rarest that many.
    ///
    /// `holding` says how many documents hold a term, and is asked only where there are more. A term that no
    /// document holds does not count then. Of equally rare ones the first do, and all stay in their order.
    /// [`MAX_HOLDING`](Self::MAX_HOLDING) documents are as many as any more, so a backend need not count on.
    ///
    /// # Errors
    ///
    /// Those of `holding`.
    pub fn rarest<E>(&self, mut holding: impl FnMut(&str) -> Result<u64, E>) -> Result<Vec<&QueryTerm>, E> {
        if self.terms.len() <= MAX_QUERY_TERMS {
            return Ok(self.terms.iter().collect());
        }
        let mut known = Vec::new();
        for (at, term) in self.terms.iter().enumerate() {
            let documents = holding(&term.text)?;
            if documents > 0 {
                known.push((documents.min(Self::MAX_HOLDING), at));
            }
        }
        known.sort_unstable();
        known.truncate(MAX_QUERY_TERMS);
        known.sort_unstable_by_key(|&(_, at)| at);
        Ok(known.into_iter().map(|(_, at)| &self.terms[at]).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(terms: usize) -> AnalyzedQuery {
        let terms = (0..terms).map(|n| QueryTerm { text: format!("t{n}"), weight: 1.0 });
        AnalyzedQuery { terms: terms.collect(), ..AnalyzedQuery::default() }
    }

    #[test]
    fn the_rarest_terms_count_in_their_order() {
        let query = asking(100);
        // The last are the rarest, and every tenth occurs nowhere.
        let holding = |term: &str| -> Result<u64, std::num::ParseIntError> {
            let n: u64 = term[1..].parse()?;
            Ok(if n.is_multiple_of(10) { 0 } else { 1000 - n })
        };
        let kept = query.rarest(holding).unwrap();
        assert_eq!(kept.len(), MAX_QUERY_TERMS);
        let numbers: Vec<u64> = kept.iter().map(|term| term.text[1..].parse().unwrap()).collect();
        assert!(numbers.is_sorted() && numbers.iter().all(|n| n % 10 != 0 && *n > 28), "{numbers:?}");
    }

    #[test]
    fn of_terms_that_very_many_hold_the_first_count() {
        let query = asking(100);
        let kept = query.rarest(|term| Ok::<_, std::num::ParseIntError>(5000 - term[1..].parse::<u64>()?));
        assert_eq!(kept.unwrap()[MAX_QUERY_TERMS - 1].text, format!("t{}", MAX_QUERY_TERMS - 1));
    }

    #[test]
    fn a_question_that_is_short_keeps_all_unasked() {
        let query = asking(MAX_QUERY_TERMS);
        assert_eq!(query.rarest(|_| Err(())).unwrap().len(), MAX_QUERY_TERMS);
    }
}
