//! `cargo xtask`: the entry point is only the match, one module per command.

use std::process::ExitCode;

use clap::Parser;
use xtask::{
    Command, assets, bench, ci, distill, fuzz, growth, pg, process, sbom, sqlx_prepare, test, tidy, torture,
    versus,
};

/// Developer tasks of the Vestige workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Test(args) => test::run(&args),
        Command::TestPg(args) => pg::test_pg(&args),
        Command::WithPg(args) => pg::with_pg(&args),
        Command::Pg(args) => pg::hold_open(&args),
        Command::SqlxPrepare(args) => sqlx_prepare::run(&args),
        Command::Tidy => tidy::run(),
        Command::Assets(args) => assets::run(&args),
        Command::Distill(args) => distill::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Versus(args) => versus::run(&args),
        Command::Growth(args) => growth::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Sbom(args) => sbom::run(&args),
        Command::Torture(args) => torture::run(&args),
        Command::Ci(args) => ci::run(&args),
        Command::PgControl(args) => pg::control::run(&args),
        Command::PgGuard(args) => pg::wheel::guard(&args),
    };
    process::exit_code(done)
}
