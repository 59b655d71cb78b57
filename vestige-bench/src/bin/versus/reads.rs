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

/// How many of the nearest stand for those whose codes are read one by one; more are read in order.
const ONE_BY_ONE: usize = 2000;

/// What was read for a question.
#[derive(Clone, Copy)]
struct Read {
    /// Bytes.
    sketches: usize,
    codes: usize,
    /// Vectors, from their rows.
    vectors: usize,
}

/// What was read for each question.
pub(crate) struct Reads(Vec<Read>);

impl Reads {
    /// Asks each question once.
    pub(crate) fn count(questions: usize, mut ask: impl FnMut(usize) -> Result<Vec<usize>>) -> Result<Self> {
        tracing::subscriber::set_global_default(Sums)?;
        let read = |question| {
            SUMS.iter().for_each(|sum| sum.store(0, Ordering::Relaxed));
            ask(question)?;
            let [sketches, codes, vectors] = SUMS.each_ref().map(|sum| sum.load(Ordering::Relaxed) as usize);
            Ok(Read { sketches, codes, vectors })
        };
        Ok(Self((0..questions).map(read).collect::<Result<_>>()?))
    }

    /// Medians.
    pub(crate) fn note(&self) -> String {
        let median = |of: fn(&Read) -> usize| {
            let mut all: Vec<usize> = self.0.iter().map(of).collect();
            all.sort_unstable();
            all.get(all.len() / 2).copied().unwrap_or_default()
        };
        format!(
            "{:.1} MB of sketches, {} codes; {} vectors and ten memories by bare statements",
            median(|read| read.sketches) as f64 / 1e6,
            median(|read| read.codes),
            median(|read| read.vectors)
        )
    }
}

/// The reading of that much: sketches in order, the codes of the nearest where they stand, and rows by
/// SQLite.
pub(crate) struct Floor<'a> {
    reads: &'a Reads,
    memories: usize,
    dimension: usize,
    sketches: Bytes,
    codes: Bytes,
    /// Of each question.
    near: Vec<Vec<usize>>,
    vector: Statement<'a>,
    memory: Statement<'a>,
}

impl<'a> Floor<'a> {
    pub(crate) fn new(reads: &'a Reads, sample: &Sample, file: &'a Connection) -> Result<Self> {
        let near = |(question, read): (usize, &Read)| {
            sample.nearest(question, read.codes.clamp(10, ONE_BY_ONE).max(read.vectors), None)
        };
        Ok(Self {
            reads,
            memories: sample.texts.len(),
            dimension: sample.dimension,
            sketches: Bytes::new(reads.0.iter().map(|read| read.sketches).max().unwrap_or(0)),
            codes: Bytes::new(sample.texts.len() * sample.dimension),
            near: reads.0.iter().enumerate().map(near).collect(),
            vector: file.prepare("SELECT id, embedding FROM knowledge_nodes WHERE node = ?")?,
            memory: file.prepare("SELECT * FROM knowledge_nodes WHERE node = ?")?,
        })
    }

    pub(crate) fn read(&mut self, question: usize) -> Result<Vec<usize>> {
        let Read { sketches, codes, vectors } = self.reads.0[question];
        let near = &self.near[question];
        self.sketches.read(0..sketches);
        if codes > ONE_BY_ONE {
            // A search that gave its sketches up has read some of them twice.
            self.codes.read(0..codes.min(self.memories) * self.dimension);
        } else {
            let of = |n: usize| n * self.dimension..(n + 1) * self.dimension;
            near[..near.len().min(codes)].iter().for_each(|&n| self.codes.read(of(n)));
        }
        let mut in_order = near[..near.len().min(vectors)].to_vec();
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
