//! `vestige import`, with good lines and bad ones.

mod common;

use common::{Vestige, contents};
use serde_json::json;

fn lines(count: usize) -> String {
    lines_from(0, count)
}

fn lines_from(first: usize, end: usize) -> String {
    (first..end)
        .map(|n| format!("{{\"content\": \"memory number {n}\", \"tags\": [\"t{}\"]}}\n", n % 7))
        .collect()
}

#[test]
fn an_import_stores_every_line_and_again_changes_nothing() {
    let vestige = Vestige::new();
    vestige.write("m.jsonl", lines(1234));
    let first = vestige.json(&["import", "m.jsonl"]);
    assert_eq!(first, json!({"file": "m.jsonl", "stored": 1234, "unchanged": 0, "conflicts": 0, "bad": 0}));
    let again = vestige.json(&["import", "m.jsonl", "--batch-size", "100"]);
    assert_eq!(again, json!({"file": "m.jsonl", "stored": 0, "unchanged": 1234, "conflicts": 0, "bad": 0}));
    assert_eq!(vestige.count(), 1234);
    assert_eq!(contents(&vestige.json(&["search", "777", "-n1"])), ["memory number 777"]);
    assert_eq!(vestige.json(&["stats"])["embedded"], 1234);
}

#[test]
fn a_longer_file_adds_what_is_missing_wherever_it_stands() {
    let vestige = Vestige::new();
    vestige.write("m.jsonl", lines(300));
    vestige.ok(&["import", "m.jsonl"]);
    let mut all: Vec<String> = lines(400).lines().map(str::to_owned).collect();
    all.reverse();
    let run =
        vestige.run_with_stdin(&["import", "-", "--json", "--batch-size", "64"], all.join("\n").as_bytes());
    let summary: serde_json::Value = serde_json::from_str(&run.ok()).expect("JSON");
    assert_eq!((&summary["stored"], &summary["unchanged"]), (&json!(100), &json!(300)));
    assert_eq!(vestige.count(), 400);
}

#[test]
fn identical_lines_are_one_memory() {
    let vestige = Vestige::new();
    let text =
        "{\"content\": \"again\"}\n{\"content\": \"again\"}\n{\"content\": \"again\", \"tags\": [\"x\"]}\n";
    vestige.write("m.jsonl", text);
    let summary = vestige.json(&["import", "m.jsonl"]);
    assert_eq!((&summary["stored"], &summary["unchanged"]), (&json!(2), &json!(1)));
}

#[test]
fn given_ids_are_kept_and_other_content_is_a_conflict() {
    let vestige = Vestige::new();
    let line = |content: &str| {
        format!("{{\"content\": \"{content}\", \"id\": \"019bb17c-0e40-7978-a6a1-2a42c7957ab5\"}}\n")
    };
    vestige.write("m.jsonl", line("first"));
    vestige.ok(&["import", "m.jsonl"]);
    vestige.write("m.jsonl", line("second") + "{\"content\": \"new\"}\n");
    let run = vestige.run(&["import", "m.jsonl", "--json"]);
    run.refuses(
        1,
        &["m.jsonl:1:", "019bb17c-0e40-7978-a6a1-2a42c7957ab5", "other content", "vestige update"],
    );
    assert!(run.stdout.contains("\"stored\":1") && run.stdout.contains("\"conflicts\":1"), "{}", run.stdout);
    assert_eq!(vestige.json(&["get", "019bb17c"])[0]["content"], "first");

    // The same within one file.
    vestige.write("twice.jsonl", line("first") + &line("third"));
    vestige.run(&["import", "twice.jsonl"]).refuses(1, &["twice.jsonl:2:", "other content"]);
}

#[test]
fn every_kind_of_bad_line_is_refused_with_its_number_and_nothing_is_stored() {
    let vestige = Vestige::new();
    let huge = format!("{{\"content\": \"{}\"}}", "x".repeat(10 << 20));
    let endless = format!("{{\"content\": \"{}\"}}", "x".repeat(40 << 20));
    let bad: [(&[u8], &str); 16] = [
        (b"text", "expected"),
        (b"{", "must not be spread over several"),
        (b"[]", "a JSON object"),
        (b"null", "a JSON object"),
        (b"{\"text\": \"x\"}", "unknown key \"text\""),
        (b"{\"node_type\": \"fact\"}", "there is no \"content\""),
        (b"{\"content\": \"\"}", "content: must not be empty"),
        (b"{\"content\": \"a\\u0000b\"}", "U+0000"),
        (b"{\"content\": \"\\ud800\"}", "surrogate"),
        (b"{\"content\": \"caf\xe9\"}", "is not UTF-8, from byte 17"),
        (b"{\"content\": \"a\0b\"}", "control character"),
        (b"{\"content\": \"x\", \"id\": \"7\"}", "is no UUID"),
        (b"{\"content\": \"x\", \"created_at\": \"2026-13-01T00:00:00Z\"}", "RFC 3339"),
        (b"{\"content\": \"x\", \"metadata\": \"y\"}", "expected a map"),
        (huge.as_bytes(), "content: is 10485760 bytes long"),
        (endless.as_bytes(), "is longer than 32 MiB"),
    ];
    for (line, expected) in bad {
        let file = [b"{\"content\": \"good\"}\n\n", line, b"\n{\"content\": \"also good\"}\n"].concat();
        vestige.write("m.jsonl", &file);
        let run = vestige.run(&["import", "m.jsonl"]);
        assert_eq!(run.code, Some(1), "{expected}");
        let complaints: Vec<&str> = run.stderr.lines().collect();
        assert_eq!(complaints.len(), 2, "{expected}: {}", run.stderr);
        assert!(complaints[0].starts_with("error: m.jsonl:3: "), "{}", complaints[0]);
        assert!(complaints[0].contains(expected), "{} does not say {expected:?}", complaints[0]);
        assert!(complaints[0].len() < 500, "{}", complaints[0]);
        assert!(complaints[1].contains("nothing was stored"), "{}", complaints[1]);
    }
    assert!(!vestige.db().exists(), "a refused file made a store");
}

