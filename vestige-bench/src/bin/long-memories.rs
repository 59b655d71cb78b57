//! How much longer a search of a store of long memories takes than one of short memories that have as many
//! documents of the keyword index together.

use std::io::Write;

use anyhow::{Result, ensure};
use clap::Parser;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use vestige_bench::corpus::{ClusteredVectors, ZipfTexts};
use vestige_bench::fill::BATCH;
#[cfg(feature = "postgres")]
use vestige_bench::floor::postgres as floor;
use vestige_bench::ratio::Ratios;
use vestige_bench::times::{Times, timed};
use vestige_sqlite::{Durability, SqliteMemoryStore};
use vestige_traits::analysis::{Analyzer, PASSAGE_WORDS};
use vestige_traits::{MemoryRecord, MemoryStore, ModelSignature, SearchQuery};

/// Fills a store with long memories and one with short ones, generated, asks both the same questions in
/// turns, and prints ratios of their times.
#[derive(Parser)]
struct Args {
    /// Passages in the one store, and memories in the other.
    #[arg(long, default_value_t = 100_000)]
    documents: usize,
    /// Passages of a long memory.
    #[arg(long, default_value_t = 20)]
    passages: usize,
    /// Dimensions of the vectors.
    #[arg(long, default_value_t = 384)]
    dimension: usize,
    /// Pairs of turns of five questions.
    #[arg(long, default_value_t = 40)]
    pairs: usize,
    /// A server whose user may make databases, to measure the Postgres store too.
    #[cfg(feature = "postgres")]
    #[arg(long, env = "VESTIGE_TEST_PG_URL", hide_env_values = true)]
    postgres_url: Option<String>,
}

/// Questions of a turn.
const TURN: usize = 5;

/// The memories of both stores, and what they are asked.
struct Sample {
    signature: ModelSignature,
    long: Vec<MemoryRecord>,
    short: Vec<MemoryRecord>,
    questions: Vec<(String, Vec<f32>)>,
}

impl Sample {
    fn make(args: &Args) -> Result<Self> {
        let (mut texts, mut vectors) = (ZipfTexts::new(1), ClusteredVectors::new(args.dimension, 1));
        let mut records = |count: usize, words: usize| -> Vec<MemoryRecord> {
            let record = |_| {
                let mut record = MemoryRecord::new(texts.next_text(words));
                record.embedding = Some(vectors.next_vector());
                record
            };
            (0..count).map(record).collect()
        };
        // Passages overlap by half.
        let long = records(args.documents / args.passages, PASSAGE_WORDS / 2 * (args.passages + 1));
        let short = records(args.documents, PASSAGE_WORDS);
        let analyzer = Analyzer::default();
        for (records, passages) in [(&long, args.passages), (&short, 1)] {
            let made = records.first().map(|record| analyzer.passages(&record.content).len());
            ensure!(made == Some(passages), "a memory has {made:?} passages instead of {passages}");
        }
        let question = |_| (texts.next_text(6), vectors.next_vector());
        let questions = (0..TURN * (args.pairs + 1)).map(question).collect();
        let signature =
            ModelSignature { name: "clustered".to_owned(), dimension: args.dimension, hash: "0".repeat(64) };
        Ok(Self { signature, long, short, questions })
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut out = std::io::stdout().lock();
    let sample = Sample::make(&args)?;
    writeln!(out, "| store | mode | long memories | the same number of short ones | ratio |")?;
    writeln!(out, "|---|---|--:|--:|--:|")?;
    let home = TempDir::new()?;
    let open = |name: &str| {
        SqliteMemoryStore::builder(home.path().join(name)).durability(Durability::Process).open()
    };
    compare(&mut out, &runtime, &args, &sample, ("SQLite", open("long.db")?, open("short.db")?))?;
    #[cfg(feature = "postgres")]
    if let Some(url) = &args.postgres_url {
        let open = |name| {
            let options = runtime.block_on(floor::database(url, name))?;
            runtime.block_on(floor::store(&options))
        };
        let (long, short) = (open("vestige_long")?, open("vestige_short")?);
        compare(&mut out, &runtime, &args, &sample, ("PostgreSQL", long, short))?;
    }
    writeln!(
        out,
        "\n{} passages in {} memories and {} memories, {PASSAGE_WORDS} words each, dimension {}. Median ms a \
         question of {} pairs of turns, and of their ratios (middle half).",
        args.documents,
        sample.long.len(),
        sample.short.len(),
        args.dimension,
        args.pairs
    )?;
    Ok(())
}

fn compare<S: MemoryStore>(
    out: &mut impl Write,
    runtime: &Runtime,
    args: &Args,
    sample: &Sample,
    (name, long, short): (&str, S, S),
) -> Result<()> {
    runtime.block_on(async {
        fill(&long, &sample.signature, &sample.long).await?;
        fill(&short, &sample.signature, &sample.short).await
    })?;
    for mode in ["keyword", "hybrid"] {
        let mut times = [Vec::new(), Vec::new()];
        let mut turn = |of: usize, store: &S, turn: usize| -> Result<f64> {
            let asked = (0..TURN).map(|n| {
                let (text, vector) = &sample.questions[turn * TURN + n];
                match mode {
                    "hybrid" => SearchQuery::hybrid(text, vector.clone()),
                    _ => SearchQuery::text(text),
                }
            });
            let asked: Vec<_> = asked.collect();
            let took = timed(|| {
                asked.iter().try_for_each(|query| {
                    let found = runtime.block_on(store.search(query))?;
                    ensure!(found.len() == 10, "{} found instead of 10", found.len());
                    Ok(())
                })
            })?;
            times[of].push(took / TURN as f64);
            Ok(took)
        };
        let turn = std::cell::RefCell::new(&mut turn);
        let ratios = Ratios::measure(
            args.pairs,
            |pair| turn.borrow_mut()(0, &long, pair),
            |pair| turn.borrow_mut()(1, &short, pair),
        )?;
        let [lower, median, upper] = ratios.quartiles();
        let [of_long, of_short] = times.map(|times| Times::of(times).percentile(0.5));
        writeln!(
            out,
            "| {name} | {mode} | {of_long:.2} | {of_short:.2} | {median:.2} ({lower:.2} to {upper:.2}) |"
        )?;
    }
    Ok(())
}

async fn fill(store: &impl MemoryStore, model: &ModelSignature, records: &[MemoryRecord]) -> Result<()> {
    store.register_model(model).await?;
    store.begin_bulk_load().await?;
    for batch in records.chunks(BATCH) {
        store.insert_batch(batch).await?;
    }
    store.finish_bulk_load().await?;
    store.vacuum().await?;
    Ok(())
}
