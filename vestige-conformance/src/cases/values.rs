use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use vestige_traits::scheduling::SchedulingState;
use vestige_traits::{MemoryStore, SearchQuery, limits};

use crate::fixtures::*;
use crate::hostile::hostile_queries;
use crate::{StoreFactory, TestBed};

pub async fn hostile_texts_come_back_as_they_were(bed: &TestBed<impl StoreFactory>) {
    let texts = hostile_queries().into_iter().filter(|text| !text.trim().is_empty() && !text.contains('\0'));
    let records: Vec<_> = (1..)
        .zip(texts)
        .map(|(n, text)| {
            memory(n, text.clone())
                .node_type(text.clone())
                .tags([text.clone(), format!("{text},\"{text}")])
                .metadata(json!({ text.clone(): [text.clone()] }))
                .domains([text.clone()])
                .domain_scores([(text.clone(), 0.5)].into())
                .codebase(text.clone())
                .session(text.clone())
        })
        .filter(|record| record.validate().is_ok())
        .collect();
    assert!(records.len() > 300, "{}", records.len());
    bed.store.insert_batch(&records).await.unwrap();
    for record in &records {
        assert_eq!(bed.store.get(record.id).await.unwrap().as_ref(), Some(record));
    }
}

pub async fn white_space_of_a_content_is_kept(bed: &TestBed<impl StoreFactory>) {
    let record = memory(1, " \r\n\tindented\u{2028}\u{feff} end\n\n");
    bed.store.insert(&record).await.unwrap();
    assert_eq!(bed.store.get(id(1)).await.unwrap(), Some(record));
}

pub async fn numbers_in_metadata_keep_their_value(bed: &TestBed<impl StoreFactory>) {
    let numbers = json!([
        0,
        -1,
        1.0,
        1.5,
        -2.5e-7,
        0.1,
        0.300_000_000_000_000_04,
        1e15,
        123_456_789_012_345_680.0,
        1e22,
        1e23,
        1e300,
        -1e300,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        2.225_073_858_507_201e-308,
        9_007_199_254_740_993_u64,
        i64::MAX,
        i64::MIN,
        u64::MAX,
        8.41,
        5.3e-17,
        0.7,
    ]);
    let record = memory(1, "x").metadata(json!({ "numbers": numbers }));
    bed.store.insert(&record).await.unwrap();
    let mut expected = record;
    expected.prepare().unwrap();
    assert_eq!(bed.store.get(id(1)).await.unwrap(), Some(expected));
}

pub async fn numbers_that_databases_rewrite_come_back_normalised(bed: &TestBed<impl StoreFactory>) {
    let metadata = json!({ "zero": -0.0, "whole": 1e16, "negative": -1e18, "huge": 1.8e19 });
    let record = memory(1, "x").metadata(metadata);
    bed.store.insert(&record).await.unwrap();
    let back = bed.store.get(id(1)).await.unwrap().unwrap().metadata;
    let expected = json!({
        "zero": 0.0,
        "whole": 10_000_000_000_000_000_u64,
        "negative": -1_000_000_000_000_000_000_i64,
        "huge": 18_000_000_000_000_000_000_u64,
    });
    assert_eq!(back.to_string(), expected.to_string());
    let mut same: Value = back.clone();
    assert!(!limits::normalize_json(&mut same), "normalising is done once");
}

pub async fn scores_keep_their_last_bit(bed: &TestBed<impl StoreFactory>) {
    let scores = [0.1 + 0.2, 1.0 / 3.0, 1e-300, -5e-324, f64::MAX, f64::MIN, 1e16, 123.0];
    let domain_scores = (0..).zip(scores).map(|(n, score): (i32, f64)| (format!("d{n}"), score)).collect();
    let record = memory(1, "x").domain_scores(domain_scores);
    bed.store.insert(&record).await.unwrap();
    assert_eq!(bed.store.get(id(1)).await.unwrap(), Some(record));
}

pub async fn a_negative_zero_becomes_positive(bed: &TestBed<impl StoreFactory>) {
    let domain_scores = [("d".to_owned(), -0.0)].into();
    bed.store.insert_batch(&[memory(1, "x").domain_scores(domain_scores), memory(2, "y")]).await.unwrap();
    let score = bed.store.get(id(1)).await.unwrap().unwrap().domain_scores["d"];
    assert!(score.is_sign_positive());
    bed.store.add_edge(&edge(1, 2, -0.0)).await.unwrap();
    assert!(bed.store.get_edges(id(1)).await.unwrap()[0].weight.is_sign_positive());
}

