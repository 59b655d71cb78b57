//! Copying between stores: everything arrives, nothing is overwritten, and an interruption costs nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use common::{
    Kept, archive_of, empty, fill, filled, id, interrupted, interrupted_when, model, open_sqlite, sqlite,
};
use vestige_migrate::archive::Restorer;
use vestige_migrate::{Copier, CopyOutcome, MigrateError, Phase, RejectOutcome, Verifier};
use vestige_traits::reembed::ReembeddedMemory;
use vestige_traits::transfer::{TransferKind, TransferRow};
use vestige_traits::{MemoryRecord, MemoryStore, ModelSignature};

#[tokio::test]
async fn a_copy_holds_every_row_of_every_kind() {
    let (source, target) = (filled(120).await, empty());
    let report = Copier::new("a", &source, &target).page_rows(13).run().await.unwrap();
    assert_eq!(report.outcome, CopyOutcome::Complete);
    assert!(report.is_lossless() && !report.resumed);
    let proof = report.proof.unwrap();
    assert!(proof.is_equal(), "{proof:?}");
    for kind in TransferKind::ALL {
        assert!(proof.target.counts[kind] > 1, "no {kind} to show for it");
    }
    assert!(proof.searches.iter().all(|search| search.searches > 0 && search.identical == search.searches));
    assert_eq!(archive_of(&target).await, archive_of(&source).await);
    assert_eq!(target.registered_model().await.unwrap(), Some(model(8)));
}

#[tokio::test]
async fn a_copy_does_not_write_to_its_source() {
    let source = sqlite();
    fill(&source.store, 40, 8).await;
    drop(source.store);
    let before = std::fs::read(&source.path).unwrap();
    let reader = vestige_sqlite::SqliteMemoryStore::builder(&source.path).read_only(true).open().unwrap();
    let report = Copier::new("a", &reader, &empty()).run().await.unwrap();
    assert!(report.is_lossless());
    drop(reader);
    assert_eq!(std::fs::read(&source.path).unwrap(), before);
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let (source, target) = (filled(40).await, empty());
    Copier::new("a", &source, &target).run().await.unwrap();
    target.delete(id(9, 5)).await.unwrap();
    let before = archive_of(&target).await;
    let report = Copier::new("a", &source, &target).run().await.unwrap();
    assert_eq!((report.outcome, report.moved_now), (CopyOutcome::AlreadyComplete, 0));
    assert_eq!(archive_of(&target).await, before);
    let proof = report.proof.as_ref().unwrap();
    assert_eq!(proof.differences[TransferKind::Memory].missing, 1);
    assert_eq!(proof.examples[0].key.to_string(), id(9, 5).to_string());
    assert!(!report.is_lossless());
}

#[tokio::test]
async fn a_target_with_memories_of_its_own_is_refused_untouched() {
    let (source, target) = (filled(5).await, empty());
    target.insert(&MemoryRecord::new("mine")).await.unwrap();
    let before = archive_of(&target).await;
    for refused in [
        Copier::new("a", &source, &target).run().await.map(drop),
        Copier::new("a", &source, &target).plan().await.map(drop),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, MigrateError::TargetNotEmpty { memories: 1, others: 0 }), "{error}");
        assert!(error.to_string().contains("into-existing"), "{error}");
    }
    assert_eq!(archive_of(&target).await, before);
}

#[tokio::test]
async fn a_target_of_another_model_is_refused_untouched() {
    let (source, target) = (filled(5).await, empty());
    target.register_model(&model(4)).await.unwrap();
    let before = archive_of(&target).await;
    let error = Copier::new("a", &source, &target).into_existing(true).run().await.unwrap_err();
    assert!(matches!(error, MigrateError::ModelsDiffer { .. }), "{error}");
    assert!(error.to_string().contains("re-embed"), "{error}");
    assert_eq!(archive_of(&target).await, before);
}

