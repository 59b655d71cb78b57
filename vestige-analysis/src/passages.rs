//! A long text as passages, each of which is searched by itself.
//!
//! A text about many things loses against a short one that is about one of them: its length weighs on every
//! word. `docs/adr/0029` has what was measured.

use std::ops::Range;

use crate::script::Class;

/// How many words a passage has, about; half of them are those of the passage before it.
pub const PASSAGE_WORDS: usize = 96;
/// How many passages a text has at most. Those of a text that would have more are longer.
pub const MAX_PASSAGES: usize = 1024;

/// By how many words a passage begins after the one before it.
const STRIDE: usize = PASSAGE_WORDS / 2;
/// A text of fewer words than this is one passage: a paragraph that is about one thing.
const SPLIT_FROM_WORDS: usize = 240;

/// The passages of a text, in bytes: one, from its beginning to its end, or several that overlap by half.
///
/// A word is a row of letters and digits; a character of a script without spaces is half a word. The passages
/// of a text have about the same number of words.
pub(crate) fn passages(text: &str) -> Vec<Range<usize>> {
    let whole = || std::iter::once(0..text.len()).collect();
    // A word takes two bytes with what is between it and the next one, and half a word three.
    if text.len() < 2 * SPLIT_FROM_WORDS {
        return whole();
    }
    // Where the word of each half begins.
    let halves: Vec<usize> = words(text).flat_map(|(at, halves)| std::iter::repeat_n(at, halves)).collect();
    if halves.len() < 2 * SPLIT_FROM_WORDS {
        return whole();
    }
    // Of two parts each, of which the second is the first of the next passage.
    let parts = ((halves.len() + STRIDE) / (2 * STRIDE)).clamp(2, MAX_PASSAGES + 1);
    let start = |part: usize| {
        let half = (part * halves.len()).div_ceil(parts);
        // No word is cut.
        if half > 0 && halves[half] == halves[half - 1] { halves[half + 1] } else { halves[half] }
    };
    let mut starts: Vec<usize> = (0..parts).map(start).collect();
    starts[0] = 0;
    starts.push(text.len());
    starts.windows(3).map(|bounds| bounds[0]..bounds[2]).collect()
}

/// Where each word begins, and how many halves of a word it is.
fn words(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut within = false;
    text.char_indices().filter_map(move |(at, c)| match Class::of(c) {
        Class::Letter(script) if !script.has_spaces() => {
            within = false;
            Some((at, 1))
        }
        Class::Symbol => {
            within = false;
            Some((at, 1))
        }
        Class::Letter(_) | Class::Digit(_) => (!std::mem::replace(&mut within, true)).then_some((at, 2)),
        Class::Mark | Class::Nothing => None,
        Class::Between => {
            within = false;
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words_of(text: &str) -> usize {
        text.split_whitespace().count()
    }

    #[test]
    fn a_short_text_is_one_passage() {
        for text in [String::new(), "word ".repeat(239), "字".repeat(479), "🦀".repeat(400)] {
            assert_eq!(passages(&text), std::slice::from_ref(&(0..text.len())));
        }
    }

    #[test]
    fn the_passages_of_a_long_text_overlap_by_half_and_leave_nothing_out() {
        for count in [240, 263, 500, 9_001] {
            let text: Vec<String> = (0..count).map(|n| format!("w{n}")).collect();
            let text = text.join(" ");
            let passages = passages(&text);
            assert_eq!((passages[0].start, passages.last().unwrap().end), (0, text.len()));
            for pair in passages.windows(2) {
                assert!(pair[0].start < pair[1].start && pair[1].start < pair[0].end);
            }
            for passage in &passages {
                let words = words_of(&text[passage.clone()]);
                assert!((88..=108).contains(&words), "{words} of {count}");
            }
        }
    }

    #[test]
    fn a_phrase_of_half_a_passage_stands_in_one_of_them() {
        let text = "one two three ".repeat(400);
        let all = passages(&text);
        let starts: Vec<usize> = words(&text).map(|(at, _)| at).collect();
        for phrase in starts.windows(37) {
            let (from, to) = (phrase[0], phrase[36]);
            assert!(all.iter().any(|passage| passage.start <= from && to < passage.end));
        }
    }

    #[test]
    fn scripts_without_spaces_are_split_between_characters() {
        let text = "ที่นี่".repeat(600);
        let passages = passages(&text);
        assert!(passages.len() > 5);
        for passage in passages {
            assert!(!matches!(Class::of(text[passage].chars().next().unwrap()), Class::Mark));
        }
    }

    #[test]
    fn the_number_of_passages_is_bounded() {
        let text = "a ".repeat(1 << 19);
        assert_eq!(passages(&text).len(), MAX_PASSAGES);
        let blob = "a".repeat(1 << 20);
        assert_eq!(passages(&blob), std::slice::from_ref(&(0..blob.len())));
        let marks = format!("a{}", "\u{301}".repeat(1 << 19));
        assert_eq!(passages(&marks).len(), 1);
    }
}
