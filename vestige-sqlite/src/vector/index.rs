//! The vectors of one process: all of them, and the subsets of filters that are used often.

use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use rusqlite::{Connection, OptionalExtension, Transaction};
use vestige_traits::MemoryStoreResult;

use super::filtered::FilteredSubsets;
use super::on_disk;
use super::top_k::Candidate;
use super::vectors::{SKETCH_FROM_VECTORS, Vectors};
use crate::cancellation;
use crate::error::map;
use crate::filter::Admission;
use crate::journal::{self, State};

/// The codes of all vectors, shared by the readers of one process.
#[derive(Debug, Default)]
pub(crate) struct SharedIndex(RwLock<VectorIndex>);

/// The codes of all vectors as of one state of the database.
#[derive(Debug, Default)]
pub(crate) struct VectorIndex {
    state: State,
    all: Vectors,
    filtered: FilteredSubsets,
    /// Nothing is loaded, and every search reads the codes from the file.
    on_disk: bool,
}

impl SharedIndex {
    /// An index that stays in the file.
    pub(crate) fn on_disk() -> Self {
        Self(RwLock::new(VectorIndex { on_disk: true, ..VectorIndex::default() }))
    }

    /// Runs `work` on a view of the store and the index that agrees with it.
    pub(crate) fn with_view<T>(
        &self,
        connection: &mut Connection,
        work: impl FnOnce(&Transaction<'_>, &VectorIndex) -> MemoryStoreResult<T>,
    ) -> MemoryStoreResult<T> {
        // The lock comes before the view: so the view is never older than the index, and the
        // index can always be brought up to it.
        {
            let index = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let view = connection.transaction().map_err(map)?;
            if index.on_disk || (index.state == journal::state(&view)? && !index.all.lacks_sketches()) {
                return work(&view, &index);
            }
        }
        let mut index = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let view = connection.transaction().map_err(map)?;
        if let Err(error) = cancellation::to_the_end(|| index.catch_up(&view)) {
            // Half caught up: the next search starts from nothing.
            *index = VectorIndex::default();
            return Err(error);
        }
        work(&view, &RwLockWriteGuard::downgrade(index))
    }
}

impl VectorIndex {
    /// Whether the codes are read from the file by each search.
    pub(crate) fn is_on_disk(&self) -> bool {
        self.on_disk
    }

    /// Nodes among which are the admitted `count` nearest to `query`, and those that tie with them. In no
    /// order.
    pub(crate) fn candidates(
        &self,
        view: &Transaction<'_>,
        query: &[f32],
        admission: &Admission,
        count: usize,
    ) -> MemoryStoreResult<Vec<Candidate>> {
        if self.on_disk {
            return on_disk::nearest(view, query, admission, count);
        }
        let within = |subset: &Vectors| subset.nearest(query, &admission.within_filter(), count);
        let found = self.filtered.with_subset(view, self.state, &self.all, admission, within)?;
        let found = found.unwrap_or_else(|| self.all.nearest(query, admission, count));
        cancellation::check().map(|()| found)
    }

    /// How a search of these goes, for people.
    pub(crate) fn method(&self, admission: &Admission) -> String {
        match self.filtered.built_for(admission) {
            Some(count) => {
                format!(
                    "{}, gathered for this filter",
                    Vectors::method_for(count, count >= SKETCH_FROM_VECTORS)
                )
            }
            None => self.all.method(admission),
        }
    }

    fn catch_up(&mut self, view: &Transaction<'_>) -> MemoryStoreResult<()> {
        let now = journal::state(view)?;
        match journal::changes(view, self.state, now)? {
            // A store takes its first vectors after its model, and the index may be older than both.
            Some(nodes) if self.all.len() > 0 => self.apply(view, &nodes)?,
            _ => self.load(view)?,
        }
        self.state = now;
        self.all.renew_sketches();
        Ok(())
    }

    fn load(&mut self, view: &Transaction<'_>) -> MemoryStoreResult<()> {
        *self = Self::default();
        let dimension = view
            .query_row("SELECT dimension FROM embedding_model", [], |row| row.get::<_, i64>(0))
            .optional()
            .map_err(map)?;
        let Some(dimension) = dimension.and_then(|d| usize::try_from(d).ok()) else { return Ok(()) };
        let count: i64 =
            view.query_row("SELECT count(*) FROM vector_codes", [], |row| row.get(0)).map_err(map)?;
        self.all = Vectors::new(dimension, usize::try_from(count).unwrap_or(0));
        let mut statement = view.prepare("SELECT node, code FROM vector_codes ORDER BY node").map_err(map)?;
        let mut rows = statement.query([]).map_err(map)?;
        while let Some(row) = rows.next().map_err(map)? {
            let node = row.get(0).map_err(map)?;
            self.all.put(node, row.get_ref(1).map_err(map)?.as_blob().unwrap_or_default());
        }
        tracing::debug!(vectors = self.all.len(), dimension, "loaded the vector index");
        Ok(())
    }

    fn apply(&mut self, view: &Transaction<'_>, nodes: &[i64]) -> MemoryStoreResult<()> {
        let mut statement =
            view.prepare_cached("SELECT code FROM vector_codes WHERE node = ?").map_err(map)?;
        for &node in nodes {
            let mut rows = statement.query([node]).map_err(map)?;
            match rows.next().map_err(map)? {
                Some(row) => self.all.put(node, row.get_ref(0).map_err(map)?.as_blob().unwrap_or_default()),
                None => self.all.remove(node),
            }
        }
        Ok(())
    }
}
