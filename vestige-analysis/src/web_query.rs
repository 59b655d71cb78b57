//! What a question says, before its words become terms.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::limits::{MAX_ANALYZED_TERMS, MAX_PHRASE_BYTES, MAX_QUERY_TERMS};
use crate::script::is_symbol;

/// A question's text, read as a web search box reads it. Every text has a reading.
///
/// - A word may match, in its English forms; more matching words and rarer ones rank higher.
/// - `"a phrase"` must occur, its words in this order side by side. A closing quote may be missing.
/// - `-word` and `-"a phrase"` must not occur. A dash counts only in front of a
///   word and after a space (or at the start): `well-known` is two words.
/// - Everything else, operators of any query language included, is text.
///
/// Quotes are `"` and the typographic pairs. Phrases and exclusions hold for the vector leg of a hybrid
/// search too. Of words the first [`MAX_ANALYZED_TERMS`] different ones are kept, of phrases and exclusions
/// the first [`MAX_QUERY_TERMS`]. Of phrases [`MAX_PHRASE_BYTES`] are looked for, and the rest is cut; an
/// exclusion beyond as many is dropped. So a text beyond the limits lets more through, not less.
///
/// ```
/// use vestige_analysis::WebQuery;
///
/// let query = WebQuery::parse(r#"flaky "connection pool" -windows"#);
/// assert_eq!(query.words, ["flaky"]);
/// assert_eq!(query.phrases, ["connection pool"]);
/// assert_eq!(query.excluded, ["windows"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebQuery {
    /// Runs of text between spaces, outside quotes: each of them one word or more.
    pub words: Vec<String>,
    /// What must occur.
    pub phrases: Vec<String>,
    /// What must not occur: words or phrases.
    pub excluded: Vec<String>,
}

impl WebQuery {
    /// Reads a text. Never fails, in time linear in the text.
    pub fn parse(text: &str) -> Self {
        let Self { words, phrases, excluded } = Self::read(text);
        Self { words, phrases: within_budget(phrases, true), excluded: within_budget(excluded, false) }
    }

    /// What of a question an embedder should be given: all of it, or what is left without the words and
    /// phrases that it excludes. None if it does nothing but exclude.
    ///
    /// A vector knows no "not": the vector of `sick -dog` would be near to texts about dogs.
    ///
    /// ```
    /// use vestige_analysis::WebQuery;
    ///
    /// let asked = "why is the \"house cat\" sick?";
    /// assert_eq!(WebQuery::meaning(asked).as_deref(), Some(asked));
    /// assert_eq!(WebQuery::meaning("sick -dog cat").as_deref(), Some("sick cat"));
    /// assert_eq!(WebQuery::meaning("-dog"), None);
    /// ```
    #[must_use]
    pub fn meaning(question: &str) -> Option<Cow<'_, str>> {
        let Self { words, phrases, excluded } = Self::parse(question);
        if excluded.is_empty() {
            return Some(Cow::Borrowed(question));
        }
        let left: Vec<String> = words.into_iter().chain(phrases).collect();
        (!left.is_empty()).then(|| Cow::Owned(left.join(" ")))
    }

    fn read(text: &str) -> Self {
        let mut query = Self::default();
        let mut known = HashSet::new();
        let mut rest = text;
        loop {
            rest = rest.trim_start_matches(is_space);
            if rest.is_empty() {
                return query;
            }
            let negated = rest
                .strip_prefix('-')
                .filter(|after| after.starts_with(|c: char| is_searchable(c) || is_quote(c)));
            rest = negated.unwrap_or(rest);
            if rest.starts_with(is_quote) {
                let inside = rest.trim_start_matches(is_quote);
                let (phrase, after) = inside.split_once(is_quote).unwrap_or((inside, ""));
                let list = if negated.is_some() { &mut query.excluded } else { &mut query.phrases };
                push(list, phrase);
                rest = after;
            } else {
                let end = rest.find(|c| is_space(c) || is_quote(c)).unwrap_or(rest.len());
                let word = &rest[..end];
                if negated.is_some() {
                    push(&mut query.excluded, word);
                } else if known.len() < MAX_ANALYZED_TERMS
                    && word.contains(is_searchable)
                    && known.insert(word)
                {
                    query.words.push(word.to_owned());
                }
                rest = &rest[end..];
            }
        }
    }

    /// Whether nothing is asked for: no word and no phrase.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.phrases.is_empty()
    }
}

