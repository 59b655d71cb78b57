//! The resources, which are read by address: a memory, and the statistics.

use rmcp::ErrorData;
use rmcp::model::{ReadResourceResult, Resource, ResourceContents, ResourceTemplate};
use serde::Serialize;
use uuid::Uuid;
use vestige_memory::text::shortened;
use vestige_memory::{Memory, MemoryError};
use vestige_traits::MemoryStore;

use crate::answer::ToolError;
use crate::tools::memories::WholeView;
use crate::tools::stats::StatsView;

const STATS: &str = "vestige://stats";
const MEMORY: &str = "vestige://memory/";
const JSON: &str = "application/json";

pub(crate) fn list() -> Vec<Resource> {
    vec![
        Resource::new(STATS, "stats")
            .with_title("Statistics of the memory")
            .with_description("What the memory holds, as JSON: counts, types, code bases, what is due.")
            .with_mime_type(JSON),
    ]
}

pub(crate) fn templates() -> Vec<ResourceTemplate> {
    vec![
        ResourceTemplate::new(format!("{MEMORY}{{id}}"), "memory")
            .with_title("A memory")
            .with_description("A memory by its id, whole, as JSON, with its links and its review schedule.")
            .with_mime_type(JSON),
    ]
}

/// The resource at `uri`.
pub(crate) async fn read<S: MemoryStore + Sync, E>(
    memory: &Memory<S, E>,
    store_name: Option<&str>,
    uri: &str,
) -> Result<ReadResourceResult, ErrorData> {
    let of_memory = |error: MemoryError| ToolError::from(error).into_protocol();
    if uri == STATS {
        let stats = memory.stats().await.map_err(of_memory)?;
        return contents(uri, &StatsView::new(store_name, stats));
    }
    let missing = || {
        let message = format!("there is no resource {}", shortened(uri, 100));
        ErrorData::resource_not_found(message, None)
    };
    let id = uri.strip_prefix(MEMORY).and_then(|id| Uuid::try_parse(id).ok()).ok_or_else(missing)?;
    let record = memory.get(id).await.map_err(of_memory)?.ok_or_else(missing)?;
    contents(uri, &WholeView::read(memory, &record).await.map_err(of_memory)?)
}

fn contents(uri: &str, value: &impl Serialize) -> Result<ReadResourceResult, ErrorData> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
    Ok(ReadResourceResult::new(vec![ResourceContents::text(text, uri).with_mime_type(JSON)]))
}
