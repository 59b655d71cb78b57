//! Reading, forgetting, links, ids, and reviews.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use support::{embedder, with_clock};
use uuid::Uuid;
use vestige_memory::{IdError, Link, Memory, MemoryError, NewMemory, NoEmbedder, RememberOptions};
use vestige_traits::{ListQuery, MemoryStore, MemoryStoreError};

over_each_store! {
    what_is_forgotten_is_gone,
    several_are_read_in_the_order_asked_for,
    links_lead_to_neighbors_and_can_be_taken_away,
    the_first_digits_of_an_id_name_a_memory,
}

#[cfg(feature = "fsrs")]
mod reviews {
    use super::{reviews_decide_what_is_due, the_schedule_is_rebuilt_from_the_log};

    crate::over_each_store! {
        reviews_decide_what_is_due,
        the_schedule_is_rebuilt_from_the_log,
    }
}

async fn what_is_forgotten_is_gone<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, embedder());
    let id = memory.remember("a red lamp").await.unwrap().record.id;
    memory.forget(id).await.unwrap();
    assert_eq!(memory.get(id).await.unwrap(), None);
    assert!(memory.recall("lamp").await.unwrap().is_empty());
    let again = memory.forget(id).await.unwrap_err();
    assert!(matches!(again.store_error(), Some(MemoryStoreError::NotFound { .. })), "{again}");
}

async fn several_are_read_in_the_order_asked_for<S: MemoryStore + Sync>(store: S) {
    let (memory, _clock) = with_clock(store, NoEmbedder);
    let stored = memory.remember_all(["one", "two", "three"], RememberOptions::new()).await.unwrap();
    let ids: Vec<Uuid> = stored.iter().map(|it| it.record.id).collect();
    let read = memory.get_many(&[ids[2], Uuid::from_u128(7), ids[0], ids[2]]).await.unwrap();
    let read: Vec<_> = read.iter().map(|it| it.as_ref().map(|record| &*record.content)).collect();
    assert_eq!(read, [Some("three"), None, Some("one"), Some("three")]);
    let page = memory.list(&ListQuery::default()).await.unwrap();
    assert_eq!((page.records.len(), page.records[0].created_at), (3, support::start()));
}

async fn links_lead_to_neighbors_and_can_be_taken_away<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, NoEmbedder);
    let stored = memory.remember_all(["one", "two", "three"], RememberOptions::new()).await.unwrap();
    let [one, two, three] = [0, 1, 2].map(|n| stored[n].record.id);
    memory.link((one, two)).await.unwrap();
    let edge = memory.link(Link::new(two, three).edge_type("causes").weight(0.5)).await.unwrap();
    assert_eq!((edge.edge_type.as_str(), edge.weight), ("causes", 0.5));
    assert_eq!(memory.links(two).await.unwrap().len(), 2);
    let reached = memory.neighbors(one, 2).await.unwrap();
    let reached: Vec<_> = reached.iter().map(|it| (it.record.id, it.hops, it.score)).collect();
    assert_eq!(reached, [(two, 1, 1.0), (three, 2, 0.5)]);

    memory.unlink(two, three, "causes").await.unwrap();
    assert_eq!(memory.neighbors(one, 2).await.unwrap().len(), 1);
    let gone = memory.unlink(two, three, "causes").await.unwrap_err();
    assert!(matches!(gone.store_error(), Some(MemoryStoreError::NotFound { entity: "edge", .. })), "{gone}");
    let itself = memory.link((one, one)).await.unwrap_err();
    assert!(matches!(itself.store_error(), Some(MemoryStoreError::InvalidInput { .. })), "{itself}");
}

async fn the_first_digits_of_an_id_name_a_memory<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, NoEmbedder);
    let ids = ["019bb17c-0e40-7978-a6a1-2a42c7957ab5", "019bb17c-0e40-7978-a6a1-2a42c7957ab6"]
        .map(|id| Uuid::try_parse(id).unwrap());
    let texts = ["text", "other"];
    let memories = ids.into_iter().zip(texts).map(|(id, text)| NewMemory::new(text).id(id));
    memory.remember_all(memories, RememberOptions::new()).await.unwrap();
    assert_eq!(memory.resolve(&ids[0].to_string()).await.unwrap(), ids[0]);
    assert_eq!(memory.resolve("019BB17C0e407978a6a12a42c7957ab6").await.unwrap(), ids[1]);
    let unknown = Uuid::from_u128(7);
    assert_eq!(memory.resolve(&unknown.to_string()).await.unwrap(), unknown, "it is not looked up");
    for (text, expected) in [
        ("019", "\"019\" is no id; give a UUID or its first digits, at least 4"),
        ("019bb17c", "019bb17c begins more than one id; give more of its digits"),
        ("ffff", "no memory has an id that begins with ffff"),
    ] {
        assert_eq!(memory.resolve(text).await.unwrap_err().to_string(), expected);
    }
    let long = memory.resolve(&"x".repeat(1000)).await.unwrap_err();
    let MemoryError::Id(IdError::NotAnId { text }) = long else { panic!("{long}") };
    assert_eq!(text.chars().count(), 60);
}

#[cfg(feature = "fsrs")]
async fn reviews_decide_what_is_due<S: MemoryStore + Sync>(store: S) {
    use chrono::TimeDelta;
    use vestige_traits::scheduling::Rating;

    let (memory, clock) = with_clock(store, NoEmbedder);
    let id = memory.remember("a red lamp").await.unwrap().record.id;
    assert_eq!(memory.schedule(id).await.unwrap(), None);
    let event = memory.review(id, Rating::Good).await.unwrap();
    assert_eq!((event.timestamp, event.new_state.reps), (support::start(), 1));
    assert!(memory.due(0).await.unwrap().is_empty());

    clock.advance(TimeDelta::days(30));
    let due = memory.due(10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert!(due[0].scheduling.retrievability < 0.9, "as of now");
    assert_eq!(memory.schedule(id).await.unwrap(), Some(due[0].scheduling));
    assert!(memory.review(id, Rating::Easy).await.unwrap().new_state.stability > 2.3065);
    assert!(memory.due(10).await.unwrap().is_empty());
    let missing = memory.review(Uuid::from_u128(7), Rating::Good).await.unwrap_err();
    assert!(matches!(missing.store_error(), Some(MemoryStoreError::NotFound { .. })), "{missing}");
}

#[cfg(feature = "fsrs")]
async fn the_schedule_is_rebuilt_from_the_log<S: MemoryStore + Sync>(store: S) {
    use vestige_traits::scheduling::Rating;

    let (memory, _clock) = with_clock(store, NoEmbedder);
    let ids = memory.remember_all(["one", "two"], RememberOptions::new()).await.unwrap();
    let [one, two] = [0, 1].map(|n| ids[n].record.id);
    let right = memory.review(one, Rating::Good).await.unwrap().new_state;
    let wrong = memory.review(two, Rating::Easy).await.unwrap().new_state;
    memory.store().update_scheduling(one, &wrong).await.unwrap();
    memory.forget(two).await.unwrap();
    let rebuilt = memory.rebuild_schedule().await.unwrap();
    assert_eq!((rebuilt.reviewed, rebuilt.changed, rebuilt.gone), (1, 1, 1));
    assert_eq!(memory.store().get_scheduling(one).await.unwrap(), Some(right));
}
