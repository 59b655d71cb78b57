use crate::words::words;
use serde::{Deserialize, Serialize};

/// The kinds of rows a store holds, in the order in which they must be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferKind {
    /// [`User`](crate::identity::User), by id.
    User,
    /// [`Group`](crate::identity::Group), by id.
    Group,
    /// [`GroupMembership`](crate::identity::GroupMembership), by user and group.
    GroupMembership,
    /// [`Domain`](crate::Domain), by id in byte order.
    Domain,
    /// [`MemoryRecord`](crate::MemoryRecord), by id.
    Memory,
    /// [`SchedulingState`](crate::scheduling::SchedulingState), by memory.
    Scheduling,
    /// [`MemoryEdge`](crate::MemoryEdge), by source, target and type in byte order.
    Edge,
    /// [`ReviewEvent`](crate::scheduling::ReviewEvent), by id.
    ReviewEvent,
}

impl TransferKind {
    /// Every kind, in the order of import.
    pub const ALL: [Self; 8] = [
        Self::User,
        Self::Group,
        Self::GroupMembership,
        Self::Domain,
        Self::Memory,
        Self::Scheduling,
        Self::Edge,
        Self::ReviewEvent,
    ];
}

words! {
    TransferKind {
        User: "user", Group: "group", GroupMembership: "group_membership", Domain: "domain", Memory: "memory",
        Scheduling: "scheduling", Edge: "edge", ReviewEvent: "review_event",
    }
}
