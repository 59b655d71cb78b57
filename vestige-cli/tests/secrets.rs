//! Credentials: refused by every command that stores texts, named and not repeated.

mod common;

use common::Vestige;
use common::mcp::Server;
use serde_json::json;

const RANDOM: &str = "x7Kq02LmVb9TzR4nWc81YpHs5JdGf3AoEuQi";

fn token() -> String {
    format!("{}{RANDOM}", "ghp_")
}

fn sentence() -> String {
    format!("The token is {}.", token())
}

const PLACE: &str = "content: characters 13 to 53 look like a credential (GitHub token)";

#[test]
fn add_and_update_refuse_a_credential_unless_it_is_meant() {
    let vestige = Vestige::new();
    let refused = vestige.run(&["add", &sentence()]);
    refused.refuses(1, &[PLACE, "--allow-secrets", "nothing was stored"]);
    assert!(!refused.stderr.contains(RANDOM) && !vestige.db().exists());
    vestige
        .run(&["add", "text", "--meta", "password=hunter2"])
        .refuses(1, &["metadata.password: characters 0 to 7"]);

    let id = vestige.add(&["text"]);
    vestige.run(&["update", &id, "--content", &sentence()]).refuses(1, &[PLACE, "--allow-secrets"]);
    vestige.run(&["update", &id, "--add-tag", &token()]).refuses(1, &["tags[0]: characters 0 to 40"]);
    assert_eq!(vestige.json(&["get", &id])[0]["content"], "text");
    vestige.ok(&["update", &id, "--content", &sentence(), "--allow-secrets"]);
    vestige.ok(&["update", &id, "--add-tag", "ci"]);
    vestige.add(&[&sentence(), "--allow-secrets"]);
    assert_eq!(vestige.count(), 2);
}

#[test]
fn a_line_of_an_import_with_a_credential_is_a_bad_line_and_an_archive_is_brought_back_as_it_is() {
    let vestige = Vestige::new();
    let line = json!({"content": sentence()});
    vestige.write("m.jsonl", format!("{{\"content\": \"one\"}}\n{line}\n{{\"content\": \"two\"}}\n"));
    let run = vestige.run(&["import", "m.jsonl"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr.contains(&format!("m.jsonl:2: {PLACE}")) && !run.stderr.contains(RANDOM),
        "{}",
        run.stderr
    );
    assert!(!vestige.db().exists());
    vestige.run(&["import", "m.jsonl", "--skip-bad"]).refuses(1, &["m.jsonl:2: ", PLACE]);
    assert_eq!(vestige.count(), 2);
    vestige.ok(&["import", "m.jsonl", "--allow-secrets"]);
    assert_eq!(vestige.count(), 3);
    vestige.ok(&["export", "a.jsonl"]);
    vestige.ok(&["restore", "a.jsonl", "--db", "other.db"]);
    assert_eq!(vestige.json(&["stats", "--db", "other.db"])["memories"], 3);
}

#[test]
fn doctor_sweeps_all_memories_for_credentials_and_repeats_none() {
    let vestige = Vestige::new();
    let lines: String = (0..1100).map(|n| format!("{{\"content\": \"memory number {n}\"}}\n")).collect();
    vestige.run_with_stdin(&["import", "-"], lines.as_bytes()).ok();
    let clean = vestige.ok(&["doctor", "--secrets"]);
    assert!(clean.contains("1100 memories looked at, and nothing looks like a credential"), "{clean}");
    let old = ["--created-at", "2020-01-01", "--allow-secrets"];
    let id = vestige.add(&[&[sentence().as_str()], &old[..]].concat());
    let said = vestige.ok(&["doctor", "--secrets"]);
    assert!(said.contains(&format!("secrets: memory {id}: {PLACE}")) && !said.contains(RANDOM), "{said}");
    let report = vestige.json(&["doctor", "--secrets"]);
    let findings = report["findings"].as_array().expect("findings");
    let secrets: Vec<_> = findings.iter().filter(|finding| finding["subject"] == "secrets").collect();
    assert!(secrets.len() == 1 && secrets[0]["severity"] == "warning", "{report}");
    assert!(!vestige.ok(&["doctor"]).contains("secrets"));
}

#[test]
fn an_agent_stores_no_credential_unless_the_server_is_started_for_it() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    let memories = json!({"memories": [{"content": "one"}, {"content": sentence()}]});
    let refused = server.call("remember", &memories);
    let said = refused.to_string();
    assert!(said.contains(&format!("memories[1].{PLACE}")) && said.contains("nothing was stored"), "{said}");
    assert!(said.contains("\"isError\":true") && !said.contains(RANDOM), "{said}");
    let id = server.remember("one");
    let refused = server.call("update", &json!({"id": id, "content": sentence()})).to_string();
    assert!(refused.contains(PLACE) && !refused.contains(RANDOM), "{refused}");
    server.close();
    assert_eq!(vestige.count(), 1);
    let mut server = Server::start_with(vestige.command().args(["mcp", "--allow-secrets"]), &json!({}));
    assert_eq!(server.ok("remember", &memories)["results"][1]["stored"], true);
}
