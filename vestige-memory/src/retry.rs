//! Optimistic retries: read, compute, write if nothing changed meanwhile.

/// How often an edit or a review is computed anew when others change the same memory at the same moment.
pub(crate) const MAX_ATTEMPTS: usize = 64;
