//! What happens when the server, the network or the caller does something unkind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use std::error::Error as _;
use std::time::Duration;

use common::{TestDatabase, eventually, with_user};
use sqlx::{AssertSqlSafe, Executor};
use vestige_conformance::fixtures::{
    embedded, id, memories, memory, model, model_of_same_dimension, now, review, reviewed, smaller_model,
};
use vestige_postgres::PgMemoryStore;
use vestige_traits::stats::HealthStatus;
use vestige_traits::transfer::{TransferKind, TransferRow};
use vestige_traits::{MemoryStore, MemoryStoreError, SearchQuery};

/// Ends every connection to the database but the superuser's own.
async fn cut_connections(database: &TestDatabase) {
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()";
    sqlx::query(cut).bind(&database.name).execute(&mut database.admin().await).await.unwrap();
}

#[tokio::test]
async fn a_cut_connection_is_a_retryable_error_and_the_next_call_works() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.builder().max_connections(1).connect().await.unwrap();
    store.insert(&memory(1, "before the cut")).await.unwrap();
    cut_connections(&database).await;
    match store.get(id(1)).await {
        Ok(found) => assert!(found.is_some()),
        Err(error) => assert!(error.is_retryable(), "{error:?}"),
    }
    assert_eq!(store.get(id(1)).await.unwrap().unwrap().content, "before the cut");
    assert_eq!(store.health_check().await.unwrap(), HealthStatus::Healthy);
    store.close().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_cut_connections() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.builder().max_connections(4).connect().await.unwrap();
    let writers: Vec<_> = (0..4_u128)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for n in 0..150 {
                    let record = memory(writer * 1000 + n + 1, format!("memory {n} of writer {writer}"));
                    loop {
                        match store.insert(&record).await {
                            // The answer to the first attempt may have been lost with its connection.
                            Ok(()) | Err(MemoryStoreError::AlreadyExists { .. }) => break,
                            Err(error) => assert!(error.is_retryable(), "{error:?}"),
                        }
                    }
                    acknowledged.push(record.id);
                }
                acknowledged
            })
        })
        .collect();
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        cut_connections(&database).await;
    }
    for writer in writers {
        for id in writer.await.unwrap() {
            let mut found = store.get(id).await;
            while found.as_ref().is_err_and(MemoryStoreError::is_retryable) {
                found = store.get(id).await;
            }
            assert!(found.unwrap().is_some(), "{id}");
        }
    }
    assert_eq!(store.count().await.unwrap(), 600);
    store.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_statement_timeout_is_unavailable_and_leaves_the_store_usable() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.builder().statement_timeout(Duration::from_secs(2)).connect().await.unwrap();
    store.insert(&memory(1, "locked")).await.unwrap();
    let pool = database.pool().await;
    let mut holder = pool.begin().await.unwrap();
    holder.execute("SELECT FROM knowledge_nodes FOR UPDATE").await.unwrap();
    let error = store.update(&memory(1, "waits")).await.expect_err("the row is locked");
    assert!(matches!(error, MemoryStoreError::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains("statement_timeout"), "{error}");
    holder.rollback().await.unwrap();
    store.update(&memory(1, "does not wait")).await.unwrap();
    store.close().await;
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn an_exhausted_pool_is_unavailable_and_says_what_to_raise() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database
        .builder()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(2))
        .connect()
        .await
        .unwrap();
    store.insert(&memory(1, "locked")).await.unwrap();
    let pool = database.pool().await;
    let mut holder = pool.begin().await.unwrap();
    holder.execute("SELECT FROM knowledge_nodes FOR UPDATE").await.unwrap();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.update(&memory(1, "waits for the row")).await }
    });
    eventually("the wait for the row", || async {
        let waits =
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        pool.fetch_optional(waits).await.unwrap().is_some()
    })
    .await;
    let error = store.get(id(1)).await.expect_err("the only connection is in use");
    assert!(matches!(error, MemoryStoreError::Unavailable { retryable: true, .. }), "{error:?}");
    assert!(error.to_string().contains("max_connections"), "{error}");
    assert!(matches!(store.health_check().await.unwrap(), HealthStatus::Unavailable { .. }));
    holder.rollback().await.unwrap();
    waiting.await.unwrap().unwrap();
    store.get(id(1)).await.unwrap();
    store.close().await;
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_transaction_that_fails_to_begin_leaves_its_connection_usable() {
    let Some(database) = TestDatabase::new().await else { return };
    let builder = database.builder().max_connections(1).statement_timeout(Duration::from_secs(2));
    let store = builder.connect().await.unwrap();
    store.insert(&memory(1, "locked")).await.unwrap();
    let pool = database.pool().await;
    let mut holder = pool.begin().await.unwrap();
    holder.execute("LOCK TABLE knowledge_nodes IN ACCESS EXCLUSIVE MODE").await.unwrap();
    // Reads of several statements begin with a lock, which comes too late here.
    let error = store.get_neighbors(id(1), 1).await.expect_err("the table is locked");
    assert!(matches!(error, MemoryStoreError::Unavailable { .. }), "{error:?}");
    holder.rollback().await.unwrap();
    assert!(store.get_neighbors(id(1), 1).await.unwrap().is_empty());
    store.insert(&memory(2, "by the same connection")).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 2);
    store.close().await;
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_pool_of_one_connection_is_enough_for_every_refusal() {
    let Some(database) = TestDatabase::new().await else { return };
    let builder = database.builder().max_connections(1).acquire_timeout(Duration::from_secs(10));
    let store = builder.connect().await.unwrap();
    store.insert(&memory(1, "there")).await.unwrap();
    let again = store.insert(&memory(1, "again")).await.expect_err("it is there");
    assert!(matches!(again, MemoryStoreError::AlreadyExists { .. }), "{again:?}");
    let batch = store.insert_batch(&[memory(2, "new"), memory(1, "again")]).await.expect_err("one is there");
    assert!(matches!(batch, MemoryStoreError::AlreadyExists { .. }), "{batch:?}");
    let vector = store.insert(&embedded(3, "no model", &[1.0])).await.expect_err("there is no model");
    assert!(matches!(vector, MemoryStoreError::ModelNotRegistered), "{vector:?}");
    store.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_closed_store_is_unavailable() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.store().await;
    store.close().await;
    let error = store.count().await.expect_err("closed");
    assert!(matches!(error, MemoryStoreError::Unavailable { retryable: false, .. }), "{error:?}");
    database.drop().await;
}

