//! What a re-embedding must not lose between building the second table and the switch.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{TestDatabase, eventually};
use sqlx::{AssertSqlSafe, Executor};
use vestige_postgres::PgMemoryStore;
use vestige_traits::{MemoryRecord, MemoryStore, MemoryStoreError, ModelSignature, ReembeddedMemory};

fn model() -> ModelSignature {
    ModelSignature { name: "test/two".to_owned(), dimension: 2, hash: "2b".repeat(32) }
}

async fn embed_all(store: &PgMemoryStore) {
    let pending = store.reembedding_pending(None, 100).await.unwrap();
    let vectors: Vec<_> = pending
        .into_iter()
        .map(|memory| ReembeddedMemory {
            id: memory.id,
            updated_at: memory.updated_at,
            embedding: Some(vec![1.0, memory.content.len() as f32]),
        })
        .collect();
    store.write_reembedded(&vectors).await.unwrap();
}

/// A memory's version is its time, which who deletes and adds again may give a second time.
#[tokio::test(flavor = "multi_thread")]
async fn a_memory_deleted_and_added_again_under_the_same_time_keeps_its_new_content() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.store().await;
    let record = MemoryRecord::new("as it was");
    store.insert(&record).await.unwrap();
    store.begin_reembedding(&model()).await.unwrap();
    embed_all(&store).await;

    // As long as somebody reads, the switch does not get its locks, and the second table stands built.
    let pool = database.pool().await;
    let mut reader = pool.begin().await.unwrap();
    reader.execute("SELECT count(*) FROM domains").await.unwrap();
    let switching = tokio::spawn({
        let store = store.clone();
        async move { store.finish_reembedding().await }
    });
    let built = "SELECT to_regclass('knowledge_nodes_next') IS NOT NULL";
    eventually("the second table", || async {
        sqlx::query_scalar::<_, bool>(built).fetch_one(&pool).await.unwrap()
    })
    .await;
    let changed = MemoryRecord { content: "as it is, and longer".to_owned(), ..record.clone() };
    store.delete(record.id).await.unwrap();
    store.insert(&changed).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    reader.rollback().await.unwrap();

    let switched = switching.await.unwrap();
    assert!(matches!(switched, Err(MemoryStoreError::Conflict { .. })), "{switched:?}");
    embed_all(&store).await;
    store.finish_reembedding().await.unwrap();
    let found = store.get(record.id).await.unwrap().unwrap();
    assert_eq!(found.content, changed.content);
    assert_eq!(found.embedding, Some(vec![1.0, changed.content.len() as f32]));
    pool.close().await;
    store.close().await;
    database.drop().await;
}

/// The switch makes a new table, and what an administrator has put on the old one would go with it.
#[tokio::test(flavor = "multi_thread")]
async fn what_stands_on_the_table_is_found_at_the_beginning_and_at_the_switch() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.store().await;
    let pool = database.pool().await;
    store.insert(&MemoryRecord::new("kept by a policy")).await.unwrap();
    for (put, named, take) in [
        (
            "ALTER TABLE knowledge_nodes ENABLE ROW LEVEL SECURITY",
            "row level security",
            "ALTER TABLE knowledge_nodes DISABLE ROW LEVEL SECURITY",
        ),
        (
            "GRANT SELECT (id) ON knowledge_nodes TO PUBLIC",
            "privileges on the column id",
            "REVOKE SELECT (id) ON knowledge_nodes FROM PUBLIC",
        ),
        (
            "CREATE POLICY mine ON knowledge_nodes USING (visibility = 'private')",
            "policy mine",
            "DROP POLICY mine ON knowledge_nodes",
        ),
    ] {
        pool.execute(put).await.unwrap();
        let refused = store.begin_reembedding(&model()).await.unwrap_err();
        assert!(refused.to_string().contains(named), "{refused}");
        pool.execute(take).await.unwrap();

        store.begin_reembedding(&model()).await.unwrap();
        embed_all(&store).await;
        pool.execute(put).await.unwrap();
        let refused = store.finish_reembedding().await.unwrap_err();
        assert!(matches!(refused, MemoryStoreError::Conflict { .. }), "{refused:?}");
        assert!(refused.to_string().contains(named), "{refused}");
        pool.execute(take).await.unwrap();
        store.abort_reembedding().await.unwrap();
    }
    store.begin_reembedding(&model()).await.unwrap();
    embed_all(&store).await;
    store.finish_reembedding().await.unwrap();
    assert_eq!(store.registered_model().await.unwrap(), Some(model()));
    pool.close().await;
    store.close().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_new_table_belongs_to_the_owner_of_the_old_one_whatever_its_name() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.store().await;
    let pool = database.pool().await;
    let owner = format!("\"{}-Owner\"", database.name);
    pool.execute(AssertSqlSafe(format!("CREATE ROLE {owner}"))).await.unwrap();
    pool.execute(AssertSqlSafe(format!("ALTER TABLE knowledge_nodes OWNER TO {owner}"))).await.unwrap();
    store.insert(&MemoryRecord::new("owned")).await.unwrap();
    store.begin_reembedding(&model()).await.unwrap();
    embed_all(&store).await;
    store.finish_reembedding().await.unwrap();
    let owned = "SELECT relowner::regrole::text FROM pg_class WHERE oid = 'knowledge_nodes'::regclass";
    assert_eq!(sqlx::query_scalar::<_, String>(owned).fetch_one(&pool).await.unwrap(), owner);
    pool.close().await;
    store.close().await;
    let mut admin = database.admin().await;
    database.drop().await;
    admin.execute(AssertSqlSafe(format!("DROP ROLE {owner}"))).await.unwrap();
}
