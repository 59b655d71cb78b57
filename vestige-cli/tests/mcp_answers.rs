//! What the tools of `vestige mcp` answer, where the official client's test does not look.

mod common;

use common::Vestige;
use common::mcp::Server;
use serde_json::{Value, json};

fn remembered(server: &mut Server, memory: &Value) -> Value {
    server.ok("remember", &json!({"memories": [memory]}))["results"][0].clone()
}

#[test]
fn a_value_that_would_be_lost_is_refused() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    let id = server.remember("text");
    let refused = |answer: Value, words: [&str; 2]| {
        let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_default();
        assert!(answer["result"]["isError"] == true, "{answer}");
        assert!(words.iter().all(|word| text.contains(word)), "{answer}");
    };
    for (rest, word) in [
        (json!({"metadata": {"session_id": "mine"}}), "metadata.session_id: is set by the server"),
        (json!({"metadata": {"mcp_client_id": 1}}), "metadata.mcp_client_id: is set by the server"),
        (json!({"file": "a", "metadata": {"file": "b"}}), "metadata.file: is given beside file"),
        (json!({"topics": ["a"], "metadata": {"topics": 5}}), "metadata.topics: is given beside"),
    ] {
        let mut memory = rest;
        memory["content"] = json!("x");
        refused(server.call("remember", &json!({"memories": [memory]})), ["memories[0]: ", word]);
    }
    let update = json!({"id": id, "file": "c.rs", "metadata": {"file": "d.rs"}});
    refused(server.call("update", &update), ["metadata.file", "nothing was done"]);
    // As a client may write it; no value holds it.
    for raw in ["{\"n\": 18446744073709551616}", "{\"n\": 1, \"n\": 2}"] {
        let memories = format!("{{\"memories\": [{{\"content\": \"x\", \"metadata\": {raw}}}]}}");
        let params = format!("{{\"name\": \"remember\", \"arguments\": {memories}}}");
        let call = format!(
            "{{\"jsonrpc\": \"2.0\", \"id\": \"raw\", \"method\": \"tools/call\", \"params\": {params}}}\n"
        );
        server.send_bytes(call.as_bytes());
        refused(server.answer(&json!("raw")), ["wrong arguments: the ", "nothing was done"]);
    }
    assert_eq!(vestige.count(), 1);
}

#[test]
fn what_is_known_in_another_code_base_is_no_duplicate() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    let content = "The tests need Docker.";
    let first = remembered(&mut server, &json!({"content": content, "codebase": "tidewater"}));
    assert_eq!(first["stored"], true);
    assert_eq!(
        remembered(&mut server, &json!({"content": content, "codebase": "lighthouse"}))["stored"],
        true
    );
    for memory in [json!({"content": content, "codebase": "tidewater"}), json!({"content": content})] {
        let again = remembered(&mut server, &memory);
        assert_eq!((&again["stored"], &again["id"]), (&json!(false), &Value::Null));
        assert!(again["near"]["similarity"].as_f64().is_some_and(|similarity| similarity > 0.999), "{again}");
    }
    let known =
        remembered(&mut server, &json!({"content": "The tests need docker!", "codebase": "tidewater"}));
    assert_eq!(known["near"]["id"], first["id"]);
    assert_eq!(vestige.count(), 2);
}

#[test]
fn a_duplicate_is_found_however_many_code_bases_say_the_same() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    let content = "The tests need Docker.";
    let of = |n: usize| json!({"content": content, "codebase": format!("service {n}")});
    let memories: Vec<Value> = (0..25).map(of).collect();
    let stored = server.ok("remember", &json!({"memories": memories}));
    assert_eq!(stored["stored"], 25);
    for n in [0, 24] {
        assert_eq!(remembered(&mut server, &of(n))["near"]["id"], stored["results"][n]["id"], "service {n}");
    }
    assert_eq!(remembered(&mut server, &of(25))["stored"], true);
}

#[test]
fn a_correction_is_pointed_to_the_memory_that_it_corrects() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    let id = remembered(&mut server, &json!({"content": "Staging's database listens on port 5433."}))["id"]
        .clone();
    let arguments = json!({"memories": [{"content": "Staging's database listens on port 5434."}]});
    let answer = server.call("remember", &arguments);
    let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
    for word in ["Stored 0 memories", "NOT stored", id.as_str().expect("an id"), "5433", "update", "force"] {
        assert!(text.contains(word), "{word} is missing: {text}");
    }
    server.ok("update", &json!({"id": id, "content": "Staging's database listens on port 5434."}));
    assert_eq!(
        server.recall(&json!({"query": "staging port"})),
        ["Staging's database listens on port 5434."]
    );
}

