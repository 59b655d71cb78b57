//! A store that cannot be used: one clear line, and the file is left as it was.

mod common;

use std::path::Path;
use std::process::Command;

use common::{PROGRAM, Run, Vestige, skip};
use rusqlite::Connection;
use serde_json::{Value, json};

fn filled(memories: usize) -> Vestige {
    let vestige = Vestige::new();
    let lines: String = (0..memories).map(|n| format!("{{\"content\": \"memory number {n}\"}}\n")).collect();
    vestige.run_with_stdin(&["import", "-"], lines.as_bytes()).ok();
    vestige
}

/// The commands that are tried on a broken store.
const COMMANDS: [&[&str]; 9] = [
    &["search", "memory"],
    &["add", "another"],
    &["list"],
    &["stats"],
    &["get", "00000000-0000-0000-0000-000000000001"],
    &["delete", "00000000-0000-0000-0000-000000000001"],
    &["export", "out.jsonl"],
    &["import", "in.jsonl"],
    &["neighbors", "00000000-0000-0000-0000-000000000001"],
];

/// Tries every command on the store, and checks that each refuses in one line with these words and leaves
/// the file byte for byte as it was. `doctor` reports it and fails.
fn refused_and_untouched(vestige: &Vestige, words: &[&str]) {
    vestige.write("in.jsonl", "{\"content\": \"another\"}\n");
    let before = std::fs::read(vestige.db()).expect("the file");
    for command in COMMANDS {
        vestige.run(command).refuses(1, words);
        assert!(std::fs::read(vestige.db()).expect("the file") == before, "{command:?} changed the file");
    }
    let doctor = vestige.run(&["doctor"]);
    assert_eq!(doctor.code, Some(1), "{}", doctor.stdout);
    for word in words.iter().chain(&["error", "→"]) {
        assert!(doctor.stdout.contains(word), "doctor does not say {word:?}: {}", doctor.stdout);
    }
    assert!(std::fs::read(vestige.db()).expect("the file") == before, "doctor changed the file");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    for text in
        [&b"hello, I am a text file that somebody keeps here"[..], &[0xff; 5000], b"SQLite format 3\0 or not"]
    {
        let vestige = Vestige::new();
        vestige.write("memory.db", text);
        refused_and_untouched(&vestige, &["memory.db"]);
    }
}

#[test]
fn a_database_of_another_program_is_refused() {
    let vestige = Vestige::new();
    let other = Connection::open(vestige.db()).expect("a database");
    other
        .execute_batch("CREATE TABLE recipes (id INTEGER PRIMARY KEY, name TEXT); PRAGMA user_version = 1;")
        .expect("SQL");
    drop(other);
    refused_and_untouched(&vestige, &["memory.db"]);
}

#[test]
fn a_store_of_a_newer_version_is_refused() {
    let vestige = filled(3);
    let connection = Connection::open(vestige.db()).expect("the store");
    connection.execute_batch("PRAGMA user_version = 9999; PRAGMA wal_checkpoint(TRUNCATE);").expect("SQL");
    drop(connection);
    refused_and_untouched(&vestige, &["memory.db", "schema version 9999", "upgrade vestige"]);
}

#[test]
fn a_folder_in_the_place_of_the_file_is_refused() {
    let vestige = Vestige::new();
    std::fs::create_dir(vestige.db()).expect("a folder");
    for command in COMMANDS.iter().filter(|command| command[0] != "import") {
        vestige.run(command).refuses(1, &["memory.db"]);
    }
}

