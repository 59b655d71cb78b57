//! `vestige delete`, undisturbed and disturbed.

mod common;

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStderr, Stdio};

use common::Vestige;
use serde_json::json;

const UNKNOWN_ID: &str = "00000000-0000-0000-0000-00000000abcd";

#[test]
fn delete_takes_all_or_none() {
    let vestige = Vestige::new();
    let ids = [vestige.add(&["one"]), vestige.add(&["two"])];
    vestige.run(&["delete", &ids[0], UNKNOWN_ID]).refuses(1, &[UNKNOWN_ID, "does not exist"]);
    assert_eq!(vestige.count(), 2);
    vestige.ok(&["delete", &ids[0], &ids[1]]);
    assert_eq!(vestige.count(), 0);
    assert_eq!(vestige.json(&["search", "one"]), json!([]));
}

#[test]
fn delete_counts_a_memory_as_gone_that_somebody_else_deletes_meanwhile() {
    let vestige = Vestige::new();
    let ids = [vestige.add(&["one"]), vestige.add(&["two"]), vestige.add(&["three"])];
    let other = rusqlite::Connection::open(vestige.db()).expect("the store");
    other.execute_batch("PRAGMA foreign_keys = ON; BEGIN IMMEDIATE").expect("SQL");
    let mut child = vestige.spawn(&["delete", "-vv", &ids[0], &ids[1], &ids[2], "--json"], Stdio::null());
    let log = found_three(&mut child);
    // Nothing is deleted by the command while this transaction is open.
    other.execute_batch("DELETE FROM knowledge_nodes WHERE content = 'two'; COMMIT").expect("SQL");
    let said: Vec<String> = log.map(|line| line.expect("UTF-8")).collect();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{said:?}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(stdout, format!("{}\n", json!({"deleted": [ids[0], ids[2]]})));
    let is_note = |line: &String| line.starts_with("note: ") && line.contains(&ids[1]);
    assert!(said.iter().any(is_note), "{said:?}");
    assert_eq!(vestige.count(), 0);
}

#[test]
fn delete_says_what_is_gone_before_it_says_what_failed() {
    let vestige = Vestige::new();
    let ids = [vestige.add(&["one"]), vestige.add(&["two"])];
    let connection = rusqlite::Connection::open(vestige.db()).expect("the store");
    // A table of the user's own that will not let a memory go.
    let table = "CREATE TABLE kept (id BLOB REFERENCES knowledge_nodes (id));
        INSERT INTO kept SELECT id FROM knowledge_nodes WHERE content = 'two'";
    connection.execute_batch(table).expect("SQL");
    let run = vestige.run(&["delete", &ids[0], &ids[1]]);
    run.refuses(1, &["FOREIGN KEY"]);
    assert_eq!(run.stdout, format!("deleted {}  one\n", ids[0]));
    assert_eq!(vestige.count(), 1);
}

/// Waits until the command has found the three memories. Returns the rest of its log.
fn found_three(child: &mut Child) -> Lines<BufReader<ChildStderr>> {
    let mut log = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    for _ in 0..3 {
        log.find(|line| line.as_ref().is_ok_and(|line| line.contains("get{")))
            .expect("a line")
            .expect("UTF-8");
    }
    log
}

#[cfg(target_os = "linux")]
#[test]
fn delete_says_what_is_gone_when_it_is_interrupted() {
    use std::process::Command;

    let vestige = Vestige::new();
    let ids: Vec<String> = (0..3).map(|n| vestige.add(&[&format!("memory {n}")])).collect();
    let writer = rusqlite::Connection::open(vestige.db()).expect("the store");
    let args: Vec<&str> = ["delete", "-vv"].into_iter().chain(ids.iter().map(String::as_str)).collect();
    let mut child = vestige.spawn(&args, Stdio::null());
    let log = found_three(&mut child);
    // Nothing is deleted while somebody else writes, so the signal comes between two of them.
    let lock = writer.execute_batch("BEGIN IMMEDIATE");
    std::thread::sleep(std::time::Duration::from_millis(100));
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.expect("kill runs").success());
    std::thread::sleep(std::time::Duration::from_millis(100));
    if lock.is_ok() {
        writer.execute_batch("COMMIT").expect("SQL");
    }
    let rest: Vec<String> = log.map(|line| line.expect("UTF-8")).collect();
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).matches("deleted ").count() as u64;
    assert_eq!(said + vestige.count(), 3, "{rest:?}");
}
