use chrono::TimeDelta;
use vestige_traits::reembed::{ReembeddedMemory, ReembeddingStatus};
use vestige_traits::transfer::TransferRow;
use vestige_traits::{Domain, MemoryStore, ModelSignature, SearchQuery};

use super::concurrency::abandoned;
use super::records::rich;
use crate::fixtures::*;
use crate::{StoreFactory, TestBed};

const EAST: [f32; 4] = [1.0, 0.0, 0.0, 0.0];

/// Five memories under the first model, the last one without a vector.
async fn fill(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    let records: Vec<_> =
        (1..=4).map(|n| embedded(n, format!("lamp {n}"), &[1.0, n as f32, 0.0, 0.0])).collect();
    bed.store.insert_batch(&records).await.unwrap();
    bed.store.insert(&memory(5, "lamp 5")).await.unwrap();
}

fn new_vector(content: &str) -> Option<Vec<f32>> {
    let number = content.bytes().last().map_or(1.0, f32::from);
    Some(vec![number, 1.0, 0.0])
}

fn status(done: u64, pending: u64) -> ReembeddingStatus {
    ReembeddingStatus { model: smaller_model(), done, pending }
}

/// Another model of the new one's dimension, so that no length tells the vectors apart.
fn rival() -> ModelSignature {
    ModelSignature { hash: "d4".repeat(32), ..smaller_model() }
}

fn vector(n: u128, embedding: Option<Vec<f32>>) -> ReembeddedMemory {
    ReembeddedMemory { id: id(n), updated_at: memory(n, "x").updated_at, embedding }
}

async fn pending(bed: &TestBed<impl StoreFactory>) -> Vec<uuid::Uuid> {
    let pending = bed.store.reembedding_pending(None, 1000).await.unwrap();
    pending.into_iter().map(|memory| memory.id).collect()
}

pub async fn nothing_is_under_way_at_first(bed: &TestBed<impl StoreFactory>) {
    assert_eq!(bed.store.reembedding_status().await.unwrap(), None);
    assert_conflict(bed.store.reembedding_pending(None, 10).await);
    assert_conflict(bed.store.write_reembedded(&[]).await);
    assert_conflict(bed.store.finish_reembedding().await);
    bed.store.abort_reembedding().await.unwrap();
}

pub async fn a_store_moves_to_another_model(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let store = &bed.store;
    let before = store.get(id(2)).await.unwrap().unwrap();
    assert_eq!(store.begin_reembedding(&smaller_model()).await.unwrap(), status(0, 5));
    assert_eq!(reembed_all(store, 2, new_vector).await.unwrap(), 5);
    assert_eq!(store.reembedding_status().await.unwrap(), Some(status(5, 0)));
    bed.clock.advance(TimeDelta::days(1));
    store.finish_reembedding().await.unwrap();

    assert_eq!(store.registered_model().await.unwrap(), Some(smaller_model()));
    assert_eq!(store.reembedding_status().await.unwrap(), None);
    let after = store.get(id(2)).await.unwrap().unwrap();
    assert_eq!(after.embedding, new_vector("2"));
    assert_eq!(after.embedding(None), before.embedding(None));
    let results = store.search(&SearchQuery::embedding(vec![f32::from(b'3'), 1.0, 0.0])).await.unwrap();
    assert_eq!(results.len(), 5, "the one that had no vector has one now");
    assert_eq!(results[0].record.id, id(3));
    assert_eq!(store.get_stats().await.unwrap().embedded, 5);
}

pub async fn the_handle_that_finished_speaks_for_the_new_model(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let store = &bed.store;
    store.begin_reembedding(&smaller_model()).await.unwrap();
    reembed_all(store, 100, new_vector).await.unwrap();
    store.finish_reembedding().await.unwrap();
    store.insert(&embedded(6, "new", &[1.0, 2.0, 3.0])).await.unwrap();
    assert_mismatch(store.insert(&embedded(7, "old", &EAST)).await, &smaller_model());
    assert_mismatch(store.search(&SearchQuery::embedding(EAST.to_vec())).await, &smaller_model());
    store.register_model(&smaller_model()).await.unwrap();
    assert_mismatch(store.register_model(&model()).await, &smaller_model());
}

pub async fn searches_and_writes_use_the_old_model_until_the_switch(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let store = &bed.store;
    let query = SearchQuery::hybrid("lamp 2", EAST.to_vec());
    let before = store.search(&query).await.unwrap();
    store.begin_reembedding(&smaller_model()).await.unwrap();
    reembed_all(store, 100, new_vector).await.unwrap();
    assert_eq!(store.search(&query).await.unwrap(), before);
    assert_eq!(store.registered_model().await.unwrap(), Some(model()));
    assert_mismatch(store.insert(&embedded(6, "early", &[1.0, 2.0, 3.0])).await, &model());
    store.insert(&embedded(6, "still the old model", &EAST)).await.unwrap();
    assert_eq!(store.get(id(6)).await.unwrap().unwrap().embedding, Some(EAST.to_vec()));
    assert_eq!(store.get(id(1)).await.unwrap().unwrap().embedding, Some(vec![1.0, 1.0, 0.0, 0.0]));
}