fn push(list: &mut Vec<String>, entry: &str) {
    if list.len() < MAX_QUERY_TERMS
        && entry.contains(is_searchable)
        && !list.iter().any(|known| known == entry)
    {
        list.push(entry.to_owned());
    }
}

/// What fits into [`MAX_PHRASE_BYTES`]. A longer demand is cut, which lets more through; a longer exclusion
/// is dropped, which does so too.
fn within_budget(entries: Vec<String>, cut: bool) -> Vec<String> {
    let mut left = MAX_PHRASE_BYTES;
    let mut fitting = Vec::with_capacity(entries.len());
    for mut entry in entries {
        if entry.len() > left {
            if !cut {
                continue;
            }
            // A part of a word would be a demand that nobody has made.
            let begun = &entry[..entry.floor_char_boundary(left)];
            entry.truncate(begun.rfind(|c: char| !c.is_alphanumeric()).unwrap_or(0));
            if !entry.contains(is_searchable) {
                continue;
            }
        }
        left -= entry.len();
        fitting.push(entry);
    }
    fitting
}

/// Whether a character can be looked for.
fn is_searchable(c: char) -> bool {
    c.is_alphanumeric() || is_symbol(c)
}

fn is_space(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}' | '\u{bb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (Vec<String>, Vec<String>, Vec<String>) {
        let WebQuery { words, phrases, excluded } = WebQuery::parse(text);
        (words, phrases, excluded)
    }

    fn owned(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn operators_of_other_languages_are_words() {
        let (words, phrases, excluded) = parts("a AND b NEAR(c) '; DROP TABLE x;-- *");
        assert_eq!(words, owned(&["a", "AND", "b", "NEAR(c)", "DROP", "TABLE", "x;--"]));
        assert!(phrases.is_empty() && excluded.is_empty());
    }

    #[test]
    fn a_dash_excludes_only_in_front_of_a_word() {
        let (words, phrases, excluded) = parts("well-known -foo - bar --baz -\"a b\" \"c d\"");
        assert_eq!(words, owned(&["well-known", "bar", "--baz"]));
        assert_eq!(phrases, owned(&["c d"]));
        assert_eq!(excluded, owned(&["foo", "a b"]));
    }

    #[test]
    fn an_unclosed_quote_runs_to_the_end() {
        assert_eq!(parts("say \"hello there").1, owned(&["hello there"]));
        assert_eq!(parts("\"").1, owned(&[]));
        assert_eq!(parts("“connection pool” x").1, owned(&["connection pool"]));
    }

    #[test]
    fn phrases_beyond_the_budget_are_cut_and_exclusions_dropped() {
        let long = "äx ".repeat(MAX_PHRASE_BYTES);
        let cut = within_budget(vec![long.clone()], true);
        assert!((MAX_PHRASE_BYTES - 4..=MAX_PHRASE_BYTES).contains(&cut[0].len()) && cut[0].ends_with("äx"));
        assert!(within_budget(vec![long.clone()], false).is_empty());
        assert_eq!(within_budget(vec!["kept".into(), long, "lost".into()], true).len(), 2);
        assert!(within_budget(vec!["ä".repeat(MAX_PHRASE_BYTES)], true).is_empty());
        assert_eq!(parts(&format!("-\"{} end\" -kept", "x ".repeat(MAX_PHRASE_BYTES))).2, owned(&["kept"]));
    }

    #[test]
    fn what_is_excluded_is_no_part_of_the_meaning() {
        for (text, expected) in [
            ("sick \"house cat\"!", Some("sick \"house cat\"!")),
            ("sick -dog cat", Some("sick cat")),
            ("\"house cat\" -\"guide dog\" sick", Some("sick house cat")),
            ("well-known - fact", Some("well-known - fact")),
            ("-dog -\"guide dog\"", None),
        ] {
            assert_eq!(WebQuery::meaning(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn nothing_to_ask_is_empty() {
        for text in ["", "  ", "\0", "***", "-foo", "-😀", "→", "\"\" ''"] {
            assert!(WebQuery::parse(text).is_empty(), "{text:?}");
        }
    }
}
