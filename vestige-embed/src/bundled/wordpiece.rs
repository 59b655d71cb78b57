//! BERT's uncased WordPiece: token ids, and which of them are single characters.
//!
//! The `tokenizers` crate would do, and this crate's tests hold this module to
//! its answers; but it brings some sixty crates, takes tens of milliseconds to open,
//! and builds offsets, masks and strings that nothing here reads.
//!
//! The algorithm is that of the BERT paper's reference (Devlin et al. 2019,
//! `BasicTokenizer` and `WordpieceTokenizer`): clean, set CJK ideographs apart, strip
//! accents, lowercase, split at whitespace and around punctuation; then cut
//! each word greedily into the longest known pieces. Texts like `[SEP]` are words
//! and brackets here, never special tokens.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// Longer words are unknown, as in BERT.
const MAX_WORD_CHARS: usize = 100;
/// What marks a piece that continues a word, in the vocabulary's file.
const CONTINUATION: &str = "##";

/// A part of a text, as the vocabulary knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A piece of the vocabulary.
    Piece {
        id: u32,
        /// It is one character: the last resort for a word that the vocabulary does not know.
        single: bool,
    },
    /// A word that cannot be cut into pieces. It has at least one letter or digit.
    Unknown,
}

/// A vocabulary, ready to cut words with.
pub(super) struct WordPiece<'a> {
    /// Pieces that begin a word.
    initial: Pieces<'a>,
    /// Pieces that continue one, without their mark.
    continuing: Pieces<'a>,
}

struct Pieces<'a> {
    ids: HashMap<&'a str, u32, BuildHasherDefault<Fnv1a>>,
    longest: usize,
}

impl<'a> WordPiece<'a> {
    /// A vocabulary of one token per line; a token's id is its line, from 0.
    pub(super) fn new(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut wordpiece =
            Self { initial: Pieces::with_capacity(26_000), continuing: Pieces::with_capacity(6_000) };
        for (token, id) in lines.zip(0..) {
            match token.strip_prefix(CONTINUATION) {
                Some(piece) if !piece.is_empty() => wordpiece.continuing.insert(piece, id),
                _ => wordpiece.initial.insert(token, id),
            }
        }
        wordpiece
    }

    /// Calls `token` with every token of the text, in order.
    pub(super) fn for_each_token(&self, text: &str, mut token: impl FnMut(Token)) {
        self.for_each_word(text, |pieces| pieces.iter().copied().for_each(&mut token));
    }

    /// Calls `word` with the tokens of every word of the text, in order. No word is without tokens.
    pub(super) fn for_each_word(&self, text: &str, word: impl FnMut(&[Token])) {
        let classes = &Classes::default();
        let mut words =
            Words { wordpiece: self, classes, word: String::new(), chars: 0, pieces: Vec::new(), sink: word };
        if text.is_ascii() {
            for byte in text.bytes() {
                match byte {
                    b'\t' | b'\n' | b'\r' => words.end(),
                    0..=31 | 127 => {}
                    _ => words.push(byte.to_ascii_lowercase().into()),
                }
            }
        } else {
            let spaced = text.chars().filter(|&c| classes.of(c) != Class::Dropped).flat_map(|c| {
                let gap = is_ideograph(c).then_some(' ');
                gap.into_iter().chain([c]).chain(gap)
            });
            let bare = spaced.nfd().filter(|&c| classes.of(c) != Class::Mark);
            bare.flat_map(char::to_lowercase).for_each(|c| words.push(c));
        }
        words.end();
    }
}

/// Cuts a stream of characters into words, and the words into pieces.
struct Words<'a, F> {
    wordpiece: &'a WordPiece<'a>,
    classes: &'a Classes,
    word: String,
    chars: usize,
    pieces: Vec<Token>,
    /// Takes the tokens of each word.
    sink: F,
}

