//! What one would otherwise use in a process: sqlite-vec beside FTS5, and usearch.

use std::time::Instant;

use anyhow::{Context, Result};
use rusqlite::{Connection, params};
use tempfile::TempDir;
use usearch::{Index, IndexOptions, MetricKind, ScalarKind};
pub(crate) use vestige_bench::floor::sqlite::bytes;
use vestige_bench::sample::Sample;

use crate::table;

pub(crate) struct Peers {
    pub(crate) sqlite: Connection,
    pub(crate) usearch: Index,
    /// What was said while they were filled.
    pub(crate) notes: [String; 2],
    _home: TempDir,
}

/// The tables that the documentation of sqlite-vec uses for hybrid search.
pub(crate) fn create_sqlite_vec(connection: &Connection, dimension: usize) -> Result<()> {
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = wal; PRAGMA synchronous = normal; PRAGMA mmap_size = 1073741824;
         CREATE TABLE notes (id INTEGER PRIMARY KEY, content TEXT NOT NULL);
         CREATE VIRTUAL TABLE notes_fts USING fts5 (content, content = 'notes', content_rowid = 'id',
             tokenize = 'porter unicode61');
         CREATE TRIGGER notes_added AFTER INSERT ON notes BEGIN
             INSERT INTO notes_fts (rowid, content) VALUES (new.id, new.content);
         END;
         CREATE VIRTUAL TABLE notes_vec USING vec0 (embedding float[{dimension}] distance_metric=cosine);"
    ))?;
    Ok(())
}

pub(crate) fn insert_sqlite_vec(connection: &mut Connection, sample: &Sample, count: usize) -> Result<()> {
    for first in (0..count).step_by(1000) {
        let tx = connection.transaction()?;
        {
            let mut note = tx.prepare_cached("INSERT INTO notes (id, content) VALUES (?, ?)")?;
            let mut vector = tx.prepare_cached("INSERT INTO notes_vec (rowid, embedding) VALUES (?, ?)")?;
            for n in first..count.min(first + 1000) {
                note.execute(params![n, sample.texts[n]])?;
                vector.execute(params![n, bytes(&sample.vectors[n])])?;
            }
        }
        tx.commit()?;
    }
    Ok(())
}

/// Makes sqlite-vec known to every connection opened after this.
#[expect(unsafe_code, reason = "the only way in that the crate sqlite-vec offers")]
pub(crate) fn load_sqlite_vec() {
    type Init = unsafe extern "C" fn(
        *mut rusqlite::ffi::sqlite3,
        *mut *mut std::ffi::c_char,
        *const rusqlite::ffi::sqlite3_api_routines,
    ) -> std::ffi::c_int;
    // SAFETY: sqlite3_vec_init is an entry point of an SQLite extension; the crate declares it without its arguments.
    unsafe {
        let init = std::mem::transmute::<*const (), Init>(sqlite_vec::sqlite3_vec_init as *const ());
        rusqlite::ffi::sqlite3_auto_extension(Some(init));
    }
}

impl Peers {
    pub(crate) fn fill(sample: &Sample) -> Result<Self> {
        load_sqlite_vec();
        let home = TempDir::new()?;
        let mut sqlite = Connection::open(home.path().join("peer.db"))?;
        create_sqlite_vec(&sqlite, sample.dimension)?;
        let started = Instant::now();
        insert_sqlite_vec(&mut sqlite, sample, sample.texts.len())?;
        let sqlite_note = format!("filled in {:.0} s", started.elapsed().as_secs_f64());

        let options = IndexOptions {
            dimensions: sample.dimension,
            metric: MetricKind::Cos,
            quantization: ScalarKind::BF16,
            ..IndexOptions::default()
        };
        let index = usearch::new_index(&options).context("usearch")?;
        index.reserve(sample.texts.len())?;
        let started = Instant::now();
        std::thread::scope(|scope| -> Result<()> {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            let index = &index;
            let work: Vec<_> = (0..threads)
                .map(|thread| {
                    scope.spawn(move || {
                        (thread..sample.vectors.len())
                            .step_by(threads)
                            .try_for_each(|n| index.add(n as u64, &sample.vectors[n]))
                    })
                })
                .collect();
            for thread in work {
                thread.join().map_err(|_| anyhow::anyhow!("a thread of usearch panicked"))??;
            }
            Ok(())
        })?;
        let usearch_note = format!(
            "bf16, built in {:.0} s, {} MB",
            started.elapsed().as_secs_f64(),
            index.memory_usage() / 1_000_000
        );
        let peers = Self { sqlite, usearch: index, notes: [sqlite_note, usearch_note], _home: home };
        peers.widen(sample)?;
        Ok(peers)
    }

    /// Lets usearch look at as many candidates as it needs for a recall of 0.99.
    fn widen(&self, sample: &Sample) -> Result<()> {
        let truth = sample.truth(None);
        for expansion in [64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048] {
            self.usearch.change_expansion_search(expansion);
            let mut hits = 0;
            for ((_, vector), truth) in sample.questions.iter().zip(&truth) {
                let found = self.usearch.search(vector, 10)?;
                hits += found.keys.iter().filter(|&&key| truth.contains(&(key as usize))).count();
            }
            if hits as f64 >= 0.99 * 10.0 * truth.len() as f64 {
                return Ok(());
            }
        }
        table::note("usearch does not reach a recall of 0.99 here, with 2,048 candidates");
        Ok(())
    }
}
