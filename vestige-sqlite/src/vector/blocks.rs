//! The sketches in memory: bit by bit, in blocks of vectors that have similar products with the center.

use super::scan::{BLOCK_VECTORS, CHUNK, Slice};
use super::turned::{Turned, sum};

/// How many vectors are put together by their products with the center: eight blocks, with places left for
/// some that come later.
const BUCKET_VECTORS: usize = 8 * BLOCK_VECTORS - BLOCK_VECTORS / 4;
/// Marks a slot that has no place.
const NO_PLACE: u32 = u32::MAX;
/// Between the values that two bits stand for, in units of the root of a vector's mean square: what rounds a
/// normal variable best (Max, "Quantizing for Minimum Distortion", IRE Transactions on Information Theory,
/// 1960, table II).
pub(super) const QUANTIZER_STEP: f32 = 0.9957;

/// The components of many turned vectors `r = o - center`, each rounded to one of four values, whose number
/// from 0 for the least to 3 for the greatest has two bits: the first is the sign. Each vector has a place in
/// a block of [`BLOCK_VECTORS`].
#[derive(Debug)]
pub(super) struct Blocks {
    pub(super) blocks: Vec<Block>,
    /// The first bits, by chunk and block: a slice for each component.
    pub(super) first_bits: Vec<Vec<[Slice; CHUNK]>>,
    /// The second bits.
    pub(super) second_bits: Vec<Vec<[Slice; CHUNK]>>,
    /// Which places are taken.
    pub(super) held: Vec<Slice>,
    /// The slot whose vector is or was at each place.
    pub(super) slots: Vec<u32>,
    /// The place of each slot.
    places: Vec<u32>,
    /// Which products with the center divide the buckets, in ascending order.
    bounds: Vec<f32>,
    /// Blocks in which places are free, by bucket.
    open_blocks: Vec<Vec<usize>>,
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
    /// Empty blocks for vectors of `chunks` chunks. `offsets` are those of the vectors to come, in ascending
    /// order; they divide the buckets.
    pub(super) fn new(chunks: usize, offsets: &[f32]) -> Self {
        let bounds: Vec<f32> = offsets.iter().copied().skip(BUCKET_VECTORS).step_by(BUCKET_VECTORS).collect();
        Self {
            blocks: Vec::new(),
            first_bits: vec![Vec::new(); chunks],
            second_bits: vec![Vec::new(); chunks],
            held: Vec::new(),
            slots: Vec::new(),
            places: Vec::with_capacity(offsets.len()),
            open_blocks: vec![Vec::new(); bounds.len() + 1],
            bounds,
        }
    }

