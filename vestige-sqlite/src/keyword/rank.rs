//! BM25 over lists of postings.

use std::ops::Range;

use super::postings::{Lists, Posting};
use super::top_k::{Hit, TopK};
use super::unit::Unit;
use crate::cancellation;
use crate::filter::Admission;

/// How many passages are scored at a time, about: their scores stay in the processor's cache.
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
    let documents = lists.bm25.documents;
    let memories = documents.saturating_sub(lists.passages.further()).max(1);
    let size = (u64::from(WINDOW) * memories / documents.max(memories)).max(64) as u32;
    let mut window = Window::new(size as usize);
    let mut top = TopK::new(depth);
    while let Some(first) =
        rests.iter().filter_map(|(.., rest)| rest.first()).map(|next| next.unit.node).min()
    {
        if cancellation::caller_has_gone() {
            break;
        }
        for (weight, idf, rest) in &mut rests {
            while let Some((posting, others)) = rest.split_first()
                && posting.unit.node - first < size
            {
                *rest = others;
                let Some(score) = window.score(posting.unit, first, lists, admission) else { continue };
                let frequency = f64::from(posting.frequency);
                *score += *weight * lists.bm25.term_score(*idf, frequency, f64::from(posting.length));
            }
        }
        window.take(first, |hit| {
            if top.takes(hit.score) {
                top.offer(lists.of_memory(hit));
            }
        });
    }
    top.finish()
}

/// The scores of the passages of some nodes that follow each other.
struct Window {
    /// Of first passages, by the node's place in the window.
    first: Vec<f64>,
    /// Of the others, node by node.
    further: Vec<f64>,
    /// Where those of a node are, by its place. `0..0` where nothing was found in them.
    ranges: Vec<Range<u32>>,
    /// The nodes of which any passage has a score.
    scored: Vec<u32>,
}

impl Window {
    fn new(size: usize) -> Self {
        Self { first: vec![0.0; size], further: Vec::new(), ranges: vec![0..0; size], scored: Vec::new() }
    }

    /// The score so far of a passage in the window that begins with the node `from`; none if its node is not
    /// admitted, or has no such passage.
    fn score(&mut self, unit: Unit, from: u32, lists: &Lists, admission: &Admission) -> Option<&mut f64> {
        let Unit { node, number } = unit;
        let at = (node - from) as usize;
        let range = &mut self.ranges[at];
        let has_range = range.end > 0;
        let is_new = self.first[at] == 0.0 && !has_range;
        if is_new && !admission.admits(i64::from(node)) {
            return None;
        }
        if number > 0 && !has_range {
            let begin = u32::try_from(self.further.len()).ok()?;
            let end =
                begin.checked_add(lists.passages.of(node.into()) - 1).filter(|end| number <= end - begin)?;
            *range = begin..end;
            self.further.resize(end as usize, 0.0);
        }
        if is_new {
            self.scored.push(node);
        }
        match number.checked_sub(1) {
            None => Some(&mut self.first[at]),
            Some(place) => self.further[as_usize(range.clone())].get_mut(place as usize),
        }
    }

    /// Gives each node that has a score with that of its best passage, the first of equal ones, and is empty
    /// again.
    fn take(&mut self, from: u32, mut give: impl FnMut(Hit)) {
        for node in self.scored.drain(..) {
            let at = (node - from) as usize;
            let mut highest = std::mem::take(&mut self.first[at]);
            let mut best = Hit::of_passage(Unit { node, number: 0 }, highest);
            // A score that is not higher is not higher when it is rounded, which takes longer.
            let further = &self.further[as_usize(std::mem::take(&mut self.ranges[at]))];
            for (number, &score) in (1..).zip(further) {
                if score > highest {
                    highest = score;
                    let hit = Hit::of_passage(Unit { node, number }, score);
                    best = if hit.score > best.score { hit } else { best };
                }
            }
            give(best);
        }
        self.further.clear();
    }
}

