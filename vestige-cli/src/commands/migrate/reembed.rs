//! `vestige migrate --reembed`.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

use vestige_memory::text::counted;

use serde_json::json;
use vestige_migrate::{ReembedOutcome, ReembedPlan, ReembedReport, Reembedder};
use vestige_traits::{MemoryStore, MemoryStoreError};

use super::args::MigrateArgs;
use super::outcome::{say, write_report};
use super::progress::{self, duration};
use crate::app::App;
use crate::config::StoreChoice;
use crate::failure::{CommandResult, Failure};
use crate::models::model_flag;
use crate::open::Access;
use crate::output::{self, Output};

pub(super) async fn run(args: &MigrateArgs, app: &App, out: Output) -> CommandResult {
    let store = app.open(Access::Existing).await?;
    let embedder = app.embedder().await?;
    let place = app.settings.store.to_string();
    let reembedder = || {
        let reembedder = Reembedder::new(&store, embedder).on_progress(progress::report());
        match args.batch_size {
            Some(memories) => reembedder.batch(memories.into()),
            None => reembedder,
        }
    };
    let plan = reembedder().plan().await?;
    if args.dry_run || plan.already_on_model {
        let said = say(out, &plan, |out| out.line(format_args!("{place}: {}", describe(&plan))));
        write_report(args, &plan, said)?;
        return check_room(&plan, app);
    }
    output::note(&format!("{place}: {}", describe(&plan)));
    check_room(&plan, app)?;
    if !args.yes {
        confirm()?;
    }
    let report = reembedder().run().await.map_err(|error| match error {
        vestige_migrate::MigrateError::Store(error @ MemoryStoreError::Conflict { .. }) => Failure::message(
            format!("{place}: {error}; `vestige migrate --reembed --abort` drops what it has built"),
        ),
        error => error.into(),
    })?;
    let said = say(out, &report, |out| out.line(format_args!("{place}: {}", tell(&report))));
    output::note(&format!(
        "from now on the model is `{}`: name it by --model, VESTIGE_MODEL or [embeddings] model in vestige.toml",
        model_flag(&report.to.name)
    ));
    write_report(args, &report, said)
}

fn tell(report: &ReembedReport) -> String {
    let how = match report.outcome {
        ReembedOutcome::Switched if report.resumed => {
            "switched, having gone on where it had stopped".to_owned()
        }
        ReembedOutcome::Switched => "switched".to_owned(),
        ReembedOutcome::AlreadyOnModel => "nothing to do: the memory is on it".to_owned(),
        other => other.to_string(),
    };
    format!(
        "{how}: {}; {} embedded in {}, {} of them came in meanwhile, {} hold no word that the model knows",
        report.to,
        counted(report.embedded, "memory"),
        duration(report.elapsed.as_secs_f64()),
        report.caught_up,
        report.without_vector
    )
}

pub(super) async fn abort(app: &App, mut out: Output) -> CommandResult {
    let store = app.open(Access::Existing).await?;
    let status = store.reembedding_status().await?;
    store.abort_reembedding().await?;
    let place = app.settings.store.to_string();
    if out.json {
        out.json_value(&json!({"aborted": status}))?;
    } else {
        match status {
            Some(status) => out.line(format_args!(
                "{place}: dropped {} of {}; the memory stays on its model",
                counted(status.done, "vector"),
                status.model
            ))?,
            None => out.line(format_args!("{place}: no re-embedding is under way"))?,
        }
    }
    out.finish()
}

fn describe(plan: &ReembedPlan) -> String {
    if plan.already_on_model {
        return format!("nothing to do: the memory is on {}", plan.to);
    }
    let from = plan.from.as_ref().map_or_else(|| "no model".to_owned(), ToString::to_string);
    format!(
        "from {from} to {}: {} to embed{}, about {}; about {:.0} MB of room while it works",
        plan.to,
        counted(plan.pending, "memory"),
        if plan.resumes { ", going on where it had stopped" } else { "" },
        duration(plan.embedding_seconds),
        plan.disk_bytes as f64 / 1e6
    )
}

/// Refuses to begin what could not be ended. The disk of a database server cannot be seen from here.
fn check_room(plan: &ReembedPlan, app: &App) -> CommandResult {
    let StoreChoice::Sqlite { path } = &app.settings.store else { return Ok(()) };
    match free_bytes(path) {
        Some(free) if free < plan.disk_bytes => Err(Failure::message(format!(
            "{}: re-embedding needs about {:.0} MB and {:.0} MB are free there; make room first",
            path.display(),
            plan.disk_bytes as f64 / 1e6,
            free as f64 / 1e6
        ))),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn free_bytes(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_path: &Path) -> Option<u64> {
    None
}

fn confirm() -> CommandResult {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("nobody is there to be asked; say --yes to re-embed, or --dry-run"));
    }
    eprint_question()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(Failure::io("stdin"))?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::message("nothing was changed")),
    }
}

fn eprint_question() -> CommandResult {
    let mut stderr = std::io::stderr();
    write!(stderr, "Go on? [y/N] ").and_then(|()| stderr.flush()).map_err(Failure::io("stderr"))
}
