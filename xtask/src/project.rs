//! Where things are: the workspace, the target folder, cargo itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// The folder of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest_dir.parent().map_or(manifest_dir.clone(), Path::to_path_buf)
}

/// Cargo, run in the workspace's folder.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // What cargo told this process of xtask is not for the cargo below it.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_") {
            command.env_remove(name);
        }
    }
    command.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_MANIFEST_PATH");
    command
}

/// The target folder, as cargo sees it.
///
/// # Errors
///
/// Where `cargo metadata` fails.
pub fn target_dir() -> Result<PathBuf> {
    let metadata = metadata(&["--no-deps"])?;
    let dir = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
    Ok(PathBuf::from(dir))
}

/// Cargo's own folder, with what it has downloaded and unpacked.
///
/// # Errors
///
/// Where neither `CARGO_HOME` nor a home folder is known.
pub fn cargo_home() -> Result<PathBuf> {
    match std::env::var_os("CARGO_HOME") {
        Some(home) if !home.is_empty() => Ok(root().join(home)),
        _ => Ok(std::env::home_dir().context("cannot find the home folder: set CARGO_HOME")?.join(".cargo")),
    }
}

/// What `cargo metadata` prints.
///
/// # Errors
///
/// Where cargo fails, or prints no JSON.
pub fn metadata(args: &[&str]) -> Result<Value> {
    let json = process::output(cargo().args(["metadata", "--format-version=1"]).args(args))?;
    serde_json::from_str(&json).context("cargo metadata printed no JSON")
}

/// Whether a crate of the workspace has a feature of this name.
///
/// # Errors
///
/// Where `cargo metadata` fails.
pub fn has_feature(package: &str, feature: &str) -> Result<bool> {
    let metadata = metadata(&["--no-deps"])?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    Ok(packages.iter().any(|found| found["name"] == package && found["features"].get(feature).is_some()))
}
