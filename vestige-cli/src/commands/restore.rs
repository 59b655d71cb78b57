//! `vestige restore`.

use std::path::{Path, PathBuf};

use clap::Args;
use vestige_migrate::archive::{Archive, Restorer};
use vestige_migrate::{CopyOutcome, CopyReport, MigrateError, Reject, RejectSink};
use vestige_traits::TransferKind;

use crate::app::App;
use crate::args::apart;
use crate::failure::{CommandResult, Failure};
use crate::open::Access;
use crate::output::{self, Output};
use crate::progress;

/// Bring an archive back into a memory
///
/// The archive is checked whole before anything is written: one that is truncated or altered is refused.
/// Interrupted at any point, the same command goes on where it stopped; run again after the end it changes nothing.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  vestige restore backup.jsonl --db new.db
  zstd -dc backup.jsonl.zst | vestige restore -")]
pub(crate) struct RestoreArgs {
    /// The archive; `-` reads it from stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Merge into a memory that holds others: by id, and what is there with other content stays
    #[arg(long)]
    into_existing: bool,
}

pub(crate) async fn run(args: RestoreArgs, app: &App, mut out: Output) -> CommandResult {
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
    let mut refused = Refused { said: 0 };
    let report = Restorer::new(&mut archive, &store)
        .into_existing(args.into_existing)
        .rejects(&mut refused)
        .on_progress(progress::rows())
        .run()
        .await?;
    if out.json {
        out.json_value(&report)?;
    } else {
        say(&label, &report, &mut out)?;
    }
    out.finish()?;
    if report.is_lossless() { Ok(()) } else { Err(Failure::Reported) }
}

fn say(label: &str, report: &CopyReport, out: &mut Output) -> CommandResult {
    let memories = report.rows[TransferKind::Memory];
    let how = match report.outcome {
        CopyOutcome::AlreadyComplete => " (it had been restored before; nothing was changed)",
        _ if report.resumed => " (went on where it had stopped)",
        _ => "",
    };
    out.line(format_args!(
        "{label}: {} memories restored, {} there already{how}",
        memories.inserted, memories.unchanged
    ))?;
    let sum = report.rows.sum();
    if sum.not_moved() > 0 {
        output::error(&format!(
            "{} rows are not restored: {} are there with other content, {} were refused",
            sum.not_moved(),
            sum.conflicts,
            sum.rejected
        ));
    }
    if let Some(proof) = &report.proof {
        if proof.nothing_lost() {
            out.line("every row of the archive was compared with the store: nothing is missing")?;
        } else {
            output::error("the store does not hold every row of the archive; run the same command again");
        }
    }
    Ok(())
}

/// Names the rows that the store does not take, the first of them.
struct Refused {
    said: u32,
}

impl RejectSink for Refused {
    fn reject(&mut self, reject: &Reject<'_>) -> std::io::Result<()> {
        const MOST: u32 = 20;
        let issue = reject.issue;
        match self.said {
            0..MOST => output::warning(&format!(
                "{} {}: {}: {}",
                issue.kind, issue.key, reject.outcome, issue.reason
            )),
            MOST => output::warning("and more"),
            _ => {}
        }
        self.said = self.said.saturating_add(1);
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
