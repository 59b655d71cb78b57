//! The answer to a line that is no message: an error with the id that is found in the line, whatever else is
//! wrong with it, and a text that says what to send instead.

use rmcp::model::{ErrorCode, RequestId};
use serde_json::error::Category;
use serde_json::{Value, json};
use vestige_memory::text::shortened;
use vestige_traits::MemoryStoreError;

use crate::methods::shape_of_params;

/// How much of a wrong value is quoted, in characters.
const QUOTED: usize = 60;

/// The answer to a line that cannot be decoded; none if the line is a response or a notification.
pub(crate) fn answer(line: &[u8], error: &serde_json::Error) -> Option<Value> {
    let members = Members::of(line);
    let answers = members.result.is_some() || members.error.is_some();
    if members.method.is_none() && answers
        || members.closed && members.method.is_some() && members.id.is_none()
    {
        return None;
    }
    let (code, message) = match error.classify() {
        Category::Data => members.misshapen(),
        _ => (ErrorCode::PARSE_ERROR, unreadable(line, error)),
    };
    Some(refusal(&members.id_to_answer(), code, &message))
}

/// The answer to a line that is refused before it is decoded; none if the line is a response or a
/// notification.
pub(crate) fn refused(line: &[u8], why: &MemoryStoreError) -> Option<Value> {
    let members = Members::of(line);
    if members.object && members.id.is_none_or(|_| members.method.is_none()) {
        return None;
    }
    let message = match why {
        MemoryStoreError::InvalidInput { field, rule } => format!("{field} {rule}"),
        other => other.to_string(),
    };
    Some(refusal(&members.id_to_answer(), ErrorCode::INVALID_REQUEST, &message))
}

/// The answer to a line of more than `most` bytes, given its beginning and its end; none to a notification.
/// The id is null if neither part shows it.
pub(crate) fn too_long(head: &[u8], end: &[u8], most: usize) -> Option<Value> {
    let members = Members::of(head);
    if members.method.is_some_and(|method| method.starts_with(b"\"notifications/")) {
        return None;
    }
    let id = match members.id_to_answer() {
        // Some clients write it last.
        Value::Null if members.method.is_some() => last_id(end).unwrap_or_default(),
        id => id,
    };
    let message = format!("the message is longer than {} MiB: send less at once", most >> 20);
    Some(refusal(&id, ErrorCode::INVALID_REQUEST, &message))
}

/// The answer to a batch of `messages` messages, which is none or more than `most`.
pub(crate) fn wrong_batch(messages: usize, most: usize) -> Value {
    let message = format!("the batch holds {messages} messages, must hold 1 to {most}");
    refusal(&Value::Null, ErrorCode::INVALID_REQUEST, &message)
}

/// The answer to an `initialize` within a batch.
pub(crate) fn handshake_in_batch(id: &Value) -> Value {
    refusal(id, ErrorCode::INVALID_REQUEST, "initialize must stand alone, not in a batch")
}

/// The answer to a request whose id another one in the same batch has.
pub(crate) fn repeated_in_batch(id: &Value) -> Value {
    refusal(id, ErrorCode::INVALID_REQUEST, "id is that of another request in this batch; give each its own")
}

fn refusal(id: &Value, code: ErrorCode, message: &str) -> Value {
    let error = json!({"code": code, "message": format!("{message}; nothing was done")});
    json!({"jsonrpc": "2.0", "id": id, "error": error})
}

/// The id, if it is the last member of the message that ends here. A string cannot end like this.
fn last_id(end: &[u8]) -> Option<Value> {
    let members = end.trim_ascii_end().strip_suffix(b"}")?;
    let at = members.windows(4).rposition(|name| name == b"\"id\"")?;
    let follows = members[..at].trim_ascii_end().ends_with(b",");
    let value = members[at + 4..].trim_ascii_start().strip_prefix(b":").filter(|_| follows)?;
    serde_json::from_slice(value).ok().filter(is_id)
}

fn is_id(id: &Value) -> bool {
    id.is_string() || id.is_number()
}

