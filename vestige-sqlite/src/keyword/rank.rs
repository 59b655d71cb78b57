//! BM25 over lists of postings.

use std::cmp::Reverse;
use std::collections::HashMap;

use vestige_traits::backend::round_score;

use super::postings::{Lists, Posting};
use super::top_k::{Hit, TopK};
use super::unit::Unit;
use crate::cancellation;
use crate::filter::Admission;

/// How many nodes are scored at a time: their scores stay in the processor's cache.
const WINDOW: u32 = 4096;

/// The top `depth` of the admitted nodes of which a passage is in any of the lists, highest first, and all
/// that share the last one's score. A node has the score of its best passage, the first of equal ones, less
/// what the number of its passages takes ([`Lists::of_memory`]). Anything if the caller has gone.
pub(super) fn top_k(lists: &Lists, admission: &Admission, depth: usize) -> Vec<Hit> {
    // The weight and the inverse document frequency of each term, and what is left of its list.
    let mut rests: Vec<(f64, f64, &[Posting])> = lists
        .lists
        .iter()
        .map(|(weight, postings)| (*weight, lists.bm25.idf(postings.len() as u64), postings.as_slice()))
        .collect();
    // Of first passages, by the node's place in the window, and of others.
    let mut scores = vec![0.0; WINDOW as usize];
    let mut scored = Vec::new();
    let mut further: HashMap<Unit, f64> = HashMap::new();
    let mut top = TopK::new(depth);
    while let Some(first) =
        rests.iter().filter_map(|(.., rest)| rest.first()).map(|next| next.unit.node).min()
    {
        if cancellation::caller_has_gone() {
            break;
        }
        for (weight, idf, rest) in &mut rests {
            while let Some((posting, others)) = rest.split_first()
                && posting.unit.node - first < WINDOW
            {
                *rest = others;
                let Unit { node, number } = posting.unit;
                let score = match number {
                    0 => &mut scores[(node - first) as usize],
                    _ => further.entry(posting.unit).or_insert(0.0),
                };
                if *score == 0.0 {
                    if !admission.admits(i64::from(node)) {
                        continue;
                    }
                    if number == 0 {
                        scored.push(node);
                    }
                }
                let frequency = f64::from(posting.frequency);
                *score += *weight * lists.bm25.term_score(*idf, frequency, f64::from(posting.length));
            }
        }
        let mut best = best_of(further.drain());
        for node in scored.drain(..) {
            let score = std::mem::take(&mut scores[(node - first) as usize]);
            let hit = Hit { node: i64::from(node), passage: 0, score: round_score(score) };
            let other = if best.is_empty() { None } else { best.remove(&hit.node) };
            let hit = other.filter(|other| other.score > hit.score).unwrap_or(hit);
            if top.takes(hit.score) {
                top.offer(lists.of_memory(hit));
            }
        }
        best.into_values().for_each(|hit| top.offer(lists.of_memory(hit)));
    }
    top.finish()
}

/// The best of the passages of each node, by rounded scores; the first of equal ones. One that has no score
/// was not admitted.
pub(super) fn best_of(passages: impl Iterator<Item = (Unit, f64)>) -> HashMap<i64, Hit> {
    let mut best: HashMap<i64, Hit> = HashMap::new();
    for (unit, score) in passages.filter(|(_, score)| *score > 0.0) {
        let hit = Hit { node: i64::from(unit.node), passage: unit.number, score: round_score(score) };
        let known = best.entry(hit.node).or_insert(hit);
        let order = |hit: &Hit| (hit.score, Reverse(hit.passage));
        if order(&hit) > order(known) {
            *known = hit;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vestige_traits::analysis::Bm25;

    use super::*;
    use crate::cancellation::Caller;
    use crate::filter::NodeSet;

    fn list(nodes: impl Iterator<Item = u32>) -> Arc<Vec<Posting>> {
        Arc::new(
            nodes
                .map(|node| Posting {
                    unit: Unit { node, number: 0 },
                    length: 5 + node % 7,
                    frequency: [1.0, 2.0, 3.0][node as usize % 3],
                })
                .collect(),
        )
    }

    #[test]
    fn a_scan_ends_where_the_caller_has_gone() {
        let lists = Lists {
            bm25: Bm25 { documents: 100_000, mean_length: 8.0 },
            lists: vec![(1.0, list(1..100_000))],
            passages: Arc::default(),
        };
        let found = || top_k(&lists, &Admission::default(), 10);
        assert!(found().len() >= 10);
        assert!(Caller::gone().served_by(found).is_empty());
    }

    #[test]
    fn windows_and_floors_lose_nothing() {
        let lists = Lists {
            bm25: Bm25 { documents: 100_000, mean_length: 8.0 },
            lists: vec![
                (1.0, list((1..60_000).step_by(7))),
                (0.25, list((1..90_000).step_by(11))),
                (0.5, list([3, 4095, 4096, 4097, 89_999].into_iter())),
            ],
            passages: Arc::new((1..90_000).step_by(29).map(|node| (node, 2 + node % 40)).collect()),
        };
        let never: NodeSet = (0..90_000).step_by(13).collect();
        let admission = Admission { never, ..Admission::default() };
        let mut expected = std::collections::BTreeMap::new();
        for (weight, postings) in &lists.lists {
            let idf = lists.bm25.idf(postings.len() as u64);
            for posting in postings.iter().filter(|posting| admission.admits(posting.unit.node.into())) {
                *expected.entry(i64::from(posting.unit.node)).or_insert(0.0) +=
                    weight * lists.bm25.term_score(idf, posting.frequency.into(), posting.length.into());
            }
        }
        for depth in [1, 10, 100, 50_000] {
            let found = top_k(&lists, &admission, depth).into_iter();
            let mut found: Vec<(i64, f64)> = found.map(|hit| (hit.node, hit.score)).collect();
            // Those that are sorted, and not cut on the way.
            let of_memory =
                |node, score| lists.of_memory(Hit { node, passage: 0, score: round_score(score) }).score;
            let mut all: Vec<(i64, f64)> =
                expected.iter().map(|(&node, &score)| (node, of_memory(node, score))).collect();
            all.sort_unstable_by(|a, b| b.1.total_cmp(&a.1));
            let last = all.get(depth - 1).map_or(0.0, |&(_, score)| score);
            let mut expected: Vec<(i64, f64)> = all.into_iter().filter(|&(_, score)| score >= last).collect();
            for scored in [&mut found, &mut expected] {
                scored.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            }
            assert_eq!(found, expected, "depth {depth}");
        }
    }
}
