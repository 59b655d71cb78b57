use uuid::Uuid;

use super::models::Models;
use super::prepared::Prepared;
use super::storable::Storable;
use crate::domain::Domain;
use crate::error::{MemoryStoreError, MemoryStoreResult};
use crate::graph::MemoryEdge;
use crate::identity::{Group, GroupMembership, User};
use crate::record::MemoryRecord;
use crate::scheduling::ReviewEvent;
use crate::transfer::{ImportReport, RowIssue, ScheduledMemory, TransferKey, TransferKind};

/// Why a row whose key is there with other content is not written.
pub const CONFLICT_REASON: &str = "is there with other content";

/// What becomes of a row of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportOutcome {
    /// It is new: the backend writes it.
    Inserted,
    /// It is there already, with the same content.
    Unchanged,
    /// Its key is there with other content, which stays.
    Conflict,
    /// It breaks a rule, or refers to something that is not there, for this reason.
    Rejected(String),
}

impl ImportOutcome {
    /// A row that is rejected because of `error`.
    pub fn rejected(error: &MemoryStoreError) -> Self {
        Self::Rejected(error.to_string())
    }

    /// Counts the row with this key in a report.
    pub fn add_to(self, report: &mut ImportReport, key: impl FnOnce() -> TransferKey) {
        match self {
            Self::Inserted => report.inserted += 1,
            Self::Unchanged => report.unchanged += 1,
            Self::Conflict => {
                report.conflicts.push(RowIssue { key: key(), reason: CONFLICT_REASON.to_owned() });
            }
            Self::Rejected(reason) => report.rejected.push(RowIssue { key: key(), reason }),
        }
    }
}

/// Another row that a row refers to, and that has to be there before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// The user who owns a memory.
    Owner(Uuid),
    /// The user of a membership.
    User(Uuid),
    /// The group of a membership.
    Group(Uuid),
    /// The memory of a scheduling state, or one end of an edge.
    Memory(Uuid),
}

impl Reference {
    /// The kind and the id of the row that has to be there.
    pub fn target(self) -> (TransferKind, Uuid) {
        match self {
            Self::Owner(id) | Self::User(id) => (TransferKind::User, id),
            Self::Group(id) => (TransferKind::Group, id),
            Self::Memory(id) => (TransferKind::Memory, id),
        }
    }

    /// What is wrong with a row that refers to this and does not find it.
    pub fn missing(self) -> MemoryStoreError {
        match self {
            Self::Owner(id) => MemoryStoreError::invalid("owner_user_id", format!("there is no user {id}")),
            Self::User(id) => MemoryStoreError::not_found("user", id),
            Self::Group(id) => MemoryStoreError::not_found("group", id),
            Self::Memory(id) => MemoryStoreError::not_found("memory", id),
        }
    }
}

/// The handle of a user or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle<'h> {
    /// [`TransferKind::User`] or [`TransferKind::Group`].
    pub kind: TransferKind,
    /// The row that has it.
    pub id: Uuid,
    /// The handle.
    pub handle: &'h str,
}

/// A type of row that an import takes in. Only this crate implements it.
pub trait Importable: Storable + PartialEq {
    /// What it refers to, in the order in which it is checked.
    fn references(&self) -> [Option<Reference>; 2] {
        [None, None]
    }

    /// Its handle, which no other row of its kind may have.
    fn handle(&self) -> Option<Handle<'_>> {
        None
    }

    /// Its vector under the registered model.
    fn vector(&self) -> Option<&[f32]> {
        None
    }
}

impl Importable for User {
    fn handle(&self) -> Option<Handle<'_>> {
        Some(Handle { kind: TransferKind::User, id: self.id, handle: &self.handle })
    }
}

impl Importable for Group {
    fn handle(&self) -> Option<Handle<'_>> {
        Some(Handle { kind: TransferKind::Group, id: self.id, handle: &self.handle })
    }
}

impl Importable for GroupMembership {
    fn references(&self) -> [Option<Reference>; 2] {
        [Some(Reference::User(self.user_id)), Some(Reference::Group(self.group_id))]
    }
}

impl Importable for Domain {
    fn vector(&self) -> Option<&[f32]> {
        self.centroid.as_deref()
    }
}

impl Importable for MemoryRecord {
    fn references(&self) -> [Option<Reference>; 2] {
        [Some(Reference::Owner(self.owner_user_id)), None]
    }

    fn vector(&self) -> Option<&[f32]> {
        self.embedding.as_deref()
    }
}

impl Importable for ScheduledMemory {
    fn references(&self) -> [Option<Reference>; 2] {
        [Some(Reference::Memory(self.memory_id)), None]
    }
}

impl Importable for MemoryEdge {
    fn references(&self) -> [Option<Reference>; 2] {
        [Some(Reference::Memory(self.source_id)), Some(Reference::Memory(self.target_id))]
    }
}

/// The log outlives the memories it is about, so an event refers to nothing.
impl Importable for ReviewEvent {}

