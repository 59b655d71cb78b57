//! `cargo xtask ci`: everything that a change must pass.

use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::pg::{self, Provider, ServerArgs};
use crate::report::Report;
use crate::sqlx_prepare::{self, PrepareArgs};
use crate::test::{self, TestArgs};
use crate::{fuzz, process, project, tidy};

/// The arguments of `cargo xtask ci`.
#[derive(Debug, Args)]
pub struct CiArgs {
    /// Fail where something cannot run on this machine, instead of only saying so.
    #[arg(long)]
    pub strict: bool,
    /// Where PostgreSQL comes from.
    #[arg(long, value_enum, default_value_t)]
    pub provider: Provider,
    /// How long each fuzz target runs; 0 leaves them out.
    #[arg(long, default_value_t = 10)]
    pub fuzz_seconds: u32,
}

/// Runs every check, the others too where one fails, and sums up at the end.
///
/// # Errors
///
/// Where a check fails.
pub fn run(args: &CiArgs) -> Result<()> {
    process::caught_signal()?;
    let mut report = Report::default();
    report.step("format", || process::run_ok(project::cargo().args(["fmt", "--all", "--check"])))?;
    report.step("tidy", tidy::run)?;
    report.step("clippy", || clippy(&["--workspace", "--all-targets"]))?;
    report.step("clippy, all features", || clippy(&["--workspace", "--all-targets", "--all-features"]))?;
    report.step("clippy, feature by feature", clippy_by_feature)?;
    report.step("docs", docs)?;
    let tests = TestArgs { provider: args.provider, strict: args.strict, ..TestArgs::default() };
    test::run_into(&mut report, &tests)?;
    through_pgbouncer(&mut report, args.provider)?;
    prepared(&mut report, args.provider)?;
    report.step("benches compile", benches)?;
    report.step("packages", packages)?;
    fuzzed(&mut report, args.fuzz_seconds)?;
    report.close("cargo xtask ci", args.strict)
}

/// Cargo where a build must not depend on a database: the queries are checked by the committed cache.
fn offline() -> Command {
    let mut cargo = project::cargo();
    cargo.env("SQLX_OFFLINE", "true").env_remove("DATABASE_URL");
    cargo
}

fn clippy(args: &[&str]) -> Result<()> {
    process::run_ok(offline().args(["clippy", "--locked"]).args(args).args(["--", "-Dwarnings"]))
}

/// Each feature of each library alone, and none: what a user may ask for compiles.
fn clippy_by_feature() -> Result<()> {
    let metadata = project::metadata(&["--no-deps"])?;
    for (package, features) in features(&metadata)? {
        let none = format!("--package={package}");
        clippy(&[&none, "--no-default-features"])?;
        for feature in features {
            clippy(&[&none, "--no-default-features", &format!("--features={feature}")])?;
        }
    }
    Ok(())
}

/// The features of the crates that users depend on, `default` aside; crates without any are left out.
fn features(metadata: &Value) -> Result<Vec<(&str, Vec<&str>)>> {
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let mut found = Vec::new();
    for package in packages.iter().filter(|package| is_published(package)) {
        let name = package["name"].as_str().context("a package has no name")?;
        let features = package["features"].as_object().context("a package has no list of features")?;
        let features: Vec<_> =
            features.keys().map(String::as_str).filter(|name| *name != "default").collect();
        if !features.is_empty() {
            found.push((name, features));
        }
    }
    Ok(found)
}

/// `publish = false` is an empty list of registries.
fn is_published(package: &Value) -> bool {
    package["publish"].as_array().is_none_or(|registries| !registries.is_empty())
}

fn docs() -> Result<()> {
    let mut doc = offline();
    doc.args(["doc", "--locked", "--workspace", "--no-deps", "--all-features"])
        .env("RUSTDOCFLAGS", "-Dwarnings");
    process::run_ok(&mut doc)
}

fn through_pgbouncer(report: &mut Report, provider: Provider) -> Result<()> {
    const NAME: &str = "conformance through PgBouncer";
    match (pg::bouncer::lacks(), provider.resolve()) {
        (Some(lack), _) => report.not_run(NAME, lack),
        (None, Err(lack)) => report.not_run(NAME, format!("{lack:#}")),
        (None, Ok(provider)) => {
            let server = ServerArgs { provider, fsync: false };
            let suite = pg::TestPgArgs { server, pgbouncer: true, runner: Vec::new() };
            report.step(NAME, || pg::test_pg(&suite))?;
        }
    }
    Ok(())
}

fn prepared(report: &mut Report, provider: Provider) -> Result<()> {
    const NAME: &str = "sqlx cache";
    if !sqlx_prepare::is_there() {
        return Ok(());
    }
    match provider.resolve() {
        Err(lack) => {
            report.not_run(NAME, format!("{lack:#}"));
            Ok(())
        }
        Ok(provider) => {
            let server = ServerArgs { provider, fsync: false };
            report.step(NAME, || sqlx_prepare::run(&PrepareArgs { check: true, server }))
        }
    }
}

/// In the tests' profile: their dependencies are compiled already, and an optimised build shows nothing more.
fn benches() -> Result<()> {
    process::run_ok(offline().args(["test", "--locked", "--no-run", "--benches", "--package=vestige-bench"]))
}

/// Packs every crate that is published, and builds it from its package alone.
fn packages() -> Result<()> {
    let metadata = project::metadata(&["--no-deps"])?;
    let all = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let names =
        all.iter().filter(|package| is_published(package)).filter_map(|package| package["name"].as_str());
    let mut package = offline();
    package.args(["package", "--locked", "--allow-dirty"]);
    for name in names {
        package.arg(format!("--package={name}"));
    }
    if package.get_args().count() == 3 {
        bail!("no crate of the workspace is published");
    }
    process::run_ok(&mut package)
}

fn fuzzed(report: &mut Report, seconds: u32) -> Result<()> {
    const NAME: &str = "fuzz targets";
    if seconds == 0 || !fuzz::is_there() {
        return Ok(());
    }
    if !process::succeeds(Command::new("c++").arg("--version")) {
        report.not_run(NAME, "libFuzzer wants a C++ compiler");
    } else {
        let args = fuzz::FuzzArgs { seconds, targets: Vec::new() };
        report.step(NAME, || fuzz::run(&args))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn features_are_those_of_published_crates_without_the_default() {
        let metadata = json!({"packages": [
            {"name": "a", "publish": null, "features": {"default": ["x"], "x": [], "y": []}},
            {"name": "b", "publish": null, "features": {}},
            {"name": "tool", "publish": [], "features": {"z": []}},
        ]});
        assert_eq!(features(&metadata).unwrap(), [("a", vec!["x", "y"])]);
    }
}
