//! How much longer memories of each language take to be stored than the same memories in English.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use vestige_bench::corpus::ClusteredVectors;
use vestige_bench::data::{SetMemory, read_lines};
#[cfg(feature = "postgres")]
use vestige_bench::floor::postgres as floor;
use vestige_bench::ratio::Ratios;
use vestige_bench::times::timed;
use vestige_sqlite::{Durability, SqliteMemoryStore};
use vestige_traits::{MemoryRecord, MemoryStore, ModelSignature};

/// Stores the memories of each language and those of the language to compare with in turns, and prints
/// ratios of their times.
#[derive(Parser)]
struct Args {
    /// Memories, a JSON object a line, whose `scope` is a language: best the same texts in each.
    memories: PathBuf,
    /// The language to compare with.
    #[arg(long, default_value = "en")]
    than: String,
    /// Dimensions of the vectors, which are generated.
    #[arg(long, default_value_t = 256)]
    dimension: usize,
    /// Pairs of turns.
    #[arg(long, default_value_t = 12)]
    pairs: usize,
    /// A server whose user may make databases, to measure the Postgres store too.
    #[cfg(feature = "postgres")]
    #[arg(long, env = "VESTIGE_TEST_PG_URL", hide_env_values = true)]
    postgres_url: Option<String>,
}

/// The memories of a language.
struct Texts {
    records: Vec<MemoryRecord>,
    bytes: usize,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut out = std::io::stdout().lock();
    let mut languages = read(&args)?;
    let than = languages
        .remove(&args.than)
        .with_context(|| format!("{} has no memory of {}", args.memories.display(), args.than))?;
    writeln!(out, "| store | language | memories | bytes a memory | time a memory | time a byte |")?;
    writeln!(out, "|---|---|--:|--:|--:|--:|")?;
    for (language, texts) in &languages {
        let ratios = Ratios::measure(
            args.pairs,
            |_| into_sqlite(&runtime, &args, texts),
            |_| into_sqlite(&runtime, &args, &than),
        )?;
        print(&mut out, ("SQLite", language), texts, &than, &ratios)?;
    }
    #[cfg(feature = "postgres")]
    if let Some(url) = &args.postgres_url {
        for (language, texts) in &languages {
            let ratios = Ratios::measure(
                args.pairs,
                |_| into_postgres(&runtime, &args, url, texts),
                |_| into_postgres(&runtime, &args, url, &than),
            )?;
            print(&mut out, ("PostgreSQL", language), texts, &than, &ratios)?;
        }
    }
    writeln!(out, "\nMedian of {} pairs (middle half), as a multiple of {}.", args.pairs, args.than)?;
    Ok(())
}

fn read(args: &Args) -> Result<BTreeMap<String, Texts>> {
    let mut vectors = ClusteredVectors::new(args.dimension, 1);
    let mut languages = BTreeMap::<String, Texts>::new();
    for memory in read_lines::<SetMemory>(&args.memories)? {
        let mut record = memory.to_record();
        record.embedding = Some(vectors.next_vector());
        let texts = languages.entry(memory.scope).or_insert_with(|| Texts { records: Vec::new(), bytes: 0 });
        texts.bytes += record.content.len();
        texts.records.push(record);
    }
    ensure!(languages.len() > 1, "{} has one language or none", args.memories.display());
    Ok(languages)
}

fn into_sqlite(runtime: &Runtime, args: &Args, texts: &Texts) -> Result<f64> {
    let home = TempDir::new()?;
    let store =
        SqliteMemoryStore::builder(home.path().join("memory.db")).durability(Durability::Process).open()?;
    into(runtime, args, &store, texts)
}

/// Databases are made and dropped outside the time that counts.
#[cfg(feature = "postgres")]
fn into_postgres(runtime: &Runtime, args: &Args, url: &str, texts: &Texts) -> Result<f64> {
    let options = runtime.block_on(floor::database(url, "vestige_ingest"))?;
    let store = runtime.block_on(floor::store(&options))?;
    let took = into(runtime, args, &store, texts);
    runtime.block_on(store.close());
    took
}

/// Milliseconds for a memory, in batches of 100.
fn into(runtime: &Runtime, args: &Args, store: &impl MemoryStore, texts: &Texts) -> Result<f64> {
    let model =
        ModelSignature { name: "clustered".to_owned(), dimension: args.dimension, hash: "0".repeat(64) };
    runtime.block_on(store.register_model(&model))?;
    let took = timed(|| {
        let mut batches = texts.records.chunks(100);
        batches.try_for_each(|batch| Ok(runtime.block_on(store.insert_batch(batch))?))
    })?;
    Ok(took / texts.records.len() as f64)
}

fn print(
    out: &mut impl Write,
    (store, language): (&str, &str),
    texts: &Texts,
    than: &Texts,
    ratios: &Ratios,
) -> Result<()> {
    let bytes = |texts: &Texts| texts.bytes as f64 / texts.records.len() as f64;
    let larger = bytes(texts) / bytes(than);
    let [lower, median, upper] = ratios.quartiles();
    writeln!(
        out,
        "| {store} | {language} | {} | {:.0} | {median:.2} ({lower:.2} to {upper:.2}) | {:.2} |",
        texts.records.len(),
        bytes(texts),
        median / larger
    )?;
    Ok(())
}
