//! `vestige link`.

use clap::Args;
use serde_json::json;
use vestige_memory::Link;
use vestige_memory::text::one_line;
use vestige_traits::MemoryEdge;

use crate::app::App;
use crate::failure::{CommandResult, Failure};
use crate::open::Access;
use crate::output::Output;

/// Add a link from one memory to another
///
/// A link of the same type between the two gets the new weight.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  vestige link 019eb70c 019d6d97 --type supersedes")]
pub(crate) struct LinkArgs {
    /// The memory where the link starts, by id or its first digits
    from: String,

    /// The memory where the link ends
    to: String,

    /// The type of the link, such as supersedes, causes, related
    #[arg(short = 'T', long = "type", value_name = "TYPE", default_value = MemoryEdge::DEFAULT_EDGE_TYPE)]
    edge_type: String,

    /// The strength of the link, 0 to 1
    #[arg(short, long, default_value_t = 1.0)]
    weight: f64,
}

pub(crate) async fn run(args: LinkArgs, app: &App, mut out: Output) -> CommandResult {
    let memory = app.memory(Access::Existing).await?;
    let source = memory.resolve(&args.from).await?;
    let target = memory.resolve(&args.to).await?;
    if source == target {
        return Err(Failure::usage("a memory cannot be linked to itself"));
    }
    let link = Link::new(source, target).edge_type(args.edge_type).weight(args.weight);
    let edge = memory.link(link).await?;
    if out.json {
        let weight = edge.weight;
        out.json_value(
            &json!({"source_id": source, "target_id": target, "edge_type": edge.edge_type, "weight": weight}),
        )?;
    } else {
        out.line(format_args!("{source} → {} → {target}", one_line(&edge.edge_type)))?;
    }
    out.finish()
}
