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

/// `Type | Type, value => whether it is normal, how it becomes so;` for types that have a `validate`.
macro_rules! storable {
    ($( $($type:ident)|+, $value:ident => $is_normal:expr, $normalize:block; )*) => { $($(
        impl sealed::Sealed for $type {}

        impl Storable for $type {
            fn check(&self) -> MemoryStoreResult<()> {
                self.validate()
            }

            fn is_normal(&self) -> bool {
                let $value = self;
                $is_normal
            }

            fn normalize(&mut self) {
                let $value = self;
                $normalize
            }
        }
    )+)* };
}

storable! {
    MemoryRecord, record => is_micros(record.created_at)
        && is_micros(record.updated_at)
        && is_normal_json(&record.metadata)
        && !record.domain_scores.values().any(|&score| is_negative_zero(score)),
    {
        MemoryRecord::normalize(record);
    };
    Domain | User | Group, row => is_micros(row.created_at) && is_normal_json(&row.metadata), {
        row.created_at = to_micros(row.created_at);
        normalize_json(&mut row.metadata);
    };
    GroupMembership, membership => is_micros(membership.joined_at), {
        membership.joined_at = to_micros(membership.joined_at);
    };
    MemoryEdge, edge => is_micros(edge.created_at) && !is_negative_zero(edge.weight), {
        edge.created_at = to_micros(edge.created_at);
        without_negative_zero(&mut edge.weight);
    };
    SchedulingState, state => state.last_review.is_none_or(is_micros)
        && state.next_review.is_none_or(is_micros)
        && !is_negative_zero(state.retrievability),
    {
        state.last_review = state.last_review.map(to_micros);
        state.next_review = state.next_review.map(to_micros);
        without_negative_zero(&mut state.retrievability);
    };
    ReviewEvent, event => is_micros(event.timestamp)
        && event.prior_state.as_ref().is_none_or(Storable::is_normal)
        && event.new_state.is_normal(),
    {
        event.timestamp = to_micros(event.timestamp);
        event.prior_state.iter_mut().for_each(Storable::normalize);
        event.new_state.normalize();
    };
    Checkpoint, checkpoint => is_micros(checkpoint.updated_at) && is_normal_json(&checkpoint.state), {
        checkpoint.updated_at = to_micros(checkpoint.updated_at);
        normalize_json(&mut checkpoint.state);
    };
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
