//! `vestige migrate`: its flags. Copying and re-embedding stand in files of their own.

mod copy;
mod places;
mod progress;
mod reembed;
mod rejects;
mod report;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub(super) use self::rejects::RejectFile;
use crate::app::App;
use crate::failure::{CommandResult, Failure};
use crate::output::{self, Output};
use crate::side_file;

/// Move the memory to another store, or to another embedding model, and prove that nothing was lost
///
/// A copy overwrites nothing, and opens the source for reading only. At its end it compares every row of both
/// sides. If it is interrupted, run the same command again, and it continues where it stopped. Running it again
/// after the end changes nothing.
///
/// With --reembed the memory stays where it is, and gets the vectors of the model that --model names.
/// Searches and writes use the old model until all new vectors are there. The switch happens in one
/// transaction.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  vestige migrate --from sqlite --to postgres --sqlite-path memory.db --postgres-url postgres://ada@db/vestige
  vestige migrate --reembed --model=BAAI/bge-small-en-v1.5

With VESTIGE_POSTGRES_URL in the environment:
  vestige migrate --from postgres --to sqlite --sqlite-path copy.db --dry-run
  vestige migrate --from sqlite --to postgres --sqlite-path memory.db --verify-only --report proof.json")]
pub(crate) struct MigrateArgs {
    /// The backend to copy from
    #[arg(long, value_enum, value_name = "BACKEND", requires = "to", required_unless_present = "reembed")]
    from: Option<Backend>,

    /// The backend to copy to
    #[arg(long, value_enum, value_name = "BACKEND", requires = "from")]
    to: Option<Backend>,

    /// The SQLite file of the copy
    #[arg(long, value_name = "PATH")]
    sqlite_path: Option<PathBuf>,

    /// The most rows to write in one transaction, or the most memories to embed at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch_size: Option<u16>,

    /// Print what would be done and how long it would take; change nothing
    #[arg(long)]
    dry_run: bool,

    /// Merge into a target that has other memories, by id; a memory with other content there stays as it is
    #[arg(long)]
    into_existing: bool,

    /// Compare both sides and copy nothing
    #[arg(long, conflicts_with_all = ["dry_run", "into_existing", "rejects"])]
    verify_only: bool,

    /// Append the rows that cannot be moved to this file, as JSON lines with the reason
    /// [default: vestige-rejects.jsonl, made if there are any]
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,

    /// Write the report with the proof to this file, as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Keep the store, and move it to the model that --model names
    #[arg(
        long,
        conflicts_with_all = ["from", "to", "sqlite_path", "into_existing", "verify_only", "rejects"]
    )]
    reembed: bool,

    /// Re-embed without asking
    #[arg(long, requires = "reembed")]
    yes: bool,

    /// Delete the vectors of an unfinished re-embedding
    #[arg(long, requires = "reembed", conflicts_with_all = ["dry_run", "yes", "batch_size"])]
    abort: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    /// a file
    Sqlite,
    /// a database that machines share
    Postgres,
}

pub(crate) async fn run(args: MigrateArgs, app: &App, out: Output) -> CommandResult {
    check_files(&args, app)?;
    let done = match (args.from, args.to) {
        (Some(from), Some(to)) if from == to => {
            return Err(Failure::usage(
                "--from and --to are the same; to copy a store to one of its kind use `vestige export` and \
                 `vestige restore`",
            ));
        }
        (Some(from), Some(_)) => app.interrupt.guard(copy::run(&args, from, app, out)).await,
        _ if args.abort => reembed::abort(app, out).await,
        _ => app.interrupt.guard(reembed::run(&args, app, out)).await,
    };
    if matches!(done, Err(Failure::Interrupted(_))) && !args.dry_run && !args.verify_only {
        output::note("what was done is kept; the same command goes on from there");
    }
    done
}

/// Refuses a report or rejects in the place of a store, or of each other, or where they cannot be written.
fn check_files(args: &MigrateArgs, app: &App) -> CommandResult {
    let store = app.settings.store.file().map(|path| ("the store", path));
    let copy = args.sqlite_path.as_deref().map(|path| ("the SQLite file of the copy", path));
    let stores: Vec<_> = store.into_iter().chain(copy).collect();
    if let Some(path) = &args.rejects {
        side_file::check("--rejects", path, &stores)?;
    }
    let Some(report) = &args.report else { return Ok(()) };
    let rejects = args.rejects.clone().unwrap_or_else(places::default_rejects);
    let rejects = (!args.reembed).then_some(("where the rejects go", rejects.as_path()));
    let in_use: Vec<_> = stores.into_iter().chain(rejects).collect();
    side_file::check("--report", report, &in_use)
}

/// Says the result: as JSON, or as `text` writes it.
fn say(
    mut out: Output,
    result: &impl serde::Serialize,
    text: impl FnOnce(&mut Output) -> CommandResult,
) -> CommandResult {
    if out.json {
        out.json_value(result)?;
    } else {
        text(&mut out)?;
    }
    out.finish()
}

/// Writes a report where one is wanted, once the result is `said`: whatever becomes of one, the other is
/// done.
fn write_report(args: &MigrateArgs, report: &impl serde::Serialize, said: CommandResult) -> CommandResult {
    let Some(path) = &args.report else { return said };
    let what = || format!("cannot write the report {}", path.display());
    let mut text = serde_json::to_vec_pretty(report).map_err(|error| Failure::io(what())(error.into()))?;
    text.push(b'\n');
    std::fs::write(path, text).map_err(Failure::io(what())).and(said)
}
