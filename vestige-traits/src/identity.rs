//! Users and groups, and the user that every store has from the start.

use chrono::{DateTime, TimeZone, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::error::MemoryStoreResult;
use crate::limits;
use crate::words::words;

/// The user that owns every memory until there are others.
pub const LOCAL_USER_ID: Uuid = Uuid::from_u128(1);
/// The handle of [`LOCAL_USER_ID`].
pub const LOCAL_USER_HANDLE: &str = "local";
/// The display name of [`LOCAL_USER_ID`].
pub const LOCAL_USER_DISPLAY_NAME: &str = "Local User";

/// Somebody who owns memories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// The key.
    pub id: Uuid,
    /// The short name, unique among users.
    pub handle: String,
    /// What people see.
    pub display_name: Option<String>,
    /// When the user was made.
    pub created_at: DateTime<Utc>,
    /// A JSON object of whatever else belongs to the user.
    pub metadata: Value,
}

impl User {
    /// The user that every store has from the start. Its time is fixed, so that it is the same in every
    /// store.
    pub fn local() -> Self {
        Self {
            id: LOCAL_USER_ID,
            handle: LOCAL_USER_HANDLE.to_owned(),
            display_name: Some(LOCAL_USER_DISPLAY_NAME.to_owned()),
            created_at: Utc.timestamp_opt(0, 0).single().unwrap_or_default(),
            metadata: Value::Object(Map::new()),
        }
    }

    /// Checks every rule that does not depend on what a store holds.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::MemoryStoreError::InvalidInput) naming the field.
    pub fn validate(&self) -> MemoryStoreResult<()> {
        check_named("user", &self.handle, self.display_name.as_deref(), self.created_at, &self.metadata)
    }
}

/// Users who share memories. The same shape as [`User`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The key.
    pub id: Uuid,
    /// The short name, unique among groups.
    pub handle: String,
    /// What people see.
    pub display_name: Option<String>,
    /// When the group was made.
    pub created_at: DateTime<Utc>,
    /// A JSON object of whatever else belongs to the group.
    pub metadata: Value,
}

impl Group {
    /// Checks every rule that does not depend on what a store holds.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::MemoryStoreError::InvalidInput) naming the field.
    pub fn validate(&self) -> MemoryStoreResult<()> {
        check_named("group", &self.handle, self.display_name.as_deref(), self.created_at, &self.metadata)
    }
}

/// That a user belongs to a group. Its key is (user, group).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupMembership {
    /// The user.
    pub user_id: Uuid,
    /// The group.
    pub group_id: Uuid,
    /// What the user may do there.
    pub role: GroupRole,
    /// Since when.
    pub joined_at: DateTime<Utc>,
}

impl GroupMembership {
    /// Checks the time.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::MemoryStoreError::InvalidInput) naming the field.
    pub fn validate(&self) -> MemoryStoreResult<()> {
        limits::check_time("group_membership.joined_at", self.joined_at)
    }
}

/// What a user may do in a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupRole {
    /// Sees what is shared.
    #[default]
    Member,
    /// Decides who belongs to it.
    Admin,
}

words!(GroupRole { Member: "member", Admin: "admin" } "role", "member or admin");

fn check_named(
    kind: &str,
    handle: &str,
    display_name: Option<&str>,
    created_at: DateTime<Utc>,
    metadata: &Value,
) -> MemoryStoreResult<()> {
    limits::check_name(&format!("{kind}.handle"), handle)?;
    if let Some(name) = display_name {
        limits::check_text(&format!("{kind}.display_name"), name, limits::MAX_NAME_BYTES)?;
    }
    limits::check_time(&format!("{kind}.created_at"), created_at)?;
    limits::check_metadata(&format!("{kind}.metadata"), metadata)
}
