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
/// A copy goes page by page and overwrites nothing. The source is opened for reading only. Interrupted at any point,
/// the same command goes on where it stopped; run again after the end it changes nothing. Afterwards every row of both
/// sides is compared.
///
/// With --reembed the memory stays where it is and gets the vectors of the model that --model names. Searches and
/// writes go on with the old model until the new vectors are complete; the switch is one moment.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  vestige migrate --from sqlite --to postgres --sqlite-path memory.db --postgres-url postgres://ada@db/vestige
  vestige migrate --reembed --model=BAAI/bge-small-en-v1.5

With VESTIGE_POSTGRES_URL in the environment:
  vestige migrate --from postgres --to sqlite --sqlite-path copy.db --dry-run
  vestige migrate --from sqlite --to postgres --sqlite-path memory.db --verify-only --report proof.json")]
pub(crate) struct MigrateArgs {
    /// Where the memory is
    #[arg(long, value_enum, value_name = "BACKEND", requires = "to", required_unless_present = "reembed")]
    from: Option<Backend>,

    /// Where it is to go
    #[arg(long, value_enum, value_name = "BACKEND", requires = "from")]
    to: Option<Backend>,

    /// The SQLite file of the copy
    #[arg(long, value_name = "PATH")]
    sqlite_path: Option<PathBuf>,

    /// How many rows to write in one transaction at most, or how many memories to embed at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch_size: Option<u16>,

    /// Say what would be done, and about how long it would take; change nothing
    #[arg(long)]
    dry_run: bool,

    /// Merge into a target that holds other memories: by id, and what is there with other content stays
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

    /// Stay in the store and go to the model that --model names
    #[arg(
        long,
        conflicts_with_all = ["from", "to", "sqlite_path", "into_existing", "verify_only", "rejects"]
    )]
    reembed: bool,

    /// Re-embed without asking
    #[arg(long, requires = "reembed")]
    yes: bool,

    /// Drop the vectors that an unfinished re-embedding has built
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

/// Writes a report where one is wanted, once the result is `said`: whatever becomes of one, the other is done.
fn write_report(args: &MigrateArgs, report: &impl serde::Serialize, said: CommandResult) -> CommandResult {
    let Some(path) = &args.report else { return said };
    let what = || format!("cannot write the report {}", path.display());
    let mut text = serde_json::to_vec_pretty(report).map_err(|error| Failure::io(what())(error.into()))?;
    text.push(b'\n');
    std::fs::write(path, text).map_err(Failure::io(what())).and(said)
}
