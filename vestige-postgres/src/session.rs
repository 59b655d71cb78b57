//! A session: a connection of the pool, by itself or in a transaction.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use std::sync::Arc;

use futures_util::Stream;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Describe, Either, Execute, Executor, PgConnection, Postgres,
    SqlStr, Transaction,
};
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::error;
use crate::limits::{Limit, Limits, ServedTimeout};
use crate::rights::Rights;

/// How long a rollback, and the probe of a connection that is returned to the pool, may take before the
/// connection is closed.
const RETURN_WITHIN: Duration = Duration::from_secs(5);
/// How long the look at what a role lacks may take.
const EXPLAIN_WITHIN: Duration = Duration::from_secs(5);

/// Opens sessions on a pool.
#[derive(Clone)]
pub(crate) struct Sessions {
    pool: PgPool,
    keeps_statements: bool,
    limits: Limits,
    served: ServedTimeout,
    read_only: bool,
}

/// Where a session is connected to, for another connection there.
#[derive(Clone)]
struct Server {
    options: Arc<PgConnectOptions>,
    read_only: bool,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The options hold a password.
        f.debug_struct("Server").field("read_only", &self.read_only).finish_non_exhaustive()
    }
}

impl Server {
    /// An error, with the rights that the role lacks where the server refused the statement for want of one.
    ///
    /// The rights are looked up on a connection of their own, because the one of the refusal may be in a
    /// transaction that has failed. If that does not succeed, the error is as it was.
    async fn explain(self, error: sqlx::Error) -> sqlx::Error {
        if !error::is_refusal(&error) {
            return error;
        }
        let look = async {
            let mut connection = PgConnection::connect_with(&self.options).await?;
            // In a transaction, for a PgBouncer in transaction mode.
            let mut transaction = connection.begin().await?;
            let rights = Rights::find(&mut *transaction).await?;
            drop(transaction);
            connection.close().await?;
            Ok::<_, sqlx::Error>(rights)
        };
        match timeout(EXPLAIN_WITHIN, look).await {
            Ok(Ok(Some(mut rights))) => {
                // What is only read needs no right to write.
                if self.read_only {
                    rights.to_write.clear();
                }
                error::denied(error, rights)
            }
            _ => error,
        }
    }
}

/// A connection, by itself or in a transaction.
///
/// In this crate, a function that takes a `Session` by value is a whole unit of work and commits it. A
/// function that takes `&mut Session` is one step, and leaves the transaction open.
///
/// Where the server's process behind the connection may change after each transaction, as PgBouncer's
/// transaction mode has it, a statement must not outlive its transaction: it has no name, and is in a
/// transaction always.
///
/// If a session is dropped while a statement runs, its connection is closed instead of returned to the pool,
/// where the next operation would have to wait for that statement. The server notices the closed connection,
/// and cancels the statement.
#[derive(Debug)]
pub(crate) struct Session {
    /// None while the session is dropped.
    held: Option<Held>,
    keeps_statements: bool,
    /// Whether a transaction has begun that has to be ended. Not for the driver's transaction.
    open: bool,
    /// Whether a statement has been sent whose answer has not arrived.
    busy: bool,
    /// For how long the server may be silent.
    patience: Option<Duration>,
    server: Server,
}

#[derive(Debug)]
enum Held {
    Connection(PoolConnection<Postgres>),
    /// A transaction of the driver, in which its migrator can begin others.
    Transaction(Transaction<'static, Postgres>),
}

impl Held {
    fn connection(held: &mut Option<Self>) -> &mut PgConnection {
        match held.as_mut().expect("only a dropped session holds nothing") {
            Self::Connection(connection) => connection,
            Self::Transaction(transaction) => transaction,
        }
    }
}

impl Sessions {
    /// The sessions of a pool. With a statement cache of 0, nothing on the server outlives a transaction.
    pub(crate) fn new(pool: PgPool, limits: Limits, served: ServedTimeout, read_only: bool) -> Self {
        let keeps_statements = keeps_statements(&pool.connect_options());
        Self { pool, keeps_statements, limits, served, read_only }
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
            return self.begin("BEGIN", Limit::Statement, "").await;
        }
        Ok(self.session(Held::Connection(self.pool.acquire().await?), Limit::Statement))
    }

