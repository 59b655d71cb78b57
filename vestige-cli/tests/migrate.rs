//! `vestige migrate`, from outside.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use common::Vestige;
use serde_json::Value;
use vestige_sqlite::SqliteMemoryStore;
use vestige_traits::{MemoryRecord, MemoryStore, ModelSignature};

/// A memory of another model, as an older vestige or another program may have made it.
fn memory_of_another_model(vestige: &Vestige, memories: usize) -> ModelSignature {
    let model = ModelSignature { name: "old/model".to_owned(), dimension: 3, hash: "0b".repeat(32) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = SqliteMemoryStore::new(vestige.db()).unwrap();
        store.register_model(&model).await.unwrap();
        for n in 0..memories {
            let mut record = MemoryRecord::new(format!("The pump number {n} stands in the harbour."));
            record.embedding = Some(vec![1.0, n as f32, 0.5]);
            store.insert(&record).await.unwrap();
        }
    });
    model
}

#[test]
fn a_memory_goes_to_the_named_model_and_is_found_by_it() {
    let vestige = Vestige::new();
    memory_of_another_model(&vestige, 30);
    let refused = vestige.run(&["search", "harbour", "--mode", "vector"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");

    let plan = vestige.run(&["migrate", "--reembed", "--model=bundled", "--dry-run", "--json"]);
    assert_eq!(plan.code, Some(0), "{plan:?}");
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!((&plan["memories"], &plan["pending"]), (&30.into(), &30.into()));
    assert_eq!(plan["from"]["name"], "old/model");

    let report = vestige.path("report.json");
    let run = vestige.run(&[
        "migrate",
        "--reembed",
        "--model=bundled",
        "--yes",
        "--report",
        report.to_str().unwrap(),
    ]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("switched") && run.stdout.contains("30 memories embedded"), "{run:?}");
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(report["outcome"], "switched");

    let found = vestige.run(&["search", "ships and ports", "--mode", "vector", "--json"]);
    assert_eq!(found.code, Some(0), "{found:?}");
    assert!(found.stdout.contains("harbour"), "{found:?}");
    let again = vestige.run(&["migrate", "--reembed", "--model=bundled", "--yes"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.stdout.contains("nothing to do"), "{again:?}");
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_the_work() {
    let vestige = Vestige::new();
    let old = memory_of_another_model(&vestige, 3);
    std::fs::create_dir(vestige.path("folder")).unwrap();
    for report in ["none/report.json", "folder"] {
        let run = vestige.run(&["migrate", "--reembed", "--model=bundled", "--yes", "--report", report]);
        run.refuses(1, &["--report", report, "can be written"]);
    }
    let route =
        ["migrate", "--from", "sqlite", "--to", "postgres", "--postgres-url", "postgres://127.0.0.1:1/x"];
    for flag in ["--report", "--rejects"] {
        vestige
            .run(&[&route[..], &[flag, "none/x"]].concat())
            .refuses(1, &[flag, "none/x", "can be written"]);
    }
    vestige.run(&["restore", "none.jsonl", "--rejects", "none/x"]).refuses(1, &["--rejects", "none/x"]);
    vestige.run(&["restore", "none.jsonl", "--rejects", "x.jsonl"]).refuses(1, &["none.jsonl"]);
    assert!(!vestige.path("x.jsonl").exists(), "trying leaves no file");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("x.jsonl", vestige.path("link")).unwrap();
        vestige.run(&["restore", "none.jsonl", "--rejects", "link"]).refuses(1, &["none.jsonl"]);
        assert!(vestige.path("link").is_symlink() && !vestige.path("x.jsonl").exists());
    }
    assert_eq!(vestige.json(&["stats"])["model"]["name"], old.name);
}

#[cfg(target_os = "linux")]
#[test]
fn what_was_done_is_said_also_where_the_report_cannot_be_written() {
    let vestige = Vestige::new();
    memory_of_another_model(&vestige, 3);
    let run = vestige.run(&["migrate", "--reembed", "--model=bundled", "--yes", "--report", "/dev/full"]);
    run.refuses(1, &["cannot write the report /dev/full"]);
    assert!(run.stdout.contains("switched"), "{run:?}");
    assert!(run.stderr.contains("from now on the model is `bundled`"), "{run:?}");
}

#[test]
fn without_a_person_to_ask_nothing_is_changed() {
    let vestige = Vestige::new();
    let old = memory_of_another_model(&vestige, 3);
    let run = vestige.run(&["migrate", "--reembed", "--model=bundled"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("--yes"), "{run:?}");
    let stats = vestige.run(&["stats", "--json"]);
    let stats: Value = serde_json::from_str(&stats.stdout).unwrap();
    assert_eq!(stats["model"]["name"], old.name);
}

#[test]
fn what_an_unfinished_reembedding_has_built_can_be_dropped() {
    let vestige = Vestige::new();
    memory_of_another_model(&vestige, 3);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let third = ModelSignature { name: "third/model".to_owned(), dimension: 2, hash: "0c".repeat(32) };
    runtime.block_on(async {
        let store = SqliteMemoryStore::new(vestige.db()).unwrap();
        store.begin_reembedding(&third).await.unwrap();
    });
    let run = vestige.run(&["migrate", "--reembed", "--model=bundled", "--yes"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("third/model") && run.stderr.contains("--abort"), "{run:?}");
    let abort = vestige.run(&["migrate", "--reembed", "--abort"]);
    assert_eq!(abort.code, Some(0), "{abort:?}");
    assert!(abort.stdout.contains("third/model"), "{abort:?}");
    assert_eq!(vestige.run(&["migrate", "--reembed", "--model=bundled", "--yes"]).code, Some(0));
    let abort = vestige.run(&["migrate", "--reembed", "--abort"]);
    assert!(abort.stdout.contains("no re-embedding is under way"), "{abort:?}");
}

#[test]
fn wrong_usage_is_said_and_has_its_own_exit_code() {
    let vestige = Vestige::new();
    for (args, saying) in [
        (&["migrate"][..], "--from"),
        (&["migrate", "--from", "sqlite"], "--to"),
        (&["migrate", "--from", "sqlite", "--to", "sqlite"], "vestige restore"),
        (&["migrate", "--from", "sqlite", "--to", "postgres"], "--postgres-url"),
        (&["migrate", "--reembed", "--from", "sqlite", "--to", "postgres"], "cannot be used with"),
        (&["migrate", "--from", "mysql", "--to", "postgres"], "possible values"),
        (&["migrate", "--reembed", "--yes", "--batch-size", "0"], "1..=10000"),
        (
            &["migrate", "--from", "sqlite", "--to", "postgres", "--verify-only", "--dry-run"],
            "cannot be used",
        ),
    ] {
        let run = vestige.run(args);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.contains(saying), "{run:?}");
    }
}

#[test]
fn a_source_that_is_not_there_is_named_and_not_made() {
    let vestige = Vestige::new();
    let mut command = vestige.command();
    command.env_remove("VESTIGE_DB").env("VESTIGE_POSTGRES_URL", "postgres://ada:s3cret@127.0.0.1:1/none");
    let output = command
        .args(["migrate", "--from", "sqlite", "--to", "postgres", "--sqlite-path", "none.db"])
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("none.db") && !stderr.contains("s3cret"), "{stderr}");
    assert!(!vestige.path("none.db").exists());
}

#[test]
fn no_file_that_a_command_writes_replaces_a_store() {
    let vestige = Vestige::new();
    vestige.add(&["The harbour opens at six."]);
    // Somebody who reads keeps the log and the shared memory there.
    let reader = rusqlite::Connection::open(vestige.db()).unwrap();
    reader.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0)).unwrap();
    for name in ["memory.db", "memory.db-wal", "memory.db-shm", "memory.db-journal"] {
        let before = std::fs::read(vestige.path(name)).ok();
        assert_eq!(before.is_some(), name != "memory.db-journal", "{name}");
        vestige.run(&["export", name]).refuses(1, &[name, "name another file"]);
        let restore = ["restore", "none.jsonl", "--db", "other.db", "--rejects", name];
        vestige.run(&restore).refuses(2, &[name, "name another file"]);
        for flag in ["--report", "--rejects"] {
            let route = [
                "migrate",
                "--from",
                "sqlite",
                "--to",
                "postgres",
                "--postgres-url",
                "postgres://127.0.0.1:1/x",
            ];
            vestige.run(&[&route[..], &[flag, name]].concat()).refuses(2, &[name, "name another file"]);
        }
        assert_eq!(std::fs::read(vestige.path(name)).ok(), before, "{name}");
    }
}

#[cfg(unix)]
#[test]
fn no_file_that_a_command_writes_is_one_that_it_works_on() {
    let vestige = Vestige::new();
    vestige.add(&["The harbour opens at six."]);
    vestige.ok(&["export", "a.jsonl"]);
    let archive = std::fs::read(vestige.path("a.jsonl")).unwrap();
    std::fs::hard_link(vestige.path("a.jsonl"), vestige.path("hard.jsonl")).unwrap();
    std::os::unix::fs::symlink("a.jsonl", vestige.path("soft.jsonl")).unwrap();
    for other in ["a.jsonl", "./a.jsonl", "hard.jsonl", "soft.jsonl"] {
        let run = vestige.run(&["restore", "a.jsonl", "--into-existing", "--rejects", other]);
        run.refuses(2, &["--rejects", other, "the archive", "name another file"]);
    }
    let run = vestige.run(&["restore", "a.jsonl", "--db", "new.db", "--rejects", "./new.db"]);
    run.refuses(2, &["--rejects", "the store"]);
    let output = vestige.shell("vestige restore - --rejects a.jsonl < a.jsonl").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(std::fs::read(vestige.path("a.jsonl")).unwrap(), archive);

    let route =
        ["migrate", "--from", "postgres", "--to", "sqlite", "--postgres-url", "postgres://127.0.0.1:1/x"];
    for (args, saying) in [
        (&["--sqlite-path", "copy.db", "--report", "copy.db"][..], "the SQLite file of the copy"),
        (&["--sqlite-path", "copy.db", "--rejects", "./copy.db"], "the SQLite file of the copy"),
        (&["--sqlite-path", "copy.db", "--rejects", "r.jsonl", "--report", "r.jsonl"], "the rejects"),
        (&["--sqlite-path", "copy.db", "--report", "vestige-rejects.jsonl"], "the rejects"),
    ] {
        vestige.run(&[&route[..], args].concat()).refuses(2, &[saying, "name another file"]);
    }
    assert!(!vestige.path("copy.db").exists());
}

#[cfg(unix)]
#[test]
fn an_archive_is_restored_from_a_pipe_with_a_name() {
    let vestige = Vestige::new();
    vestige.add(&["The harbour opens at six."]);
    vestige.ok(&["export", "a.jsonl"]);
    for script in [
        "cat a.jsonl | vestige restore /dev/stdin --db 1.db",
        "vestige restore /dev/stdin --db 2.db < a.jsonl",
        "mkfifo pipe && { cat a.jsonl > pipe & vestige restore pipe --db 3.db; }",
    ] {
        let output = vestige.shell(script).output().unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 memories restored"), "{script}");
    }
    std::fs::create_dir(vestige.path("folder")).unwrap();
    vestige.run(&["restore", "folder"]).refuses(1, &["cannot read folder", "directory"]);
}

#[cfg(target_os = "linux")]
#[test]
fn an_archive_that_goes_to_stdout_by_another_name_is_followed_by_nothing() {
    let vestige = Vestige::new();
    vestige.add(&["The harbour opens at six."]);
    for flags in ["", "--json"] {
        let output =
            vestige.shell(&format!("vestige export /dev/stdout {flags} | cat > a.jsonl")).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.starts_with("note: ") && stderr.contains("1 memories"), "{stderr}");
        vestige.ok(&["restore", "a.jsonl", "--db", "new.db"]);
    }
}

