//! What the words of two texts do not share.

use std::collections::HashMap;

use crate::words::{Word, parts};

/// How the words of a new text compare with those of a memory.
///
/// Case and punctuation make no difference; symbols, such as in `C++` and `C#`, do. In scripts
/// that do not separate words, each character counts as a word.
///
/// Whether a difference changes what is said is for an agent or a person to judge: "tabs over spaces" and
/// "tabs to spaces" differ in a word, and so do "allowed" and "not allowed".
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wording {
    /// The same words in the same order.
    Same,
    /// The same words in another order. "Ada reports to Bob" and "Bob reports to Ada" are such texts.
    Reordered,
    /// At least one of them has words that the other has not, or not as often.
    Differs {
        /// What only the new text has, as it stands there: words side by side are one entry.
        new: Vec<String>,
        /// What only the memory has.
        known: Vec<String>,
    },
}

impl Wording {
    /// Compares a new text with a known one, in time linear in both.
    pub(crate) fn of(new: &str, known: &str) -> Self {
        let (new_parts, known_parts) = (parts(new), parts(known));
        let folded = |part: &Word<'_>, other: &Word<'_>| part.folded == other.folded;
        if new_parts.len() == known_parts.len()
            && new_parts.iter().zip(&known_parts).all(|(part, other)| folded(part, other))
        {
            return Self::Same;
        }
        let only_new = entries(new, &left_over(&new_parts, &known_parts));
        let only_known = entries(known, &left_over(&known_parts, &new_parts));
        if only_new.is_empty() && only_known.is_empty() {
            return Self::Reordered;
        }
        Self::Differs { new: only_new, known: only_known }
    }
}

/// The parts that have no counterpart in `others`, with their places.
fn left_over<'p, 'a>(parts: &'p [Word<'a>], others: &[Word<'a>]) -> Vec<(usize, &'p Word<'a>)> {
    let mut counterparts: HashMap<&str, usize> = HashMap::new();
    for other in others {
        *counterparts.entry(&other.folded).or_default() += 1;
    }
    let has_none = |(_, part): &(usize, &Word<'_>)| match counterparts.get_mut(&*part.folded) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    };
    parts.iter().enumerate().filter(has_none).collect()
}

/// The parts as they stand in the text, those side by side as one.
fn entries(text: &str, parts: &[(usize, &Word<'_>)]) -> Vec<String> {
    let side_by_side = parts.chunk_by(|(at, _), (next, _)| at + 1 == *next);
    let ends = side_by_side.filter_map(|run| Some((run.first()?.1, run.last()?.1)));
    ends.map(|(first, last)| text[first.start..last.start + last.text.len()].to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn differs(new: &[&str], known: &[&str]) -> Wording {
        let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Wording::Differs { new: owned(new), known: owned(known) }
    }

    #[test]
    fn the_words_that_differ_are_named() {
        for (new, known, wording) in [
            ("The deploy is allowed.", "the DEPLOY is allowed", Wording::Same),
            ("Tabs over spaces", "spaces over tabs", Wording::Reordered),
            ("The deploy is not allowed.", "The deploy is allowed.", differs(&["not"], &[])),
            ("It doesn't start", "It does start", differs(&["doesn't"], &["does"])),
            (
                "port 5434, in config/b.toml",
                "port 5433, in config/a.yaml",
                differs(&["5434", "b.toml"], &["5433", "a.yaml"]),
            ),
            ("written in C#", "written in C++", differs(&["#"], &["++"])),
            ("no, no, no", "no, no", differs(&["no"], &[])),
            ("星期五不允许部署。", "星期五允许部署", differs(&["不"], &[])),
            ("Выкладка не разрешена", "Выкладка разрешена", differs(&["не"], &[])),
            ("", "!?", Wording::Same),
        ] {
            assert_eq!(Wording::of(new, known), wording, "{new} | {known}");
        }
    }

    proptest! {
        #[test]
        fn every_text_has_the_same_words_as_itself_and_no_panic(a in ".{0,60}", b in ".{0,60}") {
            prop_assert_eq!(Wording::of(&a, &a), Wording::Same);
            let (forth, back) = (Wording::of(&a, &b), Wording::of(&b, &a));
            let swapped = match back {
                Wording::Differs { new, known } => Wording::Differs { new: known, known: new },
                other => other,
            };
            prop_assert_eq!(forth, swapped);
        }
    }
}
