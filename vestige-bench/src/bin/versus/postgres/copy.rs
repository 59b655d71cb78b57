//! Copies from SQLite, by vestige-migrate and by hand.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use rusqlite::{Connection, OpenFlags};
use sqlx::postgres::{PgPool, PgPoolCopyExt as _};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use vestige_bench::floor::postgres::index_words_on_the_server;
use vestige_bench::sample::Sample;
use vestige_migrate::Copier;
use vestige_postgres::PgMemoryStore;
use vestige_sqlite::{Durability, SqliteMemoryStore};
use vestige_traits::MemoryStore;

use super::database::{database, pool};
use super::ingest::{CHUNK, COPY, END, begin, row};
use crate::contest::Times;
use crate::table;

const MEMORIES: usize = 20_000;
const ROUNDS: usize = 3;

pub(super) fn run(runtime: &Runtime, sample: &Sample, url: &str) -> Result<()> {
    let home = TempDir::new()?;
    let path = home.path().join("memory.db");
    let count = MEMORIES.min(sample.texts.len());
    let source = SqliteMemoryStore::builder(&path).durability(Durability::Process).open()?;
    let records: Vec<_> = (0..count).map(|n| sample.record(n)).collect();
    let mut times = [const { Vec::new() }; 4];
    runtime.block_on(async {
        source.register_model(&sample.signature()).await?;
        for batch in records.chunks(1000) {
            source.insert_batch(batch).await?;
        }
        for _ in 0..ROUNDS {
            for (kind, times) in times.iter_mut().enumerate() {
                let (target, options) = database(sample, url, "vestige_versus_copy").await?;
                let raw = pool(&options, &[]);
                drop(raw.acquire().await?);
                index_words_on_the_server(&raw).await?;
                let started = Instant::now();
                match kind {
                    0 | 1 => by_hand(&path, &target, &raw, kind == 0).await?,
                    _ => {
                        let report = Copier::new("versus", &source, &target).verify(kind == 3).run().await?;
                        ensure!(report.is_lossless(), "the copy lost something");
                    }
                }
                times.push(started.elapsed().as_secs_f64() * 1e3);
                ensure!(target.count().await? == count as u64, "not everything was copied");
                target.close().await;
                raw.close().await;
            }
        }
        anyhow::Ok(())
    })?;
    table::section(&format!("Copying {count} memories from SQLite to PostgreSQL"));
    let times = times.map(Times::of);
    let first = times[0].percentile(0.5);
    let names = [
        "floor: raw read and raw COPY, then the vector index",
        "the same without the vector index",
        "Vestige, without the proof",
        "Vestige, with the proof that both sides are equal",
    ];
    for (name, times) in names.into_iter().zip(&times) {
        let rate = count as f64 / times.percentile(0.5) * 1e3;
        table::row(name, times, first, None, &format!("{rate:.0} a second"));
    }
    Ok(())
}

/// The vector index is dropped before, as Vestige does, and built by Vestige: only the rows go another way.
async fn by_hand(path: &Path, target: &PgMemoryStore, raw: &PgPool, indexed: bool) -> Result<()> {
    target.begin_bulk_load().await?;
    let mut copy = raw.copy_in_raw(COPY).await?;
    let mut bytes = begin();
    let mut chunks = Vec::new();
    {
        let source = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut read =
            source.prepare("SELECT id, content, codebase, embedding FROM knowledge_nodes ORDER BY node")?;
        let mut found = read.query([])?;
        while let Some(memory) = found.next()? {
            let vector = memory.get_ref(3)?.as_blob()?;
            let (components, _) = vector.as_chunks::<4>();
            let components = components.iter().map(|&[a, b, c, d]| [d, c, b, a]);
            let (id, text) = (memory.get_ref(0)?.as_blob()?, memory.get_ref(1)?.as_str()?);
            row(&mut bytes, id, text, memory.get_ref(2)?.as_str()?, components);
            if bytes.len() > CHUNK {
                chunks.push(std::mem::take(&mut bytes));
            }
        }
    }
    bytes.extend(END);
    chunks.push(bytes);
    for chunk in chunks {
        copy.send(chunk).await?;
    }
    copy.finish().await?;
    if indexed {
        target.finish_bulk_load().await?;
    }
    Ok(())
}
