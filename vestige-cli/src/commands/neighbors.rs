//! `vestige neighbors`.

use clap::Args;
use serde::Serialize;
use vestige_memory::text::{labels, shortened};
use vestige_traits::limits;

use crate::app::App;
use crate::failure::CommandResult;
use crate::open::Access;
use crate::output::{CYAN, DIM, Output, Styled, note};
use crate::render::MemoryJson;

/// Show the memories that are linked to a memory, nearest first
#[derive(Args, Debug)]
#[command(
    after_help = "Links are followed both ways, to 256 memories at most. The score is the product of the weights along the best path.

Example:
  vestige neighbors 019eb70c --depth 2"
)]
pub(crate) struct NeighborsArgs {
    /// The memory, by id or its first digits
    id: String,

    /// The most links to follow, up to 16
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    depth: usize,
}

#[derive(Serialize)]
struct NeighborJson<'a> {
    hops: u32,
    score: f64,
    #[serde(flatten)]
    memory: MemoryJson<'a>,
}

pub(crate) async fn run(args: NeighborsArgs, app: &App, mut out: Output) -> CommandResult {
    let memory = app.memory(Access::Existing).await?;
    let id = memory.resolve(&args.id).await?;
    let neighbors = memory.neighbors(id, args.depth).await?;
    if out.json {
        let json = neighbors.iter().map(|neighbor| NeighborJson {
            hops: neighbor.hops,
            score: neighbor.score,
            memory: (&neighbor.record).into(),
        });
        out.json_value(&json.collect::<Vec<_>>())?;
    } else {
        for neighbor in &neighbors {
            let record = &neighbor.record;
            out.line(format_args!(
                "{}  {}\n   {}",
                Styled(CYAN, record.id),
                Styled(
                    DIM,
                    format_args!("{} · {:.2} · {}", hops(neighbor.hops), neighbor.score, labels(record))
                ),
                shortened(&record.content, 240)
            ))?;
        }
    }
    out.finish()?;
    if neighbors.is_empty() {
        note("nothing is linked to it; `vestige link` draws a link");
    } else if neighbors.len() >= limits::MAX_NEIGHBORS {
        note(&format!("{} shown, the nearest, which is the most; there may be more", neighbors.len()));
    }
    Ok(())
}

fn hops(hops: u32) -> String {
    if hops == 1 { "1 link".to_owned() } else { format!("{hops} links") }
}
