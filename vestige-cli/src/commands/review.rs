//! `vestige review`.

use clap::{Args, ValueEnum};
use serde::Serialize;
use uuid::Uuid;
use vestige_memory::as_of;
use vestige_memory::text::{schedule_line, shortened};
use vestige_traits::MemoryStoreError;
use vestige_traits::scheduling::{Rating, SchedulingState};

use crate::app::App;
use crate::failure::CommandResult;
use crate::open::Access;
use crate::output::{CYAN, DIM, Output, Styled};

/// Record how well you recalled a memory, and schedule the next review
///
/// The schedule is FSRS-6: a memory is due when the probability of recalling it has fallen to 0.9.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  vestige review 019bb17c good")]
pub(crate) struct ReviewArgs {
    /// The memory, by id or its first digits
    id: String,

    /// How well you recalled it
    rating: RatingArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RatingArg {
    /// Forgotten
    Again,
    /// Recalled with effort
    Hard,
    /// Recalled
    Good,
    /// Recalled at once
    Easy,
}

impl From<RatingArg> for Rating {
    fn from(rating: RatingArg) -> Self {
        match rating {
            RatingArg::Again => Self::Again,
            RatingArg::Hard => Self::Hard,
            RatingArg::Good => Self::Good,
            RatingArg::Easy => Self::Easy,
        }
    }
}

#[derive(Serialize)]
struct ReviewJson {
    memory_id: Uuid,
    rating: Rating,
    scheduling: SchedulingState,
}

pub(crate) async fn run(args: ReviewArgs, app: &App, mut out: Output) -> CommandResult {
    let memory = app.memory(Access::Existing).await?;
    let memory_id = memory.resolve(&args.id).await?;
    let record =
        memory.get(memory_id).await?.ok_or_else(|| MemoryStoreError::not_found("memory", memory_id))?;
    let event = memory.review(memory_id, args.rating.into()).await?;
    let state = as_of(event.new_state, memory.now());
    if out.json {
        out.json_value(&ReviewJson { memory_id, rating: event.rating, scheduling: state })?;
    } else {
        let text = shortened(&record.content, 80);
        out.line(format_args!("{}  {}", Styled(CYAN, memory_id), Styled(DIM, text)))?;
        out.line(format_args!("   {}", schedule_line(&state)))?;
    }
    out.finish()
}
