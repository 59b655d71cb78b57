//! The terms of a memory's text.

use crate::forms::{Form, Forms, Purpose};
use crate::language::ENGLISH;
use crate::segment::segments;
use crate::term::Term;

/// The terms of a text, in the order of their positions. No term stands twice at a position.
pub(crate) fn terms(text: &str) -> Vec<Term> {
    let segments = segments(text);
    let language = segments.evidence.language();
    // In a text of another language it may be no stop word.
    let has_other = segments.tokens.iter().any(|token| !token.is_stop_word());
    let drops_stop_words = has_other && language.is_none_or(|language| language == ENGLISH);
    let mut terms: Vec<Term> = Vec::with_capacity(segments.tokens.len());
    let mut sink = |Form { text, position, .. }| {
        let mut here = terms.iter().rev().take_while(|term| term.position == position);
        if !here.any(|term| term.text == text) {
            terms.push(Term { text, position });
        }
    };
    let forms = Forms { segments: &segments, language, purpose: Purpose::Memory, sink: &mut sink };
    forms.all(|token| drops_stop_words && !token.is_capital && token.is_stop_word());
    terms
}