pub async fn times_keep_their_microseconds_at_the_ends_of_the_calendar(bed: &TestBed<impl StoreFactory>) {
    let times = [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00.000001Z",
        "1582-10-10T12:00:00.5Z",
        "1899-12-31T23:59:59.999999Z",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00Z",
        "1999-12-31T23:59:59.999999Z",
        "2000-01-01T00:00:00.000001Z",
        "2026-03-29T01:30:00.123456Z",
        "9999-12-31T23:59:59.999998Z",
    ];
    for (n, text) in (1..).zip(times) {
        let time: DateTime<Utc> = text.parse().unwrap();
        let record = memory(n, "x").created_at(time).updated_at(time);
        bed.store.insert(&record).await.unwrap();
        assert_eq!(bed.store.get(id(n)).await.unwrap(), Some(record), "{text}");
        let state =
            SchedulingState { last_review: Some(time), next_review: Some(time), ..reviewed(now(), 1.0) };
        bed.store.update_scheduling(id(n), &state).await.unwrap();
        assert_eq!(bed.store.get_scheduling(id(n)).await.unwrap(), Some(state), "{text}");
    }
}

pub async fn an_update_does_not_leave_the_calendar(bed: &TestBed<impl StoreFactory>) {
    let last: DateTime<Utc> = "9999-12-31T23:59:59.999999Z".parse().unwrap();
    let record = memory(1, "for ever").updated_at(last);
    bed.store.insert(&record).await.unwrap();
    assert_invalid(bed.store.update(&memory(1, "no longer")).await, "updated_at");
    assert_invalid(bed.store.update_unless_changed(&memory(1, "no longer"), last).await, "updated_at");
    assert_eq!(bed.store.get(id(1)).await.unwrap(), Some(record));
    bed.store.delete(id(1)).await.unwrap();
}

pub async fn finer_times_are_cut_to_microseconds(bed: &TestBed<impl StoreFactory>) {
    for (n, time) in [(1, now()), (2, "0001-06-01T00:00:00Z".parse().unwrap())] {
        let finer = time + TimeDelta::nanoseconds(1999);
        let cut = time + TimeDelta::microseconds(1);
        let record = memory(n, "x").created_at(finer).updated_at(finer);
        bed.store.insert(&record).await.unwrap();
        let back = bed.store.get(id(n)).await.unwrap().unwrap();
        assert_eq!((back.created_at, back.updated_at), (cut, cut));
        bed.store.update_scheduling(id(n), &reviewed(finer, 1.0)).await.unwrap();
        let state = bed.store.get_scheduling(id(n)).await.unwrap().unwrap();
        assert_eq!(state.last_review, Some(cut));
    }
}

pub async fn order_and_repeats_in_lists_are_kept(bed: &TestBed<impl StoreFactory>) {
    let names = ["b", "a", "B", "b", "a,b", "\"a\"", "{a}", "a\\", "NULL", "null", "😀"];
    let record = memory(1, "x").tags(names).domains(names).shared_with_groups(ids([3, 1, 2, 3]));
    bed.store.insert(&record).await.unwrap();
    assert_eq!(bed.store.get(id(1)).await.unwrap(), Some(record));
}

pub async fn metadata_of_every_kind_comes_back(bed: &TestBed<impl StoreFactory>) {
    let metadata = json!({
        "": "", "null": null, "true": true, "list": [], "object": {}, "mixed": [[[]], {"a": [null, false, "x"]}],
        "\u{7f}\u{1}\u{85}\u{2028}": "\u{1b}[0m \u{fffd}\u{10ffff} \\u0000 \\ \" /", "aa": 1, "b": 2, "B": 3,
    });
    let record = memory(1, "x").metadata(metadata);
    bed.store.insert(&record).await.unwrap();
    let back = bed.store.get(id(1)).await.unwrap().unwrap();
    assert_eq!(back.metadata.to_string(), record.metadata.to_string());
}

pub async fn a_content_in_any_script_is_found_by_its_words(bed: &TestBed<impl StoreFactory>) {
    let texts = [
        "Der Leuchtturm von Büsum",
        "маяк на берегу",
        "φάρος στο λιμάνι",
        "המגדלור בנמל",
        "منارة الميناء",
        "灯台 港",
        "등대 항구",
    ];
    let records: Vec<_> = (1..).zip(texts).map(|(n, text)| memory(n, text)).collect();
    bed.store.insert_batch(&records).await.unwrap();
    for (n, text) in (1..).zip(["busum", "МАЯК", "φαρος", "המגדלור", "منارة", "灯台", "등대"])
    {
        assert_eq!(found(&bed.store.search(&SearchQuery::text(text)).await.unwrap()), ids([n]), "{text}");
    }
}
