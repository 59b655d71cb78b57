use chrono::TimeDelta;
use serde_json::json;
use vestige_traits::backend::CONFLICT_REASON;
use vestige_traits::identity::{Group, GroupRole, User};
use vestige_traits::transfer::{
    Checkpoint, ImportReport, ScheduledMemory, TransferKey, TransferKind, TransferRow,
};
use vestige_traits::{Domain, MemoryEdge, MemoryStore, SearchQuery};

use super::transfer::{everything, export, group, membership, user};
use crate::fixtures::*;
use crate::{StoreFactory, TestBed};

fn keys(rows: &[TransferRow]) -> Vec<(TransferKind, TransferKey)> {
    rows.iter().map(|row| (row.kind(), row.key())).collect()
}

/// Asserts that a report names these rows as rejected, in their order, with a reason, and took none.
#[track_caller]
fn assert_rejected(report: &ImportReport, rows: &[TransferRow]) {
    let rejected: Vec<_> = report.rejected.iter().map(|issue| (issue.kind(), issue.key.clone())).collect();
    assert_eq!(rejected, keys(rows));
    for issue in &report.rejected {
        assert!(!issue.reason.is_empty() && !issue.reason.contains('\n'), "{issue:?}");
    }
    assert_eq!(report.inserted + report.unchanged + report.conflicts.len() as u64, 0, "{report:?}");
}

/// The reasons for which rows were rejected, which are the same for every store.
fn reasons(report: &ImportReport) -> Vec<&str> {
    report.rejected.iter().map(|issue| issue.reason.as_str()).collect()
}

pub async fn importing_the_same_rows_again_changes_nothing(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    bed.store.import_page(&everything(), None).await.unwrap();
    bed.clock.advance(TimeDelta::days(1));
    let report = bed.store.import_page(&everything(), None).await.unwrap();
    assert_eq!(report, ImportReport { unchanged: 20, ..ImportReport::default() });
    let twice = [TransferRow::Memory(memory(500, "x")), TransferRow::Memory(memory(500, "x"))];
    let report = bed.store.import_page(&twice, None).await.unwrap();
    assert_eq!((report.inserted, report.unchanged), (1, 1));
}

pub async fn an_exported_store_imports_unchanged_into_itself(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.register_model(&model()).await.unwrap();
    store.import_page(&everything(), None).await.unwrap();
    let metadata = json!({"zero": -0.0, "whole": 1e17, "deep": [[1.5e-9]]});
    let odd = memory(600, "odd numbers").metadata(metadata.clone());
    store.insert(&odd).await.unwrap();
    let stranger = User { metadata, created_at: now() + TimeDelta::nanoseconds(1), ..user(15) };
    let report = store.import_page(&[TransferRow::User(stranger.clone())], None).await.unwrap();
    assert_eq!(report.inserted, 1);
    let report = store.import_page(&[TransferRow::User(stranger)], None).await.unwrap();
    assert_eq!(report.unchanged, 1, "what a store rewrites is the same row");
    for kind in TransferKind::ALL {
        let rows = export(store, kind, 100).await;
        let report = store.import_page(&rows, None).await.unwrap();
        assert_eq!(
            report,
            ImportReport { unchanged: rows.len() as u64, ..ImportReport::default() },
            "{kind}"
        );
    }
}

pub async fn a_row_with_other_content_is_a_conflict_and_not_written(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.register_model(&model()).await.unwrap();
    store.import_page(&everything(), None).await.unwrap();
    let mut renamed_label = domain("builds");
    renamed_label.label = "Other".to_owned();
    let mut local = User::local();
    local.display_name = Some("Somebody".to_owned());
    let others = [
        TransferRow::User(local),
        TransferRow::User(User { display_name: Some("New".to_owned()), ..user(11) }),
        TransferRow::Group(Group { metadata: json!({}), ..group(21) }),
        TransferRow::GroupMembership(membership(11, 21, GroupRole::Member)),
        TransferRow::Domain(renamed_label),
        TransferRow::Memory(memory(101, "second thoughts")),
        TransferRow::Memory(memory(102, "second")),
        TransferRow::Scheduling(ScheduledMemory { memory_id: id(101), state: reviewed(now(), 2.000_001) }),
        TransferRow::Edge(edge(101, 102, 0.75)),
        TransferRow::Edge(MemoryEdge {
            created_at: now() + TimeDelta::microseconds(1),
            ..edge(102, 101, 0.25)
        }),
        TransferRow::ReviewEvent(review(1, 101, None, reviewed(now(), 2.5))),
    ];
    let report = store.import_page(&others, None).await.unwrap();
    let conflicts: Vec<_> = report.conflicts.iter().map(|issue| (issue.kind(), issue.key.clone())).collect();
    assert_eq!(conflicts, keys(&others), "{report:?}");
    assert!(report.conflicts.iter().all(|issue| issue.reason == CONFLICT_REASON));
    assert_eq!((report.inserted, report.unchanged, report.rejected.len()), (0, 0, 0));
    for kind in TransferKind::ALL {
        let mut expected = everything();
        expected.retain(|row| row.kind() == kind);
        expected.sort_by_key(TransferRow::key);
        assert_eq!(export(store, kind, 100).await, expected, "what was there stays");
    }
}

