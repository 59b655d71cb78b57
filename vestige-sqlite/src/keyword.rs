//! The keyword leg: FTS5 over terms, and postings that were read from it before.

mod postings;
mod rank;

use std::collections::HashMap;

use rusqlite::{Transaction, params};
use vestige_traits::analysis::{AnalyzedDocument, AnalyzedQuery, Analyzer, Bm25, FIELD_WEIGHTS, Term};
use vestige_traits::{MemoryStoreResult, round_score};

use crate::codec;
use crate::error::{bad_value, map};
use crate::filter::{Admission, NodeSet};

pub(crate) use postings::PostingCache;

/// Makes the index readable by term, on a connection.
pub(crate) const PLACES: &str = "CREATE VIRTUAL TABLE temp.memory_term_places \
     USING fts5vocab ('main', 'memory_terms', 'instance')";

/// Puts a node's terms into the index.
pub(crate) fn add(tx: &Transaction<'_>, node: i64, document: AnalyzedDocument) -> MemoryStoreResult<()> {
    let [content, node_type, tags] = document.fields.map(joined);
    tx.prepare_cached("INSERT INTO memory_terms (rowid, content, node_type, tags) VALUES (?, ?, ?, ?)")
        .and_then(|mut statement| statement.execute(params![node, content, node_type, tags]))
        .map_err(map)?;
    Ok(())
}

/// Takes a node's terms out of the index: those of the row as it stands.
pub(crate) fn remove(tx: &Transaction<'_>, analyzer: &Analyzer, node: i64) -> MemoryStoreResult<()> {
    let Some(document) = document(tx, analyzer, node)? else { return Ok(()) };
    let [content, node_type, tags] = document.fields.map(joined);
    // The index holds no text of its own, so it has to be told what to forget.
    tx.prepare_cached(
        "INSERT INTO memory_terms (memory_terms, rowid, content, node_type, tags) VALUES ('delete', ?, ?, ?, ?)",
    )
    .and_then(|mut statement| statement.execute(params![node, content, node_type, tags]))
    .map_err(map)?;
    Ok(())
}

/// The terms of a node's row.
fn document(
    tx: &Transaction<'_>,
    analyzer: &Analyzer,
    node: i64,
) -> MemoryStoreResult<Option<AnalyzedDocument>> {
    let mut statement = tx
        .prepare_cached("SELECT content, node_type, tags FROM knowledge_nodes WHERE node = ?")
        .map_err(map)?;
    let mut rows = statement.query([node]).map_err(map)?;
    let Some(row) = rows.next().map_err(map)? else { return Ok(None) };
    let text = |at: usize, column| {
        row.get_ref(at).map_err(map)?.as_str().map_err(|error| bad_value(column, error.to_string()))
    };
    let tags: Vec<String> = codec::json(row, 2, "tags")?;
    Ok(Some(AnalyzedDocument::new(analyzer, text(0, "content")?, text(1, "node_type")?, &tags)))
}

/// The admitted nodes that hold any of the query's terms with their BM25 scores, rounded, best first;
/// at most `depth`, but all that share the last one's score.
pub(crate) fn search(
    tx: &Transaction<'_>,
    cache: &PostingCache,
    query: &AnalyzedQuery,
    admission: &Admission,
    depth: usize,
) -> MemoryStoreResult<Vec<(i64, f64)>> {
    if query.is_empty() {
        return Ok(Vec::new());
    }
    match cache.lists(tx, &query.terms)? {
        Some(lists) => Ok(rank::best(&lists, admission, depth)),
        None => by_statement(tx, query, admission, depth),
    }
}

