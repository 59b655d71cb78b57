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
    assert_invalid(bed.store.insert(&MemoryRecord { id: id(2), ..record.clone() }).await, field);
    assert_invalid(bed.store.insert_batch(&[MemoryRecord { id: id(2), ..record.clone() }]).await, field);
    assert_invalid(bed.store.update(&MemoryRecord { id: id(1), ..record }).await, field);
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
    refused(bed, MemoryRecord { node_type: nul(), ..memory(1, "x") }, "node_type").await;
    refused(bed, MemoryRecord { tags: vec!["ok".to_owned(), nul()], ..memory(1, "x") }, "tags").await;
    refused(bed, MemoryRecord { domains: vec![nul()], ..memory(1, "x") }, "domains").await;
    refused(bed, MemoryRecord { codebase: Some(nul()), ..memory(1, "x") }, "codebase").await;
    let scores = [(nul(), 1.0)].into();
    refused(bed, MemoryRecord { domain_scores: scores, ..memory(1, "x") }, "domain_scores").await;
    for metadata in [json!({"a": "\0"}), json!({"\0": 1}), json!({"a": [{"b": [nul()]}]})] {
        refused(bed, MemoryRecord { metadata, ..memory(1, "x") }, "metadata").await;
    }
}

pub async fn blank_names_are_refused(bed: &TestBed<impl StoreFactory>) {
    let blank = || " ".to_owned();
    refused(bed, MemoryRecord { node_type: String::new(), ..memory(1, "x") }, "node_type").await;
    refused(bed, MemoryRecord { tags: vec![blank()], ..memory(1, "x") }, "tags").await;
    refused(bed, MemoryRecord { domains: vec![blank()], ..memory(1, "x") }, "domains").await;
    refused(bed, MemoryRecord { codebase: Some(blank()), ..memory(1, "x") }, "codebase").await;
}

pub async fn names_have_a_longest_length(bed: &TestBed<impl StoreFactory>) {
    let long = || "é".repeat(limits::MAX_NAME_BYTES / 2) + "x";
    refused(bed, MemoryRecord { node_type: long(), ..memory(1, "x") }, "node_type").await;
    refused(bed, MemoryRecord { tags: vec![long()], ..memory(1, "x") }, "tags").await;
    refused(bed, MemoryRecord { codebase: Some(long()), ..memory(1, "x") }, "codebase").await;
    let longest = || "é".repeat(limits::MAX_NAME_BYTES / 2);
    let record = MemoryRecord {
        node_type: longest(),
        tags: vec![longest()],
        codebase: Some(longest()),
        domains: vec![longest()],
        domain_scores: [(longest(), 1.0)].into(),
        ..memory(3, "x")
    };
    bed.store.insert(&record).await.unwrap();
    assert_eq!(bed.store.get(id(3)).await.unwrap(), Some(record));
}

pub async fn lists_have_a_longest_length(bed: &TestBed<impl StoreFactory>) {
    let many = |n: usize| (0..n).map(|n| format!("name {n}")).collect::<Vec<_>>();
    let over = limits::MAX_LIST_ITEMS + 1;
    refused(bed, MemoryRecord { tags: many(over), ..memory(1, "x") }, "tags").await;
    refused(bed, MemoryRecord { domains: many(over), ..memory(1, "x") }, "domains").await;
    let scores = many(over).into_iter().map(|name| (name, 0.5)).collect();
    refused(bed, MemoryRecord { domain_scores: scores, ..memory(1, "x") }, "domain_scores").await;
    let groups = (0..over as u128).map(id).collect();
    refused(bed, MemoryRecord { shared_with_groups: groups, ..memory(1, "x") }, "shared_with_groups").await;
    let full = MemoryRecord {
        tags: many(limits::MAX_LIST_ITEMS),
        domains: many(limits::MAX_LIST_ITEMS),
        domain_scores: many(limits::MAX_LIST_ITEMS).into_iter().map(|name| (name, 0.5)).collect(),
        shared_with_groups: (0..limits::MAX_LIST_ITEMS as u128).map(id).collect(),
        ..memory(3, "x")
    };
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
        refused(bed, MemoryRecord { metadata, ..memory(1, "x") }, "metadata").await;
    }
}

pub async fn metadata_has_a_greatest_depth(bed: &TestBed<impl StoreFactory>) {
    let depth = limits::MAX_METADATA_DEPTH;
    for levels in [depth, depth + 1, 500] {
        refused(bed, MemoryRecord { metadata: nested(levels), ..memory(1, "x") }, "metadata").await;
    }
    let deepest = MemoryRecord { metadata: nested(depth - 1), ..memory(3, "x") };
    bed.store.insert(&deepest).await.unwrap();
    assert_eq!(bed.store.get(id(3)).await.unwrap(), Some(deepest));
}

pub async fn metadata_has_a_greatest_size(bed: &TestBed<impl StoreFactory>) {
    let sized = |bytes: usize| MemoryRecord {
        metadata: json!({ "x": "y".repeat(bytes - r#"{"x":""}"#.len()) }),
        ..memory(3, "x")
    };
    refused(bed, sized(limits::MAX_METADATA_BYTES + 1), "metadata").await;
    let largest = sized(limits::MAX_METADATA_BYTES);
    bed.store.insert(&largest).await.unwrap();
    assert_eq!(bed.store.get(id(3)).await.unwrap(), Some(largest));
}

pub async fn a_score_that_is_not_finite_is_refused(bed: &TestBed<impl StoreFactory>) {
    for score in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let domain_scores = [("d".to_owned(), score)].into();
        refused(bed, MemoryRecord { domain_scores, ..memory(1, "x") }, "domain_scores").await;
    }
}

pub async fn times_beyond_the_calendar_are_refused(bed: &TestBed<impl StoreFactory>) {
    for time in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
        refused(bed, MemoryRecord { created_at: time, ..memory(1, "x") }, "created_at").await;
        refused(bed, MemoryRecord { updated_at: time, ..memory(1, "x") }, "updated_at").await;
    }
}
