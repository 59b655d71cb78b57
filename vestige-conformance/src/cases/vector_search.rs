use vestige_traits::backend::cosine_similarity;
use vestige_traits::backend::{result_order, round_score};
use vestige_traits::{MemoryRecord, MemoryStore, SearchQuery};

use crate::fixtures::*;
use crate::{StoreFactory, TestBed};

async fn fill(bed: &TestBed<impl StoreFactory>, vectors: &[[f32; 4]]) -> Vec<MemoryRecord> {
    bed.store.register_model(&model()).await.unwrap();
    let records: Vec<_> =
        (1..).zip(vectors).map(|(n, vector)| embedded(n, format!("vector {n}"), vector)).collect();
    bed.store.insert_batch(&records).await.unwrap();
    records
}

pub async fn the_nearest_by_cosine_come_first(bed: &TestBed<impl StoreFactory>) {
    let records =
        fill(bed, &[[0.0, 1.0, 0.0, 0.0], [9.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0]])
            .await;
    let question = [1.0, 0.0, 0.0, 0.0];
    let results = bed.store.search(&SearchQuery::embedding(question.to_vec())).await.unwrap();
    assert_eq!(found(&results), ids([2, 3, 1, 4]), "a negative similarity is found too, last");
    for (rank, result) in (1..).zip(&results) {
        let record = records.iter().find(|record| record.id == result.record.id).unwrap();
        let similarity = cosine_similarity(&question, record.embedding.as_ref().unwrap());
        assert_close(result.score, round_score(similarity));
        assert_eq!(result.vector_score, Some(result.score));
        assert_eq!((result.vector_rank, result.fts_score, result.fts_rank), (Some(rank), None, None));
    }
    assert_close(results[3].score, -1.0);
}

pub async fn the_length_of_a_vector_does_not_matter(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &[[1000.0, 1000.0, 0.0, 0.0], [0.001, 0.001, 0.0, 0.0], [1.0, 0.9, 0.0, 0.0]]).await;
    let results = bed.store.search(&SearchQuery::embedding(vec![0.5, 0.5, 0.0, 0.0])).await.unwrap();
    assert_eq!(found(&results), ids([2, 1, 3]));
    assert_close(results[1].score, 1.0);
}

pub async fn of_equal_similarities_the_newest_comes_first(bed: &TestBed<impl StoreFactory>) {
    let vectors: Vec<[f32; 4]> = (1..=60).map(|n| [n as f32, n as f32 * 2.0, 0.0, 0.0]).collect();
    fill(bed, &vectors).await;
    let query = SearchQuery::embedding(vec![1.0, 2.0, 0.0, 0.0]).limit(30);
    assert_eq!(found(&bed.store.search(&query).await.unwrap()), ids((31..=60).rev()));
}

pub async fn memories_without_a_vector_are_not_found_by_one(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &[[1.0, 0.0, 0.0, 0.0]]).await;
    bed.store.insert_batch(&memories(2, 20)).await.unwrap();
    let results = bed.store.search(&SearchQuery::embedding(vec![1.0, 1.0, 0.0, 0.0])).await.unwrap();
    assert_eq!(found(&results), ids([1]));
}

pub async fn a_query_without_text_and_vector_finds_nothing(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &[[1.0, 0.0, 0.0, 0.0]]).await;
    let query = SearchQuery::default();
    assert!(bed.store.search(&query).await.unwrap().is_empty());
    assert!(bed.store.search(&in_keyword_mode(&query)).await.unwrap().is_empty());
    assert!(bed.store.search(&in_vector_mode(&query)).await.unwrap().is_empty());
}

pub async fn an_impossible_vector_is_invalid(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &[[1.0, 0.0, 0.0, 0.0]]).await;
    let impossible = [
        vec![0.0; 4],
        vec![f32::NAN, 0.0, 0.0, 1.0],
        vec![f32::INFINITY, 0.0, 0.0, 1.0],
        vec![f32::MAX; 4],
        vec![1e-30; 4],
        vec![],
    ];
    for vector in impossible {
        let query = SearchQuery::embedding(vector.clone());
        assert_invalid(bed.store.search(&query).await, "embedding");
        assert_invalid(bed.store.search(&in_vector_mode(&query)).await, "embedding");
        assert_invalid(bed.store.classify(&vector).await, "embedding");
        assert_invalid(bed.store.insert(&embedded(2, "impossible", &vector)).await, "embedding");
        assert_invalid(bed.store.update(&embedded(1, "impossible", &vector)).await, "embedding");
    }
    assert_eq!(bed.store.count().await.unwrap(), 1);
}

pub async fn vectors_come_back_bit_by_bit(bed: &TestBed<impl StoreFactory>) {
    let vectors = [
        [0.1, -0.2, 1e-7, 3.5],
        [1e-38, 1.0, -1.000_000_1, 0.333_333_34],
        [9e5, -4e-6, 0.0, 16_777_217.0 / 64.0],
    ];
    let records = fill(bed, &vectors).await;
    for record in records {
        let back = bed.store.get(record.id).await.unwrap().unwrap().embedding.unwrap();
        let bits = |vector: &[f32]| vector.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back), bits(record.embedding.as_ref().unwrap()));
    }
}

pub async fn the_exact_nearest_are_found_among_many(bed: &TestBed<impl StoreFactory>) {
    let vectors: Vec<[f32; 4]> = (0..2000_i32)
        .map(|n| [n % 7 - 3, n % 11 - 5, n % 13 - 6, n % 17 - 8].map(|x| x as f32 + 0.5))
        .collect();
    let records = fill(bed, &vectors).await;
    for question in [[1.0, 2.0, 3.0, 4.0], [-3.0, 0.5, 0.0, 1.0], [0.0, 0.0, 0.0, -1.0]] {
        let mut expected: Vec<_> = records
            .iter()
            .map(|r| {
                let similarity = cosine_similarity(&question, r.embedding.as_ref().unwrap());
                (round_score(similarity), r.created_at, r.id)
            })
            .collect();
        expected.sort_by(|a, b| result_order(*a, *b));
        let query = SearchQuery::embedding(question.to_vec()).limit(20);
        let results = found(&bed.store.search(&query).await.unwrap());
        let same = expected[..20].iter().filter(|(.., id)| results.contains(id)).count();
        assert!(same >= 19, "{same} of the 20 nearest were found");
    }
}
