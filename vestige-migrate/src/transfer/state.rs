use serde::{Deserialize, Serialize};
use vestige_traits::clock::{Clock, SystemClock};
use vestige_traits::transfer::{Checkpoint, TransferKey, TransferKind};

use crate::inventory::{Inventory, PerKind};
use crate::transfer::Tally;

/// The version of the state below.
const VERSION: u32 = 1;

/// What a copy needs to go on: the state of a checkpoint.
///
/// `position` is where the page begins that was committed together
/// with this state, not where it ends. So going on moves one page a second
/// time, which changes nothing, and rows of it that were rejected are
/// reported even if the process died between the commit and the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    version: u32,
    /// What people call the source.
    pub(super) source: String,
    pub(super) stage: Stage,
    #[serde(flatten)]
    pub(super) position: Position,
    /// Whether indexes are left out until the end.
    pub(super) bulk: bool,
    /// What became of the rows before `position`.
    pub(super) tallies: PerKind<Tally>,
    /// The rows before `position`, as the source gave them.
    pub(super) seen: Inventory,
}

/// Where a page begins: after the key `after`, or at the first row of the kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "WrittenPosition", try_from = "WrittenPosition")]
pub(super) struct Position {
    pub(super) kind: TransferKind,
    pub(super) after: Option<TransferKey>,
}

/// A [`Position`] as it is serialised: the key is a list that does not name its kind.
#[derive(Serialize, Deserialize)]
struct WrittenPosition {
    kind: TransferKind,
    after: Option<Vec<String>>,
}

impl From<Position> for WrittenPosition {
    fn from(Position { kind, after }: Position) -> Self {
        Self { kind, after: after.as_ref().map(TransferKey::to_parts) }
    }
}

impl TryFrom<WrittenPosition> for Position {
    type Error = String;

    /// Refuses a key after which no page begins.
    fn try_from(WrittenPosition { kind, after }: WrittenPosition) -> Result<Self, String> {
        match after.map(|parts| TransferKey::from_parts(kind, parts)) {
            Some(key @ TransferKey::Unreadable { .. }) => Err(format!("{key} is no key of a {kind}")),
            after => Ok(Self { kind, after }),
        }
    }
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
            position: Position { kind: TransferKind::User, after: None },
            bulk,
            tallies: PerKind::default(),
            seen: Inventory::default(),
        }
    }

    /// The state in a checkpoint; none if another version wrote it or it makes no sense, and then the work
    /// starts again, which is safe.
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use uuid::Uuid;

    fn checkpoint(state: Value) -> Checkpoint {
        Checkpoint { name: "copy:x".to_owned(), state, updated_at: SystemClock.now() }
    }

    /// The state is what version 0.1 writes.
    fn written(kind: &str, after: &Value) -> Value {
        let per_kind = |item: Value| {
            let kinds = TransferKind::ALL.into_iter().map(|kind| (kind.as_str().to_owned(), item.clone()));
            Value::Object(kinds.collect())
        };
        json!({
            "version": 1, "source": "laptop", "stage": "rows", "kind": kind, "after": after, "bulk": true,
            "tallies": per_kind(
                json!({"inserted": 1, "unchanged": 0, "conflicts": 0, "rejected": 0, "damaged": 0})
            ),
            "seen": {"model": null, "counts": per_kind(json!(2)), "digests": per_kind(json!("0".repeat(64)))},
        })
    }

    #[test]
    fn a_state_is_read_and_written_as_before() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let edge = TransferKey::Edge { source_id: one, target_id: two, edge_type: "a/b".to_owned() };
        for (kind, after, key) in [
            ("user", Value::Null, None),
            ("memory", json!([one]), Some(TransferKey::Memory(one))),
            ("domain", json!(["Zoo"]), Some(TransferKey::Domain("Zoo".to_owned()))),
            ("edge", json!([one, two, "a/b"]), Some(edge)),
        ] {
            let before = written(kind, &after);
            let state = State::read(&checkpoint(before.clone())).expect("a state of this version");
            assert_eq!((state.position.kind.as_str(), &state.position.after), (kind, &key));
            assert_eq!(state.checkpoint("copy:x").unwrap().state, before);
        }
    }

    #[test]
    fn a_state_with_a_key_of_another_kind_starts_the_work_again() {
        for after in [json!(["no uuid"]), json!([]), json!([Uuid::nil(), Uuid::nil()])] {
            assert_eq!(State::read(&checkpoint(written("memory", &after))), None);
        }
    }
}