#[test]
fn an_archive_that_is_cut_off_by_its_reader_is_no_success() {
    let vestige = Vestige::new();
    let lines: String =
        (0..3000).map(|n| format!("{{\"content\": \"memory number {n} with some text\"}}\n")).collect();
    vestige.run_with_stdin(&["import", "-"], lines.as_bytes()).ok();
    let script = "(vestige export -; echo $? > code) | head -c 10 > part";
    vestige.shell(script).output().unwrap();
    assert_eq!(std::fs::read_to_string(vestige.path("code")).unwrap().trim(), "1");
}

#[test]
fn rows_that_a_restore_does_not_bring_in_go_to_a_file() {
    let vestige = Vestige::new();
    let id = vestige.add(&["The harbour opens at six."]);
    vestige.ok(&["export", "before.jsonl"]);
    vestige.ok(&["update", &id, "--content", "The harbour opens at seven."]);
    let run = vestige.run(&[
        "restore",
        "before.jsonl",
        "--into-existing",
        "--rejects",
        "r.jsonl",
        "--db",
        "memory.db",
    ]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("1 are there with other content"), "{run:?}");
    assert!(!run.stderr.contains("--into-existing"), "it was said already: {run:?}");
    let rejects = std::fs::read_to_string(vestige.path("r.jsonl")).unwrap();
    let reject: Value = serde_json::from_str(&rejects).unwrap();
    assert_eq!((&reject["outcome"], &reject["key"][0]), (&"conflict".into(), &Value::from(id.clone())));
    assert_eq!(reject["row"]["content"], "The harbour opens at six.");
    assert!(vestige.ok(&["get", &id]).contains("seven"), "nothing is overwritten");
}
