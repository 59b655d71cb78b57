//! Which language a text in Latin letters is in, by its function words and its letters.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::LazyLock;

use rust_stemmers::Algorithm;

use crate::fold::folded;
use crate::hash::Fnv;
use crate::stems;

/// The function words of each language, and which of them are `weak`: words of another meaning elsewhere.
pub(crate) const FUNCTION_WORDS: &str = include_str!("function_words.txt");

/// A language of the list below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Language(u8);

/// What is known of a language: its name in the lists, its stemmer, its letters beyond those of English.
struct Known(&'static str, Option<Algorithm>, &'static str);

/// Of languages that say the same of a text, the first is taken.
const LANGUAGES: [Known; 22] = [
    Known("en", Some(Algorithm::English), ""),
    Known("es", Some(Algorithm::Spanish), "áéíñóúü"),
    Known("fr", Some(Algorithm::French), "àâçèéêëîïôùûüœ"),
    Known("de", Some(Algorithm::German), "äöüß"),
    Known("pt", Some(Algorithm::Portuguese), "àáâãçéêíóôõú"),
    Known("it", Some(Algorithm::Italian), "àèéìòù"),
    Known("nl", Some(Algorithm::Dutch), "éëïö"),
    Known("tr", Some(Algorithm::Turkish), "âçöüğış"),
    Known("sv", Some(Algorithm::Swedish), "äåö"),
    Known("da", Some(Algorithm::Danish), "åæø"),
    Known("no", Some(Algorithm::Norwegian), "åæø"),
    Known("fi", Some(Algorithm::Finnish), "äö"),
    Known("hu", Some(Algorithm::Hungarian), "áéíóöúüőű"),
    Known("ro", Some(Algorithm::Romanian), "âîășțşţ"),
    Known("pl", None, "óąćęłńśźż"),
    Known("cs", None, "áéíóúýčďěňřšťůž"),
    Known("hr", None, "ćčđšž"),
    Known("ca", None, "àçèéíïòóúü"),
    Known("id", None, ""),
    Known("vi", None, "àáâãèéêìíòóôõùúýăđĩũơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ"),
    Known("sw", None, ""),
    Known("others", None, ""),
];

/// Languages as bits, in the order of the list.
type Languages = u32;
pub(crate) const ENGLISH: Language = Language(0);
const OTHERS: Languages = 1 << (LANGUAGES.len() - 1);
const WEAK: Languages = 1 << 31;

impl Language {
    /// Its stemmer, if there is one.
    pub(crate) fn stemmer(self) -> Option<Algorithm> {
        LANGUAGES[usize::from(self.0)].1
    }

    /// Whether it writes compounds as one word, of which the last part says what it is.
    pub(super) fn joins_words(self) -> bool {
        ["de", "nl", "sv", "da", "no", "fi", "hu"].contains(&LANGUAGES[usize::from(self.0)].0)
    }

    /// Whether an accent makes another word, as tones do.
    pub(crate) fn is_tonal(self) -> bool {
        LANGUAGES[usize::from(self.0)].0 == "vi"
    }
}

/// A function word of some language.
pub(crate) struct FunctionWord {
    /// Its stem in English. It has no other, so that most words of a text cost little.
    pub(crate) own: String,
    languages: Languages,
    /// Those in which it has no accent.
    plain: Languages,
}

impl FunctionWord {
    /// What is known of a folded word.
    pub(crate) fn find(word: &str) -> Option<&'static Self> {
        static WORDS: LazyLock<HashMap<String, FunctionWord, BuildHasherDefault<Fnv>>> =
            LazyLock::new(|| {
                let mut words: HashMap<String, FunctionWord, _> = HashMap::default();
                let mut language = 0;
                for word in FUNCTION_WORDS.split_whitespace() {
                    match word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) {
                        Some("weak") => language = WEAK,
                        Some(name) => {
                            let at = LANGUAGES.iter().position(|known| known.0 == name);
                            language = at.map_or(0, |at| 1 << at);
                        }
                        None => {
                            let folded = folded(word);
                            let own = stems::english(&folded).into_owned();
                            let is_plain = word == folded;
                            let known =
                                words.entry(folded).or_insert(FunctionWord { own, languages: 0, plain: 0 });
                            known.languages |= language;
                            known.plain |= if is_plain { language } else { 0 };
                        }
                    }
                }
                words
            });
        WORDS.get(word)
    }

    /// Whether it is left out of a question in this language, where that has other words.
    pub(crate) fn is_of(&self, language: Option<Language>) -> bool {
        self.languages & (OTHERS | 1 << language.unwrap_or(ENGLISH).0) != 0
    }

    /// Whether it is a stop word of English.
    pub(crate) fn is_stop_word(&self) -> bool {
        self.languages & 1 << ENGLISH.0 != 0
    }
}

/// What speaks for each language in a text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence([u32; LANGUAGES.len()]);

impl Evidence {
    /// Counts a function word: two, or one where it is weak. Without accents it speaks only for those
    /// languages in which it has none.
    pub(crate) fn add_word(&mut self, word: &FunctionWord, has_accents: bool) {
        let languages = if has_accents { word.languages } else { word.plain };
        self.add(languages & !(WEAK | OTHERS), if word.languages & WEAK == 0 { 2 } else { 1 });
    }

    /// Counts the letters of a word in lower case: two where at most two languages have the letter, or one.
    pub(crate) fn add_letters(&mut self, word: &str) {
        for letter in word.chars().filter(|c| !c.is_ascii()) {
            let languages = of_letter(letter);
            self.add(languages, if languages.count_ones() <= 2 { 2 } else { 1 });
        }
    }

    /// Counts what was found in another text.
    pub(crate) fn add_all(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }

    fn add(&mut self, mut languages: Languages, points: u32) {
        while languages != 0 {
            self.0[languages.trailing_zeros() as usize] += points;
            languages &= languages - 1;
        }
    }

    /// The language with the most points, if there are two at least. English wins every tie.
    pub(crate) fn language(&self) -> Option<Language> {
        let best = self.0.iter().copied().max().filter(|points| *points >= 2)?;
        self.0.iter().position(|points| *points == best).and_then(|at| u8::try_from(at).ok()).map(Language)
    }
}

fn of_letter(letter: char) -> Languages {
    static LETTERS: LazyLock<HashMap<char, Languages, BuildHasherDefault<Fnv>>> = LazyLock::new(|| {
        let mut letters = HashMap::default();
        for (at, known) in LANGUAGES.iter().enumerate() {
            for letter in known.2.chars() {
                *letters.entry(letter).or_default() |= 1 << at;
            }
        }
        letters
    });
    LETTERS.get(&letter).copied().unwrap_or_default()
}

#[cfg(test)]
pub(crate) fn is_known(name: &str) -> bool {
    name == "weak" || LANGUAGES.iter().any(|known| known.0 == name)
}