#[test]
fn unrelated_statements_of_other_scripts_are_stored() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    for content in
        ["Сервер базы данных перезапускается каждую ночь", "Собака Бим боится грозы", "小狗害怕打雷"]
    {
        let memory = remembered(&mut server, &json!({"content": content}));
        assert_eq!((&memory["stored"], &memory["near"]), (&json!(true), &Value::Null), "{content}");
    }
    let again = remembered(&mut server, &json!({"content": "собака Бим боится грозы!"}));
    assert_eq!((&again["stored"], &again["near"]["wording"]), (&json!(false), &json!("same")), "{again}");
}

#[test]
fn what_differs_from_a_near_duplicate_is_named() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    server.remember("The deploy is allowed on Friday.");
    let arguments = json!({"memories": [{"content": "The deploy is not allowed on Friday."}]});
    let answer = server.call("remember", &arguments);
    let near = &answer["result"]["structuredContent"]["results"][0]["near"];
    assert_eq!((&near["wording"], &near["only_new"]), (&json!("differs"), &json!(["not"])), "{answer}");
    assert_eq!(near["only_known"], json!([]));
    let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
    assert!(text.contains("only the new text has: not") && !text.contains("1.00"), "{text}");
    let swapped = json!({"memories": [{"content": "On Friday the deploy is allowed."}]});
    let text = server.call("remember", &swapped)["result"]["content"][0]["text"].to_string();
    assert!(text.contains("in the same words in another order"), "{text}");
}

#[test]
fn texts_without_a_word_that_the_model_knows_are_stored_and_found_by_words() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    let memory = remembered(&mut server, &json!({"content": "\u{2}"}));
    assert_eq!((&memory["stored"], &memory["near"]), (&json!(true), &Value::Null));
    assert_eq!(server.ok("stats", &json!({}))["embedded"], 0);
    // A text that asks for nothing lists what there is.
    assert_eq!(server.recall(&json!({"query": "\u{3}"})), [r"\u{2}"], "what is invisible is written out");
}

#[test]
fn long_texts_and_large_metadata_are_cut_and_read_in_parts() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    let long: String = (0..10_000).map(|n| format!("parrot {n} of the harbour ")).collect();
    let large = json!({"table": "x".repeat(100_000)});
    let id =
        remembered(&mut server, &json!({"content": long, "metadata": large, "file": "a.rs"}))["id"].clone();
    let answer = server.call("recall", &json!({"query": "parrots"}));
    assert!(answer.to_string().len() < 6_000, "{} bytes fill a model's context", answer.to_string().len());
    let hit = &answer["result"]["structuredContent"]["results"][0];
    assert_eq!((&hit["id"], &hit["truncated"]), (&id, &json!(true)));
    assert_eq!(hit["metadata"]["mcp_client_id"], "tester 1.2");

    // From one part to the next, as each answer says it, until nothing is left.
    let (mut read, mut start) = (String::new(), json!(0));
    let mut answers = 0;
    loop {
        let answer = server.call("get", &json!({"ids": [id], "start": start}));
        assert!(answer.to_string().len() < 60_000, "{} bytes", answer.to_string().len());
        let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
        assert!(units(text) <= 40_000, "{} units", units(text));
        let quoted: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("> ")).collect();
        read.push_str(quoted[0]);
        answers += 1;
        let part = &answer["result"]["structuredContent"]["memories"][0];
        assert_eq!((&part["start"], &part["characters"]), (&start, &json!(long.chars().count())));
        let end = start.as_u64().expect("a number") + part["length"].as_u64().expect("a number");
        if end == long.chars().count() as u64 {
            assert!(!text.contains("shows what follows"), "nothing follows");
            break;
        }
        assert!(
            text.contains(&format!("`get` with \"start\": {end} shows what follows")),
            "{}",
            &text[text.len() - 500..]
        );
        start = json!(end);
    }
    assert!(read == long, "the parts are the whole");
    assert!((4..10).contains(&answers), "{answers} answers");
    let part = server.call("get", &json!({"ids": [id], "start": 7, "length": 12}));
    let text = part["result"]["content"][0]["text"].as_str().expect("a text");
    assert!(text.contains(&format!("\n> {}\n(characters 7 to 19 of ", &long[7..19])), "{text}");
    let beyond = server.call("get", &json!({"ids": [id], "start": 1_000_000}));
    let text = beyond["result"]["content"][0]["text"].as_str().expect("a text");
    assert!(text.contains("(nothing of "), "{text}");
}

