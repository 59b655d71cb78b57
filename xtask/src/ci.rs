//! `cargo xtask ci`: everything that a change must pass.

use std::path::Path;
use std::process::Command;
use std::{fs, io};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::pg::{self, OptionalPostgresArgs, Provider, ProviderArgs, ServerArgs};
use crate::report::Report;
use crate::sqlx_prepare::{self, PrepareArgs};
use crate::test::{self, TestArgs};
use crate::torture::{self, TortureArgs};
use crate::{fuzz, process, project, tidy};

/// The arguments of `cargo xtask ci`.
#[derive(Debug, Args)]
pub struct CiArgs {
    /// Fail where something cannot run on this machine, instead of only saying so.
    #[arg(long)]
    pub strict: bool,
    /// Where PostgreSQL comes from.
    #[command(flatten)]
    pub server: ProviderArgs,
    /// Where PostgreSQL comes from after the tests (PgBouncer, sqlx cache, torture), to try both in one run.
    #[arg(long, value_enum, value_name = "PROVIDER")]
    pub second_provider: Option<Provider>,
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
    report.step("clippy, all features", || clippy(&["--workspace", "--all-targets", "--all-features"]))?;
    report.step("clippy, feature by feature", clippy_by_feature)?;
    report.step("beside others' sqlx", beside_others)?;
    report.step("docs", docs)?;
    let tests = TestArgs {
        postgres: OptionalPostgresArgs { server: args.server, ..OptionalPostgresArgs::default() },
        strict: args.strict,
        ..TestArgs::default()
    };
    test::run_into(&mut report, &tests)?;
    let other = args.second_provider.map_or(args.server, |provider| ProviderArgs { provider });
    through_pgbouncer(&mut report, other)?;
    prepared(&mut report, other)?;
    report.step("packages", packages)?;
    fuzzed(&mut report, args.fuzz_seconds)?;
    tortured(&mut report, other)?;
    report.close("cargo xtask ci", args.strict)
}

/// Cargo where a build must not depend on a database: the queries are checked by the committed cache.
fn offline() -> Command {
    let mut cargo = project::cargo();
    cargo.env("SQLX_OFFLINE", "true");
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

/// `vestige-postgres` in a program that uses sqlx for a database of its own: with its address at hand, and
/// with other features of sqlx.
fn beside_others() -> Result<()> {
    let mut check = project::cargo();
    check
        .args(["check", "--locked", "--package=vestige-postgres", "--features=sqlx/time"])
        .env_remove("SQLX_OFFLINE")
        .env("DATABASE_URL", "mysql://127.0.0.1:1/theirs");
    process::run_ok(&mut check)
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

fn through_pgbouncer(report: &mut Report, server: ProviderArgs) -> Result<()> {
    const NAME: &str = "conformance through PgBouncer";
    match (pg::bouncer::lacks(), server.provider.resolve()) {
        (Some(lack), _) => report.not_run(NAME, lack),
        (None, Err(lack)) => report.not_run(NAME, format!("{lack:#}")),
        (None, Ok(provider)) => {
            let server = ServerArgs::new(provider, false);
            let suite = pg::TestPgArgs { server, pgbouncer: true, runner: Vec::new() };
            report.step(NAME, || pg::test_pg(&suite))?;
        }
    }
    Ok(())
}

fn prepared(report: &mut Report, server: ProviderArgs) -> Result<()> {
    const NAME: &str = "sqlx cache";
    if !sqlx_prepare::is_there() {
        return Ok(());
    }
    match server.provider.resolve() {
        Err(lack) => {
            report.not_run(NAME, format!("{lack:#}"));
            Ok(())
        }
        Ok(provider) => {
            let server = ServerArgs::new(provider, false);
            report.step(NAME, || sqlx_prepare::run(&PrepareArgs { check: true, server }))
        }
    }
}

/// Packs every crate that is published, and builds it from its package alone.
fn packages() -> Result<()> {
    let metadata = project::metadata(&["--no-deps"])?;
    let all = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let mut package = offline();
    package.args(["package", "--locked", "--allow-dirty"]);
    let sources = project::cargo_home()?.join("registry/src");
    for published in all.iter().filter(|package| is_published(package)) {
        let (Some(name), Some(version)) = (published["name"].as_str(), published["version"].as_str()) else {
            bail!("cargo metadata lists a package without name or version");
        };
        forget_unpacked(&sources, &format!("{name}-{version}"))?;
        package.arg(format!("--package={name}"));
    }
    if package.get_args().count() == 3 {
        bail!("no crate of the workspace is published");
    }
    process::run_ok(&mut package)
}

/// Removes what an earlier run unpacked of one of our own crates.
///
/// Crates that depend on each other are built from a registry below the target folder. Cargo unpacks them as
/// it does those of any registry, once for each version, so that a change without a new version would be
/// built against the crate as it was. The folder of a registry without a host begins with `-`.
fn forget_unpacked(sources: &Path, package: &str) -> Result<()> {
    let registries = match fs::read_dir(sources) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        registries => registries.with_context(|| format!("cannot read {}", sources.display()))?,
    };
    for registry in registries {
        let registry = registry.with_context(|| format!("cannot read {}", sources.display()))?;
        let unpacked = registry.path().join(package);
        if registry.file_name().as_encoded_bytes().starts_with(b"-") && unpacked.exists() {
            fs::remove_dir_all(&unpacked).with_context(|| format!("cannot remove {}", unpacked.display()))?;
        }
    }
    Ok(())
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

fn tortured(report: &mut Report, server: ProviderArgs) -> Result<()> {
    let postgres = OptionalPostgresArgs { server, ..OptionalPostgresArgs::default() };
    let args = TortureArgs { short: true, postgres, ..TortureArgs::default() };
    report.step("torture, short form", || torture::run(&args))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_our_own_unpacked_crate_is_forgotten() {
        let sources = tempfile::tempdir().unwrap();
        let all = ["-1f/ours-0.1.0", "-1f/ours-0.2.0", "-2e/ours-0.1.0", "index.crates.io-3d/ours-0.1.0"]
            .map(|unpacked| sources.path().join(unpacked));
        for unpacked in &all {
            fs::create_dir_all(unpacked).unwrap();
        }
        forget_unpacked(sources.path(), "ours-0.1.0").unwrap();
        assert_eq!(all.map(|unpacked| unpacked.exists()), [false, true, false, true]);
        forget_unpacked(&sources.path().join("not there"), "ours-0.1.0").unwrap();
    }

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
