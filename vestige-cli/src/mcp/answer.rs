//! What a tool says: text for a model that reads, the same as JSON, or why it did not work.

use rmcp::ErrorData;
use rmcp::model::{CallToolResult, ContentBlock, JsonObject};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use vestige_traits::{EmbedderError, MemoryStoreError};

use super::shape;
use crate::failure::Failure;
use crate::printable::shortened;

/// An answer in words and as JSON that fits the tool's output schema.
pub(crate) struct Answer {
    text: String,
    value: Value,
}

/// Why a tool did not do what it was asked: what, where, and what to do next, for the model to read.
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

    /// The same error, with where it came up.
    pub(crate) fn at(self, place: impl std::fmt::Display) -> Self {
        Self(format!("{place}: {}", self.0))
    }

    /// For requests that have no other way to fail than a protocol error.
    pub(crate) fn into_protocol(self) -> ErrorData {
        ErrorData::internal_error(self.0, None)
    }
}

impl std::fmt::Display for ToolError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A tool that fails answers all the same: the model reads why, which it would not with a protocol error.
pub(crate) fn result(answer: ToolResult) -> CallToolResult {
    match answer {
        Ok(Answer { text, value }) => {
            let mut result = CallToolResult::structured(value);
            result.content = vec![ContentBlock::text(text)];
            result
        }
        Err(ToolError(message)) => CallToolResult::error(vec![ContentBlock::text(message)]),
    }
}

/// The arguments of a call, in the shape of the tool's schema. Models write `null` for what they leave
/// out, whatever the schema says, so there it means nothing; inside of other objects it is a value.
pub(crate) fn arguments<T: DeserializeOwned>(
    schema: &JsonObject,
    arguments: Option<JsonObject>,
) -> ToolResult<T> {
    let mut arguments = arguments.unwrap_or_default();
    arguments.retain(|_, value| !value.is_null());
    for item in arguments.values_mut().filter_map(Value::as_array_mut).flatten() {
        if let Value::Object(item) = item {
            item.retain(|_, value| !value.is_null());
        }
    }
    let mut arguments = Value::Object(arguments);
    shape::check(schema, &mut arguments)?;
    // The schema is made from the type, so this does not fail.
    serde_json::from_value(arguments)
        .map_err(|error| ToolError::new(format!("wrong arguments: {}", shortened(&error.to_string(), 300))))
}

impl From<MemoryStoreError> for ToolError {
    fn from(error: MemoryStoreError) -> Self {
        let hint = match &error {
            MemoryStoreError::NotFound { .. } => "; `recall` finds memories and their ids",
            MemoryStoreError::AlreadyExists { .. } | MemoryStoreError::InvalidInput { .. } => "",
            // Somebody moved the memory to another model while this server ran.
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

impl From<EmbedderError> for ToolError {
    fn from(error: EmbedderError) -> Self {
        Self(error.to_string())
    }
}

impl From<Failure> for ToolError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Store(error) => error.into(),
            failure => Self(failure.line("").unwrap_or_default()),
        }
    }
}
