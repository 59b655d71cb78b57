//! What the store does with files that are not as they should be.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;
use vestige_sqlite::SqliteMemoryStore;
use vestige_traits::scheduling::{Rating, ReviewEvent, SchedulingState};
use vestige_traits::stats::{Finding, Severity};
use vestige_traits::transfer::{TransferKind, TransferRow};
use vestige_traits::{ListQuery, MemoryRecord, MemoryStore, MemoryStoreError, SearchQuery};

async fn filled(path: &Path, memories: usize) {
    let store = SqliteMemoryStore::new(path).unwrap();
    let records: Vec<_> = (0..memories).map(|n| MemoryRecord::new(format!("memory number {n}"))).collect();
    store.insert_batch(&records).await.unwrap();
}

/// Opens `path`, which must be refused and left as it was.
fn refused(path: &Path) -> MemoryStoreError {
    let before = fs::read(path).unwrap();
    let error = SqliteMemoryStore::new(path).expect_err("it should have been refused");
    assert_eq!(fs::read(path).unwrap(), before, "the file was changed");
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
    error
}

#[tokio::test]
async fn a_new_file_is_readable_by_its_owner_alone() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("memory.db");
    filled(&path, 1).await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn what_was_stored_is_there_after_opening_again() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("memory.db");
    filled(&path, 25).await;
    let store = SqliteMemoryStore::new(&path).unwrap();
    assert_eq!(store.count().await.unwrap(), 25);
    assert_eq!(
        store.search(&SearchQuery::text("number 7")).await.unwrap()[0].record.content,
        "memory number 7"
    );
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("notes.txt");
    fs::write(&path, "dear diary, ".repeat(1000)).unwrap();
    assert!(matches!(refused(&path), MemoryStoreError::Damaged { .. }));
}

#[test]
fn a_database_of_another_program_is_refused() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("other.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
    let error = refused(&path);
    assert!(error.to_string().contains("another program"), "{error}");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("memory.db");
    filled(&path, 1).await;
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(refused(&path), MemoryStoreError::SchemaTooNew { found: 99, .. }));
}

#[tokio::test]
async fn a_truncated_file_is_an_error_and_never_a_wrong_answer() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("memory.db");
    filled(&path, 2000).await;
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    match SqliteMemoryStore::new(&path) {
        Err(error) => assert!(matches!(error, MemoryStoreError::Damaged { .. }), "{error}"),
        Ok(store) => match store.diagnose().await {
            Err(error) => assert!(matches!(error, MemoryStoreError::Damaged { .. }), "{error}"),
            Ok(findings) => assert!(findings.iter().any(|finding| finding.severity == Severity::Error)),
        },
    }
}

#[test]
fn a_folder_that_does_not_exist_is_named() {
    let home = TempDir::new().unwrap();
    let error = SqliteMemoryStore::new(home.path().join("no/such/folder.db")).unwrap_err();
    assert!(error.to_string().contains("no/such/folder.db"), "{error}");
    let missing = home.path().join("missing.db");
    let error = SqliteMemoryStore::builder(&missing).create(false).open().unwrap_err();
    assert!(matches!(error, MemoryStoreError::Unavailable { .. }), "{error}");
    assert!(!missing.exists());
}

