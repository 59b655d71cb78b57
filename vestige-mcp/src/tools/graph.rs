//! The tools `link` and `neighbors`.

use rmcp::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};
use vestige_memory::text::{counted, one_line};
use vestige_memory::{Link, Memory};
use vestige_traits::{MemoryStore, Neighbor, limits};

use crate::answer::{Answer, ToolResult};
use crate::budget::Room;
use crate::view::{LinkView, MemoryView, Shown, listed};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub(crate) struct LinkArgs {
    /// The id of the memory the link starts at.
    source_id: String,
    /// The id of the memory it leads to.
    target_id: String,
    /// What the link means, such as supersedes, causes, contradicts. Default: related.
    r#type: Option<String>,
    /// How strong it is, 0 to 1. Default: 1.
    #[schemars(range(min = 0, max = 1))]
    weight: Option<f64>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars")]
pub(crate) struct Linked {
    link: LinkView,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub(crate) struct NeighborsArgs {
    /// The id of the memory to start at.
    id: String,
    /// How many links to follow, 1 to 16. Default: 1.
    #[schemars(range(min = 1, max = 16))]
    depth: Option<usize>,
    /// How many memories at most, 1 to 256. Default: 20.
    #[schemars(range(min = 1, max = 256))]
    limit: Option<usize>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars")]
pub(crate) struct Neighborhood {
    /// Fewest links first, then the stronger path.
    neighbors: Vec<NeighborView>,
    /// How many memories are in reach in all. Counted up to 256: that number means at least 256.
    total: usize,
}

#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars", inline)]
struct NeighborView {
    /// The fewest links that lead there.
    hops: u32,
    /// The product of the weights along the best path.
    score: f64,
    #[serde(flatten)]
    memory: MemoryView,
}

impl NeighborView {
    fn new(neighbor: &Neighbor, memory: MemoryView) -> Self {
        Self { hops: neighbor.hops, score: neighbor.score, memory }
    }
}

pub(crate) async fn link<S: MemoryStore + Sync, E>(memory: &Memory<S, E>, args: LinkArgs) -> ToolResult {
    let source = memory.resolve(&args.source_id).await?;
    let target = memory.resolve(&args.target_id).await?;
    let mut link = Link::new(source, target).weight(args.weight.unwrap_or(1.0));
    if let Some(edge_type) = args.r#type {
        link = link.edge_type(edge_type);
    }
    let edge = memory.link(link).await?;
    let text = format!("Linked: {source} → {} → {target}", one_line(&edge.edge_type));
    Answer::new(text, &Linked { link: (&edge).into() })
}

pub(crate) async fn neighbors<S: MemoryStore + Sync, E>(
    memory: &Memory<S, E>,
    args: NeighborsArgs,
) -> ToolResult {
    let id = memory.resolve(&args.id).await?;
    let all = memory.neighbors(id, args.depth.unwrap_or(1)).await?;
    let shown = &all[..all.len().min(args.limit.unwrap_or(20))];
    let mut text = match all.len() as u64 {
        0 => "Nothing is linked to it; `link` draws a link.".to_owned(),
        reached => {
            // The store does not look for more.
            let least = if all.len() >= limits::MAX_NEIGHBORS { "At least " } else { "" };
            format!("{least}{} in reach, {} shown.", counted(reached, "memory"), shown.len())
        }
    };
    let mut room = Room::for_memories(shown.len());
    let mut neighbors = Vec::with_capacity(shown.len());
    for neighbor in shown {
        let hops = counted(u64::from(neighbor.hops), "link");
        let Shown { text: memory, view } = listed(&neighbor.record, room.next());
        let memory = format!("\n\n{hops} away, {:.2}: {memory}", neighbor.score);
        room.used(&memory);
        text.push_str(&memory);
        neighbors.push(NeighborView::new(neighbor, view));
    }
    Answer::new(text, &Neighborhood { neighbors, total: all.len() })
}
