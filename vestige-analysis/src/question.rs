//! The terms of a question.

use std::collections::HashMap;

use crate::fold::first_chars;
use crate::forms::{Form, Forms, Purpose, phrase};
use crate::language::Evidence;
use crate::limits::{MAX_ANALYZED_TERMS, MAX_PHRASE_SPAN, MAX_QUESTION_CHARS};
use crate::query::{AnalyzedQuery, QueryTerm};
use crate::segment::segments;
use crate::term::{Phrase, Term};
use crate::token::{Segments, Token};
use crate::web_query::WebQuery;

/// What a question asks for.
pub(crate) fn analyzed(text: &str) -> AnalyzedQuery {
    let WebQuery { words, phrases, excluded } = WebQuery::parse(text);
    let segments_of =
        |texts: &[String]| -> Vec<Segments> { texts.iter().map(|text| segments(text)).collect() };
    let phrases = segments_of(&phrases);
    let words = segments(first_chars(&words.join(" "), MAX_QUESTION_CHARS));
    let asked = || std::iter::once(&words).chain(&phrases);

    let mut evidence = Evidence::default();
    asked().for_each(|segments| evidence.add_all(&segments.evidence));
    let language = evidence.language();
    let is_light = |token: &Token| token.function_word.is_some_and(|word| word.is_of(language));
    let has_other = asked().flat_map(|segments| &segments.tokens).any(|token| !is_light(token));

    let mut terms = Terms::default();
    for segments in asked() {
        let mut sink = |form| terms.add(form);
        let forms = Forms { segments, language, purpose: Purpose::Question, sink: &mut sink };
        forms.all(|token| has_other && is_light(token));
    }
    AnalyzedQuery {
        terms: terms.list,
        required: phrases.iter().filter_map(phrase).flat_map(parts).collect(),
        excluded: segments_of(&excluded).iter().filter_map(phrase).collect(),
    }
}

/// A phrase, or parts of a long one. Each begins with the term that the one before it ends with.
fn parts(phrase: Phrase) -> Vec<Phrase> {
    let Phrase { terms, whole } = &phrase;
    let span = |terms: &[Term]| terms.last().map_or(0, |last| last.position - terms[0].position);
    if whole.is_some() || span(terms) < MAX_PHRASE_SPAN {
        return vec![phrase];
    }
    let (mut parts, mut rest) = (Vec::new(), terms.as_slice());
    while rest.len() > 1 {
        let reach = rest[0].position + MAX_PHRASE_SPAN;
        let count = rest.partition_point(|term| term.position < reach).max(2);
        parts.push(Phrase { terms: rest[..count].to_vec(), whole: None });
        rest = &rest[count - 1..];
    }
    parts
}

/// Different terms, each with the largest of its weights.
#[derive(Default)]
struct Terms {
    list: Vec<QueryTerm>,
    known: HashMap<String, usize>,
}

impl Terms {
    fn add(&mut self, form: Form) {
        match self.known.get(&form.text) {
            Some(at) => self.list[*at].weight = self.list[*at].weight.max(form.weight),
            None if self.list.len() == MAX_ANALYZED_TERMS => {}
            None => {
                self.known.insert(form.text.clone(), self.list.len());
                self.list.push(QueryTerm { text: form.text, weight: form.weight });
            }
        }
    }
}
