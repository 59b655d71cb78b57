//! Memories as agents read them.

use std::fmt::Write as _;

use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;
use serde_json::{Map, Value};
use vestige_memory::text::{labels, printable, shortened};
use vestige_memory::times::rfc3339;
use vestige_traits::{MemoryEdge, MemoryRecord, SchedulingState};

/// How much of a text a list of memories shows, in characters.
const SHOWN_CHARS: usize = 4000;
/// The largest metadata that a list of memories shows, in bytes of JSON.
const SHOWN_METADATA: usize = 4000;
/// Metadata that every memory of an agent has. The text leaves it out; the JSON has it.
const KEPT_SILENT: [&str; 2] = ["mcp_client_id", "session_id"];

/// A memory.
#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars", inline)]
pub(crate) struct MemoryView {
    id: String,
    content: String,
    /// Whether `content` is only its beginning, or large metadata is left out; `get` returns the whole.
    truncated: bool,
    r#type: String,
    tags: Vec<String>,
    codebase: Option<String>,
    created_at: String,
    updated_at: String,
    /// Where it comes from (`mcp_client_id`, `session_id`, `file`, `topics`) and whatever else belongs to it.
    metadata: Map<String, Value>,
}

impl MemoryView {
    /// The whole memory.
    pub(crate) fn whole(record: &MemoryRecord) -> Self {
        Self {
            id: record.id.to_string(),
            content: record.content.clone(),
            truncated: false,
            r#type: record.node_type.clone(),
            tags: record.tags.clone(),
            codebase: record.codebase.clone(),
            created_at: rfc3339(record.created_at),
            updated_at: rfc3339(record.updated_at),
            metadata: record.metadata.as_object().cloned().unwrap_or_default(),
        }
    }

    /// With only the beginning of a long text, and with only the origin of large metadata.
    pub(crate) fn shortened(record: &MemoryRecord) -> Self {
        let mut view = Self::whole(record);
        view.content = beginning(&record.content);
        view.truncated = view.content.len() < record.content.len();
        if record.metadata.to_string().len() > SHOWN_METADATA {
            view.metadata.retain(|key, _| KEPT_SILENT.contains(&key.as_str()));
            view.truncated = true;
        }
        view
    }
}

/// How well a memory is remembered and when it comes up again, by FSRS-6.
#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars", inline)]
pub(crate) struct ScheduleView {
    /// Days until the probability of recall falls to 0.9.
    stability_days: f64,
    /// 1 (easy) to 10 (hard).
    difficulty: f64,
    /// The probability of recall now, 0 to 1.
    retrievability: f64,
    last_review: Option<String>,
    next_review: Option<String>,
    reps: u32,
    lapses: u32,
}

/// `state` holds the probability of recall as of now.
impl From<SchedulingState> for ScheduleView {
    fn from(state: SchedulingState) -> Self {
        Self {
            stability_days: state.stability,
            difficulty: state.difficulty,
            retrievability: state.retrievability,
            last_review: state.last_review.map(rfc3339),
            next_review: state.next_review.map(rfc3339),
            reps: state.reps,
            lapses: state.lapses,
        }
    }
}

/// A link between two memories.
#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars", inline)]
pub(crate) struct LinkView {
    source_id: String,
    target_id: String,
    r#type: String,
    /// 0 to 1.
    weight: f64,
}

impl From<&MemoryEdge> for LinkView {
    fn from(edge: &MemoryEdge) -> Self {
        Self {
            source_id: edge.source_id.to_string(),
            target_id: edge.target_id.to_string(),
            r#type: edge.edge_type.clone(),
            weight: edge.weight,
        }
    }
}

/// What each line of a memory's own text begins with. No line of an answer's own does, so a memory cannot
/// pass for one.
pub(crate) const QUOTED: &str = "> ";

/// A memory as text: a line with its id, labels and origin; its content (`whole`, or the beginning) and its
/// other metadata, quoted.
pub(crate) fn block(record: &MemoryRecord, whole: bool) -> String {
    let content = if whole { record.content.clone() } else { beginning(&record.content) };
    let mut text = format!("[{}] {}", record.id, labels(record));
    if let Some(client) = record.metadata.get(KEPT_SILENT[0]).and_then(Value::as_str) {
        let _ = write!(text, " · from {}", shortened(client, 60));
    }
    for line in printable(&content).split('\n') {
        let _ = write!(text, "\n{QUOTED}{line}");
    }
    if content.len() < record.content.len() {
        let _ = write!(
            text,
            "\n(its beginning; `get` returns all {} characters)",
            record.content.chars().count()
        );
    }
    let mut metadata = record.metadata.as_object().cloned().unwrap_or_default();
    metadata.retain(|key, _| !KEPT_SILENT.contains(&key.as_str()));
    if !metadata.is_empty() {
        let _ = write!(text, "\n{QUOTED}{}", shortened(&Value::Object(metadata).to_string(), 300));
    }
    text
}

fn beginning(content: &str) -> String {
    content.chars().take(SHOWN_CHARS).collect()
}
