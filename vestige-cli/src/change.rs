//! Changing a part of a memory, whoever else changes it meanwhile.

use std::future::Future;

use uuid::Uuid;
use vestige_traits::{MemoryRecord, MemoryStore, MemoryStoreError};

use crate::scheduler::MOST_ATTEMPTS;

/// Edits a memory, and gives a new text a new vector. What somebody else changes in the meantime stays: the
/// edit is done anew, to that. Returns the memory as it is then, and whether that is another one.
pub(crate) async fn change<S, F, X>(
    store: &S,
    id: Uuid,
    edit: impl Fn(&mut MemoryRecord) -> Result<(), X>,
    embed: impl Fn(String) -> F,
) -> Result<(MemoryRecord, bool), X>
where
    S: MemoryStore,
    F: Future<Output = Result<Option<Vec<f32>>, X>>,
    X: From<MemoryStoreError>,
{
    let mut attempt = 1;
    loop {
        let before = store.get(id).await?.ok_or_else(|| MemoryStoreError::not_found("memory", id))?;
        let mut record = before.clone();
        edit(&mut record)?;
        if record == before {
            return Ok((record, false));
        }
        if record.content != before.content {
            record.embedding = embed(record.content.clone()).await?;
        }
        match store.update_unless_changed(&record, before.updated_at).await {
            Ok(updated_at) => return Ok((record.updated_at(updated_at), true)),
            Err(MemoryStoreError::Conflict { .. }) if attempt < MOST_ATTEMPTS => attempt += 1,
            Err(error) => return Err(error.into()),
        }
    }
}
