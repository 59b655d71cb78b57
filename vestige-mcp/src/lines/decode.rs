//! Reads a line as a message.

use rmcp::model::{ClientJsonRpcMessage, ClientRequest, JsonRpcMessage, JsonRpcRequest};
use serde_json::Value;
use vestige_memory::json::{Loss, Members, losses};
use vestige_traits::limits;

use super::unreadable;

/// The message in a line, or the answer to a line that cannot be decoded; no answer to an empty line.
pub(super) fn decode(line: &[u8]) -> Result<ClientJsonRpcMessage, Option<Value>> {
    if line.is_empty() {
        return Err(None);
    }
    if let Err(error) = limits::check_json_values("the message", line) {
        tracing::error!("a message with too many values was refused");
        return Err(unreadable::refused(line, &error));
    }
    let mut message = serde_json::from_slice(line).map_err(|error| unreadable::answer(line, &error))?;
    if let JsonRpcMessage::Request(JsonRpcRequest { request: ClientRequest::CallToolRequest(call), .. }) =
        &mut message
        && let Some(loss) = loss_of_arguments(line)
    {
        call.extensions.insert(loss);
    }
    Ok(message)
}

/// The first thing that reading the arguments of a call as JSON values loses. It is handed on with the call,
/// so that the tool's answer tells it: only that answer is read by the model.
fn loss_of_arguments(line: &[u8]) -> Option<Loss> {
    let mut text = std::str::from_utf8(line).ok()?;
    for member in ["params", "arguments"] {
        let Members(members) = serde_json::from_str(text).ok()?;
        text = members.into_iter().rfind(|(name, _)| name == member)?.1.get();
    }
    losses(text).into_iter().find(Loss::changes_the_value)
}
