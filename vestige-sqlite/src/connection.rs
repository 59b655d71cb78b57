//! The threads that own the connections.
//!
//! SQLite blocks, so no call runs on the caller's thread: one thread owns the
//! connection that writes, a few own connections that read, and a job is a
//! closure sent to them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, unbounded};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::oneshot;
use vestige_traits::{MemoryStoreError, MemoryStoreResult};

use crate::cancellation::{self, Waiting};
use crate::config::{Durability, SqliteMemoryStoreBuilder};
use crate::error::{self, map, map_open};
use crate::{file, keyword, log, schema};

/// How long a thread stays awake after a job.
const AWAKE: Duration = Duration::from_micros(100);

/// How long the connection that writes has nothing to do before it brings what it wrote from the log into the
/// file.
const IDLE: Duration = Duration::from_secs(1);

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The connections of one store. Dropping it lets the jobs under way end and closes the file.
pub(crate) struct Connections {
    writer: Option<Worker>,
    readers: Option<Worker>,
    file: Arc<file::Identity>,
}

struct Worker {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Connections {
    /// Opens the file, checks or makes its schema, and starts the threads.
    pub(crate) fn open(config: &SqliteMemoryStoreBuilder) -> MemoryStoreResult<Self> {
        let path = &config.path;
        file::refuse_what_is_no_file(path)?;
        let (writer, access) = if config.read_only {
            let (connection, access) = connect_for_reading(config).map_err(|e| map_open(path, e))?;
            log::check(&connection, path)?;
            schema::check(&connection, path)?;
            (None, access)
        } else {
            if config.create {
                file::create_private(path)?;
            }
            file::align_side_files(path);
            let mut connection = connect(config, Access::Write).map_err(|e| map_open(path, e))?;
            log::check(&connection, path)?;
            schema::refuse_foreign(&connection, path)?;
            schema::refuse_changed(&connection, path)?;
            // Until here, closing leaves the log and the file as they are.
            let closes = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
            closes.map_err(|e| map_open(path, e))?;
            retry_busy(config.busy_timeout, || prepare_for_writing(&connection))
                .map_err(|e| error::name_holder(map_open(path, e), path))?;
            let upgraded = schema::upgrade(&mut connection, path);
            if upgraded.map_err(|error| error::name_holder(error, path))? {
                // A copy of the file alone is a store, too.
                let _ = checkpoint(&connection, config.busy_timeout);
            }
            connection.execute_batch(schema::GUARDS).map_err(|e| map_open(path, e))?;
            keyword::keep_current(&mut connection, path)?;
            let busy_timeout = config.busy_timeout;
            let at_rest = move |connection: &Connection| checkpoint(connection, busy_timeout);
            (Some(Worker::start("vestige-writer", vec![connection], Some(at_rest))?), Access::Write)
        };
        let readers = (0..config.readers.get())
            .map(|_| connect_reader(config, access).map_err(|e| map_open(path, e)))
            .collect::<MemoryStoreResult<Vec<_>>>()?;
        let file = Arc::new(file::Identity::of(path));
        Ok(Self { writer, readers: Some(Worker::start("vestige-reader", readers, NOTHING)?), file })
    }

    /// Runs `work` on one consistent view of the store.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> MemoryStoreResult<T> + Send + 'static,
    ) -> MemoryStoreResult<T> {
        self.with_reader(move |connection| {
            let view = connection.transaction_with_behavior(TransactionBehavior::Deferred).map_err(map)?;
            work(&view)
        })
        .await
    }

