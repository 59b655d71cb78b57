//! `vestige migrate --from … --to …`.

use vestige_migrate::{Copier, Verifier};
use vestige_traits::AnyMemoryStore;

use super::args::{Backend, MigrateArgs};
use super::outcome::{say, write_report};
use super::places::{Place, default_rejects};
use super::rejects::RejectFile;
use super::{progress, report};
use crate::app::App;
use crate::failure::{CommandResult, Failure, with_sources};
use crate::output::{self, Output};

pub(super) async fn run(args: &MigrateArgs, from: Backend, app: &App, out: Output) -> CommandResult {
    let to = if from == Backend::Sqlite { Backend::Postgres } else { Backend::Sqlite };
    let (from, to) = (Place::find(from, args, app)?, Place::find(to, args, app)?);
    let source = from.open_for_reading().await?;
    if args.verify_only {
        let target = to.open_for_reading().await?;
        return verify(args, &from, &to, &source.store, &target.store, out).await;
    }
    if args.dry_run {
        let target = to.open_for_planning().await?;
        return plan(args, &from, &to, &source.store, &target.store, out).await;
    }
    let target = to.open_for_writing().await?;
    copy(args, &from, &to, &source.store, &target.store, out).await
}

async fn copy(
    args: &MigrateArgs,
    from: &Place,
    to: &Place,
    source: &AnyMemoryStore,
    target: &AnyMemoryStore,
    out: Output,
) -> CommandResult {
    let mut rejects = RejectFile::new(Some(args.rejects.clone().unwrap_or_else(default_rejects)));
    let name = from.name();
    let copier = copier(args, &name, source, target).rejects(&mut rejects);
    let report = copier.run().await.map_err(|error| failure(to, error))?;
    let said = say(out, &report, |out| report::copied(out, from, to, &report));
    if let Some(path) = rejects.written_to() {
        output::note(&format!("the rows that were not moved are in {}", path.display()));
    }
    if !report.is_lossless() {
        report::complain(&report);
    }
    write_report(args, &report, said)?;
    if report.is_lossless() { Ok(()) } else { Err(Failure::Reported) }
}

async fn plan(
    args: &MigrateArgs,
    from: &Place,
    to: &Place,
    source: &AnyMemoryStore,
    target: &AnyMemoryStore,
    out: Output,
) -> CommandResult {
    let mut rejects = RejectFile::new(args.rejects.clone());
    let name = from.name();
    let copier = copier(args, &name, source, target).rejects(&mut rejects);
    let plan = copier.plan().await.map_err(|error| failure(to, error))?;
    let said = say(out, &plan, |out| report::planned(out, from, to, &plan));
    write_report(args, &plan, said)?;
    if plan.rows.sum().not_moved() == 0 { Ok(()) } else { Err(Failure::Reported) }
}

async fn verify(
    args: &MigrateArgs,
    from: &Place,
    to: &Place,
    source: &AnyMemoryStore,
    target: &AnyMemoryStore,
    out: Output,
) -> CommandResult {
    let mut verifier = Verifier::new(source, target).on_progress(progress::report());
    if let Some(rows) = args.batch_size {
        verifier = verifier.page_rows(rows.into());
    }
    let proof = verifier.run().await.map_err(|error| failure(to, error))?;
    let said = say(out, &proof, |out| {
        out.line(format_args!("{from} and {to}:"))?;
        report::proven(out, &proof)
    });
    write_report(args, &proof, said)?;
    if proof.nothing_lost() { Ok(()) } else { Err(Failure::Reported) }
}

fn copier<'a>(
    args: &MigrateArgs,
    name: &'a str,
    source: &'a AnyMemoryStore,
    target: &'a AnyMemoryStore,
) -> Copier<'a, AnyMemoryStore, AnyMemoryStore> {
    let copier =
        Copier::new(name, source, target).into_existing(args.into_existing).on_progress(progress::report());
    match args.batch_size {
        Some(rows) => copier.page_rows(rows.into()),
        None => copier,
    }
}

/// The refusals as this command's user reads them.
fn failure(to: &Place, error: vestige_migrate::MigrateError) -> Failure {
    use vestige_migrate::MigrateError;
    match error {
        MigrateError::TargetNotEmpty { memories, others } => Failure::message(format!(
            "{to} already holds {memories} memories and {others} other rows that this source did not bring: choose \
             an empty target, or merge into it by id with --into-existing, which overwrites nothing and lists every \
             id that is there with other content"
        )),
        MigrateError::ModelsDiffer { from, to } => Failure::message(format!(
            "the source is embedded with {from} and the target with {to}: take one of them to the other's model \
             first (`vestige migrate --reembed --model=…`), or choose an empty target"
        )),
        error if error.is_retryable() => {
            Failure::message(format!("{}; the same command goes on where it stopped", with_sources(&error)))
        }
        error => error.into(),
    }
}
