//! How cost grows with the number of memories: latency, memory, disk, and the time to fill, build and open.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Parser;

mod data;
mod fill;
mod measure;
mod plot;
#[cfg(feature = "postgres")]
mod postgres;
mod table;

use data::{Data, Store};

/// Measures stores of each size and joins the results with those that the data file has already; prints all
/// of them as a table and draws them. Each size is measured in a process of its own, so that its memory is
/// its own.
#[derive(Debug, Parser)]
struct Args {
    /// Numbers of memories. Without: 1,000 to 1,000,000 for SQLite, to 300,000 for PostgreSQL.
    #[arg(long, value_delimiter = ',')]
    sizes: Vec<usize>,
    /// The stores to measure.
    #[arg(long, value_delimiter = ',', default_values = ["sqlite", "postgres"])]
    stores: Vec<Store>,
    /// Dimensions of the generated, clustered vectors.
    #[arg(long, default_value_t = 384)]
    dimension: usize,
    /// Questions of each kind.
    #[arg(long, default_value_t = 1000)]
    queries: usize,
    /// A folder with `memories.jsonl` and `queries.jsonl` whose texts are used; without, texts are generated.
    #[arg(long)]
    texts: Option<PathBuf>,
    /// The results, as JSON: read first, and written after each size.
    #[arg(long)]
    data: PathBuf,
    /// The plot, a PNG.
    #[arg(long)]
    plot: PathBuf,
    /// Measure nothing: print and draw what the data file has.
    #[arg(long)]
    plot_only: bool,
    /// A server whose user may make databases, for the PostgreSQL store.
    #[cfg(feature = "postgres")]
    #[arg(long, env = "VESTIGE_TEST_PG_URL", hide_env_values = true)]
    postgres_url: Option<String>,
    /// Measure the filled store that this file describes, and print the results as JSON.
    #[arg(long, hide = true)]
    measure: Option<PathBuf>,
}

impl Args {
    #[cfg(feature = "postgres")]
    fn postgres_url(&self) -> Option<&str> {
        self.postgres_url.as_deref()
    }

    #[cfg(not(feature = "postgres"))]
    fn postgres_url(&self) -> Option<&str> {
        None
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(task) = &args.measure {
        line(&measure::run(task, args.postgres_url())?);
        return Ok(());
    }
    let mut data = Data::read(&args.data)?;
    if !args.plot_only {
        for &store in &args.stores {
            for size in sizes(&args, store)? {
                data.put(fill::measured(&args, store, size)?);
                data.write(&args.data)?;
            }
        }
    }
    line(&table::markdown(&data));
    plot::write(&data, &args.plot)
}

/// The sizes of a store; none where it cannot be measured here and nobody asked for it by size.
fn sizes(args: &Args, store: Store) -> Result<Vec<usize>> {
    if store == Store::Postgres && args.postgres_url().is_none() {
        fill::note("PostgreSQL is left out: there is no server");
        return Ok(Vec::new());
    }
    if args.sizes.contains(&0) {
        bail!("a store of no memories costs nothing: give sizes above 0");
    }
    Ok(match (args.sizes.is_empty(), store) {
        (false, _) => args.sizes.clone(),
        (true, Store::Sqlite) => vec![1_000, 10_000, 100_000, 300_000, 1_000_000],
        (true, Store::Postgres) => vec![1_000, 10_000, 100_000, 300_000],
    })
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn line(text: &str) {
    println!("{text}");
}
