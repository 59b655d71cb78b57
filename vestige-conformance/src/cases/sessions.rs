use chrono::TimeDelta;
use vestige_traits::{
    Fusion, FusionMethod, MemoryFilter, MemoryRecord, MemoryStore, SearchMode, SearchQuery,
};

use crate::fixtures::*;
use crate::{StoreFactory, TestBed};

const EAST: [f32; 4] = [1.0, 0.0, 0.0, 0.0];
const NORTH: [f32; 4] = [0.0, 1.0, 0.0, 0.0];

/// Memory number `n` in the session "talk".
fn said(n: u128, content: &str) -> MemoryRecord {
    memory(n, content).session("talk")
}

async fn fill(bed: &TestBed<impl StoreFactory>, records: impl IntoIterator<Item = MemoryRecord>) {
    let records: Vec<_> = records.into_iter().collect();
    bed.store.insert_batch(&records).await.unwrap();
}

async fn hits(bed: &TestBed<impl StoreFactory>, query: &SearchQuery) -> Vec<(u128, f64)> {
    let results = bed.store.search(query).await.unwrap();
    let number = |n: uuid::Uuid| n.as_u128() - id(0).as_u128();
    results.iter().map(|result| (number(result.record.id), result.score)).collect()
}

fn numbers(hits: &[(u128, f64)]) -> Vec<u128> {
    hits.iter().map(|(n, _)| *n).collect()
}

/// Asserts the numbers and, as parts of the best score, the scores.
#[track_caller]
fn assert_parts(hits: &[(u128, f64)], expected: &[(u128, f64)]) {
    let best = hits.first().map_or(1.0, |(_, score)| *score);
    assert_eq!(numbers(hits), expected.iter().map(|(n, _)| *n).collect::<Vec<_>>());
    for ((n, score), (_, part)) in hits.iter().zip(expected) {
        assert!((score / best - part).abs() < 1e-9, "memory {n} has {score} of {best}, not {part}");
    }
}

pub async fn a_memory_lends_to_those_around_it_in_its_session(bed: &TestBed<impl StoreFactory>) {
    let talk = ["first", "second", "third", "lamp", "fifth", "sixth", "seventh"];
    fill(bed, talk.iter().zip(1..).map(|(text, n)| said(n, text))).await;
    fill(bed, [memory(8, "eighth"), memory(9, "ninth").session("another")]).await;
    // Of equal scores the newest comes first.
    let expected = [(4, 1.0), (5, 0.3), (3, 0.3), (6, 0.15), (2, 0.15)];
    for mode in [SearchMode::Keyword, SearchMode::Hybrid] {
        let query = SearchQuery::text("lamp").mode(mode);
        assert_parts(&hits(bed, &query).await, &expected);
        assert_eq!(numbers(&hits(bed, &query.limit(2)).await), [4, 5]);
    }
    let results = bed.store.search(&SearchQuery::text("lamp")).await.unwrap();
    let places: Vec<_> = results.iter().map(|result| (result.fts_rank, result.fts_score)).collect();
    assert_eq!(places[0].0, Some(1));
    assert!(places[1..].iter().all(|place| *place == (None, None)), "the words did not find these");
}

pub async fn a_question_lends_more_to_its_answer_than_to_others(bed: &TestBed<impl StoreFactory>) {
    fill(bed, [said(1, "before"), said(2, "Whose lamp is it?"), said(3, "after"), said(4, "later")]).await;
    let parts = [(2, 1.0), (3, 0.5 / 0.8), (1, 0.3 / 0.8), (4, 0.15 / 0.8)];
    assert_parts(&hits(bed, &SearchQuery::text("lamp")).await, &parts);
    // The last of a session has nobody to give to.
    bed.store.delete(id(3)).await.unwrap();
    bed.store.delete(id(4)).await.unwrap();
    assert_parts(&hits(bed, &SearchQuery::text("lamp")).await, &[(2, 1.0), (1, 0.3)]);
}

pub async fn what_comes_in_passes_the_filter_the_phrases_and_the_exclusions(
    bed: &TestBed<impl StoreFactory>,
) {
    let tagged = |n, text| said(n, text).tags(["kept"]);
    fill(
        bed,
        [tagged(1, "a red chair"), said(2, "a chair"), tagged(3, "a red lamp"), tagged(4, "a blue door")],
    )
    .await;
    let kept = MemoryFilter::new().tags(["kept"]);
    assert_eq!(numbers(&hits(bed, &SearchQuery::text("lamp").filter(kept)).await), [3, 4, 1]);
    assert_eq!(numbers(&hits(bed, &SearchQuery::text("lamp -chair")).await), [3, 4]);
    // Both hold the phrase; it has words of its own, by which the chair is found too.
    assert_eq!(numbers(&hits(bed, &SearchQuery::text("lamp \"red\"")).await), [3, 1]);
}

