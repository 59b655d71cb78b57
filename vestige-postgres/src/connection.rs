//! The connections of a store, and the kinds of sessions that operations open on them.

use std::time::Duration;

use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row as _, SqlSafeStr};
use vestige_traits::{MemoryStoreError, MemoryStoreResult};

use crate::config::{Connecting, PgMemoryStoreBuilder};
use crate::error;
use crate::limits::{Limit, Limits, ServedTimeout};
use crate::session::{Session, Sessions, keeps_statements};

/// A connection that was idle for longer is probed before it is used.
const PROBE_AFTER: Duration = Duration::from_secs(1);
/// How long the probe waits for its answer before the connection is given up for a new one.
const PROBE_WITHIN: Duration = Duration::from_secs(2);

/// The settings of a statement with a filter. The parameters of the filter decide which index serves it, so
/// it is planned anew each time; and never compiled, because compiling takes longer than running it.
pub(crate) const PLANNED_ANEW: &[(&str, &str)] = &[("plan_cache_mode", "force_custom_plan"), ("jit", "off")];

/// Opens the connections of a store.
///
/// One connection is tried first, because the pool retries for a while and then reports only that it took
/// long.
pub(crate) async fn connect(settings: &PgMemoryStoreBuilder) -> MemoryStoreResult<Connections> {
    let Connecting { options, limits, settings: given, timeout } = settings.connecting()?;
    let trial = tokio::time::timeout(timeout, PgConnection::connect_with(&options));
    match trial.await {
        Ok(connected) => drop(connected.map_err(error::map_connecting)?.close().await),
        Err(_) => {
            return Err(MemoryStoreError::Unavailable {
                reason: format!(
                    "no PostgreSQL server answered within {timeout:?}; see that it runs and can be reached"
                ),
                retryable: true,
                source: None,
            });
        }
    }
    let keeps_statements = keeps_statements(&options);
    let of_connection = limits.of_connection(&given);
    let served = ServedTimeout::default();
    let of_connections = served.clone();
    let pool = PgPoolOptions::new()
        .max_connections(settings.max_connections)
        .min_connections(settings.min_connections)
        .acquire_timeout(timeout)
        .idle_timeout(settings.idle_timeout)
        .max_lifetime(settings.max_lifetime)
        // A probe costs a round trip, so it is not made before every operation.
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let (of_connection, served) = (of_connection.clone(), of_connections.clone());
            Box::pin(async move {
                if keeps_statements {
                    const SERVED: &str =
                        "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'statement_timeout'";
                    let set = AssertSqlSafe(format!("{of_connection}; {SERVED}"));
                    let rows = connection.fetch_all(set).await?;
                    let milliseconds = rows.last().and_then(|row| row.try_get::<String, _>(0).ok());
                    if let Some(milliseconds) = milliseconds.and_then(|text| text.parse().ok()) {
                        served.set(milliseconds);
                    }
                    return Ok(());
                }
                // The driver asks the server about a type that it does not know, between two steps of the
                // first statement with it. One without a name would be lost by that, so it asks before.
                let mut transaction = connection.begin().await?;
                transaction.prepare("SELECT $1::tsvector, $2::tsvector[]".into_sql_str()).await?;
                transaction.rollback().await
            })
        })
        .before_acquire(|connection, usage| {
            Box::pin(async move {
                if usage.idle_for < PROBE_AFTER {
                    return Ok(true);
                }
                Ok(matches!(tokio::time::timeout(PROBE_WITHIN, connection.ping()).await, Ok(Ok(()))))
            })
        })
        .connect_with(options)
        .await
        .map_err(error::map)?;
    Ok(Connections::new(pool, limits, served, settings.read_only))
}

/// The connections of a store. Every method that opens a session for writing is
/// [`ReadOnly`](MemoryStoreError::ReadOnly) where the store is only read.
#[derive(Clone)]
pub(crate) struct Connections {
    sessions: Sessions,
    read_only: bool,
}