pub async fn a_memory_that_changed_since_is_a_conflict(bed: &TestBed<impl StoreFactory>) {
    let record = memory(1, "x");
    bed.store.import_page(&[TransferRow::Memory(record.clone())], None).await.unwrap();
    bed.clock.advance(TimeDelta::days(1));
    bed.store.update(&record).await.unwrap();
    let report = bed.store.import_page(&[TransferRow::Memory(record)], None).await.unwrap();
    assert_eq!(report.conflicts.len(), 1, "its updated_at is another");
}

pub async fn rows_that_break_a_rule_are_rejected_and_the_others_written(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store
        .import_page(&[TransferRow::Memory(memory(1, "x")), TransferRow::Memory(memory(2, "y"))], None)
        .await
        .unwrap();
    let bad = [
        TransferRow::Memory(memory(3, "nul\0")),
        TransferRow::Memory(memory(4, " ")),
        TransferRow::Edge(edge(1, 1, 1.0)),
        TransferRow::Edge(edge(1, 2, 7.0)),
        TransferRow::Scheduling(ScheduledMemory { memory_id: id(1), state: reviewed(now(), -1.0) }),
        TransferRow::Domain(Domain { label: String::new(), ..domain("d") }),
        TransferRow::User(User { handle: String::new(), ..user(11) }),
    ];
    assert_rejected(&store.import_page(&bad, None).await.unwrap(), &bad);

    let mut mixed = bad.to_vec();
    mixed.insert(0, TransferRow::Memory(memory(5, "before")));
    mixed.push(TransferRow::Memory(memory(6, "after")));
    let report = store.import_page(&mixed, None).await.unwrap();
    assert_eq!((report.inserted, report.rejected.len()), (2, bad.len()));
    assert_eq!(store.count().await.unwrap(), 4);
    assert!(store.get_edges(id(1)).await.unwrap().is_empty());
}

pub async fn rows_that_refer_to_nothing_are_rejected(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    let seeds =
        [TransferRow::Memory(memory(1, "x")), TransferRow::User(user(11)), TransferRow::Group(group(21))];
    store.import_page(&seeds, None).await.unwrap();
    let bad = [
        TransferRow::Memory(memory(2, "whose?").owner_user_id(id(99))),
        TransferRow::Scheduling(ScheduledMemory { memory_id: id(99), state: reviewed(now(), 1.0) }),
        TransferRow::Edge(edge(1, 99, 1.0)),
        TransferRow::Edge(edge(99, 1, 1.0)),
        TransferRow::GroupMembership(membership(99, 21, GroupRole::Member)),
        TransferRow::GroupMembership(membership(11, 99, GroupRole::Member)),
    ];
    let report = store.import_page(&bad, None).await.unwrap();
    assert_rejected(&report, &bad);
    let missing = id(99);
    let no_memory = format!("memory {missing} does not exist");
    assert_eq!(
        reasons(&report),
        [
            format!("owner_user_id: there is no user {missing}"),
            no_memory.clone(),
            no_memory.clone(),
            no_memory,
            format!("user {missing} does not exist"),
            format!("group {missing} does not exist"),
        ]
    );
    assert_eq!(store.count().await.unwrap(), 1);
}

pub async fn a_row_may_refer_to_one_before_it_and_not_to_one_after_it(bed: &TestBed<impl StoreFactory>) {
    let rows = [
        TransferRow::Edge(edge(1, 2, 1.0)),
        TransferRow::Memory(memory(1, "x")),
        TransferRow::Memory(memory(2, "y")),
        TransferRow::Edge(edge(2, 1, 1.0)),
    ];
    let report = bed.store.import_page(&rows, None).await.unwrap();
    assert_eq!(report.inserted, 3);
    assert_eq!(report.rejected.len(), 1);
    assert_eq!(bed.store.get_edges(id(1)).await.unwrap(), [edge(2, 1, 1.0)]);
}

