use chrono::TimeDelta;
use serde_json::json;
use vestige_traits::identity::{Group, GroupMembership, GroupRole, User};
use vestige_traits::transfer::{Checkpoint, ScheduledMemory, TransferKey, TransferKind, TransferRow};
use vestige_traits::{ListQuery, MemoryStore, Visibility};

use crate::fixtures::*;
use crate::{StoreFactory, TestBed};

/// User number `n`.
pub(super) fn user(n: u128) -> User {
    User {
        id: id(n),
        handle: format!("user-{n}"),
        display_name: n.is_multiple_of(2).then(|| format!("User {n}")),
        created_at: now() + TimeDelta::microseconds(5),
        metadata: json!({ "n": n as u64, "share": 0.1 }),
    }
}

/// Group number `n`.
pub(super) fn group(n: u128) -> Group {
    let User { id, handle, display_name, created_at, metadata } = user(n);
    Group { id, handle: handle.replace("user", "group"), display_name, created_at, metadata }
}

/// That the user belongs to the group.
pub(super) fn membership(user: u128, group: u128, role: GroupRole) -> GroupMembership {
    GroupMembership { user_id: id(user), group_id: id(group), role, joined_at: now() }
}

/// Rows of every kind, in an order in which they can be imported.
pub(super) fn everything() -> Vec<TransferRow> {
    let mut owned = embedded(103, "owned by somebody else", &[0.0, 0.5, -0.25, 1.0]);
    owned.owner_user_id = id(12);
    owned.visibility = Visibility::Group;
    owned.shared_with_groups = ids([21, 22]);
    let mut centred = domain("centred");
    centred.centroid = Some(vec![0.0, 0.0, 1.0, 0.0]);
    let event = review(1, 101, None, reviewed(now(), 2.0));
    let orphan = review(2, 999, Some(event.new_state), reviewed(now(), 3.0));
    vec![
        TransferRow::User(User::local()),
        TransferRow::User(user(11)),
        TransferRow::User(user(12)),
        TransferRow::Group(group(21)),
        TransferRow::Group(group(22)),
        TransferRow::GroupMembership(membership(11, 21, GroupRole::Admin)),
        TransferRow::GroupMembership(membership(12, 21, GroupRole::Member)),
        TransferRow::GroupMembership(membership(12, 22, GroupRole::Member)),
        TransferRow::Domain(domain("Zoo")),
        TransferRow::Domain(domain("builds")),
        TransferRow::Domain(centred),
        TransferRow::Memory(memory(101, "first")),
        TransferRow::Memory(embedded(102, "second", &[1.0, 0.0, 0.0, 0.0])),
        TransferRow::Memory(owned),
        TransferRow::Scheduling(ScheduledMemory { memory_id: id(101), state: reviewed(now(), 2.0) }),
        TransferRow::Scheduling(ScheduledMemory { memory_id: id(103), state: reviewed(now(), 0.7) }),
        TransferRow::Edge(edge(101, 102, 0.5)),
        TransferRow::Edge(edge(102, 101, 0.25)),
        TransferRow::ReviewEvent(event),
        TransferRow::ReviewEvent(orphan),
    ]
}

/// Everything of a kind, in pages of `size`.
pub(super) async fn export(
    store: &(impl MemoryStore + Sync),
    kind: TransferKind,
    size: usize,
) -> Vec<TransferRow> {
    let (mut rows, mut after): (Vec<_>, Option<TransferKey>) = (Vec::new(), None);
    loop {
        let page = store.export_page(kind, after.as_ref(), size).await.unwrap();
        assert!(page.damaged.is_empty(), "{:?}", page.damaged);
        assert!(page.rows.len() == size || page.next.is_none(), "only the last page may be short");
        assert_eq!(page.next, page.next.as_ref().and(page.rows.last().map(TransferRow::key)));
        rows.extend(page.rows);
        after = page.next;
        if after.is_none() {
            return rows;
        }
    }
}

pub async fn a_new_store_holds_the_local_user_and_nothing_else(bed: &TestBed<impl StoreFactory>) {
    for kind in TransferKind::ALL {
        let expected = match kind {
            TransferKind::User => vec![TransferRow::User(User::local())],
            _ => Vec::new(),
        };
        assert_eq!(export(&bed.store, kind, 10).await, expected);
        assert_eq!(bed.store.count_rows(kind).await.unwrap(), expected.len() as u64);
    }
}

pub async fn what_was_imported_is_exported_unchanged(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    let report = bed.store.import_page(&everything(), None).await.unwrap();
    assert_eq!((report.inserted, report.unchanged), (19, 1), "{report:?}");
    assert!(report.conflicts.is_empty() && report.rejected.is_empty(), "{report:?}");
    for kind in TransferKind::ALL {
        let mut expected = everything();
        expected.retain(|row| row.kind() == kind);
        expected.sort_by_key(TransferRow::key);
        assert_eq!(bed.store.count_rows(kind).await.unwrap(), expected.len() as u64);
        for size in [1, 2, 100] {
            assert_eq!(export(&bed.store, kind, size).await, expected, "{kind} in pages of {size}");
        }
    }
}

