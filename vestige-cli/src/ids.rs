//! Ids as people write them: whole, or their first digits.

use uuid::Uuid;
use vestige_memory::text::shortened;
use vestige_traits::MemoryStore;
use vestige_traits::transfer::{TransferKey, TransferKind};

use crate::failure::{CommandResult, Failure};

/// The fewest digits that name a memory.
const MIN_DIGITS: usize = 4;

/// The memory that `text` means: an id, or the first digits of the only id that begins so.
pub(crate) async fn resolve<S: MemoryStore>(store: &S, text: &str) -> CommandResult<Uuid> {
    if let Ok(id) = Uuid::try_parse(text) {
        return Ok(id);
    }
    let first = lowest_with_prefix(text).ok_or_else(|| {
        Failure::usage(format!(
            "{:?} is no id; give a UUID or its first digits, at least {MIN_DIGITS}",
            shortened(text, 60)
        ))
    })?;
    // The page begins after a key, so it has to begin one id earlier.
    let after = first.as_u128().checked_sub(1).map(|id| TransferKey::Memory(Uuid::from_u128(id)));
    let page = store.export_page(TransferKind::Memory, after.as_ref(), 2).await?;
    let keys = page.rows.iter().map(|row| row.key()).chain(page.damaged.into_iter().map(|issue| issue.key));
    let ids = keys.filter_map(|key| match key {
        TransferKey::Memory(id) => Some(id),
        _ => None,
    });
    let digits = digits_of(text);
    let mut matching = ids.filter(|id| id.simple().to_string().starts_with(&digits));
    match (matching.next(), matching.next()) {
        (Some(id), None) => Ok(id),
        (Some(_), Some(_)) => {
            Err(Failure::message(format!("{text} begins more than one id; give more of its digits")))
        }
        (None, _) => Err(Failure::message(format!("no memory has an id that begins with {text}"))),
    }
}

/// [`resolve`] for each text, in their order.
pub(crate) async fn resolve_all<S: MemoryStore>(store: &S, texts: &[String]) -> CommandResult<Vec<Uuid>> {
    let mut ids = Vec::with_capacity(texts.len());
    for text in texts {
        let id = resolve(store, text).await?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
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
