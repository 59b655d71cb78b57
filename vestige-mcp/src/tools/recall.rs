//! The tool `recall`.

use std::fmt::Write as _;

use rmcp::schemars::{self, JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use vestige_memory::text::counted;
use vestige_memory::{Memory, Recall, SearchMode};
use vestige_traits::{
    Embedder, ListCursor, ListPage, ListQuery, MemoryFilter, MemoryRecord, MemoryStore, SearchResult,
    WebQuery, limits,
};

use crate::answer::{Answer, ToolError, ToolResult};
use crate::budget::Room;
use crate::view::{MemoryView, Shown, listed};
use crate::when::moment;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub(crate) struct RecallArgs {
    /// The question, in plain language. Without one, or with *, memories are listed, newest first.
    #[serde(default)]
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
    /// Where to go on with a list: the `next` of the last one.
    cursor: Option<String>,
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
    /// The memories found, best first; of a list, newest first. Their texts stand in the text of the answer.
    results: Vec<HitView>,
    /// Of a list, the `cursor` of its next page; null if there is no more.
    next: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars", inline)]
struct HitView {
    /// What the order goes by; higher is better. Not a probability. Null in a list.
    score: Option<f64>,
    /// By words (BM25); null if the words did not find it.
    fts_score: Option<f64>,
    /// By meaning (cosine similarity); null if the meaning did not find it.
    vector_score: Option<f64>,
    #[serde(flatten)]
    memory: MemoryView,
}

impl HitView {
    fn of_hit(hit: &SearchResult, memory: MemoryView) -> Self {
        Self { score: Some(hit.score), fts_score: hit.fts_score, vector_score: hit.vector_score, memory }
    }

    fn of_list(memory: MemoryView) -> Self {
        Self { score: None, fts_score: None, vector_score: None, memory }
    }
}

/// Appends memories with their numbers, and returns what programs read of each.
fn numbered<'a>(
    text: &mut String,
    records: impl ExactSizeIterator<Item = &'a MemoryRecord>,
) -> Vec<MemoryView> {
    let mut room = Room::for_memories(records.len());
    let shown = records.enumerate().map(|(at, record)| {
        let Shown { text: memory, view } = listed(record, room.next());
        room.used(&memory);
        let _ = write!(text, "\n\n{}. {memory}", at + 1);
        view
    });
    shown.collect()
}

pub(crate) async fn recall<S, E>(memory: &Memory<S, E>, args: RecallArgs) -> ToolResult
where
    S: MemoryStore + Sync,
    E: Embedder + Sync,
{
    let now = memory.now();
    let filter = MemoryFilter::new()
        .tags(args.tags)
        .node_types(args.types)
        .codebases(args.codebases)
        .created_from(moment("since", args.since.as_deref(), |when| when.start(now))?)
        .created_before(moment("until", args.until.as_deref(), |when| when.end(now))?)
        .min_retrievability(args.min_retrievability);
    let filtered = !filter.is_empty();
    let limit = args.limit.unwrap_or(limits::DEFAULT_LIMIT);
    let cursor = args.cursor.filter(|cursor| !cursor.trim().is_empty());
    if asks_for_nothing(&args.query) {
        let after = cursor.as_deref().map(read_cursor).transpose()?;
        let page = memory.list(&ListQuery::new().filter(filter).limit(limit).after(after)).await?;
        return page_of_list(&page, filtered);
    }
    if cursor.is_some() {
        return Err(ToolError::new("cursor: goes on with a list; leave `query` out, or the cursor"));
    }
    let question = Recall::new(args.query).limit(limit).filter(filter).mode(args.mode);
    let terms = question.terms();
    let hits = memory.recall(question).await?;
    let mut text = match hits.len() as u64 {
        0 if filtered => NOTHING_FILTERED.to_owned(),
        0 => "Nothing is known about this.".to_owned(),
        found => format!("{} found, best first.", counted(found, "memory")),
    };
    if terms > limits::MAX_QUERY_TERMS {
        let _ = write!(
            text,
            " Of the {terms} terms of the question only the {} rarest counted.",
            limits::MAX_QUERY_TERMS
        );
    }
    let views = numbered(&mut text, hits.iter().map(|hit| &hit.record));
    let results = hits.iter().zip(views).map(|(hit, view)| HitView::of_hit(hit, view)).collect();
    Answer::new(text, &Recalled { results, next: None })
}

const NOTHING_FILTERED: &str = "Nothing found with these filters; call again with fewer of them.";

/// Whether a text has neither a word nor a phrase, nor an exclusion: empty, or `*`.
fn asks_for_nothing(query: &str) -> bool {
    let WebQuery { words, phrases, excluded } = WebQuery::parse(query);
    words.is_empty() && phrases.is_empty() && excluded.is_empty()
}

fn page_of_list(page: &ListPage, filtered: bool) -> ToolResult {
    let next = page.next.map(|next| format!("{} {}", next.created_at.to_rfc3339(), next.id));
    let mut text = match page.records.len() as u64 {
        0 if filtered => NOTHING_FILTERED.to_owned(),
        0 => "There are no more memories.".to_owned(),
        listed => format!("{}, newest first.", counted(listed, "memory")),
    };
    let views = numbered(&mut text, page.records.iter());
    if let Some(next) = &next {
        let _ = write!(text, "\n\nThere are more: call again with `cursor`: \"{next}\".");
    }
    Answer::new(text, &Recalled { results: views.into_iter().map(HitView::of_list).collect(), next })
}

/// The place that the `next` of a list names.
fn read_cursor(text: &str) -> ToolResult<ListCursor> {
    let read = || {
        let (created_at, id) = text.trim().split_once(' ')?;
        Some(ListCursor { created_at: created_at.parse().ok()?, id: id.parse().ok()? })
    };
    read().ok_or_else(|| ToolError::new("cursor: is none; give the `next` of the last list, or leave it out"))
}
