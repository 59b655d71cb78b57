use vestige_traits::backend::FusionScale;
use vestige_traits::{Fusion, FusionMethod, MemoryFilter, MemoryStore, SearchQuery, SearchResult};

use crate::fixtures::*;
use crate::hostile::HOSTILE_QUERIES;
use crate::{StoreFactory, TestBed};

const EAST: [f32; 4] = [1.0, 0.0, 0.0, 0.0];

/// What a result's score has to be, by the legs' results up to their depth.
fn fused(
    fusion: Fusion,
    depth: usize,
    by_words: &[SearchResult],
    by_meaning: &[SearchResult],
    result: &SearchResult,
) -> f64 {
    let scores = |leg: &[SearchResult]| leg.iter().map(|result| result.score).collect::<Vec<_>>();
    let scale = FusionScale::of(scores(by_words), scores(by_meaning), depth);
    fusion.score(&scale, result.fts_rank.zip(result.fts_score), result.vector_rank.zip(result.vector_score))
}

/// By words 1, 2, 3 hold "lamp", 1 most; by meaning 4, 3, 2 are near EAST, in this order.
async fn fill(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    let records = [
        memory(1, "lamp lamp"),
        embedded(2, "lamp beside some other things entirely", &[1.0, 2.0, 0.0, 0.0]),
        embedded(3, "lamp in words", &[1.0, 1.0, 0.0, 0.0]),
        embedded(4, "nothing", &EAST),
        memory(5, "nothing"),
        memory(6, "nothing"),
        memory(7, "nothing"),
    ];
    bed.store.insert_batch(&records).await.unwrap();
}

pub async fn both_legs_are_united(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let results = bed.store.search(&SearchQuery::hybrid("lamp", EAST.to_vec())).await.unwrap();
    let mut all = found(&results);
    all.sort();
    assert_eq!(all, ids([1, 2, 3, 4]));
    let by_words = bed.store.search(&SearchQuery::text("lamp")).await.unwrap();
    let by_meaning = bed.store.search(&SearchQuery::embedding(EAST.to_vec())).await.unwrap();
    for result in &results {
        let word = by_words.iter().find(|other| other.record.id == result.record.id);
        let meaning = by_meaning.iter().find(|other| other.record.id == result.record.id);
        assert_eq!(result.fts_score, word.map(|other| other.score));
        assert_eq!(result.fts_rank, word.and_then(|other| other.fts_rank));
        assert_eq!(result.vector_score, meaning.map(|other| other.score));
        assert_eq!(result.vector_rank, meaning.and_then(|other| other.vector_rank));
        assert_close(result.score, fused(Fusion::default(), 100, &by_words, &by_meaning, result));
    }
    assert!(results.is_sorted_by(|a, b| (b.score, a.record.id) <= (a.score, b.record.id)));
}

pub async fn the_weights_of_the_legs_decide(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    for method in [FusionMethod::RelativeScore, FusionMethod::ReciprocalRank] {
        let with = |keyword_weight, vector_weight| {
            let fusion =
                Fusion::new().method(method).keyword_weight(keyword_weight).vector_weight(vector_weight);
            SearchQuery::hybrid("lamp", EAST.to_vec()).fusion(fusion)
        };
        let words = bed.store.search(&with(1.0, 0.0)).await.unwrap();
        assert_eq!(
            found(&words)[..3],
            found(&bed.store.search(&in_keyword_mode(&with(1.0, 1.0))).await.unwrap())
        );
        assert_eq!((words[3].record.id, words[3].score), (id(4), 0.0), "found without counting");
        let meaning = bed.store.search(&with(0.0, 1.0)).await.unwrap();
        assert_eq!(found(&meaning), ids([4, 3, 2, 1]), "{method:?}");
        // On the scale of its leg, the last that the vector finds has 0 like those that it does not find.
        let is_nothing = method == FusionMethod::RelativeScore;
        assert_eq!(meaning[2].score == meaning[3].score, is_nothing, "{method:?}");
    }
}

