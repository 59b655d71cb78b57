//! What the index counts as one document: a passage of a node.

use foldhash::HashMap;
use vestige_traits::MemoryStoreResult;

use crate::error::bad_value;

/// A passage of a node, by its number from 0. Of most nodes the first is the only one.
///
/// Its row in FTS5 has the node's number, and from the second on the passage's above it. So a node with one
/// passage is a row by its own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Unit {
    pub(super) node: u32,
    pub(super) number: u32,
}

impl Unit {
    /// The passage of this number.
    pub(super) fn new(node: i64, number: usize) -> MemoryStoreResult<Self> {
        let bad = |error: std::num::TryFromIntError| bad_value("node", error.to_string());
        Ok(Self { node: u32::try_from(node).map_err(bad)?, number: u32::try_from(number).map_err(bad)? })
    }

    pub(super) fn of_rowid(rowid: i64) -> MemoryStoreResult<Self> {
        let bad = |error: std::num::TryFromIntError| bad_value("node", error.to_string());
        Ok(Self { node: node_of(rowid), number: u32::try_from(rowid >> 32).map_err(bad)? })
    }

    pub(super) fn rowid(self) -> i64 {
        i64::from(self.number) << 32 | i64::from(self.node)
    }
}

/// How many passages each node of several has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Passages {
    of_node: HashMap<i64, u32>,
    /// All but the first of each node.
    further: u64,
}

impl Passages {
    /// How many a node has.
    pub(super) fn of(&self, node: i64) -> u32 {
        self.of_node.get(&node).copied().unwrap_or(1)
    }

    /// How many there are but for the first of each node.
    pub(super) fn further(&self) -> u64 {
        self.further
    }

    /// One more of a node.
    pub(super) fn add(&mut self, node: i64) {
        *self.of_node.entry(node).or_insert(1) += 1;
        self.further += 1;
    }

    /// The node has one, or is gone.
    pub(super) fn forget(&mut self, node: i64) {
        self.further -= self.of_node.remove(&node).map_or(0, |passages| u64::from(passages) - 1);
    }
}

/// The node of a row of FTS5.
pub(super) fn node_of(rowid: i64) -> u32 {
    rowid as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_the_number_of_its_node_and_of_its_passage() {
        for (node, number, rowid) in
            [(1, 0, 1), (7, 1, (1 << 32) + 7), (i64::from(u32::MAX), 1023, i64::MAX >> 21)]
        {
            let unit = Unit::new(node, number).unwrap();
            assert_eq!((unit.rowid(), Unit::of_rowid(rowid).unwrap()), (rowid, unit));
        }
        assert!(Unit::new(1 << 32, 0).is_err());
        assert!(Unit::of_rowid(-1).is_err());
    }

    #[test]
    fn passages_are_counted() {
        let mut passages = Passages::default();
        [7, 9, 7, 9, 9].into_iter().for_each(|node| passages.add(node));
        assert_eq!([7, 8, 9].map(|node| passages.of(node)), [3, 1, 4]);
        assert_eq!(passages.further(), 5);
        [8, 9].into_iter().for_each(|node| passages.forget(node));
        assert_eq!(([7, 9].map(|node| passages.of(node)), passages.further()), ([3, 1], 2));
    }
}