pub async fn pending_memories_come_in_pages_by_id(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let store = &bed.store;
    store.begin_reembedding(&smaller_model()).await.unwrap();
    let page = store.reembedding_pending(None, 2).await.unwrap();
    assert_eq!(page.iter().map(|memory| memory.id).collect::<Vec<_>>(), ids([1, 2]));
    assert_eq!((page[1].content.as_str(), page[1].updated_at), ("lamp 2", memory(2, "x").updated_at));
    let page = store.reembedding_pending(Some(id(2)), 2).await.unwrap();
    assert_eq!(page.iter().map(|memory| memory.id).collect::<Vec<_>>(), ids([3, 4]));
    assert!(store.reembedding_pending(Some(id(5)), 2).await.unwrap().is_empty());
    for limit in [0, 10_001] {
        assert_invalid(store.reembedding_pending(None, limit).await, "limit");
    }
}

pub async fn written_vectors_are_no_longer_pending(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let store = &bed.store;
    store.begin_reembedding(&smaller_model()).await.unwrap();
    let vectors = [vector(2, new_vector("2")), vector(4, None)];
    assert_eq!(store.write_reembedded(&vectors).await.unwrap(), 2);
    assert_eq!(pending(bed).await, ids([1, 3, 5]));
    assert_eq!(store.reembedding_status().await.unwrap(), Some(status(2, 3)));
    assert_eq!(store.write_reembedded(&[]).await.unwrap(), 0);
}

pub async fn a_memory_without_a_new_vector_has_none_after_the_switch(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let store = &bed.store;
    store.begin_reembedding(&smaller_model()).await.unwrap();
    let embed = |content: &str| if content == "lamp 2" { None } else { new_vector(content) };
    reembed_all(store, 100, embed).await.unwrap();
    store.finish_reembedding().await.unwrap();
    assert_eq!(store.get(id(2)).await.unwrap().unwrap().embedding, None);
    let results = store.search(&SearchQuery::embedding(vec![1.0, 1.0, 0.0])).await.unwrap();
    assert_eq!(results.len(), 4);
}

pub async fn finishing_early_is_a_conflict(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let store = &bed.store;
    store.begin_reembedding(&smaller_model()).await.unwrap();
    let vectors: Vec<_> = (1..=4).map(|n| vector(n, new_vector("1"))).collect();
    store.write_reembedded(&vectors).await.unwrap();
    assert_conflict(store.finish_reembedding().await);
    assert_eq!(store.registered_model().await.unwrap(), Some(model()));
    assert_eq!(store.reembedding_status().await.unwrap(), Some(status(4, 1)), "it goes on");
    store.insert(&embedded(6, "the handle still is bound to the old model", &EAST)).await.unwrap();
}

pub async fn new_and_changed_memories_become_pending(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let store = &bed.store;
    store.begin_reembedding(&smaller_model()).await.unwrap();
    reembed_all(store, 100, new_vector).await.unwrap();
    store.insert(&memory(6, "lamp 6")).await.unwrap();
    store.insert_batch(&[embedded(7, "lamp 7", &EAST)]).await.unwrap();
    store.import_page(&[TransferRow::Memory(memory(8, "lamp 8"))], None).await.unwrap();
    bed.clock.advance(TimeDelta::days(1));
    let updated_at = store.update(&embedded(2, "chair 9", &EAST)).await.unwrap();
    store.delete(id(3)).await.unwrap();
    assert_eq!(pending(bed).await, ids([2, 6, 7, 8]));
    assert_eq!(store.reembedding_status().await.unwrap(), Some(status(3, 4)));
    let changed = &store.reembedding_pending(None, 1).await.unwrap()[0];
    assert_eq!((changed.content.as_str(), changed.updated_at), ("chair 9", updated_at));

    reembed_all(store, 3, new_vector).await.unwrap();
    store.finish_reembedding().await.unwrap();
    assert_eq!(store.get(id(2)).await.unwrap().unwrap().embedding, new_vector("9"));
    assert_eq!(store.get_stats().await.unwrap().embedded, 7);
}

pub async fn vectors_of_a_changed_or_deleted_text_are_passed_over(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let store = &bed.store;
    store.begin_reembedding(&smaller_model()).await.unwrap();
    let page = store.reembedding_pending(None, 100).await.unwrap();
    store.update(&memory(2, "lamp 9")).await.unwrap();
    store.delete(id(3)).await.unwrap();
    let vectors: Vec<_> = page
        .iter()
        .map(|memory| ReembeddedMemory {
            id: memory.id,
            updated_at: memory.updated_at,
            embedding: new_vector(&memory.content),
        })
        .collect();
    assert_eq!(store.write_reembedded(&vectors).await.unwrap(), 3);
    assert_eq!(pending(bed).await, ids([2]));
}

