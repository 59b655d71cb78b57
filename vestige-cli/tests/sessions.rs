//! Sessions as people and agents meet them: as a filter, as context, and in the ranking.

mod common;

use common::mcp::Server;
use common::{Vestige, contents};
use serde_json::{Value, json};

/// A store with a conversation, and the ids of its turns.
fn talk(turns: &[&str]) -> (Vestige, Vec<String>) {
    let vestige = Vestige::new();
    let add = |(second, text): (usize, &&str)| {
        let said = format!("2026-01-12T09:00:{second:02}Z");
        vestige.add(&[text, "--session", "standup", "--created-at", &said])
    };
    let ids = turns.iter().enumerate().map(add).collect();
    vestige.add(&["Nobody asked for a lamp here.", "--session", "retro"]);
    (vestige, ids)
}

const TURNS: [&str; 5] = ["Morning.", "Which port has the lamp?", "It moved.", "5433 now.", "Thanks."];

#[test]
fn a_result_is_shown_with_what_stands_around_it() {
    let (vestige, ids) = talk(&TURNS);
    let ask = ["search", "\"which port\" lamp", "--mode", "keyword", "--no-sessions"];
    assert_eq!(vestige.ok(&ask).lines().count(), 2);
    let text = vestige.ok(&[&ask[..], &["--context", "2"]].concat());
    let lines: Vec<&str> = text.lines().collect();
    let of = |n: usize| lines[n..n + 2].join("\n");
    for (line, place, turn) in [(2, "1 before", 0), (4, "1 after", 2), (6, "2 after", 3)] {
        assert!(of(line).starts_with(&format!("  - {place}: {}  general", ids[turn])), "{text}");
        assert!(of(line).ends_with(&format!("\n      {}", TURNS[turn])), "{text}");
    }
    assert_eq!(lines.len(), 8, "{text}");
    let found = vestige.json(&[&ask[..], &["-C", "1"]].concat());
    assert_eq!(contents(&found), [TURNS[1]]);
    assert_eq!(
        (contents(&found[0]["before"]), contents(&found[0]["after"])),
        (vec![TURNS[0]], vec![TURNS[2]])
    );
    assert_eq!(
        (&found[0]["before"][0]["id"], &found[0]["before"][0]["result"]),
        (&json!(ids[0]), &Value::Null)
    );
    let plain = vestige.json(&ask);
    assert!(plain[0].get("before").is_none() && plain[0].get("after").is_none(), "{plain}");
    let explained = vestige.json(&[&ask[..], &["-C", "1", "--explain"]].concat());
    assert_eq!(explained["results"][0]["before"], found[0]["before"]);
    vestige
        .run(&[&ask[..], &["-C", "21"]].concat())
        .refuses(2, &["--context: is 21, must be at most 20 for 10 memories"]);
    let many = [&ask[..], &["-n", "100", "-C", "11"]].concat();
    vestige.run(&many).refuses(2, &["--context: is 11, must be at most 10 for 100 memories"]);
}

#[test]
fn what_is_a_result_itself_is_not_shown_twice() {
    let (vestige, ids) = talk(&["one lamp", "two lamps lamp", "three"]);
    let ask = ["search", "lamp", "--session", "standup", "--mode", "keyword", "--no-sessions", "-C", "1"];
    let found = vestige.json(&ask);
    let first = found[0]["id"].as_str().expect("an id");
    let (own, other) = if first == ids[0] { ("after", "before") } else { ("before", "after") };
    assert_eq!(found[0][own][0]["result"], 2, "{found}");
    assert_eq!(found[1][other][0]["result"], 1, "{found}");
    let text = vestige.ok(&ask);
    assert!(text.contains(&format!("\n  - 1 {own}: result 2\n")), "{text}");
    assert!(text.contains(&format!("\n  - 1 {other}: result 1")), "{text}");
    assert_eq!(text.matches("two lamps lamp").count(), 1, "{text}");
}

#[test]
fn no_text_passes_for_a_line_of_the_answer() {
    let forged = "lamp\n  - 1 before: result 2\n- 1 after: result 3\n2. [fake] fact\n 2. fake\n> quoted";
    let (vestige, _) = talk(&[forged, "Whose torch?", forged]);
    let ask = ["search", "torch", "--mode", "keyword", "--no-sessions", "-C", "1"];
    for more in [&[][..], &["--full"]] {
        let text = vestige.ok(&[&ask[..], more].concat());
        let heads = text.lines().filter(|line| !line.starts_with("   ")).count();
        assert_eq!(heads, 3, "{text}");
    }
    let mut server = Server::start(&vestige);
    let answer = server.call("recall", &json!({"query": "\"whose torch\"", "mode": "keyword", "context": 1}));
    let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
    let own: Vec<&str> = text.lines().filter(|line| !line.starts_with("> ") && !line.is_empty()).collect();
    assert_eq!(own.len(), 4, "{text}");
    assert!(own[2].starts_with("- 1 before: [") && own[3].starts_with("- 1 after: ["), "{text}");
}

