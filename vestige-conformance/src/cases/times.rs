use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use vestige_traits::backend::{favoured, gain};
use vestige_traits::{
    Fusion, FusionMethod, MemoryFilter, MemoryRecord, MemoryStore, SearchMode, SearchQuery, SearchResult,
    TimeSpan, limits,
};

use crate::fixtures::*;
use crate::{StoreFactory, TestBed};

const EAST: [f32; 4] = [1.0, 0.0, 0.0, 0.0];

fn day(n: i64) -> DateTime<Utc> {
    now() + TimeDelta::days(n)
}

/// The days from one until before another.
fn days(from: i64, before: i64) -> TimeSpan {
    TimeSpan { from: day(from), before: day(before) }
}

/// Memory number `n` of day `n`, which words and vectors find alike.
fn of_day(n: u128) -> MemoryRecord {
    embedded(n, "a lamp", &EAST).created_at(day(n as i64))
}

/// A question in each way of ranking.
fn questions() -> [SearchQuery; 4] {
    let both = SearchQuery::hybrid("lamp", EAST.to_vec());
    [
        both.clone().fusion(Fusion::new().method(FusionMethod::ReciprocalRank)),
        both.clone(),
        both.clone().mode(SearchMode::Keyword),
        both.mode(SearchMode::Vector),
    ]
}

/// Whether the places of equal scores count, so that a gain need not bring a memory to the front.
fn is_by_rank(query: &SearchQuery) -> bool {
    query.mode == SearchMode::Hybrid && query.fusion.method == FusionMethod::ReciprocalRank
}

async fn fill(bed: &TestBed<impl StoreFactory>, records: impl IntoIterator<Item = MemoryRecord>) {
    bed.store.register_model(&model()).await.unwrap();
    let records: Vec<_> = records.into_iter().collect();
    bed.store.insert_batch(&records).await.unwrap();
}

pub async fn memories_of_the_time_gain_and_none_loses(bed: &TestBed<impl StoreFactory>) {
    fill(bed, (1..=8).map(of_day)).await;
    let times = [days(3, 5)];
    for query in questions() {
        let plain = bed.store.search(&query).await.unwrap();
        let results = bed.store.search(&query.clone().times(times)).await.unwrap();
        if !is_by_rank(&query) {
            assert_eq!(found(&results)[..2], ids([4, 3]), "{query:?}");
        }
        assert_eq!(results.len(), plain.len(), "none is excluded");
        for result in &plain {
            let gain = gain(result.record.created_at, &times);
            let expected = SearchResult { score: favoured(result.score, gain), ..result.clone() };
            assert!(results.contains(&expected), "{expected:?}");
        }
        assert_eq!(bed.store.search(&query.clone().times([])).await.unwrap(), plain);
    }
}

pub async fn memories_of_soon_after_gain_less(bed: &TestBed<impl StoreFactory>) {
    fill(bed, (1..=8).map(of_day)).await;
    let morning = TimeSpan { from: day(3), before: day(3) + TimeDelta::hours(12) };
    for query in questions().into_iter().filter(|query| !is_by_rank(query)) {
        let results = bed.store.search(&query.clone().limit(3).times([morning])).await.unwrap();
        assert_eq!(found(&results), ids([3, 4, 5]), "{query:?}");
    }
}

pub async fn a_memory_of_the_time_comes_from_far_down(bed: &TestBed<impl StoreFactory>) {
    // Of equal scores the newest comes first, and the one of the time last.
    fill(bed, (1..=60).map(of_day)).await;
    for query in questions() {
        for limit in [1, 3, 60] {
            let query = query.clone().limit(limit).times([days(1, 2)]);
            let results = bed.store.search(&query).await.unwrap();
            assert_eq!(results.len(), limit);
            if !is_by_rank(&query) {
                assert_eq!(results[0].record.id, id(1), "{query:?}");
            }
        }
    }
}

pub async fn what_comes_from_far_down_is_whole(bed: &TestBed<impl StoreFactory>) {
    let whole = |n: u128| {
        let content = format!("a lamp that stands beside the window of room {n}, and is never lit");
        of_day(n).metadata(json!({"room": n.to_string()})).session("house").content(content)
    };
    fill(bed, (1..=60).map(whole)).await;
    for query in questions() {
        for sessions in [true, false] {
            let query = query.clone().limit(5).sessions(sessions).times([days(1, 3)]);
            for result in bed.store.search(&query).await.unwrap() {
                let stored = bed.store.get(result.record.id).await.unwrap().unwrap();
                assert_eq!(result.record, stored, "{query:?}");
            }
        }
    }
}

pub async fn a_memory_that_gains_lends_more(bed: &TestBed<impl StoreFactory>) {
    let beside = memory(9, "beside it").created_at(day(3) + TimeDelta::hours(1)).session("talk");
    fill(bed, [of_day(3).session("talk"), beside, of_day(20)]).await;
    let query = SearchQuery::text("lamp").times([days(3, 4)]);
    let results = bed.store.search(&query).await.unwrap();
    assert_eq!(found(&results), ids([3, 20, 9]));
    assert_close(results[2].score, 0.3 * results[0].score);
    assert!(results[0].score > 1.1 * results[1].score);
}

pub async fn filters_and_exclusions_hold_for_favoured_memories(bed: &TestBed<impl StoreFactory>) {
    let red = |n| of_day(n).tags(["red"]);
    fill(bed, [of_day(3), red(4), red(7), of_day(8).content("a lamp of brass")]).await;
    for query in questions() {
        let query = query.times([days(3, 5)]);
        let tagged = query.clone().filter(MemoryFilter::new().tags(["red"]));
        assert_eq!(found(&bed.store.search(&tagged).await.unwrap()), ids([4, 7]), "{query:?}");
        let mut excluding = query;
        excluding.text = Some("lamp -brass".to_owned());
        excluding.times = vec![days(8, 9)];
        assert!(!found(&bed.store.search(&excluding).await.unwrap()).contains(&id(8)));
    }
}

pub async fn times_out_of_range_are_invalid(bed: &TestBed<impl StoreFactory>) {
    let query = SearchQuery::text("lamp");
    let reversed = TimeSpan { from: day(2), before: day(1) };
    let empty = TimeSpan { from: day(1), before: day(1) };
    let late = TimeSpan { from: day(1), before: DateTime::<Utc>::MAX_UTC };
    for span in [reversed, empty, late] {
        assert_invalid(bed.store.search(&query.clone().times([span])).await, "times");
        assert_invalid(bed.store.explain_search(&query.clone().times([span])).await, "times");
    }
    let many = vec![days(1, 2); limits::MAX_TIMES + 1];
    assert_invalid(bed.store.search(&query.clone().times(many.clone())).await, "times");
    bed.store.search(&query.times(many[1..].to_vec())).await.unwrap();
}

pub async fn favoured_times_are_a_step_of_the_plan(bed: &TestBed<impl StoreFactory>) {
    for query in questions() {
        for times in [vec![], vec![days(1, 2)]] {
            let plan = bed.store.explain_search(&query.clone().times(times.clone())).await.unwrap();
            assert_eq!(plan.steps.iter().any(|step| step.stage == "dates"), !times.is_empty(), "{plan:?}");
        }
    }
}
