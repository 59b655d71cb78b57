use uuid::Uuid;

use crate::error::{MemoryStoreError, MemoryStoreResult};
use crate::transfer::{TransferKey, TransferKind};

/// Where a page of rows begins: after the row whose key has these values, or at the first row where all are
/// none.
///
/// A key has one or two UUIDs, a text, or two UUIDs and a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageStart<'k> {
    /// The first UUID of the key.
    pub first: Option<Uuid>,
    /// The second UUID of the key.
    pub second: Option<Uuid>,
    /// The text of the key.
    pub text: Option<&'k str>,
}

impl<'k> PageStart<'k> {
    /// Where a page of rows of `kind` begins that goes on after the key `after`.
    ///
    /// # Errors
    ///
    /// [`MemoryStoreError::InvalidInput`] naming `after` if that is the key of another kind, cannot be read,
    /// or holds U+0000.
    pub fn new(kind: TransferKind, after: Option<&'k TransferKey>) -> MemoryStoreResult<Self> {
        let Some(key) = after else { return Ok(Self::default()) };
        let wrong = || MemoryStoreError::invalid("after", format!("{key} is no key of a {kind}"));
        if key.kind() != kind || matches!(key, TransferKey::Unreadable { .. }) {
            return Err(wrong());
        }
        let (first, second, text) = key.values();
        if text.is_some_and(|text| text.contains('\0')) {
            return Err(wrong());
        }
        Ok(Self { first, second, text })
    }
}
