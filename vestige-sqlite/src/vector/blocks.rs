//! Where the sketches are: in blocks of vectors that have about as much from the center, bit by bit.

use super::scan::{ACROSS, PART, Slice};
use super::sketch::{Turned, sum};

/// How many vectors are put together by their products with the center: eight blocks, with places left for
/// some that come later.
const BUCKET: usize = 8 * ACROSS - ACROSS / 4;
/// The place of a slot that has none.
const NONE: u32 = u32::MAX;
/// Between the values that two bits stand for, in units of the root of a vector's mean square: what rounds a
/// normal variable best (Max, "Quantizing for Minimum Distortion", IRE Transactions on Information Theory,
/// 1960, table II).
pub(super) const STEP: f32 = 0.9957;

/// The components of many turned vectors `r = o - center`, each rounded to one of four values, whose number
/// from 0 for the least to 3 for the greatest has two bits: the first is the sign. Each vector has a place in
/// a block of [`ACROSS`].
#[derive(Debug)]
pub(super) struct Blocks {
    pub(super) blocks: Vec<Block>,
    /// The first bits, by the part of the components and the block: a slice for each component.
    pub(super) parts: Vec<Vec<[Slice; PART]>>,
    /// The second bits.
    pub(super) seconds: Vec<Vec<[Slice; PART]>>,
    /// Which places are taken.
    pub(super) held: Vec<Slice>,
    /// The slot of who is or was at each place.
    pub(super) slots: Vec<u32>,
    /// The place of each slot.
    places: Vec<u32>,
    /// Which products with the center divide the buckets, in ascending order.
    bounds: Vec<f32>,
    /// Blocks in which places are free, by bucket.
    room: Vec<Vec<usize>>,
}

/// What the vectors that are or were in a block have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    bucket: usize,
    /// The most of o·center.
    pub(super) offset: f32,
    /// The least and the most of |r|.
    pub(super) lengths: [f32; 2],
}

impl Blocks {
    /// None yet, of so many parts each, divided by `offsets`, which are in ascending order and those of the
    /// vectors to come.
    pub(super) fn new(parts: usize, offsets: &[f32]) -> Self {
        let bounds: Vec<f32> = offsets.iter().copied().skip(BUCKET).step_by(BUCKET).collect();
        Self {
            blocks: Vec::new(),
            parts: vec![Vec::new(); parts],
            seconds: vec![Vec::new(); parts],
            held: Vec::new(),
            slots: Vec::new(),
            places: Vec::with_capacity(offsets.len()),
            room: vec![Vec::new(); bounds.len() + 1],
            bounds,
        }
    }

    /// Takes in the vector of a slot.
    pub(super) fn put(&mut self, slot: usize, vector: &Turned<'_>) {
        if slot >= self.places.len() {
            self.places.resize(slot + 1, NONE);
        }
        if self.places[slot] != NONE {
            self.vacate(self.places[slot] as usize);
        }
        let components = vector.components;
        let mean = (sum(components, components, |x, _| x * x) / components.len() as f32).sqrt();
        let place = self.take_place(vector.offset, vector.length);
        let (block, at) = (place / ACROSS, place % ACROSS);
        let parts = self.parts.iter_mut().zip(&mut self.seconds);
        for ((part, seconds), components) in parts.zip(components.as_chunks::<PART>().0) {
            let slices = part[block].iter_mut().zip(&mut seconds[block]);
            for ((slice, second), &x) in slices.zip(components) {
                slice.set(at, x > 0.0);
                // Of four values in ascending order, 0 to 3: the numbers of the two in the middle are 1 and
                // 2.
                second.set(at, (x > 0.0) != (x.abs() < STEP * mean));
            }
        }
        self.slots[place] = slot as u32;
        self.places[slot] = place as u32;
    }

    /// Removes a slot; the last one takes its number.
    pub(super) fn remove(&mut self, slot: usize) {
        let Some(last) = self.places.pop() else { return };
        let place = match self.places.get_mut(slot) {
            Some(place) => std::mem::replace(place, last),
            None => last,
        };
        self.slots[last as usize] = slot as u32;
        self.vacate(place as usize);
    }

    /// Whether most places are free, as after much was removed.
    pub(super) fn is_sparse(&self) -> bool {
        // Each bucket may have a block that is nearly empty.
        self.blocks.len() > self.room.len() + 4 * self.places.len() / ACROSS
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
        let bucket = self.bounds.partition_point(|&bound| bound <= offset);
        let room = &mut self.room[bucket];
        let at = room.last().copied().unwrap_or_else(|| {
            room.push(self.blocks.len());
            self.blocks.push(Block { bucket, offset, lengths: [length; 2] });
            let parts = self.parts.iter_mut().chain(&mut self.seconds);
            parts.for_each(|part| part.push([Slice::default(); PART]));
            self.held.push(Slice::default());
            self.slots.resize(self.blocks.len() * ACROSS, 0);
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
            self.room[self.blocks[at].bucket].push(at);
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
        let offset = offset(name);
        blocks.put(slot, &Turned { components: &components, length: 1.0 + offset, offset });
    }

    fn offset(name: usize) -> f32 {
        (name % 7) as f32 / 10.0 - 0.3
    }

    fn name_at(blocks: &Blocks, place: usize) -> usize {
        let slices = &blocks.parts[0][place / ACROSS];
        (0..16).map(|bit| usize::from(slices[bit].contains(place % ACROSS)) << bit).sum()
    }

    #[test]
    fn whoever_comes_and_goes_the_rest_stay_in_their_places() {
        // A bucket for each of their offsets.
        let offsets: Vec<f32> = (0..7 * BUCKET).map(|n| offset(n / BUCKET)).collect();
        let mut blocks = Blocks::new(1, &offsets);
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
            assert_eq!(blocks.slots[place] as usize, slot);
            let (block, offset) = (&blocks.blocks[place / ACROSS], offset(name));
            assert!(offset <= block.offset);
            assert!((block.lengths[0]..=block.lengths[1]).contains(&(1.0 + offset)));
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
        let mut blocks = Blocks::new(1, &[]);
        let many = 80 * ACROSS;
        (0..many).for_each(|slot| put(&mut blocks, slot, slot % 1000));
        assert!(!blocks.is_sparse());
        (0..many - ACROSS).for_each(|_| blocks.remove(0));
        assert!(blocks.is_sparse());
    }
}
