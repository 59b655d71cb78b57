use chrono::{TimeDelta, TimeZone, Utc};
use serde_json::json;
use uuid::Uuid;
use vestige_traits::transfer::TransferRow;
use vestige_traits::{ChangeToken, MemoryRecord, MemoryStore, SearchQuery, Visibility};

use crate::fixtures::*;
use crate::{StoreFactory, TestBed};

/// A memory in which no field has its default.
pub(super) fn rich(n: u128) -> MemoryRecord {
    memory(n, "We chose the blue-green rollout.\n\tTwice.")
        .node_type("decision")
        .tags(["zeta", "alpha", "zeta"])
        .metadata(json!({"nested": {"list": [1, 2.5, null, true, "x"]}, "empty": {}, "": []}))
        .domains(["infra", "builds"])
        .domain_scores([("infra".to_owned(), 0.75), ("rejected".to_owned(), -1.5)].into())
        .embedding(vec![0.1, -0.2, 1e-7, 3.5])
        .codebase("atlas")
        .session("standup of monday")
        .visibility(Visibility::Group)
        .shared_with_groups(vec![id(900), id(800)])
        .created_at(Utc.timestamp_micros(1_700_000_000_123_456).unwrap())
        .updated_at(Utc.timestamp_micros(1_700_000_100_654_321).unwrap())
}

pub async fn a_memory_comes_back_as_it_was_inserted(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    let record = rich(1);
    bed.store.insert(&record).await.unwrap();
    assert_eq!(bed.store.get(id(1)).await.unwrap(), Some(record));
}

pub async fn a_memory_of_defaults_comes_back_as_it_was_inserted(bed: &TestBed<impl StoreFactory>) {
    let record = memory(1, "plain");
    bed.store.insert(&record).await.unwrap();
    assert_eq!(bed.store.get(id(1)).await.unwrap(), Some(record));
}

pub async fn insert_keeps_the_times_given(bed: &TestBed<impl StoreFactory>) {
    let mut record = memory(1, "old news");
    record.created_at = now() - TimeDelta::days(4000);
    record.updated_at = now() + TimeDelta::days(4000);
    bed.store.insert(&record).await.unwrap();
    assert_eq!(bed.store.get(id(1)).await.unwrap(), Some(record));
}

pub async fn every_search_returns_whole_records(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    let record = rich(1);
    bed.store.insert(&record).await.unwrap();
    let query = SearchQuery::hybrid("rollout", vec![0.1, -0.2, 0.0, 3.5]);
    assert_eq!(bed.store.search(&query).await.unwrap()[0].record, record);
    assert_eq!(bed.store.search(&in_keyword_mode(&query)).await.unwrap()[0].record, record);
    assert_eq!(bed.store.search(&in_vector_mode(&query)).await.unwrap()[0].record, record);
}

pub async fn get_of_a_missing_id_is_none(bed: &TestBed<impl StoreFactory>) {
    assert_eq!(bed.store.get(id(1)).await.unwrap(), None);
    assert_eq!(bed.store.get(Uuid::nil()).await.unwrap(), None);
    assert_eq!(bed.store.get(Uuid::max()).await.unwrap(), None);
}

pub async fn any_uuid_may_be_an_id(bed: &TestBed<impl StoreFactory>) {
    let ids = [Uuid::nil(), Uuid::from_u128(1), Uuid::from_u128(1 << 127), Uuid::max()];
    for (n, id) in ids.into_iter().enumerate() {
        let mut record = memory(n as u128, "odd id").id(id);
        record.created_at = now();
        bed.store.insert(&record).await.unwrap();
        assert_eq!(bed.store.get(id).await.unwrap(), Some(record));
    }
    let results = bed.store.search(&SearchQuery::text("odd")).await.unwrap();
    assert_eq!(found(&results), ids, "ties of one time fall by id, which is compared as unsigned bytes");
}