#[tokio::test]
async fn merging_keeps_what_is_there_and_lists_conflicts() {
    let (source, target) = (filled(30).await, empty());
    let mut changed = source.get(id(9, 7)).await.unwrap().unwrap();
    changed.content = "changed since".to_owned();
    changed.owner_user_id = vestige_traits::identity::LOCAL_USER_ID;
    target.register_model(&model(8)).await.unwrap();
    target.insert(&changed).await.unwrap();
    target.insert(&MemoryRecord::new("mine")).await.unwrap();

    let mut kept = Kept::default();
    let plan = Copier::new("a", &source, &target).into_existing(true).plan().await.unwrap();
    let report =
        Copier::new("a", &source, &target).into_existing(true).rejects(&mut kept).run().await.unwrap();
    let memories = report.rows[TransferKind::Memory];
    assert_eq!((memories.inserted, memories.conflicts), (29, 1));
    assert_eq!(plan.rows.sum(), {
        let mut sum = report.rows.sum();
        sum.unchanged = 1; // the local user
        sum
    });
    assert_eq!(kept.0.len(), 1);
    assert_eq!(kept.0[0].0, RejectOutcome::Conflict);
    assert_eq!(target.get(id(9, 7)).await.unwrap().unwrap().content, "changed since");
    assert_eq!(target.count().await.unwrap(), 31);
    assert!(!report.is_lossless());
    let proof = report.proof.unwrap();
    let sum = proof.sum();
    assert_eq!((sum.missing, sum.different, sum.extra), (0, 1, 1));
}

#[tokio::test]
async fn two_sources_can_be_merged_one_after_the_other() {
    let (one, two, target) = (filled(10).await, empty(), empty());
    let mut note = MemoryRecord::new("from the other machine");
    note.tags = vec!["two".into()];
    two.insert(&note).await.unwrap();
    assert!(Copier::new("one", &one, &target).run().await.unwrap().is_lossless());
    let report = Copier::new("two", &two, &target).into_existing(true).run().await.unwrap();
    assert!(report.is_lossless());
    assert_eq!(target.get(note.id).await.unwrap(), Some(note));
    let proof = Verifier::new(&one, &target).run().await.unwrap();
    assert!(proof.nothing_lost() && !proof.is_equal());
}

#[tokio::test]
async fn a_source_written_to_meanwhile_is_noticed_and_the_next_run_goes_on() {
    let (source, target) = (filled(50).await, empty());
    let writer = source.another_handle();
    // The lowest id of all: the copy is past it when it comes in.
    let mut late = MemoryRecord::new("came in late");
    late.id = uuid::Uuid::from_u128(1);
    let record = late.clone();
    let mut written = false;
    let report = Copier::new("a", &source, &target)
        .page_rows(10)
        .on_progress(move |progress| {
            if progress.phase == Phase::Copying(TransferKind::Memory) && progress.done > 30 && !written {
                written = true;
                common::at_once(writer.insert(&record));
            }
        })
        .run()
        .await
        .unwrap();
    assert_eq!(report.outcome, CopyOutcome::SourceChanged);
    assert!(!report.is_lossless());
    let report = Copier::new("a", &source, &target).run().await.unwrap();
    assert_eq!(report.outcome, CopyOutcome::Complete);
    assert!(report.is_lossless(), "{report:?}");
    assert_eq!(report.rows[TransferKind::Memory].inserted, 1);
    assert_eq!(target.get(late.id).await.unwrap(), Some(late));
}

#[tokio::test]
async fn a_source_written_to_without_a_proof_is_noticed_by_its_counts() {
    let (source, target) = (filled(50).await, empty());
    let writer = source.another_handle();
    let mut written = false;
    let report = Copier::new("a", &source, &target)
        .verify(false)
        .on_progress(move |progress| {
            if progress.phase == Phase::Indexing && !written {
                written = true;
                common::at_once(writer.insert(&MemoryRecord::new("came in late")));
            }
        })
        .run()
        .await
        .unwrap();
    assert_eq!(report.outcome, CopyOutcome::SourceChanged);
    assert!(report.proof.is_none());
}

