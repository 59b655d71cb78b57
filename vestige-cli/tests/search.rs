//! What `vestige search` finds, by words and by meaning.

mod common;

use common::mcp::Server;
use common::{Vestige, contents};
use serde_json::json;

#[test]
fn a_mode_uses_its_own_leg_alone() {
    let vestige = Vestige::new();
    vestige.add(&["The harbour closes at nine."]);
    let keyword = vestige.json(&["search", "harbour", "--mode", "keyword"]);
    assert!(keyword[0]["vector_score"].is_null() && keyword[0]["fts_score"].is_f64());
    assert_eq!(keyword[0]["score"], keyword[0]["fts_score"]);
    let vector = vestige.json(&["search", "harbour", "--mode", "vector"]);
    assert!(vector[0]["fts_score"].is_null() && vector[0]["vector_score"].is_f64());
    assert_eq!(vestige.json(&["search", "marina", "--mode", "keyword"]), json!([]));
}

#[test]
fn the_answer_beside_the_question_in_a_session_is_found() {
    let vestige = Vestige::new();
    vestige.ok(&["add", "Which port does the staging database use?", "--session", "standup"]);
    vestige.ok(&["add", "5433.", "--session", "standup"]);
    vestige.ok(&["add", "6144.", "--session", "another"]);
    let text = vestige.ok(&["search", "port of the staging database", "--mode", "keyword", "--explain"]);
    assert!(text.contains("5433.") && !text.contains("6144."), "{text}");
    assert!(text.contains("beside another result in its session"), "{text}");
    assert!(text.contains("sessions the best 50 lend"), "{text}");
}

#[test]
fn explain_shows_ranks_scores_and_the_plan() {
    let vestige = Vestige::new();
    vestige.add(&["The harbour closes at nine."]);
    let text = vestige.ok(&["search", "harbour", "--explain"]);
    for expected in ["words rank 1, BM25 ", "meaning rank 1, cosine ", "keyword", "vector", "fusion"] {
        assert!(text.contains(expected), "{expected:?} is missing in {text}");
    }
    let json = vestige.json(&["search", "harbour", "--explain"]);
    assert_eq!(json["results"][0]["fts_rank"], 1);
    assert_eq!(json["results"][0]["vector_rank"], 1);
    assert!(json["plan"]["steps"].as_array().is_some_and(|steps| !steps.is_empty()));
}

#[test]
fn phrases_exclusions_and_filters_hold() {
    let vestige = Vestige::new();
    for (text, args) in [
        ("pool of connections", &["--tag", "db", "--created-at", "2026-01-10"][..]),
        ("connection pool", &["--tag", "db", "--type", "bug", "--created-at", "2026-01-31T23:59:59Z"]),
        ("connection pool on windows", &["--codebase", "kestrel", "--created-at", "2026-02-02"]),
    ] {
        vestige.add(&[&[text], args].concat());
    }
    let found = |args: &[&str]| {
        let results = vestige.json(&[&["search", "connection pool"], args].concat());
        let mut found: Vec<String> = contents(&results).into_iter().map(str::to_owned).collect();
        found.sort();
        found
    };
    assert_eq!(found(&[]).len(), 3);
    assert_eq!(found(&["\"connection pool\"", "-n5"]), ["connection pool", "connection pool on windows"]);
    assert_eq!(found(&["--", "-windows"]), ["connection pool", "pool of connections"]);
    assert_eq!(found(&["--tag", "db"]), ["connection pool", "pool of connections"]);
    assert_eq!(found(&["--tag", "db", "--type", "bug"]), ["connection pool"]);
    assert_eq!(found(&["--codebase", "kestrel", "--codebase", "other"]), ["connection pool on windows"]);
    assert_eq!(found(&["--since", "2026-01-31"]), ["connection pool", "connection pool on windows"]);
    assert_eq!(found(&["--until", "2026-01-31"]), ["connection pool", "pool of connections"]);
    assert_eq!(found(&["--since", "2026-01-31", "--until", "2026-01-31"]), ["connection pool"]);
    assert_eq!(found(&["--domain", "none"]), [""; 0]);
    assert_eq!(found(&["-n", "1"]).len(), 1);
}