pub async fn scheduling_edges_and_reviews_make_nothing_pending(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let store = &bed.store;
    store.begin_reembedding(&smaller_model()).await.unwrap();
    reembed_all(store, 100, new_vector).await.unwrap();
    store.add_edge(&edge(1, 2, 1.0)).await.unwrap();
    store.record_review(&review(1, 1, None, reviewed(now(), 1.0))).await.unwrap();
    store.import_page(&[TransferRow::Memory(memory(5, "lamp 5"))], None).await.unwrap();
    assert!(pending(bed).await.is_empty());
}

pub async fn beginning_again_goes_on_where_it_was(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    bed.store.begin_reembedding(&smaller_model()).await.unwrap();
    bed.store.write_reembedded(&[vector(1, new_vector("1"))]).await.unwrap();
    let other = bed.another_handle().await;
    assert_eq!(other.begin_reembedding(&smaller_model()).await.unwrap(), status(1, 4));
    assert_eq!(other.reembedding_pending(None, 10).await.unwrap().len(), 4);
}

pub async fn a_third_model_is_a_conflict(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    bed.store.begin_reembedding(&smaller_model()).await.unwrap();
    assert_conflict(bed.store.begin_reembedding(&model_of_same_dimension()).await);
    assert_eq!(bed.store.reembedding_status().await.unwrap(), Some(status(0, 5)));
}

pub async fn a_handle_takes_part_in_the_one_that_it_has_begun(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let store = &bed.store;
    store.begin_reembedding(&smaller_model()).await.unwrap();
    store.write_reembedded(&[vector(1, new_vector("1"))]).await.unwrap();
    let rival = rival();
    let other = bed.another_handle().await;
    other.abort_reembedding().await.unwrap();
    other.begin_reembedding(&rival).await.unwrap();
    assert_conflict(store.write_reembedded(&[vector(2, new_vector("2"))]).await);
    assert_eq!(other.reembedding_status().await.unwrap().unwrap().done, 0);
    reembed_all(&other, 100, new_vector).await.unwrap();
    assert_conflict(store.finish_reembedding().await);
    assert_eq!(store.registered_model().await.unwrap(), Some(model()));
    store.begin_reembedding(&rival).await.unwrap();
    store.write_reembedded(&[vector(2, new_vector("2"))]).await.unwrap();
    store.finish_reembedding().await.unwrap();
    assert_eq!(other.registered_model().await.unwrap(), Some(rival));
}

pub async fn a_dropped_begin_binds_its_handle(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let rival = rival();
    for polls in [1, 2, 3, 5, 8] {
        let handle = bed.another_handle().await;
        abandoned(handle.begin_reembedding(&smaller_model()), polls, async {}).await;
        // It may have been begun, or be so in a moment.
        while bed.store.begin_reembedding(&rival).await.is_err() {
            bed.store.abort_reembedding().await.unwrap();
        }
        assert_conflict(handle.write_reembedded(&[vector(2, new_vector("2"))]).await);
        bed.store.abort_reembedding().await.unwrap();
    }
}

pub async fn a_dropped_finish_leaves_a_handle_that_knows_its_model(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let (store, other) = (&bed.store, bed.another_handle().await);
    let rival = rival();
    for (n, polls) in (0..).zip([1, 2, 3, 5, 8, 13]) {
        let model = if n % 2 == 0 { smaller_model() } else { rival.clone() };
        store.begin_reembedding(&model).await.unwrap();
        reembed_all(store, 100, new_vector).await.unwrap();
        abandoned(store.finish_reembedding(), polls, async {
            // Time enough for a switch that goes on without being asked.
            for _ in 0..100 {
                other.reembedding_status().await.unwrap();
            }
        })
        .await;
        if store.reembedding_status().await.unwrap().is_some()
            && let Err(error) = store.finish_reembedding().await
        {
            // On a busy machine the first one ends only now.
            let status = store.reembedding_status().await.unwrap();
            assert!(status.is_none(), "{error}");
        }
        assert_eq!(other.registered_model().await.unwrap(), Some(model));
        store.insert(&embedded(10 + n, "by the same handle", &[1.0, 2.0, 3.0])).await.unwrap();
    }
}

pub async fn reembedding_to_the_present_or_an_impossible_model_is_invalid(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    assert_invalid(bed.store.begin_reembedding(&model()).await, "model");
    let nameless = vestige_traits::ModelSignature { name: String::new(), ..smaller_model() };
    assert_invalid(bed.store.begin_reembedding(&nameless).await, "model.name");
    assert_eq!(bed.store.reembedding_status().await.unwrap(), None);
}

