//! The transport over byte streams: one message a line, as the protocol's stdio transport has it.
//!
//! The transport of `rmcp` does not answer a line that it cannot decode, or answers without the id of the
//! request, and the client then waits until it times out. This one answers such lines, bounds their length,
//! and bounds how many requests are in flight.

mod batch;
mod decode;
mod in_flight;
mod unreadable;

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use rmcp::model::{ClientJsonRpcMessage, GetExtensions, JsonRpcMessage};
use rmcp::service::{RoleServer, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::io::{StdioReader, StdioWriter, stdio_pipes};
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::Mutex;

use self::batch::{Answers, Batches};
use self::decode::decode;
use self::in_flight::InFlight;

/// The longest message that is read. A longer one is refused and the connection goes on.
const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// How many bytes of the beginning and of the end of a longer one are kept, to find its id in them.
const KEPT_BYTES: usize = 1 << 16;

/// A transport that reads and writes one JSON-RPC message a line: the protocol's stdio transport, over any
/// pair of byte streams.
///
/// A line of more than 64 MiB, or of more than 720,000 JSON values, is refused, and the connection goes on. A
/// line that is no message is answered with an error that carries the id of the request, if one can be found
/// in it. The last line needs no line feed. Under protocol 2025-03-26 a line may be a batch of up to 100
/// messages. While 64 requests are being
/// answered, nothing more is read, so that a client that sends faster than it is answered waits.
pub struct LineTransport<R, W> {
    input: BufReader<R>,
    /// The part of a line that was read. It is kept here because the future of `receive` may be dropped in
    /// the middle of a line.
    line: Vec<u8>,
    /// The end of a line that is too long, as far as it was read; its beginning is in `line`.
    end: Option<Vec<u8>>,
    output: Arc<Mutex<Output<W>>>,
    /// An answer that is being written, kept here for the same reason. Nothing is read before it is written.
    answering: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send>>>,
    in_flight: InFlight,
    batches: Batches,
}

struct Output<W> {
    /// None once it is closed.
    pipe: Option<W>,
    /// What is not written yet, of whole lines.
    pending: VecDeque<u8>,
}

impl LineTransport<StdioReader, StdioWriter> {
    /// The stdin and stdout of the process. Nothing else may write to stdout then.
    ///
    /// # Panics
    ///
    /// On Linux, outside of a Tokio runtime with IO enabled.
    pub fn stdio() -> Self {
        let (stdin, stdout) = stdio_pipes();
        Self::new(stdin, stdout)
    }
}

impl<R: AsyncRead + Unpin, W> LineTransport<R, W> {
    /// Reads requests from `input` and writes answers to `output`.
    pub fn new(input: R, output: W) -> Self {
        Self {
            input: BufReader::new(input),
            line: Vec::new(),
            end: None,
            output: Arc::new(Mutex::new(Output { pipe: Some(output), pending: VecDeque::new() })),
            answering: None,
            in_flight: InFlight::default(),
            batches: Batches::default(),
        }
    }

    /// Reads on to the end of a line; false at the end of the input.
    async fn read_line(&mut self) -> io::Result<bool> {
        loop {
            let read = self.input.fill_buf().await?;
            if read.is_empty() {
                return Ok(false);
            }
            let end = read.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(read.len(), |at| at + 1);
            if self.end.is_none() && self.line.len() + taken > MAX_MESSAGE_BYTES {
                self.end = Some(self.line.split_off(self.line.len().saturating_sub(KEPT_BYTES)));
                self.line.truncate(KEPT_BYTES);
            }
            match &mut self.end {
                None => {
                    reserve(&mut self.line, taken);
                    self.line.extend_from_slice(&read[..taken]);
                }
                Some(kept) => {
                    kept.extend_from_slice(&read[..taken]);
                    kept.drain(..kept.len().saturating_sub(KEPT_BYTES));
                }
            }
            self.input.consume(taken);
            if end.is_some() {
                return Ok(true);
            }
        }
    }

    /// The message in the line that was read; none if it is a batch, which `batches` has then. Else the
    /// answer to a line that cannot be decoded.
    fn take_message(&mut self) -> Result<Option<ClientJsonRpcMessage>, Option<Answer>> {
        let line = text(&self.line);
        let decoded = match self.end.take() {
            None if self.batches.is_batch(line) => match self.batches.read(line) {
                Ok(None) => Ok(None),
                Ok(Some(answers)) => Err(Some(Answer::Batch(answers))),
                Err(refusal) => Err(refusal.map(Answer::Refusal)),
            },
            None => decode(line).map(Some).map_err(|refusal| refusal.map(Answer::Refusal)),
            Some(end) => {
                tracing::error!("a message of more than {MAX_MESSAGE_BYTES} bytes was refused");
                Err(unreadable::too_long(line, &end, MAX_MESSAGE_BYTES).map(Answer::Refusal))
            }
        };
        // A long line would keep its memory for as long as the connection lasts.
        self.line = Vec::new();
        decoded
    }
}

impl<R, W: AsyncWrite + Unpin + Send + 'static> LineTransport<R, W> {
    /// Counts a message that is handed on.
    fn handed_on(&mut self, mut message: ClientJsonRpcMessage) -> ClientJsonRpcMessage {
        match &mut message {
            // Is dropped with the request, whether that is answered or cancelled.
            JsonRpcMessage::Request(request) => {
                request.request.extensions_mut().insert(self.in_flight.enter());
            }
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => self.in_flight.answered(),
            JsonRpcMessage::Notification(_) => {
                if let Some(answers) = self.batches.cancelled(&message) {
                    self.answer(Answer::Batch(answers));
                }
            }
        }
        message
    }

    /// Writes an answer before anything else is read.
    fn answer(&mut self, answer: Answer) {
        self.answering = Some(Box::pin(write(self.output.clone(), answer)));
    }
}

