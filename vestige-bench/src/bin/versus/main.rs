//! Vestige beside the floor and beside what one would otherwise use, in one run on the same data.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use vestige_bench::sample::Sample;

mod contest;
mod embedded;
mod ingest;
mod peers;
#[cfg(feature = "postgres")]
mod postgres;
mod reads;
mod table;

/// Prints a table of medians and ratios, all from this run. The contenders take turns.
#[derive(Parser)]
struct Args {
    /// Memories.
    #[arg(long, default_value_t = 100_000)]
    memories: usize,
    /// Dimensions of the generated, clustered vectors.
    #[arg(long, default_value_t = 384)]
    dimension: usize,
    /// Questions.
    #[arg(long, default_value_t = 200)]
    queries: usize,
    /// A folder with `memories.jsonl` and `queries.jsonl` whose texts are used; without, texts are generated.
    #[arg(long)]
    texts: Option<PathBuf>,
    /// Measure this part alone.
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// An empty database, to measure the Postgres store too.
    #[cfg(feature = "postgres")]
    #[arg(long, env = "VESTIGE_TEST_PG_URL", hide_env_values = true)]
    postgres_url: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Embedded,
    #[cfg(feature = "postgres")]
    Postgres,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Runtime::new()?;
    let sample = Sample::make(args.memories, args.dimension, args.queries, args.texts.as_deref())?;
    table::heading(&sample);
    let wanted = |part| args.only.is_none_or(|only| only == part);
    if wanted(Part::Embedded) {
        let peers = peers::Peers::fill(&sample)?;
        let store = embedded::Filled::fill(&runtime, &sample)?;
        embedded::vectors(&runtime, &sample, &store, &peers)?;
        embedded::filters(&runtime, &sample, &store)?;
        embedded::hybrid(&runtime, &sample, &store, &peers)?;
        drop((store, peers));
        ingest::sqlite(&runtime, &sample)?;
    }
    #[cfg(feature = "postgres")]
    if let Some(url) = args.postgres_url.as_ref().filter(|_| wanted(Part::Postgres)) {
        postgres::run(&runtime, &sample, url)?;
    }
    Ok(())
}
