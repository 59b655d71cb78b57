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
    /// What was said while it was filled.
    pub(crate) sqlite_note: String,
    /// As usearch keeps numbers if it is not told otherwise, and with more and all of their bits, for other
    /// neighbours cannot be told apart.
    pub(crate) graphs: [Graph; 3],
    _home: TempDir,
}

/// usearch's HNSW.
pub(crate) struct Graph {
    pub(crate) name: String,
    index: Index,
    pub(crate) note: String,
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
    // SAFETY: sqlite3_vec_init is an entry point of an SQLite extension; the crate declares it without its
    // arguments.
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

        Ok(Self {
            sqlite,
            sqlite_note,
            graphs: [
                Graph::build(sample, ScalarKind::BF16, "bf16", 0.99)?,
                Graph::build(sample, ScalarKind::F16, "f16", 0.999)?,
                Graph::build(sample, ScalarKind::F32, "f32", 0.9995)?,
            ],
            _home: home,
        })
    }
}

impl Graph {
    fn build(sample: &Sample, quantization: ScalarKind, name: &str, recall: f64) -> Result<Self> {
        let options = IndexOptions {
            dimensions: sample.dimension,
            metric: MetricKind::Cos,
            quantization,
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
        let note = format!(
            "built in {:.0} s, {} MB",
            started.elapsed().as_secs_f64(),
            index.memory_usage() / 1_000_000
        );
        let name = format!("usearch, HNSW of {name}");
        let mut graph = Self { name, index, note };
        graph.widen(sample, recall)?;
        graph.note += &format!(", {} candidates", graph.index.expansion_search());
        Ok(graph)
    }

    /// The numbers of the nearest ten.
    pub(crate) fn nearest(&self, vector: &[f32]) -> Result<Vec<usize>> {
        Ok(self.index.search(vector, 10)?.keys.iter().map(|&key| key as usize).collect())
    }

    /// Lets it look at as many candidates as it needs for a recall.
    fn widen(&self, sample: &Sample, recall: f64) -> Result<()> {
        let truth = sample.truth(None);
        for expansion in [64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048] {
            self.index.change_expansion_search(expansion);
            let mut hits = 0;
            for ((_, vector), truth) in sample.questions.iter().zip(&truth) {
                hits += self.nearest(vector)?.iter().filter(|&number| truth.contains(number)).count();
            }
            if hits as f64 >= recall * 10.0 * truth.len() as f64 {
                return Ok(());
            }
        }
        table::note(&format!(
            "{} does not reach a recall of {recall} here, with 2,048 candidates",
            self.name
        ));
        Ok(())
    }
}