impl Connections {
    pub(crate) fn new(pool: PgPool, limits: Limits, served: ServedTimeout, read_only: bool) -> Self {
        Self { sessions: Sessions::new(pool, limits, served, read_only), read_only }
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

    /// A session for one statement that reads the more rows the more there are.
    pub(crate) async fn scanner(&self) -> MemoryStoreResult<Session> {
        self.sessions.begin("BEGIN READ ONLY", Limit::Batch, "").await.map_err(error::map)
    }

    /// A transaction that writes.
    pub(crate) async fn transaction(&self) -> MemoryStoreResult<Session> {
        self.writing(Limit::Statement, "").await
    }

    /// A transaction that writes the more rows the more are given.
    pub(crate) async fn batch(&self) -> MemoryStoreResult<Session> {
        self.writing(Limit::Batch, "").await
    }

    /// A transaction that first looks at the counts of the store, and of which there is one at a time: each
    /// sees what those before it committed. It holds back no other writer. Each statement sees the present,
    /// whatever the default of the role is.
    pub(crate) async fn conditional(&self) -> MemoryStoreResult<Session> {
        const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
        // In the order in which whoever writes memories takes them: the memories, then their counts.
        const LOCK: &str = "LOCK TABLE knowledge_nodes IN ROW EXCLUSIVE MODE; \
                            LOCK TABLE keyword_totals IN SHARE UPDATE EXCLUSIVE MODE";
        self.check_writable()?;
        self.sessions.begin(BEGIN, Limit::Batch, LOCK).await.map_err(error::map)
    }

    /// A transaction that writes and is limited by no timeout.
    pub(crate) async fn long_transaction(&self) -> MemoryStoreResult<Session> {
        self.begin("").await
    }

    /// A transaction that writes, is limited by no timeout, and begins with `settings`, which are `SET LOCAL`
    /// and `LOCK TABLE` statements.
    pub(crate) async fn begin(&self, settings: &str) -> MemoryStoreResult<Session> {
        self.writing(Limit::None, settings).await
    }

    async fn writing(&self, limit: Limit, settings: &str) -> MemoryStoreResult<Session> {
        self.check_writable()?;
        self.sessions.begin("BEGIN", limit, settings).await.map_err(error::map)
    }

    /// A transaction that sees one state of the store throughout.
    ///
    /// The lock is taken before the snapshot, because a switch to another model replaces the table, and a
    /// snapshot from before the switch would find the new one empty. The statements that give the transaction
    /// its limits take a snapshot, so it comes before them, too.
    pub(crate) async fn snapshot(&self) -> MemoryStoreResult<Session> {
        self.sessions
            .begin(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE knowledge_nodes IN ACCESS SHARE MODE",
                Limit::Batch,
                "",
            )
            .await
            .map_err(error::map)
    }

    /// A transaction for statements with a filter.
    pub(crate) async fn filtering(&self) -> MemoryStoreResult<Session> {
        self.reading(Limit::Statement, PLANNED_ANEW.iter().copied()).await
    }

    /// A transaction for statements with a filter that read a page of rows.
    pub(crate) async fn paging(&self) -> MemoryStoreResult<Session> {
        self.reading(Limit::Batch, PLANNED_ANEW.iter().copied()).await
    }

    /// A transaction that only reads, with these settings of the server.
    pub(crate) async fn reading<'s>(
        &self,
        limit: Limit,
        settings: impl Iterator<Item = (&'s str, &'s str)>,
    ) -> MemoryStoreResult<Session> {
        let mut session = self.sessions.begin("BEGIN READ ONLY", limit, "").await.map_err(error::map)?;
        session.set(settings).await.map_err(error::map)?;
        Ok(session)
    }

    /// Runs a statement that must not be in a transaction, such as VACUUM, on a connection that is closed
    /// afterwards.
    pub(crate) async fn execute_outside_transaction(&self, statement: &'static str) -> MemoryStoreResult<()> {
        self.check_writable()?;
        let mut connection = self.pool().acquire().await.map_err(error::map)?;
        // Also if the caller gives up: the connection has lost its limits.
        connection.close_on_drop();
        if self.sessions.keeps_statements() {
            let untimed = "SET statement_timeout = 0; SET lock_timeout = 0";
            connection.execute(untimed).await.map_err(error::map)?;
        }
        connection.execute(statement).await.map(drop).map_err(error::map)
    }

    /// Runs a statement without the limit of `statement_timeout`.
    pub(crate) async fn execute_untimed(&self, statement: &'static str) -> MemoryStoreResult<()> {
        let mut transaction = self.long_transaction().await?;
        transaction.execute(statement).await.map_err(error::map)?;
        transaction.commit().await.map_err(error::map)
    }
}
