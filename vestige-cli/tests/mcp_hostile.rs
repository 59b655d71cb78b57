//! `vestige mcp` on what no well-behaved client sends.

mod common;

use std::time::{Duration, Instant};

use common::Vestige;
use common::mcp::Server;
use serde_json::{Value, json};

fn memories(server: &mut Server) -> u64 {
    server.ok("stats", &json!({}))["memories"].as_u64().expect("a number")
}

#[test]
fn lines_that_are_no_protocol_disturb_nothing() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    server.remember("The lighthouse keeper is called Ada.");
    let lines: [&[u8]; 14] = [
        b"\n",
        b"not json\n",
        b"{\"jsonrpc\": \"2.0\", \"id\": 1\n",
        b"\xff\xfe\x00\n",
        b"\x00\x00\x00\n",
        b"[]\n",
        b"null\n",
        b"42\n",
        b"{}\n",
        b"{\"jsonrpc\": \"1.0\", \"id\": 900, \"method\": \"tools/list\"}\n",
        b"{\"jsonrpc\": \"2.0\", \"id\": {\"a\": 1}, \"method\": \"tools/list\"}\n",
        b"{\"jsonrpc\": \"2.0\", \"id\": 901, \"result\": {}}\n",
        b"{\"jsonrpc\": \"2.0\", \"method\": \"notifications/cancelled\", \"params\": {\"requestId\": 77777}}\n",
        b"{\"jsonrpc\": \"2.0\", \"method\": \"notifications/unheard-of\", \"params\": {\"x\": [1, 2]}}\n",
    ];
    for line in lines {
        server.send_bytes(line);
        let found = server.recall(&json!({"query": "keeper"}));
        assert_eq!(found, ["The lighthouse keeper is called Ada."], "{}", String::from_utf8_lossy(line));
    }
    let deep = format!("{}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    server.send_bytes(deep.as_bytes());
    assert_eq!(memories(&mut server), 1);
    assert!(server.close().0.success());
}

