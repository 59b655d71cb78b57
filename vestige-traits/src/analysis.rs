//! How text becomes searchable terms, the same for every backend.
//!
//! Compatibility decomposition (NFKD) without combining diacritics, lower case, one sigma for both, words of
//! letters and digits, English stop words dropped, the Snowball English stemmer ("Porter2") on words without
//! digits, and the stem of *break* for *broke* and *broken* ([`replaced_stems`]). PostgreSQL computes the
//! same in SQL with its `english` configuration.

mod bm25;
mod document;
mod query;
mod replaced;
mod stem;

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use crate::limits::{MAX_INDEXED_CHARS, MAX_QUERY_TERMS};
use crate::query::WebQuery;
use crate::search::SearchQuery;

pub use bm25::Bm25;
pub use document::{AnalyzedDocument, FIELD_WEIGHTS, MAX_PLACES, MAX_POSITION, MAX_TERM_BYTES};
pub use query::{AnalyzedQuery, Phrase, QueryTerm};
pub use replaced::replaced_stems;
use stem::Stems;

/// The longest word that is indexed, in bytes. A longer one is passed over, as PostgreSQL does.
pub const MAX_WORD_BYTES: usize = 2046;

/// A searchable term and its position in its text, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// What is looked up, such as a stem.
    pub text: String,
    /// Its position. Words without a term count, so that phrases keep their distances; several terms may share one.
    pub position: u32,
}

/// Turns texts into terms. Cheap to make; keep one to save the allocation.
#[derive(Default)]
pub struct Analyzer {
    stems: Stems,
}

impl std::fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Analyzer")
    }
}

impl Analyzer {
    /// The terms of the first [`MAX_INDEXED_CHARS`] characters of a text, in order.
    pub fn terms(&self, text: &str) -> Vec<Term> {
        let words = words(text).filter(|word| word.len() <= MAX_WORD_BYTES);
        let stems = (1..).zip(words).filter_map(|(position, word)| {
            let text = self.stem(&word)?.into_owned();
            Some(Term { text, position })
        });
        stems.collect()
    }

    /// What a query's text looks for.
    pub fn query(&self, text: &str) -> AnalyzedQuery {
        let query = WebQuery::parse(text);
        let phrases = |texts: &[String]| -> Vec<Phrase> {
            let terms = texts.iter().map(|text| self.terms(text));
            terms.filter(|terms| !terms.is_empty()).map(|terms| Phrase { terms, whole: None }).collect()
        };
        let mut analyzed = AnalyzedQuery {
            terms: Vec::new(),
            required: phrases(&query.phrases),
            excluded: phrases(&query.excluded),
        };
        let words = query.words.iter().flat_map(|word| self.terms(word));
        let phrase_words = analyzed.required.iter().flat_map(|phrase| &phrase.terms).cloned();
        for Term { text, .. } in words.chain(phrase_words) {
            if analyzed.terms.len() == MAX_QUERY_TERMS {
                break;
            }
            if !analyzed.terms.iter().any(|known| known.text == text) {
                analyzed.terms.push(QueryTerm { text, weight: 1.0 });
            }
        }
        analyzed
    }

    /// What a search asks of the words of memories: its text analysed by [`query`](Self::query). In a mode
    /// that does not rank by words no term counts, and the phrases and exclusions are left.
    pub fn search(&self, query: &SearchQuery) -> AnalyzedQuery {
        let mut analyzed = query.text.as_deref().map(|text| self.query(text)).unwrap_or_default();
        if !query.mode.ranks_by_words() {
            analyzed.terms.clear();
        }
        analyzed
    }

    /// What this analysis is known by: another text where it may make other terms of a text, as with another
    /// version of Unicode or of the stemmer. Who keeps an index of terms keeps this beside it, and makes the
    /// index anew where it is another: terms that are looked for, or taken out, have to be those that were
    /// put in.
    pub fn fingerprint(&self) -> String {
        let (major, minor, patch) = char::UNICODE_VERSION;
        let (of_normalization, ..) = unicode_normalization::UNICODE_VERSION;
        let terms: Vec<String> = self.terms(SAMPLE).into_iter().map(|term| term.text).collect();
        let terms = terms.join(" ");
        let (forms, parts) = (replaced::FORMS.as_str(), replaced::PARTS);
        let limits = format!("{MAX_POSITION}, {MAX_PLACES}, {MAX_TERM_BYTES}");
        format!(
            "Unicode {major}.{minor}.{patch} and {of_normalization}, limits {limits}: {terms}; {forms}; {parts}"
        )
    }

    fn stem<'w>(&self, word: &'w str) -> Option<Cow<'w, str>> {
        if STOP_WORDS.binary_search(&word).is_ok() {
            None
        } else if word.contains(|c: char| c.is_numeric()) {
            Some(Cow::Borrowed(word))
        } else {
            let stem = self.stems.of(word);
            match replaced_stems().get(&*stem) {
                None => Some(stem),
                Some(instead) => instead.as_deref().map(Cow::Borrowed),
            }
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    let mut chars = text
        .chars()
        .take(MAX_INDEXED_CHARS)
        .nfkd()
        .filter(|c| !matches!(c, '\u{300}'..='\u{36f}'))
        .flat_map(char::to_lowercase)
        // What stands for it at the end of a word.
        .map(|c| if c == 'ς' { 'σ' } else { c });
    std::iter::from_fn(move || {
        let first = chars.find(|c| c.is_alphanumeric())?;
        let mut word = String::from(first);
        for c in chars.by_ref() {
            if !c.is_alphanumeric() {
                break;
            }
            word.push(c);
        }
        Some(word)
    })
}

