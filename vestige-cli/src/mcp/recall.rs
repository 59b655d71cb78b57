//! The tool `recall`.

use std::fmt::Write as _;

use rmcp::schemars::{self, JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use vestige_traits::{
    Embedder, MemoryFilter, MemoryStore, SearchMode, SearchQuery, SearchResult, WebQuery, limits,
};

use super::answer::{Answer, ToolError, ToolResult};
use super::server::Server;
use super::view::{MemoryView, block};
use crate::printable::counted;
use crate::times::When;

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
    #[serde(default)]
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
    /// Only memories taken in since then: a day (2026-01-31), a time (RFC 3339), or how long ago (12h, 7d, 2w); UTC.
    since: Option<String>,
    /// Only memories taken in until then, in the same forms; a day counts whole.
    until: Option<String>,
    /// Only memories that are still recalled with at least this probability, 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    min_retrievability: Option<f64>,
}

fn mode_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": SearchMode::ALL.map(SearchMode::name)})
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

impl<S, E> Server<S, E>
where
    S: MemoryStore + Send + Sync + 'static,
    E: Embedder + Send + Sync + 'static,
{
    pub(super) async fn recall(&self, args: RecallArgs) -> ToolResult {
        if args.query.trim().is_empty() {
            return Err(ToolError::new("query: must not be empty; ask for what you want to know"));
        }
        let filter = MemoryFilter {
            tags: args.tags,
            node_types: args.types,
            codebases: args.codebases,
            created_from: self.bound("since", args.since.as_deref(), When::start)?,
            created_before: self.bound("until", args.until.as_deref(), When::end)?,
            min_retrievability: args.min_retrievability,
            ..MemoryFilter::default()
        };
        let mut query = SearchQuery::text(args.query)
            .mode(args.mode)
            .with_limit(args.limit.unwrap_or(limits::DEFAULT_LIMIT))
            .with_filter(filter);
        query.validate()?;
        let text = query.text.as_deref().filter(|_| query.mode.ranks_by_vector());
        if let Some(meaning) = text.and_then(WebQuery::meaning) {
            query.embedding = self.embedder.embed_query(&meaning).await?;
        }
        let hits = self.store.search(&query).await?;
        let mut text = match hits.len() as u64 {
            0 if query.filter.is_empty() => "Nothing is known about this.".to_owned(),
            0 => "Nothing found with these filters; call again with fewer of them.".to_owned(),
            found => format!("{} found, best first.", counted(found, "memory")),
        };
        for (at, hit) in hits.iter().enumerate() {
            let _ = write!(text, "\n\n{}. {}", at + 1, block(&hit.record, false));
        }
        Answer::new(text, &Recalled { results: hits.iter().map(HitView::from).collect() })
    }

    fn bound(
        &self,
        name: &str,
        text: Option<&str>,
        read: fn(When, chrono::DateTime<chrono::Utc>) -> Option<chrono::DateTime<chrono::Utc>>,
    ) -> ToolResult<Option<chrono::DateTime<chrono::Utc>>> {
        let Some(text) = text else { return Ok(None) };
        let when = When::parse(text).map_err(|error| ToolError::new(format!("{name}: {error}")))?;
        let time = read(when, self.now());
        time.map(Some).ok_or_else(|| ToolError::new(format!("{name}: lies outside of the calendar")))
    }
}
