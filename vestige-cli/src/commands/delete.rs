//! `vestige delete`.

use clap::Args;
use serde_json::json;
use vestige_traits::{MemoryStore, MemoryStoreError};

use crate::app::App;
use crate::failure::CommandResult;
use crate::ids;
use crate::open::Access;
use crate::output::{DIM, Output, Styled};
use crate::printable::shortened;

/// Forget memories, with their links and their scheduling
///
/// If one of them does not exist, none is deleted. There is no way back but an archive.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  vestige delete 019bb17c-0e40-7978-a6a1-2a42c7957ab5")]
pub(crate) struct DeleteArgs {
    /// The memories, by id or its first digits
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

pub(crate) async fn run(args: DeleteArgs, app: &App, mut out: Output) -> CommandResult {
    let store = app.open(Access::Existing).await?;
    let mut records = Vec::new();
    for id in ids::resolve_all(&store, &args.ids).await? {
        let record = store.get(id).await?.ok_or_else(|| MemoryStoreError::not_found("memory", id))?;
        records.push(record);
    }
    for record in &records {
        store.delete(record.id).await?;
    }
    if out.json {
        let ids: Vec<_> = records.iter().map(|record| record.id).collect();
        out.json_value(&json!({"deleted": ids}))?;
    } else {
        for record in &records {
            let text = shortened(&record.content, 80);
            out.line(format_args!("deleted {}  {}", record.id, Styled(DIM, text)))?;
        }
    }
    out.finish()
}
