//! `vestige migrate` between SQLite and PostgreSQL. Needs the server that `VESTIGE_TEST_PG_URL` names.

#![cfg(feature = "postgres-backend")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use std::process::Stdio;
use std::time::Duration;

use common::Vestige;
use common::database::Database;
use serde_json::Value;

const MEMORIES: &str = include_str!("../demo/memories.jsonl");

fn filled() -> Vestige {
    let vestige = Vestige::new();
    vestige.write("m.jsonl", MEMORIES);
    vestige.ok(&["import", "m.jsonl"]);
    vestige.ok(&["link", "019bb17c", "019bb182"]);
    vestige.ok(&["export", "before.jsonl"]);
    vestige
}

/// `vestige migrate` of the memory to the database, with more flags.
fn there<'a>(database: &'a Database, more: &[&'a str]) -> Vec<&'a str> {
    let route = ["migrate", "--from", "sqlite", "--to", "postgres", "--sqlite-path", "memory.db"];
    [&route[..], &["--postgres-url", database.url.as_str()], more].concat()
}

fn read(vestige: &Vestige, name: &str) -> String {
    std::fs::read_to_string(vestige.path(name)).unwrap()
}

#[test]
fn a_memory_goes_to_postgres_and_back_and_nothing_is_lost() {
    let Some(database) = Database::new("a_memory_goes_to_postgres_and_back_and_nothing_is_lost") else {
        return;
    };
    let vestige = filled();
    let before = std::fs::read(vestige.db()).unwrap();

    let plan: Value = serde_json::from_str(&vestige.ok(&there(&database, &["--dry-run", "--json"]))).unwrap();
    assert_eq!(plan["rows"]["memory"]["inserted"], 324);
    let said = vestige.ok(&there(&database, &["--dry-run"]));
    assert!(said.contains("would move 325 rows"), "{said}");

    let run = vestige.run(&there(&database, &["--report", "report.json", "--batch-size", "50"]));
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("equal") && run.stdout.contains("324"), "{run:?}");
    assert!(run.stdout.contains("keyword") && run.stdout.contains("searches: 50 of 50 the same"), "{run:?}");
    let report: Value = serde_json::from_str(&read(&vestige, "report.json")).unwrap();
    assert_eq!(report["proof"]["source"], report["proof"]["target"]);
    assert_eq!(report["outcome"], "complete");
    assert_eq!(std::fs::read(vestige.db()).unwrap(), before, "the source is as it was");

    let again = vestige.ok(&there(&database, &[]));
    assert!(again.contains("completed before; nothing was changed"), "{again}");
    let verified: Value =
        serde_json::from_str(&vestige.ok(&there(&database, &["--verify-only", "--json"]))).unwrap();
    assert_eq!(verified["source"], verified["target"]);

    vestige.ok(&["--postgres-url", &database.url, "export", "there.jsonl"]);
    assert!(read(&vestige, "there.jsonl") == read(&vestige, "before.jsonl"));
    let back = ["migrate", "--from", "postgres", "--to", "sqlite", "--sqlite-path", "back.db"];
    vestige.ok(&[&back[..], &["--postgres-url", &database.url]].concat());
    vestige.ok(&["--db", "back.db", "export", "back.jsonl"]);
    assert!(read(&vestige, "back.jsonl") == read(&vestige, "before.jsonl"));
}

#[test]
fn a_database_with_other_memories_is_refused_and_merged_where_that_is_asked_for() {
    let test = "a_database_with_other_memories_is_refused_and_merged_where_that_is_asked_for";
    let Some(database) = Database::new(test) else { return };
    let vestige = filled();
    let on_postgres = ["--postgres-url", database.url.as_str()];
    vestige.ok(&[&["add", "The database had this before."], &on_postgres[..]].concat());
    vestige.run(&there(&database, &[])).refuses(1, &["already holds 1 memories", "--into-existing"]);
    vestige.run(&there(&database, &["--dry-run"])).refuses(1, &["--into-existing"]);
    let merged = vestige.ok(&there(&database, &["--into-existing"]));
    assert!(merged.contains("every one is in the target unchanged, beside 1 other row"), "{merged}");
    let stats: Value =
        serde_json::from_str(&vestige.ok(&[&["stats", "--json"], &on_postgres[..]].concat())).unwrap();
    assert_eq!(stats["memories"], 325);
}

