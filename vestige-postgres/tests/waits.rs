//! Nothing waits for ever: a server that falls silent, a lock that is not given back, a search that nobody
//! waits for any more.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{TestDatabase, eventually, with_host};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Executor, PgPool};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use vestige_conformance::fixtures::{id, memory};
use vestige_postgres::PgMemoryStore;
use vestige_traits::{MemoryStore, MemoryStoreError, SearchQuery};

/// A proxy between the store and the server. When it is silent it takes what it is sent, and passes nothing
/// on.
struct Proxy {
    address: String,
    silent: Arc<AtomicBool>,
}

impl Proxy {
    async fn to(url: &str) -> Self {
        let server: PgConnectOptions = url.parse().unwrap();
        let server = format!("{}:{}", server.get_host(), server.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let silent = Arc::new(AtomicBool::new(false));
        let hushed = Arc::clone(&silent);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = TcpStream::connect(&server).await.unwrap().into_split();
                tokio::spawn(pass_on(from_client, to_server, Arc::clone(&hushed)));
                tokio::spawn(pass_on(from_server, to_client, Arc::clone(&hushed)));
            }
        });
        Self { address, silent }
    }
}

async fn pass_on(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, silent: Arc<AtomicBool>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if !silent.load(Ordering::Relaxed) && to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_is_an_error_within_the_timeout() {
    let Some(database) = TestDatabase::new().await else { return };
    let proxy = Proxy::to(&database.url).await;
    let store = PgMemoryStore::builder(with_host(&database.url, &proxy.address))
        .max_connections(4)
        .statement_timeout(Duration::from_secs(1))
        .acquire_timeout(Duration::from_secs(8))
        .connect()
        .await
        .unwrap();
    store.insert(&memory(1, "before the silence")).await.unwrap();
    let (record, query) = (memory(2, "in the silence"), SearchQuery::text("silence"));
    let batch = [memory(3, "a batch")];
    tokio::join!(async { store.search(&query).await.unwrap() }, async { store.get(id(1)).await.unwrap() });
    proxy.silent.store(true, Ordering::Relaxed);
    let began = Instant::now();
    let (added, found, got, written) = tokio::join!(
        store.insert(&record),
        store.search(&query),
        store.get(id(1)),
        store.insert_batch(&batch),
    );
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    for error in
        [added.unwrap_err(), found.map(drop).unwrap_err(), got.map(drop).unwrap_err(), written.unwrap_err()]
    {
        assert!(matches!(error, MemoryStoreError::Unavailable { retryable: true, .. }), "{error:?}");
        let said = error.to_string();
        assert!(said.contains("silent") || said.contains("does not answer"), "{said}");
    }
    // The silent connections are not used again.
    proxy.silent.store(false, Ordering::Relaxed);
    assert_eq!(store.search(&query).await.unwrap().len(), 1);
    store.insert(&record).await.unwrap();
    store.close().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_not_given_back_is_said_and_by_default_waited_for_a_short_time() {
    let Some(database) = TestDatabase::new().await else { return };
    let (store, pool) = (database.store().await, database.pool().await);
    let mut holder = pool.begin().await.unwrap();
    holder.execute("LOCK TABLE knowledge_nodes IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let began = Instant::now();
    let (record, query) = (memory(1, "waits"), SearchQuery::text("waits"));
    let (added, found) = tokio::join!(store.insert(&record), store.search(&query));
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    for error in [added.unwrap_err(), found.map(drop).unwrap_err()] {
        assert!(error.is_retryable(), "{error:?}");
        let said = error.to_string();
        assert!(said.contains("waited 15.") && said.contains("lock that another session holds"), "{said}");
    }
    holder.rollback().await.unwrap();
    store.insert(&record).await.unwrap();
    store.close().await;
    pool.close().await;
    database.drop().await;
}

/// Statements of the store that wait for a lock.
async fn waiting(pool: &PgPool) -> i64 {
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    sqlx::query_scalar(waiting).fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_search_holds_up_nothing() {
    let Some(database) = TestDatabase::new().await else { return };
    let (store, pool) =
        (database.builder().max_connections(1).connect().await.unwrap(), database.pool().await);
    let mut holder = pool.begin().await.unwrap();
    holder.execute("LOCK TABLE knowledge_nodes IN ACCESS EXCLUSIVE MODE").await.unwrap();
    for call in 0..3 {
        let call = async {
            match call {
                0 => drop(store.search(&SearchQuery::text("anything")).await),
                1 => drop(store.get(id(1)).await),
                _ => drop(store.insert_batch(&[memory(1, "never stored")]).await),
            }
        };
        tokio::select! {
            () = call => panic!("the table is locked"),
            () = eventually("the wait for the lock", || async { waiting(&pool).await > 0 }) => {}
        }
        let began = Instant::now();
        store.registered_model().await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        // The server has noticed, too.
        let began = Instant::now();
        eventually("the end of the cancelled statement", || async { waiting(&pool).await == 0 }).await;
        assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    }
    holder.rollback().await.unwrap();
    assert_eq!(store.count().await.unwrap(), 0);
    store.close().await;
    pool.close().await;
    database.drop().await;
}

/// The connections of such a store do not have the settings of one that the builder opens.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_search_ends_on_the_server_where_the_caller_made_the_connections() {
    for uncached in [false, true] {
        let Some(database) = TestDatabase::new().await else { return };
        let pool = database.pool().await;
        let store = match uncached {
            false => PgMemoryStore::from_pool(database.pool().await).await.unwrap(),
            // As for PgBouncer, which hands connections on.
            true => database.builder().statement_cache_capacity(0).connect().await.unwrap(),
        };
        let mut holder = pool.begin().await.unwrap();
        holder.execute("LOCK TABLE knowledge_nodes IN ACCESS EXCLUSIVE MODE").await.unwrap();
        for call in 0..2 {
            let call = async {
                match call {
                    0 => drop(store.search(&SearchQuery::text("anything")).await),
                    _ => drop(store.insert_batch(&[memory(1, "never stored")]).await),
                }
            };
            tokio::select! {
                () = call => panic!("the table is locked"),
                () = eventually("the wait for the lock", || async { waiting(&pool).await > 0 }) => {}
            }
            let began = Instant::now();
            eventually("the end of the cancelled statement", || async { waiting(&pool).await == 0 }).await;
            assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
        }
        holder.rollback().await.unwrap();
        assert_eq!(store.count().await.unwrap(), 0);
        store.close().await;
        pool.close().await;
        database.drop().await;
    }
}

/// What a connection of the store has set.
async fn settings(url: String) -> Vec<String> {
    let store = PgMemoryStore::builder(&url).max_connections(1).connect().await.unwrap();
    let options: PgConnectOptions = url.split('?').next().unwrap().parse().unwrap();
    let pool = PgPool::connect_with(options).await.unwrap();
    // The limits show where they end a statement: in what the server says of itself while the store waits.
    pool.execute(
        "CREATE TABLE seen AS SELECT name, setting FROM pg_settings WITH NO DATA;
         CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           INSERT INTO public.seen SELECT name, setting FROM pg_catalog.pg_settings
           WHERE name IN ('statement_timeout', 'lock_timeout', 'tcp_keepalives_idle', 'client_connection_check_interval');
           RETURN NULL;
         END $$;
         CREATE TRIGGER see AFTER INSERT ON knowledge_nodes FOR EACH STATEMENT EXECUTE FUNCTION see()",
    )
    .await
    .unwrap();
    store.insert(&memory(1, "seen")).await.unwrap();
    let seen = "SELECT name || '=' || setting FROM seen ORDER BY name";
    let seen = sqlx::query_scalar(seen).fetch_all(&pool).await.unwrap();
    store.close().await;
    pool.close().await;
    seen
}

#[tokio::test]
async fn the_urls_own_timeouts_are_honoured_and_others_have_a_default() {
    for (parameters, expected) in [
        ("", ["1000", "15000", "30000", "60"]),
        ("?options=-c%20statement_timeout=9s&keepalives_idle=45", ["1000", "15000", "9000", "45"]),
        ("?options[lock_timeout]=0&options[statement_timeout]=0", ["1000", "0", "0", "60"]),
    ] {
        let Some(database) = TestDatabase::new().await else { return };
        let seen = settings(format!("{}{parameters}", database.url)).await;
        let names =
            ["client_connection_check_interval", "lock_timeout", "statement_timeout", "tcp_keepalives_idle"];
        let expected: Vec<String> =
            names.iter().zip(expected).map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(seen, expected, "{parameters}");
        database.drop().await;
    }
}
