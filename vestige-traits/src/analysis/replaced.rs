//! What a stemmer of English leaves, for a backend that stems by itself.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::stems::{IRREGULAR_FORMS, regular};

const PARTS: &str = "\
    aren cannot couldn didn doesn hadn hasn isn mustn shouldn ve wasn weren wouldn";

/// The stems that something else takes the place of: the stem of the word, where it is of an irregular form
/// of it; nothing, where it is of a part of a stop word.
pub fn replaced_stems() -> &'static HashMap<String, Option<String>> {
    static STEMS: LazyLock<HashMap<String, Option<String>>> = LazyLock::new(|| {
        let of = |word| regular(word).into_owned();
        let mut replaced: HashMap<String, Option<String>> =
            PARTS.split(' ').map(|part| (of(part), None)).collect();
        for forms in IRREGULAR_FORMS.split(';') {
            let mut forms = forms.split_whitespace().map(of);
            let word = forms.next();
            replaced.extend(forms.map(|form| (form, word.clone())));
        }
        replaced
    });
    &STEMS
}
