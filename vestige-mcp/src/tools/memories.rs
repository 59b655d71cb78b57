//! The tools `get`, `update` and `forget`.

use std::fmt::Write as _;

use rmcp::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;
use vestige_memory::text::{counted, schedule_line, shortened};
use vestige_memory::{Memory, MemoryError, MemoryResult, add_tags};
use vestige_traits::{
    Embedder, IngestContext, MemoryEdge, MemoryRecord, MemoryStore, MemoryStoreError, SchedulingState,
};

use crate::answer::{Answer, ToolError, ToolResult};
use crate::metadata::refuse_overwritten;
use crate::view::{LinkView, MemoryView, ScheduleView, block};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub(crate) struct GetArgs {
    /// The ids, 1 to 100.
    #[schemars(length(min = 1, max = 100))]
    ids: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars")]
pub(crate) struct Got {
    memories: Vec<WholeView>,
    /// The ids that no memory has.
    missing: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars", inline)]
pub(crate) struct WholeView {
    #[serde(flatten)]
    memory: MemoryView,
    /// Null if it was never reviewed.
    schedule: Option<ScheduleView>,
    links: Vec<LinkView>,
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

pub(crate) async fn get<S: MemoryStore + Sync, E>(memory: &Memory<S, E>, args: GetArgs) -> ToolResult {
    let (records, missing) = records(memory, &args.ids).await?;
    let mut text = String::new();
    let mut memories = Vec::with_capacity(records.len());
    for record in &records {
        let (schedule, links) = schedule_and_links(memory, record.id).await?;
        let _ = writeln!(text, "{}", block(record, true));
        if let Some(state) = &schedule {
            let _ = writeln!(text, "{}", schedule_line(state));
        }
        for edge in &links {
            let _ = writeln!(text, "{} → {} → {}", edge.source_id, edge.edge_type, edge.target_id);
        }
        text.push('\n');
        memories.push(WholeView::new(record, schedule, &links));
    }
    push_missing(&mut text, &missing);
    Answer::new(text.trim_end(), &Got { memories, missing })
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
    let updated = Updated { changed: edited.changed, memory: MemoryView::shortened(&edited.record) };
    Answer::new(format!("{head}\n\n{}", block(&edited.record, false)), &updated)
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
    let (records, mut missing) = records(memory, &args.ids).await?;
    let mut forgotten = Vec::with_capacity(records.len());
    let mut lines = String::new();
    for record in records {
        match memory.forget(record.id).await {
            Ok(()) => {
                let _ = write!(lines, "\n{} ({})", record.id, shortened(&record.content, 80));
                forgotten.push(record.id.to_string());
            }
            // Another session deleted it first.
            Err(MemoryError::Store(MemoryStoreError::NotFound { .. })) => missing.push(record.id.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    let mut text = format!("Forgot {}.{lines}", counted(forgotten.len() as u64, "memory"));
    if !missing.is_empty() {
        text.push('\n');
        push_missing(&mut text, &missing);
    }
    Answer::new(text, &Forgotten { forgotten, missing })
}

/// The memories with these ids, each once, and the ids that no memory has.
async fn records<S: MemoryStore + Sync, E>(
    memory: &Memory<S, E>,
    texts: &[String],
) -> MemoryResult<(Vec<MemoryRecord>, Vec<String>)> {
    let mut ids: Vec<Uuid> = Vec::with_capacity(texts.len());
    for text in texts {
        let id = memory.resolve(text).await?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let (mut records, mut missing) = (Vec::with_capacity(ids.len()), Vec::new());
    for (id, record) in ids.iter().zip(memory.get_many(&ids).await?) {
        match record {
            Some(record) => records.push(record),
            None => missing.push(id.to_string()),
        }
    }
    Ok((records, missing))
}

impl WholeView {
    /// A memory with its schedule and its links, which are read here.
    pub(crate) async fn read<S: MemoryStore + Sync, E>(
        memory: &Memory<S, E>,
        record: &MemoryRecord,
    ) -> MemoryResult<Self> {
        let (schedule, links) = schedule_and_links(memory, record.id).await?;
        Ok(Self::new(record, schedule, &links))
    }

    fn new(record: &MemoryRecord, schedule: Option<SchedulingState>, links: &[MemoryEdge]) -> Self {
        Self {
            memory: MemoryView::whole(record),
            schedule: schedule.map(ScheduleView::from),
            links: links.iter().map(LinkView::from).collect(),
        }
    }
}

/// The schedule of a memory, if it was ever reviewed, and its links.
async fn schedule_and_links<S: MemoryStore + Sync, E>(
    memory: &Memory<S, E>,
    id: Uuid,
) -> MemoryResult<(Option<SchedulingState>, Vec<MemoryEdge>)> {
    Ok((memory.schedule(id).await?, memory.links(id).await?))
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