pub async fn the_order_in_a_session_is_by_time_and_id(bed: &TestBed<impl StoreFactory>) {
    let at =
        |n: u128, seconds: i64, text: &str| said(n, text).created_at(now() + TimeDelta::seconds(seconds));
    // Inserted in another order; 2 and 5 are of one time.
    fill(bed, [at(5, 20, "lamp"), at(1, 30, "after"), at(2, 20, "before"), at(4, 10, "long before")]).await;
    fill(bed, [at(3, 40, "long after"), at(6, 50, "too late")]).await;
    let parts = [(5, 1.0), (1, 0.3), (2, 0.3), (3, 0.15), (4, 0.15)];
    assert_parts(&hits(bed, &SearchQuery::text("lamp")).await, &parts);
}

pub async fn lending_can_be_switched_off(bed: &TestBed<impl StoreFactory>) {
    fill(bed, [said(1, "Whose lamp?"), said(2, "mine")]).await;
    let on = SearchQuery::text("lamp");
    assert_eq!(numbers(&hits(bed, &on).await), [1, 2]);
    let off = bed.store.search(&on.sessions(false)).await.unwrap();
    assert_eq!(found(&off), ids([1]));
    assert_eq!(Some(off[0].score), off[0].fts_score);
}

pub async fn without_a_session_nothing_is_lent(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    fill(bed, (1..=60).map(|n| embedded(n, "lamp ".repeat(n as usize % 7 + 1), &[1.0, n as f32, 0.0, 0.0])))
        .await;
    let queries = SearchMode::ALL.map(|mode| SearchQuery::hybrid("lamp", EAST.to_vec()).mode(mode));
    let off = async |query: &SearchQuery| bed.store.search(&query.clone().sessions(false)).await.unwrap();
    for query in &queries {
        assert_eq!(bed.store.search(query).await.unwrap(), off(query).await);
    }
    // Nor by a session that no result is part of.
    bed.store.insert(&said(100, "a chair")).await.unwrap();
    for query in &queries {
        let filter = MemoryFilter::new().created_before(now() + TimeDelta::seconds(100));
        let query = query.clone().filter(filter);
        assert_eq!(bed.store.search(&query).await.unwrap(), off(&query).await);
    }
}

pub async fn a_vector_finds_the_answer_beside_the_question(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    fill(
        bed,
        [
            embedded(1, "Where do they keep it?", &EAST).session("talk"),
            embedded(2, "In the shed.", &NORTH).session("talk"),
            embedded(3, "unrelated", &[1.0, 4.0, 0.0, 0.0]),
            embedded(4, "unrelated", &[0.0, 0.0, 1.0, 0.0]),
        ],
    )
    .await;
    let query = SearchQuery::embedding(EAST.to_vec());
    // The least similarity, 0, is the floor.
    let cosine = 1.0 / 17_f64.sqrt();
    assert_parts(&hits(bed, &query).await, &[(1, 1.0), (2, 0.5 / 0.8), (3, cosine / 0.8), (4, 0.0)]);
    let results = bed.store.search(&query).await.unwrap();
    assert_eq!(results[0].vector_score, Some(1.0), "the similarity stays what it is");
    assert_close(results[0].score, 0.8);
}

pub async fn what_comes_in_has_no_place_in_a_leg(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    // By words and by meaning memory n is at place n; the last is the answer beside the first.
    let lamp = |n: u128| {
        let text = "lamp".to_owned() + &" shade".repeat(n as usize);
        embedded(n, text, &[1.0, n as f32 / 50.0, 0.0, 0.0])
    };
    fill(bed, (2..=69).map(lamp)).await;
    let talk = [lamp(1), lamp(70)].map(|record| record.session("talk"));
    fill(bed, talk).await;
    for method in [FusionMethod::RelativeScore, FusionMethod::ReciprocalRank] {
        for (mode, limit) in SearchMode::ALL.into_iter().flat_map(|mode| [(mode, 40), (mode, 60)]) {
            let fusion = Fusion::new().method(method).depth(100);
            let query = SearchQuery::hybrid("lamp", EAST.to_vec()).mode(mode).fusion(fusion).limit(limit);
            let results = bed.store.search(&query).await.unwrap();
            let found = results.iter().find(|result| result.record.id == id(70)).expect("it comes in");
            let places = (found.fts_rank, found.fts_score, found.vector_rank, found.vector_score);
            assert_eq!(places, (None, None, None, None), "{method:?}, {mode}, limit {limit}");
            assert_eq!(results[0].record.id, id(1));
            assert_eq!(results[0].fts_rank.or(results[0].vector_rank), Some(1));
        }
    }
}

pub async fn a_result_that_rises_is_whole(bed: &TestBed<impl StoreFactory>) {
    let answer = said(2, "lamp shade shade shade shade shade shade")
        .metadata(serde_json::json!({ "ticket": "QW-204" }));
    fill(bed, [said(1, "lamp?"), answer.clone()]).await;
    fill(bed, (3..=30).map(|n| memory(n, "nothing of it"))).await;
    let query = SearchQuery::text("lamp").limit(1);
    assert_eq!(numbers(&hits(bed, &query.clone().sessions(false)).await), [1]);
    let results = bed.store.search(&query).await.unwrap();
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].record, answer);
}

