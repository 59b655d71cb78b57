//! An edit keeps what others change meanwhile, whatever fails.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use support::{Fault, FaultRule, FaultStore, Recording, ReferenceStore, embedder, reference, with_clock};
use tokio::task::JoinSet;
use uuid::Uuid;
use vestige_memory::{Memory, MemoryError, NoEmbedder, add_tags};
use vestige_traits::clock::SystemClock;
use vestige_traits::{MemoryStore, MemoryStoreError};

over_each_store! {
    new_content_gets_a_new_vector_and_nothing_else_does,
    an_edit_that_changes_nothing_writes_nothing,
    what_an_edit_may_not_set_is_ignored,
    an_edit_that_fails_writes_nothing,
    edits_at_the_same_moment_all_stay,
    a_change_meanwhile_stays_and_the_edit_is_done_anew,
}

async fn new_content_gets_a_new_vector_and_nothing_else_does<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, Recording::new());
    let before = memory.remember("a red lamp").await.unwrap().record;
    let tagged = memory.edit(before.id, |record| record.tags.push("light".into())).await.unwrap();
    assert_eq!(tagged.record.embedding, before.embedding);
    let edited = memory.edit(before.id, |record| record.content = "a blue mast".into()).await.unwrap().record;
    assert_eq!(*memory.embedder().documents.lock().unwrap(), ["a red lamp", "a blue mast"]);
    assert!(edited.embedding != before.embedding && edited.updated_at > tagged.record.updated_at);
    assert_eq!(memory.get(before.id).await.unwrap(), Some(edited));
    let mute = memory.edit(before.id, |record| record.content = "🎉".into()).await.unwrap();
    assert!(mute.changed && mute.record.embedding.is_none());
}

async fn an_edit_that_changes_nothing_writes_nothing<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, embedder());
    let before = memory.remember("a red lamp").await.unwrap().record;
    let same = memory.edit(before.id, |record| add_tags(&mut record.tags, &[])).await.unwrap();
    assert!(!same.changed);
    assert_eq!(same.record, before);
    assert_eq!(memory.get(before.id).await.unwrap(), Some(before));
}

async fn what_an_edit_may_not_set_is_ignored<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, embedder());
    let before = memory.remember("a red lamp").await.unwrap().record;
    let edited = memory
        .edit(before.id, |record| {
            record.id = Uuid::from_u128(7);
            record.updated_at = support::start();
        })
        .await
        .unwrap();
    assert!(!edited.changed && edited.record == before);
}

async fn an_edit_that_fails_writes_nothing<S: MemoryStore + Sync>(store: S) {
    #[derive(Debug)]
    enum Refused {
        ByTheCaller,
        ByTheMemory(MemoryError),
    }
    impl From<MemoryError> for Refused {
        fn from(error: MemoryError) -> Self {
            Self::ByTheMemory(error)
        }
    }
    let memory = Memory::new(store, embedder());
    let before = memory.remember("a red lamp").await.unwrap().record;
    let refused = memory
        .try_edit(before.id, |record| {
            record.content.clear();
            Err(Refused::ByTheCaller)
        })
        .await;
    assert!(matches!(refused, Err(Refused::ByTheCaller)));
    let refused: Result<_, Refused> = memory
        .try_edit(before.id, |record| {
            record.content.clear();
            Ok(())
        })
        .await;
    let Err(Refused::ByTheMemory(error)) = refused else { panic!("an empty text is refused") };
    assert!(matches!(error.store_error(), Some(MemoryStoreError::InvalidInput { .. })));
    assert_eq!(memory.get(before.id).await.unwrap(), Some(before));

    let missing = memory.edit(Uuid::from_u128(7), |_| ()).await.unwrap_err();
    assert!(matches!(missing.store_error(), Some(MemoryStoreError::NotFound { .. })), "{missing}");
}

async fn edits_at_the_same_moment_all_stay<S: MemoryStore + Send + Sync + 'static>(store: S) {
    let memory = Memory::new(store, embedder());
    let id = memory.remember("start").await.unwrap().record.id;
    let mut edits = JoinSet::new();
    for n in 0..24 {
        let memory = memory.clone();
        edits.spawn(async move {
            let edited =
                memory.edit(id, |record| record.content.push_str(&format!(" and{n}"))).await.unwrap();
            assert!(edited.changed);
        });
    }
    edits.join_all().await;
    let record = memory.get(id).await.unwrap().unwrap();
    let words: Vec<_> = record.content.split(' ').collect();
    assert_eq!(words.len(), 25, "{words:?}");
    // The vector is that of the text, whoever came last.
    let expected = vestige_traits::Embedder::embed_documents(&embedder(), &[&record.content]).await.unwrap();
    assert_eq!(record.embedding, expected.into_iter().next().flatten());
}

