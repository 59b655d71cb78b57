//! The tool `recall`.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use rmcp::schemars::{self, JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use vestige_memory::text::counted;
use vestige_memory::times::When;
use vestige_memory::{Memory, Recall, SearchMode};
use vestige_traits::{Embedder, MemoryFilter, MemoryStore, SearchResult, limits};

use crate::answer::{Answer, ToolError, ToolResult};
use crate::view::{MemoryView, block};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub(crate) struct RecallArgs {
    /// The question, in plain language.
    query: String,
    /// How many results at most, 1 to 100. Default: 10.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<usize>,
    /// hybrid: by words and meaning together (default); keyword: by words alone; vector: by meaning alone.
    // The description names the default; skipping it keeps it out of the schema a second time.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(schema_with = "mode_schema")]
    mode: SearchMode,
    /// Only memories with one of these tags.
    #[serde(default)]
    tags: Vec<String>,
    /// Only memories of one of these types.
    #[serde(default)]
    types: Vec<String>,
    /// Only memories of one of these code bases.
    #[serde(default)]
    codebases: Vec<String>,
    // Not a doc comment: a line break in one is a line break in the schema.
    #[schemars(
        description = "Only memories taken in since then: a day (2026-01-31), a time (RFC 3339), or how long ago \
                              (12h, 7d, 2w); UTC."
    )]
    since: Option<String>,
    /// Only memories taken in until then, in the same forms; a day counts whole.
    until: Option<String>,
    /// Only memories that are still recalled with at least this probability, 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    min_retrievability: Option<f64>,
}

fn is_default(mode: &SearchMode) -> bool {
    *mode == SearchMode::default()
}

fn mode_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": SearchMode::ALL.map(SearchMode::as_str)})
}

#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars")]
pub(crate) struct Recalled {
    /// The memories found, best first.
    results: Vec<HitView>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars", inline)]
struct HitView {
    /// What the order goes by; higher is better. Not a probability.
    score: f64,
    /// By words (BM25); null if the words did not find it.
    fts_score: Option<f64>,
    /// By meaning (cosine similarity); null if the meaning did not find it.
    vector_score: Option<f64>,
    #[serde(flatten)]
    memory: MemoryView,
}

impl From<&SearchResult> for HitView {
    fn from(hit: &SearchResult) -> Self {
        Self {
            score: hit.score,
            fts_score: hit.fts_score,
            vector_score: hit.vector_score,
            memory: MemoryView::shortened(&hit.record),
        }
    }
}

pub(crate) async fn recall<S, E>(memory: &Memory<S, E>, args: RecallArgs) -> ToolResult
where
    S: MemoryStore + Sync,
    E: Embedder + Sync,
{
    if args.query.trim().is_empty() {
        return Err(ToolError::new("query: must not be empty; ask for what you want to know"));
    }
    let now = memory.now();
    let filter = MemoryFilter::new()
        .tags(args.tags)
        .node_types(args.types)
        .codebases(args.codebases)
        .created_from(bound("since", args.since.as_deref(), |when| when.start(now))?)
        .created_before(bound("until", args.until.as_deref(), |when| when.end(now))?)
        .min_retrievability(args.min_retrievability);
    let filtered = !filter.is_empty();
    let question = Recall::new(args.query)
        .limit(args.limit.unwrap_or(limits::DEFAULT_LIMIT))
        .filter(filter)
        .mode(args.mode);
    let hits = memory.recall(question).await?;
    let mut text = match hits.len() as u64 {
        0 if filtered => "Nothing found with these filters; call again with fewer of them.".to_owned(),
        0 => "Nothing is known about this.".to_owned(),
        found => format!("{} found, best first.", counted(found, "memory")),
    };
    for (at, hit) in hits.iter().enumerate() {
        let _ = write!(text, "\n\n{}. {}", at + 1, block(&hit.record, false));
    }
    Answer::new(text, &Recalled { results: hits.iter().map(HitView::from).collect() })
}

/// The moment that the argument `name` means; none where it is left out.
fn bound(
    name: &str,
    text: Option<&str>,
    moment: impl FnOnce(When) -> Option<DateTime<Utc>>,
) -> ToolResult<Option<DateTime<Utc>>> {
    let Some(text) = text else { return Ok(None) };
    let when = When::parse(text).map_err(|error| ToolError::new(format!("{name}: {error}")))?;
    moment(when).map(Some).ok_or_else(|| ToolError::new(format!("{name}: lies outside of the calendar")))
}
