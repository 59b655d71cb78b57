use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::MemoryStoreResult;
use crate::limits;
use crate::record::strings;
use crate::setters::setters;

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
    /// Sessions, compared exactly. A memory without a session matches no list of sessions.
    pub sessions: Vec<String>,
    /// `created_at` at this time or later.
    pub created_from: Option<DateTime<Utc>>,
    /// `created_at` before this time.
    pub created_before: Option<DateTime<Utc>>,
    /// A retrievability of at least this now, 0 to 1. A memory that was never reviewed has 1.
    ///
    /// See [`retrievability`](crate::scheduling::retrievability) for the formula.
    pub min_retrievability: Option<f64>,
}

impl MemoryFilter {
    /// A filter that matches every memory.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Matches memories of any of these domains.
        domains(ids: impl IntoIterator<Item = impl Into<String>>) = strings(ids);
        /// Matches memories with any of these tags.
        tags(tags: impl IntoIterator<Item = impl Into<String>>) = strings(tags);
        /// Matches memories of any of these types.
        node_types(types: impl IntoIterator<Item = impl Into<String>>) = strings(types);
        /// Matches memories of any of these code bases.
        codebases(names: impl IntoIterator<Item = impl Into<String>>) = strings(names);
        /// Matches memories of any of these sessions.
        sessions(names: impl IntoIterator<Item = impl Into<String>>) = strings(names);
        /// Matches memories with a `created_at` at this time or later.
        created_from(time: impl Into<Option<DateTime<Utc>>>) = time.into();
        /// Matches memories with a `created_at` before this time.
        created_before(time: impl Into<Option<DateTime<Utc>>>) = time.into();
        /// Matches memories whose retrievability now is at least this, 0 to 1.
        min_retrievability(retrievability: impl Into<Option<f64>>) = retrievability.into();
    }

    /// Whether it matches every memory.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks lengths and ranges.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::MemoryStoreError::InvalidInput) naming the part.
    pub fn validate(&self) -> MemoryStoreResult<()> {
        limits::check_names("filter.domains", &self.domains)?;
        limits::check_names("filter.tags", &self.tags)?;
        limits::check_names("filter.node_types", &self.node_types)?;
        limits::check_names("filter.codebases", &self.codebases)?;
        limits::check_names("filter.sessions", &self.sessions)?;
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
