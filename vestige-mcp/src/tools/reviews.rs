//! The tools `review` and `due`.

use rmcp::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};
use vestige_memory::text::{counted, schedule_line};
use vestige_memory::{Memory, as_of};
use vestige_traits::MemoryStore;
use vestige_traits::scheduling::Rating;

use crate::answer::{Answer, ToolResult};
use crate::budget::Room;
use crate::view::{MemoryView, ScheduleView, Shown, listed};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub(crate) struct ReviewArgs {
    /// The id of the memory.
    id: String,
    /// again: forgotten or of no use; hard: recalled with effort; good: recalled; easy: recalled at once.
    rating: RatingArg,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(crate = "schemars", inline)]
enum RatingArg {
    Again,
    Hard,
    Good,
    Easy,
}

#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars")]
pub(crate) struct Reviewed {
    id: String,
    schedule: ScheduleView,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub(crate) struct DueArgs {
    /// How many at most, 1 to 100. Default: 10.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<usize>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars")]
pub(crate) struct DueList {
    /// Longest overdue first.
    due: Vec<DueView>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars", inline)]
struct DueView {
    #[serde(flatten)]
    memory: MemoryView,
    schedule: ScheduleView,
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

pub(crate) async fn review<S: MemoryStore + Sync, E>(memory: &Memory<S, E>, args: ReviewArgs) -> ToolResult {
    let id = memory.resolve(&args.id).await?;
    let event = memory.review(id, args.rating.into()).await?;
    let state = as_of(event.new_state, memory.now());
    let text = format!("Reviewed {id} as {}: {}", event.rating, schedule_line(&state));
    Answer::new(text, &Reviewed { id: id.to_string(), schedule: state.into() })
}

pub(crate) async fn due<S: MemoryStore + Sync, E>(memory: &Memory<S, E>, args: DueArgs) -> ToolResult {
    let due = memory.due(args.limit.unwrap_or(10)).await?;
    let mut text = match due.len() as u64 {
        0 => "Nothing is due.".to_owned(),
        found => {
            format!("{} due, longest overdue first. Check each, then `review` it.", counted(found, "memory"))
        }
    };
    let mut room = Room::for_memories(due.len());
    let mut views = Vec::with_capacity(due.len());
    for due in &due {
        let Shown { text: memory, view } = listed(&due.record, room.next());
        let memory = format!("\n\n{memory}\n{}", schedule_line(&due.scheduling));
        room.used(&memory);
        text.push_str(&memory);
        views.push(DueView { memory: view, schedule: due.scheduling.into() });
    }
    Answer::new(text, &DueList { due: views })
}
