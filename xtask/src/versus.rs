//! `cargo xtask versus`: Vestige beside the floor and beside what one would otherwise use.

use anyhow::Result;
use clap::Args;

use crate::pg::{self, Provider};
use crate::{process, project};

/// The texts that are used where they are at hand, seen from the workspace.
pub(crate) const TEXTS: &str = "../shared/data/wordnet-dev";

/// The arguments of `cargo xtask versus`.
#[derive(Debug, Args)]
pub struct VersusArgs {
    /// Memories.
    #[arg(long, default_value_t = 100_000)]
    pub memories: usize,
    /// Leave PostgreSQL out.
    #[arg(long)]
    pub no_postgres: bool,
    /// Where PostgreSQL comes from.
    #[arg(long, value_enum, default_value_t)]
    pub provider: Provider,
}

/// Builds and runs the comparison, on a PostgreSQL of its own where this machine has one.
///
/// # Errors
///
/// Where it cannot be built, or fails.
pub fn run(args: &VersusArgs) -> Result<()> {
    process::caught_signal()?;
    let server = pg::Server::to_measure("PostgreSQL is", args.provider, args.no_postgres)?;
    let features = if server.is_some() { "versus,postgres" } else { "versus" };
    let mut versus = project::cargo();
    versus.args(["run", "--release", "--package=vestige-bench", "--bin=versus"]);
    versus.arg(format!("--features={features}")).env("SQLX_OFFLINE", "true");
    versus.arg("--").arg(format!("--memories={}", args.memories));
    if project::root().join(TEXTS).is_dir() {
        versus.arg(format!("--texts={TEXTS}"));
    }
    for variable in pg::VARIABLES {
        versus.env_remove(variable);
    }
    versus.envs(server.iter().flat_map(pg::Server::env));
    let ran = process::run_ok(&mut versus);
    server.map_or(Ok(()), pg::Server::stop)?;
    ran
}
