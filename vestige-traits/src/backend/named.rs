use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::import::Importable;
use crate::identity::{Group, User};
use crate::transfer::TransferKind;

/// The columns of a user or a group, which are the same.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedRow {
    /// The key.
    pub id: Uuid,
    /// The short name.
    pub handle: String,
    /// What people see.
    pub display_name: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// A JSON object.
    pub metadata: Value,
}

/// Users and groups, which a backend reads and writes in the same way. Only this crate implements it.
pub trait Named: Importable {
    /// [`TransferKind::User`] or [`TransferKind::Group`].
    const KIND: TransferKind;

    /// What stands in a row.
    fn from_row(row: NamedRow) -> Self;

    /// The key.
    fn id(&self) -> Uuid;

    /// The short name.
    fn name(&self) -> &str;

    /// Its row.
    fn to_row(&self) -> NamedRow;
}

macro_rules! named {
    ($($type:ident),*) => { $(
        impl Named for $type {
            const KIND: TransferKind = TransferKind::$type;

            fn from_row(row: NamedRow) -> Self {
                let NamedRow { id, handle, display_name, created_at, metadata } = row;
                Self { id, handle, display_name, created_at, metadata }
            }

            fn id(&self) -> Uuid {
                self.id
            }

            fn name(&self) -> &str {
                &self.handle
            }

            fn to_row(&self) -> NamedRow {
                let Self { id, handle, display_name, created_at, metadata } = self.clone();
                NamedRow { id, handle, display_name, created_at, metadata }
            }
        }
    )* };
}

named!(User, Group);
