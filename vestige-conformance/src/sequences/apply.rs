use chrono::TimeDelta;
use vestige_traits::clock::{Clock, ManualClock};
use vestige_traits::reembed::ReembeddedMemory;
use vestige_traits::{MemoryStore, MemoryStoreResult, ModelSignature, SearchQuery, SearchResult, limits};

use super::answer::Answer;
use super::operation::Operation;
use crate::fixtures::{id, now, review};

/// Applies an operation to a store. What depends on the state of the store is taken from this store.
pub(super) async fn apply<S: MemoryStore + Sync>(
    operation: &Operation,
    store: &S,
    clock: &ManualClock,
) -> Answer {
    match operation {
        Operation::Advance(_) => Answer::Done,
        Operation::RegisterModel(_, model) => done(store.register_model(model).await),
        Operation::Insert(_, record) => refused(store.insert(record).await, |()| Answer::Done),
        Operation::InsertBatch(_, batch) => refused(store.insert_batch(batch).await, |()| Answer::Done),
        Operation::Update(_, record) => refused(store.update(record).await, Answer::Time),
        Operation::Delete(_, n) => done(store.delete(id(u128::from(*n))).await),
        Operation::SetScheduling(_, n, state) => {
            done(store.update_scheduling(id(u128::from(*n)), state).await)
        }
        Operation::Review { event, memory, stale, new, .. } => {
            let memory = u128::from(*memory);
            let prior = match store.get_scheduling(id(memory)).await {
                Ok(state) => {
                    if *stale {
                        state.xor(Some(*new))
                    } else {
                        state
                    }
                }
                Err(error) => return Answer::Failed(error),
            };
            refused(store.record_review(&review(u128::from(*event), memory, prior, *new)).await, |()| {
                Answer::Done
            })
        }
        Operation::AddEdge(_, edge) => done(store.add_edge(edge).await),
        Operation::RemoveEdge(_, n, at) => match store.get_edges(id(u128::from(*n))).await {
            Ok(edges) if edges.is_empty() => done(store.remove_edge(id(1), id(2), "related").await),
            Ok(edges) => {
                let edge = &edges[at % edges.len()];
                done(store.remove_edge(edge.source_id, edge.target_id, &edge.edge_type).await)
            }
            Err(error) => Answer::Failed(error),
        },
        Operation::UpsertDomain(_, domain) => done(store.upsert_domain(domain).await),
        Operation::DeleteDomain(_, name) => done(store.delete_domain(name).await),
        Operation::Import(_, rows) => answer(store.import_page(rows, None).await, Answer::Imported),
        Operation::BeginReembedding(_, model) => {
            answer(store.begin_reembedding(model).await, |status| Answer::Status(Some(status)))
        }
        Operation::WriteReembedded(_, count) => match write_reembedded(store, *count).await {
            Ok(taken) => Answer::Count(taken),
            Err(error) => Answer::Failed(error),
        },
        Operation::Reembed(_, model) => done(reembed(store, model).await),
        Operation::FinishReembedding(_) => done(store.finish_reembedding().await),
        Operation::AbortReembedding(_) => done(store.abort_reembedding().await),
        Operation::Search(_, query) => {
            times_exclude_nothing(store, query).await;
            answer(store.search(query).await, Answer::Found)
        }
        Operation::List(_, query) => answer(store.list(query).await, Answer::Listed),
        Operation::Context(_, numbers, each) => {
            let ids: Vec<_> = numbers.iter().map(|n| id(u128::from(*n))).collect();
            answer(store.get_context(&ids, *each).await, Answer::Contexts)
        }
        Operation::Due(_, days) => {
            let at = clock.now().max(now()) + TimeDelta::days(*days);
            answer(store.get_due_memories(at, 0).await, Answer::Due)
        }
        Operation::Neighbors(_, n, depth) => {
            answer(store.get_neighbors(id(u128::from(*n)), *depth).await, Answer::Neighbors)
        }
        Operation::Classify(_, vector) => answer(store.classify(vector).await, Answer::Scores),
    }
}

/// Writes new vectors for some of the pending memories, made of the bytes of their texts.
async fn write_reembedded<S: MemoryStore + Sync>(store: &S, count: usize) -> MemoryStoreResult<u64> {
    let Some(status) = store.reembedding_status().await? else {
        return store.write_reembedded(&[]).await;
    };
    let pending = store.reembedding_pending(None, count).await?;
    let vectors: Vec<_> = pending
        .into_iter()
        .map(|memory| ReembeddedMemory {
            id: memory.id,
            updated_at: memory.updated_at,
            embedding: vector_of(&memory.content, status.model.dimension),
        })
        .collect();
    store.write_reembedded(&vectors).await
}

async fn reembed<S: MemoryStore + Sync>(store: &S, model: &ModelSignature) -> MemoryStoreResult<()> {
    store.begin_reembedding(model).await?;
    while write_reembedded(store, 3).await? > 0 {}
    store.finish_reembedding().await
}

/// A vector of small whole numbers; none for a text of an odd kind, so that both happen.
fn vector_of(content: &str, dimension: usize) -> Option<Vec<f32>> {
    if content.len().is_multiple_of(5) {
        return None;
    }
    let bytes = content.bytes().cycle().map(|byte| f32::from(byte % 5) - 2.0);
    let mut vector: Vec<f32> = bytes.take(dimension).collect();
    if vector.iter().all(|component| *component == 0.0) {
        vector[0] = 1.0;
    }
    Some(vector)
}

fn answer<T>(result: MemoryStoreResult<T>, wrap: impl FnOnce(T) -> Answer) -> Answer {
    result.map_or_else(Answer::Failed, wrap)
}

fn done(result: MemoryStoreResult<()>) -> Answer {
    answer(result, |()| Answer::Done)
}

/// For operations in which several reasons to refuse may meet. A driver's error is none of them.
fn refused<T>(result: MemoryStoreResult<T>, wrap: impl FnOnce(T) -> Answer) -> Answer {
    use vestige_traits::MemoryStoreError as E;
    match result {
        Ok(value) => wrap(value),
        Err(
            E::NotFound { .. }
            | E::AlreadyExists { .. }
            | E::InvalidInput { .. }
            | E::ModelMismatch { .. }
            | E::ModelNotRegistered
            | E::Conflict { .. },
        ) => Answer::Refused,
        Err(error) => Answer::Failed(error),
    }
}

/// Checks that whatever is found without the times of a query is found with them.
async fn times_exclude_nothing<S: MemoryStore>(store: &S, query: &SearchQuery) {
    if query.times.is_empty() {
        return;
    }
    let all = query.clone().limit(limits::MAX_LIMIT);
    let (Ok(plain), Ok(found)) = (store.search(&all.clone().times([])).await, store.search(&all).await)
    else {
        return;
    };
    // Not those that came in from the session of another: who lends goes by the scores.
    for result in plain.iter().filter(|result| result.fts_rank.or(result.vector_rank).is_some()) {
        let id = result.record.id;
        let same = found.iter().find(|found| found.record.id == id);
        let same = same.unwrap_or_else(|| panic!("{:?} excluded memory {id}", query.times));
        let scores = |result: &SearchResult| (result.fts_score, result.vector_score, result.passage);
        assert_eq!(scores(same), scores(result), "{:?} changed memory {id}", query.times);
    }
}
