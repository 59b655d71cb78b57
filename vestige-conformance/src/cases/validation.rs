use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use vestige_traits::{MemoryRecord, MemoryStore, SearchQuery, limits};

use crate::fixtures::*;
use crate::{StoreFactory, TestBed};

/// Asserts that no way in takes a record, and that each blames the same field.
async fn refused(bed: &TestBed<impl StoreFactory>, record: MemoryRecord, field: &str) {
    let there = memory(1, "is there");
    if bed.store.get(id(1)).await.unwrap().is_none() {
        bed.store.insert(&there).await.unwrap();
    }
    assert_invalid(bed.store.insert(&record.clone().id(id(2))).await, field);
    assert_invalid(bed.store.insert_batch(&[record.clone().id(id(2))]).await, field);
    assert_invalid(bed.store.update(&record.id(id(1))).await, field);
    assert_eq!(bed.store.get(id(1)).await.unwrap(), Some(there));
    assert_eq!(bed.store.count().await.unwrap(), 1);
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!({ "x": inner }))
}

pub async fn blank_content_is_refused(bed: &TestBed<impl StoreFactory>) {
    for content in ["", " ", "\n\t", "\u{a0}\u{3000}"] {
        refused(bed, memory(1, content), "content").await;
    }
}

pub async fn a_nul_is_refused_in_every_text(bed: &TestBed<impl StoreFactory>) {
    let nul = || "a\0b".to_owned();
    refused(bed, memory(1, nul()), "content").await;
    refused(bed, memory(1, "x").node_type(nul()), "node_type").await;
    refused(bed, memory(1, "x").tags(["ok".to_owned(), nul()]), "tags").await;
    refused(bed, memory(1, "x").domains([nul()]), "domains").await;
    refused(bed, memory(1, "x").codebase(nul()), "codebase").await;
    refused(bed, memory(1, "x").session(nul()), "session").await;
    let scores = [(nul(), 1.0)].into();
    refused(bed, memory(1, "x").domain_scores(scores), "domain_scores").await;
    for metadata in [json!({"a": "\0"}), json!({"\0": 1}), json!({"a": [{"b": [nul()]}]})] {
        refused(bed, memory(1, "x").metadata(metadata), "metadata").await;
    }
}

pub async fn blank_names_are_refused(bed: &TestBed<impl StoreFactory>) {
    let blank = || " ".to_owned();
    refused(bed, memory(1, "x").node_type(String::new()), "node_type").await;
    refused(bed, memory(1, "x").tags([blank()]), "tags").await;
    refused(bed, memory(1, "x").domains([blank()]), "domains").await;
    refused(bed, memory(1, "x").codebase(blank()), "codebase").await;
    refused(bed, memory(1, "x").session(blank()), "session").await;
}

pub async fn names_have_a_longest_length(bed: &TestBed<impl StoreFactory>) {
    let long = || "é".repeat(limits::MAX_NAME_BYTES / 2) + "x";
    refused(bed, memory(1, "x").node_type(long()), "node_type").await;
    refused(bed, memory(1, "x").tags([long()]), "tags").await;
    refused(bed, memory(1, "x").codebase(long()), "codebase").await;
    refused(bed, memory(1, "x").session(long()), "session").await;
    let longest = || "é".repeat(limits::MAX_NAME_BYTES / 2);
    let record = memory(3, "x")
        .node_type(longest())
        .tags([longest()])
        .codebase(longest())
        .session(longest())
        .domains([longest()])
        .domain_scores([(longest(), 1.0)].into());
    bed.store.insert(&record).await.unwrap();
    assert_eq!(bed.store.get(id(3)).await.unwrap(), Some(record));
}

pub async fn lists_have_a_longest_length(bed: &TestBed<impl StoreFactory>) {
    let many = |n: usize| (0..n).map(|n| format!("name {n}")).collect::<Vec<_>>();
    let over = limits::MAX_LIST_ITEMS + 1;
    refused(bed, memory(1, "x").tags(many(over)), "tags").await;
    refused(bed, memory(1, "x").domains(many(over)), "domains").await;
    let scores = many(over).into_iter().map(|name| (name, 0.5)).collect();
    refused(bed, memory(1, "x").domain_scores(scores), "domain_scores").await;
    let groups = (0..over as u128).map(id);
    refused(bed, memory(1, "x").shared_with_groups(groups), "shared_with_groups").await;
    let full = memory(3, "x")
        .tags(many(limits::MAX_LIST_ITEMS))
        .domains(many(limits::MAX_LIST_ITEMS))
        .domain_scores(many(limits::MAX_LIST_ITEMS).into_iter().map(|name| (name, 0.5)).collect())
        .shared_with_groups((0..limits::MAX_LIST_ITEMS as u128).map(id));
    bed.store.insert(&full).await.unwrap();
    assert_eq!(bed.store.get(id(3)).await.unwrap(), Some(full));
}

pub async fn content_of_a_mebibyte_is_taken_and_one_byte_more_refused(bed: &TestBed<impl StoreFactory>) {
    let longest = memory(3, longest_content());
    refused(bed, memory(1, longest.content.clone() + "x"), "content").await;
    bed.store.insert(&longest).await.unwrap();
    assert_eq!(bed.store.get(id(3)).await.unwrap(), Some(longest));
    assert_eq!(found(&bed.store.search(&SearchQuery::text("word")).await.unwrap()), ids([3]));
}

pub async fn metadata_must_be_an_object(bed: &TestBed<impl StoreFactory>) {
    for metadata in [json!(null), json!([]), json!("text"), json!(1), json!(true)] {
        refused(bed, memory(1, "x").metadata(metadata), "metadata").await;
    }
}

pub async fn metadata_has_a_greatest_depth(bed: &TestBed<impl StoreFactory>) {
    let depth = limits::MAX_METADATA_DEPTH;
    for levels in [depth, depth + 1, 500] {
        refused(bed, memory(1, "x").metadata(nested(levels)), "metadata").await;
    }
    let deepest = memory(3, "x").metadata(nested(depth - 1));
    bed.store.insert(&deepest).await.unwrap();
    assert_eq!(bed.store.get(id(3)).await.unwrap(), Some(deepest));
}

pub async fn metadata_has_a_greatest_size(bed: &TestBed<impl StoreFactory>) {
    let sized =
        |bytes: usize| memory(3, "x").metadata(json!({ "x": "y".repeat(bytes - r#"{"x":""}"#.len()) }));
    refused(bed, sized(limits::MAX_METADATA_BYTES + 1), "metadata").await;
    let largest = sized(limits::MAX_METADATA_BYTES);
    bed.store.insert(&largest).await.unwrap();
    assert_eq!(bed.store.get(id(3)).await.unwrap(), Some(largest));
}

pub async fn a_score_that_is_not_finite_is_refused(bed: &TestBed<impl StoreFactory>) {
    for score in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let domain_scores = [("d".to_owned(), score)].into();
        refused(bed, memory(1, "x").domain_scores(domain_scores), "domain_scores").await;
    }
}

pub async fn times_beyond_the_calendar_are_refused(bed: &TestBed<impl StoreFactory>) {
    for time in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
        refused(bed, memory(1, "x").created_at(time), "created_at").await;
        refused(bed, memory(1, "x").updated_at(time), "updated_at").await;
    }
}
