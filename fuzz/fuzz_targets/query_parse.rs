//! Any text is a query: reading and analysing it neither fails nor takes long.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vestige_traits::analysis::{AnalyzedDocument, Analyzer, MAX_WORD_BYTES};
use vestige_traits::limits::{MAX_ANALYZED_TERMS, MAX_QUERY_TERMS};
use vestige_traits::analysis::WebQuery;
use vestige_traits::SearchQuery;

fuzz_target!(|text: &str| {
    let query = WebQuery::parse(text);
    for entry in query.words.iter().chain(&query.phrases).chain(&query.excluded) {
        assert!(text.contains(entry.as_str()), "{entry:?} does not stand in the text");
        assert!(entry.contains(|c: char| !c.is_ascii_punctuation()), "{entry:?} has nothing to look for");
    }
    assert!(query.words.len() <= MAX_ANALYZED_TERMS);
    assert!(query.phrases.len().max(query.excluded.len()) <= MAX_QUERY_TERMS);
    assert!(SearchQuery::text(text).validate().is_ok());

    let analyzer = Analyzer::default();
    let analyzed = analyzer.query(text);
    assert!(analyzed.terms.len() <= MAX_ANALYZED_TERMS);
    assert!(analyzed.terms.iter().all(|term| !term.text.is_empty() && term.weight > 0.0));
    assert!(!query.is_empty() || analyzed.is_empty(), "terms came from nowhere");

    // A document of the same words is searched with it.
    let documents: Vec<_> = AnalyzedDocument::of_memory(&analyzer, text, "general", &[]).collect();
    let _ = analyzed.admits(&documents);
    for terms in documents.iter().flat_map(|document| &document.fields) {
        assert!(terms.iter().all(|term| term.text.len() <= MAX_WORD_BYTES));
        assert!(terms.is_sorted_by(|a, b| a.position <= b.position));
    }
});
