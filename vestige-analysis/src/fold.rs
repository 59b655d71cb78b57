//! One form for all spellings of a character.
//!
//! NFKC (UAX #15), then lower case with the full foldings that matter (ß, İ), letters without a
//! decomposition, and no accents. What vanishes inside a word is left to [`script`](crate::script).

use std::borrow::Cow;

use unicode_normalization::char::{decompose_canonical, is_combining_mark};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

use crate::limits::MAX_INDEXED_CHARS;
use crate::script::{Class, Script};

/// The NFKC of the first [`MAX_INDEXED_CHARS`] characters, and as many of it: one may become eighteen.
pub(crate) fn normalized(text: &str) -> Cow<'_, str> {
    let text = first_chars(text, MAX_INDEXED_CHARS);
    if text.is_ascii() || is_nfkc_quick(text.chars().filter(|c| !is_inert(*c))) == IsNormalized::Yes {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.nfkc().take(MAX_INDEXED_CHARS).collect())
}

/// Whether NFKC leaves a character alone, whatever stands before it. True of the letters that texts are full
/// of: the tables of Unicode need not be asked.
pub(crate) fn is_inert(c: char) -> bool {
    matches!(
        u32::from(c),
        0..=0x9f | 0xc0..=0x131 | 0x400..=0x482 | 0x48a..=0x52f | 0x5d0..=0x5ea | 0x60c | 0x61f
            | 0x621..=0x64a | 0x904..=0x928 | 0xe01..=0xe32 | 0x2018..=0x201f | 0x4e00..=0x9fff
            | 0xac00..=0xd7a3
    )
}

/// The first characters of a text.
pub(crate) fn first_chars(text: &str, count: usize) -> &str {
    if text.len() <= count {
        return text;
    }
    text.char_indices().nth(count).map_or(text, |(end, _)| &text[..end])
}

/// Appends the folded letter of a script.
pub(crate) fn push_folded(folded: &mut String, letter: char, script: Script) {
    if letter.is_ascii() {
        folded.push(letter.to_ascii_lowercase());
        return;
    }
    for lower in letter.to_lowercase() {
        match lower {
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'þ' => folded.push_str("th"),
            'ı' | 'ɨ' => folded.push('i'),
            'ł' => folded.push('l'),
            'ø' => folded.push('o'),
            'đ' | 'ð' | 'ɗ' => folded.push('d'),
            'ħ' => folded.push('h'),
            'ŧ' => folded.push('t'),
            'ɓ' => folded.push('b'),
            'ƙ' => folded.push('k'),
            'ς' => folded.push('σ'),
            // Two keyboards for one letter: of Arabic and of Persian.
            'ى' | 'ی' => folded.push('ي'),
            'ک' => folded.push('ك'),
            'ٱ' => folded.push('ا'),
            'й' | 'ў' | 'ї' => folded.push(lower),
            _ if script.drops_marks() => decompose_canonical(lower, |part| {
                if !is_combining_mark(part) {
                    folded.push(part);
                }
            }),
            _ => folded.push(lower),
        }
    }
}

/// A word of a list, folded by itself.
pub(crate) fn folded(word: &str) -> String {
    let mut folded = String::with_capacity(word.len());
    let mut script = Script::Latin;
    for c in word.chars() {
        match Class::of(c) {
            Class::Letter(of_letter) => {
                script = of_letter;
                push_folded(&mut folded, c, script);
            }
            Class::Mark if !script.drops_marks() => folded.push(c),
            _ => {}
        }
    }
    folded
}
