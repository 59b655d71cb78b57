//! The example binary, driven over pipes as an MCP client does it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// A client of a server that was started for it.
struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    last_id: u64,
}

impl Client {
    fn start(file: &Path) -> Self {
        let mut child = Command::new(example("serve"))
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut client = Self { child, input, output, last_id: 0 };
        let hello = client.request(
            "initialize",
            &json!({
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": {"name": "a test", "version": "1"},
            }),
        );
        assert_eq!(hello["serverInfo"]["name"], "vestige", "{hello}");
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        client
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.input, "{message}").expect("the server reads");
    }

    /// Every line on stdout is a message of the protocol; the next one answers this request.
    fn request(&mut self, method: &str, params: &Value) -> Value {
        self.last_id += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params}));
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the server answers");
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not protocol: {line:?}"));
        assert_eq!(answer["id"], self.last_id, "{answer}");
        answer["result"].clone()
    }

    /// Calls a tool that has to succeed, and returns its structured answer.
    fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let result = self.request("tools/call", &json!({"name": tool, "arguments": arguments}));
        assert_eq!(result["isError"], false, "{tool}: {result}");
        result["structuredContent"].clone()
    }

    /// Closes the connection; the server has to end by itself.
    fn close(mut self) {
        drop(self.input);
        assert!(self.child.wait().expect("it ends").success());
    }
}

/// The binary of an example, which Cargo builds beside the tests of its package.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this test has a path");
    let profile = test.parent().and_then(Path::parent).expect("…/target/debug/deps/a-test");
    let example = profile.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(example.exists(), "{} is not built: `cargo build -p vestige-mcp --examples`", example.display());
    example
}

#[test]
fn a_binary_of_its_own_remembers_and_recalls() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("memory.db");
    let mut client = Client::start(&file);
    for content in ["The ferry leaves at nine.", "渡轮九点开船。", "Deployed 🚀"] {
        let stored = client.call("remember", &json!({"memories": [{"content": content}]}));
        assert_eq!(stored["stored"], 1, "{content}: {stored}");
    }
    for (query, expected) in [
        ("when does the ferry leave?", "The ferry leaves at nine."),
        ("渡轮九点开船", "渡轮九点开船。"),
        ("deployed 🚀", "Deployed 🚀"),
    ] {
        let found = client
            .request("tools/call", &json!({"name": "recall", "arguments": {"query": query, "limit": 1}}));
        let text = found["content"][0]["text"].as_str().expect("a text");
        assert!(text.ends_with(&format!("\n> {expected}")), "{query}: {text}");
    }
    assert_eq!(client.call("stats", &json!({}))["store"], file.to_str().expect("UTF-8"));
    client.close();

    // Another process finds what the first one stored.
    let mut client = Client::start(&file);
    assert_eq!(client.call("stats", &json!({}))["memories"], 3);
    client.close();
}
