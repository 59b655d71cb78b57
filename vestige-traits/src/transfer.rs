//! Rows of every kind, for copies and archives: what a store exports page by page and imports as it is.

mod key;
mod kind;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

pub use self::key::TransferKey;
pub use self::kind::TransferKind;
use crate::domain::Domain;
use crate::error::{MemoryStoreError, MemoryStoreResult};
use crate::graph::MemoryEdge;
use crate::identity::{Group, GroupMembership, User};
use crate::limits;
use crate::record::MemoryRecord;
use crate::scheduling::{ReviewEvent, SchedulingState};

/// One row of a store, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TransferRow {
    /// A user.
    User(User),
    /// A group.
    Group(Group),
    /// A membership.
    GroupMembership(GroupMembership),
    /// A domain.
    Domain(Domain),
    /// A memory with its vector.
    Memory(MemoryRecord),
    /// A memory's scheduling state.
    Scheduling(ScheduledMemory),
    /// An edge.
    Edge(MemoryEdge),
    /// An event of the review log.
    ReviewEvent(ReviewEvent),
}

impl TransferRow {
    /// Its kind.
    pub fn kind(&self) -> TransferKind {
        match self {
            Self::User(_) => TransferKind::User,
            Self::Group(_) => TransferKind::Group,
            Self::GroupMembership(_) => TransferKind::GroupMembership,
            Self::Domain(_) => TransferKind::Domain,
            Self::Memory(_) => TransferKind::Memory,
            Self::Scheduling(_) => TransferKind::Scheduling,
            Self::Edge(_) => TransferKind::Edge,
            Self::ReviewEvent(_) => TransferKind::ReviewEvent,
        }
    }

    /// Its key, which orders the rows of a kind.
    pub fn key(&self) -> TransferKey {
        match self {
            Self::User(user) => TransferKey::User(user.id),
            Self::Group(group) => TransferKey::Group(group.id),
            Self::GroupMembership(GroupMembership { user_id, group_id, .. }) => {
                TransferKey::GroupMembership { user_id: *user_id, group_id: *group_id }
            }
            Self::Domain(domain) => TransferKey::Domain(domain.id.clone()),
            Self::Memory(record) => TransferKey::Memory(record.id),
            Self::Scheduling(scheduled) => TransferKey::Scheduling(scheduled.memory_id),
            Self::Edge(edge) => TransferKey::Edge {
                source_id: edge.source_id,
                target_id: edge.target_id,
                edge_type: edge.edge_type.clone(),
            },
            Self::ReviewEvent(event) => TransferKey::ReviewEvent(event.id),
        }
    }
}

/// A scheduling state together with the memory it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduledMemory {
    /// The memory.
    pub memory_id: Uuid,
    /// Its state.
    #[serde(flatten)]
    pub state: SchedulingState,
}

/// A page of rows of one kind, ascending by key.
#[derive(Clone, Debug, PartialEq)]
pub struct TransferPage {
    /// The rows.
    pub rows: Vec<TransferRow>,
    /// Rows of the same stretch that cannot be read as what they should be.
    pub damaged: Vec<RowIssue>,
    /// Where to go on; none if there is no more.
    pub next: Option<TransferKey>,
}

/// A row that could not be moved, and why.
///
/// It is serialised as its kind, its key and the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "WrittenIssue", from = "WrittenIssue")]
pub struct RowIssue {
    /// The row's key.
    pub key: TransferKey,
    /// Why.
    pub reason: String,
}

impl RowIssue {
    /// What is wrong with a row that cannot be read. The reason names the row no second time.
    pub fn unreadable(key: TransferKey, error: &MemoryStoreError) -> Self {
        let name = key.to_string();
        let reason = match error {
            MemoryStoreError::Damaged { what, reason, .. } if !name.is_empty() && what.ends_with(&name) => {
                reason.clone()
            }
            other => other.to_string(),
        };
        Self { key, reason }
    }

    /// The row's kind.
    pub fn kind(&self) -> TransferKind {
        self.key.kind()
    }
}

/// A [`RowIssue`] as it is serialised: the key is a list that does not name its kind.
#[derive(Serialize, Deserialize)]
struct WrittenIssue {
    kind: TransferKind,
    key: Vec<String>,
    reason: String,
}

impl From<RowIssue> for WrittenIssue {
    fn from(RowIssue { key, reason }: RowIssue) -> Self {
        Self { kind: key.kind(), key: key.to_parts(), reason }
    }
}

impl From<WrittenIssue> for RowIssue {
    fn from(WrittenIssue { kind, key, reason }: WrittenIssue) -> Self {
        Self { key: TransferKey::from_parts(kind, key), reason }
    }
}

/// What became of the rows of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// How many were new.
    pub inserted: u64,
    /// How many were there already, with the same content.
    pub unchanged: u64,
    /// Rows whose key is there with other content. What was there stays.
    pub conflicts: Vec<RowIssue>,
    /// Rows that break a rule, or belong to something that is not there.
    pub rejected: Vec<RowIssue>,
}

/// How far a named piece of work has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Whose it is, such as the identity of a copy.
    pub name: String,
    /// What the work needs to go on: a JSON object.
    pub state: Value,
    /// When it was written, by its writer.
    pub updated_at: DateTime<Utc>,
}

impl Checkpoint {
    /// Checks the name, the state and the time.
    ///
    /// # Errors
    ///
    /// [`MemoryStoreError::InvalidInput`] naming the field.
    pub fn validate(&self) -> MemoryStoreResult<()> {
        limits::check_name("checkpoint.name", &self.name)?;
        limits::check_metadata("checkpoint.state", &self.state)?;
        limits::check_time("checkpoint.updated_at", self.updated_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text is what earlier versions wrote.
    #[test]
    fn a_report_of_an_import_is_serialised_as_before() {
        let written = concat!(
            r#"{"inserted":1,"unchanged":2,"conflicts":[{"kind":"edge","key":["#,
            r#""00000000-0000-0000-0000-000000000001","00000000-0000-0000-0000-000000000002","related"],"#,
            r#""reason":"is there with other content"}],"#,
            r#""rejected":[{"kind":"memory","key":["unreadable"],"reason":"why"}]}"#,
        );
        let report: ImportReport = serde_json::from_str(written).unwrap();
        let edge = TransferKey::Edge {
            source_id: Uuid::from_u128(1),
            target_id: Uuid::from_u128(2),
            edge_type: "related".to_owned(),
        };
        assert_eq!((&report.conflicts[0].key, report.conflicts[0].kind()), (&edge, TransferKind::Edge));
        let spoilt =
            TransferKey::Unreadable { kind: TransferKind::Memory, parts: vec!["unreadable".to_owned()] };
        assert_eq!(report.rejected[0].key, spoilt);
        assert_eq!(serde_json::to_string(&report).unwrap(), written);
    }
}