pub async fn insert_of_an_existing_id_already_exists(bed: &TestBed<impl StoreFactory>) {
    let record = memory(1, "first");
    bed.store.insert(&record).await.unwrap();
    assert_already_exists(bed.store.insert(&memory(1, "second")).await, id(1));
    assert_already_exists(bed.store.insert(&record).await, id(1));
    assert_eq!(bed.store.get(id(1)).await.unwrap(), Some(record));
    assert!(bed.store.search(&SearchQuery::text("second")).await.unwrap().is_empty());
}

pub async fn insert_for_an_unknown_owner_is_invalid(bed: &TestBed<impl StoreFactory>) {
    let stranger = memory(1, "whose?").owner_user_id(id(77));
    assert_invalid(bed.store.insert(&stranger).await, "owner_user_id");
    assert_invalid(bed.store.insert_batch(&[memory(2, "mine"), stranger.clone()]).await, "owner_user_id");
    assert_eq!(bed.store.count().await.unwrap(), 0);
    bed.store.insert(&memory(1, "mine")).await.unwrap();
    assert_invalid(bed.store.update(&stranger).await, "owner_user_id");
    assert_eq!(bed.store.get(id(1)).await.unwrap(), Some(memory(1, "mine")));
}

pub async fn a_batch_inserts_every_memory(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    let mut batch = memories(1, 250);
    batch[17] = rich(18);
    bed.store.insert_batch(&batch).await.unwrap();
    for record in &batch {
        assert_eq!(bed.store.get(record.id).await.unwrap().as_ref(), Some(record));
    }
    assert_eq!(found(&bed.store.search(&SearchQuery::text("blue-green")).await.unwrap()), ids([18]));
}

pub async fn an_empty_batch_does_nothing(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert_batch(&[]).await.unwrap();
    assert_eq!(bed.store.count().await.unwrap(), 0);
}

pub async fn a_batch_with_an_existing_id_inserts_nothing(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert(&memory(3, "was here")).await.unwrap();
    assert_already_exists(bed.store.insert_batch(&memories(1, 5)).await, id(3));
    assert_eq!(bed.store.count().await.unwrap(), 1);
    assert_eq!(bed.store.get(id(3)).await.unwrap(), Some(memory(3, "was here")));
    assert!(bed.store.search(&SearchQuery::text("number")).await.unwrap().is_empty());
}

pub async fn a_batch_with_an_id_twice_inserts_nothing(bed: &TestBed<impl StoreFactory>) {
    let mut batch = memories(1, 5);
    batch.push(memory(2, "again"));
    assert_already_exists(bed.store.insert_batch(&batch).await, id(2));
    assert_eq!(bed.store.count().await.unwrap(), 0);
}

pub async fn a_batch_with_an_invalid_memory_inserts_nothing(bed: &TestBed<impl StoreFactory>) {
    let mut batch = memories(1, 5);
    batch[4].tags = vec!["nul\0".to_owned()];
    assert_invalid(bed.store.insert_batch(&batch).await, "tags");
    assert_eq!(bed.store.count().await.unwrap(), 0);
}

pub async fn a_batch_takes_ten_thousand_memories_and_no_more(bed: &TestBed<impl StoreFactory>) {
    let mut batch = memories(1, 10_001);
    assert_invalid(bed.store.insert_batch(&batch).await, "records");
    assert_eq!(bed.store.count().await.unwrap(), 0);
    batch.truncate(10_000);
    bed.store.insert_batch(&batch).await.unwrap();
    assert_eq!(bed.store.count().await.unwrap(), 10_000);
    let results = bed.store.search(&SearchQuery::text("9876")).await.unwrap();
    assert_eq!(found(&results), ids([9876]));
}

pub async fn an_insert_unless_changed_writes_where_nothing_was_added(bed: &TestBed<impl StoreFactory>) {
    let (store, other) = (&bed.store, bed.another_handle().await);
    store.register_model(&model()).await.unwrap();
    let token = store.change_token().await.unwrap();
    // What changes no memory counts for nothing.
    assert_eq!(other.get(id(1)).await.unwrap(), None);
    assert!(other.search(&SearchQuery::text("blue-green")).await.unwrap().is_empty());
    store.insert_batch_unless_changed(&[rich(1)], token).await.unwrap();
    assert_eq!(store.get(id(1)).await.unwrap(), Some(rich(1)));
    assert_eq!(found(&other.search(&SearchQuery::text("blue-green")).await.unwrap()), ids([1]));
    // The token of one handle is good for another.
    let token = other.change_token().await.unwrap();
    store.insert_batch_unless_changed(&memories(2, 250), token).await.unwrap();
    assert_eq!(other.count().await.unwrap(), 250);
}

