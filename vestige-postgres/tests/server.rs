//! What happens when the server itself dies, is the wrong one, or has no room.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

/// These tests stop a server that others use, so the runner lets them run alone.
mod faults {
    use std::process::{Command, Stdio};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::time::{Duration, Instant};

    use tokio::sync::Mutex;
    use vestige_conformance::fixtures::{embedded, id, model};
    use vestige_postgres::PgMemoryStore;
    use vestige_traits::stats::HealthStatus;
    use vestige_traits::{MemoryRecord, MemoryStore, MemoryStoreError, SearchQuery};

    use super::common::{TestDatabase, control};

    /// For runners that run the tests of one program at once.
    static SERVER: Mutex<()> = Mutex::const_new(());

    const WRITERS: u128 = 3;
    const BATCH: u128 = 25;
    const BATCHES: u128 = 40;
    const KILLS: u64 = 3;
    /// How long a server may take to come up again on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(120);

    async fn tell(command: &str, verb: &str) {
        let line = format!("{command} {verb}");
        let told = tokio::task::spawn_blocking(move || {
            Command::new("sh").args(["-c", &line]).stdout(Stdio::null()).status()
        });
        assert!(told.await.unwrap().unwrap().success(), "the server does not {verb}");
    }

    /// Calls until the answer is no error that trying again can mend.
    async fn patiently<T, F>(mut call: impl FnMut() -> F) -> Result<T, MemoryStoreError>
    where
        F: Future<Output = Result<T, MemoryStoreError>>,
    {
        let end = Instant::now() + PATIENCE;
        loop {
            match call().await {
                Err(error) if error.is_retryable() && Instant::now() < end => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                done => return done,
            }
        }
    }

    fn batch(writer: u128, number: u128) -> Vec<MemoryRecord> {
        let first = 1 + (writer * BATCHES + number) * BATCH;
        (first..first + BATCH)
            .map(|n| embedded(n, format!("note {n} of batch {number}"), &[1.0, n as f32, 0.0, 0.5]))
            .collect()
    }

    /// Writes batch after batch; says how many are acknowledged.
    async fn write(store: PgMemoryStore, writer: u128, acknowledged: Arc<AtomicU64>) {
        for number in 0..BATCHES {
            let records = batch(writer, number);
            match patiently(|| store.insert_batch(&records)).await {
                // The answer to an earlier attempt may have been lost with the server.
                Ok(()) | Err(MemoryStoreError::AlreadyExists { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
            acknowledged.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Searches until told to stop; returns how many searches were answered and how many failed.
    async fn search(store: PgMemoryStore, working: Arc<AtomicBool>) -> (u64, u64) {
        let (mut answered, mut failed) = (0, 0);
        while working.load(Ordering::SeqCst) {
            let query = SearchQuery::hybrid("note of batch", vec![1.0, 2.0, 0.0, 0.5]);
            match store.search(&query).await {
                Ok(found) => {
                    assert!(found.len() <= 10);
                    answered += 1;
                }
                Err(error) => {
                    assert!(error.is_retryable(), "{error:?}");
                    failed += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
        (answered, failed)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_was_acknowledged_survives_a_server_that_is_killed_under_writes_and_searches() {
        let Some(command) = control() else {
            eprintln!("SKIPPED: VESTIGE_TEST_PG_CONTROL is not set: nobody can kill this server");
            return;
        };
        let _alone = SERVER.lock().await;
        let Some(database) = TestDatabase::new().await else { return };
        let builder = database.builder().max_connections(6).acquire_timeout(Duration::from_secs(5));
        let store = builder.connect().await.unwrap();
        store.register_model(&model()).await.unwrap();
        let acknowledged = Arc::new(AtomicU64::new(0));
        let working = Arc::new(AtomicBool::new(true));
        let searchers: Vec<_> =
            (0..2).map(|_| tokio::spawn(search(store.clone(), Arc::clone(&working)))).collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(write(store.clone(), writer, Arc::clone(&acknowledged))))
            .collect();
        let total = u64::try_from(WRITERS * BATCHES).unwrap();
        for kill in 1..=KILLS {
            // By progress, not by the clock: in the midst of the writing whatever the machine's speed.
            while acknowledged.load(Ordering::SeqCst) < kill * total / (KILLS + 1) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tell(&command, "kill").await;
            tell(&command, "start").await;
        }
        for writer in writers {
            writer.await.unwrap();
        }
        working.store(false, Ordering::SeqCst);
        let mut failures = 0;
        for searcher in searchers {
            let (answered, failed) = searcher.await.unwrap();
            assert!(answered > 0, "no search was answered");
            failures += failed;
        }
        assert!(failures > 0, "the server was not missed by any search");
        let expected = u64::try_from(WRITERS * BATCHES * BATCH).unwrap();
        assert_eq!(patiently(|| store.count()).await.unwrap(), expected);
        for n in 1..=WRITERS * BATCHES * BATCH {
            assert!(store.get(id(n)).await.unwrap().is_some(), "memory {n} was acknowledged");
        }
        assert_eq!(store.health_check().await.unwrap(), HealthStatus::Healthy);
        for finding in store.diagnose().await.unwrap() {
            assert!(finding.severity < vestige_traits::stats::Severity::Error, "{finding:?}");
        }
        store.close().await;
        database.drop().await;
    }

    #[tokio::test]
    async fn a_stopped_server_is_unavailable_and_a_started_one_is_found_again() {
        let Some(command) = control() else {
            eprintln!("SKIPPED: VESTIGE_TEST_PG_CONTROL is not set: nobody can stop this server");
            return;
        };
        let _alone = SERVER.lock().await;
        let Some(database) = TestDatabase::new().await else { return };
        let builder = database.builder().acquire_timeout(Duration::from_secs(3));
        let store = builder.clone().connect().await.unwrap();
        tell(&command, "stop").await;
        let error = patiently_refused(&store).await;
        assert!(matches!(error, MemoryStoreError::Unavailable { retryable: true, .. }), "{error:?}");
        let health = store.health_check().await.unwrap();
        assert!(matches!(health, HealthStatus::Unavailable { .. }), "{health:?}");
        let error = builder.connect().await.expect_err("nobody listens");
        assert!(error.to_string().contains("no PostgreSQL server answers"), "{error}");
        tell(&command, "start").await;
        assert_eq!(patiently(|| store.count()).await.unwrap(), 0);
        store.close().await;
        database.drop().await;
    }

    /// The error of a server that is gone, once the connections that it cut are used up.
    async fn patiently_refused(store: &PgMemoryStore) -> MemoryStoreError {
        for _ in 0..20 {
            let error = store.count().await.expect_err("the server is stopped");
            assert!(error.is_retryable(), "{error:?}");
            if matches!(error, MemoryStoreError::Unavailable { .. }) {
                return error;
            }
        }
        panic!("the pool goes on with connections that are gone");
    }
}