#[test]
fn what_a_question_excludes_is_not_looked_for_in_any_mode() {
    let vestige = Vestige::new();
    for text in ["A sick kitten needs a vet.", "A dog is not a cat.", "The dog barks at dogs.", "Rain falls."]
    {
        vestige.add(&[text]);
    }
    vestige.add(&["\u{1}"]);
    let mut server = Server::start(&vestige);
    for mode in ["hybrid", "vector"] {
        let json = vestige.json(&["search", "sick cat -dog", "--mode", mode]);
        assert_eq!(contents(&json), ["A sick kitten needs a vet.", "Rain falls."], "{mode}");
        let plain = vestige.json(&["search", "sick cat", "--mode", mode]);
        let at =
            contents(&plain).iter().position(|content| *content == contents(&json)[0]).expect("it is found");
        assert_eq!(json[0]["vector_score"], plain[at]["vector_score"], "{mode}");
        assert_eq!(server.recall(&json!({"query": "sick cat -dog", "mode": mode})), contents(&json));
    }
    for mode in ["keyword", "hybrid", "vector"] {
        let run = vestige.run(&["search", "--mode", mode, "--json", "--", "-dog"]);
        assert!(run.stderr.contains("only excludes"), "{mode}: {}", run.stderr);
        assert_eq!(run.ok(), "[]\n", "{mode}");
        assert_eq!(server.recall(&json!({"query": "-dog", "mode": mode})), [""; 0], "{mode}");
    }
}

#[test]
fn by_meaning_alone_a_phrase_decides_what_is_found_and_counts_nothing() {
    let vestige = Vestige::new();
    for text in ["The dog barks at dogs.", "A cat on night watch.", "Night watch in the rain."] {
        vestige.add(&[text]);
    }
    // A memory without a vector holds the phrase too.
    vestige.run_with_stdin(&["import", "-"], b"{\"content\": \"\\u0001\", \"tags\": [\"night watch\"]}").ok();
    let question = "kitten \"night watch\"";
    let json = vestige.json(&["search", question, "--mode", "vector", "--explain"]);
    let hits = &json["results"];
    assert_eq!(contents(hits), ["A cat on night watch.", "Night watch in the rain."]);
    for hit in hits.as_array().expect("an array") {
        assert_eq!(hit["score"], hit["vector_score"]);
        assert!(hit["score"].is_f64() && hit["fts_score"].is_null() && hit["fts_rank"].is_null(), "{hit}");
    }
    let mut server = Server::start(&vestige);
    assert_eq!(server.recall(&json!({"query": question, "mode": "vector"})), contents(hits));
}

