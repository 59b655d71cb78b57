//! The command line: global flags and the list of commands. The flags of a command are in its file.

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use crate::commands::{
    add, backup, completions, delete, demo, doctor, due, export, get, import, link, list, mcp, migrate,
    neighbors, restore, review, search, stats, trust, unlink, update,
};
use crate::globals::GlobalArgs;

/// Long-term memory for AI agents: stores short texts, and finds them by words and by meaning.
///
/// The memory is one SQLite file. The first command that needs it creates it. You need no server and no
/// download.
#[derive(Debug, Parser)]
#[command(
    name = "vestige",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_long_help = WHERE,
    after_help = "Run `vestige demo` for a first look, `vestige help COMMAND` for a command."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const WHERE: &str = "\
Where the memory is (the first of these that is set):
  1. --db or --postgres-url
  2. VESTIGE_DB or VESTIGE_POSTGRES_URL
  3. vestige.toml: the file that --config or VESTIGE_CONFIG names, else the one in the working
     directory if you have trusted it (`vestige trust`; not for `vestige mcp`), else the one in
     the platform's configuration folder (on Linux ~/.config/vestige)
  4. vestige.db in the platform's data folder (on Linux ~/.local/share/vestige)
`vestige doctor` shows which store is in use.

vestige.toml:
  [storage]
  backend = \"sqlite\"                # or \"postgres\"
  [storage.sqlite]
  path = \"~/notes/memory.db\"        # relative paths start at the file's folder
  [storage.postgres]
  url = \"postgres://user@host/db\"
  max_connections = 5
  [embeddings]
  model = \"bundled\"                 # or the name of a fastembed model, or a folder of files
  cache_dir = \"~/.cache/vestige\"    # where downloaded models stay
  max_tokens = 512                  # how much of a text the model reads
  runtime = \"/usr/lib/libonnxruntime.so\"  # else ORT_DYLIB_PATH
  name = \"BAAI/bge-small-en-v1.5\"  # which model a folder holds, if its own name does not say it;
  pooling = \"cls\"                   # of one that the list does not know also its pooling (mean, cls)
  document_prefix = \"\"              # and what goes before documents
  query_prefix = \"\"                 # and questions

Exit code: 0 for success, 1 for failure, 2 for wrong usage.

Examples:
  vestige add \"Deploys are frozen on Fridays after noon.\" --type decision --tag deploys
  vestige search when may I deploy
  vestige import memories.jsonl
  vestige export backup.jsonl";

/// A global option that says where or what twice. Of one before the command and one behind it clap forgets
/// the first.
pub(crate) fn given_twice(args: impl Iterator<Item = OsString>) -> Option<&'static str> {
    let options: Vec<OsString> = args.take_while(|arg| arg != "--").collect();
    ["--db", "--postgres-url", "--config", "--model"].into_iter().find(|name| {
        let is = |arg: &OsString| {
            let arg = arg.to_string_lossy();
            arg.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        };
        options.iter().filter(|arg| is(arg)).count() > 1
    })
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Add(add::AddArgs),
    Import(import::ImportArgs),
    Search(search::SearchArgs),
    Get(get::GetArgs),
    List(list::ListArgs),
    Update(update::UpdateArgs),
    Delete(delete::DeleteArgs),
    Link(link::LinkArgs),
    Unlink(unlink::UnlinkArgs),
    Neighbors(neighbors::NeighborsArgs),
    Review(review::ReviewArgs),
    Due(due::DueArgs),
    Stats(stats::StatsArgs),
    Doctor(doctor::DoctorArgs),
    Backup(backup::BackupArgs),
    Export(export::ExportArgs),
    Restore(restore::RestoreArgs),
    Migrate(migrate::MigrateArgs),
    Mcp(mcp::McpArgs),
    Demo(demo::DemoArgs),
    Trust(trust::TrustArgs),
    Completions(completions::CompletionsArgs),
}