pub async fn scores_are_relative_to_the_depth_of_their_leg(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    let records: Vec<_> = (1..=40)
        .map(|n| embedded(n, "lamp ".repeat(n as usize) + "in a room", &[1.0, (n % 23) as f32, 0.0, 0.0]))
        .collect();
    bed.store.insert_batch(&records).await.unwrap();
    let query = |depth, limit| {
        let fusion = Fusion::new().depth(depth);
        SearchQuery::hybrid("lamp", EAST.to_vec()).fusion(fusion).limit(limit)
    };
    for (depth, limit) in [(1, 1), (5, 3), (10, 10), (0, 40)] {
        let query = query(depth, limit);
        let leg = query.fusion.leg_depth(limit);
        let by_words = bed.store.search(&in_keyword_mode(&query.clone().limit(leg))).await.unwrap();
        let by_meaning = bed.store.search(&in_vector_mode(&query.clone().limit(leg))).await.unwrap();
        let results = bed.store.search(&query).await.unwrap();
        assert_eq!(results.len(), limit);
        for result in &results {
            assert_close(result.score, fused(query.fusion, leg, &by_words, &by_meaning, result));
        }
        assert!(results.is_sorted_by(|a, b| (b.score, a.record.id) <= (a.score, b.record.id)));
    }
}

pub async fn similarities_of_a_small_store_keep_proportion(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    let at = |cosine: f32| [cosine, (1.0 - cosine * cosine).sqrt(), 0.0, 0.0];
    let records = [embedded(1, "lamp in words", &at(0.864)), embedded(2, "lamp in words", &at(0.877))];
    bed.store.insert_batch(&records).await.unwrap();
    let query = SearchQuery::hybrid("lamp", EAST.to_vec());
    let results = bed.store.search(&query).await.unwrap();
    assert_eq!(found(&results), ids([2, 1]));
    assert_close(results[0].score, 1.0);
    // 0.65 for the words, and nearly all of 0.35 for a cosine that is nearly the best.
    assert!(results[1].score > 0.98, "{}", results[1].score);

    // A leg that is as deep as the store is full: its last counts nothing.
    let full = query.clone().fusion(Fusion::new().depth(2)).limit(2);
    assert_close(bed.store.search(&full).await.unwrap()[1].score, 0.65);
    // The last of a leg counts nothing where it points away from the question.
    bed.store.insert(&embedded(3, "lamp in words", &[-1.0, 0.0, 0.0, 0.0])).await.unwrap();
    let results = bed.store.search(&query).await.unwrap();
    assert_eq!(found(&results), ids([2, 1, 3]));
    assert_close(results[2].score, 0.65);
}

pub async fn a_leg_of_equal_scores_gives_each_its_whole_weight(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    let records: Vec<_> = (1..=3).map(|n| embedded(n, "lamp", &[1.0, 1.0, 0.0, 0.0])).collect();
    bed.store.insert_batch(&records).await.unwrap();
    let Fusion { keyword_weight, vector_weight, .. } = Fusion::default();
    for (text, score) in [("lamp", keyword_weight + vector_weight), ("table", vector_weight)] {
        let results = bed.store.search(&SearchQuery::hybrid(text, EAST.to_vec())).await.unwrap();
        assert_eq!(found(&results), ids([3, 2, 1]));
        results.iter().for_each(|result| assert_close(result.score, score));
    }
}

pub async fn k_decides_how_fast_ranks_lose_value(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    for k in [0.0, 0.5, 60.0, 10_000.0] {
        let method = FusionMethod::ReciprocalRank;
        let fusion = Fusion::new().method(method).k(k).keyword_weight(1.0).vector_weight(1.0).depth(0);
        let query = SearchQuery::hybrid("lamp", EAST.to_vec()).fusion(fusion);
        for result in bed.store.search(&query).await.unwrap() {
            assert_close(result.score, fused(fusion, 100, &[], &[], &result));
        }
    }
}

