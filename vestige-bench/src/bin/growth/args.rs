//! The arguments of the program.

use std::path::PathBuf;

use clap::Parser;

use crate::data::Store;

/// Measures stores of each size and joins the results with those that the data file has already; prints all
/// of them as a table and draws them. Each size is measured in a process of its own, so that its memory is
/// its own.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Numbers of memories. Without: 1,000 to 1,000,000 for SQLite, to 300,000 for PostgreSQL.
    #[arg(long, value_delimiter = ',')]
    pub(crate) sizes: Vec<usize>,
    /// The stores to measure.
    #[arg(long, value_delimiter = ',', default_values = ["sqlite", "postgres"])]
    pub(crate) stores: Vec<Store>,
    /// Dimensions of the generated, clustered vectors.
    #[arg(long, default_value_t = 384)]
    pub(crate) dimension: usize,
    /// Questions of each kind.
    #[arg(long, default_value_t = 1000)]
    pub(crate) queries: usize,
    /// A folder with `memories.jsonl` and `queries.jsonl` whose texts are used; without, texts are generated.
    #[arg(long)]
    pub(crate) texts: Option<PathBuf>,
    /// The results, as JSON: read first, and written after each size.
    #[arg(long)]
    pub(crate) data: PathBuf,
    /// The plot, a PNG.
    #[arg(long)]
    pub(crate) plot: PathBuf,
    /// Measure nothing: print and draw what the data file has.
    #[arg(long)]
    pub(crate) plot_only: bool,
    /// A server whose user may make databases, for the PostgreSQL store.
    #[cfg(feature = "postgres")]
    #[arg(long, env = "VESTIGE_TEST_PG_URL", hide_env_values = true)]
    pub(crate) postgres_url: Option<String>,
    /// Measure the filled store that this file describes, and print the results as JSON.
    #[arg(long, hide = true)]
    pub(crate) measure: Option<PathBuf>,
}

impl Args {
    #[cfg(feature = "postgres")]
    pub(crate) fn postgres_url(&self) -> Option<&str> {
        self.postgres_url.as_deref()
    }

    #[cfg(not(feature = "postgres"))]
    pub(crate) fn postgres_url(&self) -> Option<&str> {
        None
    }
}