    fn session(&self, held: Held, limit: Limit) -> Session {
        Session {
            held: Some(held),
            keeps_statements: self.keeps_statements,
            open: false,
            busy: false,
            patience: self.patience(limit),
            server: Server { options: self.pool.connect_options(), read_only: self.read_only },
        }
    }

    fn patience(&self, limit: Limit) -> Option<Duration> {
        self.limits.patience(limit, &self.served)
    }

    /// Begins a transaction by `statement` with the limits `limit`, and runs `settings` in it.
    ///
    /// BEGIN runs in a task of its own, so that the session is complete, and rolls back, if the caller's
    /// future is dropped while BEGIN is sent. A connection on which it fails is closed. `settings` are not
    /// part of it, because LOCK TABLE may fail, and then the connection is still good.
    pub(crate) async fn begin(
        &self,
        statement: &'static str,
        limit: Limit,
        settings: &str,
    ) -> sqlx::Result<Session> {
        let begin = format!("{statement}{}", self.limits.of_transaction(limit, self.keeps_statements));
        let sessions = self.clone();
        let begun = tokio::spawn(async move {
            let connection = sessions.pool.acquire().await?;
            let mut session = sessions.session(Held::Connection(connection), limit);
            session.patience = session.patience.or(sessions.patience(Limit::Statement));
            session.run(AssertSqlSafe(begin)).await?;
            session.open = true;
            session.patience = sessions.patience(limit);
            Ok(session)
        });
        let mut session: Session = joined(begun.await)?;
        if !settings.is_empty() {
            session.execute(AssertSqlSafe(settings.to_owned())).await?;
        }
        Ok(session)
    }

    /// Begins a transaction without limits, in which the driver's migrator can begin others.
    pub(crate) async fn begin_for_migrator(&self) -> sqlx::Result<Session> {
        let begin = format!("BEGIN{}", self.limits.of_transaction(Limit::None, self.keeps_statements));
        let pool = self.pool.clone();
        let begun = tokio::spawn(async move { pool.begin_with(AssertSqlSafe(begin)).await });
        let transaction = joined(begun.await)?;
        Ok(self.session(Held::Transaction(transaction), Limit::None))
    }
}

