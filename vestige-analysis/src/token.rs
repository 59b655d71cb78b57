//! Words, runs of scripts without spaces, and symbols.

use std::ops::Range;

use crate::language::{Evidence, FunctionWord};
use crate::script::Script;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Letters and digits between spaces or punctuation.
    Word,
    /// Characters of a script without spaces.
    Run,
    /// An emoji or another sign, with what modifies it.
    Symbol,
}

/// What stands between two words that are written as one, from the tightest to the loosest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Joint {
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
    pub(crate) fn of(gap: &str) -> Self {
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
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) script: Script,
    /// Where its folded text stands.
    pub(crate) text: Range<usize>,
    /// Where its text in lower case stands, if that is another.
    pub(crate) accented: Range<usize>,
    /// Where its parts begin behind the first, among the cuts of all.
    pub(crate) cuts: Range<usize>,
    /// How it hangs together with the token before it.
    pub(crate) joint: Joint,
    /// The position of its first term.
    pub(crate) position: u32,
    pub(crate) is_capital: bool,
    pub(crate) has_letters: bool,
    pub(crate) has_digits: bool,
    /// Whether a dot stands in front of it, as in `.NET`.
    pub(crate) is_dotted: bool,
    /// Whether it ends in symbols, as `C++` does.
    pub(crate) is_signed: bool,
    /// What is known of it, if it is a function word.
    pub(crate) function_word: Option<&'static FunctionWord>,
}

/// The tokens of a text.
#[derive(Default)]
pub(crate) struct Segments {
    pub(crate) tokens: Vec<Token>,
    pub(crate) evidence: Evidence,
    /// The texts of the tokens, one after the other.
    pub(crate) folded: String,
    pub(crate) accented: String,
    pub(crate) cuts: Vec<usize>,
}

impl Token {
    /// Whether it is a stop word of English.
    pub(crate) fn is_stop_word(&self) -> bool {
        self.function_word.is_some_and(FunctionWord::is_stop_word)
    }
}

impl Segments {
    /// The folded text of a token.
    pub(crate) fn text(&self, token: &Token) -> &str {
        &self.folded[token.text.clone()]
    }

    /// The text of a token in lower case, with its accents.
    pub(crate) fn accented(&self, token: &Token) -> &str {
        if token.accented.is_empty() { self.text(token) } else { &self.accented[token.accented.clone()] }
    }

    /// Where its parts begin behind the first, in bytes of its text: those of camel case, the characters of a
    /// run, and what modifies a symbol.
    pub(crate) fn cuts(&self, token: &Token) -> &[usize] {
        &self.cuts[token.cuts.clone()]
    }
}
