//! `vestige export`.

use std::io::{ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use vestige_migrate::archive::{ExportReport, Exporter};
use vestige_migrate::{MigrateError, Reject, RejectSink};
use vestige_traits::transfer::TransferKind;

use crate::app::App;
use crate::closed_stdout::stdout_was_closed;
use crate::failure::{CommandResult, Failure};
use crate::open::Access;
use crate::output::{self, Output};
use crate::progress;

/// Write the whole memory to an archive
///
/// The archive has the same bytes whichever store it comes from. The file is written completely or not at
/// all.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  vestige export backup.jsonl
  vestige export - | zstd > backup.jsonl.zst")]
pub(crate) struct ExportArgs {
    /// The archive; `-` writes it to stdout
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(crate) async fn run(args: ExportArgs, app: &App, out: Output) -> CommandResult {
    let store = app.open(Access::Examine).await?;
    let mut damaged = DamagedRows;
    let mut exporter = Exporter::new(&store).on_progress(progress::rows()).rejects(&mut damaged);
    let report = if args.file == Path::new("-") {
        if std::io::stdout().is_terminal() {
            return Err(Failure::usage(
                "the archive would go to the terminal; name a file, or pipe it somewhere",
            ));
        }
        if stdout_was_closed() {
            return Err(Failure::message(
                "stdout is closed, so the archive would be lost; name a file, or open it",
            ));
        }
        let mut stdout = std::io::BufWriter::with_capacity(1 << 18, std::io::stdout());
        let report = exporter.write(&mut stdout).await.map_err(failure)?;
        stdout.flush().map_err(|source| failure(MigrateError::Io { what: "stdout".to_owned(), source }))?;
        drop(exporter);
        say(&report, None, out)?;
        report
    } else {
        let report = exporter.write_file(&args.file).await.map_err(failure)?;
        drop(exporter);
        // A device or a pipe may be stdout by another name.
        say(&report, Some(&*args.file).filter(|file| file.is_file()), out)?;
        report
    };
    if report.damaged > 0 {
        output::error(&format!(
            "{} rows cannot be read and are not in the archive; `vestige doctor` says more",
            report.damaged
        ));
        return Err(Failure::Reported);
    }
    Ok(())
}

/// Elsewhere a reader that has seen enough is no failure; an archive that was cut off is no archive, so the
/// exit code says it, as silently as a signal would.
fn failure(error: MigrateError) -> Failure {
    match error {
        MigrateError::Io { source, .. } if source.kind() == ErrorKind::BrokenPipe => Failure::Reported,
        error => error.into(),
    }
}

/// The summary: on stdout if the archive is in a file, else on stderr.
fn say(report: &ExportReport, file: Option<&Path>, mut out: Output) -> CommandResult {
    let counts = &report.inventory.counts;
    let summary = format!(
        "{} memories, {} links, {} reviews: {} bytes, BLAKE3 {}",
        counts[TransferKind::Memory],
        counts[TransferKind::Edge],
        counts[TransferKind::ReviewEvent],
        report.bytes,
        report.blake3
    );
    match file {
        None => output::note(&summary),
        Some(file) if out.json => {
            out.json_value(&json!({"file": file.display().to_string(), "report": report}))?
        }
        Some(file) => out.line(format_args!("{}: {summary}", file.display()))?,
    }
    out.finish()
}

/// Names the rows that cannot be read.
struct DamagedRows;

impl RejectSink for DamagedRows {
    fn reject(&mut self, reject: &Reject<'_>) -> std::io::Result<()> {
        let issue = reject.issue;
        output::warning(&format!("{} {} cannot be read: {}", issue.kind(), issue.key, issue.reason));
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
