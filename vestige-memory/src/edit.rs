use uuid::Uuid;
use vestige_traits::{Embedder, MemoryRecord, MemoryStore, MemoryStoreError};

use crate::error::{MemoryError, MemoryResult};
use crate::memory::Memory;
use crate::retry::MAX_ATTEMPTS;
use crate::secrets::added;

/// A memory after an edit.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Edited {
    /// The memory as it is stored now.
    pub record: MemoryRecord,
    /// Whether it was written: false if the edit left everything as it was.
    pub changed: bool,
}

impl<S, E> Memory<S, E>
where
    S: MemoryStore + Sync,
    E: Embedder + Sync,
{
    /// Changes a part of a memory, and keeps what others change meanwhile.
    ///
    /// Reads the memory, calls `change`, and writes the result if the memory is still the one that was read.
    /// Otherwise it begins again with the newer one, so `change` may be called several times and must depend
    /// on nothing but the record. New content gets a new vector. The record is compared and stored as the
    /// store keeps it (see [`MemoryRecord::prepare`]), so a value that is only written in another way is no
    /// change. Links, reviews and the schedule stay. `id` and `updated_at` are not for `change` to set: what
    /// it says of them is ignored.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](MemoryStoreError::NotFound) if there is no such memory.
    /// - [`InvalidInput`](MemoryStoreError::InvalidInput) if what `change` leaves breaks a rule.
    /// - [`MemoryError::Secret`] if `change` adds what looks like a [credential](crate::secrets). One
    ///   that the memory holds already is no reason.
    /// - [`ModelMismatch`](MemoryStoreError::ModelMismatch) if the content changed and the store belongs to
    ///   another model.
    /// - [`Conflict`](MemoryStoreError::Conflict) if 64 attempts in a row met another change; try again
    ///   later.
    /// - [`MemoryError::Embedder`], and those of the store.
    ///
    /// # Examples
    ///
    /// ```
    /// # use vestige_memory::{Memory, MemoryResult, NoEmbedder, add_tags};
    /// # use vestige_sqlite::SqliteMemoryStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> MemoryResult<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let memory = Memory::new(SqliteMemoryStore::new(folder.path().join("m.db"))?, NoEmbedder);
    /// let port = memory.remember("Staging's database listens on 5433.").await?.record.id;
    /// let edited = memory
    ///     .edit(port, |record| {
    ///         record.content = "Staging's database listens on 5434.".into();
    ///         add_tags(&mut record.tags, &["staging".into()]);
    ///     })
    ///     .await?;
    /// assert!(edited.changed);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn edit(&self, id: Uuid, mut change: impl FnMut(&mut MemoryRecord)) -> MemoryResult<Edited> {
        self.try_edit(id, |record| {
            change(record);
            Ok(())
        })
        .await
    }

    /// [`edit`](Self::edit) by a change that can fail. Its error ends the edit, and nothing is written.
    ///
    /// # Errors
    ///
    /// That of `change`, and those of [`edit`](Self::edit).
    pub async fn try_edit<X: From<MemoryError>>(
        &self,
        id: Uuid,
        mut change: impl FnMut(&mut MemoryRecord) -> Result<(), X>,
    ) -> Result<Edited, X> {
        let mut attempt = 1;
        loop {
            let before = self.existing(id).await?;
            let mut record = before.clone();
            change(&mut record)?;
            (record.id, record.updated_at) = (before.id, before.updated_at);
            record.prepare().map_err(MemoryError::from)?;
            if record == before {
                return Ok(Edited { record, changed: false });
            }
            if !self.allows_secrets()
                && let Some(found) = added(&before, &record)
            {
                return Err(MemoryError::Secret { index: None, found }.into());
            }
            if record.content != before.content {
                self.register_model().await?;
                record.embedding = self.embed_documents(&[&record.content]).await?.pop().flatten();
            }
            match self.store().update_unless_changed(&record, before.updated_at).await {
                Ok(updated_at) => {
                    record.updated_at = updated_at;
                    return Ok(Edited { record, changed: true });
                }
                Err(MemoryStoreError::Conflict { .. }) if attempt < MAX_ATTEMPTS => attempt += 1,
                Err(error) => return Err(MemoryError::from(error).into()),
            }
        }
    }
}