/// What a task returned.
fn joined<T>(ended: Result<sqlx::Result<T>, tokio::task::JoinError>) -> sqlx::Result<T> {
    match ended.map_err(tokio::task::JoinError::try_into_panic) {
        Ok(returned) => returned,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // The runtime is shutting down.
        Err(Err(_)) => Err(sqlx::Error::WorkerCrashed),
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
    pub(crate) async fn commit(mut self) -> sqlx::Result<()> {
        if matches!(self.held, Some(Held::Transaction(_))) {
            if let Some(Held::Transaction(transaction)) = self.held.take() {
                transaction.commit().await?;
            }
            return Ok(());
        }
        if self.open {
            self.run("COMMIT").await?;
            self.open = false;
        }
        Ok(())
    }

    /// Begins or ends the transaction. After an error the connection is closed: it is not known in which
    /// state it is.
    async fn run(&mut self, statement: impl sqlx::SqlSafeStr) -> sqlx::Result<()> {
        let patience = self.patience;
        self.busy = true;
        let ran = within(patience, Held::connection(&mut self.held).execute(statement.into_sql_str())).await;
        self.busy = ran.is_err();
        match ran {
            Ok(_) => Ok(()),
            Err(error) => Err(self.server.clone().explain(error).await),
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

    /// The driver's connection, for its migrator.
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        Held::connection(&mut self.held)
    }

    /// Sends rows by COPY.
    pub(crate) async fn copy_in(&mut self, statement: &'static str, chunks: &[Vec<u8>]) -> sqlx::Result<()> {
        let Self { held, busy, patience, server, .. } = self;
        let connection = Held::connection(held);
        *busy = true;
        let copied = within(*patience, async {
            let mut sink = connection.copy_in_raw(statement).await?;
            for chunk in chunks {
                sink.send(chunk.as_slice()).await?;
            }
            sink.finish().await
        });
        let copied = copied.await;
        *busy = is_unanswered(&copied);
        match copied {
            Ok(_) => Ok(()),
            Err(error) => Err(server.clone().explain(error).await),
        }
    }

    fn statement<E>(&self, query: E) -> Statement<E> {
        Statement { query, kept: self.keeps_statements }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(Held::Connection(connection)) = self.held.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if !self.busy => drop(runtime.spawn(give_back(connection, self.open))),
            _ => drop(connection.detach()),
        }
    }
}

/// Returns a connection to the pool, after a rollback if a transaction is open. It is closed if the server
/// does not answer: the pool itself would wait for ever, and have a connection less.
async fn give_back(mut connection: PoolConnection<Postgres>, open: bool) {
    if open {
        let rolled_back = timeout(RETURN_WITHIN, connection.execute("ROLLBACK")).await;
        if !matches!(rolled_back, Ok(Ok(_))) {
            drop(connection.detach());
            return;
        }
    }
    if timeout(RETURN_WITHIN, connection.return_to_pool()).await.is_err() {
        tracing::debug!("a connection was closed because the server did not answer");
    }
}

/// Whether the answer to a statement may still be on its way. The server's own errors are an answer.
fn is_unanswered<T>(result: &sqlx::Result<T>) -> bool {
    result.as_ref().is_err_and(|error| !error::is_answer(error))
}

/// Waits for an answer of the server for as long as `patience` says.
async fn within<T>(
    patience: Option<Duration>,
    answer: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    let began = Instant::now();
    let answered = match patience {
        Some(patience) => match timeout(patience, answer).await {
            Ok(answered) => answered,
            Err(_) => Err(error::silence(patience)),
        },
        None => answer.await,
    };
    answered.map_err(|error| error::after(error, began.elapsed()))
}

/// The answers to a statement. An error, if the server is silent for longer than `patience`.
struct Answers<'s> {
    answers: BoxStream<'s, sqlx::Result<Either<PgQueryResult, PgRow>>>,
    busy: &'s mut bool,
    patience: Option<Duration>,
    began: Instant,
    /// Until when the next answer has to be there.
    deadline: Option<Pin<Box<Sleep>>>,
    server: Server,
    /// An error that is looked into before it is the answer.
    explaining: Option<BoxFuture<'s, sqlx::Error>>,
}

impl Stream for Answers<'_> {
    type Item = sqlx::Result<Either<PgQueryResult, PgRow>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(explaining) = &mut this.explaining {
            let error = ready!(explaining.as_mut().poll(context));
            this.explaining = None;
            return Poll::Ready(Some(Err(error)));
        }
        *this.busy = true;
        if let Poll::Ready(answer) = this.answers.as_mut().poll_next(context) {
            this.deadline = None;
            return Poll::Ready(match answer {
                None => {
                    *this.busy = false;
                    None
                }
                Some(Err(error)) => {
                    *this.busy = !error::is_answer(&error);
                    if error::is_refusal(&error) {
                        this.explaining = Some(Box::pin(this.server.clone().explain(error)));
                        return self.poll_next(context);
                    }
                    Some(Err(error::after(error, this.began.elapsed())))
                }
                Some(Ok(answer)) => Some(Ok(answer)),
            });
        }
        let Some(patience) = this.patience else { return Poll::Pending };
        let deadline = this.deadline.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(deadline.as_mut().poll(context));
        Poll::Ready(Some(Err(error::silence(patience))))
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
        let Session { held, busy, patience, server, .. } = self;
        Box::pin(Answers {
            answers: Held::connection(held).fetch_many(statement),
            busy,
            patience: *patience,
            began: Instant::now(),
            deadline: None,
            server: server.clone(),
            explaining: None,
        })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let statement = self.statement(query);
        let Session { held, busy, patience, server, .. } = self;
        let answer = Held::connection(held).fetch_optional(statement);
        Box::pin(async move {
            *busy = true;
            let answer = within(*patience, answer).await;
            *busy = is_unanswered(&answer);
            match answer {
                Err(error) => Err(server.clone().explain(error).await),
                answer => answer,
            }
        })
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
