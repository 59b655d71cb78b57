//! The terms of tokens, with what each counts in a question.

use std::borrow::Cow;

use rust_stemmers::Algorithm;

use crate::language::{ENGLISH, Language};
use crate::script::{Script, is_ideograph};
use crate::segment::is_regional;
use crate::term::{MAX_WORD_BYTES, Phrase, Term};
use crate::token::{Kind, Segments, Token};
use crate::{compound, stems};

/// What a guess counts beside the better term of a word: the English stem of a word of another language.
const GUESS: f64 = 0.25;
/// What the first letters of a word count.
const PREFIX: f64 = 0.5;
/// What an Arabic word counts beside its stem.
const BESIDE_STEM: f64 = 0.5;
/// How many letters those are. Words without more have no such term.
const PREFIX_LETTERS: usize = 6;
/// What the last letters of a stem count, where compounds are written as one word: the last part of one says
/// what it is.
const SUFFIX: f64 = 0.25;
/// How many letters those are. Stems with fewer have no such term.
const SUFFIX_LETTERS: usize = 6;
/// Of so many characters a run is a sentence, which may hold words of one character.
const SENTENCE_CHARACTERS: usize = 5;
/// How many digits of a hash are enough to name it.
const HASH_DIGITS: usize = 7;
/// Longer words are data, and their capital letters mean nothing.
const MAX_CAMEL_BYTES: usize = 96;

/// Whether terms are for a memory or for a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Memory,
    Question,
}

/// A term of a token.
pub(crate) struct Form {
    pub(crate) text: String,
    pub(crate) position: u32,
    /// What it counts in a question.
    pub(crate) weight: f64,
    /// Whether phrases compare it: one at each position is.
    pub(crate) is_own: bool,
}

/// Makes the terms of a text in a language.
pub(crate) struct Forms<'a> {
    pub(crate) segments: &'a Segments,
    pub(crate) language: Option<Language>,
    pub(crate) purpose: Purpose,
    /// Where they go.
    pub(crate) sink: &'a mut dyn FnMut(Form),
}

