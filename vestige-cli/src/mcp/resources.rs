//! What can be read by address: a memory, and the statistics.

use rmcp::ErrorData;
use rmcp::model::{ReadResourceResult, Resource, ResourceContents, ResourceTemplate};
use serde::Serialize;
use uuid::Uuid;
use vestige_traits::{Embedder, MemoryStore};

use super::answer::ToolError;
use super::server::Server;
use crate::printable::shortened;

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

impl<S, E> Server<S, E>
where
    S: MemoryStore + Send + Sync + 'static,
    E: Embedder + Send + Sync + 'static,
{
    pub(super) async fn read(&self, uri: &str) -> Result<ReadResourceResult, ErrorData> {
        let of_store = |error| ToolError::from(error).into_protocol();
        if uri == STATS {
            let stats = self.store.get_stats().await.map_err(of_store)?;
            return contents(uri, &self.stats_view(stats));
        }
        let missing = || {
            let message = format!("there is no resource {}", shortened(uri, 100));
            ErrorData::resource_not_found(message, None)
        };
        let id = uri.strip_prefix(MEMORY).and_then(|id| Uuid::try_parse(id).ok()).ok_or_else(missing)?;
        let record = self.store.get(id).await.map_err(of_store)?.ok_or_else(missing)?;
        contents(uri, &self.whole(&record).await.map_err(ToolError::into_protocol)?)
    }
}

fn contents(uri: &str, value: &impl Serialize) -> Result<ReadResourceResult, ErrorData> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
    Ok(ReadResourceResult::new(vec![ResourceContents::text(text, uri).with_mime_type(JSON)]))
}
