//! `vestige delete`, undisturbed and disturbed.

mod common;

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
    let connection = rusqlite::Connection::open(vestige.db()).expect("the store");
    let trigger = "CREATE TRIGGER meanwhile AFTER DELETE ON knowledge_nodes WHEN old.content = 'one'
        BEGIN DELETE FROM knowledge_nodes WHERE content = 'two'; END";
    connection.execute_batch(trigger).expect("SQL");
    let run = vestige.run(&["delete", &ids[0], &ids[1], &ids[2], "--json"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(run.stdout, format!("{}\n", json!({"deleted": [ids[0], ids[2]]})));
    assert!(run.stderr.starts_with("note: ") && run.stderr.contains(&ids[1]), "{run:?}");
    assert_eq!(vestige.count(), 0);
}

#[test]
fn delete_says_what_is_gone_before_it_says_what_failed() {
    let vestige = Vestige::new();
    let ids = [vestige.add(&["one"]), vestige.add(&["two"])];
    let connection = rusqlite::Connection::open(vestige.db()).expect("the store");
    let trigger = "CREATE TRIGGER refuse BEFORE DELETE ON knowledge_nodes WHEN old.content = 'two'
        BEGIN SELECT RAISE(ABORT, 'not this one'); END";
    connection.execute_batch(trigger).expect("SQL");
    let run = vestige.run(&["delete", &ids[0], &ids[1]]);
    run.refuses(1, &["not this one"]);
    assert_eq!(run.stdout, format!("deleted {}  one\n", ids[0]));
    assert_eq!(vestige.count(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn delete_says_what_is_gone_when_it_is_interrupted() {
    use std::process::{Command, Stdio};

    let vestige = Vestige::new();
    let ids: Vec<String> = (0..3).map(|n| vestige.add(&[&format!("memory {n}")])).collect();
    let writer = rusqlite::Connection::open(vestige.db()).expect("the store");
    let args: Vec<&str> = ["delete", "-vv"].into_iter().chain(ids.iter().map(String::as_str)).collect();
    let mut child = vestige.spawn(&args, Stdio::null());
    let mut log = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().expect("a pipe")));
    // All of them are found.
    for _ in 0..3 {
        log.find(|line| line.as_ref().is_ok_and(|line| line.contains("get{")))
            .expect("a line")
            .expect("UTF-8");
    }
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