#[tokio::test]
async fn a_role_that_may_only_read_is_told_so() {
    let Some(database) = TestDatabase::new().await else { return };
    let owner = database.store().await;
    owner.insert(&memory(1, "kept")).await.unwrap();
    let name = format!("{}_reader", database.name);
    let pool = database.pool().await;
    pool.execute(AssertSqlSafe(format!("CREATE ROLE {name} LOGIN PASSWORD 'p4ssw0rd'"))).await.unwrap();
    pool.execute(AssertSqlSafe(format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}")))
        .await
        .unwrap();
    let url = with_user(&database.url, &name, "p4ssw0rd");
    let reader = PgMemoryStore::connect(&url, 1).await.unwrap();
    assert_eq!(reader.search(&SearchQuery::text("kept")).await.unwrap().len(), 1);
    let error = reader.insert(&memory(2, "not allowed")).await.expect_err("may only read");
    assert!(error.to_string().contains("may not do this") && !error.is_retryable(), "{error}");
    reader.close().await;
    owner.close().await;
    pool.execute(AssertSqlSafe(format!("DROP OWNED BY {name}; DROP ROLE {name}"))).await.unwrap();
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn two_handles_with_different_models_cannot_both_write() {
    let Some(database) = TestDatabase::new().await else { return };
    let (first, second) = (database.store().await, database.store().await);
    first.register_model(&model()).await.unwrap();
    for other in [model_of_same_dimension(), smaller_model()] {
        let error = second.register_model(&other).await.expect_err("another model");
        assert!(matches!(error, MemoryStoreError::ModelMismatch { .. }), "{error:?}");
    }
    second.insert(&embedded(1, "by length alone", &[1.0, 0.0, 0.0, 0.0])).await.unwrap();
    first.close().await;
    second.close().await;
    database.drop().await;
}

#[tokio::test]
async fn dropped_futures_leave_no_half_written_batch_and_no_open_transaction() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.builder().max_connections(4).connect().await.unwrap();
    store.register_model(&model()).await.unwrap();
    store.insert(&memory(1, "reviewed")).await.unwrap();
    let batch = memories(100, 1099);
    for round in 0..40_u64 {
        let patience = Duration::from_micros(round * 700);
        let _ = tokio::time::timeout(patience, store.insert_batch(&batch)).await;
        let _ = tokio::time::timeout(patience, store.search(&SearchQuery::text("note number"))).await;
        let event = review(u128::from(round) + 1, 1, None, reviewed(now(), 3.0));
        let _ = tokio::time::timeout(patience, store.record_review(&event)).await;
        let count = store.count().await.unwrap();
        assert!(count == 1 || count == 1001, "{count}");
        if count == 1001 {
            for record in &batch {
                store.delete(record.id).await.unwrap();
            }
        }
    }
    assert!(store.get_reviews(id(1)).await.unwrap().len() <= 1);
    let pool = database.pool().await;
    eventually("the end of every transaction", || async {
        let open: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND state LIKE 'idle in transaction%'",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        open == 0
    })
    .await;
    store.close().await;
    pool.close().await;
    database.drop().await;
}

/// A transaction that a dropped future left open would swallow the next write on its connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_after_a_dropped_read_is_committed() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.builder().max_connections(1).connect().await.unwrap();
    let others = database.pool().await;
    for round in 0..300_u32 {
        let patience = Duration::from_micros(u64::from(round) * 5);
        let _ = tokio::time::timeout(patience, store.search(&SearchQuery::text("note"))).await;
        store.insert(&memory(u128::from(round) + 1, "acknowledged")).await.unwrap();
        let seen: i64 =
            sqlx::query_scalar("SELECT count(*) FROM knowledge_nodes").fetch_one(&others).await.unwrap();
        assert_eq!(seen, i64::from(round) + 1, "round {round}: acknowledged, and not committed");
    }
    store.close().await;
    others.close().await;
    database.drop().await;
}

