//! The index of terms in the file: FTS5 without a text of its own.

use std::collections::HashSet;
use std::path::Path;
use std::sync::LazyLock;

use rusqlite::{Connection, Transaction, params};
use vestige_traits::analysis::{AnalyzedDocument, Analyzer, MAX_PASSAGES, Term};
use vestige_traits::{MemoryStoreError, MemoryStoreResult};

use super::unit::{Passages, Unit, node_of};
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
        match Row::read(tx, node) {
            Ok(Some(row)) => add(tx, node, row.documents(analyzer))?,
            Ok(None) => {}
            Err(error) if error::is_of_a_row(&error) => {}
            Err(error) => return Err(error),
        }
    }
    tx.execute("INSERT INTO memory_terms (memory_terms) VALUES ('optimize')", []).map_err(map)?;
    tx.execute("UPDATE term_analysis SET fingerprint = ?", [fingerprint()]).map_err(map)?;
    Ok(())
}

/// Puts the terms of a node's passages into the index.
pub(crate) fn add(
    tx: &Transaction<'_>,
    node: i64,
    documents: impl Iterator<Item = AnalyzedDocument>,
) -> MemoryStoreResult<()> {
    let mut statement = tx
        .prepare_cached("INSERT INTO memory_terms (rowid, content, node_type, tags) VALUES (?, ?, ?, ?)")
        .map_err(map)?;
    for (number, document) in documents.enumerate() {
        let [content, node_type, tags] = document.fields.map(joined);
        let unit = Unit::new(node, number)?;
        statement.execute(params![unit.rowid(), content, node_type, tags]).map_err(map)?;
    }
    Ok(())
}

/// Takes a node's terms out of the index: those of the row as it stands, or where it cannot be read, those
/// that the index has.
pub(crate) fn remove(tx: &Transaction<'_>, analyzer: &Analyzer, node: i64) -> MemoryStoreResult<()> {
    // The index holds no text of its own, so it has to be told what to forget.
    let mut statement = tx
        .prepare_cached(
            "INSERT INTO memory_terms (memory_terms, rowid, content, node_type, tags) \
             VALUES ('delete', ?, ?, ?, ?)",
        )
        .map_err(map)?;
    let mut forget = |unit: Unit, [content, node_type, tags]: [String; 3]| {
        statement.execute(params![unit.rowid(), content, node_type, tags]).map(drop).map_err(map)
    };
    match Row::read(tx, node) {
        Ok(None) => Ok(()),
        Ok(Some(row)) => (row.documents(analyzer).enumerate())
            .try_for_each(|(number, document)| forget(Unit::new(node, number)?, document.fields.map(joined))),
        Err(MemoryStoreError::Damaged { .. }) => {
            units(tx, node)?.into_iter().try_for_each(|unit| forget(unit, indexed(tx, unit)?))
        }
        Err(error) => Err(error),
    }
}

/// How many passages each node has that has several.
pub(super) fn passages(tx: &Transaction<'_>) -> MemoryStoreResult<Passages> {
    let first = Unit { node: 0, number: 1 }.rowid();
    let mut further = tx.prepare_cached("SELECT id FROM memory_terms_docsize WHERE id >= ?").map_err(map)?;
    let mut rows = further.query([first]).map_err(map)?;
    let mut passages = Passages::default();
    while let Some(row) = rows.next().map_err(map)? {
        passages.add(node_of(row.get(0).map_err(map)?).into());
    }
    Ok(passages)
}

/// How many passages a node has.
pub(super) fn passages_of(tx: &Transaction<'_>, node: i64) -> MemoryStoreResult<u32> {
    let mut known = tx.prepare_cached("SELECT 1 FROM memory_terms_docsize WHERE id = ?").map_err(map)?;
    let mut has = |number: u32| known.exists([Unit::new(node, number as usize)?.rowid()]).map_err(map);
    if !has(1)? {
        return Ok(1);
    }
    let (mut least, mut most) = (2, MAX_PASSAGES as u32);
    while least < most {
        let middle = least.midpoint(most);
        if has(middle)? {
            least = middle + 1;
        } else {
            most = middle;
        }
    }
    Ok(least)
}

/// The passages of a node that the index has, by a look at all of it.
fn units(tx: &Transaction<'_>, node: i64) -> MemoryStoreResult<Vec<Unit>> {
    let mut known = tx
        .prepare("SELECT id FROM memory_terms_docsize WHERE id & 0xffffffff = ? ORDER BY id")
        .map_err(map)?;
    let mut rows = known.query([node]).map_err(map)?;
    let mut units = Vec::new();
    while let Some(row) = rows.next().map_err(map)? {
        units.push(Unit::of_rowid(row.get(0).map_err(map)?)?);
    }
    Ok(units)
}

/// The terms that the index has of a passage, by a look at all of it.
fn indexed(tx: &Transaction<'_>, unit: Unit) -> MemoryStoreResult<[String; 3]> {
    tx.execute_batch(PLACES).map_err(map)?;
    let mut of_field = tx
        .prepare("SELECT term FROM temp.memory_term_places WHERE doc = ? AND col = ? ORDER BY \"offset\"")
        .map_err(map)?;
    let mut terms = |field| {
        of_field
            .query_map(params![unit.rowid(), field], |row| row.get(0))
            .and_then(Iterator::collect::<rusqlite::Result<Vec<String>>>)
            .map(|terms| terms.join(" "))
            .map_err(map)
    };
    let [content, node_type, tags] = FIELDS;
    Ok([terms(content)?, terms(node_type)?, terms(tags)?])
}

/// What the terms of a node are made of.
pub(super) struct Row {
    content: String,
    node_type: String,
    tags: Vec<String>,
}

impl Row {
    /// None if there is no such node.
    pub(super) fn read(tx: &Transaction<'_>, node: i64) -> MemoryStoreResult<Option<Self>> {
        let mut statement = tx
            .prepare_cached("SELECT content, node_type, tags FROM knowledge_nodes WHERE node = ?")
            .map_err(map)?;
        let mut rows = statement.query([node]).map_err(map)?;
        let Some(row) = rows.next().map_err(map)? else { return Ok(None) };
        let text = |at: usize, column| {
            let text = row.get_ref(at).map_err(map)?.as_str();
            text.map(str::to_owned).map_err(|error| bad_value(column, error.to_string()))
        };
        let tags = codec::json(row, 2, "tags")?;
        Ok(Some(Self { content: text(0, "content")?, node_type: text(1, "node_type")?, tags }))
    }

    /// The terms of each of its passages.
    pub(super) fn documents<'a>(
        &'a self,
        analyzer: &'a Analyzer,
    ) -> impl Iterator<Item = AnalyzedDocument> + 'a {
        AnalyzedDocument::of_memory(analyzer, &self.content, &self.node_type, &self.tags)
    }
}

fn joined(terms: Vec<Term>) -> String {
    terms.into_iter().map(|term| term.text).collect::<Vec<_>>().join(" ")
}