#[test]
fn a_damaged_file_is_refused_or_works_but_never_panics_and_doctor_says_so() {
    let sound = filled(400);
    checkpoint(&sound.db());
    let bytes = std::fs::read(sound.db()).expect("the file");
    let pages = bytes.len() / 4096;
    let mut noticed = 0;
    let mut damages: Vec<(String, Vec<u8>)> = vec![
        ("half of it is missing".into(), bytes[..bytes.len() / 2].to_vec()),
        ("its last page is torn".into(), bytes[..bytes.len() - 1000].to_vec()),
        ("only the first page is left".into(), bytes[..4096].to_vec()),
        ("only the header is left".into(), bytes[..100].to_vec()),
    ];
    for page in (0..pages).step_by((pages / 12).max(1)) {
        let mut damaged = bytes.clone();
        damaged[page * 4096..(page + 1) * 4096].fill(0xa5);
        damages.push((format!("page {page} is overwritten"), damaged));
    }
    for (what, damaged) in &damages {
        let vestige = Vestige::new();
        vestige.write("memory.db", damaged);
        let doctor = vestige.run(&["doctor"]);
        noticed += usize::from(doctor.code == Some(1));
        assert!(
            std::fs::read(vestige.db()).expect("the file") == *damaged,
            "{what}: doctor changed the file"
        );
        for command in [&["search", "memory"][..], &["list", "--all"], &["export", "-"], &["stats"]] {
            let run = vestige.run(command);
            if run.stderr.contains("are not in the archive") {
                // What can be read was exported, and what cannot is named, a line each.
                assert_eq!(run.code, Some(1), "{what}: {}", run.stderr);
                assert!(run.stdout.lines().count() > 2, "{what}: {}", run.stdout);
            } else if run.code != Some(0) {
                run.refusal(1);
            }
        }
    }
    assert!(noticed + 1 >= damages.len(), "doctor noticed {noticed} of {} damages", damages.len());
}

#[test]
fn a_damaged_row_is_named_once_and_so_is_what_is_wrong_with_it() {
    for (damage, cause) in [
        ("tags = 'zzz'", "expected value"),
        ("content = CAST(x'6162ff' AS TEXT)", "invalid utf-8"),
        ("embedding = x'00'", "is cut off"),
    ] {
        let vestige = Vestige::new();
        let id = vestige.add(&["memory number 1"]);
        let connection = Connection::open(vestige.db()).expect("the store");
        connection.execute(&format!("UPDATE knowledge_nodes SET {damage}"), []).expect("SQL");
        drop(connection);
        for command in [&["get", &id][..], &["list"]] {
            let run = vestige.run(command);
            let line = run.refusal(1);
            assert_eq!(line.matches(cause).count(), 1, "{command:?}: {line}");
            assert_eq!(line.matches(&id).count(), 1, "{command:?}: {line}");
            assert_eq!(line.matches("cannot be used").count(), 1, "{command:?}: {line}");
        }
        let export = vestige.run(&["export", "out.jsonl"]);
        let warnings: Vec<_> = export.stderr.lines().filter(|line| line.starts_with("warning: ")).collect();
        let said = |what: &str| warnings.iter().map(|line| line.matches(what).count()).sum::<usize>();
        assert_eq!((warnings.len(), said(&id), said(cause)), (1, 1, 1), "{}", export.stderr);
        let doctor = vestige.run(&["doctor"]);
        assert_eq!((doctor.code, doctor.stdout.matches(&id).count()), (Some(1), 1), "{}", doctor.stdout);
    }
}

#[test]
fn an_index_that_disagrees_is_found_and_repaired() {
    let vestige = filled(20);
    let connection = Connection::open(vestige.db()).expect("the store");
    // What a program that knows nothing of the indexes would do to the rows.
    let changed =
        connection.execute("UPDATE knowledge_nodes SET content = 'quite other words' WHERE rowid = 5", []);
    drop(connection);
    if changed.is_err() {
        // The schema forbids it, which is better still.
        return;
    }
    let doctor = vestige.run(&["doctor"]);
    if doctor.code == Some(1) {
        assert!(doctor.stdout.contains("--repair"), "{}", doctor.stdout);
        vestige.ok(&["doctor", "--repair"]);
    }
    vestige.ok(&["doctor"]);
    assert_eq!(
        vestige.json(&["search", "\"quite other words\"", "--mode", "keyword"]).as_array().map(Vec::len),
        Some(1)
    );
}

#[test]
fn a_store_of_another_model_is_refused_but_searched_by_words() {
    let vestige = filled(3);
    let connection = Connection::open(vestige.db()).expect("the store");
    let hash = "ab".repeat(32);
    connection.execute("UPDATE embedding_model SET name = 'other-model', hash = ?1", [&hash]).expect("SQL");
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("SQL");
    drop(connection);
    vestige.write("in.jsonl", "{\"content\": \"another\"}\n");
    let words = ["memory.db", "other-model", "vestige-static", "--model"];
    for command in [
        &["search", "memory"][..],
        &["search", "memory", "--mode", "vector"],
        &["add", "another"],
        &["import", "in.jsonl"],
    ] {
        vestige.run(command).refuses(1, &words);
    }
    assert_eq!(vestige.json(&["search", "memory", "--mode", "keyword"]).as_array().map(Vec::len), Some(3));
    assert_eq!(vestige.count(), 3);
    let doctor = vestige.run(&["doctor"]);
    assert_eq!(doctor.code, Some(1));
    assert!(doctor.stdout.contains("other-model") && doctor.stdout.contains("→"), "{}", doctor.stdout);
}

