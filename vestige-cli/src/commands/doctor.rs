//! `vestige doctor`.

use clap::Args;
use serde::Serialize;
use vestige_memory::secrets::find_in;
use vestige_memory::text::{counted, one_line};
use vestige_memory::{Memory, NoEmbedder, RebuiltSchedule};
use vestige_traits::stats::{Finding, Severity};
use vestige_traits::{AnyMemoryStore, Embedder, ListQuery, MemoryStore, MemoryStoreError};

use crate::app::App;
use crate::config::StoreChoice;
use crate::failure::{CommandResult, Failure};
use crate::models::model_flag;
use crate::open::Access;
use crate::output::{BOLD, DIM, GREEN, Output, RED, Styled, YELLOW};

/// Check the memory: its file, schema, indexes and model
///
/// Prints what is wrong and how to repair it. The exit code is 1 if something is broken.
#[derive(Args, Debug)]
#[command(
    after_help = "It reads everything, so it takes a while on a large memory. It changes nothing unless --repair or
--rebuild-scheduling is given.

Example:
  vestige doctor --repair
  vestige doctor --secrets"
)]
pub(crate) struct DoctorArgs {
    /// Rebuild keyword index, vector index and statistics from the memories, then check
    #[arg(long)]
    repair: bool,

    /// Compute the schedule again from the log of reviews, then check
    #[arg(long)]
    rebuild_scheduling: bool,

    /// Look for credentials in all memories too: names memory, rule and place, never the credential
    #[arg(long)]
    secrets: bool,
}

#[derive(Serialize)]
struct Report {
    version: &'static str,
    config_file: Option<String>,
    store: String,
    store_from: String,
    model: String,
    model_from: String,
    findings: Vec<Finding>,
}

pub(crate) async fn run(args: DoctorArgs, app: &App, mut out: Output) -> CommandResult {
    let settings = &app.settings;
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        config_file: settings.file.as_ref().map(|path| path.display().to_string()),
        store: settings.store.to_string(),
        store_from: settings.store_from.to_string(),
        model: settings.model.to_string(),
        model_from: settings.model_from.to_string(),
        findings: examine(&args, app).await,
    };
    let broken = report.findings.iter().any(|finding| finding.severity == Severity::Error);
    if out.json {
        out.json_value(&report)?;
    } else {
        print(&mut out, &report)?;
    }
    out.finish()?;
    if broken { Err(Failure::Reported) } else { Ok(()) }
}

/// Everything that can be found out. What fails becomes a finding, and the rest is looked at all the same.
async fn examine(args: &DoctorArgs, app: &App) -> Vec<Finding> {
    let mut findings = Vec::new();
    let place = app.settings.store.to_string();
    if let StoreChoice::Sqlite { path } = &app.settings.store
        && !path.exists()
    {
        let remedy = "let `vestige add` make it, or name another with --db";
        findings.push(Finding::warning("store", format!("there is no store {place} yet"), remedy));
        findings.extend(check_model(None, app).await);
        return findings;
    }
    let broken = |subject: &str, failure: &Failure| {
        let remedy = match (failure, &app.settings.store) {
            (Failure::Store(MemoryStoreError::ReadOnly), StoreChoice::Sqlite { .. }) => {
                "what is stored may be sound: let the file and its folder be written to, and run it again"
            }
            (Failure::Store(MemoryStoreError::ReadOnly), StoreChoice::Postgres { .. }) => {
                "what is stored may be sound: run it again as a role that may write, on a server that is no replica"
            }
            _ => "restore a backup, or an archive by `vestige restore`, into a new store",
        };
        Finding::error(subject, failure.line(&place).unwrap_or_default(), remedy)
    };
    let mends = args.repair || args.rebuild_scheduling;
    let store = match app.open(if mends { Access::Existing } else { Access::Examine }).await {
        Ok(store) => store,
        Err(failure) => {
            findings.push(open_failure(&failure, &app.settings.store));
            findings.extend(check_model(None, app).await);
            return findings;
        }
    };
    if args.repair {
        match store.rebuild_indexes().await {
            Ok(()) => findings.push(Finding::ok("repair", "the indexes were made anew from the memories")),
            Err(error) => findings.push(broken("repair", &error.into())),
        }
    }
    if args.rebuild_scheduling {
        match Memory::new(store.clone(), NoEmbedder).rebuild_schedule().await {
            Ok(rebuilt) => findings.push(Finding::ok("scheduling", rebuilt_line(rebuilt))),
            Err(error) => findings.push(broken("scheduling", &error.into())),
        }
    }
    match store.diagnose().await {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(broken("store", &error.into())),
    }
    findings.extend(check_model(Some(&store), app).await);
    if args.secrets {
        findings.extend(sweep(&store).await.unwrap_or_else(|error| vec![broken("secrets", &error.into())]));
    }
    findings
}

