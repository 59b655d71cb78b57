//! Connections and transactions.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection, Executor, PgConnection};
use vestige_traits::{MemoryStoreError, MemoryStoreResult};

use crate::config::PgMemoryStoreBuilder;
use crate::error;
use crate::session::Session;
use crate::store::PgMemoryStore;

/// A connection that has lain idle for longer is asked whether it still lives before it is used.
const PROBE_AFTER: Duration = Duration::from_secs(1);

/// What a transaction begins with that takes as long as the store is large.
pub(crate) const NO_TIMEOUT: &str = "SET LOCAL statement_timeout = 0";

/// Opens a pool.
///
/// One connection is tried before, because the pool goes on trying for a while and then says only that it took long.
pub(crate) async fn open(
    settings: &PgMemoryStoreBuilder,
    options: PgConnectOptions,
) -> MemoryStoreResult<PgPool> {
    let trial = tokio::time::timeout(settings.acquire_timeout, PgConnection::connect_with(&options));
    match trial.await {
        Ok(connected) => drop(connected.map_err(error::of_connecting)?.close().await),
        Err(_) => {
            return Err(MemoryStoreError::Unavailable {
                reason: format!("the server did not answer within {:?}", settings.acquire_timeout),
                retryable: true,
                source: None,
            });
        }
    }
    PgPoolOptions::new()
        .max_connections(settings.max_connections)
        .min_connections(settings.min_connections)
        .acquire_timeout(settings.acquire_timeout)
        .idle_timeout(settings.idle_timeout)
        .max_lifetime(settings.max_lifetime)
        // A probe costs a round trip, so it is not made before every operation.
        .test_before_acquire(false)
        .before_acquire(|connection, usage| {
            Box::pin(async move {
                if usage.idle_for < PROBE_AFTER {
                    return Ok(true);
                }
                Ok(connection.ping().await.is_ok())
            })
        })
        .connect_with(options)
        .await
        .map_err(error::of)
}

impl PgMemoryStore {
    /// A session for one statement that reads.
    pub(crate) async fn connection(&self) -> MemoryStoreResult<Session> {
        self.sessions().open().await.map_err(error::of)
    }

    /// A session for one statement that writes, to be followed by [`Session::commit`].
    pub(crate) async fn writer(&self) -> MemoryStoreResult<Session> {
        self.check_writable()?;
        self.connection().await
    }

    /// Runs a statement that must be in no transaction, such as VACUUM.
    pub(crate) async fn run_alone(&self, statement: &'static str) -> MemoryStoreResult<()> {
        self.check_writable()?;
        let mut connection = self.sessions().pool().acquire().await.map_err(error::of)?;
        connection.execute(statement).await.map_err(error::of)?;
        Ok(())
    }

    /// Runs a statement that takes as long as the store is large, whatever the limit for others.
    pub(crate) async fn run_untimed(&self, statement: &'static str) -> MemoryStoreResult<()> {
        self.check_writable()?;
        let mut transaction = self.sessions().begin("BEGIN", NO_TIMEOUT).await.map_err(error::of)?;
        transaction.execute(statement).await.map_err(error::of)?;
        transaction.commit().await.map_err(error::of)
    }

    /// A transaction that sees one state of the store throughout.
    ///
    /// The lock comes before the snapshot: a switch to another model puts a new table in the place of the old one,
    /// in which a snapshot from before would see nothing.
    pub(crate) async fn snapshot(&self) -> MemoryStoreResult<Session> {
        self.sessions()
            .begin(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                "LOCK TABLE knowledge_nodes IN ACCESS SHARE MODE",
            )
            .await
            .map_err(error::of)
    }

    /// A transaction that writes.
    pub(crate) async fn transaction(&self) -> MemoryStoreResult<Session> {
        self.check_writable()?;
        self.sessions().begin("BEGIN", "").await.map_err(error::of)
    }

    pub(crate) fn check_writable(&self) -> MemoryStoreResult<()> {
        if self.is_read_only() { Err(MemoryStoreError::ReadOnly) } else { Ok(()) }
    }
}
