use chrono::{DateTime, TimeDelta, Utc};
use vestige_traits::MemoryStore;
use vestige_traits::scheduling::SchedulingState;

use crate::fixtures::*;
use crate::{StoreFactory, TestBed};

pub async fn a_memory_has_no_scheduling_until_it_gets_one(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert(&memory(1, "new")).await.unwrap();
    assert_eq!(bed.store.get_scheduling(id(1)).await.unwrap(), None);
    assert_eq!(bed.store.get_scheduling(id(2)).await.unwrap(), None);
}

pub async fn a_scheduling_state_comes_back_as_it_was_set(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert_batch(&memories(1, 2)).await.unwrap();
    let state = SchedulingState {
        stability: 0.1 + 0.2,
        difficulty: 1.0 / 3.0 + 1.0,
        retrievability: 0.123_456_789_012_345_68,
        last_review: Some(now() - TimeDelta::microseconds(1)),
        next_review: Some("9999-12-31T23:59:59.999999Z".parse().unwrap()),
        reps: i32::MAX as u32,
        lapses: 7,
    };
    bed.store.update_scheduling(id(1), &state).await.unwrap();
    assert_eq!(bed.store.get_scheduling(id(1)).await.unwrap(), Some(state));
    let bare = SchedulingState { last_review: None, next_review: None, reps: 0, ..state };
    bed.store.update_scheduling(id(1), &bare).await.unwrap();
    assert_eq!(bed.store.get_scheduling(id(1)).await.unwrap(), Some(bare));
    assert_eq!(bed.store.get_scheduling(id(2)).await.unwrap(), None);
    assert!(bed.store.get_reviews(id(1)).await.unwrap().is_empty(), "setting a state is no review");
}

pub async fn scheduling_leaves_the_memory_as_it_was(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert(&memory(1, "steady")).await.unwrap();
    bed.clock.advance(TimeDelta::days(1));
    bed.store.update_scheduling(id(1), &reviewed(now(), 1.0)).await.unwrap();
    bed.store.record_review(&review(1, 1, Some(reviewed(now(), 1.0)), reviewed(now(), 2.0))).await.unwrap();
    assert_eq!(bed.store.get(id(1)).await.unwrap(), Some(memory(1, "steady")));
}

pub async fn scheduling_of_a_missing_memory_is_not_found(bed: &TestBed<impl StoreFactory>) {
    assert_not_found(bed.store.update_scheduling(id(1), &reviewed(now(), 1.0)).await, id(1));
}

pub async fn an_invalid_scheduling_state_is_refused(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert(&memory(1, "x")).await.unwrap();
    let good = reviewed(now(), 1.0);
    let refused = async |state: SchedulingState, field: &str| {
        assert_invalid(bed.store.update_scheduling(id(1), &state).await, field);
        assert_invalid(bed.store.record_review(&review(1, 1, None, state)).await, field);
    };
    for stability in [0.0, -1.0, 1e-9, 2e6, f64::NAN, f64::INFINITY] {
        refused(SchedulingState { stability, ..good }, "stability").await;
    }
    for difficulty in [0.0, 0.99, 10.01, f64::NAN] {
        refused(SchedulingState { difficulty, ..good }, "difficulty").await;
    }
    for retrievability in [-0.01, 1.01, f64::NAN] {
        refused(SchedulingState { retrievability, ..good }, "retrievability").await;
    }
    refused(SchedulingState { reps: u32::MAX, ..good }, "reps").await;
    refused(SchedulingState { lapses: 1 << 31, ..good }, "lapses").await;
    refused(SchedulingState { last_review: Some(DateTime::<Utc>::MAX_UTC), ..good }, "last_review").await;
    refused(SchedulingState { next_review: Some(DateTime::<Utc>::MIN_UTC), ..good }, "next_review").await;
    assert_eq!(bed.store.get_scheduling(id(1)).await.unwrap(), None);
    assert!(bed.store.get_reviews(id(1)).await.unwrap().is_empty());
}

pub async fn due_memories_come_longest_overdue_first(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert_batch(&memories(1, 6)).await.unwrap();
    let due = |offset| SchedulingState {
        next_review: Some(now() + TimeDelta::microseconds(offset)),
        ..reviewed(now(), 1.0)
    };
    for (n, offset) in [(1, -5), (2, -9), (3, 0), (4, 1), (5, -5)] {
        bed.store.update_scheduling(id(n), &due(offset)).await.unwrap();
    }
    let unscheduled = SchedulingState { next_review: None, ..due(0) };
    bed.store.update_scheduling(id(6), &unscheduled).await.unwrap();
    let found = bed.store.get_due_memories(now(), 100).await.unwrap();
    let order: Vec<_> = found.iter().map(|due| due.record.id).collect();
    assert_eq!(order, ids([2, 1, 5, 3]), "due at the very time, equal times by id");
    assert_eq!(found[0].record, memory(2, "note number 2"));
    assert_eq!(found[0].scheduling, due(-9));
    let later = bed.store.get_due_memories(now() + TimeDelta::nanoseconds(1999), 100).await.unwrap();
    assert_eq!(later.len(), 5);
}

pub async fn due_memories_are_limited(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert_batch(&memories(1, 15)).await.unwrap();
    for n in 1..=15 {
        bed.store.update_scheduling(id(n), &reviewed(now(), 1.0)).await.unwrap();
    }
    let later = now() + TimeDelta::days(2);
    assert_eq!(bed.store.get_due_memories(later, 3).await.unwrap().len(), 3);
    assert_eq!(bed.store.get_due_memories(later, 0).await.unwrap().len(), 10);
    assert_eq!(bed.store.get_due_memories(later, 1000).await.unwrap().len(), 15);
    assert_invalid(bed.store.get_due_memories(later, 1001).await, "limit");
    assert!(bed.store.get_due_memories(now(), 5).await.unwrap().is_empty());
}
