//! What a stemmer of English leaves: forms that no ending tells, and what an apostrophe cuts off.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::stem::Stems;

/// A word and its irregular forms, then the next. What is another word more often is left out, as *bit*,
/// *bound*, *ground*, *left*, *lives*, *rose* and *wound* are, and so are words and forms whose stem is that
/// of other words: *rang* is to the stemmer what *range* is, *indices* what *indicate* is, *led* what *LEDs*
/// are, *won* what is left of *won't*, and *person* what *personal* is.
pub(super) static FORMS: LazyLock<String> =
    LazyLock::new(|| include_str!("irregular_forms.txt").lines().collect::<Vec<_>>().join(" "));

/// *Cannot*, and what is left of *didn't* and *we've* where a word ends at the apostrophe: stop words and
/// parts of them, that are no other word. What is one, as *won*, *ll* and *re* are, stays.
pub(super) const PARTS: &str = "\
    aren cannot couldn didn doesn hadn hasn isn mustn shouldn ve wasn weren wouldn";

/// The stems that something else takes the place of: the stem of the word, where it is of an irregular form
/// of it; nothing, where it is of a part of a stop word.
///
/// Every text with *broke* or *broken* is a text with *break*, and so is every question. A backend that stems
/// by itself has to do the same.
pub fn replaced_stems() -> &'static HashMap<String, Option<String>> {
    static STEMS: LazyLock<HashMap<String, Option<String>>> = LazyLock::new(|| {
        let stems = Stems::default();
        let of = |word| stems.of(word).into_owned();
        let mut replaced: HashMap<String, Option<String>> =
            PARTS.split(' ').map(|part| (of(part), None)).collect();
        for forms in FORMS.split("; ") {
            let mut forms = forms.split(' ').map(of);
            let word = forms.next();
            replaced.extend(forms.map(|form| (form, word.clone())));
        }
        replaced
    });
    &STEMS
}