#[tokio::test]
async fn a_source_that_grows_after_a_copy_is_not_taken_for_copied() {
    for verify in [false, true] {
        let (source, target) = (filled(20).await, empty());
        let copy = || Copier::new("a", &source, &target).verify(verify);
        assert!(copy().run().await.unwrap().is_lossless());
        let again = copy().run().await.unwrap();
        assert_eq!(again.outcome, CopyOutcome::AlreadyComplete);
        assert!(again.is_lossless());

        let late = MemoryRecord::new("came in after the copy");
        source.insert(&late).await.unwrap();
        let before = archive_of(&target).await;
        let report = copy().run().await.unwrap();
        assert_eq!((report.outcome, report.moved_now), (CopyOutcome::SourceChangedSince, 0));
        assert_eq!(report.proof.is_some(), verify);
        assert!(!report.is_lossless(), "{report:?}");
        assert_eq!(archive_of(&target).await, before, "nothing is changed");

        let report = copy().into_existing(true).run().await.unwrap();
        assert!(report.outcome == CopyOutcome::Complete && report.is_lossless(), "{report:?}");
        assert_eq!(target.get(late.id).await.unwrap(), Some(late));
        assert_eq!(copy().run().await.unwrap().outcome, CopyOutcome::AlreadyComplete);
    }
}

#[tokio::test]
async fn a_changed_source_is_lossless_where_a_proof_finds_its_rows_in_the_target() {
    let (source, target) = (filled(20).await, empty());
    Copier::new("a", &source, &target).run().await.unwrap();
    let late = MemoryRecord::new("came into both");
    source.insert(&late).await.unwrap();
    target.insert(&late).await.unwrap();
    let report = Copier::new("a", &source, &target).run().await.unwrap();
    assert_eq!(report.outcome, CopyOutcome::SourceChangedSince);
    assert!(report.is_lossless(), "{report:?}");
    let report = Copier::new("a", &source, &target).verify(false).run().await.unwrap();
    assert!(!report.is_lossless(), "without a proof nobody knows");
}

#[tokio::test]
async fn a_proof_finds_another_session_and_a_missing_one() {
    let record = MemoryRecord::new("we meet again").session("monday");
    let (source, target) = (empty(), empty());
    source.insert(&record).await.unwrap();
    for (session, different) in [(Some("monday"), 0), (Some("tuesday"), 1), (None, 1)] {
        let mut other = record.clone();
        other.session = session.map(str::to_owned);
        target.insert(&other).await.unwrap();
        let proof = Verifier::new(&source, &target).run().await.unwrap();
        assert_eq!((proof.sum().different, proof.is_equal()), (different, different == 0), "{session:?}");
        target.delete(record.id).await.unwrap();
    }
}

#[tokio::test]
async fn a_source_that_changes_its_model_without_a_proof_is_noticed() {
    let (source, target) = (filled(50).await, empty());
    let other = source.another_handle();
    let mut switched = false;
    // Of the same dimension, so that no vector is refused.
    let new = ModelSignature { hash: "ee".repeat(32), ..model(8) };
    let report = Copier::new("a", &source, &target)
        .verify(false)
        .on_progress(move |progress| {
            if progress.phase == Phase::Indexing && !switched {
                switched = true;
                common::at_once(other.begin_reembedding(&new));
                let pending = common::at_once(other.reembedding_pending(None, 1000));
                let vectors: Vec<_> = pending
                    .into_iter()
                    .map(|memory| ReembeddedMemory {
                        id: memory.id,
                        updated_at: memory.updated_at,
                        embedding: None,
                    })
                    .collect();
                common::at_once(other.write_reembedded(&vectors));
                common::at_once(other.finish_reembedding());
            }
        })
        .run()
        .await
        .unwrap();
    assert_eq!(report.outcome, CopyOutcome::SourceChanged);
}

