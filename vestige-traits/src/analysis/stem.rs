//! The stemmer.

use std::borrow::Cow;

use rust_stemmers::{Algorithm, Stemmer};

/// The Snowball English stemmer as PostgreSQL 18 has it.
pub(super) struct Stems(Stemmer);

impl Default for Stems {
    fn default() -> Self {
        Self(Stemmer::create(Algorithm::English))
    }
}

impl Stems {
    pub(super) fn of<'w>(&self, word: &'w str) -> Cow<'w, str> {
        let stem = self.0.stem(word);
        // Snowball 3, which PostgreSQL 18 carries, leaves "added" and "egged" their double letter;
        // rust-stemmers has an older revision of the algorithm.
        match stem.as_bytes() {
            [b'a' | b'e' | b'o', last]
                if word.as_bytes().get(2) == Some(last)
                    && ["ed", "ing"].iter().any(|ending| word[3..].starts_with(ending)) =>
            {
                Cow::Borrowed(&word[..3])
            }
            _ => stem,
        }
    }
}
