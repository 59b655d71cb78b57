//! Credentials in texts: private keys, tokens of known shapes, passwords in URLs, and random strings after a
//! word that announces one.
//!
//! [`Memory`](crate::Memory) refuses to store a memory in which [`find_in`] finds something, unless
//! [`RememberOptions::allow_secrets`](crate::RememberOptions::allow_secrets) or
//! [`MemoryBuilder::allow_secrets`](crate::MemoryBuilder::allow_secrets) allows it. Findings say what was
//! found and where, and never repeat it.
//!
//! The rules are built for few false alarms: a password in plain words is not found. `docs/secrets.md` has
//! the rules, and how often they are right.
//!
//! ```
//! let text = format!("Deploy with the token {}{}.", "ghp_", "x7Kq02LmVb9TzR4nWc81YpHs5JdGf3AoEuQi");
//! let found = vestige_memory::secrets::find(&text);
//! assert_eq!((found[0].kind, found[0].start, found[0].end), ("GitHub token", 22, 62));
//! assert!(vestige_memory::secrets::find("The token is in the vault, under deploy/github.").is_empty());
//! ```

mod chance;
mod keys;
mod record;
mod rules;
mod shape;
mod span;
mod telling;
#[cfg(test)]
mod tests;
mod urls;
mod words;

use std::fmt;

pub use self::record::{SecretIn, find_in};
pub(crate) use self::record::{added, first_in};
use self::span::Span;

/// What looks like a credential in a text: what kind, and where. It does not hold the credential.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Secret {
    /// The rule that found it, in plain words, such as `GitHub token`.
    pub kind: &'static str,
    /// Where it begins, in characters from the beginning of the text.
    pub start: usize,
    /// Where it ends, in characters: behind its last one.
    pub end: usize,
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "characters {} to {} look like a credential ({})", self.start, self.end, self.kind)
    }
}

/// The credentials in a text, in their order. None overlaps another.
///
/// The time grows with the length of the text: some ten milliseconds for a MiB of prose.
pub fn find(text: &str) -> Vec<Secret> {
    located(text, &spans(text))
}

/// Findings with their places in characters.
fn located(text: &str, spans: &[Span]) -> Vec<Secret> {
    let (mut bytes, mut characters) = (0, 0);
    let mut place = |at: usize| {
        characters += text[bytes..at].chars().count();
        bytes = at;
        characters
    };
    let secret = |span: &Span| Secret { kind: span.kind, start: place(span.start), end: place(span.end) };
    spans.iter().map(secret).collect()
}

/// What a rule of its own finds comes before what a telling word announces.
fn spans(text: &str) -> Vec<Span> {
    let mut found = keys::find(text);
    found.extend(shape::find(text));
    found.extend(urls::find(text));
    let announced = telling::find(text);
    if announced.is_empty() && found.len() < 2 {
        return found;
    }
    let mut found = without_overlaps(found);
    let free: Vec<Span> = announced
        .into_iter()
        .filter(|span| {
            let next = found.partition_point(|known| known.end <= span.start);
            found.get(next).is_none_or(|known| known.start >= span.end)
        })
        .collect();
    found.extend(free);
    without_overlaps(found)
}

/// The spans in their order; of those that overlap the first one, and of those that begin together the
/// longest.
fn without_overlaps(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
    let mut end = 0;
    spans.retain(|span| {
        let is_free = span.start >= end;
        if is_free {
            end = span.end;
        }
        is_free
    });
    spans
}
