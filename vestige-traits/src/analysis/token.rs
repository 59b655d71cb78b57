//! Words, runs of scripts without spaces, and symbols.

use std::ops::Range;

use super::language::{Evidence, FunctionWord};
use super::script::Script;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Letters and digits between spaces or punctuation.
    Word,
    /// Characters of a script without spaces.
    Run,
    /// An emoji or another sign, with what modifies it.
    Symbol,
}

/// What stands between two words that are written as one, from the tightest to the loosest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Joint {
    /// They are apart.
    #[default]
    Apart,
    /// `_`, the zero width non-joiner of Persian, or nothing, as in `C++17`.
    Underscore,
    Hyphen,
    Dot,
    Slash,
    /// `:`, `::`, `://` and `@`.
    Colon,
}

impl Joint {
    /// What a text between two words is.
    pub(super) fn of(gap: &str) -> Self {
        match gap {
            "_" | "__" | "___" | "\u{200c}" => Self::Underscore,
            "-" | "\u{2010}" => Self::Hyphen,
            "." => Self::Dot,
            "/" | "\\" | "/." => Self::Slash,
            ":" | "::" | "://" | "@" => Self::Colon,
            _ => Self::Apart,
        }
    }
}

/// A word, run or symbol.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) script: Script,
    /// Where its folded text stands.
    pub(super) text: Range<usize>,
    /// Where its text in lower case stands, if that is another.
    pub(super) accented: Range<usize>,
    /// Where its parts begin behind the first, among the cuts of all.
    pub(super) cuts: Range<usize>,
    /// How it hangs together with the token before it.
    pub(super) joint: Joint,
    /// The position of its first term.
    pub(super) position: u32,
    pub(super) is_capital: bool,
    pub(super) has_letters: bool,
    pub(super) has_digits: bool,
    /// Whether a dot stands in front of it, as in `.NET`.
    pub(super) is_dotted: bool,
    /// Whether it ends in symbols, as `C++` does.
    pub(super) is_signed: bool,
    /// What is known of it, if it is a function word.
    pub(super) function_word: Option<&'static FunctionWord>,
}

/// The tokens of a text.
#[derive(Default)]
pub(super) struct Segments {
    pub(super) tokens: Vec<Token>,
    pub(super) evidence: Evidence,
    /// The texts of the tokens, one after the other.
    pub(super) folded: String,
    pub(super) accented: String,
    pub(super) cuts: Vec<usize>,
}

impl Token {
    /// Whether it is a stop word of English.
    pub(super) fn is_stop_word(&self) -> bool {
        self.function_word.is_some_and(FunctionWord::is_stop_word)
    }
}

impl Segments {
    /// The folded text of a token.
    pub(super) fn text(&self, token: &Token) -> &str {
        &self.folded[token.text.clone()]
    }

    /// The text of a token in lower case, with its accents.
    pub(super) fn accented(&self, token: &Token) -> &str {
        if token.accented.is_empty() { self.text(token) } else { &self.accented[token.accented.clone()] }
    }

    /// Where its parts begin behind the first, in bytes of its text: those of camel case, the characters of a
    /// run, and what modifies a symbol.
    pub(super) fn cuts(&self, token: &Token) -> &[usize] {
        &self.cuts[token.cuts.clone()]
    }
}
