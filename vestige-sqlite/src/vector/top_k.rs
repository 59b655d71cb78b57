//! The top-k of scores that are known within bounds.

/// A node that may be among the nearest, with a lower and an upper bound of its cosine similarity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) node: i64,
    pub(crate) lower: f64,
    pub(crate) upper: f64,
}

impl Candidate {
    /// A candidate whose similarity is not known.
    pub(super) fn unknown(node: i64) -> Self {
        Self { node, lower: f64::NEG_INFINITY, upper: f64::INFINITY }
    }

    /// A candidate whose code was scored.
    pub(super) fn within(node: i64, offer: &Offer) -> Self {
        // The bounds of an offer lie three standard deviations from the middle. A candidate is not scored
        // again by its code, so it gets five.
        const WIDER: f64 = 5.0 / 3.0;
        let (lower, upper) = (f64::from(offer.lower), f64::from(offer.upper));
        let (middle, error) = ((lower + upper) / 2.0, (upper - lower) / 2.0 * WIDER);
        Self { node, lower: middle - error, upper: middle + error }
    }
}

/// Every slot that may be among the `count` with the highest scores, as far as the scan has come.
pub(super) struct TopK {
    pub(super) count: usize,
    /// A slot whose upper bound is below this cannot be among the top `count`.
    pub(super) floor: f32,
    pub(super) found: Vec<Offer>,
    capacity: usize,
}

#[derive(Clone, Copy)]
pub(super) struct Offer {
    pub(super) lower: f32,
    pub(super) upper: f32,
    pub(super) slot: usize,
}

impl TopK {
    pub(super) fn new(count: usize) -> Self {
        let capacity = 2 * count.max(32);
        Self { count: count.max(1), floor: f32::NEG_INFINITY, found: Vec::with_capacity(capacity), capacity }
    }

    /// Takes in a slot whose score lies between `score - error` and `score + error`.
    pub(super) fn offer(&mut self, score: f32, error: f32, slot: usize) {
        let upper = score + error;
        if upper >= self.floor {
            self.found.push(Offer { lower: score - error, upper, slot });
            if self.found.len() >= self.capacity {
                self.shrink();
                // Ties may leave it long. It then grows, so that it does not shrink at every offer.
                self.capacity = self.capacity.max(2 * self.found.len());
            }
        }
    }

    pub(super) fn shrink(&mut self) {
        if self.found.len() >= self.count {
            let (_, last, _) =
                self.found.select_nth_unstable_by(self.count - 1, |a, b| b.lower.total_cmp(&a.lower));
            self.floor = last.lower;
            self.found.retain(|offer| offer.upper >= self.floor);
        }
    }

    pub(super) fn clear(&mut self) {
        self.found.clear();
    }

    /// The slots that were kept: at most `enough`, or more where scores tie.
    pub(super) fn finish(mut self, enough: usize) -> impl Iterator<Item = Offer> {
        self.shrink();
        if self.found.len() > enough {
            let score = |offer: &Offer| offer.lower + offer.upper;
            let (_, last, _) =
                self.found.select_nth_unstable_by(enough - 1, |a, b| score(b).total_cmp(&score(a)));
            let last = score(last);
            self.found.retain(|offer| score(offer) >= last);
        }
        self.found.into_iter()
    }
}