pub async fn an_insert_unless_changed_is_a_conflict_after_any_other_way_in(bed: &TestBed<impl StoreFactory>) {
    let (store, other) = (&bed.store, bed.another_handle().await);
    let mut there = 0;
    for way in 0..5 {
        let token = store.change_token().await.unwrap();
        let came = memory(100 + way, "it was first");
        match way {
            0 => other.insert(&came).await.unwrap(),
            1 => other.insert_batch(&[came]).await.unwrap(),
            2 => other.insert_batch_unless_changed(&[came], token).await.unwrap(),
            3 => drop(other.import_page(&[TransferRow::Memory(came)], None).await.unwrap()),
            // One more came, even if there are as many as before.
            _ => {
                other.insert(&came).await.unwrap();
                other.delete(id(100)).await.unwrap();
                there -= 1;
            }
        }
        there += 1;
        for batch in [&memories(1, 1)[..], &memories(1, 3)] {
            assert_conflict(store.insert_batch_unless_changed(batch, token).await);
        }
        assert_eq!(store.count().await.unwrap(), there);
        assert!(store.search(&SearchQuery::text("number")).await.unwrap().is_empty());
        // Nothing is nothing.
        store.insert_batch_unless_changed(&[], token).await.unwrap();
    }
}

pub async fn a_refused_insert_unless_changed_may_be_tried_again(bed: &TestBed<impl StoreFactory>) {
    let (store, other) = (&bed.store, bed.another_handle().await);
    for n in (0..5).map(|round| 2 * round) {
        let stale = store.change_token().await.unwrap();
        other.insert(&memory(n + 1, "of another")).await.unwrap();
        let record = memory(n + 2, "mine");
        assert_conflict(store.insert_batch_unless_changed(std::slice::from_ref(&record), stale).await);
        let token = store.change_token().await.unwrap();
        store.insert_batch_unless_changed(&[record], token).await.unwrap();
        // A token is used up by its own write.
        assert_conflict(store.insert_batch_unless_changed(&[memory(99, "mine")], token).await);
    }
    assert_eq!(store.count().await.unwrap(), 10);
}

pub async fn an_insert_unless_changed_is_all_or_none(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.insert(&memory(3, "was here")).await.unwrap();
    let token = store.change_token().await.unwrap();
    assert_already_exists(store.insert_batch_unless_changed(&[memory(3, "again")], token).await, id(3));
    assert_already_exists(store.insert_batch_unless_changed(&memories(1, 5), token).await, id(3));
    let twice = [memory(1, "one"), memory(1, "again")];
    assert_already_exists(store.insert_batch_unless_changed(&twice, token).await, id(1));
    let invalid = [memory(1, "one"), memory(2, "two").tags(["nul\0"])];
    assert_invalid(store.insert_batch_unless_changed(&invalid, token).await, "tags");
    assert_invalid(store.insert_batch_unless_changed(&memories(10, 10_010), token).await, "records");
    let embedded = embedded(1, "one", &[1.0, 0.0, 0.0, 0.0]);
    assert_not_registered(store.insert_batch_unless_changed(&[embedded], token).await);
    assert_eq!(store.count().await.unwrap(), 1);
    // Input is checked first, whatever the token is.
    let never = ChangeToken::new(u128::MAX);
    assert_invalid(store.insert_batch_unless_changed(&invalid, never).await, "tags");
    assert_invalid(store.insert_batch_unless_changed(&memories(10, 10_010), never).await, "records");
    // What was refused has changed nothing.
    store.insert_batch_unless_changed(&memories(4, 6), token).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 4);
}

