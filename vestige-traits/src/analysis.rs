//! How text becomes searchable terms, the same for every backend.
//!
//! Compatibility decomposition (NFKD) without combining diacritics, lower case, one sigma for both, words of
//! letters and digits, English stop words dropped, the Snowball English stemmer ("Porter2") on words without
//! digits, and the stem of *break* for *broke* and *broken* ([`replaced_stems`]). PostgreSQL computes the
//! same in SQL with its `english` configuration.

mod replaced;
mod stem;

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use crate::limits::{MAX_INDEXED_CHARS, MAX_QUERY_TERMS};
use crate::query::WebQuery;
use crate::search::SearchQuery;

pub use replaced::replaced_stems;
use stem::Stems;

/// The weight of a term in each field: content, type, tags.
pub const FIELD_WEIGHTS: [f64; 3] = [1.0, 0.5, 0.5];
/// The longest word that is indexed, in bytes. A longer one is passed over, as PostgreSQL does.
pub const MAX_WORD_BYTES: usize = 2046;

/// A searchable term and its place among the words of its text, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The stem.
    pub text: String,
    /// Its position. Stop words count, so that phrases keep their distances.
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
        let mut analyzed = AnalyzedQuery::default();
        let phrases = |texts: &[String]| -> Vec<Vec<Term>> {
            texts.iter().map(|text| self.terms(text)).filter(|terms| !terms.is_empty()).collect()
        };
        analyzed.required = phrases(&query.phrases);
        analyzed.excluded = phrases(&query.excluded);
        let words = query.words.iter().flat_map(|word| self.terms(word));
        let phrase_words = analyzed.required.iter().flatten().cloned();
        for term in words.chain(phrase_words) {
            if analyzed.terms.len() == MAX_QUERY_TERMS {
                break;
            }
            if !analyzed.terms.contains(&term.text) {
                analyzed.terms.push(term.text);
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
        format!("Unicode {major}.{minor}.{patch} and {of_normalization}: {terms}; {forms}; {parts}")
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

/// A query in terms of the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnalyzedQuery {
    /// The terms that count for the score, each once: of the words, then of the phrases.
    pub terms: Vec<String>,
    /// Phrases that must occur.
    pub required: Vec<Vec<Term>>,
    /// Words and phrases that must not occur.
    pub excluded: Vec<Vec<Term>>,
}

impl AnalyzedQuery {
    /// Whether the keyword leg has nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether there is a phrase that must or must not occur.
    pub fn has_constraints(&self) -> bool {
        !self.required.is_empty() || !self.excluded.is_empty()
    }

    /// Whether a document meets the phrases and exclusions.
    pub fn admits(&self, document: &AnalyzedDocument) -> bool {
        self.required.iter().all(|phrase| document.contains(phrase))
            && !self.excluded.iter().any(|phrase| document.contains(phrase))
    }
}

/// The terms of a memory's fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnalyzedDocument {
    /// The terms of content, type and tags.
    pub fields: [Vec<Term>; 3],
}

impl AnalyzedDocument {
    /// Analyses the three fields. The tags are read as one text.
    pub fn new(analyzer: &Analyzer, content: &str, node_type: &str, tags: &[String]) -> Self {
        Self { fields: [analyzer.terms(content), analyzer.terms(node_type), analyzer.terms(&tags.join(" "))] }
    }

    /// How many terms the fields have together: the document length of BM25.
    pub fn len(&self) -> usize {
        self.fields.iter().map(Vec::len).sum()
    }

    /// Whether no field has a term.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How often a term occurs, by [`FIELD_WEIGHTS`].
    pub fn frequency(&self, term: &str) -> f64 {
        let count = |field: &Vec<Term>| field.iter().filter(|known| known.text == term).count() as f64;
        self.fields.iter().zip(FIELD_WEIGHTS).map(|(field, weight)| weight * count(field)).sum()
    }

    /// Whether the phrase's terms stand in one field at the phrase's distances.
    pub fn contains(&self, phrase: &[Term]) -> bool {
        let Some((first, rest)) = phrase.split_first() else { return true };
        self.fields.iter().any(|field| {
            field.iter().filter(|term| term.text == first.text).any(|start| {
                rest.iter().all(|wanted| {
                    let position = start.position + (wanted.position - first.position);
                    field
                        .binary_search_by_key(&position, |term| term.position)
                        .is_ok_and(|at| field[at].text == wanted.text)
                })
            })
        })
    }
}

/// Okapi BM25 with the square of the inverse document frequency.
///
/// Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, with Lucene's
/// inverse document frequency, which is above zero for every term. The square stands for a weight of the term
/// in the question beside that in the document, as in the vector space model (Salton and Buckley,
/// "Term-weighting approaches in automatic text retrieval", 1988): a question as people ask it has more words
/// than it is about. Memories are short, and a word that comes twice in one says little more than a word that
/// comes once: so k1 is low.
#[derive(Clone, Copy, Debug)]
pub struct Bm25 {
    /// How many documents there are.
    pub documents: u64,
    /// The mean of their lengths, in terms.
    pub mean_length: f64,
}

impl Bm25 {
    /// Saturation of the term frequency.
    pub const K1: f64 = 0.4;
    /// Weight of the document's length.
    pub const B: f64 = 0.75;
    /// The least inverse document frequency: a term that every document holds still finds them.
    pub const MIN_IDF: f64 = 1e-3;

    /// The inverse document frequency of a term that stands in `n` documents: `ln(1 + (N - n + 0.5) / (n +
    /// 0.5))`.
    pub fn idf(&self, n: u64) -> f64 {
        let (total, n) = (self.documents as f64, n as f64);
        (1.0 + (total - n + 0.5).max(0.0) / (n + 0.5)).ln().max(Self::MIN_IDF)
    }

    /// What a term adds to the score of a document of `length` terms in which it has `frequency`.
    pub fn term_score(&self, idf: f64, frequency: f64, length: f64) -> f64 {
        let saturation = frequency + Self::K1 * (1.0 - Self::B + Self::B * length / self.mean_length);
        idf * idf * (frequency * (Self::K1 + 1.0) / saturation)
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
    fn a_phrase_keeps_the_distance_over_stop_words() {
        let analyzer = Analyzer::default();
        let document = AnalyzedDocument::new(&analyzer, "It ran out of the memory", "bug", &[]);
        assert!(document.contains(&analyzer.terms("ran out of the memory")));
        assert!(!document.contains(&analyzer.terms("ran memory")));
        assert!(!document.contains(&analyzer.terms("memory bug")));
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

    #[test]
    fn bm25_prefers_rare_terms_and_short_documents() {
        let bm25 = Bm25 { documents: 100, mean_length: 10.0 };
        assert!(bm25.idf(1) > bm25.idf(10));
        assert!(bm25.idf(80) > bm25.idf(100));
        assert!(bm25.idf(100) > Bm25::MIN_IDF);
        assert_eq!(Bm25 { documents: 100_000, mean_length: 10.0 }.idf(100_000), Bm25::MIN_IDF);
        assert!(bm25.term_score(1.0, 1.0, 5.0) > bm25.term_score(1.0, 1.0, 20.0));
    }
}