    /// Runs `work` on a connection for reading, outside any transaction. If the caller goes, it ends.
    pub(crate) async fn with_reader<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> MemoryStoreResult<T> + Send + 'static,
    ) -> MemoryStoreResult<T> {
        let waiting = Waiting::default();
        let caller = waiting.caller();
        let answer =
            self.run(self.readers.as_ref(), move |connection| caller.served_by(|| work(connection))).await;
        drop(waiting);
        answer
    }

    /// Runs `work` in a transaction and commits it if `work` succeeds.
    ///
    /// If the caller goes before the commit is begun, nothing is written.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> MemoryStoreResult<T> + Send + 'static,
    ) -> MemoryStoreResult<T> {
        self.write_then(work, |_| ()).await
    }

    /// As [`write`](Self::write), and tells `committed` the answer, whether or not the caller still waits for
    /// it.
    pub(crate) async fn write_then<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> MemoryStoreResult<T> + Send + 'static,
        committed: impl FnOnce(&T) + Send + 'static,
    ) -> MemoryStoreResult<T> {
        let file = Arc::clone(&self.file);
        let waiting = Waiting::default();
        let caller = waiting.caller();
        let write = move |connection: &mut Connection| {
            // A deferred transaction that comes to write fails at once where another one writes;
            // an immediate one waits its turn.
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(map)?;
            log::begin(&transaction, file.path())?;
            let answer = work(&transaction)?;
            cancellation::check()?;
            transaction.commit().map_err(map)?;
            committed(&answer);
            Ok(answer)
        };
        let answer = self.with_writer(move |connection| caller.served_by(|| write(connection))).await;
        drop(waiting);
        answer
    }

    /// Runs `work` on the connection for writing, outside any transaction.
    pub(crate) async fn with_writer<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> MemoryStoreResult<T> + Send + 'static,
    ) -> MemoryStoreResult<T> {
        if self.writer.is_none() {
            return Err(MemoryStoreError::ReadOnly);
        }
        self.run(self.writer.as_ref(), work).await
    }

    async fn run<T: Send + 'static>(
        &self,
        worker: Option<&Worker>,
        work: impl FnOnce(&mut Connection) -> MemoryStoreResult<T> + Send + 'static,
    ) -> MemoryStoreResult<T> {
        let file = Arc::clone(&self.file);
        run(worker, move |connection| {
            file.check()?;
            work(connection).map_err(|error| error::name_holder(error, file.path()))
        })
        .await
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        // Readers first: the last connection to close checkpoints the write-ahead log and
        // removes it, which one that only reads cannot do.
        for worker in [self.readers.take(), self.writer.take()].into_iter().flatten() {
            worker.stop();
        }
    }
}

async fn run<T: Send + 'static>(
    worker: Option<&Worker>,
    work: impl FnOnce(&mut Connection) -> MemoryStoreResult<T> + Send + 'static,
) -> MemoryStoreResult<T> {
    let (reply, answer) = oneshot::channel();
    let span = tracing::Span::current();
    let job: Job = Box::new(move |connection| {
        if reply.is_closed() {
            return;
        }
        let _entered = span.enter();
        // A caller that has gone does not want the answer.
        let _ = reply.send(work(connection));
    });
    let gone = || MemoryStoreError::Unavailable {
        reason: "an operation ended without an answer; this is a defect of the store, please report it"
            .to_owned(),
        retryable: false,
        source: None,
    };
    worker.and_then(|worker| worker.jobs.as_ref()).ok_or_else(gone)?.send(job).map_err(|_| gone())?;
    answer.await.map_err(|_| gone())?
}

impl Worker {
    /// One thread for each connection, all fed by one queue. `at_rest` runs once there was no job for a while
    /// after one, and again after another while until it says that it is done.
    fn start(
        name: &str,
        connections: Vec<Connection>,
        at_rest: Option<impl Fn(&Connection) -> rusqlite::Result<bool> + Clone + Send + 'static>,
    ) -> MemoryStoreResult<Self> {
        let (jobs, queue) = unbounded();
        let threads = connections
            .into_iter()
            .map(|connection| {
                let (queue, at_rest) = (queue.clone(), at_rest.clone());
                let serve = move || serve(connection, &queue, at_rest);
                std::thread::Builder::new().name(name.to_owned()).spawn(serve)
            })
            .collect::<std::io::Result<Vec<_>>>()
            .map_err(|error| MemoryStoreError::Unavailable {
                reason: "the system refuses another thread".to_owned(),
                retryable: false,
                source: Some(Box::new(error)),
            })?;
        Ok(Self { jobs: Some(jobs), threads })
    }

