//! The two ends of a copy.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vestige_sqlite::SqliteMemoryStore;
use vestige_traits::{AnyMemoryStore, MemoryStoreError};

use super::args::{Backend, MigrateArgs};
use crate::app::App;
use crate::config::StoreChoice;
use crate::failure::{CommandResult, Failure};
use crate::output::note;

/// Where one end lies.
#[derive(Clone, Debug)]
pub(super) struct Place(StoreChoice);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// An opened end, and what must live as long as it.
pub(super) struct Opened {
    pub(super) store: AnyMemoryStore,
    _stand_in: Option<TempDir>,
}

impl Place {
    pub(super) fn find(backend: Backend, args: &MigrateArgs, app: &App) -> CommandResult<Self> {
        let configured = &app.settings.store;
        Ok(Self(match (backend, &args.sqlite_path, configured) {
            (Backend::Sqlite, Some(path), _) => StoreChoice::Sqlite { path: path.clone() },
            (Backend::Sqlite, None, StoreChoice::Sqlite { .. })
            | (Backend::Postgres, _, StoreChoice::Postgres { .. }) => configured.clone(),
            (Backend::Sqlite, None, _) => {
                return Err(Failure::usage("name the SQLite file with --sqlite-path"));
            }
            (Backend::Postgres, ..) => {
                return Err(Failure::usage(
                    "name the database with --postgres-url, or in the environment variable VESTIGE_POSTGRES_URL",
                ));
            }
        }))
    }

    /// What the source is called in the target: the same place, the same name.
    pub(super) fn name(&self) -> String {
        match &self.0 {
            StoreChoice::Sqlite { path } => {
                format!("sqlite {}", std::fs::canonicalize(path).unwrap_or_else(|_| path.clone()).display())
            }
            StoreChoice::Postgres { url, .. } => format!("postgres {url}"),
        }
    }

    /// Opens the store for reading: it is neither made nor upgraded.
    pub(super) async fn open_for_reading(&self) -> CommandResult<Opened> {
        match &self.0 {
            StoreChoice::Sqlite { path } => {
                if !path.exists() {
                    return Err(Failure::message(format!(
                        "there is no store {}; name another with --sqlite-path",
                        path.display()
                    )));
                }
                self.sqlite(path, true)
            }
            StoreChoice::Postgres { .. } => self.connect(true).await.map_err(|failure| self.named(failure)),
        }
    }

    /// Opens the store for writing, and makes it if it is not there.
    pub(super) async fn open_for_writing(&self) -> CommandResult<Opened> {
        match &self.0 {
            StoreChoice::Sqlite { path } => {
                let new = !path.exists();
                let opened = self.sqlite(path, false)?;
                if new {
                    note(&format!("made a new memory in {}", path.display()));
                }
                Ok(opened)
            }
            StoreChoice::Postgres { .. } => self.connect(false).await.map_err(|failure| self.named(failure)),
        }
    }

    /// Opens the store for a plan. For one that is not there yet an empty one stands in.
    pub(super) async fn open_for_planning(&self) -> CommandResult<Opened> {
        match &self.0 {
            StoreChoice::Sqlite { path } if !path.exists() => self.stand_in(),
            StoreChoice::Sqlite { path } => self.sqlite(path, true),
            StoreChoice::Postgres { .. } => match self.connect(true).await {
                // A database without the schema.
                Err(Failure::Store(MemoryStoreError::Damaged { .. })) => self.stand_in(),
                opened => opened.map_err(|failure| self.named(failure)),
            },
        }
    }

    fn stand_in(&self) -> CommandResult<Opened> {
        note(&format!("there is no memory in {self} yet; it would be made"));
        let folder = tempfile::tempdir().map_err(Failure::io("cannot make a temporary folder"))?;
        let stand_in = self.sqlite(&folder.path().join("empty.db"), false)?;
        Ok(Opened { _stand_in: Some(folder), ..stand_in })
    }

    fn sqlite(&self, path: &Path, read_only: bool) -> CommandResult<Opened> {
        let builder = SqliteMemoryStore::builder(path).create(!read_only).read_only(read_only);
        // Every row is read once, and some are searched for: nothing is worth keeping in memory.
        let store = builder.memory_map(0).indexes_in_memory(false).readers(NonZeroUsize::MIN).open();
        let store = store.map_err(|error| self.named(error.into()))?;
        Ok(Opened { store: AnyMemoryStore::new(store), _stand_in: None })
    }

    #[cfg(feature = "postgres-backend")]
    async fn connect(&self, read_only: bool) -> CommandResult<Opened> {
        let StoreChoice::Postgres { url, max_connections } = &self.0 else { return Err(without_postgres()) };
        let builder = vestige_postgres::PgMemoryStore::builder(url.reveal());
        let builder = builder.max_connections(*max_connections).read_only(read_only);
        Ok(Opened { store: AnyMemoryStore::new(builder.connect().await?), _stand_in: None })
    }

    #[cfg(not(feature = "postgres-backend"))]
    async fn connect(&self, _read_only: bool) -> CommandResult<Opened> {
        Err(without_postgres())
    }

    /// Names this end, since the command works with two.
    fn named(&self, failure: Failure) -> Failure {
        match failure.line(&self.to_string()) {
            Some(line) => Failure::message(line),
            None => failure,
        }
    }
}

fn without_postgres() -> Failure {
    Failure::message(
        "this vestige was built without PostgreSQL; install it by \
         `cargo install vestige-cli --features postgres-backend`",
    )
}

/// Where rejects go if nothing else is said.
pub(super) fn default_rejects() -> PathBuf {
    PathBuf::from("vestige-rejects.jsonl")
}
