//! Search within a process.

use std::time::Instant;

use anyhow::Result;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use vestige_bench::floor::{Bytes, sqlite as floor};
use vestige_bench::memory;
use vestige_bench::sample::{FILTERS, Sample, number, only};
use vestige_sqlite::{Durability, SqliteMemoryStore};
use vestige_traits::{MemoryStore, SearchQuery};

use crate::contest::{self, Contender};
use crate::peers::{self, Peers};
use crate::reads::{self, Reads};
use crate::table;

/// A Vestige store that holds the sample.
pub(crate) struct Filled {
    store: SqliteMemoryStore,
    bare: Connection,
    _home: TempDir,
}

impl Filled {
    pub(crate) fn fill(runtime: &Runtime, sample: &Sample) -> Result<Self> {
        let home = TempDir::new()?;
        let path = home.path().join("memory.db");
        let store = SqliteMemoryStore::builder(&path).durability(Durability::Process).open()?;
        let started = Instant::now();
        runtime.block_on(async {
            store.register_model(&sample.signature()).await?;
            for first in (0..sample.texts.len()).step_by(1000) {
                let records: Vec<_> =
                    (first..sample.texts.len().min(first + 1000)).map(|n| sample.record(n)).collect();
                store.insert_batch(&records).await?;
            }
            anyhow::Ok(())
        })?;
        let filled = started.elapsed().as_secs_f64();
        drop(store);

        let before = memory::private();
        let started = Instant::now();
        let store = SqliteMemoryStore::new(&path)?;
        let (text, vector) = &sample.questions[0];
        runtime.block_on(store.search(&SearchQuery::hybrid(text, vector.clone())))?;
        let opened = started.elapsed().as_secs_f64() * 1e3;
        let disk = std::fs::metadata(&path)?.len();
        let memories = sample.texts.len() as u64;
        table::note(&format!(
            "Vestige on SQLite: filled in {filled:.1} s; opened and first answer in {opened:.0} ms; {} bytes \
             of private memory and {} bytes of disk for each memory",
            memory::private().saturating_sub(before) / memories,
            disk / memories
        ));
        Ok(Self { store, bare: floor::open(&path)?, _home: home })
    }

    fn search<'a>(
        &'a self,
        runtime: &'a Runtime,
        query: impl Fn(usize) -> SearchQuery + 'a,
    ) -> impl FnMut(usize) -> Result<Vec<usize>> + 'a {
        move |question| {
            let found = runtime.block_on(self.store.search(&query(question)))?;
            Ok(found.iter().map(|hit| number(hit.record.id)).collect())
        }
    }
}

pub(crate) fn vectors(runtime: &Runtime, sample: &Sample, filled: &Filled, peers: &Peers) -> Result<()> {
    let count = sample.texts.len() * sample.dimension;
    let passes = [("bits", count / 8), ("int8", count), ("f32", 4 * count)]
        .map(|(name, bytes)| (name, bytes, Bytes::new(bytes)));
    let mut nearest = peers
        .sqlite
        .prepare("SELECT rowid FROM notes_vec WHERE embedding MATCH ? AND k = 10 ORDER BY distance")?;
    let mut note = peers.sqlite.prepare("SELECT content FROM notes WHERE id = ?")?;
    let reads = Reads::count(sample.questions.len(), filled.search(runtime, |n| by_meaning(sample, n)))?;
    let mut reading = reads::Floor::new(&reads, sample, &filled.bare)?;
    let question = |n: usize| &sample.questions[n].1;
    let mut contenders = vec![Contender::new("Vestige", filled.search(runtime, |n| by_meaning(sample, n)))];
    for graph in &peers.graphs {
        let contender = Contender::new(&graph.name, move |n| graph.nearest(question(n)));
        contenders.push(contender.note(format!("numbers alone; {}", graph.note)));
    }
    let [_, exact, _] = &peers.graphs;
    contenders.push(Contender::new(format!("{}, and the texts from SQLite", exact.name), |n| {
        let found = exact.nearest(question(n))?;
        for &number in &found {
            note.query_row([number], |row| row.get::<_, String>(0))?;
        }
        Ok(found)
    }));
    let sqlite_vec = Contender::new("sqlite-vec", |n| {
        let rows = nearest.query_map([peers::bytes(question(n))], |row| row.get::<_, u64>(0))?;
        rows.map(|row| Ok(row? as usize)).collect()
    });
    contenders.push(sqlite_vec.note(&peers.sqlite_note));
    let contender = Contender::new("floor: what Vestige reads", |n| reading.read(n));
    contenders.push(contender.note(reads.note()));
    for (name, bytes, pass) in &passes {
        let contender = Contender::new(format!("floor: one pass over the {name}"), |_| {
            pass.pass();
            Ok(Vec::new())
        });
        contenders.push(contender.note(format!("{:.1} MB", *bytes as f64 / 1e6)));
    }
    let truth = sample.truth(None);
    let contenders = contenders.into_iter().map(|one| one.truth(&truth)).collect();
    contest::run("Vector search, embedded", sample.questions.len(), contenders)
}

