use chrono::{DateTime, Utc};

use crate::domain::Domain;
use crate::error::MemoryStoreResult;
use crate::graph::MemoryEdge;
use crate::identity::{Group, GroupMembership, User};
use crate::limits::{is_normal_json, normalize_json, to_micros};
use crate::record::MemoryRecord;
use crate::scheduling::{ReviewEvent, SchedulingState};
use crate::transfer::{Checkpoint, ScheduledMemory};

/// A type that a store keeps: it has rules, and one form in which every backend stores it.
///
/// In that form times are whole microseconds, no number is a negative zero, and JSON is as
/// [`normalize_json`](crate::limits::normalize_json) writes it. Only this crate implements it.
pub trait Storable: Clone + sealed::Sealed {
    /// Checks every rule that does not depend on what a store holds.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::MemoryStoreError::InvalidInput) naming the first field that breaks its rule.
    fn check(&self) -> MemoryStoreResult<()>;

    /// Whether it has the form in which it is stored: whether [`normalize`](Self::normalize) would change
    /// nothing.
    fn is_normal(&self) -> bool;

    /// Brings it into the form in which it is stored.
    fn normalize(&mut self);
}

mod sealed {
    pub trait Sealed {}
}

fn is_micros(time: DateTime<Utc>) -> bool {
    to_micros(time) == time
}

fn is_negative_zero(number: f64) -> bool {
    number == 0.0 && number.is_sign_negative()
}

/// Adding a positive zero turns a negative one positive and leaves every other number.
fn without_negative_zero(number: &mut f64) {
    *number += 0.0;
}

impl sealed::Sealed for MemoryRecord {}

impl Storable for MemoryRecord {
    fn check(&self) -> MemoryStoreResult<()> {
        self.validate()
    }

    fn is_normal(&self) -> bool {
        is_micros(self.created_at)
            && is_micros(self.updated_at)
            && is_normal_json(&self.metadata)
            && !self.domain_scores.values().any(|&score| is_negative_zero(score))
    }

    fn normalize(&mut self) {
        self.normalize();
    }
}

impl sealed::Sealed for Domain {}

impl Storable for Domain {
    fn check(&self) -> MemoryStoreResult<()> {
        self.validate()
    }

    fn is_normal(&self) -> bool {
        is_micros(self.created_at) && is_normal_json(&self.metadata)
    }

    fn normalize(&mut self) {
        self.created_at = to_micros(self.created_at);
        normalize_json(&mut self.metadata);
    }
}

/// Users and groups have the same fields.
macro_rules! named {
    ($($type:ty),*) => { $(
        impl sealed::Sealed for $type {}

        impl Storable for $type {
            fn check(&self) -> MemoryStoreResult<()> {
                self.validate()
            }

            fn is_normal(&self) -> bool {
                is_micros(self.created_at) && is_normal_json(&self.metadata)
            }

            fn normalize(&mut self) {
                self.created_at = to_micros(self.created_at);
                normalize_json(&mut self.metadata);
            }
        }
    )* };
}

named!(User, Group);

impl sealed::Sealed for GroupMembership {}

impl Storable for GroupMembership {
    fn check(&self) -> MemoryStoreResult<()> {
        self.validate()
    }

    fn is_normal(&self) -> bool {
        is_micros(self.joined_at)
    }

    fn normalize(&mut self) {
        self.joined_at = to_micros(self.joined_at);
    }
}

impl sealed::Sealed for MemoryEdge {}

impl Storable for MemoryEdge {
    fn check(&self) -> MemoryStoreResult<()> {
        self.validate()
    }

    fn is_normal(&self) -> bool {
        is_micros(self.created_at) && !is_negative_zero(self.weight)
    }

    fn normalize(&mut self) {
        self.created_at = to_micros(self.created_at);
        without_negative_zero(&mut self.weight);
    }
}

impl sealed::Sealed for SchedulingState {}

impl Storable for SchedulingState {
    fn check(&self) -> MemoryStoreResult<()> {
        self.validate()
    }

    fn is_normal(&self) -> bool {
        self.last_review.is_none_or(is_micros)
            && self.next_review.is_none_or(is_micros)
            && !is_negative_zero(self.retrievability)
    }

    fn normalize(&mut self) {
        self.last_review = self.last_review.map(to_micros);
        self.next_review = self.next_review.map(to_micros);
        without_negative_zero(&mut self.retrievability);
    }
}

impl sealed::Sealed for ScheduledMemory {}

impl Storable for ScheduledMemory {
    fn check(&self) -> MemoryStoreResult<()> {
        self.state.validate()
    }

    fn is_normal(&self) -> bool {
        self.state.is_normal()
    }

    fn normalize(&mut self) {
        self.state.normalize();
    }
}

impl sealed::Sealed for ReviewEvent {}

impl Storable for ReviewEvent {
    fn check(&self) -> MemoryStoreResult<()> {
        self.validate()
    }

    fn is_normal(&self) -> bool {
        is_micros(self.timestamp)
            && self.prior_state.as_ref().is_none_or(Storable::is_normal)
            && self.new_state.is_normal()
    }

    fn normalize(&mut self) {
        self.timestamp = to_micros(self.timestamp);
        self.prior_state.iter_mut().for_each(Storable::normalize);
        self.new_state.normalize();
    }
}

impl sealed::Sealed for Checkpoint {}

impl Storable for Checkpoint {
    fn check(&self) -> MemoryStoreResult<()> {
        self.validate()
    }

    fn is_normal(&self) -> bool {
        is_micros(self.updated_at) && is_normal_json(&self.state)
    }

    fn normalize(&mut self) {
        self.updated_at = to_micros(self.updated_at);
        normalize_json(&mut self.state);
    }
}
