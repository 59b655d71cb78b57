//! `vestige due`.

use clap::Args;
use serde::Serialize;
use vestige_memory::text::schedule_line;
use vestige_traits::scheduling::SchedulingState;

use crate::app::App;
use crate::failure::CommandResult;
use crate::open::Access;
use crate::output::{DIM, Output, Styled, note};
use crate::render::{MemoryJson, brief};

/// List the memories that are due for review, longest overdue first
#[derive(Args, Debug)]
#[command(after_help = "A memory is scheduled by its first `vestige review`.

Example:
  vestige due -n 5")]
pub(crate) struct DueArgs {
    /// The most memories to list, up to 1000
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    limit: usize,
}

#[derive(Serialize)]
struct DueJson<'a> {
    #[serde(flatten)]
    memory: MemoryJson<'a>,
    scheduling: SchedulingState,
}

pub(crate) async fn run(args: DueArgs, app: &App, mut out: Output) -> CommandResult {
    let memory = app.memory(Access::Read).await?;
    // To a store 0 means its default.
    let due = if args.limit == 0 { Vec::new() } else { memory.due(args.limit).await? };
    if out.json {
        let json = due.iter().map(|due| DueJson { memory: (&due.record).into(), scheduling: due.scheduling });
        out.json_value(&json.collect::<Vec<_>>())?;
    } else {
        for due in &due {
            out.line(brief(&due.record))?;
            out.line(format_args!("   {}", Styled(DIM, schedule_line(&due.scheduling))))?;
        }
    }
    out.finish()?;
    if due.is_empty() && args.limit > 0 {
        note("nothing is due; `vestige review` schedules a memory");
    }
    Ok(())
}
