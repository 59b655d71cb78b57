//! Taking memories in, within a process.

use std::time::Instant;

use anyhow::Result;
use rusqlite::{Connection, params};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use vestige_bench::sample::{Sample, codebase, id};
use vestige_sqlite::{Durability, SqliteMemoryStore};
use vestige_traits::MemoryStore;

use crate::contest::Times;
use crate::peers;
use crate::table;

/// How many memories are taken in, in transactions of a thousand.
const MEMORIES: usize = 20_000;
const ROUNDS: usize = 5;

pub(crate) fn sqlite(runtime: &Runtime, sample: &Sample) -> Result<()> {
    let count = sample.texts.len().min(MEMORIES);
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (times, insert) in times.iter_mut().zip([bare, ours, sqlite_vec]) {
            times.push(insert(runtime, sample, count)?);
        }
    }
    table::section(&format!("Taking {count} memories in, embedded"));
    let times = times.map(Times::of);
    let first = times[0].percentile(0.5);
    let names = ["floor: bare INSERTs with FTS5 by triggers", "Vestige", "sqlite-vec beside FTS5"];
    for (name, times) in names.into_iter().zip(&times) {
        let rate = count as f64 / times.percentile(0.5) * 1e3;
        table::row(name, times, first, None, &format!("{rate:.0} a second"));
    }
    Ok(())
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

fn ours(runtime: &Runtime, sample: &Sample, count: usize) -> Result<f64> {
    let home = TempDir::new()?;
    let store =
        SqliteMemoryStore::builder(home.path().join("memory.db")).durability(Durability::Process).open()?;
    runtime.block_on(store.register_model(&sample.signature()))?;
    let records: Vec<_> = (0..count).map(|n| sample.record(n)).collect();
    timed(|| records.chunks(1000).try_for_each(|batch| Ok(runtime.block_on(store.insert_batch(batch))?)))
}

fn bare(_: &Runtime, sample: &Sample, count: usize) -> Result<f64> {
    let home = TempDir::new()?;
    let mut connection = Connection::open(home.path().join("bare.db"))?;
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
    timed(|| {
        for first in (0..count).step_by(1000) {
            let tx = connection.transaction()?;
            {
                let mut insert = tx.prepare_cached(
                    "INSERT INTO notes (id, content, node_type, tags, codebase, created_at, embedding) \
                     VALUES (?, ?, 'general', '[]', ?, ?, ?)",
                )?;
                for n in first..count.min(first + 1000) {
                    let vector = peers::bytes(&sample.vectors[n]);
                    insert.execute(params![id(n).into_bytes(), sample.texts[n], codebase(n), n, vector])?;
                }
            }
            tx.commit()?;
        }
        Ok(())
    })
}

fn sqlite_vec(_: &Runtime, sample: &Sample, count: usize) -> Result<f64> {
    let home = TempDir::new()?;
    let mut connection = Connection::open(home.path().join("peer.db"))?;
    peers::create_sqlite_vec(&connection, sample.dimension)?;
    timed(|| peers::insert_sqlite_vec(&mut connection, sample, count))
}
