//! The keyword leg: FTS5 over terms.

use std::fmt::Write as _;

use rusqlite::{Transaction, params};
use vestige_traits::analysis::{AnalyzedDocument, AnalyzedQuery, Analyzer, FIELD_WEIGHTS, Term};
use vestige_traits::{MemoryStoreResult, round_score};

use crate::codec;
use crate::error::{bad_value, map};
use crate::filter::{Admission, NodeSet};

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
    query: &AnalyzedQuery,
    admission: &Admission,
    depth: usize,
) -> MemoryStoreResult<Vec<(i64, f64)>> {
    if query.is_empty() {
        return Ok(Vec::new());
    }
    let [content, node_type, tags] = FIELD_WEIGHTS;
    // The statement is the same for every query, so that it is prepared once.
    let mut statement = tx
        .prepare_cached(
            "SELECT rowid, bm25(memory_terms, ?, ?, ?) FROM memory_terms WHERE memory_terms MATCH ?",
        )
        .map_err(map)?;
    let mut rows = statement.query(params![content, node_type, tags, any_of(&query.terms)]).map_err(map)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(map)? {
        let node = row.get(0).map_err(map)?;
        if admission.admits(node) {
            // FTS5's score is negative: lower is better.
            found.push((node, round_score(-row.get::<_, f64>(1).map_err(map)?)));
        }
    }
    Ok(best(found, depth))
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

/// An FTS5 query for any of the terms. A term is letters and digits, so quoting needs no escapes.
fn any_of(terms: &[String]) -> String {
    let mut query = String::new();
    for term in terms {
        let separator = if query.is_empty() { "" } else { " OR " };
        let _ = write!(query, "{separator}\"{term}\"");
    }
    query
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
