//! The schema: made, upgraded, taken down, and refused where it cannot be used.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use common::{TestDatabase, eventually, on_server, server, with_database, with_user};
use sqlx::migrate::{Migration, Migrator};
use sqlx::{AssertSqlSafe, Executor, PgPool, Postgres, Transaction};
use vestige_conformance::fixtures::{embedded, memory, model};
use vestige_postgres::PgMemoryStore;
use vestige_traits::{MemoryStore, MemoryStoreError, SearchQuery};

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// Tables, columns, indexes and constraints, as text.
async fn schema(pool: &PgPool) -> Vec<String> {
    let columns = "SELECT format('%s.%s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
        a.attnotnull, pg_get_expr(d.adbin, d.adrelid))
      FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
      LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped";
    let indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'";
    let constraints = "SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
      FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 0";
    let functions =
        "SELECT format('%s %s', oid::regprocedure, prosrc) FROM pg_proc WHERE proname LIKE 'vestige%'";
    let triggers = "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal";
    let all = [columns, indexes, constraints, functions, triggers].join(" UNION ALL ");
    let mut lines: Vec<String> = sqlx::query_scalar(AssertSqlSafe(all)).fetch_all(pool).await.unwrap();
    lines.sort();
    lines
}

#[tokio::test]
async fn the_schema_comes_goes_and_comes_again() {
    let Some(database) = TestDatabase::empty().await else { return };
    let pool = database.pool().await;
    let nothing = schema(&pool).await;
    MIGRATOR.run(&pool).await.unwrap();
    let first = schema(&pool).await;
    assert!(first.iter().any(|line| line.contains("idx_knowledge_nodes_shared_groups")));
    MIGRATOR.undo(&pool, 0).await.unwrap();
    let taken_down: Vec<String> =
        schema(&pool).await.into_iter().filter(|line| !line.contains("_sqlx_migrations")).collect();
    assert_eq!(taken_down, nothing);
    MIGRATOR.run(&pool).await.unwrap();
    assert_eq!(schema(&pool).await, first);
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn the_vector_index_goes_down_and_comes_up_alone() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.store().await;
    store.register_model(&model()).await.unwrap();
    store.insert(&embedded(1, "kept", &[1.0, 0.0, 0.0, 0.0])).await.unwrap();
    store.close().await;
    let pool = database.pool().await;
    let before = schema(&pool).await;
    MIGRATOR.undo(&pool, 1).await.unwrap();
    assert!(!schema(&pool).await.iter().any(|line| line.contains("hnsw")));
    let store = database.store().await;
    assert_eq!(schema(&pool).await, before, "the index is there again, because the dimension is known");
    assert_eq!(store.search(&SearchQuery::text("kept")).await.unwrap().len(), 1);
    let (documents, terms): (i64, i64) =
        sqlx::query_as("SELECT sum(documents)::int8, sum(terms)::int8 FROM keyword_totals")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!((documents, terms), (1, 2), "what was counted before is counted again");
    store.close().await;
    pool.close().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_pools_that_begin_at_once_make_one_schema() {
    let Some(database) = TestDatabase::empty().await else { return };
    let opening = (0..10).map(|n| {
        let url = database.url.clone();
        tokio::spawn(async move {
            let store = PgMemoryStore::connect(&url, 2).await.unwrap();
            store.insert(&memory(n + 1, format!("from pool {n}"))).await.unwrap();
            store.close().await;
        })
    });
    for opened in opening.collect::<Vec<_>>() {
        opened.await.unwrap();
    }
    let store = database.store().await;
    assert_eq!(store.count().await.unwrap(), 10);
    store.close().await;
    database.drop().await;
}

/// What each of the ten processes below runs; by itself it does nothing.
#[tokio::test]
async fn child_process() {
    let Ok(url) = std::env::var("VESTIGE_TEST_CHILD_URL") else { return };
    let store = PgMemoryStore::connect(&url, 1).await.unwrap();
    store.register_model(&model()).await.unwrap();
    store
        .insert(&embedded(u128::from(std::process::id()), "from a process", &[1.0, 0.0, 0.0, 0.0]))
        .await
        .unwrap();
    store.close().await;
}

#[tokio::test]
async fn ten_processes_that_begin_at_once_make_one_schema_and_one_model() {
    let Some(database) = TestDatabase::empty().await else { return };
    let children: Vec<_> = (0..10)
        .map(|_| {
            tokio::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "child_process"])
                .env("VESTIGE_TEST_CHILD_URL", &database.url)
                .output()
        })
        .map(tokio::spawn)
        .collect();
    for child in children {
        let output = child.await.unwrap().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let store = database.store().await;
    assert_eq!(store.count().await.unwrap(), 10);
    store.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_store_of_a_newer_program_is_refused_and_left_as_it_was() {
    let Some(database) = TestDatabase::new().await else { return };
    let pool = database.pool().await;
    pool.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', true, '\\x00', 0)",
    )
    .await
    .unwrap();
    let before = schema(&pool).await;
    for read_only in [false, true] {
        let error = database.builder().read_only(read_only).connect().await.expect_err("too new");
        assert!(matches!(error, MemoryStoreError::SchemaTooNew { found: 9999, supported: 10 }), "{error:?}");
        assert!(error.to_string().contains("upgrade vestige"), "{error}");
    }
    assert_eq!(schema(&pool).await, before);
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_migration_that_is_not_ours_is_refused() {
    let Some(database) = TestDatabase::new().await else { return };
    let pool = database.pool().await;
    pool.execute("UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 1").await.unwrap();
    pool.execute("DELETE FROM _sqlx_migrations WHERE version = 7").await.unwrap();
    let error = database.builder().connect().await.expect_err("another program's");
    assert!(matches!(error, MemoryStoreError::Damaged { .. }), "{error:?}");
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_store_of_before_is_analysed_by_the_client() {
    let Some(database) = TestDatabase::new().await else { return };
    let pool = database.pool().await;
    MIGRATOR.undo(&pool, 4).await.unwrap();
    pool.execute("INSERT INTO knowledge_nodes (id, content) VALUES (gen_random_uuid(), 'Σίσυφος')")
        .await
        .unwrap();
    let stored = terms(&pool).await;
    assert!(stored[0].contains("'σισυφος'"), "{stored:?}");
    let store = database.store().await;
    assert_eq!(store.search(&SearchQuery::text("ΣΙΣΥΦΟΣ")).await.unwrap().len(), 1);
    pool.close().await;
    database.drop().await;
}

/// Migration 6, which no program of today stops at.
#[tokio::test]
async fn words_that_were_stored_before_have_the_terms_of_migration_6() {
    let Some(database) = TestDatabase::new().await else { return };
    let pool = database.pool().await;
    MIGRATOR.undo(&pool, 5).await.unwrap();
    let run = async |up: bool| {
        let of_6 = |migration: &&Migration| {
            migration.version == 6 && migration.migration_type.is_up_migration() == up
        };
        let sql = MIGRATOR.iter().find(of_6).unwrap().sql.clone();
        let mut transaction = pool.begin().await.unwrap();
        sqlx::raw_sql(sql).execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
    };
    pool.execute(
        "INSERT INTO knowledge_nodes (id, content, node_type, tags) VALUES
           (gen_random_uuid(), 'The build didn''t break, then it broke again', 'general', '{broken}'),
           (gen_random_uuid(), 'harbour', 'thoughts', '{caught,written}'),
           (gen_random_uuid(), 'pie', 'note', '{}');
         INSERT INTO keyword_statistics VALUES ('break', 0.9);
         INSERT INTO keyword_statistics_state (documents) VALUES (7)",
    )
    .await
    .unwrap();
    let before = terms(&pool).await;
    assert!(before.iter().any(|stored| stored.contains("'broke'")), "{before:?}");
    let untouched = "SELECT xmin::text FROM knowledge_nodes WHERE content = 'pie'";
    let untouched_before: String = sqlx::query_scalar(untouched).fetch_one(&pool).await.unwrap();
    run(true).await;
    assert_eq!(
        terms(&pool).await,
        [
            "'break':1C,7A,10A 'build':4A 'general':2B",
            "'catch':1C 'harbour':4A 'think':3B 'write':2C",
            "'note':1B 'pie':2A",
        ]
        .map(str::to_owned)
    );
    let untouched: String = sqlx::query_scalar(untouched).fetch_one(&pool).await.unwrap();
    assert_eq!(untouched, untouched_before, "what has no such form is not written again");
    let counted: (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT sum(terms)::int8 FROM keyword_totals), (SELECT count(*) FROM keyword_statistics),
           (SELECT count(*) FROM keyword_statistics_state)",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(counted, (11, 0, 0), "terms, and statistics of the old ones");
    run(false).await;
    assert_eq!(terms(&pool).await, before);
    pool.close().await;
    database.drop().await;
}

/// It would have the terms of before, and no one would notice.
#[tokio::test]
async fn a_table_that_a_reembedding_is_just_building_is_built_again() {
    let Some(database) = TestDatabase::new().await else { return };
    let pool = database.pool().await;
    MIGRATOR.undo(&pool, 5).await.unwrap();
    let mut building = pool.begin().await.unwrap();
    building.execute("SELECT FROM reembedding FOR UPDATE").await.unwrap();
    building
        .execute("CREATE TABLE knowledge_nodes_next (LIKE knowledge_nodes INCLUDING GENERATED)")
        .await
        .unwrap();
    migrate_behind(building, "reembedding", &database, &pool).await;
    let left: Option<String> = sqlx::query_scalar("SELECT to_regclass('knowledge_nodes_next')::text")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(left, None);
    pool.close().await;
    database.drop().await;
}

/// They would name terms that are no more, until the store has grown by half.
#[tokio::test]
async fn statistics_that_are_just_made_are_dropped_with_the_old_terms() {
    let Some(database) = TestDatabase::new().await else { return };
    let pool = database.pool().await;
    MIGRATOR.undo(&pool, 5).await.unwrap();
    let mut making = pool.begin().await.unwrap();
    making.execute("INSERT INTO keyword_statistics VALUES ('broke', 0.9)").await.unwrap();
    migrate_behind(making, "keyword_statistics", &database, &pool).await;
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM keyword_statistics").fetch_one(&pool).await.unwrap();
    assert_eq!(left, 0);
    pool.close().await;
    database.drop().await;
}

/// Opens the store, which waits for a table that a transaction holds, and ends that.
async fn migrate_behind(
    holder: Transaction<'_, Postgres>,
    table: &str,
    database: &TestDatabase,
    pool: &PgPool,
) {
    let builder = database.builder();
    let migrating = tokio::spawn(async move { builder.connect().await });
    let waiting = "SELECT EXISTS (
        SELECT FROM pg_locks JOIN pg_database AS d ON d.oid = database
        WHERE datname = current_database() AND NOT granted AND relation = $1::regclass)";
    eventually("waiting for the lock", || async {
        sqlx::query_scalar::<_, bool>(waiting).bind(table).fetch_one(pool).await.unwrap()
    })
    .await;
    holder.commit().await.unwrap();
    migrating.await.unwrap().unwrap();
}

/// The script stands where `psql -f` runs it, each of its statements in a transaction of its own.
async fn psql(database: &TestDatabase, migration: &Migration) -> on_server::Ran {
    let script = format!(
        "cat >down.sql <<'END OF SCRIPT'\n{}\nEND OF SCRIPT\npsql -q -d {} -f down.sql",
        migration.sql.as_str(),
        database.name
    );
    on_server::run(&database.url, &script).await
}

/// Rows that are written meanwhile, and a second table of a re-embedding, would keep terms of the other
/// version.
#[tokio::test(flavor = "multi_thread")]
async fn a_way_down_keeps_its_locks_under_plain_psql() {
    let Some(database) = TestDatabase::new().await else { return };
    let (store, pool) = (database.store().await, database.pool().await);
    store.insert(&memory(1, "Der Größte ist ΟΔΟΣ")).await.unwrap();
    store.close().await;
    let first = schema(&pool).await;
    let locks = "SELECT relation::regclass::text || ' ' || mode FROM pg_locks AS held
        WHERE granted AND relation = ANY (ARRAY['knowledge_nodes', 'reembedding', 'keyword_statistics']::regclass[])
          AND EXISTS (SELECT FROM pg_locks AS awaited
                      WHERE awaited.pid = held.pid AND NOT awaited.granted
                        AND awaited.relation = 'knowledge_nodes_next'::regclass)
        ORDER BY 1";
    let rows = ["keyword_statistics ExclusiveLock", "reembedding ExclusiveLock"];
    for (version, expected) in [
        (10, vec!["knowledge_nodes AccessExclusiveLock", rows[1]]),
        (9, vec!["knowledge_nodes AccessExclusiveLock", rows[1]]),
        (7, vec![rows[0], "knowledge_nodes AccessExclusiveLock", rows[1]]),
        (6, vec![rows[0], "knowledge_nodes ShareRowExclusiveLock", rows[1]]),
        (5, vec!["knowledge_nodes ShareRowExclusiveLock"]),
    ] {
        MIGRATOR.undo(&pool, version).await.unwrap();
        let down = MIGRATOR
            .iter()
            .find(|known| known.version == version && known.migration_type.is_down_migration())
            .unwrap();
        pool.execute("CREATE TABLE knowledge_nodes_next (id uuid)").await.unwrap();
        // The script comes to a halt behind its locks, where it drops this table.
        let mut reader = pool.begin().await.unwrap();
        reader.execute("SELECT FROM knowledge_nodes_next").await.unwrap();
        let holds = || async { sqlx::query_scalar::<_, String>(locks).fetch_all(&pool).await.unwrap() };
        let (ran, ()) = tokio::join!(psql(&database, down), async {
            eventually("the locks of the script", || async { holds().await == expected }).await;
            reader.commit().await.unwrap();
        });
        assert_eq!(ran.expect_success(), "", "migration {version}");
        pool.execute(AssertSqlSafe(format!("DELETE FROM _sqlx_migrations WHERE version = {version}")))
            .await
            .unwrap();
    }
    let store = database.store().await;
    assert_eq!(store.search(&SearchQuery::text("οδος")).await.unwrap().len(), 1);
    assert_eq!(schema(&pool).await, first);
    store.close().await;
    pool.close().await;
    database.drop().await;
}

/// The terms of all memories.
async fn terms(pool: &PgPool) -> Vec<String> {
    let terms = "SELECT search_vec::text FROM knowledge_nodes ORDER BY search_vec::text COLLATE \"C\"";
    sqlx::query_scalar(terms).fetch_all(pool).await.unwrap()
}

#[tokio::test]
async fn a_read_only_store_needs_the_schema_and_makes_none() {
    let Some(database) = TestDatabase::empty().await else { return };
    let error = database.builder().read_only(true).connect().await.expect_err("nothing there");
    assert!(
        matches!(&error, MemoryStoreError::Damaged { reason, .. } if reason.contains("no Vestige store")),
        "{error:?}"
    );
    let pool = database.pool().await;
    assert!(schema(&pool).await.is_empty());
    let store = database.store().await;
    store.insert(&memory(1, "there")).await.unwrap();
    let reader = database.builder().read_only(true).connect().await.unwrap();
    assert_eq!(reader.count().await.unwrap(), 1);
    assert!(matches!(reader.insert(&memory(2, "x")).await, Err(MemoryStoreError::ReadOnly)));
    assert!(matches!(reader.delete(memory(1, "x").id).await, Err(MemoryStoreError::ReadOnly)));
    assert!(matches!(reader.vacuum().await, Err(MemoryStoreError::ReadOnly)));
    pool.close().await;
    database.drop().await;
}

/// A role with a database of its own, and the URL with which it logs in.
async fn role(database: &TestDatabase, suffix: &str) -> (String, String) {
    let name = format!("{}_{suffix}", database.name);
    let mut admin = database.admin().await;
    admin.execute(AssertSqlSafe(format!("CREATE ROLE {name} LOGIN PASSWORD 'p4ssw0rd'"))).await.unwrap();
    let url = with_user(&database.url, &name, "p4ssw0rd");
    (name, url)
}

async fn drop_role(database: TestDatabase, name: &str) {
    let mut admin = database.admin().await;
    database.drop().await;
    admin.execute(AssertSqlSafe(format!("DROP ROLE {name}"))).await.unwrap();
}

#[tokio::test]
async fn a_role_that_may_not_create_the_extension_is_told_who_may() {
    let Some(database) = TestDatabase::empty().await else { return };
    let (name, url) = role(&database, "plain").await;
    let pool = database.pool().await;
    pool.execute(AssertSqlSafe(format!("GRANT CREATE ON SCHEMA public TO {name}"))).await.unwrap();
    let error = PgMemoryStore::connect(&url, 1).await.expect_err("not allowed");
    assert!(error.to_string().contains("CREATE EXTENSION vector"), "{error}");
    assert!(error.to_string().contains(&name) && !error.to_string().contains('\n'), "{error}");
    pool.execute("CREATE EXTENSION vector").await.unwrap();
    let store = PgMemoryStore::connect(&url, 1).await.unwrap();
    store.insert(&memory(1, "by a role without privileges")).await.unwrap();
    let findings = store.diagnose().await.unwrap();
    let privileges = findings.iter().find(|finding| finding.subject == "privileges").unwrap();
    assert_eq!(privileges.severity, vestige_traits::stats::Severity::Ok, "{privileges:?}");
    store.close().await;
    pool.close().await;
    drop_role(database, &name).await;
}

#[tokio::test]
async fn a_role_that_may_not_create_tables_is_told_what_to_grant() {
    let Some(database) = TestDatabase::empty().await else { return };
    let (name, url) = role(&database, "bare").await;
    let error = PgMemoryStore::connect(&url, 1).await.expect_err("not allowed");
    assert!(error.to_string().contains("GRANT CREATE ON SCHEMA"), "{error}");
    drop_role(database, &name).await;
}

/// `url` with a schema to work in.
fn in_schema(url: &str, search_path: &str) -> String {
    let sign = if url.contains('?') { '&' } else { '?' };
    format!("{url}{sign}options=-csearch_path%3D{search_path}")
}

#[tokio::test]
async fn connecting_to_what_exists_makes_nothing() {
    let Some(database) = TestDatabase::empty().await else { return };
    let pool = database.pool().await;
    for read_only in [false, true] {
        let none = database.builder().read_only(read_only).connect_existing().await.unwrap();
        assert!(none.is_none());
    }
    assert!(schema(&pool).await.is_empty());
    database.store().await.close().await;
    let store = database.builder().connect_existing().await.unwrap().unwrap();
    store.insert(&memory(1, "there")).await.unwrap();
    store.close().await;
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn tables_of_others_are_no_reason_to_refuse_but_those_with_a_name_of_ours_are() {
    let Some(database) = TestDatabase::empty().await else { return };
    let pool = database.pool().await;
    pool.execute(
        "CREATE TABLE orders (id bigint); CREATE TABLE users (id bigint); CREATE VIEW edges AS SELECT 1",
    )
    .await
    .unwrap();
    let before = schema(&pool).await;
    let error = database.builder().connect().await.expect_err("in the way").to_string();
    for words in ["has edges and users of", "schema public", "CREATE SCHEMA vestige", "search_path"] {
        assert!(error.contains(words), "{error}");
    }
    assert!(!error.contains("orders") && !error.contains("at line"), "{error}");
    assert_eq!(schema(&pool).await, before);

    pool.execute("CREATE SCHEMA vestige").await.unwrap();
    let beside = PgMemoryStore::connect(&in_schema(&database.url, "vestige,public"), 1).await.unwrap();
    beside.insert(&memory(1, "in a schema of its own")).await.unwrap();
    assert_eq!(beside.search(&SearchQuery::text("schema")).await.unwrap().len(), 1);
    beside.close().await;
    pool.execute("DROP TABLE users; DROP VIEW edges").await.unwrap();
    // The extension went into the first schema of the path.
    let error = database.builder().connect().await.expect_err("no vectors").to_string();
    assert!(error.contains("pgvector is in schema vestige") && error.contains("search_path"), "{error}");
    pool.execute("ALTER EXTENSION vector SET SCHEMA public").await.unwrap();
    let store = database.store().await;
    assert_eq!(store.count().await.unwrap(), 0, "another schema, another store");
    store.close().await;
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn the_migrations_of_another_program_are_not_taken_for_a_newer_store() {
    let Some(database) = TestDatabase::empty().await else { return };
    let pool = database.pool().await;
    // As another program of the same driver has it.
    pool.execute(
        "CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, description text NOT NULL,
           installed_on timestamptz NOT NULL DEFAULT now(), success boolean NOT NULL, checksum bytea NOT NULL,
           execution_time bigint NOT NULL);
         INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (1, 'init', true, '\\x00', 0), (20250101000000, 'orders', true, '\\x00', 0);
         CREATE SCHEMA vestige",
    )
    .await
    .unwrap();
    assert!(database.builder().connect_existing().await.unwrap().is_none());
    let error = database.builder().connect().await.expect_err("another program's");
    assert!(error.to_string().contains("a schema of its own"), "{error}");
    let url = in_schema(&database.url, "vestige,public");
    for memories in 0..2 {
        let store = PgMemoryStore::connect(&url, 1).await.unwrap();
        assert_eq!(store.count().await.unwrap(), memories);
        store.insert(&memory(u128::from(memories) + 1, "beside it")).await.unwrap();
        store.close().await;
    }
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_search_path_without_a_schema_is_told_from_a_missing_privilege() {
    let Some(database) = TestDatabase::empty().await else { return };
    let error = PgMemoryStore::connect(&in_schema(&database.url, "nope"), 1).await.expect_err("no schema");
    let error = error.to_string();
    assert!(error.contains("search_path (nope)") && error.contains("CREATE SCHEMA"), "{error}");
    assert!(!error.contains("GRANT"), "{error}");
    database.drop().await;
}

#[tokio::test]
async fn a_wrong_password_and_a_missing_database_are_said_in_one_line() {
    let Some(server) = server() else { return };
    let missing = PgMemoryStore::connect(&with_database(&server, "vestige_no_such_database"), 1).await;
    let error = missing.expect_err("no such database");
    assert!(error.to_string().contains("does not exist"), "{error}");
    let wrong = PgMemoryStore::connect(&with_user(&server, "vestige_nobody", "s3cret-w0rd"), 1).await;
    let error = wrong.expect_err("no such user");
    assert!(!error.is_retryable(), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("s3cret-w0rd"), "{error:?}");
    let refused = PgMemoryStore::connect("postgres://me:s3cret-w0rd@127.0.0.1:1/x", 1).await;
    let error = refused.expect_err("nobody listens");
    assert!(matches!(error, MemoryStoreError::Unavailable { retryable: true, .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("s3cret-w0rd"), "{error:?}");
}

#[tokio::test]
async fn a_database_in_another_encoding_is_refused() {
    let Some(server) = server() else { return };
    let database = TestDatabase::create(
        server,
        "TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C' LOCALE_PROVIDER 'libc'",
    )
    .await;
    let error = database.builder().connect().await.expect_err("not in UTF-8");
    assert!(error.to_string().contains("UTF8"), "{error}");
    database.drop().await;
}

#[tokio::test]
async fn a_server_without_pgvector_is_refused_in_one_line() {
    let Some(database) = TestDatabase::empty().await else { return };
    // Where PostgreSQL looks for extensions: with nothing there, it is a server that has none.
    let hide = format!("ALTER DATABASE {} SET extension_control_path = '/nowhere'", database.name);
    database.admin().await.execute(AssertSqlSafe(hide)).await.unwrap();
    let error = database.builder().connect().await.expect_err("no pgvector");
    assert!(matches!(error, MemoryStoreError::Unavailable { retryable: false, .. }), "{error:?}");
    assert!(error.to_string().contains("no pgvector") && !error.to_string().contains('\n'), "{error}");
    database.drop().await;
}
