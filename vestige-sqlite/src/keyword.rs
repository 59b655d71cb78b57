//! The keyword leg: FTS5 over terms, and postings that were read from it before.

mod index;
mod postings;
mod rank;
mod top_k;
mod unit;

use foldhash::{HashMap, HashMapExt};
use rusqlite::{OptionalExtension, Row as SqlRow, Rows, Transaction, params};
use vestige_traits::MemoryStoreResult;
use vestige_traits::analysis::{AnalyzedQuery, Analyzer, Bm25, FIELD_WEIGHTS, Phrase};

use crate::error::map;
use crate::filter::{Admission, NodeSet};
use crate::{cancellation, codec};

pub(crate) use index::{FIELDS, PLACES, add, check_current, keep_current, rebuild, remove};
pub(crate) use postings::PostingCache;
pub(crate) use top_k::Hit;

use index::Row;
use top_k::TopK;
use unit::Unit;

/// The admitted nodes that hold any of the query's terms with their BM25 scores, best first; at most `depth`,
/// but all that share the last one's score.
pub(crate) fn search(
    tx: &Transaction<'_>,
    cache: &PostingCache,
    query: &AnalyzedQuery,
    admission: &Admission,
    depth: usize,
) -> MemoryStoreResult<Vec<Hit>> {
    if query.is_empty() {
        return Ok(Vec::new());
    }
    match cache.lists(tx, query)? {
        Some(lists) => {
            let found = rank::top_k(&lists, admission, depth);
            cancellation::check().map(|()| found)
        }
        None => by_statement(tx, query, admission, depth),
    }
}

/// The same, by FTS5 itself, in no memory that grows with the store but for what is found of long texts.
///
/// For a single term its `bm25()` is `idf × 2.2 × f / (f + 1.2 × l)`, where f is the weighted frequency and l
/// depends on the length. Larger weights of the fields make another k1 of the 1.2, and the idf is known.
fn by_statement(
    tx: &Transaction<'_>,
    query: &AnalyzedQuery,
    admission: &Admission,
    depth: usize,
) -> MemoryStoreResult<Vec<Hit>> {
    const K1: f64 = 1.2;
    const HOLDING: &str = "SELECT count(*) FROM memory_terms WHERE memory_terms MATCH ?";
    const SCORES: &str = "SELECT rowid, bm25(memory_terms, ?, ?, ?) FROM memory_terms \
                          WHERE memory_terms MATCH ? ORDER BY rowid";
    let [content, node_type, tags] = FIELD_WEIGHTS.map(|weight| weight * K1 / Bm25::K1);
    let bm25 = postings::totals(tx)?;
    let mut holding = tx.prepare_cached(HOLDING).map_err(map)?;
    let mut holding = |term: &str| -> MemoryStoreResult<u64> {
        let documents: i64 = holding.query_row([quoted(term)], |row| row.get(0)).map_err(map)?;
        Ok(documents.cast_unsigned())
    };
    let counting = query.rarest(&mut holding)?;
    // One statement for each term, all read side by side.
    let statements = counting.iter().map(|_| tx.prepare_cached(SCORES));
    let mut statements = statements.collect::<rusqlite::Result<Vec<_>>>().map_err(map)?;
    let mut terms = Vec::with_capacity(statements.len());
    for (statement, term) in statements.iter_mut().zip(counting) {
        let n = holding(&term.text)?;
        let factor = bm25.idf(n).powi(2) * (Bm25::K1 + 1.0) / (fts5_idf(bm25.documents, n) * (K1 + 1.0));
        let hits = statement.query(params![content, node_type, tags, quoted(&term.text)]).map_err(map)?;
        terms.push(Hits::new(hits, term.weight * factor)?);
    }
    let of_memory = |best: Hit| Ok(best.of_passages(index::passages_of(tx, best.node)?));
    let mut top = TopK::new(depth);
    // The best passage of each node but the first one. A node's come in their order.
    let mut further: HashMap<i64, Hit> = HashMap::new();
    while let Some(rowid) = terms.iter().filter_map(|hits| hits.next).map(|(rowid, _)| rowid).min() {
        let mut score = 0.0;
        for hits in &mut terms {
            if let Some((_, of_term)) = hits.next.filter(|&(next, _)| next == rowid) {
                score += of_term;
                hits.advance()?;
            }
        }
        let unit = Unit::of_rowid(rowid)?;
        if !admission.admits(i64::from(unit.node)) {
            continue;
        }
        let hit = Hit::of_passage(unit, score);
        if unit.number > 0 {
            let best = further.entry(hit.node).or_insert(hit);
            if hit.score > best.score {
                *best = hit;
            }
        } else if top.takes(hit.score) {
            top.offer(of_memory(hit)?);
        }
    }
    if further.is_empty() {
        return Ok(top.finish());
    }
    // A node that is among the best by its first passage has others in there or not.
    let mut all = TopK::new(depth);
    for hit in top.finish() {
        let other = further.remove(&hit.node).map(of_memory).transpose()?;
        all.offer(other.filter(|other| other.score > hit.score).unwrap_or(hit));
    }
    for hit in further.into_values() {
        if all.takes(hit.score) {
            all.offer(of_memory(hit)?);
        }
    }
    Ok(all.finish())
}