pub async fn of_equal_fused_scores_the_newest_comes_first(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    bed.store
        .insert_batch(&[
            embedded(2, "nothing", &EAST),
            memory(1, "lamp"),
            memory(3, "unrelated"),
            memory(4, "unrelated"),
        ])
        .await
        .unwrap();
    let fusion = Fusion::new().keyword_weight(0.5).vector_weight(0.5);
    let query = SearchQuery::hybrid("lamp", EAST.to_vec()).fusion(fusion);
    let results = bed.store.search(&query).await.unwrap();
    assert_eq!(results[0].score, results[1].score);
    assert_eq!(found(&results), ids([2, 1]));
}

pub async fn only_the_depth_of_each_leg_takes_part(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    let mut records: Vec<_> = (1..=30).map(|n| memory(n, "lamp")).collect();
    records.extend((31..=60).map(|n| embedded(n, "nothing", &[1.0, n as f32, 0.0, 0.0])));
    // Each is the first of one leg and the last of the other.
    records.push(embedded(61, "dim ".repeat(40) + "lamp", &EAST));
    records.push(embedded(62, "lamp lamp lamp", &[1.0, 99.0, 0.0, 0.0]));
    bed.store.insert_batch(&records).await.unwrap();
    let search = async |depth, limit| {
        let query = SearchQuery::hybrid("lamp", EAST.to_vec())
            .fusion(Fusion::new().depth(depth).keyword_weight(0.5).vector_weight(0.5))
            .limit(limit);
        bed.store.search(&query).await.unwrap()
    };
    let shallow = search(5, 3).await;
    assert_eq!(found(&shallow), ids([62, 61, 30]));
    let [by_words, by_meaning] = [&shallow[0], &shallow[1]];
    assert_eq!((by_meaning.fts_rank, by_meaning.fts_score, by_meaning.vector_rank), (None, None, Some(1)));
    assert_eq!((by_words.fts_rank, by_words.vector_rank, by_words.vector_score), (Some(1), None, None));
    let deep = search(32, 3).await;
    assert_eq!((deep[0].fts_rank, deep[0].vector_rank), (Some(32), Some(1)));
    assert_eq!((deep[1].fts_rank, deep[1].vector_rank), (Some(1), Some(32)));
    assert_eq!(search(5, 100).await.len(), 62, "no leg is shallower than the limit");
}

pub async fn phrases_and_exclusions_hold_in_the_vector_leg(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    let records = [
        embedded(1, "green lamp", &EAST),
        embedded(2, "red lamp", &[1.0, 1.0, 0.0, 0.0]),
        embedded(3, "a quiet room", &[1.0, 2.0, 0.0, 0.0]),
        embedded(4, "lamp red", &[1.0, 3.0, 0.0, 0.0]),
    ];
    bed.store.insert_batch(&records).await.unwrap();
    let search = async |text: &str| {
        let results = bed.store.search(&SearchQuery::hybrid(text, EAST.to_vec())).await.unwrap();
        let mut ids = found(&results);
        ids.sort();
        ids
    };
    assert_eq!(search("lamp").await, ids([1, 2, 3, 4]));
    assert_eq!(search("\"red lamp\"").await, ids([2]));
    assert_eq!(search("room -lamp").await, ids([3]));
    assert_eq!(search("-green").await, ids([2, 3, 4]));
    assert_eq!(search("lamp -\"red lamp\"").await, ids([1, 3, 4]));
    assert_eq!(search("\"no such phrase\"").await, ids([]));
}

