//! What the analysis is known by.

use std::hash::Hasher;

use crate::document::{MAX_PLACES, MAX_POSITION, MAX_TERM_BYTES};
use crate::hash::Fnv;
use crate::language::FUNCTION_WORDS;
use crate::memory;
use crate::passages::{MAX_PASSAGES, PASSAGE_WORDS};
use crate::stems::IRREGULAR_FORMS;

/// The revision of the rules, for a change of them that no sample shows.
const REVISION: u32 = 1;

/// The versions of what the analysis is made of, a hash of its lists, and a hash of the samples' terms.
pub(crate) fn fingerprint() -> String {
    let (major, minor, patch) = char::UNICODE_VERSION;
    let (of_normalization, ..) = unicode_normalization::UNICODE_VERSION;
    let lists = hash([FUNCTION_WORDS, IRREGULAR_FORMS].into_iter());
    let samples = SAMPLES.lines().map(str::trim);
    let terms: Vec<String> =
        samples.flat_map(memory::terms).map(|term| format!("{} {}", term.position, term.text)).collect();
    let terms = hash(terms.iter().map(String::as_str));
    format!(
        "{REVISION}: Unicode {major}.{minor}.{patch} and {of_normalization}, \
         passages {PASSAGE_WORDS}, {MAX_PASSAGES}, limits {MAX_POSITION}, {MAX_PLACES}, {MAX_TERM_BYTES}, \
         lists {lists:016x}, terms {terms:016x}"
    )
}

fn hash<'a>(texts: impl Iterator<Item = &'a str>) -> u64 {
    let mut hash = Fnv::default();
    for text in texts {
        hash.write(text.as_bytes());
        hash.write(b"\n");
    }
    hash.finish()
}

/// A text a line: words for every rule of the English stemmer and its exceptions, and for each other stemmer,
/// script and shape.
pub(crate) const SAMPLES: &str = include_str!("samples.txt");
