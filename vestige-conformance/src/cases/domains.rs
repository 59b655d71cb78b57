use chrono::TimeDelta;
use serde_json::json;
use vestige_traits::{Domain, MemoryStore, limits};

use crate::fixtures::*;
use crate::{StoreFactory, TestBed};

fn centred(name: &str, centroid: [f32; 4]) -> Domain {
    Domain { centroid: Some(centroid.to_vec()), ..domain(name) }
}

pub async fn a_domain_comes_back_as_it_was_set(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    let rich = Domain {
        top_terms: vec!["zinc".to_owned(), "anode".to_owned(), "zinc".to_owned()],
        memory_count: i64::MAX as u64,
        metadata: json!({"algorithm": {"name": "hdbscan", "eps": 0.30000000000000004}}),
        ..centred("corrosion", [0.1, -0.2, 0.3, 1e-6])
    };
    bed.store.upsert_domain(&rich).await.unwrap();
    assert_eq!(bed.store.get_domain("corrosion").await.unwrap(), Some(rich));
    assert_eq!(bed.store.get_domain("Corrosion").await.unwrap(), None);
}

pub async fn upsert_replaces_every_field_of_a_domain(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    bed.store.upsert_domain(&centred("builds", [1.0, 0.0, 0.0, 0.0])).await.unwrap();
    let mut replaced = domain("builds");
    replaced.label = "Continuous integration".to_owned();
    replaced.memory_count = 5;
    replaced.created_at = now() + TimeDelta::microseconds(7);
    bed.store.upsert_domain(&replaced).await.unwrap();
    assert_eq!(bed.store.list_domains().await.unwrap(), [replaced]);
}

pub async fn domains_are_listed_by_id_in_byte_order(bed: &TestBed<impl StoreFactory>) {
    for name in ["zebra", "Zebra", "éclair", "a b", "a", "a-b", "ab", "😀"] {
        bed.store.upsert_domain(&domain(name)).await.unwrap();
    }
    let listed: Vec<_> =
        bed.store.list_domains().await.unwrap().into_iter().map(|domain| domain.id).collect();
    assert_eq!(listed, ["Zebra", "a", "a b", "a-b", "ab", "zebra", "éclair", "😀"]);
}

pub async fn get_of_a_missing_domain_is_none(bed: &TestBed<impl StoreFactory>) {
    assert_eq!(bed.store.get_domain("nowhere").await.unwrap(), None);
    assert_invalid(bed.store.get_domain("nul\0").await, "domain.id");
}

pub async fn delete_of_a_missing_domain_is_not_found(bed: &TestBed<impl StoreFactory>) {
    assert_not_found(bed.store.delete_domain("nowhere").await, "nowhere");
    bed.store.upsert_domain(&domain("here")).await.unwrap();
    bed.store.delete_domain("here").await.unwrap();
    assert_not_found(bed.store.delete_domain("here").await, "here");
}

pub async fn memories_keep_their_scores_for_a_deleted_domain(bed: &TestBed<impl StoreFactory>) {
    let record = memory(1, "x").domains(["builds"]).domain_scores([("builds".to_owned(), 0.9)].into());
    bed.store.upsert_domain(&domain("builds")).await.unwrap();
    bed.store.insert(&record).await.unwrap();
    bed.store.delete_domain("builds").await.unwrap();
    assert_eq!(bed.store.get(id(1)).await.unwrap(), Some(record));
}

pub async fn an_invalid_domain_is_refused(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    let refused = async |domain: Domain, field: &str| {
        assert_invalid(bed.store.upsert_domain(&domain).await, field);
    };
    refused(domain(" "), "domain.id").await;
    refused(domain("nul\0"), "domain.id").await;
    refused(Domain { label: String::new(), ..domain("d") }, "domain.label").await;
    refused(Domain { top_terms: vec!["x".to_owned(); 1001], ..domain("d") }, "domain.top_terms").await;
    refused(Domain { metadata: json!([]), ..domain("d") }, "domain.metadata").await;
    refused(Domain { memory_count: u64::MAX, ..domain("d") }, "domain.memory_count").await;
    refused(centred("d", [0.0; 4]), "domain.centroid").await;
    refused(Domain { id: "x".repeat(limits::MAX_NAME_BYTES + 1), ..domain("d") }, "domain.id").await;
    assert!(bed.store.list_domains().await.unwrap().is_empty());
}

pub async fn classify_scores_every_domain_with_a_centroid(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    for domain in [
        centred("far", [-1.0, 0.0, 0.0, 0.0]),
        centred("b-near", [5.0, 0.0, 0.0, 0.0]),
        centred("a-near", [1.0, 0.0, 0.0, 0.0]),
        centred("aside", [1.0, 1.0, 0.0, 0.0]),
        domain("nowhere"),
    ] {
        bed.store.upsert_domain(&domain).await.unwrap();
    }
    let scores = bed.store.classify(&[2.0, 0.0, 0.0, 0.0]).await.unwrap();
    let order: Vec<_> = scores.iter().map(|score| score.domain.as_str()).collect();
    assert_eq!(order, ["a-near", "b-near", "aside", "far"], "best first, equal scores by id");
    for (score, expected) in scores.iter().zip([1.0, 1.0, 0.5_f64.sqrt(), -1.0]) {
        assert_close(score.score, expected);
    }
}

pub async fn classify_without_domains_is_empty(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    assert!(bed.store.classify(&[1.0, 0.0, 0.0, 0.0]).await.unwrap().is_empty());
}
