use super::scan::LANES;
use super::sketch::{Question, Sketches};

/// Groups of sketches that are counted at a time.
const GROUPS: usize = 64;
/// Groups that share their tops.
const UNDER: usize = 8;

/// What the cosines of many slots are at most.
pub(super) struct Bounds {
    values: Vec<[f32; LANES]>,
    /// The largest values of each lane in so many groups: most hold none that is looked for, and are passed over.
    tops: Vec<[f32; LANES]>,
    /// Which slot each is of; without, they are those of the slots from 0 on.
    slots: Option<Vec<usize>>,
}

impl Bounds {
    /// Of the slots below `count`.
    pub(super) fn of_all(sketches: &Sketches, vector: &[f32], count: usize) -> Self {
        let question = sketches.question(vector);
        let mut values = vec![[0.0; LANES]; count.div_ceil(LANES)];
        let mut tops = Vec::with_capacity(values.len().div_ceil(UNDER));
        let last = values.len().saturating_sub(1);
        for (block, groups) in values.chunks_mut(GROUPS).enumerate() {
            sketches.bound(&question, block * GROUPS, groups);
            if let Some(group) = groups.get_mut(last - block * GROUPS) {
                no_values(group, count - last * LANES);
            }
            tops.extend(groups.chunks(UNDER).map(largest));
        }
        Self { values, tops, slots: None }
    }

    /// Of some slots. Neighbours that follow each other share the work.
    pub(super) fn of_some(sketches: &Sketches, vector: &[f32], slots: impl Iterator<Item = usize>) -> Self {
        let question = sketches.question(vector);
        let slots: Vec<usize> = slots.collect();
        let mut group = Group { at: usize::MAX, values: [0.0; LANES] };
        let mut values = vec![[0.0; LANES]; slots.len().div_ceil(LANES)];
        for (values, slots) in values.iter_mut().zip(slots.chunks(LANES)) {
            for (value, &slot) in values.iter_mut().zip(slots) {
                *value = group.value(sketches, &question, slot);
            }
            no_values(values, slots.len());
        }
        let tops = values.chunks(UNDER).map(largest).collect();
        Self { values, tops, slots: Some(slots) }
    }

    /// How many are at least `floor`.
    pub(super) fn count(&self, floor: f32) -> usize {
        let mut count = 0;
        self.above(floor, |_, _| {
            count += 1;
            floor
        });
        count
    }

    /// A floor that at least `count` values reach, and not many more; below all where that is not easily told.
    pub(super) fn reached_by(&self, count: usize) -> f32 {
        let most = |tops: &[f32; LANES]| tops.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut blocks: Vec<f32> = self.tops.iter().map(most).collect();
        if count == 0 || blocks.len() < count {
            return f32::NEG_INFINITY;
        }
        // Each stands for a value of its own.
        *blocks.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a)).1
    }

    /// Calls `found` with those that are at least `floor`, and their slots; it answers with the next floor.
    pub(super) fn above(&self, mut floor: f32, mut found: impl FnMut(f32, usize) -> f32) {
        for (block, (tops, groups)) in self.tops.iter().zip(self.values.chunks(UNDER)).enumerate() {
            // One comparison of many.
            if !tops.iter().fold(false, |any, &top| any | (top >= floor)) {
                continue;
            }
            for (lane, &top) in tops.iter().enumerate() {
                if top < floor {
                    continue;
                }
                for (group, values) in groups.iter().enumerate() {
                    if values[lane] >= floor {
                        let at = (block * UNDER + group) * LANES + lane;
                        floor = found(values[lane], self.slots.as_ref().map_or(at, |slots| slots[at]));
                    }
                }
            }
        }
    }
}

/// Takes the values of lanes from `lanes` on away: there is no floor that they reach.
fn no_values(group: &mut [f32; LANES], lanes: usize) {
    group[lanes..].fill(f32::NAN);
}

fn largest(groups: &[[f32; LANES]]) -> [f32; LANES] {
    let mut largest = [f32::NEG_INFINITY; LANES];
    for group in groups {
        for (largest, &value) in largest.iter_mut().zip(group) {
            *largest = if value > *largest { value } else { *largest };
        }
    }
    largest
}

struct Group {
    at: usize,
    values: [f32; LANES],
}

impl Group {
    fn value(&mut self, sketches: &Sketches, question: &Question, slot: usize) -> f32 {
        if self.at != slot / LANES {
            self.at = slot / LANES;
            sketches.bound(question, self.at, std::slice::from_mut(&mut self.values));
        }
        self.values[slot % LANES]
    }
}
