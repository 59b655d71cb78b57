//! Ids as people write them: whole, or their first digits.

use uuid::Uuid;
use vestige_traits::MemoryStore;
use vestige_traits::transfer::{TransferKey, TransferKind};

use crate::error::{IdError, MIN_DIGITS, MemoryResult};
use crate::memory::Memory;
use crate::text::shortened;

/// How much of a text that is no id an error repeats, in characters.
const QUOTED_CHARS: usize = 60;

impl<S: MemoryStore + Sync, E> Memory<S, E> {
    /// The id that `text` means: a whole UUID, or the first digits of the only id that begins with them.
    ///
    /// At least 4 digits, upper or lower case, with or without hyphens. A whole UUID is returned without a
    /// look at the store, so there may be no such memory.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Id`](crate::MemoryError::Id) if the text names no memory or several, and those of the
    /// store.
    pub async fn resolve(&self, text: &str) -> MemoryResult<Uuid> {
        if let Ok(id) = Uuid::try_parse(text) {
            return Ok(id);
        }
        let first = lowest_with_prefix(text)
            .ok_or_else(|| IdError::NotAnId { text: shortened(text, QUOTED_CHARS) })?;
        // The page begins after a key, so it has to begin one id earlier.
        let after = first.as_u128().checked_sub(1).map(|id| TransferKey::Memory(Uuid::from_u128(id)));
        let page = self.store().export_page(TransferKind::Memory, after.as_ref(), 2).await?;
        let keys =
            page.rows.iter().map(|row| row.key()).chain(page.damaged.into_iter().map(|issue| issue.key));
        let ids = keys.filter_map(|key| match key {
            TransferKey::Memory(id) => Some(id),
            _ => None,
        });
        let digits = digits_of(text);
        let mut matching = ids.filter(|id| id.simple().to_string().starts_with(&digits));
        match (matching.next(), matching.next()) {
            (Some(id), None) => Ok(id),
            (Some(_), Some(_)) => Err(IdError::Ambiguous { text: text.to_owned() }.into()),
            (None, _) => Err(IdError::Unknown { text: text.to_owned() }.into()),
        }
    }
}

fn digits_of(text: &str) -> String {
    text.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect()
}

/// The lowest id that begins with these digits.
fn lowest_with_prefix(text: &str) -> Option<Uuid> {
    let digits = digits_of(text);
    let is_prefix =
        (MIN_DIGITS..=32).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_prefix.then(|| Uuid::try_parse(&format!("{digits:0<32}")).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_with_or_without_hyphens_begin_an_id() {
        let expected = Uuid::try_parse("019bb17c-0e40-0000-0000-000000000000").ok();
        for text in ["019bb17c0e40", "019bb17c-0e40", "019BB17C-0E4"] {
            assert_eq!(lowest_with_prefix(text), expected, "{text}");
        }
        for text in ["019", "019g", "", "é019", "019bb17c-0e40-0000-0000-0000000000000"] {
            assert_eq!(lowest_with_prefix(text), None, "{text}");
        }
    }
}