    /// Takes in the vector of a slot.
    pub(super) fn put(&mut self, slot: usize, vector: &Turned<'_>) {
        if slot >= self.places.len() {
            self.places.resize(slot + 1, NO_PLACE);
        }
        if self.places[slot] != NO_PLACE {
            self.vacate(self.places[slot] as usize);
        }
        let components = vector.components;
        let mean = (sum(components, components, |x, _| x * x) / components.len() as f32).sqrt();
        let place = self.take_place(vector.offset, vector.length);
        let (block, at) = (place / BLOCK_VECTORS, place % BLOCK_VECTORS);
        let chunks = self.first_bits.iter_mut().zip(&mut self.second_bits);
        for ((firsts, seconds), components) in chunks.zip(components.as_chunks::<CHUNK>().0) {
            let slices = firsts[block].iter_mut().zip(&mut seconds[block]);
            for ((slice, second), &x) in slices.zip(components) {
                slice.set(at, x > 0.0);
                // Of four values in ascending order, 0 to 3: the numbers of the two in the middle are 1 and
                // 2.
                second.set(at, (x > 0.0) != (x.abs() < QUANTIZER_STEP * mean));
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
        self.blocks.len() > self.open_blocks.len() + 4 * self.places.len() / BLOCK_VECTORS
    }

    /// The places of some slots.
    pub(super) fn places(&self, slots: impl Iterator<Item = usize>) -> Vec<Slice> {
        let mut places = vec![Slice::default(); self.held.len()];
        for slot in slots {
            let place = self.places[slot] as usize;
            places[place / BLOCK_VECTORS].set(place % BLOCK_VECTORS, true);
        }
        places
    }

    fn take_place(&mut self, offset: f32, length: f32) -> usize {
        let bucket = self.bounds.partition_point(|&bound| bound <= offset);
        let open_blocks = &mut self.open_blocks[bucket];
        let at = open_blocks.last().copied().unwrap_or_else(|| {
            open_blocks.push(self.blocks.len());
            self.blocks.push(Block { bucket, offset, lengths: [length; 2] });
            let chunks = self.first_bits.iter_mut().chain(&mut self.second_bits);
            chunks.for_each(|blocks| blocks.push([Slice::default(); CHUNK]));
            self.held.push(Slice::default());
            self.slots.resize(self.blocks.len() * BLOCK_VECTORS, 0);
            self.blocks.len() - 1
        });
        let block = &mut self.blocks[at];
        block.offset = block.offset.max(offset);
        block.lengths = [block.lengths[0].min(length), block.lengths[1].max(length)];
        let held = &mut self.held[at];
        let free = held.first_free().unwrap_or(0);
        held.set(free, true);
        if held.first_free().is_none() {
            open_blocks.pop();
        }
        at * BLOCK_VECTORS + free
    }

    fn vacate(&mut self, place: usize) {
        let at = place / BLOCK_VECTORS;
        if self.held[at].first_free().is_none() {
            self.open_blocks[self.blocks[at].bucket].push(at);
        }
        self.held[at].remove(place % BLOCK_VECTORS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A vector that is told by its first components.
    fn put(blocks: &mut Blocks, slot: usize, name: usize) {
        let mut components = [-1.0; CHUNK];
        (0..16).filter(|bit| name >> bit & 1 == 1).for_each(|bit| components[bit] = 1.0);
        let offset = offset(name);
        blocks.put(slot, &Turned { components: &components, length: 1.0 + offset, offset });
    }

    fn offset(name: usize) -> f32 {
        (name % 7) as f32 / 10.0 - 0.3
    }

    fn name_at(blocks: &Blocks, place: usize) -> usize {
        let slices = &blocks.first_bits[0][place / BLOCK_VECTORS];
        (0..16).map(|bit| usize::from(slices[bit].contains(place % BLOCK_VECTORS)) << bit).sum()
    }

    #[test]
    fn whoever_comes_and_goes_the_rest_stay_in_their_places() {
        // A bucket for each of their offsets.
        let offsets: Vec<f32> = (0..7 * BUCKET_VECTORS).map(|n| offset(n / BUCKET_VECTORS)).collect();
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
            let (block, offset) = (&blocks.blocks[place / BLOCK_VECTORS], offset(name));
            assert!(offset <= block.offset);
            assert!((block.lengths[0]..=block.lengths[1]).contains(&(1.0 + offset)));
            assert!(blocks.held[place / BLOCK_VECTORS].contains(place % BLOCK_VECTORS));
        }
        // Places that became free were taken again: no bucket has more blocks than at its fullest.
        assert!(
            blocks.blocks.len() <= 7 * (8000_usize.div_ceil(7 * BLOCK_VECTORS) + 1),
            "{} blocks",
            blocks.blocks.len()
        );
    }

    #[test]
    fn what_is_left_of_much_is_sparse() {
        let mut blocks = Blocks::new(1, &[]);
        let many = 80 * BLOCK_VECTORS;
        (0..many).for_each(|slot| put(&mut blocks, slot, slot % 1000));
        assert!(!blocks.is_sparse());
        (0..many - BLOCK_VECTORS).for_each(|_| blocks.remove(0));
        assert!(blocks.is_sparse());
    }
}