#[test]
fn skip_bad_stores_the_others_and_fails_all_the_same() {
    let vestige = Vestige::new();
    vestige.write("m.jsonl", "{\"content\": \"one\"}\nbad\n{\"content\": \"two\"}\n");
    let run = vestige.run(&["import", "m.jsonl", "--skip-bad", "--json"]);
    run.refuses(1, &["m.jsonl:2:"]);
    assert!(run.stdout.contains("\"stored\":2") && run.stdout.contains("\"bad\":1"), "{}", run.stdout);
    assert_eq!(vestige.count(), 2);
}

#[test]
fn stdin_is_stored_up_to_its_first_bad_line() {
    let vestige = Vestige::new();
    let input = "{\"content\": \"one\"}\nbad\n{\"content\": \"two\"}\n";
    let run = vestige.run_with_stdin(&["import", "-"], input.as_bytes());
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr.contains("error: stdin:2: ") && run.stderr.contains("1 memory stored before that"),
        "{}",
        run.stderr
    );
    assert_eq!(vestige.count(), 1);
    let run = vestige.run_with_stdin(&["import", "-", "--skip-bad"], input.as_bytes());
    assert_eq!(run.code, Some(1));
    assert_eq!(vestige.count(), 2);
}

#[test]
fn many_bad_lines_do_not_flood_the_terminal() {
    let vestige = Vestige::new();
    vestige.write("m.jsonl", "bad\n".repeat(5000));
    let run = vestige.run(&["import", "m.jsonl"]);
    assert!(run.stderr.lines().count() < 30, "{}", run.stderr);
    assert!(run.stderr.contains("5000 bad lines"), "{}", run.stderr);
}

#[test]
fn files_of_other_systems_are_read() {
    let vestige = Vestige::new();
    vestige.write(
        "m.jsonl",
        b"\xef\xbb\xbf{\"content\": \"one\"}\r\n\r\n   \n{\"content\": \"two \\ud83d\\ude00\"}",
    );
    assert_eq!(vestige.json(&["import", "m.jsonl"])["stored"], 2);
    let utf16: Vec<u8> = "\u{feff}{\"content\": \"x\"}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    vestige.write("utf16.jsonl", utf16);
    let run = vestige.run(&["import", "utf16.jsonl"]);
    assert!(run.code == Some(1) && run.stderr.contains("UTF-16"), "{}", run.stderr);
    vestige.write("empty.jsonl", "");
    assert_eq!(vestige.json(&["import", "empty.jsonl"])["stored"], 0);
}

#[test]
fn a_file_that_cannot_be_read_is_refused() {
    let vestige = Vestige::new();
    vestige.run(&["import", "missing.jsonl"]).refuses(1, &["missing.jsonl", "No such file"]);
    vestige.run(&["import", "."]).refuses(1, &["is a folder"]);
    assert!(!vestige.db().exists());
}

#[test]
fn an_archive_is_told_from_lines_to_import() {
    let vestige = Vestige::new();
    vestige.add(&["one"]);
    vestige.ok(&["export", "a.jsonl"]);
    for flags in [&["--db", "new.db"][..], &["--dry-run"], &["--skip-bad"], &["--unknown-keys", "ignore"]] {
        let run = vestige.run(&[&["import", "a.jsonl"], flags].concat());
        run.refuses(1, &["a.jsonl: is an archive", "`vestige restore`"]);
    }
    let archive = std::fs::read(vestige.path("a.jsonl")).expect("the archive");
    vestige.run_with_stdin(&["import", "-"], &archive).refuses(1, &["stdin: is an archive"]);
    assert!(!vestige.path("new.db").exists());
}

#[test]
fn a_flag_that_no_line_could_be_stored_with_is_refused_once() {
    let vestige = Vestige::new();
    vestige.write("m.jsonl", lines(3));
    for flag in ["--tag", "--type", "--codebase"] {
        let run = vestige.run(&["import", "m.jsonl", flag, ""]);
        run.refuses(2, &[flag, "must not be empty"]);
        assert!(!run.stderr.contains("m.jsonl"), "{run:?}");
    }
    assert!(!vestige.db().exists());
}