    fn stop(mut self) {
        drop(self.jobs.take());
        let this_thread = std::thread::current().id();
        for thread in self.threads.drain(..) {
            // The last handle may be dropped by a job of this very thread.
            if thread.thread().id() != this_thread {
                // A thread that panicked has said so already.
                let _ = thread.join();
            }
        }
    }
}

fn serve(
    mut connection: Connection,
    queue: &Receiver<Job>,
    at_rest: Option<impl Fn(&Connection) -> rusqlite::Result<bool>>,
) {
    // What opening wrote is brought into the file, too.
    let mut rested = at_rest.is_none();
    loop {
        let patience = (!rested && at_rest.is_some()).then_some(IDLE);
        match (next(queue, patience), &at_rest) {
            (Ok(job), _) => {
                // A defect in one operation must not take the store from all others: its transaction is
                // rolled back on the way out, and its caller learns that the answer is missing.
                let _ = catch_unwind(AssertUnwindSafe(|| job(&mut connection)));
                rested = false;
            }
            // What goes wrong here goes wrong again in the next write, whose caller is told.
            (Err(RecvTimeoutError::Timeout), Some(at_rest)) => rested = at_rest(&connection).unwrap_or(true),
            (Err(_), _) => return,
        }
    }
}

/// For connections that leave nothing to do.
const NOTHING: Option<fn(&Connection) -> rusqlite::Result<bool>> = None;

