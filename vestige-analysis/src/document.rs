//! The terms of a memory.

use std::collections::HashMap;
use std::hash::Hasher as _;

use crate::hash::Fnv;
use crate::term::{Phrase, Term};

/// The weight of a term in each field: content, type, tags.
pub const FIELD_WEIGHTS: [f64; 3] = [1.0, 0.5, 0.5];
/// The last position, which all terms behind it share. A `tsvector` of PostgreSQL ends here (manual, section
/// 12.12, "Limitations"), and so do the other two.
pub const MAX_POSITION: u32 = 16_383;
/// At how many positions a term counts; PostgreSQL keeps no more.
pub const MAX_PLACES: usize = 255;
/// What the terms of a memory may take together, in bytes, with 4 for each term and 2 for each position.
/// Those that come later are left out. A `tsvector` holds a mebibyte.
pub const MAX_TERM_BYTES: usize = 1_000_000;

/// The terms of one passage of a memory with those of its type and tags, within the limits of both indexes.
/// A short memory is one document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnalyzedDocument {
    /// The terms of content, type and tags, in the order of positions. No term stands twice at a position.
    /// Positions run on through tags, type and content, so that a long content takes none from the others.
    pub fields: [Vec<Term>; 3],
}

impl AnalyzedDocument {
    /// Of the terms of each field, with positions of their own.
    pub(crate) fn within_limits(
        mut content: Vec<Term>,
        mut node_type: Vec<Term>,
        mut tags: Vec<Term>,
    ) -> Self {
        let mut before = 0;
        for field in [&mut tags, &mut node_type, &mut content] {
            for term in field.iter_mut() {
                term.position = term.position.saturating_add(before).min(MAX_POSITION);
            }
            before = field.last().map_or(before, |last| last.position);
        }
        if before == MAX_POSITION || may_be_beyond_limits([&tags, &node_type, &content]) {
            keep_within_limits([&mut tags, &mut node_type, &mut content]);
        }
        Self { fields: [content, node_type, tags] }
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

    /// Whether the phrase's terms stand in one field at the phrase's distances, or its whole does.
    pub fn contains(&self, phrase: &Phrase) -> bool {
        let Some((first, rest)) = phrase.terms.split_first() else { return true };
        self.fields.iter().any(|field| {
            let whole = phrase.whole.as_ref();
            whole.is_some_and(|whole| field.iter().any(|term| term.text == *whole))
                || field.iter().filter(|term| term.text == first.text).any(|start| {
                    let moved = |term: &Term| start.position + (term.position - first.position);
                    rest.iter().all(|term| stands_at(field, moved(term), &term.text))
                })
        })
    }
}

fn stands_at(field: &[Term], position: u32, text: &str) -> bool {
    let from = field.partition_point(|term| term.position < position);
    field[from..].iter().take_while(|term| term.position == position).any(|term| term.text == text)
}

/// Whether a term may stand at more than [`MAX_PLACES`] positions, or all together may take more than
/// [`MAX_TERM_BYTES`]. Terms that share a counter are counted as one, so "no" is certain and "yes" is not: it
/// costs a fraction of counting each.
fn may_be_beyond_limits(fields: [&[Term]; 3]) -> bool {
    const COUNTERS: usize = 1024;
    let terms = || fields.into_iter().flatten();
    if terms().count() <= MAX_PLACES {
        return terms().map(|term| term.text.len() + 6).sum::<usize>() > MAX_TERM_BYTES;
    }
    let mut counters = [0_usize; COUNTERS];
    let mut bytes = 0;
    for term in terms() {
        let mut hash = Fnv::default();
        hash.write(term.text.as_bytes());
        counters[hash.finish() as usize % COUNTERS] += 1;
        bytes += term.text.len() + 6;
    }
    bytes > MAX_TERM_BYTES || counters.iter().any(|count| *count > MAX_PLACES)
}

/// Leaves out what is beyond [`MAX_PLACES`] and [`MAX_TERM_BYTES`], and terms that stand twice at the last
/// position.
fn keep_within_limits(fields: [&mut Vec<Term>; 3]) {
    /// How often a term was kept, and its last position.
    type Kept = HashMap<String, (usize, u32)>;
    let mut kept = Kept::new();
    let mut bytes = 0;
    for field in fields {
        field.retain(|term| {
            let (places, last) = kept.get(&term.text).copied().unwrap_or_default();
            let more = if places == 0 { term.text.len() + 6 } else { 2 };
            let fits = places < MAX_PLACES && last != term.position && bytes + more <= MAX_TERM_BYTES;
            if fits {
                bytes += more;
                match kept.get_mut(&term.text) {
                    Some(known) => *known = (places + 1, term.position),
                    None => drop(kept.insert(term.text.clone(), (1, term.position))),
                }
            }
            fits
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Analyzer;

    fn phrase(text: &str) -> Phrase {
        Phrase { terms: Analyzer::default().terms(text), whole: None }
    }

    #[test]
    fn a_phrase_keeps_the_distance_over_stop_words() {
        let document = AnalyzedDocument::new(&Analyzer::default(), "It ran out of the memory", "bug", &[]);
        assert!(document.contains(&phrase("ran out of the memory")));
        assert!(!document.contains(&phrase("ran memory")));
        assert!(!document.contains(&phrase("memory bug")));
    }

    #[test]
    fn a_phrase_is_met_by_its_whole_and_by_terms_of_one_position() {
        let term = |text: &str, position| Term { text: text.to_owned(), position };
        let terms = vec![term("get", 1), term("getuser", 1), term("user", 2), term("list", 3)];
        let document = AnalyzedDocument { fields: [terms, Vec::new(), Vec::new()] };
        let row = |terms: &[&str]| Phrase {
            terms: terms.iter().zip(1..).map(|(text, at)| term(text, at)).collect(),
            whole: None,
        };
        assert!(document.contains(&row(&["get", "user"])));
        assert!(document.contains(&row(&["getuser", "user", "list"])));
        assert!(!document.contains(&row(&["user", "get"])));
        let whole = |whole: &str| Phrase { whole: Some(whole.to_owned()), ..row(&["a", "b"]) };
        assert!(document.contains(&whole("getuser")));
        assert!(!document.contains(&whole("getlist")));
    }

    #[test]
    fn positions_run_on_through_tags_type_and_content() {
        let tags = ["alpha beta".to_owned(), "gamma".to_owned()];
        let document = AnalyzedDocument::new(&Analyzer::default(), "delta epsilon", "fact", &tags);
        let positions = |field: &Vec<Term>| field.iter().map(|term| term.position).collect::<Vec<_>>();
        assert_eq!(document.fields.each_ref().map(positions), [vec![5, 6], vec![4], vec![1, 2, 3]]);
    }

    #[test]
    fn a_document_stays_within_the_limits_of_a_tsvector() {
        let content = "note ".repeat(300) + &(0..20_000).map(|n| format!("{n:x} ")).collect::<String>();
        let document = AnalyzedDocument::new(&Analyzer::default(), &content, "", &[]);
        assert_eq!(document.frequency("note"), MAX_PLACES as f64);
        assert_eq!(document.frequency("e10"), 1.0);
        let [content, ..] = &document.fields;
        let last = content.last().unwrap();
        assert_eq!((last.position, content.is_sorted_by_key(|term| term.position)), (MAX_POSITION, true));
        let at_the_end: Vec<&str> =
            content.iter().filter(|term| term.position == MAX_POSITION).map(|term| &*term.text).collect();
        let different: std::collections::HashSet<&&str> = at_the_end.iter().collect();
        assert_eq!(different.len(), at_the_end.len());
    }

    #[test]
    fn what_the_terms_take_together_is_bounded() {
        let term = |n: usize| Term { text: format!("{n:02000}"), position: 1 };
        let mut fields = [vec![term(0)], Vec::new(), (0..1000).map(term).collect()];
        let [tags, node_type, content] = &mut fields;
        keep_within_limits([tags, node_type, content]);
        let [tags, _, content] = fields;
        assert_eq!((tags.len(), content.len()), (1, MAX_TERM_BYTES / 2006 - 1));
        assert_eq!(content[0], term(1), "the tag has it at this position");
    }
}
