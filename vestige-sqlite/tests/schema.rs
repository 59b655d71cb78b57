//! What the store does with a schema that somebody else has changed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;
use vestige_sqlite::SqliteMemoryStore;
use vestige_traits::stats::{Finding, Severity};
use vestige_traits::transfer::{TransferKind, TransferRow};
use vestige_traits::{ListQuery, MemoryRecord, MemoryStore, MemoryStoreError, SearchQuery};

const EVIL: &str = "CREATE TRIGGER evil AFTER INSERT ON knowledge_nodes
    BEGIN UPDATE knowledge_nodes SET content = 'evil' WHERE node = new.node; END";

async fn filled(home: &TempDir) -> PathBuf {
    let path = home.path().join("memory.db");
    let store = SqliteMemoryStore::new(&path).unwrap();
    store.insert(&MemoryRecord::new("otters")).await.unwrap();
    path
}

fn run(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

/// What is said of the schema, by a store that only reads.
async fn of_the_schema(path: &Path) -> Vec<Finding> {
    let store = SqliteMemoryStore::builder(path).read_only(true).open().unwrap();
    let mut findings = store.diagnose().await.unwrap();
    findings.retain(|finding| finding.subject == "schema");
    findings
}

#[tokio::test]
async fn a_file_with_a_foreign_trigger_is_read_and_not_written() {
    let home = TempDir::new().unwrap();
    let path = filled(&home).await;
    run(&path, EVIL);
    let before = fs::read(&path).unwrap();
    let error = SqliteMemoryStore::new(&path).unwrap_err();
    assert!(matches!(error, MemoryStoreError::Unavailable { retryable: false, .. }), "{error}");
    let said = error.to_string();
    for part in ["memory.db", "trigger evil on knowledge_nodes", "run `DROP TRIGGER evil`"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!((said.lines().count(), fs::read(&path).unwrap()), (1, before));
    let findings = of_the_schema(&path).await;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].severity == Severity::Error && findings[0].message.contains("evil"), "{findings:?}");

    run(&path, "DROP TRIGGER evil");
    SqliteMemoryStore::new(&path).unwrap().insert(&MemoryRecord::new("herons")).await.unwrap();
    assert_eq!(of_the_schema(&path).await[0].severity, Severity::Ok);
}

#[tokio::test]
async fn a_trigger_that_comes_while_the_store_is_open_changes_nothing() {
    let home = TempDir::new().unwrap();
    let path = filled(&home).await;
    let store = SqliteMemoryStore::new(&path).unwrap();
    run(&path, EVIL);
    let record = MemoryRecord::new("herons");
    store.insert(&record).await.unwrap();
    assert_eq!(store.get(record.id).await.unwrap(), Some(record));
}

#[tokio::test]
async fn a_store_of_version_4_can_be_read_where_it_cannot_be_written() {
    const VERSION_4: &str = "DROP TABLE log_state; PRAGMA user_version = 4";
    let version_4 = format!("{WITHOUT_SESSION} {VERSION_4}");
    for change in ["SELECT 1", "ALTER TABLE users ADD COLUMN mood TEXT"] {
        let home = TempDir::new().unwrap();
        let path = filled(&home).await;
        run(&path, &version_4);
        let before = SqliteMemoryStore::builder(&path).read_only(true).open().unwrap().count().await.unwrap();
        run(&path, &format!("{change};"));
        let store = SqliteMemoryStore::builder(&path).read_only(true).open().unwrap();
        assert_eq!((store.count().await.unwrap(), before > 0), (before, true), "{change}");
    }
}

/// Brings a file from version 6 to version 5.
const WITHOUT_SESSION: &str =
    "DROP INDEX idx_knowledge_nodes_session; ALTER TABLE knowledge_nodes DROP COLUMN session;
    PRAGMA user_version = 5;";