#[test]
fn a_request_that_cannot_be_read_is_answered_with_its_id_and_what_to_send_instead() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    let remember = |id: &str, memory: &str| {
        let params = format!(r#"{{"name": "remember", "arguments": {{"memories": [{memory}]}}}}"#);
        format!(r#"{{"jsonrpc": "2.0", "id": {id}, "method": "tools/call", "params": {params}}}"#)
    };
    let deep =
        format!("{{\"content\": \"x\", \"metadata\": {}1{}}}", "{\"a\": ".repeat(130), "}".repeat(130));
    let last = r#"{"method": "tools/call", "params": {"id": 1, "a": "\ud83d"}, "jsonrpc": "2.0", "id": 908}"#;
    let huge = "memory \\n\\\" ".repeat(4_000_000);
    assert!(huge.len() > 40 << 20);
    for (line, id, code, expected) in [
        (
            remember("901", r#"{"content": "cut emoji \ud83d"}"#),
            json!(901),
            -32700,
            "half of a surrogate pair (\\ud83d",
        ),
        (
            remember("\"902\"", r#"{"content": "\ude00 its rest"}"#),
            json!("902"),
            -32700,
            "half of a surrogate pair (\\ude00",
        ),
        (remember("903", &deep), json!(903), -32700, "nested more than 127 levels deep"),
        (
            remember("904", r#"{"content": "x", "metadata": {"n": 1e999}}"#),
            json!(904),
            -32700,
            "1e999 is out of range",
        ),
        (
            r#"{"jsonrpc":"2.0","id":905,"method":"tools/call","params":5}"#.to_owned(),
            json!(905),
            -32602,
            "\"arguments\": an object",
        ),
        (
            r#"{"jsonrpc":"2.0","id":906,"method":"tools/list","params":[]}"#.to_owned(),
            json!(906),
            -32602,
            "an object",
        ),
        (
            r#"{"jsonrpc":"1.0","id":907,"method":"tools/list"}"#.to_owned(),
            json!(907),
            -32600,
            "jsonrpc must be \"2.0\"",
        ),
        (last.to_owned(), json!(908), -32700, "half of a surrogate pair"),
        (
            remember("909", r#"{"content": "x"}"#).replace("]}}}", ""),
            json!(909),
            -32700,
            "ends before the message does",
        ),
        (
            remember("910", &format!(r#"{{"content": "{huge}\ud83d"}}"#)),
            json!(910),
            -32700,
            "half of a surrogate pair",
        ),
        ("not json".to_owned(), Value::Null, -32700, "not JSON: expected ident at column 2"),
        ("[]".to_owned(), Value::Null, -32600, "one JSON object"),
        (
            r#"{"jsonrpc":"2.0","id":{"a":1},"method":"tools/list"}"#.to_owned(),
            Value::Null,
            -32600,
            "id must be",
        ),
    ] {
        let line = format!("{line}\n");
        let asked = Instant::now();
        server.send_bytes(line.as_bytes());
        let answer = server.answer(&id);
        let taken = asked.elapsed();
        let patience = Duration::from_secs(if line.len() < 1 << 20 { 1 } else { 20 });
        let line = &line[..line.len().min(200)];
        assert!(taken < patience, "{taken:?}: {line}");
        assert_eq!(answer.get("id"), Some(&id), "{line}: {answer}");
        assert_eq!(answer["error"]["code"], code, "{line}: {answer}");
        let message = answer["error"]["message"].as_str().expect("a message");
        assert!(message.contains(expected) && message.len() < 300, "{line}: {message}");
        assert_eq!(memories(&mut server), 0, "{line}");
    }
    // An answer and a notification await none.
    for line in [
        r#"{"jsonrpc":"2.0","id":911,"result":{"roots":[{"uri":"file:///a","name":"\ud83d"}]}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":5}"#,
        "\r",
        "  ",
    ] {
        server.send_bytes(format!("{line}\n").as_bytes());
        server.send_bytes(b"{\"jsonrpc\":\"2.0\",\"id\":912,\"method\":\"ping\",\"params\":5}\n");
        assert_eq!(server.answer(&json!(912))["error"]["code"], -32602);
        assert!(!server.was_answered(&json!(911)) && !server.was_answered(&Value::Null), "{line}");
    }
    assert!(server.close().0.success());
}

#[test]
fn a_thousand_unreadable_lines_among_a_thousand_calls_leave_every_answer_whole() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    let mut asked = Vec::new();
    for n in 0..1000 {
        let broken = json!(format!("broken {n} {}", "x".repeat(n)));
        server.send_bytes(
            format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":{broken},\"method\":\"ping\",\"params\":{{\"a\":1e999}}}}\n"
            )
            .as_bytes(),
        );
        asked.push((server.ask("tools/list", &json!({})), broken));
    }
    for (id, broken) in asked {
        assert!(server.answer(&id)["result"]["tools"].is_array());
        assert_eq!(server.answer(&broken)["error"]["code"], -32700);
    }
    assert!(server.close().0.success());
}

#[test]
fn unknown_methods_tools_and_wrong_types_are_answered_with_an_error() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    let error = |answer: &Value| {
        let text = answer["error"]["message"].as_str().or(answer["result"]["content"][0]["text"].as_str());
        let refused = answer.get("error").is_some() || answer["result"]["isError"] == true;
        assert!(refused, "it was accepted: {answer}");
        let text = text.expect("a message").to_owned();
        assert!(text.len() < 600, "{} bytes of message", text.len());
        text
    };
    assert!(!error(&server.request("tools/burn", &json!({}))).is_empty());
    assert!(error(&server.call("rm", &json!({}))).contains("unknown tool"));
    assert!(error(&server.call(&"x".repeat(1_000_000), &json!({}))).contains("unknown tool"));
    for (tool, arguments) in [
        ("remember", json!({})),
        ("remember", json!({"memories": "text"})),
        ("remember", json!({"memories": ["text"]})),
        ("remember", json!({"memories": [{"content": null}]})),
        ("remember", json!({"memories": [{"content": ["a"]}]})),
        ("remember", json!({"memories": [{"content": "x", "tags": "a, b"}]})),
        ("remember", json!({"memories": [{"content": "x", "metadata": [1]}]})),
        ("remember", json!({"memories": [{"content": "x", "type": ""}]})),
        ("remember", json!({"memories": [{"content": "x", "codebase": "\u{0}"}]})),
        ("remember", json!({"memories": [{"content": "x"}], "force": "yes"})),
        ("remember", json!({"memories": vec![json!({"content": "x"}); 1001]})),
        ("recall", json!({"query": 5})),
        ("recall", json!({"query": "x", "limit": -1})),
        ("recall", json!({"query": "x", "limit": 1e300})),
        ("recall", json!({"query": "x", "mode": "telepathy"})),
        ("recall", json!({"query": "x", "min_retrievability": 7})),
        ("recall", json!({"query": "x".repeat(2 << 20)})),
        ("get", json!({"ids": []})),
        ("get", json!({"ids": [1]})),
        ("get", json!({"ids": ["'; DROP TABLE knowledge_nodes"]})),
        ("forget", json!({"ids": "all"})),
        ("neighbors", json!({"id": "019bb17c-0e40-7978-a6a1-2a42c7957ab5", "depth": 17})),
        ("link", json!({"source_id": "019bb17c", "target_id": "019bb17d", "weight": "heavy"})),
        ("due", json!({"limit": 101})),
        ("stats", json!({"everything": true})),
    ] {
        let answer = server.call(tool, &arguments);
        assert!(!error(&answer).is_empty(), "{tool} {answer}");
    }
    // Arguments that are no object are no call, and neither is a call of nothing.
    for params in [json!({"name": "stats", "arguments": [1]}), json!({"arguments": {}}), Value::Null] {
        let answer = server.request("tools/call", &params);
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        assert!(error(&answer).contains("\"arguments\": an object"), "{answer}");
    }
    assert_eq!(server.request("tools/burn", &json!({}))["error"]["code"], -32601);
    assert_eq!(memories(&mut server), 0);
    assert!(server.close().0.success());
}

#[test]
fn an_argument_of_fifty_megabytes_is_refused_and_the_next_call_answered() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    let huge = "memory ".repeat(7_500_000);
    assert!(huge.len() > 50 << 20);
    let answer = server.call("remember", &json!({"memories": [{"content": "small"}, {"content": huge}]}));
    let text = answer["result"]["content"][0]["text"].as_str().expect("a message");
    assert!(text.starts_with("memories[1]: content") && text.contains("at most 1048576"), "{text}");
    let answer = server.call("recall", &json!({"query": huge}));
    assert_eq!(answer["result"]["isError"], true);
    // Of the wrong type: the message does not quote it.
    let answer = server.call("remember", &json!({"memories": huge}));
    let text = answer["result"]["content"][0]["text"].as_str().expect("a message");
    assert!(text.len() < 600, "{} bytes of message", text.len());
    // A line beyond every limit is refused, and the one after it is heard.
    let (first, last) = (r#"{"jsonrpc": "2.0", "id": 900, "#, r#", "jsonrpc": "2.0", "id": "last"}"#);
    for (start, end, id) in [("", "", Value::Null), (first, "}", json!(900)), ("{", last, json!("last"))] {
        let method = if id.is_null() { "" } else { r#""method": "tools/call", "params": {"name": ""# };
        server.send_bytes(format!("{start}{method}{huge}").as_bytes());
        server.send_bytes(format!("{huge}\"}}{end}\n").as_bytes());
        let answer = server.answer(&id);
        assert_eq!((answer.get("id"), &answer["error"]["code"]), (Some(&id), &json!(-32600)), "{answer}");
        let message = answer["error"]["message"].as_str().expect("a message");
        assert!(message.contains("longer than 64 MiB") && message.len() < 300, "{message}");
    }
    assert_eq!(memories(&mut server), 0);
    server.remember("small");
    assert_eq!(memories(&mut server), 1);
    assert!(server.close().0.success());
}

#[test]
fn a_thousand_calls_at_once_are_all_answered_and_none_is_lost() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    let mut asked = Vec::new();
    for n in 0..1000 {
        let (tool, arguments) = match n % 4 {
            0 => ("remember", json!({"memories": [{"content": format!("call number {n}")}], "force": true})),
            1 => ("recall", json!({"query": format!("number {n}")})),
            2 => ("stats", json!({})),
            _ => ("recall", json!({"query": 5})),
        };
        asked.push((n, server.ask("tools/call", &json!({"name": tool, "arguments": arguments}))));
    }
    for (n, id) in asked {
        let answer = server.answer(&id);
        assert_eq!(answer["result"]["isError"], n % 4 == 3, "{n}: {answer}");
    }
    assert_eq!(memories(&mut server), 250);
    let (status, _) = server.close();
    assert!(status.success());
    assert_eq!(vestige.count(), 250);
    vestige.ok(&["doctor"]);
}

#[test]
fn what_was_asked_before_the_client_hung_up_is_done() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    for n in 0..8 {
        let arguments = json!({"memories": [{"content": format!("last words {n}")}], "force": true});
        server.ask("tools/call", &json!({"name": "remember", "arguments": arguments}));
    }
    let (status, stderr) = server.close();
    assert!(status.success(), "{stderr}");
    assert_eq!(vestige.count(), 8);
}

#[test]
fn a_killed_server_leaves_what_it_acknowledged_and_nothing_half_done() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    for n in 0..20 {
        server.remember(&format!("acknowledged {n}"));
    }
    let memories: Vec<_> = (0..500).map(|n| json!({"content": format!("on its way {n}")})).collect();
    let arguments = json!({"memories": memories, "force": true});
    server.ask("tools/call", &json!({"name": "remember", "arguments": arguments}));
    // Kills it.
    drop(server);
    let count = vestige.count();
    assert!(count == 20 || count == 520, "{count} memories");
    vestige.ok(&["doctor"]);
    assert_eq!(Server::start(&vestige).recall(&json!({"query": "\"acknowledged 19\""})), ["acknowledged 19"]);
}

#[test]
fn a_client_that_says_nothing_or_goes_in_the_middle_of_a_word_ends_the_server_quietly() {
    let vestige = Vestige::new();
    vestige.ok(&["stats"]);
    for bytes in [&b""[..], b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"meth"] {
        let mut server = Server::silent(&vestige, vestige.folder());
        server.send_bytes(bytes);
        let (status, stderr) = server.close();
        assert!(status.success() && stderr.is_empty(), "{status} {stderr}");
    }
    let mut server = Server::start(&vestige);
    server.remember("one");
    server.send_bytes(b"{\"jsonrpc\": \"2.0\", \"id\": 99, \"method\": \"tools/ca");
    assert!(server.close().0.success());
    assert_eq!(vestige.count(), 1);
}

#[test]
fn what_comes_before_the_handshake_and_is_no_request_is_passed_over() {
    let vestige = Vestige::new();
    let mut server = Server::silent(&vestige, vestige.folder());
    for line in [
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 7, "result": {}}),
        json!({"jsonrpc": "2.0", "id": 7, "error": {"code": 1, "message": "no"}}),
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}),
    ] {
        server.send(&line);
        assert_eq!(server.request("ping", &json!({}))["result"], json!({}), "{line}");
    }
    assert!(server.request("tools/list", &json!({})).get("error").is_some(), "not before the handshake");
    let client = json!({"name": "late", "version": "1"});
    let hello = json!({"protocolVersion": "1999-01-01", "capabilities": {}, "clientInfo": client});
    let hello = server.request("initialize", &hello);
    assert_eq!(hello["result"]["protocolVersion"], "2025-11-25", "of the server's own: {hello}");
    server.remember("one");
    assert!(server.close().0.success());
}