#[tokio::test]
async fn a_store_that_is_only_read_refuses_writes_and_answers_reads() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("memory.db");
    filled(&path, 3).await;
    let before = fs::read(&path).unwrap();
    let store = SqliteMemoryStore::builder(&path).read_only(true).open().unwrap();
    assert_eq!(store.count().await.unwrap(), 3);
    let refusal = store.insert(&MemoryRecord::new("no")).await;
    assert!(matches!(refusal, Err(MemoryStoreError::ReadOnly)));
    drop(store);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let home = TempDir::new().unwrap();
    let error = SqliteMemoryStore::new(home.path()).unwrap_err();
    assert!(
        matches!(error, MemoryStoreError::Damaged { .. }) && error.to_string().contains("folder"),
        "{error}"
    );
    for path in ["", ":memory:"] {
        let error = SqliteMemoryStore::new(path).unwrap_err();
        assert!(matches!(error, MemoryStoreError::InvalidInput { .. }), "{error}");
        assert!(!Path::new(":memory:").exists());
    }
    #[cfg(unix)]
    {
        let error = SqliteMemoryStore::new("/dev/null").unwrap_err();
        assert!(error.to_string().contains("/dev/null") && error.to_string().contains("regular"), "{error}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_may_be_written_again_is_written_whatever_a_reader_left_beside_it() {
    use std::os::unix::fs::PermissionsExt;
    let home = TempDir::new().unwrap();
    let path = home.path().join("memory.db");
    filled(&path, 1).await;
    // What a reader of the write-protected file leaves, and a link to the file.
    let sides = ["memory.db-wal", "memory.db-shm"].map(|name| home.path().join(name));
    for side in &sides {
        fs::write(side, "").unwrap();
        fs::set_permissions(side, fs::Permissions::from_mode(0o444)).unwrap();
    }
    let link = home.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let store = SqliteMemoryStore::new(&link).unwrap();
    for side in &sides {
        assert_eq!(fs::metadata(side).unwrap().permissions().mode() & 0o777, 0o600, "{}", side.display());
    }
    store.insert(&MemoryRecord::new("another")).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 2);
}

