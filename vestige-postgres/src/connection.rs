//! The connections of a store, and the kinds of sessions that operations open on them.

use std::time::Duration;

use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{Connection, Executor, PgConnection, SqlSafeStr};
use vestige_traits::{MemoryStoreError, MemoryStoreResult};

use crate::config::PgMemoryStoreBuilder;
use crate::error;
use crate::session::{NO_TIMEOUT, Session, Sessions, keeps_statements};

/// A connection that was idle for longer is probed before it is used.
const PROBE_AFTER: Duration = Duration::from_secs(1);

/// The settings of a statement with a filter. The parameters of the filter decide which index serves it, so
/// it is planned anew each time; and never compiled, because compiling takes longer than running it.
pub(crate) const PLANNED_ANEW: &[(&str, &str)] = &[("plan_cache_mode", "force_custom_plan"), ("jit", "off")];

/// Opens a pool.
///
/// One connection is tried first, because the pool retries for a while and then reports only that it took
/// long.
pub(crate) async fn open_pool(settings: &PgMemoryStoreBuilder) -> MemoryStoreResult<PgPool> {
    let options = settings.connect_options()?;
    let trial = tokio::time::timeout(settings.acquire_timeout, PgConnection::connect_with(&options));
    match trial.await {
        Ok(connected) => drop(connected.map_err(error::map_connecting)?.close().await),
        Err(_) => {
            return Err(MemoryStoreError::Unavailable {
                reason: format!("the server did not answer within {:?}", settings.acquire_timeout),
                retryable: true,
                source: None,
            });
        }
    }
    let keeps_statements = keeps_statements(&options);
    PgPoolOptions::new()
        .max_connections(settings.max_connections)
        .min_connections(settings.min_connections)
        .acquire_timeout(settings.acquire_timeout)
        .idle_timeout(settings.idle_timeout)
        .max_lifetime(settings.max_lifetime)
        // A probe costs a round trip, so it is not made before every operation.
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                // The driver asks the server about a type that it does not know, between two steps of the
                // first statement with it. One without a name would be lost by that, so it asks before.
                if !keeps_statements {
                    let mut transaction = connection.begin().await?;
                    transaction.prepare("SELECT $1::tsvector, $2::tsvector[]".into_sql_str()).await?;
                    transaction.rollback().await?;
                }
                Ok(())
            })
        })
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
        .map_err(error::map)
}

/// The connections of a store. Every method that opens a session for writing is
/// [`ReadOnly`](MemoryStoreError::ReadOnly) where the store is only read.
#[derive(Clone)]
pub(crate) struct Connections {
    sessions: Sessions,
    read_only: bool,
}

impl Connections {
    pub(crate) fn new(pool: PgPool, settings: &PgMemoryStoreBuilder) -> Self {
        let mut sessions = Sessions::new(pool);
        if !sessions.keeps_statements() {
            sessions = sessions.beginning_with(settings.local_settings());
        }
        Self { sessions, read_only: settings.read_only }
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub(crate) fn pool(&self) -> &PgPool {
        self.sessions.pool()
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only
    }

    pub(crate) fn check_writable(&self) -> MemoryStoreResult<()> {
        if self.read_only { Err(MemoryStoreError::ReadOnly) } else { Ok(()) }
    }

    /// A session for one statement that reads.
    pub(crate) async fn reader(&self) -> MemoryStoreResult<Session> {
        self.sessions.open().await.map_err(error::map)
    }

    /// A session for one statement that writes. [`Session::commit`] has to follow.
    pub(crate) async fn writer(&self) -> MemoryStoreResult<Session> {
        self.check_writable()?;
        self.reader().await
    }

    /// A transaction that writes.
    pub(crate) async fn transaction(&self) -> MemoryStoreResult<Session> {
        self.begin("").await
    }

    /// A transaction that writes and is not limited by `statement_timeout`.
    pub(crate) async fn long_transaction(&self) -> MemoryStoreResult<Session> {
        self.begin(NO_TIMEOUT).await
    }

    /// A transaction that writes and begins with `settings`, which are `SET LOCAL` and `LOCK TABLE`
    /// statements.
    pub(crate) async fn begin(&self, settings: &str) -> MemoryStoreResult<Session> {
        self.check_writable()?;
        self.sessions.begin("BEGIN", settings).await.map_err(error::map)
    }

    /// A transaction that sees one state of the store throughout.
    ///
    /// The lock is taken before the snapshot, because a switch to another model replaces the table, and a
    /// snapshot from before the switch would find the new one empty.
    pub(crate) async fn snapshot(&self) -> MemoryStoreResult<Session> {
        self.sessions
            .begin(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                "LOCK TABLE knowledge_nodes IN ACCESS SHARE MODE",
            )
            .await
            .map_err(error::map)
    }

    /// A transaction for statements with a filter.
    pub(crate) async fn filtering(&self) -> MemoryStoreResult<Session> {
        self.reading(PLANNED_ANEW.iter().copied()).await
    }

    /// A transaction that only reads, with these settings of the server.
    pub(crate) async fn reading<'s>(
        &self,
        settings: impl Iterator<Item = (&'s str, &'s str)>,
    ) -> MemoryStoreResult<Session> {
        let mut session = self.sessions.begin("BEGIN READ ONLY", "").await.map_err(error::map)?;
        session.set(settings).await.map_err(error::map)?;
        Ok(session)
    }

    /// Runs a statement that must not be in a transaction, such as VACUUM.
    pub(crate) async fn execute_outside_transaction(&self, statement: &'static str) -> MemoryStoreResult<()> {
        self.check_writable()?;
        let mut connection = self.pool().acquire().await.map_err(error::map)?;
        connection.execute(statement).await.map_err(error::map)?;
        Ok(())
    }

    /// Runs a statement without the limit of `statement_timeout`.
    pub(crate) async fn execute_untimed(&self, statement: &'static str) -> MemoryStoreResult<()> {
        let mut transaction = self.long_transaction().await?;
        transaction.execute(statement).await.map_err(error::map)?;
        transaction.commit().await.map_err(error::map)
    }
}
