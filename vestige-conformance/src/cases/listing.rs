use chrono::TimeDelta;
use vestige_traits::{ListCursor, ListQuery, MemoryFilter, MemoryStore, limits};

use crate::fixtures::*;
use crate::{StoreFactory, TestBed};

fn page(limit: usize, after: Option<ListCursor>) -> ListQuery {
    ListQuery::new().limit(limit).after(after)
}

pub async fn the_newest_come_first_and_equal_times_fall_by_id(bed: &TestBed<impl StoreFactory>) {
    let at = |n, seconds| memory(n, "x").created_at(now() + TimeDelta::seconds(seconds));
    bed.store.insert_batch(&[at(4, 1), at(3, 2), at(2, 1), at(1, 1), at(5, 3)]).await.unwrap();
    let listed = bed.store.list(&page(10, None)).await.unwrap();
    let order: Vec<_> = listed.records.iter().map(|record| record.id).collect();
    assert_eq!(order, ids([5, 3, 1, 2, 4]));
    assert_eq!(listed.next, None);
}

pub async fn pages_join_without_gap_or_repeat(bed: &TestBed<impl StoreFactory>) {
    let records: Vec<_> = (1..=47)
        .map(|n| memory(n, "x").created_at(now() + TimeDelta::microseconds(i64::try_from(n % 5).unwrap())))
        .collect();
    bed.store.insert_batch(&records).await.unwrap();
    let whole = bed.store.list(&page(1000, None)).await.unwrap().records;
    assert_eq!(whole.len(), 47);
    for size in [1, 7, 46, 47, 48] {
        let (mut joined, mut after) = (Vec::new(), None);
        loop {
            let listed = bed.store.list(&page(size, after)).await.unwrap();
            assert!(listed.records.len() == size || listed.next.is_none());
            assert!(!listed.records.is_empty(), "a cursor is given only where there is more");
            joined.extend(listed.records);
            after = listed.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(joined, whole, "in pages of {size}");
    }
}

pub async fn a_cursor_survives_the_memory_it_points_at(bed: &TestBed<impl StoreFactory>) {
    bed.store.insert_batch(&memories(1, 6)).await.unwrap();
    let first = bed.store.list(&page(2, None)).await.unwrap();
    let cursor = first.next.unwrap();
    assert_eq!(cursor, ListCursor { created_at: first.records[1].created_at, id: id(5) });
    bed.store.delete(id(5)).await.unwrap();
    bed.store.insert(&memory(9, "newer, and so not seen")).await.unwrap();
    let second = bed.store.list(&page(2, Some(cursor))).await.unwrap();
    let order: Vec<_> = second.records.iter().map(|record| record.id).collect();
    assert_eq!(order, ids([4, 3]));
}

pub async fn a_filtered_list_pages_through_the_matching_ones(bed: &TestBed<impl StoreFactory>) {
    let mut records = memories(1, 60);
    for record in records.iter_mut().step_by(3) {
        record.tags = vec!["third".to_owned()];
    }
    bed.store.insert_batch(&records).await.unwrap();
    let filter = MemoryFilter::new().tags(["third"]);
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let query = ListQuery::new().filter(filter.clone()).limit(8).after(after);
        let listed = bed.store.list(&query).await.unwrap();
        seen.extend(listed.records.into_iter().map(|record| record.id));
        after = listed.next;
        if after.is_none() {
            break;
        }
        assert_eq!(seen.len() % 8, 0, "every page but the last is full");
    }
    assert_eq!(seen, ids((0..20).rev().map(|n| 3 * n + 1)));
}

pub async fn a_list_limit_of_zero_means_ten_and_above_a_thousand_is_invalid(
    bed: &TestBed<impl StoreFactory>,
) {
    bed.store.insert_batch(&memories(1, 1005)).await.unwrap();
    assert_eq!(bed.store.list(&page(0, None)).await.unwrap().records.len(), limits::DEFAULT_LIMIT);
    assert_eq!(bed.store.list(&page(1000, None)).await.unwrap().records.len(), 1000);
    assert_invalid(bed.store.list(&page(1001, None)).await, "limit");
}

pub async fn a_list_of_an_empty_store_is_empty(bed: &TestBed<impl StoreFactory>) {
    let listed = bed.store.list(&ListQuery::default()).await.unwrap();
    assert_eq!((listed.records, listed.next), (Vec::new(), None));
}
