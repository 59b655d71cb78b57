//! The terms of memories and of questions as the server's `tsvector` and `tsquery`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef, Postgres};
use sqlx::{Decode, Encode, Type};
use vestige_traits::MemoryRecord;
use vestige_traits::analysis::{AnalyzedDocument, AnalyzedQuery, Analyzer, Phrase};

const TSVECTOR_OID: Oid = Oid(3614);
const TSVECTOR_ARRAY_OID: Oid = Oid(3643);
/// The weights of the fields: A for content, B for the type, C for tags.
const FIELD_WEIGHTS: [u16; 3] = [3, 2, 1];
/// The weights by their letters.
const FIELD_LABELS: [char; 3] = ['A', 'B', 'C'];
/// The longest distance in a phrase of a tsquery.
const MAX_DISTANCE: u32 = 16_384;

/// A tsvector in its binary format: the number of terms, then each term with a zero behind it, the number of
/// its positions, and its positions with their weights. Terms are in byte order and positions ascend, as the
/// server sends them. So equal tsvectors have equal bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TsVector(Vec<u8>);

impl TsVector {
    /// A document keeps to what a tsvector holds: positions, and bytes.
    pub(crate) fn new(document: &AnalyzedDocument) -> Self {
        let mut places: BTreeMap<&str, Vec<u16>> = BTreeMap::new();
        // In the order of their positions: tags, type, content.
        for (field, weight) in document.fields.iter().zip(FIELD_WEIGHTS).rev() {
            for term in field {
                places.entry(&term.text).or_default().push(weight << 14 | term.position as u16);
            }
        }
        Self::encode(&places)
    }

    fn encode(places: &BTreeMap<&str, Vec<u16>>) -> Self {
        let length = places.iter().map(|(term, positions)| term.len() + 3 + 2 * positions.len());
        let mut bytes = Vec::with_capacity(4 + length.sum::<usize>());
        bytes.extend_from_slice(&(places.len() as u32).to_be_bytes());
        for (term, positions) in places {
            bytes.extend_from_slice(term.as_bytes());
            bytes.push(0);
            bytes.extend_from_slice(&(positions.len() as u16).to_be_bytes());
            for position in positions {
                bytes.extend_from_slice(&position.to_be_bytes());
            }
        }
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The terms of a memory.
pub(crate) struct MemoryTerms {
    /// Those of its first passage, which most memories have alone.
    pub(crate) first: TsVector,
    /// Those of its further passages, from number 1.
    pub(crate) further: Vec<TsVector>,
}

impl MemoryTerms {
    pub(crate) fn of_record(analyzer: &Analyzer, record: &MemoryRecord) -> Self {
        Self::of(analyzer, &record.content, &record.node_type, &record.tags)
    }

    pub(crate) fn of(analyzer: &Analyzer, content: &str, node_type: &str, tags: &[String]) -> Self {
        let documents = AnalyzedDocument::of_memory(analyzer, content, node_type, tags);
        let mut passages = documents.map(|document| TsVector::new(&document));
        let first = passages.next().unwrap_or_else(|| TsVector::new(&AnalyzedDocument::default()));
        Self { first, further: passages.collect() }
    }

    /// How many further passages there are.
    pub(crate) fn passages(&self) -> i32 {
        i32::try_from(self.further.len()).unwrap_or(i32::MAX)
    }
}

impl Type<Postgres> for TsVector {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TSVECTOR_OID)
    }
}

impl PgHasArrayType for TsVector {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TSVECTOR_ARRAY_OID)
    }
}

impl Encode<'_, Postgres> for TsVector {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for TsVector {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(Self(value.as_bytes()?.to_vec()))
    }
}

/// The phrases and exclusions of a question as texts of tsqueries.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Constraints {
    /// What a memory of one passage meets; none if there are no constraints.
    pub(crate) admission: Option<String>,
    /// What passages of a memory meet, each of it one of them; none if no phrase is demanded.
    pub(crate) phrases: Option<Vec<String>>,
    /// What no passage of a memory meets; none if nothing is excluded.
    pub(crate) excluded: Option<String>,
}

