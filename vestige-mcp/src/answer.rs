//! The answer of a tool: a text for the model, the rest as JSON for programs, or the reason of a failure.

use rmcp::ErrorData;
use rmcp::model::{CallToolResult, ContentBlock};
use serde::Serialize;
use serde_json::Value;
use vestige_memory::MemoryError;
use vestige_traits::MemoryStoreError;

/// An answer as text, which has the contents of memories, and as JSON that fits the tool's output schema and
/// does not repeat them.
pub(crate) struct Answer {
    text: String,
    value: Value,
}

/// Why a tool failed: what, where, and what to do next, for the model to read.
#[derive(Debug)]
pub(crate) struct ToolError(String);

pub(crate) type ToolResult<T = Answer> = Result<T, ToolError>;

impl Answer {
    pub(crate) fn new(text: impl Into<String>, value: &impl Serialize) -> ToolResult {
        let value = serde_json::to_value(value).map_err(|error| ToolError::new(error.to_string()))?;
        Ok(Self { text: text.into(), value })
    }
}

impl ToolError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// The same error, with the place that it is about.
    pub(crate) fn at(self, place: impl std::fmt::Display) -> Self {
        Self(format!("{place}: {}", self.0))
    }

    /// As a protocol error, for requests that cannot fail in another way.
    pub(crate) fn into_protocol(self) -> ErrorData {
        ErrorData::internal_error(self.0, None)
    }
}

impl std::fmt::Display for ToolError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The result of a call, with the structured part if it is wanted. A failure is a result too, since the model
/// does not read protocol errors.
pub(crate) fn result(answer: ToolResult, structured: bool) -> CallToolResult {
    match answer {
        Ok(Answer { text, .. }) if !structured => CallToolResult::success(vec![ContentBlock::text(text)]),
        Ok(Answer { text, value }) => {
            let mut result = CallToolResult::structured(value);
            result.content = vec![ContentBlock::text(text)];
            result
        }
        Err(ToolError(message)) => CallToolResult::error(vec![ContentBlock::text(message)]),
    }
}

impl From<MemoryStoreError> for ToolError {
    fn from(error: MemoryStoreError) -> Self {
        let hint = match &error {
            MemoryStoreError::NotFound { .. } => "; `recall` finds memories and their ids",
            MemoryStoreError::AlreadyExists { .. } | MemoryStoreError::InvalidInput { .. } => "",
            // The store was re-embedded with another model while this server ran.
            MemoryStoreError::ModelMismatch { .. } => {
                "; `recall` with mode keyword works all the same; for the rest ask the user to restart this server \
                 with that model, which `vestige doctor` names"
            }
            error if error.is_retryable() => "; try the same call again",
            _ => "; ask the user to run `vestige doctor`",
        };
        Self(format!("{error}{hint}"))
    }
}

impl From<MemoryError> for ToolError {
    fn from(error: MemoryError) -> Self {
        match error {
            MemoryError::Store(error) => error.into(),
            MemoryError::InvalidMemory { index, source } => {
                Self::from(source).at(format_args!("memories[{index}]"))
            }
            MemoryError::Id(error) => Self(format!("{error}; `recall` finds memories and their ids")),
            MemoryError::Secret { .. } => Self(format!(
                "{error}; nothing was stored; leave it out and say where it is kept instead; only the user can allow it, when \
                 the server is started"
            )),
            error => Self(error.to_string()),
        }
    }
}
