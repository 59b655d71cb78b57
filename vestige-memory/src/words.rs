//! The words of a text, in every script, as near duplicates are compared by.
//!
//! The keyword index has an analysis of its own, with stems, parts of words and code words. This one leaves
//! out nothing that may change what is said: small words, numbers, symbols.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// How the script of a word separates words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spacing {
    /// By spaces, and words are made of letters. Symbols count as such words.
    Letters,
    /// By spaces, and words are made of syllables: Hangul.
    Syllables,
    /// Not at all: Han, kana, Thai, Lao, Khmer, Myanmar.
    None,
}

/// A run of letters, marks and digits of one spacing, or a symbol.
#[derive(Clone, Debug)]
pub(crate) struct Word<'a> {
    /// As it stands in the text.
    pub(crate) text: &'a str,
    /// Where it begins in the text, in bytes.
    pub(crate) start: usize,
    /// What it is compared by: NFKC in lower case, without characters that have no appearance.
    pub(crate) folded: Cow<'a, str>,
    pub(crate) spacing: Spacing,
}

/// The words of a text, in order.
pub(crate) fn words(text: &str) -> impl Iterator<Item = Word<'_>> {
    let mut chars = text.char_indices().peekable();
    let mut before = None;
    std::iter::from_fn(move || {
        loop {
            let (start, c) = chars.next()?;
            let after = chars.peek().map(|&(_, c)| c);
            let previous = before.replace(c);
            let mut end = start + c.len_utf8();
            let spacing = match kind(c) {
                // A mark that belongs to a symbol or to nothing.
                Kind::Mark | Kind::Ignored | Kind::Gap if !negates(previous, c, after) => continue,
                Kind::Letter(spacing) => {
                    let same = |c: char| match kind(c) {
                        Kind::Letter(other) => other == spacing,
                        Kind::Mark | Kind::Ignored => true,
                        Kind::Symbol | Kind::Gap => false,
                    };
                    while let Some((at, c)) = chars.next_if(|&(_, c)| same(c)) {
                        end = at + c.len_utf8();
                        before = Some(c);
                    }
                    spacing
                }
                _ => Spacing::Letters,
            };
            let text = &text[start..end];
            return Some(Word { text, start, folded: folded(text), spacing });
        }
    })
}

/// The words of a text, those without spaces between them cut into characters.
pub(crate) fn parts(text: &str) -> Vec<Word<'_>> {
    let mut parts = Vec::new();
    for word in words(text) {
        if word.spacing != Spacing::None {
            parts.push(word);
            continue;
        }
        for (at, c) in word.text.char_indices() {
            let text = &word.text[at..at + c.len_utf8()];
            parts.push(Word { text, start: word.start + at, folded: folded(text), spacing: word.spacing });
        }
    }
    parts
}

enum Kind {
    Letter(Spacing),
    /// Belongs to what stands before it.
    Mark,
    Symbol,
    /// Has no appearance, such as a soft hyphen.
    Ignored,
    /// Separates words: spaces and punctuation.
    Gap,
}

fn kind(c: char) -> Kind {
    if c.is_ascii() {
        return match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' => Kind::Letter(Spacing::Letters),
            // As in C++, C#, 5 %, a < b. The others quote, emphasise or separate.
            '#' | '$' | '%' | '&' | '+' | '<' | '=' | '>' | '@' | '^' | '|' | '~' => Kind::Symbol,
            _ => Kind::Gap,
        };
    }
    match c.general_category() {
        GeneralCategory::Format => return Kind::Ignored,
        GeneralCategory::Control => return Kind::Gap,
        _ => {}
    }
    match c.general_category_group() {
        GeneralCategoryGroup::Letter | GeneralCategoryGroup::Number => Kind::Letter(spacing(c)),
        GeneralCategoryGroup::Mark => Kind::Mark,
        GeneralCategoryGroup::Symbol | GeneralCategoryGroup::Other => Kind::Symbol,
        GeneralCategoryGroup::Punctuation | GeneralCategoryGroup::Separator => Kind::Gap,
    }
}

fn spacing(c: char) -> Spacing {
    match u32::from(c) {
        0x1100..=0x11FF | 0x3130..=0x318F | 0xA960..=0xA97F | 0xAC00..=0xD7FF => Spacing::Syllables,
        // Thai and Lao, Myanmar, Khmer; then Han and kana with their radicals, extensions and other forms.
        0x0E00..=0x0EFF
        | 0x1000..=0x109F
        | 0x1780..=0x17FF
        | 0x2E80..=0x312F
        | 0x31A0..=0x9FFF
        | 0xAA60..=0xAA7F
        | 0xF900..=0xFAFF
        | 0xFF66..=0xFF9F
        | 0x20000..=0x3FFFF => Spacing::None,
        _ => Spacing::Letters,
    }
}

/// Whether a minus or an exclamation mark stands before what it negates, as in `-5`, `!ready` and `!=`.
fn negates(before: Option<char>, c: char, after: Option<char>) -> bool {
    let joined = before.is_some_and(char::is_alphanumeric);
    match (c, after) {
        ('-', Some(after)) => !joined && after.is_alphanumeric(),
        ('!', Some(after)) => after == '=' || !joined && after.is_alphanumeric(),
        _ => false,
    }
}

fn folded(word: &str) -> Cow<'_, str> {
    if !word.is_ascii() {
        let visible = word.chars().filter(|&c| !matches!(kind(c), Kind::Ignored));
        let lower = visible.nfkc().flat_map(char::to_lowercase);
        return lower.map(|c| if c == 'ς' { 'σ' } else { c }).collect();
    }
    if word.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return word.to_ascii_lowercase().into();
    }
    word.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded_words(text: &str) -> Vec<String> {
        words(text).map(|word| word.folded.into_owned()).collect()
    }

    #[test]
    fn words_are_runs_of_letters_marks_and_digits() {
        assert_eq!(folded_words("The CAFÉ's e\u{301}t\u{ad}é, v1.2"), ["the", "café", "s", "été", "v1", "2"]);
        assert_eq!(folded_words("हिन्दी में शुक्रवार।"), ["हिन्दी", "में", "शुक्रवार"]);
        assert_eq!(folded_words("ＡＢＣ ΣΊΣΥΦΟΣ ς"), ["abc", "σίσυφοσ", "σ"]);
        assert!(folded_words(" …—\u{200b}!?\u{301}").is_empty());
    }

    #[test]
    fn a_change_of_script_ends_a_word_where_one_has_no_spaces() {
        assert_eq!(folded_words("重跑gen后清零 서버2"), ["重跑", "gen", "后清零", "서버", "2"]);
        assert_eq!(
            parts("不允许 x").iter().map(|part| part.text).collect::<Vec<_>>(),
            ["不", "允", "许", "x"]
        );
    }

    #[test]
    fn symbols_are_words_and_punctuation_is_none() {
        assert_eq!(folded_words("C++, (C#); 5 % **bold**"), ["c", "+", "+", "c", "#", "5", "%", "bold"]);
        assert_eq!(folded_words("🎉❤\u{fe0f} ok"), ["🎉", "❤", "ok"]);
    }

    #[test]
    fn a_sign_that_negates_is_a_word() {
        assert_eq!(
            folded_words("-5 a-b - c !ready x != y wow! (-1)"),
            ["-", "5", "a", "b", "c", "!", "ready", "x", "!", "=", "y", "wow", "-", "1"]
        );
    }
}
