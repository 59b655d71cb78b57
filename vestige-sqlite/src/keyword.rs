//! The keyword leg: FTS5 over terms, and postings that were read from it before.

mod postings;
mod rank;

use std::collections::HashSet;
use std::sync::LazyLock;

use rusqlite::{Connection, Rows, Transaction, params};
use vestige_traits::analysis::{AnalyzedDocument, AnalyzedQuery, Analyzer, Bm25, FIELD_WEIGHTS, Term};
use vestige_traits::{MemoryStoreError, MemoryStoreResult, round_score};

use crate::codec;
use crate::error::{self, bad_value, map};
use crate::filter::{Admission, NodeSet};
use crate::{journal, records};

pub(crate) use postings::PostingCache;

/// The fields of the index, in the order of [`AnalyzedDocument::fields`].
pub(crate) const FIELDS: [&str; 3] = ["content", "node_type", "tags"];

/// Makes the index readable by term, on a connection.
pub(crate) const PLACES: &str = "CREATE VIRTUAL TABLE IF NOT EXISTS temp.memory_term_places \
     USING fts5vocab ('main', 'memory_terms', 'instance')";

/// Makes the index anew where its terms are of another analysis than this program's, or of one that is not
/// known.
pub(crate) fn keep_current(connection: &mut Connection) -> MemoryStoreResult<()> {
    if is_current(connection)? {
        return Ok(());
    }
    records::write_past_damage(connection, |tx, unreadable| {
        // Another process may have been faster.
        if !is_current(tx)? {
            rebuild(tx, &Analyzer::default(), unreadable)?;
            journal::begin_generation(tx)?;
        }
        Ok(())
    })
}

/// Fails where another version of this program has made the index anew since the store was opened: what this
/// one would put in could not be found, and what it would take out would not be there.
pub(crate) fn check_current(tx: &Transaction<'_>) -> MemoryStoreResult<()> {
    if is_current(tx)? {
        return Ok(());
    }
    Err(MemoryStoreError::Unavailable {
        reason: "another version of Vestige has opened this store since; restart this program, and use one \
                 version with a store"
            .to_owned(),
        retryable: false,
        source: None,
    })
}

fn is_current(connection: &Connection) -> MemoryStoreResult<bool> {
    connection
        .prepare_cached("SELECT fingerprint = ? FROM term_analysis")
        .and_then(|mut statement| statement.query_row([fingerprint()], |row| row.get(0)))
        .map_err(map)
}

/// This program's analysis.
fn fingerprint() -> &'static str {
    static FINGERPRINT: LazyLock<String> = LazyLock::new(|| Analyzer::default().fingerprint());
    &FINGERPRINT
}

/// Makes the index anew from the rows, but for those that are on damaged pages or whose text cannot be read.
pub(crate) fn rebuild(
    tx: &Transaction<'_>,
    analyzer: &Analyzer,
    on_damaged_pages: &HashSet<i64>,
) -> MemoryStoreResult<()> {
    tx.execute("INSERT INTO memory_terms (memory_terms) VALUES ('delete-all')", []).map_err(map)?;
    for (node, _) in records::all_nodes(tx)? {
        if on_damaged_pages.contains(&node) {
            continue;
        }
        match document(tx, analyzer, node) {
            Ok(Some(document)) => add(tx, node, document)?,
            Ok(None) => {}
            Err(error) if error::is_of_a_row(&error) => {}
            Err(error) => return Err(error),
        }
    }
    tx.execute("INSERT INTO memory_terms (memory_terms) VALUES ('optimize')", []).map_err(map)?;
    tx.execute("UPDATE term_analysis SET fingerprint = ?", [fingerprint()]).map_err(map)?;
    Ok(())
}

/// Puts a node's terms into the index.
pub(crate) fn add(tx: &Transaction<'_>, node: i64, document: AnalyzedDocument) -> MemoryStoreResult<()> {
    let [content, node_type, tags] = document.fields.map(joined);
    tx.prepare_cached("INSERT INTO memory_terms (rowid, content, node_type, tags) VALUES (?, ?, ?, ?)")
        .and_then(|mut statement| statement.execute(params![node, content, node_type, tags]))
        .map_err(map)?;
    Ok(())
}

