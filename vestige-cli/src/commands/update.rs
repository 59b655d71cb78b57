//! `vestige update`.

use clap::Args;
use serde_json::Value;
use uuid::Uuid;
use vestige_memory::{Edited, Memory, NoEmbedder, add_tags};
use vestige_traits::{AnyMemoryStore, Embedder, IngestContext, MemoryRecord};

use crate::app::App;
use crate::args;
use crate::failure::CommandResult;
use crate::open::Access;
use crate::output::{Output, note};
use crate::render::{MemoryJson, whole};

/// Change a memory
///
/// Everything else stays as it is. A new text gets a new vector. Links, reviews and the time of creation
/// stay.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  vestige update 019bb17c --content \"Staging's database listens on 5434.\"
  vestige update 019bb17c --add-tag ports --remove-tag todo --unset-meta ticket")]
pub(crate) struct UpdateArgs {
    /// The memory, by id or its first digits
    id: String,

    #[command(flatten)]
    changes: Changes,

    /// Store the change even if it adds what looks like a credential
    #[arg(long)]
    allow_secrets: bool,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
struct Changes {
    /// The new text; `-` reads it from stdin
    #[arg(long, value_name = "TEXT")]
    content: Option<String>,

    /// The new type
    #[arg(short = 'T', long = "type", value_name = "TYPE")]
    node_type: Option<String>,

    /// A tag of the new list of tags; may be given several times
    #[arg(short, long = "tag", value_name = "TAG", conflicts_with_all = ["add_tags", "remove_tags", "no_tags"])]
    tags: Vec<String>,

    /// A tag to add; may be given several times
    #[arg(long = "add-tag", value_name = "TAG")]
    add_tags: Vec<String>,

    /// A tag to remove; may be given several times
    #[arg(long = "remove-tag", value_name = "TAG")]
    remove_tags: Vec<String>,

    /// Remove all tags
    #[arg(long)]
    no_tags: bool,

    /// The code base it is about
    #[arg(short, long, value_name = "NAME", conflicts_with = "no_codebase")]
    codebase: Option<String>,

    /// Remove the code base
    #[arg(long)]
    no_codebase: bool,

    /// The file it is about
    #[arg(short, long, value_name = "PATH")]
    file: Option<String>,

    /// A topic of the new list of topics; may be given several times
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,

    /// A key of the metadata to set; may be given several times
    #[arg(short, long = "meta", value_name = "KEY=VALUE", value_parser = args::meta)]
    meta: Vec<(String, Value)>,

    /// A key of the metadata to remove; may be given several times
    #[arg(long, value_name = "KEY")]
    unset_meta: Vec<String>,
}

impl Changes {
    /// Puts what standard input says in the place of a `-`.
    async fn read_stdin(&mut self) -> CommandResult {
        if let Some(content) = self.content.take() {
            self.content = Some(args::text_or_stdin(Some(content), "text").await?);
        }
        Ok(())
    }

    fn apply(&self, record: &mut MemoryRecord) -> CommandResult {
        if let Some(content) = &self.content {
            record.content.clone_from(content);
        }
        if let Some(node_type) = &self.node_type {
            record.node_type.clone_from(node_type);
        }
        if !self.tags.is_empty() {
            record.tags.clear();
            add_tags(&mut record.tags, &self.tags);
        }
        if self.no_tags {
            record.tags.clear();
        }
        record.tags.retain(|tag| !self.remove_tags.contains(tag));
        add_tags(&mut record.tags, &self.add_tags);
        if self.no_codebase {
            record.codebase = None;
        }
        if let Value::Object(metadata) = &mut record.metadata {
            metadata.retain(|key, _| !self.unset_meta.contains(key));
        }
        args::set_meta(&mut record.metadata, self.meta.clone());
        self.context().apply(record)?;
        Ok(())
    }

    fn context(&self) -> IngestContext {
        IngestContext {
            codebase: self.codebase.clone(),
            mcp_client_id: None,
            session_id: None,
            file: self.file.clone(),
            topics: self.topics.clone(),
        }
    }
}

async fn edit(
    store: &AnyMemoryStore,
    embedder: impl Embedder + Sync,
    allow_secrets: bool,
    id: Uuid,
    apply: impl FnMut(&mut MemoryRecord) -> CommandResult,
) -> CommandResult<Edited> {
    let memory = Memory::builder(store.clone(), embedder).allow_secrets(allow_secrets).build();
    memory.try_edit(id, apply).await
}

pub(crate) async fn run(mut args: UpdateArgs, app: &App, mut out: Output) -> CommandResult {
    args::check_meta(&args.changes.meta, &args.changes.context())?;
    args.changes.read_stdin().await?;
    let memory = app.memory(Access::Existing).await?;
    let id = memory.resolve(&args.id).await?;
    let apply = |record: &mut MemoryRecord| args.changes.apply(record);
    let edited = if args.changes.content.is_some() {
        let embedder = app.embedder().await?.clone();
        app.deadline.begin();
        edit(memory.store(), embedder, args.allow_secrets, id, apply).await?
    } else {
        edit(memory.store(), NoEmbedder, args.allow_secrets, id, apply).await?
    };
    if !edited.changed {
        note("nothing to change: the memory says all that already");
    }
    let record = edited.record;
    if out.json {
        out.json_value(&MemoryJson::from(&record))?;
    } else {
        out.line(whole(&record))?;
    }
    out.finish()
}
