//! From one model to another, while the store is in use and whatever happens.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use common::{Words, archive_of, empty, fill, filled, id, interrupted, model, open_sqlite, sqlite};
use vestige_migrate::{Copier, MigrateError, Phase, ReembedOutcome, Reembedder};
use vestige_traits::transfer::{TransferKind, TransferRow};
use vestige_traits::{
    Embedder, EmbedderError, EmbedderResult, MemoryRecord, MemoryStore, MemoryStoreError, ModelSignature,
    SearchQuery,
};

/// Asserts that every memory has the vector of the model, and that the registry says so.
async fn assert_on(store: &(impl MemoryStore + Sync), model: &Words) {
    assert_eq!(store.registered_model().await.unwrap().as_ref(), Some(model.signature()));
    assert_eq!(store.reembedding_status().await.unwrap(), None);
    let page = store.export_page(TransferKind::Memory, None, 10_000).await.unwrap();
    assert_eq!((page.next, page.damaged.len()), (None, 0));
    for row in page.rows {
        let TransferRow::Memory(record) = row else { panic!("no memory: {row:?}") };
        assert_eq!(record.embedding, model.vector(&record.content), "{}", record.content);
    }
}

#[tokio::test]
async fn every_memory_has_the_new_vector_and_everything_else_stays() {
    let store = filled(100).await;
    let blank = MemoryRecord::new("xyz xx ... 😀");
    store.insert(&blank).await.unwrap();
    let before = store.export_page(TransferKind::Memory, None, 1000).await.unwrap();
    let new = Words::new(16);
    let report = Reembedder::new(&store, &new).batch(7).run().await.unwrap();
    assert_eq!(report.outcome, ReembedOutcome::Switched);
    assert_eq!((report.embedded, report.without_vector, report.caught_up), (101, 1, 0));
    assert_eq!((report.from, report.resumed), (Some(model(8)), false));
    assert_on(&store, &new).await;
    let after = store.export_page(TransferKind::Memory, None, 1000).await.unwrap();
    for (before, after) in before.rows.into_iter().zip(after.rows) {
        let (TransferRow::Memory(before), TransferRow::Memory(after)) = (before, after) else { panic!() };
        assert_eq!(after, before.embedding(after.embedding.clone()));
    }
    let found = store.search(&SearchQuery::text("xyz")).await.unwrap();
    assert_eq!(found[0].record.id, blank.id, "found by its words");
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let store = filled(10).await;
    let new = Words::new(16);
    Reembedder::new(&store, &new).run().await.unwrap();
    let before = archive_of(&store).await;
    let report = Reembedder::new(&store, &new).run().await.unwrap();
    assert_eq!((report.outcome, report.embedded), (ReembedOutcome::AlreadyOnModel, 0));
    assert_eq!(archive_of(&store).await, before);
}

#[tokio::test]
async fn a_store_without_a_model_gets_one() {
    let store = empty();
    store.insert(&MemoryRecord::new("plain words")).await.unwrap();
    let new = Words::new(4);
    let report = Reembedder::new(&store, &new).run().await.unwrap();
    assert_eq!((report.from, report.embedded), (None, 1));
    assert_on(&store, &new).await;
}

/// A model with which a writer goes in step: one write during each batch, up to so many writes.
struct InStep {
    model: Words,
    writes: usize,
    batches: AtomicUsize,
    written: AtomicUsize,
}

impl InStep {
    fn new(model: Words, writes: usize) -> Self {
        Self { model, writes, batches: AtomicUsize::new(0), written: AtomicUsize::new(0) }
    }
}

impl Embedder for InStep {
    fn signature(&self) -> &ModelSignature {
        self.model.signature()
    }

    async fn embed_documents(&self, texts: &[&str]) -> EmbedderResult<Vec<Option<Vec<f32>>>> {
        let batch = self.batches.fetch_add(1, Relaxed) + 1;
        while self.written.load(Relaxed) < batch.min(self.writes) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.model.embed_documents(texts).await
    }

