//! What each command does, seen from outside.

mod common;

use common::{Vestige, contents};
use serde_json::{Value, json};

const UNKNOWN_ID: &str = "00000000-0000-0000-0000-00000000abcd";

#[test]
fn what_is_added_is_found_by_its_words_and_by_its_meaning() {
    let vestige = Vestige::new();
    vestige.add(&["The cat was treated for an ear infection.", "--type", "event", "--tag", "pets"]);
    vestige.add(&["The invoice run takes four minutes.", "--codebase", "tidewater"]);
    assert_eq!(contents(&vestige.json(&["search", "invoice"]))[0], "The invoice run takes four minutes.");
    let by_meaning = vestige.json(&["search", "kitten illness", "--mode", "vector"]);
    assert_eq!(contents(&by_meaning)[0], "The cat was treated for an ear infection.");
}

#[test]
fn every_flag_of_add_reaches_its_field() {
    let vestige = Vestige::new();
    let added = vestige.json(&[
        "add",
        "text",
        "--type",
        "fact",
        "--tag",
        "a",
        "-t",
        "b",
        "--codebase",
        "tidewater",
        "--file",
        "x.rs",
        "--topic",
        "one",
        "--topic",
        "two",
        "--session",
        "s1",
        "--meta",
        "n=3",
        "--meta",
        "t=QW-1",
        "--created-at",
        "2026-01-12T09:14:16Z",
    ]);
    let got = vestige.json(&["get", added["id"].as_str().expect("an id")]);
    let expected = json!({
        "content": "text", "node_type": "fact", "tags": ["a", "b"], "codebase": "tidewater",
        "session": "s1", "created_at": "2026-01-12T09:14:16Z",
        "metadata": {"file": "x.rs", "topics": ["one", "two"], "session_id": "s1", "n": 3, "t": "QW-1"},
        "visibility": "private", "embedded": true, "edges": [], "scheduling": null,
    });
    for (key, value) in expected.as_object().expect("an object") {
        assert_eq!(&got[0][key], value, "{key}");
    }
    let id = added["id"].as_str().expect("an id");
    vestige.ok(&["update", id, "--add-tag", "c"]);
    let shown = vestige.ok(&["get", id]);
    assert!(shown.lines().any(|line| line == "session     s1"), "{shown}");
    assert_eq!(vestige.json(&["search", "text"])[0]["session"], "s1");
    let shown = vestige.ok(&["get", &vestige.add(&["of no session"])]);
    assert!(!shown.lines().any(|line| line.starts_with("session")), "{shown}");
}

#[test]
fn add_reads_stdin() {
    let vestige = Vestige::new();
    for args in [&["add", "-"][..], &["add"]] {
        let id = vestige.run_with_stdin(args, "two\nlines é\n".as_bytes()).ok();
        assert_eq!(vestige.json(&["get", id.trim()])[0]["content"], "two\nlines é");
    }
}

#[test]
fn a_text_without_a_known_word_is_kept_without_a_vector() {
    let vestige = Vestige::new();
    let id = vestige.add(&["\u{e000}\u{e001} zqxj9"]);
    let id_of_emoji = vestige.add(&["…"]);
    assert_eq!(vestige.json(&["get", &id_of_emoji])[0]["embedded"], false);
    assert_eq!(vestige.json(&["search", "zqxj9"])[0]["id"].as_str(), Some(id.as_str()));
}