#[test]
fn an_empty_database_with_a_version_of_its_own_is_another_programs() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("other.db");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 1).unwrap();
    let error = refused(&path);
    assert!(error.to_string().contains("another program"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_was_removed_or_replaced_is_neither_written_nor_read() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("memory.db");
    let store = SqliteMemoryStore::new(&path).unwrap();
    store.insert(&MemoryRecord::new("before")).await.unwrap();
    for replaced in [false, true] {
        fs::remove_file(&path).unwrap();
        if replaced {
            filled(&path, 3).await;
        }
        let lost = store.insert(&MemoryRecord::new("lost")).await.unwrap_err();
        assert!(matches!(&lost, MemoryStoreError::Unavailable { retryable: false, .. }), "{lost}");
        assert!(lost.to_string().contains("removed or replaced"), "{lost}");
        store.count().await.unwrap_err();
        filled(&home.path().join("other.db"), 0).await;
        fs::rename(home.path().join("other.db"), &path).unwrap();
    }
    drop(store);
    assert_eq!(SqliteMemoryStore::new(&path).unwrap().count().await.unwrap(), 0);
}

#[tokio::test]
async fn an_empty_file_that_is_only_read_is_refused() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("memory.db");
    fs::write(&path, "").unwrap();
    let error = SqliteMemoryStore::builder(&path).read_only(true).open().unwrap_err();
    assert!(matches!(error, MemoryStoreError::Damaged { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[tokio::test]
async fn an_index_that_disagrees_with_the_rows_is_found_and_mended() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("memory.db");
    filled(&path, 50).await;
    let broken = |findings: &[Finding]| -> Vec<String> {
        let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
        errors.map(|finding| finding.subject.clone()).collect()
    };
    let store = SqliteMemoryStore::new(&path).unwrap();
    assert_eq!(broken(&store.diagnose().await.unwrap()), Vec::<String>::new());

    let behind = Connection::open(&path).unwrap();
    behind
        .execute_batch("UPDATE knowledge_nodes SET content = 'longer than it was before', tags = '[\"x\"]'")
        .unwrap();
    assert_eq!(broken(&store.diagnose().await.unwrap()), ["keyword index", "tag and domain index"]);
    store.rebuild_indexes().await.unwrap();
    assert_eq!(broken(&store.diagnose().await.unwrap()), Vec::<String>::new());
    assert_eq!(store.search(&SearchQuery::text("longer").limit(100)).await.unwrap().len(), 50);
}

#[tokio::test]
async fn a_damaged_row_is_named_and_hides_no_other() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("memory.db");
    filled(&path, 3).await;
    let store = SqliteMemoryStore::new(&path).unwrap();
    let page = store.list(&ListQuery::default()).await.unwrap();
    let (damaged, sound) = (page.records[0].id, page.records[1].id);
    let behind = Connection::open(&path).unwrap();
    for damage in ["tags = 'zzz'", "content = CAST(x'6162ff' AS TEXT)", "embedding = x'00'"] {
        behind
            .execute(&format!("UPDATE knowledge_nodes SET {damage} WHERE id = ?"), [damaged.into_bytes()])
            .unwrap();
        let error = store.get(damaged).await.unwrap_err();
        assert!(matches!(error, MemoryStoreError::Damaged { .. }), "{damage}: {error:?}");
        assert!(error.to_string().contains(&damaged.to_string()), "{damage}: {error}");
        assert!(store.get(sound).await.unwrap().is_some());
        let findings = store.diagnose().await.unwrap();
        assert!(
            findings.iter().any(|finding| finding.message.contains(&damaged.to_string())),
            "{findings:?}"
        );
    }
}

/// A store as its first version made it, with a memory and a review of it.
async fn of_the_first_version(path: &Path) -> (MemoryRecord, ReviewEvent) {
    let store = SqliteMemoryStore::new(path).unwrap();
    let record = MemoryRecord::new("reviewed long ago");
    store.insert(&record).await.unwrap();
    let state = SchedulingState {
        stability: 3.0,
        difficulty: 5.0,
        retrievability: 1.0,
        last_review: Some(record.created_at),
        next_review: None,
        reps: 1,
        lapses: 0,
    };
    let event = ReviewEvent::new(record.id, record.created_at, Rating::Good, None, state);
    store.record_review(&event).await.unwrap();
    drop(store);
    let behind = Connection::open(path).unwrap();
    let as_made = Connection::open_in_memory().unwrap();
    as_made.execute_batch(include_str!("../src/sql/0001_init.sql")).unwrap();
    let terms = "SELECT sql FROM sqlite_schema WHERE name = 'memory_terms'";
    let terms: String = as_made.query_row(terms, [], |row| row.get(0)).unwrap();
    behind.execute_batch(&format!("DROP TABLE memory_terms; {terms}")).unwrap();
    behind
        .execute_batch(
            "DROP INDEX idx_knowledge_nodes_session; ALTER TABLE knowledge_nodes DROP COLUMN session;
             DROP TABLE term_analysis; DROP TABLE log_state;
             DROP TRIGGER review_events_never_updated; DROP TRIGGER review_events_never_deleted;
             DROP INDEX idx_review_events_memory;
             CREATE INDEX idx_review_events_memory ON review_events (memory_id, timestamp);
             PRAGMA user_version = 1;",
        )
        .unwrap();
    assert_eq!(schema(&behind), schema(&as_made));
    (record, event)
}

fn schema(connection: &Connection) -> Vec<(String, Option<String>)> {
    let sql = "SELECT name, sql FROM sqlite_schema ORDER BY name";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_store_of_the_first_version_is_brought_to_the_present_one() {
    let home = TempDir::new().unwrap();
    let (old, new) = (home.path().join("old.db"), home.path().join("new.db"));
    let (record, event) = of_the_first_version(&old).await;
    let refused = SqliteMemoryStore::builder(&old).read_only(true).open().unwrap_err();
    assert!(refused.to_string().contains("open it for writing once"), "{refused}");

    let store = SqliteMemoryStore::new(&old).unwrap();
    assert_eq!(store.get(record.id).await.unwrap(), Some(record));
    assert_eq!(store.get_reviews(event.memory_id).await.unwrap(), [event]);
    drop(store);
    drop(SqliteMemoryStore::new(&new).unwrap());
    let [old, new] = [old, new].map(|path| Connection::open(path).unwrap());
    assert_eq!(schema(&old), schema(&new));
    let version = |store: &Connection| -> i64 {
        store.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    };
    assert_eq!(version(&old), version(&new));
}

#[tokio::test]
async fn nothing_changes_the_log_of_reviews() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("memory.db");
    let (record, event) = of_the_first_version(&path).await;
    let store = SqliteMemoryStore::new(&path).unwrap();
    let behind = Connection::open(&path).unwrap();
    for change in ["UPDATE review_events SET rating = 'easy'", "DELETE FROM review_events"] {
        let error = behind.execute(change, []).unwrap_err();
        assert!(error.to_string().contains("append only"), "{error}");
    }
    store.delete(record.id).await.unwrap();
    assert_eq!(store.get_reviews(record.id).await.unwrap(), [event]);
}

/// The words of a store as another analysis would have them: `otter` has become `heron`, which no text holds.
fn of_another_analysis(path: &Path, fingerprint: &str) {
    let behind = Connection::open(path).unwrap();
    let memories: i64 =
        behind.query_row("SELECT max(node) FROM knowledge_nodes", [], |row| row.get(0)).unwrap();
    behind.execute("INSERT INTO memory_terms (memory_terms) VALUES ('delete-all')", []).unwrap();
    for node in 1..=memories {
        behind
            .execute(
                "INSERT INTO memory_terms (rowid, content, node_type) VALUES (?, 'heron', 'general')",
                [node],
            )
            .unwrap();
    }
    behind.execute("UPDATE term_analysis SET fingerprint = ?", [fingerprint]).unwrap();
}

fn findings(health: &[Finding], subject: &str) -> Vec<Severity> {
    health.iter().filter(|finding| finding.subject == subject).map(|finding| finding.severity).collect()
}

#[tokio::test]
async fn words_of_another_analysis_are_made_anew() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("memory.db");
    filled(&path, 0).await;
    let open = SqliteMemoryStore::new(&path).unwrap();
    let record = MemoryRecord::new("otters");
    open.insert(&record).await.unwrap();
    assert_eq!(open.search(&SearchQuery::text("otter")).await.unwrap().len(), 1);
    of_another_analysis(&path, "another");

    // What this handle puts in or takes out would not go with what is there.
    for refused in [
        open.insert(&MemoryRecord::new("otters too")).await.unwrap_err(),
        open.update(&record).await.unwrap_err(),
        open.delete(record.id).await.unwrap_err(),
    ] {
        assert!(matches!(&refused, MemoryStoreError::Unavailable { retryable: false, .. }), "{refused}");
        assert!(refused.to_string().contains("another version of Vestige"), "{refused}");
    }
    assert_eq!(open.count().await.unwrap(), 1);

    let store = SqliteMemoryStore::new(&path).unwrap();
    for store in [&open, &store] {
        assert_eq!(store.search(&SearchQuery::text("otter")).await.unwrap()[0].record.id, record.id);
        assert!(store.search(&SearchQuery::text("heron")).await.unwrap().is_empty());
        assert_eq!(findings(&store.diagnose().await.unwrap(), "keyword index"), [Severity::Ok]);
    }
    open.delete(record.id).await.unwrap();
    assert!(store.search(&SearchQuery::text("otter")).await.unwrap().is_empty());
}

#[tokio::test]
async fn other_words_in_the_index_are_diagnosed_though_they_are_as_many() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("memory.db");
    let store = SqliteMemoryStore::new(&path).unwrap();
    store.insert(&MemoryRecord::new("otters")).await.unwrap();
    let fingerprint: String = Connection::open(&path)
        .unwrap()
        .query_row("SELECT fingerprint FROM term_analysis", [], |row| row.get(0))
        .unwrap();
    of_another_analysis(&path, &fingerprint);
    assert_eq!(findings(&store.diagnose().await.unwrap(), "keyword index"), [Severity::Error]);
    store.rebuild_indexes().await.unwrap();
    assert_eq!(findings(&store.diagnose().await.unwrap(), "keyword index"), [Severity::Ok]);
}

