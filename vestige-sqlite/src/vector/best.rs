/// A node that may be among the nearest, and between which bounds its similarity lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) node: i64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Candidate {
    /// One of which nothing is known.
    pub(super) fn unknown(node: i64) -> Self {
        Self { node, least: f64::NEG_INFINITY, most: f64::INFINITY }
    }

    /// One that was found by its code.
    pub(super) fn within(node: i64, offer: &Offer) -> Self {
        // An offer's bounds are three deviations apart from the middle. Here nobody looks again.
        const WIDER: f64 = 5.0 / 3.0;
        let (least, most) = (f64::from(offer.least), f64::from(offer.most));
        let (middle, error) = ((least + most) / 2.0, (most - least) / 2.0 * WIDER);
        Self { node, least: middle - error, most: middle + error }
    }
}

/// The slots with the best scores so far, where a score is known within bounds: all that may be among the
/// best `count`.
pub(super) struct Best {
    pub(super) count: usize,
    /// What is at most below this need not be offered.
    pub(super) floor: f32,
    pub(super) found: Vec<Offer>,
    room: usize,
}

#[derive(Clone, Copy)]
pub(super) struct Offer {
    pub(super) least: f32,
    pub(super) most: f32,
    pub(super) slot: usize,
}

impl Best {
    pub(super) fn new(count: usize) -> Self {
        let room = 2 * count.max(32);
        Self { count: count.max(1), floor: f32::NEG_INFINITY, found: Vec::with_capacity(room), room }
    }

    /// Takes a slot in whose score is `score`, give or take `error`.
    pub(super) fn offer(&mut self, score: f32, error: f32, slot: usize) {
        let most = score + error;
        if most >= self.floor {
            self.found.push(Offer { least: score - error, most, slot });
            if self.found.len() >= self.room {
                self.shrink();
                // Ties may keep it long; then it has to grow, or it would shrink at every offer.
                self.room = self.room.max(2 * self.found.len());
            }
        }
    }

    pub(super) fn shrink(&mut self) {
        if self.found.len() >= self.count {
            let (_, last, _) =
                self.found.select_nth_unstable_by(self.count - 1, |a, b| b.least.total_cmp(&a.least));
            self.floor = last.least;
            self.found.retain(|offer| offer.most >= self.floor);
        }
    }

    pub(super) fn clear(&mut self) {
        self.found.clear();
    }

    /// What was found; those that are more than `enough` only if they tie by their scores.
    pub(super) fn finish(mut self, enough: usize) -> impl Iterator<Item = Offer> {
        self.shrink();
        if self.found.len() > enough {
            let score = |offer: &Offer| offer.least + offer.most;
            let (_, last, _) =
                self.found.select_nth_unstable_by(enough - 1, |a, b| score(b).total_cmp(&score(a)));
            let last = score(last);
            self.found.retain(|offer| score(offer) >= last);
        }
        self.found.into_iter()
    }
}