#[tokio::test]
async fn a_store_of_before_sessions_is_read_without_and_then_with_them() {
    let home = TempDir::new().unwrap();
    let path = filled(&home).await;
    run(&path, WITHOUT_SESSION);
    let before = fs::read(&path).unwrap();
    let reader = SqliteMemoryStore::builder(&path).read_only(true).open().unwrap();
    let query = SearchQuery::text("otters");
    let found = reader.search(&query).await.unwrap();
    assert_eq!((found.len(), found[0].record.session.as_deref()), (1, None));
    let id = found[0].record.id;
    let listed = reader.list(&ListQuery::new()).await.unwrap().records;
    let page = reader.export_page(TransferKind::Memory, None, 10).await.unwrap();
    assert_eq!(listed, [found[0].record.clone()]);
    assert_eq!((page.rows, page.damaged), (vec![TransferRow::Memory(listed[0].clone())], vec![]));
    assert_eq!(reader.get(id).await.unwrap().as_ref(), Some(&listed[0]));
    assert_eq!(fs::read(&path).unwrap(), before);

    // The reader goes on while another program brings the file to this version.
    let writer = SqliteMemoryStore::new(&path).unwrap();
    assert_eq!(writer.get(id).await.unwrap().as_ref(), Some(&listed[0]));
    writer.update(&listed[0].clone().session("monday")).await.unwrap();
    let found = reader.search(&query).await.unwrap();
    assert_eq!((found.len(), found[0].record.session.as_deref()), (1, Some("monday")));
    assert_eq!(reader.get(id).await.unwrap().unwrap().session.as_deref(), Some("monday"));
    assert_eq!(of_the_schema(&path).await[0].severity, Severity::Ok);
}

#[tokio::test]
async fn another_table_in_the_place_of_vestiges_is_not_written() {
    for change in [
        "ALTER TABLE users ADD COLUMN mood TEXT DEFAULT 'fine'",
        "DROP TABLE reembedding",
        "DROP TABLE domains; CREATE VIEW domains AS SELECT 1 AS id",
        "DROP TRIGGER review_events_never_updated;
         CREATE TRIGGER review_events_never_updated BEFORE UPDATE ON review_events BEGIN SELECT 1; END",
    ] {
        let home = TempDir::new().unwrap();
        let path = filled(&home).await;
        run(&path, change);
        let error = SqliteMemoryStore::new(&path).unwrap_err();
        assert!(matches!(error, MemoryStoreError::Unavailable { .. }), "{change}: {error}");
        let findings = of_the_schema(&path).await;
        assert!(findings.iter().any(|finding| finding.severity == Severity::Error), "{change}: {findings:?}");
    }
}

#[tokio::test]
async fn what_a_person_keeps_beside_the_memories_is_named_and_left_alone() {
    let home = TempDir::new().unwrap();
    let path = filled(&home).await;
    run(
        &path,
        "CREATE TABLE notes (text TEXT); CREATE INDEX by_length ON knowledge_nodes (length(content));
         CREATE VIEW recent AS SELECT content FROM knowledge_nodes;
         CREATE TRIGGER note AFTER INSERT ON notes BEGIN DELETE FROM notes WHERE text = ''; END",
    );
    let store = SqliteMemoryStore::new(&path).unwrap();
    store.insert(&MemoryRecord::new("herons")).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 2);
    let findings = of_the_schema(&path).await;
    assert!(findings.iter().all(|finding| finding.severity == Severity::Warning), "{findings:?}");
    let named: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(
        named,
        [
            "the index by_length on knowledge_nodes is not Vestige's",
            "the trigger note on notes is not Vestige's",
            "the table notes is not Vestige's",
            "the view recent is not Vestige's"
        ]
    );
}

#[tokio::test]
async fn indexes_and_triggers_that_are_gone_are_named_and_made_anew() {
    let home = TempDir::new().unwrap();
    let path = filled(&home).await;
    run(
        &path,
        "DROP INDEX idx_edges_target; DROP TRIGGER review_events_never_deleted;
         DROP INDEX idx_edges_type; CREATE INDEX idx_edges_type ON edges (weight)",
    );
    let findings = of_the_schema(&path).await;
    assert_eq!(findings.len(), 3, "{findings:?}");
    assert!(findings.iter().all(|finding| finding.remedy.as_ref().unwrap().contains("--repair")));
    SqliteMemoryStore::new(&path).unwrap().rebuild_indexes().await.unwrap();
    assert_eq!(of_the_schema(&path).await[0].severity, Severity::Ok);
}