/// Searches without a filter and behind filters, side by side.
pub(crate) fn filters(runtime: &Runtime, sample: &Sample, filled: &Filled) -> Result<()> {
    type Ask = fn(&Sample, usize) -> SearchQuery;
    let kinds: [(&str, Ask, bool); 2] = [("Vector", by_meaning, true), ("Hybrid", by_both, false)];
    let filters = [("no filter", None)].into_iter().chain(FILTERS.map(|(share, name)| (share, Some(name))));
    let filters: Vec<_> =
        filters.map(|(share, codebase)| (share, only(codebase), sample.truth(codebase))).collect();
    for (kind, ask, exact) in kinds {
        let contenders = filters.iter().map(|(share, filter, truth)| {
            let filtered = move |n: usize| ask(sample, n).filter(filter.clone());
            let contender = Contender::new(*share, filled.search(runtime, filtered));
            if exact { contender.truth(truth) } else { contender }
        });
        let name = format!("{kind} search, embedded, by the share that a filter admits");
        contest::run(&name, sample.questions.len(), contenders.collect())?;
    }
    Ok(())
}

fn by_both(sample: &Sample, question: usize) -> SearchQuery {
    let (text, vector) = &sample.questions[question];
    SearchQuery::hybrid(text, vector.clone())
}

fn by_meaning(sample: &Sample, question: usize) -> SearchQuery {
    SearchQuery::embedding(sample.questions[question].1.clone())
}

/// How sqlite-vec's documentation joins it with FTS5: reciprocal rank fusion in SQL.
const SQLITE_VEC_HYBRID: &str = "
    WITH near AS (
      SELECT rowid AS id, row_number() OVER (ORDER BY distance) AS place
      FROM notes_vec WHERE embedding MATCH ?1 AND k = 100
    ),
    said AS (
      SELECT rowid AS id, row_number() OVER (ORDER BY rank) AS place
      FROM notes_fts WHERE notes_fts MATCH ?2 ORDER BY rank LIMIT 100
    )
    SELECT notes.id, notes.content,
      coalesce(1.0 / (60 + near.place), 0.0) + coalesce(1.0 / (60 + said.place), 0.0) AS score
    FROM said FULL OUTER JOIN near ON near.id = said.id
    JOIN notes ON notes.id = coalesce(said.id, near.id)
    ORDER BY score DESC LIMIT 10";

pub(crate) fn hybrid(runtime: &Runtime, sample: &Sample, filled: &Filled, peers: &Peers) -> Result<()> {
    let words = floor::matches(sample);
    let mut bare = floor::best_ten(&filled.bare)?;
    let mut joined = peers.sqlite.prepare(SQLITE_VEC_HYBRID)?;
    let numbers = |rows: rusqlite::Rows<'_>| -> Result<Vec<usize>> {
        Ok(rows
            .mapped(|row| row.get::<_, u64>(0))
            .map(|row| row.map(|n| n as usize))
            .collect::<Result<_, _>>()?)
    };
    let contenders = vec![
        Contender::new("floor: the bare FTS5 statement", |n: usize| floor::found(&mut bare, &words[n])),
        Contender::new("Vestige, words and meaning", filled.search(runtime, |n| by_both(sample, n))),
        Contender::new(
            "Vestige, words alone",
            filled.search(runtime, |n| SearchQuery::text(&sample.questions[n].0)),
        ),
        Contender::new("Vestige, meaning alone", filled.search(runtime, |n| by_meaning(sample, n))),
        Contender::new("sqlite-vec and FTS5 joined in SQL", |n: usize| {
            let words = if words[n].is_empty() { "\"\"" } else { &words[n] };
            numbers(joined.query(rusqlite::params![peers::bytes(&sample.questions[n].1), words])?)
        }),
    ];
    contest::run("Hybrid search, embedded", sample.questions.len(), contenders)
}
