//! What tells results apart and orders them: ids and times of nodes, kept where they were found before.

use std::cmp::Reverse;

use rusqlite::{OptionalExtension, Row, Transaction};
use uuid::Uuid;
use vestige_traits::MemoryStoreResult;

use super::kept::{Derived, Kept};
use super::legs::Found;
use crate::error::map;

/// The ids and times of nodes that were found before, where they are kept. They follow the rows by the
/// journal.
#[derive(Debug)]
pub(super) struct Names(Kept<Known>);

#[derive(Debug, Default)]
struct Known {
    /// By node; a nil id where it is not known. The time is in microseconds.
    names: Vec<(Uuid, i64)>,
    /// How many were looked up one by one since all were read.
    lookups: usize,
}

impl Names {
    /// All are read at once after this many lookups, and one more for each group of memories.
    const LOOKUPS_BEFORE_READING_ALL: usize = 500;
    /// The size of such a group.
    const MEMORIES_PER_LOOKUP: usize = 200;

    pub(super) fn new() -> Self {
        Self(Kept::new())
    }

    /// None is kept.
    pub(super) fn off() -> Self {
        Self(Kept::off())
    }

    /// Names each node.
    pub(super) fn name(
        &self,
        tx: &Transaction<'_>,
        scored: Vec<(i64, f64)>,
    ) -> MemoryStoreResult<Vec<Found>> {
        self.0.with(tx, |known| name(tx, known, scored))
    }
}

/// Names each node, and keeps the names where that is done.
fn name(
    tx: &Transaction<'_>,
    mut known: Option<&mut Known>,
    scored: Vec<(i64, f64)>,
) -> MemoryStoreResult<Vec<Found>> {
    if let Some(known) = &mut known
        && known.lookups
            >= Names::LOOKUPS_BEFORE_READING_ALL.max(known.names.len() / Names::MEMORIES_PER_LOOKUP)
    {
        known.read_all(tx)?;
    }
    let mut statement =
        tx.prepare_cached("SELECT id, created_at FROM knowledge_nodes WHERE node = ?").map_err(map)?;
    let mut found = Vec::with_capacity(scored.len());
    for (node, score) in scored {
        let mut name = known.as_ref().and_then(|known| known.get(node));
        if name.is_none() {
            // A term without its memory is a damaged index, which `diagnose` reports.
            let row = statement.query_row([node], |row| read(row, 0)).optional().map_err(map)?;
            let Some(row) = row else { continue };
            name = Some(row);
            if let Some(known) = &mut known {
                known.set(node, row);
                known.lookups += 1;
            }
        }
        let Some((id, created_at)) = name else { continue };
        found.push(Found { node, tie_break: (Reverse(created_at), id), score });
    }
    Ok(found)
}

/// The id and the time in a row, from this column on.
fn read(row: &Row<'_>, at: usize) -> rusqlite::Result<(Uuid, i64)> {
    Ok((Uuid::from_bytes(row.get(at)?), row.get(at + 1)?))
}

impl Derived for Known {
    fn forget(&mut self, _: &Transaction<'_>, changes: Option<Vec<i64>>) -> MemoryStoreResult<()> {
        match changes {
            Some(changes) => changes.into_iter().for_each(|node| self.set(node, Default::default())),
            None => *self = Self::default(),
        }
        Ok(())
    }
}

impl Known {
    fn get(&self, node: i64) -> Option<(Uuid, i64)> {
        let name = usize::try_from(node).ok().and_then(|at| self.names.get(at)).copied();
        name.filter(|(id, _)| !id.is_nil())
    }

    fn set(&mut self, node: i64, name: (Uuid, i64)) {
        let Ok(at) = usize::try_from(node) else { return };
        if at >= self.names.len() {
            self.names.resize(at + 1, Default::default());
        }
        self.names[at] = name;
    }

    fn read_all(&mut self, tx: &Transaction<'_>) -> MemoryStoreResult<()> {
        let mut statement =
            tx.prepare_cached("SELECT node, id, created_at FROM knowledge_nodes").map_err(map)?;
        let mut rows = statement.query([]).map_err(map)?;
        while let Some(row) = rows.next().map_err(map)? {
            // A row that cannot be read fails the search that finds it, and no other.
            if let (Ok(node), Ok(name)) = (row.get(0), read(row, 1)) {
                self.set(node, name);
            }
        }
        self.lookups = 0;
        Ok(())
    }
}
