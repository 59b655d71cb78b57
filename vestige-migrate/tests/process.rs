//! Copies as processes of their own: killed by SIGKILL, and measured.

#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use std::path::Path;

use common::child::{self, Killed, finish, spawn};
use common::{Words, archive_of, open_sqlite};
use vestige_migrate::{Copier, CopyOutcome};
use vestige_traits::{Embedder, MemoryStore};

/// Not a test by itself: what the other tests start and kill.
#[tokio::test]
async fn child() {
    child::work().await;
}

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

#[tokio::test]
async fn a_copy_killed_many_times_ends_with_every_row_once() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (path(&folder, "from.db"), path(&folder, "to.db"));
    finish(spawn(&format!("fill|{from}|6000|32")));
    Killed::often(&format!("copy|{from}|{to}"), 30, 0..10);
    let (source, target) = (open_sqlite(from.as_ref()), open_sqlite(to.as_ref()));
    assert_eq!(target.count().await.unwrap(), 6000);
    assert!(archive_of(&source).await == archive_of(&target).await);
    let report = Copier::new("a", &source, &target).run().await.unwrap();
    assert_eq!((report.outcome, report.moved_now), (CopyOutcome::AlreadyComplete, 0));
}

#[tokio::test]
async fn a_reembedding_killed_many_times_is_wholly_on_one_model_and_ends_complete() {
    let folder = tempfile::tempdir().unwrap();
    let file = path(&folder, "store.db");
    finish(spawn(&format!("fill|{file}|3000|8")));
    Killed::often(&format!("reembed|{file}"), 20, 0..10);
    let (store, new) = (open_sqlite(file.as_ref()), Words::new(16));
    assert_eq!(store.registered_model().await.unwrap().as_ref(), Some(new.signature()));
    for n in 0..3000 {
        let record = store.get(common::id(9, n)).await.unwrap().unwrap();
        assert_eq!(record.embedding, new.vector(&record.content));
    }
}

fn peak_of_copy(folder: &Path, memories: usize) -> u64 {
    let at = |name: &str| folder.join(format!("{name}-{memories}.db")).display().to_string();
    let (from, to) = (at("from"), at("to"));
    finish(spawn(&format!("fill|{from}|{memories}|384")));
    let (peak, said) = finish(spawn(&format!("plan-and-copy|{from}|{to}")));
    println!(
        "{memories} memories: peak {peak} KiB; {}",
        said.lines().find(|line| line.contains("rows/s")).unwrap()
    );
    peak
}

/// With `VESTIGE_MIGRATE_MEMORIES=100000` it is the measure of record; by itself it is smaller.
#[test]
fn peak_memory_does_not_grow_with_the_number_of_memories() {
    let most: usize = std::env::var("VESTIGE_MIGRATE_MEMORIES").map_or(10_000, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (small, large) = (peak_of_copy(folder.path(), most / 10), peak_of_copy(folder.path(), most));
    assert!(large < 200 << 10, "{large} KiB");
    if most >= 100_000 {
        assert!(large * 10 <= small * 12, "{small} KiB and {large} KiB");
    }
}
