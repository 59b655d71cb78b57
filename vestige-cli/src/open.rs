//! Opens stores and embedders: the one module that knows which backends and models there are.

use std::path::Path;

use vestige_sqlite::SqliteMemoryStore;
use vestige_traits::{AnyEmbedder, AnyMemoryStore, MemoryStore, MemoryStoreError};

use crate::config::{ModelChoice, Settings, StoreChoice};
use crate::failure::{CommandResult, Failure};
use crate::models;
use crate::output::note;

/// Whether the store may only be read: its file, its server, or the role does not let it be written.
pub(crate) async fn is_read_only(store: &AnyMemoryStore) -> bool {
    // Removes nothing, and wants the right to.
    match store.clear_checkpoint("a write that changes nothing").await {
        Err(MemoryStoreError::ReadOnly) => true,
        Err(error @ MemoryStoreError::Unavailable { .. }) => !error.is_retryable(),
        _ => false,
    }
}

/// What a command means to do with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Write. A store that is not there is made.
    Write,
    /// Read. A store that is not there is made, so that the first use works whatever it is;
    /// a file that may only be read is opened so.
    Read,
    /// Read or mend what is there, and never make a new store.
    Existing,
    /// Read all that is there once and as it is: nothing is made, upgraded or kept in memory.
    Examine,
}

pub(crate) async fn store(settings: &Settings, access: Access) -> CommandResult<AnyMemoryStore> {
    match &settings.store {
        StoreChoice::Sqlite { path } => sqlite(path, access).map(AnyMemoryStore::new),
        #[cfg(feature = "postgres-backend")]
        StoreChoice::Postgres { url, max_connections } => {
            let builder = vestige_postgres::PgMemoryStore::builder(url.reveal());
            let builder = builder.max_connections(*max_connections).read_only(access == Access::Examine);
            if let Some(store) = builder.clone().connect_existing().await? {
                return Ok(AnyMemoryStore::new(store));
            }
            if matches!(access, Access::Existing | Access::Examine) {
                return Err(Failure::message(format!(
                    "there is no store in {url}; name another database with --postgres-url, or let `vestige add` make it"
                )));
            }
            let store = builder.connect().await?;
            note(&format!("made a new memory in {url}"));
            Ok(AnyMemoryStore::new(store))
        }
        #[cfg(not(feature = "postgres-backend"))]
        StoreChoice::Postgres { .. } => Err(Failure::message(
            "this vestige was built without PostgreSQL; install it by \
             `cargo install vestige-cli --features postgres-backend`, or name a file with --db",
        )),
    }
}

fn sqlite(path: &Path, access: Access) -> CommandResult<SqliteMemoryStore> {
    let exists = path.exists();
    if !exists && matches!(access, Access::Existing | Access::Examine) {
        return Err(Failure::message(format!(
            "there is no store {}; name another with --db, or let `vestige add` make it",
            path.display()
        )));
    }
    if !exists {
        create_folder(path)?;
    }
    let was_empty = exists && is_empty(path);
    let builder = SqliteMemoryStore::builder(path).create(!exists);
    if access == Access::Examine {
        return Ok(builder.read_only(true).memory_map(0).indexes_in_memory(false).open()?);
    }
    let opened = builder.open();
    let opened = match opened {
        // A backup on a medium that cannot be written can be searched all the same.
        Err(error @ (MemoryStoreError::Unavailable { .. } | MemoryStoreError::ReadOnly))
            if exists && access != Access::Write && !error.is_retryable() =>
        {
            tracing::info!(path = %path.display(), "opening for reading only");
            SqliteMemoryStore::builder(path).read_only(true).open()
        }
        opened => opened,
    }?;
    if !exists {
        note(&format!("made a new memory in {}", path.display()));
    }
    if was_empty {
        note(&format!(
            "{} was there and empty; if it is a copy of a memory in use, copy that again by `vestige backup`",
            path.display()
        ));
    }
    Ok(opened)
}

/// Whether a file holds no table: what a copy of a new memory is where its log was not copied with it.
fn is_empty(path: &Path) -> bool {
    /// A database that has a table has a second page.
    const ONE_PAGE: u64 = 4096;
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    path.is_file() && length(path) <= ONE_PAGE && length(Path::new(&log)) == 0
}

/// Copies the store to another file, and opens the copy to read it once.
pub(crate) async fn backup(
    settings: &Settings,
    file: &Path,
    overwrite: bool,
) -> CommandResult<AnyMemoryStore> {
    let StoreChoice::Sqlite { path } = &settings.store else {
        return Err(Failure::usage(
            "`vestige backup` copies a SQLite file; back up a PostgreSQL store by pg_dump (docs/runbook/postgres.md), or \
             write an archive of it by `vestige export`",
        ));
    };
    sqlite(path, Access::Examine)?.backup(file, overwrite).await?;
    Ok(AnyMemoryStore::new(sqlite(file, Access::Examine)?))
}

/// Makes the folder of a new store. Nobody else may look into it.
fn create_folder(path: &Path) -> CommandResult {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists())
    else {
        return Ok(());
    };
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(Failure::io(format!(
        "cannot make the folder {}; name another place with --db",
        folder.display()
    )))
}

pub(crate) fn embedder(settings: &Settings) -> CommandResult<AnyEmbedder> {
    match &settings.model {
        ModelChoice::Bundled => Ok(models::bundled()),
        #[cfg(feature = "fastembed")]
        model => crate::open_fastembed::open(model, &settings.embeddings),
        #[cfg(not(feature = "fastembed"))]
        model => Err(Failure::message(format!(
            "model {model} (from {}): this vestige has the bundled model only; install it by \
             `cargo install vestige-cli --features fastembed`, or say `--model bundled`",
            settings.model_from
        ))),
    }
}
