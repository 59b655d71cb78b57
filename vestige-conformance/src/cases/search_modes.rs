use vestige_traits::{MemoryFilter, MemoryStore, SearchMode, SearchQuery};

use crate::fixtures::*;
use crate::{StoreFactory, TestBed};

const EAST: [f32; 4] = [1.0, 0.0, 0.0, 0.0];

/// Lamps, of which 1 and 2 hold the phrase "red lamp" and have a vector, and 5 holds it and has none; 1 and 4
/// are of the code base atlas.
async fn fill(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    let mut records = [
        embedded(1, "red lamp", &[1.0, 1.0, 0.0, 0.0]),
        embedded(2, "a red lamp on the table", &[1.0, 0.5, 0.0, 0.0]),
        embedded(3, "a lamp, red", &EAST),
        embedded(4, "broken red lamp", &EAST),
        memory(5, "one more red lamp"),
        embedded(6, "a chair", &[1.0, 0.25, 0.0, 0.0]),
    ];
    for at in [0, 3] {
        records[at].codebase = Some("atlas".to_owned());
    }
    bed.store.insert_batch(&records).await.unwrap();
}

fn atlas() -> MemoryFilter {
    MemoryFilter::new().codebases(["atlas"])
}

pub async fn keyword_mode_is_search_without_the_vector(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let both = SearchQuery::hybrid("red table", EAST.to_vec());
    let words = SearchQuery::text("red table");
    let expected = bed.store.search(&words).await.unwrap();
    assert_eq!((found(&expected)[0], expected.len()), (id(2), 5));
    assert!(expected.iter().all(|hit| (hit.vector_score, hit.vector_rank) == (None, None)));
    assert_eq!(bed.store.search(&in_keyword_mode(&both)).await.unwrap(), expected);
    assert_eq!(bed.store.search(&in_keyword_mode(&words)).await.unwrap(), expected);
    let no_text = SearchQuery::embedding(EAST.to_vec());
    assert!(bed.store.search(&in_keyword_mode(&no_text)).await.unwrap().is_empty());
}

pub async fn vector_mode_is_search_without_the_words(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let both = SearchQuery::hybrid("chair table", EAST.to_vec());
    let vector = SearchQuery::embedding(EAST.to_vec());
    let expected = bed.store.search(&vector).await.unwrap();
    assert_eq!(found(&expected), ids([4, 3, 6, 2, 1]), "a memory without a vector is not found");
    assert!(expected.iter().all(|hit| (hit.fts_score, hit.fts_rank) == (None, None)));
    assert!(expected.iter().all(|hit| hit.vector_score == Some(hit.score)));
    assert_eq!(bed.store.search(&in_vector_mode(&both)).await.unwrap(), expected);
    assert_eq!(bed.store.search(&in_vector_mode(&vector)).await.unwrap(), expected);
    let no_vector = SearchQuery::text("\"red lamp\" chair");
    assert!(bed.store.search(&in_vector_mode(&no_vector)).await.unwrap().is_empty());
}

pub async fn phrases_and_exclusions_hold_in_every_mode(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let query = SearchQuery::hybrid("table \"red lamp\" -broken", EAST.to_vec());
    for (mode, expected) in [
        (SearchMode::Hybrid, vec![1, 2, 5]),
        (SearchMode::Keyword, vec![1, 2, 5]),
        (SearchMode::Vector, vec![1, 2]),
    ] {
        let hits = bed.store.search(&query.clone().mode(mode)).await.unwrap();
        let mut all = found(&hits);
        all.sort();
        assert_eq!(all, ids(expected), "{mode}");
    }
    let hits = bed.store.search(&in_vector_mode(&query)).await.unwrap();
    assert_eq!(found(&hits), ids([2, 1]), "by the cosine alone");
    for (rank, hit) in (1..).zip(&hits) {
        assert_eq!((hit.vector_score, hit.vector_rank), (Some(hit.score), Some(rank)));
        assert_eq!((hit.fts_score, hit.fts_rank), (None, None));
    }
    assert_close(hits[1].score, 0.5_f64.sqrt());
}

pub async fn phrases_and_exclusions_hold_in_every_mode_behind_a_filter(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    for mode in SearchMode::ALL {
        let of_atlas =
            |text: &str| SearchQuery::hybrid(text, EAST.to_vec()).filter(atlas()).limit(1).mode(mode);
        let hits = bed.store.search(&of_atlas("\"red lamp\" -broken")).await.unwrap();
        assert_eq!(found(&hits), ids([1]), "{mode}: one memory matches, and one comes back");
        let hits = bed.store.search(&of_atlas("\"red lamp\" -lamp")).await.unwrap();
        assert!(hits.is_empty(), "{mode}");
    }
}

pub async fn an_exclusion_alone_narrows_what_the_vector_finds(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let query = SearchQuery::hybrid("-\"red lamp\"", EAST.to_vec());
    for mode in [SearchMode::Hybrid, SearchMode::Vector] {
        assert_eq!(found(&bed.store.search(&query.clone().mode(mode)).await.unwrap()), ids([3, 6]), "{mode}");
    }
    assert!(bed.store.search(&in_keyword_mode(&query)).await.unwrap().is_empty());
}

pub async fn a_phrase_finds_nothing_by_a_vector_that_no_memory_has(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let query = SearchQuery::hybrid("\"one more\"", EAST.to_vec());
    assert_eq!(found(&bed.store.search(&query).await.unwrap()), ids([5]));
    assert!(bed.store.search(&in_vector_mode(&query)).await.unwrap().is_empty());
}

pub async fn keyword_mode_takes_a_vector_of_another_model(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let query = SearchQuery::hybrid("chair", vec![1.0, 2.0, 3.0]);
    for mode in [SearchMode::Hybrid, SearchMode::Vector] {
        assert_mismatch(bed.store.search(&query.clone().mode(mode)).await, &model());
        assert_mismatch(bed.store.explain_search(&query.clone().mode(mode)).await, &model());
    }
    let query = in_keyword_mode(&query);
    assert_eq!(found(&bed.store.search(&query).await.unwrap()), ids([6]));
    bed.store.explain_search(&query).await.unwrap();
}

pub async fn a_query_is_validated_whole_in_every_mode(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    for mode in SearchMode::ALL {
        let no_vector = SearchQuery::hybrid("lamp", vec![0.0; 4]).mode(mode);
        assert_invalid(bed.store.search(&no_vector).await, "embedding");
        assert_invalid(bed.store.explain_search(&no_vector).await, "embedding");
        let too_long = "x".repeat(vestige_traits::limits::MAX_QUERY_BYTES + 1);
        assert_invalid(
            bed.store.search(&SearchQuery::hybrid(too_long, EAST.to_vec()).mode(mode)).await,
            "text",
        );
    }
}

pub async fn explain_describes_the_legs_of_the_mode(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let query = SearchQuery::hybrid("table \"red lamp\" -broken", EAST.to_vec()).filter(atlas());
    for (mode, expected) in [
        (SearchMode::Hybrid, vec!["keyword", "vector", "fusion"]),
        (SearchMode::Keyword, vec!["keyword"]),
        (SearchMode::Vector, vec!["vector"]),
    ] {
        let plan = bed.store.explain_search(&query.clone().mode(mode)).await.unwrap();
        let stages: Vec<_> = plan.steps.iter().map(|step| step.stage.as_str()).collect();
        let legs: Vec<_> = stages.iter().copied().filter(|stage| *stage != "filter").collect();
        assert_eq!(legs, expected, "{mode}: {plan:?}");
        assert!(stages.contains(&"filter"), "{mode}: {plan:?}");
    }
}
