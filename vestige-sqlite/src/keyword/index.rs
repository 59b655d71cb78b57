//! The index of terms in the file: FTS5 without a text of its own.

use std::collections::HashSet;
use std::path::Path;
use std::sync::LazyLock;

use rusqlite::{Connection, Transaction, params};
use vestige_traits::analysis::{AnalyzedDocument, Analyzer, Term};
use vestige_traits::{MemoryStoreError, MemoryStoreResult};

use crate::error::{self, bad_value, map};
use crate::{codec, journal, nodes};

/// The fields of the index, in the order of [`AnalyzedDocument::fields`].
pub(crate) const FIELDS: [&str; 3] = ["content", "node_type", "tags"];

/// Makes the index readable by term, on a connection.
pub(crate) const PLACES: &str = "CREATE VIRTUAL TABLE IF NOT EXISTS temp.memory_term_places \
     USING fts5vocab ('main', 'memory_terms', 'instance')";

/// Makes the index anew where its terms are of another analysis than this program's, or of one that is not
/// known.
pub(crate) fn keep_current(connection: &mut Connection, path: &Path) -> MemoryStoreResult<()> {
    if is_current(connection)? {
        return Ok(());
    }
    nodes::write_past_damage(connection, path, |tx, unreadable| {
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
    for (node, _) in nodes::all(tx)? {
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
pub(super) fn document(
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

fn joined(terms: Vec<Term>) -> String {
    terms.into_iter().map(|term| term.text).collect::<Vec<_>>().join(" ")
}
