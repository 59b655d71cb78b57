use chrono::TimeDelta;
use uuid::Uuid;
use vestige_traits::{MemoryRecord, MemoryStore, SessionContext, limits};

use crate::fixtures::*;
use crate::{StoreFactory, TestBed};

/// Memory number `n` in the session "talk".
fn said(n: u128) -> MemoryRecord {
    memory(n, format!("turn {n}")).session("talk")
}

async fn fill(bed: &TestBed<impl StoreFactory>, records: impl IntoIterator<Item = MemoryRecord>) {
    let records: Vec<_> = records.into_iter().collect();
    bed.store.insert_batch(&records).await.unwrap();
}

/// The ids before and after each of these memories, of a store.
async fn around(
    store: &(impl MemoryStore + Sync),
    of: impl IntoIterator<Item = u128>,
    each: usize,
) -> Vec<(Vec<Uuid>, Vec<Uuid>)> {
    let ids_of = |records: &[MemoryRecord]| records.iter().map(|record| record.id).collect();
    let contexts = store.get_context(&ids(of), each).await.unwrap();
    contexts.iter().map(|context| (ids_of(&context.before), ids_of(&context.after))).collect()
}

fn expected<const N: usize>(places: [(&[u128], &[u128]); N]) -> Vec<(Vec<Uuid>, Vec<Uuid>)> {
    let of = |numbers: &[u128]| ids(numbers.iter().copied());
    places.into_iter().map(|(before, after)| (of(before), of(after))).collect()
}

pub async fn context_is_what_stands_before_and_after(bed: &TestBed<impl StoreFactory>) {
    fill(bed, (1..=9).map(said)).await;
    assert_eq!(around(&bed.store, [5], 1).await, expected([(&[4], &[6])]));
    assert_eq!(around(&bed.store, [5], 3).await, expected([(&[2, 3, 4], &[6, 7, 8])]));
    assert_eq!(around(&bed.store, [5], 0).await, expected([(&[], &[])]));
}

pub async fn contexts_come_in_the_order_of_the_ids(bed: &TestBed<impl StoreFactory>) {
    fill(bed, (1..=9).map(said)).await;
    // Two beside each other are each other's context, and an id may occur twice.
    let asked = around(&bed.store, [6, 99, 5, 6], 2).await;
    let six: (&[u128], &[u128]) = (&[4, 5], &[7, 8]);
    assert_eq!(asked, expected([six, (&[], &[]), (&[3, 4], &[6, 7]), six]));
    assert_eq!(bed.store.get_context(&[], 2).await.unwrap(), []);
}

pub async fn memories_of_one_time_stand_by_their_ids(bed: &TestBed<impl StoreFactory>) {
    let at = |n, seconds| said(n).created_at(now() + TimeDelta::seconds(seconds));
    // Inserted in another order.
    fill(bed, [at(5, 10), at(3, 10), at(1, 20), at(4, 10), at(2, 10)]).await;
    fill(bed, [at(6, 5), at(7, 10)]).await;
    assert_eq!(
        around(&bed.store, [4, 6, 1], 2).await,
        expected([(&[2, 3], &[5, 7]), (&[], &[2, 3]), (&[5, 7], &[])])
    );
    assert_eq!(around(&bed.store, [4], 20).await, expected([(&[6, 2, 3], &[5, 7, 1])]));
}

pub async fn the_ends_of_a_session_have_less_context(bed: &TestBed<impl StoreFactory>) {
    fill(bed, (1..=4).map(said)).await;
    fill(bed, [memory(9, "alone").session("another")]).await;
    assert_eq!(
        around(&bed.store, [1, 2, 4, 9], 2).await,
        expected([(&[], &[2, 3]), (&[1], &[3, 4]), (&[2, 3], &[]), (&[], &[])])
    );
}

