use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use chrono::TimeDelta;
use vestige_traits::{MemoryStore, MemoryStoreError, MemoryStoreResult, SearchQuery};

use crate::fixtures::*;
use crate::{StoreFactory, TestBed};

/// Awaits futures side by side, on whatever runtime this runs.
async fn all<T>(futures: Vec<impl Future<Output = T> + Send>) -> Vec<T> {
    let mut pending: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut answers: Vec<Option<T>> = pending.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (future, answer) in pending.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                *answer = Some(value);
            }
        }
        if answers.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    answers.into_iter().flatten().collect()
}

/// Polls a future a few times at once and drops it, done or not.
async fn dropped<T>(future: impl Future<Output = T> + Send, polls: usize) {
    poll_times(Box::pin(future).as_mut(), polls, true).await;
}

/// Polls a future so many times, as often as it asks for it, lets `meanwhile` happen and drops it.
pub(super) async fn abandoned<T>(
    future: impl Future<Output = T> + Send,
    polls: usize,
    meanwhile: impl Future<Output = ()>,
) {
    let mut future = Box::pin(future);
    poll_times(future.as_mut(), polls, false).await;
    meanwhile.await;
}

/// Polls a future until it is done, so many times at most: when it asks for it, or `unasked`.
async fn poll_times<T>(mut future: Pin<&mut (impl Future<Output = T> + Send)>, polls: usize, unasked: bool) {
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 || future.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        left -= 1;
        if left == 0 {
            return Poll::Ready(());
        }
        if unasked {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await;
}

pub async fn of_updates_of_one_version_at_once_one_wins(bed: &TestBed<impl StoreFactory>) {
    let (store, other) = (&bed.store, bed.another_handle().await);
    store.insert(&memory(1, "first")).await.unwrap();
    for _ in 0..10 {
        let version = store.get(id(1)).await.unwrap().unwrap().updated_at;
        let records: Vec<_> = (1..=8).map(|n| memory(1, format!("version {n}"))).collect();
        let updates = records.iter().enumerate().map(|(n, record)| {
            let handle = if n % 2 == 0 { store } else { &other };
            handle.update_unless_changed(record, version)
        });
        let answers = all(updates.collect()).await;
        let won: Vec<_> = answers.iter().zip(&records).filter(|(answer, _)| answer.is_ok()).collect();
        assert_eq!(won.len(), 1, "{answers:?}");
        assert_eq!(store.get(id(1)).await.unwrap().unwrap().content, won[0].1.content);
        for answer in answers.into_iter().filter(Result::is_err) {
            assert_conflict(answer);
        }
    }
}

pub async fn of_inserts_unless_changed_at_once_one_wins(bed: &TestBed<impl StoreFactory>) {
    let (store, other) = (&bed.store, bed.another_handle().await);
    for round in 0..10 {
        let token = store.change_token().await.unwrap();
        let batches: Vec<_> = (0..8).map(|n| vec![memory(8 * round + n + 1, "a heron")]).collect();
        let inserts = batches.iter().enumerate().map(|(n, batch)| {
            let handle = if n % 2 == 0 { store } else { &other };
            handle.insert_batch_unless_changed(batch, token)
        });
        let answers = all(inserts.collect()).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        for answer in answers.into_iter().filter(Result::is_err) {
            assert_conflict(answer);
        }
        assert_eq!(u128::from(store.count().await.unwrap()), round + 1);
    }
}

pub async fn inserts_unless_changed_at_once_beside_others_are_all_there(bed: &TestBed<impl StoreFactory>) {
    let (store, other) = (&bed.store, bed.another_handle().await);
    let insert = async |n: u128| {
        let handle = if n.is_multiple_of(2) { store } else { &other };
        let record = memory(n, "a heron");
        if n <= 8 {
            return handle.insert(&record).await;
        }
        loop {
            let token = handle.change_token().await?;
            match handle.insert_batch_unless_changed(std::slice::from_ref(&record), token).await {
                Err(MemoryStoreError::Conflict { .. }) => {}
                answer => return answer,
            }
        }
    };
    for answer in all((1..=16).map(insert).collect()).await {
        answer.unwrap();
    }
    assert_eq!(store.count().await.unwrap(), 16);
}

pub async fn inserts_at_once_are_all_there(bed: &TestBed<impl StoreFactory>) {
    let (store, other) = (&bed.store, bed.another_handle().await);
    store.register_model(&model()).await.unwrap();
    let records: Vec<_> =
        (1..=60).map(|n| embedded(n, format!("lamp {n}"), &[1.0, n as f32, 0.0, 0.0])).collect();
    let inserts = records.iter().enumerate().map(|(n, record)| {
        let handle = if n % 2 == 0 { store } else { &other };
        handle.insert(record)
    });
    for result in all(inserts.collect()).await {
        result.unwrap();
    }
    assert_eq!(store.count().await.unwrap(), 60);
    let query = SearchQuery::hybrid("lamp", vec![1.0, 0.0, 0.0, 0.0]).limit(100);
    assert_eq!(store.search(&query).await.unwrap().len(), 60);
    assert_eq!(other.search(&in_vector_mode(&query)).await.unwrap().len(), 60);
}

pub async fn of_inserts_of_one_id_at_once_one_wins(bed: &TestBed<impl StoreFactory>) {
    let records: Vec<_> = (0..8).map(|n| memory(1, format!("version {n}"))).collect();
    let results = all(records.iter().map(|record| bed.store.insert(record)).collect()).await;
    let won: Vec<_> = (0..8).filter(|n| results[*n].is_ok()).collect();
    assert_eq!(won.len(), 1);
    for result in results.into_iter().filter(MemoryStoreResult::is_err) {
        assert_already_exists(result, id(1));
    }
    assert_eq!(bed.store.get(id(1)).await.unwrap().unwrap(), records[won[0]]);
}

pub async fn of_reviews_at_once_one_wins(bed: &TestBed<impl StoreFactory>) {
    let (store, other) = (&bed.store, bed.another_handle().await);
    store.insert(&memory(1, "x")).await.unwrap();
    let events: Vec<_> = (1..=8).map(|n| review(n, 1, None, reviewed(now(), n as f64))).collect();
    let reviews = events.iter().enumerate().map(|(n, event)| {
        let handle = if n % 2 == 0 { store } else { &other };
        handle.record_review(event)
    });
    let results = all(reviews.collect()).await;
    let won: Vec<_> = (0..8).filter(|n| results[*n].is_ok()).collect();
    assert_eq!(won.len(), 1);
    for result in results.into_iter().filter(MemoryStoreResult::is_err) {
        assert_conflict(result);
    }
    assert_eq!(store.get_reviews(id(1)).await.unwrap(), [events[won[0]].clone()]);
    assert_eq!(store.get_scheduling(id(1)).await.unwrap(), Some(events[won[0]].new_state));
}

pub async fn updates_at_once_have_times_of_their_own(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert(&memory(1, "x")).await.unwrap();
    bed.clock.advance(TimeDelta::days(1));
    let records: Vec<_> = (0..8).map(|n| memory(1, format!("version {n}"))).collect();
    let results = all(records.iter().map(|record| bed.store.update(record)).collect()).await;
    let mut times: Vec<_> = results.into_iter().map(Result::unwrap).collect();
    let last = bed.store.get(id(1)).await.unwrap().unwrap();
    assert_eq!(times.iter().max(), Some(&last.updated_at));
    times.sort();
    times.dedup();
    assert_eq!(times.len(), 8, "versions of a memory never share a time");
}

pub async fn reads_and_writes_at_once_see_whole_batches(bed: &TestBed<impl StoreFactory>) {
    let batches: Vec<_> = (0..6).map(|n| memories(n * 20 + 1, n * 20 + 20)).collect();
    let store = &bed.store;
    let tasks = batches.iter().map(|batch| async {
        store.insert_batch(batch).await?;
        let count = store.count().await?;
        Ok::<_, MemoryStoreError>((count, store.get_stats().await?.memories))
    });
    for result in all(tasks.collect()).await {
        let (count, memories) = result.unwrap();
        assert!(count.is_multiple_of(20) && memories.is_multiple_of(20), "{count} {memories}");
    }
    assert_eq!(store.count().await.unwrap(), 120);
}

pub async fn a_dropped_write_is_done_or_not_done_and_locks_nothing(bed: &TestBed<impl StoreFactory>) {
    for (n, polls) in (0..).zip([0, 1, 2, 3, 5, 8]) {
        let first = n * 50 + 1;
        let batch = memories(first, first + 49);
        dropped(bed.store.insert_batch(&batch), polls).await;
        let extra = memory(10_000 + n, "the store goes on");
        bed.store.insert(&extra).await.unwrap();
        let mut there = 0;
        for record in &batch {
            there += usize::from(bed.store.get(record.id).await.unwrap().is_some());
        }
        assert!(there == 0 || there == 50, "{there} of 50 after {polls} polls");
    }
}

pub async fn a_dropped_read_leaves_the_store_usable(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert_batch(&memories(1, 100)).await.unwrap();
    for polls in 0..4 {
        dropped(bed.store.search(&SearchQuery::text("note number")), polls).await;
        dropped(bed.store.get_stats(), polls).await;
    }
    bed.store.insert(&memory(200, "after")).await.unwrap();
    assert_eq!(bed.store.count().await.unwrap(), 101);
}
