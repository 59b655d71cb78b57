//! Stores that fail before and after what they commit: nothing is lost and nothing is done twice.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use std::io::Cursor;

use common::{Words, archive_of, empty, filled, model, open};
use vestige_conformance::{Fault, FaultRule, FaultStore, ReferenceStore};
use vestige_migrate::archive::{Archive, Exporter, Restorer};
use vestige_migrate::{Copier, MigrateError, Reembedder};
use vestige_traits::transfer::{TransferKind, TransferRow};
use vestige_traits::{Embedder, MemoryStore};

/// A copy makes some fifty calls, so that most runs fail somewhere.
const FAILURE_PROBABILITY: f64 = 0.02;

fn unreliable(store: ReferenceStore, seed: u64) -> FaultStore<ReferenceStore> {
    FaultStore::new(store, seed)
        .rule(FaultRule::always(Fault::Before).probability(FAILURE_PROBABILITY))
        .rule(FaultRule::always(Fault::After).probability(FAILURE_PROBABILITY))
}

/// Calls until it succeeds, as a person who runs the same command again does.
macro_rules! persist {
    ($work:expr) => {{
        let mut failures = 0;
        loop {
            match $work {
                Ok(done) => break (done, failures),
                Err(error) => {
                    assert!(error.is_retryable(), "{error}");
                    failures += 1;
                    assert!(failures < 10_000, "it never ends: {error}");
                }
            }
        }
    }};
}

#[tokio::test]
async fn a_copy_between_stores_that_fail_ends_with_every_row_once() {
    let source = filled(60).await;
    let expected = archive_of(&source).await;
    let mut failures = 0;
    for seed in 0..5 {
        let from = unreliable(source.another_handle(), seed);
        let into = empty();
        let to = unreliable(into.another_handle(), seed + 1000);
        let copy = || Copier::new("a", &from, &to).page_rows(100).sample(0);
        let (report, failed) = persist!(copy().verify(false).run().await);
        failures += failed;
        assert_eq!(report.rows.sum().not_moved(), 0, "seed {seed}: {report:?}");
        assert_eq!(archive_of(&into).await, expected, "seed {seed}");
        to.set_rules(vec![]);
        from.set_rules(vec![]);
        let report = copy().run().await.unwrap();
        assert!(report.proof.unwrap().is_equal());
    }
    assert!(failures > 3, "only {failures} failures");
}

#[tokio::test]
async fn each_operation_may_fail_once_before_and_once_after_it_was_done() {
    let source = filled(30).await;
    let expected = archive_of(&source).await;
    for operation in [
        "registered_model",
        "register_model",
        "count_rows",
        "export_page",
        "import_page",
        "begin_bulk_load",
        "finish_bulk_load",
        "get_checkpoint",
    ] {
        for fault in [Fault::Before, Fault::After] {
            let into = empty();
            let to = FaultStore::new(into.another_handle(), 1).rule(FaultRule::always(fault).on(operation));
            let copy = || Copier::new("a", &source, &to).page_rows(10);
            let error = copy().run().await.unwrap_err();
            assert!(matches!(error, MigrateError::Target(_)), "{operation}: {error}");
            assert!(error.to_string().contains(operation), "{error}");
            to.set_rules(vec![]);
            let report = copy().run().await.unwrap();
            assert!(report.is_lossless(), "{operation} {fault:?}: {report:?}");
            assert_eq!(archive_of(&into).await, expected, "{operation} {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_source_that_fails_is_named_as_the_source() {
    let source = FaultStore::new(filled(3).await, 1).rule(FaultRule::always(Fault::Before).on("export_page"));
    let error = Copier::new("a", &source, &empty()).run().await.unwrap_err();
    assert!(matches!(error, MigrateError::Source(_)), "{error}");
    assert!(error.to_string().starts_with("source: "), "{error}");
}

#[tokio::test]
async fn an_export_that_fails_is_no_archive() {
    let store = FaultStore::new(filled(40).await, 3)
        .rule(FaultRule::always(Fault::Before).on("export_page").probability(0.05));
    let mut failed = 0;
    for _ in 0..40 {
        let mut bytes = Vec::new();
        let written = Exporter::new(&store).page_rows(20).write(&mut bytes).await;
        let opened = Archive::new(Cursor::new(bytes));
        assert_eq!(opened.is_ok(), written.is_ok());
        failed += u32::from(matches!(written, Err(MigrateError::Source(_))));
    }
    assert!((5..40).contains(&failed), "{failed} failed");
}

#[tokio::test]
async fn a_restore_into_a_store_that_fails_ends_whole() {
    let bytes = archive_of(&filled(50).await).await;
    for seed in 0..5 {
        let into = empty();
        let to = unreliable(into.another_handle(), seed);
        let mut archive = open(&bytes);
        let (report, _) = persist!(Restorer::new(&mut archive, &to).page_rows(20).verify(false).run().await);
        assert_eq!(report.rows.sum().not_moved(), 0);
        assert_eq!(archive_of(&into).await, bytes, "seed {seed}");
    }
}

#[tokio::test]
async fn a_reembedding_of_a_store_that_fails_ends_complete() {
    let new = Words::new(16);
    let mut failures = 0;
    for seed in 0..5 {
        let store = filled(40).await;
        let unreliable = unreliable(store.another_handle(), seed);
        let (_, failed) = persist!(Reembedder::new(&unreliable, &new).batch(5).run().await);
        failures += failed;
        assert_eq!(store.registered_model().await.unwrap().as_ref(), Some(new.signature()));
        let page = store.export_page(TransferKind::Memory, None, 1000).await.unwrap();
        for row in page.rows {
            let TransferRow::Memory(record) = row else { panic!("no memory") };
            assert_eq!(record.embedding, new.vector(&record.content), "seed {seed}");
        }
    }
    assert!(failures > 2, "only {failures} failures");
}

#[tokio::test]
async fn a_switch_whose_answer_is_lost_counts_as_done() {
    let store = filled(10).await;
    let lossy = FaultStore::new(store.another_handle(), 1)
        .rule(FaultRule::always(Fault::After).on("finish_reembedding"));
    let new = Words::new(16);
    Reembedder::new(&lossy, &new).run().await.unwrap_err();
    assert_ne!(store.registered_model().await.unwrap(), Some(model(8)));
    let report = Reembedder::new(&lossy, &new).run().await.unwrap();
    assert_eq!(report.outcome, vestige_migrate::ReembedOutcome::AlreadyOnModel);
}