#[test]
fn bad_input_to_add_is_refused_and_makes_no_store() {
    let vestige = Vestige::new();
    let long = "x".repeat((1 << 20) + 1);
    for (args, stdin, code, words) in [
        (&["add", ""][..], "", 1, &["content", "empty"][..]),
        (&["add", "  \n "], "", 1, &["content", "empty"]),
        (&["add", "-"], "a\0b", 1, &["content", "U+0000"]),
        (&["add", "-"], long.as_str(), 1, &["content", "1048577 bytes"]),
        (&["add", "x", "--tag", ""], "", 2, &["--tag"]),
        (&["add", "x", "--type", " "], "", 2, &["--type"]),
        (&["add", "x", "--codebase", ""], "", 2, &["--codebase"]),
    ] {
        vestige.run_with_stdin(args, stdin.as_bytes()).refuses(code, words);
    }
    vestige.run_with_stdin(&["add", "-"], b"caf\xe9").refuses(1, &["stdin", "UTF-8", "byte 4"]);
    assert_eq!(vestige.run(&["add", "x", "--meta", "nothing"]).code, Some(2));
    assert_eq!(vestige.run(&["add", "x", "--created-at", "someday"]).code, Some(2));
    assert!(!vestige.db().exists(), "a refused memory made a store");
}

#[test]
fn search_as_json_has_exactly_the_promised_keys() {
    let vestige = Vestige::new();
    vestige.add(&["A line with ünïcode.", "--created-at", "2026-01-12T10:14:16.123456+01:00"]);
    let text = vestige.ok(&["search", "unicode", "line", "--json"]);
    let keys = [
        "id",
        "score",
        "fts_score",
        "vector_score",
        "content",
        "node_type",
        "tags",
        "codebase",
        "created_at",
        "metadata",
    ];
    let places: Vec<usize> = keys
        .iter()
        .map(|key| text.find(&format!("\"{key}\":")).unwrap_or_else(|| panic!("no {key} in {text}")))
        .collect();
    assert!(places.is_sorted(), "{text}");
    let results: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(results[0].as_object().map(serde_json::Map::len), Some(keys.len()));
    assert_eq!(results[0]["created_at"], "2026-01-12T09:14:16.123456Z");
    assert!(
        results[0]["score"].is_f64()
            && results[0]["fts_score"].is_f64()
            && results[0]["vector_score"].is_f64()
    );
}

#[test]
fn wrong_numbers_to_search_are_refused() {
    let vestige = Vestige::new();
    vestige.run(&["search", "x", "--limit", "1001"]).refuses(2, &["--limit", "1000"]);
    vestige
        .run(&["search", "x", "--min-retrievability", "1.5"])
        .refuses(2, &["--min-retrievability", "0 to 1"]);
    for args in [&["search", "x", "--since", "soon"][..], &["search", "x", "--limit", "-1"], &["search"]] {
        assert_eq!(vestige.run(args).code, Some(2), "{args:?}");
    }
}

#[test]
fn the_first_use_makes_the_store_for_nobody_else_to_see() {
    let vestige = Vestige::new();
    let db = vestige.path("deep/er/memory.db");
    let run = vestige.run(&["search", "x", "--json", "--db", db.to_str().expect("UTF-8")]);
    assert_eq!(run.stdout, "[]\n");
    assert!(run.stderr.contains("note: made a new memory in "), "{}", run.stderr);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode =
            |path: &std::path::Path| std::fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
        assert_eq!(mode(&db), 0o600);
        assert_eq!(mode(db.parent().expect("a folder")), 0o700);
    }
}

#[test]
fn without_any_setting_the_platform_says_where_the_memory_lies() {
    let vestige = Vestige::new();
    let output =
        vestige.command().env_remove("VESTIGE_DB").args(["stats", "--json"]).output().expect("it runs");
    let stats: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let store = stats["store"].as_str().expect("a path");
    assert!(store.starts_with(vestige.folder().to_str().expect("UTF-8")), "{store}");
    assert!(store.ends_with("vestige.db"), "{store}");
}

#[test]
fn get_shows_links_and_says_what_is_missing() {
    let vestige = Vestige::new();
    let old = vestige.add(&["The limit is 20."]);
    let new = vestige.add(&["The limit is 60."]);
    vestige.ok(&["link", &new, &old, "--type", "supersedes", "--weight", "0.5"]);
    let text = vestige.ok(&["get", &old]);
    assert!(text.contains(&format!("← supersedes {new}  The limit is 60.")), "{text}");
    let json = vestige.json(&["get", &new]);
    assert_eq!(json[0]["edges"][0]["target_id"].as_str(), Some(old.as_str()));
    assert_eq!(json[0]["edges"][0]["weight"], 0.5);
    let run = vestige.run(&["get", &old, UNKNOWN_ID]);
    assert!(run.stdout.contains("The limit is 20."));
    run.refuses(1, &[UNKNOWN_ID, "does not exist"]);
}

