//! `vestige unlink`.

use clap::Args;
use serde_json::json;
use vestige_memory::MemoryError;
use vestige_memory::text::one_line;
use vestige_traits::{MemoryEdge, MemoryStoreError};

use crate::app::App;
use crate::failure::{CommandResult, Failure};
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
    let memory = app.memory(Access::Existing).await?;
    let source = memory.resolve(&args.from).await?;
    let target = memory.resolve(&args.to).await?;
    memory.unlink(source, target, &args.edge_type).await.map_err(|error| match error {
        MemoryError::Store(MemoryStoreError::NotFound { entity: "edge", id }) => Failure::message(format!(
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
