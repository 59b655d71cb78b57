//! The tools `get`, `update` and `forget`.

use std::fmt::Write as _;

use rmcp::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;
use vestige_memory::text::{counted, shortened};
use vestige_memory::{Memory, MemoryError, MemoryResult, add_tags};
use vestige_traits::{Embedder, IngestContext, MemoryRecord, MemoryStore, MemoryStoreError};

use crate::answer::{Answer, ToolError, ToolResult};
use crate::budget::{self, Room, units};
use crate::metadata::refuse_overwritten;
use crate::view::{LinkView, MemoryView, Range, ScheduleView, Shown, WholeMemory, listed, shown};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub(crate) struct GetArgs {
    /// The ids, 1 to 100.
    #[schemars(length(min = 1, max = 100))]
    ids: Vec<String>,
    /// The character at which to begin, for a text that is longer than one answer. Default: 0.
    #[schemars(range(min = 0, max = 1_048_576))]
    start: Option<usize>,
    /// How many characters to show of each. Default: as many as there is room for.
    #[schemars(range(min = 1, max = 1_048_576))]
    length: Option<usize>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars")]
pub(crate) struct Got {
    /// In the order of the call. Their texts stand in the text of the answer.
    memories: Vec<GotView>,
    /// The ids that no memory has.
    missing: Vec<String>,
    /// The ids of memories for which this answer had no room.
    left_out: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars", inline)]
struct GotView {
    #[serde(flatten)]
    memory: MemoryView,
    #[serde(flatten)]
    surroundings: Surroundings,
}

/// What a memory has beside its own fields.
#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars", inline)]
struct Surroundings {
    /// Null if it was never reviewed.
    schedule: Option<ScheduleView>,
    /// The first of its links, at most 100.
    links: Vec<LinkView>,
    /// How many links it has in all.
    links_total: usize,
}

/// A memory as a resource.
#[derive(Serialize)]
pub(crate) struct WholeView {
    #[serde(flatten)]
    memory: WholeMemory,
    #[serde(flatten)]
    surroundings: Surroundings,
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub(crate) struct UpdateArgs {
    /// The id of the memory.
    id: String,
    /// The new text.
    content: Option<String>,
    /// The new type.
    r#type: Option<String>,
    /// The tags it has from now on, in place of those it has.
    tags: Option<Vec<String>>,
    /// The code base it is about.
    codebase: Option<String>,
    /// The file it is about.
    file: Option<String>,
    /// What it is about, in place of the topics it has.
    topics: Option<Vec<String>>,
    /// Keys of the metadata to set; null takes a key away.
    #[serde(default)]
    metadata: Map<String, Value>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars")]
pub(crate) struct Updated {
    /// Whether anything is other than before.
    changed: bool,
    memory: MemoryView,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub(crate) struct ForgetArgs {
    /// The whole ids, 1 to 100.
    #[schemars(length(min = 1, max = 100))]
    ids: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars")]
pub(crate) struct Forgotten {
    /// The ids of the memories that are gone now.
    forgotten: Vec<String>,
    /// The ids that no memory had.
    missing: Vec<String>,
}

/// How many links of a memory are shown, and how many of them in the text.
const SHOWN_LINKS: usize = 100;
const LINKS_IN_TEXT: usize = 20;

/// Reads one memory after another, so that a call takes no more than the largest of them.
pub(crate) async fn get<S: MemoryStore + Sync, E>(memory: &Memory<S, E>, args: GetArgs) -> ToolResult {
    let range = Range { start: args.start.unwrap_or(0), length: args.length };
    let ids = resolved(memory, &args.ids).await?;
    let mut room = Room::for_memories(ids.len());
    let mut text = String::new();
    let (mut memories, mut missing, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    for id in ids {
        if room.is_full() {
            left_out.push(id.to_string());
            continue;
        }
        let Some(record) = memory.get(id).await? else {
            room.used("");
            missing.push(id.to_string());
            continue;
        };
        let surroundings = Surroundings::read(memory, id).await?;
        let around = surroundings.text();
        let most = room.next().saturating_sub(units(&around));
        let Shown { text: memory, view } = shown(&record, range, most);
        let memory = format!("{memory}{around}\n\n");
        room.used(&memory);
        text.push_str(&memory);
        memories.push(GotView { memory: view, surroundings });
    }
    push_missing(&mut text, &missing);
    if !left_out.is_empty() {
        let _ = write!(text, "\n(no room for {}; get them by themselves)", left_out.join(", "));
    }
    Answer::new(text.trim(), &Got { memories, missing, left_out })
}

pub(crate) async fn update<S, E>(memory: &Memory<S, E>, args: UpdateArgs) -> ToolResult
where
    S: MemoryStore + Sync,
    E: Embedder + Sync,
{
    let id = memory.resolve(&args.id).await?;
    let edited = memory.try_edit(id, |record| args.clone().apply(record)).await?;
    let head =
        if edited.changed { "Updated." } else { "Nothing to change: the memory says all that already." };
    let Shown { text, view } = listed(&edited.record, budget::LISTED);
    Answer::new(format!("{head}\n\n{text}"), &Updated { changed: edited.changed, memory: view })
}

/// How many digits of an id it takes to forget a memory. Fewer may be those of another by chance: ids begin
/// with the time, and all of a year have the same first four.
const DIGITS_TO_FORGET: usize = 12;

pub(crate) async fn forget<S: MemoryStore + Sync, E>(memory: &Memory<S, E>, args: ForgetArgs) -> ToolResult {
    for (at, id) in args.ids.iter().enumerate() {
        if id.chars().filter(char::is_ascii_hexdigit).count() < DIGITS_TO_FORGET {
            return Err(ToolError::new(format!(
                "ids[{at}]: {:?} is too short to forget a memory by; give the whole id; nothing was done",
                shortened(id, 60)
            )));
        }
    }
    let ids = resolved(memory, &args.ids).await?;
    let (mut forgotten, mut missing) = (Vec::with_capacity(ids.len()), Vec::new());
    let mut lines = String::new();
    let mut failure = None;
    let mut left = ids.iter();
    for id in left.by_ref() {
        match forget_one(memory, *id).await {
            Ok(Some(record)) => {
                let _ = write!(lines, "\n{id} ({})", shortened(&record.content, 80));
                forgotten.push(id.to_string());
            }
            Ok(None) => missing.push(id.to_string()),
            Err(error) => {
                failure = Some((id, error));
                break;
            }
        }
    }
    let mut text = format!("Forgot {}.{lines}", counted(forgotten.len() as u64, "memory"));
    if !missing.is_empty() {
        text.push('\n');
        push_missing(&mut text, &missing);
    }
    let Some((id, error)) = failure else { return Answer::new(text, &Forgotten { forgotten, missing }) };
    if forgotten.is_empty() {
        return Err(error.into());
    }
    let _ = write!(text, "\n\nThen {id} failed, and may be forgotten or not: {}", ToolError::from(error));
    let left: Vec<String> = left.map(Uuid::to_string).collect();
    if !left.is_empty() {
        let _ = write!(text, "\nNot tried: {}", left.join(", "));
    }
    Err(ToolError::new(text))
}

/// The memory that was forgotten; none if there is none, or another session was faster.
async fn forget_one<S: MemoryStore + Sync, E>(
    memory: &Memory<S, E>,
    id: Uuid,
) -> MemoryResult<Option<MemoryRecord>> {
    let Some(record) = memory.get(id).await? else { return Ok(None) };
    match memory.forget(id).await {
        Ok(()) => Ok(Some(record)),
        Err(MemoryError::Store(MemoryStoreError::NotFound { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The ids that are meant, each once.
async fn resolved<S: MemoryStore + Sync, E>(
    memory: &Memory<S, E>,
    texts: &[String],
) -> MemoryResult<Vec<Uuid>> {
    let mut ids: Vec<Uuid> = Vec::with_capacity(texts.len());
    for text in texts {
        let id = memory.resolve(text).await?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

impl WholeView {
    /// A memory with its schedule and its links, which are read here.
    pub(crate) async fn read<S: MemoryStore + Sync, E>(
        memory: &Memory<S, E>,
        record: &MemoryRecord,
    ) -> MemoryResult<Self> {
        let surroundings = Surroundings::read(memory, record.id).await?;
        Ok(Self { memory: WholeMemory::new(record), surroundings })
    }
}

impl Surroundings {
    /// The schedule of a memory, if it was ever reviewed, and its links.
    async fn read<S: MemoryStore + Sync, E>(memory: &Memory<S, E>, id: Uuid) -> MemoryResult<Self> {
        let schedule = memory.schedule(id).await?.map(ScheduleView::from);
        let edges = memory.links(id).await?;
        let links = edges.iter().take(SHOWN_LINKS).map(LinkView::from).collect();
        Ok(Self { schedule, links, links_total: edges.len() })
    }

    /// The lines that follow a memory.
    fn text(&self) -> String {
        let mut text = String::new();
        if let Some(schedule) = &self.schedule {
            let _ = write!(text, "\n{}", schedule.line);
        }
        for link in self.links.iter().take(LINKS_IN_TEXT) {
            let _ = write!(text, "\n{link}");
        }
        if self.links_total > LINKS_IN_TEXT {
            let _ = write!(
                text,
                "\n({LINKS_IN_TEXT} of {} links; `neighbors` shows the memories at their other ends)",
                self.links_total
            );
        }
        text
    }
}

impl UpdateArgs {
    fn apply(self, record: &mut MemoryRecord) -> ToolResult<()> {
        let context = IngestContext {
            codebase: self.codebase,
            file: self.file,
            topics: self.topics.clone().unwrap_or_default(),
            ..IngestContext::default()
        };
        refuse_overwritten(&self.metadata, &context)?;
        if let Some(content) = self.content {
            record.content = content;
        }
        if let Some(node_type) = self.r#type {
            record.node_type = node_type;
        }
        if let Some(tags) = self.tags {
            record.tags.clear();
            add_tags(&mut record.tags, &tags);
        }
        // The context below writes topics only where there are any.
        if let (Some([]), Value::Object(metadata)) = (self.topics.as_deref(), &mut record.metadata) {
            metadata.remove("topics");
        }
        if let Value::Object(metadata) = &mut record.metadata {
            for (key, value) in self.metadata {
                if value.is_null() {
                    metadata.remove(&key);
                } else {
                    metadata.insert(key, value);
                }
            }
        }
        context.apply(record)?;
        Ok(())
    }
}

fn push_missing(text: &mut String, missing: &[String]) {
    if !missing.is_empty() {
        let _ = write!(
            text,
            "No memory has the id {}; `recall` finds memories and their ids.",
            missing.join(", ")
        );
    }
}
