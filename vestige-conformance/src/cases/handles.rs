use vestige_traits::transfer::TransferRow;
use vestige_traits::{Domain, MemoryStore, SearchQuery};

use crate::fixtures::*;
use crate::{StoreFactory, TestBed};

const EAST: [f32; 4] = [1.0, 0.0, 0.0, 0.0];

/// Switches the store to another model of the same dimension through another handle.
async fn switch(bed: &TestBed<impl StoreFactory>) {
    let other = bed.another_handle().await;
    other.begin_reembedding(&model_of_same_dimension()).await.unwrap();
    reembed_all(&other, 100, |_| Some(vec![0.0, 1.0, 0.0, 0.0])).await.unwrap();
    other.finish_reembedding().await.unwrap();
}

pub async fn what_one_handle_wrote_another_reads_and_finds(bed: &TestBed<impl StoreFactory>) {
    let other = bed.another_handle().await;
    bed.store.register_model(&model()).await.unwrap();
    for n in 1..=5 {
        let record = embedded(n, format!("lamp {n}"), &[1.0, n as f32, 0.0, 0.0]);
        bed.store.insert(&record).await.unwrap();
        assert_eq!(other.get(id(n)).await.unwrap(), Some(record.clone()));
        let query = SearchQuery::hybrid(format!("{n}"), record.embedding.clone().unwrap());
        assert_eq!(other.search(&query).await.unwrap()[0].record, record);
        assert_eq!(other.search(&in_vector_mode(&query)).await.unwrap()[0].record, record);
    }
    other.delete(id(3)).await.unwrap();
    let all = bed.store.search(&SearchQuery::embedding(EAST.to_vec())).await.unwrap();
    assert_eq!(found(&all), ids([1, 2, 4, 5]));
}

pub async fn a_handle_sees_vectors_that_another_changed(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    bed.store.insert(&embedded(1, "one", &EAST)).await.unwrap();
    bed.store.insert(&embedded(2, "two", &[0.0, 1.0, 0.0, 0.0])).await.unwrap();
    let query = SearchQuery::embedding(EAST.to_vec());
    assert_eq!(found(&bed.store.search(&query).await.unwrap()), ids([1, 2]));
    let other = bed.another_handle().await;
    other.update(&embedded(1, "one", &[-1.0, 0.0, 0.0, 0.0])).await.unwrap();
    assert_eq!(found(&bed.store.search(&query).await.unwrap()), ids([2, 1]));
    other.update(&memory(2, "two")).await.unwrap();
    assert_eq!(found(&bed.store.search(&query).await.unwrap()), ids([1]));
}

pub async fn a_handle_that_names_no_model_takes_vectors_of_the_right_length(
    bed: &TestBed<impl StoreFactory>,
) {
    bed.store.register_model(&model()).await.unwrap();
    let other = bed.another_handle().await;
    other.insert(&embedded(1, "one", &EAST)).await.unwrap();
    assert_eq!(other.search(&SearchQuery::embedding(EAST.to_vec())).await.unwrap().len(), 1);
    assert_mismatch(other.insert(&embedded(2, "two", &[1.0])).await, &model());
}

pub async fn a_handle_of_the_old_model_is_refused_after_the_switch(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.register_model(&model()).await.unwrap();
    store.insert(&embedded(1, "a lamp", &EAST)).await.unwrap();
    switch(bed).await;

    let new = model_of_same_dimension();
    assert_eq!(store.registered_model().await.unwrap(), Some(new.clone()));
    let record = embedded(2, "late", &EAST);
    assert_mismatch(store.insert(&record).await, &new);
    assert_mismatch(store.insert_batch(&[memory(3, "words"), record.clone()]).await, &new);
    assert_mismatch(store.update(&embedded(1, "late", &EAST)).await, &new);
    assert_mismatch(store.search(&SearchQuery::embedding(EAST.to_vec())).await, &new);
    assert_mismatch(store.search(&SearchQuery::hybrid("lamp", EAST.to_vec())).await, &new);
    assert_mismatch(store.search(&SearchQuery::embedding(EAST.to_vec())).await, &new);
    assert_mismatch(store.classify(&EAST).await, &new);
    assert_mismatch(store.import_page(&[TransferRow::Memory(record)], None).await, &new);
    let centred = Domain { centroid: Some(EAST.to_vec()), ..domain("d") };
    assert_mismatch(store.upsert_domain(&centred).await, &new);
    assert_eq!(store.count().await.unwrap(), 1);
}

pub async fn a_handle_of_the_old_model_may_still_use_words(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.register_model(&model()).await.unwrap();
    store.insert(&embedded(1, "a lamp", &EAST)).await.unwrap();
    switch(bed).await;
    assert_eq!(found(&store.search(&SearchQuery::text("lamp")).await.unwrap()), ids([1]));
    let hybrid = SearchQuery::hybrid("lamp", EAST.to_vec());
    assert_eq!(found(&store.search(&in_keyword_mode(&hybrid)).await.unwrap()), ids([1]));
    store.insert(&memory(2, "a chair")).await.unwrap();
    store.update(&memory(2, "a table")).await.unwrap();
    assert_eq!(store.get(id(1)).await.unwrap().unwrap().embedding, Some(vec![0.0, 1.0, 0.0, 0.0]));
}

pub async fn a_handle_may_turn_to_the_new_model(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.register_model(&model()).await.unwrap();
    store.insert(&embedded(1, "a lamp", &EAST)).await.unwrap();
    switch(bed).await;
    let new = model_of_same_dimension();
    assert_mismatch(store.register_model(&model()).await, &new);
    assert_mismatch(store.search(&SearchQuery::embedding(EAST.to_vec())).await, &new);
    store.register_model(&new).await.unwrap();
    let results = store.search(&SearchQuery::embedding(vec![0.0, 2.0, 0.0, 0.0])).await.unwrap();
    assert_close(results[0].score, 1.0);
    store.insert(&embedded(2, "two", &EAST)).await.unwrap();
}

pub async fn a_refused_registration_leaves_the_handle_with_its_model(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.register_model(&model()).await.unwrap();
    assert_mismatch(store.register_model(&model_of_same_dimension()).await, &model());
    store.insert(&embedded(1, "one", &EAST)).await.unwrap();
    assert_eq!(store.search(&SearchQuery::embedding(EAST.to_vec())).await.unwrap().len(), 1);
}