impl Constraints {
    pub(crate) fn of(query: &AnalyzedQuery) -> Self {
        let texts = |phrases: &[Phrase]| -> Vec<String> {
            phrases
                .iter()
                .map(|phrase| {
                    let mut text = String::from("(");
                    write_phrase(&mut text, phrase);
                    text + ")"
                })
                .collect()
        };
        let (phrases, excluded) = (texts(&query.required), texts(&query.excluded));
        let refused = excluded.iter().map(|phrase| format!("!{phrase}"));
        let all: Vec<String> = phrases.iter().cloned().chain(refused).collect();
        Self {
            admission: (!all.is_empty()).then(|| all.join(" & ")),
            phrases: (!phrases.is_empty()).then_some(phrases),
            excluded: (!excluded.is_empty()).then(|| excluded.join(" | ")),
        }
    }
}

/// A phrase lies within one field, so it has an alternative for each.
fn write_phrase(text: &mut String, phrase: &Phrase) {
    if let [term] = phrase.terms.as_slice() {
        write_term(text, &term.text);
    } else {
        for (n, label) in FIELD_LABELS.into_iter().enumerate() {
            if n > 0 {
                text.push_str(" | ");
            }
            let mut before = None;
            for term in &phrase.terms {
                if let Some(before) = before {
                    let distance = term.position.saturating_sub(before).min(MAX_DISTANCE);
                    // Writing to a String does not fail.
                    let _ = write!(text, " <{distance}> ");
                }
                write_term(text, &term.text);
                text.push(':');
                text.push(label);
                before = Some(term.position);
            }
        }
    }
    if let Some(whole) = &phrase.whole {
        text.push_str(" | ");
        write_term(text, whole);
    }
}

/// A term between quotes, in which only quotes and backslashes mean something.
fn write_term(text: &mut String, term: &str) {
    text.push('\'');
    for c in term.chars() {
        if matches!(c, '\'' | '\\') {
            text.push(c);
        }
        text.push(c);
    }
    text.push('\'');
}

#[cfg(test)]
mod tests {
    use vestige_traits::analysis::Term;

    use super::*;

    fn term(text: &str, position: u32) -> Term {
        Term { text: text.to_owned(), position }
    }

    #[test]
    fn a_document_is_written_as_the_server_reads_it() {
        let document = AnalyzedDocument {
            fields: [vec![term("b", 3), term("a", 4), term("b", 5)], vec![term("a", 2)], vec![term("a", 1)]],
        };
        let mut expected = vec![0, 0, 0, 2];
        expected.extend([b'a', 0, 0, 3, 0x40, 1, 0x80, 2, 0xc0, 4]);
        expected.extend([b'b', 0, 0, 2, 0xc0, 3, 0xc0, 5]);
        assert_eq!(TsVector::new(&document).0, expected);
        assert_eq!(TsVector::new(&AnalyzedDocument::default()).0, [0; 4]);
    }

    #[test]
    fn constraints_are_one_tsquery_for_one_passage_and_several_for_more() {
        assert_eq!(Constraints::of(&AnalyzedQuery::default()), Constraints::default());
        let query = AnalyzedQuery {
            terms: Vec::new(),
            required: vec![Phrase {
                terms: vec![term("get", 1), term("us'r", 3)],
                whole: Some("getus".to_owned()),
            }],
            excluded: ["c\\+", "d"].map(|text| Phrase { terms: vec![term(text, 1)], whole: None }).to_vec(),
        };
        let phrase = "('get':A <2> 'us''r':A | 'get':B <2> 'us''r':B | 'get':C <2> 'us''r':C | 'getus')";
        let constraints = Constraints::of(&query);
        assert_eq!(constraints.admission, Some(format!("{phrase} & !('c\\\\+') & !('d')")));
        assert_eq!(constraints.phrases, Some(vec![phrase.to_owned()]));
        assert_eq!(constraints.excluded.as_deref(), Some("('c\\\\+') | ('d')"));
    }
}