#[test]
fn get_shows_a_part_of_a_text_in_characters() {
    let vestige = Vestige::new();
    let id = vestige.add(&["Größe 字 and\nlines"]);
    for (args, part, start, end) in [
        (&["--start", "2", "--end", "7"][..], "öße 字", 2, 7),
        (&["--end", "2"], "Gr", 0, 2),
        (&["--start", "8"], "and\nlines", 8, 17),
        (&["--start", "16", "--end", "99"], "s", 16, 17),
    ] {
        let args = [&["get", &id], args].concat();
        let json = vestige.json(&args);
        assert_eq!(json[0]["content"], part);
        assert_eq!(json[0]["passage"], serde_json::json!({"start": start, "end": end}));
        assert_eq!(json[0]["characters"], 17);
        let place = format!("characters {start} to {end} of 17");
        assert!(vestige.ok(&args).contains(&place), "{place}");
    }
    let whole = vestige.json(&["get", &id]);
    assert!(whole[0].get("passage").is_none() && whole[0].get("characters").is_none(), "{whole}");
    let beyond = vestige.run(&["get", &id, "--start", "17", "--json"]);
    assert_eq!(beyond.stdout, "[]\n");
    beyond.refuses(1, &[&id, "has 17 characters", "--start"]);
    vestige.run(&["get", &id, "--start", "5", "--end", "5"]).refuses(2, &["--end 5", "--start 5"]);
    vestige.run(&["get", &id, "--end", "0"]).refuses(2, &["--end 0", "--start 0"]);
    assert_eq!(vestige.run(&["get", &id, "--start", "-1"]).code, Some(2));
}

#[test]
fn the_first_digits_name_a_memory_where_they_are_unique() {
    let vestige = Vestige::new();
    let lines = r#"{"content": "one", "id": "aaaa0000-0000-7000-8000-000000000001"}
{"content": "two", "id": "aaaa0000-0000-7000-8000-000000000002"}
{"content": "zero", "id": "00000000-0000-0000-0000-000000000007"}"#;
    vestige.run_with_stdin(&["import", "-"], lines.as_bytes()).ok();
    assert!(vestige.ok(&["get", "0000"]).contains("zero"));
    assert!(vestige.ok(&["get", "AAAA0000-0000-7000-8000-000000000002"]).contains("two"));
    vestige.run(&["get", "aaaa"]).refuses(1, &["more than one id"]);
    vestige.run(&["delete", "bbbb"]).refuses(1, &["no memory", "bbbb"]);
    vestige.run(&["get", "aaa"]).refuses(2, &["at least 4"]);
    vestige.run(&["get", "not-an-id"]).refuses(2, &["no id"]);
}

#[test]
fn list_is_newest_first_and_goes_on_past_one_page() {
    let vestige = Vestige::new();
    let lines: String = (0..1203)
        .map(|n| {
            format!(
                "{{\"content\": \"memory {n}\", \"created_at\": \"2026-01-01T00:{:02}:{:02}Z\"}}\n",
                n / 60 % 60,
                n % 60
            )
        })
        .collect();
    vestige.run_with_stdin(&["import", "-"], lines.as_bytes()).ok();
    let all = vestige.json(&["list", "--all"]);
    assert_eq!(all.as_array().map(Vec::len), Some(1203));
    assert_eq!(all[0]["content"], "memory 1202");
    assert_eq!(vestige.json(&["list", "-n", "1100"]).as_array().map(Vec::len), Some(1100));
    let run = vestige.run(&["list"]);
    assert_eq!(run.stdout.matches("memory ").count(), 20);
    assert!(run.stderr.contains("there are more"), "{}", run.stderr);
    assert_eq!(vestige.json(&["list", "--since", "2026-02-01"]), json!([]));

    // A failure behind the first page leaves whole JSON behind.
    let connection = rusqlite::Connection::open(vestige.db()).expect("the store");
    connection
        .execute("UPDATE knowledge_nodes SET tags = '{' WHERE content = 'memory 0'", [])
        .expect("the schema takes it");
    drop(connection);
    let run = vestige.run(&["list", "--all", "--json"]);
    run.refuses(1, &["memory.db"]);
    let listed: Value = serde_json::from_str(&run.stdout).expect("an array");
    assert_eq!(listed.as_array().map(Vec::len), Some(1000));
}

