//! `vestige mcp`.

mod clients;

use std::future::pending;
use std::io::IsTerminal;

use clap::Args;
use vestige_mcp::{Ended, LineTransport, Server};
use vestige_traits::{Embedder, MemoryStore};

use self::clients::Client;
use crate::app::App;
use crate::closed_stdout::stdout_was_closed;
use crate::config::{Origin, StoreChoice};
use crate::failure::{CommandResult, Failure};
use crate::interrupt::SIGTERM;
use crate::output::{Output, note};

/// Serve the memory to an agent, by the Model Context Protocol on stdin and stdout
///
/// The client starts and stops the server. Several servers can use one memory at the same time. A
/// `vestige.toml` in the working directory is ignored, unless --config or VESTIGE_CONFIG names it.
/// Of a memory that may only be read the tools that read are served.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  vestige mcp --print-config claude-desktop
  vestige --db ~/notes/memory.db mcp --print-config vscode
  claude mcp add vestige -- vestige mcp")]
pub(crate) struct McpArgs {
    /// Print the configuration of a client that starts this server, and do nothing else
    #[arg(long, value_name = "CLIENT", value_enum)]
    print_config: Option<Client>,

    /// Answer with text alone, for a client whose model does not see the text beside structured answers;
    /// known ones get it without being asked
    #[arg(long)]
    text_only: bool,

    /// Let the agent store what looks like a credential; without it `remember` and `update` refuse it
    #[arg(long)]
    allow_secrets: bool,
}

pub(crate) async fn run(args: McpArgs, app: &App, out: Output) -> CommandResult {
    if let Some(client) = args.print_config {
        return print_config(client, app, out);
    }
    match serve(&args, app).await {
        // So a client or a system ends a server when it has done with it.
        Err(Failure::Interrupted(SIGTERM)) => Ok(()),
        done => done,
    }
}

async fn serve(args: &McpArgs, app: &App) -> CommandResult {
    let (memory, read_only) = app.interrupt.guard(app.memory_to_serve(args.allow_secrets)).await?;
    // In a folder that is gone no code base is worked on.
    let working_dir = std::env::current_dir().unwrap_or_default();
    tracing::info!(
        store = %app.settings.store,
        model = %memory.embedder().signature(),
        memories = memory.store().count().await?,
        read_only,
        "serving MCP on stdin and stdout"
    );
    if stdout_was_closed() {
        return Err(Failure::message("stdout is closed, so no answer could be heard; open it"));
    }
    if std::io::stdin().is_terminal() {
        note(
            "waiting for an MCP client on stdin; a client starts this command itself (--print-config), and Ctrl-D ends it",
        );
    }
    if read_only {
        note(&format!("{} may only be read; the tools that write are not offered", app.settings.store));
    }
    let server = Server::new(memory)
        .store_name(app.settings.store.to_string())
        .working_dir(working_dir)
        .read_only(read_only)
        .timeout(app.settings.timeout)
        .text_only(args.text_only);
    let interrupted = async {
        let _ = app.interrupt.guard(pending::<CommandResult>()).await;
    };
    match vestige_mcp::serve(server, LineTransport::stdio(), interrupted).await {
        Ok(Ended::Stopped) => app.interrupt.check(),
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::message(error.to_string())),
    }
}

/// A client starts the server from anywhere and without the environment of a shell, so paths are whole,
/// and a configuration file, a store and a model that this shell's flags or variables choose are named.
fn print_config(client: Client, app: &App, mut out: Output) -> CommandResult {
    let program = std::env::current_exe().map_err(Failure::io("this program's own path"))?;
    let settings = &app.settings;
    let is_of_this_shell = |from: &Origin| matches!(from, Origin::Flag(_) | Origin::Variable(_));
    let mut args = Vec::new();
    if let Some(file) = &settings.file {
        args.extend(["--config".to_owned(), file.display().to_string()]);
    }
    if is_of_this_shell(&settings.store_from) {
        match &settings.store {
            StoreChoice::Sqlite { path } => args.extend(["--db".to_owned(), path.display().to_string()]),
            StoreChoice::Postgres { .. } => note(
                "the client does not see this shell's database: name it in vestige.toml (`vestige help` says where it lies), \
                 since other users of the machine could read its password in the arguments of a process",
            ),
        }
    }
    if is_of_this_shell(&settings.model_from) {
        args.extend(["--model".to_owned(), settings.model.to_string()]);
    }
    args.push("mcp".to_owned());
    note(&format!("goes into {}", client.place()));
    let config = client.config(&program.display().to_string(), &args);
    let text = serde_json::to_string_pretty(&config).map_err(|error| Failure::message(error.to_string()))?;
    out.line(text)?;
    out.finish()
}
