//! `cargo xtask distill`: makes the model that `vestige-embed` ships.
//!
//! The work is done by a binary of its own, `xtask-distill`: it runs a network and solves linear
//! systems, which no other task needs to compile. `docs/adr/0004-bundled-model.md` has the recipe's reasons.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use crate::{assets, process, project};

const MODEL: &str = "vestige-embed/models/vestige-static-256-v1";

/// Arguments of `cargo xtask distill`.
#[derive(Debug, Args)]
pub struct DistillArgs {
    /// WordNet 3.0: the folder with data.noun, data.verb, data.adj and data.adv, such as
    /// /usr/share/wordnet of Debian's package wordnet-base.
    #[arg(long, value_name = "DIR", default_value = "/usr/share/wordnet")]
    pub wordnet: PathBuf,
    /// Change nothing; fail where the bundled model is not what the recipe makes.
    #[arg(long)]
    pub check: bool,
    /// Write to this folder instead.
    #[arg(long, value_name = "DIR", conflicts_with = "check")]
    pub out: Option<PathBuf>,
}

/// Distils the model: about ten minutes on two cores.
///
/// # Errors
///
/// Where the assets or WordNet are missing, the distiller fails, or `--check` finds a difference.
pub fn run(args: &DistillArgs) -> Result<()> {
    if !args.wordnet.join("data.noun").is_file() {
        bail!(
            "{} has no data.noun: give WordNet 3.0 by --wordnet, for example `apt-get install wordnet-base` \
             or `apt-get download wordnet-base && dpkg -x wordnet-base_*.deb DIR` and --wordnet DIR/usr/share/wordnet",
            args.wordnet.display()
        );
    }
    let assets = assets::fetch()?;
    let mut distiller = project::cargo();
    distiller
        .args(["run", "--quiet", "--release", "--package=xtask", "--features=distill"])
        .args(["--bin=xtask-distill", "--"])
        .arg(&assets.minilm)
        .arg(std::path::absolute(&args.wordnet)?)
        .arg(args.out.as_ref().map_or_else(|| Ok(project::root().join(MODEL)), std::path::absolute)?)
        .env("ORT_DYLIB_PATH", &assets.onnxruntime);
    if args.check {
        distiller.arg("--check");
    }
    process::run_ok(&mut distiller)
}
