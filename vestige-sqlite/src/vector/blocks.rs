//! Where the sketches are: in blocks of vectors that have about as much from the center, bit by bit.

use std::collections::HashMap;

use super::scan::{ACROSS, PART, Slice};
use super::sketch::{Turned, sum};

/// Vectors are put together whose products with the center agree within one part in so many.
const BUCKETS: f32 = 32.0;
/// Between the values that two bits stand for, in units of a vector's mean component: what rounds a normal variable best (Max,
/// "Quantizing for Minimum Distortion", IRE Transactions on Information Theory, 1960, table II).
pub(super) const STEP: f32 = 0.9957;

/// The components of many turned vectors `r = o - center`, of which two bits are kept: the sign, and whether it is the one of the two
/// values of this sign that is less. Each vector has a place in a block of [`ACROSS`].
#[derive(Debug)]
pub(super) struct Blocks {
    pub(super) blocks: Vec<Block>,
    /// The first bits, by the part of the components and the block: a slice for each component.
    pub(super) parts: Vec<Vec<[Slice; PART]>>,
    /// The second bits.
    pub(super) seconds: Vec<Vec<[Slice; PART]>>,
    /// Which places are taken.
    pub(super) held: Vec<Slice>,
    /// Who is at each place.
    pub(super) occupants: Vec<Occupant>,
    /// The place of each slot.
    places: Vec<u32>,
    /// Blocks in which places are free, by bucket.
    room: HashMap<i32, Vec<usize>>,
}

/// What the vectors that are or were in a block have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    bucket: i32,
    /// The most of o·center.
    pub(super) offset: f32,
    /// The least and the most of |r|.
    pub(super) lengths: [f32; 2],
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Occupant {
    pub(super) slot: u32,
    /// o·center.
    pub(super) offset: f32,
    /// |r|.
    pub(super) length: f32,
    /// What two bits make of it: the mean product with its components and the mean square, in units of its mean square; 0 if it
    /// has no direction.
    pub(super) along: f32,
    pub(super) square: f32,
}

impl Blocks {
    /// None yet, of so many parts each, with room for `count`.
    pub(super) fn new(parts: usize, count: usize) -> Self {
        Self {
            blocks: Vec::new(),
            parts: vec![Vec::new(); parts],
            seconds: vec![Vec::new(); parts],
            held: Vec::new(),
            occupants: Vec::new(),
            places: Vec::with_capacity(count),
            room: HashMap::new(),
        }
    }

    /// Takes in the vector of a slot that is taken, or of the next one.
    pub(super) fn put(&mut self, slot: usize, vector: &Turned<'_>) {
        if let Some(&place) = self.places.get(slot) {
            self.vacate(place as usize);
        }
        let components = vector.components;
        // Where it has no direction, all is 0.
        let unit = (components.len() as f32 / sum(components, components, |x, _| x * x)).sqrt();
        let unit = if unit.is_finite() { unit } else { 0.0 };
        let is_small = |x: f32| x.abs() * unit < STEP;
        let value = |x: f32| if is_small(x) { 0.5 * STEP } else { 1.5 * STEP };
        let count = components.len() as f32;
        let along = sum(components, components, |x, _| value(x) * x.abs()) * unit / count;
        let square =
            if unit > 0.0 { sum(components, components, |x, _| value(x) * value(x)) / count } else { 0.0 };
        let place = self.take_place(vector.offset, vector.length);
        let (block, at) = (place / ACROSS, place % ACROSS);
        let parts = self.parts.iter_mut().zip(&mut self.seconds);
        for ((part, seconds), components) in parts.zip(components.as_chunks::<PART>().0) {
            let slices = part[block].iter_mut().zip(&mut seconds[block]);
            for ((slice, second), &x) in slices.zip(components) {
                slice.set(at, x > 0.0);
                // Of four values in ascending order, 0 to 3: the numbers of the two in the middle are 1 and 2.
                second.set(at, (x > 0.0) != is_small(x));
            }
        }
        self.occupants[place] =
            Occupant { slot: slot as u32, offset: vector.offset, length: vector.length, along, square };
        match self.places.get_mut(slot) {
            Some(old) => *old = place as u32,
            None => self.places.push(place as u32),
        }
    }

    /// Removes a slot; the last one takes its number.
    pub(super) fn remove(&mut self, slot: usize) {
        let Some(last) = self.places.pop() else { return };
        let place = match self.places.get_mut(slot) {
            Some(place) => std::mem::replace(place, last),
            None => last,
        };
        self.occupants[last as usize].slot = slot as u32;
        self.vacate(place as usize);
    }

