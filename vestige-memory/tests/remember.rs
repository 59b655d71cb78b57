//! What `remember` stores, what it refuses, and what it reports.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use support::{
    Broken, Fault, FaultRule, FaultStore, HashEmbedder, Recording, ReferenceStore, embedder, reference,
};
use vestige_memory::{
    Memory, MemoryError, NearDuplicates, NewMemory, NoEmbedder, RememberOptions, RememberPhase,
    RememberProgress,
};
use vestige_traits::{
    AnyMemoryStore, Embedder, EmbedderResult, MemoryRecord, MemoryStore, MemoryStoreError, ModelSignature,
};

over_each_store! {
    many_are_stored_at_once_in_their_order,
    a_near_duplicate_is_reported_and_not_stored,
    a_near_duplicate_of_a_text_before_it_is_one_too,
    a_text_in_another_code_base_is_no_near_duplicate,
    near_duplicates_elsewhere_do_not_hide_one_in_the_same_place,
    a_text_without_a_known_word_is_stored_without_a_vector,
    one_bad_memory_stores_none_and_is_named,
    a_store_of_another_model_refuses_before_anything_is_embedded,
    without_an_embedder_nothing_has_a_vector,
    of_equal_texts_that_come_at_once_one_is_stored,
    of_equal_texts_from_memories_that_share_the_store_alone_one_is_stored,
}

async fn many_are_stored_at_once_in_their_order<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, embedder());
    let texts: Vec<String> = (0..100).map(|n| format!("statement number{n} about topic{}", n * 7)).collect();
    let stored = memory.remember_all(texts.clone(), RememberOptions::new()).await.unwrap();
    assert_eq!(stored.iter().map(|it| it.record.content.clone()).collect::<Vec<_>>(), texts);
    for outcome in &stored {
        let kept = memory.get(outcome.record.id).await.unwrap().expect("it is stored");
        assert_eq!(kept, outcome.record);
        assert!(kept.embedding.is_some() && outcome.id() == Some(kept.id));
    }
    // So do their ids, by which they stand in a session: they are of one time.
    assert!(stored.is_sorted_by_key(|it| (it.record.created_at, it.record.id)));
    assert_eq!(memory.stats().await.unwrap().memories, 100);
    assert!(memory.remember_all([""; 0], RememberOptions::new()).await.unwrap().is_empty());
}

async fn a_near_duplicate_is_reported_and_not_stored<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, embedder());
    let first = memory.remember("The ferry leaves at nine.").await.unwrap();
    assert!(first.stored && first.near_duplicate.is_none());

    let again = memory.remember("the FERRY leaves at nine").await.unwrap();
    let near = again.near_duplicate.clone().expect("it is near");
    assert_eq!((again.stored, again.id(), near.id), (false, None, first.record.id));
    assert_eq!(near.content, first.record.content);
    assert!((near.similarity - 1.0).abs() < 1e-3, "{}", near.similarity);
    assert_eq!(memory.stats().await.unwrap().memories, 1);

    let anyway = RememberOptions::new().near_duplicates(NearDuplicates::Store);
    let anyway = memory.remember_all(["the FERRY leaves at nine"], anyway).await.unwrap().remove(0);
    assert!(anyway.stored && anyway.near_duplicate.is_some());
    let unseen = RememberOptions::new().near_duplicates(NearDuplicates::Ignore);
    let unseen = memory.remember_all(["the FERRY leaves at nine"], unseen).await.unwrap().remove(0);
    assert!(unseen.stored && unseen.near_duplicate.is_none());
    assert_eq!(memory.stats().await.unwrap().memories, 3);
}

async fn a_near_duplicate_of_a_text_before_it_is_one_too<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, embedder());
    let texts = ["The ferry leaves at nine.", "The mast is broken.", "the ferry leaves at NINE"];
    let outcomes = memory.remember_all(texts, RememberOptions::new()).await.unwrap();
    assert_eq!(outcomes.iter().map(|it| it.stored).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(outcomes[2].near_duplicate.as_ref().map(|near| near.id), outcomes[0].id());
    assert_eq!(memory.stats().await.unwrap().memories, 2);
}