pub async fn a_text_without_a_word_leaves_lending_to_the_vector(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    let vectors = [EAST, EAST, [1.0, 1.0, 0.0, 0.0], NORTH];
    let embedded = vectors.iter().zip(1..).map(|(vector, n)| embedded(n, format!("note {n}"), vector));
    let talk = embedded.map(|record| if record.id == id(2) { record } else { record.session("talk") });
    fill(bed, talk).await;
    // All four lend, however shallow the legs are: the last is the floor.
    let fusion = Fusion::new().depth(2);
    let vector = SearchQuery::embedding(EAST.to_vec()).limit(3).fusion(fusion);
    let expected = bed.store.search(&vector).await.unwrap();
    assert_eq!(found(&expected), ids([1, 3, 2]));
    let both = SearchQuery::hybrid("?!", EAST.to_vec()).limit(3).fusion(fusion);
    assert_eq!(bed.store.search(&both).await.unwrap(), expected);
}

pub async fn lending_follows_every_change_of_a_session(bed: &TestBed<impl StoreFactory>) {
    let query = SearchQuery::text("lamp");
    let near = async || {
        let hits = hits(bed, &query).await;
        numbers(&hits)[1..].to_vec()
    };
    fill(bed, [said(10, "lamp"), said(20, "after"), said(30, "later")]).await;
    assert_eq!(near().await, [20, 30]);
    // One comes between, and one before.
    fill(bed, [said(15, "between"), said(5, "before")]).await;
    assert_eq!(near().await, [15, 5, 20]);
    // One goes.
    bed.store.delete(id(15)).await.unwrap();
    assert_eq!(near().await, [20, 5, 30]);
    // One goes into another session, one has none, and one changes its time.
    bed.store.update(&memory(20, "after").session("another")).await.unwrap();
    assert_eq!(near().await, [30, 5]);
    bed.store.update(&memory(5, "before")).await.unwrap();
    assert_eq!(near().await, [30]);
    bed.store.update(&said(30, "later").created_at(now())).await.unwrap();
    fill(bed, [said(40, "last")]).await;
    assert_eq!(near().await, [40, 30]);
    // The one that lends becomes a question.
    bed.store.update(&said(10, "lamp?")).await.unwrap();
    assert_parts(&hits(bed, &query).await, &[(10, 1.0), (40, 0.5 / 0.8), (30, 0.3 / 0.8)]);
}

pub async fn only_the_first_fifty_lend(bed: &TestBed<impl StoreFactory>) {
    // A longer text has a lower score: memory n is at place n.
    let padded = |n: u128| "lamp".to_owned() + &" shade".repeat(n as usize);
    fill(bed, (1..=60).map(|n| memory(n, padded(n)).session(format!("talk {n}")))).await;
    let answer = |n: u128| memory(1000 + n, "an answer").session(format!("talk {n}"));
    fill(bed, [answer(1), answer(48), answer(50), answer(51)]).await;
    let all = hits(bed, &SearchQuery::text("lamp").limit(100)).await;
    let answers: Vec<u128> = numbers(&all).into_iter().filter(|n| *n > 1000).collect();
    // The fiftieth is the floor, and has nothing to lend above it.
    assert_eq!(answers, [1001, 1048]);
    let few = hits(bed, &SearchQuery::text("lamp").limit(10)).await;
    assert_eq!(few, all[..10], "how many are asked for does not change the order");
}

pub async fn within_one_session_its_memories_lend_to_each_other(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    let turn = |n: u128, text: &str| embedded(n, text, &NORTH).session("talk");
    fill(bed, [turn(1, "before"), turn(2, "lamp?"), turn(3, "an answer"), turn(4, "unrelated")]).await;
    fill(bed, [memory(5, "lamp").session("another"), memory(6, "beside it").session("another")]).await;
    fill(bed, [memory(7, "lamp")]).await;
    let filter = |names: &[&str]| MemoryFilter::new().sessions(names.iter().copied());
    let asked = |mode| SearchQuery::hybrid("lamp", EAST.to_vec()).mode(mode);
    let inside = [(2, 1.0), (3, 0.5 / 0.8), (1, 0.3 / 0.8), (4, 0.15 / 0.8)];
    assert_parts(&hits(bed, &asked(SearchMode::Keyword).filter(filter(&["talk"]))).await, &inside);
    let mut both =
        numbers(&hits(bed, &asked(SearchMode::Keyword).filter(filter(&["talk", "another"]))).await);
    both.sort_unstable();
    assert_eq!(both, [1, 2, 3, 4, 5, 6]);
    for mode in SearchMode::ALL {
        let found = numbers(&hits(bed, &asked(mode).filter(filter(&["talk"]))).await);
        assert!(found.len() == 4 && found.iter().all(|n| *n <= 4), "{mode}: {found:?}");
    }
    assert_eq!(numbers(&hits(bed, &SearchQuery::text("lamp").filter(filter(&["nobody"]))).await), []);
}
