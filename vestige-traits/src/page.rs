use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::MemoryStoreResult;
use crate::filter::MemoryFilter;
use crate::limits;
use crate::record::MemoryRecord;
use crate::setters::setters;

/// Which memories to list.
///
/// ```
/// use vestige_traits::{ListQuery, MemoryFilter};
///
/// let query = ListQuery::new().filter(MemoryFilter::new().tags(["deploys"])).limit(50);
/// assert!(query.validate().is_ok());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ListQuery {
    /// Which memories to look at.
    pub filter: MemoryFilter,
    /// How many at most, up to [`limits::MAX_LIMIT`](crate::limits::MAX_LIMIT); 0 means
    /// [`limits::DEFAULT_LIMIT`](crate::limits::DEFAULT_LIMIT).
    pub limit: usize,
    /// Where the last page ended; none for the first page.
    pub after: Option<ListCursor>,
}

impl ListQuery {
    /// The first page of all memories.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Sets which memories to look at.
        filter(filter: MemoryFilter) = filter;
        /// Sets how many memories a page holds at most.
        limit(limit: usize) = limit;
        /// Sets where the last page ended; `None` for the first page.
        after(cursor: impl Into<Option<ListCursor>>) = cursor.into();
    }

    /// Checks the filter, the limit and the cursor, and gives the limit to use.
    ///
    /// # Errors
    ///
    /// [`MemoryStoreError::InvalidInput`](crate::MemoryStoreError::InvalidInput) naming the part.
    pub fn validate(&self) -> MemoryStoreResult<usize> {
        self.filter.validate()?;
        if let Some(after) = &self.after {
            limits::check_time("after.created_at", after.created_at)?;
        }
        limits::effective_limit(self.limit)
    }
}

/// A place in the order of a list: newest first, equal times by ascending id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListCursor {
    /// `created_at` of the last memory of the page.
    pub created_at: DateTime<Utc>,
    /// Its id.
    pub id: Uuid,
}

/// A page of memories, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListPage {
    /// The memories.
    pub records: Vec<MemoryRecord>,
    /// Where to go on; none if there is no more.
    pub next: Option<ListCursor>,
}
