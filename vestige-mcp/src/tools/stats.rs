//! The tool `stats`.

use std::collections::BTreeMap;

use rmcp::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};
use vestige_memory::Memory;
use vestige_memory::text::{counted, one_line};
use vestige_memory::times::rfc3339;
use vestige_traits::MemoryStore;
use vestige_traits::stats::StoreStats;

use crate::answer::{Answer, ToolResult};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub(crate) struct StatsArgs {}

/// What the memory holds.
#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars")]
pub(crate) struct StatsView {
    /// Where it lies.
    store: String,
    backend: String,
    memories: u64,
    /// Those that are found by meaning too.
    embedded: u64,
    /// Memories by type.
    types: BTreeMap<String, u64>,
    /// Memories by code base; those without one are not counted here.
    codebases: BTreeMap<String, u64>,
    links: u64,
    reviews: u64,
    /// Memories with a review schedule.
    scheduled: u64,
    /// Those whose review is due.
    due: u64,
    /// The embedding model.
    model: Option<String>,
    /// When the oldest memory was taken in.
    oldest: Option<String>,
    /// When the newest memory was taken in.
    newest: Option<String>,
}

pub(crate) async fn stats<S: MemoryStore + Sync, E>(
    memory: &Memory<S, E>,
    _: StatsArgs,
    store_name: Option<&str>,
) -> ToolResult {
    let stats = memory.stats().await?;
    let list = |counts: &BTreeMap<String, u64>| {
        let mut counts: Vec<_> = counts.iter().collect();
        counts.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let shown: Vec<_> =
            counts.iter().take(20).map(|(name, count)| format!("{} {count}", one_line(name))).collect();
        if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
    };
    let text = format!(
        "{}; {} due for review.\nTypes: {}.\nCode bases: {}.",
        counted(stats.memories, "memory"),
        stats.due,
        list(&stats.by_type),
        list(&stats.by_codebase)
    );
    Answer::new(text, &StatsView::new(store_name, stats))
}

impl StatsView {
    /// A store without a name is called like its backend.
    pub(crate) fn new(store_name: Option<&str>, stats: StoreStats) -> Self {
        Self {
            store: store_name.unwrap_or(&stats.backend).to_owned(),
            backend: stats.backend,
            memories: stats.memories,
            embedded: stats.embedded,
            types: stats.by_type,
            codebases: stats.by_codebase,
            links: stats.edges,
            reviews: stats.review_events,
            scheduled: stats.scheduled,
            due: stats.due,
            model: stats.model.map(|model| model.name),
            oldest: stats.oldest.map(rfc3339),
            newest: stats.newest.map(rfc3339),
        }
    }
}
