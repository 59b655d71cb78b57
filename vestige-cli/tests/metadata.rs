//! What is kept in the metadata of a memory, and what is refused.

mod common;

use common::Vestige;
use common::mcp::Server;
use serde_json::json;

#[test]
fn two_values_for_one_key_of_the_metadata_are_refused() {
    let vestige = Vestige::new();
    let id = vestige.add(&["text", "--file", "a.rs", "--meta", "n=1"]);
    for (args, words) in [
        (&["--meta", "n=1", "--meta", "n=2"][..], ["\"n\"", "twice"]),
        (&["--file", "f", "--meta", "file=g"], ["--file", "\"file\""]),
        (&["--topic", "t", "--meta", "topics=5"], ["--topic", "\"topics\""]),
    ] {
        vestige.run(&[&["add", "x"], args].concat()).refuses(2, &words);
        vestige.run(&[&["update", &id], args].concat()).refuses(2, &words);
    }
    vestige.run(&["add", "x", "--session", "s", "--meta", "session_id=t"]).refuses(2, &["--session"]);
    assert_eq!(vestige.json(&["get", &id])[0]["metadata"], json!({"file": "a.rs", "n": 1}));
    vestige.ok(&["update", &id, "--meta", "file=b.rs"]);
    assert_eq!(vestige.json(&["get", &id])[0]["metadata"]["file"], "b.rs");
}

#[test]
fn a_value_that_is_kept_in_another_way_is_no_change() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    let id = vestige.add(&["text"]);
    let args = json!({"id": id, "metadata": {"a": -0.0, "b": [1e16]}});
    assert_eq!(server.ok("update", &args)["changed"], true);
    assert_eq!(server.ok("update", &args)["changed"], false);
    let args = ["update", &id, "--meta", "c=-0.0", "--meta", "d=[10000000000000000]"];
    vestige.ok(&args);
    let run = vestige.run(&args);
    assert!(run.stderr.contains("nothing to change"), "{}", run.stderr);
}