/// A log of a hundred lines, of which the one with this number says when the ferry leaves.
fn log(number: usize) -> String {
    let line = |n: usize| match n == number {
        true => format!("Entry {n}: the ferry leaves at nine.\u{1b}[2J"),
        false => format!("Entry {n}: nothing happened that day."),
    };
    (0..100).map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn of_a_long_memory_the_passage_that_matches_is_shown_with_its_place() {
    let vestige = Vestige::new();
    let content = log(70);
    let id = vestige.add(&[&content]);
    let short = vestige.add(&["The ferry is late."]);
    let json = vestige.json(&["search", "when does the ferry leave?"]);
    let long = json.as_array().expect("an array").iter().find(|hit| hit["id"] == *id).expect("it is found");
    assert_eq!(long["content"], *content);
    let [start, end] = ["start", "end"].map(|key| long["passage"][key].as_u64().expect("a number") as usize);
    let passage = &content[start..end];
    assert!(passage.contains("Entry 70: ") && passage.len() < 1000, "{passage}");
    let other = json.as_array().expect("an array").iter().find(|hit| hit["id"] == *short);
    assert!(other.expect("it is found").get("passage").is_none());

    let run = vestige.run(&["search", "when does the ferry leave?"]);
    assert!(run.stderr.contains("`vestige get ID`") && run.stderr.contains("--start"), "{}", run.stderr);
    let text = run.ok();
    let place = format!("    characters {start} to {end} of {}\n", content.len());
    assert!(text.contains(&place), "{place} is missing in {text}");
    let shown = text.lines().find(|line| line.contains("the ferry leaves")).expect("what matched is shown");
    assert!(shown.starts_with("    …") && shown.ends_with('…'), "{shown}");
    assert!(shown.contains("at nine.\\u{1b}[2J Entry 71") && !shown.contains("Entry 0:"), "{shown}");
    let full = vestige.run(&["search", "ferry", "--full"]);
    assert!(!full.stderr.contains("vestige get") && !full.stdout.contains("characters "), "{full:?}");
    assert!(full.stdout.contains("Entry 0:") && full.stdout.contains("Entry 99:"));
    let short = vestige.run(&["search", "late", "-n1", "--mode", "keyword"]);
    assert_eq!(short.stderr, "", "nothing is left out");

    // The place is what `get` shows the part by.
    let part = ["get", &id, "--start", &start.to_string(), "--end", &end.to_string()];
    let got = vestige.json(&part);
    assert_eq!((&got[0]["content"], &got[0]["passage"]), (&json!(passage), &long["passage"]));
    assert_eq!(got[0]["characters"], content.len());
    assert!(vestige.ok(&part).contains(place.trim()));
}

/// A store with two texts that words find alike, the one for May older; in a time zone far from UTC days
/// begin at another hour, so each is of the middle of a month.
fn of_two_months() -> Vestige {
    let vestige = Vestige::new();
    vestige.add(&["We lit the lamp.", "--created-at", "2023-05-15T12:00:00Z"]);
    vestige.add(&["We lit the lamp.", "--created-at", "2025-09-15T12:00:00Z"]);
    vestige
}

#[test]
fn a_time_that_the_question_names_is_favoured_and_told() {
    let vestige = of_two_months();
    let ask = ["search", "when did we light the lamp in May 2023?", "--mode", "keyword"];
    let created = |found: &serde_json::Value| {
        let created = |hit: &serde_json::Value| hit["created_at"].as_str().expect("a time")[..7].to_owned();
        found.as_array().expect("results").iter().map(created).collect::<Vec<_>>()
    };
    assert_eq!(created(&vestige.json(&ask)), ["2023-05", "2025-09"]);
    let off = [&ask[..], &["--no-dates"]].concat();
    assert_eq!(created(&vestige.json(&off)), ["2025-09", "2023-05"]);

    let text = vestige.ok(&[&ask[..], &["--explain"]].concat());
    assert!(
        text.contains("\ndates    ") && text.contains("\n         May 2023: 2023-05-01 to 2023-05-31\n"),
        "{text}"
    );
    let explained = vestige.json(&[&ask[..], &["--explain"]].concat());
    assert_eq!(
        explained["dates"],
        json!([{"words": "May 2023", "first": "2023-05-01", "last": "2023-05-31"}])
    );
    assert_eq!(created(&explained["results"]), ["2023-05", "2025-09"]);
    let off = vestige.json(&[&off[..], &["--explain"]].concat());
    assert_eq!(off["dates"], json!([]));
    assert!(!off["plan"].to_string().contains("\"dates\""), "{off}");
}

#[test]
fn an_agent_is_told_which_time_is_favoured_and_can_switch_it_off() {
    let vestige = of_two_months();
    let mut server = Server::start(&vestige);
    let ask = |favour: serde_json::Value| json!({"query": "light the lamp in May 2023", "mode": "keyword", "dates": favour});
    let answer = server.call("recall", &ask(json!(true)));
    let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
    let told = "Memories of May 2023 (2023-05-01 to 2023-05-31) and of soon after are favoured;";
    assert!(text.lines().next().is_some_and(|line| line.contains(told)), "{text}");
    let found = &answer["result"]["structuredContent"];
    assert_eq!(found["dates"], json!(["May 2023 (2023-05-01 to 2023-05-31)"]));
    assert!(found["results"][0]["created_at"].as_str().is_some_and(|time| time.starts_with("2023-05")));
    let answer = server.call("recall", &ask(json!(false)));
    let found = &answer["result"]["structuredContent"];
    assert!(found.get("dates").is_none() && !answer.to_string().contains("favoured"), "{answer}");
    assert!(found["results"][0]["created_at"].as_str().is_some_and(|time| time.starts_with("2025-09")));
}