pub async fn a_vector_that_does_not_fit_the_new_model_is_refused(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let store = &bed.store;
    store.begin_reembedding(&smaller_model()).await.unwrap();
    let good = vector(1, new_vector("1"));
    let long = vector(2, Some(EAST.to_vec()));
    assert_mismatch(store.write_reembedded(&[good.clone(), long]).await, &smaller_model());
    for impossible in [vec![0.0; 3], vec![f32::NAN; 3]] {
        let vectors = [good.clone(), vector(2, Some(impossible))];
        assert_invalid(store.write_reembedded(&vectors).await, "embedding");
    }
    assert_eq!(store.reembedding_status().await.unwrap(), Some(status(0, 5)), "all or nothing");
}

pub async fn abort_leaves_everything_as_it_was(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let store = &bed.store;
    let query = SearchQuery::embedding(EAST.to_vec());
    let before = store.search(&query).await.unwrap();
    store.begin_reembedding(&smaller_model()).await.unwrap();
    reembed_all(store, 100, new_vector).await.unwrap();
    store.abort_reembedding().await.unwrap();
    assert_eq!(store.reembedding_status().await.unwrap(), None);
    assert_eq!(store.registered_model().await.unwrap(), Some(model()));
    assert_eq!(store.search(&query).await.unwrap(), before);
    assert_conflict(store.finish_reembedding().await);
    let third = vestige_traits::ModelSignature { hash: "d4".repeat(32), ..smaller_model() };
    let begun = store.begin_reembedding(&third).await.unwrap();
    assert_eq!((begun.done, begun.pending), (0, 5), "nothing of the first attempt is left");
}

pub async fn the_switch_drops_centroids_and_keeps_the_domains(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let store = &bed.store;
    let centred = Domain { centroid: Some(EAST.to_vec()), ..domain("lamps") };
    store.upsert_domain(&centred).await.unwrap();
    store.begin_reembedding(&smaller_model()).await.unwrap();
    reembed_all(store, 100, new_vector).await.unwrap();
    assert_eq!(store.get_domain("lamps").await.unwrap(), Some(centred));
    store.finish_reembedding().await.unwrap();
    assert_eq!(store.get_domain("lamps").await.unwrap(), Some(domain("lamps")));
    assert!(store.classify(&[1.0, 0.0, 0.0]).await.unwrap().is_empty());
}

pub async fn the_switch_keeps_every_field_but_the_vector(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let store = &bed.store;
    // One of before, and one that comes while the new vectors are made.
    store.insert(&rich(6)).await.unwrap();
    store.begin_reembedding(&smaller_model()).await.unwrap();
    store.insert(&rich(7)).await.unwrap();
    reembed_all(store, 10, new_vector).await.unwrap();
    store.finish_reembedding().await.unwrap();
    for n in [6, 7] {
        let expected = rich(n).embedding(new_vector(&rich(n).content));
        assert_eq!(store.get(id(n)).await.unwrap(), Some(expected));
    }
}

pub async fn a_store_without_a_model_can_be_embedded(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.insert_batch(&memories(1, 3)).await.unwrap();
    store.begin_reembedding(&smaller_model()).await.unwrap();
    reembed_all(store, 2, new_vector).await.unwrap();
    assert_eq!(store.registered_model().await.unwrap(), None);
    store.finish_reembedding().await.unwrap();
    assert_eq!(store.registered_model().await.unwrap(), Some(smaller_model()));
    let results = store.search(&SearchQuery::embedding(vec![1.0, 0.0, 0.0])).await.unwrap();
    assert_eq!(results.len(), 3);
}

pub async fn an_empty_store_switches_at_once(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    assert_eq!(bed.store.begin_reembedding(&smaller_model()).await.unwrap(), status(0, 0));
    bed.store.finish_reembedding().await.unwrap();
    assert_eq!(bed.store.registered_model().await.unwrap(), Some(smaller_model()));
}

pub async fn a_store_moves_there_and_back_again(bed: &TestBed<impl StoreFactory>) {
    fill(bed).await;
    let store = &bed.store;
    let before = store.get(id(1)).await.unwrap();
    for (target, dimension) in [(smaller_model(), 3), (model(), 4)] {
        store.begin_reembedding(&target).await.unwrap();
        let embed = |content: &str| {
            let mut vector = vec![1.0, f32::from(content.as_bytes()[5] - b'0')];
            vector.resize(dimension, 0.0);
            Some(vector)
        };
        reembed_all(store, 2, embed).await.unwrap();
        store.finish_reembedding().await.unwrap();
    }
    assert_eq!(store.get(id(1)).await.unwrap(), before);
    assert_eq!(store.search(&SearchQuery::embedding(EAST.to_vec())).await.unwrap().len(), 5);
}
