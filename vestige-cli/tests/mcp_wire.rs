//! `vestige mcp` on the forms that messages may have on the wire.

mod common;

use std::io::{Read, Write};
use std::process::Stdio;

use common::Vestige;
use common::mcp::Server;
use serde_json::{Value, json};

fn handshake(version: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"},
    }})
}

/// What the server answers, line by line, to an input that then ends.
fn answers(vestige: &Vestige, input: &str) -> Vec<Value> {
    let mut child = vestige
        .command()
        .arg("mcp")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    let mut output = String::new();
    child.stdout.take().expect("a pipe").read_to_string(&mut output).expect("UTF-8");
    assert!(child.wait().expect("it ends").success());
    output.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn with_id<'a>(answers: &'a [Value], id: &Value) -> &'a Value {
    answers.iter().find(|answer| answer["id"] == *id).unwrap_or_else(|| panic!("no {id} in {answers:?}"))
}

#[test]
fn a_handshake_without_some_fields_is_told_which_and_may_be_sent_again() {
    let vestige = Vestige::new();
    let mut server = Server::silent(&vestige, vestige.folder());
    for (params, expected) in [
        (json!({}), "protocolVersion (a string), capabilities (an object), clientInfo (an object)"),
        (
            json!({"protocolVersion": "2025-06-18", "capabilities": {}}),
            "clientInfo (an object), clientInfo.name",
        ),
        (
            json!({"protocolVersion": "2025-06-18", "clientInfo": {"name": "t", "version": "1"}}),
            "capabilities (an object) is missing",
        ),
        (
            json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t"}}),
            "clientInfo.version (a string) is missing",
        ),
        (
            json!({"protocolVersion": 5, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}),
            "protocolVersion must be a string",
        ),
    ] {
        let answer = server.request("initialize", &params);
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        let message = answer["error"]["message"].as_str().expect("a message");
        assert!(message.starts_with("initialize: ") && message.contains(expected), "{message}");
        assert!(!message.contains("_meta"), "{message}");
    }
    server.send(&json!({"jsonrpc": "2.0", "id": "bare", "method": "initialize"}));
    let answer = server.answer(&json!("bare"));
    assert!(answer["error"]["message"].as_str().expect("a message").contains("protocolVersion"), "{answer}");
    server.send(&handshake("2025-06-18"));
    assert_eq!(server.answer(&json!(0))["result"]["protocolVersion"], "2025-06-18");
    server.remember("The handshake came at last.");
    assert!(server.close().0.success());
}

#[test]
fn the_last_line_is_answered_without_a_line_feed() {
    let vestige = Vestige::new();
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "remember", "arguments": {"memories": [{"content": "The last line counts."}]},
    }});
    let answered = answers(&vestige, &format!("{}\n{call}", handshake("2025-11-25")));
    assert_eq!(with_id(&answered, &json!(1))["result"]["structuredContent"]["stored"], 1);
    assert_eq!(vestige.count(), 1);
    let answered = answers(&vestige, &handshake("2025-11-25").to_string());
    assert_eq!(answered.len(), 1, "{answered:?}");
    assert_eq!(answered[0]["result"]["serverInfo"]["name"], "vestige");
}

#[test]
fn a_batch_is_answered_as_one_array_under_the_protocol_that_has_batches() {
    let vestige = Vestige::new();
    let batch = json!([
        {"jsonrpc": "2.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": "two", "method": "tools/call", "params": {
            "name": "remember", "arguments": {"memories": [{"content": "Batches are answered."}]},
        }},
        {"jsonrpc": "2.0", "id": 3, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 4, "method": "tools/burn"},
        {"jsonrpc": "1.0", "id": 5, "method": "ping"},
        handshake("2025-03-26"),
        42,
    ]);
    let alone = json!({"jsonrpc": "2.0", "id": 6, "method": "ping"});
    let silent = json!([{"jsonrpc": "2.0", "method": "notifications/initialized"}]);
    let input = |version: &str| format!("{}\n{batch}\n{silent}\n[]\n{alone}\n", handshake(version));
    let answered = answers(&vestige, &input("2025-03-26"));
    let arrays: Vec<_> = answered.iter().filter_map(Value::as_array).collect();
    let [array] = arrays.as_slice() else { panic!("not one array: {answered:?}") };
    assert_eq!(array.len(), 7, "{array:?}");
    assert_eq!(with_id(array, &json!(1))["result"], json!({}));
    assert_eq!(with_id(array, &json!("two"))["result"]["structuredContent"]["stored"], 1);
    assert!(with_id(array, &json!(3))["result"]["tools"].is_array());
    assert_eq!(with_id(array, &json!(4))["error"]["code"], -32601);
    assert_eq!(with_id(array, &json!(5))["error"]["code"], -32600);
    assert_eq!(with_id(array, &json!(0))["error"]["code"], -32600);
    assert_eq!(with_id(array, &Value::Null)["error"]["code"], -32600);
    // Beside it: the handshake, the answer to the empty batch, and the one to the message alone.
    assert_eq!(answered.len(), 4, "{answered:?}");
    assert_eq!(with_id(&answered, &json!(6))["result"], json!({}));
    // Protocols before and after have none.
    let answered = answers(&vestige, &input("2025-06-18"));
    assert!(!answered.iter().any(Value::is_array), "{answered:?}");
    let refused = with_id(&answered, &Value::Null)["error"]["message"].as_str().expect("a message");
    assert!(refused.contains("2025-03-26 alone"), "{refused}");
    assert_eq!(with_id(&answered, &json!(6))["result"], json!({}));
}

#[test]
fn a_batch_does_not_wait_for_what_was_cancelled_and_has_a_limit() {
    let vestige = Vestige::new();
    let memories: Vec<_> =
        (0..1000).map(|n| json!({"content": format!("memory {n} of a long call")})).collect();
    let long = json!({"jsonrpc": "2.0", "id": "long", "method": "tools/call", "params": {
        "name": "remember", "arguments": {"memories": memories},
    }});
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "long"}});
    let batch = json!([long, {"jsonrpc": "2.0", "id": 1, "method": "ping"}, cancel]);
    let mut server = Server::silent(&vestige, vestige.folder());
    server.send(&handshake("2025-03-26"));
    server.answer(&json!(0));
    server.send(&batch);
    let answer = server.line();
    assert_eq!(answer, json!([{"jsonrpc": "2.0", "id": 1, "result": {}}]));
    let pings: Vec<_> = (0..101).map(|id| json!({"jsonrpc": "2.0", "id": id, "method": "ping"})).collect();
    server.send(&json!(pings));
    let message = server.answer(&Value::Null)["error"]["message"].to_string();
    assert!(message.contains("101 messages, must hold 1 to 100"), "{message}");
    server.send(&json!(pings[..100]));
    assert_eq!(server.line().as_array().map(Vec::len), Some(100));
    // An id that two requests have is answered once, and the other request is refused.
    server.send(&json!([pings[7], pings[7], pings[8]]));
    let answers = server.line();
    let answers = answers.as_array().expect("an array");
    assert_eq!(answers.iter().filter(|answer| answer["error"]["code"] == -32600).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer["result"] == json!({})).count(), 2, "{answers:?}");
    assert!(server.close().0.success());
}
