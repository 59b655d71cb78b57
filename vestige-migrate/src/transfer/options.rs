use std::fmt;

use crate::limits::{self, DEFAULT_PAGE_ROWS};
use crate::progress::{Progress, Reporter};
use crate::rejects::RejectSink;

/// What a caller may choose.
pub(crate) struct Settings<'a> {
    pub(crate) page_rows: usize,
    pub(crate) into_existing: bool,
    pub(crate) verify: bool,
    /// How many memories the proof keeps to make searches from.
    pub(crate) sample: usize,
    pub(crate) rejects: Option<&'a mut dyn RejectSink>,
    pub(crate) reporter: Reporter<'a>,
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Self {
            page_rows: DEFAULT_PAGE_ROWS,
            into_existing: false,
            verify: true,
            sample: 0,
            rejects: None,
            reporter: Reporter::default(),
        }
    }
}

impl fmt::Debug for Settings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("page_rows", &self.page_rows)
            .field("into_existing", &self.into_existing)
            .field("verify", &self.verify)
            .finish_non_exhaustive()
    }
}

/// A transfer of every row of a source into a store, with its options: a [`Copier`](crate::Copier) or a
/// [`Restorer`](crate::archive::Restorer).
#[derive(Debug)]
pub struct Transfer<'a, S, T> {
    pub(crate) source: S,
    pub(crate) target: &'a T,
    pub(crate) settings: Settings<'a>,
}

impl<'a, S, T> Transfer<'a, S, T> {
    pub(crate) fn between(source: S, target: &'a T, settings: Settings<'a>) -> Self {
        Self { source, target, settings }
    }

    /// The most rows to write in one transaction, clamped to 1 to
    /// [`MAX_BATCH`](vestige_traits::limits::MAX_BATCH). Default: 2,000. Pages of large rows are shorter.
    #[must_use]
    pub fn page_rows(mut self, rows: usize) -> Self {
        self.settings.page_rows = limits::page_rows(rows);
        self
    }

    /// Whether the target may hold other memories. Default: no. Rows are merged by their keys: a row with
    /// other content in the target stays as it is and is counted as a conflict. A transfer that was completed
    /// before looks at every row again.
    #[must_use]
    pub fn into_existing(mut self, allowed: bool) -> Self {
        self.settings.into_existing = allowed;
        self
    }

    /// Whether to compare every row afterwards. Default: yes. Without the comparison, only the numbers of
    /// rows and the model tell whether the source has changed.
    #[must_use]
    pub fn verify(mut self, verify: bool) -> Self {
        self.settings.verify = verify;
        self
    }

    /// Passes rows that cannot be moved to `sink`.
    #[must_use]
    pub fn rejects(mut self, sink: &'a mut dyn RejectSink) -> Self {
        self.settings.rejects = Some(sink);
        self
    }

    /// Calls `callback` with the progress.
    #[must_use]
    pub fn on_progress(mut self, callback: impl FnMut(&Progress) + Send + 'a) -> Self {
        self.settings.reporter = Reporter::new(callback);
        self
    }
}