#[tokio::test]
async fn nothing_that_people_see_holds_the_password() {
    let Some(database) = TestDatabase::new().await else { return };
    let name = format!("{}_secret", database.name);
    let pool = database.pool().await;
    pool.execute(AssertSqlSafe(format!("CREATE ROLE {name} LOGIN PASSWORD 's3cret-w0rd'"))).await.unwrap();
    pool.execute(AssertSqlSafe(format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}")))
        .await
        .unwrap();
    let url = with_user(&database.url, &name, "s3cret-w0rd");
    let builder = PgMemoryStore::builder(url.as_str());
    let mut seen = format!("{builder:?}");
    let store = builder.connect().await.unwrap();
    seen += &format!("{store:?}");
    seen += &format!("{:?}", store.diagnose().await.unwrap());
    seen += &format!("{:?}", store.insert(&memory(1, "x")).await);
    seen += &format!("{:?}", store.health_check().await);
    store.close().await;
    seen += &format!("{:?}", store.count().await);
    assert!(!seen.contains("s3cret"), "{seen}");
    pool.execute(AssertSqlSafe(format!("DROP OWNED BY {name}; DROP ROLE {name}"))).await.unwrap();
    pool.close().await;
    database.drop().await;
}

#[tokio::test]
async fn an_interrupted_index_build_is_found_and_mended() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.store().await;
    store.register_model(&model()).await.unwrap();
    store.insert(&embedded(1, "x", &[1.0, 0.0, 0.0, 0.0])).await.unwrap();
    let pool = database.pool().await;
    // What CREATE INDEX CONCURRENTLY leaves behind when it is interrupted.
    pool.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_knowledge_nodes_embedding_hnsw'::regclass",
    )
    .await
    .unwrap();
    assert!(matches!(store.health_check().await.unwrap(), HealthStatus::Degraded { .. }));
    let findings = store.diagnose().await.unwrap();
    let broken = findings.iter().find(|finding| finding.message.contains("invalid")).unwrap();
    assert!(broken.remedy.as_ref().unwrap().contains("rebuild"), "{broken:?}");
    store.finish_bulk_load().await.unwrap();
    assert_eq!(store.health_check().await.unwrap(), HealthStatus::Healthy);
    store.begin_bulk_load().await.unwrap();
    assert!(matches!(store.health_check().await.unwrap(), HealthStatus::Degraded { .. }));
    assert_eq!(store.search(&SearchQuery::embedding(vec![1.0, 0.0, 0.0, 0.0])).await.unwrap().len(), 1);
    store.rebuild_indexes().await.unwrap();
    assert_eq!(store.health_check().await.unwrap(), HealthStatus::Healthy);
    store.close().await;
    pool.close().await;
    database.drop().await;
}