pub async fn a_text_without_a_word_leaves_the_vector_leg_alone(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let alone = bed.store.search(&SearchQuery::embedding(EAST.to_vec())).await.unwrap();
    for text in ["", "→ \u{200b}", "-- ***", "\"→\""] {
        let results = bed.store.search(&SearchQuery::hybrid(text, EAST.to_vec())).await.unwrap();
        assert_eq!(results, alone, "{text:?}");
    }
    let excluding = bed.store.search(&SearchQuery::hybrid("-words", EAST.to_vec())).await.unwrap();
    assert_eq!(found(&excluding), ids([4, 2]));
    assert_eq!(excluding[0].score, alone[0].score, "one leg ran, so its score stands");
}

pub async fn words_that_match_nothing_leave_what_the_vector_finds(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let results = bed.store.search(&SearchQuery::hybrid("xylophone", EAST.to_vec())).await.unwrap();
    assert_eq!(found(&results), ids([4, 3, 2]));
    assert_close(results[0].score, Fusion::default().vector_weight);
}

pub async fn filters_hold_in_both_legs(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    let mut records = Vec::new();
    for n in 1..=200 {
        let mut record = embedded(n, "lamp", &[1.0, 0.0, 0.0, 3.0 - n as f32 / 100.0]);
        record.codebase = Some(if n % 40 == 0 { "rare" } else { "common" }.to_owned());
        records.push(record);
    }
    bed.store.insert_batch(&records).await.unwrap();
    let rare = MemoryFilter::new().codebases(["rare"]);
    let query = SearchQuery::hybrid("lamp", EAST.to_vec()).filter(rare).limit(5);
    for results in [
        bed.store.search(&query).await.unwrap(),
        bed.store.search(&in_keyword_mode(&query)).await.unwrap(),
        bed.store.search(&in_vector_mode(&query)).await.unwrap(),
    ] {
        assert_eq!(found(&results), ids([200, 160, 120, 80, 40]));
    }
    let ranks: Vec<_> = bed.store.search(&query).await.unwrap().iter().map(|r| r.fts_rank).collect();
    assert_eq!(ranks, (1..=5).map(Some).collect::<Vec<_>>(), "ranks count what the filter let through");
}

pub async fn the_same_question_has_the_same_answer_every_time(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    let records: Vec<_> = (1..=300)
        .map(|n| embedded(n, format!("lamp {} table", n % 5), &[1.0, (n % 3) as f32, 0.0, 0.0]))
        .collect();
    bed.store.insert_batch(&records).await.unwrap();
    let query = SearchQuery::hybrid("table lamp 3", EAST.to_vec()).limit(50);
    let first = bed.store.search(&query).await.unwrap();
    assert_eq!(first.len(), 50);
    for _ in 0..3 {
        assert_eq!(bed.store.search(&query).await.unwrap(), first);
    }
    assert_eq!(bed.another_handle().await.search(&query).await.unwrap(), first);
}

pub async fn hostile_texts_beside_a_vector_are_answered(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    for text in HOSTILE_QUERIES {
        let query = SearchQuery::hybrid(text, EAST.to_vec());
        let results = bed.store.search(&query).await;
        assert!(results.is_ok(), "{text:?}: {results:?}");
        let plan = bed.store.explain_search(&query).await;
        assert!(plan.is_ok(), "{text:?}: {plan:?}");
    }
}

pub async fn a_fusion_out_of_range_is_invalid(bed: &TestBed<impl StoreFactory>) {
    let search = async |fusion| {
        let query = SearchQuery::hybrid("lamp", EAST.to_vec()).fusion(fusion);
        bed.store.search(&query).await
    };
    let fusion = Fusion::default();
    assert_invalid(search(fusion.k(-0.1)).await, "fusion.k");
    assert_invalid(search(fusion.k(f64::NAN)).await, "fusion.k");
    assert_invalid(search(fusion.keyword_weight(1001.0)).await, "fusion.keyword_weight");
    assert_invalid(search(fusion.vector_weight(-1.0)).await, "fusion.vector_weight");
    assert_invalid(search(fusion.depth(4001)).await, "fusion.depth");
}
