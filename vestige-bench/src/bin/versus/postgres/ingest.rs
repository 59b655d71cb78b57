//! Taking memories in, with all indexes in place.

use std::time::Instant;

use anyhow::Result;
use sqlx::QueryBuilder;
use sqlx::postgres::{PgPool, PgPoolCopyExt as _};
use vestige_bench::floor::postgres::index_words_on_the_server;
use vestige_bench::sample::{Sample, codebase, id};
use vestige_traits::MemoryStore;

use super::database::{database, pool};
use crate::contest::Times;
use crate::table;

/// What is taken in: the vector index takes a few hundred a second.
const MEMORIES: usize = 2000;
const ROUNDS: usize = 3;

pub(super) async fn run(sample: &Sample, url: &str) -> Result<()> {
    let count = MEMORIES.min(sample.texts.len());
    let records: Vec<_> = (0..count).map(|n| sample.record(n)).collect();
    let mut times = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        for (kind, times) in times.iter_mut().enumerate() {
            let (store, options) = database(sample, url, "vestige_versus_ingest").await?;
            let raw = pool(&options, &[]);
            drop(raw.acquire().await?);
            index_words_on_the_server(&raw).await?;
            let started = Instant::now();
            match kind {
                0 => copy(sample, &raw, count).await?,
                1 => {
                    for batch in records.chunks(1000) {
                        store.insert_batch(batch).await?;
                    }
                }
                2 => rows(sample, &raw, count, 500).await?,
                _ => rows(sample, &raw, count, 1).await?,
            }
            times.push(started.elapsed().as_secs_f64() * 1e3);
            store.close().await;
            raw.close().await;
        }
    }
    table::section(&format!("Taking {count} memories in, PostgreSQL, with all of Vestige's indexes"));
    let times = times.map(Times::of);
    let first = times[0].percentile(0.5);
    let names =
        ["floor: raw COPY BINARY", "Vestige, batches of 1,000", "INSERT of 500 rows", "row at a time"];
    for (name, times) in names.into_iter().zip(&times) {
        let rate = count as f64 / times.percentile(0.5) * 1e3;
        table::row(name, times, first, None, &format!("{rate:.0} a second"));
    }
    Ok(())
}

async fn copy(sample: &Sample, pool: &PgPool, count: usize) -> Result<()> {
    let mut copy = pool.copy_in_raw(COPY).await?;
    let mut bytes = begin();
    for n in 0..count {
        let vector = sample.vectors[n].iter().map(|x| x.to_be_bytes());
        row(&mut bytes, id(n).as_bytes(), &sample.texts[n], codebase(n), vector);
        if bytes.len() > CHUNK {
            copy.send(std::mem::take(&mut bytes)).await?;
        }
    }
    bytes.extend(END);
    copy.send(bytes).await?;
    copy.finish().await?;
    Ok(())
}

/// PostgreSQL documentation, COPY, "Binary Format".
pub(super) const COPY: &str =
    "COPY knowledge_nodes (id, content, codebase, embedding) FROM STDIN (FORMAT binary)";
pub(super) const CHUNK: usize = 1 << 20;
pub(super) const END: [u8; 2] = (-1_i16).to_be_bytes();

pub(super) fn begin() -> Vec<u8> {
    [b"PGCOPY\n\xff\r\n\0".as_slice(), &[0; 8]].concat()
}

/// A row of [`COPY`]. pgvector's vector_send: how many components, 0, the components.
pub(super) fn row(
    bytes: &mut Vec<u8>,
    id: &[u8],
    text: &str,
    codebase: &str,
    vector: impl ExactSizeIterator<Item = [u8; 4]>,
) {
    bytes.extend(4_i16.to_be_bytes());
    for field in [id, text.as_bytes(), codebase.as_bytes()] {
        bytes.extend((field.len() as i32).to_be_bytes());
        bytes.extend(field);
    }
    bytes.extend((4 + 4 * vector.len() as i32).to_be_bytes());
    bytes.extend((vector.len() as i16).to_be_bytes());
    bytes.extend([0; 2]);
    bytes.extend(vector.flatten());
}

async fn rows(sample: &Sample, pool: &PgPool, count: usize, at_once: usize) -> Result<()> {
    for first in (0..count).step_by(at_once) {
        let mut insert = QueryBuilder::new("INSERT INTO knowledge_nodes (id, content, codebase, embedding) ");
        insert.push_values(first..count.min(first + at_once), |mut row, n| {
            row.push_bind(id(n)).push_bind(&sample.texts[n]).push_bind(codebase(n));
            row.push_bind(&sample.vectors[n]).push_unseparated("::real[]::vector");
        });
        insert.build().execute(pool).await?;
    }
    Ok(())
}
