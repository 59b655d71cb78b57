//! What a call costs: nothing on the heap by static dispatch, one box through `AnyMemoryStore`.
#![allow(unsafe_code, reason = "a global allocator that counts cannot be written without it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use uuid::Uuid;
use vestige_traits::transfer::TransferKind;
use vestige_traits::{
    AnyMemoryStore, ListQuery, MemoryRecord, MemoryStore, MemoryStoreError, MemoryStoreResult, SearchQuery,
    backend::for_each_operation,
};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting touches a thread-local number
// that needs no allocation itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` by `alloc` above, with the same layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A store that answers every call at once, and allocates nothing.
struct Nothing;

macro_rules! answer_nothing {
    ($( $name:ident $(<$life:lifetime>)? ($($arg:ident: $type:ty),*) -> $answer:ty; )*) => {
        impl MemoryStore for Nothing {
            $( async fn $name $(<$life>)? (&self, $($arg: $type),*) -> MemoryStoreResult<$answer> {
                $( let _ = $arg; )*
                Err(MemoryStoreError::ReadOnly)
            } )*
        }
    };
}

for_each_operation!(answer_nothing);

/// How often a call allocates from its begin to its answer.
fn allocations<T>(call: impl FnOnce() -> T) -> usize
where
    T: Future<Output = bool>,
{
    let before = ALLOCATIONS.get();
    let refused = {
        let mut future = pin!(call());
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(refused) => refused,
            Poll::Pending => false,
        }
    };
    let after = ALLOCATIONS.get();
    assert!(refused, "the call did not reach the store");
    after - before
}

fn refused<T>(answer: MemoryStoreResult<T>) -> bool {
    matches!(answer, Err(MemoryStoreError::ReadOnly))
}

/// The allocations of some calls of every shape: no argument, by value, borrowed, several.
fn calls(store: &impl MemoryStore) -> Vec<usize> {
    let id = Uuid::from_u128(1);
    let record = MemoryRecord::new("a note");
    let records = [record.clone()];
    let (query, list) = (SearchQuery::text("note"), ListQuery::default());
    let mut counts = Vec::with_capacity(10);
    counts.push(allocations(|| async { refused(store.count().await) }));
    counts.push(allocations(|| async { refused(store.get(id).await) }));
    counts.push(allocations(|| async { refused(store.insert(&record).await) }));
    counts.push(allocations(|| async { refused(store.insert_batch(&records).await) }));
    counts.push(allocations(|| async { refused(store.update(&record).await) }));
    counts.push(allocations(|| async { refused(store.search(&query).await) }));
    counts.push(allocations(|| async { refused(store.list(&list).await) }));
    counts.push(allocations(|| async { refused(store.remove_edge(id, id, "related").await) }));
    counts.push(allocations(|| async { refused(store.export_page(TransferKind::Memory, None, 10).await) }));
    counts.push(allocations(|| async { refused(store.classify(&[1.0]).await) }));
    counts
}

#[test]
fn a_call_by_static_dispatch_allocates_nothing() {
    assert_eq!(calls(&Nothing), [0; 10]);
}

#[test]
fn a_call_through_any_memory_store_allocates_once() {
    assert_eq!(calls(&AnyMemoryStore::new(Nothing)), [1; 10]);
}
