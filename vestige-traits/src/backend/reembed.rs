use crate::error::{MemoryStoreError, MemoryStoreResult};
use crate::model::ModelSignature;

/// Whether a handle that has `begun` a re-embedding to this model takes part in the one `under_way`.
///
/// # Errors
///
/// [`Conflict`](MemoryStoreError::Conflict) if it has begun another one.
pub fn check_begun(under_way: &ModelSignature, begun: Option<&ModelSignature>) -> MemoryStoreResult<()> {
    match begun {
        Some(begun) if begun != under_way => Err(MemoryStoreError::conflict(
            "re-embedding",
            format!("one to {under_way} is under way, and not the one to {begun} that was begun"),
        )),
        _ => Ok(()),
    }
}
