//! Databases for tests, on the server that `VESTIGE_TEST_PG_URL` names: a superuser's URL.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

pub(crate) mod on_server;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};
use tokio::sync::OnceCell;
use vestige_conformance::StoreFactory;
use vestige_postgres::{PgMemoryStore, PgMemoryStoreBuilder};
use vestige_traits::clock::Clock;

/// Held by the one process that makes the template.
const TEMPLATE_LOCK: i64 = 33_322_211_104_450_499;

/// The server's URL. None where there is none, which is said loudly, or fails where `VESTIGE_REQUIRE_PG=1`.
pub(crate) fn server() -> Option<String> {
    let reason = match std::env::var("VESTIGE_TEST_PG_URL") {
        Ok(url) if !url.is_empty() => return Some(url),
        _ => {
            "VESTIGE_TEST_PG_URL is not set: this test needs PostgreSQL 18 with pgvector (cargo xtask test-pg)"
        }
    };
    assert!(std::env::var("VESTIGE_REQUIRE_PG").as_deref() != Ok("1"), "{reason}");
    #[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
    {
        eprintln!("SKIPPED: {reason}");
    }
    None
}

/// A shell command that kills, stops or starts the server, where whoever started it gives one.
pub(crate) fn control() -> Option<String> {
    std::env::var("VESTIGE_TEST_PG_CONTROL").ok().filter(|command| !command.is_empty())
}

/// `url` with another database, or other parts, in place of its own.
pub(crate) fn with_database(url: &str, database: &str) -> String {
    let (base, query) =
        url.split_once('?').map_or((url, String::new()), |(base, query)| (base, format!("?{query}")));
    let (scheme, rest) = base.split_once("://").expect("a URL");
    let host = rest.split_once('/').map_or(rest, |(host, _)| host);
    format!("{scheme}://{host}/{database}{query}")
}

/// `url` with another user in place of its own.
pub(crate) fn with_user(url: &str, user: &str, password: &str) -> String {
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{user}:{password}@{host}/{path}")
}

/// `url` with another host and port in place of its own.
pub(crate) fn with_host(url: &str, host: &str) -> String {
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let user = authority.rsplit_once('@').map_or(String::new(), |(user, _)| format!("{user}@"));
    format!("{scheme}://{user}{host}/{path}")
}

/// A database of its own for one test.
#[derive(Debug)]
pub(crate) struct TestDatabase {
    pub(crate) url: String,
    pub(crate) name: String,
    server: String,
}

impl TestDatabase {
    /// A database with the schema; none where there is no server.
    pub(crate) async fn new() -> Option<Self> {
        let server = server()?;
        let template = template(&server).await;
        Some(Self::create(server, &format!("TEMPLATE {template}")).await)
    }

    /// A database with nothing in it.
    pub(crate) async fn empty() -> Option<Self> {
        let server = server()?;
        Some(Self::create(server, "TEMPLATE template0 ENCODING 'UTF8'").await)
    }

    pub(crate) async fn create(server: String, options: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("vestige_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect(&server).await.expect("the test server answers");
        // A test that failed leaves its own, and numbers of processes come again. Who tests in two containers
        // at a time gives each a server.
        let leftover = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        admin.execute(AssertSqlSafe(leftover)).await.expect("a database of before can be dropped");
        let create = format!("CREATE DATABASE {name} {options}");
        admin.execute(AssertSqlSafe(create)).await.expect("a database can be made");
        Self { url: with_database(&server, &name), name, server }
    }

    pub(crate) fn builder(&self) -> PgMemoryStoreBuilder {
        PgMemoryStore::builder(self.url.as_str()).max_connections(4)
    }

    pub(crate) async fn store(&self) -> PgMemoryStore {
        self.builder().connect().await.expect("the store opens")
    }

    /// Connections of the superuser to this database.
    pub(crate) async fn pool(&self) -> PgPool {
        let options: PgConnectOptions = self.url.parse().expect("a URL");
        PgPoolOptions::new().max_connections(2).connect_with(options).await.expect("the database answers")
    }

    /// A connection of the superuser to the server's own database.
    pub(crate) async fn admin(&self) -> PgConnection {
        PgConnection::connect(&self.server).await.expect("the test server answers")
    }

    pub(crate) async fn drop(self) {
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        self.admin().await.execute(AssertSqlSafe(drop)).await.expect("the database can be dropped");
    }
}

/// A migrated database to copy, made once for each version of the migrations.
async fn template(server: &str) -> &'static str {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    TEMPLATE
        .get_or_init(|| async {
            let name = format!("vestige_template_{:016x}", fingerprint());
            let mut admin = PgConnection::connect(server).await.expect("the test server answers");
            sqlx::query("SELECT pg_advisory_lock($1)")
                .bind(TEMPLATE_LOCK)
                .execute(&mut admin)
                .await
                .expect("a lock");
            let exists: bool =
                sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
                    .bind(&name)
                    .fetch_one(&mut admin)
                    .await
                    .expect("the catalog can be read");
            if !exists {
                let draft = format!("{name}_draft");
                for statement in [
                    format!("DROP DATABASE IF EXISTS {draft} WITH (FORCE)"),
                    format!("CREATE DATABASE {draft} TEMPLATE template0 ENCODING 'UTF8'"),
                ] {
                    admin.execute(AssertSqlSafe(statement)).await.expect("a database can be made");
                }
                let store =
                    PgMemoryStore::connect(&with_database(server, &draft), 1).await.expect("the store opens");
                store.close().await;
                let rename = format!("ALTER DATABASE {draft} RENAME TO {name}");
                admin.execute(AssertSqlSafe(rename)).await.expect("the template is free");
            }
            sqlx::query("SELECT pg_advisory_unlock($1)")
                .bind(TEMPLATE_LOCK)
                .execute(&mut admin)
                .await
                .expect("unlock");
            name
        })
        .await
}

/// FNV-1a over the migrations.
fn fingerprint() -> u64 {
    let migrator = sqlx::migrate!("./migrations");
    migrator
        .iter()
        .flat_map(|migration| migration.checksum.iter())
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// How the conformance suite gets stores.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Postgres;

impl StoreFactory for Postgres {
    type Store = PgMemoryStore;
    type Home = TestDatabase;

    fn skip(&self) -> Option<String> {
        match server() {
            Some(_) => None,
            None => Some("VESTIGE_TEST_PG_URL is not set: no PostgreSQL to test against".to_owned()),
        }
    }

    async fn new_home(&self, _clock: Arc<dyn Clock>) -> TestDatabase {
        TestDatabase::new().await.expect("a server, as skip has seen")
    }

    async fn open(&self, home: &TestDatabase, clock: Arc<dyn Clock>) -> PgMemoryStore {
        // The suite through PgBouncer: its host and port.
        let builder = match std::env::var("VESTIGE_TEST_PGBOUNCER") {
            Ok(bouncer) => PgMemoryStore::builder(with_host(&home.url, &bouncer)).statement_cache_capacity(0),
            Err(_) => home.builder(),
        };
        builder.max_connections(8).clock(clock).connect().await.expect("the store opens")
    }

    async fn remove(&self, home: TestDatabase) {
        home.drop().await;
    }
}

/// Waits until `done` says so, for at most a minute.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut done: impl FnMut() -> F) {
    for _ in 0..1200 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} did not come about");
}
