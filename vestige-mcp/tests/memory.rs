//! What the server takes for a message and for an answer is bounded, however they are written.
#![allow(unsafe_code, reason = "a global allocator that counts cannot be written without it")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// Of all threads.
struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting touches atomic numbers alone.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(HELD.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: `pointer` came from `System` by `alloc` above, with the same layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: usize = 1 << 20;

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf};
use vestige_conformance::{HashEmbedder, ReferenceStore};
use vestige_mcp::{LineTransport, Server, serve};
use vestige_memory::{Memory, NearDuplicates, RememberOptions};
use vestige_traits::clock::SystemClock;

struct Client {
    memory: Memory<ReferenceStore, HashEmbedder>,
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    out: WriteHalf<DuplexStream>,
}

impl Client {
    async fn connect() -> Self {
        let store = ReferenceStore::new(Arc::new(SystemClock));
        let memory = Memory::new(store, HashEmbedder::new(16, 1));
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (input, output) = tokio::io::split(theirs);
        let server = Server::new(memory.clone());
        tokio::spawn(serve(server, LineTransport::new(input, output), std::future::pending()));
        let (reader, out) = tokio::io::split(ours);
        let mut client = Self { memory, lines: BufReader::new(reader).lines(), out };
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"}});
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        client.send([hello.to_string().as_bytes()]).await;
        client
    }

    /// Sends pieces as one line, and returns the answer.
    async fn send(&mut self, pieces: impl IntoIterator<Item = &[u8]>) -> Value {
        for piece in pieces {
            self.out.write_all(piece).await.unwrap();
        }
        self.out.write_all(b"\n").await.unwrap();
        serde_json::from_str(&self.lines.next_line().await.unwrap().unwrap()).unwrap()
    }

    /// Calls a tool with an argument of `count` times `piece`, and returns the answer with how many bytes
    /// were held at most.
    async fn call(&mut self, before: &str, piece: &str, count: usize, after: &str) -> (Value, usize) {
        let before = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"remember","arguments":{before}"#
        );
        let after = format!("{after}}}}}");
        // Much at once, so that it is not the client that takes the time.
        let many = piece.repeat((1 << 16) / piece.len());
        let (whole, rest) = (count / (many.len() / piece.len()), count % (many.len() / piece.len()));
        let rest = piece.repeat(rest);
        let pieces = std::iter::once(before.as_bytes())
            .chain(std::iter::repeat_n(many.as_bytes(), whole))
            .chain([rest.as_bytes(), after.as_bytes()]);
        let held = HELD.load(Relaxed);
        PEAK.store(held, Relaxed);
        let answer = self.send(pieces).await;
        (answer, PEAK.load(Relaxed) - held)
    }
}

/// A message is held once, and its room is doubled as it comes in.
const MESSAGE: usize = 64 * MIB + 32 * MIB + 4 * MIB;

#[tokio::test]
async fn a_message_of_many_small_values_is_refused_before_it_is_parsed() {
    let mut client = Client::connect().await;
    for (before, piece, after) in [
        (r#"{"memories":["#, "0,", "0]}"),
        (r#"{"memories":["#, r#"{"a":1},"#, "0]}"),
        (r#"{"memories":["#, r#""","#, "0]}"),
        (r#"{"memories":[{"content":"x","metadata":{"#, r#""key":0,"#, r#""end":0}}]}"#),
        (r#"{"memories":["#, "[", ""),
    ] {
        let (answer, peak) = client.call(before, piece, 60 * MIB / piece.len(), after).await;
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("the message holds more than 720000 values"), "{piece}: {message}");
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(1), &json!(-32600)));
        assert!(peak < MESSAGE, "{piece}: {} MiB", peak / MIB);
    }
}

#[tokio::test]
async fn as_many_values_as_are_read_take_a_bounded_multiple() {
    let mut client = Client::connect().await;
    for (before, piece, values, after) in [
        (r#"{"memories":["#, "0,", 1, "0]}"),
        (r#"{"memories":["#, r#"{"a":1},"#, 4, "0]}"),
        (r#"{"memories":["#, r#"[[]],"#, 3, "0]}"),
        (r#"{"memories":[{"content":"x","metadata":{"#, r#""key":0,"#, 2, r#""end":0}}]}"#),
    ] {
        let (answer, peak) = client.call(before, piece, 700_000 / values, after).await;
        assert_eq!(answer["result"]["isError"], true, "{piece}: {answer}");
        assert!(peak < 300 * MIB, "{piece}: {} MiB", peak / MIB);
    }
}

#[tokio::test]
async fn a_long_text_takes_a_bounded_multiple_and_json_in_a_text_no_more() {
    let mut client = Client::connect().await;
    for (before, piece, after, expected) in [
        (r#"{"memories":[{"content":""#, "long text ", r#""}]}"#, "memories[0]: content: is "),
        (r#"{"memories":""#, "long text ", r#""}"#, "memories: is the string"),
        (r#"{"memories":"["#, "0,", r#"0]"}"#, "memories: is the string"),
        (
            r#"{"memories":[{"content":"x","metadata":"{\"a\":["#,
            "0,",
            r#"0]}"}]}"#,
            "memories[0].metadata: is the ",
        ),
    ] {
        let (answer, peak) = client.call(before, piece, 60 * MIB / piece.len(), after).await;
        let said = answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
        assert!(said.contains(expected), "{said}");
        assert!(peak < 8 * 64 * MIB, "{before}: {} MiB", peak / MIB);
    }
}

#[tokio::test]
async fn an_answer_takes_no_more_than_the_largest_memory_in_it() {
    let mut client = Client::connect().await;
    let long = "A megabyte of text. ".repeat(MIB / 20 + 1);
    let memories: Vec<_> = (0..100).map(|n| format!("{n} {}", &long[..MIB - 10])).collect();
    let options = RememberOptions::new().near_duplicates(NearDuplicates::Ignore);
    let stored = client.memory.remember_all(memories, options).await.unwrap();
    let ids: Vec<_> = stored.into_iter().map(|stored| stored.record.id).collect();
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
        "name": "get", "arguments": {"ids": ids},
    }});
    let held = HELD.load(Relaxed);
    PEAK.store(held, Relaxed);
    let answer = client.send([call.to_string().as_bytes()]).await;
    let peak = PEAK.load(Relaxed) - held;
    let listed = |key: &str| answer["result"]["structuredContent"][key].as_array().unwrap().len();
    assert_eq!((listed("memories") + listed("left_out"), listed("memories") > 90), (100, true));
    assert!(answer.to_string().len() < 100_000, "{} bytes", answer.to_string().len());
    assert!(peak < 8 * MIB, "{} MiB", peak / MIB);
}
