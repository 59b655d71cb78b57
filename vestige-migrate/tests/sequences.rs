//! Whatever was done to a store, its copy gives the same answers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use chrono::TimeDelta;
use common::{archive_of, at, empty, id, model, open, sqlite, vector};
use proptest::prelude::*;
use vestige_migrate::Copier;
use vestige_migrate::archive::Restorer;
use vestige_traits::scheduling::{Rating, ReviewEvent, SchedulingState};
use vestige_traits::{Domain, MemoryEdge, MemoryFilter, MemoryRecord, MemoryStore, SearchQuery, Visibility};

const DIMENSION: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Insert(usize, String, Option<usize>),
    Update(usize, String, Option<usize>),
    Delete(usize),
    Link(usize, usize, f64),
    Unlink(usize, usize),
    Review(usize, f64),
    Schedule(usize, f64),
    Domain(u8, Option<usize>),
    DropDomain(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let memory = || 0..12_usize;
    let text = || {
        let word =
            prop::sample::select(vec!["lamp", "pump", "harbour", "boats", "Straße", "\"x\"", "-not", "😀"]);
        prop::collection::vec(word, 1..8).prop_map(|words| words.join(" "))
    };
    let vector = || prop::option::of(0..20_usize);
    let step = prop_oneof![
        4 => (memory(), text(), vector()).prop_map(|(n, text, v)| Step::Insert(n, text, v)),
        2 => (memory(), text(), vector()).prop_map(|(n, text, v)| Step::Update(n, text, v)),
        1 => memory().prop_map(Step::Delete),
        2 => (memory(), memory(), 0.0..=1.0).prop_map(|(a, b, weight)| Step::Link(a, b, weight)),
        1 => (memory(), memory()).prop_map(|(a, b)| Step::Unlink(a, b)),
        2 => (memory(), 0.1..100.0).prop_map(|(n, stability)| Step::Review(n, stability)),
        1 => (memory(), 0.1..100.0).prop_map(|(n, stability)| Step::Schedule(n, stability)),
        1 => (0..4_u8, vector()).prop_map(|(n, v)| Step::Domain(n, v)),
        1 => (0..4_u8).prop_map(Step::DropDomain),
    ];
    prop::collection::vec(step, 1..40)
}

/// Does a step. One that the store refuses, because something is not there, changes nothing.
async fn act(store: &impl MemoryStore, number: usize, step: &Step) {
    let embedding = |n: &Option<usize>| n.map(|n| vector(n, DIMENSION));
    let state = |stability| SchedulingState {
        stability,
        difficulty: 5.0,
        retrievability: 0.9,
        last_review: Some(at(number as i64, 0)),
        next_review: Some(at(number as i64, 0) + TimeDelta::days(2)),
        reps: 1,
        lapses: 0,
    };
    let _refused = match step {
        Step::Insert(n, text, v) => {
            let mut record = MemoryRecord::new_at(text.as_str(), at(number as i64, 1));
            record.id = id(9, *n);
            record.embedding = embedding(v);
            record.tags = text.split(' ').take(2).map(str::to_owned).collect();
            record.visibility = if n % 2 == 0 { Visibility::Public } else { Visibility::Private };
            store.insert(&record).await
        }
        Step::Update(n, text, v) => match store.get(id(9, *n)).await.unwrap() {
            Some(record) => {
                let record = record.content(text.clone()).embedding(embedding(v));
                store.update(&record).await.map(drop)
            }
            None => Ok(()),
        },
        Step::Delete(n) => store.delete(id(9, *n)).await,
        Step::Link(a, b, weight) => {
            let edge =
                MemoryEdge { weight: *weight, ..MemoryEdge::new(id(9, *a), id(9, *b), at(number as i64, 2)) };
            store.add_edge(&edge).await
        }
        Step::Unlink(a, b) => store.remove_edge(id(9, *a), id(9, *b), "related").await,
        Step::Review(n, stability) => {
            let prior = store.get_scheduling(id(9, *n)).await.unwrap();
            let event = ReviewEvent {
                id: id(11, number),
                ..ReviewEvent::new(id(9, *n), at(number as i64, 3), Rating::Good, prior, state(*stability))
            };
            store.record_review(&event).await
        }
        Step::Schedule(n, stability) => store.update_scheduling(id(9, *n), &state(*stability)).await,
        Step::Domain(n, v) => {
            let mut domain = Domain::new(format!("domain {n}"), "label", at(number as i64, 4));
            domain.centroid = embedding(v);
            store.upsert_domain(&domain).await
        }
        Step::DropDomain(n) => store.delete_domain(&format!("domain {n}")).await,
    };
}

/// What a user can ask, as text.
async fn answers(store: &impl MemoryStore) -> Vec<String> {
    let mut answers = Vec::new();
    let tagged = MemoryFilter::new().tags(["lamp"]);
    for text in ["lamp", "harbour boats", "\"lamp pump\"", "strasse -pump", "x"] {
        for query in [
            SearchQuery::text(text),
            SearchQuery::hybrid(text, vector(3, DIMENSION)),
            SearchQuery::text(text).filter(tagged.clone()),
        ] {
            answers.push(format!("{query:?}: {:?}", store.search(&query).await));
        }
    }
    for n in 0..5 {
        answers.push(format!("{:?}", store.search(&SearchQuery::embedding(vector(n, DIMENSION))).await));
        answers.push(format!("{:?}", store.get_neighbors(id(9, n), 3).await));
        answers.push(format!("{:?}", store.classify(&vector(n, DIMENSION)).await));
    }
    answers.push(format!("{:?}", store.get_due_memories(at(864_000, 0), 100).await));
    answers
}

fn run(steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let source = empty();
        source.register_model(&model(DIMENSION)).await.unwrap();
        for (number, step) in steps.iter().enumerate() {
            act(&source, number, step).await;
        }
        let expected = answers(&source).await;
        let bytes = archive_of(&source).await;

        let (copied, restored) = (sqlite(), empty());
        let report = Copier::new("a", &source, &copied.store).page_rows(3).run().await.unwrap();
        assert!(report.is_lossless(), "{report:?}");
        assert!(report.proof.unwrap().is_equal());
        let back = empty();
        let report = Copier::new("b", &copied.store, &back).page_rows(4).run().await.unwrap();
        assert!(report.is_lossless(), "{report:?}");
        assert!(Restorer::new(&mut open(&bytes), &restored).run().await.unwrap().is_lossless());

        assert_eq!(archive_of(&copied.store).await, bytes);
        assert_eq!(answers(&copied.store).await, expected);
        assert_eq!(answers(&back).await, expected);
        assert_eq!(answers(&restored).await, expected);
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_copy_of_any_store_gives_the_same_answers(steps in steps()) {
        run(&steps);
    }
}
