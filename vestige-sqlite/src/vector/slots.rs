/// Where each node stands in the index. A flat table: nodes are numbered by SQLite in sequence.
#[derive(Debug, Default)]
pub(super) struct Slots(Vec<u32>);

const NONE: u32 = u32::MAX;

impl Slots {
    pub(super) fn get(&self, node: i64) -> Option<usize> {
        let slot = *self.0.get(usize::try_from(node).ok()?)?;
        (slot != NONE).then_some(slot as usize)
    }

    pub(super) fn set(&mut self, node: i64, slot: usize) {
        let (Ok(node), Ok(slot)) = (usize::try_from(node), u32::try_from(slot)) else { return };
        if node >= self.0.len() {
            self.0.resize(node + 1, NONE);
        }
        self.0[node] = slot;
    }

    /// The slot of a node, which has none afterwards.
    pub(super) fn take(&mut self, node: i64) -> Option<usize> {
        let slot = self.get(node)?;
        self.0[usize::try_from(node).ok()?] = NONE;
        Some(slot)
    }
}