/// The same, by FTS5 itself, term by term.
///
/// For a single term its `bm25()` is `idf × 2.2 × f / (f + 1.2 × l)`, where f is the weighted frequency and l depends on
/// the length. Larger weights of the fields make another k1 of the 1.2, and the idf is known.
fn by_statement(
    tx: &Transaction<'_>,
    query: &AnalyzedQuery,
    admission: &Admission,
    depth: usize,
) -> MemoryStoreResult<Vec<(i64, f64)>> {
    const K1: f64 = 1.2;
    let [content, node_type, tags] = FIELD_WEIGHTS.map(|weight| weight * K1 / Bm25::K1);
    let bm25 = postings::totals(tx)?;
    let mut statement = tx
        .prepare_cached(
            "SELECT rowid, bm25(memory_terms, ?, ?, ?) FROM memory_terms WHERE memory_terms MATCH ?",
        )
        .map_err(map)?;
    let mut scores: HashMap<i64, f64> = HashMap::new();
    for term in &query.terms {
        // A term is letters and digits, so quoting needs no escapes.
        let quoted = format!("\"{term}\"");
        let hits = statement
            .query_map(params![content, node_type, tags, quoted], |row| Ok((row.get(0)?, row.get(1)?)))
            .and_then(Iterator::collect::<rusqlite::Result<Vec<(i64, f64)>>>)
            .map_err(map)?;
        let n = hits.len() as u64;
        let factor = bm25.idf(n).powi(2) * (Bm25::K1 + 1.0) / (fts5_idf(bm25.documents, n) * (K1 + 1.0));
        for (node, score) in hits.into_iter().filter(|(node, _)| admission.admits(*node)) {
            // FTS5's score is negative: lower is better.
            *scores.entry(node).or_default() -= factor * score;
        }
    }
    let scored = scores.into_iter().map(|(node, score)| (node, round_score(score)));
    Ok(best(scored.collect(), depth))
}

/// The inverse document frequency in FTS5's `bm25()` (documentation of FTS5, section 5.1.1).
fn fts5_idf(documents: u64, holding: u64) -> f64 {
    let (documents, holding) = (documents as f64, holding as f64);
    let idf = ((documents - holding + 0.5) / (holding + 0.5)).ln();
    if idf <= 0.0 { 1e-6 } else { idf }
}

/// The best `depth` of the scored nodes, best first, and all that share the last one's score.
pub(crate) fn best(mut scored: Vec<(i64, f64)>, depth: usize) -> Vec<(i64, f64)> {
    let by_score = |a: &(i64, f64), b: &(i64, f64)| b.1.total_cmp(&a.1);
    if depth == 0 {
        return Vec::new();
    }
    if scored.len() > depth {
        let (_, &mut (_, last), _) = scored.select_nth_unstable_by(depth - 1, by_score);
        scored.retain(|&(_, score)| score >= last);
    }
    scored.sort_unstable_by(by_score);
    scored
}

/// Narrows an admission by the query's phrases and exclusions.
pub(crate) fn constrain(
    tx: &Transaction<'_>,
    analyzer: &Analyzer,
    query: &AnalyzedQuery,
    admission: &mut Admission,
) -> MemoryStoreResult<()> {
    for phrase in &query.required {
        admission.restrict(holding(tx, analyzer, phrase)?);
    }
    for phrase in &query.excluded {
        admission.exclude(&holding(tx, analyzer, phrase)?);
    }
    Ok(())
}

/// The nodes that hold a phrase.
fn holding(tx: &Transaction<'_>, analyzer: &Analyzer, phrase: &[Term]) -> MemoryStoreResult<NodeSet> {
    let mut statement =
        tx.prepare_cached("SELECT rowid FROM memory_terms WHERE memory_terms MATCH ?").map_err(map)?;
    let candidates = statement
        .query_map([all_of(phrase)], |row| row.get(0))
        .and_then(Iterator::collect::<rusqlite::Result<NodeSet>>)
        .map_err(map)?;
    if phrase.len() == 1 {
        return Ok(candidates);
    }
    // The index does not hold the stop words between the terms, so the distance is checked on the text.
    let mut nodes = NodeSet::default();
    for node in candidates.iter() {
        if document(tx, analyzer, node)?.is_some_and(|document| document.contains(phrase)) {
            nodes.insert(node);
        }
    }
    Ok(nodes)
}

fn joined(terms: Vec<Term>) -> String {
    terms.into_iter().map(|term| term.text).collect::<Vec<_>>().join(" ")
}

/// An FTS5 query for all of a phrase's terms, wherever they stand.
fn all_of(phrase: &[Term]) -> String {
    let quoted: Vec<String> = phrase.iter().map(|term| format!("\"{}\"", term.text)).collect();
    quoted.join(" AND ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tie_at_the_depth_is_kept_whole() {
        let scored = vec![(1, 1.0), (2, 3.0), (3, 2.0), (4, 2.0), (5, 2.0)];
        let nodes: Vec<i64> = best(scored.clone(), 2).into_iter().map(|(node, _)| node).collect();
        assert_eq!(nodes[0], 2);
        assert_eq!(nodes.len(), 4);
        assert_eq!(best(scored.clone(), 10).len(), 5);
        assert!(best(scored, 0).is_empty());
    }
}
