//! The PostgreSQL store against bare statements on the same tables.

use std::time::Instant;

use anyhow::{Result, ensure};
use sqlx::postgres::PgConnectOptions;
use tokio::runtime::Runtime;
use vestige_bench::fill::{fill, fill_with};
use vestige_bench::floor::postgres as floor;
use vestige_bench::ratio::Ratios;
use vestige_bench::sample::Sample;
use vestige_bench::times::timed;
use vestige_traits::{MemoryStore, SearchQuery};

use crate::bounds::Ratio;
use crate::report::Report;

/// Questions of a turn.
const TURN: usize = 5;
const TURNS: usize = 24;
/// Memories that are taken in in one turn, with the graph of vectors in place.
const BATCH: usize = 400;

pub(crate) fn run(report: &mut Report, runtime: &Runtime, sample: &Sample, url: &str) -> Result<()> {
    let options = runtime.block_on(async {
        let options = floor::database(url, "vestige_gate").await?;
        let store = floor::store(&options).await?;
        fill(&store, sample).await?;
        // The planner's statistics, without which the first searches are planned blindly.
        store.vacuum().await?;
        store.close().await;
        anyhow::Ok(options)
    })?;
    search(report, runtime, sample, &options)?;
    report.check(Ratio::PostgresSessions, || sessions(runtime, sample, url))?;
    report.check(Ratio::PostgresOpen, || open(runtime, sample, &options))?;
    report.check(Ratio::PostgresIngest, || ingest(runtime, sample, url))
}

fn search(report: &mut Report, runtime: &Runtime, sample: &Sample, options: &PgConnectOptions) -> Result<()> {
    let store = runtime.block_on(floor::store(options))?;
    let bare = runtime.block_on(floor::connect(options, 1))?;
    let questions = |turn: usize| {
        let all = sample.questions.len();
        (0..TURN).map(move |n| &sample.questions[(turn * TURN + n) % all])
    };
    let ours = |turn: usize, query: &dyn Fn(&str, &[f32]) -> SearchQuery| {
        let queries: Vec<_> = questions(turn).map(|(text, vector)| query(text, vector)).collect();
        timed(|| {
            for query in &queries {
                let found = runtime.block_on(store.search(query))?;
                ensure!(found.len() == 10, "{} found instead of 10", found.len());
            }
            Ok(())
        })
    };
    let nearest = |turn| {
        timed(|| {
            questions(turn)
                .try_for_each(|(_, vector)| runtime.block_on(floor::nearest(&bare, vector)).map(drop))
        })
    };
    let fused = |turn| {
        timed(|| {
            questions(turn)
                .try_for_each(|(text, vector)| runtime.block_on(floor::fused(&bare, text, vector)).map(drop))
        })
    };
    report.check(Ratio::PostgresVector, || {
        let by_meaning = |_: &str, vector: &[f32]| SearchQuery::embedding(vector.to_vec());
        Ratios::measure(TURNS, |turn| ours(turn, &by_meaning), nearest)
    })?;
    report.check(Ratio::PostgresHybrid, || {
        let by_both = |text: &str, vector: &[f32]| SearchQuery::hybrid(text, vector.to_vec());
        Ratios::measure(TURNS, |turn| ours(turn, &by_both), fused)
    })
}

fn open(runtime: &Runtime, sample: &Sample, options: &PgConnectOptions) -> Result<Ratios> {
    let vector = &sample.questions[0].1;
    let query = SearchQuery::embedding(vector.clone());
    // Closing is not counted.
    let ours = |_| {
        runtime.block_on(async {
            let started = Instant::now();
            let store = floor::store(options).await?;
            let found = store.search(&query).await?;
            let took = started.elapsed().as_secs_f64() * 1e3;
            ensure!(found.len() == 10, "{} found instead of 10", found.len());
            store.close().await;
            Ok(took)
        })
    };
    let bare = |_| {
        runtime.block_on(async {
            let started = Instant::now();
            let pool = floor::connect(options, 1).await?;
            floor::nearest(&pool, vector).await?;
            let took = started.elapsed().as_secs_f64() * 1e3;
            pool.close().await;
            Ok(took)
        })
    };
    Ratios::measure(20, ours, bare)
}

fn sessions(runtime: &Runtime, sample: &Sample, url: &str) -> Result<Ratios> {
    let options = runtime.block_on(floor::database(url, "vestige_gate_sessions"))?;
    let store = runtime.block_on(floor::store(&options))?;
    runtime.block_on(fill_with(&store, sample, |n| sample.record_of_session(n)))?;
    runtime.block_on(store.vacuum())?;
    let all = sample.questions.len();
    let search = |turn: usize, lend| {
        let query = |n: usize| {
            let (text, vector) = &sample.questions[(turn * TURN + n) % all];
            SearchQuery::hybrid(text, vector.clone()).sessions(lend)
        };
        let queries: Vec<_> = (0..TURN).map(query).collect();
        timed(|| {
            queries.iter().try_for_each(|query| {
                let found = runtime.block_on(store.search(query))?;
                ensure!(found.len() == 10, "{} found instead of 10", found.len());
                Ok(())
            })
        })
    };
    let ratios = Ratios::measure(TURNS, |turn| search(turn, true), |turn| search(turn, false))?;
    runtime.block_on(store.close());
    Ok(ratios)
}

/// Both into one table, which is empty at the beginning and grows for both alike.
fn ingest(runtime: &Runtime, sample: &Sample, url: &str) -> Result<Ratios> {
    let options = runtime.block_on(floor::database(url, "vestige_gate_ingest"))?;
    let store = runtime.block_on(floor::store(&options))?;
    runtime.block_on(store.register_model(&sample.signature()))?;
    let raw = runtime.block_on(floor::connect(&options, 1))?;
    runtime.block_on(floor::index_words_on_the_server(&raw))?;
    let pairs = (sample.texts.len() / (2 * BATCH)).saturating_sub(1).min(16);
    // The memories of a pair are two ranges side by side.
    let range = |half: usize| half * BATCH..(half + 1) * BATCH;
    let ours = |pair: usize| {
        let records: Vec<_> = range(2 * pair).map(|n| sample.record(n)).collect();
        timed(|| Ok(runtime.block_on(store.insert_batch(&records))?))
    };
    let copied = |pair: usize| timed(|| runtime.block_on(floor::copy(&raw, sample, range(2 * pair + 1))));
    let ratios = Ratios::measure(pairs, ours, copied)?;
    runtime.block_on(async {
        store.close().await;
        raw.close().await;
    });
    Ok(ratios)
}
