//! The command with a model on ONNX Runtime. Needs what `cargo xtask assets` fetches.

#![cfg(feature = "fastembed")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use common::{Vestige, contents, skip};
use vestige_sqlite::SqliteMemoryStore;
use vestige_traits::MemoryStore;

/// The ONNX Runtime library and a folder with all-MiniLM-L6-v2. None where they were not fetched, which is
/// said loudly, or fails where `VESTIGE_REQUIRE_ASSETS=1`.
fn assets(test: &str) -> Option<(PathBuf, PathBuf)> {
    let beside_tests = || Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("assets");
    let folder = std::env::var_os("VESTIGE_ASSETS").map_or_else(beside_tests, PathBuf::from);
    let default_runtime = || folder.join("onnxruntime/libonnxruntime.so.1.32.0");
    let runtime = std::env::var_os("ORT_DYLIB_PATH").map_or_else(default_runtime, PathBuf::from);
    let model = folder.join("all-MiniLM-L6-v2");
    if runtime.is_file() && model.join("model.onnx").is_file() {
        return Some((runtime, model));
    }
    let reason = format!("no ONNX Runtime and MiniLM in {}: run `cargo xtask assets`", folder.display());
    assert!(std::env::var("VESTIGE_REQUIRE_ASSETS").as_deref() != Ok("1"), "{reason}");
    skip(test, &reason);
    None
}

#[test]
fn a_folder_is_a_model_and_a_store_stays_with_it() {
    let Some((runtime, model)) = assets("a_folder_is_a_model_and_a_store_stays_with_it") else { return };
    let vestige = Vestige::new();
    vestige.configure(format!("[embeddings]\nmodel = {model:?}\nruntime = {runtime:?}\n"));
    vestige.add(&["The kitten was treated for an ear infection."]);
    vestige.add(&["The invoice run takes four minutes."]);
    let found = vestige.json(&["search", "sick cat", "--mode", "vector"]);
    assert_eq!(contents(&found)[0], "The kitten was treated for an ear infection.");
    assert_eq!(vestige.json(&["stats"])["model"]["dimension"], 384);
    vestige.ok(&["doctor"]);
    vestige
        .run(&["search", "cat", "--model", "bundled"])
        .refuses(1, &["all-MiniLM-L6-v2", "vestige-static", "--model"]);

    // A folder whose name says nothing has to be told which model it holds.
    std::fs::create_dir(vestige.path("copy")).expect("a folder");
    for file in ["model.onnx", "tokenizer.json"] {
        std::fs::copy(model.join(file), vestige.path("copy").join(file)).expect("a copy");
    }
    let text = format!("[embeddings]\nmodel = \"./copy\"\nruntime = {runtime:?}\n");
    vestige.configure(&text);
    vestige.run(&["search", "cat"]).refuses(1, &["copy", "`name`", "`pooling`"]);
    vestige.configure(text + "name = \"all-MiniLM-L6-v2\"\n");
    assert_eq!(contents(&vestige.json(&["search", "sick cat", "--mode", "vector"])), contents(&found));
}

#[test]
fn a_missing_runtime_is_one_line_and_makes_no_store() {
    let vestige = Vestige::new();
    vestige.configure("[embeddings]\nmodel = \"./all-MiniLM-L6-v2\"\nruntime = \"none.so\"\n");
    vestige.run(&["add", "x"]).refuses(1, &["ONNX Runtime", "none.so"]);
    assert!(!vestige.db().exists());
}

const SUBJECTS: [&str; 10] = [
    "kitten",
    "invoice",
    "harbour",
    "compiler",
    "violin",
    "glacier",
    "tram",
    "recipe",
    "satellite",
    "orchard",
];
const DEEDS: [&str; 10] = [
    "was repaired",
    "arrived late",
    "made nobody happy",
    "won a prize",
    "cost too much",
    "was painted red",
    "had to wait",
    "broke down again",
    "grew quickly",
    "was lent to a friend",
];
const PLACES: [&str; 10] = [
    "in Lisbon",
    "behind the school",
    "on a rainy Monday",
    "before the audit",
    "near the river",
    "at midnight",
    "during the strike",
    "for the wedding",
    "under the bridge",
    "on the third attempt",
];

/// Memories that all differ, as lines to import.
fn lines(memories: usize) -> String {
    let line = |n: usize| {
        let (subject, deed, place) = (SUBJECTS[n % 10], DEEDS[n / 10 % 10], PLACES[n / 100 % 10]);
        let content = format!("The {subject} {deed} {place}, says note {n}.");
        format!(
            "{{\"id\": \"00000000-0000-7000-8000-{n:012}\", \"content\": \"{content}\", \"tags\": [\"old\"]}}\n"
        )
    };
    (0..memories).map(line).collect()
}