pub async fn what_was_written_by_other_operations_is_exported(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.insert_batch(&memories(1, 3)).await.unwrap();
    store.add_edge(&edge(1, 2, 0.5)).await.unwrap();
    let event = review(1, 3, None, reviewed(now(), 1.0));
    store.record_review(&event).await.unwrap();
    store.upsert_domain(&domain("builds")).await.unwrap();
    assert_eq!(export(store, TransferKind::Memory, 10).await.len(), 3);
    assert_eq!(export(store, TransferKind::Edge, 10).await, [TransferRow::Edge(edge(1, 2, 0.5))]);
    let state = ScheduledMemory { memory_id: id(3), state: event.new_state };
    assert_eq!(export(store, TransferKind::Scheduling, 10).await, [TransferRow::Scheduling(state)]);
    assert_eq!(export(store, TransferKind::ReviewEvent, 10).await, [TransferRow::ReviewEvent(event)]);
    assert_eq!(export(store, TransferKind::Domain, 10).await, [TransferRow::Domain(domain("builds"))]);
}

pub async fn imported_memories_are_found_by_searches(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.register_model(&model()).await.unwrap();
    store.import_page(&everything(), None).await.unwrap();
    let query = vestige_traits::SearchQuery::hybrid("second", vec![1.0, 0.0, 0.0, 0.0]);
    assert_eq!(found(&store.search(&in_keyword_mode(&query)).await.unwrap()), ids([102]));
    assert_eq!(found(&store.search(&in_vector_mode(&query)).await.unwrap()), ids([102, 103]));
    assert_eq!(store.list(&ListQuery::default()).await.unwrap().records.len(), 3);
    assert_eq!(store.get_neighbors(id(101), 1).await.unwrap().len(), 1);
    assert_eq!(store.get_scheduling(id(103)).await.unwrap(), Some(reviewed(now(), 0.7)));
    assert_eq!(store.get_reviews(id(999)).await.unwrap().len(), 1);
    let centred = store.classify(&[0.0, 0.0, 1.0, 0.0]).await.unwrap();
    assert_eq!(centred[0].domain, "centred");
    let stats = store.get_stats().await.unwrap();
    assert_eq!((stats.memories, stats.embedded, stats.users, stats.groups), (3, 2, 3, 2));
}

pub async fn an_imported_user_may_own_memories(bed: &TestBed<impl StoreFactory>) {
    bed.store.import_page(&[TransferRow::User(user(11))], None).await.unwrap();
    let record = memory(1, "mine").owner_user_id(id(11));
    bed.store.insert(&record).await.unwrap();
    assert_eq!(bed.store.get(id(1)).await.unwrap(), Some(record));
}

pub async fn pages_ascend_by_key_in_byte_order(bed: &TestBed<impl StoreFactory>) {
    let names = ["a", "B", "é", "a-b", "ab", "a b", "😀", "Z"];
    let mut rows: Vec<_> = names.iter().map(|name| TransferRow::Domain(domain(name))).collect();
    rows.extend([3, 1, 2].map(|n| TransferRow::Memory(memory(n, "x"))));
    for name in names {
        rows.push(TransferRow::Edge(vestige_traits::MemoryEdge {
            edge_type: name.to_owned(),
            ..edge(1, 2, 1.0)
        }));
    }
    rows.push(TransferRow::Edge(edge(1, 3, 1.0)));
    bed.store.import_page(&rows, None).await.unwrap();
    for kind in [TransferKind::Domain, TransferKind::Memory, TransferKind::Edge] {
        let exported = export(&bed.store, kind, 3).await;
        assert!(exported.is_sorted_by_key(TransferRow::key), "{kind}");
        assert_eq!(exported.len(), rows.iter().filter(|row| row.kind() == kind).count());
    }
}

pub async fn a_page_goes_on_after_a_key_that_is_gone(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert_batch(&memories(1, 5)).await.unwrap();
    let page = bed.store.export_page(TransferKind::Memory, None, 2).await.unwrap();
    bed.store.delete(id(2)).await.unwrap();
    let page = bed.store.export_page(TransferKind::Memory, page.next.as_ref(), 2).await.unwrap();
    let keys: Vec<_> = page.rows.iter().map(TransferRow::key).collect();
    assert_eq!(keys, [3, 4].map(|n| TransferKey::Memory(id(n))));
}

