//! The types of a re-embedding: the switch of a store from one model to another.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::ModelSignature;

/// How far a re-embedding has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReembeddingStatus {
    /// The model that the store goes to.
    pub model: ModelSignature,
    /// Memories that have their new vector.
    pub done: u64,
    /// Memories that are still to do.
    pub pending: u64,
}

/// A memory whose new vector is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingMemory {
    /// The memory.
    pub id: Uuid,
    /// The text to embed.
    pub content: String,
    /// The version of the memory that this text is from. Give it back with the vector.
    pub updated_at: DateTime<Utc>,
}

/// The new vector of a memory.
#[derive(Clone, Debug, PartialEq)]
pub struct ReembeddedMemory {
    /// The memory.
    pub id: Uuid,
    /// [`PendingMemory::updated_at`] of the text that was embedded.
    pub updated_at: DateTime<Utc>,
    /// The vector under the new model; none if the model knows no word of the text, and then the
    /// memory has no vector after the switch.
    pub embedding: Option<Vec<f32>>,
}
