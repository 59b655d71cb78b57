//! What `pg_dump` writes can be restored, whole or the rows alone.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use common::{TestDatabase, on_server};
use serde_json::json;
use sqlx::Executor;
use vestige_conformance::fixtures::{domain, edge, embedded, id, memory, model, now, review, reviewed};
use vestige_postgres::PgMemoryStore;
use vestige_traits::identity::{Group, GroupMembership, GroupRole, User};
use vestige_traits::stats::{HealthStatus, Severity};
use vestige_traits::transfer::{Checkpoint, TransferKind, TransferRow};
use vestige_traits::{Domain, MemoryStore, SearchQuery};

/// A store with rows in every table that a store fills.
async fn fill(store: &PgMemoryStore) {
    store.register_model(&model()).await.unwrap();
    let user = User {
        id: id(900),
        handle: "ada".to_owned(),
        display_name: None,
        created_at: now(),
        metadata: json!({}),
    };
    let group = Group {
        id: id(901),
        handle: "team".to_owned(),
        display_name: None,
        created_at: now(),
        metadata: json!({}),
    };
    let member =
        GroupMembership { user_id: user.id, group_id: group.id, role: GroupRole::Admin, joined_at: now() };
    let rows = [TransferRow::User(user), TransferRow::Group(group), TransferRow::GroupMembership(member)];
    let checkpoint = Checkpoint { name: "import".to_owned(), state: json!({"page": 1}), updated_at: now() };
    assert_eq!(store.import_page(&rows, Some(checkpoint)).await.unwrap().inserted, 3);
    store
        .insert(&embedded(1, "Deploys are frozen on Fridays.", &[1.0, 0.0, 0.0, 0.0]).codebase("shop"))
        .await
        .unwrap();
    store
        .insert_batch(&[
            embedded(2, "Größe 大小", &[0.0, 1.0, 0.0, 0.0]),
            memory(3, "no vector"),
            memory(4, format!("{} gasket", "a long text ".repeat(400))),
        ])
        .await
        .unwrap();
    store.add_edge(&edge(1, 2, 0.5)).await.unwrap();
    store.record_review(&review(1, 1, None, reviewed(now(), 2.0))).await.unwrap();
    store.update_scheduling(id(1), &reviewed(now(), 2.0)).await.unwrap();
    store
        .upsert_domain(&Domain { centroid: Some(vec![0.0, 0.0, 1.0, 0.0]), ..domain("work") })
        .await
        .unwrap();
    store.vacuum().await.unwrap();
}

/// The schema that the runbook gives a store.
async fn in_schema_of_its_own(database: &TestDatabase) -> PgMemoryStore {
    let pool = database.pool().await;
    pool.execute("CREATE EXTENSION vector; CREATE SCHEMA vestige").await.unwrap();
    pool.close().await;
    let url = format!("{}?options=-csearch_path%3Dvestige,public", database.url);
    PgMemoryStore::connect(&url, 4).await.unwrap()
}

/// The command of the runbook with these words in it, without what runs it in a container, on the databases
/// of a test.
fn command(words: &[&str], databases: &[(&str, &TestDatabase)]) -> String {
    let runbook = include_str!("../../docs/runbook/postgres.md").replace("\\\n", " ");
    let mut lines = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| words.iter().all(|word| line.contains(word)));
    let line = lines.next().unwrap_or_else(|| panic!("no line of the runbook has {words:?}"));
    let run = line.strip_prefix("docker exec ").unwrap();
    let run = run.strip_prefix("-i ").unwrap_or(run).strip_prefix("vestige-pg ").unwrap();
    let words: Vec<String> = run
        .split(' ')
        .map(|word| {
            databases.iter().find(|(name, _)| *name == word).map_or(word, |(_, test)| &test.name).to_owned()
        })
        .collect();
    words.join(" ").replace("-U postgres ", "")
}

async fn everything(store: &PgMemoryStore) -> Vec<TransferRow> {
    let mut rows = Vec::new();
    for kind in TransferKind::ALL {
        let page = store.export_page(kind, None, 100).await.unwrap();
        assert!(page.damaged.is_empty() && page.next.is_none(), "{page:?}");
        rows.extend(page.rows);
    }
    rows
}

