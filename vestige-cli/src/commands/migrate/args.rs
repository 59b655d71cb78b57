//! The flags of `vestige migrate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Move the memory to another store, or to another embedding model, and prove that nothing was lost
///
/// A copy overwrites nothing, and opens the source for reading only. At its end it compares every row of both
/// sides. If it is interrupted, run the same command again, and it continues where it stopped. Running it
/// again after the end changes nothing.
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
    pub(super) from: Option<Backend>,

    /// The backend to copy to
    #[arg(long, value_enum, value_name = "BACKEND", requires = "from")]
    pub(super) to: Option<Backend>,

    /// The SQLite file of the copy
    #[arg(long, value_name = "PATH")]
    pub(super) sqlite_path: Option<PathBuf>,

    /// The most rows to write in one transaction, or the most memories to embed at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(super) batch_size: Option<u16>,

    /// Print what would be done and how long it would take; change nothing
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Merge into a target that has other memories, by id; a memory with other content there stays as it is
    #[arg(long)]
    pub(super) into_existing: bool,

    /// Compare both sides and copy nothing
    #[arg(long, conflicts_with_all = ["dry_run", "into_existing", "rejects"])]
    pub(super) verify_only: bool,

    /// Append the rows that cannot be moved to this file, as JSON lines with the reason
    /// [default: vestige-rejects.jsonl, made if there are any]
    #[arg(long, value_name = "FILE")]
    pub(super) rejects: Option<PathBuf>,

    /// Write the report with the proof to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,

    /// Keep the store, and move it to the model that --model names
    #[arg(
        long,
        conflicts_with_all = ["from", "to", "sqlite_path", "into_existing", "verify_only", "rejects"]
    )]
    pub(super) reembed: bool,

    /// Re-embed without asking
    #[arg(long, requires = "reembed")]
    pub(super) yes: bool,

    /// Delete the vectors of an unfinished re-embedding
    #[arg(long, requires = "reembed", conflicts_with_all = ["dry_run", "yes", "batch_size"])]
    pub(super) abort: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    /// a file
    Sqlite,
    /// a database that machines share
    Postgres,
}
