//! A write-ahead log that is left over, and whether it belongs to the file that it lies beside.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;
use vestige_sqlite::SqliteMemoryStore;
use vestige_traits::{MemoryRecord, MemoryStore, MemoryStoreError};

struct Home {
    folder: TempDir,
    images: u32,
}

impl Home {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), images: 0 }
    }

    fn db(&self) -> PathBuf {
        self.folder.path().join("memory.db")
    }

    /// What a killed program leaves: the file and its log.
    fn killed(&mut self) -> PathBuf {
        self.images += 1;
        let image = self.folder.path().join(format!("killed{}.db", self.images));
        fs::copy(self.db(), &image).unwrap();
        fs::copy(log_of(&self.db()), log_of(&image)).unwrap();
        assert!(fs::metadata(log_of(&image)).unwrap().len() > 0);
        image
    }
}

fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

async fn count(path: &Path) -> u64 {
    SqliteMemoryStore::new(path).unwrap().count().await.unwrap()
}

async fn remember(store: &SqliteMemoryStore) {
    store.insert(&MemoryRecord::new("otters")).await.unwrap();
}

/// Opening is refused, to write and to read, and changes nothing.
fn assert_refused(path: &Path) {
    let before = (fs::read(path).unwrap(), fs::read(log_of(path)).unwrap());
    for read_only in [false, true] {
        let error = SqliteMemoryStore::builder(path).read_only(read_only).open().unwrap_err();
        assert!(matches!(error, MemoryStoreError::Unavailable { retryable: false, .. }), "{error}");
        let said = error.to_string();
        assert!(said.contains("log of another file") && said.contains("move"), "{said}");
    }
    assert!((fs::read(path).unwrap(), fs::read(log_of(path)).unwrap()) == before, "something was changed");
}

#[tokio::test]
async fn a_log_goes_on_from_its_own_file_and_from_no_backup() {
    let mut home = Home::new();
    let db = home.db();
    let store = SqliteMemoryStore::new(&db).unwrap();
    remember(&store).await;
    drop(store);
    let backup = home.folder.path().join("backup.db");
    fs::copy(&db, &backup).unwrap();
    for _ in 0..2 {
        let store = SqliteMemoryStore::new(&db).unwrap();
        remember(&store).await;
        drop(store);
    }
    let store = SqliteMemoryStore::new(&db).unwrap();
    remember(&store).await;
    let own = home.killed();
    let image = home.killed();
    assert_eq!(count(&own).await, 4);

    // Older than the log.
    fs::copy(&backup, &image).unwrap();
    assert_refused(&image);
    // Of another memory.
    let other = home.folder.path().join("other.db");
    remember(&SqliteMemoryStore::new(&other).unwrap()).await;
    fs::copy(&other, &image).unwrap();
    assert_refused(&image);
    // Made while this log was written.
    let during = home.folder.path().join("during.db");
    store.backup(&during, false).await.unwrap();
    fs::copy(&during, &image).unwrap();
    assert_refused(&image);

    fs::remove_file(log_of(&image)).unwrap();
    assert_eq!(count(&image).await, 4);
}

#[tokio::test]
async fn a_log_that_begins_with_the_upkeep_of_the_store_belongs_to_its_file_alone() {
    for upkeep in ["rebuild_indexes", "finish_bulk_load", "open"] {
        let mut home = Home::new();
        remember(&SqliteMemoryStore::new(home.db()).unwrap()).await;
        let backup = home.folder.path().join("backup.db");
        fs::copy(home.db(), &backup).unwrap();
        remember(&SqliteMemoryStore::new(home.db()).unwrap()).await;
        if upkeep == "open" {
            // Of another version of Vestige, so opening makes the keyword index anew.
            let other = Connection::open(home.db()).unwrap();
            other.execute("UPDATE term_analysis SET fingerprint = 'another'", []).unwrap();
        }
        let store = SqliteMemoryStore::new(home.db()).unwrap();
        match upkeep {
            "rebuild_indexes" => store.rebuild_indexes().await.unwrap(),
            "finish_bulk_load" => store.finish_bulk_load().await.unwrap(),
            _ => {}
        }
        let own = home.killed();
        let image = home.killed();
        assert_eq!(count(&own).await, 2, "{upkeep}");
        fs::copy(&backup, &image).unwrap();
        assert_refused(&image);
    }
}

#[tokio::test]
async fn a_log_that_is_partly_in_the_file_goes_on_from_it() {
    let mut home = Home::new();
    let store = SqliteMemoryStore::new(home.db()).unwrap();
    remember(&store).await;
    let behind = Connection::open(home.db()).unwrap();
    behind.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
    let checkpointed = home.killed();
    remember(&store).await;
    let restarted = home.killed();
    behind.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
    store.vacuum().await.unwrap();
    remember(&store).await;
    let vacuumed = home.killed();
    for (image, memories) in [(checkpointed, 1), (restarted, 2), (vacuumed, 3)] {
        assert_eq!(count(&image).await, memories, "{}", image.display());
    }
}