async fn a_text_in_another_code_base_is_no_near_duplicate<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, embedder());
    let text = "Tests run with cargo test.";
    for (codebase, stored) in [(Some("a"), true), (Some("b"), true), (Some("a"), false), (None, false)] {
        let mut new = NewMemory::new(text);
        if let Some(codebase) = codebase {
            new = new.codebase(codebase);
        }
        assert_eq!(memory.remember(new).await.unwrap().stored, stored, "{codebase:?}");
    }
}

async fn near_duplicates_elsewhere_do_not_hide_one_in_the_same_place<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, embedder());
    let anyway = || RememberOptions::new().near_duplicates(NearDuplicates::Ignore);
    let elsewhere = (0..40).map(|n| NewMemory::new("Run the tests.").codebase(format!("other{n}")));
    memory.remember_all(elsewhere, anyway()).await.unwrap();
    let here = NewMemory::new("Run the tests!").codebase("here");
    let here = memory.remember_all([here], anyway()).await.unwrap().remove(0);
    let again = memory.remember(NewMemory::new("run the tests").codebase("here")).await.unwrap();
    assert_eq!(again.near_duplicate.map(|near| near.id), here.id());
}

async fn a_text_without_a_known_word_is_stored_without_a_vector<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, embedder());
    let texts = ["!?", "the harbour", "🎉", "…", "the mast", "—"];
    let outcomes = memory.remember_all(texts, RememberOptions::new()).await.unwrap();
    let known: Vec<bool> = outcomes.iter().map(|it| it.record.embedding.is_some()).collect();
    assert_eq!(known, [false, true, false, false, true, false]);
    assert!(outcomes.iter().all(|it| it.stored && it.near_duplicate.is_none()));
    let alone = memory.remember("the mast is high").await.unwrap();
    let of_another = HashEmbedder::new(64, 1);
    let expected = vestige_traits::Embedder::embed_documents(&of_another, &["the mast is high"]).await;
    assert_eq!(alone.record.embedding, expected.unwrap().remove(0));
}

async fn one_bad_memory_stores_none_and_is_named<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, Recording::new());
    let error = memory.remember_all(["one", "two", "  "], RememberOptions::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "memories[2]: content: must not be empty");
    assert!(matches!(error, MemoryError::InvalidMemory { index: 2, .. }));
    assert!(matches!(error.store_error(), Some(MemoryStoreError::InvalidInput { .. })));
    assert!(std::error::Error::source(&error).is_some() && !error.is_retryable());
    assert_eq!(memory.embedder().documents.lock().unwrap().len(), 0);
    let alone = memory.remember("").await.unwrap_err();
    assert_eq!(alone.to_string(), "content: must not be empty");
    assert_eq!(memory.stats().await.unwrap().memories, 0);
}

async fn a_store_of_another_model_refuses_before_anything_is_embedded<S: MemoryStore + Sync>(store: S) {
    store.register_model(vestige_traits::Embedder::signature(&HashEmbedder::new(64, 2))).await.unwrap();
    let memory = Memory::new(store, Recording::new());
    for error in [
        memory.register_model().await.unwrap_err(),
        memory.remember("text").await.unwrap_err(),
        memory.recall("text").await.unwrap_err(),
    ] {
        assert!(matches!(error.store_error(), Some(MemoryStoreError::ModelMismatch { .. })), "{error}");
    }
    assert!(memory.embedder().documents.lock().unwrap().is_empty());
    assert!(memory.embedder().queries.lock().unwrap().is_empty());
}

async fn without_an_embedder_nothing_has_a_vector<S: MemoryStore + Sync>(store: S) {
    store.register_model(vestige_traits::Embedder::signature(&embedder())).await.unwrap();
    let memory = Memory::new(store, NoEmbedder);
    memory.register_model().await.unwrap();
    let ferry = memory.remember("The ferry leaves at nine.").await.unwrap();
    let later = memory.remember("The ferry back leaves at noon.").await.unwrap();
    assert!(ferry.stored && later.stored && ferry.record.embedding.is_none());
    assert_eq!(memory.recall("when does the ferry leave?").await.unwrap().len(), 2);
    let again = memory.remember("the \"ferry\" - leaves at (nine)").await.unwrap();
    let near = again.near_duplicate.expect("its words are the same");
    assert_eq!((near.id, near.similarity, again.stored), (ferry.record.id, 1.0, false));
    let edited = memory.edit(ferry.record.id, |record| record.content.push_str(" Not today.")).await.unwrap();
    assert!(edited.changed && edited.record.embedding.is_none());
}

