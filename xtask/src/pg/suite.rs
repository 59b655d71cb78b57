//! The tests that need PostgreSQL.

use std::ffi::OsString;

use anyhow::Result;
use clap::Args;

use super::bouncer::Bouncer;
use super::{Server, ServerArgs};
use crate::{process, project, runner};

/// The arguments of `cargo xtask test-pg`.
#[derive(Debug, Args)]
pub struct TestPgArgs {
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Run the conformance suite alone, through PgBouncer in transaction mode.
    #[arg(long)]
    pub pgbouncer: bool,
    /// Arguments of the test runner, after `--`.
    #[arg(last = true)]
    pub runner: Vec<OsString>,
}

/// Crates with tests that need a server, and the feature that brings those in.
const SUITE: [(&str, Option<&str>); 3] =
    [("vestige-postgres", None), ("vestige-migrate", None), ("vestige-cli", Some("postgres-backend"))];

/// `cargo xtask test-pg`: the tests of the crates that have a Postgres side.
///
/// # Errors
///
/// Where no server can be started, or a test fails.
pub fn test_pg(args: &TestPgArgs) -> Result<()> {
    process::caught_signal()?;
    if args.pgbouncer {
        return through_pgbouncer(args);
    }
    let packages = arguments()?;
    let server = Server::start(&args.server)?;
    let mut tests = runner::command();
    tests.args(packages).args(&args.runner).envs(server.env());
    let ran = process::run_ok(&mut tests);
    server.stop()?;
    ran
}

/// `cargo xtask test-pg --pgbouncer`: what a store promises, where the server's process changes after each
/// transaction.
fn through_pgbouncer(args: &TestPgArgs) -> Result<()> {
    let server = Server::start(&args.server)?;
    let bouncer = Bouncer::start(&server)?;
    let mut tests = runner::command();
    // Once is enough: what `AnyMemoryStore` adds does not know what is behind it.
    tests.args(["--package=vestige-postgres", "--test=conformance", "direct::"]).args(&args.runner);
    tests.envs(server.env()).env("VESTIGE_TEST_PGBOUNCER", bouncer.address().to_string());
    let ran = process::run_ok(&mut tests);
    drop(bouncer);
    server.stop()?;
    ran
}

/// What to tell cargo: the crates of [`SUITE`] that have their feature already.
fn arguments() -> Result<Vec<String>> {
    let mut arguments = Vec::new();
    for (name, feature) in SUITE {
        match feature {
            None => arguments.push(format!("--package={name}")),
            Some(feature) if project::has_feature(name, feature)? => {
                arguments.push(format!("--package={name}"));
                arguments.push(format!("--features={name}/{feature}"));
            }
            Some(_) => {}
        }
    }
    Ok(arguments)
}
