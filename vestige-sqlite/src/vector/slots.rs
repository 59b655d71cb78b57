use std::collections::HashMap;

/// Where each node stands in an index.
#[derive(Debug)]
pub(super) enum Slots {
    /// By the node: SQLite numbers all in sequence.
    Table(Vec<u32>),
    /// For few of all.
    Map(HashMap<i64, u32>),
}

const NO_SLOT: u32 = u32::MAX;

impl Default for Slots {
    fn default() -> Self {
        Self::Table(Vec::new())
    }
}

impl Slots {
    pub(super) fn get(&self, node: i64) -> Option<usize> {
        let slot = match self {
            Self::Table(slots) => *slots.get(usize::try_from(node).ok()?)?,
            Self::Map(slots) => *slots.get(&node)?,
        };
        (slot != NO_SLOT).then_some(slot as usize)
    }

    pub(super) fn set(&mut self, node: i64, slot: usize) {
        let Ok(slot) = u32::try_from(slot) else { return };
        match self {
            Self::Table(slots) => {
                let Ok(node) = usize::try_from(node) else { return };
                if node >= slots.len() {
                    slots.resize(node + 1, NO_SLOT);
                }
                slots[node] = slot;
            }
            Self::Map(slots) => {
                slots.insert(node, slot);
            }
        }
    }

    /// The slot of a node, which has none afterwards.
    pub(super) fn take(&mut self, node: i64) -> Option<usize> {
        let slot = self.get(node)?;
        match self {
            Self::Table(slots) => slots[usize::try_from(node).ok()?] = NO_SLOT,
            Self::Map(slots) => drop(slots.remove(&node)),
        }
        Some(slot)
    }
}