#[tokio::test]
async fn a_plan_says_what_a_copy_then_does_and_changes_nothing() {
    let (source, target) = (filled(60).await, empty());
    let before = archive_of(&target).await;
    let plan = Copier::new("a", &source, &target).plan().await.unwrap();
    assert_eq!(archive_of(&target).await, before);
    assert_eq!(target.registered_model().await.unwrap(), None);
    assert!(!plan.resumes && !plan.already_complete && plan.seconds > 0.0);
    let report = Copier::new("a", &source, &target).run().await.unwrap();
    assert_eq!(plan.rows, report.rows);
    let moved: u64 = archive_of(&source)
        .await
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| !line.starts_with(br#"{"kind":"header""#) && !line.starts_with(br#"{"kind":"end""#))
        .filter(|line| !line.windows(8).any(|part| part == br#":"local""#))
        .map(|line| line.len() as u64)
        .sum();
    assert_eq!(plan.bytes, moved);
    assert!(Copier::new("a", &source, &target).plan().await.unwrap().already_complete);
}

#[tokio::test]
async fn rows_that_cannot_be_moved_are_listed_and_the_rest_goes_on() {
    let source = sqlite();
    fill(&source.store, 30, 8).await;
    drop(source.store);
    let odd = |n: usize| id(9, n).into_bytes().to_vec();
    {
        // What an old or a strange program may have left in the file.
        let file = rusqlite::Connection::open(&source.path).unwrap();
        file.execute("UPDATE knowledge_nodes SET content = 'a' || char(0) || 'b' WHERE id = ?", [odd(3)])
            .unwrap();
        file.execute("UPDATE knowledge_nodes SET embedding = x'0000803f' WHERE id = ?", [odd(4)]).unwrap();
        file.execute("UPDATE knowledge_nodes SET metadata = 'no json' WHERE id = ?", [odd(6)]).unwrap();
    }
    let source = open_sqlite(&source.path);
    let target = empty();
    let (mut planned, mut kept) = (Kept::default(), Kept::default());
    let plan = Copier::new("a", &source, &target).rejects(&mut planned).plan().await.unwrap();
    let report = Copier::new("a", &source, &target).rejects(&mut kept).run().await.unwrap();
    let memories = report.rows[TransferKind::Memory];
    assert_eq!((memories.inserted, memories.not_moved()), (27, 3), "{:?}", kept.0);
    assert!(!report.is_lossless());
    assert_eq!(report.outcome, CopyOutcome::Complete);
    for (n, outcome, reason) in [
        (3, RejectOutcome::Rejected, "U+0000"),
        (4, RejectOutcome::Rejected, "dimensions"),
        (6, RejectOutcome::Damaged, "metadata"),
    ] {
        let key = format!("memory {}", id(9, n));
        for kept in [&planned.0, &kept.0] {
            let (found, text) = kept.iter().find(|(_, text)| text.starts_with(&key)).unwrap();
            assert_eq!(*found, outcome, "{text}");
            assert!(text.contains(reason), "{text}");
        }
    }
    // What belongs to them is listed too.
    assert!(kept.0.iter().any(|(_, text)| text.starts_with("edge")), "{:?}", kept.0);
    assert_eq!(report.rows.sum().not_moved(), kept.0.len() as u64);
    assert!(plan.rows[TransferKind::Memory].not_moved() == 3);
    // And the same again, after the end.
    let again = Copier::new("a", &source, &target).run().await.unwrap();
    assert_eq!(again.outcome, CopyOutcome::AlreadyComplete);
    assert!(!again.is_lossless());
    // Without a proof too: a row that cannot be read is no change of the source.
    let target = empty();
    let report = Copier::new("a", &source, &target).verify(false).run().await.unwrap();
    assert_eq!(report.outcome, CopyOutcome::Complete);
}

#[tokio::test]
async fn a_row_whose_key_is_spoilt_stops_nothing_wherever_a_page_ends() {
    let source = sqlite();
    fill(&source.store, 30, 8).await;
    let rows = [
        source.store.count_rows(TransferKind::Domain).await.unwrap(),
        source.store.count_rows(TransferKind::Edge).await.unwrap(),
    ];
    drop(source.store);
    {
        let file = rusqlite::Connection::open(&source.path).unwrap();
        for spoil in [
            "UPDATE edges SET edge_type = 'a' || char(0) || 'b' WHERE source_id IN \
             (SELECT source_id FROM edges ORDER BY 1 LIMIT 3)",
            "INSERT INTO domains (id, label, created_at) VALUES ('a' || char(0), 'nul', 0)",
            "INSERT INTO domains (id, label, created_at) VALUES (CAST(x'62ff' AS TEXT), 'no UTF-8', 0)",
        ] {
            assert!(file.execute(spoil, []).unwrap() > 0);
        }
    }
    let source = open_sqlite(&source.path);
    for page_rows in [1, 2, 3, 100] {
        let target = empty();
        let mut kept = Kept::default();
        let copier = Copier::new("a", &source, &target).page_rows(page_rows).rejects(&mut kept);
        let report = copier.run().await.unwrap();
        let (domains, edges) = (report.rows[TransferKind::Domain], report.rows[TransferKind::Edge]);
        assert_eq!((domains.inserted, domains.not_moved()), (rows[0], 2), "{:?}", kept.0);
        assert_eq!((edges.inserted, edges.not_moved()), (rows[1] - 3, 3), "{:?}", kept.0);
        assert_eq!(kept.0.len(), 5, "{:?}", kept.0);
    }
}

#[tokio::test]
async fn sqlite_to_sqlite_by_copy_and_by_archive_is_the_same_bytes() {
    let (source, copied, restored) = (sqlite(), sqlite(), sqlite());
    fill(&source.store, 300, 32).await;
    let before = archive_of(&source.store).await;
    let report = Copier::new("a", &source.store, &copied.store).run().await.unwrap();
    assert!(report.is_lossless());
    let proof = report.proof.unwrap();
    assert!(
        proof.searches.iter().all(|search| search.searches > 0 && search.identical == search.searches),
        "{proof:?}"
    );
    assert_eq!(archive_of(&copied.store).await, before);
    let report = Restorer::new(&mut common::open(&before), &restored.store).run().await.unwrap();
    assert!(report.is_lossless());
    assert_eq!(archive_of(&restored.store).await, before);
    assert_eq!(archive_of(&filled_like(300, 32).await).await, before, "whichever the backend");
}

async fn filled_like(memories: usize, dimension: usize) -> vestige_conformance::ReferenceStore {
    let store = empty();
    fill(&store, memories, dimension).await;
    store
}

#[tokio::test]
async fn a_copy_dropped_at_any_moment_goes_on_to_the_same_end() {
    let source = sqlite();
    fill(&source.store, 80, 8).await;
    let expected = archive_of(&source.store).await;
    let mut interruptions = 0;
    // How often a call has to wait is for the machine to say, so it goes on until enough were interrupted.
    for step in [1, 2, 3, 5, 7, 11].into_iter().cycle().take(300) {
        if interruptions > 60 {
            break;
        }
        let target = sqlite();
        let mut waits = 0;
        let report = loop {
            // Another process, each time: what was in memory is gone.
            let handle = open_sqlite(&target.path);
            let copy = Copier::new("a", &source.store, &handle).page_rows(20).sample(0);
            match interrupted(copy.run(), waits).await {
                Some(report) => break report.unwrap(),
                None => interruptions += 1,
            }
            waits += step;
        };
        assert!(report.is_lossless(), "{report:?}");
        assert_eq!(archive_of(&target.store).await, expected);
    }
    assert!(interruptions > 60, "only {interruptions} interruptions");
}

#[tokio::test]
async fn a_restore_dropped_at_any_moment_goes_on_to_the_same_end() {
    let expected = archive_of(&filled(60).await).await;
    let target = sqlite();
    let mut resumed = 0;
    for waits in (0..).step_by(2) {
        let mut archive = common::open(&expected);
        let handle = open_sqlite(&target.path);
        let restore = Restorer::new(&mut archive, &handle).page_rows(16);
        if let Some(report) = interrupted(restore.run(), waits).await {
            let report = report.unwrap();
            resumed += u64::from(report.resumed);
            assert!(report.is_lossless(), "{report:?}");
            break;
        }
    }
    assert_eq!(resumed, 1);
    assert_eq!(archive_of(&target.store).await, expected);
}

#[tokio::test]
async fn a_source_that_changed_between_interruption_and_next_run_is_copied_whole() {
    let source = sqlite();
    fill(&source.store, 80, 8).await;
    let target = sqlite();
    let copy = || Copier::new("a", &source.store, &target.store).page_rows(20).sample(0);
    let copied = AtomicU64::new(0);
    let first = copy().on_progress(|progress| copied.store(progress.done, Relaxed));
    assert!(interrupted_when(first.run(), || copied.load(Relaxed) > 60).await.is_none());
    let mut late = MemoryRecord::new("before everything else");
    late.id = uuid::Uuid::from_u128(1);
    source.store.insert(&late).await.unwrap();
    let report = copy().run().await.unwrap();
    assert!(report.resumed);
    assert_eq!(report.outcome, CopyOutcome::SourceChanged);
    let report = copy().run().await.unwrap();
    assert_eq!(report.outcome, CopyOutcome::Complete);
    assert_eq!(archive_of(&target.store).await, archive_of(&source.store).await);
}

#[tokio::test]
async fn a_sink_that_fails_stops_the_copy_and_loses_no_reject() {
    struct Full;
    impl vestige_migrate::RejectSink for Full {
        fn reject(&mut self, _: &vestige_migrate::Reject<'_>) -> std::io::Result<()> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (source, target) = (filled(30).await, empty());
    let mut rival = common::memory(7, 8);
    rival.content = "other content".to_owned();
    rival.owner_user_id = vestige_traits::identity::LOCAL_USER_ID;
    target.register_model(&model(8)).await.unwrap();
    target.import_page(&[TransferRow::Memory(rival)], None).await.unwrap();
    let error =
        Copier::new("a", &source, &target).into_existing(true).rejects(&mut Full).run().await.unwrap_err();
    assert!(matches!(error, MigrateError::Io { .. }), "{error}");
    let mut kept = Kept::default();
    let report =
        Copier::new("a", &source, &target).into_existing(true).rejects(&mut kept).run().await.unwrap();
    assert!(report.resumed);
    assert_eq!(kept.0.len(), 1, "the reject of the page that was committed is told again");
}

#[tokio::test]
async fn the_work_can_be_spawned_on_any_runtime() {
    fn assert_send<T: Send>(work: T) -> T {
        work
    }
    let (source, target) = (filled(3).await, empty());
    let erased = vestige_traits::AnyMemoryStore::new(empty());
    assert!(assert_send(Copier::new("a", &source, &target).run()).await.unwrap().is_lossless());
    assert!(assert_send(Copier::new("a", &source, &erased).run()).await.unwrap().is_lossless());
    assert!(assert_send(Verifier::new(&target, &erased).run()).await.unwrap().is_equal());
    let mut bytes = Vec::new();
    assert_send(vestige_migrate::archive::Exporter::new(&erased).write(&mut bytes)).await.unwrap();
    let (mut archive, restored) = (common::open(&bytes), empty());
    assert_send(Restorer::new(&mut archive, &restored).run()).await.unwrap();
    let new = common::Words::new(4);
    assert_send(vestige_migrate::Reembedder::new(&erased, &new).plan()).await.unwrap();
    assert_send(vestige_migrate::Reembedder::new(&erased, &new).run()).await.unwrap();
}
