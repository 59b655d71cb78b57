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

#[derive(Serialize)]
struct WholeJson<'a> {
    #[serde(flatten)]
    memory: MemoryJson<'a>,
    scheduling: Option<SchedulingState>,
    edges: &'a [MemoryEdge],
}

pub(crate) async fn run(args: GetArgs, app: &App, mut out: Output) -> CommandResult {
    let memory = app.memory(Access::Existing).await?;
    let mut shown = Vec::new();
    let mut missing = false;
    for text in &args.ids {
        let found = match memory.resolve(text).await.map_err(Failure::from) {
            Ok(id) => memory.get(id).await?,
            Err(failure @ Failure::Message(_)) => {
                output::error(&failure.line("").unwrap_or_default());
                missing = true;
                continue;
            }
            Err(failure) => return Err(failure),
        };
        match found {
            Some(record) => shown.push(record),
            None => {
                output::error(&format!("memory {text} does not exist; `vestige list` shows what there is"));
                missing = true;
            }
        }
    }
    if out.json {
        let mut values = Vec::new();
        for record in &shown {
            let edges = memory.links(record.id).await?;
            let scheduling = memory.schedule(record.id).await?;
            let whole = WholeJson { memory: record.into(), scheduling, edges: &edges };
            values.push(serde_json::to_value(&whole).map_err(|error| Failure::message(error.to_string()))?);
        }
        out.json_value(&values)?;
    } else {
        for (at, record) in shown.iter().enumerate() {
            if at > 0 {
                out.line("")?;
            }
            out.line(whole(record))?;
            if let Some(state) = memory.schedule(record.id).await? {
                out.line(format_args!("   {}", Styled(DIM, schedule_line(&state))))?;
            }
            for line in links(&memory, record).await? {
                out.line(line)?;
            }
        }
    }
    out.finish()?;
    if missing { Err(Failure::Reported) } else { Ok(()) }
}

/// A line for each edge, with the beginning of what stands at its other end.
async fn links(
    memory: &Memory<AnyMemoryStore, NoEmbedder>,
    record: &MemoryRecord,
) -> CommandResult<Vec<String>> {
    let mut lines = Vec::new();
    for edge in memory.links(record.id).await? {
        let outward = edge.source_id == record.id;
        let (arrow, other): (&str, Uuid) =
            if outward { ("→", edge.target_id) } else { ("←", edge.source_id) };
        let text = memory.get(other).await?.map(|record| shortened(&record.content, 60)).unwrap_or_default();
        let kind = one_line(&edge.edge_type);
        lines.push(format!("   {arrow} {kind} {other}  {}", Styled(DIM, text)));
    }
    Ok(lines)
}