pub async fn update_replaces_every_field(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    bed.store.insert(&memory(1, "before")).await.unwrap();
    bed.clock.advance(TimeDelta::hours(1));
    let updated_at = bed.store.update(&rich(1)).await.unwrap();
    assert_eq!(updated_at, now() + TimeDelta::hours(1));
    assert_eq!(bed.store.get(id(1)).await.unwrap(), Some(rich(1).updated_at(updated_at)));

    let updated_at = bed.store.update(&memory(1, "and back")).await.unwrap();
    let expected = memory(1, "and back").updated_at(updated_at);
    assert_eq!(bed.store.get(id(1)).await.unwrap(), Some(expected));
    assert_eq!(bed.store.count().await.unwrap(), 1);
}

pub async fn update_of_a_missing_id_is_not_found(bed: &TestBed<impl StoreFactory>) {
    assert_not_found(bed.store.update(&memory(1, "nowhere")).await, id(1));
    assert_eq!(bed.store.count().await.unwrap(), 0);
}

pub async fn an_update_of_what_has_changed_is_a_conflict(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    assert_not_found(store.update_unless_changed(&memory(1, "nowhere"), now()).await, id(1));
    let first = memory(1, "a heron");
    store.insert(&first).await.unwrap();
    // A time is cut to what is stored of it.
    let version = first.updated_at + TimeDelta::nanoseconds(999);
    let second = store.update_unless_changed(&memory(1, "an avocet"), version).await.unwrap();
    assert!(second > first.updated_at);
    for stale in [first.updated_at, second + TimeDelta::microseconds(1)] {
        assert_conflict(store.update_unless_changed(&memory(1, "a plover"), stale).await);
    }
    let known = store.get(id(1)).await.unwrap().unwrap();
    assert_eq!((known.content.as_str(), known.updated_at), ("an avocet", second));
    assert!(store.search(&SearchQuery::text("plover")).await.unwrap().is_empty());
    store.update_unless_changed(&memory(1, "a plover"), second).await.unwrap();
    assert_eq!(found(&store.search(&SearchQuery::text("plover")).await.unwrap()), ids([1]));
}

pub async fn updated_at_moves_forward_even_if_the_clock_does_not(bed: &TestBed<impl StoreFactory>) {
    let mut record = memory(1, "first");
    record.updated_at = now() + TimeDelta::days(1);
    bed.store.insert(&record).await.unwrap();
    let second = bed.store.update(&record).await.unwrap();
    assert_eq!(second, record.updated_at + TimeDelta::microseconds(1));
    let third = bed.store.update(&record).await.unwrap();
    assert_eq!(third, second + TimeDelta::microseconds(1));
    assert_eq!(bed.store.get(id(1)).await.unwrap().unwrap().updated_at, third);
}

pub async fn an_update_changes_what_searches_find(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.register_model(&model()).await.unwrap();
    store.insert(&embedded(1, "a heron", &[1.0, 0.0, 0.0, 0.0])).await.unwrap();
    store.insert(&embedded(2, "a plover", &[0.0, 1.0, 0.0, 0.0])).await.unwrap();
    let mut changed = embedded(1, "an avocet", &[0.0, 0.0, 1.0, 0.0]);
    changed.tags = vec!["wader".to_owned()];
    store.update(&changed).await.unwrap();
    assert!(store.search(&SearchQuery::text("heron")).await.unwrap().is_empty());
    assert_eq!(found(&store.search(&SearchQuery::text("avocets")).await.unwrap()), ids([1]));
    assert_eq!(found(&store.search(&SearchQuery::text("wader")).await.unwrap()), ids([1]));
    let near_old = store.search(&SearchQuery::embedding(vec![3.0, 1.0, 0.0, 0.0])).await.unwrap();
    assert_eq!(found(&near_old), ids([2, 1]));

    changed.embedding = None;
    store.update(&changed).await.unwrap();
    let by_vector = store.search(&SearchQuery::embedding(vec![0.0, 0.0, 1.0, 0.0])).await.unwrap();
    assert_eq!(found(&by_vector), ids([2]), "a memory that lost its vector is not found by one");
}

