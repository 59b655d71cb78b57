//! `vestige restore`.

use std::path::{Path, PathBuf};

use clap::Args;
use vestige_migrate::archive::{Archive, Restorer};
use vestige_migrate::{CopyOutcome, CopyReport, MigrateError};
use vestige_traits::transfer::TransferKind;

use super::migrate::RejectFile;
use crate::app::App;
use crate::args::apart;
use crate::failure::{CommandResult, Failure};
use crate::open::Access;
use crate::output::{self, Output};
use crate::progress;
use crate::side_file;

/// Restore an archive into a memory
///
/// The whole archive is checked before anything is written. A truncated or altered archive is refused. If the
/// command is interrupted, run it again, and it continues where it stopped. After the end, running it again
/// changes nothing.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  vestige restore backup.jsonl --db new.db
  zstd -dc backup.jsonl.zst | vestige restore -")]
pub(crate) struct RestoreArgs {
    /// The archive, or a pipe with a name; `-` reads it from stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Merge into a memory that has others, by id; a memory with other content there stays as it is
    #[arg(long)]
    into_existing: bool,

    /// Append the rows that cannot be restored to this file, as JSON lines with the reason
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
}

pub(crate) async fn run(args: RestoreArgs, app: &App, mut out: Output) -> CommandResult {
    if let Some(rejects) = &args.rejects {
        check_rejects(rejects, &args.file, app)?;
    }
    let label = args.file.display().to_string();
    let file = args.file;
    let place = label.clone();
    let mut archive = apart(move || {
        let opened = if file == Path::new("-") {
            Archive::spool(&mut std::io::stdin().lock(), progress::rows())
        } else {
            Archive::open_with(&file, progress::rows())
        };
        opened.map_err(|error| match error {
            MigrateError::Io { .. } => error.into(),
            error => Failure::message(format!("{place}: {error}")),
        })
    })
    .await?;
    let store = app.open(Access::Write).await?;
    let mut rejects = RejectFile::new(args.rejects.clone());
    let restorer = Restorer::new(&mut archive, &store)
        .into_existing(args.into_existing)
        .rejects(&mut rejects)
        .on_progress(progress::rows());
    let report = restorer.run().await.map_err(|error| match error {
        MigrateError::Io { what, source } => Failure::io(format!("{label}: {what}"))(source),
        error => error.into(),
    })?;
    if out.json {
        out.json_value(&report)?;
    } else {
        say(&label, &report, args.into_existing, &mut out)?;
    }
    out.finish()?;
    if report.is_lossless() { Ok(()) } else { Err(Failure::Reported) }
}

/// Rejects are appended to their file, so it must be neither the archive nor the store.
fn check_rejects(rejects: &Path, archive: &Path, app: &App) -> CommandResult {
    let archive = if archive == Path::new("-") { Path::new("/dev/stdin") } else { archive };
    let store = app.settings.store.file().map(|path| ("the store", path));
    let in_use: Vec<_> = [("the archive", archive)].into_iter().chain(store).collect();
    side_file::check("--rejects", rejects, &in_use)
}

fn say(label: &str, report: &CopyReport, into_existing: bool, out: &mut Output) -> CommandResult {
    let memories = report.rows[TransferKind::Memory];
    let how = match report.outcome {
        CopyOutcome::AlreadyComplete => " (it had been restored before; nothing was changed)".to_owned(),
        CopyOutcome::Complete | CopyOutcome::SourceChanged if report.resumed => {
            " (went on where it had stopped)".to_owned()
        }
        CopyOutcome::Complete | CopyOutcome::SourceChanged => String::new(),
        other => format!(" ({other})"),
    };
    out.line(format_args!(
        "{label}: {} memories restored, {} there already{how}",
        memories.inserted, memories.unchanged
    ))?;
    let sum = report.rows.sum();
    if sum.not_moved() > 0 {
        output::error(&format!(
            "{} rows are not restored: {} are there with other content and stay as they are, {} were refused",
            sum.not_moved(),
            sum.conflicts,
            sum.rejected
        ));
    }
    if report.outcome == CopyOutcome::SourceChanged {
        output::error(
            "the archive was changed after it was checked, so the store may hold what was not in it: take another \
             copy, and restore it into a new store",
        );
    } else if let Some(proof) = &report.proof {
        if proof.nothing_lost() {
            out.line("every row of the archive was compared with the store: nothing is missing")?;
        } else if sum.not_moved() == 0 {
            output::error(if into_existing {
                "the store does not hold every row of the archive: something else writes to it; the same command adds \
                 what it lacks"
            } else {
                "the store does not hold every row of the archive, since it has been written to; --into-existing adds \
                 what it lacks"
            });
        }
    }
    Ok(())
}
