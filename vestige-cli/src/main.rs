//! The `vestige` command. Its documentation is that of the package's library.

mod app;
mod args;
mod cli;
mod closed_stdout;
mod commands;
mod config;
mod config_file;
mod deadline;
mod failure;
mod globals;
mod importer;
mod interrupt;
mod models;
mod open;
#[cfg(feature = "fastembed")]
mod open_fastembed;
mod output;
mod progress;
mod render;
mod secret;
mod side_file;
mod trusted_files;

use std::io;
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;
use vestige_traits::clock::{Clock, SystemClock};

use crate::app::App;
use crate::cli::{Cli, Command};
use crate::commands::{
    add, backup, completions, delete, demo, doctor, due, export, get, import, link, list, migrate, neighbors,
    restore, review, search, stats, trust, unlink, update,
};
use crate::config::{Folders, Settings, Surroundings};
use crate::failure::{CommandResult, Failure};
use crate::interrupt::Interrupt;
use crate::output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help that nobody reads to its end is no failure, and of a lost complaint nobody would hear.
            let _ = error.print();
            if !error.use_stderr() && closed_stdout::stdout_was_closed() {
                output::error("stdout is closed, so the output is lost; open it, or write to /dev/null");
                return ExitCode::FAILURE;
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    if let Some(option) = cli::given_twice(std::env::args_os()) {
        output::error(&format!("{option} is given twice, before the command and behind it; give it once"));
        return ExitCode::from(2);
    }
    trace(cli.globals.verbose);
    let mut place = String::new();
    match run(cli, &mut place) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(line) = failure.line(&place) {
                output::error(&line);
            }
            failure.exit_code()
        }
    }
}

/// Runs the command. `place` is told where the memory lies as soon as that is known.
fn run(cli: Cli, place: &mut String) -> CommandResult {
    if let Command::Completions(args) = &cli.command {
        return completions::run(args, Cli::command());
    }
    if let Command::Trust(args) = &cli.command {
        return trust::run(args, Output::new(cli.globals.json));
    }
    let settings = Settings::resolve(
        &cli.globals,
        &Surroundings {
            variable: &|name| std::env::var_os(name),
            working_dir: std::env::current_dir().ok(),
            reads_working_dir: !matches!(cli.command, Command::Mcp(_)),
            folders: Folders::of_this_platform(),
        },
    )?;
    if let Some(why) = &settings.ignored {
        output::note(why);
    }
    *place = settings.store.to_string();
    check_clock(SystemClock.now())?;
    // One thread works; the other hears Ctrl-C while it does.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(Failure::io("cannot start the runtime"))?;
    let result = runtime.block_on(async {
        let interrupt = Interrupt::listen();
        let app = App::new(settings, interrupt.clone());
        dispatch(cli.command, &app, Output::new(cli.globals.json), &interrupt).await
    });
    // Nothing that is left to do is worth waiting for.
    runtime.shutdown_background();
    result
}

/// A clock that was never set is found before a memory is stored by it.
fn check_clock(now: DateTime<Utc>) -> CommandResult {
    if now >= DateTime::UNIX_EPOCH {
        return Ok(());
    }
    let now = now.format("%Y-%m-%d %H:%M");
    Err(Failure::message(format!("the clock of this machine says {now}, which is before 1970; set it first")))
}

async fn dispatch(command: Command, app: &App, out: Output, interrupt: &Interrupt) -> CommandResult {
    /// What a person waits for: it ends when its time is up, or by Ctrl-C.
    macro_rules! call {
        ($work:expr) => {
            interrupt.guard(app.deadline.guard($work)).await
        };
    }
    match command {
        Command::Add(args) => call!(add::run(args, app, out)),
        // Stops by itself, at the end of a batch.
        Command::Import(args) => import::run(args, app, out).await,
        Command::Search(args) => call!(search::run(args, app, out)),
        Command::Get(args) => call!(get::run(args, app, out)),
        Command::List(args) => call!(list::run(args, app, out)),
        Command::Update(args) => call!(update::run(args, app, out)),
        // Stops by itself between two memories, and says which are gone.
        Command::Delete(args) => delete::run(args, app, out).await,
        Command::Link(args) => call!(link::run(args, app, out)),
        Command::Unlink(args) => call!(unlink::run(args, app, out)),
        Command::Neighbors(args) => call!(neighbors::run(args, app, out)),
        Command::Review(args) => call!(review::run(args, app, out)),
        Command::Due(args) => call!(due::run(args, app, out)),
        Command::Stats(args) => call!(stats::run(args, app, out)),
        Command::Doctor(args) => interrupt.guard(doctor::run(args, app, out)).await,
        Command::Backup(args) => interrupt.guard(backup::run(args, app, out)).await,
        Command::Export(args) => interrupt.guard(export::run(args, app, out)).await,
        Command::Restore(args) => interrupt.guard(restore::run(args, app, out)).await,
        // Says what an interruption leaves.
        Command::Migrate(args) => migrate::run(args, app, out).await,
        // Closes its store before it ends.
        Command::Mcp(args) => commands::mcp::run(args, app, out).await,
        Command::Demo(args) => interrupt.guard(demo::run(args, app, out)).await,
        Command::Completions(args) => completions::run(&args, Cli::command()),
        Command::Trust(args) => trust::run(&args, out),
    }
}

/// Logs go to stderr: Vestige's warnings, with `-v` what is done, with `-vv` every operation; `VESTIGE_LOG`
/// says it in detail.
fn trace(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let variable = std::env::var("VESTIGE_LOG").ok().filter(|filter| !filter.is_empty());
    let quiet = match (level, &variable) {
        ("trace", _) => "",
        // What the database's driver warns of is a slow statement, which a large store has, and a connection
        // that is lost behind a command that has done its work.
        ("warn", None) => "rmcp=error,sqlx=error,",
        // The protocol's library logs whole messages at DEBUG, and memories are not for logs.
        _ => "rmcp=error,",
    };
    let filter = EnvFilter::try_new(format!("{quiet}{}", variable.as_deref().unwrap_or(level)))
        .unwrap_or_else(|_| EnvFilter::new(format!("{quiet}{level}")));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never)
        .with_target(false)
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_before_1970_is_an_error_that_says_so() {
        check_clock(DateTime::UNIX_EPOCH).expect("1970 is fine");
        let failure = check_clock(DateTime::UNIX_EPOCH - chrono::TimeDelta::seconds(1)).expect_err("refused");
        let line = failure.line("").expect("a line");
        assert!(line.contains("1969-12-31 23:59") && line.contains("set it"), "{line}");
    }
}
