//! `vestige list`.

use clap::Args;
use vestige_traits::{ListQuery, limits};

use crate::app::App;
use crate::args::FilterArgs;
use crate::failure::CommandResult;
use crate::open::Access;
use crate::output::{Output, note};
use crate::render::{MemoryJson, brief};

/// List memories, newest first
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  vestige list --codebase tidewater --type decision
  vestige list --since 7d --json | jq -r '.[].content'
  vestige list --all --json > everything.json")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,

    /// The most memories to list
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    limit: usize,

    /// List all memories
    #[arg(short, long, conflicts_with = "limit")]
    all: bool,
}

pub(crate) async fn run(args: ListArgs, app: &App, mut out: Output) -> CommandResult {
    let filter = args.filter.filter(app.now())?;
    let memory = app.memory(Access::Read).await?;
    let mut left = if args.all { usize::MAX } else { args.limit };
    let mut query = ListQuery::new().filter(filter).limit(0);
    let mut shown = 0_usize;
    while left > 0 {
        query.limit = left.min(limits::MAX_LIMIT);
        let page = match memory.list(&query).await {
            Ok(page) => page,
            Err(error) => {
                if out.json && shown > 0 {
                    // What was read is a whole array all the same; the exit code says that more is missing.
                    out.line("]")?;
                }
                out.finish()?;
                return Err(error.into());
            }
        };
        for record in &page.records {
            if out.json {
                // Not before there is something, so that a failure leaves no piece of JSON behind.
                out.text(if shown == 0 { "[" } else { ",\n" })?;
                out.json_text(&MemoryJson::from(record))?;
            } else {
                out.line(brief(record))?;
            }
            shown += 1;
        }
        // A reader may take its time with each page.
        app.deadline.begin();
        left -= page.records.len().min(left);
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    if out.json {
        out.line(if shown == 0 { "[]" } else { "]" })?;
    }
    out.finish()?;
    if query.after.is_some() && !args.all {
        note(&format!("{shown} shown, and there are more: --limit N or --all"));
    } else if shown == 0 && args.limit > 0 {
        note(if query.filter.is_empty() {
            "no memories; `vestige add` makes one"
        } else {
            "no memory passes the filters"
        });
    }
    Ok(())
}