pub async fn an_update_keeps_scheduling_edges_and_reviews(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.insert_batch(&memories(1, 2)).await.unwrap();
    let event = review(1, 1, None, reviewed(now(), 2.0));
    store.record_review(&event).await.unwrap();
    store.add_edge(&edge(1, 2, 0.5)).await.unwrap();
    store.update(&memory(1, "changed")).await.unwrap();
    assert_eq!(store.get_scheduling(id(1)).await.unwrap(), Some(event.new_state));
    assert_eq!(store.get_reviews(id(1)).await.unwrap(), [event]);
    assert_eq!(store.get_edges(id(1)).await.unwrap(), [edge(1, 2, 0.5)]);
}

pub async fn a_refused_update_changes_nothing(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert(&memory(1, "a heron")).await.unwrap();
    let mut broken = memory(1, "a plover");
    broken.metadata = json!(["no object"]);
    assert_invalid(bed.store.update(&broken).await, "metadata");
    assert_eq!(bed.store.get(id(1)).await.unwrap(), Some(memory(1, "a heron")));
    assert_eq!(found(&bed.store.search(&SearchQuery::text("heron")).await.unwrap()), ids([1]));
}

pub async fn delete_of_a_missing_id_is_not_found(bed: &TestBed<impl StoreFactory>) {
    assert_not_found(bed.store.delete(id(1)).await, id(1));
    bed.store.insert(&memory(1, "short-lived")).await.unwrap();
    bed.store.delete(id(1)).await.unwrap();
    assert_not_found(bed.store.delete(id(1)).await, id(1));
}

pub async fn delete_takes_scheduling_and_edges_and_leaves_the_review_log(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.insert_batch(&memories(1, 3)).await.unwrap();
    let event = review(1, 1, None, reviewed(now(), 2.0));
    store.record_review(&event).await.unwrap();
    for edge in [edge(1, 2, 1.0), edge(3, 1, 1.0), edge(2, 3, 1.0)] {
        store.add_edge(&edge).await.unwrap();
    }
    store.delete(id(1)).await.unwrap();
    assert_eq!(store.get(id(1)).await.unwrap(), None);
    assert_eq!(store.get_scheduling(id(1)).await.unwrap(), None);
    assert_eq!(store.get_edges(id(2)).await.unwrap(), [edge(2, 3, 1.0)]);
    assert_eq!(store.get_reviews(id(1)).await.unwrap(), [event]);
    let stats = store.get_stats().await.unwrap();
    assert_eq!((stats.memories, stats.scheduled, stats.edges, stats.review_events), (2, 0, 1, 1));
}

pub async fn a_deleted_memory_is_not_found_by_any_search(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.register_model(&model()).await.unwrap();
    store.insert(&embedded(1, "a heron", &[1.0, 0.0, 0.0, 0.0])).await.unwrap();
    store.insert(&embedded(2, "a heron", &[1.0, 0.0, 0.0, 0.0])).await.unwrap();
    store.delete(id(1)).await.unwrap();
    let query = SearchQuery::hybrid("heron", vec![1.0, 0.0, 0.0, 0.0]);
    for results in [
        store.search(&query).await.unwrap(),
        store.search(&in_keyword_mode(&query)).await.unwrap(),
        store.search(&in_vector_mode(&query)).await.unwrap(),
    ] {
        assert_eq!(found(&results), ids([2]));
    }
}

pub async fn an_id_may_be_used_again_after_a_delete(bed: &TestBed<impl StoreFactory>) {
    let store = &bed.store;
    store.insert(&memory(1, "a heron")).await.unwrap();
    store.update_scheduling(id(1), &reviewed(now(), 2.0)).await.unwrap();
    store.delete(id(1)).await.unwrap();
    store.insert(&memory(1, "a plover")).await.unwrap();
    assert_eq!(store.get_scheduling(id(1)).await.unwrap(), None);
    assert!(store.search(&SearchQuery::text("heron")).await.unwrap().is_empty());
    assert_eq!(found(&store.search(&SearchQuery::text("plover")).await.unwrap()), ids([1]));
}
