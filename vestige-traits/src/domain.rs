use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::MemoryStoreResult;
use crate::limits;

/// A region of meaning that memories belong to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Domain {
    /// The key.
    pub id: String,
    /// What people call it.
    pub label: String,
    /// Its centre under the registered model, or none.
    pub centroid: Option<Vec<f32>>,
    /// The words that stand for it, most telling first.
    pub top_terms: Vec<String>,
    /// How many memories it was computed from.
    pub memory_count: u64,
    /// When it was computed.
    pub created_at: DateTime<Utc>,
    /// A JSON object of whatever else belongs to it.
    pub metadata: Value,
}

impl Domain {
    /// A domain with an empty centre and nothing counted.
    pub fn new(id: impl Into<String>, label: impl Into<String>, created_at: DateTime<Utc>) -> Self {
        Self {
            id: id.into(),
            label: label.into(),
            centroid: None,
            top_terms: Vec::new(),
            memory_count: 0,
            created_at: limits::to_micros(created_at),
            metadata: Value::Object(Map::new()),
        }
    }

    /// Checks every rule that does not depend on what a store holds.
    ///
    /// # Errors
    ///
    /// [`MemoryStoreError::InvalidInput`](crate::MemoryStoreError::InvalidInput) naming the field.
    pub fn validate(&self) -> MemoryStoreResult<()> {
        limits::check_name("domain.id", &self.id)?;
        limits::check_name("domain.label", &self.label)?;
        limits::check_names("domain.top_terms", &self.top_terms)?;
        if let Some(centroid) = &self.centroid {
            limits::check_embedding("domain.centroid", centroid)?;
        }
        if i64::try_from(self.memory_count).is_err() {
            return Err(crate::MemoryStoreError::invalid("domain.memory_count", "is too large"));
        }
        limits::check_time("domain.created_at", self.created_at)?;
        limits::check_metadata("domain.metadata", &self.metadata)
    }
}

/// How near a vector is to a domain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DomainScore {
    /// The domain's id.
    pub domain: String,
    /// The cosine similarity to its centroid, -1 to 1.
    pub score: f64,
}