/// Takes a node's terms out of the index: those of the row as it stands, or where it cannot be read, those
/// that the index has.
pub(crate) fn remove(tx: &Transaction<'_>, analyzer: &Analyzer, node: i64) -> MemoryStoreResult<()> {
    let [content, node_type, tags] = match document(tx, analyzer, node) {
        Ok(None) => return Ok(()),
        Ok(Some(document)) => document.fields.map(joined),
        Err(MemoryStoreError::Damaged { .. }) => match indexed(tx, node)? {
            Some(terms) => terms,
            None => return Ok(()),
        },
        Err(error) => return Err(error),
    };
    // The index holds no text of its own, so it has to be told what to forget.
    tx.prepare_cached(
        "INSERT INTO memory_terms (memory_terms, rowid, content, node_type, tags) VALUES ('delete', ?, ?, ?, ?)",
    )
    .and_then(|mut statement| statement.execute(params![node, content, node_type, tags]))
    .map_err(map)?;
    Ok(())
}

/// The terms that the index has of a node, by a look at all of it; none where it does not have the node.
fn indexed(tx: &Transaction<'_>, node: i64) -> MemoryStoreResult<Option<[String; 3]>> {
    let mut known = tx.prepare("SELECT 1 FROM memory_terms_docsize WHERE id = ?").map_err(map)?;
    if !known.exists([node]).map_err(map)? {
        return Ok(None);
    }
    tx.execute_batch(PLACES).map_err(map)?;
    let mut of_field = tx
        .prepare("SELECT term FROM temp.memory_term_places WHERE doc = ? AND col = ? ORDER BY \"offset\"")
        .map_err(map)?;
    let mut terms = |field| {
        of_field
            .query_map(params![node, field], |row| row.get(0))
            .and_then(Iterator::collect::<rusqlite::Result<Vec<String>>>)
            .map(|terms| terms.join(" "))
            .map_err(map)
    };
    let [content, node_type, tags] = FIELDS;
    Ok(Some([terms(content)?, terms(node_type)?, terms(tags)?]))
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

/// The same, by FTS5 itself, in no memory that grows with the store.
///
/// For a single term its `bm25()` is `idf × 2.2 × f / (f + 1.2 × l)`, where f is the weighted frequency and l
/// depends on the length. Larger weights of the fields make another k1 of the 1.2, and the idf is known.
fn by_statement(
    tx: &Transaction<'_>,
    query: &AnalyzedQuery,
    admission: &Admission,
    depth: usize,
) -> MemoryStoreResult<Vec<(i64, f64)>> {
    const K1: f64 = 1.2;
    const HOLDING: &str = "SELECT count(*) FROM memory_terms WHERE memory_terms MATCH ?";
    const SCORES: &str = "SELECT rowid, bm25(memory_terms, ?, ?, ?) FROM memory_terms \
                          WHERE memory_terms MATCH ? ORDER BY rowid";
    let [content, node_type, tags] = FIELD_WEIGHTS.map(|weight| weight * K1 / Bm25::K1);
    let bm25 = postings::totals(tx)?;
    let mut holding = tx.prepare_cached(HOLDING).map_err(map)?;
    // One statement for each term, all read side by side.
    let statements = query.terms.iter().map(|_| tx.prepare_cached(SCORES));
    let mut statements = statements.collect::<rusqlite::Result<Vec<_>>>().map_err(map)?;
    let mut terms = Vec::with_capacity(statements.len());
    for (statement, term) in statements.iter_mut().zip(&query.terms) {
        // A term is letters and digits, so quoting needs no escapes.
        let quoted = format!("\"{term}\"");
        let n: i64 = holding.query_row([&quoted], |row| row.get(0)).map_err(map)?;
        let n = n.cast_unsigned();
        let factor = bm25.idf(n).powi(2) * (Bm25::K1 + 1.0) / (fts5_idf(bm25.documents, n) * (K1 + 1.0));
        let hits = statement.query(params![content, node_type, tags, quoted]).map_err(map)?;
        terms.push(Hits::new(hits, factor)?);
    }
    let mut best = Best::new(depth);
    while let Some(node) = terms.iter().filter_map(|hits| hits.next).map(|(node, _)| node).min() {
        let mut score = 0.0;
        for hits in &mut terms {
            if let Some((_, of_term)) = hits.next.filter(|&(next, _)| next == node) {
                score += of_term;
                hits.advance()?;
            }
        }
        if admission.admits(node) {
            best.offer(node, score);
        }
    }
    Ok(best.finish())
}

/// What FTS5 finds for a term, in the order of nodes.
struct Hits<'a> {
    rows: Rows<'a>,
    factor: f64,
    /// The next node, and what the term adds to its score.
    next: Option<(i64, f64)>,
}

