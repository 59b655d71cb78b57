use chrono::{DateTime, TimeDelta, Utc};
use vestige_traits::{ListQuery, MemoryFilter, MemoryRecord, MemoryStore, SearchQuery};

use crate::fixtures::*;
use crate::{StoreFactory, TestBed};

const EAST: [f32; 4] = [1.0, 0.0, 0.0, 0.0];

/// Asserts what a filter lets through in the list and in each search.
async fn assert_passes(bed: &TestBed<impl StoreFactory>, filter: MemoryFilter, expected: &[u128]) {
    let list = ListQuery::new().filter(filter.clone()).limit(1000);
    let mut listed: Vec<_> =
        bed.store.list(&list).await.unwrap().records.into_iter().map(|record| record.id).collect();
    listed.sort();
    assert_eq!(listed, ids(expected.iter().copied()), "list by {filter:?}");
    let query = SearchQuery::hybrid("lamp", EAST.to_vec()).filter(filter.clone()).limit(1000);
    for results in [
        bed.store.search(&query).await.unwrap(),
        bed.store.search(&in_keyword_mode(&query)).await.unwrap(),
        bed.store.search(&in_vector_mode(&query)).await.unwrap(),
    ] {
        let mut found = found(&results);
        found.sort();
        assert_eq!(found, ids(expected.iter().copied()), "search by {filter:?}");
    }
}