impl<F: FnMut(&[Token])> Words<'_, F> {
    fn push(&mut self, c: char) {
        if c.is_whitespace() {
            self.end();
        } else if self.classes.of(c) == Class::Punctuation {
            self.end();
            self.append(c);
            self.end();
        } else {
            self.append(c);
        }
    }

    fn append(&mut self, c: char) {
        self.chars += 1;
        if self.chars <= MAX_WORD_CHARS {
            self.word.push(c);
        }
    }

    fn end(&mut self) {
        if self.chars <= MAX_WORD_CHARS && self.cut() {
            if !self.pieces.is_empty() {
                (self.sink)(&self.pieces);
            }
        } else if self.word.contains(char::is_alphanumeric) {
            (self.sink)(&[Token::Unknown]);
        }
        self.word.clear();
        self.chars = 0;
    }

    /// Puts the pieces of the word into `pieces`. False if a part of it is unknown, which makes all of it
    /// unknown.
    fn cut(&mut self) -> bool {
        self.pieces.clear();
        let mut rest = self.word.as_str();
        let mut pieces = &self.wordpiece.initial;
        while !rest.is_empty() {
            let Some((id, length)) = pieces.longest_prefix(rest) else { return false };
            let single = rest.chars().next().is_some_and(|first| first.len_utf8() == length);
            self.pieces.push(Token::Piece { id, single });
            rest = &rest[length..];
            pieces = &self.wordpiece.continuing;
        }
        true
    }
}

impl<'a> Pieces<'a> {
    fn with_capacity(capacity: usize) -> Self {
        Self { ids: HashMap::with_capacity_and_hasher(capacity, BuildHasherDefault::default()), longest: 0 }
    }

    fn insert(&mut self, piece: &'a str, id: u32) {
        self.longest = self.longest.max(piece.len());
        self.ids.insert(piece, id);
    }

    /// The longest piece that `word` begins with: its id and its length in bytes.
    fn longest_prefix(&self, word: &str) -> Option<(u32, usize)> {
        let mut prefix = &word[..word.floor_char_boundary(self.longest)];
        while !prefix.is_empty() {
            if let Some(&id) = self.ids.get(prefix) {
                return Some((id, prefix.len()));
            }
            prefix = &prefix[..prefix.floor_char_boundary(prefix.len() - 1)];
        }
        None
    }
}

/// FNV-1a, 64 bits. The vocabulary is fixed and its words are short: nothing to defend, and quick to open.
struct Fnv1a(u64);

impl Default for Fnv1a {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv1a {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What a character is to a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Dropped,
    Mark,
    Punctuation,
    Other,
}

impl Class {
    fn of(c: char) -> Self {
        match c {
            '\t' | '\n' | '\r' => return Self::Other,
            '\0' | '\u{fffd}' => return Self::Dropped,
            _ if c.is_ascii_punctuation() => return Self::Punctuation,
            // Symbols to Unicode are punctuation to BERT in ASCII alone.
            _ if c.is_ascii() => return if c.is_ascii_control() { Self::Dropped } else { Self::Other },
            _ => {}
        }
        match (c.general_category(), c.general_category_group()) {
            (GeneralCategory::NonspacingMark, _) => Self::Mark,
            (_, GeneralCategoryGroup::Other) => Self::Dropped,
            (_, GeneralCategoryGroup::Punctuation) => Self::Punctuation,
            _ => Self::Other,
        }
    }
}

/// The classes of the characters that were met last. A text has few different ones, and to look one up in the
/// tables of Unicode takes as long as the rest of what is done with it.
struct Classes([Cell<(char, Class)>; Self::SLOTS]);

impl Default for Classes {
    fn default() -> Self {
        Self([const { Cell::new(('\0', Class::Dropped)) }; Self::SLOTS])
    }
}

impl Classes {
    const SLOTS: usize = 256;

