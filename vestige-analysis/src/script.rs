//! What a character is to a word.

use unicode_normalization::char::is_combining_mark;

/// The scripts that are treated in ways of their own (UAX #24).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    Latin,
    Greek,
    Cyrillic,
    Hebrew,
    Arabic,
    Tamil,
    Other,
    /// Ideographs, kana and bopomofo.
    Han,
    Hangul,
    Thai,
    Lao,
    Khmer,
    Myanmar,
}

impl Script {
    /// Whether words have spaces between them that a reader relies on.
    pub(crate) fn has_spaces(self) -> bool {
        use Script::*;
        !matches!(self, Han | Hangul | Thai | Lao | Khmer | Myanmar)
    }

    /// Whether a word is the same without its combining marks.
    pub(crate) fn drops_marks(self) -> bool {
        use Script::*;
        matches!(self, Latin | Greek | Cyrillic | Hebrew | Arabic)
    }

    /// Whether letters of both stand in one word: `μm` and `Δt` do.
    pub(crate) fn joins(self, other: Self) -> bool {
        use Script::*;
        self == other || matches!((self, other), (Latin, Greek) | (Greek, Latin))
    }

    fn of_letter(letter: char) -> Self {
        use Script::*;
        match u32::from(letter) {
            0..=0x24f | 0x250..=0x2af | 0x1d00..=0x1dbf | 0x1e00..=0x1eff => Latin,
            0x2c60..=0x2c7f | 0xa720..=0xa7ff | 0xab30..=0xab6f => Latin,
            0x370..=0x3ff | 0x1f00..=0x1fff => Greek,
            0x400..=0x52f | 0x1c80..=0x1c8f | 0xa640..=0xa69f => Cyrillic,
            0x590..=0x5ff => Hebrew,
            0x600..=0x6ff | 0x750..=0x77f | 0x870..=0x8ff => Arabic,
            0xb80..=0xbff => Tamil,
            0xe00..=0xe7f => Thai,
            0xe80..=0xeff => Lao,
            0x1000..=0x109f | 0xa9e0..=0xa9ff | 0xaa60..=0xaa7f => Myanmar,
            0x1780..=0x17ff => Khmer,
            0x1100..=0x11ff | 0xa960..=0xa97f | 0xac00..=0xd7ff => Hangul,
            0x2e80..=0x31ff | 0x3400..=0x9fff | 0xf900..=0xfaff | 0x1aff0..=0x1b16f | 0x20000..=0x3ffff => {
                Han
            }
            _ => Other,
        }
    }
}

/// What a character is to a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Letter(Script),
    /// A decimal digit of any script, as the ASCII digit.
    Digit(char),
    /// A combining mark: part of the letter before it.
    Mark,
    /// Inside a word it is as if it were not there.
    Nothing,
    /// A term of its own, such as an emoji.
    Symbol,
    /// It ends a word.
    Between,
}

impl Class {
    pub(crate) fn of(c: char) -> Self {
        match c {
            'a'..='z' | 'A'..='Z' => Self::Letter(Script::Latin),
            '0'..='9' => Self::Digit(c),
            '\0'..='\x7f' => Self::Between,
            // Letters that texts are full of; the tables of Unicode need not be asked.
            'À'..='Ö' | 'Ø'..='ö' | 'ø'..='ž' | 'ạ'..='ỹ' => Self::Letter(Script::Latin),
            'а'..='я' | 'А'..='Я' => Self::Letter(Script::Cyrillic),
            'ا'..='غ' | 'ف'..='ي' => Self::Letter(Script::Arabic),
            '\u{4e00}'..='\u{9fff}' | 'ぁ'..='ゖ' | 'ァ'..='ヺ' | 'ー' => Self::Letter(Script::Han),
            '가'..='힣' => Self::Letter(Script::Hangul),
            'ก'..='ฮ' | 'เ'..='ๅ' => Self::Letter(Script::Thai),
            _ if is_ignorable(c) => Self::Nothing,
            _ if is_symbol(c) => Self::Symbol,
            _ if is_combining_mark(c) => Self::Mark,
            // Apostrophes and the like that count as letters.
            '\u{2b0}'..='\u{2ff}' => Self::Between,
            _ if c.is_alphabetic() => Self::Letter(Script::of_letter(c)),
            _ if c.is_numeric() => decimal(c).map_or(Self::Letter(Script::of_letter(c)), Self::Digit),
            _ => Self::Between,
        }
    }
}

/// Default_Ignorable_Code_Point of Unicode, the tatweel, which only makes a word longer, and the marks of
/// Hebrew abbreviations.
fn is_ignorable(c: char) -> bool {
    matches!(
        u32::from(c),
        0xad | 0x34f | 0x5f3 | 0x5f4 | 0x61c | 0x640 | 0x115f | 0x1160 | 0x17b4 | 0x17b5 | 0x180b..=0x180f
            | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0
            | 0xfff0..=0xfff8 | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff
    )
}

/// Emoji, and signs that people look for or that are written for words. Arrows, lines, boxes and bullets are
/// punctuation.
pub(crate) fn is_symbol(c: char) -> bool {
    matches!(
        u32::from(c),
        0xa2..=0xa5 | 0xa7 | 0xa9 | 0xae | 0xb1 | 0xd7 | 0xf7 | 0x203c | 0x2049 | 0x20a0..=0x20c0
            | 0x2100..=0x214f | 0x2200..=0x23ff | 0x2600..=0x2767 | 0x2795..=0x2797 | 0x2934 | 0x2935
            | 0x2b1b | 0x2b1c | 0x2b50 | 0x2b55 | 0x2e80..=0x2fdf | 0x303d | 0x3200..=0x33ff
            | 0x1f000..=0x1faff
    )
}

/// One of the ideographs, each of which may be a word.
pub(crate) fn is_ideograph(c: char) -> bool {
    let code = u32::from(c);
    matches!(code, 0x3005..=0x3007 | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}

/// Joins the next letter to the one before it: the coeng of Khmer and the virama of Myanmar.
pub(crate) fn stacks(mark: char) -> bool {
    matches!(mark, '\u{17d2}' | '\u{1039}')
}

/// The digit that a decimal digit (category Nd) is. Those that NFKC changes are not here.
fn decimal(c: char) -> Option<char> {
    let code = u32::from(c);
    let zero = ZEROS[..ZEROS.partition_point(|zero| *zero <= code)].last()?;
    char::from_digit(code - zero, 10)
}

/// The zeros of all scripts. The other nine digits follow them.
#[rustfmt::skip]
const ZEROS: [u32; 63] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50,
    0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40,
    0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0x104a0, 0x10d30, 0x10d40, 0x11066,
    0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950,
    0x11bf0, 0x11c50, 0x11d50, 0x11da0, 0x11f50, 0x16a60, 0x16ac0, 0x16b50, 0x16d70, 0x1e140, 0x1e2f0,
    0x1e4f0, 0x1e950,
];
