//! `vestige get`.

use clap::Args;
use serde::Serialize;
use uuid::Uuid;
use vestige_memory::text::{one_line, schedule_line, shortened};
use vestige_memory::{Memory, NoEmbedder};
use vestige_traits::{AnyMemoryStore, MemoryEdge, MemoryRecord, SchedulingState};

use crate::app::App;
use crate::failure::{CommandResult, Failure};
use crate::open::Access;
use crate::output::{self, DIM, Output, Styled};
use crate::render::{MemoryJson, whole};

/// Show complete memories, with their links
///
/// An id may be shortened to its first digits (at least four), if they name only one memory.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  vestige get 019bb17c-0e40-7978-a6a1-2a42c7957ab5
  vestige get 019bb17c 019bb182 --json")]
pub(crate) struct GetArgs {
    /// The memories
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

/// How many links of a memory are shown.
const SHOWN_LINKS: usize = 100;
/// How many of them are in the JSON.
const LINKS_IN_JSON: usize = 1000;

#[derive(Serialize)]
struct WholeJson<'a> {
    #[serde(flatten)]
    memory: MemoryJson<'a>,
    scheduling: Option<SchedulingState>,
    edges: &'a [MemoryEdge],
    /// How many there are, where `edges` are only the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    edges_total: Option<usize>,
}

/// Reads and prints one memory after another, so that it holds no more than the largest of them.
pub(crate) async fn run(args: GetArgs, app: &App, mut out: Output) -> CommandResult {
    let memory = app.memory(Access::Existing).await?;
    let mut ids = Vec::with_capacity(args.ids.len());
    let mut missing = false;
    for text in &args.ids {
        match memory.resolve(text).await.map_err(Failure::from) {
            Ok(id) => ids.push((text, id)),
            Err(failure @ Failure::Message(_)) => {
                output::error(&failure.line("").unwrap_or_default());
                missing = true;
            }
            Err(failure) => return Err(failure),
        }
    }
    let mut shown = 0;
    let mut done = Ok(());
    for (text, id) in ids {
        // A reader may take its time with each memory.
        app.deadline.begin();
        match print(&memory, id, shown, &mut out).await {
            Ok(true) => shown += 1,
            Ok(false) => {
                output::error(&format!("memory {text} does not exist; `vestige list` shows what there is"));
                missing = true;
            }
            Err(failure) => {
                done = Err(failure);
                break;
            }
        }
    }
    if out.json {
        // What was read is a whole array, after a failure too; the exit code says that more is missing.
        out.line(if shown == 0 { "[]" } else { "]" })?;
    }
    out.finish()?;
    done?;
    if missing { Err(Failure::Reported) } else { Ok(()) }
}

/// Prints a memory after others. Says whether it exists.
async fn print(
    memory: &Memory<AnyMemoryStore, NoEmbedder>,
    id: Uuid,
    before: usize,
    out: &mut Output,
) -> CommandResult<bool> {
    let Some(record) = memory.get(id).await? else { return Ok(false) };
    if out.json {
        print_json(memory, &record, before, out).await?;
    } else {
        if before > 0 {
            out.line("")?;
        }
        print_text(memory, &record, out).await?;
    }
    Ok(true)
}

async fn print_json(
    memory: &Memory<AnyMemoryStore, NoEmbedder>,
    record: &MemoryRecord,
    before: usize,
    out: &mut Output,
) -> CommandResult {
    let edges = memory.links(record.id).await?;
    let shown = &edges[..edges.len().min(LINKS_IN_JSON)];
    let edges_total = (shown.len() < edges.len()).then_some(edges.len());
    let scheduling = memory.schedule(record.id).await?;
    // Each on a line of its own, which is as long as it is.
    out.text(if before == 0 { "[" } else { ",\n" })?;
    out.json_text(&WholeJson { memory: record.into(), scheduling, edges: shown, edges_total })
}

async fn print_text(
    memory: &Memory<AnyMemoryStore, NoEmbedder>,
    record: &MemoryRecord,
    out: &mut Output,
) -> CommandResult {
    out.line(whole(record))?;
    if let Some(state) = memory.schedule(record.id).await? {
        out.line(format_args!("   {}", Styled(DIM, schedule_line(&state))))?;
    }
    let edges = memory.links(record.id).await?;
    for edge in edges.iter().take(SHOWN_LINKS) {
        let line = link(memory, record.id, edge).await?;
        out.line(line)?;
    }
    if let Some(more) = edges.len().checked_sub(SHOWN_LINKS).filter(|more| *more > 0) {
        let text = format!("and {more} more links; `vestige export` has them all");
        out.line(format_args!("   {}", Styled(DIM, text)))?;
    }
    Ok(())
}

/// A line for an edge of a memory, with the beginning of what stands at its other end.
async fn link(
    memory: &Memory<AnyMemoryStore, NoEmbedder>,
    id: Uuid,
    edge: &MemoryEdge,
) -> CommandResult<String> {
    let (arrow, other) = if edge.source_id == id { ("→", edge.target_id) } else { ("←", edge.source_id) };
    let text = memory.get(other).await?.map(|record| shortened(&record.content, 60)).unwrap_or_default();
    let kind = one_line(&edge.edge_type);
    Ok(format!("   {arrow} {kind} {other}  {}", Styled(DIM, text)))
}
