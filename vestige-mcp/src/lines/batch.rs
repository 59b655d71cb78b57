//! Batches of JSON-RPC, which protocol 2025-03-26 alone has: several messages in one line as an array, and
//! their answers in one line too.

use std::collections::VecDeque;

use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientRequest, JsonRpcMessage, ProtocolVersion, RequestId,
    ServerResult,
};
use rmcp::service::{RoleServer, TxJsonRpcMessage};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use vestige_traits::limits;

use super::decode::decode;
use super::unreadable;

/// The most messages in one batch.
pub(super) const MAX_BATCH: usize = 100;

/// The batches whose answers are not complete.
#[derive(Default)]
pub(super) struct Batches {
    /// Whether the protocol that client and server agreed on has batches.
    allowed: bool,
    open: Vec<Batch>,
    /// The messages of a batch that was read, as far as they are not handed on.
    unread: VecDeque<ClientJsonRpcMessage>,
}

#[derive(Default)]
struct Batch {
    waiting: Vec<RequestId>,
    answers: Vec<Answer>,
}

/// One answer of a batch.
#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Message(Box<TxJsonRpcMessage<RoleServer>>),
    /// To a message that cannot be decoded.
    Refusal(Value),
}

/// What is written as one line.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Outgoing {
    Message(Box<TxJsonRpcMessage<RoleServer>>),
    Batch(Answers),
}

/// All answers of a batch.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Answers(Vec<Answer>);

impl Batches {
    /// Whether the line is a batch of a protocol that has them.
    pub(super) fn is_batch(&self, line: &[u8]) -> bool {
        self.allowed && line.first() == Some(&b'[')
    }

    /// The next message of a batch that was read.
    pub(super) fn next(&mut self) -> Option<ClientJsonRpcMessage> {
        self.unread.pop_front()
    }

    /// Reads a batch. Returns what is to be written at once: the answer to a batch without a request that can
    /// be read, if it wants one.
    ///
    /// # Errors
    ///
    /// The answer to a line that is no batch.
    pub(super) fn read(&mut self, line: &[u8]) -> Result<Option<Answers>, Option<Value>> {
        if let Err(error) = limits::check_json_values("the batch", line) {
            return Err(unreadable::refused(line, &error));
        }
        let messages: Vec<&RawValue> =
            serde_json::from_slice(line).map_err(|error| unreadable::answer(line, &error))?;
        if !(1..=MAX_BATCH).contains(&messages.len()) {
            return Err(Some(unreadable::wrong_batch(messages.len(), MAX_BATCH)));
        }
        let mut batch = Batch::default();
        for message in messages {
            match decode(message.get().as_bytes()) {
                Ok(JsonRpcMessage::Request(request))
                    if matches!(request.request, ClientRequest::InitializeRequest(_)) =>
                {
                    let id = request.id.into_json_value();
                    batch.answers.push(Answer::Refusal(unreadable::handshake_in_batch(&id)));
                }
                // The protocol's library answers an id once, so the second would be waited for without end.
                Ok(JsonRpcMessage::Request(request)) if batch.waiting.contains(&request.id) => {
                    let id = request.id.into_json_value();
                    batch.answers.push(Answer::Refusal(unreadable::repeated_in_batch(&id)));
                }
                Ok(message) => {
                    if let JsonRpcMessage::Request(request) = &message {
                        batch.waiting.push(request.id.clone());
                    }
                    self.unread.push_back(message);
                }
                Err(refusal) => batch.answers.extend(refusal.map(Answer::Refusal)),
            }
        }
        if batch.waiting.is_empty() {
            return Ok(Some(batch.answers).filter(|answers| !answers.is_empty()).map(Answers));
        }
        self.open.push(batch);
        Ok(None)
    }

    /// What is to be written now that the server sends `message`: it, nothing yet, or the batch whose last
    /// answer it is.
    pub(super) fn outgoing(&mut self, message: TxJsonRpcMessage<RoleServer>) -> Option<Outgoing> {
        let id = match &message {
            JsonRpcMessage::Response(response) => {
                if let ServerResult::InitializeResult(opened) = &response.result {
                    self.allowed = opened.protocol_version == ProtocolVersion::V_2025_03_26;
                }
                Some(&response.id)
            }
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            _ => None,
        };
        match id.and_then(|id| self.answered(id)) {
            None => Some(Outgoing::Message(Box::new(message))),
            Some(at) => {
                self.open[at].answers.push(Answer::Message(Box::new(message)));
                self.complete(at).map(Outgoing::Batch)
            }
        }
    }

    /// The client has cancelled a request, which is not answered then. Returns its batch if it waited for
    /// nothing else.
    pub(super) fn cancelled(&mut self, message: &ClientJsonRpcMessage) -> Option<Answers> {
        let JsonRpcMessage::Notification(notification) = message else { return None };
        let ClientNotification::CancelledNotification(cancelled) = &notification.notification else {
            return None;
        };
        let at = self.answered(cancelled.params.request_id.as_ref()?)?;
        self.complete(at).filter(|answers| !answers.0.is_empty())
    }

    /// The batch that waits for an answer to this request, and no longer does.
    fn answered(&mut self, id: &RequestId) -> Option<usize> {
        self.open.iter_mut().position(|batch| {
            let waiting = batch.waiting.iter().position(|waiting| waiting == id);
            waiting.map(|at| batch.waiting.swap_remove(at)).is_some()
        })
    }

    fn complete(&mut self, at: usize) -> Option<Answers> {
        self.open[at].waiting.is_empty().then(|| Answers(self.open.swap_remove(at).answers))
    }
}