    async fn embed_query(&self, text: &str) -> EmbedderResult<Option<Vec<f32>>> {
        self.model.embed_query(text).await
    }
}

#[tokio::test]
async fn what_comes_in_or_changes_meanwhile_is_caught_up() {
    let store = sqlite();
    fill(&store.store, 60, 8).await;
    let new = InStep::new(Words::new(16), 40);
    let done = AtomicBool::new(false);
    // Another process writes: new notes, and changes of notes that have their new vector already.
    let writing = async {
        let handle = open_sqlite(&store.path);
        handle.register_model(&model(8)).await.unwrap();
        let mut written = 0;
        while !done.load(Relaxed) && written < new.writes {
            if new.batches.load(Relaxed) <= written {
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            }
            let note = common::with_vector(1000 + written, 8);
            let mut changed = handle.get(id(9, written)).await.unwrap().unwrap();
            changed.content = format!("changed {written}");
            changed.embedding = Some(common::vector(written, 8));
            // Once the store is on the new model, a vector of the old one is refused.
            let refused = |error: &MemoryStoreError| matches!(error, MemoryStoreError::ModelMismatch { .. });
            let results = [handle.insert(&note).await, handle.update(&changed).await.map(drop)];
            assert!(results.iter().all(|result| result.as_ref().err().is_none_or(refused)), "{results:?}");
            written += usize::from(results.iter().all(Result::is_ok));
            new.written.store(written, Relaxed);
        }
        written
    };
    let reembedding = async {
        let report = Reembedder::new(&store.store, &new).batch(5).run().await.unwrap();
        done.store(true, Relaxed);
        report
    };
    let (report, written) = tokio::join!(reembedding, writing);
    assert!(written > 5, "{written}");
    assert!(report.caught_up > 0, "{report:?}");
    assert_on(&store.store, &new.model).await;
}

#[tokio::test]
async fn dropped_at_any_moment_it_is_wholly_on_one_model_and_goes_on() {
    let (mut interruptions, mut resumed) = (0, 0);
    // How often a call has to wait is for the machine to say, so it goes on until enough were interrupted.
    for most in [7, 9, 13].into_iter().cycle().take(300) {
        if interruptions > 30 && resumed > 2 {
            break;
        }
        let store = sqlite();
        fill(&store.store, 40, 8).await;
        let new = Words::new(16);
        for attempt in 0.. {
            assert!(attempt < 1000, "it does not come to an end");
            let handle = open_sqlite(&store.path);
            let work = Reembedder::new(&handle, &new).batch(3);
            let Some(report) = interrupted(work.run(), attempt % most).await else {
                interruptions += 1;
                let registered = store.store.registered_model().await.unwrap().unwrap();
                if registered == *new.signature() {
                    assert_on(&store.store, &new).await;
                } else {
                    let old = store.store.get(id(9, 0)).await.unwrap().unwrap();
                    assert_eq!(old.embedding, Some(common::vector(0, 8)));
                }
                continue;
            };
            resumed += u64::from(report.unwrap().resumed);
            break;
        }
        assert_on(&store.store, &new).await;
    }
    assert!(interruptions > 30 && resumed > 2, "{interruptions} interruptions, {resumed} resumed");
}

#[tokio::test]
async fn a_handle_of_the_old_model_is_refused_after_the_switch() {
    let store = filled(10).await;
    let old = store.another_handle();
    old.register_model(&model(8)).await.unwrap();
    Reembedder::new(&store, &Words::new(16)).run().await.unwrap();
    let query = SearchQuery::embedding(common::vector(1, 8));
    let refused = old.search(&query).await;
    assert!(matches!(refused, Err(MemoryStoreError::ModelMismatch { .. })), "{refused:?}");
}

