//! How far the embedded vector search stands from one pass over the bytes it reads.

use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use vestige_bench::corpus::ClusteredVectors;
use vestige_bench::floor::Bytes;
use vestige_bench::sample::only;
use vestige_sqlite::{Durability, SqliteMemoryStore};
use vestige_traits::backend::cosine_similarity;
use vestige_traits::{MemoryFilter, MemoryRecord, MemoryStore, ModelSignature, SearchQuery};

/// Fills a store with clustered vectors and prints, from one run: the time to open it and answer
/// first, the median search, recall@10 against the exact scan, and the floors.
#[derive(Parser)]
struct Args {
    /// Memories.
    #[arg(long, default_value_t = 100_000)]
    memories: usize,
    /// Dimensions.
    #[arg(long, default_value_t = 384)]
    dimension: usize,
    /// Questions.
    #[arg(long, default_value_t = 200)]
    queries: usize,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the result of the command")]
async fn main() -> Result<()> {
    let Args { memories, dimension, queries } = Args::parse();
    let mut source = ClusteredVectors::new(dimension, 1);
    let home = tempfile::TempDir::new()?;
    let path = home.path().join("memory.db");
    let signature = ModelSignature { name: "clustered".to_owned(), dimension, hash: "0".repeat(64) };
    let vectors: Vec<Vec<f32>> = (0..memories).map(|_| source.next_vector()).collect();
    let store = SqliteMemoryStore::builder(&path).durability(Durability::Process).open()?;
    store.register_model(&signature).await?;
    for (batch, vectors) in vectors.chunks(1000).enumerate() {
        let records: Vec<MemoryRecord> =
            (batch * 1000..).zip(vectors).map(|(n, vector)| record(n, vector)).collect();
        store.insert_batch(&records).await?;
    }
    drop(store);

    let questions: Vec<Vec<f32>> = (0..queries).map(|_| source.next_vector()).collect();
    let started = Instant::now();
    let store = SqliteMemoryStore::new(&path)?;
    store.search(&SearchQuery::embedding(questions[0].clone())).await?;
    println!("n {memories}, dimension {dimension}, {queries} questions");
    println!("open and first answer   {:>9.1} ms", started.elapsed().as_secs_f64() * 1e3);

    for (name, filter) in
        [("no filter", None), ("filter 10 %", Some("tenth")), ("filter 1 %", Some("hundredth"))]
    {
        let filter = only(filter);
        let (mut times, mut recall) = (Vec::new(), 0.0);
        for question in &questions {
            let query = SearchQuery::embedding(question.clone()).filter(filter.clone());
            let started = Instant::now();
            let found = store.search(&query).await?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
            let exact = exact(&vectors, question, &filter);
            let hits = found.iter().filter(|hit| exact.contains(&hit.record.content)).count();
            recall += hits as f64 / exact.len() as f64 / queries as f64;
        }
        println!("{name:<22}  {:>9.3} ms  recall@10 {recall:.4}", median(times));
    }

    let numbers = memories * dimension;
    for (name, bytes) in [("bits", numbers / 8), ("int8", numbers), ("f32", 4 * numbers)] {
        let bytes = Bytes::new(bytes);
        let pass = || {
            let started = Instant::now();
            bytes.pass();
            started.elapsed().as_secs_f64() * 1e3
        };
        println!("one pass over the {name:<4}  {:>9.3} ms", median((0..21).map(|_| pass()).collect()));
    }
    Ok(())
}

fn record(n: usize, vector: &[f32]) -> MemoryRecord {
    let mut record = MemoryRecord::new(n.to_string());
    record.embedding = Some(vector.to_vec());
    record.codebase = Some(codebase(n).to_owned());
    record
}

fn codebase(n: usize) -> &'static str {
    match n % 100 {
        0 => "hundredth",
        1..=10 => "tenth",
        _ => "rest",
    }
}

fn exact(vectors: &[Vec<f32>], question: &[f32], filter: &MemoryFilter) -> Vec<String> {
    let passes = |n: usize| filter.codebases.first().is_none_or(|wanted| wanted == codebase(n));
    let mut scored: Vec<(f64, usize)> = vectors
        .iter()
        .enumerate()
        .filter(|(n, _)| passes(*n))
        .map(|(n, vector)| (cosine_similarity(question, vector), n))
        .collect();
    scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    scored.iter().take(10).map(|(_, n)| n.to_string()).collect()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}
