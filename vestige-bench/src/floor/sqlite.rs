//! Bare statements on SQLite.

use std::ops::Range;
use std::path::Path;

use anyhow::Result;
use rusqlite::{CachedStatement, Connection, params};
use vestige_traits::analysis::Analyzer;

use crate::sample::{Sample, codebase, id};

/// A vector as SQLite holds it: little-endian.
pub fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// A table with the columns that a memory cannot do without, and FTS5 beside it by a trigger.
///
/// # Errors
///
/// SQLite's.
pub fn create(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA journal_mode = wal; PRAGMA synchronous = normal;
         CREATE TABLE notes (
             node INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, content TEXT NOT NULL, node_type TEXT NOT NULL,
             tags TEXT NOT NULL, codebase TEXT, created_at INTEGER NOT NULL, embedding BLOB);
         CREATE INDEX notes_created ON notes (created_at);
         CREATE INDEX notes_codebase ON notes (codebase);
         CREATE VIRTUAL TABLE notes_fts USING fts5 (content, node_type, tags, content = 'notes',
             content_rowid = 'node', tokenize = 'porter unicode61');
         CREATE TRIGGER notes_added AFTER INSERT ON notes BEGIN
             INSERT INTO notes_fts (rowid, content, node_type, tags)
             VALUES (new.node, new.content, new.node_type, new.tags);
         END;",
    )?;
    Ok(connection)
}

/// Inserts memories of the sample into the table of [`create`], a thousand in one transaction.
///
/// # Errors
///
/// SQLite's.
pub fn insert(connection: &mut Connection, sample: &Sample, memories: Range<usize>) -> Result<()> {
    for first in memories.clone().step_by(1000) {
        let tx = connection.transaction()?;
        {
            let mut insert = tx.prepare_cached(
                "INSERT INTO notes (id, content, node_type, tags, codebase, created_at, embedding) \
                 VALUES (?, ?, 'general', '[]', ?, ?, ?)",
            )?;
            for n in first..memories.end.min(first + 1000) {
                let vector = bytes(&sample.vectors[n]);
                insert.execute(params![id(n).into_bytes(), sample.texts[n], codebase(n), n, vector])?;
            }
        }
        tx.commit()?;
    }
    Ok(())
}

/// A file of Vestige's, mapped into memory as Vestige maps it.
///
/// # Errors
///
/// SQLite's.
pub fn open(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "mmap_size", 1_i64 << 30)?;
    Ok(connection)
}

/// The bytes of all codes of vectors in a file of Vestige's, each read once: what there is to do before a
/// first search by meaning can be answered.
///
/// # Errors
///
/// SQLite's.
pub fn read_codes(connection: &Connection) -> Result<usize> {
    let mut statement = connection.prepare("SELECT node, code FROM vector_codes")?;
    let mut rows = statement.query([])?;
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        bytes += row.get_ref(1)?.as_bytes()?.iter().filter(|byte| **byte != 0).count();
    }
    Ok(bytes)
}

/// The questions of a sample as FTS5 is asked them: any of the terms.
///
/// A question without terms, such as one of stop words, is empty.
pub fn matches(sample: &Sample) -> Vec<String> {
    let analyzer = Analyzer::default();
    let any_of = |text: &str| {
        let terms = analyzer.query(text).terms;
        let quoted: Vec<String> = terms.iter().map(|term| format!("\"{}\"", term.text)).collect();
        quoted.join(" OR ")
    };
    sample.questions.iter().map(|(text, _)| any_of(text)).collect()
}

/// The bare statement for the best ten of a question of [`matches()`] in a file of Vestige's, prepared.
///
/// # Errors
///
/// SQLite's.
pub fn best_ten(connection: &Connection) -> Result<CachedStatement<'_>> {
    Ok(connection.prepare_cached(
        "SELECT rowid, bm25(memory_terms, 1.0, 0.5, 0.5) AS score FROM memory_terms \
         WHERE memory_terms MATCH ? ORDER BY score LIMIT 10",
    )?)
}

/// The rows that [`best_ten`] finds.
///
/// # Errors
///
/// SQLite's.
pub fn found(statement: &mut CachedStatement<'_>, words: &str) -> Result<Vec<usize>> {
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let rows = statement.query_map([words], |row| row.get::<_, u64>(0))?;
    rows.map(|row| Ok(row? as usize)).collect()
}
