//! `vestige delete`.

use clap::Args;
use serde_json::json;
use vestige_memory::text::shortened;
use vestige_memory::{Memory, MemoryError, NoEmbedder};
use vestige_traits::{AnyMemoryStore, MemoryRecord, MemoryStoreError};

use crate::app::App;
use crate::failure::{CommandResult, Failure};
use crate::open::Access;
use crate::output::{self, DIM, Output, Styled};

/// Delete memories, with their links and their schedule
///
/// If one of them does not exist, none is deleted. A memory that somebody else deletes at the same time
/// counts as deleted. The command names each memory that it deleted, even if a failure or Ctrl-C stops it
/// before the others. Only an archive brings a deleted memory back.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  vestige delete 019bb17c-0e40-7978-a6a1-2a42c7957ab5")]
pub(crate) struct DeleteArgs {
    /// The memories, by id or its first digits
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

pub(crate) async fn run(args: DeleteArgs, app: &App, out: Output) -> CommandResult {
    let (memory, records) = app.interrupt.guard(app.deadline.guard(find(&args, app))).await?;
    let mut deleted = Vec::with_capacity(records.len());
    let done = delete(&memory, &records, app, &mut deleted).await;
    let said = say(&deleted, out);
    if matches!(done, Err(Failure::TimedOut(_))) {
        // To drop it would wait for the statement that was given up.
        std::mem::forget(memory);
    }
    done.and(said)
}

/// All of the memories, or a failure.
async fn find(
    args: &DeleteArgs,
    app: &App,
) -> CommandResult<(Memory<AnyMemoryStore, NoEmbedder>, Vec<MemoryRecord>)> {
    let memory = app.memory(Access::Existing).await?;
    let mut ids = Vec::with_capacity(args.ids.len());
    for text in &args.ids {
        let id = memory.resolve(text).await?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let mut records = Vec::with_capacity(ids.len());
    for (id, record) in ids.iter().zip(memory.get_many(&ids).await?) {
        records.push(record.ok_or_else(|| MemoryStoreError::not_found("memory", id))?);
    }
    Ok((memory, records))
}

/// Deletes one by one, each with a time of its own, and puts each that is gone by it into `deleted`. An
/// interruption waits for the one under way, since of one that is dropped nobody knows.
async fn delete<'a>(
    memory: &Memory<AnyMemoryStore, NoEmbedder>,
    records: &'a [MemoryRecord],
    app: &App,
    deleted: &mut Vec<&'a MemoryRecord>,
) -> CommandResult {
    for record in records {
        app.interrupt.check()?;
        app.deadline.begin();
        match app.deadline.guard(async { Ok(memory.forget(record.id).await) }).await? {
            Ok(()) => deleted.push(record),
            // Somebody else was faster.
            Err(MemoryError::Store(MemoryStoreError::NotFound { .. })) => {
                output::note(&format!("{} was deleted by somebody else meanwhile", record.id));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn say(deleted: &[&MemoryRecord], mut out: Output) -> CommandResult {
    if out.json {
        let ids: Vec<_> = deleted.iter().map(|record| record.id).collect();
        out.json_value(&json!({"deleted": ids}))?;
    } else {
        for record in deleted {
            let text = shortened(&record.content, 80);
            out.line(format_args!("deleted {}  {}", record.id, Styled(DIM, text)))?;
        }
    }
    out.finish()
}
