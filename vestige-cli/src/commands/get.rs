//! `vestige get`.

use clap::Args;
use serde::Serialize;
use uuid::Uuid;
use vestige_memory::text::{one_line, place, schedule_line, shortened};
use vestige_memory::{Memory, NoEmbedder};
use vestige_traits::scheduling::SchedulingState;
use vestige_traits::{AnyMemoryStore, MemoryEdge, MemoryRecord, Passage};

use crate::app::App;
use crate::failure::{CommandResult, Failure};
use crate::open::Access;
use crate::output::{self, DIM, Output, Styled};
use crate::render::{MemoryJson, whole};

/// Show complete memories, with their links
///
/// An id may be shortened to its first digits (at least four), if they name only one memory.
#[derive(Args, Debug)]
#[command(
    after_help = "With --json: an array of memories. With --start or --end their `content` is the part,
`passage` its {start, end}, and `characters` how many the whole has.

Examples:
  vestige get 019bb17c-0e40-7978-a6a1-2a42c7957ab5
  vestige get 019bb17c 019bb182 --json
  vestige get 019bb17c --start 12340 --end 13020"
)]
pub(crate) struct GetArgs {
    /// The memories
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,

    /// Show the text from this character on, counted from 0
    #[arg(long, value_name = "N")]
    start: Option<usize>,

    /// Show the text up to this character, which is not shown
    #[arg(long, value_name = "N")]
    end: Option<usize>,
}

impl GetArgs {
    /// The part of each text that is asked for; none for the whole.
    fn part(&self) -> CommandResult<Option<Passage>> {
        let part = Passage { start: self.start.unwrap_or(0), end: self.end.unwrap_or(usize::MAX) };
        if part.end <= part.start {
            return Err(Failure::usage(format!("--end {} is not after --start {}", part.end, part.start)));
        }
        Ok((self.start.is_some() || self.end.is_some()).then_some(part))
    }
}

/// A memory of whose text perhaps a part alone is shown.
struct Got {
    /// With that part for its content.
    record: MemoryRecord,
    part: Option<Part>,
}

/// Which part of a memory's text is shown.
#[derive(Clone, Copy, Serialize)]
struct Part {
    passage: Passage,
    /// How many the whole text has.
    characters: usize,
}

impl Got {
    /// If the text ends before the part begins, the number of its characters is the error.
    fn new(mut record: MemoryRecord, part: Option<Passage>) -> Result<Self, usize> {
        let Some(Passage { start, end }) = part else { return Ok(Self { record, part: None }) };
        let characters = record.content.chars().count();
        if start >= characters {
            return Err(characters);
        }
        let passage = Passage { start, end: end.min(characters) };
        record.content = passage.of(&record.content).to_owned();
        Ok(Self { record, part: Some(Part { passage, characters }) })
    }
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
    #[serde(flatten)]
    part: Option<Part>,
}

/// Reads and prints one memory after another, so that it holds no more than the largest of them.
pub(crate) async fn run(args: GetArgs, app: &App, mut out: Output) -> CommandResult {
    let part = args.part()?;
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
        let got = match memory.get(id).await {
            Ok(got) => got.map(|record| Got::new(record, part)),
            Err(failure) => {
                done = Err(failure.into());
                break;
            }
        };
        let problem = match got {
            Some(Ok(got)) => {
                done = print(&memory, &got, shown, &mut out).await;
                if done.is_err() {
                    break;
                }
                shown += 1;
                continue;
            }
            Some(Err(characters)) => {
                format!("memory {text} has {characters} characters; --start must be less")
            }
            None => format!("memory {text} does not exist; `vestige list` shows what there is"),
        };
        output::error(&problem);
        missing = true;
    }
    if out.json {
        // What was read is a whole array, after a failure too; the exit code says that more is missing.
        out.line(if shown == 0 { "[]" } else { "]" })?;
    }
    out.finish()?;
    done?;
    if missing { Err(Failure::Reported) } else { Ok(()) }
}

/// Prints a memory after others.
async fn print(
    memory: &Memory<AnyMemoryStore, NoEmbedder>,
    got: &Got,
    before: usize,
    out: &mut Output,
) -> CommandResult {
    if out.json {
        return print_json(memory, got, before, out).await;
    }
    if before > 0 {
        out.line("")?;
    }
    print_text(memory, got, out).await
}

async fn print_json(
    memory: &Memory<AnyMemoryStore, NoEmbedder>,
    Got { record, part }: &Got,
    before: usize,
    out: &mut Output,
) -> CommandResult {
    let edges = memory.links(record.id).await?;
    let shown = &edges[..edges.len().min(LINKS_IN_JSON)];
    let edges_total = (shown.len() < edges.len()).then_some(edges.len());
    let scheduling = memory.schedule(record.id).await?;
    // Each on a line of its own, which is as long as it is.
    out.text(if before == 0 { "[" } else { ",\n" })?;
    out.json_text(&WholeJson { memory: record.into(), scheduling, edges: shown, edges_total, part: *part })
}

async fn print_text(
    memory: &Memory<AnyMemoryStore, NoEmbedder>,
    Got { record, part }: &Got,
    out: &mut Output,
) -> CommandResult {
    out.line(whole(record))?;
    if let Some(Part { passage, characters }) = *part {
        out.line(format_args!("   {}", Styled(DIM, place(passage, characters))))?;
    }
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
