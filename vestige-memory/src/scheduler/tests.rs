use fsrs::{FSRSItem, FSRSReview};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use vestige_sqlite::SqliteMemoryStore;
use vestige_traits::MemoryRecord;

use super::*;
use crate::as_of;

const RATINGS: [Rating; 4] = [Rating::Again, Rating::Hard, Rating::Good, Rating::Easy];

fn start() -> DateTime<Utc> {
    "2026-01-31T12:00:00Z".parse().expect("a time")
}

fn store_of(records: &[MemoryRecord]) -> (tempfile::TempDir, SqliteMemoryStore) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteMemoryStore::new(folder.path().join("m.db")).expect("a store");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(store.insert_batch(records)).expect("they are stored");
    (folder, store)
}

#[test]
fn a_first_review_has_the_stabilities_of_the_default_parameters() {
    let scheduler = Scheduler::new();
    let known = [(0.212, 1), (1.2931, 0), (2.3065, 0), (8.2956, 0)];
    for (rating, (stability, lapses)) in RATINGS.into_iter().zip(known) {
        let state = scheduler.next(None, start(), rating).unwrap();
        assert_eq!((state.stability, state.reps, state.lapses), (stability, 1, lapses));
        assert_eq!(state.retrievability, 1.0);
        let due = state.next_review.expect("it is scheduled");
        assert!((state.retrievability_at(due) - 0.9).abs() < 1e-5, "due when recall has fallen to 0.9");
    }
}

#[test]
fn a_century_without_a_review_and_a_clock_that_goes_back_are_no_error() {
    let scheduler = Scheduler::new();
    let first = scheduler.next(None, start(), Rating::Good).unwrap();
    let late = scheduler.next(Some(&first), start() + TimeDelta::days(36_525), Rating::Good).unwrap();
    late.validate().unwrap();
    assert!(late.stability > first.stability && late.next_review > late.last_review, "{late:?}");

    let earlier = start() - TimeDelta::days(400);
    let back = scheduler.next(Some(&first), earlier, Rating::Hard).unwrap();
    let same_day = scheduler.next(Some(&first), start(), Rating::Hard).unwrap();
    assert_eq!((back.stability, back.difficulty), (same_day.stability, same_day.difficulty));
    assert_eq!(as_of(first, earlier).retrievability, 1.0);
}

#[test]
fn a_thousand_random_histories_end_where_the_crate_says() {
    let mut random = StdRng::seed_from_u64(6);
    let (scheduler, crate_itself) = (Scheduler::new(), FSRS::default());
    for history in 0..1000 {
        let (mut state, mut at, mut reviews) = (None, start(), Vec::new());
        for review in 0..random.random_range(1..40) {
            let days = if review == 0 { 0 } else { random.random_range(0..400) * random.random_range(0..2) };
            // Up to a day more does not count: elapsed time is in whole days.
            at += TimeDelta::days(days) + TimeDelta::seconds(random.random_range(0..86_400));
            let rating = RATINGS[random.random_range(0..4)];
            let next = scheduler.next(state.as_ref(), at, rating).unwrap();
            next.validate().unwrap();
            // What a store gives back is what the next review begins with.
            let text = serde_json::to_string(&next).unwrap();
            assert_eq!(serde_json::from_str::<SchedulingState>(&text).unwrap(), next);
            state = Some(next);
            reviews.push(FSRSReview { rating: rating as u32, delta_t: u32::try_from(days).unwrap() });
        }
        let expected = crate_itself.memory_state(FSRSItem { reviews }, None).unwrap();
        let state = state.expect("it was reviewed");
        assert_eq!(state.stability as f32, expected.stability, "history {history}");
        assert_eq!(state.difficulty as f32, expected.difficulty, "history {history}");
    }
}

#[test]
fn every_single_is_widened_to_a_double_that_narrows_to_it() {
    let mut random = StdRng::seed_from_u64(1);
    for _ in 0..100_000 {
        let single = f32::from_bits(random.random_range(0x3a00_0000..0x4780_0000));
        assert_eq!(widened(single) as f32, single);
    }
    assert_eq!(widened(0.212), 0.212);
}