/// What a backend has looked up for a row.
#[derive(Debug)]
pub struct Found<'f, T> {
    /// The row that the store holds under the same key.
    pub stored: Option<&'f T>,
    /// The first of [`Importable::references`] that is not there.
    pub missing: Option<Reference>,
    /// The id of the row of its kind that has its [`Importable::handle`], which may be the row itself.
    pub handle_holder: Option<Uuid>,
    /// The models, where the row has a vector.
    pub models: Models<'f>,
}

/// Decides what becomes of a row, the same in every backend: a backend looks up and writes.
///
/// Rows before it in the same page count as stored. A row that cannot be prepared is
/// [`ImportOutcome::rejected`] for that error, and nothing is looked up for it.
///
/// # Errors
///
/// [`MemoryStoreError::ModelMismatch`] for a row with a vector from a handle that is bound to another model
/// than the registered one. That is no fault of the row's, and ends the page.
pub fn classify<T: Importable>(
    row: &Prepared<'_, T>,
    found: &Found<'_, T>,
) -> MemoryStoreResult<ImportOutcome> {
    if let Some(vector) = row.vector() {
        found.models.check_bound()?;
        if let Err(error) = found.models.check_vector(vector.len()) {
            return Ok(ImportOutcome::rejected(&error));
        }
    }
    if let Some(reference) = found.missing {
        return Ok(ImportOutcome::rejected(&reference.missing()));
    }
    if let Some(Handle { kind, id, handle }) = row.handle()
        && found.handle_holder.is_some_and(|holder| holder != id)
    {
        let rule = format!("{handle:?} belongs to another {kind}");
        return Ok(ImportOutcome::rejected(&MemoryStoreError::invalid(format!("{kind}.handle"), rule)));
    }
    Ok(match found.stored {
        None => ImportOutcome::Inserted,
        Some(stored) if *stored == **row => ImportOutcome::Unchanged,
        Some(_) => ImportOutcome::Conflict,
    })
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::model::ModelSignature;

    const NOTHING: Models<'static> = Models { registered: None, bound: None };

    fn outcome<T: Importable>(row: &T, found: Found<'_, T>) -> ImportOutcome {
        classify(&Prepared::new(row).unwrap(), &found).unwrap()
    }

    fn alone<T>() -> Found<'static, T> {
        Found { stored: None, missing: None, handle_holder: None, models: NOTHING }
    }

    fn rejected(reason: &str) -> ImportOutcome {
        ImportOutcome::Rejected(reason.to_owned())
    }

    #[test]
    fn a_row_is_new_unchanged_or_a_conflict_by_what_is_stored_under_its_key() {
        let row = MemoryEdge::new(Uuid::from_u128(1), Uuid::from_u128(2), DateTime::<Utc>::UNIX_EPOCH);
        assert_eq!(outcome(&row, alone()), ImportOutcome::Inserted);
        assert_eq!(outcome(&row, Found { stored: Some(&row), ..alone() }), ImportOutcome::Unchanged);
        let mut other = row.clone();
        other.weight = 0.5;
        assert_eq!(outcome(&row, Found { stored: Some(&other), ..alone() }), ImportOutcome::Conflict);
    }

    #[test]
    fn a_missing_reference_comes_before_what_is_stored() {
        let row = MemoryRecord::new("x");
        let missing = Some(Reference::Owner(Uuid::from_u128(9)));
        let found = Found { stored: Some(&row), missing, ..alone() };
        let reason = "owner_user_id: there is no user 00000000-0000-0000-0000-000000000009";
        assert_eq!(outcome(&row, found), rejected(reason));
    }

    #[test]
    fn a_handle_is_taken_by_another_row_alone() {
        let user = User::local();
        let held = |holder| Found { stored: Some(&user), handle_holder: Some(holder), ..alone() };
        assert_eq!(outcome(&user, held(user.id)), ImportOutcome::Unchanged);
        let reason = r#"user.handle: "local" belongs to another user"#;
        assert_eq!(outcome(&user, held(Uuid::from_u128(7))), rejected(reason));
    }

    #[test]
    fn a_vector_that_does_not_fit_is_the_fault_of_the_row_and_another_model_that_of_the_handle() {
        let model = |name: &str| ModelSignature { name: name.into(), dimension: 2, hash: "0".into() };
        let (registered, other) = (model("a"), model("b"));
        let mut row = MemoryRecord::new("x");
        row.embedding = Some(vec![1.0]);
        assert!(matches!(outcome(&row, alone()), ImportOutcome::Rejected(_)), "no model");
        let models = |bound| Models { registered: Some(&registered), bound };
        let found = Found { models: models(Some(&registered)), ..alone() };
        assert!(matches!(outcome(&row, found), ImportOutcome::Rejected(_)), "another length");
        let found = Found { models: models(Some(&other)), ..alone() };
        assert!(matches!(
            classify(&Prepared::new(&row).unwrap(), &found),
            Err(MemoryStoreError::ModelMismatch { .. })
        ));
    }
}
