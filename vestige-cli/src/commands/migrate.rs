//! `vestige migrate`. Its flags, copying and re-embedding stand in files of their own.

mod args;
mod copy;
mod outcome;
mod places;
mod progress;
mod reembed;
mod rejects;
mod report;

pub(crate) use self::args::MigrateArgs;
pub(super) use self::rejects::RejectFile;
use crate::app::App;
use crate::failure::{CommandResult, Failure};
use crate::output::{self, Output};
use crate::side_file;

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