#[cfg(unix)]
#[test]
fn a_pipe_with_a_name_is_read_once() {
    let vestige = Vestige::new();
    vestige.write("m.jsonl", lines(30));
    let script = "mkfifo pipe && { cat m.jsonl > pipe & vestige import pipe --json; }";
    let output = vestige.shell(script).output().expect("sh runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(vestige.count(), 30);
}

#[test]
fn a_dry_run_stores_nothing() {
    let vestige = Vestige::new();
    vestige.write("m.jsonl", lines(10));
    assert!(vestige.ok(&["import", "m.jsonl", "--dry-run"]).contains("10 good lines"));
    vestige.write("m.jsonl", lines(10) + "bad\n");
    for skip in [&[][..], &["--skip-bad"]] {
        assert_eq!(vestige.run(&[&["import", "m.jsonl", "--dry-run"], skip].concat()).code, Some(1));
    }
    assert!(!vestige.db().exists());
}

#[test]
fn defaults_and_unknown_keys_are_as_asked_for() {
    let vestige = Vestige::new();
    vestige.write("m.jsonl", "{\"content\": \"x\", \"speaker\": \"Ada\"}\n");
    vestige.run(&["import", "m.jsonl", "--dry-run"]).code.filter(|code| *code == 1).expect("a refusal");
    let args = [
        "import",
        "m.jsonl",
        "--unknown-keys",
        "metadata",
        "--codebase",
        "chat",
        "--type",
        "said",
        "--tag",
        "t",
    ];
    vestige.ok(&args);
    let memory = &vestige.json(&["list"])[0];
    assert_eq!(memory["metadata"], json!({"speaker": "Ada"}));
    assert_eq!(
        (&memory["codebase"], &memory["node_type"], &memory["tags"]),
        (&json!("chat"), &json!("said"), &json!(["t"]))
    );
}

#[test]
fn a_line_says_its_session_and_one_that_says_none_has_none() {
    let vestige = Vestige::new();
    let lines = [r#"{"content": "first", "session": "monday"}"#, r#"{"content": "second"}"#];
    vestige.write("m.jsonl", lines.join("\n"));
    vestige.ok(&["import", "m.jsonl"]);
    let of = |content: &str| vestige.json(&["search", content])[0].get("session").cloned();
    assert_eq!((of("first"), of("second")), (Some(json!("monday")), None));
    assert_eq!(vestige.json(&["import", "m.jsonl"])["unchanged"], 2);
    vestige.write("n.jsonl", r#"{"content": "third", "session": " "}"#);
    let run = vestige.run(&["import", "n.jsonl"]);
    assert!(
        run.code == Some(1) && run.stderr.contains("n.jsonl:1: session: must not be empty"),
        "{}",
        run.stderr
    );
}

#[test]
fn lines_of_a_session_without_times_stand_in_it_as_in_the_file() {
    let vestige = Vestige::new();
    let line = |n| format!("{{\"content\": \"line {n}\", \"session\": \"talk\"}}\n");
    vestige.write("m.jsonl", (1..=30).map(line).collect::<String>());
    vestige.ok(&["import", "m.jsonl"]);
    let listed = vestige.json(&["list", "--limit", "100"]);
    let contents: Vec<_> = listed.as_array().unwrap().iter().map(|it| it["content"].clone()).collect();
    assert_eq!(contents, (1..=30).rev().map(|n| json!(format!("line {n}"))).collect::<Vec<_>>());
    assert_eq!(vestige.json(&["import", "m.jsonl"])["unchanged"], 30);
}

#[test]
fn importing_again_with_other_defaults_makes_no_duplicates() {
    let vestige = Vestige::new();
    vestige.write("m.jsonl", lines(3));
    let first = ["import", "m.jsonl", "--tag", "t", "--codebase", "chat"];
    assert_eq!(vestige.json(&first)["stored"], 3);
    vestige.write("m.jsonl", lines(5));
    let again = vestige.json(&first);
    assert_eq!((&again["stored"], &again["unchanged"]), (&json!(2), &json!(3)));
    let run = vestige.run(&["import", "m.jsonl", "--codebase", "other"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("is there with other tags, codebase"), "{}", run.stderr);
    assert_eq!(vestige.count(), 5);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_an_import_between_batches_and_says_what_is_stored() {
    use std::io::Write;
    use std::process::{Command, Stdio};

    let vestige = Vestige::new();
    let mut child = vestige.spawn(&["import", "-", "--batch-size", "10", "-v"], Stdio::piped());
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(lines(25).as_bytes()).expect("the command reads");
    // It waits for the rest of the third batch, or is about to.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !vestige.run(&["stats", "--json"]).stdout.contains("\"memories\":20,") {
        assert!(std::time::Instant::now() < deadline, "two batches were never committed");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(killed.success());
    // Nothing more comes, and the batch that is not full is not begun.
    let output = child.wait_with_output().expect("it ends");
    drop(stdin);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("20 memories stored before that"), "{stderr}");
    assert_eq!(vestige.count(), 20);
}