/// How many memories a page of the sweep has: of the largest, 100 MiB.
const SWEPT: usize = 100;

/// The credentials in all memories.
async fn sweep(store: &AnyMemoryStore) -> Result<Vec<Finding>, MemoryStoreError> {
    let mut findings = Vec::new();
    let mut memories = 0;
    let mut query = ListQuery::new().limit(SWEPT);
    loop {
        let page = store.list(&query).await?;
        memories += page.records.len() as u64;
        for record in &page.records {
            findings.extend(find_in(record).into_iter().map(|found| {
                let remedy = "replace it where it is used, then `vestige update` or `vestige delete` the memory; backups keep it";
                Finding::warning("secrets", format!("memory {}: {found}", record.id), remedy)
            }));
        }
        match page.next {
            Some(next) => query = query.after(next),
            None => break,
        }
    }
    if findings.is_empty() {
        let message =
            format!("{} looked at, and nothing looks like a credential", counted(memories, "memory"));
        findings.push(Finding::ok("secrets", message));
    }
    Ok(findings)
}

fn rebuilt_line(rebuilt: RebuiltSchedule) -> String {
    let mut line = format!(
        "{} with reviews, of which {} had another schedule than the log says and has it now",
        counted(rebuilt.reviewed, "memory"),
        rebuilt.changed
    );
    if rebuilt.gone > 0 {
        line = format!("{line}; the log holds the reviews of {} deleted", rebuilt.gone);
    }
    line
}

fn open_failure(failure: &Failure, store: &StoreChoice) -> Finding {
    let remedy = match failure {
        Failure::Store(MemoryStoreError::SchemaTooNew { .. }) => "install the newer vestige",
        Failure::Store(MemoryStoreError::Damaged { .. }) if matches!(store, StoreChoice::Postgres { .. }) => {
            "let `vestige add` make a store in a database that is empty; else restore a backup, or an archive by \
             `vestige restore`, into a new one"
        }
        Failure::Store(MemoryStoreError::Damaged { .. }) => {
            "restore a backup, or an archive by `vestige restore`, into a new store"
        }
        _ => "mend what the message names, or choose another store with --db",
    };
    Finding::error("store", failure.line(&store.to_string()).unwrap_or_default(), remedy)
}

/// Whether the configured model can be used, and with this store.
async fn check_model(store: Option<&AnyMemoryStore>, app: &App) -> Vec<Finding> {
    let embedder = match app.embedder().await {
        Ok(embedder) => embedder,
        Err(failure) => {
            let remedy = "choose another by --model or in [embeddings] of vestige.toml";
            return vec![Finding::error("model", failure.line("").unwrap_or_default(), remedy)];
        }
    };
    let signature = embedder.signature();
    let Some(store) = store else { return vec![Finding::ok("model", format!("{signature} is ready"))] };
    match store.registered_model().await {
        Ok(None) => vec![Finding::ok("model", format!("{signature} is ready; the store has none yet"))],
        Ok(Some(registered)) if registered == *signature => {
            vec![Finding::ok("model", format!("{signature}, that of the store"))]
        }
        Ok(Some(registered)) => vec![Finding::error(
            "model",
            format!("the store is embedded with {registered}, and the configured model is {signature}"),
            format!(
                "use the store's model (`--model {}`, or [embeddings] in vestige.toml), or move the store to another one by \
                 `vestige migrate --reembed --model NAME`",
                model_flag(&registered.name)
            ),
        )],
        Err(error) => {
            let place = app.settings.store.to_string();
            let line = Failure::from(error).line(&place).unwrap_or_default();
            vec![Finding::error("model", line, "see the findings about the store")]
        }
    }
}

fn print(out: &mut Output, report: &Report) -> CommandResult {
    let mut row = |name: &str, value: &str, from: &str| {
        let name = format_args!("{name:<8}");
        out.line(format_args!("{} {}  {}", Styled(BOLD, name), one_line(value), Styled(DIM, one_line(from))))
    };
    row("version", report.version, "")?;
    row("config", report.config_file.as_deref().unwrap_or("none"), "")?;
    row("store", &report.store, &format!("({})", report.store_from))?;
    row("model", &report.model, &format!("({})", report.model_from))?;
    out.line("")?;
    for finding in &report.findings {
        let style = match finding.severity {
            Severity::Ok => GREEN,
            Severity::Warning => YELLOW,
            Severity::Error => RED,
        };
        let severity = format!("{:<7}", finding.severity.to_string());
        let message = one_line(&finding.message);
        out.line(format_args!("{} {}: {message}", Styled(style, severity), one_line(&finding.subject)))?;
        if let Some(remedy) = &finding.remedy {
            out.line(format_args!("        → {}", one_line(remedy)))?;
        }
    }
    Ok(())
}
