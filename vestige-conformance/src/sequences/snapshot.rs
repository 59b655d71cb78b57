use chrono::TimeDelta;
use vestige_traits::transfer::TransferKind;
use vestige_traits::{
    Fusion, FusionMethod, ListQuery, MemoryFilter, MemoryStore, MemoryStoreResult, SearchMode, SearchQuery,
};

use super::answer::Answer;
use super::operation::IDS;
use crate::fixtures::{id, now};

/// Everything that can be asked of a store, with the name of each question.
pub(super) async fn snapshot<S: MemoryStore + Sync>(store: &S) -> Vec<(String, Answer)> {
    let mut all = Vec::new();
    let mut push = |what: String, answer: Answer| all.push((what, answer));
    push("get_stats".into(), wrap(store.get_stats().await, |stats| Answer::Stats(Box::new(stats))));
    push("count".into(), wrap(store.count().await, Answer::Count));
    push("registered_model".into(), text(&store.registered_model().await));
    push("reembedding_status".into(), wrap(store.reembedding_status().await, Answer::Status));
    push("reembedding_pending".into(), wrap(store.reembedding_pending(None, 100).await, Answer::Pending));
    for kind in TransferKind::ALL {
        let mut after = None;
        for n in 0..100 {
            let page = store.export_page(kind, after.as_ref(), 3).await;
            after = page.as_ref().ok().and_then(|page| page.next.clone());
            push(format!("page {n} of {kind}"), wrap(page, Answer::Rows));
            if after.is_none() {
                break;
            }
        }
        push(format!("count of {kind}"), wrap(store.count_rows(kind).await, Answer::Count));
    }
    for n in 1..=IDS {
        let id = id(u128::from(n));
        push(format!("get {n}"), text(&store.get(id).await));
        push(format!("scheduling of {n}"), text(&store.get_scheduling(id).await));
        push(format!("reviews of {n}"), text(&store.get_reviews(id).await));
        push(format!("edges of {n}"), text(&store.get_edges(id).await));
        push(format!("neighbors of {n}"), wrap(store.get_neighbors(id, 3).await, Answer::Neighbors));
    }
    let all_ids: Vec<_> = (1..=IDS).map(|n| id(u128::from(n))).collect();
    push("get_context".into(), wrap(store.get_context(&all_ids, 2).await, Answer::Contexts));
    push("list_domains".into(), text(&store.list_domains().await));
    push("due".into(), wrap(store.get_due_memories(now() + TimeDelta::days(2), 100).await, Answer::Due));
    for filter in filters() {
        let query = ListQuery::new().filter(filter.clone()).limit(100);
        push(format!("list by {filter:?}"), wrap(store.list(&query).await, Answer::Listed));
        for text in QUESTIONS {
            for embedding in [None, Some(vec![1.0, 2.0, -1.0, 0.0])] {
                for (limit, fusion) in [(20, Fusion::default()), (3, even_and_shallow())] {
                    let query = SearchQuery::hybrid(text, embedding.clone())
                        .filter(filter.clone())
                        .limit(limit)
                        .fusion(fusion);
                    push(format!("search for {query:?}"), wrap(store.search(&query).await, Answer::Found));
                }
                let query = SearchQuery::hybrid(text, embedding).filter(filter.clone());
                let query = query.mode(SearchMode::Vector);
                push(format!("search for {query:?}"), wrap(store.search(&query).await, Answer::Found));
            }
        }
    }
    let vector = SearchQuery::embedding(vec![-1.0, 0.0, 2.0]);
    push("search by a shorter vector".into(), wrap(store.search(&vector).await, Answer::Found));
    all
}

/// Many scores are equal under it, so the order falls by time and id.
fn even_and_shallow() -> Fusion {
    Fusion::new().method(FusionMethod::ReciprocalRank).k(1.0).keyword_weight(0.5).vector_weight(0.5).depth(2)
}

const QUESTIONS: [&str; 4] =
    ["lamp table pump green", "the running connection of \"red lamp\"", "leak -table red", ""];

fn filters() -> [MemoryFilter; 5] {
    let none = MemoryFilter::default;
    [
        none(),
        none().tags(["red"]),
        none().codebases(["atlas"]).min_retrievability(0.9),
        none().created_from(now() + TimeDelta::days(1)),
        none().sessions(["monday", "tuesday"]),
    ]
}

fn wrap<T>(result: MemoryStoreResult<T>, wrap: impl FnOnce(T) -> Answer) -> Answer {
    result.map_or_else(Answer::Failed, wrap)
}

fn text<T: std::fmt::Debug>(value: &T) -> Answer {
    Answer::Text(format!("{value:?}"))
}
