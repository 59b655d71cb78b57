//! What memories of one session lend each other in a ranking.
//!
//! The words of a question often stand in the memory before the one that answers it: somebody asks, somebody
//! replies. So a memory that is found lends a part of its score to those around it. `docs/adr/0026` has what
//! was measured.

/// How many results lend: the best ones.
pub const LENDING_RESULTS: usize = 50;

/// What a memory lends to those one and two places away.
const LENT: [f64; 2] = [0.3, 0.15];
/// What a question lends to the memory after it.
const LENT_BY_QUESTION: f64 = 0.5;
/// What a question gives up of its own, where there is a memory after it.
const GIVEN_BY_QUESTION: f64 = 0.2;

/// A result, and the memories around it in its session.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InSession<K> {
    /// The result.
    pub key: K,
    /// Its score.
    pub score: f64,
    /// Whether its content ends in a question: `vestige_analysis::asks`.
    pub asks: bool,
    /// The last and the last but one before it in its session. None where there is no such memory, or where
    /// the filter, the phrases or the exclusions keep it out.
    pub before: [Option<K>; 2],
    /// The next and the next but one after it, likewise.
    pub after: [Option<K>; 2],
}

/// The score above which results lend, of the scores of all results, best first: that of the last that lends.
/// Where fewer were found, a memory that was not found has 0, but for the vector alone, which finds all.
pub fn lending_floor(scores: &[f64], by_vector_alone: bool) -> f64 {
    match scores.get(LENDING_RESULTS - 1) {
        Some(last) => *last,
        None if by_vector_alone => scores.last().copied().unwrap_or_default(),
        None => 0.0,
    }
}

/// The scores of the first [`LENDING_RESULTS`] results and of the memories around them, after each has lent
/// to those. In no order.
///
/// Above the `floor`, `s' = s + max(0.3 s(±1), 0.15 s(±2))`; a memory that ends in a question lends 0.5 to
/// the one after it, and keeps 0.8. A memory that is not among the results has the floor. Without anything
/// lent or given a score stays as it is, to the last bit.
pub fn lend<K: Copy + Ord>(results: &[InSession<K>], floor: f64) -> Vec<(K, f64)> {
    let mut lent = Vec::with_capacity(4 * results.len());
    for result in results {
        let above = result.score - floor;
        let next = if result.asks { LENT_BY_QUESTION } else { LENT[0] };
        let parts = [LENT[0], LENT[1], next, LENT[1]];
        let around = result.before.into_iter().chain(result.after).zip(parts);
        lent.extend(around.filter(|_| above > 0.0).filter_map(|(to, part)| Some((to?, part * above))));
    }
    // The largest that each was lent.
    lent.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
    lent.dedup_by_key(|(key, _)| *key);
    let mut lent: Vec<(K, Option<f64>)> = lent.into_iter().map(|(key, lent)| (key, Some(lent))).collect();
    let mut scores = Vec::with_capacity(results.len() + lent.len());
    for result in results {
        let gives = result.asks && result.after[0].is_some();
        let given = if gives { GIVEN_BY_QUESTION * (result.score - floor) } else { 0.0 };
        let at = lent.binary_search_by_key(&result.key, |(key, _)| *key);
        let lent = at.ok().and_then(|at| lent[at].1.take()).unwrap_or_default();
        scores.push((result.key, result.score - given + lent));
    }
    scores.extend(lent.into_iter().filter_map(|(key, lent)| Some((key, floor + lent?))));
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A result with the keys before and after it in a session of 1 to 9.
    fn result(key: i32, score: f64) -> InSession<i32> {
        let there = |key: i32| (1..10).contains(&key).then_some(key);
        InSession {
            key,
            score,
            asks: false,
            before: [there(key - 1), there(key - 2)],
            after: [there(key + 1), there(key + 2)],
        }
    }

    fn rounded(scores: Vec<(i32, f64)>) -> Vec<(i32, f64)> {
        let mut scores: Vec<_> =
            scores.into_iter().map(|(key, score)| (key, (score * 1e6).round() / 1e6)).collect();
        scores.sort_by_key(|(key, _)| *key);
        scores
    }

    #[test]
    fn a_result_lends_to_two_on_each_side_and_the_largest_part_counts() {
        let scores = rounded(lend(&[result(3, 1.0), result(5, 0.5)], 0.0));
        let expected =
            [(1, 0.15), (2, 0.3), (3, 1.0 + 0.075), (4, 0.3), (5, 0.5 + 0.15), (6, 0.15), (7, 0.075)];
        assert_eq!(scores, expected);
    }

    #[test]
    fn a_question_lends_more_to_its_answer_and_keeps_less() {
        let asking = InSession { asks: true, ..result(3, 1.0) };
        assert_eq!(rounded(lend(&[asking], 0.0)), [(1, 0.15), (2, 0.3), (3, 0.8), (4, 0.5), (5, 0.15)]);
        let last = InSession { asks: true, ..result(9, 1.0) };
        assert_eq!(rounded(lend(&[last], 0.0)), [(7, 0.15), (8, 0.3), (9, 1.0)]);
    }

    #[test]
    fn what_is_lent_is_what_is_above_the_floor() {
        let scores = rounded(lend(&[result(3, 0.9), result(9, 0.4)], 0.4));
        assert_eq!(scores, [(1, 0.475), (2, 0.55), (3, 0.9), (4, 0.55), (5, 0.475), (9, 0.4)]);
        let alone = InSession { before: [None; 2], after: [None; 2], ..result(3, -0.5) };
        assert_eq!(rounded(lend(&[alone], -0.5)), [(3, -0.5)]);
    }

    #[test]
    fn the_floor_is_the_last_score_that_lends() {
        let many: Vec<f64> = (0..60).map(|n| f64::from(100 - n)).collect();
        assert_eq!(lending_floor(&many, false), 51.0);
        assert_eq!(lending_floor(&many[..49], false), 0.0);
        assert_eq!(lending_floor(&many[..49], true), 52.0);
        assert_eq!(lending_floor(&[], true), 0.0);
    }
}