/// Each kind of row, as psql may leave it: beside a sound one, which comes whole.
#[tokio::test]
async fn a_spoilt_row_of_any_kind_is_listed_by_the_export_and_stops_nothing() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.store().await;
    store.insert_batch(&memories(1, 6)).await.unwrap();
    let pool = database.pool().await;
    let (one, two, three) = (id(1), id(2), id(3));
    for spoil in [
        format!("UPDATE knowledge_nodes SET tags = ARRAY['fine', NULL] WHERE id = '{two}'"),
        format!("UPDATE knowledge_nodes SET domain_scores = '{{\"a\": \"high\"}}' WHERE id = '{three}'"),
        format!("UPDATE knowledge_nodes SET created_at = 'infinity' WHERE id = '{}'", id(4)),
        format!("INSERT INTO users (id, handle, metadata) VALUES ('{one}', 'odd', '{{\"n\": 1e400}}')"),
        format!("INSERT INTO groups (id, handle) VALUES ('{one}', 'fine')"),
        format!("INSERT INTO groups (id, handle, created_at) VALUES ('{two}', 'odd', '-infinity')"),
        "INSERT INTO group_memberships
         SELECT u.id, g.id, 'member', CASE g.handle WHEN 'odd' THEN '294000-1-1' ELSE now() END
         FROM users AS u, groups AS g WHERE u.handle = 'local'"
            .into(),
        "INSERT INTO domains (id, label, top_terms) VALUES ('fine', 'a', '{a}'), ('odd', 'b', '{NULL}')"
            .into(),
        format!(
            "INSERT INTO scheduling (memory_id, stability, difficulty, retrievability)
             VALUES ('{one}', 1, 5, 1), ('{two}', 'NaN', 5, 1)"
        ),
        format!(
            "INSERT INTO edges (source_id, target_id, weight)
             VALUES ('{one}', '{two}', 1), ('{one}', '{three}', 'NaN')"
        ),
        format!(
            "INSERT INTO review_events (id, memory_id, timestamp, rating, new_state)
             VALUES ('{one}', '{one}', now(), 'good', '{{}}'), ('{two}', '{one}', now(), 'good',
               '{{\"stability\": 1.0, \"difficulty\": 5.0, \"retrievability\": 1.0, \"last_review\": null,
                 \"next_review\": null, \"reps\": 1, \"lapses\": 0}}')"
        ),
    ] {
        pool.execute(AssertSqlSafe(spoil)).await.unwrap();
    }
    for kind in TransferKind::ALL {
        let (sound, spoilt) = if kind == TransferKind::Memory { (3, 3) } else { (1, 1) };
        let (mut rows, mut damaged, mut after) = (0, Vec::new(), None);
        // Pages of one row, so that a page ends at each spoilt row too.
        loop {
            let page = store.export_page(kind, after.as_ref(), 1).await.unwrap();
            rows += page.rows.len();
            damaged.extend(page.damaged);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((rows, damaged.len()), (sound, spoilt), "{kind}: {damaged:?}");
        assert!(damaged.iter().all(|issue| issue.kind() == kind && !issue.reason.is_empty()), "{damaged:?}");
        let whole = store.export_page(kind, None, 10).await.unwrap();
        assert_eq!((whole.rows.len(), whole.damaged), (sound, damaged), "{kind}");
    }
    store.close().await;
    pool.close().await;
    database.drop().await;
}

/// A copy's target decides what breaks a rule, and says so with the row.
#[tokio::test]
async fn a_row_that_breaks_a_rule_and_can_be_read_is_exported() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.store().await;
    store.insert(&memory(1, "sound")).await.unwrap();
    let pool = database.pool().await;
    pool.execute("UPDATE knowledge_nodes SET content = '  '").await.unwrap();
    let page = store.export_page(TransferKind::Memory, None, 10).await.unwrap();
    assert_eq!((page.rows.len(), page.damaged.len()), (1, 0), "{:?}", page.damaged);
    let report = store.import_page(&page.rows, None).await.unwrap();
    assert_eq!(report.rejected.len(), 1, "{report:?}");
    store.close().await;
    pool.close().await;
    database.drop().await;
}