#[test]
fn update_changes_what_is_named_and_nothing_else() {
    let vestige = Vestige::new();
    let id = vestige.add(&[
        "The port is 5433.",
        "--tag",
        "a",
        "--tag",
        "b",
        "--codebase",
        "tidewater",
        "--meta",
        "k=1",
    ]);
    let before = vestige.json(&["get", &id]);
    let args = [
        "update",
        &id,
        "--content",
        "The port is 5434 for the kitten shelter.",
        "--remove-tag",
        "a",
        "--add-tag",
        "c",
    ];
    vestige.ok(&[&args[..], &["--meta", "l=2", "--unset-meta", "k"]].concat());
    let after = vestige.json(&["get", &id]);
    assert_eq!(after[0]["content"], "The port is 5434 for the kitten shelter.");
    assert_eq!(after[0]["tags"], json!(["b", "c"]));
    assert_eq!(after[0]["metadata"], json!({"l": 2}));
    assert_eq!(after[0]["codebase"], "tidewater");
    assert_eq!(after[0]["created_at"], before[0]["created_at"]);
    assert_ne!(after[0]["updated_at"], before[0]["updated_at"]);
    let found = vestige.json(&["search", "cats", "--mode", "vector"]);
    assert!(found[0]["vector_score"].as_f64().expect("a score") > 0.4, "the vector is the old one: {found}");

    vestige.ok(&["update", &id, "--no-tags", "--no-codebase", "--type", "fact"]);
    let after = vestige.json(&["get", &id]);
    assert_eq!(
        (&after[0]["tags"], &after[0]["codebase"], &after[0]["node_type"]),
        (&json!([]), &Value::Null, &json!("fact"))
    );
}

#[test]
fn a_year_has_four_digits_and_a_span_no_sign() {
    let vestige = Vestige::new();
    for when in ["26-11-03", "+3d", "+2026-11-03"] {
        for (command, flag) in [(&["add", "x"][..], "--created-at"), (&["list"], "--since")] {
            let run = vestige.run(&[command, &[flag, when]].concat());
            assert!(run.code == Some(2) && run.stderr.contains("is no time"), "{run:?}");
        }
    }
    let mut server = common::mcp::Server::start(&vestige);
    let answer = server.call("recall", &json!({"query": "x", "since": "26-11-03"}));
    assert_eq!(answer["result"]["isError"], true, "{answer}");
}