/// A model during whose first batch another process does the same work to its end.
struct Outpaced<'s> {
    model: Words,
    faster: &'s vestige_sqlite::SqliteMemoryStore,
    batches: AtomicUsize,
}

impl Embedder for Outpaced<'_> {
    fn signature(&self) -> &ModelSignature {
        self.model.signature()
    }

    async fn embed_documents(&self, texts: &[&str]) -> EmbedderResult<Vec<Option<Vec<f32>>>> {
        if self.batches.fetch_add(1, Relaxed) == 0 {
            Reembedder::new(self.faster, &self.model).run().await.unwrap();
        }
        self.model.embed_documents(texts).await
    }

    async fn embed_query(&self, text: &str) -> EmbedderResult<Option<Vec<f32>>> {
        self.model.embed_query(text).await
    }
}

/// Asserts that the handle takes vectors of the model, and compares them.
async fn assert_speaks_for(store: &(impl MemoryStore + Sync), model: &Words) {
    let note = MemoryRecord::new("plain words").embedding(model.vector("plain words"));
    store.insert(&note).await.unwrap();
    let query = SearchQuery::embedding(note.embedding.clone().unwrap());
    assert!(!store.search(&query).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_handle_of_one_that_another_is_faster_than_speaks_for_the_new_model() {
    let store = sqlite();
    fill(&store.store, 30, 8).await;
    let (handle, faster) = (open_sqlite(&store.path), open_sqlite(&store.path));
    handle.register_model(&model(8)).await.unwrap();
    let new = Outpaced { model: Words::new(16), faster: &faster, batches: AtomicUsize::new(0) };
    let report = Reembedder::new(&handle, &new).batch(10).run().await.unwrap();
    assert_eq!((report.outcome, report.embedded), (ReembedOutcome::Switched, 0));
    assert_on(&store.store, &new.model).await;
    assert_speaks_for(&handle, &new.model).await;
}

#[tokio::test]
async fn the_handle_of_one_that_comes_late_speaks_for_the_new_model() {
    let mut between = 0;
    // Another process does the whole work after so many waits of the first one; with few, that comes before
    // it begins.
    for waits in 0..200 {
        let store = sqlite();
        fill(&store.store, 10, 8).await;
        let (handle, faster) = (open_sqlite(&store.path), open_sqlite(&store.path));
        handle.register_model(&model(8)).await.unwrap();
        let new = Words::new(16);
        let mut work = std::pin::pin!(Reembedder::new(&handle, &new).run());
        let early = interrupted(work.as_mut(), waits).await;
        let first = early.is_some();
        let report = match early {
            Some(report) => report.unwrap(),
            None => {
                Reembedder::new(&faster, &new).run().await.unwrap();
                work.await.unwrap()
            }
        };
        assert_on(&store.store, &new).await;
        assert!(report.elapsed > Duration::ZERO, "{report:?}");
        assert_speaks_for(&handle, &new).await;
        let late = report.outcome == ReembedOutcome::AlreadyOnModel;
        between += u64::from(late && report.from == Some(model(8)));
        if first {
            break;
        }
    }
    assert!(between > 0, "the other process never came between");
}

#[tokio::test]
async fn a_handle_of_the_old_model_speaks_for_the_new_one_after_a_run_with_nothing_to_do() {
    let store = filled(10).await;
    let (old, new) = (store.another_handle(), Words::new(16));
    old.register_model(&model(8)).await.unwrap();
    Reembedder::new(&store, &new).run().await.unwrap();
    let report = Reembedder::new(&old, &new).run().await.unwrap();
    assert_eq!(report.outcome, ReembedOutcome::AlreadyOnModel);
    assert_speaks_for(&old, &new).await;
}

#[tokio::test]
async fn reports_say_how_long_they_took_in_seconds() {
    let (store, target) = (filled(10).await, empty());
    let copied = Copier::new("a", &store, &target).run().await.unwrap();
    let reembedded = Reembedder::new(&store, &Words::new(16)).run().await.unwrap();
    for (json, elapsed) in [
        (serde_json::to_value(&copied).unwrap(), copied.elapsed),
        (serde_json::to_value(&reembedded).unwrap(), reembedded.elapsed),
    ] {
        assert!(elapsed > Duration::ZERO);
        assert_eq!(json["seconds"], elapsed.as_secs_f64(), "{json}");
        assert_eq!(json.get("elapsed"), None, "{json}");
    }
}

#[tokio::test]
async fn a_reembedding_to_a_third_model_is_refused_until_it_is_aborted() {
    let store = filled(10).await;
    store.begin_reembedding(Words::new(16).signature()).await.unwrap();
    let third = Words::new(32);
    let error = Reembedder::new(&store, &third).run().await.unwrap_err();
    assert!(matches!(error, MigrateError::Store(MemoryStoreError::Conflict { .. })), "{error}");
    assert!(error.to_string().contains("test/words-16"), "{error}");
    store.abort_reembedding().await.unwrap();
    Reembedder::new(&store, &third).run().await.unwrap();
    assert_on(&store, &third).await;
}

#[tokio::test]
async fn the_plan_counts_times_and_changes_nothing() {
    let store = filled(100).await;
    let before = archive_of(&store).await;
    let new = Words::new(16);
    let plan = Reembedder::new(&store, &new).plan().await.unwrap();
    assert_eq!((plan.memories, plan.pending, plan.sampled), (100, 100, 64));
    assert!(plan.embedding_seconds > 0.0 && plan.disk_bytes >= 100 * 64 && !plan.resumes, "{plan:?}");
    assert_eq!(archive_of(&store).await, before);
    assert_eq!(store.reembedding_status().await.unwrap(), None);
    Reembedder::new(&store, &new).run().await.unwrap();
    let plan = Reembedder::new(&store, &new).plan().await.unwrap();
    assert_eq!((plan.already_on_model, plan.pending, plan.disk_bytes), (true, 0, 0));
}

#[tokio::test]
async fn progress_ends_where_the_memories_end() {
    let store = filled(50).await;
    let mut seen = Vec::new();
    let new = Words::new(16);
    Reembedder::new(&store, &new)
        .batch(20)
        .on_progress(|progress| seen.push((progress.phase, progress.done, progress.total)))
        .run()
        .await
        .unwrap();
    assert_eq!(seen[..2], [(Phase::Embedding, 0, 50), (Phase::Embedding, 20, 50)]);
    assert_eq!(seen[3..], [(Phase::Embedding, 50, 50), (Phase::Switching, 0, 0)]);
}

/// A model that fails from its second batch on, or breaks its contract.
struct Broken(Words, AtomicUsize, fn() -> EmbedderResult<Vec<Option<Vec<f32>>>>);

impl Embedder for Broken {
    fn signature(&self) -> &ModelSignature {
        self.0.signature()
    }

    async fn embed_documents(&self, texts: &[&str]) -> EmbedderResult<Vec<Option<Vec<f32>>>> {
        if self.1.fetch_add(1, Relaxed) > 0 {
            return (self.2)();
        }
        self.0.embed_documents(texts).await
    }

    async fn embed_query(&self, text: &str) -> EmbedderResult<Option<Vec<f32>>> {
        self.0.embed_query(text).await
    }
}

#[tokio::test]
async fn a_model_that_fails_leaves_the_old_one_in_use_and_what_was_done_is_kept() {
    let store = filled(50).await;
    let broken = |answer| Broken(Words::new(16), AtomicUsize::new(0), answer);
    for model in [
        broken(|| Err(EmbedderError::Inference("out of memory".into()))),
        broken(|| Ok(Vec::new())),
        broken(|| Ok(vec![None; 99])),
    ] {
        let error = Reembedder::new(&store, &model).batch(10).run().await.unwrap_err();
        assert!(matches!(error, MigrateError::Embedder(_)), "{error}");
        assert_eq!(store.registered_model().await.unwrap(), Some(common::model(8)));
    }
    let status = store.reembedding_status().await.unwrap().unwrap();
    assert_eq!((status.done, status.pending), (30, 20));
    let report = Reembedder::new(&store, &Words::new(16)).run().await.unwrap();
    assert_eq!((report.embedded, report.resumed), (20, true));
}

/// A slow model, during whose first batch somebody else aborts the re-embedding and may begin another.
struct Rival<'s> {
    model: Words,
    store: &'s vestige_sqlite::SqliteMemoryStore,
    to: Option<ModelSignature>,
    batches: AtomicUsize,
}

impl Embedder for Rival<'_> {
    fn signature(&self) -> &ModelSignature {
        self.model.signature()
    }

    async fn embed_documents(&self, texts: &[&str]) -> EmbedderResult<Vec<Option<Vec<f32>>>> {
        if self.batches.fetch_add(1, Relaxed) == 0 {
            self.store.abort_reembedding().await.unwrap();
            if let Some(to) = &self.to {
                self.store.begin_reembedding(to).await.unwrap();
            }
        }
        self.model.embed_documents(texts).await
    }

    async fn embed_query(&self, text: &str) -> EmbedderResult<Option<Vec<f32>>> {
        self.model.embed_query(text).await
    }
}

