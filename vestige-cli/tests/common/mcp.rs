//! A client of `vestige mcp` that says exactly what a test wants it to say.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Vestige;

/// Generous: the machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stderr: Option<JoinHandle<String>>,
    next_id: u64,
    /// Answers that came before they were waited for.
    early: HashMap<String, Value>,
    /// What the server answers to `roots/list`.
    pub(crate) roots: Value,
}

impl Server {
    /// Starts the server and shakes hands as `tester 1.2`, a client without roots.
    pub(crate) fn start(vestige: &Vestige) -> Self {
        Self::start_in(vestige, vestige.folder(), &json!({}))
    }

    /// The same in a working directory, with a client of these capabilities.
    pub(crate) fn start_in(vestige: &Vestige, folder: &std::path::Path, capabilities: &Value) -> Self {
        Self::shake_hands(Self::silent(vestige, folder), capabilities)
    }

    /// The same by a command line of the test's own.
    #[allow(dead_code, reason = "few tests start it with flags")]
    pub(crate) fn start_with(command: &mut Command, capabilities: &Value) -> Self {
        Self::shake_hands(Self::spawn(command), capabilities)
    }

    fn shake_hands(mut server: Self, capabilities: &Value) -> Self {
        let hello = server.request(
            "initialize",
            &json!({
                "protocolVersion": "2025-11-25",
                "capabilities": capabilities,
                "clientInfo": {"name": "tester", "version": "1.2"},
            }),
        );
        assert_eq!(hello["result"]["serverInfo"]["name"], "vestige", "{hello}");
        server.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        server
    }

    /// Starts the server and says nothing yet.
    pub(crate) fn silent(vestige: &Vestige, folder: &std::path::Path) -> Self {
        let mut command = vestige.command();
        Self::spawn(command.arg("mcp").current_dir(folder))
    }

    /// Starts it by a command line, and says nothing yet.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                if sender.send(line.expect("stdout is UTF-8")).is_err() {
                    return;
                }
            }
        });
        let mut errors = child.stderr.take().expect("a pipe");
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            errors.read_to_string(&mut text).expect("stderr is UTF-8");
            text
        });
        Self {
            stdin: child.stdin.take(),
            child,
            lines,
            stderr: Some(stderr),
            next_id: 1,
            early: HashMap::new(),
            roots: json!([]),
        }
    }

    pub(crate) fn send(&mut self, message: &Value) {
        self.send_bytes(format!("{message}\n").as_bytes());
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().expect("stdin is open").write_all(bytes).expect("the server reads");
    }

    /// Asks, and returns the id to wait for.
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        let id = json!(self.next_id);
        self.next_id += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    pub(crate) fn request(&mut self, method: &str, params: &Value) -> Value {
        let id = self.ask(method, params);
        self.answer(&id)
    }

    /// The answer to this id. What the server asks meanwhile is answered, and every line has to be protocol.
    pub(crate) fn answer(&mut self, id: &Value) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = self.early.remove(&id.to_string()) {
                return answer;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let line = match self.lines.recv_timeout(left) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => panic!("no answer to {id} within {PATIENCE:?}"),
                Err(RecvTimeoutError::Disconnected) => panic!("the server is gone: {}", self.stderr()),
            };
            let message: Value =
                serde_json::from_str(&line).unwrap_or_else(|_| panic!("not protocol: {line}"));
            assert_eq!(message["jsonrpc"], "2.0", "not protocol: {line}");
            match (message.get("method").and_then(Value::as_str), message.get("id")) {
                (Some("roots/list"), Some(id)) => {
                    let answer = json!({"jsonrpc": "2.0", "id": id, "result": {"roots": self.roots}});
                    self.send(&answer);
                }
                (Some(_), _) => {}
                (None, Some(id)) => {
                    self.early.insert(id.to_string(), message.clone());
                }
                // An error that belongs to no request.
                (None, None) => {
                    self.early.insert("null".to_owned(), message.clone());
                }
            }
        }
    }

    /// The next line, whatever it is.
    #[allow(dead_code, reason = "not every test reads lines")]
    pub(crate) fn line(&mut self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("not protocol: {line}"))
    }

    /// Whether an answer to this id came while another was waited for.
    pub(crate) fn was_answered(&self, id: &Value) -> bool {
        self.early.contains_key(&id.to_string())
    }

    /// Calls a tool, whatever comes of it.
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        self.request("tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    /// Calls a tool that has to succeed, and returns its structured answer, with the contents of memories
    /// from the text beside it.
    #[track_caller]
    pub(crate) fn ok(&mut self, tool: &str, arguments: &Value) -> Value {
        let answer = self.call(tool, arguments);
        assert_eq!(answer["result"]["isError"], false, "{tool}: {answer}");
        let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
        let mut structured = answer["result"]["structuredContent"].clone();
        for list in ["results", "memories", "neighbors", "due"] {
            let memories = structured.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
            memories.for_each(|memory| add_content(memory, text));
        }
        structured.get_mut("memory").into_iter().for_each(|memory| add_content(memory, text));
        structured
    }

    /// Remembers one text whatever it is close to, and returns its id.
    pub(crate) fn remember(&mut self, content: &str) -> String {
        let stored = self.ok("remember", &json!({"memories": [{"content": content}], "force": true}));
        stored["results"][0]["id"].as_str().expect("an id").to_owned()
    }

    /// The contents that a question finds.
    pub(crate) fn recall(&mut self, arguments: &Value) -> Vec<String> {
        let recalled = self.ok("recall", arguments);
        let results = recalled["results"].as_array().expect("results");
        results.iter().map(|hit| hit["content"].as_str().expect("a content").to_owned()).collect()
    }

    /// Hangs up, and returns how the server ended and what it said on stderr.
    pub(crate) fn close(mut self) -> (ExitStatus, String) {
        drop(self.stdin.take());
        let status = self.child.wait().expect("it ends");
        let stderr = self.stderr();
        assert!(!stderr.contains("panicked"), "{stderr}");
        (status, stderr)
    }

    /// Sends a signal, and returns how the server ended and what it said on stderr.
    pub(crate) fn stop(mut self, signal: &str) -> (ExitStatus, String) {
        let kill = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(kill.expect("kill runs").success());
        let status = self.child.wait().expect("it ends");
        (status, self.stderr())
    }

    fn stderr(&mut self) -> String {
        self.stderr.take().map(|reader| reader.join().expect("it does not panic")).unwrap_or_default()
    }
}

/// Adds what the text of an answer quotes of a memory.
fn add_content(memory: &mut Value, text: &str) {
    let Some(id) = memory.get("id").and_then(Value::as_str).map(|id| format!("[{id}] ")) else { return };
    let lines = text.lines().skip_while(|line| line.starts_with("> ") || !line.contains(&id)).skip(1);
    let quoted = lines.map_while(|line| line.strip_prefix("> ")).collect::<Vec<_>>();
    let others = memory["metadata"].as_object().into_iter().flatten();
    let mut others = others.filter(|(key, _)| !matches!(key.as_str(), "mcp_client_id" | "session_id"));
    // The metadata stands behind the content, or behind a line about the rest of it.
    let content = match (others.next(), memory["length"] == memory["characters"]) {
        (Some(_), true) => &quoted[..quoted.len() - 1],
        _ => &quoted[..],
    };
    memory["content"] = Value::from(content.join("\n"));
}

impl Drop for Server {
    fn drop(&mut self) {
        // A test that fails leaves no process behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
