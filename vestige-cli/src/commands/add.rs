//! `vestige add`.

use clap::Args;
use serde_json::Value;
use vestige_memory::secrets::find_in;
use vestige_memory::times::When;
use vestige_memory::{MemoryError, NearDuplicates, RememberOptions, add_tags};
use vestige_traits::{IngestContext, MemoryRecord};

use crate::app::App;
use crate::args;
use crate::failure::{CommandResult, Failure};
use crate::output::{CYAN, Output, Styled};
use crate::render::MemoryJson;

/// Store a memory
///
/// Prints the id of the new memory.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  vestige add \"Staging's database listens on 5433.\" --type fact --tag staging --codebase tidewater
  git log -1 --format=%B | vestige add - --type decision --meta commit=$(git rev-parse HEAD)")]
pub(crate) struct AddArgs {
    /// The text; `-` reads it from stdin
    text: Option<String>,

    /// The type of the memory, such as fact, decision, bug
    #[arg(short = 'T', long = "type", value_name = "TYPE", default_value = MemoryRecord::DEFAULT_NODE_TYPE)]
    node_type: String,

    /// A tag; may be given several times
    #[arg(short, long = "tag", value_name = "TAG")]
    tags: Vec<String>,

    /// The code base it is about
    #[arg(short, long, value_name = "NAME")]
    codebase: Option<String>,

    /// The file it is about
    #[arg(short, long, value_name = "PATH")]
    file: Option<String>,

    /// A topic; may be given several times
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,

    /// The conversation or work session that it is part of
    #[arg(long = "session", value_name = "NAME")]
    session_id: Option<String>,

    /// Anything else; the value is JSON if it reads as JSON and loses nothing by it, else text; may be given
    /// several times
    #[arg(short, long = "meta", value_name = "KEY=VALUE", value_parser = args::meta)]
    meta: Vec<(String, Value)>,

    /// The time it was stored, if not now: a day, a time, or a span ago (7d, 12h); UTC
    #[arg(long, value_name = "WHEN", value_parser = When::parse)]
    created_at: Option<When>,

    /// Store it even if it holds what looks like a credential
    #[arg(long)]
    allow_secrets: bool,
}

impl AddArgs {
    async fn record(self, app: &App) -> CommandResult<MemoryRecord> {
        let context = IngestContext {
            codebase: self.codebase,
            mcp_client_id: None,
            session_id: self.session_id,
            file: self.file,
            topics: self.topics,
        };
        args::check_meta(&self.meta, &context)?;
        let now = app.now();
        let created_at = match self.created_at {
            Some(when) => {
                when.start(now).ok_or_else(|| Failure::usage("--created-at: lies outside of the calendar"))?
            }
            None => now,
        };
        let mut record = MemoryRecord::new_at(args::text_or_stdin(self.text, "text").await?, created_at);
        record.node_type = self.node_type;
        add_tags(&mut record.tags, &self.tags);
        args::set_meta(&mut record.metadata, self.meta);
        context.apply(&mut record)?;
        // Before a store is made for it.
        record.prepare()?;
        Ok(record)
    }
}

pub(crate) async fn run(args: AddArgs, app: &App, mut out: Output) -> CommandResult {
    let allow_secrets = args.allow_secrets;
    let record = args.record(app).await?;
    if !allow_secrets && let Some(found) = find_in(&record).into_iter().next() {
        // Before a store is made for it.
        return Err(MemoryError::Secret { index: None, found }.into());
    }
    let memory = app.memory_for_texts().await?;
    // Who types a text means it: nobody asks whether it is there already.
    let options = RememberOptions::new().near_duplicates(NearDuplicates::Ignore).allow_secrets(true);
    let stored = memory.remember_all([record], options).await?;
    for record in stored.iter().map(|remembered| &remembered.record) {
        if out.json {
            out.json_value(&MemoryJson::from(record))?;
        } else {
            out.line(Styled(CYAN, record.id))?;
        }
    }
    out.finish()
}