/// A trigger stands for somebody who adds the row at every attempt; a sequence counts them, since nothing
/// rolls it back.
#[tokio::test]
async fn a_page_is_tried_five_times_and_then_worth_another_call() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.store().await;
    let pool = database.pool().await;
    for (succeeds, tried) in [(6, 5), (5, 5), (2, 2)] {
        pool.execute(AssertSqlSafe(format!(
            "CREATE SEQUENCE attempts;
             CREATE FUNCTION outrun() RETURNS trigger LANGUAGE plpgsql AS
             $$BEGIN
               IF nextval('attempts') < {succeeds} THEN
                 RAISE EXCEPTION 'added by somebody else' USING ERRCODE = 'unique_violation';
               END IF;
               RETURN new;
             END$$;
             CREATE TRIGGER outrun BEFORE INSERT ON review_events FOR EACH ROW EXECUTE FUNCTION outrun()"
        )))
        .await
        .unwrap();
        let event = review(succeeds, 1, None, reviewed(now(), 1.0));
        match store.import_page(&[TransferRow::ReviewEvent(event)], None).await {
            Ok(report) => assert!(succeeds <= 5 && report.inserted == 1, "{report:?}"),
            Err(error) => {
                assert_eq!(succeeds, 6, "{error:?}");
                assert!(matches!(error, MemoryStoreError::Unavailable { .. }), "{error:?}");
                assert!(error.is_retryable() && error.source().is_some(), "{error:?}");
            }
        }
        let attempts = sqlx::query_scalar::<_, i64>("SELECT last_value FROM attempts");
        assert_eq!(attempts.fetch_one(&pool).await.unwrap(), tried);
        pool.execute("DROP TRIGGER outrun ON review_events; DROP FUNCTION outrun(); DROP SEQUENCE attempts")
            .await
            .unwrap();
    }
    store.close().await;
    pool.close().await;
    database.drop().await;
}

/// A tablespace on a file system that is soon full, where the environment names a folder on it.
/// A text that takes its own length on a disk, and is short enough to be one passage.
fn incompressible(n: u128) -> String {
    let random =
        |k: u128| uuid::Uuid::from_u128((n * 64 + k).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    (1..40).map(|k| random(k).to_string()).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_full_disk_is_unavailable_and_the_store_goes_on_when_there_is_room() {
    let Ok(folder) = std::env::var("VESTIGE_TEST_PG_SMALL_DISK") else {
        eprintln!("SKIPPED: VESTIGE_TEST_PG_SMALL_DISK is not set: no small file system on the server");
        return;
    };
    let Some(database) = TestDatabase::new().await else { return };
    let space = format!("{}_small", database.name);
    let mut admin = database.admin().await;
    // A folder of the server's own user, made by that user.
    let make = format!("COPY (SELECT 1) TO PROGRAM 'mkdir {folder}/{space}'");
    admin.execute(AssertSqlSafe(make)).await.unwrap();
    let create = format!("CREATE TABLESPACE {space} LOCATION '{folder}/{space}'");
    admin.execute(AssertSqlSafe(create)).await.unwrap();
    let store = database.store().await;
    let pool = database.pool().await;
    pool.execute(AssertSqlSafe(format!("ALTER TABLE knowledge_nodes SET TABLESPACE {space}"))).await.unwrap();
    let mut first = 1;
    let error = loop {
        let batch: Vec<_> = (first..first + 100).map(|n| memory(n, incompressible(n))).collect();
        match store.insert_batch(&batch).await {
            Ok(()) => first += 100,
            Err(error) => break error,
        }
        assert!(first < 100_000, "the disk does not fill up");
    };
    assert!(matches!(error, MemoryStoreError::Unavailable { retryable: false, .. }), "{error:?}");
    assert!(error.to_string().contains("disk is full"), "{error}");
    assert_eq!(
        u128::from(store.count().await.unwrap()),
        first - 1,
        "whole batches, and every acknowledged one"
    );
    pool.execute("ALTER TABLE knowledge_nodes SET TABLESPACE pg_default").await.unwrap();
    store.insert(&memory(1_000_000, "there is room again")).await.unwrap();
    store.close().await;
    pool.close().await;
    database.drop().await;
    admin.execute(AssertSqlSafe(format!("DROP TABLESPACE {space}"))).await.unwrap();
    // A server that is killed later must not look for the folder when it recovers: a restart may have emptied
    // it.
    admin.execute("CHECKPOINT").await.unwrap();
    admin
        .execute(AssertSqlSafe(format!("COPY (SELECT 1) TO PROGRAM 'rmdir {folder}/{space}'")))
        .await
        .unwrap();
}
