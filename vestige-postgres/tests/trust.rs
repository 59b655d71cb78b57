//! A role that may create objects in the schema of the store runs nothing as the role that uses the store.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use common::TestDatabase;
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Executor, PgPool};
use vestige_conformance::fixtures::{embedded, id, memory, model};
use vestige_postgres::PgMemoryStore;
use vestige_traits::stats::{Finding, Severity};
use vestige_traits::{MemoryStore, SearchQuery};

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// A role that may create objects in the schema, and has no other right.
async fn mallory(database: &TestDatabase, pool: &PgPool) -> String {
    let name = format!("mallory_{}", database.name);
    let make = format!("CREATE ROLE {name}; GRANT USAGE, CREATE ON SCHEMA public TO {name}");
    pool.execute(AssertSqlSafe(make)).await.unwrap();
    name
}

/// Runs statements as `role`.
async fn run_as(pool: &PgPool, role: &str, statements: &str) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    transaction.execute(AssertSqlSafe(format!("SET LOCAL ROLE {role}; {statements}"))).await?;
    transaction.commit().await
}

/// Functions that fit better than those that are meant, if a call is not exact.
async fn plant(pool: &PgPool, role: &str) {
    for (name, parameters, returned) in [
        ("vestige_count_documents", "integer, bigint", "void"),
        ("vestige_count_documents", "integer, bigint, bigint", "void"),
        ("vestige_count_documents", "numeric, numeric", "void"),
        ("vestige_length", "text", "bigint"),
        ("vestige_accept_terms", "tsvector, integer", "tsvector"),
        ("vestige_model_matches", "text, integer, text, bigint", "boolean"),
        ("cardinality", "smallint[]", "integer"),
        ("json_build_object", "text, text, text, integer, text, text", "json"),
        ("format", "text, regclass", "text"),
        ("format", "text, text, regclass", "text"),
    ] {
        let statements = format!(
            "CREATE FUNCTION public.{name}({parameters}) RETURNS {returned} LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'planted {name} ran as %', current_user; END $$"
        );
        run_as(pool, role, &statements).await.unwrap();
    }
}

async fn trust(store: &PgMemoryStore) -> Vec<Finding> {
    let findings = store.diagnose().await.unwrap();
    findings.into_iter().filter(|finding| finding.subject == "trust").collect()
}

async fn drop_role(pool: &PgPool, role: &str) {
    let drop = format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}");
    pool.execute(AssertSqlSafe(drop)).await.unwrap();
}

#[tokio::test]
async fn a_planted_function_is_not_run_and_is_found() {
    let Some(database) = TestDatabase::new().await else { return };
    let pool = database.pool().await;
    let role = mallory(&database, &pool).await;
    // Before the migration that binds the names: it must not bind the planted ones.
    MIGRATOR.undo(&pool, 7).await.unwrap();
    plant(&pool, &role).await;
    let store = database.store().await;
    store.register_model(&model()).await.unwrap();
    let vector = [1.0, 0.0, 0.0, 0.0];
    store.insert(&embedded(1, "first words", &vector)).await.unwrap();
    store.insert_batch(&[embedded(2, "second words", &vector)]).await.unwrap();
    store.update(&embedded(1, "other words", &vector)).await.unwrap();
    assert_eq!(store.search(&SearchQuery::hybrid("words", vector.to_vec())).await.unwrap().len(), 2);
    store.delete(id(2)).await.unwrap();
    store.begin_bulk_load().await.unwrap();
    store.finish_bulk_load().await.unwrap();
    // The triggers alone, by a statement that is exact.
    pool.execute("UPDATE public.knowledge_nodes SET node_type = 'note'").await.unwrap();

    let findings = trust(&store).await;
    assert_eq!(findings[0].severity, Severity::Error, "{findings:?}");
    assert!(findings[0].message.contains("function vestige_count_documents(integer,bigint)"), "{findings:?}");
    assert!(
        findings[1].message.contains(&format!("{role} may create objects in schema public")),
        "{findings:?}"
    );
    drop_role(&pool, &role).await;
    let findings = trust(&store).await;
    assert_eq!(findings[0].severity, Severity::Ok, "{findings:?}");
    store.close().await;
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_trigger_needs_a_right_that_create_is_not_and_is_found() {
    let Some(database) = TestDatabase::new().await else { return };
    let (store, pool) = (database.store().await, database.pool().await);
    let role = mallory(&database, &pool).await;
    let function = "CREATE FUNCTION public.planted() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'planted'; END $$";
    run_as(&pool, &role, function).await.unwrap();
    let trigger = "CREATE TRIGGER planted AFTER UPDATE ON knowledge_nodes EXECUTE FUNCTION public.planted()";
    let refused = run_as(&pool, &role, trigger).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("42501"));
    let grant = format!("GRANT TRIGGER ON knowledge_nodes TO {role}");
    pool.execute(AssertSqlSafe(grant)).await.unwrap();
    run_as(&pool, &role, trigger).await.unwrap();
    let findings = trust(&store).await;
    assert!(findings[0].message.contains("trigger planted on knowledge_nodes"), "{findings:?}");
    assert!(
        findings[1].message.contains(&format!("{role} may make triggers on knowledge_nodes")),
        "{findings:?}"
    );
    drop_role(&pool, &role).await;
    store.close().await;
    pool.close().await;
    database.drop().await;
}

/// The second table of a re-embedding is written to where it is there.
#[tokio::test]
async fn a_planted_second_table_is_not_written_to_and_is_found() {
    let Some(database) = TestDatabase::new().await else { return };
    let (store, pool) = (database.store().await, database.pool().await);
    store.insert(&memory(1, "words")).await.unwrap();
    let role = mallory(&database, &pool).await;
    let table = "CREATE TABLE public.knowledge_nodes_next (id uuid);
        CREATE FUNCTION public.planted() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'planted'; END $$;
        CREATE TRIGGER planted BEFORE DELETE ON public.knowledge_nodes_next EXECUTE FUNCTION public.planted();
        GRANT ALL ON public.knowledge_nodes_next TO PUBLIC";
    run_as(&pool, &role, table).await.unwrap();
    pool.execute("UPDATE knowledge_nodes SET search_vec = NULL").await.unwrap();
    store.rebuild_indexes().await.unwrap();
    let findings = trust(&store).await;
    assert!(findings[0].message.contains("table knowledge_nodes_next of mallory"), "{findings:?}");
    drop_role(&pool, &role).await;
    store.close().await;
    pool.close().await;
    database.drop().await;
}