#[tokio::test]
async fn a_model_that_fails_stores_nothing_and_is_told_apart() {
    let memory = Memory::new(reference(), Broken::new());
    let error = memory.remember("one").await.unwrap_err();
    assert!(matches!(error, MemoryError::Embedder(_)) && error.to_string().contains("out of memory"));
    assert!(error.store_error().is_none() && !error.is_retryable());
    assert_eq!(memory.stats().await.unwrap().memories, 0);
}

#[tokio::test]
async fn a_write_that_was_done_although_it_failed_is_a_near_duplicate_the_second_time() {
    let memory = Memory::new(FaultStore::new(reference(), 7), embedder());
    memory.store().set_rules(vec![FaultRule::always(Fault::After).on("insert_batch_unless_changed")]);
    let error = memory.remember("The ferry leaves at nine.").await.unwrap_err();
    assert!(error.is_retryable());
    memory.store().set_rules(Vec::new());
    assert!(!memory.remember("The ferry leaves at nine.").await.unwrap().stored);
    assert_eq!(memory.stats().await.unwrap().memories, 1);
}

#[tokio::test]
async fn progress_is_reported_by_stretches_and_by_texts() {
    let memory = Memory::new(reference(), embedder());
    let seen = Mutex::new(Vec::new());
    let mut report = |progress: RememberProgress| seen.lock().unwrap().push(progress);
    let texts: Vec<String> = (0..20).map(|n| format!("word{n} other{n}")).collect();
    memory.remember_all(texts, RememberOptions::new().progress(&mut report)).await.unwrap();
    let seen = seen.into_inner().unwrap();
    assert!(seen.iter().all(|it| it.total == 20));
    let of = |phase| seen.iter().filter(|it| it.phase == phase).map(|it| it.done).collect::<Vec<_>>();
    assert_eq!(of(RememberPhase::Embedding), [16, 20]);
    assert_eq!(of(RememberPhase::Comparing), (1..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn clones_are_the_same_memory() {
    let memory = Memory::builder(reference(), embedder()).near_duplicate_similarity(-1.0).build();
    let other = memory.clone();
    memory.remember("one harbour").await.unwrap();
    let second = tokio::spawn(async move { other.remember("another harbour").await }).await.unwrap().unwrap();
    assert!(!second.stored, "with this threshold everything is near that shares half of its words");
}

async fn of_equal_texts_that_come_at_once_one_is_stored<S>(store: S)
where
    S: MemoryStore + Send + Sync + 'static,
{
    let memory = Memory::new(store, embedder());
    assert_one_of_equal_texts_is_stored(&[(); 8].map(|()| memory.clone())).await;
}

async fn of_equal_texts_from_memories_that_share_the_store_alone_one_is_stored<S>(store: S)
where
    S: MemoryStore + Send + Sync + 'static,
{
    let store = AnyMemoryStore::new(store);
    // Like those of several processes.
    let memories = [(); 8].map(|()| Memory::new(store.clone(), embedder()));
    assert_one_of_equal_texts_is_stored(&memories).await;
}

/// Each of them remembers the same at once.
async fn assert_one_of_equal_texts_is_stored<S>(memories: &[Memory<S, HashEmbedder>])
where
    S: MemoryStore + Send + Sync + 'static,
{
    memories[0].register_model().await.unwrap();
    for round in 0..5 {
        let mut calls = tokio::task::JoinSet::new();
        for memory in memories {
            let memory = memory.clone();
            calls.spawn(async move {
                memory.remember(format!("The ferry of round{round} leaves at nine.")).await
            });
        }
        let outcomes: Vec<_> = calls.join_all().await.into_iter().map(Result::unwrap).collect();
        let stored: Vec<_> = outcomes.iter().filter(|outcome| outcome.stored).collect();
        assert_eq!(stored.len(), 1, "round {round}: {outcomes:?}");
        for refused in outcomes.iter().filter(|outcome| !outcome.stored) {
            assert_eq!(refused.near_duplicate.as_ref().map(|near| near.id), stored[0].id());
        }
    }
    assert_eq!(memories[0].stats().await.unwrap().memories, 5);
}

/// A model during whose work somebody else stores memories, as long as there are some.
struct Meanwhile<F> {
    model: HashEmbedder,
    other: ReferenceStore,
    next: F,
}

impl<F: Fn() -> Option<MemoryRecord> + Send + Sync> Embedder for Meanwhile<F> {
    fn signature(&self) -> &ModelSignature {
        self.model.signature()
    }

    async fn embed_documents(&self, texts: &[&str]) -> EmbedderResult<Vec<Option<Vec<f32>>>> {
        self.model.embed_documents(texts).await
    }

    async fn embed_query(&self, text: &str) -> EmbedderResult<Option<Vec<f32>>> {
        self.model.embed_query(text).await
    }

    fn known_share(&self, _: &str) -> f64 {
        // Asked for by each search for near duplicates, before it asks the store.
        if let Some(record) = (self.next)() {
            let mut insert = pin!(self.other.insert(&record));
            // The reference store never waits.
            let done = insert.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(done, Poll::Ready(Ok(()))), "{done:?}");
        }
        1.0
    }
}

#[tokio::test]
async fn a_search_that_was_overtaken_is_made_again_and_finds_what_came() {
    let texts = ["The ferry leaves at nine.", "Deploys are frozen on Fridays."];
    let vector = embedder().embed_documents(&texts).await.unwrap().remove(0).unwrap();
    let calls = AtomicU64::new(0);
    // Comes when the first text has been looked for, and the second has not.
    let next = || {
        let second = calls.fetch_add(1, Ordering::Relaxed) == 1;
        second.then(|| MemoryRecord::new(texts[0]).embedding(vector.clone()))
    };
    let store = reference();
    let model = Meanwhile { model: embedder(), other: store.another_handle(), next };
    let memory = Memory::new(store, model);
    let seen = Mutex::new(Vec::new());
    let mut report = |progress: RememberProgress| seen.lock().unwrap().push(progress);
    let options = RememberOptions::new().progress(&mut report);
    let outcomes = memory.remember_all(texts, options).await.unwrap();
    assert!(!outcomes[0].stored && outcomes[1].stored, "{outcomes:?}");
    assert_eq!(outcomes[0].near_duplicate.as_ref().map(|near| &*near.content), Some(texts[0]));
    assert_eq!(outcomes.iter().map(|outcome| &*outcome.record.content).collect::<Vec<_>>(), texts);
    assert_eq!(memory.stats().await.unwrap().memories, 2);
    let seen = seen.into_inner().unwrap();
    let compared = seen.iter().filter(|it| it.phase == RememberPhase::Comparing).map(|it| it.done);
    assert_eq!(compared.collect::<Vec<_>>(), [1, 2], "each text is reported once");
}

#[tokio::test]
async fn a_store_that_grows_during_every_search_is_given_up() {
    let calls = AtomicU64::new(0);
    let next = || Some(MemoryRecord::new(format!("note {}", calls.fetch_add(1, Ordering::Relaxed))));
    let store = reference();
    let model = Meanwhile { model: embedder(), other: store.another_handle(), next };
    let memory = Memory::new(store, model);
    let error = memory.remember("The ferry leaves at nine.").await.unwrap_err();
    assert!(matches!(error.store_error(), Some(MemoryStoreError::Conflict { .. })), "{error}");
    assert_eq!(calls.load(Ordering::Relaxed), 64);
    assert_eq!(memory.stats().await.unwrap().memories, 64, "nothing but what the others stored");
    // Who asks for no such check is not held up.
    let options = RememberOptions::new().near_duplicates(NearDuplicates::Ignore);
    assert!(memory.remember_all(["The ferry leaves at nine."], options).await.unwrap()[0].stored);
}
