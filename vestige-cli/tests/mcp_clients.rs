//! The set-up pages: what they tell people to write starts a server that works.

mod common;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::{PROGRAM, Vestige};
use serde_json::Value;

const CLIENTS: [&str; 6] = ["claude-desktop", "claude-code", "cursor", "vscode", "zed", "generic"];

fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/clients")
}

/// The JSON that a page shows.
fn snippet(client: &str) -> Value {
    let page = std::fs::read_to_string(pages().join(format!("{client}.md"))).expect("the page");
    let (_, rest) = page.split_once("```json\n").expect("a block of JSON");
    let (json, rest) = rest.split_once("```").expect("its end");
    assert!(!rest.contains("```json"), "{client}: two configurations");
    serde_json::from_str(json).expect("JSON")
}

/// The server's entry, wherever a client wants it.
fn entry(config: &Value) -> &Value {
    ["mcpServers", "servers", "context_servers"]
        .iter()
        .find_map(|key| config.get(key))
        .map_or(config, |servers| &servers["vestige"])
}

/// Starts what an entry says, as a client would, and returns the names of the tools.
fn tools_of(vestige: &Vestige, entry: &Value) -> Vec<String> {
    let words = |value: &Value| value.as_str().expect("a text").to_owned();
    let program = if entry["command"] == "vestige" { PROGRAM.to_owned() } else { words(&entry["command"]) };
    let mut command = vestige.command_of(&program);
    command.args(entry["args"].as_array().expect("arguments").iter().map(words));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let lines = concat!(
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"#,
        r#""clientInfo":{"name":"t","version":"1"}}}"#,
        "\n",
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        "\n",
        r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#,
        "\n"
    );
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), lines.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    let mut answers = stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let list = answers.find(|answer| answer["id"] == 2).expect("an answer");
    list["result"]["tools"].as_array().expect("tools").iter().map(|tool| words(&tool["name"])).collect()
}

#[test]
fn every_page_shows_what_print_config_prints_and_it_starts_the_server() {
    let vestige = Vestige::new();
    for client in CLIENTS {
        let shown = snippet(client);
        let run = vestige.command().env_remove("VESTIGE_DB").args(["mcp", "--print-config", client]).output();
        let run = run.expect("it runs");
        let printed: Value = serde_json::from_slice(&run.stdout).expect("JSON");
        assert_eq!(
            entry(&printed)["command"],
            std::fs::canonicalize(PROGRAM).expect("a path").display().to_string()
        );
        let mut renamed = printed.clone();
        let command =
            ["mcpServers", "servers", "context_servers"].iter().find(|key| printed.get(key).is_some());
        match command {
            Some(key) => renamed[key]["vestige"]["command"] = "vestige".into(),
            None => renamed["command"] = "vestige".into(),
        }
        assert_eq!(renamed, shown, "docs/clients/{client}.md");
        for config in [&shown, &printed] {
            assert_eq!(
                tools_of(&vestige, entry(config)).first().map(String::as_str),
                Some("remember"),
                "{client}"
            );
        }
    }
    let listed: Vec<String> = std::fs::read_dir(pages())
        .expect("the pages")
        .map(|page| page.expect("a page").file_name().to_string_lossy().trim_end_matches(".md").to_owned())
        .filter(|page| page != "README")
        .collect();
    assert_eq!(listed.len(), CLIENTS.len(), "{listed:?}");
    assert!(listed.iter().all(|page| CLIENTS.contains(&page.as_str())), "{listed:?}");
}

#[test]
fn a_memory_that_is_named_stands_in_the_configuration() {
    let vestige = Vestige::new();
    let other = vestige.path("other memory.db").display().to_string();
    let config: Value =
        serde_json::from_str(&vestige.ok(&["--db", "other memory.db", "mcp", "--print-config", "cursor"]))
            .expect("JSON");
    assert_eq!(entry(&config)["args"], serde_json::json!(["--db", other, "mcp"]));
    assert!(!Path::new(&other).exists(), "printing makes no memory");
    tools_of(&vestige, entry(&config));
    assert!(Path::new(&other).exists());

    // The file also says how the model is run, so it is named beside a memory that is not its own.
    let file = vestige.write("agents.toml", "[embeddings]\nmodel = \"bundled\"\n").display().to_string();
    let flags = ["--config", "agents.toml", "--db", "other memory.db", "--model", "bundled"];
    let printed = vestige.ok(&[&flags[..], &["mcp", "--print-config", "cursor"]].concat());
    let config: Value = serde_json::from_str(&printed).expect("JSON");
    let expected = ["--config", &file, "--db", &other, "--model", "bundled", "mcp"];
    assert_eq!(entry(&config)["args"], serde_json::json!(expected));
    tools_of(&vestige, entry(&config));

    let mut command = vestige.command();
    command.env_remove("VESTIGE_DB").env("VESTIGE_POSTGRES_URL", "postgres://ada:s3cret@h/m");
    let output = command.args(["mcp", "--print-config", "generic"]).output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("vestige.toml") && !said.contains("s3cret"), "{said}");
}
