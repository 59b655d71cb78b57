//! What a vector search of Vestige reads, by its own count, and the reading of that much by itself.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use rusqlite::types::Value;
use rusqlite::{Connection, Statement};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use vestige_bench::floor::Bytes;
use vestige_bench::sample::Sample;

/// The fields of what the store tells at TRACE of each search.
const FIELDS: [&str; 3] = ["sketches", "codes", "vectors"];
static SUMS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// Takes the sums of all that is told, and nothing else.
struct Sums;

impl Visit for Sums {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if let Some(at) = FIELDS.iter().position(|name| *name == field.name()) {
            SUMS[at].fetch_add(value, Ordering::Relaxed);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl Subscriber for Sums {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "vestige_sqlite::reads"
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Sums);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Of a question in the mean.
pub(crate) struct Reads {
    /// Bytes of sketches.
    sketches: usize,
    codes: usize,
    /// Vectors that are read from their rows.
    vectors: usize,
}

impl Reads {
    /// What these questions read.
    pub(crate) fn count(questions: usize, mut ask: impl FnMut(usize) -> Result<Vec<usize>>) -> Result<Self> {
        tracing::subscriber::set_global_default(Sums)?;
        SUMS.iter().for_each(|sum| sum.store(0, Ordering::Relaxed));
        for question in 0..questions {
            ask(question)?;
        }
        let [sketches, codes, vectors] =
            SUMS.each_ref().map(|sum| sum.load(Ordering::Relaxed) as usize / questions.max(1));
        Ok(Self { sketches, codes, vectors })
    }

    pub(crate) fn note(&self) -> String {
        let Self { sketches, codes, vectors } = self;
        format!(
            "{:.1} MB of sketches, {codes} codes; {vectors} vectors and ten memories by bare statements",
            *sketches as f64 / 1e6
        )
    }
}

/// The reading of that much: sketches in order, the codes of the nearest, where they stand, and rows by SQLite.
pub(crate) struct Floor<'a> {
    dimension: usize,
    sketches: Bytes,
    codes: Bytes,
    /// Of each question, and its ten results.
    near: Vec<Vec<usize>>,
    vectors: usize,
    vector: Statement<'a>,
    memory: Statement<'a>,
}

impl<'a> Floor<'a> {
    pub(crate) fn new(reads: &Reads, sample: &Sample, file: &'a Connection) -> Result<Self> {
        let count = reads.codes.max(reads.vectors).max(10);
        Ok(Self {
            dimension: sample.dimension,
            sketches: Bytes::new(reads.sketches),
            codes: Bytes::new(sample.texts.len() * sample.dimension),
            near: (0..sample.questions.len()).map(|n| sample.nearest(n, count, None)).collect(),
            vectors: reads.vectors,
            vector: file.prepare("SELECT id, embedding FROM knowledge_nodes WHERE node = ?")?,
            memory: file.prepare("SELECT * FROM knowledge_nodes WHERE node = ?")?,
        })
    }

    pub(crate) fn read(&mut self, question: usize) -> Result<Vec<usize>> {
        let near = &self.near[question];
        self.sketches.pass();
        near.iter().for_each(|&n| self.codes.read(n * self.dimension..(n + 1) * self.dimension));
        let mut in_order = near[..near.len().min(self.vectors)].to_vec();
        in_order.sort_unstable();
        for n in in_order {
            // They were put in by their numbers, and nodes count from 1.
            black_box(self.vector.query_row([n + 1], |row| row.get::<_, Vec<u8>>(1))?);
        }
        let columns = self.memory.column_count();
        let found = &near[..near.len().min(10)];
        for &n in found {
            let read = |row: &rusqlite::Row<'_>| (0..columns).map(|at| row.get::<_, Value>(at)).collect();
            let values: rusqlite::Result<Vec<Value>> = self.memory.query_row([n + 1], |row| Ok(read(row)))?;
            black_box(values?);
        }
        Ok(found.to_vec())
    }
}