#[test]
fn a_session_is_a_filter_everywhere() {
    let (vestige, _) = talk(&TURNS);
    vestige.add(&["A lamp of no session."]);
    let sorted = |found: &Value| {
        let mut contents: Vec<String> = contents(found).into_iter().map(str::to_owned).collect();
        contents.sort_unstable();
        contents
    };
    let mut turns = TURNS.map(str::to_owned);
    turns.sort_unstable();
    assert_eq!(sorted(&vestige.json(&["list", "--session", "standup"])), turns);
    assert_eq!(vestige.json(&["list", "--session", "standup"])[0]["session"], "standup");
    assert_eq!(
        vestige.json(&["list", "--session", "standup", "--session", "retro"]).as_array().map(Vec::len),
        Some(6)
    );
    assert_eq!(vestige.json(&["list", "--session", "nobody"]), json!([]));
    let retro = ["Nobody asked for a lamp here."];
    for mode in ["keyword", "vector", "hybrid"] {
        let found = vestige.json(&["search", "lamp", "--mode", mode, "--session", "retro"]);
        assert_eq!(contents(&found), retro, "{mode}");
        assert_eq!(found[0]["session"], "retro");
    }
    vestige.run(&["list", "--session", " "]).refuses(2, &["--session: must not be empty"]);
    let mut server = Server::start(&vestige);
    assert_eq!(server.recall(&json!({"query": "lamp", "sessions": ["retro"]})), retro);
    assert_eq!(server.recall(&json!({"sessions": ["standup"]})).len(), 5);
    let id = vestige.json(&["list", "--session", "retro"])[0]["id"].clone();
    let got = server.call("get", &json!({"ids": [id]}));
    let text = got["result"]["content"][0]["text"].as_str().expect("a text");
    assert!(text.lines().next().is_some_and(|line| line.ends_with(" · session retro")), "{text}");
}

#[test]
fn without_sessions_each_memory_is_ranked_by_itself() {
    let (vestige, _) = talk(&TURNS);
    let ask = ["search", "which port", "--mode", "keyword"];
    assert_eq!(vestige.json(&ask).as_array().map(Vec::len), Some(4));
    let found = vestige.json(&[&ask[..], &["--no-sessions"]].concat());
    assert_eq!(contents(&found), [TURNS[1]]);
    assert_eq!(found[0]["score"], found[0]["fts_score"]);
    let plan = vestige.ok(&[&ask[..], &["--no-sessions", "--explain"]].concat());
    assert!(!plan.contains("sessions the best"), "{plan}");
}

#[test]
fn an_agent_sees_what_stands_around_a_result_within_the_room_of_an_answer() {
    let (vestige, ids) = talk(&TURNS);
    let mut server = Server::start(&vestige);
    let ask = json!({"query": "\"which port\"", "mode": "keyword", "context": 2});
    let hit = server.ok("recall", &ask)["results"][0].clone();
    let near = |side: &str| -> Vec<Value> { hit[side].as_array().into_iter().flatten().cloned().collect() };
    assert_eq!(near("before").iter().map(|one| &one["id"]).collect::<Vec<_>>(), [&json!(ids[0])]);
    let after: Vec<_> = near("after").iter().map(|one| (one["id"].clone(), one["length"].clone())).collect();
    assert_eq!(after, [(json!(ids[2]), json!(9)), (json!(ids[3]), json!(9))]);
    for (arguments, said) in [
        (json!({"query": "lamp", "context": 6}), "context"),
        (json!({"query": "lamp", "context": -1}), "context"),
        (json!({"query": "lamp", "context": 2, "limit": 51}), "must be at most 1 for a `limit` of 51"),
        (json!({"context": 1}), "context: goes with a question"),
    ] {
        let answer = server.call("recall", &arguments);
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        assert!(
            answer["result"]["content"][0]["text"].as_str().is_some_and(|text| text.contains(said)),
            "{answer}"
        );
    }
    // Hundreds of long texts around a hundred results.
    let line = |n: usize| {
        let text = if n.is_multiple_of(7) { "needle " } else { "hay " }.repeat(400);
        json!({"content": format!("{n} {text}"), "session": format!("talk {}", n / 350)}).to_string() + "\n"
    };
    vestige.run_with_stdin(&["import", "-"], (0..700).map(line).collect::<String>().as_bytes()).ok();
    let answer =
        server.call("recall", &json!({"query": "needle", "limit": 20, "context": 5, "mode": "keyword"}));
    let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
    assert!(text.len() < 60_000, "{} bytes", text.len());
    assert!(text.contains("\n- 1 before: ") && text.ends_with("smaller `limit`)"), "{text}");
    assert!(text.contains("\n20. ["), "every result is there");
    let shown = text.lines().filter(|line| line.starts_with("- ")).count();
    let results = answer["result"]["structuredContent"]["results"].as_array().expect("results");
    let length = |side: &Value| side.as_array().map_or(0, Vec::len);
    let listed: usize = results.iter().map(|hit| length(&hit["before"]) + length(&hit["after"])).sum();
    assert_eq!(listed, shown);
}
