//! `vestige trust`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::config::{FILE_NAME, Folders};
use crate::failure::{CommandResult, Failure};
use crate::output::{Output, note};
use crate::trusted_files::{self, TrustedFiles};

/// Let the vestige.toml of a folder count when you work in that folder
///
/// Shows what the file says. It counts until it changes: then read it, and run this again.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  vestige trust
  vestige trust ~/work/tidewater --revoke")]
pub(crate) struct TrustArgs {
    /// The folder [default: the working directory]
    #[arg(value_name = "FOLDER", default_value = ".", hide_default_value = true)]
    folder: PathBuf,

    /// Trust it no longer
    #[arg(long)]
    revoke: bool,
}

pub(crate) fn run(args: &TrustArgs, mut out: Output) -> CommandResult {
    let path = args.folder.join(FILE_NAME);
    let path = path.canonicalize().map_err(Failure::io(path.display()))?;
    let text =
        trusted_files::read(&path).map_err(|why| Failure::message(format!("{}: {why}", path.display())))?;
    let folders = Folders::of_this_platform()
        .ok_or_else(|| Failure::message("there is no home folder to keep this in; use --config instead"))?;
    let trusted = TrustedFiles::in_folder(&folders.config);
    if args.revoke {
        if !trusted.remove(&path, &text)? {
            note("it was not trusted as it is");
        }
    } else {
        trusted.add(&path, &text)?;
    }
    if out.json {
        out.json_value(&json!({"file": path.display().to_string(), "trusted": !args.revoke}))?;
    } else if args.revoke {
        out.line(format_args!("{} does not count.", path.display()))?;
    } else {
        out.line(format_args!("{} counts until it changes. It says:", path.display()))?;
        for line in text.lines() {
            out.line(format_args!("  {}", vestige_memory::text::one_line(line)))?;
        }
    }
    out.finish()
}
