//! The tools `review` and `due`.

use std::fmt::Write as _;

use rmcp::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};
use vestige_traits::{Embedder, MemoryStore, Rating};

use super::answer::{Answer, ToolResult};
use super::server::Server;
use super::view::{MemoryView, ScheduleView, block};
use crate::printable::counted;
use crate::render::scheduling;
use crate::scheduler::as_of;

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

impl<S, E> Server<S, E>
where
    S: MemoryStore + Send + Sync + 'static,
    E: Embedder + Send + Sync + 'static,
{
    pub(super) async fn review(&self, args: ReviewArgs) -> ToolResult {
        let id = self.resolve(&args.id).await?;
        let event = self.scheduler.review(&self.store, id, args.rating.into(), self.now()).await?;
        let now = self.now();
        let text = format!("Reviewed {id} as {}: {}", event.rating, scheduling(&as_of(event.new_state, now)));
        Answer::new(text, &Reviewed { id: id.to_string(), schedule: ScheduleView::new(event.new_state, now) })
    }

    pub(super) async fn due(&self, args: DueArgs) -> ToolResult {
        let now = self.now();
        let due = self.store.get_due_memories(now, args.limit.unwrap_or(10)).await?;
        let mut text = match due.len() as u64 {
            0 => "Nothing is due.".to_owned(),
            found => format!(
                "{} due, longest overdue first. Check each, then `review` it.",
                counted(found, "memory")
            ),
        };
        for due in &due {
            let state = scheduling(&as_of(due.scheduling, now));
            let _ = write!(text, "\n\n{}\n{state}", block(&due.record, false));
        }
        let due = due.iter().map(|due| DueView {
            memory: MemoryView::shortened(&due.record),
            schedule: ScheduleView::new(due.scheduling, now),
        });
        Answer::new(text, &DueList { due: due.collect() })
    }
}
