//! `vestige unlink`.

use clap::Args;
use serde_json::json;
use vestige_memory::text::one_line;
use vestige_traits::{MemoryEdge, MemoryStore, MemoryStoreError};

use crate::app::App;
use crate::failure::{CommandResult, Failure};
use crate::ids;
use crate::open::Access;
use crate::output::Output;

/// Remove a link
#[derive(Args, Debug)]
#[command(after_help = "Example:
  vestige unlink 019eb70c 019d6d97 --type supersedes")]
pub(crate) struct UnlinkArgs {
    /// The memory where the link starts, by id or its first digits
    from: String,

    /// The memory where the link ends
    to: String,

    /// The type of the link
    #[arg(short = 'T', long = "type", value_name = "TYPE", default_value = MemoryEdge::DEFAULT_EDGE_TYPE)]
    edge_type: String,
}

pub(crate) async fn run(args: UnlinkArgs, app: &App, mut out: Output) -> CommandResult {
    let store = app.open(Access::Existing).await?;
    let source = ids::resolve(&store, &args.from).await?;
    let target = ids::resolve(&store, &args.to).await?;
    store.remove_edge(source, target, &args.edge_type).await.map_err(|error| match error {
        MemoryStoreError::NotFound { entity: "edge", id } => Failure::message(format!(
            "link {id} does not exist in {}; `vestige get {source}` shows the links there are",
            app.settings.store
        )),
        error => error.into(),
    })?;
    if out.json {
        out.json_value(&json!({"source_id": source, "target_id": target, "edge_type": args.edge_type}))?;
    } else {
        out.line(format_args!("removed {source} → {} → {target}", one_line(&args.edge_type)))?;
    }
    out.finish()
}
