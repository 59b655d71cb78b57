//! `cargo xtask growth`: how cost grows with the number of memories.

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::pg::{self, ProviderArgs};
use crate::versus::TEXTS;
use crate::{process, project};

/// The results and the plot, seen from the workspace.
const DATA: &str = "docs/growth.json";
const PLOT: &str = "docs/growth.png";

/// A store that can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Store {
    /// The embedded store.
    Sqlite,
    /// The store on a server.
    Postgres,
}

/// The arguments of `cargo xtask growth`.
#[derive(Debug, Args)]
pub struct GrowthArgs {
    /// Numbers of memories, such as `1000,10000`. Without: 1,000 to 1,000,000 for SQLite, to 300,000 for
    /// PostgreSQL.
    #[arg(long, value_delimiter = ',')]
    pub sizes: Vec<usize>,
    /// The stores to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["sqlite", "postgres"])]
    pub stores: Vec<Store>,
    /// Measure nothing: print and draw what has been measured.
    #[arg(long)]
    pub plot_only: bool,
    /// Where PostgreSQL comes from.
    #[command(flatten)]
    pub server: ProviderArgs,
}

/// Measures what is asked for, joins it with what `docs/growth.json` has, prints the table and draws
/// `docs/growth.png`.
///
/// # Errors
///
/// Where it cannot be built, or fails.
pub fn run(args: &GrowthArgs) -> Result<()> {
    process::caught_signal()?;
    let unwanted = args.plot_only || !args.stores.contains(&Store::Postgres);
    let server = pg::Server::to_measure("PostgreSQL is", args.server, unwanted)?;
    if args.stores == [Store::Postgres] && server.is_none() && !args.plot_only {
        bail!("there is nothing to measure");
    }
    let features = if server.is_some() { "growth,postgres" } else { "growth" };
    let mut growth = project::cargo();
    growth.args(["run", "--release", "--package=vestige-bench", "--bin=growth"]);
    growth.arg(format!("--features={features}")).env("SQLX_OFFLINE", "true");
    growth.arg("--").arg(format!("--data={DATA}")).arg(format!("--plot={PLOT}"));
    if args.plot_only {
        growth.arg("--plot-only");
    }
    growth.args(args.sizes.iter().map(|size| format!("--sizes={size}")));
    for store in &args.stores {
        growth.arg(match store {
            Store::Sqlite => "--stores=sqlite",
            Store::Postgres => "--stores=postgres",
        });
    }
    if project::root().join(TEXTS).is_dir() {
        growth.arg(format!("--texts={TEXTS}"));
    }
    for variable in pg::VARIABLES {
        growth.env_remove(variable);
    }
    growth.envs(server.iter().flat_map(pg::Server::env));
    let ran = process::run_ok(&mut growth);
    server.map_or(Ok(()), pg::Server::stop)?;
    ran
}
