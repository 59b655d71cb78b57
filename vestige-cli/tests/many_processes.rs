//! Many processes on one file.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::Vestige;

const WRITERS: usize = 8;
const EACH: usize = 500;

#[test]
fn eight_importing_processes_and_two_searching_ones_lose_nothing_and_disturb_nobody() {
    let vestige = Vestige::new();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let vestige = &vestige;
                scope.spawn(move || {
                    let lines: String = (0..EACH)
                        .map(|n| format!("{{\"content\": \"writer{writer} says number{n}\"}}\n"))
                        .collect();
                    let run = vestige
                        .run_with_stdin(&["import", "-", "--json", "--batch-size", "20"], lines.as_bytes());
                    assert!(!run.stderr.contains("lock"), "{}", run.stderr);
                    let stdout = run.ok();
                    assert!(stdout.contains("\"stored\":500"), "{stdout}");
                    // What this process has committed is found by the next search of another.
                    let found =
                        vestige.json(&["search", &format!("\"writer{writer} says number499\""), "-n1"]);
                    assert_eq!(common::contents(&found), [format!("writer{writer} says number499")]);
                })
            })
            .collect();
        for searcher in 0..2 {
            let (vestige, done) = (&vestige, &done);
            scope.spawn(move || {
                let mut most = 0;
                while !done.load(Ordering::Relaxed) {
                    let found = vestige.json(&[
                        "search",
                        &format!("number{searcher}"),
                        "-n",
                        "100",
                        "--mode",
                        "keyword",
                    ]);
                    let count = found.as_array().expect("results").len();
                    assert!(count >= most, "{count} memories are found, and {most} were found before");
                    most = count;
                }
            });
        }
        let results: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        assert!(results.iter().all(Result::is_ok), "a writer failed");
    });
    assert_eq!(vestige.count(), (WRITERS * EACH) as u64);
    vestige.ok(&["doctor"]);
    for writer in 0..WRITERS {
        let found = vestige.json(&["search", &format!("writer{writer}"), "-n", "1000", "--mode", "keyword"]);
        assert_eq!(found.as_array().map(Vec::len), Some(EACH));
    }
}

#[test]
fn processes_that_make_the_same_store_at_once_share_it() {
    let vestige = Vestige::new();
    thread::scope(|scope| {
        for n in 0..12 {
            let vestige = &vestige;
            scope.spawn(move || vestige.add(&[&format!("memory number {n}")]));
        }
    });
    assert_eq!(vestige.count(), 12);
    assert_eq!(vestige.json(&["stats"])["embedded"], 12);
}

#[test]
fn one_file_imported_by_four_processes_at_once_is_stored_once() {
    let vestige = Vestige::new();
    let lines: String = (0..1000).map(|n| format!("{{\"content\": \"memory number {n}\"}}\n")).collect();
    vestige.write("m.jsonl", lines);
    let totals: Vec<u64> = thread::scope(|scope| {
        let imports: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| vestige.json(&["import", "m.jsonl", "--batch-size", "50"])))
            .collect();
        let stored = |summary: serde_json::Value| {
            assert_eq!(summary["conflicts"], 0);
            summary["stored"].as_u64().expect("a number")
        };
        imports.into_iter().map(|import| stored(import.join().expect("it does not panic"))).collect()
    });
    assert_eq!(totals.iter().sum::<u64>(), 1000, "{totals:?}");
    assert_eq!(vestige.count(), 1000);
}

#[test]
fn processes_that_change_parts_of_one_memory_at_once_undo_nothing() {
    let vestige = Vestige::new();
    let id = vestige.add(&["The port is 5433."]);
    let tags: Vec<String> = (0..12).map(|n| format!("tag{n}")).collect();
    thread::scope(|scope| {
        for tag in &tags {
            let (vestige, id) = (&vestige, &id);
            scope.spawn(move || vestige.ok(&["update", id, "--add-tag", tag, "--meta", &format!("{tag}=1")]));
        }
        scope.spawn(|| vestige.ok(&["update", &id, "--content", "The port is 5434."]));
    });
    let memory = &vestige.json(&["get", &id])[0];
    let mut found: Vec<_> = memory["tags"].as_array().expect("tags").clone();
    found.sort_by_key(ToString::to_string);
    let mut expected: Vec<_> = tags.iter().map(|tag| serde_json::json!(tag)).collect();
    expected.sort_by_key(ToString::to_string);
    assert_eq!(found, expected);
    assert_eq!(memory["metadata"].as_object().expect("metadata").len(), tags.len());
    assert_eq!(memory["content"], "The port is 5434.");
}
