use std::collections::BTreeMap;

use chrono::TimeDelta;
use vestige_traits::stats::{HealthStatus, Severity};
use vestige_traits::{MemoryStore, SearchQuery};

use crate::fixtures::*;
use crate::{StoreFactory, TestBed};

pub async fn a_new_store_is_empty_and_healthy(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    assert_eq!(store.health_check().await.unwrap(), HealthStatus::Healthy);
    assert_eq!(store.count().await.unwrap(), 0);
    let stats = store.get_stats().await.unwrap();
    assert!(!stats.backend.is_empty());
    assert_eq!((stats.memories, stats.embedded, stats.scheduled, stats.due), (0, 0, 0, 0));
    assert_eq!((stats.edges, stats.review_events, stats.domains), (0, 0, 0));
    assert_eq!((stats.users, stats.groups), (1, 0), "the local user is there from the start");
    assert_eq!((stats.model, stats.oldest, stats.newest), (None, None, None));
}

pub async fn init_again_changes_nothing(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.register_model(&model()).await.unwrap();
    store.insert(&embedded(1, "kept", &[1.0, 0.0, 0.0, 0.0])).await.unwrap();
    store.init().await.unwrap();
    assert_eq!(store.count().await.unwrap(), 1);
    assert_eq!(store.registered_model().await.unwrap(), Some(model()));
}

pub async fn count_follows_inserts_and_deletes(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.insert_batch(&memories(1, 5)).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 5);
    store.delete(id(2)).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 4);
}

pub async fn stats_count_everything_by_kind(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.register_model(&model()).await.unwrap();
    let mut first = embedded(1, "one", &[1.0, 0.0, 0.0, 0.0]);
    first.node_type = "fact".to_owned();
    first.codebase = Some("atlas".to_owned());
    let mut second = memory(2, "two");
    second.node_type = "fact".to_owned();
    let mut third = memory(3, "three");
    third.codebase = Some("Atlas".to_owned());
    store.insert_batch(&[first.clone(), second, third.clone()]).await.unwrap();
    store.add_edge(&edge(1, 2, 0.5)).await.unwrap();
    store.upsert_domain(&domain("builds")).await.unwrap();
    store.record_review(&review(1, 1, None, reviewed(now(), 3.0))).await.unwrap();
    store.update_scheduling(id(2), &reviewed(now() + TimeDelta::days(9), 3.0)).await.unwrap();

    bed.clock.set(now() + TimeDelta::days(1));
    let stats = store.get_stats().await.unwrap();
    assert_eq!((stats.memories, stats.embedded), (3, 1));
    assert_eq!(stats.by_type, BTreeMap::from([("fact".to_owned(), 2), ("general".to_owned(), 1)]));
    assert_eq!(stats.by_codebase, BTreeMap::from([("atlas".to_owned(), 1), ("Atlas".to_owned(), 1)]));
    assert_eq!((stats.scheduled, stats.due), (2, 1), "a review is due at its very time");
    assert_eq!((stats.edges, stats.review_events, stats.domains), (1, 1, 1));
    assert_eq!(stats.model, Some(model()));
    assert_eq!((stats.oldest, stats.newest), (Some(first.created_at), Some(third.created_at)));
}

pub async fn vacuum_and_rebuilding_keep_every_answer(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.register_model(&model()).await.unwrap();
    for n in 1..=20 {
        let content = format!("pump {n} leaks oil");
        store.insert(&embedded(n, content, &[n as f32, 1.0, 0.0, 2.0])).await.unwrap();
    }
    for n in (1..=20).step_by(3) {
        store.delete(id(n)).await.unwrap();
    }
    let query = SearchQuery::hybrid("leaking pump 8", vec![3.0, 1.0, 0.0, 0.0]).limit(50);
    let before = store.search(&query).await.unwrap();
    assert_eq!(before.len(), 13);
    store.vacuum().await.unwrap();
    assert_eq!(store.search(&query).await.unwrap(), before);
    store.rebuild_indexes().await.unwrap();
    assert_eq!(store.search(&query).await.unwrap(), before);
    assert_eq!(store.count().await.unwrap(), 13);
}

pub async fn diagnosis_of_a_sound_store_finds_nothing_broken(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.register_model(&model()).await.unwrap();
    store.insert(&embedded(1, "sound", &[1.0, 0.0, 0.0, 0.0])).await.unwrap();
    let findings = store.diagnose().await.unwrap();
    assert!(!findings.is_empty(), "what is in order is reported too");
    for finding in &findings {
        assert!(finding.severity < Severity::Error, "{finding:?}");
        assert!(!finding.subject.is_empty() && !finding.message.is_empty(), "{finding:?}");
        assert!(!finding.message.contains('\n'), "one line: {finding:?}");
    }
    assert_eq!(store.count().await.unwrap(), 1);
}