impl Forms<'_> {
    /// All terms, in the order of their positions. `is_left_out` says which tokens have none of their own.
    pub(crate) fn all(mut self, is_left_out: impl Fn(&Token) -> bool) {
        let segments = self.segments;
        for (at, token) in segments.tokens.iter().enumerate() {
            if !is_left_out(token) {
                match token.kind {
                    Kind::Word => self.word(token),
                    Kind::Run => self.run(token),
                    Kind::Symbol => self.symbol(token),
                }
            }
            for group in compound::groups(&segments.tokens, at) {
                self.whole(&segments.tokens[group]);
            }
        }
    }

    fn send(&mut self, text: impl Into<String>, position: u32, weight: f64, is_own: bool) {
        (self.sink)(Form { text: text.into(), position, weight, is_own });
    }

    fn word(&mut self, token: &Token) {
        let (text, at) = (self.segments.text(token), token.position);
        if token.is_signed {
            self.send(text, at, 1.0, true);
            let letters = text.trim_end_matches(['+', '#']);
            if letters.len() > 1 {
                self.send(stems::english(letters), at, GUESS, false);
            }
        } else if token.is_dotted && text.len() < MAX_WORD_BYTES {
            self.send(format!(".{text}"), at, 1.0, true);
            self.send(own(text, token), at, GUESS, false);
        } else if token.has_digits {
            self.send(text, at, 1.0, true);
        } else if let Some(word) = token.function_word {
            self.send(&word.own, at, 1.0, true);
        } else if !self.segments.cuts(token).is_empty() {
            self.send(own(text, token), at, 1.0, true);
        } else {
            self.of_language(text, token);
        }
        if is_hash(text) && (self.purpose == Purpose::Question || token.has_digits && token.has_letters) {
            self.send(format!("{}*", &text[..HASH_DIGITS]), at, 1.0, false);
        } else if text.len() <= MAX_CAMEL_BYTES {
            for part in compound::parts(text, self.segments.cuts(token)) {
                self.send(stems::english(part), at, 1.0, false);
            }
            // A question for `python3` means that, but one for `python` may mean `python3`.
            if token.has_digits
                && self.purpose == Purpose::Memory
                && let Some((letters, digits)) = compound::letters_and_digits(text)
            {
                self.send(stems::english(letters), at, 1.0, false);
                self.send(digits, at, 1.0, false);
            }
        }
    }

    /// The terms of a word of letters.
    fn of_language(&mut self, word: &str, token: &Token) {
        let at = token.position;
        let (own, accented) = (own(word, token), self.segments.accented(token));
        match (token.script, self.language) {
            (Script::Arabic, _) => {
                let stem = stems::arabic(word);
                let is_stem = stem == own;
                if !is_stem {
                    self.send(stem, at, 1.0, false);
                }
                self.send(own, at, if is_stem { 1.0 } else { BESIDE_STEM }, true);
            }
            (Script::Latin, Some(language)) if language != ENGLISH => {
                let better = match language.stemmer() {
                    Some(algorithm) => stems::of_language(accented, algorithm),
                    None if language.is_tonal() && accented.len() <= MAX_WORD_BYTES => {
                        Cow::Borrowed(accented)
                    }
                    None => Cow::Borrowed(&*own),
                };
                if language.joins_words() {
                    self.suffix(&better, at);
                }
                let is_better = better == own;
                if !is_better {
                    self.send(better, at, 1.0, false);
                }
                self.send(own, at, if is_better { 1.0 } else { GUESS }, true);
                self.prefix(word, at, PREFIX);
            }
            (Script::Latin, None) if self.purpose == Purpose::Question => {
                self.send(own, at, 1.0, true);
                self.prefix(word, at, GUESS);
            }
            _ => self.send(own, at, 1.0, true),
        }
    }

    fn prefix(&mut self, word: &str, position: u32, weight: f64) {
        if let Some((end, _)) = word.char_indices().nth(PREFIX_LETTERS) {
            self.send(format!("{}*", &word[..end]), position, weight, false);
        }
    }

    fn suffix(&mut self, stem: &str, position: u32) {
        if let Some((start, _)) = stem.char_indices().nth_back(SUFFIX_LETTERS - 1) {
            self.send(format!("*{}", &stem[start..]), position, SUFFIX, false);
        }
    }

    /// Pairs of characters and single ones.
    fn run(&mut self, token: &Token) {
        let (text, cuts) = (self.segments.text(token), self.segments.cuts(token));
        let edge = |n: usize| if n == 0 { 0 } else { cuts.get(n - 1).copied().unwrap_or(text.len()) };
        let has_ideograph = |n: usize| n <= cuts.len() && text[edge(n)..].starts_with(is_ideograph);
        for (n, position) in (0..=cuts.len()).zip(token.position..) {
            if n < cuts.len() {
                self.send(&text[edge(n)..edge(n + 2)], position, 1.0, true);
            }
            let weight = match self.purpose {
                Purpose::Question if !cuts.is_empty() => {
                    let has_neighbour = n > 0 && has_ideograph(n - 1) || has_ideograph(n + 1);
                    let is_asked = cuts.len() + 1 >= SENTENCE_CHARACTERS || !has_neighbour;
                    if has_ideograph(n) && is_asked { GUESS } else { continue }
                }
                _ => 1.0,
            };
            self.send(&text[edge(n)..edge(n + 1)], position, weight, cuts.is_empty());
        }
    }

    /// An emoji and, if something modifies it, the emoji without that.
    fn symbol(&mut self, token: &Token) {
        let text = self.segments.text(token);
        self.send(text, token.position, 1.0, true);
        if let Some(end) = self.segments.cuts(token).first()
            && !text.starts_with(is_regional)
        {
            self.send(&text[..*end], token.position, GUESS, false);
        }
    }

    /// The term of words that are written as one.
    fn whole(&mut self, tokens: &[Token]) {
        let Some((text, token)) = compound::whole(tokens, |token| self.segments.text(token)) else { return };
        if token.has_digits {
            if text.starts_with('v') && text[1..].starts_with(|c: char| c.is_ascii_digit()) {
                self.send(&text[1..], token.position, 1.0, false);
            }
            self.send(text, token.position, 1.0, false);
        } else {
            self.send(own(&text, &token), token.position, 1.0, false);
        }
    }
}

/// The term by which phrases compare a word of letters.
fn own<'w>(word: &'w str, token: &Token) -> Cow<'w, str> {
    match token.script {
        Script::Latin => stems::english(word),
        Script::Greek => stems::stem(word, Algorithm::Greek),
        Script::Cyrillic => stems::stem(word, Algorithm::Russian),
        Script::Tamil => stems::stem(word, Algorithm::Tamil),
        _ => Cow::Borrowed(word),
    }
}

/// The phrase of a text, if it has a word that every memory is indexed by. Stop words are not, in English.
pub(crate) fn phrase(segments: &Segments) -> Option<Phrase> {
    let mut terms = Vec::new();
    let mut sink = |form: Form| {
        if form.is_own {
            terms.push(Term { text: form.text, position: form.position });
        }
    };
    let forms = Forms { segments, language: Some(ENGLISH), purpose: Purpose::Question, sink: &mut sink };
    forms.all(Token::is_stop_word);
    let is_single = compound::groups(&segments.tokens, 0).last() == Some(0..segments.tokens.len());
    let whole = is_single.then(|| compound::whole(&segments.tokens, |token| segments.text(token))).flatten();
    let whole =
        whole.map(|(text, token)| if token.has_digits { text } else { own(&text, &token).into_owned() });
    if terms.is_empty() {
        let text = whole?;
        return Some(Phrase { terms: vec![Term { text, position: 1 }], whole: None });
    }
    Some(Phrase { terms, whole })
}

fn is_hash(word: &str) -> bool {
    word.len() >= HASH_DIGITS && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}