    fn of(&self, c: char) -> Class {
        let slot = &self.0[c as usize % Self::SLOTS];
        let (known, class) = slot.get();
        if known == c {
            return class;
        }
        let class = Class::of(c);
        slot.set((c, class));
        class
    }
}

/// The blocks that BERT sets apart: CJK ideographs, and neither kana nor hangul.
fn is_ideograph(c: char) -> bool {
    matches!(
        u32::from(c),
        0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x2A6DF
            | 0x2A700..=0x2B73F | 0x2B740..=0x2B81F | 0x2B920..=0x2CEAF | 0x2F800..=0x2FA1F
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::Tokenizer;
    use tokenizers::models::wordpiece;
    use tokenizers::normalizers::BertNormalizer;
    use tokenizers::pre_tokenizers::bert::BertPreTokenizer;

    use super::*;
    use crate::bundled::VOCABULARY;

    const UNKNOWN: u32 = 100;

    fn ours() -> WordPiece<'static> {
        WordPiece::new(VOCABULARY.lines())
    }

    fn ids(wordpiece: &WordPiece<'_>, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        wordpiece.for_each_token(text, |token| {
            if let Token::Piece { id, .. } = token {
                ids.push(id);
            }
        });
        ids
    }

    fn reference() -> Tokenizer {
        let vocabulary = concat!(env!("CARGO_MANIFEST_DIR"), "/models/vestige-static-256-v1/vocab.txt");
        let model =
            wordpiece::WordPiece::from_file(vocabulary).unk_token("[UNK]".to_owned()).build().unwrap();
        let mut tokenizer = Tokenizer::new(model);
        tokenizer.with_normalizer(Some(BertNormalizer::default())).unwrap();
        tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
        tokenizer
    }

    fn reference_ids(reference: &Tokenizer, text: &str) -> Vec<u32> {
        let encoding = reference.encode_fast(text, false).unwrap();
        encoding.get_ids().iter().copied().filter(|&id| id != UNKNOWN).collect()
    }

    #[test]
    fn words_are_cut_into_the_longest_pieces() {
        let tokens: Vec<&str> = VOCABULARY.lines().collect();
        let pieces: Vec<&str> = ids(&ours(), "Unaffable, naïve!")
            .into_iter()
            .map(|id| tokens[usize::try_from(id).unwrap()])
            .collect();
        assert_eq!(pieces, ["una", "##ffa", "##ble", ",", "naive", "!"]);
    }

    #[test]
    fn every_word_of_the_vocabulary_is_its_own_token_as_in_the_reference() {
        let (ours, reference) = (ours(), reference());
        for text in VOCABULARY.lines() {
            assert_eq!(ids(&ours, text), reference_ids(&reference, text), "{text:?}");
        }
    }

    #[test]
    fn prose_and_hostile_strings_give_the_tokens_of_the_reference() {
        let (ours, reference) = (ours(), reference());
        let long = "x".repeat(101) + " " + &"y".repeat(100);
        let texts = [
            include_str!("../../models/vestige-static-256-v1/MODEL_CARD.md"),
            include_str!("../../models/vestige-static-256-v1/LICENSE"),
            "",
            " \t\r\n\u{a0}\u{2028}\u{3000}",
            "[CLS] what [SEP] is [MASK] this[UNK]",
            "\0nul\0in\u{1}side\u{7f}\u{fffd}\u{feff}bom",
            "e\u{301}galite\u{301} Ångström İstanbul straße ﬁne ½ Ⅻ",
            "a\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}b",
            "你好世界 hello世界 한국어 ひらがな カタカナ",
            "مرحبا بالعالم שלום עולם \u{202e}reversed\u{202c}",
            "fam\u{200d}ily 👩‍👩‍👧 ok👍🏽 🇩🇪",
            "don't o'clock U.S.A. 3.14 C++ a_b-c/d\\e @x #y $5 50% 1,000",
            "“quotes” ‘single’ – dash — dash … · • ¿qué? ¡sí!",
            "ഇന്ത്യ हिन्दी ภาษาไทย ქართული ελληνικά Русский",
            &long,
        ];
        for text in texts {
            assert_eq!(ids(&ours, text), reference_ids(&reference, text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_mixture_gives_the_tokens_of_the_reference(
            text in "([a-zA-Z]{0,12}|[àéîõüßçñ]{1,3}|[0-9.,]{1,5}|[!-/:-@]{1,2}|[ \t\n]|[一-十]|[а-я]{1,5}|[\u{300}-\u{310}]){0,30}",
        ) {
            use std::sync::LazyLock;
            static OURS: LazyLock<WordPiece<'static>> = LazyLock::new(ours);
            static REFERENCE: LazyLock<Tokenizer> = LazyLock::new(reference);
            prop_assert_eq!(ids(&OURS, &text), reference_ids(&REFERENCE, &text));
        }
    }
}