#[tokio::test]
async fn the_log_gives_the_states_again() {
    let records: Vec<_> = (0..20).map(|n| MemoryRecord::new_at(format!("memory {n}"), start())).collect();
    let (_folder, store) = tokio::task::spawn_blocking({
        let records = records.clone();
        move || store_of(&records)
    })
    .await
    .unwrap();
    let scheduler = Scheduler::new();
    let mut random = StdRng::seed_from_u64(2);
    let mut now = start();
    for _ in 0..300 {
        // Clocks of several machines disagree.
        now += TimeDelta::hours(random.random_range(-3..60));
        let record = &records[random.random_range(0..records.len() - 1)];
        scheduler.review(&store, record.id, RATINGS[random.random_range(0..4)], now).await.unwrap();
    }
    let mut before = Vec::new();
    for record in &records {
        before.push(store.get_scheduling(record.id).await.unwrap());
    }
    assert!(before[19].is_none() && before[0].is_some());
    assert_eq!(
        scheduler.rebuild(&store).await.unwrap(),
        RebuiltSchedule { reviewed: 19, changed: 0, gone: 0 }
    );

    // Damaged rows are mended; the reviews of a memory that is gone stay.
    let wrong = scheduler.next(None, start(), Rating::Easy).unwrap();
    for record in &records[1..4] {
        store.update_scheduling(record.id, &wrong).await.unwrap();
    }
    store.delete(records[0].id).await.unwrap();
    assert_eq!(
        scheduler.rebuild(&store).await.unwrap(),
        RebuiltSchedule { reviewed: 18, changed: 3, gone: 1 }
    );
    for (record, before) in records.iter().zip(&before).skip(1) {
        assert_eq!(store.get_scheduling(record.id).await.unwrap(), *before);
    }
}

#[tokio::test]
async fn a_state_from_elsewhere_is_where_the_replay_begins() {
    let record = MemoryRecord::new_at("memory", start());
    let (_folder, store) = tokio::task::spawn_blocking({
        let record = record.clone();
        move || store_of(&[record])
    })
    .await
    .unwrap();
    let scheduler = Scheduler::new();
    let imported = SchedulingState {
        stability: 30.0,
        difficulty: 4.0,
        retrievability: 1.0,
        last_review: Some(start() - TimeDelta::days(10)),
        next_review: None,
        reps: 7,
        lapses: 2,
    };
    store.update_scheduling(record.id, &imported).await.unwrap();
    let event = scheduler.review(&store, record.id, Rating::Good, start()).await.unwrap();
    assert_eq!((event.new_state.reps, event.new_state.lapses), (8, 2));
    assert!(event.new_state.stability > 30.0);
    assert_eq!(
        scheduler.rebuild(&store).await.unwrap(),
        RebuiltSchedule { reviewed: 1, changed: 0, gone: 0 }
    );
    assert_eq!(store.get_scheduling(record.id).await.unwrap(), Some(event.new_state));
}

#[tokio::test]
async fn reviews_at_the_same_moment_come_one_after_the_other() {
    let record = MemoryRecord::new_at("memory", start());
    let (_folder, store) = tokio::task::spawn_blocking({
        let record = record.clone();
        move || store_of(&[record])
    })
    .await
    .unwrap();
    let store = std::sync::Arc::new(store);
    let mut reviews = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (store, id) = (std::sync::Arc::clone(&store), record.id);
        reviews
            .spawn(async move { Scheduler::new().review(&*store, id, Rating::Good, start()).await.unwrap() });
    }
    reviews.join_all().await;
    let state = store.get_scheduling(record.id).await.unwrap().expect("it is scheduled");
    assert_eq!(state.reps, 16);
    let rebuilt = Scheduler::new().rebuild(&*store).await.unwrap();
    assert_eq!(rebuilt, RebuiltSchedule { reviewed: 1, changed: 0, gone: 0 });
}
