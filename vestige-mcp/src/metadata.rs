//! Metadata that a call gives beside what the server sets.

use serde_json::{Map, Value};
use vestige_traits::IngestContext;

use crate::answer::{ToolError, ToolResult};

/// Refuses metadata with a key that `context` sets too: the value given for it would be lost.
pub(crate) fn refuse_overwritten(metadata: &Map<String, Value>, context: &IngestContext) -> ToolResult<()> {
    context.overwrites(metadata.keys()).map_or(Ok(()), |key| {
        let why = match key {
            "file" | "topics" => format!("is given beside {key}, say it in one place"),
            _ => "is set by the server, leave it out".to_owned(),
        };
        Err(ToolError::new(format!("metadata.{key}: {why}; nothing was done")))
    })
}
