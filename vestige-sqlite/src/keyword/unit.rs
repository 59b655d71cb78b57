//! What the index counts as one document: a passage of a node.

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
}