#[tokio::test]
async fn a_damaged_row_stops_no_repair_and_can_be_deleted() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("memory.db");
    let store = SqliteMemoryStore::new(&path).unwrap();
    let records = ["otters", "herons", "beavers"].map(MemoryRecord::new);
    store.insert_batch(&records).await.unwrap();
    let behind = Connection::open(&path).unwrap();
    let damages = ["tags = 'no JSON'", "content = CAST(x'ff' AS TEXT)", "metadata = '{'"];
    for (damage, record) in damages.into_iter().zip(&records) {
        let sql = format!("UPDATE knowledge_nodes SET {damage} WHERE id = ?");
        behind.execute(&sql, [record.id.into_bytes()]).unwrap();
        let damaged = store.get(record.id).await.unwrap_err();
        assert!(matches!(damaged, MemoryStoreError::Damaged { .. }), "{damaged}");
    }
    store.delete(records[0].id).await.unwrap();
    store.rebuild_indexes().await.unwrap();
    for record in &records[1..] {
        store.delete(record.id).await.unwrap();
    }
    assert_eq!(store.count().await.unwrap(), 0);
    let health = store.diagnose().await.unwrap();
    assert!(health.iter().all(|finding| finding.severity == Severity::Ok), "{health:?}");
    let left: i64 =
        behind.query_row("SELECT count(*) FROM memory_terms_docsize", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
    assert!(store.search(&SearchQuery::text("otter heron beaver")).await.unwrap().is_empty());
}