#[test]
fn a_row_that_cannot_be_moved_is_written_to_a_file_and_stops_nothing() {
    let test = "a_row_that_cannot_be_moved_is_written_to_a_file_and_stops_nothing";
    let Some(database) = Database::new(test) else { return };
    let vestige = filled();
    let file = rusqlite::Connection::open(vestige.db()).unwrap();
    let nul = "UPDATE knowledge_nodes SET content = 'a' || char(0) || 'b' WHERE node = (SELECT max(node) FROM knowledge_nodes)";
    assert_eq!(file.execute(nul, []).unwrap(), 1);
    drop(file);

    let planned = vestige.run(&there(&database, &["--dry-run"]));
    assert_eq!(planned.code, Some(1), "{planned:?}");
    assert!(!vestige.path("vestige-rejects.jsonl").exists(), "a plan writes nothing");

    let run = vestige.run(&there(&database, &[]));
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("U+0000") && run.stderr.contains("1 row not moved"), "{run:?}");
    let rejects = read(&vestige, "vestige-rejects.jsonl");
    let reject: Value = serde_json::from_str(rejects.trim()).unwrap();
    assert_eq!((&reject["kind"], &reject["outcome"]), (&"memory".into(), &"rejected".into()));
    assert_eq!(reject["row"]["content"], "a\0b");
    let stats = vestige.ok(&["stats", "--json", "--postgres-url", &database.url]);
    assert_eq!(serde_json::from_str::<Value>(&stats).unwrap()["memories"], 323);
    // And the same answer at any later time.
    assert_eq!(vestige.run(&there(&database, &["--verify-only"])).code, Some(1));
    assert_eq!(vestige.run(&there(&database, &[])).code, Some(1));
}

#[test]
fn the_command_killed_at_any_moment_goes_on_where_it_stopped() {
    let test = "the_command_killed_at_any_moment_goes_on_where_it_stopped";
    let Some(database) = Database::new(test) else { return };
    let vestige = filled();
    let args = there(&database, &["--batch-size", "1"]);
    let mut killed = 0;
    for n in 0..30 {
        let mut child = vestige.spawn(&args, Stdio::null());
        std::thread::sleep(Duration::from_millis(60 + n * 37 % 200));
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            break;
        }
        killed += 1;
    }
    assert!(killed >= 2, "killed only {killed} times: the copy is too short");
    vestige.ok(&args);
    vestige.ok(&["--postgres-url", &database.url, "export", "there.jsonl"]);
    assert!(read(&vestige, "there.jsonl") == read(&vestige, "before.jsonl"));
}

#[test]
fn a_memory_on_postgres_goes_to_another_model() {
    let Some(database) = Database::new("a_memory_on_postgres_goes_to_another_model") else { return };
    let old =
        vestige_traits::ModelSignature { name: "old/model".into(), dimension: 3, hash: "0b".repeat(32) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        use vestige_traits::MemoryStore;
        let store = vestige_postgres::PgMemoryStore::connect(&database.url, 2).await.unwrap();
        store.register_model(&old).await.unwrap();
        for n in 0..20 {
            let mut record =
                vestige_traits::MemoryRecord::new(format!("The pump number {n} stands in the harbour."));
            record.embedding = Some(vec![1.0, n as f32, 0.5]);
            store.insert(&record).await.unwrap();
        }
        store.close().await;
    });
    let vestige = Vestige::on_postgres(&database.url);
    let run = vestige.run(&["migrate", "--reembed", "--model=bundled", "--yes"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("20 memories embedded"), "{run:?}");
    let found = vestige.ok(&["search", "ships and ports", "--mode", "vector"]);
    assert!(found.contains("harbour"), "{found}");
}