#[test]
fn a_tag_that_is_given_twice_is_stored_once_whichever_way_it_comes() {
    let vestige = Vestige::new();
    let tags = |id: &str| vestige.json(&["get", id])[0]["tags"].clone();
    let id = vestige.add(&["added", "--tag", "x", "--tag", "x"]);
    assert_eq!(tags(&id), json!(["x"]));
    vestige.ok(&["update", &id, "--tag", "y", "--tag", "x", "--tag", "y"]);
    assert_eq!(tags(&id), json!(["y", "x"]));
    vestige.run_with_stdin(&["import", "-"], b"{\"content\": \"imported\", \"tags\": [\"x\", \"x\"]}").ok();
    let found = vestige.json(&["search", "imported", "--mode", "keyword"]);
    assert_eq!(found[0]["tags"], json!(["x"]));

    let mut server = common::mcp::Server::start(&vestige);
    let memory = json!({"content": "remembered", "tags": ["x", "x"]});
    let stored = server.ok("remember", &json!({"memories": [memory], "force": true}));
    let id = stored["results"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(tags(&id), json!(["x"]));
    server.ok("update", &json!({"id": id, "tags": ["z", "x", "z"]}));
    assert_eq!(tags(&id), json!(["z", "x"]));
}

#[test]
fn update_refuses_what_it_cannot_do() {
    let vestige = Vestige::new();
    let id = vestige.add(&["text"]);
    assert_eq!(vestige.run(&["update", &id]).code, Some(2));
    vestige.run(&["update", &id, "--content", " "]).refuses(1, &["content", "empty"]);
    vestige.run(&["update", UNKNOWN_ID, "--content", "x"]).refuses(1, &["does not exist"]);
    assert_eq!(vestige.json(&["get", &id])[0]["content"], "text");
}

#[test]
fn until_the_last_day_of_the_calendar_is_no_bound() {
    let vestige = Vestige::new();
    vestige.add(&["one"]);
    assert_eq!(contents(&vestige.json(&["list", "--until", "9999-12-31"])), ["one"]);
    assert_eq!(contents(&vestige.json(&["search", "one", "--until", "9999-12-31"])), ["one"]);
    let mut server = common::mcp::Server::start(&vestige);
    assert_eq!(server.recall(&json!({"query": "one", "until": "9999-12-31"})), ["one"]);
}

#[test]
fn a_list_that_fails_prints_nothing_and_an_empty_one_is_an_array() {
    let vestige = Vestige::new();
    vestige.add(&["one"]);
    let run = vestige.run(&["list", "--json", "--min-retrievability", "2"]);
    run.refuses(2, &["--min-retrievability", "0 to 1"]);
    assert_eq!(run.stdout, "");
    assert_eq!(vestige.ok(&["list", "--json", "--type", "none"]), "[]\n");
    assert_eq!(vestige.ok(&["list", "--json", "-n", "0"]), "[]\n");
}

#[test]
fn links_are_drawn_followed_and_taken_away() {
    let vestige = Vestige::new();
    let [a, b, c] = ["first", "second", "third"].map(|text| vestige.add(&[text]));
    vestige.ok(&["link", &a, &b, "--weight", "0.5"]);
    vestige.ok(&["link", &c, &b, "--type", "causes"]);
    let near = vestige.json(&["neighbors", &a]);
    assert_eq!(contents(&near), ["second"]);
    assert_eq!((&near[0]["hops"], &near[0]["score"]), (&json!(1), &json!(0.5)));
    assert_eq!(contents(&vestige.json(&["neighbors", &a, "--depth", "2"])), ["second", "third"]);
    let hint = format!("`vestige get {c}`");
    vestige.run(&["unlink", &c, &b]).refuses(1, &["link ", "does not exist in ", &hint]);
    vestige.ok(&["unlink", &c, &b, "--type", "causes"]);
    assert_eq!(contents(&vestige.json(&["neighbors", &a, "--depth", "2"])), ["second"]);
}

#[test]
fn a_wrong_link_is_refused() {
    let vestige = Vestige::new();
    let [a, b] = ["first", "second"].map(|text| vestige.add(&[text]));
    vestige.run(&["link", &a, &a]).refuses(2, &["itself"]);
    vestige.run(&["link", &a, &b, "--weight", "1.5"]).refuses(2, &["--weight: ", "0 to 1"]);
    vestige.run(&["link", &a, &b, "--type", ""]).refuses(2, &["--type: ", "empty"]);
    vestige.run(&["link", &a, UNKNOWN_ID]).refuses(1, &["does not exist"]);
    vestige.run(&["neighbors", &a, "--depth", "17"]).refuses(2, &["--depth: ", "16"]);
    vestige.run(&["neighbors", UNKNOWN_ID]).refuses(1, &["does not exist"]);
}

#[test]
fn stats_count_what_is_there() {
    let vestige = Vestige::new();
    vestige.add(&["one", "--type", "fact", "--codebase", "tidewater"]);
    vestige.add(&["two", "--type", "fact"]);
    let stats = vestige.json(&["stats"]);
    assert_eq!(stats["memories"], 2);
    assert_eq!(stats["by_type"], json!({"fact": 2}));
    assert_eq!(stats["by_codebase"], json!({"tidewater": 1}));
    assert_eq!(stats["backend"], "sqlite");
    assert!(vestige.ok(&["stats"]).contains("memories   2, of them 2 with a vector"));
}

#[test]
fn doctor_is_content_with_a_sound_store_and_makes_none() {
    let vestige = Vestige::new();
    let before = vestige.run(&["doctor"]);
    assert!(before.stdout.contains("there is no store"), "{}", before.stdout);
    assert!(!vestige.db().exists());
    vestige.add(&["one"]);
    for args in [&["doctor"][..], &["doctor", "--repair"]] {
        let report = vestige.json(args);
        let findings = report["findings"].as_array().expect("findings");
        assert!(findings.iter().all(|finding| finding["severity"] == "ok"), "{report}");
        assert!(findings.len() > 3, "{report}");
    }
    assert!(vestige.ok(&["doctor"]).contains("VESTIGE_DB"));
}

#[test]
fn an_archive_brings_everything_back_byte_for_byte() {
    let vestige = Vestige::new();
    let [a, b] = ["first é 😀", "second"].map(|text| vestige.add(&[text, "--meta", "x=[1.5,null]"]));
    vestige.ok(&["link", &a, &b]);
    vestige.ok(&["export", "one.jsonl"]);
    vestige.ok(&["restore", "one.jsonl", "--db", "other.db"]);
    let piped = vestige.ok(&["export", "-", "--db", "other.db"]);
    assert_eq!(piped, std::fs::read_to_string(vestige.path("one.jsonl")).expect("the archive"));
    // Again changes nothing, and from stdin it is the same.
    vestige.run_with_stdin(&["restore", "-", "--db", "other.db"], piped.as_bytes()).ok();
    assert_eq!(vestige.json(&["stats", "--db", "other.db"])["memories"], 2);
    assert_eq!(contents(&vestige.json(&["neighbors", &a, "--db", "other.db"])), ["second"]);
}

#[test]
fn a_broken_archive_is_refused_before_anything_is_written() {
    let vestige = Vestige::new();
    vestige.add(&["first"]);
    vestige.ok(&["export", "whole.jsonl"]);
    let whole = std::fs::read_to_string(vestige.path("whole.jsonl")).expect("the archive");
    let last = whole.trim_end().rfind('\n').expect("several lines");
    vestige.write("truncated.jsonl", &whole[..=last]);
    vestige.write("altered.jsonl", whole.replace("first", "fjrst"));
    vestige.write("empty.jsonl", "");
    vestige.write("other.jsonl", "{\"content\": \"an import\"}\n");
    for name in ["truncated.jsonl", "altered.jsonl", "empty.jsonl", "other.jsonl", "missing.jsonl"] {
        vestige.run(&["restore", name, "--db", "new.db"]).refuses(1, &[name]);
        assert!(!vestige.path("new.db").exists(), "{name} made a store");
    }
}

#[test]
fn a_restore_into_other_memories_wants_to_be_asked_for() {
    let vestige = Vestige::new();
    vestige.add(&["first"]);
    vestige.ok(&["export", "first.jsonl"]);
    vestige.ok(&["add", "second", "--db", "other.db"]);
    vestige
        .run(&["restore", "first.jsonl", "--db", "other.db"])
        .refuses(1, &["other.db", "1 memories", "--into-existing"]);
    vestige.ok(&["restore", "first.jsonl", "--db", "other.db", "--into-existing"]);
    assert_eq!(vestige.json(&["stats", "--db", "other.db"])["memories"], 2);
}

#[test]
fn a_restore_that_leaves_a_row_out_does_not_blame_the_store() {
    let vestige = Vestige::new();
    vestige.add(&["first"]);
    vestige.add(&["second"]);
    let connection = rusqlite::Connection::open(vestige.db()).expect("the store");
    connection.execute("UPDATE knowledge_nodes SET node_type = '' WHERE content = 'first'", []).expect("SQL");
    drop(connection);
    vestige.ok(&["export", "a.jsonl"]);
    let run = vestige.run(&["restore", "a.jsonl", "--db", "new.db"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.stderr.contains("1 rows are not restored") && run.stderr.contains("1 were refused"),
        "{run:?}"
    );
    assert!(!run.stderr.contains("--into-existing"), "nobody has written to the store: {run:?}");
}

#[test]
fn an_export_of_no_store_is_refused() {
    let vestige = Vestige::new();
    vestige.run(&["export", "x.jsonl"]).refuses(1, &["there is no store", "memory.db"]);
    assert!(!vestige.path("x.jsonl").exists() && !vestige.db().exists());
    vestige.add(&["one"]);
    vestige.run(&["export", "no/such/folder.jsonl"]).refuses(1, &["no/such/folder.jsonl"]);
}

#[test]
fn the_demo_answers_each_of_its_questions() {
    let vestige = Vestige::new();
    let answers = vestige.json(&["demo"]);
    let questions: Value =
        serde_json::from_str(include_str!("../demo/questions.json")).expect("the questions");
    for (answer, question) in
        answers.as_array().expect("answers").iter().zip(questions.as_array().expect("questions"))
    {
        let found: Vec<&Value> =
            answer["results"].as_array().expect("results").iter().map(|hit| &hit["id"]).collect();
        let expected = question["expected"].as_array().expect("ids");
        assert!(
            expected.contains(found[0]),
            "{} is answered by {}",
            question["query"],
            answer["results"][0]["content"]
        );
    }
    assert!(vestige.ok(&["demo"]).contains("Now your own:"));
    assert!(!vestige.db().exists(), "the demo touched the memory of its user");
}

#[test]
fn what_is_refused_is_named_as_it_was_given() {
    let vestige = Vestige::new();
    vestige.run(&["add", "one lamp"]).ok();
    for (arguments, said) in [
        (&["search", "lamp", "-n", "1001"][..], "--limit: is 1001, must be at most 1000"),
        (&["search", "lamp", "--min-retrievability", "2"], "--min-retrievability: is 2"),
        (&["search", "lamp", "--type", ""], "--type: must not be empty"),
        (&["search", "lamp", "--codebase", ""], "--codebase: must not be empty"),
        (&["search", "lamp", "--session", ""], "--session: must not be empty"),
        (&["add", "lamp", "--tag", ""], "--tag: must not be empty"),
        (&["due", "-n", "1001"], "--limit: is 1001"),
    ] {
        vestige.run(arguments).refuses(2, &[said]);
    }
}

#[test]
fn a_store_before_the_command_and_one_behind_it_are_refused() {
    let vestige = Vestige::new();
    let other = vestige.path("other.db");
    let behind = format!("--db={}", other.display());
    vestige.run(&["--db", "first.db", "list", &behind]).refuses(2, &["--db is given twice"]);
    assert!(!other.exists());
    let (db, url) = (["--db", "other.db"], ["--postgres-url", "postgres://127.0.0.1:1/m"]);
    for args in [[&db[..], &["list"], &url], [&url, &["list"], &db], [&["list"], &db, &url]] {
        let run = vestige.run(&args.concat());
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.contains("cannot be used with"), "{run:?}");
    }
    assert!(!other.exists());
    vestige.ok(&["search", "--", "--db", "--db"]);
}

#[test]
fn a_tag_that_is_given_twice_is_kept_once() {
    let vestige = Vestige::new();
    vestige.run(&["add", "lamp", "-t", "b", "-t", "a", "-t", "b"]).ok();
    let listed = vestige.json(&["list"]);
    assert_eq!(listed[0]["tags"], json!(["b", "a"]));
}