/// Overwrites a page in the middle of those that hold the rows of a table.
fn spoil_a_page(path: &Path, table: &str) {
    use std::io::{Seek, SeekFrom, Write};
    let store = Connection::open(path).unwrap();
    store.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let size: u64 = store.pragma_query_value(None, "page_size", |row| row.get(0)).unwrap();
    let sql = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf'";
    let mut statement = store.prepare(sql).unwrap();
    let pages = statement.query_map([table], |row| row.get(0)).unwrap();
    let pages: Vec<u64> = pages.map(Result::unwrap).collect();
    assert!(pages.len() > 3, "{pages:?}");
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start((pages[pages.len() / 2] - 1) * size)).unwrap();
    file.write_all(&vec![0xff; usize::try_from(size).unwrap()]).unwrap();
}

#[tokio::test]
async fn a_damaged_page_costs_its_own_memories_and_no_others() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("memory.db");
    filled(&path, 500).await;
    spoil_a_page(&path, "knowledge_nodes");
    let store = SqliteMemoryStore::new(&path).unwrap();
    let (mut read, mut damaged, mut after, mut first) = (0, 0, None, Uuid::nil());
    loop {
        let page = store.export_page(TransferKind::Memory, after.as_ref(), 30).await.unwrap();
        read += page.rows.len();
        damaged += page.damaged.len();
        if let Some(TransferRow::Memory(record)) = page.rows.first() {
            first = record.id;
        }
        assert!(page.damaged.iter().all(|issue| issue.reason.contains("damaged")), "{:?}", page.damaged);
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(read + damaged, 500);
    assert!((1..100).contains(&damaged), "{damaged}");

    let health = store.diagnose().await.unwrap();
    assert_eq!(findings(&health, "memories"), [Severity::Error]);
    assert_eq!(findings(&health, "keyword index"), [Severity::Ok]);
    assert_eq!(findings(&health, "model"), [Severity::Error]);
    drop(store);
    // Another analysis has to be made up for, and repaired is what can be.
    Connection::open(&path).unwrap().execute("UPDATE term_analysis SET fingerprint = ''", []).unwrap();
    let store = SqliteMemoryStore::new(&path).unwrap();
    assert_eq!(findings(&store.diagnose().await.unwrap(), "keyword index"), [Severity::Ok]);
    store.rebuild_indexes().await.unwrap();
    assert_eq!(store.get(first).await.unwrap().map(|record| record.id), Some(first));
    let health = store.diagnose().await.unwrap();
    let remedies = health.iter().filter_map(|finding| finding.remedy.as_deref());
    assert!(
        remedies.into_iter().all(|remedy| remedy.contains("export what can still be read")),
        "{health:?}"
    );
}

#[tokio::test]
async fn a_file_that_is_locked_is_said_with_the_process_that_holds_it() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("memory.db");
    let builder = SqliteMemoryStore::builder(&path).busy_timeout(std::time::Duration::from_millis(50));
    let store = builder.open().unwrap();
    let behind = Connection::open(&path).unwrap();
    behind.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.insert(&MemoryRecord::new("otters")).await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    let said = error.to_string();
    assert!(said.contains("memory.db is locked") && said.contains("try again"), "{said}");
    if cfg!(target_os = "linux") {
        assert!(said.contains(&format!("process {} (", std::process::id())), "{said}");
    }
    behind.execute_batch("COMMIT").unwrap();
    store.insert(&MemoryRecord::new("otters")).await.unwrap();
}