#[test]
fn an_unknown_model_is_refused() {
    let vestige = filled(1);
    for model in ["no-such-model", "./no-such-folder"] {
        vestige.run(&["search", "memory", "--model", model]).refuses(1, &[model.trim_start_matches("./")]);
        vestige.run(&["add", "x", "--model", model]).refuses(1, &[model.trim_start_matches("./")]);
    }
    assert_eq!(vestige.count(), 1);
}

/// Writes what stands in the write-ahead log into the file.
fn checkpoint(db: &Path) {
    let connection = Connection::open(db).expect("the store");
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("SQL");
}

/// Runs a script in a mount namespace of its own; none where that is not allowed.
fn with_mounts(vestige: &Vestige, script: &str) -> Option<Run> {
    let allowed = Command::new("unshare").args(["--mount", "--map-root-user", "true"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        return None;
    }
    let mut command = Command::new("unshare");
    let script = format!("vestige() {{ '{PROGRAM}' \"$@\"; }}\n{script}");
    command.args(["--mount", "--map-root-user", "sh", "-c", &script]);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", vestige.folder()).env("VESTIGE_DB", vestige.db()).current_dir(vestige.folder());
    Some(Run::of(&[&script], command.output().expect("unshare runs")))
}

#[test]
fn a_read_only_folder_is_one_line_and_is_not_written_to() {
    let vestige = filled(3);
    checkpoint(&vestige.db());
    let before = std::fs::read(vestige.db()).expect("the file");
    let read_only = "mount --bind . . && mount -o remount,ro,bind . && cd .";
    let Some(run) = with_mounts(&vestige, &format!("{read_only} && vestige add another")) else {
        return skip("a_read_only_folder_is_one_line_and_is_not_written_to", "no mount namespaces here");
    };
    run.refuses(1, &["memory.db", "written"]);
    for (args, expected) in [
        ("search memory", "memory number 2"),
        ("search memory --mode vector", "memory number 2"),
        ("list", "memory number 2"),
        ("get $(vestige list --json | grep -o '[0-9a-f-]\\{36\\}' | head -1)", "memory number"),
        ("stats", "memories   3"),
        ("export -", "memory number 2"),
        ("doctor", "vector index: agrees"),
    ] {
        let run = with_mounts(&vestige, &format!("{read_only} && vestige {args}")).expect("namespaces");
        assert!(run.code == Some(0) && run.stdout.contains(expected), "{args}: {run:?}");
    }
    for args in ["delete $(vestige list --json | grep -o '[0-9a-f-]\\{36\\}' | head -1)", "doctor --repair"] {
        let run = with_mounts(&vestige, &format!("{read_only} && vestige {args}")).expect("namespaces");
        assert_eq!(run.code, Some(1), "{args}");
        assert!(format!("{}{}", run.stdout, run.stderr).contains("may only be read"), "{args}: {run:?}");
        assert!(!run.stdout.contains("backup"), "nothing is damaged: {}", run.stdout);
    }
    let run =
        with_mounts(&vestige, &format!("{read_only} && vestige add x --db new.db")).expect("namespaces");
    run.refuses(1, &["new.db"]);
    assert!(std::fs::read(vestige.db()).expect("the file") == before);
}

/// A connection: the handshake, the list of tools, calls that read and one that writes, by name as their id.
fn reads_and_writes() -> String {
    let call = |tool: &str, arguments: Value| {
        json!({"jsonrpc": "2.0", "id": tool, "method": "tools/call", "params": {
            "name": tool, "arguments": arguments,
        }})
    };
    let hello = json!({"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"},
    }});
    let messages = [
        hello,
        json!({"jsonrpc": "2.0", "id": "tools", "method": "tools/list"}),
        call("recall", json!({"query": "memory number 2"})),
        call("stats", json!({})),
        call("remember", json!({"memories": [{"content": "x"}]})),
    ];
    messages.iter().map(|message| format!("{message}\n")).collect()
}

