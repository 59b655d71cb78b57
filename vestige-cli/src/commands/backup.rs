//! `vestige backup`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use vestige_migrate::archive::Exporter;
use vestige_traits::transfer::TransferKind;

use crate::app::App;
use crate::failure::{CommandResult, Failure};
use crate::open;
use crate::output::{self, Output};
use crate::progress;

/// Copy the memory to another file, as it is at one moment
///
/// Others may read and write the memory meanwhile. Every row of the copy is compared with the memory, and the
/// copy is read to its end. It appears whole or not at all.
#[derive(Args, Debug)]
#[command(
    after_help = "The digest that it prints is that of the archive which `vestige export` would write of the copy.
For PostgreSQL use pg_dump, or `vestige export`.

Examples:
  vestige backup backup.db
  vestige search deploys --db backup.db

To put a backup in the place of the memory, end the programs that use it, remove the memory's file and those
beside it (-wal and -shm), and copy the backup there."
)]
pub(crate) struct BackupArgs {
    /// The copy, an SQLite file that only you can read
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Replace a file of that name
    #[arg(long)]
    overwrite: bool,
}

pub(crate) async fn run(args: BackupArgs, app: &App, mut out: Output) -> CommandResult {
    let copy = open::backup(&app.settings, &args.file, args.overwrite).await?;
    let mut exporter = Exporter::new(&copy).on_progress(progress::rows());
    let report = exporter.write(&mut std::io::sink()).await?;
    drop(exporter);
    let file = args.file.display();
    let bytes = std::fs::metadata(&args.file).map_err(Failure::io(file.to_string()))?.len();
    let counts = &report.inventory.counts;
    if out.json {
        out.json_value(&json!({
            "file": file.to_string(),
            "bytes": bytes,
            "archive_blake3": report.blake3,
            "inventory": report.inventory,
            "damaged": report.damaged,
        }))?;
    } else {
        out.line(format_args!(
            "{file}: {} memories, {} links, {} reviews: {bytes} bytes, BLAKE3 of its archive {}",
            counts[TransferKind::Memory],
            counts[TransferKind::Edge],
            counts[TransferKind::ReviewEvent],
            report.blake3
        ))?;
    }
    out.finish()?;
    if report.damaged > 0 {
        output::error(&format!(
            "{} rows cannot be read, in the memory and so in the copy; `vestige doctor` says more",
            report.damaged
        ));
        return Err(Failure::Reported);
    }
    Ok(())
}
