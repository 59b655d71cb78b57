//! Words of several parts, as code has them.

use std::ops::Range;

use crate::language::FunctionWord;
use crate::term::MAX_WORD_BYTES;
use crate::token::{Joint, Token};

/// So many letters beside digits are a part of their own: those of `python3`, not those of `v2` and `16gb`.
const MIN_LETTERS: usize = 3;

/// The groups of tokens that are written as one from this one on, the tightest first: of `a-b.c/d` those
/// of `a-b`, `a-b.c` and all.
pub(crate) fn groups(tokens: &[Token], first: usize) -> impl Iterator<Item = Range<usize>> {
    use Joint::*;
    let joined = |at: usize| tokens.get(at).map_or(Apart, |token| token.joint);
    let before = joined(first);
    let levels: &[Joint] =
        if joined(first + 1) == Apart { &[] } else { &[Underscore, Hyphen, Dot, Slash, Colon] };
    let mut end = first + 1;
    levels.iter().filter(move |level| before == Apart || before > **level).filter_map(move |level| {
        let known = end;
        while joined(end) != Apart && joined(end) <= *level {
            end += 1;
        }
        (end > known).then_some(first..end)
    })
}

/// What tokens are together: their text, and the first of them as if it were all, in the script of the last.
///
/// A sign between digits stays a dot: 1.23 is not 12.3, and 2026-11-30 is 2026/11/30.
pub(crate) fn whole<'a>(tokens: &[Token], text: impl Fn(&Token) -> &'a str) -> Option<(String, Token)> {
    let (first, last) = (tokens.first()?, tokens.last()?);
    let bytes: usize = tokens.iter().map(|token| text(token).len() + 1).sum();
    if bytes > MAX_WORD_BYTES {
        return None;
    }
    let mut whole = String::with_capacity(bytes);
    for token in tokens {
        let text = text(token);
        let is_between_digits = whole.ends_with(is_digit) && text.starts_with(is_digit);
        if is_between_digits && token.joint > Joint::Underscore {
            whole.push('.');
        }
        whole.push_str(text);
    }
    let has_digits = tokens.iter().any(|token| token.has_digits || token.is_signed);
    Some((whole, Token { script: last.script, has_digits, ..first.clone() }))
}

/// The parts of a word in camel case.
pub(crate) fn parts<'w>(word: &'w str, cuts: &[usize]) -> impl Iterator<Item = &'w str> {
    let mut from = 0;
    let ends = cuts.iter().copied().chain((!cuts.is_empty()).then_some(word.len()));
    let parts = ends.map(move |to| &word[std::mem::replace(&mut from, to)..to]);
    parts.filter(|part| part.len() > 1 && !FunctionWord::find(part).is_some_and(FunctionWord::is_stop_word))
}

/// The letters and the digits of a word that has some of each in a row, as `python3` has.
pub(crate) fn letters_and_digits(word: &str) -> Option<(&str, &str)> {
    let (one, other) = if word.starts_with(is_digit) {
        let (digits, letters) = word.split_at(word.find(|c| !is_digit(c))?);
        (letters, digits)
    } else {
        word.split_at(word.find(is_digit)?)
    };
    let is_pair = !one.contains(is_digit) && other.chars().all(is_digit);
    (is_pair && one.chars().count() >= MIN_LETTERS).then_some((one, other))
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}