/// What FTS5 finds for a term, in the order of its rows.
struct Hits<'a> {
    rows: Rows<'a>,
    factor: f64,
    /// The next row, and what the term adds to its score.
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

/// The row of a node's passage in the index.
pub(crate) fn rowid(node: i64, passage: usize) -> MemoryStoreResult<i64> {
    Unit::new(node, passage).map(Unit::rowid)
}

/// The node whose passage a row of the index is.
pub(crate) fn node_of(rowid: i64) -> i64 {
    i64::from(unit::node_of(rowid))
}

/// Narrows an admission by the query's phrases and exclusions.
pub(crate) fn constrain(
    tx: &Transaction<'_>,
    analyzer: &Analyzer,
    query: &AnalyzedQuery,
    admission: &mut Admission,
) -> MemoryStoreResult<()> {
    for phrase in &query.required {
        let nodes = holding(tx, analyzer, phrase, admission)?;
        admission.restrict(nodes);
    }
    for phrase in &query.excluded {
        let nodes = holding(tx, analyzer, phrase, admission)?;
        admission.exclude(&nodes);
    }
    Ok(())
}

/// The admitted nodes that hold a phrase, and maybe others that are not admitted.
fn holding(
    tx: &Transaction<'_>,
    analyzer: &Analyzer,
    phrase: &Phrase,
    admission: &Admission,
) -> MemoryStoreResult<NodeSet> {
    let mut statement =
        tx.prepare_cached("SELECT rowid FROM memory_terms WHERE memory_terms MATCH ?").map_err(map)?;
    let found = statement
        .query_map([candidates(phrase)], |row| row.get(0))
        .and_then(Iterator::collect::<rusqlite::Result<Vec<i64>>>)
        .map_err(map)?;
    let mut nodes = NodeSet::default();
    // The index does not hold the words between the terms, so the distance is checked on the text.
    let mut sizes = tx.prepare_cached("SELECT sz FROM memory_terms_docsize WHERE id = ?").map_err(map)?;
    let mut looked_at = NodeSet::default();
    for rowid in found {
        let node = node_of(rowid);
        if phrase.terms.len() == 1 {
            nodes.insert(node);
            continue;
        }
        if !admission.admits(node) || looked_at.contains(node) {
            continue;
        }
        cancellation::check()?;
        // Reading a text takes much longer than learning that it is too short.
        if phrase.whole.is_none() {
            let longest_field = |row: &SqlRow<'_>| {
                Ok(codec::varints(row.get_ref(0)?.as_blob().unwrap_or_default()).max().unwrap_or(0))
            };
            let terms = sizes.query_row([rowid], longest_field).optional().map_err(map)?;
            if terms.unwrap_or(0) < phrase.terms.len() as u64 {
                continue;
            }
        }
        looked_at.insert(node);
        if let Some(row) = Row::read(tx, node)?
            && row.documents(analyzer).any(|document| document.contains(phrase))
        {
            nodes.insert(node);
        }
    }
    Ok(nodes)
}

/// An FTS5 query for all of a phrase's terms, wherever they stand, or its whole.
fn candidates(phrase: &Phrase) -> String {
    let mut terms: Vec<String> = phrase.terms.iter().map(|term| quoted(&term.text)).collect();
    // FTS5 reads the list of a term again for each time it stands in the query.
    terms.sort_unstable();
    terms.dedup();
    let terms = terms.join(" AND ");
    match &phrase.whole {
        Some(whole) => format!("({terms}) OR {}", quoted(whole)),
        None => terms,
    }
}

/// A term as a string of an FTS5 query. No term holds a quote, so it needs no escapes.
fn quoted(term: &str) -> String {
    format!("\"{term}\"")
}