fn lamp(n: u128) -> MemoryRecord {
    embedded(n, "lamp", &[1.0, n as f32 / 8.0, 0.0, 0.0])
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn insert(bed: &TestBed<impl StoreFactory>, records: &[MemoryRecord]) {
    bed.store.register_model(&model()).await.unwrap();
    bed.store.insert_batch(records).await.unwrap();
}

pub async fn an_empty_filter_lets_everything_through(bed: &TestBed<impl StoreFactory>) {
    insert(bed, &[lamp(1), lamp(2)]).await;
    assert_passes(bed, MemoryFilter::default(), &[1, 2]).await;
}

pub async fn tags_are_met_by_any_of_them_exactly(bed: &TestBed<impl StoreFactory>) {
    let with = |n, tags: &[&str]| lamp(n).tags(strings(tags));
    insert(
        bed,
        &[
            with(1, &["red", "big"]),
            with(2, &["blue"]),
            with(3, &["Red", "reddish", "a red one"]),
            with(4, &["big"]),
            lamp(5),
            with(6, &["odd \"quote\", [x] %_*"]),
        ],
    )
    .await;
    let tags = |tags: &[&str]| MemoryFilter::new().tags(strings(tags));
    assert_passes(bed, tags(&["red"]), &[1]).await;
    assert_passes(bed, tags(&["red", "blue"]), &[1, 2]).await;
    assert_passes(bed, tags(&["big", "red"]), &[1, 4]).await;
    assert_passes(bed, tags(&["green"]), &[]).await;
    assert_passes(bed, tags(&["odd \"quote\", [x] %_*"]), &[6]).await;
    assert_passes(bed, tags(&["%", "_", "*", "re%"]), &[]).await;
}

pub async fn domains_are_met_by_any_of_them_exactly(bed: &TestBed<impl StoreFactory>) {
    let with = |n, domains: &[&str]| lamp(n).domains(strings(domains));
    let mut scored = lamp(4);
    scored.domain_scores = [("infra".to_owned(), 0.1)].into();
    insert(bed, &[with(1, &["infra", "builds"]), with(2, &["builds"]), with(3, &["Infra"]), scored]).await;
    let domains = |names: &[&str]| MemoryFilter::new().domains(strings(names));
    assert_passes(bed, domains(&["infra"]), &[1]).await;
    assert_passes(bed, domains(&["builds", "x"]), &[1, 2]).await;
    assert_passes(bed, domains(&["x"]), &[]).await;
}

pub async fn types_are_compared_exactly(bed: &TestBed<impl StoreFactory>) {
    let with = |n, node_type: &str| lamp(n).node_type(node_type);
    insert(bed, &[with(1, "fact"), with(2, "Fact"), with(3, "decision"), lamp(4)]).await;
    let types = |names: &[&str]| MemoryFilter::new().node_types(strings(names));
    assert_passes(bed, types(&["fact"]), &[1]).await;
    assert_passes(bed, types(&["fact", "general"]), &[1, 4]).await;
    assert_passes(bed, types(&["facts"]), &[]).await;
}

pub async fn a_memory_without_a_codebase_matches_no_codebase(bed: &TestBed<impl StoreFactory>) {
    let with = |n, codebase: &str| lamp(n).codebase(codebase);
    insert(bed, &[with(1, "atlas"), with(2, "ATLAS"), lamp(3), with(4, "null")]).await;
    let codebases = |names: &[&str]| MemoryFilter::new().codebases(strings(names));
    assert_passes(bed, codebases(&["atlas"]), &[1]).await;
    assert_passes(bed, codebases(&["atlas", "null"]), &[1, 4]).await;
    assert_passes(bed, codebases(&["other"]), &[]).await;
}

pub async fn a_memory_without_a_session_matches_no_session(bed: &TestBed<impl StoreFactory>) {
    let with = |n, session: &str| lamp(n).session(session);
    insert(bed, &[with(1, "monday"), with(2, "MONDAY"), lamp(3), with(4, "null"), with(5, "monday ")]).await;
    let sessions = |names: &[&str]| MemoryFilter::new().sessions(strings(names));
    assert_passes(bed, sessions(&["monday"]), &[1]).await;
    assert_passes(bed, sessions(&["monday", "null"]), &[1, 4]).await;
    assert_passes(bed, sessions(&["other"]), &[]).await;
    // What a filter lets through follows the rows.
    bed.store.update(&with(3, "monday")).await.unwrap();
    bed.store.update(&lamp(4)).await.unwrap();
    assert_passes(bed, sessions(&["monday", "null"]), &[1, 3]).await;
    assert_passes(bed, sessions(&["monday"]).codebases(["atlas"]), &[]).await;
}

pub async fn the_created_range_includes_its_start_and_not_its_end(bed: &TestBed<impl StoreFactory>) {
    let at = |n, micros| lamp(n).created_at(now() + TimeDelta::microseconds(micros));
    insert(bed, &[at(1, 0), at(2, 1), at(3, 2), at(4, 3), at(5, -1)]).await;
    let range = |from: Option<i64>, before: Option<i64>| {
        MemoryFilter::new()
            .created_from(from.map(|micros| now() + TimeDelta::microseconds(micros)))
            .created_before(before.map(|micros| now() + TimeDelta::microseconds(micros)))
    };
    assert_passes(bed, range(Some(1), Some(3)), &[2, 3]).await;
    assert_passes(bed, range(Some(2), None), &[3, 4]).await;
    assert_passes(bed, range(None, Some(0)), &[5]).await;
    assert_passes(bed, range(Some(2), Some(2)), &[]).await;
    assert_passes(bed, range(Some(3), Some(1)), &[]).await;
}

pub async fn times_of_a_filter_are_cut_to_microseconds(bed: &TestBed<impl StoreFactory>) {
    insert(bed, &[lamp(1).created_at(now())]).await;
    let finer = now() + TimeDelta::nanoseconds(999);
    let from = MemoryFilter::new().created_from(finer);
    assert_passes(bed, from, &[1]).await;
    let before = MemoryFilter::new().created_before(finer);
    assert_passes(bed, before, &[]).await;
}

pub async fn a_created_range_reaches_the_ends_of_time(bed: &TestBed<impl StoreFactory>) {
    let first: DateTime<Utc> = "0001-01-01T00:00:00Z".parse().unwrap();
    let last: DateTime<Utc> = "9999-12-31T23:59:59.999999Z".parse().unwrap();
    let at = |n, created_at| lamp(n).created_at(created_at);
    insert(bed, &[at(1, first), at(2, now()), at(3, last)]).await;
    let range = |from: DateTime<Utc>, before: DateTime<Utc>| {
        MemoryFilter::new().created_from(from).created_before(before)
    };
    assert_passes(bed, range(first, last), &[1, 2]).await;
    assert_passes(bed, range(now(), last), &[2]).await;
    assert_passes(bed, MemoryFilter::new().created_from(last), &[3]).await;
}

pub async fn retrievability_is_that_of_the_present(bed: &TestBed<impl StoreFactory>) {
    insert(bed, &[lamp(1), lamp(2), lamp(3), lamp(4)]).await;
    let ago = |days: i64, stability| reviewed(now() - TimeDelta::days(days), stability);
    bed.store.update_scheduling(id(1), &ago(1, 10.0)).await.unwrap();
    bed.store.update_scheduling(id(2), &ago(10, 1.0)).await.unwrap();
    let mut unseen = ago(0, 0.001);
    unseen.last_review = None;
    bed.store.update_scheduling(id(3), &unseen).await.unwrap();
    let at_least = |minimum: f64| MemoryFilter::new().min_retrievability(minimum);
    assert_passes(bed, at_least(0.0), &[1, 2, 3, 4]).await;
    assert_passes(bed, at_least(0.9), &[1, 3, 4]).await;
    assert_passes(bed, at_least(1.0), &[3, 4]).await;
    bed.clock.set(now() + TimeDelta::days(100));
    assert_passes(bed, at_least(0.9), &[3, 4]).await;
}

pub async fn retrievability_falls_to_nine_tenths_after_one_stability(bed: &TestBed<impl StoreFactory>) {
    insert(bed, &[lamp(1)]).await;
    bed.store.update_scheduling(id(1), &reviewed(now(), 2.0)).await.unwrap();
    let filter = MemoryFilter::new().min_retrievability(0.9);
    bed.clock.set(now() + TimeDelta::days(2) - TimeDelta::seconds(1));
    assert_passes(bed, filter.clone(), &[1]).await;
    bed.clock.set(now() + TimeDelta::days(2) + TimeDelta::seconds(1));
    assert_passes(bed, filter, &[]).await;
}

pub async fn a_review_in_the_future_counts_as_just_now(bed: &TestBed<impl StoreFactory>) {
    insert(bed, &[lamp(1)]).await;
    bed.store.update_scheduling(id(1), &reviewed(now() + TimeDelta::days(3), 2.0)).await.unwrap();
    let filter = MemoryFilter::new().min_retrievability(1.0);
    assert_passes(bed, filter, &[1]).await;
}

pub async fn extreme_stabilities_and_minima_are_no_errors(bed: &TestBed<impl StoreFactory>) {
    insert(bed, &[lamp(1), lamp(2)]).await;
    bed.store.update_scheduling(id(1), &reviewed(now() - TimeDelta::days(300_000), 1e-6)).await.unwrap();
    bed.store.update_scheduling(id(2), &reviewed(now() - TimeDelta::days(1), 1e6)).await.unwrap();
    let at_least = |minimum: f64| MemoryFilter::new().min_retrievability(minimum);
    assert_passes(bed, at_least(f64::MIN_POSITIVE), &[1, 2]).await;
    assert_passes(bed, at_least(1e-60), &[1, 2]).await;
    assert_passes(bed, at_least(0.5), &[2]).await;
    assert_passes(bed, at_least(1.0 - f64::EPSILON), &[]).await;
}

pub async fn every_part_of_a_filter_must_be_met(bed: &TestBed<impl StoreFactory>) {
    let make = |n: u128, tag: &str, node_type: &str, codebase: &str, domain: &str| {
        lamp(n).tags([tag]).node_type(node_type).codebase(codebase).domains([domain]).session("s")
    };
    insert(
        bed,
        &[
            make(1, "t", "fact", "c", "d"),
            make(2, "x", "fact", "c", "d"),
            make(3, "t", "x", "c", "d"),
            make(4, "t", "fact", "x", "d"),
            make(5, "t", "fact", "c", "x"),
            make(6, "t", "fact", "c", "d"),
            make(7, "t", "fact", "c", "d"),
            make(8, "t", "fact", "c", "d").session("x"),
        ],
    )
    .await;
    bed.store.update_scheduling(id(7), &reviewed(now() - TimeDelta::days(9), 0.1)).await.unwrap();
    let filter = MemoryFilter::new()
        .tags(["t"])
        .node_types(["fact"])
        .codebases(["c"])
        .domains(["d"])
        .sessions(["s"])
        .created_from(now() + TimeDelta::seconds(1))
        .created_before(now() + TimeDelta::seconds(100))
        .min_retrievability(0.8);
    assert_passes(bed, filter.clone(), &[1, 6]).await;
    assert_passes(bed, filter.created_from(now() + TimeDelta::seconds(2)), &[6]).await;
}

pub async fn where_limit_memories_match_limit_come_back(bed: &TestBed<impl StoreFactory>) {
    // What matches is farthest from the question in both legs, so an index that looks at too little misses
    // it.
    let mut records = Vec::new();
    for n in 1..=1500 {
        let mut record = embedded(n, "lamp lamp lamp", &EAST);
        if n % 100 == 0 {
            record = embedded(n, format!("lamp {}", "dust ".repeat(30)), &[-1.0, n as f32, 0.0, 0.0]);
            record.tags = strings(&["rare"]);
        }
        records.push(record);
    }
    insert(bed, &records).await;
    let rare = MemoryFilter::new().tags(["rare"]);
    for limit in [1, 5, 15, 16] {
        let query = SearchQuery::hybrid("lamp", EAST.to_vec()).filter(rare.clone()).limit(limit);
        let expected = limit.min(15);
        assert_eq!(bed.store.search(&query).await.unwrap().len(), expected);
        assert_eq!(bed.store.search(&in_keyword_mode(&query)).await.unwrap().len(), expected);
        assert_eq!(bed.store.search(&in_vector_mode(&query)).await.unwrap().len(), expected);
        let list = ListQuery::new().filter(rare.clone()).limit(limit);
        assert_eq!(bed.store.list(&list).await.unwrap().records.len(), expected);
    }
}

pub async fn an_invalid_filter_is_refused(bed: &TestBed<impl StoreFactory>) {
    let refused = async |filter: MemoryFilter, field: &str| {
        let query = SearchQuery::text("lamp").filter(filter.clone());
        assert_invalid(bed.store.search(&query).await, field);
        assert_invalid(bed.store.search(&in_keyword_mode(&query)).await, field);
        assert_invalid(bed.store.list(&ListQuery::new().filter(filter)).await, field);
    };
    let none = MemoryFilter::default;
    refused(none().tags(["nul\0"]), "filter.tags").await;
    refused(none().domains([""]), "filter.domains").await;
    refused(none().node_types(["x".repeat(1025)]), "filter.node_types").await;
    refused(none().codebases(["x"; 1001]), "filter.codebases").await;
    refused(none().sessions(["x"; 1001]), "filter.sessions").await;
    refused(none().sessions([" "]), "filter.sessions").await;
    for minimum in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let filter = none().min_retrievability(minimum);
        refused(filter, "filter.min_retrievability").await;
    }
    let filter = none().created_from(DateTime::<Utc>::MAX_UTC);
    refused(filter, "filter.created_from").await;
    let filter = none().created_before(DateTime::<Utc>::MIN_UTC);
    refused(filter, "filter.created_before").await;
}

pub async fn a_filter_of_many_values_is_answered(bed: &TestBed<impl StoreFactory>) {
    insert(bed, &[lamp(1).tags(["tag 999"]), lamp(2)]).await;
    let tags = (0..1000).map(|n| format!("tag {n}"));
    assert_passes(bed, MemoryFilter::new().tags(tags), &[1]).await;
}
