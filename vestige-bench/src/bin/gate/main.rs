//! Ratios of ours to the floor in one run, held against bounds: fails where one is beyond its bound by more
//! than the spread of the run.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use vestige_bench::sample::Sample;

mod bounds;
mod embedded;
#[cfg(feature = "postgres")]
mod postgres;
mod report;

/// Measures each ratio by pairs of turns, a second time where it seems to be beyond its bound, and prints a
/// table.
#[derive(Parser)]
struct Args {
    /// Memories.
    #[arg(long, default_value_t = 20_000)]
    memories: usize,
    /// Dimensions.
    #[arg(long, default_value_t = 384)]
    dimension: usize,
    /// A server whose user may make databases, to measure the Postgres store too.
    #[cfg(feature = "postgres")]
    #[arg(long, env = "VESTIGE_TEST_PG_URL", hide_env_values = true)]
    postgres_url: Option<String>,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    // One worker, as in an agent's process: more would only take turns with the store's threads.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    // Generated texts alone: the bounds are for one sample, the same on every machine.
    let sample = Sample::make(args.memories, args.dimension, 200, None)?;
    let mut report = report::Report::begin(&sample);
    embedded::run(&mut report, &runtime, &sample)?;
    #[cfg(feature = "postgres")]
    match &args.postgres_url {
        Some(url) => postgres::run(&mut report, &runtime, &sample, url)?,
        None => report.without_postgres(),
    }
    #[cfg(not(feature = "postgres"))]
    report.without_postgres();
    Ok(if report.end() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
