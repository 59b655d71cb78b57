use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::elapsed::as_seconds;
use crate::inventory::PerKind;
use crate::proof::Proof;

/// What became of the rows of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many the target had not held before.
    pub inserted: u64,
    /// How many it held already, with the same content.
    pub unchanged: u64,
    /// How many it holds with other content, which it keeps.
    pub conflicts: u64,
    /// How many it does not take.
    pub rejected: u64,
    /// How many the source could not read.
    pub damaged: u64,
}

impl Tally {
    /// All rows that were looked at.
    pub fn total(&self) -> u64 {
        self.inserted + self.unchanged + self.not_moved()
    }

    /// The rows that are not in the target as the source has them.
    pub fn not_moved(&self) -> u64 {
        self.conflicts + self.rejected + self.damaged
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.inserted += other.inserted;
        self.unchanged += other.unchanged;
        self.conflicts += other.conflicts;
        self.rejected += other.rejected;
        self.damaged += other.damaged;
    }
}

impl PerKind<Tally> {
    /// All kinds together.
    pub fn sum(&self) -> Tally {
        let mut sum = Tally::default();
        self.iter().for_each(|(_, tally)| sum.add(tally));
        sum
    }
}

/// How a copy or a restore went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CopyOutcome {
    /// Every row was moved, or accounted for as not movable.
    Complete,
    /// It had been completed before; nothing was changed.
    AlreadyComplete,
    /// It had been completed before, and the source has other rows or another model by now; nothing was
    /// changed. What the target lacks is added by the same copy with
    /// [`into_existing`](crate::Copier::into_existing).
    SourceChangedSince,
    /// Every row was looked at, and the source changed meanwhile. Stop what writes to it and run
    /// the same again: it adds what is missing.
    SourceChanged,
}

impl fmt::Display for CopyOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Complete => "complete",
            Self::AlreadyComplete => "completed before",
            Self::SourceChangedSince => "completed before, and the source has changed since",
            Self::SourceChanged => "the source changed meanwhile",
        })
    }
}

/// What a copy or a restore did.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CopyReport {
    /// How it went.
    pub outcome: CopyOutcome,
    /// Whether it went on with one that was interrupted.
    pub resumed: bool,
    /// What became of the rows, those before an interruption included. The rows of the page at
    /// which it was interrupted count as unchanged.
    pub rows: PerKind<Tally>,
    /// How many rows this run moved.
    pub moved_now: u64,
    /// How long this run moved rows, indexes included.
    #[serde(rename = "seconds", serialize_with = "as_seconds")]
    pub elapsed: Duration,
    /// The comparison of both sides, unless it was switched off.
    pub proof: Option<Proof>,
}

impl CopyReport {
    /// Whether the target holds every row of the source, and this is proven where a proof was asked for.
    ///
    /// Where none was, the source counts as unchanged if it has the model and as many rows as when it was
    /// copied.
    pub fn is_lossless(&self) -> bool {
        let proven = self.proof.as_ref().map(Proof::nothing_lost);
        let holds_all = match self.outcome {
            CopyOutcome::Complete | CopyOutcome::AlreadyComplete => proven.unwrap_or(true),
            // What the source has gained may have come into the target by another way.
            CopyOutcome::SourceChangedSince => proven.unwrap_or(false),
            CopyOutcome::SourceChanged => false,
        };
        holds_all && self.rows.sum().not_moved() == 0
    }
}
