//! `cargo xtask fuzz`: each fuzz target for a while, on stable Rust.
//!
//! The folder `fuzz` has cargo-fuzz's layout, and `cargo fuzz run` works on it where there is a
//! nightly toolchain. AddressSanitizer is what needs nightly; what is fuzzed has no unsafe code, so
//! coverage guidance is what matters, and that is an LLVM pass that stable rustc can be told to run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::report::Report;
use crate::{process, project};

/// What libFuzzer needs of the compiler: edge counters, the table of their places, and comparisons.
const FLAGS: [&str; 7] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions",
];

/// The arguments of `cargo xtask fuzz`.
#[derive(Debug, Args)]
pub struct FuzzArgs {
    /// How long each target runs.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    pub seconds: u32,
    /// Only these targets.
    pub targets: Vec<String>,
}

/// Builds the fuzz targets and runs each for a while.
///
/// # Errors
///
/// Where a target finds an input that crashes it, or the targets cannot be built.
pub fn run(args: &FuzzArgs) -> Result<()> {
    let targets = targets()?;
    let unknown = args.targets.iter().find(|wanted| !targets.contains(wanted));
    if let Some(unknown) = unknown {
        bail!("there is no fuzz target {unknown}: {}", targets.join(", "));
    }
    let bin = build()?;
    let mut report = Report::default();
    for target in targets {
        if args.targets.is_empty() || args.targets.contains(&target) {
            report.step(&target, || fuzz(&bin, &target, args.seconds))?;
        }
    }
    report.close("cargo xtask fuzz", true)
}

/// Whether the checkout has fuzz targets.
#[must_use]
pub fn is_there() -> bool {
    manifest().exists()
}

/// Checks that the lock file names all that the targets build, which takes a moment; their build takes
/// minutes.
///
/// # Errors
///
/// Where it does not.
pub fn check_lock_file() -> Result<()> {
    if !is_there() {
        return Ok(());
    }
    let path = manifest().display().to_string();
    project::metadata(&["--locked", "--manifest-path", &path]).map(drop).map_err(|error| {
        error.context("fuzz/Cargo.lock may be out of date: run `cargo metadata` in that folder and commit it")
    })
}

fn manifest() -> PathBuf {
    project::root().join("fuzz/Cargo.toml")
}

fn targets() -> Result<Vec<String>> {
    let path = manifest().display().to_string();
    let metadata = project::metadata(&["--no-deps", "--manifest-path", &path])?;
    let targets = metadata["packages"][0]["targets"].as_array().context("the fuzz crate has no targets")?;
    Ok(targets
        .iter()
        .filter(|target| target["kind"][0] == "bin")
        .filter_map(|target| target["name"].as_str().map(str::to_owned))
        .collect())
}

/// Builds every target and returns the folder of the programs.
fn build() -> Result<PathBuf> {
    let host = host()?;
    let target_dir = project::target_dir()?.join("fuzz");
    // Named as a target, the host's build scripts and macros are spared the instrumentation.
    let mut build = project::cargo();
    build
        .args(["build", "--locked", "--release", "--bins", "--target", &host, "--manifest-path"])
        .arg(manifest())
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"))
        .env("CARGO_TARGET_DIR", &target_dir);
    process::run_ok(&mut build)?;
    Ok(target_dir.join(host).join("release"))
}

fn host() -> Result<String> {
    let version = process::output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}

fn fuzz(bin: &Path, target: &str, seconds: u32) -> Result<()> {
    let folder = project::root().join("fuzz");
    let corpus = project::target_dir()?.join("fuzz/corpus").join(target);
    let artifacts = folder.join("artifacts").join(target);
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let mut fuzzer = Command::new(bin.join(target));
    fuzzer
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(["-timeout=10", "-rss_limit_mb=4096", "-print_final_stats=1", "-verbosity=0"])
        .arg(&corpus);
    // Inputs worth keeping are committed as seeds.
    let seeds = folder.join("seeds").join(target);
    if seeds.is_dir() {
        fuzzer.arg(seeds);
    }
    process::run_ok(&mut fuzzer)
        .with_context(|| format!("the input that fails is in fuzz/artifacts/{target}"))
}