pub async fn other_sessions_are_no_context(bed: &TestBed<impl StoreFactory>) {
    let names = ["talk", "Talk", "talk ", "tal", ""];
    fill(
        bed,
        (1..=25).map(|n| match names[n as usize % 5] {
            "" => memory(n, "in none"),
            name => memory(n, "in one").session(name),
        }),
    )
    .await;
    assert_eq!(around(&bed.store, [10, 11], 2).await, expected([(&[5], &[15, 20]), (&[1, 6], &[16, 21])]));
    assert_eq!(around(&bed.store, [25], 2).await, expected([(&[15, 20], &[])]));
}

pub async fn a_memory_in_no_session_has_no_context(bed: &TestBed<impl StoreFactory>) {
    fill(bed, memories(1, 3)).await;
    assert_eq!(around(&bed.store, [2], 2).await, expected([(&[], &[])]));
    fill(bed, [said(4)]).await;
    let contexts = bed.store.get_context(&ids([2, 4, 5]), 2).await.unwrap();
    assert_eq!(contexts, vec![SessionContext::default(); 3]);
    assert_eq!(contexts[0], SessionContext::default());
}

pub async fn context_follows_every_change_of_a_session(bed: &TestBed<impl StoreFactory>) {
    fill(bed, (1..=5).map(|n| said(n * 10))).await;
    let another = bed.another_handle().await;
    let of_thirty = async || {
        let here = around(&bed.store, [30], 2).await;
        assert_eq!(around(&another, [30], 2).await, here, "another handle sees the same");
        here
    };
    assert_eq!(of_thirty().await, expected([(&[10, 20], &[40, 50])]));
    another.delete(id(20)).await.unwrap();
    assert_eq!(of_thirty().await, expected([(&[10], &[40, 50])]));
    another.update(&memory(40, "elsewhere").session("another")).await.unwrap();
    assert_eq!(of_thirty().await, expected([(&[10], &[50])]));
    another.update(&said(50).created_at(now())).await.unwrap();
    assert_eq!(of_thirty().await, expected([(&[50, 10], &[])]));
    another.insert(&said(35)).await.unwrap();
    assert_eq!(of_thirty().await, expected([(&[50, 10], &[35])]));
    another.update(&memory(10, "in none")).await.unwrap();
    assert_eq!(of_thirty().await, expected([(&[50], &[35])]));
    bed.store.delete(id(30)).await.unwrap();
    assert_eq!(of_thirty().await, expected([(&[], &[])]));
}

pub async fn memories_of_a_context_are_whole(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    let before = embedded(1, "Who has the key?", &[0.1, 0.2, 0.3, 0.4])
        .session("talk")
        .tags(["keys", "a, \"b\""])
        .node_type("question")
        .codebase("atlas")
        .domains(["ops"])
        .metadata(serde_json::json!({ "ticket": "QW-204", "n": 1.5 }));
    let after = said(3);
    fill(bed, [before.clone(), said(2), after.clone()]).await;
    let contexts = bed.store.get_context(&ids([2]), 1).await.unwrap();
    assert_eq!(contexts, [SessionContext { before: vec![before], after: vec![after] }]);
}

pub async fn an_answer_of_contexts_is_bounded(bed: &TestBed<impl StoreFactory>) {
    fill(bed, (1..=50).map(said)).await;
    let of = async |count: u128, each| bed.store.get_context(&ids(1..=count), each).await;
    assert_eq!(of(50, limits::MAX_CONTEXT).await.unwrap()[24].before.len(), limits::MAX_CONTEXT);
    assert_eq!(of(limits::MAX_LIMIT as u128, 1).await.unwrap().len(), limits::MAX_LIMIT);
    assert_invalid(of(1, limits::MAX_CONTEXT + 1).await, "context");
    assert_invalid(of(51, limits::MAX_CONTEXT).await, "context");
    assert_invalid(of(limits::MAX_LIMIT as u128 + 1, 0).await, "ids");
    assert_invalid(of(1, usize::MAX).await, "context");
}
