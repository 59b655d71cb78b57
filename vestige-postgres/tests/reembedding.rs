//! What a re-embedding must not lose between building the second table and the switch.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{TestDatabase, eventually};
use sqlx::{AssertSqlSafe, Executor, PgPool, Postgres, Transaction};
use tokio::task::JoinHandle;
use vestige_postgres::PgMemoryStore;
use vestige_traits::reembed::ReembeddedMemory;
use vestige_traits::{
    MemoryRecord, MemoryStore, MemoryStoreError, MemoryStoreResult, ModelSignature, SearchQuery,
};

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

/// A switch that has built its second table and does not get its locks as long as the reader reads.
async fn held_up_switch<'p>(
    store: &PgMemoryStore,
    pool: &'p PgPool,
) -> (Transaction<'p, Postgres>, JoinHandle<MemoryStoreResult<()>>) {
    let mut reader = pool.begin().await.unwrap();
    reader.execute("SELECT count(*) FROM domains").await.unwrap();
    let switching = tokio::spawn({
        let store = store.clone();
        async move { store.finish_reembedding().await }
    });
    let built = "SELECT to_regclass('knowledge_nodes_next') IS NOT NULL";
    eventually("the second table", || async {
        sqlx::query_scalar::<_, bool>(built).fetch_one(pool).await.unwrap()
    })
    .await;
    (reader, switching)
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

    let pool = database.pool().await;
    let (reader, switching) = held_up_switch(&store, &pool).await;
    let changed = record.clone().content("as it is, and longer");
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

/// A migration that changes terms drops it.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_table_that_is_dropped_before_the_switch_is_built_again() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.store().await;
    store.insert(&MemoryRecord::new("there")).await.unwrap();
    store.begin_reembedding(&model()).await.unwrap();
    embed_all(&store).await;

    let pool = database.pool().await;
    let (reader, switching) = held_up_switch(&store, &pool).await;
    pool.execute("DROP TABLE knowledge_nodes_next").await.unwrap();
    reader.rollback().await.unwrap();

    switching.await.unwrap().unwrap();
    assert_eq!(store.registered_model().await.unwrap(), Some(model()));
    assert_eq!(store.count().await.unwrap(), 1);
    pool.close().await;
    database.drop().await;
}

/// They are made anew without a new time of the memory.
#[tokio::test(flavor = "multi_thread")]
async fn terms_that_are_made_anew_before_the_switch_are_in_the_second_table() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.store().await;
    let pool = database.pool().await;
    for content in ["a zebra", "a giraffe"] {
        store.insert(&MemoryRecord::new(content)).await.unwrap();
    }
    pool.execute("UPDATE knowledge_nodes SET search_vec = 'old:1A'").await.unwrap();
    store.begin_reembedding(&model()).await.unwrap();
    embed_all(&store).await;

    let (reader, switching) = held_up_switch(&store, &pool).await;
    pool.execute("INSERT INTO unanalyzed_memories SELECT id FROM knowledge_nodes").await.unwrap();
    let next = database.store().await;
    reader.rollback().await.unwrap();

    switching.await.unwrap().unwrap();
    for store in [&store, &next] {
        for word in ["zebra", "giraffe"] {
            assert_eq!(store.search(&SearchQuery::text(word)).await.unwrap().len(), 1, "{word}");
        }
    }
    pool.close().await;
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
        (
            "ALTER TABLE knowledge_nodes ADD COLUMN priority int DEFAULT 3",
            "column priority",
            "ALTER TABLE knowledge_nodes DROP COLUMN priority",
        ),
        (
            "ALTER TABLE knowledge_nodes ALTER COLUMN tags SET STATISTICS 1000",
            "statistics settings of the column tags",
            "ALTER TABLE knowledge_nodes ALTER COLUMN tags SET STATISTICS DEFAULT",
        ),
        ("CREATE INDEX mine ON knowledge_nodes (visibility)", "index mine", "DROP INDEX mine"),
        (
            "ALTER INDEX idx_knowledge_nodes_tags SET (fastupdate = off)",
            "storage parameters of the index idx_knowledge_nodes_tags",
            "ALTER INDEX idx_knowledge_nodes_tags RESET (fastupdate)",
        ),
        (
            "ALTER TABLE knowledge_nodes ADD CONSTRAINT mine UNIQUE (id, codebase)",
            "index mine",
            "ALTER TABLE knowledge_nodes DROP CONSTRAINT mine",
        ),
        (
            "ALTER TABLE knowledge_nodes SET (autovacuum_vacuum_scale_factor = 0.05)",
            "storage parameter autovacuum_vacuum_scale_factor=0.05",
            "ALTER TABLE knowledge_nodes RESET (autovacuum_vacuum_scale_factor)",
        ),
        (
            "ALTER TABLE knowledge_nodes SET (toast.autovacuum_enabled = off)",
            "storage parameter toast.autovacuum_enabled=off",
            "ALTER TABLE knowledge_nodes RESET (toast.autovacuum_enabled)",
        ),
        (
            "ALTER TABLE knowledge_nodes REPLICA IDENTITY FULL",
            "replica identity full",
            "ALTER TABLE knowledge_nodes REPLICA IDENTITY DEFAULT",
        ),
        (
            "CREATE STATISTICS mine ON codebase, node_type FROM knowledge_nodes",
            "statistics mine",
            "DROP STATISTICS mine",
        ),
        (
            "ALTER TABLE knowledge_nodes ADD CONSTRAINT mine FOREIGN KEY (owner_user_id) REFERENCES users",
            "constraint mine of knowledge_nodes",
            "ALTER TABLE knowledge_nodes DROP CONSTRAINT mine",
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
    // Nothing of what the switch itself makes is taken for somebody else's.
    let other = ModelSignature { name: "test/other".to_owned(), ..model() };
    store.begin_reembedding(&other).await.unwrap();
    embed_all(&store).await;
    store.finish_reembedding().await.unwrap();
    pool.close().await;
    store.close().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_added_meanwhile_and_dropped_again_is_not_in_the_new_table() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.store().await;
    let pool = database.pool().await;
    store.insert(&MemoryRecord::new("rated")).await.unwrap();
    store.begin_reembedding(&model()).await.unwrap();
    embed_all(&store).await;
    pool.execute("ALTER TABLE knowledge_nodes ADD COLUMN priority int NOT NULL DEFAULT 3").await.unwrap();
    store.finish_reembedding().await.unwrap_err();
    pool.execute("ALTER TABLE knowledge_nodes DROP COLUMN priority").await.unwrap();
    store.finish_reembedding().await.unwrap();
    let there = "SELECT EXISTS (SELECT FROM pg_attribute
                 WHERE attrelid = 'knowledge_nodes'::regclass AND attname = 'priority')";
    assert!(!sqlx::query_scalar::<_, bool>(there).fetch_one(&pool).await.unwrap());
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
