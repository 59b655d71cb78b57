//! The tool `recall`.

use std::fmt::Write as _;

use rmcp::schemars::{self, JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use vestige_memory::dates::Mention;
use vestige_memory::text::{counted, shortened};
use vestige_memory::{Memory, Recall, ResultInContext, SearchMode};
use vestige_traits::analysis::WebQuery;
use vestige_traits::{
    Embedder, ListCursor, ListPage, ListQuery, MemoryFilter, MemoryRecord, MemoryStore, Passage,
    SearchResult, limits,
};

use crate::answer::{Answer, ToolError, ToolResult};
use crate::budget::Room;
use crate::nearby::{NearbyView, Nearest, Side};
use crate::view::{MemoryView, PassageView, Shown, found};
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
    /// Only memories of one of these sessions, as `get` shows them.
    #[serde(default)]
    sessions: Vec<String>,
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
    // Not a doc comment: a line break in one is a line break in the schema.
    #[schemars(
        description = "How many memories to show before and after each result in its session, 0 to 5; by `limit` \
                              in all at most 100. Default: 0."
    )]
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0, max = 5))]
    context: usize,
    /// false: favour no times that the question names.
    dates: Option<bool>,
    /// Where to go on with a list: the `next` of the last one.
    cursor: Option<String>,
}

fn is_default(mode: &SearchMode) -> bool {
    *mode == SearchMode::default()
}

fn is_zero(context: &usize) -> bool {
    *context == 0
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
    /// Times that the question names, with their days: memories of then are favoured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dates: Vec<String>,
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
    /// The part of a long text that the words match best, in characters; left out of a short one.
    #[serde(skip_serializing_if = "Option::is_none")]
    passage: Option<PassageView>,
    #[serde(flatten)]
    memory: MemoryView,
    /// With `context`: what stands before it in its session and is shown, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    before: Vec<NearbyView>,
    /// With `context`: what stands after it, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    after: Vec<NearbyView>,
}

impl HitView {
    fn of_hit(hit: &SearchResult, memory: MemoryView) -> Self {
        let SearchResult { score, fts_score, vector_score, .. } = *hit;
        let passage = hit.passage.map(PassageView::from);
        Self { score: Some(score), fts_score, vector_score, passage, ..Self::of_list(memory) }
    }

    fn of_list(memory: MemoryView) -> Self {
        let (before, after) = (Vec::new(), Vec::new());
        Self { score: None, fts_score: None, vector_score: None, passage: None, memory, before, after }
    }
}

/// The times that a question names, with their days.
fn read_from(query: &str, dates: &[Mention]) -> Vec<String> {
    dates.iter().map(|date| format!("{} ({date})", shortened(&query[date.range.clone()], 100))).collect()
}

/// Memories as they are shown in this room, one after another, and whether one of them is cut.
fn shown<'a>(
    room: &mut Room,
    records: impl Iterator<Item = (&'a MemoryRecord, Option<Passage>)>,
) -> (Vec<Shown>, bool) {
    let shown = records.map(|(record, passage)| {
        let shown = found(record, passage, room.next());
        room.used(&shown.text);
        shown
    });
    let shown: Vec<Shown> = shown.collect();
    let is_cut = shown.iter().any(Shown::is_cut);
    (shown, is_cut)
}

const HOW_TO_GET_MORE: &str = "\n\n`get` with `start` and `length` shows other characters of a text.";

