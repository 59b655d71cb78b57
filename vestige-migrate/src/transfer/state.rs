use serde::{Deserialize, Serialize};
use vestige_traits::{Checkpoint, Clock, SystemClock, TransferKey, TransferKind};

use crate::inventory::{Inventory, PerKind};
use crate::transfer::Tally;

/// The version of the state below.
const VERSION: u32 = 1;

/// What a copy needs to go on: the state of a checkpoint.
///
/// `kind` and `after` are where the page begins that was committed together
/// with this state, not where it ends. So going on moves one page a second
/// time, which changes nothing, and rows of it that were rejected are
/// reported even if the process died between the commit and the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    version: u32,
    /// What people call the source.
    pub(super) source: String,
    pub(super) stage: Stage,
    pub(super) kind: TransferKind,
    pub(super) after: Option<TransferKey>,
    /// Whether indexes are left out until the end.
    pub(super) bulk: bool,
    /// What became of the rows before `after`.
    pub(super) tallies: PerKind<Tally>,
    /// The rows before `after`, as the source gave them.
    pub(super) seen: Inventory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// Rows are being moved.
    Rows,
    /// All rows were moved, and nothing is left to do.
    Finished,
}

impl State {
    pub(super) fn begin(source: &str, bulk: bool) -> Self {
        Self {
            version: VERSION,
            source: source.to_owned(),
            stage: Stage::Rows,
            kind: TransferKind::User,
            after: None,
            bulk,
            tallies: PerKind::default(),
            seen: Inventory::default(),
        }
    }

    /// The state in a checkpoint; none if another version wrote it, and then the work starts
    /// again, which is safe.
    pub(super) fn read(checkpoint: &Checkpoint) -> Option<Self> {
        let state: Self = serde_json::from_value(checkpoint.state.clone()).ok()?;
        (state.version == VERSION).then_some(state)
    }

    pub(super) fn checkpoint(&self, name: &str) -> serde_json::Result<Checkpoint> {
        Ok(Checkpoint {
            name: name.to_owned(),
            state: serde_json::to_value(self)?,
            updated_at: SystemClock.now(),
        })
    }
}
