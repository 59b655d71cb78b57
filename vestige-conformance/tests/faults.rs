//! The fault-injecting store does what it says, and the random sequences notice it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use vestige_conformance::sequences::{SequenceConfig, find_disagreement};
use vestige_conformance::{
    Fault, FaultRule, FaultStore, HashEmbedder, InjectedFault, ReferenceStore, StoreFactory, fixtures,
};
use vestige_traits::clock::{Clock, SystemClock};
use vestige_traits::{AnyEmbedder, AnyMemoryStore, Embedder, MemoryStore, MemoryStoreError};

fn store(rule: FaultRule) -> FaultStore<ReferenceStore> {
    FaultStore::new(ReferenceStore::new(Arc::new(SystemClock)), 7).rule(rule)
}

#[tokio::test]
async fn a_call_that_fails_before_the_commit_changes_nothing() {
    let store = store(FaultRule::always(Fault::Before).on("insert"));
    let error = store.insert(&fixtures::memory(1, "x")).await.unwrap_err();
    assert!(
        matches!(&error, MemoryStoreError::Unavailable { reason, .. } if reason.contains("before insert"))
    );
    assert!(error.is_retryable());
    assert_eq!(store.count().await.unwrap(), 0);
}

#[tokio::test]
async fn a_call_that_fails_after_the_commit_is_done() {
    let store = store(FaultRule::always(Fault::After).on("insert"));
    assert!(store.insert(&fixtures::memory(1, "x")).await.is_err());
    assert_eq!(store.count().await.unwrap(), 1);
    let again = store.insert(&fixtures::memory(1, "x")).await;
    assert!(
        matches!(again, Err(MemoryStoreError::AlreadyExists { .. })),
        "the store's own errors come through"
    );
}

#[tokio::test]
async fn latency_delays_the_call_and_changes_no_answer() {
    let store = store(FaultRule::always(Fault::Latency(Duration::from_millis(30))).on("count"));
    let begun = Instant::now();
    assert_eq!(store.count().await.unwrap(), 0);
    assert!(begun.elapsed() >= Duration::from_millis(30));
}

#[tokio::test]
async fn the_same_seed_gives_the_same_faults() {
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let store = FaultStore::new(ReferenceStore::new(Arc::new(SystemClock)), seed)
            .rule(FaultRule::always(Fault::Before).probability(0.3));
        let mut failed = Vec::new();
        for _ in 0..200 {
            failed.push(store.count().await.is_err());
        }
        let hits = failed.iter().filter(|failed| **failed).count();
        assert!((30..=90).contains(&hits), "{hits} of 200 at 0.3");
        assert_eq!(store.injected().len(), hits);
        runs.push(failed);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn rules_can_be_replaced_and_what_was_injected_is_known() {
    let store = store(FaultRule::always(Fault::Before));
    assert!(store.health_check().await.is_err());
    store.set_rules(Vec::new());
    store.health_check().await.unwrap();
    assert_eq!(store.injected(), [InjectedFault { operation: "health_check", fault: Fault::Before }]);
    assert_eq!(store.inner().count().await.unwrap(), 0);
}

#[test]
#[should_panic(expected = "no operation \"insrt\"")]
fn a_rule_on_an_unknown_operation_is_a_mistake() {
    let _ = FaultRule::always(Fault::Before).on("insrt");
}

#[tokio::test]
async fn a_faulty_store_can_be_erased() {
    let store = AnyMemoryStore::new(store(FaultRule::always(Fault::Before).on("count")));
    assert!(store.count().await.is_err());
    assert!(store.get(fixtures::id(1)).await.unwrap().is_none());
}

struct Faulty(&'static str);

impl StoreFactory for Faulty {
    type Store = FaultStore<ReferenceStore>;
    type Home = ReferenceStore;

    async fn new_home(&self, clock: Arc<dyn Clock>) -> ReferenceStore {
        ReferenceStore::new(clock)
    }

    async fn open(&self, home: &ReferenceStore, _clock: Arc<dyn Clock>) -> FaultStore<ReferenceStore> {
        FaultStore::new(home.another_handle(), 0).rule(FaultRule::always(Fault::After).on(self.0))
    }
}

/// Every operation that a sequence has is compared: a store that fails in one of them is told apart, and
/// the sequence that shows it is cut down to a few steps.
#[tokio::test]
async fn random_sequences_tell_a_faulty_store_apart() {
    for operation in [
        "insert",
        "insert_batch",
        "update",
        "delete",
        "register_model",
        "update_scheduling",
        "record_review",
        "add_edge",
        "remove_edge",
        "upsert_domain",
        "delete_domain",
        "import_page",
        "begin_reembedding",
        "write_reembedded",
        "finish_reembedding",
        "search",
        "list",
        "get_due_memories",
        "get_neighbors",
        "classify",
        "export_page",
        "get_stats",
    ] {
        let config = SequenceConfig { cases: 256, operations: 40, seed: 1, shrinks: 100 };
        let found = find_disagreement(&Faulty(operation), &config).await.expect(operation);
        assert!(found.operations.len() <= 8, "{operation} in {} steps: {found}", found.operations.len());
        assert!(found.to_string().contains("VESTIGE_PROPTEST_SEED="), "{found}");
    }
}

#[tokio::test]
async fn the_hash_embedder_has_no_vector_for_a_text_without_a_word() {
    let embedder = AnyEmbedder::new(HashEmbedder::new(32, 1));
    assert!(embedder.embed_documents(&[]).await.unwrap().is_empty());
    let documents = embedder.embed_documents(&["a red lamp", "?!"]).await.unwrap();
    assert_eq!(documents, [embedder.embed_query("a red lamp").await.unwrap(), None]);
    assert_eq!(documents[0].as_ref().map(Vec::len), Some(embedder.signature().dimension));
    assert_eq!(embedder.embed_query("?!").await.unwrap(), None);
}
