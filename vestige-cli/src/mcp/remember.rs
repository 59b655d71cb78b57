//! The tool `remember`.

use std::fmt::Write as _;

use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::schemars::{self, JsonSchema};
use rmcp::service::{Peer, RequestContext, RoleServer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vestige_cli::add_tags;
use vestige_traits::{Embedder, IngestContext, MemoryRecord, MemoryStore};

use super::answer::{Answer, ToolError, ToolResult};
use super::duplicates::{self, Near};
use super::server::Server;
use crate::args::overwritten;
use crate::printable::{counted, shortened};

/// How many texts are worked on between two notifications of progress.
const STRETCH: usize = 16;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub(crate) struct RememberArgs {
    /// What to remember, 1 to 1000.
    #[schemars(length(min = 1, max = 1000))]
    memories: Vec<NewMemory>,
    /// Store texts all the same that are close to existing memories.
    #[serde(default)]
    force: bool,
}

/// A memory to store.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "schemars", inline)]
struct NewMemory {
    /// The text: one statement that can be understood without this conversation.
    content: String,
    /// What kind of memory it is, such as fact, decision, preference, bug, event. Default: general.
    r#type: Option<String>,
    /// Labels to filter by.
    #[serde(default)]
    tags: Vec<String>,
    /// The code base it is about. Default: the one that is worked on.
    codebase: Option<String>,
    /// The file it is about.
    file: Option<String>,
    /// What it is about.
    #[serde(default)]
    topics: Vec<String>,
    /// Anything else worth keeping with it, as JSON.
    #[serde(default)]
    metadata: Map<String, Value>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars")]
pub(crate) struct Remembered {
    /// How many were stored.
    stored: usize,
    /// What became of each memory, in the order of the call.
    results: Vec<Outcome>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars", inline)]
struct Outcome {
    /// Whether it was stored.
    stored: bool,
    /// The id of the new memory; null if it was not stored.
    id: Option<String>,
    /// The existing memory that it is close to; null if there is none.
    near: Option<NearView>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars", inline)]
struct NearView {
    id: String,
    /// The cosine similarity, at most 1.
    similarity: f64,
    /// The beginning of its text.
    content: String,
}

impl<S, E> Server<S, E>
where
    S: MemoryStore + Send + Sync + 'static,
    E: Embedder + Send + Sync + 'static,
{
    /// Everything is computed first and stored in one transaction, so a call that fails or is cancelled stores nothing.
    pub(super) async fn remember(
        &self,
        args: RememberArgs,
        request: &RequestContext<RoleServer>,
    ) -> ToolResult {
        let origin = self.origin.context(request).await;
        let mut records = Vec::with_capacity(args.memories.len());
        for (at, memory) in args.memories.into_iter().enumerate() {
            records.push(
                self.record(memory, &origin).map_err(|error| error.at(format_args!("memories[{at}]")))?,
            );
        }
        let mut progress = Progress::new(request, records.len());
        for stretch in records.chunks_mut(STRETCH) {
            let texts: Vec<&str> = stretch.iter().map(|record| &*record.content).collect();
            let vectors = self.embedder.embed_documents(&texts).await?;
            let done = vectors.len();
            stretch.iter_mut().zip(vectors).for_each(|(record, vector)| record.embedding = vector);
            progress.advance(done, "reading").await;
        }
        let mut accepted: Vec<MemoryRecord> = Vec::with_capacity(records.len());
        let mut results = Vec::with_capacity(records.len());
        for record in records {
            let near = duplicates::nearest(&self.store, &record, &accepted).await?;
            let stored = args.force || near.is_none();
            let id = stored.then(|| record.id.to_string());
            results.push(Outcome { stored, id, near: near.map(NearView::from) });
            if stored {
                accepted.push(record);
            }
            progress.advance(1, "comparing with what is known").await;
        }
        self.store.insert_batch(&accepted).await?;
        let remembered = Remembered { stored: accepted.len(), results };
        Answer::new(remembered.text(), &remembered)
    }

    fn record(&self, memory: NewMemory, origin: &IngestContext) -> ToolResult<MemoryRecord> {
        let context = IngestContext {
            codebase: memory.codebase.or_else(|| origin.codebase.clone()),
            file: memory.file,
            topics: memory.topics,
            ..origin.clone()
        };
        refuse_overwritten(&memory.metadata, &context)?;
        let mut record = MemoryRecord::new_at(memory.content, self.now());
        record.node_type = memory.r#type.unwrap_or_else(|| MemoryRecord::DEFAULT_NODE_TYPE.to_owned());
        add_tags(&mut record.tags, &memory.tags);
        record.metadata = Value::Object(memory.metadata);
        context.apply(&mut record)?;
        Ok(record.prepared()?.into_owned())
    }
}

/// Refuses metadata of which a value would give way to what the call or the server says.
pub(super) fn refuse_overwritten(metadata: &Map<String, Value>, context: &IngestContext) -> ToolResult<()> {
    overwritten(metadata.keys(), context).map_or(Ok(()), |key| {
        let why = match key {
            "file" | "topics" => format!("is given beside {key}, say it in one place"),
            _ => "is set by the server, leave it out".to_owned(),
        };
        Err(ToolError::new(format!("metadata.{key}: {why}; nothing was done")))
    })
}

impl From<Near> for NearView {
    fn from(near: Near) -> Self {
        Self { id: near.id.to_string(), similarity: near.similarity, content: shortened(&near.content, 300) }
    }
}

impl Remembered {
    fn text(&self) -> String {
        let mut text = format!("Stored {}.", counted(self.stored as u64, "memory"));
        for (at, outcome) in self.results.iter().enumerate() {
            match (&outcome.id, &outcome.near) {
                (Some(id), None) => {
                    let _ = write!(text, "\n{}. stored as {id}", at + 1);
                }
                (Some(id), Some(near)) => {
                    let _ = write!(text, "\n{}. stored as {id}, although it is {near}", at + 1);
                }
                (None, Some(near)) => {
                    let _ = write!(text, "\n{}. NOT stored: it is {near}", at + 1);
                }
                (None, None) => {}
            }
        }
        if self.stored < self.results.len() {
            text.push_str(
                "\nIf that memory says the same, there is nothing to do. If the new text corrects it, call `update` with its id. \
                 If both shall stay, call `remember` again with `force`: true for those.",
            );
        }
        text
    }
}

impl std::fmt::Display for NearView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} similar to {} ({})", self.similarity, self.id, self.content)
    }
}

/// Tells a client that asked for it how far the work is.
struct Progress {
    listener: Option<(Peer<RoleServer>, ProgressToken)>,
    done: usize,
    told: usize,
    total: usize,
}

impl Progress {
    /// Each memory counts twice: it is read, then compared.
    fn new(request: &RequestContext<RoleServer>, memories: usize) -> Self {
        let token = request.meta.get_progress_token();
        Self {
            listener: token.map(|token| (request.peer.clone(), token)),
            done: 0,
            told: 0,
            total: 2 * memories,
        }
    }

    async fn advance(&mut self, by: usize, message: &str) {
        self.done += by;
        let Some((peer, token)) = &self.listener else { return };
        if self.done < self.told + STRETCH && self.done < self.total {
            return;
        }
        self.told = self.done;
        let told = ProgressNotificationParam::new(token.clone(), self.done as f64)
            .with_total(self.total as f64)
            .with_message(message);
        // Work does not depend on somebody watching it.
        let _ = peer.notify_progress(told).await;
    }
}
