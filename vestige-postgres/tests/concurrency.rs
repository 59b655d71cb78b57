//! Many at once: nothing is lost, no deadlock comes to the surface, totals are exact.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::{TestDatabase, eventually};
use sqlx::{AssertSqlSafe, Executor};
use tokio::task::JoinSet;
use vestige_conformance::fixtures::{embedded, id, memory, model, now, review, reviewed, smaller_model};
use vestige_traits::reembed::ReembeddedMemory;
use vestige_traits::stats::Severity;
use vestige_traits::transfer::TransferKind;
use vestige_traits::{MemoryEdge, MemoryStore, MemoryStoreError, SearchQuery};

const WRITERS: u128 = 16;
const EACH: u128 = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_writers_eight_searchers_and_four_reviewers_lose_nothing() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database
        .builder()
        .max_connections(28)
        .acquire_timeout(Duration::from_secs(120))
        .connect()
        .await
        .unwrap();
    store.register_model(&model()).await.unwrap();
    store.insert_batch(&(1..=4).map(|n| memory(n, "to be reviewed")).collect::<Vec<_>>()).await.unwrap();
    let writing = Arc::new(AtomicBool::new(true));
    let searches = Arc::new(AtomicU64::new(0));

    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let record = |n: u128| {
                    let vector = [1.0, n as f32, writer as f32, 0.5];
                    embedded(1000 + writer * EACH + n, format!("note {n} by writer number {writer}"), &vector)
                };
                // Some one by one, the rest in batches; every tenth is changed, linked and taken away again.
                for n in 0..EACH / 2 {
                    store.insert(&record(n)).await.unwrap();
                }
                let rest: Vec<_> = (EACH / 2..EACH).map(record).collect();
                for batch in rest.chunks(25) {
                    store.insert_batch(batch).await.unwrap();
                }
                for n in (0..EACH).step_by(10) {
                    let mut changed = record(n);
                    changed.content += " (changed)";
                    store.update(&changed).await.unwrap();
                    store.add_edge(&MemoryEdge::new(changed.id, id(1), now())).await.unwrap();
                    let extra = memory(1_000_000 + writer * EACH + n, "short lived");
                    store.insert(&extra).await.unwrap();
                    store.delete(extra.id).await.unwrap();
                }
            })
        })
        .collect();
    let searchers: Vec<_> = (0..8)
        .map(|searcher| {
            let (store, writing, searches) = (store.clone(), Arc::clone(&writing), Arc::clone(&searches));
            tokio::spawn(async move {
                while writing.load(Ordering::Relaxed) {
                    let query =
                        SearchQuery::hybrid(format!("note by writer {searcher}"), vec![1.0, 2.0, 3.0, 0.5]);
                    let results = store.search(&query).await.unwrap();
                    assert!(results.len() <= 10 && results.is_sorted_by(|a, b| a.score >= b.score));
                    searches.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let reviewers: Vec<_> = (0..4_u128)
        .map(|reviewer| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut recorded = 0;
                for n in 0..25 {
                    // All review the same four memories, so they get into each other's way.
                    let target = n % 4 + 1;
                    let prior = store.get_scheduling(id(target)).await.unwrap();
                    let mut new = reviewed(now(), 1.0 + n as f64);
                    new.reps = prior.map_or(1, |state| state.reps + 1);
                    let event = review(reviewer * 100 + n + 1, target, prior, new);
                    match store.record_review(&event).await {
                        Ok(()) => recorded += 1,
                        Err(MemoryStoreError::Conflict { .. }) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
                recorded
            })
        })
        .collect();

    for writer in writers {
        writer.await.unwrap();
    }
    writing.store(false, Ordering::Relaxed);
    for searcher in searchers {
        searcher.await.unwrap();
    }
    let mut recorded = 0;
    for reviewer in reviewers {
        recorded += reviewer.await.unwrap();
    }

    assert!(searches.load(Ordering::Relaxed) > 0);
    let stats = store.get_stats().await.unwrap();
    assert_eq!(u128::from(stats.memories), WRITERS * EACH + 4);
    assert_eq!(u128::from(stats.embedded), WRITERS * EACH);
    assert_eq!(u128::from(stats.edges), WRITERS * EACH / 10);
    assert_eq!(stats.review_events, recorded);
    let mut repetitions = 0;
    for n in 1..=4 {
        let reviews = store.get_reviews(id(n)).await.unwrap();
        let state = store.get_scheduling(id(n)).await.unwrap();
        assert_eq!(
            state.map_or(0, |state| state.reps) as usize,
            reviews.len(),
            "each review built on the last"
        );
        repetitions += reviews.len() as u64;
    }
    assert_eq!(repetitions, recorded);
    for finding in store.diagnose().await.unwrap() {
        assert!(finding.severity < vestige_traits::stats::Severity::Error, "{finding:?}");
    }
    store.vacuum().await.unwrap();
    let folded =
        store.diagnose().await.unwrap().into_iter().find(|finding| finding.subject == "keyword index");
    assert_eq!(folded.unwrap().severity, vestige_traits::stats::Severity::Ok);
    store.close().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_is_re_embedded_while_it_is_written_and_searched() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database
        .builder()
        .max_connections(12)
        .acquire_timeout(Duration::from_secs(60))
        .connect()
        .await
        .unwrap();
    store.register_model(&model()).await.unwrap();
    let first: Vec<_> =
        (1..=2000).map(|n| embedded(n, format!("memory {n}"), &[1.0, n as f32, 0.0, 0.0])).collect();
    store.insert_batch(&first).await.unwrap();
    store.add_edge(&MemoryEdge::new(id(1), id(2), now())).await.unwrap();
    let working = Arc::new(AtomicBool::new(true));

    // A writer that is bound to no model, and a searcher by words: both go on through the switch.
    let writer = tokio::spawn({
        let (store, working) = (database.builder().connect().await.unwrap(), Arc::clone(&working));
        async move {
            let mut written = 0_u128;
            while working.load(Ordering::Relaxed) {
                written += 1;
                store.insert(&memory(10_000 + written, format!("meanwhile {written}"))).await.unwrap();
                if written.is_multiple_of(5) {
                    let mut changed = store.get(id(written % 2000 + 1)).await.unwrap().unwrap();
                    changed.content += " changed";
                    changed.embedding = None;
                    store.update(&changed).await.unwrap();
                }
                if written.is_multiple_of(7) {
                    store.delete(id(10_000 + written)).await.unwrap();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            written
        }
    });
    let searcher = tokio::spawn({
        let (store, working) = (database.builder().connect().await.unwrap(), Arc::clone(&working));
        async move {
            while working.load(Ordering::Relaxed) {
                let results = store.search(&SearchQuery::text("memory meanwhile")).await.unwrap();
                assert_eq!(results.len(), 10);
            }
        }
    });
    // A process of the old model: right results until the switch, a mismatch after it, never a mixture.
    let old = database.builder().connect().await.unwrap();
    old.register_model(&model()).await.unwrap();
    let old_searcher = tokio::spawn({
        async move {
            loop {
                match old.search(&SearchQuery::embedding(vec![1.0, 1.0, 0.0, 0.0])).await {
                    Ok(results) => {
                        assert_eq!(results.len(), 10);
                        assert!(
                            results.iter().all(|found| found.record.embedding.as_ref().unwrap().len() == 4)
                        );
                    }
                    Err(MemoryStoreError::ModelMismatch { registered, .. }) => {
                        assert_eq!(*registered, smaller_model());
                        return;
                    }
                    Err(error) => panic!("{error:?}"),
                }
            }
        }
    });

    store.begin_reembedding(&smaller_model()).await.unwrap();
    let vector = |content: &str| vec![1.0, content.len() as f32, 2.0];
    let mut rounds = 0;
    loop {
        loop {
            let pending = store.reembedding_pending(None, 300).await.unwrap();
            if pending.is_empty() {
                break;
            }
            let vectors: Vec<_> = pending
                .into_iter()
                .map(|memory| ReembeddedMemory {
                    id: memory.id,
                    updated_at: memory.updated_at,
                    embedding: Some(vector(&memory.content)),
                })
                .collect();
            store.write_reembedded(&vectors).await.unwrap();
        }
        match store.finish_reembedding().await {
            Ok(()) => break,
            Err(MemoryStoreError::Conflict { .. }) => rounds += 1,
            Err(error) => panic!("{error:?}"),
        }
        assert!(rounds < 200, "the switch never comes");
    }
    // The handle of the old model is told; the others go on for a while.
    tokio::time::timeout(Duration::from_secs(120), old_searcher).await.expect("it is told").unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    working.store(false, Ordering::Relaxed);
    let written = writer.await.unwrap();
    searcher.await.unwrap();

    assert_eq!(store.registered_model().await.unwrap(), Some(smaller_model()));
    assert_eq!(store.reembedding_status().await.unwrap(), None);
    assert_eq!(u128::from(store.count().await.unwrap()), 2000 + written - written / 7);
    let mut after = None;
    let mut embedded_memories = 0;
    loop {
        let page = store.export_page(TransferKind::Memory, after.as_ref(), 500).await.unwrap();
        for row in &page.rows {
            let vestige_traits::transfer::TransferRow::Memory(record) = row else { panic!("{row:?}") };
            if let Some(embedding) = &record.embedding {
                assert_eq!(*embedding, vector(&record.content), "the vector of this very text");
                embedded_memories += 1;
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert!(embedded_memories >= 2000, "{embedded_memories}");
    assert_eq!(store.get_edges(id(1)).await.unwrap().len(), 1);
    assert_eq!(store.get_neighbors(id(1), 1).await.unwrap().len(), 1);
    for finding in store.diagnose().await.unwrap() {
        assert!(finding.severity < vestige_traits::stats::Severity::Error, "{finding:?}");
        assert_ne!(finding.subject, "re-embedding");
        assert!(
            finding.subject != "constraints" || finding.severity == vestige_traits::stats::Severity::Ok,
            "{finding:?}"
        );
    }
    // The tables refer to each other as before.
    store.delete(id(2)).await.unwrap();
    assert!(store.get_edges(id(1)).await.unwrap().is_empty());
    let results = store.search(&SearchQuery::embedding(vec![1.0, 8.0, 2.0])).await.unwrap();
    assert_eq!(results.len(), 10);
    store.close().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_review_and_a_new_schedule_at_once_lose_neither() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.builder().max_connections(8).connect().await.unwrap();
    for n in 1..=200 {
        store.insert(&memory(n, "to be reviewed")).await.unwrap();
        let prior = (n % 2 == 0).then(|| reviewed(now(), 1.0));
        if let Some(prior) = &prior {
            store.update_scheduling(id(n), prior).await.unwrap();
        }
        let (event, other) = (review(n, n, prior, reviewed(now(), 2.0)), reviewed(now(), 3.0));
        let (reviewed, scheduled) =
            tokio::join!(store.record_review(&event), store.update_scheduling(id(n), &other));
        scheduled.unwrap();
        // The schedule comes last, or the review finds it there.
        assert_eq!(store.get_scheduling(id(n)).await.unwrap(), Some(other), "{reviewed:?}");
    }
    store.close().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn indexes_built_by_many_at_once_are_built_once() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.builder().max_connections(8).connect().await.unwrap();
    store.register_model(&model()).await.unwrap();
    let records: Vec<_> = (1..=500).map(|n| embedded(n, "memory", &[1.0, n as f32, 0.0, 0.0])).collect();
    store.insert_batch(&records).await.unwrap();
    for _ in 0..5 {
        store.begin_bulk_load().await.unwrap();
        let built = tokio::join!(
            store.finish_bulk_load(),
            store.finish_bulk_load(),
            store.finish_bulk_load(),
            store.finish_bulk_load()
        );
        for built in [built.0, built.1, built.2, built.3] {
            built.unwrap();
        }
        let rebuilt = tokio::join!(store.rebuild_indexes(), store.rebuild_indexes(), store.vacuum());
        for rebuilt in [rebuilt.0, rebuilt.1, rebuilt.2] {
            rebuilt.unwrap();
        }
    }
    let findings = store.diagnose().await.unwrap();
    assert!(findings.iter().all(|finding| finding.severity != Severity::Error), "{findings:?}");
    let counts = findings.iter().find(|finding| finding.subject == "keyword index").unwrap();
    assert_eq!(counts.message, "500 memories, 1000 terms");
    store.close().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_inserts_unless_changed_one_wins_whatever_isolation_is_the_default() {
    let Some(database) = TestDatabase::new().await else { return };
    let name = database.url.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
    let set = format!("ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'");
    database.admin().await.execute(AssertSqlSafe(set)).await.unwrap();
    let store = database.builder().max_connections(8).connect().await.unwrap();
    for round in 0..10 {
        let token = store.change_token().await.unwrap();
        let mut inserts = JoinSet::new();
        for n in 0..8 {
            let store = store.clone();
            inserts.spawn(async move {
                store.insert_batch_unless_changed(&[memory(8 * round + n, "a heron")], token).await
            });
        }
        let answers = inserts.join_all().await;
        let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
        let conflicts = refused.filter(|error| matches!(error, MemoryStoreError::Conflict { .. })).count();
        assert_eq!((conflicts, store.count().await.unwrap()), (7, round as u64 + 1), "{answers:?}");
    }
    database.drop().await;
}

#[tokio::test]
async fn one_unless_changed_and_a_rebuild_of_the_indexes_wait_for_each_other_in_one_order() {
    let Some(database) = TestDatabase::new().await else { return };
    let (store, pool) = (database.store().await, database.pool().await);
    let token = store.change_token().await.unwrap();
    // The locks of `rebuild_indexes`, which works for long between the two.
    let mut rebuild = pool.begin().await.unwrap();
    rebuild.execute("SET LOCAL lock_timeout = '5s'").await.unwrap();
    rebuild.execute("LOCK TABLE knowledge_nodes IN SHARE ROW EXCLUSIVE MODE").await.unwrap();
    let (inserted, ()) = tokio::join!(
        async { store.insert_batch_unless_changed(&[memory(1, "a heron")], token).await },
        async {
            eventually("the insert waits", || async {
                sqlx::query_scalar::<_, bool>(
                    "SELECT EXISTS (SELECT FROM pg_locks
                                    WHERE NOT granted AND relation = 'knowledge_nodes'::regclass)",
                )
                .fetch_one(&pool)
                .await
                .unwrap()
            })
            .await;
            rebuild.execute("LOCK TABLE keyword_totals IN SHARE ROW EXCLUSIVE MODE").await.unwrap();
            rebuild.commit().await.unwrap();
        }
    );
    inserted.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_does_not_wait_for_one_unless_changed_and_that_waits_for_its_like() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.builder().lock_timeout(Duration::from_secs(1)).connect().await.unwrap();
    store.insert(&memory(1, "a heron")).await.unwrap();
    let token = store.change_token().await.unwrap();
    let pool = database.pool().await;
    let mut like_it = pool.begin().await.unwrap();
    let lock = "LOCK TABLE keyword_totals IN SHARE UPDATE EXCLUSIVE MODE";
    like_it.execute(lock).await.unwrap();
    let error = store.insert_batch_unless_changed(&[memory(2, "a plover")], token).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    store.insert(&memory(3, "an avocet")).await.unwrap();
    store.insert_batch(&[memory(4, "an egret")]).await.unwrap();
    store.update(&memory(4, "two egrets")).await.unwrap();
    store.delete(id(1)).await.unwrap();
    like_it.commit().await.unwrap();
    let token = store.change_token().await.unwrap();
    store.insert_batch_unless_changed(&[memory(2, "a plover")], token).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 3);
    database.drop().await;
}
