use super::scan::LANES;
use super::sketch::{Question, Sketches};

/// Groups of sketches that are counted at a time.
const GROUPS: usize = 64;

/// What the cosines of many slots are at most.
pub(super) struct Bounds {
    values: Vec<f32>,
    /// Which slot each is of; without, they are those of the slots from 0 on.
    slots: Option<Vec<usize>>,
}

impl Bounds {
    /// Of the slots below `count`.
    pub(super) fn of_all(sketches: &Sketches, vector: &[f32], count: usize) -> Self {
        let question = sketches.question(vector);
        let mut values = vec![0.0; count.next_multiple_of(LANES)];
        let (groups, _) = values.as_chunks_mut::<LANES>();
        for (block, groups) in groups.chunks_mut(GROUPS).enumerate() {
            sketches.bound(&question, block * GROUPS, groups);
        }
        values.truncate(count);
        Self { values, slots: None }
    }

    /// Of some slots. Neighbours that follow each other share the work.
    pub(super) fn of_some(sketches: &Sketches, vector: &[f32], slots: impl Iterator<Item = usize>) -> Self {
        let question = sketches.question(vector);
        let slots: Vec<usize> = slots.collect();
        let mut group = Group { at: usize::MAX, values: [0.0; LANES] };
        let values = slots.iter().map(|&slot| group.value(sketches, &question, slot)).collect();
        Self { values, slots: Some(slots) }
    }

    /// How many are at least `floor`.
    pub(super) fn count(&self, floor: f32) -> usize {
        self.values.iter().map(|&value| usize::from(value >= floor)).sum()
    }

    /// Calls `found` with those that are at least `floor`, and their slots; it answers with the next floor.
    pub(super) fn above(&self, mut floor: f32, mut found: impl FnMut(f32, usize) -> f32) {
        for (chunk, values) in self.values.chunks(2 * LANES).enumerate() {
            // Most hold none: one comparison of many.
            if values.iter().fold(false, |any, &value| any | (value >= floor)) {
                for (lane, &value) in values.iter().enumerate() {
                    if value >= floor {
                        let at = chunk * 2 * LANES + lane;
                        floor = found(value, self.slots.as_ref().map_or(at, |slots| slots[at]));
                    }
                }
            }
        }
    }
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
