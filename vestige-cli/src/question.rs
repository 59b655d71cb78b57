//! What of a question is looked for by meaning.

use std::borrow::Cow;

use vestige_traits::{Fusion, FusionMethod, SearchQuery, SearchResult, WebQuery};

/// The text to embed. What a question excludes is left out of it: a vector knows no "not", and would look for just that.
/// None if the question does nothing but exclude.
pub(crate) fn meant(text: &str) -> Option<Cow<'_, str>> {
    let read = WebQuery::parse(text);
    if read.excluded.is_empty() {
        return Some(Cow::Borrowed(text));
    }
    let left: Vec<String> = read.words.into_iter().chain(read.phrases).collect();
    (!left.is_empty()).then(|| Cow::Owned(left.join(" ")))
}

/// Leaves of the words only what must or must not occur, which holds for the vectors too, and lets them count nothing.
pub(crate) fn by_meaning_alone(query: &mut SearchQuery) {
    let Some(text) = query.text.take().filter(|_| query.embedding.is_some()) else { return };
    let WebQuery { phrases, excluded, .. } = WebQuery::parse(&text);
    let required = phrases.iter().map(|phrase| format!("\"{phrase}\""));
    let constraints: Vec<_> =
        required.chain(excluded.iter().map(|phrase| format!("-\"{phrase}\""))).collect();
    if constraints.is_empty() {
        return;
    }
    query.text = Some(constraints.join(" "));
    // By rank, so that even the last that has a vector stands before everything that has none.
    query.fusion = Fusion {
        method: FusionMethod::ReciprocalRank,
        keyword_weight: 0.0,
        vector_weight: 1.0,
        ..Fusion::default()
    };
}

/// What such a search found, as the vectors alone say it.
pub(crate) fn found_by_meaning(hits: &mut Vec<SearchResult>) {
    hits.retain_mut(|hit| {
        (hit.fts_rank, hit.fts_score) = (None, None);
        hit.vector_score.inspect(|cosine| hit.score = *cosine).is_some()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_excluded_is_not_meant() {
        for (text, expected) in [
            ("sick \"house cat\"!", Some("sick \"house cat\"!")),
            ("sick -dog cat", Some("sick cat")),
            ("\"house cat\" -\"guide dog\" sick", Some("sick house cat")),
            ("well-known - fact", Some("well-known - fact")),
            ("-dog -\"guide dog\"", None),
        ] {
            assert_eq!(meant(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn only_constraints_are_left_of_the_words() {
        for (text, expected) in
            [("sick cat", None), ("sick “house cat” -dog -\"a b\"", Some("\"house cat\" -\"dog\" -\"a b\""))]
        {
            let mut query = SearchQuery::hybrid(text, vec![1.0]);
            by_meaning_alone(&mut query);
            assert_eq!(query.text.as_deref(), expected, "{text}");
            let read = WebQuery::parse(query.text.as_deref().unwrap_or_default());
            assert!(read.words.is_empty());
            assert_eq!(read.excluded, WebQuery::parse(text).excluded);
        }
        let mut nothing_meant = SearchQuery::text("-dog");
        by_meaning_alone(&mut nothing_meant);
        assert_eq!(nothing_meant.text, None);
    }
}
