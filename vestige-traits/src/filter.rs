use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::MemoryStoreResult;
use crate::limits;
use crate::record::strings;

/// Which memories a search or a list may return.
///
/// A memory must match every field that is set. It matches a list if it has at
/// least one of the list's values; an empty list matches every memory.
///
/// ```
/// use vestige_traits::MemoryFilter;
///
/// let filter = MemoryFilter::new().tags(["deploys", "releases"]).codebases(["tidewater"]);
/// assert!(!filter.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct MemoryFilter {
    /// Ids of domains.
    pub domains: Vec<String>,
    /// Tags, compared exactly.
    pub tags: Vec<String>,
    /// Types, compared exactly.
    pub node_types: Vec<String>,
    /// Code bases, compared exactly. A memory without a code base matches no list of code bases.
    pub codebases: Vec<String>,
    /// `created_at` at this time or later.
    pub created_from: Option<DateTime<Utc>>,
    /// `created_at` before this time.
    pub created_before: Option<DateTime<Utc>>,
    /// A retrievability of at least this now, 0 to 1. A memory that was never reviewed has 1.
    ///
    /// See [`retrievability`](crate::retrievability) for the formula.
    pub min_retrievability: Option<f64>,
}

impl MemoryFilter {
    /// A filter that matches every memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Matches memories of any of these domains.
    #[must_use]
    pub fn domains(mut self, ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.domains = strings(ids);
        self
    }

    /// Matches memories with any of these tags.
    #[must_use]
    pub fn tags(mut self, tags: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.tags = strings(tags);
        self
    }

    /// Matches memories of any of these types.
    #[must_use]
    pub fn node_types(mut self, types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.node_types = strings(types);
        self
    }

    /// Matches memories of any of these code bases.
    #[must_use]
    pub fn codebases(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.codebases = strings(names);
        self
    }

    /// Matches memories with a `created_at` at this time or later.
    #[must_use]
    pub fn created_from(mut self, time: impl Into<Option<DateTime<Utc>>>) -> Self {
        self.created_from = time.into();
        self
    }

    /// Matches memories with a `created_at` before this time.
    #[must_use]
    pub fn created_before(mut self, time: impl Into<Option<DateTime<Utc>>>) -> Self {
        self.created_before = time.into();
        self
    }

    /// Matches memories whose retrievability now is at least this, 0 to 1.
    #[must_use]
    pub fn min_retrievability(mut self, retrievability: impl Into<Option<f64>>) -> Self {
        self.min_retrievability = retrievability.into();
        self
    }

    /// Whether it matches every memory.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks lengths and ranges.
    ///
    /// # Errors
    ///
    /// [`MemoryStoreError::InvalidInput`] naming the part.
    pub fn validate(&self) -> MemoryStoreResult<()> {
        limits::check_names("filter.domains", &self.domains)?;
        limits::check_names("filter.tags", &self.tags)?;
        limits::check_names("filter.node_types", &self.node_types)?;
        limits::check_names("filter.codebases", &self.codebases)?;
        for (field, time) in
            [("filter.created_from", self.created_from), ("filter.created_before", self.created_before)]
        {
            if let Some(time) = time {
                limits::check_time(field, time)?;
            }
        }
        match self.min_retrievability {
            Some(value) => limits::check_number("filter.min_retrievability", value, 0.0..=1.0),
            None => Ok(()),
        }
    }
}