pub async fn a_handle_that_is_taken_is_rejected(bed: &TestBed<impl StoreFactory>) {
    let taken = |n: u128| TransferRow::User(User { handle: "user-11".to_owned(), ..user(n) });
    let group_taken = TransferRow::Group(Group { handle: "group-21".to_owned(), ..group(22) });
    let rows = [taken(11), taken(12), TransferRow::Group(group(21)), group_taken.clone()];
    let report = bed.store.import_page(&rows, None).await.unwrap();
    assert_eq!(report.inserted, 2);
    let rejected: Vec<_> = report.rejected.iter().map(|issue| issue.key.clone()).collect();
    assert_eq!(rejected, [taken(12).key(), group_taken.key()]);
    assert_eq!(
        reasons(&report),
        [
            r#"user.handle: "user-11" belongs to another user"#,
            r#"group.handle: "group-21" belongs to another group"#
        ]
    );
    let impostor = TransferRow::User(User { handle: "local".to_owned(), ..user(13) });
    assert_rejected(
        &bed.store.import_page(std::slice::from_ref(&impostor), None).await.unwrap(),
        &[impostor],
    );
    let shared = TransferRow::Group(Group { handle: "user-11".to_owned(), ..group(23) });
    assert_eq!(
        bed.store.import_page(&[shared], None).await.unwrap().inserted,
        1,
        "groups have their own names"
    );
}

pub async fn vectors_that_do_not_fit_are_rejected(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    let row = |n, vector: &[f32]| TransferRow::Memory(embedded(n, "x", vector));
    let early = [row(1, &[1.0, 0.0, 0.0, 0.0])];
    let report = store.import_page(&early, None).await.unwrap();
    assert_rejected(&report, &early);
    assert_eq!(
        reasons(&report),
        ["no embedding model is registered in this store, so it cannot take a vector"]
    );
    store.register_model(&model()).await.unwrap();
    let mut centred = domain("d");
    centred.centroid = Some(vec![1.0]);
    let bad = [row(1, &[1.0]), row(2, &[0.0; 4]), row(3, &[f32::NAN; 4]), TransferRow::Domain(centred)];
    let report = store.import_page(&bad, None).await.unwrap();
    assert_rejected(&report, &bad);
    let unfit = format!("the store is embedded with {}, and this is a vector of 1 dimensions", model());
    assert_eq!(
        reasons(&report),
        [
            unfit.as_str(),
            "embedding: is all zero, so it points nowhere",
            "embedding: component 0 is not finite",
            unfit.as_str()
        ]
    );
    assert_eq!(store.import_page(&early, None).await.unwrap().inserted, 1);
    // A row that breaks a rule is rejected, also where its key is there with other content.
    assert_rejected(&store.import_page(&bad[..1], None).await.unwrap(), &bad[..1]);
}

pub async fn a_page_takes_ten_thousand_rows_and_no_more(bed: &TestBed<impl StoreFactory>) {
    let mut rows: Vec<_> = (1..=10_001).map(|n| TransferRow::Memory(memory(n, format!("row {n}")))).collect();
    let checkpoint = Checkpoint { name: "c".to_owned(), state: json!({}), updated_at: now() };
    assert_invalid(bed.store.import_page(&rows, Some(checkpoint)).await, "rows");
    assert_eq!(bed.store.count().await.unwrap(), 0);
    assert_eq!(bed.store.get_checkpoint("c").await.unwrap(), None);
    rows.truncate(10_000);
    assert_eq!(bed.store.import_page(&rows, None).await.unwrap().inserted, 10_000);
    assert_eq!(bed.store.import_page(&rows, None).await.unwrap().unchanged, 10_000);
    assert_eq!(found(&bed.store.search(&SearchQuery::text("9999")).await.unwrap()), ids([9999]));
}

pub async fn an_empty_page_does_nothing(bed: &TestBed<impl StoreFactory>) {
    assert_eq!(bed.store.import_page(&[], None).await.unwrap(), ImportReport::default());
}

pub async fn a_checkpoint_is_written_though_rows_are_rejected(bed: &TestBed<impl StoreFactory>) {
    let checkpoint = Checkpoint { name: "c".to_owned(), state: json!({"n": 1}), updated_at: now() };
    let rows = [TransferRow::Memory(memory(1, ""))];
    bed.store.import_page(&rows, Some(checkpoint.clone())).await.unwrap();
    assert_eq!(bed.store.get_checkpoint("c").await.unwrap(), Some(checkpoint));
}

pub async fn import_keeps_times_and_touches_nothing_else(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.insert(&memory(1, "x")).await.unwrap();
    bed.clock.advance(TimeDelta::days(9));
    let mut old = memory(2, "y");
    old.created_at = now() - TimeDelta::days(700);
    old.updated_at = now() - TimeDelta::days(600);
    let rows = [
        TransferRow::Memory(old.clone()),
        TransferRow::Edge(edge(1, 2, 0.5)),
        TransferRow::Scheduling(ScheduledMemory { memory_id: id(1), state: reviewed(now(), 1.0) }),
    ];
    store.import_page(&rows, None).await.unwrap();
    assert_eq!(store.get(id(2)).await.unwrap(), Some(old));
    assert_eq!(store.get(id(1)).await.unwrap(), Some(memory(1, "x")));
}
