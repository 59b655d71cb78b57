//! Cuts a text into tokens and folds them, reading it once.

use unicode_normalization::char::is_combining_mark;

use crate::fold::{normalized, push_folded};
use crate::language::FunctionWord;
use crate::script::{Class, Script, stacks};
use crate::term::MAX_WORD_BYTES;
use crate::token::{Joint, Kind, Segments, Token};

/// The most marks that belong to one character. Further ones are left out: no script writes them.
const MAX_MARKS: usize = 8;
/// The most emoji in one sequence.
const MAX_JOINED_SYMBOLS: usize = 12;

/// The tokens of the first part of a text, in time linear in it.
pub(crate) fn segments(text: &str) -> Segments {
    let text = normalized(text);
    let segments = Segments { folded: String::with_capacity(text.len()), ..Segments::default() };
    Scanner::new(&text, segments).scan()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    None,
    Upper,
    Lower,
    Digit,
}

/// Reads a text once.
struct Scanner<'t> {
    text: &'t str,
    segments: Segments,
    open: Option<Token>,
    /// The position of the next token.
    position: u32,
    /// Where the last token ends in the text.
    end: usize,
    /// Whether that token is a word that was kept.
    follows_word: bool,
    /// How many marks the last character has.
    marks: usize,
    /// The case of the last two characters of the word, and where the last begins.
    case: [Case; 2],
    last: usize,
    /// Whether the next emoji belongs to the open one.
    joins_symbols: bool,
}

impl<'t> Scanner<'t> {
    fn new(text: &'t str, segments: Segments) -> Self {
        Self {
            text,
            segments,
            open: None,
            position: 1,
            end: 0,
            follows_word: false,
            marks: 0,
            case: [Case::None; 2],
            last: 0,
            joins_symbols: false,
        }
    }

    fn scan(mut self) -> Segments {
        for (at, c) in self.text.char_indices() {
            match Class::of(c) {
                Class::Letter(script) => {
                    self.enter(at, Some(script));
                    if script.has_spaces() { self.letter(c, script) } else { self.character(c) }
                }
                Class::Digit(digit) => {
                    self.enter(at, None);
                    self.digit(digit);
                }
                Class::Mark => self.mark(c),
                Class::Nothing if c == '\u{200c}' && self.is_open(Script::Arabic) => {
                    self.close();
                    continue;
                }
                Class::Nothing => self.nothing(c),
                Class::Symbol => self.symbol(c),
                Class::Between => {
                    self.between(at, c);
                    continue;
                }
            }
            if self.open.is_some() {
                self.end = at + c.len_utf8();
            }
        }
        self.close();
        self.segments
    }

    fn is_open(&self, script: Script) -> bool {
        self.open.as_ref().is_some_and(|open| open.script == script)
    }

    /// Goes on with the open token or begins another, for a letter of a script or for a digit.
    fn enter(&mut self, at: usize, script: Option<Script>) {
        if let Some(open) = &mut self.open {
            let goes_on = match (open.kind, script) {
                (Kind::Word, None) => true,
                (Kind::Word, Some(script)) if !open.has_letters && script.has_spaces() => {
                    open.script = script;
                    true
                }
                (Kind::Word | Kind::Run, Some(script)) => open.script.joins(script),
                _ => false,
            };
            if goes_on {
                return;
            }
        }
        let kind = if script.is_none_or(Script::has_spaces) { Kind::Word } else { Kind::Run };
        self.begin(kind, script.unwrap_or(Script::Latin));
        let (before, gap) = (&self.text[..at], &self.text[self.end..at]);
        let follows_signs = gap.is_empty() && self.segments.tokens.last().is_some_and(|last| last.is_signed);
        let Some(open) = &mut self.open else { return };
        if kind == Kind::Word && self.follows_word {
            open.joint = if follows_signs && script.is_none() { Joint::Underscore } else { Joint::of(gap) };
        }
        if script.is_some() && open.joint != Joint::Dot {
            let dotted = before.strip_suffix('.');
            open.is_dotted =
                dotted.is_some_and(|before| !before.ends_with(|c: char| c == '.' || c.is_alphanumeric()));
        }
    }

    fn begin(&mut self, kind: Kind, script: Script) {
        self.close();
        let end_of = |text: &String| text.len()..text.len();
        let Segments { folded, accented, cuts, .. } = &self.segments;
        self.open = Some(Token {
            kind,
            script,
            text: end_of(folded),
            accented: end_of(accented),
            cuts: cuts.len()..cuts.len(),
            joint: Joint::Apart,
            position: self.position,
            is_capital: false,
            has_letters: false,
            has_digits: false,
            is_dotted: false,
            is_signed: false,
            function_word: None,
        });
        self.marks = 0;
        self.case = [Case::None; 2];
    }

    fn letter(&mut self, c: char, script: Script) {
        let Some(open) = &mut self.open else { return };
        let Segments { folded, accented, cuts, .. } = &mut self.segments;
        let case = match c {
            'a'..='z' | 'а'..='я' => Case::Lower,
            'A'..='Z' | 'А'..='Я' => Case::Upper,
            _ if script != Script::Arabic && c.is_uppercase() => Case::Upper,
            _ => Case::Lower,
        };
        let at = folded.len();
        match (self.case, case) {
            ([_, Case::None], Case::Upper) => open.is_capital = true,
            ([_, Case::Lower], Case::Upper) => cuts.push(at - open.text.start),
            ([Case::Upper | Case::Digit, Case::Upper], Case::Lower) => cuts.push(self.last - open.text.start),
            _ => {}
        }
        (self.case, self.last, self.marks) = ([self.case[1], case], at, 0);
        open.has_letters = true;
        push_folded(folded, c, script);
        if open.accented.is_empty() {
            let plain = c.is_ascii() || script != Script::Latin || c.to_lowercase().eq(folded[at..].chars());
            if plain {
                return;
            }
            accented.push_str(&folded[open.text.start..at]);
        }
        accented.extend(c.to_lowercase().filter(|c| !is_combining_mark(*c)));
        open.accented.end = accented.len();
    }

