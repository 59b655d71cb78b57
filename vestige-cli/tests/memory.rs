//! What an import takes is bounded, however its lines are written.
#![allow(unsafe_code, reason = "a global allocator that counts cannot be written without it")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// Of all threads.
struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting touches atomic numbers alone.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(HELD.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: `pointer` came from `System` by `alloc` above, with the same layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: usize = 1 << 20;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::Stdio;
use std::time::Duration;

use chrono::DateTime;
use common::Vestige;
use vestige_cli::{ImportDefaults, ImportLine};

#[test]
fn a_line_of_many_values_is_refused_before_it_is_parsed() {
    let defaults = ImportDefaults::new(DateTime::UNIX_EPOCH);
    for (list, piece) in [
        (r#""metadata": {"list": ["#, "0,"),
        (r#""metadata": {"list": ["#, r#"{"a":1},"#),
        (r#""tags": ["#, r#""","#),
        (r#""unknown": ["#, "0,"),
    ] {
        let many = piece.repeat(30 * MIB / piece.len());
        let closing = if list.contains('{') { "]}" } else { "]" };
        let line = format!("{{\"content\": \"text\", {list}{many}0{closing}}}");
        let held = HELD.load(Relaxed);
        PEAK.store(held, Relaxed);
        let refused = ImportLine::parse(line.as_bytes(), &defaults).expect_err("it is refused");
        let peak = PEAK.load(Relaxed) - held;
        assert!(refused.contains("more than 720000 values"), "{refused}");
        assert!(peak < MIB, "{piece}: {} MiB", peak / MIB);
    }
}

/// Of the process, since its libraries take memory too. All lines together would take twice as much.
#[cfg(target_os = "linux")]
#[test]
fn an_import_of_large_memories_holds_few_of_them() {
    let vestige = Vestige::new();
    let text = "A megabyte of text. ".repeat(MIB / 20 + 1);
    let mut file = BufWriter::new(File::create(vestige.path("m.jsonl")).expect("a file"));
    for n in 0..60 {
        writeln!(file, "{{\"content\": \"{n} {}\"}}", &text[..MIB - 10]).expect("room");
    }
    file.flush().expect("room");
    let mut child = vestige.spawn(&["import", "m.jsonl"], Stdio::null());
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().expect("it runs").is_none() {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let now = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        peak = now.and_then(|now| now.parse().ok()).unwrap_or(peak);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(child.wait().expect("it ends").success());
    assert_eq!(vestige.count(), 60);
    assert!((1..110 << 10).contains(&peak), "{} MiB", peak >> 10);
}

#[test]
fn get_shows_the_first_of_many_links_and_each_memory_on_a_line_of_its_own() {
    let vestige = Vestige::new();
    let (hub, other) = (vestige.add(&["The hub of many links."]), vestige.add(&["Another memory."]));
    let file = rusqlite::Connection::open(vestige.db()).expect("the store");
    file.execute_batch(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
         INSERT INTO edges (source_id, target_id, edge_type, weight, created_at)
         SELECT a.id, b.id, 'link ' || printf('%04d', i), 1.0, a.created_at FROM n
         JOIN knowledge_nodes a ON a.content LIKE 'The hub%' JOIN knowledge_nodes b ON b.content LIKE 'Another%'",
    )
    .expect("SQL");
    let text = vestige.ok(&["get", &hub]);
    assert_eq!(text.matches("Another memory.").count(), 100, "{text}");
    assert!(text.contains("and 2900 more links"), "{text}");
    let json = vestige.ok(&["get", &hub, &other, "--json"]);
    assert_eq!(json.lines().count(), 2, "a line for each");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json[0]["edges"].as_array().map(Vec::len), Some(1000));
    assert_eq!(json[0]["edges_total"], 3000);
    assert!(json.as_array().is_some_and(|memories| memories.len() == 2));
}
