//! A store that keeps no index in memory answers in as much memory, however much it holds.
#![allow(unsafe_code, reason = "a global allocator that counts cannot be written without it")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tempfile::TempDir;
use vestige_sqlite::{Durability, SqliteMemoryStore};
use vestige_traits::{MemoryRecord, MemoryStore, ModelSignature, SearchQuery};

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// Of all threads, since a store has its own. What SQLite takes is not counted: its cache is bounded.
struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting touches atomic numbers alone.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(HELD.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: `pointer` came from `System` by `alloc` above, with the same layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What searches take at most, in bytes, where every memory holds the words and a vector.
async fn peak_of_searches(memories: usize) -> usize {
    let home = TempDir::new().unwrap();
    let path = home.path().join("memory.db");
    let vector =
        |n: usize| (0..16).map(|i| ((n * 16 + i) * 7919 % 10_007) as f32 - 5000.0).collect::<Vec<f32>>();
    let store = SqliteMemoryStore::builder(&path).durability(Durability::Process).open().unwrap();
    let model = ModelSignature { name: "test".to_owned(), dimension: 16, hash: "0".repeat(64) };
    store.register_model(&model).await.unwrap();
    for first in (0..memories).step_by(500) {
        let records: Vec<_> = (first..first + 500)
            .map(|n| {
                // Ties are kept whole, so a hundred are better than all others.
                let more =
                    if n < 100 { "" } else { " and this is long, and says nothing of any use, whoever asks" };
                let mut record = MemoryRecord::new(format!("deploy friday time {n}{more}"));
                record.embedding = Some(vector(n));
                record
            })
            .collect();
        store.insert_batch(&records).await.unwrap();
    }
    drop(store);

    let store = SqliteMemoryStore::builder(&path).indexes_in_memory(false).open().unwrap();
    let search = async |query| assert_eq!(store.search(&query).await.unwrap().len(), 10);
    search(SearchQuery::hybrid("friday", vector(1))).await;
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    for n in 0..3 {
        search(SearchQuery::text("deploy time 7")).await;
        search(SearchQuery::embedding(vector(n))).await;
        search(SearchQuery::hybrid("friday deploy", vector(n))).await;
    }
    PEAK.load(Relaxed) - before
}

#[tokio::test]
async fn searches_of_a_large_store_take_no_more_memory_than_those_of_a_small_one() {
    let (small, large) = (peak_of_searches(1_000).await, peak_of_searches(10_000).await);
    assert!(large < small + small / 5, "{small} bytes, and {large} for ten times as many memories");
}
