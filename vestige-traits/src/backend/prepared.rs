use std::borrow::Cow;
use std::ops::Deref;

use super::storable::Storable;
use crate::domain::Domain;
use crate::error::MemoryStoreResult;
use crate::graph::MemoryEdge;
use crate::identity::{Group, GroupMembership, User};
use crate::record::MemoryRecord;
use crate::scheduling::{ReviewEvent, SchedulingState};
use crate::transfer::{ScheduledMemory, TransferRow};

/// A value that was validated and has the form in which every backend stores it.
///
/// Nothing else makes one, so a function that writes and takes only prepared values cannot be given one that
/// breaks a rule. A value that has that form already is borrowed, not cloned.
///
/// ```
/// use vestige_traits::MemoryRecord;
/// use vestige_traits::backend::Prepared;
///
/// let record = MemoryRecord::new("The staging database listens on port 5433.");
/// let prepared = Prepared::new(&record)?;
/// assert_eq!(prepared.content, record.content);
/// assert!(Prepared::new(&MemoryRecord::new(" ")).is_err());
/// # Ok::<(), vestige_traits::MemoryStoreError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared<'a, T: Clone>(Cow<'a, T>);

impl<'a, T: Storable> Prepared<'a, T> {
    /// Validates `value`, and clones it only if it does not have the form in which it is stored.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::MemoryStoreError::InvalidInput) naming the first field that breaks its rule.
    pub fn new(value: &'a T) -> MemoryStoreResult<Self> {
        value.check()?;
        if value.is_normal() {
            return Ok(Self(Cow::Borrowed(value)));
        }
        let mut value = value.clone();
        value.normalize();
        Ok(Self(Cow::Owned(value)))
    }

    /// Validates `value` and brings it into the form in which it is stored, without a copy.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::MemoryStoreError::InvalidInput) naming the first field that breaks its rule.
    pub fn from_owned(mut value: T) -> MemoryStoreResult<Self> {
        value.check()?;
        value.normalize();
        Ok(Self(Cow::Owned(value)))
    }
}

impl<T: Clone> Prepared<'_, T> {
    /// The value itself, cloned if it is borrowed.
    pub fn into_owned(self) -> T {
        self.0.into_owned()
    }

    /// The same for as long as it is needed, cloned if it is borrowed: what goes to another thread.
    pub fn into_static(self) -> Prepared<'static, T>
    where
        T: 'static,
    {
        Prepared(Cow::Owned(self.0.into_owned()))
    }
}

impl Prepared<'_, ScheduledMemory> {
    /// The state alone.
    pub fn state(&self) -> Prepared<'_, SchedulingState> {
        Prepared(Cow::Borrowed(&self.0.state))
    }
}

impl Prepared<'_, ReviewEvent> {
    /// The state after the review.
    pub fn new_state(&self) -> Prepared<'_, SchedulingState> {
        Prepared(Cow::Borrowed(&self.0.new_state))
    }
}

impl<T: Clone> Deref for Prepared<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> AsRef<T> for Prepared<'_, T> {
    fn as_ref(&self) -> &T {
        &self.0
    }
}

/// A row of an import, prepared.
#[derive(Clone, Debug, PartialEq)]
pub enum PreparedRow<'a> {
    /// A user.
    User(Prepared<'a, User>),
    /// A group.
    Group(Prepared<'a, Group>),
    /// A membership.
    GroupMembership(Prepared<'a, GroupMembership>),
    /// A domain.
    Domain(Prepared<'a, Domain>),
    /// A memory with its vector.
    Memory(Prepared<'a, MemoryRecord>),
    /// A memory's scheduling state.
    Scheduling(Prepared<'a, ScheduledMemory>),
    /// An edge.
    Edge(Prepared<'a, MemoryEdge>),
    /// An event of the review log.
    ReviewEvent(Prepared<'a, ReviewEvent>),
}

impl<'a> PreparedRow<'a> {
    /// Prepares a row, as [`Prepared::new`].
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::MemoryStoreError::InvalidInput) naming the first field that breaks its rule.
    pub fn new(row: &'a TransferRow) -> MemoryStoreResult<Self> {
        Ok(match row {
            TransferRow::User(user) => Self::User(Prepared::new(user)?),
            TransferRow::Group(group) => Self::Group(Prepared::new(group)?),
            TransferRow::GroupMembership(membership) => Self::GroupMembership(Prepared::new(membership)?),
            TransferRow::Domain(domain) => Self::Domain(Prepared::new(domain)?),
            TransferRow::Memory(record) => Self::Memory(Prepared::new(record)?),
            TransferRow::Scheduling(scheduled) => Self::Scheduling(Prepared::new(scheduled)?),
            TransferRow::Edge(edge) => Self::Edge(Prepared::new(edge)?),
            TransferRow::ReviewEvent(event) => Self::ReviewEvent(Prepared::new(event)?),
        })
    }

    /// The same for as long as it is needed, as [`Prepared::into_static`].
    pub fn into_static(self) -> PreparedRow<'static> {
        match self {
            Self::User(user) => PreparedRow::User(user.into_static()),
            Self::Group(group) => PreparedRow::Group(group.into_static()),
            Self::GroupMembership(membership) => PreparedRow::GroupMembership(membership.into_static()),
            Self::Domain(domain) => PreparedRow::Domain(domain.into_static()),
            Self::Memory(record) => PreparedRow::Memory(record.into_static()),
            Self::Scheduling(scheduled) => PreparedRow::Scheduling(scheduled.into_static()),
            Self::Edge(edge) => PreparedRow::Edge(edge.into_static()),
            Self::ReviewEvent(event) => PreparedRow::ReviewEvent(event.into_static()),
        }
    }
}