/// Appends results with their numbers and what stands around them, and returns what programs read of each.
fn numbered(text: &mut String, hits: &[ResultInContext]) -> Vec<HitView> {
    let around = hits.iter().map(|hit| hit.before.len() + hit.after.len()).sum();
    let mut room = if around == 0 { Room::for_memories(hits.len()) } else { Room::for_results(hits.len()) };
    let found = hits.iter().map(|hit| (&hit.result.record, hit.result.passage));
    let (results, is_cut) = shown(&mut room, found);
    let mut nearby = Nearest::new(&room, around);
    let views = hits.iter().zip(results).zip(1..).map(|((hit, Shown { text: memory, view }), number)| {
        let _ = write!(text, "\n\n{number}. {memory}");
        let mut view = HitView::of_hit(&hit.result, view);
        view.before = nearby.show(text, Side::Before, &hit.before);
        view.after = nearby.show(text, Side::After, &hit.after);
        view
    });
    let views = views.collect();
    if is_cut {
        text.push_str(HOW_TO_GET_MORE);
    }
    nearby.say_what_is_left_out(text);
    views
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
        .sessions(args.sessions)
        .created_from(moment("since", args.since.as_deref(), |when| when.start(now))?)
        .created_before(moment("until", args.until.as_deref(), |when| when.end(now))?)
        .min_retrievability(args.min_retrievability);
    let filtered = !filter.is_empty();
    let limit = args.limit.unwrap_or(limits::DEFAULT_LIMIT);
    let cursor = args.cursor.filter(|cursor| !cursor.trim().is_empty());
    if asks_for_nothing(&args.query) {
        if args.context > 0 {
            return Err(ToolError::new("context: goes with a question; leave it out of a list"));
        }
        let after = cursor.as_deref().map(read_cursor).transpose()?;
        let page = memory.list(&ListQuery::new().filter(filter).limit(limit).after(after)).await?;
        return page_of_list(&page, filtered);
    }
    if cursor.is_some() {
        return Err(ToolError::new("cursor: goes on with a list; leave `query` out, or the cursor"));
    }
    if limit.saturating_mul(args.context) > MOST_CONTEXT {
        let most = MOST_CONTEXT / limit;
        return Err(ToolError::new(format!(
            "context: is {}, must be at most {most} for a `limit` of {limit}",
            args.context
        )));
    }
    let favour = args.dates.unwrap_or(true);
    let question = Recall::new(args.query.as_str()).limit(limit).filter(filter).mode(args.mode).dates(favour);
    let terms = question.terms();
    let dates = read_from(&args.query, &memory.dates(&question));
    let hits = memory.recall_in_context(question, args.context).await?;
    let mut text = match hits.len() as u64 {
        0 if filtered => NOTHING_FILTERED.to_owned(),
        0 => "Nothing is known about this.".to_owned(),
        found => format!("{} found, best first.", counted(found, "memory")),
    };
    if !hits.is_empty() && !dates.is_empty() {
        let named = dates.join(", ");
        let _ = write!(text, " Memories of {named} and of soon after are favoured; not with `dates`: false.");
    }
    if terms > limits::MAX_QUERY_TERMS {
        let _ = write!(
            text,
            " Of the {terms} terms of the question only the {} rarest counted.",
            limits::MAX_QUERY_TERMS
        );
    }
    let results = numbered(&mut text, &hits);
    Answer::new(text, &Recalled { results, next: None, dates })
}

/// How many memories before results, and how many after them, an answer has at most, so that they fit into
/// its room and into memory.
const MOST_CONTEXT: usize = 100;

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
    let mut room = Room::for_memories(page.records.len());
    let (listed, is_cut) = shown(&mut room, page.records.iter().map(|record| (record, None)));
    let results = listed.into_iter().zip(1..).map(|(Shown { text: memory, view }, number)| {
        let _ = write!(text, "\n\n{number}. {memory}");
        HitView::of_list(view)
    });
    let results = results.collect();
    if is_cut {
        text.push_str(HOW_TO_GET_MORE);
    }
    if let Some(next) = &next {
        let _ = write!(text, "\n\nThere are more: call again with `cursor`: \"{next}\".");
    }
    Answer::new(text, &Recalled { results, next, dates: Vec::new() })
}

/// The place that the `next` of a list names.
fn read_cursor(text: &str) -> ToolResult<ListCursor> {
    let read = || {
        let (created_at, id) = text.trim().split_once(' ')?;
        Some(ListCursor { created_at: created_at.parse().ok()?, id: id.parse().ok()? })
    };
    read().ok_or_else(|| ToolError::new("cursor: is none; give the `next` of the last list, or leave it out"))
}