pub async fn a_page_of_no_or_too_many_rows_is_invalid(bed: &TestBed<impl StoreFactory>) {
    for limit in [0, 10_001] {
        assert_invalid(bed.store.export_page(TransferKind::Memory, None, limit).await, "limit");
    }
    assert!(bed.store.export_page(TransferKind::Memory, None, 10_000).await.unwrap().rows.is_empty());
}

pub async fn a_key_of_another_kind_is_invalid(bed: &TestBed<impl StoreFactory>) {
    let unreadable = |kind, parts: &[&str]| {
        TransferKey::from_parts(kind, parts.iter().map(|part| (*part).to_owned()).collect())
    };
    let (one, edge_type) = (id(1), "related".to_owned());
    let text = one.to_string();
    for (kind, key) in [
        (TransferKind::Memory, unreadable(TransferKind::Memory, &[])),
        (TransferKind::Memory, unreadable(TransferKind::Memory, &["no uuid"])),
        (TransferKind::Memory, unreadable(TransferKind::Memory, &[&text, &text])),
        (TransferKind::Memory, TransferKey::Scheduling(one)),
        (TransferKind::User, TransferKey::Group(one)),
        (TransferKind::Edge, unreadable(TransferKind::Edge, &[&text, &text])),
        (TransferKind::Edge, TransferKey::GroupMembership { user_id: one, group_id: one }),
        (TransferKind::GroupMembership, unreadable(TransferKind::GroupMembership, &[&text])),
        (TransferKind::GroupMembership, TransferKey::Edge { source_id: one, target_id: one, edge_type }),
        (TransferKind::Domain, TransferKey::Domain("nul\0".to_owned())),
    ] {
        assert_invalid(bed.store.export_page(kind, Some(&key), 5).await, "after");
    }
}

pub async fn bulk_loading_changes_no_answer(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.register_model(&model()).await.unwrap();
    store.begin_bulk_load().await.unwrap();
    store.begin_bulk_load().await.unwrap();
    let rows: Vec<_> = (1..=200)
        .map(|n| TransferRow::Memory(embedded(n, format!("lamp {n}"), &[1.0, n as f32, 0.0, 0.0])))
        .collect();
    store.import_page(&rows, None).await.unwrap();
    let query = vestige_traits::SearchQuery::hybrid("lamp 7", vec![1.0, 7.0, 0.0, 0.0]);
    let during = store.search(&query).await.unwrap();
    assert_eq!(during[0].record.id, id(7));
    store.finish_bulk_load().await.unwrap();
    store.finish_bulk_load().await.unwrap();
    assert_eq!(store.search(&query).await.unwrap(), during);
    assert_eq!(store.count().await.unwrap(), 200);
}

pub async fn a_checkpoint_is_written_with_its_page(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    let checkpoint = Checkpoint {
        name: "copy of laptop".to_owned(),
        state: json!({ "after": ["x"], "done": 3, "share": 0.1 }),
        updated_at: now(),
    };
    store.import_page(&[TransferRow::Memory(memory(1, "x"))], Some(checkpoint.clone())).await.unwrap();
    assert_eq!(store.get_checkpoint("copy of laptop").await.unwrap(), Some(checkpoint.clone()));
    let later = Checkpoint { state: json!({}), updated_at: now() + TimeDelta::seconds(1), ..checkpoint };
    bed.another_handle().await.import_page(&[], Some(later.clone())).await.unwrap();
    assert_eq!(store.get_checkpoint("copy of laptop").await.unwrap(), Some(later));
    assert_eq!(store.get_checkpoint("Copy of laptop").await.unwrap(), None);
}

pub async fn an_invalid_checkpoint_leaves_the_page_unwritten(bed: &TestBed<impl StoreFactory>) {
    let row = [TransferRow::Memory(memory(1, "x"))];
    let good = Checkpoint { name: "c".to_owned(), state: json!({}), updated_at: now() };
    let nameless = Checkpoint { name: " ".to_owned(), ..good.clone() };
    assert_invalid(bed.store.import_page(&row, Some(nameless)).await, "checkpoint.name");
    let shapeless = Checkpoint { state: json!([1]), ..good };
    assert_invalid(bed.store.import_page(&row, Some(shapeless)).await, "checkpoint.state");
    assert_eq!(bed.store.count().await.unwrap(), 0);
    assert_eq!(bed.store.get_checkpoint("c").await.unwrap(), None);
}

pub async fn a_cleared_checkpoint_is_gone(bed: &TestBed<impl StoreFactory>) {
    let checkpoint = Checkpoint { name: "c".to_owned(), state: json!({}), updated_at: now() };
    bed.store.import_page(&[], Some(checkpoint)).await.unwrap();
    bed.store.clear_checkpoint("c").await.unwrap();
    assert_eq!(bed.store.get_checkpoint("c").await.unwrap(), None);
    bed.store.clear_checkpoint("c").await.unwrap();
    assert_invalid(bed.store.get_checkpoint("nul\0").await, "checkpoint.name");
}
