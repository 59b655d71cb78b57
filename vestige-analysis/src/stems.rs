//! The stemmers, and what they leave to lists.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::LazyLock;

use rust_stemmers::{Algorithm, Stemmer};

use crate::fold::folded;
use crate::hash::Fnv;
use crate::memo;

/// Longer words are no words of a language, and a stemmer's time is not linear in their length.
pub(crate) const MAX_STEMMED_BYTES: usize = 128;

/// A word and its irregular forms, then the next. What is another word more often is left out, as *bit*,
/// *bound*, *ground*, *left*, *lives*, *rose* and *wound* are, and so are words and forms whose stem is that
/// of other words: *rang* is to the stemmer what *range* is, *indices* what *indicate* is, *led* what *LEDs*
/// are, *won* what is left of *won't*, and *person* what *personal* is.
pub(crate) const IRREGULAR_FORMS: &str = include_str!("irregular_forms.txt");

/// The stem of a folded word, by the stemmer of a script or language. Where that leaves nothing, the word.
pub(crate) fn stem(word: &str, algorithm: Algorithm) -> Cow<'_, str> {
    if word.len() > MAX_STEMMED_BYTES {
        return Cow::Borrowed(word);
    }
    memo::stem(word, algorithm, || {
        let stem = Stemmer::create(algorithm).stem(word);
        if stem.is_empty() { Cow::Borrowed(word) } else { stem }
    })
}

/// The stem of a folded word in English, and that of *break* for *broke* and *broken*.
pub(crate) fn english(word: &str) -> Cow<'_, str> {
    if keeps_its_form(word.as_bytes()) {
        return irregular(Cow::Borrowed(word));
    }
    irregular(regular(word))
}

pub(crate) fn regular(word: &str) -> Cow<'_, str> {
    let stem = stem(word, Algorithm::English);
    // The list of the algorithm's exceptions has grown since: *added* is no *ad*.
    match stem.as_bytes() {
        [b'a' | b'e' | b'o', last]
            if word.as_bytes().get(2) == Some(last)
                && ["ed", "ing"].iter().any(|ending| word[3..].starts_with(ending)) =>
        {
            Cow::Borrowed(&word[..3])
        }
        _ => stem,
    }
}

/// Whether the English stemmer has no rule for the end of a word: quicker to see than to run it.
pub(crate) fn keeps_its_form(word: &[u8]) -> bool {
    match word {
        [] | [_] | [_, _] => true,
        [.., b'e' | b's' | b'y'] => false,
        [.., b'e', b'd'] | [.., b'i', b'n', b'g'] | [.., b'i', b'o', b'n'] | [.., b'i', b'c'] => false,
        [.., b'e' | b'o', b'r'] | [.., b'n', b't'] | [.., b's', b'm'] => false,
        [.., b'a' | b'l' | b'u', b'l'] | [.., b'c' | b'g' | b'l' | b't', b'i'] => false,
        _ => true,
    }
}

fn irregular(stem: Cow<'_, str>) -> Cow<'_, str> {
    static WORDS: LazyLock<HashMap<String, String, BuildHasherDefault<Fnv>>> = LazyLock::new(|| {
        let of = |word| regular(word).into_owned();
        let mut words = HashMap::default();
        for forms in IRREGULAR_FORMS.split(';') {
            let mut forms = forms.split_whitespace().map(of);
            if let Some(word) = forms.next() {
                words.extend(forms.map(|form| (form, word.clone())));
            }
        }
        words
    });
    WORDS.get(&*stem).map_or(stem, |word| Cow::Borrowed(word))
}

/// The stem of a folded word in Arabic. Of *and the* the stemmer takes off neither, so *and* goes before.
pub(crate) fn arabic(word: &str) -> Cow<'_, str> {
    let after_and = word.strip_prefix(['و', 'ف']).filter(|rest| rest.starts_with("ال"));
    stem(after_and.unwrap_or(word), Algorithm::Arabic)
}

/// The folded stem of a word in lower case with its accents.
pub(crate) fn of_language(word: &str, algorithm: Algorithm) -> Cow<'_, str> {
    let stem = if algorithm == Algorithm::Romanian && word.contains(['ș', 'ț']) {
        // The algorithm is older than these letters.
        Cow::Owned(stem(&word.replace('ș', "ş").replace('ț', "ţ"), algorithm).into_owned())
    } else {
        stem(word, algorithm)
    };
    if stem.is_ascii() { stem } else { Cow::Owned(folded(&stem)) }
}
