//! The tools `get`, `update` and `forget`.

use std::fmt::Write as _;

use rmcp::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;
use vestige_cli::add_tags;
use vestige_traits::{Embedder, IngestContext, MemoryRecord, MemoryStore, MemoryStoreError};

use super::answer::{Answer, ToolError, ToolResult};
use super::remember::refuse_overwritten;
use super::server::Server;
use super::view::{LinkView, MemoryView, ScheduleView, block};
use crate::change::change;
use crate::failure::Failure;
use crate::ids;
use crate::printable::{counted, shortened};
use crate::render::scheduling;
use crate::scheduler::as_of;

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
    /// The ids, 1 to 100.
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

impl<S, E> Server<S, E>
where
    S: MemoryStore + Send + Sync + 'static,
    E: Embedder + Send + Sync + 'static,
{
    pub(super) async fn get(&self, args: GetArgs) -> ToolResult {
        let (records, missing) = self.records(&args.ids).await?;
        let mut text = String::new();
        let mut memories = Vec::with_capacity(records.len());
        for record in &records {
            let whole = self.whole(record).await?;
            let _ = writeln!(text, "{}", block(record, true));
            if let Some(state) = self.store.get_scheduling(record.id).await? {
                let _ = writeln!(text, "{}", scheduling(&as_of(state, self.now())));
            }
            for edge in self.store.get_edges(record.id).await? {
                let _ = writeln!(text, "{} → {} → {}", edge.source_id, edge.edge_type, edge.target_id);
            }
            text.push('\n');
            memories.push(whole);
        }
        push_missing(&mut text, &missing);
        Answer::new(text.trim_end(), &Got { memories, missing })
    }

    pub(super) async fn update(&self, args: UpdateArgs) -> ToolResult {
        let id = self.resolve(&args.id).await?;
        let embed = |content: String| async move {
            Ok(self.embedder.embed_documents(&[&content]).await?.pop().flatten())
        };
        let edit = |record: &mut MemoryRecord| args.clone().apply(record);
        let (record, changed) = change(&self.store, id, edit, embed).await?;
        let head = if changed { "Updated." } else { "Nothing to change: the memory says all that already." };
        let updated = Updated { changed, memory: MemoryView::shortened(&record) };
        Answer::new(format!("{head}\n\n{}", block(&record, false)), &updated)
    }

    pub(super) async fn forget(&self, args: ForgetArgs) -> ToolResult {
        let (records, mut missing) = self.records(&args.ids).await?;
        let mut forgotten = Vec::with_capacity(records.len());
        let mut lines = String::new();
        for record in records {
            match self.store.delete(record.id).await {
                Ok(()) => {
                    let _ = write!(lines, "\n{} ({})", record.id, shortened(&record.content, 80));
                    forgotten.push(record.id.to_string());
                }
                // Somebody else was faster.
                Err(MemoryStoreError::NotFound { .. }) => missing.push(record.id.to_string()),
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

    /// A memory with all that belongs to it.
    pub(super) async fn whole(&self, record: &MemoryRecord) -> ToolResult<WholeView> {
        let state = self.store.get_scheduling(record.id).await?;
        let edges = self.store.get_edges(record.id).await?;
        Ok(WholeView {
            memory: MemoryView::whole(record),
            schedule: state.map(|state| ScheduleView::new(state, self.now())),
            links: edges.iter().map(LinkView::from).collect(),
        })
    }

    /// The memory that `text` means: its id, or the first digits of it.
    pub(super) async fn resolve(&self, text: &str) -> ToolResult<Uuid> {
        ids::resolve(&self.store, text).await.map_err(|failure| match failure {
            Failure::Store(error) => error.into(),
            failure => ToolError::new(format!(
                "{}; `recall` finds memories and their ids",
                failure.line("").unwrap_or_default()
            )),
        })
    }

    /// The memories with these ids, each once, and the ids that there are no memories for.
    async fn records(&self, texts: &[String]) -> ToolResult<(Vec<MemoryRecord>, Vec<String>)> {
        let mut seen: Vec<Uuid> = Vec::new();
        let (mut records, mut missing) = (Vec::new(), Vec::new());
        for text in texts {
            let id = self.resolve(text).await?;
            if seen.contains(&id) {
                continue;
            }
            seen.push(id);
            match self.store.get(id).await? {
                Some(record) => records.push(record),
                None => missing.push(id.to_string()),
            }
        }
        Ok((records, missing))
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
        // As the store keeps it, so that a value that it writes in another way is no change.
        *record = record.prepared()?.into_owned();
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
