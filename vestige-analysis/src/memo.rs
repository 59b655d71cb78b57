//! The stems of the words that were stemmed last.
//!
//! Few different words make up most of any text, and stemming one takes longer than the rest of its analysis.

use std::borrow::Cow;
use std::cell::RefCell;
use std::hash::Hasher as _;

use rust_stemmers::Algorithm;

use crate::hash::Fnv;

/// How many words each thread remembers.
const SLOTS: usize = 4096;
/// Longer words are rare, and are not remembered: a thread's memo takes less than half a mebibyte.
const MAX_BYTES: usize = 32;

/// A word with its stem. A word belongs into one slot, and replaces what was there.
#[derive(Clone, Default)]
struct Slot {
    algorithm: Option<Algorithm>,
    word: String,
    stem: String,
}

/// The stem of a word as it was computed before, or as it is computed now.
pub(crate) fn stem<'w>(
    word: &'w str,
    algorithm: Algorithm,
    compute: impl FnOnce() -> Cow<'w, str>,
) -> Cow<'w, str> {
    thread_local! {
        static MEMO: RefCell<Vec<Slot>> = RefCell::new(vec![Slot::default(); SLOTS]);
    }
    if word.len() > MAX_BYTES {
        return compute();
    }
    MEMO.with_borrow_mut(|memo| {
        let mut hash = Fnv::default();
        hash.write(word.as_bytes());
        hash.write(&[algorithm as u8]);
        let slot = &mut memo[hash.finish() as usize % SLOTS];
        if slot.algorithm != Some(algorithm) || slot.word != word {
            let stem = compute();
            slot.algorithm = Some(algorithm);
            for (kept, new) in [(&mut slot.word, word), (&mut slot.stem, &stem)] {
                kept.clear();
                kept.push_str(new);
            }
            return stem;
        }
        match word.get(..slot.stem.len()) {
            Some(beginning) if beginning == slot.stem => Cow::Borrowed(beginning),
            _ => Cow::Owned(slot.stem.clone()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_one_stem_for_each_language() {
        let stem_of =
            |algorithm, known: &'static str| stem("regierungen", algorithm, || Cow::Borrowed(known));
        assert_eq!(stem_of(Algorithm::German, "regier"), "regier");
        assert_eq!(stem_of(Algorithm::English, "regierungen"), "regierungen");
        let never = || -> Cow<'static, str> { panic!("it is known") };
        assert_eq!(stem("regierungen", Algorithm::English, never), "regierungen");
        assert_eq!(stem("ponies", Algorithm::English, || Cow::Borrowed("poni")), "poni");
        assert_eq!(stem("ponies", Algorithm::English, never), "poni");
        assert_eq!(stem("went", Algorithm::English, || Cow::Borrowed("go")), "go");
        assert_eq!(stem("went", Algorithm::English, never), "go");
    }

    #[test]
    fn a_word_that_takes_the_slot_of_another_has_its_own_stem() {
        for _ in 0..2 {
            for n in 0..3 * SLOTS {
                let word = format!("word{n}");
                assert_eq!(stem(&word, Algorithm::English, || Cow::Borrowed(&word[4..])), word[4..]);
            }
        }
        let long = "x".repeat(MAX_BYTES + 1);
        for stems in ["a", "b"] {
            assert_eq!(stem(&long, Algorithm::English, || Cow::Borrowed(stems)), stems);
        }
    }
}