async fn a_change_meanwhile_stays_and_the_edit_is_done_anew<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, NoEmbedder);
    let id = memory.remember("start").await.unwrap().record.id;
    let mut calls = 0;
    let edited = memory
        .edit(id, |record| {
            calls += 1;
            if calls == 1 {
                // Somebody else is faster.
                tokio::task::block_in_place(|| {
                    tokio::runtime::Handle::current().block_on(async {
                        memory.edit(id, |other| other.tags.push("theirs".into())).await.unwrap();
                    });
                });
            }
            record.tags.push("ours".into());
        })
        .await
        .unwrap();
    assert_eq!((calls, edited.record.tags), (2, vec!["theirs".to_owned(), "ours".to_owned()]));
}

#[tokio::test]
async fn a_memory_that_changes_all_the_time_is_given_up() {
    let (memory, _clock) = with_clock(reference(), NoEmbedder);
    let id = memory.remember("start").await.unwrap().record.id;
    let other = memory.store().another_handle();
    let mut calls = 0;
    let error = memory
        .edit(id, |record| {
            calls += 1;
            let mut theirs = record.clone();
            theirs.tags = vec![format!("theirs{calls}")];
            futures_block_on(other.update(&theirs)).unwrap();
            record.tags.push("ours".into());
        })
        .await
        .unwrap_err();
    assert!(matches!(error.store_error(), Some(MemoryStoreError::Conflict { .. })), "{error}");
    assert_eq!(calls, 64);
}

/// The reference store never waits.
fn futures_block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

/// One editor's edits: each adds a tag of its own, and some rewrite the text.
#[derive(Clone, Debug)]
struct Edits {
    rewrites: Vec<bool>,
}

fn editors() -> impl Strategy<Value = (Vec<Edits>, u64, f64, f64)> {
    let edits = prop::collection::vec(any::<bool>(), 1..8).prop_map(|rewrites| Edits { rewrites });
    (prop::collection::vec(edits, 2..5), any::<u64>(), 0.0..0.4_f64, 0.0..0.4_f64)
}

/// Repeats an edit as a caller does who is told that it can help.
async fn until_done<S: MemoryStore + Sync>(
    memory: &Memory<S, NoEmbedder>,
    id: Uuid,
    tag: &str,
    rewrite: bool,
) {
    loop {
        let edit = memory.edit(id, |record| {
            add_tags(&mut record.tags, &[tag.to_owned()]);
            if rewrite {
                record.content = format!("rewritten by {tag}");
            }
        });
        match edit.await {
            Ok(_) => return,
            Err(error) if error.is_retryable() => {}
            Err(error) => panic!("{error}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Several editors, each over a handle of its own whose calls are slow, are lost before the store, or are
    /// done although they report a failure: whatever the order, no change of anybody is undone.
    #[test]
    fn no_edit_undoes_another((editors, seed, before, after) in editors()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(async move {
            let store = ReferenceStore::new(Arc::new(SystemClock));
            let memory = Memory::new(store.another_handle(), NoEmbedder);
            let id = memory.remember("start").await.unwrap().record.id;
            let mut expected: Vec<String> = Vec::new();
            let mut running = JoinSet::new();
            for (editor, edits) in editors.into_iter().enumerate() {
                let faults = FaultStore::new(store.another_handle(), seed ^ editor as u64)
                    .rule(FaultRule::always(Fault::Before).probability(before))
                    .rule(FaultRule::always(Fault::After).on("update_unless_changed").probability(after))
                    .rule(FaultRule::always(Fault::Latency(Duration::from_micros(200))).probability(0.3));
                let tags: Vec<String> = (0..edits.rewrites.len()).map(|n| format!("{editor}-{n}")).collect();
                expected.extend(tags.clone());
                running.spawn(async move {
                    let memory = Memory::new(faults, NoEmbedder);
                    for (tag, rewrite) in tags.iter().zip(edits.rewrites) {
                        until_done(&memory, id, tag, rewrite).await;
                    }
                });
            }
            running.join_all().await;
            let mut tags = memory.get(id).await.unwrap().unwrap().tags;
            tags.sort();
            expected.sort();
            assert_eq!(tags, expected);
        });
    }
}
