//! Search by meaning alone.

use vestige_traits::{Fusion, FusionMethod, SearchQuery, SearchResult, WebQuery};

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
