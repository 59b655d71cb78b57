//! A stdout that nobody reads to its end, or that is not there, and a store that does not answer.

mod common;

use std::time::{Duration, Instant};

use common::mcp::Server;
use common::{Run, Vestige};
use serde_json::json;

fn filled(memories: usize) -> Vestige {
    let vestige = Vestige::new();
    let lines: String = (0..memories)
        .map(|n| format!("{{\"content\": \"memory number {n} {}\"}}\n", "of some length ".repeat(40)))
        .collect();
    vestige.run_with_stdin(&["import", "-"], lines.as_bytes()).ok();
    vestige
}

fn shell(vestige: &Vestige, script: &str) -> Run {
    Run::of(&[script], vestige.shell(script).output().expect("it runs"))
}

#[test]
fn output_that_is_lost_in_a_closed_stdout_is_one_line_and_a_failure() {
    let vestige = filled(3);
    let id = vestige.json(&["list"])[0]["id"].as_str().expect("an id").to_owned();
    for args in [
        "list",
        "list --json",
        "search memory",
        "stats",
        "add another",
        "export -",
        "export a.jsonl",
        "completions bash",
        "doctor",
        "mcp",
        "--help",
        "--version",
        &format!("get {id}"),
    ] {
        let run = shell(&vestige, &format!("vestige {args} >&-"));
        assert_eq!(run.code, Some(1), "{args}: {run:?}");
        let errors: Vec<_> = run.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(errors.len() == 1 && errors[0].contains("stdout"), "{args}: {run:?}");
        assert!(errors[0].contains("closed"), "{args}: {run:?}");
        if args != "mcp" {
            let run = shell(&vestige, &format!("rm -f a.jsonl; vestige {args} >/dev/null"));
            assert_eq!(run.code, Some(0), "{args}: {run:?}");
        }
    }
    assert_eq!(vestige.count(), 5, "each `add` has stored");
}

#[test]
fn a_reader_that_goes_away_is_no_complaint() {
    let vestige = filled(2000);
    for (args, code) in [
        ("list --limit 1000", "0"),
        ("list --limit 1000 --json", "0"),
        ("search memory --limit 1000", "0"),
        ("completions zsh", "0"),
        // An archive that was cut off is none.
        ("export -", "1"),
        ("export /dev/stdout", "1"),
    ] {
        let run = shell(&vestige, &format!("(vestige {args}; echo $? > code) | head -c 1 > part"));
        assert_eq!(run.stderr, "", "{args}");
        assert_eq!(std::fs::read_to_string(vestige.path("code")).expect("a code").trim(), code, "{args}");
    }
}

#[test]
fn a_call_ends_when_its_time_is_up() {
    let vestige = filled(3);
    let mut command = vestige.command();
    let mut server = Server::start_with(command.args(["mcp", "--timeout", "1"]), &json!({}));
    let lock = rusqlite::Connection::open(vestige.db()).expect("the store");
    lock.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let began = Instant::now();
    let run = vestige.run(&["add", "waits for the lock", "--timeout", "1"]);
    run.refuses(1, &["no answer within 1 s", "--timeout"]);
    let answer = server.call("remember", &json!({"memories": [{"content": "waits for the lock"}]}));
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    let said = answer["result"]["content"][0]["text"].as_str().expect("a text");
    assert!(said.starts_with("no answer of the memory within 1 s"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    // What reads does not wait, and the server goes on.
    assert_eq!(server.ok("stats", &json!({}))["memories"], 3);
    vestige.configure("timeout_seconds = 1\n");
    vestige.run(&["add", "waits for the lock"]).refuses(1, &["no answer within 1 s"]);
    lock.execute_batch("ROLLBACK").expect("the end of the lock");
    server.remember("stored after the lock");
    vestige.ok(&["add", "stored after the lock", "--timeout", "0"]);
}

#[cfg(feature = "postgres-backend")]
#[test]
fn a_call_to_postgres_ends_when_its_time_is_up() {
    let Some(database) = common::database::Database::new("a call that waits") else { return };
    let vestige = Vestige::on_postgres(&database.url);
    vestige.ok(&["add", "stored before the lock"]);
    let mut command = vestige.command();
    let mut server = Server::start_with(command.args(["mcp", "--timeout", "1"]), &json!({}));
    let lock = "BEGIN; LOCK TABLE knowledge_nodes IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(8); COMMIT";
    std::thread::scope(|scope| {
        scope.spawn(|| database.admin_here(lock));
        std::thread::sleep(Duration::from_secs(1));
        let began = Instant::now();
        let answer = server.call("recall", &json!({"query": "lock"}));
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        let said = answer["result"]["content"][0]["text"].as_str().expect("a text");
        assert!(said.starts_with("no answer of the memory within 1 s"), "{said}");
        vestige.run(&["search", "lock", "--timeout", "1"]).refuses(1, &["no answer within 1 s"]);
    });
    assert_eq!(vestige.count(), 1);
}
