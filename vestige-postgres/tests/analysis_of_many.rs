//! What becomes of the vector index while the words of many memories are analysed anew.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use common::{TestDatabase, eventually};
use sqlx::{Executor, PgPool};
use vestige_conformance::fixtures::{embedded, in_vector_mode, model};
use vestige_postgres::PgMemoryStore;
use vestige_traits::stats::Severity;
use vestige_traits::{MemoryStore, SearchQuery};

/// Another program gives the store its analysis.
async fn analysed_by_another(pool: &PgPool) {
    let other =
        "UPDATE keyword_analysis SET version = version + 1, fingerprint = 'another', program = '0.0.1'";
    pool.execute(other).await.unwrap();
}

/// Checks that the indexes are there, and that every memory has the terms that this program computes.
async fn assert_well(store: &PgMemoryStore) {
    let findings = store.diagnose().await.unwrap();
    for subject in ["indexes", "keyword index"] {
        let finding = findings.iter().find(|finding| finding.subject == subject).unwrap();
        assert_eq!(finding.severity, Severity::Ok, "{finding:?}");
    }
}

/// What the process below runs; by itself it does nothing.
#[tokio::test]
async fn child_process() {
    let Ok(url) = std::env::var("VESTIGE_TEST_CHILD_URL") else { return };
    PgMemoryStore::connect(&url, 1).await.unwrap();
}

/// The index of all vectors: its number, which a new one does not share.
async fn vector_index(pool: &PgPool) -> Option<i64> {
    let index = "SELECT to_regclass('idx_knowledge_nodes_embedding_hnsw')::oid::int8";
    sqlx::query_scalar(index).fetch_one(pool).await.unwrap()
}

async fn embedded_store(database: &TestDatabase, memories: u128) -> PgMemoryStore {
    let store = database.store().await;
    store.register_model(&model()).await.unwrap();
    let records: Vec<_> = (1..=memories)
        .map(|n| embedded(n, format!("memory number {n}"), &[1.0, n as f32, 1.0 / n as f32, 2.0]))
        .collect();
    for batch in records.chunks(1000) {
        store.insert_batch(batch).await.unwrap();
    }
    store
}

#[tokio::test(flavor = "multi_thread")]
async fn many_memories_are_analysed_without_the_vector_index_and_a_kill_leaves_it_to_the_next() {
    let Some(database) = TestDatabase::new().await else { return };
    let (store, pool) = (embedded_store(&database, 2000).await, database.pool().await);
    let nearest = in_vector_mode(&SearchQuery::hybrid("", vec![1.0, 7.0, 1.0 / 7.0, 2.0])).limit(3);
    let before = store.search(&nearest).await.unwrap();
    pool.execute("UPDATE knowledge_nodes SET search_vec = 'old:1A'").await.unwrap();
    analysed_by_another(&pool).await;
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_process"])
        .env("VESTIGE_TEST_CHILD_URL", &database.url)
        .spawn()
        .unwrap();
    eventually("the index to go", || async { vector_index(&pool).await.is_none() }).await;
    // The next batch waits here.
    let mut holder = pool.begin().await.unwrap();
    holder.execute("LOCK TABLE reembedding IN ROW EXCLUSIVE MODE").await.unwrap();
    let waiting =
        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'reembedding'::regclass)";
    eventually("a batch that waits", || async {
        sqlx::query_scalar::<_, bool>(waiting).fetch_one(&pool).await.unwrap()
    })
    .await;
    let queued = "SELECT count(*) FROM unanalyzed_memories";
    assert!(sqlx::query_scalar::<_, i64>(queued).fetch_one(&pool).await.unwrap() > 0);
    let meanwhile = store.search(&nearest).await.unwrap();
    assert_eq!(meanwhile, before, "every vector is compared");
    child.kill().await.unwrap();
    holder.rollback().await.unwrap();
    let next = database.store().await;
    assert!(vector_index(&pool).await.is_some());
    assert_eq!(next.search(&nearest).await.unwrap(), before);
    assert_well(&next).await;
    for store in [store, next] {
        store.close().await;
    }
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn the_vector_index_stays_where_few_terms_change() {
    let Some(database) = TestDatabase::new().await else { return };
    let (store, pool) = (embedded_store(&database, 2000).await, database.pool().await);
    let index = vector_index(&pool).await;
    pool.execute("UPDATE knowledge_nodes SET search_vec = 'old:1A' WHERE content LIKE '%7'").await.unwrap();
    analysed_by_another(&pool).await;
    store.init().await.unwrap();
    assert_well(&store).await;
    assert!(index.is_some() && vector_index(&pool).await == index, "{index:?}");
    store.close().await;
    pool.close().await;
    database.drop().await;
}
