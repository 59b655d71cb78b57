//! A session: a connection of the pool, by itself or in a transaction.

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Describe, Either, Execute, Executor, PgConnection, Postgres, SqlStr,
    Transaction,
};

/// The setting of a transaction that takes longer the larger the store is.
pub(crate) const NO_TIMEOUT: &str = "SET LOCAL statement_timeout = 0";

/// Opens sessions on a pool.
#[derive(Clone)]
pub(crate) struct Sessions {
    pool: PgPool,
    keeps_statements: bool,
    /// The statements that every transaction begins with, where they cannot be settings of the connection.
    settings: String,
}

/// A connection, by itself or in a transaction.
///
/// In this crate, a function that takes a `Session` by value is a whole unit of work and commits it. A
/// function that takes `&mut Session` is one step, and leaves the transaction open.
///
/// Where the server's process behind the connection may change after each transaction, as PgBouncer's
/// transaction mode has it, a statement must not outlive its transaction: it has no name, and is in a
/// transaction always.
#[derive(Debug)]
pub(crate) struct Session {
    held: Held,
    keeps_statements: bool,
}

#[derive(Debug)]
enum Held {
    Connection(PoolConnection<Postgres>),
    Transaction(Transaction<'static, Postgres>),
}

impl Sessions {
    /// The sessions of a pool. With a statement cache of 0, nothing on the server outlives a transaction.
    pub(crate) fn new(pool: PgPool) -> Self {
        let keeps_statements = keeps_statements(&pool.connect_options());
        Self { pool, keeps_statements, settings: String::new() }
    }

    /// `SET LOCAL` statements that every transaction begins with.
    pub(crate) fn beginning_with(mut self, settings: String) -> Self {
        self.settings = settings;
        self
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub(crate) fn keeps_statements(&self) -> bool {
        self.keeps_statements
    }

    /// A session for one statement. A write is to be followed by [`commit`](Session::commit).
    pub(crate) async fn open(&self) -> sqlx::Result<Session> {
        if !self.keeps_statements {
            return self.begin("BEGIN", "").await;
        }
        Ok(Session { held: Held::Connection(self.pool.acquire().await?), keeps_statements: true })
    }

    /// Begins a transaction by `statement`, and runs `settings` in it.
    ///
    /// BEGIN runs in a task of its own. If a future is dropped while BEGIN is sent, sqlx knows of no
    /// transaction and rolls none back, and the next user of the connection writes into a transaction that is
    /// never committed. `settings` are not part of `statement`, because after an error in it sqlx knows of no
    /// transaction either.
    pub(crate) async fn begin(&self, statement: &'static str, settings: &str) -> sqlx::Result<Session> {
        let pool = self.pool.clone();
        let transaction = match tokio::spawn(async move { pool.begin_with(statement).await }).await {
            Ok(begun) => begun?,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is shutting down.
                Err(_) => return Err(sqlx::Error::WorkerCrashed),
            },
        };
        let mut session =
            Session { held: Held::Transaction(transaction), keeps_statements: self.keeps_statements };
        let settings = format!("{}{settings}", self.settings);
        if !settings.is_empty() {
            session.execute(AssertSqlSafe(settings)).await?;
        }
        Ok(session)
    }
}

/// Whether connections keep prepared statements.
pub(crate) fn keeps_statements(options: &PgConnectOptions) -> bool {
    // The driver shows its capacity only as part of a URL, and panics if user or host make no URL, such as
    // `::1`.
    let url = options.clone().username("any").host("any").to_url_lossy();
    url.query_pairs().all(|(key, value)| key != "statement-cache-capacity" || value != "0")
}

impl Session {
    /// Commits. A transaction that is dropped without it is rolled back.
    pub(crate) async fn commit(self) -> sqlx::Result<()> {
        match self.held {
            Held::Connection(_) => Ok(()),
            Held::Transaction(transaction) => transaction.commit().await,
        }
    }

    /// Sets parameters of the server until the transaction ends. One prepared statement is faster than
    /// several `SET LOCAL` statements, which the server has to parse.
    pub(crate) async fn set<'s>(
        &mut self,
        settings: impl Iterator<Item = (&'s str, &'s str)>,
    ) -> sqlx::Result<()> {
        let (names, values): (Vec<&str>, Vec<&str>) = settings.unzip();
        sqlx::query_scalar!(
            "SELECT count(set_config(name, value, true)) FROM unnest($1::text[], $2::text[]) AS settings (name, value)",
            &names as &[&str],
            &values as &[&str],
        )
        .fetch_one(self)
        .await
        .map(drop)
    }

    /// The driver's connection, for COPY and for migrations.
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        match &mut self.held {
            Held::Connection(connection) => connection,
            Held::Transaction(transaction) => transaction,
        }
    }

    fn statement<E>(&self, query: E) -> Statement<E> {
        Statement { query, kept: self.keeps_statements }
    }
}

impl<'c> Executor<'c> for &'c mut Session {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let statement = self.statement(query);
        self.connection().fetch_many(statement)
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let statement = self.statement(query);
        self.connection().fetch_optional(statement)
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        self.connection().prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'c: 'e,
    {
        self.connection().describe(sql)
    }
}

/// A statement that gets a name on the server only if the server may keep it. A statement cache of 0 alone
/// does not prevent that sqlx names it.
struct Statement<E> {
    query: E,
    kept: bool,
}

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Statement<E> {
    fn sql(self) -> SqlStr {
        self.query.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.query.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, sqlx::error::BoxDynError> {
        self.query.take_arguments()
    }

    fn persistent(&self) -> bool {
        self.kept && self.query.persistent()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_cache_of_nothing_is_noticed() {
        let options: PgConnectOptions = "postgres://me@db.example/memory".parse().expect("a URL");
        assert!(keeps_statements(&options));
        assert!(!keeps_statements(&options.statement_cache_capacity(0)));
    }

    #[test]
    fn an_address_or_a_user_that_makes_no_url_is_no_panic() {
        let options = PgConnectOptions::new_without_pgpass().host("::1").username("a:b/c");
        assert!(keeps_statements(&options));
    }
}
