//! Long memories in the database: their passages come, change and go with the rows of the memories.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use common::TestDatabase;
use sqlx::migrate::Migrator;
use sqlx::{Executor, PgPool};
use vestige_conformance::fixtures::{embedded, id, memory, model};
use vestige_postgres::{PgMemoryStore, SearchSettings};
use vestige_traits::reembed::ReembeddedMemory;
use vestige_traits::stats::{Finding, Severity};
use vestige_traits::{MemoryRecord, MemoryStore, ModelSignature, SearchQuery};

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");
const VECTOR: [f32; 4] = [1.0, 0.0, 0.0, 0.0];

/// 1,200 words, with `beginning` before and `end` behind them.
fn long_text(beginning: &str, end: &str) -> String {
    let words: Vec<String> = (0..1200).map(|n| format!("w{n:x}")).collect();
    format!("{beginning} {} {end}", words.join(" "))
}

fn long(n: u128, beginning: &str, end: &str) -> MemoryRecord {
    embedded(n, long_text(beginning, end), &VECTOR)
}

async fn hits(store: &PgMemoryStore, query: SearchQuery) -> Vec<uuid::Uuid> {
    let mut ids: Vec<_> = store.search(&query).await.unwrap().into_iter().map(|hit| hit.record.id).collect();
    ids.sort();
    ids
}

async fn by_words(store: &PgMemoryStore, text: &str) -> Vec<uuid::Uuid> {
    hits(store, SearchQuery::text(text)).await
}

async fn stored(pool: &PgPool) -> (i64, i64) {
    let counts =
        "SELECT (SELECT count(*) FROM keyword_passages), (SELECT sum(passages)::int8 FROM knowledge_nodes)";
    sqlx::query_as(counts).fetch_one(pool).await.unwrap()
}

async fn keyword_index(store: &PgMemoryStore) -> Finding {
    let findings = store.diagnose().await.unwrap();
    findings.into_iter().find(|finding| finding.subject == "keyword index").unwrap()
}

async fn assert_well(store: &PgMemoryStore) {
    let finding = keyword_index(store).await;
    assert_eq!(finding.severity, Severity::Ok, "{finding:?}");
}

#[tokio::test]
async fn passages_that_are_missing_left_over_or_wrong_are_found_and_mended() {
    let Some(database) = TestDatabase::new().await else { return };
    let (store, pool) = (database.store().await, database.pool().await);
    store.register_model(&model()).await.unwrap();
    store.insert_batch(&[long(1, "gasket", "torque"), long(2, "valve", "lever")]).await.unwrap();
    let whole = stored(&pool).await;
    assert!(whole.0 > 10 && whole.0 == whole.1, "{whole:?}");
    assert_well(&store).await;
    for damage in [
        "DELETE FROM keyword_passages WHERE number = 2",
        "TRUNCATE keyword_passages",
        "UPDATE keyword_passages SET search_vec = 'lion:1A'",
        "INSERT INTO keyword_passages SELECT id, 999, 'lion:1A' FROM knowledge_nodes",
        "INSERT INTO keyword_passages VALUES (gen_random_uuid(), 1, 'lion:1A')",
        "UPDATE knowledge_nodes SET passages = 0",
        "UPDATE knowledge_nodes SET passages = 999",
    ] {
        pool.execute(damage).await.unwrap();
        let finding = keyword_index(&store).await;
        assert_eq!(finding.severity, Severity::Error, "{damage}: {finding:?}");
        store.rebuild_indexes().await.unwrap();
        assert_well(&store).await;
        assert_eq!(stored(&pool).await, whole, "{damage}");
        for (word, found) in [("gasket", id(1)), ("torque", id(1)), ("lever", id(2))] {
            assert_eq!(by_words(&store, word).await, [found], "{damage}: {word}");
        }
        assert!(by_words(&store, "lion").await.is_empty(), "{damage}");
    }
    store.close().await;
    pool.close().await;
    database.drop().await;
}