/// Why the line is not UTF-8 or not JSON.
fn unreadable(line: &[u8], error: &serde_json::Error) -> String {
    if let Err(error) = std::str::from_utf8(line) {
        return format!("the line is not UTF-8 from byte {} on", error.valid_up_to() + 1);
    }
    let (column, said) = (error.column(), error.to_string());
    let said = said.split(" at line ").next().unwrap_or_default();
    let read = &line[..column.min(line.len())];
    match said {
        "recursion limit exceeded" => {
            "nested more than 127 levels deep, the message's own braces included: send it flatter".to_owned()
        }
        "number out of range" => {
            format!("the number {} is out of range, 1.7e308 is the largest", last_number(read))
        }
        "lone leading surrogate in hex escape" | "unexpected end of hex escape" => match last_surrogate(read)
        {
            Some(escape) => {
                format!(
                    "the text holds half of a surrogate pair ({escape}, column {column}): send whole characters"
                )
            }
            None => format!("the line is not JSON: {said} at column {column}"),
        },
        _ if error.is_eof() => {
            format!(
                "the line ends before the message does ({said}): a message is one line, a line break in a text is \\n"
            )
        }
        _ => format!("the line is not JSON: {said} at column {column}"),
    }
}

/// The number at which reading stopped.
fn last_number(read: &[u8]) -> String {
    let of_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    let end = read.iter().rposition(of_number).map_or(0, |at| at + 1);
    let start = read[..end].iter().rposition(|byte| !of_number(byte)).map_or(0, |at| at + 1);
    shortened(&String::from_utf8_lossy(&read[start..end]), QUOTED)
}