/// The ids and similarities of the memories that are nearest to a question; what the command says where it
/// refuses.
fn nearest(vestige: &Vestige, db: &str, model: &str) -> Result<Vec<(String, f64)>, String> {
    let args =
        ["search", "sick cat", "--mode", "vector", "--tag", "old", "--json", "--model", model, "--db", db];
    let run = vestige.run(&args);
    if run.code != Some(0) {
        return Err(run.stderr);
    }
    let hits: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    let hits = hits.as_array().expect("a list").iter();
    Ok(hits.map(|hit| (hit["id"].to_string(), hit["vector_score"].as_f64().expect("a similarity"))).collect())
}

/// With `VESTIGE_REEMBED_MEMORIES=20000` it is the measure of record, with 20 kills; by itself it is smaller.
#[test]
fn a_reembedding_to_minilm_killed_many_times_while_in_use_ends_complete_and_is_never_a_mixture() {
    let test = "a_reembedding_to_minilm_killed_many_times_while_in_use_ends_complete_and_is_never_a_mixture";
    let Some((runtime, model)) = assets(test) else { return };
    let (memories, kills) = std::env::var("VESTIGE_REEMBED_MEMORIES")
        .map_or((400, 4), |n| (n.parse::<usize>().expect("a number"), 20));
    let vestige = Vestige::new();
    vestige.configure(format!("[embeddings]\nruntime = {runtime:?}\n"));
    let file = vestige.write("memories.jsonl", lines(memories));
    let (file, minilm) = (file.to_str().expect("UTF-8"), model.to_str().expect("UTF-8"));
    vestige.ok(&["import", file]);
    vestige.ok(&["import", file, "--db", "minilm.db", "--model", minilm]);
    let old = nearest(&vestige, "memory.db", "bundled").expect("an answer");
    let new = nearest(&vestige, "minilm.db", minilm).expect("an answer");
    assert!(old.len() == 10 && new.len() == 10 && old != new);

    let done = AtomicBool::new(false);
    let (written, searched) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut written: u64 = 0;
            while !done.load(Relaxed) {
                let run = vestige.run(&[
                    "add",
                    &format!("It rained, says the diary on day {written}."),
                    "--model",
                    "bundled",
                ]);
                match run.code {
                    Some(0) => written += 1,
                    _ => {
                        run.refuses(1, &["all-MiniLM-L6-v2", "--model"]);
                        break;
                    }
                }
            }
            written
        });
        let searcher = scope.spawn(|| {
            let mut searched = 0;
            while !done.load(Relaxed) {
                match nearest(&vestige, "memory.db", "bundled") {
                    Ok(found) => assert_eq!(found, old, "a mixture"),
                    // The switch was made.
                    Err(line) => {
                        assert!(line.contains("all-MiniLM-L6-v2"), "{line}");
                        break;
                    }
                }
                searched += 1;
            }
            searched
        });
        let args = ["migrate", "--reembed", "--yes", "--batch-size", "8", "--model", minilm];
        let store = SqliteMemoryStore::builder(vestige.db()).read_only(true).open().expect("a memory");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let embedded =
            || runtime.block_on(store.reembedding_status()).expect("a status").map_or(0, |now| now.done);
        for kill in 1..=kills {
            let mut child = vestige.spawn(&args, Stdio::null());
            // So far and no further, whatever the speed of the machine.
            while embedded() < (memories * kill / (kills + 5)) as u64 {
                std::thread::sleep(Duration::from_millis(1));
                assert!(child.try_wait().expect("it can be asked").is_none(), "it ended by itself");
            }
            child.kill().expect("it can be killed");
            child.wait().expect("it ended");
        }
        let run = vestige.run(&args);
        done.store(true, Relaxed);
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(run.stdout.contains("gone on where it had stopped"), "{run:?}");
        (writer.join().expect("the writer"), searcher.join().expect("the searcher"))
    });
    eprintln!("{written} written and {searched} searches meanwhile");
    assert!(written > 0 && searched > 0);
    assert_eq!(nearest(&vestige, "memory.db", minilm).expect("an answer"), new);
    assert_eq!(vestige.count(), memories as u64 + written);
    let stats = vestige.json(&["stats"]);
    assert_eq!(
        (&stats["model"]["dimension"], &stats["embedded"]),
        (&384.into(), &stats["memories"]),
        "{stats}"
    );
    vestige.ok(&["doctor", "--model", minilm]);
}
