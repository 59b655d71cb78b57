//! Searches: `search/MODE/BACKEND/SIZE`, and `search/MODE/BACKEND/SIZE/FILTER`.

mod common;

use std::cell::Cell;
use std::hint::black_box;

use common::Home;
use criterion::{Criterion, criterion_group, criterion_main};
use uuid::Uuid;
use vestige_bench::sample::{FILTERS, Sample, only};
use vestige_traits::{AnyMemoryStore, MemoryStore, SearchQuery};

const MODES: [&str; 3] = ["keyword", "vector", "hybrid"];

fn query(mode: &str, sample: &Sample, question: usize) -> SearchQuery {
    let (text, vector) = &sample.questions[question];
    match mode {
        "keyword" => SearchQuery::text(text),
        "vector" => SearchQuery::embedding(vector.clone()),
        _ => SearchQuery::hybrid(text, vector.clone()),
    }
}

async fn ids(store: &AnyMemoryStore, query: &SearchQuery) -> Vec<Uuid> {
    let found = store.search(query).await.expect("an answer");
    found.into_iter().map(|hit| hit.record.id).collect()
}

fn search(criterion: &mut Criterion) {
    let (runtime, home) = (common::runtime(), Home::new());
    for (memories, size) in common::sizes() {
        let sample = common::sample(memories);
        for (backend, store) in home.filled(&runtime, &sample) {
            for mode in MODES {
                let filters = FILTERS
                    .map(|(share, codebase)| (format!("/{}", share.replace(' ', "")), only(Some(codebase))));
                let none = (String::new(), only(None));
                for (filtered, filter) in std::iter::once(none).chain(filters) {
                    let name = format!("search/{mode}/{backend}/{size}{filtered}");
                    let queries: Vec<SearchQuery> = (0..sample.questions.len())
                        .map(|n| query(mode, &sample, n).filter(filter.clone()))
                        .collect();
                    // Answered once before: every answer that is measured has to be the same.
                    let mut answers: Vec<Option<Vec<Uuid>>> = vec![None; queries.len()];
                    let next = Cell::new(0);
                    criterion.bench_function(&name, |bencher| {
                        bencher.iter_batched(
                            || {
                                let at = next.replace((next.get() + 1) % queries.len());
                                let known = answers[at]
                                    .get_or_insert_with(|| runtime.block_on(ids(&store, &queries[at])));
                                (&queries[at], known.clone())
                            },
                            |(query, known)| {
                                assert_eq!(black_box(runtime.block_on(ids(&store, query))), known)
                            },
                            criterion::BatchSize::PerIteration,
                        );
                    });
                }
            }
        }
    }
}

criterion_group!(benches, search);
criterion_main!(benches);
