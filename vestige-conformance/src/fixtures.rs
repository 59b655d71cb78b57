//! The memories, models and checks that the cases share.

use std::fmt::Debug;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use vestige_traits::reembed::ReembeddedMemory;
use vestige_traits::scheduling::{Rating, ReviewEvent, SchedulingState};
use vestige_traits::{
    Domain, MemoryEdge, MemoryRecord, MemoryStore, MemoryStoreError, MemoryStoreResult, ModelSignature,
    SearchMode, SearchQuery, SearchResult, limits,
};

/// Where the clock of every case begins: 2026-01-01 00:00 UTC.
pub fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_454)
}

/// The id number `n`. Ids ascend with their numbers.
pub fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0000 + n)
}

/// Memory number `n`, taken in `n` seconds after [`now`].
pub fn memory(n: u128, content: impl Into<String>) -> MemoryRecord {
    let taken_in = now() + TimeDelta::seconds(i64::try_from(n).unwrap_or(0));
    MemoryRecord::new_at(content, taken_in).id(id(n))
}

/// Memory number `n` with a vector.
pub fn embedded(n: u128, content: impl Into<String>, embedding: &[f32]) -> MemoryRecord {
    memory(n, content).embedding(embedding.to_vec())
}

/// Memories number `first` to `last`.
pub fn memories(first: u128, last: u128) -> Vec<MemoryRecord> {
    (first..=last).map(|n| memory(n, format!("note number {n}"))).collect()
}

/// The model of most cases, of four dimensions.
pub fn model() -> ModelSignature {
    ModelSignature { name: "test/first".to_owned(), dimension: 4, hash: "a1".repeat(32) }
}

/// A model of the same dimension as [`model`].
pub fn model_of_same_dimension() -> ModelSignature {
    ModelSignature { name: "test/first".to_owned(), dimension: 4, hash: "b2".repeat(32) }
}

/// A model of three dimensions.
pub fn smaller_model() -> ModelSignature {
    ModelSignature { name: "test/small".to_owned(), dimension: 3, hash: "c3".repeat(32) }
}

/// The same question by its words alone.
pub fn in_keyword_mode(query: &SearchQuery) -> SearchQuery {
    query.clone().mode(SearchMode::Keyword)
}

/// The same question by its vector alone.
pub fn in_vector_mode(query: &SearchQuery) -> SearchQuery {
    query.clone().mode(SearchMode::Vector)
}

/// An edge of the default type.
pub fn edge(source: u128, target: u128, weight: f64) -> MemoryEdge {
    MemoryEdge { weight, ..MemoryEdge::new(id(source), id(target), now()) }
}

/// A domain without a centroid.
pub fn domain(name: &str) -> Domain {
    Domain::new(name, format!("All about {name}"), now())
}

/// A memory last reviewed at `last_review`, of this stability in days, due a day later.
pub fn reviewed(last_review: DateTime<Utc>, stability: f64) -> SchedulingState {
    SchedulingState {
        stability,
        difficulty: 5.25,
        retrievability: 1.0,
        last_review: Some(last_review),
        next_review: Some(last_review + TimeDelta::days(1)),
        reps: 1,
        lapses: 0,
    }
}

/// Review number `n` of a memory, from `prior` to `new`, at [`now`].
pub fn review(n: u128, memory: u128, prior: Option<SchedulingState>, new: SchedulingState) -> ReviewEvent {
    ReviewEvent {
        id: id(0x1000_0000 + n),
        memory_id: id(memory),
        timestamp: now(),
        rating: Rating::Good,
        prior_state: prior,
        new_state: new,
    }
}

/// The ids of what was found, in order.
pub fn found(results: &[SearchResult]) -> Vec<Uuid> {
    results.iter().map(|result| result.record.id).collect()
}

/// The ids with these numbers.
pub fn ids(numbers: impl IntoIterator<Item = u128>) -> Vec<Uuid> {
    numbers.into_iter().map(id).collect()
}

/// Gives every pending memory the vector that `embed` makes of its text, page by page, and says how many.
pub async fn reembed_all(
    store: &(impl MemoryStore + Sync),
    page: usize,
    embed: impl Fn(&str) -> Option<Vec<f32>> + Send,
) -> MemoryStoreResult<u64> {
    let mut written = 0;
    loop {
        let pending = store.reembedding_pending(None, page).await?;
        if pending.is_empty() {
            return Ok(written);
        }
        let vectors: Vec<_> = pending
            .iter()
            .map(|memory| ReembeddedMemory {
                id: memory.id,
                updated_at: memory.updated_at,
                embedding: embed(&memory.content),
            })
            .collect();
        written += store.write_reembedded(&vectors).await?;
    }
}

/// A content of exactly the largest size.
pub fn longest_content() -> String {
    "word ".repeat(limits::MAX_CONTENT_BYTES / 5 + 1)[..limits::MAX_CONTENT_BYTES].to_owned()
}

/// Asserts [`MemoryStoreError::InvalidInput`] on a field.
#[track_caller]
pub fn assert_invalid<T: Debug>(result: MemoryStoreResult<T>, field: &str) {
    match result {
        Err(MemoryStoreError::InvalidInput { field: actual, rule }) => {
            assert_eq!(actual, field, "the wrong field is blamed: {actual}: {rule}");
            assert!(!rule.is_empty(), "the rule is not stated");
        }
        other => panic!("expected {field} to be invalid, got {other:?}"),
    }
}

/// Asserts [`MemoryStoreError::NotFound`] of something whose key holds `key`.
#[track_caller]
pub fn assert_not_found<T: Debug>(result: MemoryStoreResult<T>, key: impl ToString) {
    match result {
        Err(MemoryStoreError::NotFound { id, .. }) => {
            let key = key.to_string();
            assert!(id.contains(&key), "{id:?} does not name {key:?}");
        }
        other => panic!("expected NotFound, got {other:?}"),
    }
}

/// Asserts [`MemoryStoreError::AlreadyExists`] of the thing with this id.
#[track_caller]
pub fn assert_already_exists<T: Debug>(result: MemoryStoreResult<T>, key: Uuid) {
    match result {
        Err(MemoryStoreError::AlreadyExists { id, .. }) => assert_eq!(id, key.to_string()),
        other => panic!("expected AlreadyExists, got {other:?}"),
    }
}

/// Asserts [`MemoryStoreError::Conflict`].
#[track_caller]
pub fn assert_conflict<T: Debug>(result: MemoryStoreResult<T>) {
    assert!(matches!(result, Err(MemoryStoreError::Conflict { .. })), "expected Conflict, got {result:?}");
}

/// Asserts [`MemoryStoreError::ModelMismatch`] against this registered model.
#[track_caller]
pub fn assert_mismatch<T: Debug>(result: MemoryStoreResult<T>, expected: &ModelSignature) {
    match result {
        Err(MemoryStoreError::ModelMismatch { registered, .. }) => assert_eq!(*registered, *expected),
        other => panic!("expected ModelMismatch, got {other:?}"),
    }
}

/// Asserts [`MemoryStoreError::ModelNotRegistered`].
#[track_caller]
pub fn assert_not_registered<T: Debug>(result: MemoryStoreResult<T>) {
    assert!(
        matches!(result, Err(MemoryStoreError::ModelNotRegistered)),
        "expected ModelNotRegistered, got {result:?}"
    );
}

/// Asserts that two scores differ by less than the rounding of
/// [`round_score`](vestige_traits::backend::round_score) allows.
#[track_caller]
pub fn assert_close(actual: f64, expected: f64) {
    assert!((actual - expected).abs() <= 2e-9, "{actual} is not {expected}");
}
