use std::fmt;

use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::kind::TransferKind;

/// The key of a row. Keys order the rows of a kind: UUIDs by their bytes, texts in byte order.
///
/// It is serialised as a list of strings, one for each part of the key, with UUIDs in lowercase and
/// hyphenated. The list does not name the kind, which stands beside it wherever a key is written, so
/// [`from_parts`](Self::from_parts) reads it.
///
/// ```
/// use uuid::Uuid;
/// use vestige_traits::transfer::{TransferKey, TransferKind};
///
/// let key = TransferKey::Memory(Uuid::from_u128(7));
/// assert_eq!(key.to_string(), "00000000-0000-0000-0000-000000000007");
/// assert_eq!(TransferKey::from_parts(TransferKind::Memory, key.to_parts()), key);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TransferKey {
    /// A user's id.
    User(Uuid),
    /// A group's id.
    Group(Uuid),
    /// The user and the group of a membership.
    GroupMembership {
        /// The user.
        user_id: Uuid,
        /// The group.
        group_id: Uuid,
    },
    /// A domain's id.
    Domain(String),
    /// A memory's id.
    Memory(Uuid),
    /// The memory of a scheduling state.
    Scheduling(Uuid),
    /// The two ends of an edge and its type.
    Edge {
        /// The memory it starts at.
        source_id: Uuid,
        /// The memory it leads to.
        target_id: Uuid,
        /// What it means.
        edge_type: String,
    },
    /// The id of an event of the review log.
    ReviewEvent(Uuid),
    /// What is left of the key of a damaged row. No page begins after it, and no row is found by it.
    Unreadable {
        /// The row's kind.
        kind: TransferKind,
        /// The parts as text, [`UNREADABLE_PART`](Self::UNREADABLE_PART) for each that cannot be read.
        parts: Vec<String>,
    },
}

impl TransferKey {
    /// Stands for a part that cannot be read in [`Unreadable`](Self::Unreadable).
    pub const UNREADABLE_PART: &str = "unreadable";

    /// The key of a row of `kind` with these parts: an [`Unreadable`](Self::Unreadable) one if the kind's key
    /// has another number of parts, or if a part that has to be a UUID is none.
    pub fn from_parts(kind: TransferKind, parts: Vec<String>) -> Self {
        let id = |text: &String| Uuid::parse_str(text).ok();
        let key = match (kind, parts.as_slice()) {
            (TransferKind::User, [user]) => id(user).map(Self::User),
            (TransferKind::Group, [group]) => id(group).map(Self::Group),
            (TransferKind::GroupMembership, [user, group]) => {
                id(user).zip(id(group)).map(|(user_id, group_id)| Self::GroupMembership { user_id, group_id })
            }
            (TransferKind::Domain, [name]) => Some(Self::Domain(name.clone())),
            (TransferKind::Memory, [memory]) => id(memory).map(Self::Memory),
            (TransferKind::Scheduling, [memory]) => id(memory).map(Self::Scheduling),
            (TransferKind::Edge, [source, target, edge_type]) => {
                id(source).zip(id(target)).map(|(source_id, target_id)| Self::Edge {
                    source_id,
                    target_id,
                    edge_type: edge_type.clone(),
                })
            }
            (TransferKind::ReviewEvent, [event]) => id(event).map(Self::ReviewEvent),
            _ => None,
        };
        key.unwrap_or(Self::Unreadable { kind, parts })
    }

    /// Its parts as text, in the order in which they are compared.
    pub fn to_parts(&self) -> Vec<String> {
        if let Self::Unreadable { parts, .. } = self {
            return parts.clone();
        }
        let (first, second, text) = self.values();
        let ids = [first, second].into_iter().flatten().map(|id| id.to_string());
        ids.chain(text.map(str::to_owned)).collect()
    }

