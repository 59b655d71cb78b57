//! Optimistic retries: read, compute, write if nothing changed meanwhile.

/// How often an edit, a review or a search for near duplicates is made anew when others write at the same
/// moment.
pub(crate) const MAX_ATTEMPTS: usize = 64;
