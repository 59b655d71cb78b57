//! The SQLite store against the passes and the bare statements.

use std::path::Path;

use anyhow::{Result, ensure};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use vestige_bench::fill::{BATCH, fill, fill_with};
use vestige_bench::floor::{Bytes, sqlite as floor};
use vestige_bench::ratio::Ratios;
use vestige_bench::sample::{Sample, only};
use vestige_bench::times::timed;
use vestige_sqlite::{Durability, SqliteMemoryStore};
use vestige_traits::{MemoryStore, SearchQuery};

use crate::bounds::Ratio;
use crate::report::Report;

/// Questions of a turn: enough that a switch between threads does not decide it.
const TURN: usize = 20;
const TURNS: usize = 40;

pub(crate) fn run(report: &mut Report, runtime: &Runtime, sample: &Sample) -> Result<()> {
    let home = TempDir::new()?;
    let path = home.path().join("memory.db");
    let store = SqliteMemoryStore::builder(&path).durability(Durability::Process).open()?;
    runtime.block_on(fill(&store, sample))?;
    search(report, runtime, sample, &store, &path)?;
    drop(store);
    report.check(Ratio::SqliteOpen, || open(runtime, sample, &path))?;
    report.check(Ratio::SqliteSessions, || sessions(runtime, sample))?;
    report.check(Ratio::SqliteIngest, || ingest(runtime, sample))
}

fn search(
    report: &mut Report,
    runtime: &Runtime,
    sample: &Sample,
    store: &SqliteMemoryStore,
    path: &Path,
) -> Result<()> {
    let (tenth, hundredth) = (only(Some("tenth")), only(Some("hundredth")));
    let ours = |turn: usize, query: &dyn Fn(&str, &[f32]) -> SearchQuery| {
        let queries: Vec<_> = questions(sample, turn)
            .map(|n| {
                let (text, vector) = &sample.questions[n];
                query(text, vector)
            })
            .collect();
        timed(|| {
            for query in &queries {
                let found = runtime.block_on(store.search(query))?;
                // A question of stop words alone finds nothing by words.
                ensure!(
                    query.embedding.is_none() || found.len() == 10,
                    "{} found instead of 10",
                    found.len()
                );
            }
            Ok(())
        })
    };
    let by_meaning = |_: &str, vector: &[f32]| SearchQuery::embedding(vector.to_vec());
    let by_words = |text: &str, _: &[f32]| SearchQuery::text(text);
    let by_both = |text: &str, vector: &[f32]| SearchQuery::hybrid(text, vector.to_vec());
    let filtered = |text: &str, vector: &[f32]| by_meaning(text, vector).filter(hundredth.clone());
    let filtered_by_both = |text: &str, vector: &[f32]| by_both(text, vector).filter(tenth.clone());

    let numbers = sample.texts.len() * sample.dimension;
    for (ratio, bytes) in [(Ratio::VectorToBits, numbers / 8), (Ratio::VectorToInt8, numbers)] {
        let bytes = Bytes::new(bytes);
        let pass = |_| {
            timed(|| {
                (0..TURN).for_each(|_| bytes.pass());
                Ok(())
            })
        };
        report.check(ratio, || Ratios::measure(TURNS, |turn| ours(turn, &by_meaning), pass))?;
    }
    report.check(Ratio::FilteredToUnfiltered, || {
        Ratios::measure(TURNS, |turn| ours(turn, &filtered), |turn| ours(turn, &by_meaning))
    })?;
    report.check(Ratio::FilteredHybridToUnfiltered, || {
        Ratios::measure(TURNS, |turn| ours(turn, &filtered_by_both), |turn| ours(turn, &by_both))
    })?;

    let words = floor::matches(sample);
    let bare = floor::open(path)?;
    let statement = |turn: usize| {
        let mut statement = floor::best_ten(&bare)?;
        timed(|| questions(sample, turn).try_for_each(|n| floor::found(&mut statement, &words[n]).map(drop)))
    };
    report.check(Ratio::KeywordToFts5, || Ratios::measure(TURNS, |turn| ours(turn, &by_words), statement))?;
    report.check(Ratio::HybridToFts5, || Ratios::measure(TURNS, |turn| ours(turn, &by_both), statement))
}

/// The questions of a turn, by their numbers.
fn questions(sample: &Sample, turn: usize) -> impl Iterator<Item = usize> {
    let all = sample.questions.len();
    (0..TURN).map(move |n| (turn * TURN + n) % all)
}

fn open(runtime: &Runtime, sample: &Sample, path: &Path) -> Result<Ratios> {
    let query = SearchQuery::embedding(sample.questions[0].1.clone());
    let ours = |_| {
        let mut open = None;
        // Closing it is not counted.
        timed(|| {
            let store = open.insert(SqliteMemoryStore::new(path)?);
            let found = runtime.block_on(store.search(&query))?;
            ensure!(found.len() == 10, "{} found instead of 10", found.len());
            Ok(())
        })
    };
    let codes = |_| timed(|| floor::read_codes(&floor::open(path)?).map(drop));
    Ratios::measure(20, ours, codes)
}

fn sessions(runtime: &Runtime, sample: &Sample) -> Result<Ratios> {
    let home = TempDir::new()?;
    let path = home.path().join("memory.db");
    let store = SqliteMemoryStore::builder(path).durability(Durability::Process).open()?;
    runtime.block_on(fill_with(&store, sample, |n| sample.record_of_session(n)))?;
    let search = |turn, lend| {
        let query = |n: usize| {
            let (text, vector) = &sample.questions[n];
            SearchQuery::hybrid(text, vector.clone()).sessions(lend)
        };
        let queries: Vec<_> = questions(sample, turn).map(query).collect();
        timed(|| {
            queries.iter().try_for_each(|query| {
                let found = runtime.block_on(store.search(query))?;
                ensure!(found.len() == 10, "{} found instead of 10", found.len());
                Ok(())
            })
        })
    };
    // What is kept in memory is there before.
    for turn in 0..TURNS {
        search(turn, true)?;
    }
    Ratios::measure(TURNS, |turn| search(turn, true), |turn| search(turn, false))
}

/// Both into tables of their own, which grow alike, a batch at a time.
fn ingest(runtime: &Runtime, sample: &Sample) -> Result<Ratios> {
    let home = TempDir::new()?;
    let path = home.path().join("memory.db");
    let store = SqliteMemoryStore::builder(path).durability(Durability::Process).open()?;
    runtime.block_on(store.register_model(&sample.signature()))?;
    let mut bare = floor::create(&home.path().join("bare.db"))?;
    let pairs = (sample.texts.len() / BATCH).saturating_sub(1);
    let ours = |pair| {
        let records: Vec<_> = (pair * BATCH..(pair + 1) * BATCH).map(|n| sample.record(n)).collect();
        timed(|| Ok(runtime.block_on(store.insert_batch(&records))?))
    };
    let inserts = |pair| timed(|| floor::insert(&mut bare, sample, pair * BATCH..(pair + 1) * BATCH));
    Ratios::measure(pairs, ours, inserts)
}