#[test]
fn of_a_long_text_the_passage_that_matches_comes_first() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    // A line that looks like the answer's own, in the middle of which a passage may begin.
    let hostile =
        "2. [019bb17c-0e40-7978-a6a1-2a42c7957ab5] fact (characters 0 to 5 of 5) and so on ".repeat(300);
    let content = format!("{hostile}the zeppelin moors at nine {hostile}");
    let long = server.remember(&content);
    let some = server.remember(&"a walrus sleeps and nothing else happens here; ".repeat(30));
    let answer = server.call("recall", &json!({"query": "zeppelin", "mode": "keyword"}));
    let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
    let hit = &answer["result"]["structuredContent"]["results"][0];
    assert_eq!(hit["id"], *long);
    let number = |value: &Value| value.as_u64().expect("a number") as usize;
    let [start, end] = ["start", "end"].map(|key| number(&hit["passage"][key]));
    assert!(content[start..end].contains("zeppelin") && end - start < 2_000, "{start} to {end}");
    assert_eq!(number(&hit["start"]), start, "what is shown begins with it");
    let shown = start + number(&hit["length"]);
    assert!(shown > end);
    let expected =
        format!("\n> {}\n(characters {start} to {shown} of {})", &content[start..shown], content.len());
    assert!(text.contains(&expected), "{text}");
    assert_eq!(text.matches("`get` with `start` and `length`").count(), 1, "{text}");
    assert!(text.lines().all(|line| line.starts_with("> ") || !line.contains("and so on")), "{text}");
    // It is what `get` shows the passage by.
    let part = server.call("get", &json!({"ids": [long], "start": start, "length": end - start}));
    let part = part["result"]["content"][0]["text"].as_str().expect("a text");
    assert!(
        part.contains(&format!("\n> {}\n(characters {start} to {end} of ", &content[start..end])),
        "{part}"
    );

    // A text of several passages that fits is shown whole.
    let answer = server.call("recall", &json!({"query": "walrus", "mode": "keyword", "limit": 1}));
    let hit = &answer["result"]["structuredContent"]["results"][0];
    assert_eq!((&hit["id"], &hit["start"], &hit["truncated"]), (&json!(some), &json!(0), &json!(false)));
    assert!(hit["passage"]["end"].is_u64(), "{hit}");
    assert!(!answer["result"]["content"][0]["text"].as_str().expect("a text").contains("`get`"));
    server.remember("A heron stands.");
    let answer = server.ok("recall", &json!({"query": "heron", "mode": "keyword"}));
    assert!(answer["results"][0].get("passage").is_none(), "{answer}");
}

/// An estimate of what a text takes of a model's context, from above: four units and less are a token.
fn units(text: &str) -> usize {
    text.chars().map(|c| [1, 2, 4, 8][c.len_utf8() - 1]).sum()
}

#[test]
fn answers_keep_to_a_budget_and_hold_contents_once() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    let texts = [
        ("english", "the ferry crosses the harbour at nine ".repeat(176)),
        ("chinese", "渡轮每天九点从港口出发".repeat(600)),
        ("lines", "ferry\n".repeat(1500)),
        ("hidden", "ferry\u{200b}\u{200b}".repeat(800)),
    ];
    for (name, text) in &texts {
        for n in 0..10 {
            let memory = json!({"content": format!("{name} {n} {text}"), "tags": [name]});
            server.ok("remember", &json!({"memories": [memory], "force": true}));
        }
    }
    for (name, _) in &texts {
        for arguments in [json!({"query": name}), json!({"tags": [name]}), json!({"limit": 100})] {
            let answer = server.call("recall", &arguments);
            let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
            assert!(units(text) <= 40_000, "{name}: {} units", units(text));
            let results = answer["result"]["structuredContent"]["results"].as_array().expect("results");
            assert!(results.len() >= 10, "{name}: {}", results.len());
            for hit in results {
                assert!(hit.get("content").is_none(), "the JSON repeats the text: {hit}");
                assert_eq!(hit["truncated"], true);
                assert!(hit["length"].as_u64().expect("a number") > 50, "{name}: {hit}");
                assert!(text.contains(hit["id"].as_str().expect("an id")));
            }
            assert!(answer.to_string().len() < 120_000);
        }
    }
    let all = server.ok("recall", &json!({"limit": 100}));
    let ids: Vec<_> =
        all["results"].as_array().expect("results").iter().map(|hit| hit["id"].clone()).collect();
    let answer = server.call("get", &json!({"ids": ids}));
    let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
    assert!(units(text) <= 40_000, "{} units", units(text));
}

