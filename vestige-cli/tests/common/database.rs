//! A PostgreSQL database of its own for one test, on the server that `VESTIGE_TEST_PG_URL` names.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::skip;

/// A database of its own for one test.
pub(crate) struct Database {
    server: String,
    name: String,
    pub(crate) url: String,
}

impl Database {
    /// None where there is no server, which is said loudly, or fails where `VESTIGE_REQUIRE_PG=1`.
    pub(crate) fn new(test: &str) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let Ok(server) = std::env::var("VESTIGE_TEST_PG_URL") else {
            let reason = "VESTIGE_TEST_PG_URL is not set: this needs PostgreSQL 18 with pgvector (cargo xtask test-pg)";
            assert!(std::env::var("VESTIGE_REQUIRE_PG").as_deref() != Ok("1"), "{reason}");
            skip(test, reason);
            return None;
        };
        let name = format!("vestige_cli_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let (base, query) =
            server.split_once('?').map_or((&*server, None), |(base, query)| (base, Some(query)));
        let (scheme, rest) = base.split_once("://").expect("a URL");
        let host = rest.split_once('/').map_or(rest, |(host, _)| host);
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        let url = format!("{scheme}://{host}/{name}{query}");
        let database = Self { server, name, url };
        database.admin(format!("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", database.name));
        Some(database)
    }

    /// Runs a statement in the server's own database.
    pub(crate) fn admin(&self, statement: String) {
        run(&self.server, statement);
    }

    /// Runs statements in this database.
    pub(crate) fn admin_here(&self, statements: impl Into<String>) {
        run(&self.url, statements.into());
    }
}

fn run(url: &str, statements: String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut admin = PgConnection::connect(url).await.expect("the server answers");
        admin.execute(AssertSqlSafe(statements)).await.expect("the statements run");
    });
}

impl Drop for Database {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.admin(format!("DROP DATABASE {} WITH (FORCE)", self.name));
        }
    }
}