/// An answer that the transport itself gives.
#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Refusal(Value),
    Batch(Answers),
}

/// Writes the message as one line, after those that are being written.
async fn write<W: AsyncWrite + Unpin>(
    output: Arc<Mutex<Output<W>>>,
    message: impl Serialize,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(&message)?;
    drop(message);
    line.push(b'\n');
    let mut output = output.lock().await;
    let Output { pipe, pending } = &mut *output;
    let pipe = pipe.as_mut().ok_or(io::ErrorKind::NotConnected)?;
    if pending.is_empty() {
        *pending = line.into();
    } else {
        pending.extend(line);
    }
    pipe.write_all_buf(pending).await?;
    pipe.flush().await
}

impl<R, W> Transport<RoleServer> for LineTransport<R, W>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        if matches!(item, JsonRpcMessage::Request(_)) {
            self.in_flight.asked();
        }
        let outgoing = self.batches.outgoing(item);
        let (ticket, output) = (self.in_flight.enter(), self.output.clone());
        async move {
            let written = match outgoing {
                Some(outgoing) => write(output, outgoing).await,
                None => Ok(()),
            };
            drop(ticket);
            written
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            if let Some(answering) = &mut self.answering {
                let answered = answering.await;
                self.answering = None;
                answered.ok()?;
            }
            self.in_flight.below_limit().await;
            if let Some(message) = self.batches.next() {
                return Some(self.handed_on(message));
            }
            match self.read_line().await {
                Ok(true) => {}
                Ok(false) if self.line.is_empty() && self.end.is_none() => return None,
                // The last line needs no end.
                Ok(false) => {}
                Err(error) => {
                    tracing::error!("reading from the client: {error}");
                    return None;
                }
            }
            match self.take_message() {
                Ok(Some(message)) => return Some(self.handed_on(message)),
                Ok(None) | Err(None) => {}
                Err(Some(answer)) => self.answer(answer),
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.output.lock().await.pipe = None;
        Ok(())
    }
}

/// Makes room for more of a line, for no more than the longest that is read.
fn reserve(line: &mut Vec<u8>, more: usize) {
    if line.capacity() - line.len() < more {
        let room = (2 * line.capacity()).clamp(line.len() + more, MAX_MESSAGE_BYTES.max(line.len() + more));
        line.reserve_exact(room - line.len());
    }
}

/// The line without white space at its ends.
fn text(line: &[u8]) -> &[u8] {
    // A byte order mark, which some programs on Windows write first.
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{DuplexStream, ReadHalf, WriteHalf};
    use tokio::time::timeout;

    use super::in_flight::MAX_IN_FLIGHT;
    use super::*;

    const SOON: Duration = Duration::from_millis(50);

    /// A connection, and its other end, into which some requests were written.
    async fn asked(
        requests: usize,
    ) -> (LineTransport<ReadHalf<DuplexStream>, WriteHalf<DuplexStream>>, DuplexStream) {
        let (ours, mut client) = tokio::io::duplex(1 << 20);
        for id in 0..requests {
            let ping = format!("{{\"jsonrpc\": \"2.0\", \"id\": {id}, \"method\": \"ping\"}}\n");
            client.write_all(ping.as_bytes()).await.unwrap();
        }
        let (input, output) = tokio::io::split(ours);
        (LineTransport::new(input, output), client)
    }

    #[tokio::test]
    async fn nothing_is_read_while_many_requests_are_worked_on() {
        let (mut lines, _client) = asked(MAX_IN_FLIGHT + 2).await;
        let mut worked_on = Vec::new();
        for _ in 0..MAX_IN_FLIGHT {
            worked_on.push(lines.receive().await.unwrap());
        }
        for _ in 0..2 {
            assert!(timeout(SOON, lines.receive()).await.is_err());
            worked_on.pop();
            worked_on.push(lines.receive().await.unwrap());
        }
    }

    #[tokio::test]
    async fn nothing_is_read_while_many_answers_are_not() {
        let (mut lines, _client) = asked(1).await;
        let answer = || serde_json::from_str(r#"{"jsonrpc": "2.0", "id": 1, "result": {}}"#).unwrap();
        let mut on_their_way: Vec<Pin<Box<dyn Future<Output = io::Result<()>> + Send>>> = Vec::new();
        for _ in 0..MAX_IN_FLIGHT {
            on_their_way.push(Box::pin(lines.send(answer())));
        }
        assert!(timeout(SOON, lines.receive()).await.is_err());
        drop(on_their_way);
        assert!(lines.receive().await.is_some());
    }

    #[tokio::test]
    async fn an_answer_to_the_server_is_heard_behind_many_requests() {
        let (mut lines, mut client) = asked(2 * MAX_IN_FLIGHT).await;
        let roots = r#"{"jsonrpc": "2.0", "id": 0, "result": {"roots": []}}"#;
        client.write_all(format!("{roots}\n").as_bytes()).await.unwrap();
        let question =
            serde_json::from_str(r#"{"jsonrpc": "2.0", "id": 0, "method": "roots/list"}"#).unwrap();
        lines.send(question).await.unwrap();
        let mut heard = Vec::new();
        for _ in 0..=2 * MAX_IN_FLIGHT {
            heard.push(timeout(SOON, lines.receive()).await.unwrap().unwrap());
        }
        assert!(matches!(heard.last(), Some(JsonRpcMessage::Response(_))));
    }
}
