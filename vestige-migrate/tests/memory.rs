//! What an archive takes to be read is bounded, however its lines are written.
#![allow(unsafe_code, reason = "a global allocator that counts cannot be written without it")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// Of all threads.
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

const MIB: usize = 1 << 20;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use vestige_conformance::ReferenceStore;
use vestige_migrate::archive::{Archive, Exporter, Restorer};
use vestige_migrate::{CopyOutcome, MigrateError};
use vestige_sqlite::SqliteMemoryStore;
use vestige_traits::clock::SystemClock;
use vestige_traits::{MemoryRecord, MemoryStore};

/// What `work` holds at most beside what was held before.
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let held = HELD.load(Relaxed);
    PEAK.store(held, Relaxed);
    let done = work();
    (done, PEAK.load(Relaxed) - held)
}

/// An archive of one memory, in whose line `piece` stands many times after the first `[` of `list`.
async fn with_long_line(path: &Path, list: &str, piece: &str) {
    let store = ReferenceStore::new(Arc::new(SystemClock));
    let mut record = MemoryRecord::new("short");
    record.metadata = serde_json::json!({"list": []});
    store.insert(&record).await.unwrap();
    let mut archive = Vec::new();
    Exporter::new(&store).write(&mut archive).await.unwrap();
    let archive = String::from_utf8(archive).unwrap();
    let at = archive.find(list).unwrap() + list.len();
    let mut file = BufWriter::new(File::create(path).unwrap());
    file.write_all(&archive.as_bytes()[..at]).unwrap();
    for _ in 0..60 * MIB / piece.len() {
        file.write_all(piece.as_bytes()).unwrap();
    }
    file.write_all(b"0").unwrap();
    file.write_all(&archive.as_bytes()[at..]).unwrap();
    file.flush().unwrap();
}

#[tokio::test]
async fn a_long_line_of_an_archive_takes_a_bounded_multiple() {
    let folder = tempfile::tempdir().unwrap();
    for (list, piece) in [
        (r#""tags":["#, r#""","#),
        (r#""metadata":{"list":["#, "0,"),
        (r#""metadata":{"list":["#, r#"{"a":1},"#),
        (r#""content":""#, "long text "),
    ] {
        let path = folder.path().join("a.jsonl");
        with_long_line(&path, list, piece).await;
        let (refused, peak) = peak_of(|| Archive::open(&path).map(drop));
        match refused {
            Err(MigrateError::Archive { line: 3 | 4, .. }) => {}
            other => panic!("{list}: {other:?}"),
        }
        // A text is held as the line, as the row, and as the line that the row should be.
        let most = if list.contains("content") { 256 } else { 100 };
        assert!(peak < most * MIB, "{list} {piece}: {} MiB", peak / MIB);
    }
}

#[tokio::test]
async fn an_archive_of_large_memories_is_restored_page_by_page() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let store = SqliteMemoryStore::new(folder.path().join("from.db")).unwrap();
    // A megabyte without a word: what words take to be indexed is not what is asked here.
    let text = "=".repeat(MIB - 10);
    for n in 0..150 {
        store.insert(&MemoryRecord::new(format!("{n} {text}"))).await.unwrap();
    }
    let mut file = BufWriter::new(File::create(&path).unwrap());
    Exporter::new(&store).write(&mut file).await.unwrap();
    file.flush().unwrap();
    drop((file, store, text));
    let target = SqliteMemoryStore::new(folder.path().join("to.db")).unwrap();
    let held = HELD.load(Relaxed);
    PEAK.store(held, Relaxed);
    let mut archive = Archive::open(&path).unwrap();
    let report = Restorer::new(&mut archive, &target).run().await.unwrap();
    let peak = PEAK.load(Relaxed) - held;
    assert_eq!(report.outcome, CopyOutcome::Complete);
    assert_eq!(target.count().await.unwrap(), 150);
    assert!(peak < 100 * MIB, "{} MiB", peak / MIB);
}