#[test]
fn a_client_that_stops_reading_keeps_its_memories() {
    let vestige = Vestige::new();
    // `true` ends without reading: stdout is a closed pipe from then on.
    let script = r#"(
      printf '%s\n' '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}'
      printf '%s\n' '{"jsonrpc":"2.0","method":"notifications/initialized"}'
      printf '%s\n' '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"remember","arguments":{"memories":[{"content":"said to nobody"}]}}}'
    ) | vestige mcp 2>stderr.txt | true"#;
    let output = vestige.shell(script).output().expect("it runs");
    let stderr = std::fs::read_to_string(vestige.path("stderr.txt")).expect("stderr");
    assert!(output.status.success() && !stderr.contains("panicked"), "{stderr}");
    // Whether it was stored before the pipe closed is not promised; that the store is whole is.
    vestige.ok(&["doctor"]);
    assert!(vestige.count() <= 1);
}

#[test]
fn no_log_line_below_trace_holds_a_memory() {
    let vestige = Vestige::new();
    let folder = vestige.folder().to_owned();
    for variable in ["debug", "info,rmcp=warn", "vestige=debug"] {
        let mut command = vestige.command();
        command.env("VESTIGE_LOG", variable).args(["mcp"]).current_dir(&folder);
        command
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
        let call = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"remember","arguments":{"memories":[{"content":"topsecretparrot"}],"force":true}}}"#;
        let mut stdin = child.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut stdin, format!("{hello}\n{call}\n").as_bytes()).expect("it reads");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        assert!(String::from_utf8_lossy(&output.stdout).contains("stored as"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("topsecretparrot"), "{variable}: {stderr}");
    }
}

#[cfg(unix)]
#[test]
fn a_server_that_is_stopped_by_sigterm_closes_its_store_and_complains_of_nothing() {
    let vestige = Vestige::new();
    let mut server = Server::start(&vestige);
    server.remember("The lighthouse keeper is called Ada.");
    let (status, stderr) = server.stop("-TERM");
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("error"), "{stderr}");
    assert!(!vestige.path("memory.db-wal").exists(), "the store was not closed");
    let (status, stderr) = Server::start(&vestige).stop("-INT");
    assert_eq!(status.code(), Some(130), "{stderr}");
    assert_eq!(vestige.count(), 1);
}