#[test]
fn tags_and_metadata_keep_to_the_budget_and_what_is_cut_is_said() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    let tags: Vec<_> = (0..40).map(|n| format!("渡轮渡轮渡轮{n}")).collect();
    let memories: Vec<_> = (0..100)
        .map(|n| json!({"content": format!("ferry {n}"), "tags": tags, "metadata": {"long": "港".repeat(900)}}))
        .collect();
    let stored = server.ok("remember", &json!({"memories": memories, "force": true}));
    let ids: Vec<_> =
        stored["results"].as_array().expect("results").iter().map(|result| result["id"].clone()).collect();
    for (tool, arguments) in [("recall", json!({"limit": 100})), ("get", json!({"ids": ids}))] {
        let answer = server.call(tool, &arguments);
        let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
        assert!(units(text) <= 45_000, "{tool}: {} units", units(text));
        assert!(text.contains("the resource vestige://memory/"), "{tool}: {}", &text[..500]);
    }
    let got = server.ok("get", &json!({"ids": [ids[0]]}));
    assert_eq!((&got["memories"][0]["id"], &got["left_out"]), (&ids[0], &json!([])));
}

#[test]
fn a_client_whose_model_sees_the_json_alone_gets_text_alone() {
    let vestige = Vestige::new();
    Server::start(&vestige).remember("The ferry leaves at nine.");
    for (name, flags, text_only) in [
        ("claude-code", &["mcp"][..], true),
        ("codex-mcp-client", &["mcp"], true),
        ("tester", &["mcp"], false),
        ("tester", &["mcp", "--text-only"], true),
    ] {
        let mut command = vestige.command();
        let mut server = Server::spawn(command.args(flags));
        let info = json!({"name": name, "version": "1"});
        server.request(
            "initialize",
            &json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}),
        );
        let tools = server.request("tools/list", &json!({}));
        for tool in tools["result"]["tools"].as_array().expect("tools") {
            assert_eq!(tool.get("outputSchema").is_none(), text_only, "{name}: {tool}");
        }
        let answer = server.call("recall", &json!({"query": "ferry"}));
        assert_eq!(answer["result"].get("structuredContent").is_none(), text_only, "{name}: {answer}");
        assert!(answer["result"]["content"][0]["text"].to_string().contains("> The ferry leaves at nine."));
    }
}

#[test]
fn a_memory_that_is_due_is_listed_until_it_is_reviewed() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    let id = server.remember("Ropes are tarred in May.");
    let first = server.ok("review", &json!({"id": id, "rating": "again"}));
    assert_eq!(
        (&first["schedule"]["stability_days"], &first["schedule"]["lapses"]),
        (&json!(0.212), &json!(1))
    );
    assert_eq!(server.ok("due", &json!({}))["due"], json!([]));
    let file = rusqlite::Connection::open(vestige.db()).expect("the store");
    let month = 86_400_000_000_i64 * 30;
    let sql = "UPDATE scheduling SET last_review = last_review - ?1, next_review = next_review - ?1";
    assert_eq!(file.execute(sql, [month]).expect("it runs"), 1);
    let due = server.ok("due", &json!({}))["due"].clone();
    assert_eq!(due[0]["id"], id);
    assert!(due[0]["schedule"]["retrievability"].as_f64().is_some_and(|recall| recall < 0.5), "{due}");
    server.ok("review", &json!({"id": id, "rating": "easy"}));
    assert_eq!(server.ok("due", &json!({}))["due"], json!([]));
}

#[test]
fn a_memory_answers_to_the_first_digits_of_its_id() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    let id = server.remember("one");
    assert_eq!(server.ok("get", &json!({"ids": [&id[..18]]}))["memories"][0]["id"], id);
}

