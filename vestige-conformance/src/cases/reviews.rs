use chrono::TimeDelta;
use vestige_traits::MemoryStore;
use vestige_traits::scheduling::{Rating, ReviewEvent};

use crate::fixtures::*;
use crate::{StoreFactory, TestBed};

pub async fn a_review_appends_to_the_log_and_sets_the_state(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert_batch(&memories(1, 2)).await.unwrap();
    let first = review(1, 1, None, reviewed(now(), 1.5));
    bed.store.record_review(&first).await.unwrap();
    assert_eq!(bed.store.get_scheduling(id(1)).await.unwrap(), Some(first.new_state));
    let mut second = review(2, 1, Some(first.new_state), reviewed(now(), 4.0 / 3.0));
    second.rating = Rating::Again;
    second.timestamp = now() + TimeDelta::microseconds(1);
    bed.store.record_review(&second).await.unwrap();
    assert_eq!(bed.store.get_scheduling(id(1)).await.unwrap(), Some(second.new_state));
    assert_eq!(bed.store.get_reviews(id(1)).await.unwrap(), [first, second]);
    assert!(bed.store.get_reviews(id(2)).await.unwrap().is_empty());
}

pub async fn every_rating_is_kept(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert(&memory(1, "x")).await.unwrap();
    let mut prior = None;
    let ratings = [Rating::Again, Rating::Hard, Rating::Good, Rating::Easy];
    for (n, rating) in (1..).zip(ratings) {
        let new = reviewed(now(), n as f64);
        bed.store.record_review(&ReviewEvent { rating, ..review(n, 1, prior, new) }).await.unwrap();
        prior = Some(new);
    }
    let kept: Vec<_> = bed.store.get_reviews(id(1)).await.unwrap().iter().map(|e| e.rating).collect();
    assert_eq!(kept, ratings);
}

pub async fn a_review_from_a_stale_state_is_a_conflict(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert(&memory(1, "x")).await.unwrap();
    let first = review(1, 1, None, reviewed(now(), 1.0));
    bed.store.record_review(&first).await.unwrap();
    assert_conflict(bed.store.record_review(&review(2, 1, None, reviewed(now(), 9.0))).await);
    let other = Some(reviewed(now(), 1.000_000_1));
    assert_conflict(bed.store.record_review(&review(3, 1, other, reviewed(now(), 9.0))).await);
    assert_eq!(bed.store.get_scheduling(id(1)).await.unwrap(), Some(first.new_state));
    assert_eq!(bed.store.get_reviews(id(1)).await.unwrap(), [first]);
}

pub async fn a_review_that_expects_a_state_where_there_is_none_is_a_conflict(
    bed: &TestBed<impl StoreFactory>,
) {
    bed.store.insert(&memory(1, "x")).await.unwrap();
    let event = review(1, 1, Some(reviewed(now(), 1.0)), reviewed(now(), 2.0));
    assert_conflict(bed.store.record_review(&event).await);
    assert_eq!(bed.store.get_scheduling(id(1)).await.unwrap(), None);
}

pub async fn recording_the_same_review_again_changes_nothing(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert(&memory(1, "x")).await.unwrap();
    let first = review(1, 1, None, reviewed(now(), 1.0));
    let second = review(2, 1, Some(first.new_state), reviewed(now(), 2.0));
    bed.store.record_review(&first).await.unwrap();
    bed.store.record_review(&first).await.unwrap();
    bed.store.record_review(&second).await.unwrap();
    bed.store.record_review(&first).await.unwrap();
    assert_eq!(bed.store.get_scheduling(id(1)).await.unwrap(), Some(second.new_state), "the state stays");
    assert_eq!(bed.store.get_reviews(id(1)).await.unwrap(), [first, second]);
}

pub async fn another_review_with_a_known_id_already_exists(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert_batch(&memories(1, 2)).await.unwrap();
    let first = review(1, 1, None, reviewed(now(), 1.0));
    bed.store.record_review(&first).await.unwrap();
    let other = review(1, 1, Some(first.new_state), reviewed(now(), 2.0));
    assert_already_exists(bed.store.record_review(&other).await, first.id);
    let elsewhere = ReviewEvent { memory_id: id(2), ..first.clone() };
    assert_already_exists(bed.store.record_review(&elsewhere).await, first.id);
    assert_eq!(bed.store.get_scheduling(id(1)).await.unwrap(), Some(first.new_state));
    assert_eq!(bed.store.get_scheduling(id(2)).await.unwrap(), None);
    assert_eq!(bed.store.get_reviews(id(1)).await.unwrap(), [first]);
}

pub async fn a_review_of_a_missing_memory_is_not_found(bed: &TestBed<impl StoreFactory>) {
    let event = review(1, 1, None, reviewed(now(), 1.0));
    assert_not_found(bed.store.record_review(&event).await, id(1));
    assert!(bed.store.get_reviews(id(1)).await.unwrap().is_empty());
}

pub async fn reviews_come_oldest_first_and_equal_times_by_id(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert(&memory(1, "x")).await.unwrap();
    let mut prior = None;
    for (n, seconds) in [(5, 3), (2, 1), (4, 2), (3, 2), (1, 9)] {
        let new = reviewed(now(), n as f64);
        let timestamp = now() + TimeDelta::seconds(seconds);
        bed.store.record_review(&ReviewEvent { timestamp, ..review(n, 1, prior, new) }).await.unwrap();
        prior = Some(new);
    }
    let order: Vec<_> = bed.store.get_reviews(id(1)).await.unwrap().iter().map(|event| event.id).collect();
    assert_eq!(order, [2, 3, 4, 5, 1].map(|n| id(0x1000_0000 + n)));
}

pub async fn a_review_may_follow_a_state_that_was_set(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert(&memory(1, "x")).await.unwrap();
    let set = reviewed(now(), 3.0);
    bed.store.update_scheduling(id(1), &set).await.unwrap();
    bed.store.record_review(&review(1, 1, Some(set), reviewed(now(), 5.0))).await.unwrap();
    assert_eq!(bed.store.get_scheduling(id(1)).await.unwrap().unwrap().stability, 5.0);
}
