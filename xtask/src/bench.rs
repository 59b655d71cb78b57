//! `cargo xtask bench`: the criterion benches of `vestige-bench`, and the gate.

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::pg::{self, OptionalPostgresArgs};
use crate::{process, project};

/// The arguments of `cargo xtask bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Shorter measurements: enough to see a factor, not a percent.
    #[arg(long, conflicts_with = "heavy")]
    pub quick: bool,
    /// The large sizes too: 100,000 memories.
    #[arg(long)]
    pub heavy: bool,
    /// Where PostgreSQL comes from.
    #[command(flatten)]
    pub postgres: OptionalPostgresArgs,
    /// Instead of the benches, ratios of ours to the floor in a few minutes: fails where one is beyond its
    /// bound by more than the spread of the run.
    #[arg(long, conflicts_with_all = ["quick", "heavy", "filter"])]
    pub gate: bool,
    /// Only benches whose name matches this regular expression, such as `search/hybrid/sqlite`.
    pub filter: Option<String>,
}

/// Runs the benches, on a PostgreSQL of their own where this machine has one.
///
/// # Errors
///
/// Where a bench fails, or a ratio of the gate is beyond its bound.
pub fn run(args: &BenchArgs) -> Result<()> {
    process::caught_signal()?;
    let server =
        pg::Server::to_measure("benches on PostgreSQL are", args.postgres.server, args.postgres.no_postgres)?;
    let mut bench = if args.gate { gate(server.is_some()) } else { benches(args, server.is_some())? };
    for variable in pg::VARIABLES {
        bench.env_remove(variable);
    }
    bench.envs(server.iter().flat_map(pg::Server::env));
    let ran = process::run_ok(&mut bench);
    server.map_or(Ok(()), pg::Server::stop)?;
    ran
}

fn benches(args: &BenchArgs, with_postgres: bool) -> Result<Command> {
    let mut bench = project::cargo();
    bench.args(["bench", "--package=vestige-bench", "--bench=*"]);
    if with_postgres && project::has_feature("vestige-bench", "postgres")? {
        bench.arg("--features=vestige-bench/postgres");
    }
    bench.arg("--").args(args.quick.then_some("--quick")).args(&args.filter);
    if args.heavy {
        bench.env("VESTIGE_BENCH_HEAVY", "1");
    }
    Ok(bench)
}

fn gate(with_postgres: bool) -> Command {
    let features = if with_postgres { "gate,postgres" } else { "gate" };
    let mut gate = project::cargo();
    gate.args(["run", "--release", "--package=vestige-bench", "--bin=gate"]);
    gate.arg(format!("--features={features}")).env("SQLX_OFFLINE", "true");
    gate
}
