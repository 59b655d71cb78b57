use super::layer::Layer;
use super::scan::{LANES, UNDER};
use super::sketch::Turned;

/// Groups of sketches that are counted at a time.
const GROUPS: usize = 64;

/// What the cosines of many slots are at most.
pub(super) struct Bounds<'a> {
    values: Vec<[f32; LANES]>,
    /// The largest values of each lane in [`UNDER`] groups: most hold none that is looked for, and are passed over.
    tops: Vec<[f32; LANES]>,
    /// Which slot each is of; without, they are those of the slots from 0 on.
    slots: Option<&'a [usize]>,
}

impl<'a> Bounds<'a> {
    /// Of the slots below `count`.
    pub(super) fn of_all(layer: &Layer, question: &Turned<'_>, count: usize) -> Self {
        let question = layer.question(question);
        let mut bounds = Self::none(count, None);
        for (block, (values, tops)) in bounds.blocks().enumerate() {
            layer.bound(&question, block * GROUPS, values, tops);
        }
        bounds.end(count);
        bounds
    }

    /// Of some slots, whose sketches are gathered side by side.
    pub(super) fn of_some(layer: &Layer, question: &Turned<'_>, slots: &'a [usize]) -> Self {
        let question = layer.question(question);
        let mut bounds = Self::none(slots.len(), Some(slots));
        let mut gathered = layer.gathered();
        for (slots, (values, tops)) in slots.chunks(GROUPS * LANES).zip(bounds.blocks()) {
            gathered.gather(layer, slots);
            gathered.bound(&question, 0, values, tops);
        }
        bounds.end(slots.len());
        bounds
    }

    fn none(count: usize, slots: Option<&'a [usize]>) -> Self {
        let values = vec![[0.0; LANES]; count.div_ceil(LANES)];
        let tops = vec![[0.0; LANES]; values.len().div_ceil(UNDER)];
        Self { values, tops, slots }
    }

    /// The values of [`GROUPS`] groups each, and the largest of them.
    fn blocks(&mut self) -> impl Iterator<Item = (&mut [[f32; LANES]], &mut [[f32; LANES]])> {
        self.values.chunks_mut(GROUPS).zip(self.tops.chunks_mut(GROUPS / UNDER))
    }

    /// Behind the first `count` are no values.
    fn end(&mut self, count: usize) {
        self.values.as_flattened_mut()[count..].fill(f32::NAN);
        if let (Some(top), Some(under)) = (self.tops.last_mut(), self.values.chunks(UNDER).next_back()) {
            *top = largest(under);
        }
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

    /// The slots of those that are at least `floor`, if these are no more than `most`.
    pub(super) fn slots_above(&self, floor: f32, most: usize) -> Option<Vec<usize>> {
        let mut slots = Vec::new();
        self.above(floor, |_, slot| {
            slots.push(slot);
            // One too many is enough.
            if slots.len() > most { f32::INFINITY } else { floor }
        });
        (slots.len() <= most).then_some(slots)
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
                        floor = found(values[lane], self.slots.map_or(at, |slots| slots[at]));
                    }
                }
            }
        }
    }
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