/// What a server of a memory that may only be read answers to that.
fn assert_serves_reads(run: &Run) {
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("may only be read"), "{run:?}");
    let answers: Vec<Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let answer = |id: &str| &answers.iter().find(|answer| answer["id"] == id).expect(id)["result"];
    let tools = answer("tools")["tools"].as_array().expect("tools");
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["recall", "get", "neighbors", "due", "stats"]);
    assert!(answer("hello")["instructions"].to_string().contains("only be read"));
    assert!(answer("recall")["content"][0]["text"].to_string().contains("memory number 2"));
    assert_eq!(answer("stats")["structuredContent"]["memories"], 3);
    assert_eq!(answer("remember")["isError"], true);
    let refused = answer("remember")["content"][0]["text"].as_str().expect("a text");
    assert!(
        refused.starts_with("remember writes, and this memory may only be read; there are "),
        "{refused}"
    );
}

#[test]
fn of_a_file_that_may_only_be_read_the_tools_that_read_are_served() {
    let vestige = filled(3);
    checkpoint(&vestige.db());
    vestige.write("input.jsonl", reads_and_writes());
    let script = "mount --bind . . && mount -o remount,ro,bind . && cd . && vestige mcp < input.jsonl";
    let Some(run) = with_mounts(&vestige, script) else {
        return skip("of_a_file_that_may_only_be_read", "no mount namespaces here");
    };
    assert_serves_reads(&run);
}

#[cfg(feature = "postgres-backend")]
#[test]
fn of_a_database_whose_role_may_only_read_the_tools_that_read_are_served() {
    let Some(database) = common::database::Database::new("a role that reads") else { return };
    let owner = Vestige::on_postgres(&database.url);
    for n in 0..3 {
        owner.ok(&["add", &format!("memory number {n}")]);
    }
    let role = format!("reader_{}", std::process::id());
    database.admin(format!("CREATE ROLE {role} LOGIN PASSWORD 'reads'"));
    database.admin_here(format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"));
    let (_, host) = database.url.rsplit_once('@').expect("a host");
    let reader = Vestige::on_postgres(&format!("postgres://{role}:reads@{host}"));
    let run = reader.run_with_stdin(&["mcp"], reads_and_writes().as_bytes());
    database.admin_here(format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    assert_serves_reads(&run);
}

#[test]
fn a_full_disk_is_one_line_and_what_was_stored_stays() {
    let vestige = Vestige::new();
    let lines: String = (0..20_000)
        .map(|n| format!("{{\"content\": \"memory number {n} {}\"}}\n", "words ".repeat(20)))
        .collect();
    vestige.write("m.jsonl", lines);
    let script = "mkdir -p disk && mount -t tmpfs -o size=4m none disk && export VESTIGE_DB=disk/memory.db
        vestige add 'the first memory' > /dev/null && vestige import m.jsonl; code=$?
        vestige doctor >&2 || echo 'error: the doctor complains' >&2
        vestige search 'the first memory' -n1; exit $code";
    let Some(run) = with_mounts(&vestige, script) else {
        return skip("a_full_disk_is_one_line_and_what_was_stored_stays", "no mount namespaces here");
    };
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let errors: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{}", run.stderr);
    assert!(errors[0].contains("memory.db") && errors[0].contains("disk"), "{}", errors[0]);
    assert!(run.stderr.contains("stored before that"), "{}", run.stderr);
    assert!(run.stdout.contains("the first memory"), "{}", run.stdout);
}

#[cfg(unix)]
#[test]
fn a_limit_on_the_size_of_files_is_one_line_and_what_was_stored_stays() {
    let vestige = Vestige::new();
    vestige.add(&["the first memory"]);
    let lines: String = (0..20_000)
        .map(|n| format!("{{\"content\": \"memory number {n} {}\"}}\n", "words ".repeat(20)))
        .collect();
    vestige.write("m.jsonl", lines);
    // Blocks of 512 or 1024 bytes, by the shell.
    let output =
        vestige.shell("trap '' XFSZ; ulimit -f 4096; vestige import m.jsonl").output().expect("sh runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{stderr}");
    assert!(stderr.contains("memory.db"), "{stderr}");
    vestige.ok(&["doctor"]);
    assert!(vestige.ok(&["search", "the first memory"]).contains("the first memory"));
    // With room again it goes on.
    let after = vestige.json(&["import", "m.jsonl"]);
    assert_eq!(vestige.count(), 20_001);
    assert_eq!(after["stored"].as_u64().zip(after["unchanged"].as_u64()).map(|(a, b)| a + b), Some(20_000));
}