    fn digit(&mut self, digit: char) {
        let Some(open) = &mut self.open else { return };
        self.case = [self.case[1], Case::Digit];
        self.marks = 0;
        open.has_digits = true;
        self.push(digit);
    }

    /// Appends what is the same with and without accents.
    fn push(&mut self, c: char) {
        let Some(open) = &mut self.open else { return };
        self.segments.folded.push(c);
        if !open.accented.is_empty() {
            self.segments.accented.push(c);
            open.accented.end += c.len_utf8();
        }
    }

    /// A character of a run.
    fn character(&mut self, c: char) {
        let Some(open) = &mut self.open else { return };
        let Segments { folded, cuts, .. } = &mut self.segments;
        let at = folded.len() - open.text.start;
        if self.marks > 0 && folded.ends_with(stacks) {
            self.marks += 1;
        } else {
            self.marks = 0;
            if at > 0 {
                cuts.push(at);
            }
        }
        folded.push(c);
    }

    fn mark(&mut self, c: char) {
        let Some(open) = &self.open else { return };
        let is_kept = open.kind == Kind::Run || open.has_letters && !open.script.drops_marks();
        if is_kept && open.kind != Kind::Symbol && self.marks < MAX_MARKS {
            self.marks += 1;
            self.push(c);
        }
    }

    /// What is not there, but for what joins emoji.
    fn nothing(&mut self, c: char) {
        if c == '\u{200d}' && self.open.as_ref().is_some_and(|open| open.kind == Kind::Symbol) {
            self.joins_symbols = true;
        }
    }

    fn symbol(&mut self, c: char) {
        let joins = std::mem::take(&mut self.joins_symbols);
        let goes_on = self.open.as_ref().is_some_and(|open| {
            let text = &self.segments.folded[open.text.start..];
            let parts = self.segments.cuts.len() - open.cuts.start;
            let is_pair = is_regional(c) && parts == 0 && text.chars().all(is_regional);
            open.kind == Kind::Symbol
                && parts < MAX_JOINED_SYMBOLS
                && (joins || is_pair || matches!(c, '\u{1f3fb}'..='\u{1f3ff}'))
        });
        if goes_on {
            let Some(open) = &self.open else { return };
            self.segments.cuts.push(self.segments.folded.len() - open.text.start);
            if joins {
                self.push('\u{200d}');
            }
        } else {
            self.begin(Kind::Symbol, Script::Other);
        }
        self.push(c);
    }

    /// Ends the token, after its symbols: `C++`, `C#`.
    fn between(&mut self, at: usize, c: char) {
        if let Some(open) = &mut self.open
            && open.kind == Kind::Word
            && matches!(c, '+' | '#')
        {
            let after = self.text[at..].trim_start_matches(c);
            let signs = self.text.len() - at - after.len();
            let ends = |also: fn(char) -> bool| !after.starts_with(|c: char| c.is_alphanumeric() && !also(c));
            let letters = self.segments.folded.len() - open.text.start;
            let fits = match c {
                '+' => signs == 2 && ends(|c| c.is_ascii_digit()),
                _ => signs == 1 && letters == 1 && ends(|_| false),
            };
            if fits && open.has_letters {
                open.is_signed = true;
                (0..signs).for_each(|_| self.push(c));
                self.end = at + signs;
            }
        }
        self.close();
    }

    fn close(&mut self) {
        self.joins_symbols = false;
        let Some(mut open) = self.open.take() else { return };
        let Segments { tokens, evidence, folded, accented, cuts } = &mut self.segments;
        (open.text.end, open.cuts.end) = (folded.len(), cuts.len());
        self.follows_word = open.kind == Kind::Word && open.text.len() <= MAX_WORD_BYTES;
        if open.kind == Kind::Word && !self.follows_word {
            folded.truncate(open.text.start);
            accented.truncate(open.accented.start);
            cuts.truncate(open.cuts.start);
            return;
        }
        let text = &folded[open.text.clone()];
        match open.kind {
            Kind::Run => self.position += open.cuts.len() as u32 + 1,
            Kind::Symbol => self.position += 1,
            Kind::Word => {
                self.position += 1;
                // The plural of an acronym, as in `URLs`, is no part.
                if text.ends_with('s')
                    && cuts[open.cuts.clone()].last().is_some_and(|cut| cut + 2 == text.len())
                {
                    open.cuts.end -= 1;
                }
                if !open.has_digits && !open.is_signed {
                    open.function_word = FunctionWord::find(text);
                    // A letter by itself may stand for anything.
                    if let Some(word) =
                        open.function_word.filter(|word| text.len() > 1 || word.is_stop_word())
                    {
                        evidence.add_word(word, !open.accented.is_empty());
                    }
                }
                evidence.add_letters(&accented[open.accented.clone()]);
            }
        }
        tokens.push(open);
    }
}

/// One of the two halves of a flag.
pub(crate) fn is_regional(c: char) -> bool {
    matches!(c, '\u{1f1e6}'..='\u{1f1ff}')
}
