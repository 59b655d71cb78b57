use vestige_traits::limits::MAX_BATCH;

/// How many rows a page has at most where nothing else is said. Pages of large rows are shorter.
pub(crate) const DEFAULT_PAGE_ROWS: usize = 2000;

/// A page size that every store accepts.
pub(crate) fn page_rows(rows: usize) -> usize {
    rows.clamp(1, MAX_BATCH)
}