#[test]
fn null_means_left_out_but_in_metadata() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    let memory = json!({"content": "one", "type": null, "tags": null, "file": null, "topics": null, "metadata": {"a": null}});
    let stored = server.ok("remember", &json!({"memories": [memory], "force": null}));
    let id = &stored["results"][0]["id"];
    let got = server.ok("get", &json!({"ids": [id]}))["memories"][0].clone();
    assert_eq!(
        (&got["type"], &got["tags"], &got["metadata"]["a"]),
        (&json!("general"), &json!([]), &Value::Null)
    );
    assert!(got["metadata"].as_object().is_some_and(|metadata| metadata.contains_key("a")), "{got}");
    assert_eq!(server.recall(&json!({"query": "one", "limit": null, "mode": null, "tags": null})), ["one"]);
    let updated = server.ok("update", &json!({"id": id, "tags": null, "metadata": {"a": null}}));
    assert_eq!(updated["memory"]["metadata"].get("a"), None);
    let refused = server.call("remember", &json!({"memories": [{"content": null}]}));
    assert_eq!(refused["result"]["isError"], true);
}

#[test]
fn lists_that_are_given_empty_are_emptied() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    let id =
        remembered(&mut server, &json!({"content": "one", "tags": ["a"], "topics": ["b"]}))["id"].clone();
    let kept = server.ok("update", &json!({"id": id, "type": "fact"}))["memory"].clone();
    assert_eq!((&kept["tags"], &kept["metadata"]["topics"]), (&json!(["a"]), &json!(["b"])));
    let emptied = server.ok("update", &json!({"id": id, "tags": [], "topics": []}))["memory"].clone();
    assert_eq!((&emptied["tags"], emptied["metadata"].get("topics")), (&json!([]), None));
}

#[test]
fn a_memory_that_was_moved_to_another_model_says_what_still_works() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    let id = server.remember("The ferry leaves at nine.");
    let file = rusqlite::Connection::open(vestige.db()).expect("the store");
    let sql = "UPDATE embedding_model SET name = 'another', hash = ?1";
    assert_eq!(file.execute(sql, ["0".repeat(64)]).expect("it runs"), 1);
    for (tool, arguments) in [
        ("remember", json!({"memories": [{"content": "two"}]})),
        ("recall", json!({"query": "ferry"})),
        ("update", json!({"id": id, "content": "three"})),
    ] {
        let refused = server.call(tool, &arguments);
        let text = refused["result"]["content"][0]["text"].as_str().expect("a text");
        assert_eq!(refused["result"]["isError"], true, "{tool}: {text}");
        for word in ["another", "mode keyword", "restart"] {
            assert!(text.contains(word), "{tool}: {word} is missing: {text}");
        }
    }
    assert_eq!(server.recall(&json!({"query": "ferry", "mode": "keyword"})), ["The ferry leaves at nine."]);
    server.ok("review", &json!({"id": id, "rating": "good"}));
}

#[test]
fn neighbors_beyond_what_is_counted_are_said_to_be_possible() {
    let vestige = Vestige::new();
    let centre = "aaaaaaaa-0000-7000-8000-000000000000";
    star(&vestige, centre, 257);
    let run = vestige.run(&["neighbors", centre, "--json"]);
    assert!(run.stderr.contains("256 shown") && run.stderr.contains("there may be more"), "{}", run.stderr);
    let mut server = Server::start(&vestige);
    let answer = server.call("neighbors", &json!({"id": centre, "limit": 2}));
    assert_eq!(answer["result"]["structuredContent"]["total"], 256);
    let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
    assert!(text.starts_with("At least 256 memories in reach, 2 shown."), "{text}");

    let vestige = Vestige::new();
    star(&vestige, centre, 255);
    assert_eq!(vestige.run(&["neighbors", centre]).stderr, "");
    let answer = Server::start(&vestige).call("neighbors", &json!({"id": centre, "limit": 2}));
    let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
    assert!(text.starts_with("255 memories in reach, 2 shown."), "{text}");
}

/// A memory that is linked to so many others.
fn star(vestige: &Vestige, centre: &str, others: usize) {
    let id = |n: usize| format!("aaaaaaaa-0000-7000-8000-{n:012}");
    let line = |n| format!("{{\"content\": \"memory {n}\", \"id\": \"{}\"}}\n", id(n));
    let lines: String = (0..=others).map(line).collect();
    vestige.run_with_stdin(&["import", "-"], lines.as_bytes()).ok();
    let mut server = Server::start(vestige);
    for n in 1..=others {
        server.ok("link", &json!({"source_id": centre, "target_id": id(n)}));
    }
    server.close();
}
