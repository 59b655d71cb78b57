use vestige_traits::{MemoryStore, ModelSignature, SearchQuery};

use crate::fixtures::*;
use crate::{StoreFactory, TestBed};

pub async fn a_new_store_has_no_model(bed: &TestBed<impl StoreFactory>) {
    assert_eq!(bed.store.registered_model().await.unwrap(), None);
}

pub async fn a_registered_model_is_remembered(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    assert_eq!(bed.store.registered_model().await.unwrap(), Some(model()));
    assert_eq!(bed.another_handle().await.registered_model().await.unwrap(), Some(model()));
}

pub async fn registering_the_same_model_again_changes_nothing(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    bed.store.insert(&embedded(1, "kept", &[1.0, 2.0, 3.0, 4.0])).await.unwrap();
    bed.store.register_model(&model()).await.unwrap();
    bed.another_handle().await.register_model(&model()).await.unwrap();
    let kept = bed.store.get(id(1)).await.unwrap().unwrap();
    assert_eq!(kept.embedding, Some(vec![1.0, 2.0, 3.0, 4.0]));
}

pub async fn a_model_that_differs_in_any_field_is_refused(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.register_model(&model()).await.unwrap();
    let renamed = ModelSignature { name: "test/other".to_owned(), ..model() };
    let resized = ModelSignature { dimension: 5, ..model() };
    for other in [renamed, resized, model_of_same_dimension()] {
        assert_mismatch(store.register_model(&other).await, &model());
    }
    assert_eq!(store.registered_model().await.unwrap(), Some(model()));
    store.insert(&embedded(1, "still welcome", &[1.0, 0.0, 0.0, 0.0])).await.unwrap();
}

pub async fn an_invalid_model_is_refused(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    let with = |name: &str, dimension, hash: &str| ModelSignature {
        name: name.to_owned(),
        dimension,
        hash: hash.to_owned(),
    };
    let hash = model().hash;
    assert_invalid(store.register_model(&with(" ", 4, &hash)).await, "model.name");
    assert_invalid(store.register_model(&with("nul\0", 4, &hash)).await, "model.name");
    assert_invalid(store.register_model(&with("m", 0, &hash)).await, "model.dimension");
    assert_invalid(store.register_model(&with("m", 2001, &hash)).await, "model.dimension");
    assert_invalid(store.register_model(&with("m", 4, &hash[1..])).await, "model.hash");
    assert_invalid(store.register_model(&with("m", 4, &hash.to_uppercase())).await, "model.hash");
    assert_eq!(store.registered_model().await.unwrap(), None);
}

pub async fn models_of_one_and_of_two_thousand_dimensions_work(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    let long = ModelSignature { dimension: 2000, ..model() };
    store.register_model(&long).await.unwrap();
    let vector: Vec<f32> = (0..2000).map(|n| (n % 7) as f32 - 3.0).collect();
    store.insert(&embedded(1, "long", &vector)).await.unwrap();
    assert_eq!(store.get(id(1)).await.unwrap().unwrap().embedding.as_ref(), Some(&vector));
    let results = store.search(&SearchQuery::embedding(vector)).await.unwrap();
    assert_eq!(results.len(), 1);
    assert_close(results[0].score, 1.0);

    store
        .begin_reembedding(&ModelSignature { name: "test/one".to_owned(), dimension: 1, ..model() })
        .await
        .unwrap();
    reembed_all(store, 10, |_| Some(vec![-2.0])).await.unwrap();
    store.finish_reembedding().await.unwrap();
    let results = store.search(&SearchQuery::embedding(vec![1.0])).await.unwrap();
    assert_close(results[0].score, -1.0);
}

pub async fn a_vector_without_a_registered_model_is_refused(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    let record = embedded(1, "too early", &[1.0, 0.0, 0.0, 0.0]);
    assert_not_registered(store.insert(&record).await);
    assert_not_registered(store.insert_batch(&[memory(2, "fine"), record.clone()]).await);
    assert_eq!(store.count().await.unwrap(), 0);
    store.insert(&memory(1, "words alone")).await.unwrap();
    assert_not_registered(store.update(&record).await);
    assert_eq!(store.get(id(1)).await.unwrap(), Some(memory(1, "words alone")));
    let mut centred = domain("centred");
    centred.centroid = record.embedding.clone();
    assert_not_registered(store.upsert_domain(&centred).await);
}

pub async fn a_vector_of_another_length_is_a_model_mismatch(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.register_model(&model()).await.unwrap();
    store.insert(&memory(1, "words alone")).await.unwrap();
    for wrong in [&[1.0, 0.0, 0.0][..], &[1.0, 0.0, 0.0, 0.0, 0.0]] {
        assert_mismatch(store.insert(&embedded(2, "wrong", wrong)).await, &model());
        assert_mismatch(store.insert_batch(&[embedded(2, "wrong", wrong)]).await, &model());
        assert_mismatch(store.update(&embedded(1, "wrong", wrong)).await, &model());
        assert_mismatch(store.search(&SearchQuery::embedding(wrong.to_vec())).await, &model());
        assert_mismatch(store.search(&SearchQuery::embedding(wrong.to_vec())).await, &model());
        assert_mismatch(store.search(&SearchQuery::hybrid("words", wrong.to_vec())).await, &model());
        assert_mismatch(store.classify(wrong).await, &model());
        let mut centred = domain("centred");
        centred.centroid = Some(wrong.to_vec());
        assert_mismatch(store.upsert_domain(&centred).await, &model());
    }
    assert_eq!(store.count().await.unwrap(), 1);
    assert_eq!(store.get(id(1)).await.unwrap(), Some(memory(1, "words alone")));
}

pub async fn a_vector_finds_nothing_in_a_store_without_a_model(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.insert(&memory(1, "a lamp")).await.unwrap();
    assert!(store.search(&SearchQuery::embedding(vec![1.0; 7])).await.unwrap().is_empty());
    assert!(store.search(&SearchQuery::embedding(vec![1.0; 7])).await.unwrap().is_empty());
    let results = store.search(&SearchQuery::hybrid("lamp", vec![1.0; 7])).await.unwrap();
    assert_eq!(found(&results), ids([1]), "the words find it all the same");
    assert_eq!(results[0].vector_score, None);
    assert!(store.classify(&[1.0; 7]).await.unwrap().is_empty());
}