fn as_usize(range: Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use vestige_traits::analysis::Bm25;

    use super::*;
    use crate::cancellation::Caller;
    use crate::filter::NodeSet;
    use crate::keyword::unit::Passages;

    /// Two passages of nodes that have several.
    fn list(nodes: impl Iterator<Item = u32>) -> Arc<Vec<Posting>> {
        let posting = |node, number| Posting {
            unit: Unit { node, number },
            length: 5 + (node + number) % 7,
            frequency: [1.0, 2.0, 3.0][(node + number) as usize % 3],
        };
        let postings = nodes.flat_map(|node| match passages(node) {
            1 => vec![posting(node, 0)],
            2 => vec![posting(node, 1)],
            several => vec![posting(node, node % 2), posting(node, several - 1)],
        });
        Arc::new(postings.collect())
    }

    fn passages(node: u32) -> u32 {
        if node % 29 < 4 { 2 + node % 40 } else { 1 }
    }

    fn several(nodes: Range<u32>) -> Arc<Passages> {
        let mut several = Passages::default();
        nodes.for_each(|node| (1..passages(node)).for_each(|_| several.add(node.into())));
        Arc::new(several)
    }

    #[test]
    fn a_scan_ends_where_the_caller_has_gone() {
        let lists = Lists {
            bm25: Bm25 { documents: 100_000, mean_length: 8.0 },
            lists: vec![(1.0, list(1..100_000))],
            passages: several(1..100_000),
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
            passages: several(1..90_000),
        };
        let never: NodeSet = (0..90_000).step_by(13).collect();
        let admission = Admission { never, ..Admission::default() };
        let mut scores = BTreeMap::new();
        for (weight, postings) in &lists.lists {
            let idf = lists.bm25.idf(postings.len() as u64);
            for posting in postings.iter().filter(|posting| admission.admits(posting.unit.node.into())) {
                *scores.entry(posting.unit).or_insert(0.0) +=
                    weight * lists.bm25.term_score(idf, posting.frequency.into(), posting.length.into());
            }
        }
        // Of each node the first of its best passages.
        let mut expected = BTreeMap::new();
        for (unit, score) in scores {
            let hit = Hit::of_passage(unit, score);
            let best = expected.entry(hit.node).or_insert(hit);
            if hit.score > best.score {
                *best = hit;
            }
        }
        let expected: Vec<Hit> = expected.into_values().map(|hit| lists.of_memory(hit)).collect();
        for depth in [1, 10, 100, 50_000] {
            let by_score = |a: &Hit, b: &Hit| b.score.total_cmp(&a.score).then(a.node.cmp(&b.node));
            let mut found = top_k(&lists, &admission, depth);
            found.sort_unstable_by(by_score);
            // Those that are sorted, and not cut on the way.
            let mut all = expected.clone();
            all.sort_unstable_by(by_score);
            let last = all.get(depth - 1).map_or(0.0, |hit| hit.score);
            all.retain(|hit| hit.score >= last);
            assert_eq!(found, all, "depth {depth}");
        }
    }

    #[test]
    fn a_passage_that_its_node_does_not_have_finds_nothing() {
        let posting = |node, number| Posting { unit: Unit { node, number }, length: 5, frequency: 1.0 };
        let stray = vec![posting(4, 1), posting(5, 0), posting(5, 1), posting(6, 2), posting(6, 3)];
        let mut passages = Passages::default();
        (0..2).for_each(|_| passages.add(6));
        let lists = Lists {
            bm25: Bm25 { documents: 10, mean_length: 5.0 },
            lists: vec![(1.0, Arc::new(stray.clone())), (1.0, Arc::new(stray))],
            passages: Arc::new(passages),
        };
        let mut found: Vec<_> =
            top_k(&lists, &Admission::default(), 10).iter().map(|hit| (hit.node, hit.passage)).collect();
        found.sort_unstable();
        assert_eq!(found, [(5, 0), (6, 2)]);
    }
}