/// The half of a surrogate pair that was read last, such as `\ud83d`. The parser may have read one more
/// escape after it.
fn last_surrogate(read: &[u8]) -> Option<String> {
    let near = &read[read.len().saturating_sub(14)..];
    let half = |text: &&[u8]| {
        matches!(text, [b'\\', b'u', b'd' | b'D', b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F', ..])
    };
    near.windows(6).rfind(half).map(|escape| String::from_utf8_lossy(escape).into_owned())
}

/// The members of a message that JSON-RPC defines, as they are written.
#[derive(Default)]
struct Members<'a> {
    jsonrpc: Option<&'a [u8]>,
    id: Option<&'a [u8]>,
    method: Option<&'a [u8]>,
    result: Option<&'a [u8]>,
    error: Option<&'a [u8]>,
    /// Whether the line is an object at all.
    object: bool,
    /// Whether the end of the object was seen.
    closed: bool,
}

impl<'a> Members<'a> {
    /// Looks only at strings and braces, so that anything between them, and any depth, is skipped.
    fn of(line: &'a [u8]) -> Self {
        let mut members = Self { object: line.first() == Some(&b'{'), ..Self::default() };
        if !members.object {
            return members;
        }
        let (mut at, mut depth) = (1, 1_usize);
        // In the outermost object: the last string, and the name of a member with the position where its
        // value begins.
        let (mut text, mut value): (&[u8], _) = (b"", None);
        while at < line.len() && depth > 0 {
            let byte = line[at];
            let from = at;
            at += 1;
            match byte {
                b'"' => {
                    at = end_of_string(line, at);
                    text = &line[from..at];
                }
                b':' if depth == 1 && value.is_none() => value = Some((text, at)),
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            if depth == 0 || depth == 1 && byte == b',' {
                // A value without a comma or brace after it may have been cut off, and is not taken.
                if let Some((name, start)) = value.take() {
                    members.put(name, line[start..from].trim_ascii());
                }
                text = b"";
            }
        }
        members.closed = depth == 0;
        members
    }

    fn put(&mut self, name: &[u8], value: &'a [u8]) {
        let member = match name {
            b"\"jsonrpc\"" => &mut self.jsonrpc,
            b"\"id\"" => &mut self.id,
            b"\"method\"" => &mut self.method,
            b"\"result\"" => &mut self.result,
            b"\"error\"" => &mut self.error,
            _ => return,
        };
        // If a member has two values, it is not known which one is meant.
        *member = Some(if member.is_some_and(|other| other != value) { b"" } else { value });
    }

    /// The id of a request. A response carries an id of the server's own requests, and may be cut off before
    /// the member that shows that it is a response.
    fn id_to_answer(&self) -> Value {
        let of_request = self.method.is_some() || self.closed;
        let id = self.id.filter(|_| of_request).and_then(|id| serde_json::from_slice(id).ok());
        id.filter(is_id).unwrap_or_default()
    }

    /// What is wrong with a text that is JSON but not a message.
    fn misshapen(&self) -> (ErrorCode, String) {
        let method = self.method.and_then(|method| serde_json::from_slice::<String>(method).ok());
        let id = self.id.map(serde_json::from_slice::<RequestId>);
        let wrong = match method {
            _ if !self.object => {
                "a message must be one JSON object (batches are of protocol 2025-03-26 alone)"
            }
            _ if self.jsonrpc != Some(b"\"2.0\"") => "jsonrpc must be \"2.0\"",
            None => "method must be a string",
            _ if !matches!(id, Some(Ok(_))) => "id must be a string or an integer",
            _ if self.result.is_some() || self.error.is_some() => "a request holds no result and no error",
            Some(method) => {
                let shape = shape_of_params(&method).unwrap_or("an object");
                let method = shortened(&method, QUOTED);
                let message = format!("{method}: params must be {shape}, and _meta in it an object");
                return (ErrorCode::INVALID_PARAMS, message);
            }
        };
        (ErrorCode::INVALID_REQUEST, wrong.to_owned())
    }
}

/// The position after the string whose first character is at `at`.
fn end_of_string(line: &[u8], mut at: usize) -> usize {
    while at < line.len() {
        match line[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    line.len()
}

#[cfg(test)]
mod tests {
    use rmcp::model::ClientJsonRpcMessage;

    use super::*;

    fn answer_to(line: &str) -> Value {
        let error = serde_json::from_str::<ClientJsonRpcMessage>(line).expect_err(line);
        answer(line.as_bytes(), &error).unwrap_or_default()
    }

    #[test]
    fn the_id_is_that_of_the_message_and_of_nothing_in_it() {
        for (line, id) in [
            (r#"{"jsonrpc": "2.0", "id": 7, "method": "m", "params": {"id": 8, "a": [1e999]}}"#, json!(7)),
            (
                r#"{"params": {"id": 8, "a": ["\ud83d", "}]\"\\"]}, "method": "m" , "id" : "seven" }"#,
                json!("seven"),
            ),
            (r#"{"id": 7, "method": "m", "params": {"a": "cut"#, json!(7)),
            (r#"{"id": 7, "method": "m", "params": {]]}, "id": 7}"#, json!(7)),
            (r#"{"id": 1.5, "method": "m"}"#, json!(1.5)),
            (r#"{"id": "ü\u00fc", "method": "m", "params": tru}"#, json!("üü")),
            (r#"{"jsonrpc": "2.0", "id": 7}"#, json!(7)),
            // An id that is not whole, that is none, or that is two.
            (r#"{"method": "m", "id": 7"#, Value::Null),
            (r#"{"method": "m", "id": "seven"#, Value::Null),
            (r#"{"method": "m", "id": "\ud83d"}"#, Value::Null),
            (r#"{"method": "m", "id": {"id": 7}}"#, Value::Null),
            (r#"{"method": "m", "id": 1e999}"#, Value::Null),
            (r#"{"method": "m", "id": 7, "id": 8}"#, Value::Null),
            (r#"{"method": "id", "a": "id", "params": {"id": 7}, "#, Value::Null),
            (r#"["id", {"id": 7, "method": "m"}]"#, Value::Null),
            (r#""id": 7"#, Value::Null),
            // It may be the id of a request of the server's.
            (r#"{"jsonrpc": "2.0", "id": 7, "resu"#, Value::Null),
        ] {
            let answer = answer_to(line);
            assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &id), "{line}: {answer}");
        }
    }

    #[test]
    fn the_id_of_a_message_that_is_too_long_stands_at_its_beginning_or_at_its_end() {
        for (head, end, id) in [
            (r#"{"jsonrpc": "2.0", "id": 7, "method": "m", "params": {"a": "x"#, r#"x"}}"#, json!(7)),
            (
                r#"{"method": "m", "params": {"id": 8, "a": "x"#,
                "x\"}, \"id\" : \"seven\"}\r\n",
                json!("seven"),
            ),
            (r#"{"method": "m", "params": {"a": "x"#, r#"x"}, "jsonrpc": "2.0","id":7 }"#, json!(7)),
            // The last member is another one, or no id, or there is no end.
            (r#"{"method": "m", "params": {"a": "x"#, r#"x"}, "id": 7, "jsonrpc": "2.0"}"#, Value::Null),
            (r#"{"method": "m", "params": {"a": "x"#, r#"x", "id": 8}}"#, Value::Null),
            (r#"{"method": "m", "params": {"a": "x"#, r#"x"}, "id": [7]}"#, Value::Null),
            (r#"{"method": "m", "params": {"a": "x"#, r#", \"id\": 7"}"#, Value::Null),
            (r#"{"method": "m", "params": {"a": "x"#, "id", Value::Null),
            // It may be the id of a request of the server's.
            (r#"{"jsonrpc": "2.0", "result": {"a": "x"#, r#"x"}, "id": 7}"#, Value::Null),
            ("xxx", "xxx", Value::Null),
        ] {
            let answer = too_long(head.as_bytes(), end.as_bytes(), 64 << 20).unwrap_or_default();
            assert_eq!(
                (&answer["id"], &answer["error"]["code"]),
                (&id, &json!(-32600)),
                "{head} {end}: {answer}"
            );
            assert!(answer.to_string().contains("longer than 64 MiB"), "{answer}");
        }
        assert_eq!(too_long(br#"{"method": "notifications/message", "params": "x"#, b"x\"}", 64 << 20), None);
    }

    #[test]
    fn neither_an_answer_nor_a_notification_is_answered() {
        for line in [
            r#"{"jsonrpc": "2.0", "id": 7, "result": {"roots": [{"name": "\ud83d"}]}}"#,
            r#"{"jsonrpc": "2.0", "id": 7, "result": {"a": 1}, "#,
            r#"{"jsonrpc": "2.0", "id": 7, "error": 5}"#,
            r#"{"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "\ud83d"}}"#,
            r#"{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": 5}"#,
        ] {
            assert_eq!(answer_to(line), Value::Null, "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_so_that_it_can_be_set_right() {
        let call = |value: &str| {
            format!(r#"{{"jsonrpc": "2.0", "id": 7, "method": "m", "params": {{"a": {value}}}}}"#)
        };
        let nested = |levels: usize| call(&format!("{}{}", "[".repeat(levels), "]".repeat(levels)));
        for value in [r#""\ud83d\ude00""#, "1e308", "-0.0"] {
            serde_json::from_str::<ClientJsonRpcMessage>(&call(value)).expect(value);
        }
        serde_json::from_str::<ClientJsonRpcMessage>(&nested(125)).expect("127 levels");
        for (line, code, expected) in [
            (call(r#""cut \ud83d""#), -32700, r"half of a surrogate pair (\ud83d, column "),
            (call(r#""\uD83D\n""#), -32700, r"half of a surrogate pair (\uD83D, "),
            (call(r#""\ud83d\u0041""#), -32700, r"half of a surrogate pair (\ud83d, "),
            (call(r#""\ude00 ü""#), -32700, r"half of a surrogate pair (\ude00, "),
            (call("[1, -1.5e999]"), -32700, "the number -1.5e999 is out of range"),
            (call(&format!("{}.5", "9".repeat(400))), -32700, "is out of range"),
            (nested(126), -32700, "nested more than 127 levels deep"),
            (call(r#""\x""#), -32700, "not JSON: invalid escape at column "),
            (call("NaN"), -32700, "not JSON: expected value at column "),
            (call("\"a\tb\""), -32700, "not JSON: control character "),
            (call("\"cut").replace('}', ""), -32700, "the line ends before the message does "),
            (call("1").replace("{\"a\": 1}", "5"), -32602, "m: params must be an object"),
            (
                call("1").replace("\"m\"", "\"tools/call\"").replace("{\"a\": 1}", "[]"),
                -32602,
                "\"arguments\": an object",
            ),
            (call("1").replace("\"a\": 1", "\"_meta\": 5"), -32602, "_meta in it an object"),
            (call("1").replace("2.0", "1.0"), -32600, "jsonrpc must be \"2.0\""),
            (call("1").replace("\"m\"", "5"), -32600, "method must be a string"),
            (call("1").replace("7", "18446744073709551615"), -32600, "id must be a string or an integer"),
            (call("1").replace("7", "7, \"result\": 1"), -32600, "a request holds no result"),
            ("[1, 2]".to_owned(), -32600, "one JSON object"),
        ] {
            let answer = answer_to(&line);
            let message = answer["error"]["message"].as_str().unwrap_or_default();
            assert_eq!(answer["error"]["code"], code, "{line}: {answer}");
            assert!(
                message.contains(expected) && message.ends_with("; nothing was done"),
                "{line}: {message}"
            );
        }
        let error =
            serde_json::from_slice::<ClientJsonRpcMessage>(b"{\"id\": 7, \"a\": \"\xff\"}").unwrap_err();
        let answer = answer(b"{\"id\": 7, \"method\": \"\xff\"}", &error).unwrap_or_default();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(7), &json!(-32700)), "{answer}");
        assert!(answer.to_string().contains("not UTF-8 from byte 22 on"), "{answer}");
    }

    #[test]
    fn eight_megabytes_of_braces_and_quotes_take_no_stack_and_little_time() {
        let started = std::time::Instant::now();
        for part in ["[{", "\"", "\\", "\"\\\"", "{\"id\":", "]"] {
            let line = format!("{{\"id\": 7, \"params\": {}", part.repeat((8 << 20) / part.len()));
            Members::of(line.as_bytes());
        }
        assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    }
}