/// As another program writes, which knows of no passages.
#[tokio::test]
async fn texts_that_others_make_long_or_short_are_analysed_at_the_next_opening() {
    let Some(database) = TestDatabase::new().await else { return };
    let (store, pool) = (database.store().await, database.pool().await);
    store.insert_batch(&[memory(1, "a valve"), memory(2, long_text("gasket", "torque"))]).await.unwrap();
    sqlx::query("UPDATE knowledge_nodes SET content = $2 WHERE id = $1")
        .bind(id(1))
        .bind(long_text("zebra", "giraffe"))
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query("UPDATE knowledge_nodes SET content = 'a lever' WHERE id = $1")
        .bind(id(2))
        .execute(&pool)
        .await
        .unwrap();
    pool.execute("INSERT INTO knowledge_nodes (id, content) SELECT gen_random_uuid(), content FROM knowledge_nodes WHERE content LIKE 'zebra%'")
        .await
        .unwrap();
    let next = database.store().await;
    assert_eq!(by_words(&next, "giraffe").await.len(), 2);
    assert!(by_words(&next, "torque").await.is_empty());
    assert_eq!(by_words(&next, "lever").await, [id(2)]);
    assert_well(&next).await;
    pool.execute("DELETE FROM knowledge_nodes WHERE content LIKE 'zebra%'").await.unwrap();
    assert_eq!(stored(&pool).await, (0, 0));
    assert_well(&next).await;
    store.close().await;
    next.close().await;
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_store_of_version_9_gets_its_passages_at_the_first_opening() {
    let Some(database) = TestDatabase::new().await else { return };
    let (store, pool) = (database.store().await, database.pool().await);
    store.insert_batch(&[memory(1, long_text("gasket", "torque")), memory(2, "a valve")]).await.unwrap();
    let whole = stored(&pool).await;
    store.close().await;
    MIGRATOR.undo(&pool, 9).await.unwrap();
    pool.execute("UPDATE keyword_analysis SET fingerprint = 'of before', program = '0.0.1'").await.unwrap();
    let store = database.store().await;
    assert_eq!(stored(&pool).await, whole);
    assert_eq!(by_words(&store, "torque").await, [id(1)]);
    assert_well(&store).await;
    store.close().await;
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn phrases_and_exclusions_hold_for_long_memories_by_meaning_too() {
    let Some(database) = TestDatabase::new().await else { return };
    let mut by_index = SearchSettings::default();
    by_index.exact_memories = 0;
    for settings in [SearchSettings::default(), by_index] {
        let store = database.builder().search(settings).connect().await.unwrap();
        store.register_model(&model()).await.unwrap();
        if store.count().await.unwrap() == 0 {
            store
                .insert_batch(&[
                    long(1, "red lamp", "blue chair"),
                    long(2, "red chair", "blue lamp"),
                    long(3, "red lamp", "blue lamp"),
                    embedded(4, "red lamp and blue chair", &VECTOR),
                    embedded(5, "nothing", &VECTOR),
                ])
                .await
                .unwrap();
        }
        for (text, expected) in [
            ("\"red lamp\"", vec![1, 3, 4]),
            ("\"blue lamp\"", vec![2, 3]),
            ("\"red lamp\" \"blue chair\"", vec![1, 4]),
            ("\"red lamp\" \"blue lamp\"", vec![3]),
            ("\"chair blue\"", vec![]),
            ("\"blue lamp\" -\"red chair\"", vec![3]),
            ("\"red lamp\" -\"blue chair\"", vec![3]),
            ("\"w10\" \"w3f0\"", vec![1, 2, 3]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(id).collect();
            let meaning = SearchQuery::hybrid(text, VECTOR.to_vec()).mode(vestige_traits::SearchMode::Vector);
            for query in [SearchQuery::text(text), SearchQuery::hybrid(text, VECTOR.to_vec()), meaning] {
                assert_eq!(hits(&store, query.clone()).await, expected, "{query:?}");
            }
        }
        let query = SearchQuery::hybrid("nothing -chair", VECTOR.to_vec());
        assert_eq!(hits(&store, query).await, [id(3), id(5)]);
        store.close().await;
    }
    database.drop().await;
}

#[tokio::test]
async fn what_comes_in_from_a_session_meets_phrases_and_exclusions_over_its_passages() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.store().await;
    let said = |n: u128, text: String| {
        memory(n, text).session("talk").created_at(
            vestige_conformance::fixtures::now() + chrono::TimeDelta::seconds(i64::try_from(n).unwrap()),
        )
    };
    store
        .insert_batch(&[
            said(1, long_text("one", "lion")),
            said(2, "a gasket".to_owned()),
            said(3, long_text("three", "tiger")),
        ])
        .await
        .unwrap();
    assert_eq!(by_words(&store, "gasket").await, [1, 2, 3].map(id));
    assert_eq!(by_words(&store, "gasket -lion").await, [2, 3].map(id));
    assert_eq!(by_words(&store, "gasket -three -tiger").await, [1, 2].map(id));
    store.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_reembedding_keeps_the_passages() {
    let Some(database) = TestDatabase::new().await else { return };
    let (store, pool) = (database.store().await, database.pool().await);
    store.register_model(&model()).await.unwrap();
    store.insert_batch(&[long(1, "gasket", "torque"), long(2, "valve", "lever")]).await.unwrap();
    let whole = stored(&pool).await;
    let next = ModelSignature { name: "test/next".to_owned(), dimension: 2, hash: "cd".repeat(32) };
    store.begin_reembedding(&next).await.unwrap();
    let vectors: Vec<_> = store
        .reembedding_pending(None, 10)
        .await
        .unwrap()
        .into_iter()
        .map(|memory| ReembeddedMemory {
            id: memory.id,
            updated_at: memory.updated_at,
            embedding: Some(vec![1.0, 0.0]),
        })
        .collect();
    store.write_reembedded(&vectors).await.unwrap();
    store.finish_reembedding().await.unwrap();
    assert_eq!(stored(&pool).await, whole);
    assert_eq!(by_words(&store, "torque").await, [id(1)]);
    assert_well(&store).await;
    store.delete(id(1)).await.unwrap();
    store.update(&memory(2, "short")).await.unwrap();
    assert_eq!(stored(&pool).await, (0, 0));
    assert_well(&store).await;
    store.close().await;
    pool.close().await;
    database.drop().await;
}

/// The second sees what the first wrote, not what was there before both.
#[tokio::test(flavor = "multi_thread")]
async fn of_writers_of_one_memory_the_last_leaves_its_passages_alone() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.store().await;
    store.insert(&memory(1, "short")).await.unwrap();
    for round in 0..5 {
        let writers: Vec<_> = (0..6)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(async move {
                    let text = match n % 3 {
                        0 => format!("short {round} {n}"),
                        1 => long_text("first", &format!("end{round}x{n}")),
                        _ => long_text("first", &long_text("second", &format!("end{round}x{n}"))),
                    };
                    store.update(&memory(1, text)).await.unwrap();
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        assert_well(&store).await;
    }
    store.close().await;
    database.drop().await;
}