/// The subjects of what `diagnose` finds wrong, but for what the test server is.
async fn faults(store: &PgMemoryStore) -> Vec<String> {
    let findings = store.diagnose().await.unwrap();
    findings
        .into_iter()
        .filter(|finding| finding.severity != Severity::Ok)
        .filter(|finding| !["privileges", "durability", "autovacuum"].contains(&finding.subject.as_str()))
        .map(|finding| format!("{}: {}", finding.subject, finding.message))
        .collect()
}

/// That two stores hold and find the same, and that both are well.
async fn assert_same(restored: &PgMemoryStore, original: &PgMemoryStore) {
    assert_eq!(everything(restored).await, everything(original).await);
    assert_eq!(
        restored.get_checkpoint("import").await.unwrap(),
        original.get_checkpoint("import").await.unwrap()
    );
    for query in [
        SearchQuery::text("frozen"),
        SearchQuery::text("grösse"),
        SearchQuery::text("gasket"),
        SearchQuery::embedding(vec![0.1, 1.0, 0.0, 0.0]),
        SearchQuery::hybrid("deploys", vec![1.0, 0.0, 0.0, 0.0]),
    ] {
        let found = original.search(&query).await.unwrap();
        assert!(!found.is_empty(), "{query:?}");
        assert_eq!(restored.search(&query).await.unwrap(), found, "{query:?}");
    }
    assert_eq!((faults(restored).await, faults(original).await), (Vec::new(), Vec::new()));
    assert_eq!(restored.health_check().await.unwrap(), HealthStatus::Healthy);
}

#[tokio::test]
async fn a_dump_is_restored_into_an_empty_database() {
    let (Some(memory), Some(drill)) = (TestDatabase::empty().await, TestDatabase::empty().await) else {
        return;
    };
    let original = in_schema_of_its_own(&memory).await;
    fill(&original).await;
    let databases = [("memory", &memory), ("drill", &drill)];
    let script = [
        command(&["pg_dump", "-Fc", "> memory.dump"], &databases),
        command(&["pg_restore", "< memory.dump"], &databases),
    ];
    on_server::run(&memory.url, &script.join("\n")).await.expect_success();
    let url = format!("{}?options=-csearch_path%3Dvestige,public", drill.url);
    let restored = PgMemoryStore::connect(&url, 4).await.unwrap();
    assert_same(&restored, &original).await;
    for store in [original, restored] {
        store.close().await;
    }
    memory.drop().await;
    drill.drop().await;
}

#[tokio::test]
async fn the_rows_alone_of_a_dump_are_restored_into_a_new_store() {
    for repaired in [true, false] {
        let (Some(memory), Some(fresh)) = (TestDatabase::empty().await, TestDatabase::empty().await) else {
            return;
        };
        let original = in_schema_of_its_own(&memory).await;
        fill(&original).await;
        let restored = in_schema_of_its_own(&fresh).await;
        restored.close().await;
        let databases = [("memory", &memory), ("fresh", &fresh)];
        let script = [
            command(&["pg_dump", "--data-only"], &databases),
            command(&["psql", "TRUNCATE"], &databases),
            command(&["pg_restore", "--data-only"], &databases),
        ];
        on_server::run(&memory.url, &script.join("\n")).await.expect_success();
        let url = format!("{}?options=-csearch_path%3Dvestige,public", fresh.url);
        let restored = PgMemoryStore::connect(&url, 4).await.unwrap();
        let found = faults(&restored).await;
        assert!(found.iter().any(|fault| fault.contains("vectors of any dimension")), "{found:?}");
        // `vestige doctor --repair`, or the next command that names the model.
        if repaired {
            restored.rebuild_indexes().await.unwrap();
        } else {
            restored.register_model(&model()).await.unwrap();
        }
        restored.vacuum().await.unwrap();
        assert_same(&restored, &original).await;
        // What is written afterwards is counted, too.
        restored.insert(&embedded(7, "written afterwards", &[0.0, 0.0, 0.0, 1.0])).await.unwrap();
        restored.delete(id(2)).await.unwrap();
        assert_eq!(faults(&restored).await, Vec::<String>::new());
        for store in [original, restored] {
            store.close().await;
        }
        memory.drop().await;
        fresh.drop().await;
    }
}