    /// Its values in the order in which they are compared: one or two UUIDs, a text, or two UUIDs and a text.
    pub(crate) fn values(&self) -> (Option<Uuid>, Option<Uuid>, Option<&str>) {
        match self {
            Self::User(id)
            | Self::Group(id)
            | Self::Memory(id)
            | Self::Scheduling(id)
            | Self::ReviewEvent(id) => (Some(*id), None, None),
            Self::GroupMembership { user_id, group_id } => (Some(*user_id), Some(*group_id), None),
            Self::Domain(id) => (None, None, Some(id)),
            Self::Edge { source_id, target_id, edge_type } => {
                (Some(*source_id), Some(*target_id), Some(edge_type))
            }
            Self::Unreadable { .. } => (None, None, None),
        }
    }

    /// The kind of its row.
    pub fn kind(&self) -> TransferKind {
        match self {
            Self::User(_) => TransferKind::User,
            Self::Group(_) => TransferKind::Group,
            Self::GroupMembership { .. } => TransferKind::GroupMembership,
            Self::Domain(_) => TransferKind::Domain,
            Self::Memory(_) => TransferKind::Memory,
            Self::Scheduling(_) => TransferKind::Scheduling,
            Self::Edge { .. } => TransferKind::Edge,
            Self::ReviewEvent(_) => TransferKind::ReviewEvent,
            Self::Unreadable { kind, .. } => *kind,
        }
    }
}

impl fmt::Display for TransferKey {
    /// The parts with slashes between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_parts().join("/"))
    }
}

impl Serialize for TransferKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_parts().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn keys() -> Vec<TransferKey> {
        let edge = |edge_type: &str| TransferKey::Edge {
            source_id: id(1),
            target_id: id(2),
            edge_type: edge_type.to_owned(),
        };
        vec![
            TransferKey::User(id(1)),
            TransferKey::Group(id(2)),
            TransferKey::GroupMembership { user_id: id(1), group_id: id(2) },
            TransferKey::Domain("Zoo".to_owned()),
            TransferKey::Domain("builds".to_owned()),
            TransferKey::Memory(id(3)),
            TransferKey::Scheduling(id(3)),
            edge("B"),
            edge("a"),
            TransferKey::ReviewEvent(id(4)),
            TransferKey::Unreadable { kind: TransferKind::Edge, parts: vec!["unreadable".to_owned()] },
        ]
    }

    #[test]
    fn a_key_comes_back_from_its_parts() {
        for key in keys() {
            assert_eq!(TransferKey::from_parts(key.kind(), key.to_parts()), key);
        }
    }

    #[test]
    fn keys_are_in_the_order_of_their_kinds_and_then_of_their_bytes() {
        assert!(keys().is_sorted());
        assert!(TransferKey::Memory(id(0x10 << 120)) > TransferKey::Memory(id(0x0f << 120)));
    }

    #[test]
    fn parts_that_make_no_key_of_the_kind_are_kept_as_unreadable() {
        let one = id(1).to_string();
        for (kind, parts) in [
            (TransferKind::Memory, vec![]),
            (TransferKind::Memory, vec!["no uuid".to_owned()]),
            (TransferKind::Memory, vec![one.clone(), one.clone()]),
            (TransferKind::Edge, vec![one.clone(), one.clone()]),
            (TransferKind::GroupMembership, vec![one]),
        ] {
            let key = TransferKey::from_parts(kind, parts.clone());
            assert_eq!(key, TransferKey::Unreadable { kind, parts: parts.clone() });
            assert_eq!((key.kind(), key.to_parts()), (kind, parts));
        }
    }

    /// The texts are what version 0.1 wrote into checkpoints, reports and rejects.
    #[test]
    fn a_key_is_serialised_as_the_list_of_its_parts() {
        let one = "00000000-0000-0000-0000-000000000001";
        let two = "00000000-0000-0000-0000-000000000002";
        let written: Vec<String> =
            keys().iter().map(|key| serde_json::to_string(key).expect("a list of strings")).collect();
        assert_eq!(written[0], format!(r#"["{one}"]"#));
        assert_eq!(written[2], format!(r#"["{one}","{two}"]"#));
        assert_eq!(written[3], r#"["Zoo"]"#);
        assert_eq!(written[7], format!(r#"["{one}","{two}","B"]"#));
        assert_eq!(written[10], r#"["unreadable"]"#);
    }
}