impl<'a> Hits<'a> {
    fn new(rows: Rows<'a>, factor: f64) -> MemoryStoreResult<Self> {
        let mut hits = Self { rows, factor, next: None };
        hits.advance()?;
        Ok(hits)
    }

    fn advance(&mut self) -> MemoryStoreResult<()> {
        self.next = match self.rows.next().map_err(map)? {
            // FTS5's score is negative: lower is better.
            Some(row) => {
                let score: f64 = row.get(1).map_err(map)?;
                Some((row.get(0).map_err(map)?, -self.factor * score))
            }
            None => None,
        };
        Ok(())
    }
}

/// The inverse document frequency in FTS5's `bm25()` (documentation of FTS5, section 5.1.1).
fn fts5_idf(documents: u64, holding: u64) -> f64 {
    let (documents, holding) = (documents as f64, holding as f64);
    let idf = ((documents - holding + 0.5) / (holding + 0.5)).ln();
    if idf <= 0.0 { 1e-6 } else { idf }
}

/// The best `depth` of the nodes that are offered, and all that share the last one's score.
struct Best {
    depth: usize,
    found: Vec<(i64, f64)>,
    /// What is below this is not among them.
    floor: f64,
    room: usize,
}

impl Best {
    fn new(depth: usize) -> Self {
        Self { depth, found: Vec::new(), floor: 0.0, room: 4 * depth.max(64) }
    }

    /// Takes a node in with its score, which is rounded.
    fn offer(&mut self, node: i64, score: f64) {
        let score = round_score(score);
        if score >= self.floor {
            self.found.push((node, score));
            if self.found.len() >= self.room {
                self.shrink();
                self.floor = self.found.last().map_or(0.0, |&(_, score)| score);
                // Ties may keep it long; then it has to grow, or it would be sorted at every node.
                self.room = self.room.max(2 * self.found.len());
            }
        }
    }

    /// Best first.
    fn finish(mut self) -> Vec<(i64, f64)> {
        self.shrink();
        self.found
    }

    fn shrink(&mut self) {
        let by_score = |a: &(i64, f64), b: &(i64, f64)| b.1.total_cmp(&a.1);
        if self.depth == 0 {
            self.found.clear();
        }
        if self.found.len() > self.depth {
            let (_, &mut (_, last), _) = self.found.select_nth_unstable_by(self.depth - 1, by_score);
            self.found.retain(|&(_, score)| score >= last);
        }
        self.found.sort_unstable_by(by_score);
    }
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
        let best = |depth| {
            let mut best = Best::new(depth);
            // Ten times, so that it is cut on the way.
            for node in 0..1000 {
                best.offer(node, [1.0, 3.0, 2.0, 2.0][usize::try_from(node % 4).unwrap()]);
            }
            best.finish()
        };
        assert!(best(200).iter().all(|&(_, score)| score == 3.0));
        assert_eq!(best(200).len(), 250);
        assert_eq!(best(251).len(), 750);
        assert_eq!(best(2000).len(), 1000);
        assert!(best(0).is_empty());
    }
}