/// Brings what is in the write-ahead log into the file and empties the log, as far as nobody reads or writes
/// meanwhile: it does not wait. Says whether the log is empty.
fn checkpoint(connection: &Connection, busy_timeout: Duration) -> rusqlite::Result<bool> {
    connection.busy_timeout(Duration::ZERO)?;
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    connection.busy_timeout(busy_timeout)?;
    match busy {
        Ok(busy) => Ok(busy == 0),
        Err(error) if is_busy(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The next job. Waking a thread can take longer than a search, and a caller that has just got an answer
/// often asks again at once. So the thread stays awake for a moment, and yields the processor meanwhile. Then
/// it sleeps until there is a job, or as long as its `patience` lasts.
fn next(queue: &Receiver<Job>, patience: Option<Duration>) -> Result<Job, RecvTimeoutError> {
    let finished = Instant::now();
    while finished.elapsed() < AWAKE {
        match queue.try_recv() {
            Ok(job) => return Ok(job),
            Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
            Err(TryRecvError::Empty) => std::thread::yield_now(),
        }
    }
    match patience {
        Some(patience) => queue.recv_timeout(patience),
        None => queue.recv().map_err(RecvTimeoutError::from),
    }
}

/// What a connection may do with the file.
#[derive(Clone, Copy)]
enum Access {
    Write,
    Read,
    /// Read what nobody writes meanwhile.
    AtRest,
}

/// Opens the file for reading, and says how.
fn connect_for_reading(config: &SqliteMemoryStoreBuilder) -> rusqlite::Result<(Connection, Access)> {
    match connect(config, Access::Read) {
        // Readers of the write-ahead log share a side file. If it cannot be created, nobody can write here (a
        // writer would have created it), and a file with an empty log can be read without it.
        Err(error)
            if file::is_at_rest(&config.path)
                && matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)) =>
        {
            Ok((connect(config, Access::AtRest)?, Access::AtRest))
        }
        opened => Ok((opened?, Access::Read)),
    }
}

fn connect(config: &SqliteMemoryStoreBuilder, access: Access) -> rusqlite::Result<Connection> {
    let path = &config.path;
    let connection = match (access, file::immutable_uri(path)) {
        (Access::Write, _) => open(path, OpenFlags::SQLITE_OPEN_READ_WRITE),
        (Access::AtRest, Some(uri)) => {
            open(uri, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)
        }
        (Access::Read, _) | (Access::AtRest, None) => open(path, OpenFlags::SQLITE_OPEN_READ_ONLY),
    }?;
    harden(&connection)?;
    connection.busy_timeout(config.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "mmap_size", i64::try_from(config.memory_map).unwrap_or(i64::MAX))?;
    let synchronous = match config.durability {
        Durability::Power => "full",
        Durability::Process => "normal",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    // A database without its schema can be opened and not read: find out now.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

fn open(path: impl AsRef<Path>, access: OpenFlags) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// Keeps what stands in the schema of the file from being run: somebody else may have written it there.
fn harden(connection: &Connection) -> rusqlite::Result<()> {
    for (setting, on) in [
        // Nothing writes the schema's own table, or FTS5's tables except through FTS5.
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        // Expressions of the schema call only functions that have no effect.
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        // Temporary ones run all the same.
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        // A log comes into the file only once it is known to belong to it.
        (DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true),
    ] {
        connection.set_db_config(setting, on)?;
    }
    Ok(())
}

fn connect_reader(config: &SqliteMemoryStoreBuilder, access: Access) -> rusqlite::Result<Connection> {
    let connection = connect(config, access)?;
    connection.execute_batch(keyword::PLACES)?;
    schema::complete(&connection)?;
    cancellation::watch(&connection)?;
    Ok(connection)
}

fn prepare_for_writing(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "journal_size_limit", 64_i64 << 20)
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Switching to the write-ahead log asks for the whole file and does not wait for it.
fn retry_busy<T>(timeout: Duration, mut attempt: impl FnMut() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let started = Instant::now();
    loop {
        match attempt() {
            Err(error) if started.elapsed() < timeout && is_busy(&error) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::num::NonZeroUsize;
    use std::pin::Pin;
    use std::task::{Context, Waker};

    use crossbeam_channel::bounded;
    use tempfile::TempDir;

    use super::*;

    fn connections(home: &TempDir) -> Connections {
        let path = home.path().join("memory.db");
        Connections::open(&SqliteMemoryStoreBuilder::new(&path).readers(NonZeroUsize::MIN)).unwrap()
    }

    #[tokio::test]
    async fn a_read_whose_caller_has_gone_ends() {
        /// Some ten seconds, if nothing ends it.
        const LONG: i64 = 100_000_000;
        const SQL: &str = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?)
                           SELECT sum(n) FROM n";
        let home = TempDir::new().unwrap();
        let connections = connections(&home);
        let ((begun, has_begun), (ended, has_ended)) = (bounded(1), bounded(1));
        let mut read = Box::pin(connections.read(move |tx| {
            begun.send(()).unwrap();
            let sum = tx.query_row(SQL, [LONG], |row| row.get::<_, i64>(0));
            ended.send(sum.is_err()).unwrap();
            Ok(())
        }));
        assert!(read.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        has_begun.recv_timeout(Duration::from_secs(30)).unwrap();
        drop(read);
        assert!(has_ended.recv_timeout(Duration::from_secs(60)).unwrap(), "it went on to its end");
        // There is one reader.
        let next =
            connections.read(|tx| tx.query_row("SELECT 7", [], |row| row.get::<_, i64>(0)).map_err(map));
        assert_eq!(next.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_write_whose_caller_has_gone_is_not_committed() {
        const INSERT: &str = "INSERT INTO users (id, handle, created_at) VALUES (x'02', 'ada', 0)";
        let home = TempDir::new().unwrap();
        let connections = connections(&home);
        let users = async || {
            // The writer has one job at a time, so this one comes after all before it.
            let count =
                |tx: &Transaction<'_>| tx.query_row("SELECT count(*) FROM users", [], |row| row.get(0));
            connections.write(move |tx| count(tx).map_err(map)).await.unwrap()
        };
        let before: i64 = users().await;
        let poll = |write: Pin<&mut dyn Future<Output = MemoryStoreResult<usize>>>| {
            assert!(write.poll(&mut Context::from_waker(Waker::noop())).is_pending());
        };
        // While it works.
        let ((begun, has_begun), (go_on, may_go_on)) = (bounded(1), bounded(1));
        let mut write = Box::pin(connections.write(move |tx| {
            begun.send(()).unwrap();
            may_go_on.recv().unwrap();
            tx.execute(INSERT, []).map_err(map)
        }));
        poll(write.as_mut());
        has_begun.recv_timeout(Duration::from_secs(30)).unwrap();
        drop(write);
        go_on.send(()).unwrap();
        assert_eq!(users().await, before);
        // While it waits for another process, which holds the lock.
        let other = Connection::open(home.path().join("memory.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut write = Box::pin(connections.write(|tx| tx.execute(INSERT, []).map_err(map)));
        poll(write.as_mut());
        std::thread::sleep(Duration::from_millis(200));
        drop(write);
        other.execute_batch("COMMIT").unwrap();
        assert_eq!(users().await, before);
        // One that is waited for is.
        connections.write(|tx| tx.execute(INSERT, []).map_err(map)).await.unwrap();
        assert_eq!(users().await, before + 1);
    }

    /// Copies the file alone, without its log, and counts the users that the copy has.
    fn users_of_the_file_alone(home: &TempDir) -> rusqlite::Result<i64> {
        let copy = home.path().join("copy.db");
        std::fs::copy(home.path().join("memory.db"), &copy).unwrap();
        Connection::open(copy)?.query_row("SELECT count(*) FROM users", [], |row| row.get(0))
    }

    #[tokio::test]
    async fn what_was_written_comes_into_the_file_while_the_store_is_open() {
        let home = TempDir::new().unwrap();
        let connections = connections(&home);
        assert_eq!(users_of_the_file_alone(&home).unwrap(), 1, "a new file has its tables");
        let insert = "INSERT INTO users (id, handle, created_at) VALUES (x'02', 'ada', 0)";
        connections.write(|tx| tx.execute(insert, []).map_err(map)).await.unwrap();
        let log = || std::fs::metadata(home.path().join("memory.db-wal")).unwrap().len();
        let begun = Instant::now();
        while log() > 0 && begun.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!((log(), users_of_the_file_alone(&home).unwrap()), (0, 2));
        // Writing goes on.
        connections
            .write(|tx| tx.execute("DELETE FROM users WHERE handle = 'ada'", []).map_err(map))
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn the_schema_of_the_file_is_not_run_and_not_written() {
        let home = TempDir::new().unwrap();
        let connections = connections(&home);
        let behind = Connection::open(home.path().join("memory.db")).unwrap();
        behind
            .execute_batch(
                "CREATE TRIGGER evil AFTER INSERT ON users BEGIN UPDATE users SET display_name = 'evil'; END;
                 CREATE VIEW evil_view AS SELECT 1",
            )
            .unwrap();
        let insert = "INSERT INTO users (id, handle, created_at) VALUES (x'02', 'ada', 0)";
        let run = |sql: &'static str| connections.write(move |tx| tx.execute(sql, []).map_err(map));
        assert_eq!(run(insert).await.unwrap(), 1);
        let evil = "SELECT count(*) FROM users WHERE display_name = 'evil'";
        let read = |sql: &'static str| {
            connections.read(move |tx| tx.query_row(sql, [], |row| row.get(0)).map_err(map))
        };
        let changed: i64 = read(evil).await.unwrap();
        assert_eq!(changed, 0);
        for forbidden in ["SELECT * FROM evil_view", "DELETE FROM memory_terms_data"] {
            run(forbidden).await.unwrap_err();
        }
    }

    #[tokio::test]
    async fn this_program_cannot_change_the_log_of_reviews_either() {
        let home = TempDir::new().unwrap();
        let connections = connections(&home);
        let run = |sql: &'static str| connections.write(move |tx| tx.execute(sql, []).map_err(map));
        run("INSERT INTO review_events VALUES (x'01', x'02', 0, 'good', NULL, '{}')").await.unwrap();
        for change in ["UPDATE review_events SET rating = 'easy'", "DELETE FROM review_events"] {
            let error = run(change).await.unwrap_err();
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains("append only"), "{source}");
        }
    }
}