/// Words for every rule of the English stemmer and its exceptions, and others for folding and for what a word
/// is.
const SAMPLE: &str = "\
    dogs glasses tries ties gaseous gaps bus this kiwis focus's agreed proceedings breed pleaded plastered singing sing \
    luxuriating stabilized hopped hoping fitting filling kissing fizzing failing crying boys shy merrily added egged \
    educational optional intentional fluency hesitancy organizer comfortably typically apparently idly famously \
    realization location navigator liberalism decisiveness thoughtfulness seriousness totality sensitivity visibility \
    geology hopefully endlessly gently duplicate creative normalize electricity historical cheerful kindness \
    arrival clearance preference container geometric drinkable edible relevant basement excitement government different \
    region adoption pluralism climate clarity dangerous massive sterilize rebate rate cease control roll rolled \
    generously generate communion arsenal skis skies dying lying tying ugly early only singly sky news howe atlas cosmos \
    bias andes innings outings canning herring earrings exceeded succeeding yellow employer saying youth \
    The and of herself Éclair naïve ﬁne ½ Ⅷ straße İstanbul ΣΊΣΥΦΟΣ ǅ 東京 한국어 ひらがな हिन्दी ไทย 2nd 1e5x v1.2 snake_case \
    it's ١٢٣ 𝔘nicode";

/// The English stop words of the Snowball project, in byte order, without those that hold an apostrophe.
#[rustfmt::skip]
const STOP_WORDS: [&str; 127] = [
    "a", "about", "above", "after", "again", "against", "all", "am", "an", "and", "any", "are", "as", "at",
    "be", "because", "been", "before", "being", "below", "between", "both", "but", "by", "can", "did", "do",
    "does", "doing", "don", "down", "during", "each", "few", "for", "from", "further", "had", "has", "have",
    "having", "he", "her", "here", "hers", "herself", "him", "himself", "his", "how", "i", "if", "in",
    "into", "is", "it", "its", "itself", "just", "me", "more", "most", "my", "myself", "no", "nor", "not",
    "now", "of", "off", "on", "once", "only", "or", "other", "our", "ours", "ourselves", "out", "over",
    "own", "s", "same", "she", "should", "so", "some", "such", "t", "than", "that", "the", "their",
    "theirs", "them", "themselves", "then", "there", "these", "they", "this", "those", "through", "to",
    "too", "under", "until", "up", "very", "was", "we", "were", "what", "when", "where", "which", "while",
    "who", "whom", "why", "will", "with", "you", "your", "yours", "yourself", "yourselves",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn stems(text: &str) -> Vec<String> {
        Analyzer::default().terms(text).into_iter().map(|term| term.text).collect()
    }

    #[test]
    fn stop_words_are_in_byte_order() {
        assert!(STOP_WORDS.is_sorted());
    }

    #[test]
    fn words_are_folded_and_stemmed() {
        assert_eq!(stems("Running CAFÉS, naïvely; don't"), ["run", "cafe", "naiv"]);
        assert_eq!(stems("E0308 in src/ledger_v2.rs"), ["e0308", "src", "ledger", "v2", "rs"]);
        assert_eq!(stems("ﬁle № 4²"), ["file", "42"]);
        assert_eq!(stems("add added adding adds"), ["add"; 4]);
    }

    #[test]
    fn irregular_forms_have_the_stem_of_their_word() {
        assert_eq!(stems("break breaks breaking broke broken"), ["break"; 5]);
        assert_eq!(
            stems("Who wrote it? She'd rewritten what the children thought."),
            ["write", "d", "rewrit", "child", "think"]
        );
    }

    #[test]
    fn what_an_apostrophe_cuts_off_is_no_term() {
        assert_eq!(stems("It doesn't build, we've seen why; it cannot"), ["build", "see"]);
        assert_eq!(stems("It won't, we'll see"), ["won", "ll", "see"], "these are words, too");
    }

    #[test]
    fn words_of_one_look_stay_apart() {
        for (one, other) in [
            ("people", "personal"),
            ("won", "win"),
            ("left", "leaves"),
            ("LEDs", "leads"),
            ("ranges", "rings"),
            ("better", "good"),
        ] {
            assert_ne!(stems(one), stems(other), "{one}, {other}");
        }
    }

    #[test]
    fn each_replaced_stem_has_one_word() {
        let words: Vec<&str> =
            replaced::FORMS.split("; ").filter_map(|forms| forms.split(' ').next()).collect();
        assert!(words.is_sorted());
        let forms = replaced::FORMS.split([';', ' ']).filter(|form| !form.is_empty());
        let all: Vec<&str> = forms.chain(replaced::PARTS.split(' ')).collect();
        for form in &all {
            assert!(!STOP_WORDS.contains(form), "{form}");
            assert_eq!(all.iter().filter(|other| *other == form).count(), 1, "{form}");
        }
        let replaced = replaced_stems();
        assert_eq!(replaced.len(), all.len() - words.len(), "no two forms have one stem");
        for (stem, word) in replaced {
            let again = word.as_ref().and_then(|word| replaced.get(word));
            assert!(again.is_none(), "{stem} is of {word:?}, which is a form itself");
        }
    }

    #[test]
    fn the_fingerprint_is_of_the_sample() {
        let name = Analyzer::default().fingerprint();
        assert_eq!(name, Analyzer::default().fingerprint());
        let (versions, terms) = name.split_once(": ").unwrap();
        assert!(versions.starts_with("Unicode "), "{versions}");
        let terms: Vec<&str> = terms.split([' ', ';']).collect();
        for term in ["dog", "hop", "hope", "sky", "eclair", "fine", "viii", "東京", "2nd", "1e5x", "unicod"]
        {
            assert!(terms.contains(&term), "{term} in {terms:?}");
        }
        assert!(!terms.contains(&"the") && terms.len() > 120, "{terms:?}");
    }
}