#[tokio::test]
async fn one_that_somebody_else_aborts_or_replaces_stops_and_mixes_nothing() {
    let store = sqlite();
    fill(&store.store, 30, 8).await;
    let before = archive_of(&store.store).await;
    let other = open_sqlite(&store.path);
    // Of the same dimension, so that no length tells its vectors from those of the first.
    let third = ModelSignature { name: "test/third".to_owned(), ..Words::new(16).signature().clone() };
    for to in [None, Some(third.clone())] {
        let model = Rival { model: Words::new(16), store: &other, to, batches: AtomicUsize::new(0) };
        let error = Reembedder::new(&store.store, &model).batch(10).run().await.unwrap_err();
        assert!(matches!(error, MigrateError::ReembeddingEnded { .. }), "{error}");
        assert!(error.to_string().contains("only one model"), "{error}");
        assert_eq!(error.to_string().contains("test/third"), model.to.is_some(), "{error}");
    }
    let status = store.store.reembedding_status().await.unwrap().unwrap();
    assert_eq!((status.model, status.done), (third, 0));
    assert_eq!(archive_of(&store.store).await, before);
}

/// A model that is slower than the memories come in: with every batch there is another one.
struct Outrun(Words, vestige_conformance::ReferenceStore);

impl Embedder for Outrun {
    fn signature(&self) -> &ModelSignature {
        self.0.signature()
    }

    async fn embed_documents(&self, texts: &[&str]) -> EmbedderResult<Vec<Option<Vec<f32>>>> {
        common::at_once(self.1.insert(&MemoryRecord::new("another one")));
        self.0.embed_documents(texts).await
    }

    async fn embed_query(&self, text: &str) -> EmbedderResult<Option<Vec<f32>>> {
        self.0.embed_query(text).await
    }
}

#[tokio::test]
async fn memories_that_come_in_faster_than_they_are_embedded_are_said_and_not_lost() {
    let store = filled(3).await;
    let model = Outrun(Words::new(4), store.another_handle());
    let error = Reembedder::new(&store, &model).run().await.unwrap_err();
    assert!(matches!(error, MigrateError::NotCaughtUp { pending: 1, .. }), "{error}");
    assert!(error.to_string().contains("pause what writes"), "{error}");
    let report = Reembedder::new(&store, &Words::new(4)).run().await.unwrap();
    assert_eq!((report.embedded, report.resumed), (1, true));
    assert_on(&store, &Words::new(4)).await;
}
