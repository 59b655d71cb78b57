//! Taking memories in, within a process.

use anyhow::Result;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use vestige_bench::floor::sqlite as floor;
use vestige_bench::sample::Sample;
use vestige_bench::times::{Times, timed};
use vestige_sqlite::{Durability, SqliteMemoryStore};
use vestige_traits::MemoryStore;

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
    let mut connection = floor::create(&home.path().join("bare.db"))?;
    timed(|| floor::insert(&mut connection, sample, 0..count))
}

fn sqlite_vec(_: &Runtime, sample: &Sample, count: usize) -> Result<f64> {
    let home = TempDir::new()?;
    let mut connection = Connection::open(home.path().join("peer.db"))?;
    peers::create_sqlite_vec(&connection, sample.dimension)?;
    timed(|| peers::insert_sqlite_vec(&mut connection, sample, count))
}