    /// Whether most places are free, as after much was removed.
    pub(super) fn is_sparse(&self) -> bool {
        // Each bucket may have a block that is nearly empty.
        const BLOCKS: usize = 64;
        self.blocks.len() > BLOCKS + 4 * self.places.len() / ACROSS
    }

    /// The places of some slots.
    pub(super) fn places(&self, slots: impl Iterator<Item = usize>) -> Vec<Slice> {
        let mut places = vec![Slice::default(); self.held.len()];
        for slot in slots {
            let place = self.places[slot] as usize;
            places[place / ACROSS].set(place % ACROSS, true);
        }
        places
    }

    fn take_place(&mut self, offset: f32, length: f32) -> usize {
        let bucket = (offset * BUCKETS).floor() as i32;
        let room = self.room.entry(bucket).or_default();
        let at = room.last().copied().unwrap_or_else(|| {
            room.push(self.blocks.len());
            self.blocks.push(Block { bucket, offset, lengths: [length; 2] });
            let parts = self.parts.iter_mut().chain(&mut self.seconds);
            parts.for_each(|part| part.push([Slice::default(); PART]));
            self.held.push(Slice::default());
            self.occupants.resize(self.blocks.len() * ACROSS, Occupant::default());
            self.blocks.len() - 1
        });
        let block = &mut self.blocks[at];
        block.offset = block.offset.max(offset);
        block.lengths = [block.lengths[0].min(length), block.lengths[1].max(length)];
        let held = &mut self.held[at];
        let free = held.first_free().unwrap_or(0);
        held.set(free, true);
        if held.first_free().is_none() {
            room.pop();
        }
        at * ACROSS + free
    }

    fn vacate(&mut self, place: usize) {
        let at = place / ACROSS;
        if self.held[at].first_free().is_none() {
            self.room.entry(self.blocks[at].bucket).or_default().push(at);
        }
        self.held[at].remove(place % ACROSS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A vector that is told by its first components.
    fn put(blocks: &mut Blocks, slot: usize, name: usize) {
        let mut components = [-1.0; PART];
        (0..16).filter(|bit| name >> bit & 1 == 1).for_each(|bit| components[bit] = 1.0);
        let offset = (name % 7) as f32 / 10.0 - 0.3;
        blocks.put(slot, &Turned { components: &components, length: 1.0 + offset, offset });
    }

    fn name_at(blocks: &Blocks, place: usize) -> usize {
        let slices = &blocks.parts[0][place / ACROSS];
        (0..16).map(|bit| usize::from(slices[bit].contains(place % ACROSS)) << bit).sum()
    }

    #[test]
    fn whoever_comes_and_goes_the_rest_stay_in_their_places() {
        let mut blocks = Blocks::new(1, 0);
        let mut names: Vec<usize> = Vec::new();
        let mut random = 1_usize;
        for step in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (random >> 33) % names.len().max(1);
            match (random >> 20) % 5 {
                // It shrinks in the second half.
                0 | 1 if !names.is_empty() && step > 10_000 => {
                    names.swap_remove(at);
                    blocks.remove(at);
                }
                2 if !names.is_empty() => {
                    names[at] = step;
                    put(&mut blocks, at, step);
                }
                _ if step <= 12_000 => {
                    put(&mut blocks, names.len(), step);
                    names.push(step);
                }
                _ => {}
            }
        }
        assert!(names.len() > 1000, "{} left", names.len());
        let held: u32 = blocks.held.iter().flat_map(|slice| slice.0).map(u64::count_ones).sum();
        assert_eq!(held as usize, names.len());
        for (slot, &name) in names.iter().enumerate() {
            let place = blocks.places[slot] as usize;
            assert_eq!(name_at(&blocks, place), name);
            let (one, block) = (&blocks.occupants[place], &blocks.blocks[place / ACROSS]);
            assert_eq!(one.slot as usize, slot);
            assert!(
                one.offset <= block.offset && (block.lengths[0]..=block.lengths[1]).contains(&one.length)
            );
            assert!(blocks.held[place / ACROSS].contains(place % ACROSS));
        }
        // Room that became free was taken again: no bucket has more blocks than at its fullest.
        assert!(
            blocks.blocks.len() <= 7 * (8000_usize.div_ceil(7 * ACROSS) + 1),
            "{} blocks",
            blocks.blocks.len()
        );
    }

    #[test]
    fn what_is_left_of_much_is_sparse() {
        let mut blocks = Blocks::new(1, 0);
        let many = 80 * ACROSS;
        (0..many).for_each(|slot| put(&mut blocks, slot, slot % 1000));
        assert!(!blocks.is_sparse());
        (0..many - ACROSS).for_each(|_| blocks.remove(0));
        assert!(blocks.is_sparse());
    }
}
